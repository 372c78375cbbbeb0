//! The bounded walk down a folder that `glob` and `grep` share.

use std::ffi::{OsStr, OsString};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use cap_std::fs::Dir;
use stigmer_policy::JailPath;

use super::draft;
use super::fault::PathFault;
use super::ignored::Ignored;
use super::node::{self, Kind};
use super::resolve::{Want, ask};
use super::roots::Roots;
use super::stop::{Stop, Stopped};

/// Folders below the start that a verb goes down. Each holds a descriptor while the walk is in it, and several calls
/// run at once within the limit on descriptors; package trees nest some forty deep.
pub const MAX_DEPTH: usize = 64;

/// Names that one walk looks at.
pub const MAX_ENTRIES: usize = 500_000;

/// Time for one search where the caller sets no deadline.
pub const SEARCH_TIME: Duration = Duration::from_secs(30);

/// Warnings that are kept; the rest is counted.
pub(super) const WARNINGS: usize = 100;

/// Something that a search could not look into. It goes on all the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// Where.
    pub path: JailPath,
    /// Stable name of the case: those of [`PathFault::case`], and `too-deep`, `line-too-long`, `too-large`,
    /// `bad-ignore-file`.
    pub case: &'static str,
    /// The same in words.
    pub text: String,
}

/// Why a result is not the whole of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cut {
    /// The cap on names looked at.
    Entries,
    /// The cap on results.
    Results,
    /// The caller or the clock ended it.
    Stopped(Stopped),
}

impl Cut {
    /// The name in records: `entries`, `results`, `cancelled`, `deadline`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Cut::Entries => "entries",
            Cut::Results => "results",
            Cut::Stopped(stopped) => stopped.name(),
        }
    }
}

/// Warnings, the first of them in full.
#[derive(Debug, Default)]
pub(super) struct Warnings {
    pub(super) rows: Vec<Warning>,
    pub(super) count: usize,
}

impl Warnings {
    pub(super) fn add(&mut self, path: &JailPath, case: &'static str, text: String) {
        self.count += 1;
        if self.rows.len() < WARNINGS {
            self.rows.push(Warning { path: path.clone(), case, text });
        }
    }

    pub(super) fn fault(&mut self, path: &JailPath, fault: &PathFault) {
        self.add(path, fault.case(), fault.to_string());
    }
}

/// What the walk is at.
pub(super) struct Found<'w> {
    /// The folder that it lies in.
    pub(super) dir: &'w Dir,
    pub(super) name: &'w OsStr,
    pub(super) path: &'w JailPath,
    /// Relative to where the walk began.
    pub(super) below: &'w Path,
    /// Folders between there and here: 0 for the names in the first folder.
    pub(super) depth: usize,
    pub(super) kind: Kind,
}

/// What to do after a visit.
pub(super) enum Next {
    /// Go on, into it if it is a folder.
    On,
    /// Go on, but not into it.
    Past,
    /// The cap on results is reached.
    Enough,
}

/// One walk, names in byte order, links never followed.
pub(super) struct Walk<'a> {
    pub(super) roots: &'a Roots,
    pub(super) stop: Stop<'a>,
    /// Leave out what `.gitignore` files name, and `.git` itself.
    pub(super) ignore: bool,
    /// Whether names that begin with a dot are looked at.
    pub(super) hidden: bool,
    /// Deepest `depth` that is visited.
    pub(super) max_depth: usize,
    pub(super) warnings: Warnings,
    pub(super) entries_left: usize,
    pub(super) cut: Option<Cut>,
}

impl<'a> Walk<'a> {
    pub(super) fn new(roots: &'a Roots, stop: Stop<'a>, ignore: bool, hidden: bool) -> Self {
        let deadline = stop.deadline.or_else(|| Instant::now().checked_add(SEARCH_TIME));
        Walk {
            roots,
            stop: Stop { deadline, ..stop },
            ignore,
            hidden,
            max_depth: MAX_DEPTH,
            warnings: Warnings::default(),
            entries_left: MAX_ENTRIES,
            cut: None,
        }
    }

