//! Protected paths that did not exist before a command and do now.

use std::io;

use rustix::fs::FileType;
use stigmer_policy::JailPath;
use stigmer_policy::protected::{Absent, Finding, MAX_CONFIG, Protected, inspect};

use super::git;
use super::place::Place;
use crate::message::{RestoreAction, Restored};

/// Names that are looked at below one path; a folder with more is set aside whole.
const MAX_NAMES: usize = 1_000;
/// Folders below one path that are looked into.
const MAX_DEPTH: usize = 8;

/// Looks at what appeared and sets aside what could run something. True when something harmless stays, to be held from
/// now on.
pub(super) fn examine(place: &Place<'_>, found: &Protected, restored: &mut Vec<Restored>) -> bool {
    let kept = match found.absent {
        Absent::Quarantine => Err(io::ErrorKind::Other.into()),
        Absent::Inspect => look_at(place, found, &found.path, 0, restored),
    };
    if kept.is_ok() {
        return true;
    }
    set_aside(place, &found.path, restored);
    false
}

/// Keeps a harmless file; sets others below `path` aside one by one. An error means that `path` itself has to go.
fn look_at(
    place: &Place<'_>,
    found: &Protected,
    path: &JailPath,
    depth: usize,
    restored: &mut Vec<Restored>,
) -> io::Result<()> {
    let stat = place.stat(path)?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => {
            // Sample hooks are kept by name and may be longer than any config.
            let content = match place.read(path, MAX_CONFIG as u64) {
                Err(error) if error.kind() == io::ErrorKind::FileTooLarge => vec![0; MAX_CONFIG + 1],
                other => other?,
            };
            if keeps(place, found, path, &content) { Ok(()) } else { Err(io::ErrorKind::Other.into()) }
        }
        FileType::Directory if depth < MAX_DEPTH => {
            let names = place.names(path)?;
            if names.len() > MAX_NAMES {
                return Err(io::ErrorKind::FileTooLarge.into());
            }
            for name in names {
                let inner = path.join(std::path::Path::new(&name)).map_err(|_| io::ErrorKind::InvalidInput)?;
                if look_at(place, found, &inner, depth + 1, restored).is_err() {
                    set_aside(place, &inner, restored);
                }
            }
            Ok(())
        }
        _ => Err(io::ErrorKind::Other.into()),
    }
}

/// Whether a regular file with this content may stay.
pub(super) fn keeps(place: &Place<'_>, found: &Protected, path: &JailPath, content: &[u8]) -> bool {
    if found.pattern == git::NAME {
        return git::leads_to_a_searched_folder(place, path, content);
    }
    // Sample hooks may have been read in part, or not at all.
    inspect(found, path, content) == Finding::Keep
}

pub(super) fn set_aside(place: &Place<'_>, path: &JailPath, restored: &mut Vec<Restored>) {
    let action = match place.set_aside(path) {
        Ok(aside) => RestoreAction::Quarantined(aside.to_string()),
        // Gone again, by another command that still runs.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return,
        Err(error) => RestoreAction::Failed(error.to_string()),
    };
    restored.push(Restored { path: path.to_string(), action });
}
