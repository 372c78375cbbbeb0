//! Appends the doc comments of a WIT package to a component: `append-docs COMPONENT WIT-FOLDER OUT`.
//!
//! A step of builds; nothing of it runs where plugins run.

#![expect(clippy::disallowed_methods, reason = "a build step reads and writes the files that its command line names")]

use std::error::Error;
use std::path::Path;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let [component, wit, out] = arguments.as_slice() else {
        return Err("usage: append-docs COMPONENT WIT-FOLDER OUT".into());
    };
    let component = std::fs::read(component)?;
    std::fs::write(out, stigmer_plugin::append_docs(&component, Path::new(wit))?)?;
    Ok(())
}
