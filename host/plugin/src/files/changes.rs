//! Which files a call changed, so that a record of them can say that a plugin did it.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use stigmer_policy::JailPath;

/// Names kept per call, as many as the entries of a middling package; each becomes an event of the execution, so a guest
/// must not choose their number.
pub(crate) const KEPT: usize = 4096;

/// Files that a call changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChangedFiles {
    /// Names of files and links, sorted, each once. Both names of what was renamed; everything below a renamed folder;
    /// no folders. The place that was reached, not the spelling that the guest used.
    pub paths: Vec<JailPath>,
    /// More than 4,096 names were changed: there are others.
    pub more: bool,
}

/// Collects the changes of one call; clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Changes(Arc<Mutex<Seen>>);

#[derive(Debug, Default)]
struct Seen {
    paths: BTreeSet<JailPath>,
    more: bool,
}

impl Changes {
    /// Does `act`, which changes the files `paths`. They are noted before: a call that is given up while the kernel
    /// still works has changed them all the same. What failed is taken off again.
    pub(crate) fn during<T, E>(&self, paths: &[JailPath], act: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        let (fresh, had_more) = {
            let mut seen = self.seen();
            let had_more = seen.more;
            (paths.iter().filter(|path| seen.add(path)).collect::<Vec<_>>(), had_more)
        };
        let done = act();
        if done.is_err() {
            let mut seen = self.seen();
            for path in fresh {
                seen.paths.remove(path);
            }
            seen.more = had_more;
        }
        done
    }

    /// Notes a file that is changed through a handle.
    pub(crate) fn note(&self, path: &JailPath) {
        self.seen().add(path);
    }

    pub(crate) fn take(&self) -> ChangedFiles {
        let seen = std::mem::take(&mut *self.seen());
        ChangedFiles { paths: seen.paths.into_iter().collect(), more: seen.more }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        // Single inserts and removals only: a poisoned set is still a whole one.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seen {
    /// Whether the path is new.
    fn add(&mut self, path: &JailPath) -> bool {
        if self.paths.contains(path) {
            return false;
        }
        if self.paths.len() >= KEPT {
            self.more = true;
            return false;
        }
        self.paths.insert(path.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(name: &str) -> JailPath {
        JailPath::absolute(format!("/w/{name}")).unwrap()
    }

    #[test]
    fn what_failed_is_no_change_and_what_was_changed_before_stays_one() {
        let changes = Changes::default();
        assert_eq!(changes.during(&[path("a")], || Ok::<_, ()>(1)), Ok(1));
        assert_eq!(changes.during(&[path("a"), path("b")], || Err::<(), _>("no")), Err("no"));
        assert_eq!(changes.take(), ChangedFiles { paths: vec![path("a")], more: false });
        assert_eq!(changes.take(), ChangedFiles::default());
    }

    #[test]
    fn a_change_is_noted_while_it_is_made() {
        let changes = Changes::default();
        let seen = changes.during(&[path("a")], || Ok::<_, ()>(changes.take().paths));
        assert_eq!(seen, Ok(vec![path("a")]));
    }

    #[test]
    fn names_above_the_bound_are_not_kept_and_that_is_said() {
        let changes = Changes::default();
        for number in 0..KEPT {
            changes.note(&path(&number.to_string()));
        }
        changes.note(&path("0"));
        assert!(!changes.seen().more, "a name that is known is not another one");
        let failed = changes.during(&[path("x")], || Err::<(), ()>(()));
        assert_eq!((failed, changes.seen().more), (Err(()), false));
        changes.note(&path("x"));
        let taken = changes.take();
        assert_eq!((taken.paths.len(), taken.more), (KEPT, true));
    }
}
