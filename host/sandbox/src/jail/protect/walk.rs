//! Walking a root once, and later only the folders of it that changed.

use std::collections::{BTreeMap, VecDeque};
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::fs::{FileType, OFlags, Stat};
use stigmer_policy::protected::{Matcher, Protected};
use stigmer_policy::{JailPath, Policy};

use super::git;
use super::place::{Place, open_root};

/// How deep repositories are looked for; a deeper one counts as absent.
pub(super) const MAX_DEPTH: usize = 6;
/// Folders that are kept in view. A larger tree is searched in part, and that is said.
const MAX_FOLDERS: usize = 20_000;
/// A time stamp younger than this may be shared by a later change: coarse clocks tick every 4 to 10 ms.
const TICK_NANOSECONDS: i128 = 20_000_000;

/// One root and what is known of its folders.
pub(super) struct Tree {
    root: JailPath,
    fd: OwnedFd,
    folders: BTreeMap<JailPath, Stamp>,
    partial: bool,
    begun: bool,
}

/// Tells whether a folder's list of names may have changed. The change time cannot be set by hand.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    inode: u64,
    device: u64,
    changed: i128,
    settled: bool,
}

impl Stamp {
    pub(super) fn of(stat: &Stat) -> Stamp {
        let changed = i128::from(stat.st_ctime) * 1_000_000_000 + i128::from(stat.st_ctime_nsec);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let settled = i128::try_from(now.as_nanos()).unwrap_or(i128::MAX) - changed > TICK_NANOSECONDS;
        Stamp { inode: stat.st_ino, device: stat.st_dev, changed, settled }
    }

    /// Whether what has the stamp `now` is surely what it was.
    pub(super) fn is_same(self, now: Stamp) -> bool {
        self.settled && (self.inode, self.device, self.changed) == (now.inode, now.device, now.changed)
    }
}

impl Tree {
    pub(super) fn open(root: &JailPath) -> io::Result<Tree> {
        Ok(Tree { root: root.clone(), fd: open_root(root)?, folders: BTreeMap::new(), partial: false, begun: false })
    }

    pub(super) fn root(&self) -> &JailPath {
        &self.root
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    pub(super) fn is_partial(&self) -> bool {
        self.partial
    }

    /// Lists new and changed folders, and gives every protected path that stands in them.
    pub(super) fn look(&mut self, matcher: &Matcher<'_>, policy: &Policy) -> Vec<Protected> {
        let mut found = Vec::new();
        // Upper folders first, and before all others git's own at the top: whoever fills the tree with folders, before or
        // during a command, pushes what lies deep out of view, and not what the person works in.
        let mut next: VecDeque<JailPath> = self.folders.keys().cloned().collect();
        next.make_contiguous().sort_by_cached_key(JailPath::depth);
        if next.is_empty() {
            next.push_back(self.root.clone());
        }
        while let Some(folder) = next.pop_front() {
            let place = Place::new(&self.root, self.fd.as_fd());
            let Ok(stat) = place.stat(&folder) else {
                self.folders.remove(&folder);
                continue;
            };
            let stamp = Stamp::of(&stat);
            if self.folders.get(&folder).is_some_and(|known| known.is_same(stamp)) {
                continue;
            }
            let beyond = self.folders.len() >= MAX_FOLDERS && !self.folders.contains_key(&folder);
            if beyond && !self.is_at_the_top(matcher, &folder) {
                self.partial = true;
                continue;
            }
            self.folders.insert(folder.clone(), stamp);
            let Ok(entries) = self.list(&place, &folder) else {
                // At the start such a folder is the person's own choice, and no command can list it either.
                continue;
            };
            for (name, kind) in &entries {
                let Ok(path) = folder.join(Path::new(name)) else { continue };
                if let Some(protected) = matcher.matches(&path).or_else(|| git::pointer(policy, &path, *kind)) {
                    found.push(protected);
                } else if kind.is_dir() && self.is_worth_entering(&path) && !self.folders.contains_key(&path) {
                    if self.is_at_the_top(matcher, &path) {
                        next.push_front(path);
                    } else {
                        next.push_back(path);
                    }
                }
            }
            let names = entries.into_iter().map(|(name, _)| name).collect();
            let inner = git::in_git_folder(policy, &folder, &names);
            found.extend(inner.into_iter().filter(|inner| !git::is_known(matcher, inner)));
        }
        self.begun = true;
        found
    }

    /// Names in a folder. One that a command made unlistable is opened up: git finds `.git` in it without listing.
    fn list(&self, place: &Place<'_>, folder: &JailPath) -> io::Result<Vec<(OsString, FileType)>> {
        match entries(place, folder) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied && self.begun => {
                place.open_up(folder)?;
                entries(place, folder)
            }
            other => other,
        }
    }

    /// Whether each folder from the root down to `path` is one that a pattern leads through: the root, `.git`,
    /// `.git/objects`. There are no more of them than patterns have names, so they are always looked at.
    fn is_at_the_top(&self, matcher: &Matcher<'_>, path: &JailPath) -> bool {
        let Some(below) = path.below(&self.root) else { return false };
        let mut at = self.root.clone();
        below.components().all(|part| {
            let next = at.join(Path::new(part.as_os_str()));
            next.is_ok_and(|next| {
                at = next;
                matcher.is_anchor(&at)
            })
        })
    }

    fn is_worth_entering(&self, path: &JailPath) -> bool {
        if path.depth() - self.root.depth() > MAX_DEPTH {
            return false;
        }
        // Git's object store: up to 256 folders of objects, named by two digits, that no pattern speaks of.
        let in_git = path.as_path().components().any(|part| part.as_os_str() == git::NAME);
        let in_objects =
            in_git && path.parent().is_some_and(|parent| parent.name().is_some_and(|name| name == "objects"));
        !(in_objects && path.name().is_some_and(|name| name.len() == 2 || name == "pack"))
    }
}

fn entries(place: &Place<'_>, folder: &JailPath) -> io::Result<Vec<(OsString, FileType)>> {
    let opened = place.open(folder, OFlags::RDONLY | OFlags::DIRECTORY)?;
    let mut found = Vec::new();
    for entry in rustix::fs::Dir::read_from(&opened)? {
        let entry = entry?;
        let name = OsStr::from_bytes(entry.file_name().to_bytes()).to_owned();
        if name == "." || name == ".." {
            continue;
        }
        let kind = match entry.file_type() {
            // Some file systems do not say.
            FileType::Unknown => folder
                .join(Path::new(&name))
                .ok()
                .and_then(|path| place.stat(&path).ok())
                .map_or(FileType::Unknown, |stat| FileType::from_raw_mode(stat.st_mode)),
            kind => kind,
        };
        found.push((name, kind));
    }
    Ok(found)
}
