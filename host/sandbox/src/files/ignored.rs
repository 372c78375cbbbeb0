//! What `.gitignore` files leave out of a search, read over the same handles as everything else (gitignore(5)).

use std::ffi::OsStr;
use std::io::Read;

use cap_std::fs::Dir;
use ignore::gitignore::{Gitignore, GitignoreBuilder};
use stigmer_policy::JailPath;

use super::node;
use super::resolve::{Last, Place, Want, resolve};
use super::roots::Roots;
use super::walk::Warnings;

/// Bytes of one ignore file that count.
const IGNORE_BYTES: u64 = 1 << 20;

/// The rules in force, outermost folder first.
#[derive(Default)]
pub(super) struct Ignored {
    rules: Vec<Gitignore>,
}

impl Ignored {
    /// Adds the rules of the folders above `path`, down from the root that it lies in.
    pub(super) fn add_ancestors(&mut self, roots: &Roots, path: &JailPath, warnings: &mut Warnings) {
        let Some(root) = roots.anchor(path).map(|anchor| &anchor.path) else { return };
        let mut above = Vec::new();
        let mut at = path.parent();
        while let Some(folder) = at.filter(|folder| folder.is_within(root)) {
            at = folder.parent();
            above.push(folder);
        }
        for folder in above.into_iter().rev() {
            let place = resolve(roots, &folder, Want::Read, Last::Follow);
            let dir = place.and_then(|place| match place {
                Place::Spot(spot) => spot.folder(),
                Place::Listed { path, .. } => Err(super::PathFault::NotADirectory { path }),
            });
            match dir {
                Ok(dir) => {
                    self.add(&dir, &folder, warnings);
                }
                Err(fault) => warnings.fault(&folder, &fault),
            }
        }
    }

    /// Adds the rules of the folder `dir`, which is `at`; gives how many matchers that added.
    pub(super) fn add(&mut self, dir: &Dir, at: &JailPath, warnings: &mut Warnings) -> usize {
        let name = OsStr::new(".gitignore");
        // Most folders have none; a link there is not followed by git either (gitignore(5)).
        let Ok(node) = node::look(dir, name) else { return 0 };
        if node.kind != node::Kind::File {
            return 0;
        }
        let Ok(path) = at.join(name) else { return 0 };
        let mut text = Vec::new();
        match node::open_file(dir, name, &path) {
            Ok((file, _)) => {
                if let Err(error) = file.take(IGNORE_BYTES).read_to_end(&mut text) {
                    warnings.add(&path, "io", format!("could not read `{path}`: {error}"));
                    return 0;
                }
            }
            Err(fault) => {
                warnings.fault(&path, &fault);
                return 0;
            }
        }
        let mut builder = GitignoreBuilder::new(at.as_path());
        for line in String::from_utf8_lossy(&text).lines() {
            if let Err(error) = builder.add_line(None, line) {
                warnings.add(&path, "bad-ignore-file", format!("a line of `{path}` does not count: {error}"));
            }
        }
        match builder.build() {
            Ok(rules) => {
                self.rules.push(rules);
                1
            }
            Err(error) => {
                warnings.add(&path, "bad-ignore-file", format!("`{path}` does not count: {error}"));
                0
            }
        }
    }

    /// Takes the last `count` matchers away again.
    pub(super) fn drop_last(&mut self, count: usize) {
        self.rules.truncate(self.rules.len() - count);
    }

    /// Whether `path` is left out; the innermost folder that speaks of it decides.
    pub(super) fn matches(&self, path: &JailPath, is_folder: bool) -> bool {
        for rules in self.rules.iter().rev() {
            let answer = rules.matched(path.as_path(), is_folder);
            if !answer.is_none() {
                return answer.is_ignore();
            }
        }
        false
    }
}
