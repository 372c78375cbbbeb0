//! `edit_file`: exact text replaced by other text.

use std::io::{self, Write};
use std::marker::PhantomData;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::json;
use stigmer_agent::{Repeat, Tool, ToolResult};
use stigmer_policy::{Decision, JailPath, Request, decide};
use stigmer_sandbox::files::{Edit, EditError, MAX_EDIT_BYTES, PathFault, ReadError, Stop};

use super::file_tool::FileTool;
use super::{Place, changed, failed};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Args {
    file_path: String,
    old_string: String,
    new_string: String,
    #[serde(default)]
    replace_all: bool,
}

pub(super) fn tool(place: &Place) -> Arc<dyn Tool> {
    Arc::new(FileTool {
        name: "edit_file",
        description: "Replaces exact text in a file. The old text must occur once, unless `replace_all` is set; read the \
                      file first, and leave out the line numbers that `read_file` puts before each line.",
        schema: json!({
            "type": "object",
            "properties": {
                "file_path": { "type": "string", "description": "The file." },
                "old_string": { "type": "string", "description": "The text to replace, exactly as it stands." },
                "new_string": { "type": "string", "description": "What takes its place." },
                "replace_all": { "type": "boolean", "default": false, "description": "Replace every occurrence." },
            },
            "required": ["file_path", "old_string", "new_string"],
        }),
        repeat: Repeat::Never,
        place: place.clone(),
        writes: Some("file_path"),
        run: edit,
        args: PhantomData,
    })
}

fn edit(place: &Place, args: Args, _: Stop<'_>) -> ToolResult {
    let path = match place.path(&args.file_path) {
        Ok(path) => path,
        Err(result) => return result,
    };
    let (old, new) = (args.old_string.as_str(), args.new_string.as_str());
    match place.roots.edit(&path, Edit { old, new, all: args.replace_all }) {
        Ok(edited) => changed(replaced(&path, edited.replaced), &edited.change),
        Err(EditError::EmptyOld { .. } | EditError::Same { .. }) => unchanged(place, &path, &args),
        Err(EditError::NoMatch { .. }) => missing(old),
        Err(EditError::NotUnique { count, .. }) => several(old, count),
        Err(EditError::Path(PathFault::NotFound { .. } | PathFault::IsDirectory { .. })) => not_found(&path),
        Err(error) => failed(&format!("Error editing file '{path}'"), &error, error.denial(), error.hint()),
    }
}

fn replaced(path: &JailPath, count: usize) -> String {
    format!("Successfully replaced {count} instance(s) of the string in '{path}'")
}

fn missing(old: &str) -> ToolResult {
    ToolResult::error(format!("Error: String not found in file: '{old}'"))
}

fn several(old: &str, count: usize) -> ToolResult {
    ToolResult::error(format!(
        "Error: String '{old}' appears {count} times in file. Use replace_all=True to replace all instances, or provide \
         a more specific string with surrounding context."
    ))
}

fn not_found(path: &JailPath) -> ToolResult {
    ToolResult::error(format!("Error: File '{path}' not found"))
}

/// An edit that would change nothing, or into every gap: answered as the packages do, from the content, without a write.
fn unchanged(place: &Place, path: &JailPath, args: &Args) -> ToolResult {
    if let Decision::Deny(denial) = decide(place.roots.policy(), &Request::Write(path.clone())) {
        return ToolResult::denied(denial);
    }
    let mut content = Bounded(Vec::new());
    match place.roots.copy_out(path, &mut content) {
        Ok(_) => {}
        Err(ReadError::Path(PathFault::NotFound { .. } | PathFault::IsDirectory { .. })) => return not_found(path),
        Err(error) => return failed(&format!("Error editing file '{path}'"), &error, error.denial(), error.hint()),
    }
    let text = String::from_utf8_lossy(&content.0);
    let old = args.old_string.as_str();
    // An empty text stands before each character and at the end, as Python counts.
    let count = if old.is_empty() { text.chars().count() + 1 } else { text.matches(old).count() };
    match count {
        0 => missing(old),
        1 if !old.is_empty() => ToolResult::ok(replaced(path, 1)),
        count if args.replace_all && !old.is_empty() => ToolResult::ok(replaced(path, count)),
        count => several(old, count),
    }
}

/// Holds as much as may be edited.
struct Bounded(Vec<u8>);

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if (self.0.len() + bytes.len()) as u64 > MAX_EDIT_BYTES {
            return Err(io::Error::other(format!("the file is larger than {MAX_EDIT_BYTES} bytes")));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
