//! Every case of the table: equal to the letter, or named as a difference with its reason.

use std::time::Duration;

use serde::Deserialize;
use serde_json::Map;
use stigmer_agent::CancellationToken;

use super::super::execute::{Execute, Mode};
use super::*;
use crate::commands::Commands;
use crate::scratch::Scratch;
use crate::testing::init;

const TABLE: &str = include_str!("../../../../../tests/compat/deepagents-0.2.8.json");
const DIFFERENCES: &str = include_str!("../../../../../tests/compat/differences.json");

#[derive(Deserialize)]
struct Table {
    tools: Vec<Value>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    tool: String,
    case: String,
    files: Map<String, Value>,
    args: Value,
    text: String,
    after: Map<String, Value>,
}

#[derive(Deserialize)]
struct Difference {
    tool: String,
    case: String,
    why: String,
}

fn all_tools(world: &World) -> Vec<Arc<dyn Tool>> {
    let (channel, _) = init::start();
    let commands = Commands::listen(channel, CancellationToken::new()).unwrap();
    let scratch = Scratch { roots: world.roots(), folder: world.places.scratch.clone() };
    let env = vec![b"PATH=/usr/local/bin:/usr/bin:/bin".to_vec()];
    let mut tools = file_tools(&world.place());
    let workspace = world.places.workspace.clone();
    let time = Duration::from_secs(60);
    tools.push(Arc::new(Execute::new(commands, Mode::Free, workspace, env, time, scratch)));
    tools
}

#[test]
fn names_arguments_types_and_defaults_are_those_of_the_table() {
    let table: Table = serde_json::from_str(TABLE).unwrap();
    let world = World::new();
    // `execute` listens to init from a thread, and needs no runtime to say what it takes.
    let tools = all_tools(&world);
    for theirs in &table.tools {
        let ours = tools.iter().find(|tool| theirs["name"] == tool.name()).unwrap();
        let mut schema = ours.input_schema().clone();
        let properties = schema["properties"].as_object_mut().unwrap();
        // Ours, and in the documented list of differences.
        if ours.name() == "grep" {
            assert_eq!(properties.remove("regex").unwrap()["default"], false);
        }
        for property in properties.values_mut() {
            property.as_object_mut().unwrap().remove("description");
        }
        assert_eq!(schema, theirs["parameters"], "{}", ours.name());
    }
    assert_eq!(table.tools.len() + 1, tools.len(), "`delete` is ours");
}

#[tokio::test]
async fn every_case_is_equal_or_named() {
    let table: Table = serde_json::from_str(TABLE).unwrap();
    let differences: Vec<Difference> = serde_json::from_str(DIFFERENCES).unwrap();
    let mut faults = Vec::new();
    let mut named = 0;
    for case in &table.cases {
        let equal = compare(case).await;
        let difference = differences.iter().find(|it| (&it.tool, &it.case) == (&case.tool, &case.case));
        match (equal, difference) {
            (Ok(()), None) => {}
            (Err(_), Some(difference)) => {
                assert!(!difference.why.is_empty());
                named += 1;
            }
            (Ok(()), Some(_)) => {
                faults.push(format!("{}, {}: is equal, and named as a difference", case.tool, case.case))
            }
            (Err(how), None) => faults.push(format!("{}, {}: {how}", case.tool, case.case)),
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert_eq!(named, differences.len(), "each difference names a case of the table");
    assert!(table.cases.len() >= 80);
}

async fn compare(case: &Case) -> Result<(), String> {
    let world = World::new();
    for (name, content) in &case.files {
        match content {
            Value::Null => world.folder(name),
            Value::String(text) => world.write(name, text.as_bytes()),
            bytes => {
                let bytes: Vec<u8> = serde_json::from_value(bytes["bytes"].clone()).unwrap();
                world.write(name, &bytes);
            }
        }
    }
    let root = world.places.workspace.to_string();
    let here = |text: &str| text.replace("{root}", &root);
    let args: Value = serde_json::from_str(&here(&case.args.to_string())).unwrap();
    let tool = all_tools(&world).into_iter().find(|tool| tool.name() == case.tool).unwrap();
    let got = tool.call(ctx(), args).await.text;
    if got != here(&case.text) {
        return Err(format!("want {:?}, got {got:?}", clip(&here(&case.text))));
    }
    for (name, content) in &case.after {
        let now = world.read(name);
        if now.as_deref() != content.as_str() {
            return Err(format!("`{name}` is {now:?} afterwards"));
        }
    }
    Ok(())
}

fn clip(text: &str) -> &str {
    &text[..text.floor_char_boundary(300)]
}
