//! What a protected path held, to compare and put back.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io;

use rustix::fs::{FileType, Stat};
use stigmer_policy::JailPath;

use super::place::Place;
use super::walk::Stamp;
use crate::message::{RestoreAction, Restored};

/// Bytes that one protected path may hold in all. More cannot be watched, and that is an error.
const MAX_BYTES: u64 = 8 << 20;
/// Names below one protected path, and again as many that were set aside there.
const MAX_NODES: usize = 2_000;

/// A protected path with all that it holds.
pub(super) struct Snapshot {
    nodes: BTreeMap<JailPath, Node>,
    /// Names in its folders that a restore gave to what it found there; nothing runs them under such a name.
    aside: BTreeSet<JailPath>,
}

/// What one restore did.
struct Done<'a> {
    restored: &'a mut Vec<Restored>,
    aside: Vec<JailPath>,
}

struct Node {
    stamp: Stamp,
    mode: u32,
    content: Content,
}

#[derive(PartialEq, Eq)]
enum Content {
    Folder,
    File(Vec<u8>),
    Link(OsString),
    /// A device, socket or FIFO: nothing that could be put back, and nothing that any program takes for settings.
    Other,
}

impl Snapshot {
    /// Takes in `path` and everything below it.
    pub(super) fn take(place: &Place<'_>, path: &JailPath) -> io::Result<Snapshot> {
        let mut nodes = BTreeMap::new();
        let mut bytes = 0;
        let mut next = vec![path.clone()];
        while let Some(path) = next.pop() {
            let node = Node::read(place, &path, place.stat(&path)?)?;
            match &node.content {
                Content::Folder => {
                    for name in place.names(&path)? {
                        next.push(path.join(std::path::Path::new(&name)).map_err(|_| io::ErrorKind::InvalidInput)?);
                    }
                }
                Content::File(content) => bytes += content.len() as u64,
                Content::Link(_) | Content::Other => {}
            }
            nodes.insert(path, node);
            if bytes > MAX_BYTES || nodes.len() > MAX_NODES {
                return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it holds too much to be watched"));
            }
        }
        Ok(Snapshot { nodes, aside: BTreeSet::new() })
    }

    /// Compares with what is there now, and puts back what differs. Whatever is on disk, what is put back stays what was
    /// taken in: another command may still run and write there.
    pub(super) fn restore(&mut self, place: &Place<'_>, restored: &mut Vec<Restored>) {
        let mut done = Done { restored, aside: Vec::new() };
        for (path, node) in &mut self.nodes {
            if let Err(error) = node.restore(place, path, &mut done) {
                // Out of the way at least, where even that fails the one reason says it.
                let _ = done.set_aside(place, path);
                done.failed(path, &error);
            }
        }
        for folder in self.folders() {
            self.remember(&mut done.aside);
            self.set_new_names_aside(place, &folder, &mut done);
        }
        self.remember(&mut done.aside);
        // From the inside out: what stands above may have to be opened up once more.
        for (path, node) in self.nodes.iter().rev().filter(|(_, node)| node.content == Content::Folder) {
            if place.stat(path).is_ok_and(|stat| node.differs_in_mode(&stat))
                && let Err(error) = place.set_mode(path, node.mode)
            {
                done.failed(path, &error);
            }
        }
    }

    /// Whether everything in it is a folder or a file that `keeps` accepts.
    pub(super) fn holds_only(&self, keeps: impl Fn(&JailPath, &[u8]) -> bool) -> bool {
        self.nodes.iter().all(|(path, node)| match &node.content {
            Content::Folder => true,
            Content::File(content) => keeps(path, content),
            Content::Link(_) | Content::Other => false,
        })
    }

    fn folders(&self) -> Vec<JailPath> {
        self.nodes.iter().filter(|(_, node)| node.content == Content::Folder).map(|(path, _)| path.clone()).collect()
    }

    /// More than it has room for is set aside anew each time.
    fn remember(&mut self, aside: &mut Vec<JailPath>) {
        let room = MAX_NODES.saturating_sub(self.aside.len());
        let inside = aside.drain(..).filter(|path| path.parent().is_some_and(|above| self.nodes.contains_key(&above)));
        self.aside.extend(inside.take(room));
    }

