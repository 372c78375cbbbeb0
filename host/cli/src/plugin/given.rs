//! Folders that a person names for one call of a plugin.

use std::path::Path;

use anyhow::{Context, anyhow};
use stigmer_policy::policy::{Root, RootKind};
use stigmer_policy::{Access, JailPath};
use stigmer_sandbox::prepare::{RunFolder, WorkspaceError, check_workspace};

use super::workbench::Workbench;
use crate::failure::Failure;

/// What a plugin sees of the person's folders.
pub(super) struct Given {
    /// The first, or an empty one.
    pub(super) workspace: JailPath,
    pub(super) read_only: bool,
    /// The others.
    pub(super) beside: Vec<Root>,
    /// The empty one, when none was named; removed at the end.
    _empty: Option<RunFolder>,
}

impl Given {
    pub(super) fn of(typed: &[String], bench: &Workbench) -> Result<Given, Failure> {
        let Some((first, others)) = typed.split_first() else {
            let folder = RunFolder::create(bench.home.path(), &format!("none-{}", ulid::Ulid::new()));
            let folder = folder.context("could not make an empty folder")?;
            let workspace =
                JailPath::absolute(folder.path().join("tmp")).context("the home folder is no path for a jail")?;
            return Ok(Given { workspace, read_only: true, beside: Vec::new(), _empty: Some(folder) });
        };
        let (workspace, access) = folder(first, bench)?;
        let mut beside: Vec<Root> = Vec::new();
        for typed in others {
            let (path, access) = folder(typed, bench)?;
            if path == workspace || beside.iter().any(|root| root.path == path) {
                return Err(Failure::usage(anyhow!("`--dir {typed}`: the folder is named twice")));
            }
            // Inside a folder that is given already a narrower one would promise what a handle cannot hold.
            let known = std::iter::once(&workspace).chain(beside.iter().map(|root| &root.path));
            if let Some(known) = known.into_iter().find(|known| path.is_within(known) || known.is_within(&path)) {
                return Err(Failure::usage(anyhow!("`--dir {typed}`: one of it and `{known}` lies in the other")));
            }
            beside.push(Root { path, access, kind: RootKind::Extra });
        }
        Ok(Given { workspace, read_only: access == Access::ReadOnly, beside, _empty: None })
    }
}

/// One `FOLDER[:ro|rw]`.
fn folder(typed: &str, bench: &Workbench) -> Result<(JailPath, Access), Failure> {
    let (folder, access) = split(typed);
    let path = check_workspace(Path::new(folder), &bench.person).map_err(|error| {
        let hint = match &error {
            WorkspaceError::Unreadable { .. } if folder.contains("::") => {
                Some("a folder has the same path inside as outside: `--dir FOLDER`, or `--dir FOLDER:ro`".to_owned())
            }
            WorkspaceError::Dangerous { .. } => Some("name one project folder".to_owned()),
            _ => None,
        };
        Failure::usage(anyhow!("`--dir {typed}`: {}", reason(folder, &error))).hint(hint)
    })?;
    Ok((JailPath::absolute(&path).map_err(Failure::usage)?, access))
}

fn split(typed: &str) -> (&str, Access) {
    match typed.rsplit_once(':') {
        Some((folder, "ro")) => (folder, Access::ReadOnly),
        Some((folder, "rw")) => (folder, Access::ReadWrite),
        _ => (typed, Access::ReadWrite),
    }
}

/// What is wrong with the folder; the checks are those of a workspace, the words need not be.
fn reason(folder: &str, error: &WorkspaceError) -> String {
    match error {
        WorkspaceError::Unreadable { source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
            format!("there is no folder `{folder}`")
        }
        WorkspaceError::Unreadable { source, .. } => format!("`{folder}` cannot be opened: {source}"),
        WorkspaceError::NotAFolder { .. } => format!("`{folder}` is not a folder"),
        WorkspaceError::Dangerous { path, reason } => format!("`{}` is not given to plugins: {reason}", path.display()),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_known_ending_is_taken_off() {
        for (typed, folder, access) in [
            ("/w", "/w", Access::ReadWrite),
            ("/w:ro", "/w", Access::ReadOnly),
            ("/w:rw", "/w", Access::ReadWrite),
            ("/a:b", "/a:b", Access::ReadWrite),
            ("/w:ro:ro", "/w:ro", Access::ReadOnly),
        ] {
            assert_eq!(split(typed), (folder, access), "{typed}");
        }
    }
}
