//! Every verb over every kind of place.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;

use rustix::fs::{CWD, Mode};
use stigmer_policy::path::PathError;
use stigmer_policy::{JailPath, Rule};

use crate::world::{Verb, World, is_root, run};

/// One fresh world per verb: what one verb changes is not what the next one finds.
fn fixture() -> World {
    let world = World::new();
    world.file("a.txt", "a\n");
    world.file("mover", "a\n");
    world.file("dir/in.txt", "a\n");
    world.file(".git/hooks/pre-commit", "a\n");
    world.file(".git/config", "a\n");
    world.file(".git/HEAD", "a\n");
    world.file("vendor/lib/.git/config", "a\n");
    world.file("vendor/lib/code.txt", "a\n");
    world.folder("plain/empty");
    world.link("gitlink", ".git");
    world.link("hooks", ".git/hooks");
    rustix::fs::mkfifoat(CWD, world.disk("fifo"), Mode::from_raw_mode(0o600)).unwrap();
    drop(UnixListener::bind(world.disk("socket")).unwrap());
    world
}

/// What every verb answers at `text`, in the order of [`Verb::READING`] and [`Verb::WRITING`].
fn all(text: &str) -> String {
    let verbs = Verb::READING.iter().chain(Verb::WRITING);
    let answers: Vec<String> = verbs
        .map(|verb| {
            let world = fixture();
            let text = text.replace("{top}", world.top.to_str().unwrap());
            let before = world.outside();
            let (case, denial) = run(&world, *verb, &world.at(text));
            assert_eq!(world.outside(), before);
            match denial {
                Some(denial) => format!("{case}!{}", denial.rule),
                None => case.to_owned(),
            }
        })
        .collect();
    answers.join(" ")
}

#[test]
fn every_verb_answers_by_case() {
    let refused_everywhere = "outside!outside-roots ".repeat(13);
    let protected = "protected!protected-paths ".repeat(7);
    let read_only = "read-only!read-only-root ".repeat(7);
    let system = "read-only!system-files ".repeat(7);
    let file = "ok ok ok not-a-directory not-a-directory ok ";
    let folder = "is-a-directory is-a-directory ok ok ok ok ";
    let missing = "not-found ".repeat(6);
    let odd = "not-a-regular-file not-a-regular-file ok not-a-directory not-a-directory not-a-regular-file ";
    for (text, want) in [
        // The allowed twins come first: the same calls, and they work.
        ("a.txt", format!("{file}ok exists ok exists ok ok exists")),
        ("dir", format!("{folder}is-a-directory is-a-directory is-a-directory exists ok ok exists")),
        ("plain/empty", format!("{folder}is-a-directory is-a-directory is-a-directory exists ok ok exists")),
        ("nothing", format!("{missing}ok ok not-found ok not-found not-found ok")),
        ("no/thing", format!("{missing}ok ok not-found not-found not-found not-found not-found")),
        ("a.txt/x", "not-a-directory ".repeat(13)),
        // Outside wins over missing.
        ("{top}/outside/secret.txt", refused_everywhere.clone()),
        ("../outside/secret.txt", refused_everywhere.clone()),
        ("../outside/nothing", refused_everywhere.clone()),
        ("/proc/self/root/etc/hostname", refused_everywhere.clone()),
        ("/proc/self/cwd/x", refused_everywhere.clone()),
        ("/", refused_everywhere.clone()),
        ("{top}/work2/x", refused_everywhere),
        // Protected: readable, not writable; by name, by case, by link, by a Unicode twin.
        (".git/hooks/pre-commit", format!("{file}{protected}")),
        (".git/config", format!("{file}{protected}")),
        ("gitlink/hooks/pre-commit", format!("{file}{protected}")),
        ("hooks/pre-commit", format!("{file}{protected}")),
        (".GIT/Hooks/pre-commit", format!("{missing}{protected}")),
        (".g\u{200c}it/config", format!("{missing}{protected}")),
        (".git", format!("{folder}{protected}")),
        (".git/HEAD", format!("{file}ok exists ok exists ok ok exists")),
        (".envrc", format!("{missing}{protected}")),
        (".envrc.txt", format!("{missing}ok ok not-found ok not-found not-found ok")),
        // A folder that holds a protected path stays; a twin without one goes ("dir" above).
        (
            "vendor",
            format!(
                "{folder}is-a-directory is-a-directory is-a-directory exists protected!protected-paths protected!protected-paths exists"
            ),
        ),
        ("vendor/lib/code.txt", format!("{file}ok exists ok exists ok ok exists")),
        // Granted for reading.
        ("{top}/skill/SKILL.md", format!("{file}{read_only}")),
        ("{top}/skill", format!("{folder}{read_only}")),
        ("/etc/passwd", format!("{file}{system}")),
        ("/usr/bin", format!("{folder}{system}")),
        // No regular file; it may be removed and renamed.
        ("fifo", format!("{odd}not-a-regular-file not-a-regular-file not-a-regular-file exists ok ok exists")),
        ("socket", format!("{odd}not-a-regular-file not-a-regular-file not-a-regular-file exists ok ok exists")),
    ] {
        assert_eq!(all(text), want.trim_end(), "{text}");
    }
}

