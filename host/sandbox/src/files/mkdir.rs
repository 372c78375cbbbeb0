//! `mkdir`: a folder.

use rustix::fs::Mode;
use rustix::io::Errno;
use stigmer_policy::JailPath;

use super::change::{Change, ChangeKind};
use super::fault::{PathFault, shown, verb_error};
use super::node::Kind;
use super::resolve::{Last, resolve_write};
use super::roots::Roots;

/// Why no folder was made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MkdirError {
    /// The place could not be reached.
    #[error(transparent)]
    Path(#[from] PathFault),
    /// Something is there that is no folder, or is one where a new folder was wanted.
    #[error("`{}` exists already", shown(path))]
    Exists {
        /// The path.
        path: JailPath,
    },
}

verb_error!(MkdirError,
    case { Self::Exists { .. } => "exists", }
    hint { Self::Exists { .. } => None, }
);

impl Roots {
    /// Makes a folder. With `parents`, missing folders on the way are made too and a folder that is there already is
    /// fine: the answer is then `None`, since nothing changed.
    ///
    /// # Errors
    /// [`MkdirError`].
    pub fn mkdir(&self, path: &JailPath, parents: bool) -> Result<Option<Change>, MkdirError> {
        let spot = resolve_write(self, path, Last::Follow)?;
        match &spot.found {
            Some(node) if node.kind == Kind::Folder && parents => return Ok(None),
            Some(_) => return Err(MkdirError::Exists { path: spot.path }),
            None => {}
        }
        let dir = self.missing_folders(&spot, parents)?;
        let Some(name) = spot.name() else { return Err(MkdirError::Exists { path: spot.path }) };
        match rustix::fs::mkdirat(&dir, name, Mode::from_raw_mode(0o777)) {
            Ok(()) => Ok(Some(Change { path: spot.path.clone(), kind: ChangeKind::Created, bytes: 0, sha256: None })),
            Err(Errno::EXIST) => Err(MkdirError::Exists { path: spot.path }),
            Err(errno) => Err(PathFault::from_errno("make", &spot.path, errno).into()),
        }
    }
}
