//! `glob`: files by name.

use std::marker::PhantomData;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::json;
use stigmer_agent::{Repeat, Tool, ToolResult, python};
use stigmer_sandbox::files::{GlobError, GlobOptions, PathFault, Stop};

use super::file_tool::FileTool;
use super::{Place, failed};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Args {
    pattern: String,
    path: Option<String>,
}

pub(super) fn tool(place: &Place) -> Arc<dyn Tool> {
    Arc::new(FileTool {
        name: "glob",
        description: "Finds files by a pattern, at any depth below a folder: `*` within a name, `**` over folders, `?` \
                      one character, `[ab]` either, `{a,b}` either.",
        schema: json!({
            "type": "object",
            "properties": {
                "pattern": { "type": "string", "description": "The pattern: `*.py`, `src/**/*.rs`." },
                "path": { "type": "string", "default": "/", "description": "The folder; `/` means the workspace." },
            },
            "required": ["pattern"],
        }),
        repeat: Repeat::Safe,
        place: place.clone(),
        writes: None,
        run: glob,
        args: PhantomData,
    })
}

fn glob(place: &Place, args: Args, stop: Stop<'_>) -> ToolResult {
    let base = match place.folder(args.path.as_deref()) {
        Ok(path) => path,
        Err(result) => return result,
    };
    let below = args.pattern.trim_start_matches('/');
    // The packages look at every depth, also for a pattern that names folders.
    let pattern = if below.starts_with("**/") { below.to_owned() } else { format!("**/{below}") };
    match place.roots.glob(&base, &pattern, GlobOptions { stop, ..GlobOptions::default() }) {
        Ok(found) => {
            let mut paths: Vec<String> = found.paths.iter().map(ToString::to_string).collect();
            paths.sort_unstable();
            let mut text = python::list(paths);
            if let Some(cut) = found.truncated {
                text.push_str(&format!("\n[these are not all: {}]", super::grep::why(cut)));
            }
            ToolResult::ok(text)
        }
        Err(GlobError::Path(PathFault::NotFound { .. } | PathFault::NotADirectory { .. })) => ToolResult::ok("[]"),
        Err(error) => failed("Error searching for files", &error, error.denial(), error.hint()),
    }
}
