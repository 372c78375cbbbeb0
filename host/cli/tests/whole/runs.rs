//! Runs of a scripted model, from the command line to the record.

use crate::world::{Said, World};

pub(crate) const SCRIPT: &str = r#"
[[turn]]
text = "I write it down."

[[turn.call]]
id = "note"
tool = "write_file"
args = { file_path = "${WORKSPACE}/note.md", content = "hello\n" }

[[turn]]
text = "Done."

[[turn.expect]]
call = "note"
matches = "note\\.md"
"#;

pub(crate) fn run(world: &World, script: &str, more: &[&str]) -> Said {
    let script = world.write("script.toml", script);
    let model = format!("script:{}", script.display());
    world.run(&[&["run", "-m", "write a note", "--model", &model], more].concat())
}

fn schema() -> jsonschema::Validator {
    let package = std::env::var("CARGO_MANIFEST_DIR").expect("cargo and the test runner name the package");
    let schema = format!("{package}/../../docs/schema/run-stream.json");
    let schema: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(schema).unwrap()).unwrap();
    jsonschema::validator_for(&schema).unwrap()
}

pub(crate) fn fits_the_schema(line: &serde_json::Value) {
    let wrong: Vec<_> = schema().iter_errors(line).map(|error| error.to_string()).collect();
    assert!(wrong.is_empty(), "{line}: {wrong:?}");
}

#[test]
fn a_run_without_a_daemon_starts_one_and_does_the_work() {
    let world = World::new();
    let said = run(&world, SCRIPT, &["--sandbox", "filesystem"]);
    assert_eq!(said.code, 0);
    assert!(said.err.contains("no daemon was running: started one"), "{}", said.err);
    assert!(said.err.contains("scripted model"), "{}", said.err);
    assert!(said.out.contains("I write it down.") && said.out.contains("Done."), "{}", said.out);
    assert!(!said.out.contains('\x1b') && !said.err.contains('\x1b'));
    assert_eq!(std::fs::read_to_string(world.work().join("note.md")).unwrap(), "hello\n");
}

#[test]
fn every_line_of_the_stream_fits_the_schema_and_the_record_says_the_same() {
    let world = World::new();
    world.start();
    let said = run(&world, SCRIPT, &["--output-format", "stream-json"]);
    assert_eq!(said.code, 0);
    let lines: Vec<serde_json::Value> = said.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    lines.iter().for_each(fits_the_schema);
    let kinds: Vec<_> = lines.iter().map(|line| line["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["init", "message", "tool_use", "tool_result", "message", "result"]);
    assert!(!schema().is_valid(&serde_json::json!({ "version": 1, "kind": "message" })));
    let result = lines.last().unwrap();
    assert_eq!(result["files"][0]["path"], "note.md");
    assert_eq!(result["files"][0]["wall"], "file-tool");
    let shown = world.run(&["execution", "show", result["id"].as_str().unwrap(), "--json"]);
    let shown: serde_json::Value = serde_json::from_str(&shown.out).unwrap();
    assert_eq!(shown["files"], result["files"]);
}

#[test]
fn a_failed_expectation_says_expected_and_got() {
    let world = World::new();
    world.start();
    let said = run(&world, &SCRIPT.replace("note\\\\.md", "other"), &[]);
    assert_eq!(said.code, 1);
    assert!(said.err.contains("other") && said.err.contains("note.md"), "{}", said.err);
}

#[test]
fn a_script_without_expectations_is_refused_before_it_runs() {
    let world = World::new();
    world.start();
    let said = run(&world, SCRIPT.split("[[turn.expect]]").next().unwrap(), &[]);
    assert_eq!(said.code, 2);
    assert!(!world.work().join("note.md").exists());
    let missing = world.run(&["run", "-m", "x", "--model", "script:missing.toml"]);
    assert_eq!(missing.code, 2);
    assert!(missing.err.contains("missing.toml"), "{}", missing.err);
}

#[test]
fn an_agent_that_ends_before_its_script_fails_with_what_was_left() {
    let world = World::new();
    world.start();
    let early = "[[turn]]\ntext = \"That is all.\"\n";
    let said = run(&world, &format!("{early}{SCRIPT}"), &[]);
    assert_eq!(said.code, 1);
    let want = "the agent ended with 2 of 3 turns of the script left; turn 2 was to be: I write it down., `write_file` (call `note`)";
    assert!(said.err.contains(want), "{}", said.err);
    assert!(!world.work().join("note.md").exists());
    assert_eq!(run(&world, early, &[]).code, 0);
}

#[test]
fn a_denial_is_told_once_and_the_record_has_no_empty_line() {
    let world = World::new();
    world.start();
    let script = "[[turn]]\n[[turn.call]]\nid = \"no\"\ntool = \"read_file\"\nargs = { file_path = \"/etc/shadow\" }\n\
                  [[turn]]\ntext = \"It may not be.\"\n[[turn.expect]]\ncall = \"no\"\nis_error = true\ncontains = \"Denied: \"\n";
    let said = run(&world, script, &[]);
    assert_eq!(said.code, 0);
    assert_eq!(said.err.matches("outside the granted folders").count(), 1, "{}", said.err);
    assert!(said.err.contains("✗ read_file /etc/shadow"), "{}", said.err);
    let listed: serde_json::Value = serde_json::from_str(&world.run(&["execution", "list", "--json"]).out).unwrap();
    let shown = world.run(&["execution", "show", listed["executions"][0]["id"].as_str().unwrap()]);
    assert!(shown.out.lines().all(|line| line.split_whitespace().count() > 1), "{}", shown.out);
    assert!(shown.out.contains("text       It may not be.") && !shown.out.contains("reason"), "{}", shown.out);
}

#[test]
fn what_was_refused_is_not_shown_as_if_it_were_done() {
    let script = |file: &str, says: &str| {
        format!(
            "[[turn]]\n[[turn.call]]\nid = \"w\"\ntool = \"write_file\"\n\
             args = {{ file_path = \"${{WORKSPACE}}/{file}\", content = \"one line\\n\" }}\n\n\
             [[turn]]\ntext = \"Over.\"\n[[turn.expect]]\ncall = \"w\"\ncontains = [\"{says}\"]\n{}",
            if says == "Denied" { "is_error = true\n" } else { "" }
        )
    };
    let world = World::new();
    world.start();
    let refused = run(&world, &script(".git/hooks/pre-commit", "Denied"), &[]);
    assert_eq!(refused.code, 0);
    assert!(refused.err.contains("denied write") && !refused.err.contains("one line"), "{}", refused.err);
    let done = run(&world, &script("new.txt", "new.txt"), &[]);
    assert_eq!(done.code, 0);
    assert!(done.err.contains("\n  +one line\n"), "{}", done.err);
}
