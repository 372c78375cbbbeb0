//! What is at a name is swapped for a link, a FIFO or a folder while verbs are at work.

use std::ffi::OsStr;
use std::os::unix::fs::symlink;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use rustix::fs::{CWD, Mode, RenameFlags};
use stigmer_policy::Rule;
use stigmer_sandbox::files::{Edit, GrepOptions, LinesOptions, ReadOptions};

use crate::world::{SECRET, World};

fn rounds() -> usize {
    if std::env::var_os("STIGMER_LONG").is_some_and(|value| value == OsStr::new("1")) { 10_000 } else { 2_000 }
}

/// Ends the swapping also when an assertion fails, which would else wait for it for ever.
struct EndAtDrop<'a>(&'a AtomicBool);

impl Drop for EndAtDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Runs `verbs` for all rounds while another thread exchanges the two names without pause.
fn while_swapping(world: &World, one: &str, other: &str, mut verbs: impl FnMut(usize)) {
    let (one, other) = (world.disk(one), world.disk(other));
    let (done, swaps) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                match rustix::fs::renameat_with(CWD, &one, CWD, &other, RenameFlags::EXCHANGE) {
                    Ok(()) => swaps.fetch_add(1, Ordering::Relaxed),
                    // A verb took one of the names away for a moment.
                    Err(_) => 0,
                };
            }
        });
        let _end = EndAtDrop(&done);
        for round in 0..rounds() {
            let before = swaps.load(Ordering::Relaxed);
            verbs(round);
            // Each round meets at least one swap.
            while swaps.load(Ordering::Relaxed) == before {
                std::thread::yield_now();
            }
        }
    });
}

/// What came of the rounds; both kinds must have happened, or nothing was raced.
#[derive(Default)]
struct Tally {
    ok: usize,
    refused: usize,
    other: usize,
}

