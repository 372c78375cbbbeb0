//! One execution, as the supervisor sees it. One task owns this value; everyone else reads events.
//!
//! ```text
//!            start           lease            finished
//!  Queued ─────────► Starting ─────► Running ─────────► Ending ────────► Ended(outcome)
//!                     ▲  │ gone      ▲    │ ▲            ▲     jail gone
//!         jail again, │  ▼           │    │ │ answered   │
//!       runner again  │  │    lease  │    ▼ │            │ too many crashes
//!                     Backoff ◄──────┼── Parked ◄── asked│
//!                        │    gone   │                   │
//!                        └───────────┴───────────────────┘
//! ```
//!
//! Not drawn, on purpose: a runner that does not lease in time leads from `Starting` to `Ending`; *cancel* leads from every state to `Ending`, and *stop* (of the daemon) to `Stopping`, which
//! becomes `Stopped`; both are left only when the jail's tree is gone. An execution that is stopped goes on from its
//! journal under the next daemon.

use std::time::{Duration, Instant};

/// Runners that may die one after the other without a new journal entry between them. A runner that dies at the same
/// place every time is ended; one that makes progress is replaced for ever.
pub const MAX_CRASHES: u32 = 5;
/// Wait before the first new runner; doubled for each further one without progress.
pub const FIRST_BACKOFF: Duration = Duration::from_millis(50);
/// Longest wait before a new runner.
pub const LONGEST_BACKOFF: Duration = Duration::from_secs(5);
/// Time for a runner to end by itself after it was told to; then its tree is ended.
pub const GRACE: Duration = Duration::from_secs(2);

/// Time for a runner that was started to lease its work. A start takes milliseconds; one that says nothing for this long
/// is stuck before its first statement of ours, and another one would be too.
pub const LEASE_TIME: Duration = Duration::from_secs(30);

/// How an execution ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The agent is done.
    Completed,
    /// It could not be done.
    Failed,
    /// A person cancelled it.
    Cancelled,
    /// The agent repeated itself.
    Loop,
    /// A bound was reached.
    Limit,
}

impl Outcome {
    /// Every outcome.
    pub const ALL: [Outcome; 5] =
        [Outcome::Completed, Outcome::Failed, Outcome::Cancelled, Outcome::Loop, Outcome::Limit];

    /// The name in records.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Outcome::Completed => "completed",
            Outcome::Failed => "failed",
            Outcome::Cancelled => "cancelled",
            Outcome::Loop => "loop",
            Outcome::Limit => "limit",
        }
    }

    /// The outcome of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.name() == name)
    }
}

/// How and why an execution ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End {
    /// How.
    pub outcome: Outcome,
    /// Why, for the person; empty when completed.
    pub reason: String,
    /// Last text of the model.
    pub text: String,
}

impl End {
    /// An end without a text of the model.
    #[must_use]
    pub fn new(outcome: Outcome, reason: impl Into<String>) -> Self {
        End { outcome, reason: reason.into(), text: String::new() }
    }
}

/// Where an execution stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Stored, not started.
    Queued,
    /// A runner was asked for and has not leased yet.
    Starting,
    /// A runner works.
    Running,
    /// A runner works, and this many of its calls wait for a person.
    Parked {
        /// How many.
        waiting: u32,
    },
    /// A runner died; the next one starts at this time.
    Backoff {
        /// When.
        until: Instant,
        /// The jail still lives, with its scratch.
        jail: bool,
    },
    /// Its end is decided; its tree is being ended.
    Ending(End),
    /// Its tree is being ended because the daemon stops.
    Stopping,
    /// The tree is gone; the next daemon goes on.
    Stopped,
    /// Over.
    Ended(End),
}

impl State {
    /// The name in records.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            State::Queued => "queued",
            State::Starting => "starting",
            State::Running => "running",
            State::Parked { .. } => "parked",
            State::Backoff { .. } => "backoff",
            State::Ending(_) => "ending",
            State::Stopping | State::Stopped => "stopped",
            State::Ended(_) => "ended",
        }
    }
}

/// What is counted besides the state.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Counters {
    /// Runners started so far.
    pub attempt: u32,
    /// Runners that died since the last journal entry.
    pub crashes: u32,
    /// A jail stands or is being made.
    pub jail: bool,
}

/// What happens to an execution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// It may start.
    Start,
    /// A runner has leased.
    Leased,
    /// A journal entry was stored.
    Progress,
    /// A call waits for a person.
    Asked,
    /// A waiting call was answered.
    Answered,
    /// The runner reported its result.
    Finished(End),
    /// The runner is gone; its jail still lives.
    RunnerGone(String),
    /// The jail and everything in it is gone.
    JailGone(String),
    /// The jail could not be made; trying again would not help.
    Refused(String),
    /// A person cancels.
    Cancel,
    /// The daemon stops.
    Stop,
    /// Time passed.
    Tick,
}

