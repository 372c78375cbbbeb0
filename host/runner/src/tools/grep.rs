//! `grep`: files by what is in them.

use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::json;
use stigmer_agent::{Repeat, Tool, ToolResult};
use stigmer_sandbox::files::{Cut, GrepError, GrepMatch, GrepOptions, PathFault, Stop};

use super::file_tool::FileTool;
use super::{Place, failed};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Args {
    pattern: String,
    path: Option<String>,
    glob: Option<String>,
    #[serde(default)]
    output_mode: Mode,
    #[serde(default)]
    regex: bool,
}

#[derive(Deserialize, Default, Clone, Copy)]
#[serde(rename_all = "snake_case")]
enum Mode {
    #[default]
    FilesWithMatches,
    Content,
    Count,
}

pub(super) fn tool(place: &Place) -> Arc<dyn Tool> {
    let optional = |what: &str| json!({ "anyOf": [{ "type": "string" }, { "type": "null" }], "default": null, "description": what });
    Arc::new(FileTool {
        name: "grep",
        description: "Searches for a text in the files below a folder. Files that `.gitignore` names are left out.",
        schema: json!({
            "type": "object",
            "properties": {
                "pattern": { "type": "string", "description": "The text, taken as it stands." },
                "path": optional("Folder or file; the workspace when left out."),
                "glob": optional("Only files whose name fits: `*.py`."),
                "output_mode": {
                    "type": "string",
                    "enum": ["files_with_matches", "content", "count"],
                    "default": "files_with_matches",
                    "description": "The files, the lines, or how many lines per file.",
                },
                "regex": {
                    "type": "boolean",
                    "default": false,
                    "description": "The pattern is a regular expression, within one line.",
                },
            },
            "required": ["pattern"],
        }),
        repeat: Repeat::Safe,
        place: place.clone(),
        writes: None,
        run: grep,
        args: PhantomData,
    })
}

fn grep(place: &Place, args: Args, stop: Stop<'_>) -> ToolResult {
    let base = match place.folder(args.path.as_deref()) {
        Ok(path) => path,
        Err(result) => return result,
    };
    let options = GrepOptions { regex: args.regex, include: args.glob.as_deref(), stop, ..GrepOptions::default() };
    match place.roots.grep(&base, &args.pattern, options) {
        Ok(found) => {
            let mut text = shown(&found.matches, args.output_mode);
            if let Some(cut) = found.truncated {
                text.push_str(&format!("\n[these are not all: {}]", why(cut)));
            }
            ToolResult::ok(text)
        }
        Err(GrepError::Path(PathFault::NotFound { .. })) => ToolResult::ok(NOTHING),
        Err(GrepError::BadPattern { reason, .. }) => ToolResult::error(format!("Invalid regex pattern: {reason}")),
        Err(error) => failed("Error searching", &error, error.denial(), error.hint()),
    }
}

const NOTHING: &str = "No matches found";

fn shown(matches: &[GrepMatch], mode: Mode) -> String {
    let mut files: BTreeMap<String, Vec<&GrepMatch>> = BTreeMap::new();
    for found in matches {
        files.entry(found.path.to_string()).or_default().push(found);
    }
    if files.is_empty() {
        return NOTHING.to_owned();
    }
    let lines: Vec<String> = files
        .into_iter()
        .map(|(path, matches)| match mode {
            Mode::FilesWithMatches => path,
            Mode::Count => format!("{path}: {}", matches.len()),
            Mode::Content => {
                let lines = matches.iter().map(|found| {
                    format!("\n  {}: {}{}", found.line, found.text, if found.cut { " [part of the line]" } else { "" })
                });
                format!("{path}:{}", lines.collect::<String>())
            }
        })
        .collect();
    lines.join("\n")
}

/// Why a search ended early, for the model.
pub(super) fn why(cut: Cut) -> &'static str {
    match cut {
        Cut::Results => "the most that one search gives; narrow it",
        Cut::Entries => "more files than one search looks at; narrow the folder",
        Cut::Stopped(_) => "the time of one search was over; narrow it",
        _ => "the search ended early",
    }
}
