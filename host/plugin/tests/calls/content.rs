//! Files that are not components, and components that cannot run here.

use std::time::Duration;

use serde_json::json;
use stigmer_plugin::{CallLimits, CallOutcome, Code, ContentError, Plugin, PrepareError, append_docs, inspect};

use crate::support::{call, engine, guest_bytes, nothing};

fn wat(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap()
}

#[test]
fn each_wrong_file_is_named_for_what_it_is() {
    let preview1 = r#"(module (import "wasi_snapshot_preview1" "fd_write" (func (param i32 i32 i32 i32) (result i32))) (memory (export "memory") 1) (func (export "_start")))"#;
    let guest = guest_bytes("plugin_sleep");
    for (bytes, want) in [
        (Vec::new(), "an empty file"),
        (wat("(module)"), "a core module"),
        (wat(preview1), "a program for WASI preview 1"),
        (b"(component)".to_vec(), "WebAssembly text"),
        (b"hello there".to_vec(), "text"),
        (b"\x7fELF\x02\x01".to_vec(), "a Linux program"),
        (b"PK\x03\x04abc".to_vec(), "a zip archive"),
        (b"\x1f\x8b\x08".to_vec(), "a gzip archive"),
        (b"<!doctype html>".to_vec(), "a web page"),
        (b"\xff\x00\x12\x99".to_vec(), "bytes that begin with"),
        (b"\0as".to_vec(), "cut short"),
        (b"\0asm".to_vec(), "cut short"),
        (b"\0asm\x09\0\0\0".to_vec(), "version 0x9"),
        (guest[..guest.len() / 2].to_vec(), "cut short"),
        (wat("(component (core module (memory i64 1)))"), "memory64"),
        (wat("(component (core module (memory 1 1 shared)))"), "threads"),
    ] {
        let error = inspect("x", &bytes).unwrap_err();
        assert!(error.to_string().contains(want), "{want}: {error}");
        let compiled = Code::compile_here(engine(), &bytes).unwrap_err();
        assert_eq!(compiled.to_string(), error.to_string());
        assert!(append_docs(&bytes, std::path::Path::new("/nonexistent")).is_err());
    }
    let size = stigmer_plugin::MAX_COMPONENT_BYTES + 1;
    assert_eq!(inspect("x", &vec![0; size]), Err(ContentError::TooLarge { size }));
    assert!(inspect("x", &guest).is_ok());
}

/// Cut anywhere, flipped anywhere: an error or a component, never a panic or a hang.
#[test]
fn damaged_components_never_panic() {
    let guest = guest_bytes("plugin_types");
    for cut in (0..guest.len()).step_by(guest.len() / 200) {
        assert!(inspect("x", &guest[..cut]).is_err(), "cut at {cut}");
    }
    for at in (8..guest.len()).step_by(guest.len() / 300) {
        let mut bytes = guest.clone();
        bytes[at] ^= 0x41;
        let _ = inspect("x", &bytes);
    }
}

/// As above, and all the way: what still passes for a component is compiled, prepared and called.
#[test]
fn each_byte_of_a_small_component_changed_ends_in_an_error_or_an_answer() {
    let bytes = wat(r#"(component
        (core module $m
            (memory (export "memory") 1) (table 2 funcref) (global $g (mut i32) (i32.const 7))
            (func $twice (param i32) (result i32) (i32.add (local.get 0) (local.get 0)))
            (elem (i32.const 0) $twice) (data (i32.const 8) "kept")
            (func (export "run") (param i32) (result i32)
                (global.set $g (i32.add (global.get $g) (i32.const 1)))
                (i32.store (i32.const 16) (local.get 0))
                (call_indirect (param i32) (result i32) (i32.load (i32.const 16)) (i32.const 0))))
        (core instance $i (instantiate $m))
        (func (export "run") (param "it" u32) (result u32) (canon lift (core func $i "run"))))"#);
    let limits = CallLimits { time: Duration::from_millis(100), memory_bytes: 1 << 20, ..CallLimits::default() };
    let through = |bytes: &[u8]| -> Option<CallOutcome> {
        let inspection = inspect("g", bytes).ok()?;
        let code = Code::compile_here(engine(), bytes).ok()?;
        let plugin = Plugin::prepare(engine(), &code, inspection).ok()?;
        Some(call(&plugin, "g_run", json!({"it": 21}), &nothing(), &limits))
    };
    assert_eq!(through(&bytes).unwrap().result, Ok(json!(42)));
    let (mut refused, mut answered, mut ended) = (0, 0, 0);
    for at in 0..bytes.len() {
        for change in [0x01, 0x40, 0xff] {
            let mut changed = bytes.clone();
            changed[at] ^= change;
            match through(&changed).map(|outcome| outcome.result) {
                None => refused += 1,
                Some(Ok(_)) => answered += 1,
                Some(Err(_)) => ended += 1,
            }
        }
    }
    // All three were met, so that each step had something to do.
    assert!(refused > bytes.len() && answered > 0 && ended > 0, "{refused} {answered} {ended}");
}

#[test]
fn an_import_that_is_not_offered_is_named_with_the_nearest() {
    for (import, want) in [
        ("wasi:cli/environment@0.3.0", "`wasi:cli/environment@0.2.12` is"),
        ("acme:db/query@1.0.0", "`acme:db/query@1.0.0` is not offered"),
        ("wasi:http/outgoing-handler@0.2.0", "`wasi:http/outgoing-handler@0.2.0` is not offered"),
    ] {
        let bytes = wat(&format!(r#"(component (import "{import}" (instance (export "f" (func)))))"#));
        let inspection = inspect("x", &bytes).unwrap();
        let code = Code::compile_here(engine(), &bytes).unwrap();
        let error = Plugin::prepare(engine(), &code, inspection).unwrap_err();
        assert!(matches!(error, PrepareError::Imports { .. }), "{error:?}");
        assert!(error.to_string().contains(want), "{error}");
    }
}

#[test]
fn code_and_inspection_of_different_files_do_not_pass() {
    let code = Code::compile_here(engine(), &guest_bytes("plugin_sleep")).unwrap();
    let inspection = inspect("x", &guest_bytes("plugin_env")).unwrap();
    assert!(matches!(Plugin::prepare(engine(), &code, inspection), Err(PrepareError::Mismatch { .. })));
}
