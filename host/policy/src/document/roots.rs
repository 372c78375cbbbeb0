//! Folders that a document may grant.

use super::Problem;
use crate::path::JailPath;

/// Trees that are never granted, whole or in part.
const TREES: &[(&str, &str)] = &[
    ("/proc", "processes are not files to grant"),
    ("/sys", "the kernel's settings are not files to grant"),
    ("/dev", "devices are not files to grant"),
    ("/run", "sockets and state of services lie there"),
    ("/boot", "the system's start lies there"),
    ("/etc", "files of the system are readable by list, passwords and keys lie beside them"),
];

/// Folders that are never granted whole.
const WHOLE: &[(&str, &str)] = &[
    ("/", "everything at once is not granted"),
    ("/home", "homes are not granted whole"),
    ("/root", "homes are not granted whole"),
    ("/tmp", "temporary files of all programs are not granted whole"),
    ("/var", "state of services is not granted whole"),
    ("/var/run", "sockets and state of services lie there"),
    ("/var/tmp", "temporary files of all programs are not granted whole"),
    ("/var/lib", "state of services is not granted whole"),
];

/// Why no document can grant `path`, whatever the execution.
pub(super) fn refused(path: &JailPath) -> Option<Problem> {
    let is = |text: &str| path.as_path() == std::path::Path::new(text);
    let within = |text: &str| path.as_path().starts_with(text);
    let why = TREES.iter().find(|(tree, _)| within(tree)).or_else(|| WHOLE.iter().find(|(folder, _)| is(folder)));
    why.map(|(_, why)| Problem::Refused { why })
}

/// A path as a document writes it: absolute and in its clean form.
pub(super) fn path(text: &str) -> Result<JailPath, Problem> {
    if text.starts_with('~') {
        return Err(Problem::Tilde);
    }
    let clean = JailPath::absolute(text)?;
    if clean.as_path().as_os_str() == text { Ok(clean) } else { Err(Problem::Unclean { clean }) }
}
