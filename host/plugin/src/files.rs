//! A guest's files: granted folders by handle, every path walked by us, every access asked of policy and grant.
//!
//! ```text
//! guest path ─► walk (handle by handle, no link followed unseen) ─► wall (policy ∩ grant) ─► one call on (handle, name)
//! ```

mod host;
mod ops;
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
use wall::{Base, Wall};

/// The files of one call.
pub(crate) struct Files {
    wall: Wall,
    /// Directories that the guest holds, by the table's key of their descriptor.
    held: HashMap<u32, Base>,
}

impl Files {
    pub(crate) fn new(grants: &Grants) -> Files {
        Files { wall: Wall::new(grants.gate.clone(), &grants.dirs), held: HashMap::new() }
    }

    /// Gives held folders their new names after a rename, so that what they are asked about stays true.
    fn renamed(&mut self, from: &JailPath, to: &JailPath) {
        for base in self.held.values_mut() {
            if let Base::Folder(folder) = base
                && let Some(below) = folder.path.below(from)
                && let Ok(path) = if below.as_os_str().is_empty() { Ok(to.clone()) } else { to.join(below) }
            {
                folder.path = path;
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
