//! Reading and writing.

use crate::document::{self, grant};
use crate::path::JailPath;
use crate::policy::{Access, Policy, RootKind};
use crate::protected;
use crate::request::{Decision, Denial, plain};
use crate::rule::Rule;

/// Reading needs a root or a listed system file; protected paths are readable.
pub(super) fn read(policy: &Policy, path: &JailPath) -> Decision {
    if policy.root_of(path).is_some() {
        return Decision::Allow { rule: Rule::Roots };
    }
    if is_system(policy, path) {
        return Decision::Allow { rule: Rule::SystemFiles };
    }
    outside("read", path, grant::root(policy, document::READ, path))
}

/// Writing needs a root that grants it, and a path that is not protected.
pub(super) fn write(policy: &Policy, path: &JailPath) -> Decision {
    let root = policy.root_of(path);
    if root.is_some() {
        if let Some(found) = protected::matches(policy, path) {
            return deny(
                Rule::ProtectedPaths,
                path,
                format!("`{}` is a protected path: it can be read, not changed", plain(&found.pattern)),
                grant::unprotect(&found.pattern),
            );
        }
        if protected::is_repository(policy, path) {
            let reason = "a repository's `.git` is not written itself: it decides which hooks and settings git runs";
            return deny(Rule::ProtectedPaths, path, reason.to_owned(), None);
        }
    }
    match root {
        Some(root) if root.access == Access::ReadWrite => Decision::Allow { rule: Rule::Roots },
        Some(root) => {
            let (what, grant) = match root.kind {
                RootKind::Workspace => ("the workspace", Some(grant::workspace())),
                RootKind::Extra => ("this folder", grant::write_instead(&root.path)),
                RootKind::Skill => ("a skill", None),
                RootKind::Tools => ("a folder of tools", None),
                RootKind::Scratch | RootKind::Home => ("this folder", None),
            };
            deny(Rule::ReadOnlyRoot, path, format!("{what} is granted for reading only"), grant)
        }
        None if is_system(policy, path) => {
            deny(Rule::SystemFiles, path, "files of the system are readable, not writable".to_owned(), None)
        }
        None => outside("write", path, grant::root(policy, document::WRITE, path)),
    }
}

fn is_system(policy: &Policy, path: &JailPath) -> bool {
    policy.system.iter().any(|listed| path.is_within(listed))
}

fn outside(verb: &str, path: &JailPath, grant: Option<String>) -> Decision {
    let reason = match verb {
        "read" => "the path lies outside the granted folders and the listed system files",
        _ => "the path lies outside the granted folders",
    };
    Decision::Deny(Denial {
        rule: Rule::OutsideRoots,
        subject: format!("{verb} {}", plain(&path.to_string())),
        reason: reason.to_owned(),
        grant,
    })
}

fn deny(rule: Rule, path: &JailPath, reason: String, grant: Option<String>) -> Decision {
    Decision::Deny(Denial { rule, subject: format!("write {}", plain(&path.to_string())), reason, grant })
}
