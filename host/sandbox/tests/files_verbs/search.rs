//! `glob` and `grep`.

use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use rustix::fs::{CWD, Mode};
use stigmer_sandbox::files::{GlobOptions, GrepOptions, Stop};

use crate::world::{World, is_root};

fn fixture() -> World {
    let world = World::new();
    for (path, content) in [
        ("a.py", "import os\nprint('one')\n"),
        ("src/b.py", "one\ntwo\n"),
        ("src/deep/c.py", "one\none\n"),
        ("src/deep/c.txt", "ONE (x)\r\n"),
        (".hidden/d.py", "one\n"),
        ("build/out.py", "one\n"),
        ("keep/build/in.py", "one\n"),
        (".git/config", "one\n"),
        (".gitignore", "/build\n*.log\n!wanted.log\n"),
        ("keep/.gitignore", "!x.log\n"),
        ("keep/x.log", "one\n"),
        ("keep/y.log", "one\n"),
        ("wanted.log", "one\n"),
    ] {
        world.file(path, content);
    }
    std::fs::write(world.disk("binary"), b"one\none\0\n").unwrap();
    rustix::fs::mkfifoat(CWD, world.disk("fifo"), Mode::from_raw_mode(0o600)).unwrap();
    world
}

fn below(world: &World, paths: impl IntoIterator<Item = stigmer_policy::JailPath>) -> Vec<String> {
    let work = world.at(".");
    paths.into_iter().map(|path| path.below(&work).unwrap().to_str().unwrap().to_owned()).collect()
}

#[test]
fn globs_fit_relative_paths() {
    let world = fixture();
    let glob = |base: &str, pattern: &str, any_depth, ignore, hidden| {
        let options = GlobOptions { any_depth, ignore, hidden, ..GlobOptions::default() };
        let globbed = world.roots.glob(&world.at(base), pattern, options).unwrap();
        assert_eq!((globbed.truncated, globbed.warned), (None, 0));
        below(&world, globbed.paths)
    };
    let all = [".hidden/d.py", "a.py", "build/out.py", "keep/build/in.py", "src/b.py", "src/deep/c.py"];
    assert_eq!(glob(".", "**/*.py", false, false, true), all);
    assert_eq!(glob(".", "*.py", true, false, true), all);
    assert_eq!(glob(".", "*.py", false, false, true), ["a.py"]);
    assert_eq!(glob(".", "./src/*.py", false, false, true), ["src/b.py"]);
    assert_eq!(glob(".", "src/**/*.{py,txt}", false, false, true), ["src/b.py", "src/deep/c.py", "src/deep/c.txt"]);
    assert_eq!(glob(".", "src/deep/c.???", false, false, true), ["src/deep/c.txt"]);
    assert_eq!(glob("src", "*/c.py", false, false, true), ["src/deep/c.py"]);
    assert_eq!(glob(".", "**/*.py", false, false, false), &all[1..]);
    assert_eq!(glob(".", "**/*.py", false, true, false), ["a.py", "keep/build/in.py", "src/b.py", "src/deep/c.py"]);
    assert_eq!(glob(".", "**/*.log", false, true, true), ["keep/x.log", "wanted.log"]);
    // The rules of the folders above count too.
    assert_eq!(glob("keep", "*.log", false, true, true), ["keep/x.log"]);
    assert_eq!(glob(".", "fifo", false, false, true), [""; 0]);
    for pattern in ["", "/etc/*", "../*", "a/../../b", "[", "{a", &"x".repeat(5_000)] {
        let error = world.roots.glob(&world.at("."), pattern, GlobOptions::default()).unwrap_err();
        assert_eq!(error.case(), "bad-pattern", "{pattern}");
    }
}

