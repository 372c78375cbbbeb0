//! `ls`: the names in a folder.

use std::marker::PhantomData;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::json;
use stigmer_agent::{Repeat, Tool, ToolResult, python};
use stigmer_sandbox::files::{Entry, Kind, LS_ENTRIES, LinkLeads, LsError, PathFault, Stop};

use super::file_tool::FileTool;
use super::{Place, failed};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Args {
    path: String,
}

pub(super) fn tool(place: &Place) -> Arc<dyn Tool> {
    Arc::new(FileTool {
        name: "ls",
        description: "Lists the files and folders in one folder, as full paths; folders end with `/`.",
        schema: json!({
            "type": "object",
            "properties": { "path": { "type": "string", "description": "The folder." } },
            "required": ["path"],
        }),
        repeat: Repeat::Safe,
        place: place.clone(),
        writes: None,
        run: list,
        args: PhantomData,
    })
}

fn list(place: &Place, args: Args, _: Stop<'_>) -> ToolResult {
    let path = match place.folder(Some(&args.path)) {
        Ok(path) => path,
        Err(result) => return result,
    };
    match place.roots.ls(&path, LS_ENTRIES) {
        Ok(listing) => {
            let base = path.to_string();
            let base = base.trim_end_matches('/');
            let mut names: Vec<String> = listing.entries.iter().map(|entry| name(base, entry)).collect();
            names.sort_unstable();
            let mut text = python::list(names);
            if listing.truncated {
                text.push_str(&format!("\n[{} more are left out]", listing.total - listing.entries.len()));
            }
            ToolResult::ok(text)
        }
        Err(LsError::Path(PathFault::NotFound { .. } | PathFault::NotADirectory { .. })) => ToolResult::ok("[]"),
        Err(error) => failed("Error listing the folder", &error, error.denial(), error.hint()),
    }
}

fn name(base: &str, entry: &Entry) -> String {
    let leads = entry.link.as_ref().map(|link| link.leads);
    let folder = entry.kind == Kind::Folder || leads == Some(LinkLeads::Inside(Kind::Folder));
    format!("{base}/{}{}", entry.name.to_string_lossy(), if folder { "/" } else { "" })
}
