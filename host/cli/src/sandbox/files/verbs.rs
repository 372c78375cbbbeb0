//! The jailed side of the file verbs: runs in a confined process of its own, on the caller's stdin and stdout.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::Path;

use serde_json::json;
use stigmer_policy::{JailPath, Policy};
use stigmer_sandbox::files::{GrepOptions, Kind, LS_ENTRIES, PutOptions, Roots};
use stigmer_sandbox::init::JobTable;

/// The verbs by name.
pub(crate) const JOBS: JobTable = &[("put", put), ("get", get), ("ls", ls), ("grep", grep)];

/// What a verb says when it fails: one line.
struct Words(String);

fn put(policy: &Policy, arguments: &[OsString]) -> i32 {
    finish(
        "put",
        verb(policy, arguments, |roots, path| {
            let change = roots.put(path, &mut io::stdin().lock(), PutOptions::default());
            change.map(drop).map_err(|error| words(&error, error.hint()))
        }),
    )
}

fn get(policy: &Policy, arguments: &[OsString]) -> i32 {
    finish(
        "get",
        verb(policy, arguments, |roots, path| {
            let mut out = io::stdout().lock();
            roots.copy_out(path, &mut out).map_err(|error| words(&error, error.hint()))?;
            out.flush().map_err(|error| words(&error, None))
        }),
    )
}

fn ls(policy: &Policy, arguments: &[OsString]) -> i32 {
    finish(
        "ls",
        verb(policy, arguments, |roots, path| {
            let listing = roots.ls(path, LS_ENTRIES).map_err(|error| words(&error, error.hint()))?;
            let mut out = io::stdout().lock();
            for entry in &listing.entries {
                let name = entry.name.to_string_lossy();
                let line = if is_set(arguments, 1) {
                    let target = entry.link.as_ref().map(|link| link.target.to_string_lossy().into_owned());
                    json!({ "name": name, "kind": entry.kind.name(), "size": entry.size, "target": target }).to_string()
                } else if entry.kind == Kind::Folder {
                    format!("{name}/")
                } else {
                    name.into_owned()
                };
                writeln!(out, "{line}").map_err(|error| words(&error, None))?;
            }
            if listing.truncated {
                note(&format!("ls: only the first {} of {} names", listing.entries.len(), listing.total));
            }
            Ok(())
        }),
    )
}

fn grep(policy: &Policy, arguments: &[OsString]) -> i32 {
    let pattern = arguments.get(1).map(|pattern| pattern.to_string_lossy().into_owned()).unwrap_or_default();
    let mut found = false;
    let outcome = verb(policy, arguments, |roots, path| {
        let options = GrepOptions { regex: is_set(arguments, 2), ..GrepOptions::default() };
        let result = roots.grep(path, &pattern, options).map_err(|error| words(&error, error.hint()))?;
        let mut out = io::stdout().lock();
        for hit in &result.matches {
            let line = if is_set(arguments, 3) {
                json!({ "path": hit.path.to_string(), "line": hit.line, "text": hit.text, "cut": hit.cut }).to_string()
            } else {
                format!("{}:{}:{}", hit.path, hit.line, hit.text)
            };
            writeln!(out, "{line}").map_err(|error| words(&error, None))?;
        }
        for warning in &result.warnings {
            note(&format!("grep: `{}`: {}", warning.path, warning.text));
        }
        if let Some(cut) = result.truncated {
            note(&format!("grep: not all is shown ({})", cut.name()));
        }
        found = !result.matches.is_empty();
        Ok(())
    });
    match finish("grep", outcome) {
        0 if !found => 1,
        code => code,
    }
}

fn verb(
    policy: &Policy,
    arguments: &[OsString],
    run: impl FnOnce(&Roots, &JailPath) -> Result<(), Words>,
) -> Result<(), Words> {
    let path = arguments.first().ok_or_else(|| Words("no path was given".to_owned()))?;
    let path = JailPath::absolute(Path::new(path)).map_err(|error| words(&error, None))?;
    let roots = Roots::open(policy).map_err(|error| words(&error, error.hint()))?;
    run(&roots, &path)
}

fn is_set(arguments: &[OsString], index: usize) -> bool {
    arguments.get(index).is_some_and(|argument| argument == "1")
}

/// The whole chain and the advice in one line: callers of these verbs read one line.
fn words(error: &dyn std::error::Error, hint: Option<String>) -> Words {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text.push_str(&format!(": {inner}"));
        source = inner.source();
    }
    if let Some(hint) = hint {
        text.push_str(&format!(" (hint: {hint})"));
    }
    Words(text)
}

fn finish(verb: &str, outcome: Result<(), Words>) -> i32 {
    match outcome {
        Ok(()) => 0,
        Err(Words(text)) => {
            note(&format!("error: {verb}: {}", text.replace('\n', " ")));
            i32::from(crate::failure::SAID_NO)
        }
    }
}

fn note(line: &str) {
    // Nobody reads stderr any more: the exit code still says it.
    let _ = writeln!(io::stderr(), "{line}");
}
