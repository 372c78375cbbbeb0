//! The tools: names, arguments, defaults and result texts of the packages that agents are written for, over our walls.
//! Every difference from them is in `docs/compatibility.md` with its reason.

use std::error::Error;
use std::sync::Arc;

use stigmer_agent::{Tool, ToolResult, WriteTodos};
use stigmer_policy::{Denial, JailPath, Wall};
use stigmer_sandbox::files::{Change, Roots};

mod delete;
mod edit_file;
mod execute;
mod file_tool;
mod glob;
mod grep;
mod ls;
mod plugin;
mod read_file;
mod write_file;

pub(crate) use execute::{Execute, Mode};
pub(crate) use plugin::{PluginTool, RESERVED};

/// Where the file tools work.
#[derive(Debug, Clone)]
pub struct Place {
    /// What may be reached.
    pub roots: Roots,
    /// Relative paths count from here.
    pub workspace: JailPath,
}

/// The tools that need no process of their own, in the order in which a model is told of them.
#[must_use]
pub fn file_tools(place: &Place) -> Vec<Arc<dyn Tool>> {
    vec![
        ls::tool(place),
        read_file::tool(place),
        write_file::tool(place),
        edit_file::tool(place),
        delete::tool(place),
        glob::tool(place),
        grep::tool(place),
        Arc::new(WriteTodos::default()),
    ]
}

/// The wall behind the tool of that name.
pub(crate) fn wall(tool: &str) -> Wall {
    match tool {
        "ls" | "read_file" | "write_file" | "edit_file" | "delete" | "glob" | "grep" | "write_todos" => Wall::FileTool,
        "execute" => Wall::Command,
        _ => Wall::Plugin,
    }
}

impl Place {
    /// The place that a tool's argument names.
    fn path(&self, text: &str) -> Result<JailPath, ToolResult> {
        JailPath::from_base(&self.workspace, text)
            .map_err(|error| ToolResult::error(format!("Error: the path {text:?} is none: {error}")))
    }

    /// As [`Place::path`], where `/` and nothing stand for the workspace: what the packages take for their root.
    fn folder(&self, text: Option<&str>) -> Result<JailPath, ToolResult> {
        match text {
            None | Some("/" | "" | ".") => Ok(self.workspace.clone()),
            Some(text) => self.path(text),
        }
    }
}

/// A failed verb: a refusal when the policy refused, else `words` and the error's own.
fn failed(words: &str, error: &dyn Error, denial: Option<&Denial>, hint: Option<String>) -> ToolResult {
    let mut result = match denial {
        Some(denial) => ToolResult::denied(denial.clone()),
        None => {
            let mut text = words.to_owned();
            let mut cause = Some(error);
            while let Some(error) = cause {
                text.push_str(": ");
                text.push_str(&error.to_string());
                cause = error.source();
            }
            ToolResult::error(text)
        }
    };
    if let Some(hint) = hint {
        result.text.push_str(&format!(" ({hint})"));
    }
    result
}

/// A success that changed files.
fn changed(text: String, change: &Change) -> ToolResult {
    let path = change.path.to_string();
    ToolResult { changed: vec![stigmer_agent::Changed { path, wall: Wall::FileTool }], ..ToolResult::ok(text) }
}

#[cfg(test)]
mod tests;
