use super::*;

fn end(outcome: Outcome) -> End {
    End::new(outcome, "why")
}

/// Everything that the drawing shows, one row per arrow, and the arrows that are not drawn.
#[test]
fn the_drawing_holds() {
    let now = Instant::now();
    let later = now + Duration::from_secs(60);
    let backoff = |jail| State::Backoff { until: now + FIRST_BACKOFF, jail };
    let crashed = || vec![Action::Interrupted("x".to_owned()), Action::WakeAt(now + FIRST_BACKOFF)];
    let cancelled = || End::new(Outcome::Cancelled, "cancelled by a person");
    let silent = || End::new(Outcome::Failed, "the runner did not lease its work in time");
    let done = || end(Outcome::Completed);
    let gone = || Input::JailGone("x".to_owned());
    let runner_gone = || Input::RunnerGone("x".to_owned());
    let with_jail = |at| (at, true);
    let bare = |at| (at, false);
    type Row = ((State, bool), Input, Instant, State, Vec<Action>);
    let rows: Vec<Row> = vec![
        (bare(State::Queued), Input::Start, now, State::Starting, vec![Action::StartJail, Action::AwaitLease]),
        (with_jail(State::Starting), Input::Leased, now, State::Running, vec![]),
        (with_jail(State::Starting), Input::Tick, now, State::Ending(silent()), vec![Action::StopJail]),
        (with_jail(State::Running), Input::Tick, now, State::Running, vec![]),
        (with_jail(State::Starting), runner_gone(), now, backoff(true), crashed()),
        (with_jail(State::Starting), gone(), now, backoff(false), crashed()),
        (with_jail(State::Running), runner_gone(), now, backoff(true), crashed()),
        (with_jail(State::Running), gone(), now, backoff(false), crashed()),
        (with_jail(State::Running), Input::Asked, now, State::Parked { waiting: 1 }, vec![]),
        (with_jail(State::Parked { waiting: 1 }), Input::Asked, now, State::Parked { waiting: 2 }, vec![]),
        (with_jail(State::Parked { waiting: 2 }), Input::Answered, now, State::Parked { waiting: 1 }, vec![]),
        (with_jail(State::Parked { waiting: 1 }), Input::Answered, now, State::Running, vec![]),
        (with_jail(State::Parked { waiting: 1 }), runner_gone(), now, backoff(true), crashed()),
        (with_jail(State::Running), Input::Finished(done()), now, State::Ending(done()), vec![Action::StopJail]),
        (with_jail(State::Ending(done())), gone(), now, State::Ended(done()), vec![Action::Record(done())]),
        (with_jail(State::Ending(done())), runner_gone(), now, State::Ending(done()), vec![Action::StopJail]),
        (with_jail(backoff(true)), Input::Tick, now, backoff(true), vec![]),
        (
            with_jail(backoff(true)),
            Input::Tick,
            later,
            State::Starting,
            vec![Action::RestartRunner, Action::AwaitLease],
        ),
        (with_jail(backoff(true)), gone(), now, backoff(false), vec![]),
        (bare(backoff(false)), Input::Tick, later, State::Starting, vec![Action::StartJail, Action::AwaitLease]),
        // Cancel, from wherever it is.
        (bare(State::Queued), Input::Cancel, now, State::Ended(cancelled()), vec![Action::Record(cancelled())]),
        (
            with_jail(State::Running),
            Input::Cancel,
            now,
            State::Ending(cancelled()),
            vec![Action::TellRunner, Action::StopJailAt(now + GRACE)],
        ),
        (bare(backoff(false)), Input::Cancel, now, State::Ended(cancelled()), vec![Action::Record(cancelled())]),
        (with_jail(State::Ending(done())), Input::Cancel, now, State::Ending(done()), vec![]),
        (bare(State::Ended(done())), Input::Cancel, now, State::Ended(done()), vec![]),
        // The daemon stops: no end, the next one goes on.
        (with_jail(State::Running), Input::Stop, now, State::Stopping, vec![Action::StopJail]),
        (with_jail(State::Stopping), gone(), now, State::Stopped, vec![]),
        (with_jail(State::Stopping), Input::Cancel, now, State::Stopping, vec![]),
        (bare(State::Queued), Input::Stop, now, State::Stopped, vec![]),
        (bare(State::Stopped), Input::Start, now, State::Stopped, vec![]),
        // Late inputs change nothing.
        (with_jail(State::Running), Input::Answered, now, State::Running, vec![]),
        (bare(State::Ended(done())), Input::Start, now, State::Ended(done()), vec![]),
    ];
    for ((state, jail), input, at, want, actions) in rows {
        let mut counters = Counters { jail, ..Counters::default() };
        let what = format!("{state:?} + {input:?}");
        assert_eq!(next(state, &mut counters, input, at), (want, actions), "{what}");
    }
}

#[test]
fn a_jail_that_cannot_be_made_ends_the_execution_at_once() {
    let mut counters = Counters::default();
    let (state, _) = next(State::Queued, &mut counters, Input::Start, Instant::now());
    // The starter says that nothing was made.
    counters.jail = false;
    let (state, actions) = next(state, &mut counters, Input::Refused("no namespaces".to_owned()), Instant::now());
    let end = End::new(Outcome::Failed, "no namespaces");
    assert_eq!((state, actions), (State::Ended(end.clone()), vec![Action::Record(end)]));
}

/// At the limit it is replaced, one more ends it; progress starts the count anew.
#[test]
fn crashes_without_progress_are_bounded() {
    let now = Instant::now();
    let run = |progress_before: u32| {
        let mut counters = Counters { jail: true, ..Counters::default() };
        let mut replaced = 0;
        for round in 1..=20 {
            if round == progress_before {
                let _ = next(State::Running, &mut counters, Input::Progress, now);
            }
            match next(State::Running, &mut counters, Input::RunnerGone("x".to_owned()), now).0 {
                State::Backoff { until, jail: true } => {
                    assert!(until - now <= LONGEST_BACKOFF);
                    replaced += 1;
                }
                State::Ending(end) => {
                    assert_eq!(end.outcome, Outcome::Failed);
                    return replaced;
                }
                other => panic!("{other:?}"),
            }
        }
        panic!("never ended");
    };
    assert_eq!(run(0), MAX_CRASHES);
    assert_eq!(run(4), MAX_CRASHES + 3);
}

#[test]
fn waits_grow_and_stay_bounded() {
    let now = Instant::now();
    let mut waits = Vec::new();
    let mut counters = Counters { jail: true, ..Counters::default() };
    for _ in 0..MAX_CRASHES {
        if let (State::Backoff { until, .. }, _) =
            next(State::Running, &mut counters, Input::RunnerGone("x".to_owned()), now)
        {
            waits.push(until - now);
        }
    }
    assert!(waits.windows(2).all(|pair| pair[0] < pair[1] || pair[1] == LONGEST_BACKOFF), "{waits:?}");
}
