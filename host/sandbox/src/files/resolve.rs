//! From a path to the place it names: the one walk that all verbs share.
//!
//! The walk takes one name at a time, relative to the handle of the folder that it has reached, and never lets the
//! kernel follow a link. It follows links itself, so it always knows the jail path of the folder in its hand; the
//! policy is asked about *that* path. A caller then acts on one name relative to that handle.
//!
//! A link in a folder that code can write never leads out of its root, and an absolute one is never followed. In
//! folders that code cannot write (the system's, read-only roots) links lead wherever the policy grants reading:
//! `/usr/bin/cc` is an absolute link on many systems.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::path::{Component, Path, PathBuf};

use cap_std::fs::Dir;
use rustix::io::Errno;
use stigmer_policy::{Denial, JailPath, Request, Rule, decide};

use super::fault::{PathFault, shown};
use super::node::{self, Kind, Node};
use super::roots::{Anchor, At, Roots};

/// Links followed on one path, as many as the kernel's own limit (path_resolution(7)).
const MAX_LINKS: usize = 40;

/// Names looked at for one path. A link may hold a thousand `..`, each of which walks down anew; ordinary paths need
/// some tens.
const MAX_STEPS: usize = 20_000;

/// What the caller wants to do at the place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Want {
    Read,
    Write,
}

/// What becomes of a link in the last place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Last {
    /// It is followed, like those on the way.
    Follow,
    /// It is the thing itself.
    Keep,
}

/// A place that the policy allowed.
pub(super) enum Place<'r> {
    /// Below a folder, or a folder.
    Spot(Spot),
    /// One listed system file or device.
    Listed { path: JailPath, at: &'r At },
}

/// A name in a folder whose handle is held.
pub(super) struct Spot {
    /// The folder that the first name of `rest` lies in.
    pub(super) dir: Dir,
    /// Where that folder is.
    pub(super) at: JailPath,
    /// Names below `dir`: none for a root itself, one for a name in an existing folder, more where folders are missing.
    pub(super) rest: Vec<OsString>,
    /// The whole path; no link on it.
    pub(super) path: JailPath,
    /// What is there; always `None` when `rest` has more than one name.
    pub(super) found: Option<Node>,
}

impl Spot {
    /// The one name that the spot is; `None` for a root itself.
    pub(super) fn name(&self) -> Option<&OsStr> {
        self.rest.last().map(OsString::as_os_str)
    }

    /// What is there, or that nothing is.
    pub(super) fn existing(&self) -> Result<&Node, PathFault> {
        self.found.as_ref().ok_or_else(|| PathFault::NotFound { path: self.path.clone() })
    }

    /// The folder that lies here, to look inside.
    pub(super) fn folder(&self) -> Result<Dir, PathFault> {
        match (self.existing()?.kind, self.name()) {
            (Kind::Folder, None) => {
                self.dir.try_clone().map_err(|source| PathFault::Io { doing: "open", path: self.path.clone(), source })
            }
            (Kind::Folder, Some(name)) => {
                node::open_folder(&self.dir, name).map_err(|errno| PathFault::from_errno("open", &self.path, errno))
            }
            _ => Err(PathFault::NotADirectory { path: self.path.clone() }),
        }
    }
}

enum Step {
    Name { name: OsString, from_link: bool },
    Up,
}

/// Asks the policy.
pub(super) fn ask(roots: &Roots, want: Want, path: &JailPath) -> Result<(), PathFault> {
    let request = match want {
        Want::Read => Request::Read(path.clone()),
        Want::Write => Request::Write(path.clone()),
    };
    match decide(roots.policy(), &request).into_result() {
        Ok(_) => Ok(()),
        Err(denial) => Err(PathFault::denied(path.clone(), denial)),
    }
}

/// Finds the place that `path` names: policy first, then the walk, then the policy about where the walk arrived.
pub(super) fn resolve<'r>(roots: &'r Roots, path: &JailPath, want: Want, last: Last) -> Result<Place<'r>, PathFault> {
    ask(roots, want, path).map_err(|fault| suggest(roots, fault))?;
    let mut spent = Spent { links: 0, steps: 0 };
    let mut target = path.clone();
    loop {
        let Some(anchor) = roots.anchor(&target) else {
            // Granted, but not there when the roots were opened.
            return Err(PathFault::NotFound { path: target });
        };
        let below = target.below(&anchor.path).unwrap_or(Path::new(""));
        let root = match &anchor.at {
            At::Folder(dir) => dir,
            at if below.as_os_str().is_empty() => return Ok(Place::Listed { path: target, at }),
            _ => return Err(PathFault::NotADirectory { path: anchor.path.clone() }),
        };
        let walk = Walk { roots, anchor, root, asked: path, want, last, done: Vec::new(), link: None };
        match walk.run(below, &mut spent)? {
            Arrived::Spot(spot) => {
                if spot.path != *path {
                    ask(roots, want, &spot.path)?;
                }
                return Ok(Place::Spot(*spot));
            }
            Arrived::Elsewhere(elsewhere) => target = elsewhere,
        }
    }
}

