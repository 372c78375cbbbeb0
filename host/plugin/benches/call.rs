//! A call by the host against a bare wasmtime embedding that does the same: fresh store and instance, one dynamic call,
//! the same pool, stack, WASI, time (an epoch with its clock) and memory bound.
//!
//! Both in one run, so that the ratio holds on any machine. Guests are found as by the tests.

#![expect(clippy::disallowed_methods, reason = "a bench finds its guest by a variable")]

use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use serde_json::json;
use stigmer_plugin::{CallLimits, Code, EPOCH_TICK, Engine, EngineKind, Gate, Grants, Plugin, inspect};
use stigmer_policy::{Decision, Denial, Request, Rule};
use wasmtime::component::{Component, Linker, ResourceTable, Val};
use wasmtime::{
    Config, InstanceAllocationStrategy, PoolingAllocationConfig, Store, StoreLimits, StoreLimitsBuilder, UpdateDeadline,
};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

/// Bytes of a memory that stay mapped between calls: what the host's own pool keeps, and the same for tables and stacks.
const KEEP_RESIDENT: usize = 16 << 20;
const KEEP_SMALL_RESIDENT: usize = 64 << 10;

struct Closed;

impl Gate for Closed {
    fn decide(&self, _: &Request) -> Decision {
        let (subject, reason) = (String::new(), String::new());
        Decision::Deny(Denial { rule: Rule::DefaultDeny, subject, reason, grant: None })
    }
}

struct Bare {
    wasi: WasiCtx,
    table: ResourceTable,
    limits: StoreLimits,
}

impl WasiView for Bare {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

fn calls(criterion: &mut Criterion) {
    let folder = std::env::var_os("STIGMER_GUESTS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/guests/target/wasm32-wasip2/release"),
        PathBuf::from,
    );
    let bytes = std::fs::read(folder.join("plugin_types.wasm")).expect("guests are built first");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let mut group = criterion.benchmark_group("fresh call");

    let engine = Engine::new(EngineKind::Runner).expect("an engine");
    let code = Code::compile_here(&engine, &bytes).expect("compiles");
    let plugin = Plugin::prepare(&engine, &code, inspect("t", &bytes).expect("a component")).expect("links");
    let (grants, limits) = (Grants::none(Arc::new(Closed)), CallLimits::default());
    let arguments = json!({"value": "hello"});
    group.bench_function("host", |bench| {
        bench.iter(|| {
            let outcome = runtime.block_on(plugin.call("t_echo_text", black_box(&arguments), &grants, &limits));
            assert!(outcome.result.is_ok());
        });
    });

    // What a careful embedder sets: memory that stays mapped between calls makes a fresh instance cheap, and without it
    // the comparison would flatter the host.
    let mut pool = PoolingAllocationConfig::new();
    pool.linear_memory_keep_resident(KEEP_RESIDENT)
        .table_keep_resident(KEEP_SMALL_RESIDENT)
        .async_stack_keep_resident(KEEP_SMALL_RESIDENT);
    let mut config = Config::new();
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool)).epoch_interruption(true);
    let engine = wasmtime::Engine::new(&config).expect("an engine");
    let weak = engine.weak();
    // Ends with the engine; a bench that only pretends to have a deadline would measure less than one that has.
    std::thread::spawn(move || {
        while let Some(engine) = weak.upgrade() {
            engine.increment_epoch();
            drop(engine);
            std::thread::sleep(EPOCH_TICK);
        }
    });
    let component = Component::new(&engine, &bytes).expect("compiles");
    let mut linker = Linker::<Bare>::new(&engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker).expect("links");
    let pre = linker.instantiate_pre(&component).expect("links");
    let interface = component.get_export_index(None, "test:types/echo@1.2.0").expect("exported");
    let text = component.get_export_index(Some(&interface), "text").expect("exported");
    group.bench_function("bare wasmtime", |bench| {
        bench.iter(|| {
            runtime.block_on(async {
                let limits = StoreLimitsBuilder::new().memory_size(256 << 20).table_elements(100_000).build();
                let state = Bare { wasi: WasiCtx::builder().build(), table: ResourceTable::new(), limits };
                let mut store = Store::new(&engine, state);
                store.limiter(|state| &mut state.limits);
                store.set_epoch_deadline(1);
                let deadline = Instant::now() + Duration::from_secs(30);
                store.epoch_deadline_callback(move |_| {
                    let late = Instant::now() >= deadline;
                    Ok(if late { UpdateDeadline::Interrupt } else { UpdateDeadline::Yield(1) })
                });
                let instance = pre.instantiate_async(&mut store).await.expect("instantiates");
                let function = instance.get_func(&mut store, text).expect("a function");
                let mut results = [Val::Bool(false)];
                function
                    .call_async(&mut store, &[Val::String(black_box("hello").to_owned())], &mut results)
                    .await
                    .expect("returns");
            });
        });
    });
    group.finish();
}

criterion_group!(benches, calls);
criterion_main!(benches);
