//! The runner itself turned hostile: a test build of the product whose runner attacks gets nowhere, at either level.

#![expect(clippy::disallowed_methods, reason = "the test is the world outside, and starts the product")]

mod hostile {
    pub(super) mod scene;
}

use std::path::PathBuf;

use hostile::scene::Stage;
use stigmer_policy::Level;
use stigmer_tests::hostile::{Mode, Outcomes, acts};
use stigmer_tests::product::Product;

/// The product around the hostile runner. The variable is set again where the tests run as a copy.
fn program() -> PathBuf {
    std::env::var_os("CARGO_BIN_EXE_stigmer-hostile")
        .unwrap_or_else(|| env!("CARGO_BIN_EXE_stigmer-hostile").into())
        .into()
}

fn at_every_level(name: &str, test: impl Fn(&Stage)) {
    for level in [Level::Full, Level::Base] {
        let mut product = Product::fresh();
        product.executable = program();
        if product.holds(level, name) {
            let stage = Stage::new(product, level);
            test(&stage);
            stage.stop();
        }
    }
}

#[track_caller]
fn refused(outcomes: &Outcomes, level: Level) {
    let (twins, attacks): (Vec<_>, Vec<_>) = outcomes.iter().partition(|(name, _)| name.starts_with("twin: "));
    let got: Vec<_> = attacks.iter().filter(|(_, outcome)| outcome.is_ok()).collect();
    assert!(got.is_empty(), "at {} the runner did this: {got:#?}", level.name());
    let dead: Vec<_> = twins.iter().filter(|(_, outcome)| outcome.is_err()).collect();
    assert!(dead.is_empty(), "at {} what must work failed: {dead:#?}", level.name());
}

#[test]
fn a_hostile_runner_reaches_nothing_and_the_same_acts_work_outside() {
    at_every_level("hostile runner", |stage| {
        let outside: Vec<_> = acts(&stage.scene(Mode::Survey)).into_iter().filter(|(_, it)| it.is_err()).collect();
        assert!(outside.is_empty(), "controls failed: {outside:#?}");
        stage.forget();
        let first = stage.run("ask", &stage.scene(Mode::Survey));
        refused(&first.outcomes, stage.level);
        let mut scene = stage.scene(Mode::Survey);
        scene.other_execution = first.id;
        scene.other_blob = first.outcomes["twin: store something"].clone().expect("the twin works");
        let second = stage.run("ask", &scene);
        refused(&second.outcomes, stage.level);
        assert!(!stage.was_reached(), "a listener was reached at {}", stage.level.name());
        assert!(!stage.workspace().join("survey").exists(), "a command ran that nobody released");
        // The twin: where the person let commands run, the same request starts one.
        let free = stage.run("auto", &scene);
        assert!(free.outcomes["start a command"].is_ok(), "{:?}", free.outcomes);
        assert!(stage.workspace().join("survey").exists());
    });
}

#[test]
fn a_hostile_runner_cannot_release_a_command_itself() {
    at_every_level("forged release", |stage| {
        let ended = stage.started("ask", &stage.scene(Mode::Forge)).wait();
        assert_eq!(ended.code(), Some(1), "it is ended as failed");
        assert!(!stage.workspace().join("forged").exists(), "a forged release started a command");
    });
}

#[test]
fn one_approval_starts_one_command_once() {
    at_every_level("approvals", |stage| {
        let replayed = stage.approved(&stage.scene(Mode::Replay));
        refused(&replayed, stage.level);
        let lines = std::fs::read_to_string(stage.workspace().join("asked")).expect("the approved command ran");
        assert_eq!(lines, "ran\n", "at {}", stage.level.name());
        let swapped = stage.approved(&stage.scene(Mode::Swap));
        refused(&swapped, stage.level);
        assert!(!stage.workspace().join("swapped").exists(), "another command ran than was approved");
    });
}

#[test]
fn a_runner_that_drops_answers_and_dies_spends_no_more_than_the_budget() {
    at_every_level("budget", |stage| {
        // It makes progress before each death, so it is started again without end; the model is what runs out.
        for turns in [3, 6] {
            assert_eq!(stage.spend(turns), turns, "at {}", stage.level.name());
        }
    });
}
