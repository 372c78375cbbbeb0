//! Killed at random moments, an execution goes on: what was finished is not done again, and the model is told of what was
//! cut off.

#![expect(clippy::disallowed_methods, reason = "tests look at /proc, and start the product")]

mod kill_points {
    pub(super) mod world;
}

use std::time::Duration;

use kill_points::world::World;
use stigmer_policy::Level;
use stigmer_tests::chance::{Chance, rounds};
use stigmer_tests::processes::{arguments, descendants, kill};
use stigmer_tests::product::Product;

/// A kill comes at most so long after the model was asked: within it a turn begins, its call runs and ends, and the next
/// turn is asked for.
const SPREAD: Duration = Duration::from_millis(120);

/// Starts an execution that appends a line per call, kills `points` times all whom `victims` names, and compares.
fn at_random_points(test: &str, points: usize, victims: impl Fn(&World, &mut Chance) -> Vec<i32>) {
    for level in [Level::Full, Level::Base] {
        let product = Product::fresh();
        if !product.holds(level, test) {
            continue;
        }
        let mut chance = Chance::of(&format!("{test} at {}", level.name()));
        let mut world = World::start(product, level);
        for point in 0..points {
            // Each death after some progress: only deaths without it are counted against an execution.
            world.until_the_model_is_asked();
            if point == 0 {
                // The first call is long: one is in flight for certain.
                world.until_a_call_runs();
            } else {
                std::thread::sleep(chance.time(SPREAD));
            }
            let before = world.asked();
            let pids = loop {
                let pids = victims(&world, &mut chance);
                if !pids.is_empty() {
                    break pids;
                }
                world.wait_a_moment("there is nobody to kill");
            };
            pids.iter().copied().for_each(kill);
            world.killed_after(before);
            if pids.contains(&world.daemon()) {
                world.start_daemon();
            }
            if point == 0 {
                world.until_the_first_call_is_gone();
            }
        }
        world.finish();
        world.compare(points);
    }
}

/// The process of the daemon's tree whose second argument is `part`, nearest first.
fn parts(world: &World, part: &str) -> Vec<i32> {
    descendants(world.daemon()).into_iter().filter(|pid| arguments(*pid).get(1).is_some_and(|it| it == part)).collect()
}

#[test]
fn a_runner_killed_at_random_points_repeats_no_finished_call() {
    at_random_points("killed runner", rounds(4, 20), |world, chance| {
        chance.one(&parts(world, "agent-runner")).into_iter().collect()
    });
}

#[test]
fn an_init_killed_at_random_points_is_replaced_and_repeats_no_finished_call() {
    at_random_points("killed init", rounds(3, 20), |world, chance| {
        // At full level it has two halves. Stages have the same arguments: they are forks of it.
        let halves = if world.level() == Level::Full { 2 } else { 1 };
        let parts = parts(world, "init");
        chance.one(&parts[..halves.min(parts.len())]).into_iter().collect()
    });
}

#[test]
fn a_daemon_killed_at_random_points_goes_on_at_the_next_start() {
    at_random_points("killed daemon", rounds(2, 20), |world, _| vec![world.daemon()]);
}

#[test]
fn daemon_init_stages_and_runner_killed_at_once_go_on_at_the_next_start() {
    at_random_points("all killed", rounds(2, 20), |world, _| {
        let parts = [vec![world.daemon()], parts(world, "init"), parts(world, "agent-runner")].concat();
        // A new jail is not there at once: then there would be less to kill than is meant.
        if parts.len() > 2 { parts } else { Vec::new() }
    });
}
