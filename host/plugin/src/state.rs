//! What a store holds during one call.

use std::sync::Arc;

use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use crate::files::Files;
use crate::grants::{Denials, Gate};
use crate::limits::Meter;

/// The host's side of one call; made fresh for it and dropped with it.
pub(crate) struct State {
    pub(crate) table: ResourceTable,
    pub(crate) wasi: WasiCtx,
    pub(crate) files: Files,
    pub(crate) gate: Arc<dyn Gate>,
    pub(crate) denials: Denials,
    pub(crate) meter: Meter,
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}
