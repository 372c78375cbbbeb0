//! What the host offers to components: WASI 0.2 with our own files, sockets and random bytes in its place.

use wasmtime::component::{HasData, Linker};
use wasmtime::{Engine, Result};
use wasmtime_wasi::p2::bindings::random;

use crate::limits::Meter;
use crate::state::State;
use crate::{files, sockets};

/// A linker with everything a component may import. Built once per engine.
pub(crate) fn linker(engine: &Engine) -> Result<Linker<State>> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    linker.allow_shadowing(true);
    files::add_to_linker(&mut linker)?;
    sockets::refuse(&mut linker)?;
    random::random::add_to_linker::<State, HasRandom>(&mut linker, random)?;
    random::insecure::add_to_linker::<State, HasRandom>(&mut linker, random)?;
    linker.allow_shadowing(false);
    Ok(linker)
}

fn random(state: &mut State) -> Random<'_> {
    Random { wasi: state.wasi.random(), meter: &mut state.meter }
}

/// Random bytes, counted over the whole call.
struct Random<'a> {
    wasi: &'a mut wasmtime_wasi::random::WasiRandomCtx,
    meter: &'a mut Meter,
}

struct HasRandom;

impl HasData for HasRandom {
    type Data<'a> = Random<'a>;
}

impl random::random::Host for Random<'_> {
    fn get_random_bytes(&mut self, len: u64) -> Result<Vec<u8>> {
        self.meter.take_random(len)?;
        self.wasi.get_random_bytes(len)
    }

    fn get_random_u64(&mut self) -> Result<u64> {
        self.meter.take_random(8)?;
        self.wasi.get_random_u64()
    }
}

impl random::insecure::Host for Random<'_> {
    fn get_insecure_random_bytes(&mut self, len: u64) -> Result<Vec<u8>> {
        self.meter.take_random(len)?;
        self.wasi.get_insecure_random_bytes(len)
    }

    fn get_insecure_random_u64(&mut self) -> Result<u64> {
        self.meter.take_random(8)?;
        self.wasi.get_insecure_random_u64()
    }
}
