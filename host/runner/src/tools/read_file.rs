//! `read_file`: lines of a text file, numbered.

use std::fmt::Write;
use std::marker::PhantomData;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::json;
use stigmer_agent::{Repeat, Tool, ToolResult};
use stigmer_policy::JailPath;
use stigmer_sandbox::files::{Line, Lines, LinesOptions, PAGE_BYTES, Page, PathFault, ReadError, ReadOptions, Stop};

use super::file_tool::FileTool;
use super::{Place, failed};

/// Lines of one page where the caller does not say.
const DEFAULT_LINES: u64 = 500;
/// Characters of a line that stand under one number; the rest follows as `5.1`, `5.2`.
const LINE_CHARACTERS: usize = 10_000;
/// What the packages say of a file without a word in it.
const EMPTY: &str = "System reminder: File exists but has empty contents";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Args {
    file_path: String,
    #[serde(default)]
    offset: u64,
    #[serde(default = "default_lines")]
    limit: u64,
}

fn default_lines() -> u64 {
    DEFAULT_LINES
}

pub(super) fn tool(place: &Place) -> Arc<dyn Tool> {
    Arc::new(FileTool {
        name: "read_file",
        description: "Reads a text file, each line with its number. Long files are read in pages by `offset` and `limit`.",
        schema: json!({
            "type": "object",
            "properties": {
                "file_path": { "type": "string", "description": "The file." },
                "offset": { "type": "integer", "default": 0, "description": "Lines to skip." },
                "limit": { "type": "integer", "default": DEFAULT_LINES, "description": "Lines to read." },
            },
            "required": ["file_path"],
        }),
        repeat: Repeat::Safe,
        place: place.clone(),
        writes: None,
        run: read,
        args: PhantomData,
    })
}

fn read(place: &Place, args: Args, stop: Stop<'_>) -> ToolResult {
    let path = match place.path(&args.file_path) {
        Ok(path) => path,
        Err(result) => return result,
    };
    let limit = usize::try_from(args.limit).unwrap_or(usize::MAX);
    let options = LinesOptions { offset: args.offset, limit, max_line: PAGE_BYTES, stop };
    match place.roots.read_lines(&path, options) {
        Ok(Page::Text(page)) if page.lossy => not_text(place, &path),
        Ok(Page::Text(page)) => shown(&page, &args),
        Ok(Page::Binary { media: Some(media), .. }) => {
            ToolResult::error(format!("Error reading file '{path}': it is no text but a picture ({media})"))
        }
        Ok(Page::Binary { .. }) => not_text(place, &path),
        Err(ReadError::Path(PathFault::NotFound { .. } | PathFault::IsDirectory { .. })) => {
            ToolResult::error(format!("Error: File '{path}' not found"))
        }
        Err(error) => failed(&format!("Error reading file '{path}'"), &error, error.denial(), error.hint()),
    }
}

/// Says where the bytes stop being text, as far as the first part of the file shows it.
fn not_text(place: &Place, path: &JailPath) -> ToolResult {
    let first = place.roots.read(path, ReadOptions::default()).ok();
    let at = first.as_ref().and_then(|read| std::str::from_utf8(&read.bytes).err()).map(|error| error.valid_up_to());
    let why = match at {
        Some(at) => format!("not UTF-8 text, at byte {at}"),
        None => "not UTF-8 text".to_owned(),
    };
    ToolResult::error(format!("Error reading file '{path}': {why}"))
}

fn shown(page: &Lines, args: &Args) -> ToolResult {
    let to_the_end = page.next.is_none() && page.cut.is_none();
    if args.offset == 0 && to_the_end && page.lines.iter().all(|line| line.text.trim().is_empty()) {
        return ToolResult::ok(EMPTY);
    }
    if let (true, Some(total)) = (page.lines.is_empty() && args.limit > 0, page.total) {
        let offset = args.offset;
        return ToolResult::error(format!("Error: Line offset {offset} exceeds file length ({total} lines)"));
    }
    let mut out = String::new();
    for line in &page.lines {
        numbered(&mut out, line);
    }
    out.pop();
    if let (Some(_), Some(next)) = (page.cut, page.next) {
        let _ = write!(out, "\n[one page holds no more: read on with `offset` {next}]");
    }
    ToolResult::ok(out)
}

/// Writing to a `String` cannot fail.
fn numbered(out: &mut String, line: &Line) {
    let characters: Vec<char> = line.text.chars().collect();
    let mut parts = characters.chunks(LINE_CHARACTERS);
    let first: String = parts.next().unwrap_or_default().iter().collect();
    let _ = writeln!(out, "{:>6}\t{first}", line.number);
    for (place, part) in parts.enumerate() {
        let part: String = part.iter().collect();
        let _ = writeln!(out, "{:>6}\t{part}", format!("{}.{}", line.number, place + 1));
    }
    if line.left_out > 0 {
        let _ = writeln!(out, "{:>6}\t[{} more bytes of this line are left out]", "", line.left_out);
    }
}
