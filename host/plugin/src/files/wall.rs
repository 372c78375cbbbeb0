//! The wall around a guest's files: policy and grant, asked with the path that the walk really took.

use std::collections::HashSet;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::fs::Stat;
use rustix::io::Errno;
use stigmer_policy::{Access, Decision, Denial, JailPath, Request, Rule};

use super::changes::Changes;
use super::turn::{self, Turn};
use super::walk::{Place, WalkError, locate};
use crate::grants::{DirGrant, Gate, not_granted};

/// Why an operation was not done.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// By rule; recorded.
    Denied(Box<Denial>),
    /// By the kernel.
    Os(Errno),
}

impl From<Errno> for Refusal {
    fn from(errno: Errno) -> Self {
        Refusal::Os(errno)
    }
}

/// A directory that a guest holds.
#[derive(Debug, Clone)]
pub(crate) enum Base {
    /// The name space's top. It exists only so that a path outside every grant reaches us and is refused by rule: a
    /// guest's C library would otherwise answer "no such file" by itself. Paths into a grant lead there.
    Top,
    /// A granted folder, or a folder opened below one.
    Folder(DirGrant),
}

/// A place, and what the grant that holds it allows.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) place: Place,
    pub(crate) path: JailPath,
    pub(crate) access: Access,
}

/// What all operations of one call share.
#[derive(Clone)]
pub(crate) struct Wall {
    pub(crate) gate: Arc<dyn Gate>,
    pub(crate) grants: Arc<[DirGrant]>,
    /// Files that this call made, by device and inode: their further names are its own doing.
    made: Arc<Mutex<HashSet<(u64, u64)>>>,
    pub(crate) changes: Changes,
}

impl Wall {
    pub(crate) fn new(gate: Arc<dyn Gate>, grants: &[DirGrant]) -> Wall {
        Wall { gate, grants: grants.into(), made: Arc::default(), changes: Changes::default() }
    }

    /// The turn at changing names in `dirs`.
    pub(crate) fn turn(&self, dirs: &[&OwnedFd]) -> Result<Turn, Refusal> {
        Ok(turn::take(turn::TURN_TIME, dirs)?)
    }

    /// Finds where a guest's path leads.
    pub(crate) fn find(&self, base: &Base, path: &str, follow: bool, request: Ask) -> Result<Found, Refusal> {
        let (grant, path) = match base {
            Base::Folder(grant) => (grant, path.to_owned()),
            Base::Top => self.below_top(path, request)?,
        };
        let place = locate(grant.dir.as_fd(), &grant.path, &path, follow).map_err(|error| match error {
            WalkError::Os(errno) => Refusal::Os(errno),
            WalkError::Escapes(None) => Refusal::Os(Errno::PERM),
            WalkError::Escapes(Some(target)) => self.outside(target, request),
        })?;
        Ok(Found { path: place.path()?, place, access: grant.access })
    }

    fn below_top(&self, path: &str, request: Ask) -> Result<(&DirGrant, String), Refusal> {
        let whole = JailPath::absolute(format!("/{path}")).map_err(|_| Errno::INVAL)?;
        let holds = self.grants.iter().filter(|grant| whole.is_within(&grant.path));
        let Some(grant) = holds.max_by_key(|grant| grant.path.depth()) else {
            return Err(self.outside(whole, request));
        };
        let below = whole.below(&grant.path).and_then(|below| below.to_str()).ok_or(Errno::ILSEQ)?;
        Ok((grant, if below.is_empty() { ".".to_owned() } else { below.to_owned() }))
    }

    fn outside(&self, target: JailPath, request: Ask) -> Refusal {
        let inside = self.grants.iter().any(|grant| target.is_within(&grant.path));
        let subject = request.subject(&target);
        let denial = match self.gate.decide(&request.of(target)) {
            Decision::Deny(denial) => denial,
            Decision::Allow { .. } if inside => not_granted(
                Rule::OutsideRoots,
                subject,
                "a link or `..` leaves the folder it starts from; only relative links that stay inside are followed"
                    .into(),
            ),
            Decision::Allow { .. } => {
                not_granted(Rule::OutsideRoots, subject, "no folder that this plugin was granted holds it".into())
            }
        };
        Refusal::Denied(Box::new(denial))
    }

    /// Asks for reading, by the names walked and, where the kernel says otherwise, by those too.
    pub(crate) fn may_read(&self, found: &Found) -> Result<(), Refusal> {
        self.ask(Request::Read(found.path.clone()))?;
        self.ask_moved(found, Request::Read)
    }

    /// Asks for writing: policy first, so that its rule is the one that is named, then the grant.
    pub(crate) fn may_write(&self, found: &Found) -> Result<(), Refusal> {
        self.ask(Request::Write(found.path.clone()))?;
        self.ask_moved(found, Request::Write)?;
        self.grant_writes(&found.path, found.access)
    }

    /// Asks for writing to a path that is known without a walk.
    pub(crate) fn may_write_path(&self, path: JailPath, access: Access) -> Result<(), Refusal> {
        self.ask(Request::Write(path.clone()))?;
        self.grant_writes(&path, access)
    }

    fn grant_writes(&self, path: &JailPath, access: Access) -> Result<(), Refusal> {
        if access == Access::ReadWrite {
            return Ok(());
        }
        let reason = "this plugin was granted the folder for reading only".to_owned();
        Err(Refusal::Denied(Box::new(not_granted(Rule::ReadOnlyRoot, Ask::Write.subject(path), reason))))
    }

    fn ask_moved(&self, found: &Found, request: impl Fn(JailPath) -> Request) -> Result<(), Refusal> {
        let Some(dir) = found.place.moved_to() else { return Ok(()) };
        let path = match &found.place.name {
            Some(name) => dir.join(name).map_err(|_| Errno::NAMETOOLONG)?,
            None => dir,
        };
        self.ask(request(path))
    }

    fn ask(&self, request: Request) -> Result<(), Refusal> {
        match self.gate.decide(&request) {
            Decision::Allow { .. } => Ok(()),
            Decision::Deny(denial) => Err(Refusal::Denied(Box::new(denial))),
        }
    }

    /// Refuses to write through a file with several names unless this call made it: another name may lie outside.
    pub(crate) fn may_change(&self, found: &Found, stat: &Stat) -> Result<(), Refusal> {
        if stat.st_nlink <= 1 || self.made().contains(&(stat.st_dev, stat.st_ino)) {
            return Ok(());
        }
        let reason = "the file has other names (hard links), which may lie outside".to_owned();
        let denial = not_granted(Rule::OutsideRoots, Ask::Write.subject(&found.path), reason);
        Err(Refusal::Denied(Box::new(denial)))
    }

    pub(crate) fn note_made(&self, stat: &Stat) {
        self.made().insert((stat.st_dev, stat.st_ino));
    }

    fn made(&self) -> std::sync::MutexGuard<'_, HashSet<(u64, u64)>> {
        // Single inserts only: a poisoned set is still a whole one.
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a guest wants with a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ask {
    Read,
    Write,
}

impl Ask {
    fn of(self, path: JailPath) -> Request {
        match self {
            Ask::Read => Request::Read(path),
            Ask::Write => Request::Write(path),
        }
    }

    fn subject(self, path: &JailPath) -> String {
        match self {
            Ask::Read => format!("read {path}"),
            Ask::Write => format!("write {path}"),
        }
    }
}
