//! A call by the host against a bare wasmtime embedding that does the same: fresh store and instance, one dynamic call.
//!
//! Both in one run, so that the ratio holds on any machine. Guests are found as by the tests.

#![expect(clippy::disallowed_methods, reason = "a bench finds its guest by a variable")]

use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use serde_json::json;
use stigmer_plugin::{CallLimits, Code, Engine, EngineKind, Gate, Grants, Plugin, inspect};
use stigmer_policy::{Decision, Denial, Request, Rule};
use wasmtime::component::{Component, Linker, ResourceTable, Val};
use wasmtime::{Config, InstanceAllocationStrategy, Store};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

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

    let mut config = Config::new();
    config.allocation_strategy(InstanceAllocationStrategy::pooling()).epoch_interruption(true);
    let engine = wasmtime::Engine::new(&config).expect("an engine");
    let component = Component::new(&engine, &bytes).expect("compiles");
    let mut linker = Linker::<Bare>::new(&engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker).expect("links");
    let pre = linker.instantiate_pre(&component).expect("links");
    let interface = component.get_export_index(None, "test:types/echo@1.2.0").expect("exported");
    let text = component.get_export_index(Some(&interface), "text").expect("exported");
    group.bench_function("bare wasmtime", |bench| {
        bench.iter(|| {
            runtime.block_on(async {
                let state = Bare { wasi: WasiCtx::builder().build(), table: ResourceTable::new() };
                let mut store = Store::new(&engine, state);
                store.set_epoch_deadline(1000);
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
