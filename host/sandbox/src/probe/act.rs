//! One forbidden act: what it tries, and how its effect is seen from outside.

use serde::{Deserialize, Serialize};
use stigmer_policy::Promise;

use super::scene::Scene;
use super::set::Set;

/// One forbidden act. A promise may need several.
#[derive(Debug)]
pub struct Act {
    /// The promise that it would break.
    pub promise: Promise,
    /// Unique within its promise: lower case, words joined by `-`.
    pub name: &'static str,
    /// What is tried, for people.
    pub sentence: &'static str,
    pub(crate) how: How,
    pub(crate) effect: Option<fn(&Set) -> Effect>,
}

/// Where an act is performed.
#[derive(Debug, Clone, Copy)]
pub(crate) enum How {
    /// In a process of its own, started by the one that works through the table.
    Plain(fn(&Scene) -> Attempt),
    /// As `Plain`, in a jail with small limits.
    Bounded(fn(&Scene) -> Attempt),
    /// By a command that leaves a process behind.
    Survivor,
    /// By a program that prints its environment.
    Environment,
}

impl How {
    pub(crate) fn is_survivor(&self) -> bool {
        matches!(self, How::Survivor)
    }

    pub(crate) fn is_environment(&self) -> bool {
        matches!(self, How::Environment)
    }
}

/// What an act comes to: nothing when it was done.
pub(crate) type Attempt = Result<(), Barred>;

/// Why an act was not done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Barred {
    /// The kernel refused with this errno.
    Errno(i32),
    /// Nothing was refused, but what was reached is not the host's.
    Elsewhere(String),
    /// This machine lacks the thing.
    Absent(String),
}

impl From<std::io::Error> for Barred {
    fn from(error: std::io::Error) -> Barred {
        match error.raw_os_error() {
            Some(errno) => Barred::Errno(errno),
            None => Barred::Elsewhere(error.to_string()),
        }
    }
}

impl From<rustix::io::Errno> for Barred {
    fn from(errno: rustix::io::Errno) -> Barred {
        Barred::Errno(errno.raw_os_error())
    }
}

/// How the process that tried an act ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Tried {
    /// It did it.
    Done,
    /// It could not.
    Barred(Barred),
    /// It was ended by this signal.
    Killed(i32),
    /// It took longer than [`super::attempt::TIME`].
    Overdue,
    /// It could not even be tried.
    Broken(String),
}

/// What is seen outside of an act that was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    /// It reached what it aimed at.
    Seen,
    /// It did, and was undone after the command.
    Undone,
    /// It reached something else.
    NotSeen,
}

impl Effect {
    /// Seen or not.
    pub(crate) fn seen(seen: bool) -> Effect {
        if seen { Effect::Seen } else { Effect::NotSeen }
    }
}
