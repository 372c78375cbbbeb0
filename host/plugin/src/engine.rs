//! The wasm engine: one pinned configuration, two ways of allocating instances.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use wasmtime::component::Linker;
use wasmtime::{Config, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig, Strategy};

use crate::offer;
use crate::state::State;

/// Stack of one guest, in bytes: wasmtime's own default, stated because a change would change which programs run.
pub const WASM_STACK_BYTES: usize = 512 << 10;
/// Stack of one call, host frames included, in bytes.
pub const ASYNC_STACK_BYTES: usize = 2 << 20;
/// How often running guests are asked whether their time is over. Short enough that a deadline is kept to within a
/// hundredth of a second, long enough to cost nothing.
pub const EPOCH_TICK: Duration = Duration::from_millis(10);
/// Calls that a [`EngineKind::Runner`] holds room for at once; further ones wait.
pub const POOL_CALLS: u32 = 64;
/// Core instances, memories and tables that one call may have: adapters and shims of a component count too.
pub(crate) const CORE_INSTANCES_PER_CALL: u32 = 50;
pub(crate) const MEMORIES_PER_CALL: u32 = 8;
pub(crate) const TABLES_PER_CALL: u32 = 16;
/// Largest linear memory that the pool has room for, in bytes: all that 32-bit wasm can name. The limit of a call is
/// held by its own meter; reserved address space is not memory.
const POOL_MEMORY_BYTES: usize = 1 << 32;
/// Memory kept mapped per pool slot, in bytes. Measured: 64 KiB gives 27,000 fresh calls a second on two threads,
/// 16 MiB 49,000 and more.
const KEEP_RESIDENT_BYTES: usize = 16 << 20;
/// The same for tables and call stacks, in bytes.
const KEEP_SMALL_RESIDENT_BYTES: usize = 64 << 10;

/// Frames of a trap's backtrace.
const BACKTRACE_FRAMES: usize = 32;

/// How instances get their memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EngineKind {
    /// Mapped on demand: for a process that makes one call and ends. Starts in half the time.
    OneShot,
    /// From a pool with memory kept mapped: for a process that calls often.
    Runner,
}

/// Why there is no engine.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// wasmtime refused the configuration, or the address space for the pool could not be had.
    #[error("could not set up the wasm engine")]
    Configure(#[source] wasmtime::Error),
    /// The thread that keeps time could not be started.
    #[error("could not start the thread that ends calls on time")]
    Ticker(#[source] std::io::Error),
}

/// Compiles and runs components. Cheap to clone; clones share code, pool and clock.
#[derive(Clone)]
pub struct Engine {
    pub(crate) wasm: wasmtime::Engine,
    pub(crate) linker: Arc<Linker<State>>,
    pub(crate) slots: Arc<tokio::sync::Semaphore>,
}

impl Engine {
    /// Makes an engine with the pinned feature set: Cranelift only; no memory64, threads, garbage-collected types or
    /// exceptions. Starts one thread, which ends with the last clone.
    ///
    /// # Errors
    /// [`EngineError`].
    pub fn new(kind: EngineKind) -> Result<Engine, EngineError> {
        let wasm = wasmtime::Engine::new(&config(kind)).map_err(EngineError::Configure)?;
        let linker = offer::linker(&wasm).map_err(EngineError::Configure)?;
        start_ticker(&wasm).map_err(EngineError::Ticker)?;
        let calls = tokio::sync::Semaphore::new(POOL_CALLS as usize);
        Ok(Engine { wasm, linker: Arc::new(linker), slots: Arc::new(calls) })
    }

    /// Names everything that compiled code depends on: wasmtime's version, the configuration, this machine's
    /// processor features. Code is loaded only by an engine with the same value.
    #[must_use]
    pub fn compatibility_hash(&self) -> u64 {
        use std::hash::{Hash, Hasher};
        // The hasher's algorithm may change with the compiler that built us; then old code is compiled anew.
        let mut hasher = std::collections::hash_map::DefaultHasher::new();
        self.wasm.precompile_compatibility_hash().hash(&mut hasher);
        hasher.finish()
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("compatibility_hash", &self.compatibility_hash()).finish_non_exhaustive()
    }
}

fn config(kind: EngineKind) -> Config {
    let mut config = Config::new();
    config
        .strategy(Strategy::Cranelift)
        .cranelift_opt_level(OptLevel::Speed)
        .parallel_compilation(true)
        .epoch_interruption(true)
        .max_wasm_stack(WASM_STACK_BYTES)
        .async_stack_size(ASYNC_STACK_BYTES)
        .memory_init_cow(true)
        .wasm_backtrace_max_frames(NonZeroUsize::new(BACKTRACE_FRAMES))
        .native_unwind_info(false)
        .wasm_component_model(true)
        .wasm_component_model_map(true)
        .wasm_component_model_fixed_length_lists(true)
        .wasm_simd(true)
        .wasm_bulk_memory(true)
        .wasm_multi_value(true)
        .wasm_multi_memory(true)
        .wasm_tail_call(true)
        .wasm_extended_const(true)
        .wasm_relaxed_simd(true)
        .relaxed_simd_deterministic(true)
        .wasm_memory64(false)
        .wasm_custom_page_sizes(false)
        .wasm_wide_arithmetic(false);
    if kind == EngineKind::Runner {
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool()));
    }
    config
}