    fn set_new_names_aside(&mut self, place: &Place<'_>, folder: &JailPath, done: &mut Done<'_>) {
        // Taken before the names are: whatever comes later changes it.
        let Ok(now) = place.stat(folder).map(|stat| Stamp::of(&stat)) else { return };
        if self.nodes.get(folder).is_some_and(|node| node.stamp.is_same(now)) {
            return;
        }
        let names = match place.with_rights(folder, || place.names(folder)) {
            Ok(names) => names,
            Err(error) => return done.failed(folder, &error),
        };
        let present: BTreeSet<JailPath> =
            names.iter().filter_map(|name| folder.join(std::path::Path::new(name)).ok()).collect();
        self.aside.retain(|path| present.contains(path) || path.parent().as_ref() != Some(folder));
        let mut all_known = present.len() == names.len();
        for path in present {
            if self.nodes.contains_key(&path) || self.aside.contains(&path) {
                continue;
            }
            all_known = false;
            if let Err(error) = done.set_aside(place, &path) {
                done.failed(&path, &error);
            }
        }
        if all_known && let Some(node) = self.nodes.get_mut(folder) {
            node.stamp = now;
        }
    }
}

impl Done<'_> {
    fn set_aside(&mut self, place: &Place<'_>, path: &JailPath) -> io::Result<()> {
        let to = place.set_aside(path)?;
        self.moved(path, to);
        Ok(())
    }

    fn moved(&mut self, from: &JailPath, to: JailPath) {
        self.note(from, RestoreAction::Quarantined(to.to_string()));
        self.aside.push(to);
    }

    fn failed(&mut self, path: &JailPath, error: &io::Error) {
        self.note(path, RestoreAction::Failed(error.to_string()));
    }

    fn note(&mut self, path: &JailPath, action: RestoreAction) {
        self.restored.push(Restored { path: path.to_string(), action });
    }
}

impl Node {
    fn read(place: &Place<'_>, path: &JailPath, stat: Stat) -> io::Result<Node> {
        let content = match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => Content::Folder,
            FileType::RegularFile => Content::File(place.read(path, MAX_BYTES)?),
            FileType::Symlink => Content::Link(place.read_link(path)?),
            _ => Content::Other,
        };
        Ok(Node { stamp: Stamp::of(&stat), mode: stat.st_mode & 0o7777, content })
    }

    fn restore(&mut self, place: &Place<'_>, path: &JailPath, done: &mut Done<'_>) -> io::Result<()> {
        let above = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
        let now = place.with_rights(&above, || place.stat(path)).ok();
        // A file is read each time: a shared mapping changes it without touching its times (always on tmpfs, elsewhere
        // while the page waits to be written).
        let by_stamp = !matches!(self.content, Content::File(_));
        if by_stamp && now.as_ref().is_some_and(|stat| self.stamp.is_same(Stamp::of(stat))) {
            return Ok(());
        }
        if let Some(stat) = now {
            match Node::read(place, path, stat) {
                Ok(node) if node.content == self.content && !self.differs_in_mode(&stat) => {
                    // A folder keeps its old stamp: what is new in it is still to be looked at.
                    if node.content != Content::Folder {
                        self.stamp = node.stamp;
                    }
                    return Ok(());
                }
                // A folder with another mode, or names: the names are looked at one by one.
                Ok(node) if node.content == Content::Folder && self.content == Content::Folder => {}
                _ => {
                    let kind = FileType::from_raw_mode(stat.st_mode);
                    if !matches!((&self.content, kind), (Content::File(_), FileType::RegularFile)) {
                        done.set_aside(place, path)?;
                    }
                }
            }
        }
        self.put_back(place, path, done)
    }

    /// Of what is never put back the mode does not matter.
    fn differs_in_mode(&self, stat: &Stat) -> bool {
        self.content != Content::Other && stat.st_mode & 0o7777 != self.mode
    }

    fn put_back(&self, place: &Place<'_>, path: &JailPath, done: &mut Done<'_>) -> io::Result<()> {
        if self.content == Content::Other {
            return Ok(());
        }
        let mut moved = Vec::new();
        let outcome = place.folders_above(path, &mut moved);
        for (from, to) in moved {
            done.moved(&from, to);
        }
        outcome?;
        match &self.content {
            Content::Folder => match place.stat(path) {
                Ok(stat) if !self.differs_in_mode(&stat) => return Ok(()),
                Ok(_) => place.set_mode(path, self.mode)?,
                Err(_) => place.make_folder(path, self.mode)?,
            },
            Content::File(content) => place.replace(path, content, self.mode)?,
            Content::Link(target) => place.link(path, target)?,
            Content::Other => return Ok(()),
        }
        done.note(path, RestoreAction::PutBack);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