#[test]
fn greps_take_text_or_expression() {
    let world = fixture();
    let grep = |base: &str, pattern: &str, options: GrepOptions<'_>| {
        let grepped = world.roots.grep(&world.at(base), pattern, options).unwrap();
        assert_eq!((grepped.truncated, grepped.warned), (None, 0));
        let rows = grepped.matches.into_iter().map(|row| {
            let path = below(&world, [row.path]).remove(0);
            format!("{path}:{}:{}", row.line, row.text)
        });
        rows.collect::<Vec<_>>()
    };
    let plain = GrepOptions::default();
    assert_eq!(grep("src", "one", plain), ["src/b.py:1:one", "src/deep/c.py:1:one", "src/deep/c.py:2:one"]);
    assert_eq!(grep("src", "(x)", plain), ["src/deep/c.txt:1:ONE (x)"]);
    assert_eq!(grep("src", "(x)", GrepOptions { regex: true, ..plain }), ["src/deep/c.txt:1:ONE (x)"]);
    assert_eq!(grep("src", "^o.e$", GrepOptions { regex: true, include: Some("b.*"), ..plain }), ["src/b.py:1:one"]);
    assert_eq!(grep("src", "^o.e$", plain), [""; 0]);
    assert_eq!(grep("src", "two", GrepOptions { include: Some("deep/*"), ..plain }), [""; 0]);
    assert_eq!(grep("src", "one", GrepOptions { include: Some("deep/*.py"), ..plain }).len(), 2);
    assert_eq!(grep("src", "one", GrepOptions { ignore_case: true, ..plain }).len(), 4);
    assert_eq!(grep("src/b.py", "two", plain), ["src/b.py:2:two"]);
    // Ignored, hidden and `.git`.
    let files = |options| {
        let mut files: Vec<_> =
            grep(".", "one", options).iter().map(|row| row.split(':').next().unwrap().to_owned()).collect();
        files.dedup();
        files
    };
    assert_eq!(
        files(plain),
        [".hidden/d.py", "a.py", "keep/build/in.py", "keep/x.log", "src/b.py", "src/deep/c.py", "wanted.log"]
    );
    assert!(files(GrepOptions { ignore: false, ..plain }).contains(&".git/config".to_owned()));
    assert!(!files(GrepOptions { hidden: false, ..plain }).contains(&".hidden/d.py".to_owned()));
    let whole = world.roots.grep(&world.at("."), "one", plain).unwrap();
    assert_eq!(whole.binary, 1);
    assert_eq!(world.roots.grep(&world.at("fifo"), "one", plain).unwrap_err().case(), "not-a-regular-file");
    let bad = GrepOptions { include: Some("["), ..plain };
    assert_eq!(world.roots.grep(&world.at("."), "one", bad).unwrap_err().case(), "bad-include");
}

#[test]
fn caps_cancel_and_deadline_end_a_search_and_say_so() {
    let world = fixture();
    let (up, down) = (AtomicBool::new(true), AtomicBool::new(false));
    let (past, later) = (Some(Instant::now()), None);
    for (cancel, deadline, limit, want) in [
        (&down, later, 100, None),
        (&down, later, 3, Some("results")),
        (&up, later, 100, Some("cancelled")),
        (&down, past, 100, Some("deadline")),
    ] {
        let stop = Stop { cancel: Some(cancel), deadline };
        let grepped =
            world.roots.grep(&world.at("."), "one", GrepOptions { limit, stop, ..GrepOptions::default() }).unwrap();
        assert_eq!(grepped.truncated.map(|cut| cut.name()), want);
        assert!(grepped.matches.len() <= limit);
        let single = world
            .roots
            .grep(
                &world.at("src/deep/c.py"),
                "one",
                GrepOptions { limit: limit.min(1), stop, ..GrepOptions::default() },
            )
            .unwrap();
        assert_eq!(single.truncated.map(|cut| cut.name()), want.or(Some("results")));
        let globbed =
            world.roots.glob(&world.at("."), "**", GlobOptions { limit, stop, ..GlobOptions::default() }).unwrap();
        assert_eq!(globbed.truncated.map(|cut| cut.name()), want);
    }
}

#[test]
fn one_unreadable_folder_is_a_warning_row() {
    let world = fixture();
    world.file("locked/e.py", "one\n");
    world.file("src/shut.py", "one\n");
    let mode = |below: &str, mode| {
        std::fs::set_permissions(world.disk(below), std::fs::Permissions::from_mode(mode)).unwrap();
    };
    mode("locked", 0o000);
    mode("src/shut.py", 0o000);
    let grepped = world.roots.grep(&world.at("."), "one", GrepOptions::default()).unwrap();
    let globbed = world.roots.glob(&world.at("."), "**/*.py", GlobOptions::default()).unwrap();
    let cases: Vec<_> = grepped.warnings.iter().map(|row| (row.path.clone(), row.case)).collect();
    // Root reads everything, so there the same search is the twin.
    if is_root() {
        assert_eq!((cases, grepped.matches.len(), globbed.paths.len()), (vec![], 10, 8));
    } else {
        let want = vec![(world.at("locked"), "permission-denied"), (world.at("src/shut.py"), "permission-denied")];
        assert_eq!((cases, grepped.matches.len(), grepped.warned), (want, 8, 2));
        assert_eq!((globbed.paths.len(), globbed.warned), (7, 1));
    }
    mode("locked", 0o700);
}