/// As [`resolve`], for verbs that change something: what they change is never a listed system file.
pub(super) fn resolve_write(roots: &Roots, path: &JailPath, last: Last) -> Result<Spot, PathFault> {
    match resolve(roots, path, Want::Write, last)? {
        Place::Spot(spot) => Ok(spot),
        Place::Listed { path, .. } => {
            let denial = outside(Want::Write, &path, "files of the system are readable, not writable");
            Err(PathFault::ReadOnly { path, denial })
        }
    }
}

/// Adds to a refusal what lies at the same path below the workspace: `/src/a` for `src/a`.
fn suggest(roots: &Roots, fault: PathFault) -> PathFault {
    let PathFault::Outside { path, denial, .. } = fault else { return fault };
    let below = path.as_path().strip_prefix("/").unwrap_or(path.as_path()).to_owned();
    let meant = roots.policy().workspace_root().and_then(|root| root.path.join(&below).ok());
    let meant = meant.filter(|meant| ask(roots, Want::Read, meant).is_ok());
    let there = meant.and_then(|meant| resolve(roots, &meant, Want::Read, Last::Follow).ok());
    let instead = match there {
        Some(Place::Spot(spot)) if spot.found.is_some() && !below.as_os_str().is_empty() => Some(below),
        _ => None,
    };
    PathFault::Outside { path, denial, instead }
}

/// What one path may cost.
struct Spent {
    links: usize,
    steps: usize,
}

enum Arrived {
    Spot(Box<Spot>),
    Elsewhere(JailPath),
}

/// One walk below one anchor.
struct Walk<'a> {
    roots: &'a Roots,
    anchor: &'a Anchor,
    root: &'a Dir,
    asked: &'a JailPath,
    want: Want,
    last: Last,
    /// Names from the anchor to the folder in hand; none of them was a link.
    done: Vec<OsString>,
    /// The link followed last, and what it holds.
    link: Option<(JailPath, OsString)>,
}

