//! Files: what is granted works, what is not is refused by rule, with each refusal beside its allowed twin.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};
use stigmer_plugin::{CallLimits, CallOutcome, DirGrant, Grants};
use stigmer_policy::policy::Places;
use stigmer_policy::{Access, JailPath, Policy, Rule};

use crate::support::{SmallPolicy, Workspace, call, guest, nothing, rules, said_no};

fn run(function: &str, args: Value, grants: &Grants) -> CallOutcome {
    call(&guest("plugin_fs"), &format!("g_guest_{function}"), args, grants, &CallLimits::default())
}

#[track_caller]
fn works(outcome: &CallOutcome) -> &Value {
    assert_eq!(outcome.denials, [], "{outcome:?}");
    outcome.result.as_ref().unwrap_or_else(|error| panic!("{error}: {outcome:?}"))
}

#[track_caller]
fn refused(outcome: &CallOutcome, rule: Rule) {
    assert!(said_no(outcome).contains("PermissionDenied"), "{outcome:?}");
    assert_eq!(rules(outcome), [rule], "{outcome:?}");
}

#[test]
fn reads_writes_lists_and_removes_inside_a_grant() {
    let work = Workspace::new();
    let grants = work.grants(Access::ReadWrite);
    works(&run("make-dir", json!({"path": work.path("sub")}), &grants));
    works(&run("write", json!({"path": work.path("sub/a.txt"), "text": "one"}), &grants));
    works(&run("append", json!({"path": work.path("sub/a.txt"), "text": " two"}), &grants));
    assert_eq!(works(&run("read", json!({"path": work.path("sub/a.txt")}), &grants)), "one two");
    assert_eq!(works(&run("size", json!({"path": work.path("sub/a.txt")}), &grants)), 7);
    assert_eq!(works(&run("list", json!({"path": work.path("sub")}), &grants)), &json!(["a.txt"]));
    works(&run("write", json!({"path": work.path("sub/a.txt"), "text": "short"}), &grants));
    assert_eq!(fs::read_to_string(work.root.join("sub/a.txt")).unwrap(), "short");
    works(&run("rename", json!({"from": work.path("sub"), "to": work.path("other")}), &grants));
    works(&run("link", json!({"old": work.path("other/a.txt"), "new": work.path("other/b.txt")}), &grants));
    works(&run("symlink", json!({"target": "a.txt", "path": work.path("other/c.txt")}), &grants));
    assert_eq!(works(&run("read", json!({"path": work.path("other/c.txt")}), &grants)), "short");
    for name in ["a.txt", "b.txt", "c.txt"] {
        works(&run("remove-file", json!({"path": work.path(&format!("other/{name}"))}), &grants));
    }
    works(&run("touch", json!({"path": work.path("t"), "seconds": 5}), &{
        fs::write(work.root.join("t"), "").unwrap();
        grants.clone()
    }));
    assert_eq!(fs::metadata(work.root.join("t")).unwrap().mtime(), 5);
    works(&run("remove-dir", json!({"path": work.path("other")}), &grants));
    assert!(!work.root.join("other").exists());
}

#[test]
fn a_relative_path_is_refused_with_the_path_that_was_meant() {
    let work = Workspace::new();
    let grants = work.grants(Access::ReadWrite);
    for (path, hint) in [
        (
            "notes/a",
            Some(format!("this plugin reads relative paths from `/`: did you mean `{}`?", work.path("notes/a"))),
        ),
        ("./b", Some(format!("this plugin reads relative paths from `/`: did you mean `{}`?", work.path("b")))),
        ("/notes/a", None),
    ] {
        let outcome = run("read", json!({ "path": path }), &grants);
        refused(&outcome, Rule::OutsideRoots);
        assert_eq!(outcome.hint, hint, "{path}");
    }
    assert_eq!(run("read", json!({"path": "a"}), &nothing()).hint, None, "there is no folder to name");
}