#[test]
fn a_path_that_takes_the_root_for_the_top_is_refused_with_what_was_meant() {
    let world = fixture();
    let read = |text: &str| world.roots.read(&world.at(text), Default::default());
    let error = read("/dir/in.txt").unwrap_err();
    assert_eq!((error.case(), error.hint().as_deref()), ("outside", Some("did you mean `dir/in.txt`?")));
    let error = read("/dir/none.txt").unwrap_err();
    assert_eq!((error.case(), error.hint()), ("outside", None));
    assert_eq!(read("dir/in.txt").unwrap().bytes, b"a\n");
}

#[test]
fn a_message_is_one_line_whatever_the_name() {
    let world = fixture();
    let error = world.roots.read(&world.at("a\nb\u{1b}[31m"), Default::default()).unwrap_err();
    let text = error.to_string();
    assert!(!text.contains(['\n', '\u{1b}']) && text.contains("a\\nb"), "{text}");
}

#[test]
fn a_root_is_neither_written_removed_nor_renamed() {
    let world = fixture();
    let work = JailPath::absolute(world.top.join("work")).unwrap();
    for (verb, want) in [
        (Verb::Put, "is-a-directory"),
        (Verb::Mkdir, "exists"),
        (Verb::Delete, "is-a-root"),
        (Verb::RenameFrom, "is-a-root"),
        (Verb::RenameTo, "exists"),
        (Verb::Ls, "ok"),
        (Verb::Read, "is-a-directory"),
    ] {
        let (case, _) = run(&world, verb, &work);
        // The name of a root is taken before it is anything else.
        let root_target = verb == Verb::RenameTo && case == "is-a-root";
        assert!(case == want || root_target, "{verb:?}: {case}");
    }
    assert_eq!(world.content("a.txt"), "a\n");
}

#[test]
fn names_that_are_no_paths_stop_before_any_verb() {
    let world = fixture();
    let work = JailPath::absolute(world.top.join("work")).unwrap();
    assert_eq!(JailPath::from_base(&work, "a\0b"), Err(PathError::Nul));
    assert_eq!(JailPath::from_base(&work, "x".repeat(256)), Err(PathError::TooLong));
    assert_eq!(JailPath::from_base(&work, "x/".repeat(3_000)), Err(PathError::TooLong));
    let longest = "x".repeat(255);
    for verb in [Verb::Put, Verb::Read, Verb::Edit, Verb::Stat, Verb::RenameFrom] {
        let (case, _) = run(&world, verb, &world.at(&longest));
        assert!(case == "ok" || (verb == Verb::Edit && case == "no-match"), "{verb:?}: {case}");
    }
}

