//! Work that is no execution, and plugins as tools.

use std::io::Write;

use rustix::fs::{MemfdFlags, SealFlags};

use super::*;

/// Exports `double: func(n: u32) -> u32`, and `broken`, which traps.
const COMPONENT: &str = r#"(component
    (core module $m
        (func (export "double") (param i32) (result i32) (i32.mul (local.get 0) (i32.const 2)))
        (func (export "broken") unreachable))
    (core instance $i (instantiate $m))
    (func (export "double") (param "n" u32) (result u32) (canon lift (core func $i "double")))
    (func (export "broken") (canon lift (core func $i "broken"))))"#;

fn wasm() -> Vec<u8> {
    wat::parse_str(COMPONENT).unwrap()
}

fn memory_file(data: &[u8], sealed: bool) -> OwnedFd {
    let fd = rustix::fs::memfd_create("code", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).unwrap();
    let mut file = std::fs::File::from(fd);
    file.write_all(data).unwrap();
    let fd = OwnedFd::from(file);
    if sealed {
        let seals = SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL;
        rustix::fs::fcntl_add_seals(&fd, seals).unwrap();
    }
    fd
}

/// Does one work; its outcome and bytes.
async fn done(work: Work, code: Vec<OwnedFd>) -> (wire::Outcome, Bytes) {
    let (half, rpc) = trusted_half::start(work, vec![], []);
    let (channel, _init) = init::start();
    let ended = within("the job", run(Handed { rpc, work: channel, code })).await;
    assert_eq!(ended, Ended::Done);
    half.finished.lock().unwrap().clone().unwrap()
}

async fn compiled() -> (Vec<u8>, wire::Plugin) {
    let work = Work::Compile(wire::Compile { wasm_fd: 10 });
    let (outcome, code) = done(work, vec![memory_file(&wasm(), false)]).await;
    assert_eq!(outcome.outcome, "completed", "{outcome:?}");
    let work = Work::PluginInspect(wire::PluginInspect { name: "math".to_owned(), wasm_fd: 10 });
    let (outcome, tools) = done(work, vec![memory_file(&wasm(), false)]).await;
    assert_eq!(outcome.outcome, "completed", "{outcome:?}");
    let seen: Value = serde_json::from_slice(&tools).unwrap();
    let digest = seen["digest"].as_str().unwrap().trim_start_matches("sha256:").to_owned();
    let plugin = wire::Plugin { name: "math".to_owned(), digest, code_fd: 10, tools, ..wire::Plugin::default() };
    (code.to_vec(), plugin)
}

fn calling_it(world: &World, plugin: wire::Plugin, export: &str, arguments: Value) -> Work {
    Work::PluginCall(wire::PluginCall {
        plugin: Some(plugin),
        export: export.to_owned(),
        arguments: body(&arguments),
        policy: serde_json::to_vec(&world.policy).unwrap().into(),
        level: "full".to_owned(),
        workspace: world.places.workspace.to_string(),
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_component_is_compiled_inspected_and_called() {
    let (code, plugin) = compiled().await;
    let world = World::new();
    let call = |export: &str, arguments| calling_it(&world, plugin.clone(), export, arguments);
    let file = || vec![memory_file(&code, true)];

    let (outcome, bytes) = done(call("math_double", json!({ "n": 21 })), file()).await;
    let result: Value = serde_json::from_slice(&bytes).unwrap();
    assert_eq!((outcome.outcome.as_str(), &result["value"]), ("completed", &json!(42)));
    assert!(result["used"]["peak_memory_bytes"].is_u64() && result["denials"] == json!([]));

    let (outcome, bytes) = done(call("broken", json!({})), file()).await;
    let result: Value = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(outcome.outcome, "failed");
    assert!(outcome.reason.contains("broke off") && result.get("value").is_none(), "{result}");
    let (outcome, _) = done(call("math_double", json!({ "n": "x" })), file()).await;
    assert_eq!(outcome.outcome, "failed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn code_is_loaded_only_from_a_sealed_file_of_the_inspected_component() {
    let (code, plugin) = compiled().await;
    let world = World::new();
    let call = |plugin: &wire::Plugin| calling_it(&world, plugin.clone(), "double", json!({ "n": 1 }));
    let (outcome, _) = done(call(&plugin), vec![memory_file(&code, false)]).await;
    assert!(outcome.reason.contains("lacks seals"), "{outcome:?}");
    let (outcome, _) = done(call(&plugin), vec![]).await;
    assert!(outcome.reason.contains("was not handed over"), "{outcome:?}");
    let other = wire::Plugin { digest: "00".to_owned(), ..plugin.clone() };
    let (outcome, _) = done(call(&other), vec![memory_file(&code, true)]).await;
    assert!(outcome.reason.contains("makes no sense"), "{outcome:?}");
    let (outcome, _) = done(call(&plugin), vec![memory_file(&code, true)]).await;
    assert_eq!(outcome.outcome, "completed", "{outcome:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_component_is_refused_by_each_job() {
    for work in [
        Work::Compile(wire::Compile { wasm_fd: 10 }),
        Work::PluginInspect(wire::PluginInspect { name: "x".to_owned(), wasm_fd: 10 }),
    ] {
        let (outcome, bytes) = done(work.clone(), vec![memory_file(b"no wasm", false)]).await;
        assert!(outcome.outcome == "failed" && !outcome.reason.is_empty() && bytes.is_empty(), "{outcome:?}");
        let (outcome, _) = done(work.clone(), vec![]).await;
        assert_eq!(outcome.reason, "the component was not handed over");
        let (outcome, bytes) = done(work, vec![memory_file(&wasm(), false)]).await;
        assert!(outcome.outcome == "completed" && !bytes.is_empty(), "{outcome:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugin_is_a_tool_of_the_agent() {
    let (code, plugin) = compiled().await;
    let world = World::new();
    let mut work = execution(&world);
    work.plugins = vec![plugin];
    let calls = [("math_double", json!({ "n": 4 })), ("math_broken", json!({})), ("math_double", json!({ "m": 4 }))];
    let (half, rpc) = trusted_half::start(Work::Execution(work), vec![], [calling(&calls), saying("done")]);
    let (channel, init) = init::start();
    let runner = tokio::spawn(run(Handed { rpc, work: channel, code: vec![memory_file(&code, true)] }));
    let mut bench = Bench { world, half, init, runner };
    assert_eq!(bench.completed().await.outcome, "completed");
    let results = bench.half.results();
    assert_eq!(results[0], "8");
    assert!(results[1].starts_with("Error: `broken` of plugin `math` broke off"), "{results:?}");
    assert!(results[2].starts_with("Error: "), "{results:?}");
}