fn pool() -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(POOL_CALLS)
        .total_core_instances(POOL_CALLS * CORE_INSTANCES_PER_CALL)
        .total_memories(POOL_CALLS * MEMORIES_PER_CALL)
        .total_tables(POOL_CALLS * TABLES_PER_CALL)
        .total_stacks(POOL_CALLS)
        .max_core_instances_per_component(CORE_INSTANCES_PER_CALL)
        .max_memories_per_component(MEMORIES_PER_CALL)
        .max_tables_per_component(TABLES_PER_CALL)
        .max_memories_per_module(MEMORIES_PER_CALL)
        .max_tables_per_module(TABLES_PER_CALL)
        .max_memory_size(POOL_MEMORY_BYTES)
        .table_elements(crate::limits::TABLE_ELEMENTS)
        .linear_memory_keep_resident(KEEP_RESIDENT_BYTES)
        .table_keep_resident(KEEP_SMALL_RESIDENT_BYTES)
        .async_stack_keep_resident(KEEP_SMALL_RESIDENT_BYTES);
    pool
}

/// Advances the epoch until the engine is gone. The thread holds no strong reference, so it cannot keep it alive.
fn start_ticker(engine: &wasmtime::Engine) -> std::io::Result<()> {
    let engine = engine.weak();
    std::thread::Builder::new().name("plugin-clock".into()).spawn(move || {
        loop {
            std::thread::sleep(EPOCH_TICK);
            let Some(engine) = engine.upgrade() else { return };
            engine.increment_epoch();
        }
    })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The features are a promise: what runs today and what is refused. A new wasmtime that changes one fails here.
    #[test]
    fn the_feature_set_is_pinned() {
        for kind in [EngineKind::OneShot, EngineKind::Runner] {
            let engine = Engine::new(kind).unwrap();
            for (what, text, runs) in [
                ("plain", "(module (memory 1))", true),
                ("simd", "(module (func (result v128) v128.const i64x2 0 0))", true),
                ("multi memory", "(module (memory 1) (memory 1))", true),
                ("tail call", "(module (func $f return_call $f))", true),
                ("memory64", "(module (memory i64 1))", false),
                ("threads", "(module (memory 1 1 shared))", false),
                ("atomics", "(module (memory 1) (func (drop (i32.atomic.load (i32.const 0)))))", false),
                ("gc", "(module (type (struct (field i32))))", false),
                ("exceptions", "(module (tag))", false),
                ("custom page sizes", "(module (memory 1 (pagesize 1)))", false),
                (
                    "wide arithmetic",
                    "(module (func (param i64 i64) (result i64 i64) (i64.mul_wide_s (local.get 0) (local.get 1))))",
                    false,
                ),
                ("stack switching", "(module (type $f (func)) (type (cont $f)))", false),
            ] {
                let component = format!("(component (core {}", &text[1..]) + ")";
                let bytes = wat::parse_str(&component).unwrap();
                let got = wasmtime::component::Component::new(&engine.wasm, &bytes);
                assert_eq!(got.is_ok(), runs, "{kind:?} {what}: {:?}", got.err());
            }
        }
    }
}
