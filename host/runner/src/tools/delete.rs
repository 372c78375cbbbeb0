//! `delete`: a file or an empty folder. Ours: without it a model deletes through the shell, past the file record.

use std::marker::PhantomData;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::json;
use stigmer_agent::{Repeat, Tool, ToolResult};
use stigmer_sandbox::files::{DeleteError, PathFault, Stop};

use super::file_tool::FileTool;
use super::{Place, changed, failed};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Args {
    file_path: String,
}

pub(super) fn tool(place: &Place) -> Arc<dyn Tool> {
    Arc::new(FileTool {
        name: "delete",
        description: "Deletes one file, link or empty folder.",
        schema: json!({
            "type": "object",
            "properties": { "file_path": { "type": "string", "description": "What to delete." } },
            "required": ["file_path"],
        }),
        repeat: Repeat::Never,
        place: place.clone(),
        writes: Some("file_path"),
        run: delete,
        args: PhantomData,
    })
}

fn delete(place: &Place, args: Args, _: Stop<'_>) -> ToolResult {
    let path = match place.path(&args.file_path) {
        Ok(path) => path,
        Err(result) => return result,
    };
    match place.roots.delete(&path, false) {
        Ok(removal) => changed(format!("Deleted {path}"), &removal.change),
        Err(DeleteError::Path(PathFault::NotFound { .. })) => {
            ToolResult::error(format!("Error: File '{path}' not found"))
        }
        Err(DeleteError::NotEmpty { .. }) => {
            ToolResult::error(format!("Error: Folder '{path}' is not empty. Delete what is in it first."))
        }
        Err(error) => failed(&format!("Error deleting '{path}'"), &error, error.denial(), error.hint()),
    }
}
