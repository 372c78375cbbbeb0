//! The environment of commands: a fixed list of names, and what the policy names besides.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use stigmer_policy::{Access, Level, Policy, RootKind, decide};
use stigmer_policy::{Request, environment, tools};

use super::{Folders, Person};

/// Entries that close every PATH.
const LAST_ENTRIES: &[&str] = &["/usr/local/bin", "/usr/bin", "/bin"];
/// Variables of tool rows that name a folder which the tool also writes to. They are not passed on: only programs are
/// granted there, read-only, and without the variable the tool keeps its caches in the jail's own home.
const WRITTEN: &[&str] = &["CARGO_HOME", "GOPATH", "BUN_INSTALL"];
/// Language of messages when the person has none.
const DEFAULT_LANG: &str = "C.UTF-8";

/// The whole environment of a command, `NAME=value`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Environment {
    pairs: Vec<(OsString, OsString)>,
}

impl Environment {
    /// Makes the environment of commands under `policy`: nothing of the person's arrives but what is always given, what
    /// the tool table names, and what the policy lists.
    #[must_use]
    pub fn of(policy: &Policy, level: Level, person: &Person, folders: &Folders) -> Environment {
        let mut out = Environment { pairs: Vec::new() };
        for (name, value) in &person.environment {
            let Some(text) = name.to_str() else { continue };
            let tool = tools::variables().any(|variable| variable == text) && !WRITTEN.contains(&text);
            let given = environment::is_always(text) || decide(policy, &Request::Env(text.to_owned())).is_allowed();
            if given || tool {
                out.set(name, value);
            }
        }
        if level != Level::Full {
            out.name_tool_folders(policy, person);
        }
        out.set("PATH", path(policy, person));
        out.set("HOME", folders.home.as_path());
        out.set("TMPDIR", folders.scratch.as_path());
        out.set("STIGMER_SANDBOX", level.name());
        out.set("NO_COLOR", "1");
        for (name, value) in [("LANG", DEFAULT_LANG), ("SHELL", "/bin/sh"), ("TERM", "dumb")] {
            if out.get(name).is_none() || name == "SHELL" {
                out.set(name, value);
            }
        }
        out
    }

    /// Below full level HOME is another folder, so tools that look below it are told where their versions lie.
    fn name_tool_folders(&mut self, policy: &Policy, person: &Person) {
        for row in tools::TOOLS {
            let Some(variable) = row.variable.filter(|variable| !WRITTEN.contains(variable)) else { continue };
            let folder = person.home.join(row.default);
            let granted =
                |root: &stigmer_policy::Root| root.kind == RootKind::Tools && root.path.as_path().starts_with(&folder);
            if self.get(variable).is_none() && policy.roots.iter().any(granted) {
                self.set(variable, folder);
            }
        }
    }

    /// Sets one variable.
    pub fn set(&mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) {
        let (name, value) = (name.as_ref(), value.as_ref());
        self.pairs.retain(|(known, _)| known != name);
        self.pairs.push((name.to_owned(), value.to_owned()));
    }

    /// The value of one variable.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&OsStr> {
        self.pairs.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_os_str())
    }

    /// As execve(2) takes it.
    #[must_use]
    pub fn to_pairs(&self) -> Vec<Vec<u8>> {
        let join = |(name, value): &(OsString, OsString)| [name.as_bytes(), b"=", value.as_bytes()].concat();
        self.pairs.iter().map(join).collect()
    }
}

/// The person's PATH without what is not a system or tool folder: an entry in the workspace would let code that the
/// agent wrote stand in for a program.
fn path(policy: &Policy, person: &Person) -> OsString {
    let typed = person.environment.get(OsStr::new("PATH")).cloned().unwrap_or_default();
    let mut entries: Vec<Vec<u8>> = Vec::new();
    let kept = typed.as_bytes().split(|byte| *byte == b':').filter(|entry| is_tool_folder(policy, entry));
    for entry in kept.chain(LAST_ENTRIES.iter().map(|entry| entry.as_bytes())) {
        if !entries.iter().any(|known| known == entry) {
            entries.push(entry.to_vec());
        }
    }
    OsStr::from_bytes(&entries.join(&b':')).to_owned()
}

fn is_tool_folder(policy: &Policy, entry: &[u8]) -> bool {
    let Ok(entry) = stigmer_policy::JailPath::absolute(Path::new(OsStr::from_bytes(entry))) else { return false };
    let writable = policy.roots.iter().any(|root| root.access == Access::ReadWrite && entry.is_within(&root.path));
    let tool = policy.roots.iter().any(|root| root.kind == RootKind::Tools && entry.is_within(&root.path));
    let system = policy.system.iter().any(|path| entry.is_within(path));
    tool || (system && !writable)
}
