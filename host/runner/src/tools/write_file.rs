//! `write_file`: a new file.

use std::marker::PhantomData;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::json;
use stigmer_agent::{Repeat, Tool, ToolResult};
use stigmer_sandbox::files::{PathFault, PutError, Stop};

use super::file_tool::FileTool;
use super::{Place, changed, failed};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Args {
    file_path: String,
    content: String,
}

pub(super) fn tool(place: &Place) -> Arc<dyn Tool> {
    Arc::new(FileTool {
        name: "write_file",
        description: "Writes a new file, and the folders that it needs. A file that exists is not replaced: change it \
                      with `edit_file`.",
        schema: json!({
            "type": "object",
            "properties": {
                "file_path": { "type": "string", "description": "The new file." },
                "content": { "type": "string", "description": "Its whole content." },
            },
            "required": ["file_path", "content"],
        }),
        repeat: Repeat::Never,
        place: place.clone(),
        writes: Some("file_path"),
        run: write,
        args: PhantomData,
    })
}

fn write(place: &Place, args: Args, _: Stop<'_>) -> ToolResult {
    let path = match place.path(&args.file_path) {
        Ok(path) => path,
        Err(result) => return result,
    };
    match place.roots.write_new(&path, args.content.as_bytes()) {
        Ok(change) => changed(format!("Updated file {path}"), &change),
        Err(PutError::Exists { .. } | PutError::Path(PathFault::IsDirectory { .. })) => ToolResult::error(format!(
            "Cannot write to {path} because it already exists. Read and then make an edit, or write to a new path."
        )),
        Err(error) => failed(&format!("Error writing file '{path}'"), &error, error.denial(), error.hint()),
    }
}
