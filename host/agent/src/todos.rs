//! The tool with which a model keeps its list of things to do.

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::python;
use crate::tool::{CallCtx, Repeat, Tool, ToolResult};

/// Things that one list may hold. Nobody works through more, and the list comes back with each result.
pub const TODOS: usize = 200;

/// `write_todos`: replaces the whole list. The list lives in the conversation, nowhere else.
#[derive(Debug)]
pub struct WriteTodos {
    schema: Value,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Args {
    todos: Vec<Todo>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Todo {
    content: String,
    status: Status,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "snake_case")]
enum Status {
    Pending,
    InProgress,
    Completed,
}

impl Status {
    fn name(self) -> &'static str {
        match self {
            Status::Pending => "pending",
            Status::InProgress => "in_progress",
            Status::Completed => "completed",
        }
    }
}

impl Default for WriteTodos {
    fn default() -> Self {
        let status = json!({ "type": "string", "enum": ["pending", "in_progress", "completed"] });
        let todo = json!({
            "type": "object",
            "properties": { "content": { "type": "string" }, "status": status },
            "required": ["content", "status"],
        });
        let schema = json!({
            "type": "object",
            "properties": { "todos": { "type": "array", "items": todo } },
            "required": ["todos"],
        });
        WriteTodos { schema }
    }
}

#[async_trait]
impl Tool for WriteTodos {
    fn name(&self) -> &str {
        "write_todos"
    }

    fn description(&self) -> &str {
        "Keeps your list of things to do. Each call replaces the whole list. Use it for work of several steps: write the \
         steps down, mark the one you are at as `in_progress`, and mark each as `completed` as soon as it is done. \
         Leave it out for short tasks."
    }

    fn input_schema(&self) -> &Value {
        &self.schema
    }

    fn repeat(&self) -> Repeat {
        Repeat::Safe
    }

    fn writes(&self, _args: &Value) -> Option<String> {
        // Two lists in one turn: the last one stands, so they run in order.
        Some("todos".to_owned())
    }

    async fn call(&self, _ctx: CallCtx, args: Value) -> ToolResult {
        match write(args) {
            Ok(text) => ToolResult::ok(text),
            Err(reason) => ToolResult::error(format!("Error: write_todos: {reason}")),
        }
    }
}

fn write(args: Value) -> Result<String, String> {
    let args: Args = serde_json::from_value(args).map_err(|error| error.to_string())?;
    if args.todos.len() > TODOS {
        return Err(format!("{} todos; a list may hold {TODOS}", args.todos.len()));
    }
    let items = args
        .todos
        .iter()
        .map(|todo| format!("{{'content': {}, 'status': '{}'}}", python::text(&todo.content), todo.status.name()));
    Ok(format!("Updated todo list to [{}]", items.collect::<Vec<_>>().join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made from the packages themselves; see `generate.py` beside it.
    const TABLE: &str = include_str!("../../../tests/compat/deepagents-0.2.8.json");

    #[test]
    fn schema_and_texts_are_those_of_the_table() {
        let table: Value = serde_json::from_str(TABLE).unwrap();
        let tools = table["tools"].as_array().unwrap();
        let ours = tools.iter().find(|tool| tool["name"] == "write_todos").unwrap();
        assert_eq!(&ours["parameters"], WriteTodos::default().input_schema());
        let cases: Vec<_> =
            table["cases"].as_array().unwrap().iter().filter(|case| case["tool"] == "write_todos").collect();
        assert!(cases.len() >= 4);
        for case in cases {
            assert_eq!(write(case["args"].clone()).as_deref(), Ok(case["text"].as_str().unwrap()), "{}", case["case"]);
        }
    }

    #[test]
    fn wrong_arguments_are_named() {
        for (args, words) in [
            (json!({}), "missing field `todos`"),
            (json!({ "todos": "x" }), "expected a sequence"),
            (json!({ "todos": [{ "content": "a" }] }), "missing field `status`"),
            (json!({ "todos": [{ "content": "a", "status": "later" }] }), "unknown variant `later`"),
            (json!({ "todos": [], "more": 1 }), "unknown field `more`"),
        ] {
            let reason = write(args).unwrap_err();
            assert!(reason.contains(words), "{reason}");
        }
    }

    #[test]
    fn a_list_at_the_bound_passes_and_one_more_does_not() {
        let todos = |count: usize| json!({ "todos": vec![json!({ "content": "a", "status": "pending" }); count] });
        assert!(write(todos(TODOS)).is_ok());
        assert_eq!(write(todos(TODOS + 1)).unwrap_err(), "201 todos; a list may hold 200");
    }
}