/// What the supervisor does next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Make a jail with a runner in it.
    StartJail,
    /// Start another runner in the jail that stands.
    RestartRunner,
    /// Tell the runner to stop.
    TellRunner,
    /// End the tree at this time, if it is not gone by then.
    StopJailAt(Instant),
    /// End the tree.
    StopJail,
    /// Come back when the runner that was just started has had [`LEASE_TIME`].
    AwaitLease,
    /// Come back at this time.
    WakeAt(Instant),
    /// Walk the workspace, write the record, store the end.
    Record(End),
    /// Say that a runner was lost.
    Interrupted(String),
}

/// What the supervisor must do next; computed without clocks, processes or locks, so that the drawing can be tested.
///
/// Inputs that a state does not expect (an answer after the end) change nothing.
#[must_use]
pub fn next(state: State, counters: &mut Counters, input: Input, now: Instant) -> (State, Vec<Action>) {
    match (state, input) {
        (state @ (State::Ended(_) | State::Stopped), _) => (state, vec![]),
        (State::Ending(end), Input::JailGone(_)) => {
            counters.jail = false;
            (State::Ended(end.clone()), vec![Action::Record(end)])
        }
        (State::Ending(end), Input::RunnerGone(_)) => (State::Ending(end), vec![Action::StopJail]),
        (state @ State::Ending(_), _) => (state, vec![]),
        (State::Stopping, Input::JailGone(_)) => {
            counters.jail = false;
            (State::Stopped, vec![])
        }
        (State::Stopping, _) => (State::Stopping, vec![]),
        (_, Input::Cancel) => finish(counters, End::new(Outcome::Cancelled, "cancelled by a person"), true, now),
        (_, Input::Stop) if counters.jail => (State::Stopping, vec![Action::StopJail]),
        (_, Input::Stop) => (State::Stopped, vec![]),
        (_, Input::Refused(reason)) => finish(counters, End::new(Outcome::Failed, reason), false, now),
        (State::Queued, Input::Start) => start(counters),
        (State::Starting, Input::Leased) => (State::Running, vec![]),
        (State::Starting, Input::Tick) => {
            finish(counters, End::new(Outcome::Failed, "the runner did not lease its work in time"), false, now)
        }
        (state, Input::Progress) => {
            counters.crashes = 0;
            (state, vec![])
        }
        (State::Running, Input::Asked) => (State::Parked { waiting: 1 }, vec![]),
        (State::Parked { waiting }, Input::Asked) => (State::Parked { waiting: waiting.saturating_add(1) }, vec![]),
        (State::Parked { waiting: 0 | 1 }, Input::Answered) => (State::Running, vec![]),
        (State::Parked { waiting }, Input::Answered) => (State::Parked { waiting: waiting - 1 }, vec![]),
        (State::Starting | State::Running | State::Parked { .. }, Input::Finished(end)) => {
            finish(counters, end, false, now)
        }
        (State::Starting | State::Running | State::Parked { .. }, Input::RunnerGone(reason)) => {
            crash(counters, reason, true, now)
        }
        // Between two runners the jail itself may go: then the next one needs a new jail.
        (State::Backoff { until, .. }, Input::JailGone(_)) => {
            counters.jail = false;
            (State::Backoff { until, jail: false }, vec![])
        }
        (_, Input::JailGone(reason)) => {
            counters.jail = false;
            crash(counters, reason, false, now)
        }
        (State::Backoff { until, jail: true }, Input::Tick) if now >= until => {
            counters.attempt += 1;
            (State::Starting, vec![Action::RestartRunner, Action::AwaitLease])
        }
        (State::Backoff { until, jail: false }, Input::Tick) if now >= until => start(counters),
        (state, _) => (state, vec![]),
    }
}

fn start(counters: &mut Counters) -> (State, Vec<Action>) {
    counters.attempt += 1;
    counters.jail = true;
    (State::Starting, vec![Action::StartJail, Action::AwaitLease])
}

fn finish(counters: &Counters, end: End, tell: bool, now: Instant) -> (State, Vec<Action>) {
    match (counters.jail, tell) {
        (false, _) => (State::Ended(end.clone()), vec![Action::Record(end)]),
        (true, false) => (State::Ending(end), vec![Action::StopJail]),
        // A runner that is told can still say what it was doing; one that does not listen is ended all the same.
        (true, true) => (State::Ending(end), vec![Action::TellRunner, Action::StopJailAt(now + GRACE)]),
    }
}

fn crash(counters: &mut Counters, reason: String, jail: bool, now: Instant) -> (State, Vec<Action>) {
    counters.crashes += 1;
    if counters.crashes > MAX_CRASHES {
        let reason = format!("the runner died {} times without getting on, at last: {reason}", counters.crashes);
        return finish(counters, End::new(Outcome::Failed, reason), false, now);
    }
    let wait = FIRST_BACKOFF.saturating_mul(1 << (counters.crashes - 1).min(16)).min(LONGEST_BACKOFF);
    let until = now + wait;
    (State::Backoff { until, jail }, vec![Action::Interrupted(reason), Action::WakeAt(until)])
}

#[cfg(test)]
mod tests;