    /// Visits everything below `dir`, which is `path`. Folders that cannot be read become warnings; the first one is
    /// the caller's own fault and fails.
    pub(super) fn run(
        &mut self,
        dir: &Dir,
        path: &JailPath,
        visit: &mut dyn FnMut(&mut Self, &Found<'_>) -> Next,
    ) -> Result<(), PathFault> {
        let mut ignored = Ignored::default();
        if self.ignore {
            ignored.add_ancestors(self.roots, path, &mut self.warnings);
        }
        let names = self.names(dir, path)?;
        let _ = self.level(dir, path, Path::new(""), 0, names, &mut ignored, visit);
        Ok(())
    }

    #[expect(clippy::too_many_arguments, reason = "the state of one level, spelled out beats a struct used once")]
    fn level(
        &mut self,
        dir: &Dir,
        at: &JailPath,
        below: &Path,
        depth: usize,
        names: Vec<(OsString, Option<Kind>)>,
        ignored: &mut Ignored,
        visit: &mut dyn FnMut(&mut Self, &Found<'_>) -> Next,
    ) -> ControlFlow<()> {
        let rules = if self.ignore { ignored.add(dir, at, &mut self.warnings) } else { 0 };
        for (name, kind) in names {
            if let Some(stopped) = self.stop.now() {
                return self.end(Cut::Stopped(stopped));
            }
            let Ok(path) = at.join(&name) else {
                self.warnings.add(at, "name-too-long", format!("a path below `{at}` is too long"));
                continue;
            };
            let Some(kind) = self.kind(dir, &name, &path, kind) else { continue };
            if self.ignore && (name == ".git" || ignored.matches(&path, kind == Kind::Folder)) {
                continue;
            }
            if let Err(fault) = ask(self.roots, Want::Read, &path) {
                self.warnings.fault(&path, &fault);
                continue;
            }
            let below: PathBuf = below.join(&name);
            let found = Found { dir, name: &name, path: &path, below: &below, depth, kind };
            match visit(self, &found) {
                Next::Enough => return self.end(Cut::Results),
                Next::On if kind == Kind::Folder && depth < self.max_depth => {
                    self.descend(&found, ignored, visit)?;
                }
                Next::On | Next::Past => {}
            }
            if self.cut.is_some() {
                return ControlFlow::Break(());
            }
        }
        ignored.drop_last(rules);
        ControlFlow::Continue(())
    }

    fn descend(
        &mut self,
        found: &Found<'_>,
        ignored: &mut Ignored,
        visit: &mut dyn FnMut(&mut Self, &Found<'_>) -> Next,
    ) -> ControlFlow<()> {
        if found.depth + 1 >= MAX_DEPTH {
            self.warnings.add(found.path, "too-deep", format!("`{}` lies too deep to be searched", found.path));
            return ControlFlow::Continue(());
        }
        let opened = node::open_folder(found.dir, found.name)
            .map_err(|errno| PathFault::from_errno("open", found.path, errno))
            .and_then(|dir| self.names(&dir, found.path).map(|names| (dir, names)));
        match opened {
            Ok((dir, names)) => self.level(&dir, found.path, found.below, found.depth + 1, names, ignored, visit),
            Err(fault) => {
                self.warnings.fault(found.path, &fault);
                ControlFlow::Continue(())
            }
        }
    }

    fn kind(&mut self, dir: &Dir, name: &OsStr, path: &JailPath, listed: Option<Kind>) -> Option<Kind> {
        if listed.is_some() {
            return listed;
        }
        match node::look(dir, name) {
            Ok(node) => Some(node.kind),
            Err(errno) => {
                self.warnings.fault(path, &PathFault::from_errno("look at", path, errno));
                None
            }
        }
    }

    /// The names in one folder, sorted by bytes.
    fn names(&mut self, dir: &Dir, path: &JailPath) -> Result<Vec<(OsString, Option<Kind>)>, PathFault> {
        let mut names = Vec::new();
        let listed = node::each_name(dir, |name, kind| {
            if draft::is_one(name) || !self.hidden && name.as_encoded_bytes().starts_with(b".") {
                return ControlFlow::Continue(());
            }
            if self.entries_left == 0 {
                return self.end(Cut::Entries);
            }
            if let Some(stopped) = self.stop.now() {
                return self.end(Cut::Stopped(stopped));
            }
            self.entries_left -= 1;
            names.push((name.to_owned(), kind));
            ControlFlow::Continue(())
        });
        listed.map_err(|errno| PathFault::from_errno("list", path, errno))?;
        names.sort_unstable();
        Ok(names)
    }

    fn end(&mut self, cut: Cut) -> ControlFlow<()> {
        self.cut = Some(cut);
        ControlFlow::Break(())
    }
}
