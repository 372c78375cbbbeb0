//! What a protected path held, to compare and put back.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;

use rustix::fs::{FileType, Stat};
use stigmer_policy::JailPath;

use super::place::Place;
use super::walk::Stamp;
use crate::message::{RestoreAction, Restored};

/// Bytes that one protected path may hold in all. More cannot be watched, and that is an error.
const MAX_BYTES: u64 = 8 << 20;
/// Names below one protected path.
const MAX_NODES: usize = 2_000;

/// A protected path with all that it holds.
pub(super) struct Snapshot {
    path: JailPath,
    nodes: BTreeMap<JailPath, Node>,
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
        Ok(Snapshot { path: path.clone(), nodes })
    }

    /// Compares with what is there now, and puts back what differs.
    pub(super) fn restore(&mut self, place: &Place<'_>, restored: &mut Vec<Restored>) {
        let paths: Vec<JailPath> = self.nodes.keys().cloned().collect();
        let mut changed = false;
        for path in paths {
            let Some(node) = self.nodes.get_mut(&path) else { continue };
            match node.restore(place, &path, restored) {
                Ok(same) => changed |= !same,
                Err(error) => {
                    let action = RestoreAction::Failed(error.to_string());
                    restored.push(Restored { path: path.to_string(), action });
                }
            }
        }
        for folder in self.folders() {
            changed |= self.set_new_names_aside(place, &folder, restored);
        }
        // What was set aside belongs to the picture from now on.
        if changed && let Ok(now) = Snapshot::take(place, &self.path) {
            self.nodes = now.nodes;
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

    fn set_new_names_aside(&self, place: &Place<'_>, folder: &JailPath, restored: &mut Vec<Restored>) -> bool {
        let unchanged = |stat: &Stat| self.nodes.get(folder).is_some_and(|node| node.stamp.is_same(Stamp::of(stat)));
        if place.stat(folder).is_ok_and(|stat| unchanged(&stat)) {
            return false;
        }
        for name in place.names(folder).unwrap_or_default() {
            let Ok(path) = folder.join(std::path::Path::new(&name)) else { continue };
            if self.nodes.contains_key(&path) {
                continue;
            }
            let action = match place.set_aside(&path) {
                Ok(aside) => RestoreAction::Quarantined(aside.to_string()),
                Err(error) => RestoreAction::Failed(error.to_string()),
            };
            restored.push(Restored { path: path.to_string(), action });
        }
        true
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

    /// True when nothing had changed.
    fn restore(&mut self, place: &Place<'_>, path: &JailPath, restored: &mut Vec<Restored>) -> io::Result<bool> {
        let now = place.stat(path).ok();
        // A file is read each time: a shared mapping changes it without touching its times (always on tmpfs, elsewhere
        // while the page waits to be written).
        let by_stamp = !matches!(self.content, Content::File(_));
        if by_stamp && now.as_ref().is_some_and(|stat| self.stamp.is_same(Stamp::of(stat))) {
            return Ok(true);
        }
        if let Some(stat) = now {
            match Node::read(place, path, stat) {
                Ok(node) if node.content == self.content && node.mode == self.mode => {
                    // A folder keeps its old stamp: what is new in it is still to be looked at.
                    if node.content != Content::Folder {
                        self.stamp = node.stamp;
                    }
                    return Ok(true);
                }
                // A folder with another mode, or names: the names are looked at one by one.
                Ok(node) if node.content == Content::Folder && self.content == Content::Folder => {}
                _ if self.content == Content::Other => return Ok(false),
                _ => {
                    if !matches!(
                        (&self.content, FileType::from_raw_mode(stat.st_mode)),
                        (Content::File(_), FileType::RegularFile)
                    ) {
                        note_aside(path, &place.set_aside(path)?, restored);
                    }
                }
            }
        }
        self.put_back(place, path, restored)?;
        Ok(false)
    }

    fn put_back(&self, place: &Place<'_>, path: &JailPath, restored: &mut Vec<Restored>) -> io::Result<()> {
        let mut moved = Vec::new();
        let outcome = place.folders_above(path, &mut moved);
        for (from, to) in moved {
            note_aside(&from, &to, restored);
        }
        outcome?;
        match &self.content {
            Content::Folder => match place.stat(path) {
                Ok(stat) if stat.st_mode & 0o7777 == self.mode => return Ok(()),
                Ok(_) => {
                    let folder = place.open(path, rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::DIRECTORY)?;
                    rustix::fs::fchmod(folder, rustix::fs::Mode::from_raw_mode(self.mode))?;
                }
                Err(_) => place.make_folder(path, self.mode)?,
            },
            Content::File(content) => place.replace(path, content, self.mode)?,
            Content::Link(target) => place.link(path, target)?,
            Content::Other => return Ok(()),
        }
        restored.push(Restored { path: path.to_string(), action: RestoreAction::PutBack });
        Ok(())
    }
}

fn note_aside(from: &JailPath, to: &JailPath, restored: &mut Vec<Restored>) {
    restored.push(Restored { path: from.to_string(), action: RestoreAction::Quarantined(to.to_string()) });
}
