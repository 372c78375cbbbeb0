//! A workspace, its surroundings, and one door to all verbs.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use stigmer_policy::policy::Places;
use stigmer_policy::{Denial, JailPath, Policy};
use stigmer_sandbox::files::{Edit, GlobOptions, GrepOptions, LinesOptions, ReadOptions, Roots};

pub struct World {
    _folder: tempfile::TempDir,
    /// Holds `work`, `scratch`, `home`, `skill` and, granted to nobody, `outside`.
    pub top: PathBuf,
    pub policy: Policy,
    pub roots: Roots,
}

/// What `outside/secret.txt` holds.
pub const SECRET: &str = "canary-of-the-outside";

impl World {
    pub fn new() -> Self {
        Self::with(|_| {})
    }

    pub fn with(change: impl FnOnce(&mut Policy)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let top = folder.path().canonicalize().unwrap();
        for name in ["work", "scratch", "home", "skill", "outside"] {
            std::fs::create_dir(top.join(name)).unwrap();
        }
        std::fs::write(top.join("outside/secret.txt"), SECRET).unwrap();
        std::fs::write(top.join("skill/SKILL.md"), "a skill\n").unwrap();
        let at = |name: &str| JailPath::absolute(top.join(name)).unwrap();
        let mut places = Places::new(at("work"), at("scratch"), at("home"));
        places.skills.push(at("skill"));
        let mut policy = Policy::workspace(&places);
        change(&mut policy);
        let roots = Roots::open(&policy).unwrap();
        World { _folder: folder, top, policy, roots }
    }

    /// A path on the disk, by its text below `work`.
    pub fn disk(&self, below: &str) -> PathBuf {
        self.top.join("work").join(below)
    }

    /// The path that a caller makes of `text`.
    pub fn at(&self, text: impl AsRef<Path>) -> JailPath {
        JailPath::from_base(&JailPath::absolute(self.top.join("work")).unwrap(), text).unwrap()
    }

    pub fn file(&self, below: &str, content: &str) {
        let path = self.disk(below);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    pub fn folder(&self, below: &str) {
        std::fs::create_dir_all(self.disk(below)).unwrap();
    }

    pub fn link(&self, below: &str, target: impl AsRef<Path>) {
        let path = self.disk(below);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        symlink(target, path).unwrap();
    }

    pub fn content(&self, below: &str) -> String {
        std::fs::read_to_string(self.disk(below)).unwrap()
    }

    /// All that lies outside the roots, to compare before and after.
    pub fn outside(&self) -> Vec<(String, String)> {
        let mut all: Vec<_> = std::fs::read_dir(self.top.join("outside"))
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                (entry.file_name().into_string().unwrap(), std::fs::read_to_string(entry.path()).unwrap())
            })
            .collect();
        all.sort();
        all
    }
}

/// Whether the kernel lets this process pass over file modes.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    Read,
    Lines,
    Stat,
    Ls,
    Glob,
    Grep,
    Put,
    New,
    Edit,
    Mkdir,
    Delete,
    RenameFrom,
    RenameTo,
}

impl Verb {
    pub const READING: &[Verb] = &[Verb::Read, Verb::Lines, Verb::Stat, Verb::Ls, Verb::Glob, Verb::Grep];
    pub const WRITING: &[Verb] =
        &[Verb::Put, Verb::New, Verb::Edit, Verb::Mkdir, Verb::Delete, Verb::RenameFrom, Verb::RenameTo];
}

/// A verb's answer: `ok` or the case, and the denial.
pub type Answer = (&'static str, Option<Denial>);

/// Does `verb` on `path`. Edits replace `a` by `b`; renames go to `moved` or come from `mover`.
pub fn run(world: &World, verb: Verb, path: &JailPath) -> Answer {
    fn answer<T, E>(result: Result<T, E>, of: impl FnOnce(&E) -> Answer) -> Answer {
        result.err().as_ref().map_or(("ok", None), of)
    }
    let roots = &world.roots;
    match verb {
        Verb::Read => answer(roots.read(path, ReadOptions::default()), |e| (e.case(), e.denial().cloned())),
        Verb::Lines => answer(roots.read_lines(path, LinesOptions::default()), |e| (e.case(), e.denial().cloned())),
        Verb::Stat => answer(roots.stat(path), |e| (e.case(), e.denial().cloned())),
        Verb::Ls => answer(roots.ls(path, 100), |e| (e.case(), e.denial().cloned())),
        Verb::Glob => answer(roots.glob(path, "*", GlobOptions::default()), |e| (e.case(), e.denial().cloned())),
        Verb::Grep => answer(roots.grep(path, "a", GrepOptions::default()), |e| (e.case(), e.denial().cloned())),
        Verb::Put => answer(roots.write(path, b"put"), |e| (e.case(), e.denial().cloned())),
        Verb::New => answer(roots.write_new(path, b"new"), |e| (e.case(), e.denial().cloned())),
        Verb::Edit => {
            let edit = Edit { old: "a", new: "b", all: true };
            answer(roots.edit(path, edit), |e| (e.case(), e.denial().cloned()))
        }
        Verb::Mkdir => answer(roots.mkdir(path, false), |e| (e.case(), e.denial().cloned())),
        Verb::Delete => answer(roots.delete(path, true), |e| (e.case(), e.denial().cloned())),
        Verb::RenameFrom => {
            let to = world.at("moved");
            answer(roots.rename(path, &to, false), |e| (e.case(), e.denial().cloned()))
        }
        Verb::RenameTo => {
            let from = world.at("mover");
            answer(roots.rename(&from, path, false), |e| (e.case(), e.denial().cloned()))
        }
    }
}
