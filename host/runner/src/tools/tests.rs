//! Our tools against the table of the packages, and what the table does not know.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::*;
use crate::testing::{World, ctx};

mod compat;

async fn call(world: &World, tool: &str, args: Value) -> ToolResult {
    let tools = file_tools(&world.place());
    tools.iter().find(|it| it.name() == tool).unwrap().call(ctx(), args).await
}

#[tokio::test]
async fn what_the_policy_refuses_is_denied_and_its_twin_is_not() {
    let world = World::new();
    world.write("in.txt", b"one\n");
    let outside = world.places.workspace.parent().unwrap().join("outside.txt").unwrap().to_string();
    let edit = |path: &str| json!({ "file_path": path, "old_string": "one", "new_string": "two" });
    let same = |path: &str| json!({ "file_path": path, "old_string": "one", "new_string": "one" });
    for (tool, refused, allowed) in [
        ("ls", json!({ "path": ".." }), json!({ "path": "." })),
        ("read_file", json!({ "file_path": outside }), json!({ "file_path": "in.txt" })),
        ("edit_file", same(&outside), same("in.txt")),
        ("edit_file", edit(&outside), edit("in.txt")),
        ("write_file", json!({ "file_path": "../x", "content": "" }), json!({ "file_path": "x", "content": "" })),
        (
            "write_file",
            json!({ "file_path": ".git/hooks/pre-commit", "content": "" }),
            json!({ "file_path": "hooks/pre-commit", "content": "" }),
        ),
        ("glob", json!({ "pattern": "*", "path": ".." }), json!({ "pattern": "*" })),
        ("grep", json!({ "pattern": "e", "path": outside }), json!({ "pattern": "e" })),
        ("delete", json!({ "file_path": outside }), json!({ "file_path": "x" })),
    ] {
        let denied = call(&world, tool, refused).await;
        assert!(denied.is_error && denied.denials.len() == 1, "{tool}: {denied:?}");
        assert!(denied.text.starts_with("Denied: ") && denied.text.contains("(rule `"), "{tool}: {}", denied.text);
        let done = call(&world, tool, allowed).await;
        assert!(!done.is_error && done.denials.is_empty(), "{tool}: {done:?}");
    }
}

#[tokio::test]
async fn changes_are_reported_with_their_wall() {
    let world = World::new();
    let path = world.path("a.txt");
    let changed = vec![stigmer_agent::Changed { path: path.clone(), wall: Wall::FileTool }];
    let done = call(&world, "write_file", json!({ "file_path": "a.txt", "content": "one" })).await;
    assert_eq!(done.changed, changed);
    let edit = json!({ "file_path": "a.txt", "old_string": "one", "new_string": "two" });
    assert_eq!(call(&world, "edit_file", edit.clone()).await.changed, changed);
    assert_eq!(call(&world, "edit_file", edit).await.changed, []);
    let gone = call(&world, "delete", json!({ "file_path": "a.txt" })).await;
    assert_eq!((gone.text, gone.changed), (format!("Deleted {path}"), changed));
    assert_eq!(world.read("a.txt"), None);
    let again = call(&world, "delete", json!({ "file_path": "a.txt" })).await;
    assert_eq!(again.text, format!("Error: File '{path}' not found"));
}

#[tokio::test]
async fn grep_takes_an_expression_only_when_asked() {
    let world = World::new();
    world.write("n", b"a.b\naxb\nf(x\n");
    let grep = async |pattern: &str, regex: bool| {
        call(&world, "grep", json!({ "pattern": pattern, "output_mode": "count", "regex": regex })).await.text
    };
    let n = world.path("n");
    assert_eq!(grep("a.b", false).await, format!("{n}: 1"));
    assert_eq!(grep("a.b", true).await, format!("{n}: 2"));
    assert_eq!(grep("f(x", false).await, format!("{n}: 1"));
    assert!(grep("f(x", true).await.starts_with("Invalid regex pattern: "));
}

#[tokio::test]
async fn wrong_arguments_are_named_and_nothing_is_done() {
    let world = World::new();
    world.write("a", b"x x");
    for (tool, args, words) in [
        ("ls", json!({}), "missing field `path`"),
        ("ls", json!({ "path": 7 }), "invalid type"),
        ("read_file", json!({ "file_path": "a", "offset": -1 }), "invalid value"),
        ("read_file", json!({ "file_path": "" }), "a path cannot be empty"),
        ("read_file", json!({ "file_path": "a\0b" }), "NUL"),
        ("grep", json!({ "pattern": "x", "output_mode": "lines" }), "unknown variant `lines`"),
        (
            "edit_file",
            json!({ "file_path": "a", "old_string": "x", "new_string": "y", "replace_al": true }),
            "unknown field `replace_al`",
        ),
    ] {
        let result = call(&world, tool, args).await;
        assert!(result.is_error && result.text.contains(words), "{tool}: {}", result.text);
    }
    assert_eq!(world.read("a").as_deref(), Some("x x"));
}

#[tokio::test]
async fn a_folder_with_something_in_it_stays_and_an_empty_one_goes() {
    let world = World::new();
    world.write("d/a", b"1");
    let full = call(&world, "delete", json!({ "file_path": "d" })).await;
    assert!(full.is_error && full.text.contains("not empty"), "{}", full.text);
    assert!(!call(&world, "delete", json!({ "file_path": "d/a" })).await.is_error);
    assert!(!call(&world, "delete", json!({ "file_path": "d" })).await.is_error);
}

#[test]
fn calls_that_change_one_file_share_a_key() {
    let world = World::new();
    let tools = file_tools(&world.place());
    let key = |tool: &str, path: &str| {
        let tool = tools.iter().find(|it| it.name() == tool).unwrap();
        tool.writes(&json!({ "file_path": path }))
    };
    let of = key("write_file", "d/a.txt");
    assert!(of.is_some());
    assert_eq!(key("edit_file", &world.path("d/../d/./a.txt")), of);
    assert_eq!(key("delete", "d/a.txt"), of);
    assert_ne!(key("edit_file", "d/b.txt"), of);
    assert_eq!(key("read_file", "d/a.txt"), None);
}

#[test]
fn every_tool_has_its_wall_and_a_name_of_its_own() {
    let world = World::new();
    let names: Vec<String> = file_tools(&world.place()).iter().map(|tool| tool.name().to_owned()).collect();
    assert!(names.iter().all(|name| wall(name) == Wall::FileTool));
    assert_eq!(names.iter().collect::<HashSet<_>>().len(), names.len());
    assert_eq!((wall("execute"), wall("table_profile")), (Wall::Command, Wall::Plugin));
    // What joined words could make of our names.
    for name in names.iter().filter(|name| name.contains('_')) {
        let (plugin, function) = name.split_once('_').unwrap();
        assert!(RESERVED.contains(&(plugin, function)), "{name}");
    }
}