#[test]
#[expect(clippy::print_stdout, reason = "a test that shows nothing says so")]
fn a_rename_to_another_file_system_says_so() {
    let work = Workspace::new();
    // A granted folder on another file system; where there is none such, nothing can be shown.
    let Ok(other) = tempfile::tempdir_in("/dev/shm") else {
        println!("skipped: a_rename_to_another_file_system_says_so: no folder in /dev/shm");
        return;
    };
    let there = other.path().canonicalize().unwrap();
    if fs::metadata(&there).unwrap().dev() == fs::metadata(&work.root).unwrap().dev() {
        println!("skipped: a_rename_to_another_file_system_says_so: /dev/shm is no file system of its own");
        return;
    }
    let path = |path: &Path| JailPath::absolute(path).unwrap();
    let both = vec![(path(&work.root), Access::ReadWrite), (path(&there), Access::ReadWrite)];
    let mut grants = Grants::none(Arc::new(SmallPolicy { roots: both.clone(), connect: false }));
    for (path, access) in both {
        let dir = Arc::new(fs::File::open(path.as_path()).unwrap());
        grants.dirs.push(DirGrant { dir, path, access });
    }
    fs::write(work.root.join("a"), "x").unwrap();
    let to = |folder: &Path| json!({"from": work.path("a"), "to": folder.join("b")});
    let outcome = run("rename", to(&there), &grants);
    assert!(said_no(&outcome).contains("CrossesDevices"), "{outcome:?}");
    assert_eq!(outcome.denials, []);
    works(&run("write", json!({"path": there.join("b"), "text": "y"}), &grants));
    works(&run("rename", to(&work.root), &grants));
}

#[test]
fn a_path_outside_every_grant_is_refused_by_rule_for_reading_and_writing() {
    let work = Workspace::new();
    let outside = work.folder.path().canonicalize().unwrap().join("secret");
    fs::write(&outside, "canary").unwrap();
    let path = outside.to_str().unwrap();
    for grants in [work.grants(Access::ReadWrite), nothing()] {
        refused(&run("read", json!({"path": path}), &grants), Rule::OutsideRoots);
        refused(&run("read", json!({"path": "/etc/hostname"}), &grants), Rule::OutsideRoots);
        refused(&run("write", json!({"path": path, "text": "x"}), &grants), Rule::OutsideRoots);
        refused(&run("list", json!({"path": "/"}), &grants), Rule::OutsideRoots);
        refused(&run("size", json!({"path": "/proc/self/environ"}), &grants), Rule::OutsideRoots);
    }
    let grants = work.grants(Access::ReadWrite);
    refused(&run("read", json!({"path": work.path("../secret")}), &grants), Rule::OutsideRoots);
    fs::create_dir(work.root.join("d")).unwrap();
    refused(&run("read", json!({"path": work.path("d/../../secret")}), &grants), Rule::OutsideRoots);
    assert_eq!(fs::read_to_string(&outside).unwrap(), "canary");
    fs::write(work.root.join("inside"), "yes").unwrap();
    assert_eq!(works(&run("read", json!({"path": work.path("d/../inside")}), &grants)), "yes");
}

#[test]
fn links_that_lead_outside_are_not_followed_and_those_that_stay_are() {
    let work = Workspace::new();
    let grants = work.grants(Access::ReadWrite);
    let outside = work.folder.path().join("secret");
    fs::write(&outside, "canary").unwrap();
    symlink(outside.canonicalize().unwrap(), work.root.join("absolute")).unwrap();
    symlink("../secret", work.root.join("relative")).unwrap();
    symlink("..", work.root.join("up")).unwrap();
    symlink("loop", work.root.join("loop")).unwrap();
    for path in ["absolute", "relative", "up/secret"] {
        refused(&run("read", json!({"path": work.path(path)}), &grants), Rule::OutsideRoots);
        refused(&run("write", json!({"path": work.path(path), "text": "x"}), &grants), Rule::OutsideRoots);
    }
    said_no(&run("read", json!({"path": work.path("loop")}), &grants));
    assert_eq!(fs::read_to_string(&outside).unwrap(), "canary");

    fs::create_dir_all(work.root.join("a/b")).unwrap();
    fs::write(work.root.join("a/file"), "inside").unwrap();
    symlink("../file", work.root.join("a/b/link")).unwrap();
    symlink("a/b", work.root.join("folder")).unwrap();
    assert_eq!(works(&run("read", json!({"path": work.path("folder/link")}), &grants)), "inside");
    symlink("a/new", work.root.join("dangling")).unwrap();
    works(&run("write", json!({"path": work.path("dangling"), "text": "made"}), &grants));
    assert_eq!(fs::read_to_string(work.root.join("a/new")).unwrap(), "made");
}

