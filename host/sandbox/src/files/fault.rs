//! Why a path could not be reached: the cases that every verb shares.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::PathBuf;

use rustix::io::Errno;
use stigmer_policy::request::plain;
use stigmer_policy::{Denial, JailPath, Rule};

use super::node::Kind;

/// Why a verb did not get to the place that a path names. One type for all verbs, so that a case reads the same
/// everywhere; each verb's own error wraps it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PathFault {
    /// The policy grants nothing there.
    #[error("`{}` lies outside the root", shown(path))]
    Outside {
        /// The path that was refused.
        path: JailPath,
        /// The refusal, with its rule.
        denial: Box<Denial>,
        /// What lies at the same path below the workspace, where something does: relative to the workspace.
        instead: Option<PathBuf>,
    },
    /// On the protected list, or a folder that holds something on it.
    #[error("`{}` is protected", shown(path))]
    Protected {
        /// The path that was refused.
        path: JailPath,
        /// The refusal, with its rule.
        denial: Box<Denial>,
    },
    /// Granted for reading only.
    #[error("`{}` is read-only", shown(path))]
    ReadOnly {
        /// The path that was refused.
        path: JailPath,
        /// The refusal, with its rule.
        denial: Box<Denial>,
    },
    /// A symbolic link on the way leads out of the root that it lies in.
    #[error("`{}` is a link to `{}`, outside the root", shown(link), held(target))]
    LinkOutside {
        /// The link.
        link: JailPath,
        /// What it holds.
        target: OsString,
        /// The refusal, with its rule.
        denial: Box<Denial>,
    },
    /// A symbolic link on the way holds an absolute target; such links are not followed, even when they point back in.
    #[error("`{}` is a link to the absolute path `{}`, which is not followed", shown(link), held(target))]
    AbsoluteLink {
        /// The link.
        link: JailPath,
        /// What it holds.
        target: OsString,
        /// The path to use instead, where the policy grants it.
        instead: Option<JailPath>,
        /// The refusal, with its rule.
        denial: Box<Denial>,
    },
    /// A symbolic link whose target does not exist, where something is to be written.
    #[error("`{}` is a link to `{}`, which does not exist", shown(link), held(target))]
    DanglingLink {
        /// The link.
        link: JailPath,
        /// What it holds.
        target: OsString,
    },
    /// More links than the kernel itself would follow (40, path_resolution(7)).
    #[error("too many links on the way to `{}`", shown(path))]
    LinkLoop {
        /// The path as it was asked for.
        path: JailPath,
    },
    /// Nothing is there.
    #[error("no such file or folder: `{}`", shown(path))]
    NotFound {
        /// The path that is missing.
        path: JailPath,
    },
    /// A folder where a file is needed.
    #[error("`{}` is a directory", shown(path))]
    IsDirectory {
        /// The folder.
        path: JailPath,
    },
    /// Not a folder where one is needed.
    #[error("`{}` is not a directory", shown(path))]
    NotADirectory {
        /// What is no folder.
        path: JailPath,
    },
    /// A FIFO, socket, device or link where a regular file is needed.
    #[error("`{}` is a {kind}, not a regular file", shown(path))]
    NotRegular {
        /// The path.
        path: JailPath,
        /// What it is.
        kind: Kind,
    },
    /// The kernel refuses: file mode, ownership, a mount, a Landlock domain.
    #[error("permission denied for `{}`", shown(path))]
    PermissionDenied {
        /// The path.
        path: JailPath,
        /// EACCES, EPERM or EROFS.
        source: io::Error,
    },
    /// A name longer than the file system takes.
    #[error("name too long: `{}`", shown(path))]
    NameTooLong {
        /// The path.
        path: JailPath,
    },
    /// The file has another name, which may lie outside, and this execution did not make it.
    #[error("`{}` has {links} hard links", shown(path))]
    HardLinked {
        /// The path.
        path: JailPath,
        /// How many names the file has.
        links: u64,
    },
    /// Something else replaced it while the verb was at work.
    #[error("`{}` changed at the same time", shown(path))]
    ChangedMeanwhile {
        /// The path.
        path: JailPath,
    },
    /// Any other failure of the kernel.
    #[error("could not {doing} `{}`", shown(path))]
    Io {
        /// What was tried: `open`, `list`.
        doing: &'static str,
        /// On what.
        path: JailPath,
        /// Why it failed.
        source: io::Error,
    },
}

