//! Closing the process that holds keys.

use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

/// Which step failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HardenError {
    /// `prctl(PR_SET_DUMPABLE, 0)`.
    #[error("could not make the process undumpable")]
    Dumpable(#[source] rustix::io::Errno),
    /// `setrlimit(RLIMIT_CORE, 0)`.
    #[error("could not switch core dumps off")]
    Core(#[source] rustix::io::Errno),
}

/// Makes this process unreadable to others of the same user: no ptrace, no `/proc/PID/mem`, no core file
/// (prctl(2) `PR_SET_DUMPABLE`, core(5)). Call it before the first key arrives.
///
/// `/proc/self/*` belongs to root from then on: an ordinary user's process can no longer open its own `/proc/self/mem`
/// or `/proc/self/fd/N`, and an `execve` makes the new image dumpable again.
///
/// # Errors
/// [`HardenError`]; a caller that goes on holds its keys in an open process, so it should not.
pub fn harden() -> Result<(), HardenError> {
    // The limit first: were the second step to fail, a crash must still leave no file behind.
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) }).map_err(HardenError::Core)?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(HardenError::Dumpable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closes_the_process() {
        assert_eq!(
            rustix::process::dumpable_behavior().unwrap(),
            DumpableBehavior::Dumpable,
            "else this proves nothing"
        );
        harden().unwrap();
        assert_eq!(rustix::process::dumpable_behavior().unwrap(), DumpableBehavior::NotDumpable);
        assert_eq!(rustix::process::getrlimit(Resource::Core), Rlimit { current: Some(0), maximum: Some(0) });
    }
}
