//! Compiled code travels in a sealed memory file; nothing else is loaded.

use std::fs::File;
use std::io::Write;

use rustix::fs::{MemfdFlags, SealFlags};
use serde_json::json;
use stigmer_plugin::{CallLimits, Code, Engine, EngineKind, LoadError, Plugin, SEALS, compile, inspect};

use crate::support::{call, engine, guest_bytes, nothing};

fn memory_file(bytes: &[u8], seals: SealFlags) -> File {
    let mut file =
        File::from(rustix::fs::memfd_create("code", MemfdFlags::ALLOW_SEALING | MemfdFlags::CLOEXEC).unwrap());
    file.write_all(bytes).unwrap();
    rustix::fs::fcntl_add_seals(&file, seals).unwrap();
    file
}

#[test]
fn sealed_code_runs_and_unsealed_code_does_not_load() {
    let bytes = guest_bytes("plugin_sleep");
    let code = compile(engine(), &bytes).unwrap().bytes;
    let loaded = Code::load_sealed(engine(), memory_file(&code, SEALS)).unwrap();
    let plugin = Plugin::prepare(engine(), &loaded, inspect("g", &bytes).unwrap()).unwrap();
    let outcome = call(&plugin, "g_guest_recurse", json!({"depth": 3}), &nothing(), &CallLimits::default());
    assert!(outcome.result.is_ok(), "{outcome:?}");

    for seal in [SealFlags::WRITE, SealFlags::GROW, SealFlags::SHRINK, SealFlags::SEAL] {
        let file = memory_file(&code, SEALS.difference(seal));
        let error = Code::load_sealed(engine(), file).unwrap_err();
        assert!(matches!(&error, LoadError::Unsealed { missing } if !missing.contains(',')), "{error}");
    }
    let mut ordinary = tempfile::tempfile().unwrap();
    ordinary.write_all(&code).unwrap();
    // Where temporary files lie in memory they have seals, none of ours.
    assert!(matches!(
        Code::load_sealed(engine(), ordinary),
        Err(LoadError::NotSealable(_) | LoadError::Unsealed { .. })
    ));
}

#[test]
fn damaged_and_foreign_code_is_recognised() {
    let code = compile(engine(), &guest_bytes("plugin_random")).unwrap().bytes;
    for bytes in [Vec::new(), b"not code".to_vec(), code[..100].to_vec(), guest_bytes("plugin_random")] {
        let error = Code::load_sealed(engine(), memory_file(&bytes, SEALS)).unwrap_err();
        assert!(matches!(error, LoadError::Unfit(_)), "{error}");
    }
}

#[test]
fn both_kinds_of_engine_run_the_same_code() {
    let one = Engine::new(EngineKind::OneShot).unwrap();
    assert_eq!(one.compatibility_hash(), engine().compatibility_hash());
    let code = compile(&one, &guest_bytes("plugin_random")).unwrap().bytes;
    Code::load_sealed(engine(), memory_file(&code, SEALS)).unwrap();
}