impl Tally {
    fn add<T>(&mut self, result: &Result<T, (&'static str, bool)>) {
        match result {
            Ok(_) => self.ok += 1,
            Err((_, true)) => self.refused += 1,
            Err(_) => self.other += 1,
        }
    }
}

macro_rules! told {
    ($call:expr) => {
        $call.map_err(|error| (error.case(), error.denial().is_some()))
    };
}

#[test]
fn a_folder_swapped_for_a_link_outside_never_leads_there() {
    let world = World::new();
    world.file("d/secret.txt", "inside");
    world.file("d/sub/x.txt", "inside");
    world.link("swap", "../outside");
    std::fs::write(world.top.join("outside/canary"), SECRET).unwrap();
    let before = world.outside();
    let mut tally = Tally::default();
    while_swapping(&world, "d", "swap", |round| {
        let at = world.at("d/secret.txt");
        let read = told!(world.roots.read(&at, ReadOptions::default()));
        if let Ok(read) = &read {
            assert_ne!(read.bytes, SECRET.as_bytes(), "round {round}");
        }
        tally.add(&read);
        tally.add(&told!(world.roots.write(&at, b"inside")));
        tally.add(&told!(world.roots.edit(&at, Edit { old: "inside", new: "inside!", all: false })));
        tally.add(&told!(world.roots.write(&world.at("d/fresh/new.txt"), b"new")));
        tally.add(&told!(world.roots.delete(&world.at("d/fresh"), true)));
        tally.add(&told!(world.roots.rename(&at, &world.at("d/other.txt"), true)));
        tally.add(&told!(world.roots.rename(&world.at("d/other.txt"), &at, true)));
        if let Ok(listing) = told!(world.roots.ls(&world.at("d"), 10)) {
            assert!(listing.entries.iter().all(|entry| entry.name != "canary"), "round {round}");
        }
        if round % 20 == 0 {
            let grepped = world.roots.grep(&world.at("."), SECRET, GrepOptions::default()).unwrap();
            assert!(grepped.matches.is_empty(), "round {round}");
        }
    });
    assert_eq!(world.outside(), before);
    assert!(tally.ok > 0 && tally.refused > 0, "ok {} refused {} other {}", tally.ok, tally.refused, tally.other);
}

#[test]
fn a_file_swapped_for_a_link_outside_is_never_read() {
    let world = World::new();
    world.file("f", "inside");
    world.link("g", "../outside/secret.txt");
    let path = world.at("f");
    let (mut ok, mut refused) = (0, 0);
    while_swapping(&world, "f", "g", |round| {
        for _ in 0..20 {
            match world.roots.read(&path, ReadOptions::default()) {
                Ok(read) => {
                    assert_eq!(read.bytes, b"inside", "round {round}");
                    ok += 1;
                }
                Err(error) => {
                    assert!(matches!(error.case(), "link-outside" | "changed-meanwhile"), "round {round}: {error}");
                    refused += 1;
                }
            }
        }
    });
    assert!(ok > 0 && refused > 0, "{ok} {refused}");
}

#[test]
fn a_file_swapped_for_a_link_outside_never_leads_there() {
    let world = World::new();
    world.file("f", "inside");
    world.link("g", "../outside/secret.txt");
    let before = world.outside();
    let mut tally = Tally::default();
    while_swapping(&world, "f", "g", |round| {
        let read = told!(world.roots.read(&world.at("f"), ReadOptions::default()));
        if let Ok(read) = &read {
            assert_ne!(read.bytes, SECRET.as_bytes(), "round {round}");
        }
        tally.add(&read);
        tally.add(&told!(world.roots.read_lines(&world.at("f"), LinesOptions::default())));
        let written = told!(world.roots.write(&world.at("f"), b"inside"));
        tally.add(&written);
        // The write may have replaced the link; then put it back, so that the next round races again.
        if !world.disk("f").is_symlink() && !world.disk("g").is_symlink() {
            let _ = std::fs::remove_file(world.disk("spare"));
            symlink("../outside/secret.txt", world.disk("spare")).unwrap();
            std::fs::rename(world.disk("spare"), world.disk("g")).unwrap();
        }
    });
    assert_eq!(world.outside(), before);
    assert!(tally.ok > 0 && tally.refused > 0, "ok {} refused {} other {}", tally.ok, tally.refused, tally.other);
}

#[test]
fn a_folder_swapped_for_a_link_to_a_protected_one_never_writes_there() {
    let world = World::new();
    world.file(".git/hooks/pre-commit", "fine");
    world.file("d/pre-commit", "mine");
    world.link("swap", ".git/hooks");
    let mut tally = Tally::default();
    while_swapping(&world, "d", "swap", |round| {
        let path = world.at("d/pre-commit");
        let results = [
            world.roots.write(&path, b"evil").map_err(|error| error.denial().cloned()),
            world.roots.write(&world.at("d/post-commit"), b"evil").map_err(|error| error.denial().cloned()),
        ];
        for result in results {
            match result {
                Ok(change) => {
                    assert!(!change.path.as_path().ends_with(".git/hooks/pre-commit"), "round {round}");
                    tally.ok += 1;
                }
                Err(Some(denial)) => {
                    assert_eq!(denial.rule, Rule::ProtectedPaths);
                    tally.refused += 1;
                }
                Err(None) => tally.other += 1,
            }
        }
        assert_eq!(world.content(".git/hooks/pre-commit"), "fine", "round {round}");
    });
    assert_eq!(std::fs::read_dir(world.disk(".git/hooks")).unwrap().count(), 1);
    assert!(tally.ok > 0 && tally.refused > 0, "ok {} refused {} other {}", tally.ok, tally.refused, tally.other);
}

#[test]
fn a_file_swapped_for_a_fifo_blocks_nothing() {
    let world = World::new();
    world.file("f", "inside");
    rustix::fs::mkfifoat(CWD, world.disk("g"), Mode::from_raw_mode(0o600)).unwrap();
    let (mut ok, mut odd) = (0, 0);
    while_swapping(&world, "f", "g", |_| {
        let read = world.roots.read(&world.at("f"), ReadOptions::default()).map(|_| ()).map_err(|e| e.case());
        let lines = world.roots.read_lines(&world.at("f"), LinesOptions::default()).map(|_| ()).map_err(|e| e.case());
        let grep = world.roots.grep(&world.at("f"), "inside", GrepOptions::default()).map(|_| ()).map_err(|e| e.case());
        for result in [read, lines, grep] {
            match result {
                Ok(()) => ok += 1,
                Err(case) => {
                    assert_eq!(case, "not-a-regular-file");
                    odd += 1;
                }
            }
        }
    });
    assert!(ok > 0 && odd > 0, "{ok} {odd}");
}