impl Walk<'_> {
    fn run(mut self, below: &Path, spent: &mut Spent) -> Result<Arrived, PathFault> {
        let mut queue: VecDeque<Step> = steps(below, false).collect();
        let mut dir = self.reopen()?;
        loop {
            let Some(step) = queue.pop_front() else {
                if self.done.is_empty() {
                    return self.at_root(dir);
                }
                // A link ended in `.` or `..`, so the place is the folder in hand: walk to it once more, by its own
                // names, to hold the folder that it lies in.
                queue.extend(self.done.drain(..).map(|name| Step::Name { name, from_link: false }));
                dir = self.reopen()?;
                continue;
            };
            spent.steps += 1;
            if spent.steps > MAX_STEPS {
                return Err(PathFault::LinkLoop { path: self.asked.clone() });
            }
            let (name, from_link) = match step {
                Step::Name { name, from_link } => (name, from_link),
                Step::Up => {
                    spent.steps += self.done.len();
                    if self.done.pop().is_none() {
                        let up = self.anchor.path.parent();
                        return self.leave(up.as_ref().map_or(Path::new("/"), JailPath::as_path), &queue, false);
                    }
                    dir = self.reopen()?;
                    continue;
                }
            };
            let here = self.here(Some(&name))?;
            let node = match node::look(&dir, &name) {
                Ok(node) => node,
                Err(Errno::NOENT) => return self.missing(dir, here, name, from_link, queue),
                Err(errno) => return Err(PathFault::from_errno("look at", &here, errno)),
            };
            match node.kind {
                Kind::Link if queue.is_empty() && self.last == Last::Keep => {}
                Kind::Link => {
                    spent.links += 1;
                    if spent.links > MAX_LINKS {
                        return Err(PathFault::LinkLoop { path: self.asked.clone() });
                    }
                    let text = node.target().map_err(|errno| PathFault::from_errno("read the link", &here, errno))?;
                    self.link = Some((here, text.clone()));
                    if Path::new(&text).is_absolute() {
                        return self.leave(Path::new(&text), &queue, true);
                    }
                    let inner: Vec<Step> = steps(Path::new(&text), true).collect();
                    inner.into_iter().rev().for_each(|step| queue.push_front(step));
                    continue;
                }
                Kind::Folder if !queue.is_empty() => {
                    dir = Dir::from(node.fd);
                    self.done.push(name);
                    continue;
                }
                _ if !queue.is_empty() => return Err(PathFault::NotADirectory { path: here }),
                _ => {}
            }
            let at = self.here(None)?;
            return Ok(Arrived::Spot(Box::new(Spot { dir, at, rest: vec![name], path: here, found: Some(node) })));
        }
    }

    /// The jail path of the folder in hand, or of `name` in it.
    fn here(&self, name: Option<&OsStr>) -> Result<JailPath, PathFault> {
        let below: PathBuf = self.done.iter().map(OsString::as_os_str).chain(name).collect();
        self.join(&self.anchor.path, &below)
    }

    fn join(&self, base: &JailPath, below: &Path) -> Result<JailPath, PathFault> {
        if below.as_os_str().is_empty() {
            return Ok(base.clone());
        }
        base.join(below).map_err(|_| PathFault::NameTooLong { path: self.asked.clone() })
    }

    /// Walks again to the folder that `done` names, accepting no link: each of them was a folder a moment ago.
    fn reopen(&self) -> Result<Dir, PathFault> {
        let failed = |source| PathFault::Io { doing: "open", path: self.anchor.path.clone(), source };
        let mut dir = self.root.try_clone().map_err(failed)?;
        for name in &self.done {
            dir =
                node::open_folder(&dir, name).map_err(|_| PathFault::ChangedMeanwhile { path: self.asked.clone() })?;
        }
        Ok(dir)
    }

    fn at_root(&self, dir: Dir) -> Result<Arrived, PathFault> {
        let path = self.anchor.path.clone();
        let found =
            node::look(&dir, OsStr::new(".")).map_err(|errno| PathFault::from_errno("look at", &path, errno))?;
        Ok(Arrived::Spot(Box::new(Spot { dir, at: path.clone(), rest: Vec::new(), path, found: Some(found) })))
    }

    fn missing(
        &self,
        dir: Dir,
        here: JailPath,
        name: OsString,
        from_link: bool,
        queue: VecDeque<Step>,
    ) -> Result<Arrived, PathFault> {
        if let (true, Want::Write, Some((link, target))) = (from_link, self.want, &self.link) {
            return Err(PathFault::DanglingLink { link: link.clone(), target: target.clone() });
        }
        let mut rest = vec![name];
        for step in queue {
            match step {
                Step::Name { name, .. } => rest.push(name),
                Step::Up => return Err(PathFault::NotFound { path: here }),
            }
        }
        let at = self.here(None)?;
        let path = self.join(&at, &rest.iter().collect::<PathBuf>())?;
        Ok(Arrived::Spot(Box::new(Spot { dir, at, rest, path, found: None })))
    }

    /// A link leads out of the anchor, to `base` and what is still queued.
    fn leave(&self, base: &Path, queue: &VecDeque<Step>, absolute: bool) -> Result<Arrived, PathFault> {
        let Some((link, target)) = self.link.clone() else {
            // Only a link's text holds `..`.
            return Err(PathFault::ChangedMeanwhile { path: self.asked.clone() });
        };
        let mut text = base.to_owned();
        for step in queue {
            match step {
                Step::Name { name, .. } => text.push(name),
                Step::Up => text.push(".."),
            }
        }
        let place = JailPath::absolute(&text).ok();
        let granted = place.filter(|place| ask(self.roots, self.want, place).is_ok());
        if self.roots.is_writable_root(&link) {
            let in_root = |place: &JailPath| self.roots.policy().roots.iter().any(|root| place.is_within(&root.path));
            return Err(match granted.filter(in_root) {
                Some(place) if absolute => {
                    let denial = outside(self.want, &link, "absolute links are not followed");
                    PathFault::AbsoluteLink { link, target, instead: Some(place), denial }
                }
                _ => self.link_outside(link, target),
            });
        }
        match granted {
            Some(place) if self.want == Want::Read => Ok(Arrived::Elsewhere(place)),
            _ => Err(self.link_outside(link, target)),
        }
    }

    fn link_outside(&self, link: JailPath, target: OsString) -> PathFault {
        let denial = outside(self.want, &link, "the link leads outside the root");
        PathFault::LinkOutside { link, target, denial }
    }
}

/// The refusal of a place that only the walk could see.
fn outside(want: Want, path: &JailPath, reason: &str) -> Box<Denial> {
    let verb = match want {
        Want::Read => "read",
        Want::Write => "write",
    };
    let subject = format!("{verb} {}", shown(path));
    Box::new(Denial { rule: Rule::OutsideRoots, subject, reason: reason.to_owned(), grant: None })
}

fn steps(path: &Path, from_link: bool) -> impl Iterator<Item = Step> + '_ {
    path.components().filter_map(move |component| match component {
        Component::Normal(name) => Some(Step::Name { name: name.to_owned(), from_link }),
        Component::ParentDir => Some(Step::Up),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    })
}