#[test]
fn protected_paths_hold_against_every_verb_and_by_every_way() {
    let work = Workspace::new();
    let grants = work.grants(Access::ReadWrite);
    fs::create_dir_all(work.root.join(".git/hooks")).unwrap();
    fs::write(work.root.join(".git/config"), "[core]").unwrap();
    symlink(".git/hooks", work.root.join("innocent")).unwrap();
    symlink(".git/config", work.root.join("settings")).unwrap();
    fs::write(work.root.join("mine"), "x").unwrap();
    fs::create_dir_all(work.root.join("evil/hooks")).unwrap();
    fs::write(work.root.join("evil/hooks/pre-commit"), "evil").unwrap();
    fs::create_dir_all(work.root.join("empty")).unwrap();
    let p = |name: &str| work.path(name);
    let before = listing(&work.root);
    for (function, args) in [
        ("write", json!({"path": p(".git/hooks/pre-commit"), "text": "evil"})),
        ("write", json!({"path": p("innocent/pre-commit"), "text": "evil"})),
        ("write", json!({"path": p("settings"), "text": "evil"})),
        ("write", json!({"path": p("empty/../.git/config"), "text": "evil"})),
        ("append", json!({"path": p(".git/config"), "text": "evil"})),
        ("make-dir", json!({"path": p("innocent/d")})),
        ("remove-file", json!({"path": p(".git/config")})),
        ("remove-dir", json!({"path": p(".git/hooks")})),
        ("rename", json!({"from": p("mine"), "to": p("innocent/pre-commit")})),
        ("rename", json!({"from": p(".git/hooks"), "to": p("empty/hooks")})),
        ("rename", json!({"from": p(".git"), "to": p("git2")})),
        ("link", json!({"old": p(".git/config"), "new": p("config2")})),
        ("link", json!({"old": p("mine"), "new": p(".git/hooks/pre-commit")})),
        ("symlink", json!({"target": "../../mine", "path": p(".git/hooks/pre-commit")})),
        ("touch", json!({"path": p(".git/config"), "seconds": 5})),
    ] {
        let outcome = run(function, args.clone(), &grants);
        refused(&outcome, Rule::ProtectedPaths);
        assert_eq!(listing(&work.root), before, "{function} {args}");
    }
    // Times through a handle that was opened for reading.
    said_no(&run("touch-open", json!({"path": p(".git/config"), "seconds": 5}), &grants));
    assert_eq!(listing(&work.root), before);

    works(&run("read", json!({"path": p(".git/config")}), &grants));
    works(&run("write", json!({"path": p(".git/description"), "text": "fine"}), &grants));
    works(&run("rename", json!({"from": p("mine"), "to": p("yours")}), &grants));
    works(&run("rename", json!({"from": p("evil"), "to": p("good")}), &grants));
    fs::remove_dir_all(work.root.join(".git")).unwrap();
    // A folder that would bring a hook into place.
    refused(&run("rename", json!({"from": p("good"), "to": p(".git")}), &grants), Rule::ProtectedPaths);
}

/// The product's own policy in the place of the small one: its rules reach plugins as they are.
#[test]
fn the_default_policy_holds_for_plugins() {
    let work = Workspace::new();
    let absolute = |path: &Path| JailPath::absolute(path).unwrap();
    let places = Places::new(absolute(&work.root), absolute(Path::new("/tmp")), absolute(Path::new("/home/somebody")));
    let grants = Grants { gate: Arc::new(Policy::workspace(&places)), ..work.grants(Access::ReadWrite) };
    fs::create_dir_all(work.root.join(".git/hooks")).unwrap();
    fs::write(work.root.join("mine"), "x").unwrap();
    let p = |name: &str| work.path(name);
    for (function, args, rule) in [
        ("write", json!({"path": p(".git/hooks/pre-commit"), "text": "evil"}), Rule::ProtectedPaths),
        ("write", json!({"path": p(".envrc"), "text": "evil"}), Rule::ProtectedPaths),
        ("rename", json!({"from": p(".git"), "to": p("git2")}), Rule::ProtectedPaths),
        ("read", json!({"path": "/root/.ssh/id_ed25519"}), Rule::OutsideRoots),
        // Allowed by the policy for commands, but not granted to the plugin.
        ("read", json!({"path": "/usr/bin/env"}), Rule::OutsideRoots),
        ("write", json!({"path": "/usr/bin/env", "text": "evil"}), Rule::SystemFiles),
    ] {
        refused(&run(function, args, &grants), rule);
    }
    works(&run("write", json!({"path": p("mine"), "text": "y"}), &grants));
    assert_eq!(works(&run("read", json!({"path": p("mine")}), &grants)), "y");
}

