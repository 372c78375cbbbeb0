//! Runs that go on with a conversation.

use crate::parked::asking;
use crate::runs::{SCRIPT, run};
use crate::world::{Said, World};

/// Sees the first run whole, in its order, before its own message.
const SECOND: &str = r#"
[[turn]]
sees = ["write a note", "I write it down.", "write_file {", "${WORKSPACE}/note.md", "Updated file", "Done.", "and now?"]
text = "I remember."

[[turn.call]]
id = "look"
tool = "read_file"
args = { file_path = "${WORKSPACE}/note.md" }

[[turn]]
text = "Still there."

[[turn.expect]]
call = "look"
contains = "hello"
"#;

/// Sees both.
const THIRD: &str = r#"
[[turn]]
sees = ["write a note", "Done.", "and now?", "I remember.", "read_file {", "hello", "Still there.", "and then?"]
text = "I remember all."
"#;

fn go_on(world: &World, script: &str, message: &str, more: &[&str]) -> Said {
    let script = world.write("next.toml", script);
    let model = format!("script:{}", script.display());
    world.run(&[&["run", "-m", message, "--model", &model], more].concat())
}

fn newest(world: &World) -> serde_json::Value {
    let listed = world.run(&["execution", "list", "--json"]);
    let listed: serde_json::Value = serde_json::from_str(&listed.out).unwrap();
    listed["executions"][0].clone()
}

#[test]
fn the_model_sees_the_conversation_that_goes_on_in_its_order() {
    let world = World::new();
    world.start();
    assert_eq!(run(&world, SCRIPT, &[]).code, 0);
    let first = newest(&world)["id"].as_str().unwrap().to_owned();
    let said = go_on(&world, SECOND, "and now?", &["--continue"]);
    assert_eq!(said.code, 0);
    assert!(said.out.contains("I remember.") && said.out.contains("Still there."), "{}", said.out);
    let second = newest(&world);
    assert_eq!(second["parent"], first.as_str());
    // Also after a restart, and over more than one.
    assert_eq!(world.run(&["local", "stop"]).code, 0);
    world.start();
    assert_eq!(go_on(&world, THIRD, "and then?", &["--continue"]).code, 0);
    assert_eq!(newest(&world)["parent"], second["id"]);
    // By name it goes on from the first again, and sees nothing of the others.
    let said = go_on(&world, THIRD, "and then?", &["--resume", &first]);
    assert_eq!(said.code, 1);
    assert!(said.err.contains("the conversation does not hold") && said.err.contains("and now?"), "{}", said.err);
    assert_eq!(go_on(&world, SECOND, "and now?", &["--resume", &first]).code, 0);
}

#[test]
fn what_cannot_be_gone_on_from_is_an_error_with_words() {
    let world = World::new();
    world.start();
    let said = go_on(&world, THIRD, "x", &["--continue"]);
    assert_eq!(said.code, 1);
    assert!(said.err.contains("nothing has run in `[FOLDER]/work`"), "{}", said.err);
    assert_eq!(run(&world, SCRIPT, &[]).code, 0);
    let first = newest(&world)["id"].as_str().unwrap().to_owned();

    let said = go_on(&world, THIRD, "x", &["--resume", "aex-01m874nerx1wtweeqjjh1drm25"]);
    assert_eq!(said.code, 1);
    assert!(said.err.contains("there is no execution `aex-01m874nerx1wtweeqjjh1drm25`"), "{}", said.err);
    assert_eq!(go_on(&world, THIRD, "x", &["--resume", "nonsense"]).code, 2);
    assert_eq!(go_on(&world, THIRD, "x", &["--resume", &first, "--continue"]).code, 2);

    let said = world.run(&["run", "-m", "x", "--resume", &first]);
    assert_eq!(said.code, 2);
    assert!(said.err.contains("was a script") && said.err.contains("--model"), "{}", said.err);

    let other = world.write("other/file", "").parent().unwrap().display().to_string();
    let said = go_on(&world, THIRD, "x", &["--resume", &first, "--workspace", &other]);
    assert_eq!(said.code, 1);
    assert!(
        said.err.contains("worked on `[FOLDER]/work`") && said.err.contains("--workspace [FOLDER]/work"),
        "{}",
        said.err
    );
    let said = go_on(&world, THIRD, "x", &["--continue", "--workspace", &other]);
    assert!(said.err.contains("nothing has run in `[FOLDER]/other`"), "{}", said.err);

    let asking = asking(&world, "stream-json");
    for flags in [["--resume", &asking.execution].as_slice(), &["--continue"]] {
        let said = go_on(&world, THIRD, "x", flags);
        assert_eq!(said.code, 1);
        assert!(said.err.contains("has not ended") && said.err.contains("execution follow"), "{}", said.err);
    }
    assert_eq!(world.run(&["execution", "cancel", &asking.execution]).code, 0);
    assert_eq!(asking.end().code, 1);
}
