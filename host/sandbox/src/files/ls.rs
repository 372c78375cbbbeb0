//! `ls`: what a folder holds.

use std::collections::BinaryHeap;
use std::ffi::OsString;
use std::ops::ControlFlow;
use std::time::SystemTime;

use cap_std::fs::Dir;
use rustix::io::Errno;
use stigmer_policy::JailPath;

use super::draft;
use super::fault::{PathFault, verb_error};
use super::node::{self, Kind};
use super::resolve::{Last, Place, Want, resolve};
use super::roots::Roots;
use super::stat;
use super::walk::{Warning, Warnings};

/// Entries that one listing gives.
pub const LS_ENTRIES: usize = 10_000;

/// Names that one listing looks at to find the first ones.
pub const LS_SCAN: usize = 2_000_000;

/// Where a link leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum LinkLeads {
    /// To something that can be read.
    Inside(Kind),
    /// Out of the root: never followed.
    Outside,
    /// Back into a root, but by an absolute path: not followed.
    Absolute,
    /// To nothing.
    Nowhere,
    /// It could not be told: a loop, a folder that cannot be read.
    Unknown,
}

/// A link in a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkEntry {
    /// What the link holds, as it is.
    pub target: OsString,
    /// Where that leads.
    pub leads: LinkLeads,
}

/// One name in a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The name; any bytes but `/` and NUL.
    pub name: OsString,
    /// What it is; a link is a link.
    pub kind: Kind,
    /// Size in bytes.
    pub size: u64,
    /// Last change of content.
    pub modified: Option<SystemTime>,
    /// For links.
    pub link: Option<LinkEntry>,
}

/// What a folder holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// The folder, after following links.
    pub path: JailPath,
    /// The first names, sorted by bytes.
    pub entries: Vec<Entry>,
    /// How many names there are; at least so many, when there are more than [`LS_SCAN`].
    pub total: usize,
    /// Whether `entries` is not all of them.
    pub truncated: bool,
    /// Names that could not be looked at, the first hundred.
    pub warnings: Vec<Warning>,
    /// How many names could not be looked at.
    pub warned: usize,
}

/// Why a folder could not be listed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LsError {
    /// The place could not be reached.
    #[error(transparent)]
    Path(#[from] PathFault),
}

verb_error!(LsError, case {} hint {});

impl Roots {
    /// Lists a folder: at most `limit` names and never more than [`LS_ENTRIES`], the first ones by byte order, in
    /// memory that is bounded by that number.
    ///
    /// # Errors
    /// [`LsError`].
    pub fn ls(&self, path: &JailPath, limit: usize) -> Result<Listing, LsError> {
        let (path, dir) = match resolve(self, path, Want::Read, Last::Follow)? {
            Place::Spot(spot) => (spot.path.clone(), spot.folder()?),
            Place::Listed { path, .. } => return Err(PathFault::NotADirectory { path }.into()),
        };
        let limit = limit.min(LS_ENTRIES);
        let mut total = 0;
        let mut first = BinaryHeap::new();
        node::each_name(&dir, |name, _| {
            if total == LS_SCAN {
                return ControlFlow::Break(());
            }
            if draft::is_one(name) {
                return ControlFlow::Continue(());
            }
            total += 1;
            // Most names of a huge folder are not among the first: those cost no allocation.
            if first.len() < limit || first.peek().is_some_and(|last: &OsString| name < last.as_os_str()) {
                first.push(name.to_owned());
                if first.len() > limit {
                    first.pop();
                }
            }
            ControlFlow::Continue(())
        })
        .map_err(|errno| PathFault::from_errno("list", &path, errno))?;
        let truncated = total > first.len();
        let mut warnings = Warnings::default();
        let names = first.into_sorted_vec();
        let entries = names.into_iter().filter_map(|name| self.entry(&dir, &path, name, &mut warnings)).collect();
        Ok(Listing { path, entries, total, truncated, warnings: warnings.rows, warned: warnings.count })
    }

    fn entry(&self, dir: &Dir, at: &JailPath, name: OsString, warnings: &mut Warnings) -> Option<Entry> {
        let node = match node::look(dir, &name) {
            Ok(node) => node,
            // Gone since the folder was read.
            Err(Errno::NOENT) => return None,
            Err(errno) => {
                warnings.fault(at, &PathFault::from_errno("look at", at, errno));
                return None;
            }
        };
        let link = match (node.kind, node.target()) {
            (Kind::Link, Ok(target)) => Some(LinkEntry { target, leads: self.leads(at, &name) }),
            _ => None,
        };
        let size = node::size(&node.stat);
        Some(Entry { name, kind: node.kind, size, modified: stat::modified(&node.stat), link })
    }

    /// Where the link `name` in the folder `at` leads, found by walking it as every verb would.
    pub(super) fn leads(&self, at: &JailPath, name: &std::ffi::OsStr) -> LinkLeads {
        let Ok(path) = at.join(name) else { return LinkLeads::Unknown };
        match resolve(self, &path, Want::Read, Last::Follow) {
            Ok(Place::Spot(spot)) => match spot.found {
                Some(node) => LinkLeads::Inside(node.kind),
                None => LinkLeads::Nowhere,
            },
            Ok(Place::Listed { .. }) => LinkLeads::Inside(Kind::File),
            Err(PathFault::AbsoluteLink { .. }) => LinkLeads::Absolute,
            Err(PathFault::NotFound { .. } | PathFault::NotADirectory { .. }) => LinkLeads::Nowhere,
            Err(fault) if fault.denial().is_some() => LinkLeads::Outside,
            Err(_) => LinkLeads::Unknown,
        }
    }
}
