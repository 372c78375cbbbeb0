//! What a call changed: each file by the place that was reached, nothing that was only looked at or failed.

use std::fs;

use serde_json::{Value, json};
use stigmer_plugin::{CallLimits, CallOutcome, ChangedFiles};
use stigmer_policy::{Access, JailPath};

use crate::support::{Workspace, call, guest};

fn run(work: &Workspace, function: &str, args: Value) -> CallOutcome {
    let grants = work.grants(Access::ReadWrite);
    call(&guest("plugin_fs"), &format!("g_guest_{function}"), args, &grants, &CallLimits::default())
}

fn changed(work: &Workspace, names: &[&str]) -> ChangedFiles {
    let paths = names.iter().map(|name| JailPath::absolute(work.root.join(name)).unwrap()).collect();
    ChangedFiles { paths, more: false }
}

#[test]
fn each_way_to_change_a_file_is_noted_and_looking_at_one_is_not() {
    let work = Workspace::new();
    let p = |name: &str| work.path(name);
    fs::create_dir_all(work.root.join("old/deep")).unwrap();
    fs::create_dir(work.root.join("none")).unwrap();
    for name in ["a", "b", "c", "old/one", "old/deep/two"] {
        fs::write(work.root.join(name), "text").unwrap();
    }
    for (function, args, names) in [
        ("write", json!({"path": p("new"), "text": "x"}), vec!["new"]),
        ("write", json!({"path": p("none/../a"), "text": ""}), vec!["a"]),
        ("append", json!({"path": p("a"), "text": "x"}), vec!["a"]),
        ("append", json!({"path": p("a"), "text": ""}), vec![]),
        ("set-size", json!({"path": p("b"), "size": 1}), vec!["b"]),
        ("append-renamed", json!({"from": p("b"), "to": p("b2"), "text": "x"}), vec!["b", "b2"]),
        ("rename", json!({"from": p("b2"), "to": p("c")}), vec!["b2", "c"]),
        ("rename", json!({"from": p("old"), "to": p("young")}), {
            vec!["old/deep/two", "old/one", "young/deep/two", "young/one"]
        }),
        ("link", json!({"old": p("c"), "new": p("d")}), vec!["c", "d"]),
        ("symlink", json!({"target": "c", "path": p("e")}), vec!["e"]),
        ("touch", json!({"path": p("young/one"), "seconds": 5}), vec!["young/one"]),
        ("remove-file", json!({"path": p("d")}), vec!["d"]),
        // Through a link: the file that was written, not the link.
        ("write", json!({"path": p("e"), "text": "y"}), vec!["c"]),
        ("make-dir", json!({"path": p("f")}), vec![]),
        ("remove-dir", json!({"path": p("f")}), vec![]),
        ("read", json!({"path": p("a")}), vec![]),
        ("list", json!({"path": p("young")}), vec![]),
        ("size", json!({"path": p("a")}), vec![]),
    ] {
        let outcome = run(&work, function, args);
        assert!(outcome.result.is_ok(), "{function}: {outcome:?}");
        assert_eq!(outcome.changed, changed(&work, &names), "{function}");
    }
    for (function, args) in [
        ("remove-file", json!({"path": p("gone")})),
        ("rename", json!({"from": p("a"), "to": p("young")})),
        ("write", json!({"path": p(".git/hooks/x"), "text": "x"})),
        ("write", json!({"path": "/etc/motd", "text": "x"})),
        ("symlink", json!({"target": "c", "path": p("e")})),
    ] {
        let outcome = run(&work, function, args);
        assert!(outcome.result.is_err(), "{function}: {outcome:?}");
        assert_eq!(outcome.changed, changed(&work, &[]), "{function}");
    }
}

#[test]
fn more_names_than_are_kept_are_said_to_be_more() {
    let work = Workspace::new();
    let outcome = run(&work, "make-files", json!({"path": work.path(""), "count": 4096}));
    assert_eq!((outcome.result, outcome.changed.paths.len(), outcome.changed.more), (Ok(Value::Null), 4096, false));
    let work = Workspace::new();
    let outcome = run(&work, "make-files", json!({"path": work.path(""), "count": 4097}));
    assert_eq!((outcome.result, outcome.changed.paths.len(), outcome.changed.more), (Ok(Value::Null), 4096, true));
}

/// An edit by a file tool holds its folder's lock from its last look at the file until it has replaced it.
#[test]
fn a_name_does_not_change_under_somebody_elses_turn() {
    let work = Workspace::new();
    fs::write(work.root.join("a"), "text").unwrap();
    let other = fs::File::open(&work.root).unwrap();
    rustix::fs::flock(&other, rustix::fs::FlockOperation::LockExclusive).unwrap();
    let outcome = run(&work, "remove-file", json!({"path": work.path("a")}));
    assert!(crate::support::said_no(&outcome).contains("ResourceBusy"), "{outcome:?}");
    assert_eq!((outcome.changed, fs::read(work.root.join("a")).unwrap()), (changed(&work, &[]), b"text".to_vec()));
    drop(other);
    let outcome = run(&work, "remove-file", json!({"path": work.path("a")}));
    assert_eq!((outcome.result, outcome.changed), (Ok(Value::Null), changed(&work, &["a"])));
}
