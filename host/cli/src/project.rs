//! A project's own policy file, which this version does not read.

use std::path::Path;

use crate::printer::Printer;

/// The file's name, in the root of a workspace. It is on the list of protected paths already.
const FILE: &str = "stigmer.toml";

/// Says that the file in `workspace` narrows nothing: whoever wrote it would think that it does.
pub(crate) fn say_unread(workspace: &Path, printer: &Printer) {
    if workspace.join(FILE).symlink_metadata().is_ok() {
        printer.note(format_args!("`{FILE}` in the workspace is not read by this version"));
        printer.hint(format_args!("name a policy document with `--policy FILE`"));
    }
}