#[test]
fn a_read_only_grant_and_a_read_only_policy_refuse_writing() {
    let work = Workspace::new();
    fs::write(work.root.join("a"), "x").unwrap();
    let granted = work.grants_within(Access::ReadOnly, Access::ReadWrite);
    let policy = work.grants_within(Access::ReadWrite, Access::ReadOnly);
    for grants in [&granted, &policy] {
        for (function, args) in [
            ("write", json!({"path": work.path("a"), "text": "y"})),
            ("write", json!({"path": work.path("b"), "text": "y"})),
            ("remove-file", json!({"path": work.path("a")})),
            ("make-dir", json!({"path": work.path("d")})),
            ("rename", json!({"from": work.path("a"), "to": work.path("b")})),
        ] {
            refused(&run(function, args, grants), Rule::ReadOnlyRoot);
        }
        assert_eq!(works(&run("read", json!({"path": work.path("a")}), grants)), "x");
    }
    assert_eq!(fs::read_to_string(work.root.join("a")).unwrap(), "x");
}

#[test]
fn a_file_with_names_elsewhere_is_not_written_but_read() {
    let work = Workspace::new();
    let grants = work.grants(Access::ReadWrite);
    let outside = work.folder.path().join("outside");
    fs::write(&outside, "canary").unwrap();
    fs::hard_link(&outside, work.root.join("linked")).unwrap();
    for function in ["write", "append"] {
        let outcome = run(function, json!({"path": work.path("linked"), "text": "x"}), &grants);
        refused(&outcome, Rule::OutsideRoots);
    }
    refused(&run("touch", json!({"path": work.path("linked"), "seconds": 5}), &grants), Rule::OutsideRoots);
    assert_eq!(fs::read_to_string(&outside).unwrap(), "canary");
    assert_eq!(works(&run("read", json!({"path": work.path("linked")}), &grants)), "canary");
}

#[test]
fn pipes_and_devices_answer_at_once() {
    let work = Workspace::new();
    let grants = work.grants(Access::ReadWrite);
    let dir = fs::File::open(&work.root).unwrap();
    rustix::fs::mknodat(&dir, "fifo", rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU, 0).unwrap();
    for (function, args) in
        [("read", json!({"path": work.path("fifo")})), ("write", json!({"path": work.path("fifo"), "text": "x"}))]
    {
        let outcome = run(function, args, &grants);
        said_no(&outcome);
        assert!(outcome.used.wall < std::time::Duration::from_secs(5), "{outcome:?}");
    }
}

/// Links swapped in while a guest walks: nothing outside is ever read or written.
#[test]
fn a_link_swapped_between_check_and_use_leads_nowhere() {
    let rounds = if std::env::var_os("STIGMER_LONG").is_some_and(|value| value == *"1") { 10_000 } else { 300 };
    let work = Workspace::new();
    let grants = work.grants(Access::ReadWrite);
    let outside = work.folder.path().canonicalize().unwrap().join("out");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("file"), "canary").unwrap();
    fs::create_dir(work.root.join("real")).unwrap();
    fs::write(work.root.join("real/file"), "inside").unwrap();
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                for target in [Path::new("real"), Path::new("../out")] {
                    let _ = fs::remove_file(work.root.join("next"));
                    symlink(target, work.root.join("next")).unwrap();
                    fs::rename(work.root.join("next"), work.root.join("swap")).unwrap();
                }
            }
        });
        let mut read = 0;
        for _ in 0..rounds {
            let outcome = run("read", json!({"path": work.path("swap/file")}), &grants);
            if let Ok(text) = &outcome.result {
                assert_eq!(text, "inside");
                read += 1;
            }
            let _ = run("append", json!({"path": work.path("swap/file"), "text": ""}), &grants);
            let _ = run("write", json!({"path": work.path("swap/new"), "text": "x"}), &grants);
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        assert!(read > 0, "the twin never worked");
    });
    assert_eq!(fs::read_to_string(outside.join("file")).unwrap(), "canary");
    assert!(!outside.join("new").exists());
}

/// Every path below, with size and modification time.
fn listing(folder: &Path) -> Vec<(String, u64, i64)> {
    let mut out = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let stat = fs::symlink_metadata(entry.path()).unwrap();
            if stat.is_dir() {
                open.push(entry.path());
            }
            out.push((entry.path().display().to_string(), stat.len(), stat.mtime()));
        }
    }
    out.sort();
    out
}