#[test]
fn names_of_any_bytes_work() {
    let name = OsStr::from_bytes(b"not-\xff-utf8 \n\t");
    for verbs in [
        &[Verb::Put, Verb::Read, Verb::Lines, Verb::Stat, Verb::Grep, Verb::Delete][..],
        &[Verb::New, Verb::RenameFrom],
        &[Verb::Mkdir, Verb::Ls, Verb::Glob, Verb::Delete],
    ] {
        let world = fixture();
        for verb in verbs {
            assert_eq!(run(&world, *verb, &world.at(name)).0, "ok", "{verb:?}");
        }
    }
    let world = fixture();
    world.roots.write(&world.at(name), b"a").unwrap();
    let listing = world.roots.ls(&world.at("."), 100).unwrap();
    assert!(listing.entries.iter().any(|entry| entry.name == name));
}

#[test]
fn what_the_kernel_refuses_is_permission_denied() {
    let world = fixture();
    world.file("locked/in.txt", "a");
    world.file("shut.txt", "a");
    let mode = |below: &str, mode| {
        std::fs::set_permissions(world.disk(below), std::fs::Permissions::from_mode(mode)).unwrap();
    };
    mode("shut.txt", 0o000);
    mode("locked", 0o000);
    // Root passes over modes: there the same calls are the twins.
    let want = if is_root() { "ok" } else { "permission-denied" };
    for (verb, text) in [
        (Verb::Read, "shut.txt"),
        (Verb::Grep, "shut.txt"),
        (Verb::Edit, "shut.txt"),
        (Verb::Put, "shut.txt"),
        (Verb::Stat, "locked/in.txt"),
        (Verb::Read, "locked/in.txt"),
        (Verb::Ls, "locked"),
        (Verb::Put, "locked/new.txt"),
    ] {
        let (case, denial) = run(&world, verb, &world.at(text));
        assert_eq!((case, denial), (want, None), "{verb:?} {text}");
    }
    mode("locked", 0o700);
    mode("shut.txt", 0o600);
    assert_eq!(run(&world, Verb::Read, &world.at("shut.txt")).0, "ok");
    assert_eq!(run(&world, Verb::Ls, &world.at("locked")).0, "ok");
}

#[test]
fn a_hard_link_to_the_outside_is_read_but_not_written() {
    let world = fixture();
    std::fs::hard_link(world.top.join("outside/secret.txt"), world.disk("hard.txt")).unwrap();
    let before = world.outside();
    for (verb, want) in
        [(Verb::Read, "ok"), (Verb::Put, "hard-linked"), (Verb::Edit, "hard-linked"), (Verb::Delete, "ok")]
    {
        let (case, denial) = run(&world, verb, &world.at("hard.txt"));
        assert_eq!((case, denial), (want, None), "{verb:?}");
        assert_eq!(world.outside(), before);
    }
    // The twin: both names are this execution's own.
    world.roots.write(&world.at("own.txt"), b"a").unwrap();
    std::fs::hard_link(world.disk("own.txt"), world.disk("own2.txt")).unwrap();
    assert_eq!(run(&world, Verb::Edit, &world.at("own2.txt")).0, "ok");
    assert_eq!((world.content("own.txt"), world.content("own2.txt")), ("a".into(), "b".into()));
}

#[test]
fn a_folder_does_not_become_a_protected_one_by_its_new_name() {
    let world = fixture();
    world.file("repo/x/hooks/pre-commit", "evil");
    world.file("repo/y/HEAD", "fine");
    let to = world.at("repo/.git");
    let error = world.roots.rename(&world.at("repo/x"), &to, false).unwrap_err();
    assert_eq!(error.denial().map(|denial| denial.rule), Some(Rule::ProtectedPaths));
    let error = world.roots.rename(&world.at("repo/x"), &world.at("repo/z/.git"), false).unwrap_err();
    assert_eq!(error.case(), "protected");
    world.file("conf/fish/config.fish", "evil");
    let error = world.roots.rename(&world.at("conf"), &world.at(".config"), false).unwrap_err();
    assert_eq!(error.denial().map(|denial| denial.rule), Some(Rule::ProtectedPaths));
    world.roots.rename(&world.at("conf"), &world.at("config"), false).unwrap();
    assert_eq!(world.content("config/fish/config.fish"), "evil");
}
