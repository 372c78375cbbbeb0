//! A guest's files: granted folders by handle, every path walked by us, every access asked of policy and grant.
//!
//! ```text
//! guest path ─► walk (handle by handle, no link followed unseen) ─► wall (policy ∩ grant) ─► one call on (handle, name)
//! ```

mod changes;
mod host;
mod ops;
mod turn;
mod walk;
mod wall;

use std::collections::HashMap;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::sync::OnceLock;

use stigmer_policy::JailPath;
use wasmtime::component::{HasData, Linker, ResourceTable};
use wasmtime_wasi::filesystem::{WasiFilesystemCtx, WasiFilesystemCtxView};
use wasmtime_wasi::p2::bindings::filesystem;

use crate::grants::{Denials, Grants};
use crate::state::State;
pub use changes::ChangedFiles;
use wall::{Base, Wall};

/// The files of one call.
pub(crate) struct Files {
    wall: Wall,
    /// Directories that the guest holds, by the table's key of their descriptor.
    held: HashMap<u32, Base>,
    /// Names of files that the guest holds for writing, by the same key.
    written: HashMap<u32, JailPath>,
}

impl Files {
    pub(crate) fn new(grants: &Grants) -> Files {
        Files { wall: Wall::new(grants.gate.clone(), &grants.dirs), held: HashMap::new(), written: HashMap::new() }
    }

    /// What was changed up to now.
    pub(crate) fn changed(&self) -> ChangedFiles {
        self.wall.changes.take()
    }

    /// Gives what is held its new names after a rename, so that what folders are asked about, and what is noted of
    /// files, stays true.
    fn renamed(&mut self, from: &JailPath, to: &JailPath) {
        let folders = self.held.values_mut().filter_map(|base| match base {
            Base::Folder(folder) => Some(&mut folder.path),
            Base::Top => None,
        });
        for path in folders.chain(self.written.values_mut()) {
            if let Some(below) = path.below(from)
                && let Ok(new) = if below.as_os_str().is_empty() { Ok(to.clone()) } else { to.join(below) }
            {
                *path = new;
            }
        }
    }
}

/// What the host functions borrow from the store.
pub(crate) struct FilesView<'a> {
    table: &'a mut ResourceTable,
    ctx: &'a mut WasiFilesystemCtx,
    files: &'a mut Files,
    denials: &'a mut Denials,
}

impl FilesView<'_> {
    /// wasmtime's own implementation, for operations on what is already open.
    fn plain(&mut self) -> WasiFilesystemCtxView<'_> {
        WasiFilesystemCtxView { ctx: self.ctx, table: self.table }
    }
}

struct HasFiles;

impl HasData for HasFiles {
    type Data<'a> = FilesView<'a>;
}

/// Puts our files in the place of wasmtime's; shadowing must be allowed.
pub(crate) fn add_to_linker(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    fn view(state: &mut State) -> FilesView<'_> {
        FilesView {
            table: &mut state.table,
            ctx: state.wasi.filesystem(),
            files: &mut state.files,
            denials: &mut state.denials,
        }
    }
    filesystem::preopens::add_to_linker::<State, HasFiles>(linker, view)?;
    filesystem::types::add_to_linker::<State, HasFiles>(linker, view)
}

/// A handle in which nothing can be named (the end of a pipe): stands for the name space's top, so that a path which
/// slipped past us would still find nothing.
fn nothing() -> std::io::Result<File> {
    static NOTHING: OnceLock<OwnedFd> = OnceLock::new();
    let handle = match NOTHING.get() {
        Some(handle) => handle,
        None => {
            let (end, _) = std::io::pipe()?;
            NOTHING.get_or_init(|| end.into())
        }
    };
    Ok(File::from(handle.try_clone()?))
}