impl PathFault {
    /// The stable name of the case, for machines: `outside`, `not-found`.
    #[must_use]
    pub fn case(&self) -> &'static str {
        match self {
            PathFault::Outside { .. } => "outside",
            PathFault::Protected { .. } => "protected",
            PathFault::ReadOnly { .. } => "read-only",
            PathFault::LinkOutside { .. } => "link-outside",
            PathFault::AbsoluteLink { .. } => "absolute-link",
            PathFault::DanglingLink { .. } => "dangling-link",
            PathFault::LinkLoop { .. } => "link-loop",
            PathFault::NotFound { .. } => "not-found",
            PathFault::IsDirectory { .. } => "is-a-directory",
            PathFault::NotADirectory { .. } => "not-a-directory",
            PathFault::NotRegular { .. } => "not-a-regular-file",
            PathFault::PermissionDenied { .. } => "permission-denied",
            PathFault::NameTooLong { .. } => "name-too-long",
            PathFault::HardLinked { .. } => "hard-linked",
            PathFault::ChangedMeanwhile { .. } => "changed-meanwhile",
            PathFault::Io { .. } => "io",
        }
    }

    /// What to do about it, where that is known.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            // Taking the root for `/` is the commonest mistake of models and people alike.
            PathFault::Outside { instead: Some(below), .. } => {
                Some(format!("did you mean `{}`?", plain(&below.to_string_lossy())))
            }
            PathFault::AbsoluteLink { instead: Some(path), .. } => Some(format!("name `{}` itself", shown(path))),
            PathFault::AbsoluteLink { .. } => Some("make the link relative if it stays inside the root".to_owned()),
            PathFault::DanglingLink { .. } => Some("write to the link's target, or delete the link first".to_owned()),
            PathFault::HardLinked { .. } => {
                Some("delete it and write it anew, so that the other name stays as it is".to_owned())
            }
            PathFault::ChangedMeanwhile { .. } => Some("read it again, then repeat the change".to_owned()),
            PathFault::NotRegular { kind: Kind::Link, .. } => Some("name the file that the link leads to".to_owned()),
            _ => None,
        }
    }

    /// The policy's refusal, where it was the policy that refused.
    #[must_use]
    pub fn denial(&self) -> Option<&Denial> {
        match self {
            PathFault::Outside { denial, .. }
            | PathFault::Protected { denial, .. }
            | PathFault::ReadOnly { denial, .. }
            | PathFault::LinkOutside { denial, .. }
            | PathFault::AbsoluteLink { denial, .. } => Some(denial),
            _ => None,
        }
    }

    /// The case that a denial of `path` is.
    pub(super) fn denied(path: JailPath, denial: Denial) -> Self {
        let denial = Box::new(denial);
        match denial.rule {
            Rule::ProtectedPaths => PathFault::Protected { path, denial },
            Rule::ReadOnlyRoot | Rule::SystemFiles => PathFault::ReadOnly { path, denial },
            _ => PathFault::Outside { path, denial, instead: None },
        }
    }

    /// The case that a failed call on `path` is.
    pub(super) fn from_errno(doing: &'static str, path: &JailPath, errno: Errno) -> Self {
        let path = path.clone();
        match errno {
            Errno::NOENT => PathFault::NotFound { path },
            Errno::ISDIR => PathFault::IsDirectory { path },
            Errno::NOTDIR => PathFault::NotADirectory { path },
            Errno::NAMETOOLONG => PathFault::NameTooLong { path },
            // Every open names O_NOFOLLOW: a link there was swapped in after the walk saw something else.
            Errno::LOOP => PathFault::ChangedMeanwhile { path },
            Errno::ACCESS | Errno::PERM | Errno::ROFS => PathFault::PermissionDenied { path, source: errno.into() },
            _ => PathFault::Io { doing, path, source: errno.into() },
        }
    }
}

/// A path as a message names it: one line, whatever bytes it holds.
pub(super) fn shown(path: &JailPath) -> String {
    plain(&path.to_string())
}

fn held(target: &OsStr) -> String {
    plain(&target.to_string_lossy())
}

/// Gives a verb's error, which wraps a [`PathFault`] in its variant `Path`, the three questions that all share; the arms
/// answer for the verb's own variants.
macro_rules! verb_error {
    ($error:ident, case { $($variant:pat => $case:expr,)* } hint { $($hinted:pat => $hint:expr,)* }) => {
        impl $error {
            /// The stable name of the case, for machines.
            #[must_use]
            pub fn case(&self) -> &'static str {
                match self {
                    Self::Path(fault) => fault.case(),
                    $($variant => $case,)*
                }
            }

            /// What to do about it, where that is known.
            #[must_use]
            pub fn hint(&self) -> Option<String> {
                match self {
                    Self::Path(fault) => fault.hint(),
                    $($hinted => $hint,)*
                }
            }

            /// The policy's refusal, where it was the policy that refused.
            #[must_use]
            pub fn denial(&self) -> Option<&stigmer_policy::Denial> {
                match self {
                    Self::Path(fault) => fault.denial(),
                    $($variant => None,)*
                }
            }
        }
    };
}
pub(super) use verb_error;
