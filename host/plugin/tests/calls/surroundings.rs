//! What a guest sees of the machine: nothing that it was not given.

use std::net::TcpListener;
use std::sync::Arc;

use serde_json::{Value, json};
use stigmer_plugin::{CallError, CallLimits, CallOutcome, Gate, Grants, Plugin};
use stigmer_policy::{Decision, Request, Rule};

use crate::support::{SmallPolicy, call, guest, nothing, rules, said_no};

fn run(plugin: &Plugin, function: &str, args: Value, grants: &Grants) -> CallOutcome {
    call(plugin, &format!("g_guest_{function}"), args, grants, &CallLimits::default())
}

#[test]
fn the_environment_is_empty_but_for_what_is_granted() {
    let plugin = guest("plugin_env");
    assert!(std::env::vars_os().count() > 0, "the host has variables to hide");
    assert_eq!(run(&plugin, "names", json!({}), &nothing()).result, Ok(json!([])));
    assert_eq!(run(&plugin, "get", json!({"name": "PATH"}), &nothing()).result, Ok(Value::Null));
    let granted = Grants { env: vec![("COLOUR".into(), "red".into())], ..nothing() };
    assert_eq!(run(&plugin, "names", json!({}), &granted).result, Ok(json!(["COLOUR"])));
    assert_eq!(run(&plugin, "get", json!({"name": "COLOUR"}), &granted).result, Ok(json!("red")));
    assert_eq!(run(&plugin, "arguments", json!({}), &nothing()).result, Ok(json!([])));
    assert_eq!(run(&plugin, "input", json!({}), &nothing()).result, Ok(json!("")));
}

#[test]
fn ending_the_program_is_told_apart_from_a_trap() {
    let plugin = guest("plugin_env");
    for (ok, code) in [(true, 0), (false, 1)] {
        assert_eq!(run(&plugin, "exit", json!({"ok": ok}), &nothing()).result, Err(CallError::Exit { code }));
    }
}

#[test]
fn every_use_of_a_socket_is_refused_by_rule() {
    let plugin = guest("plugin_net");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let outcome = run(&plugin, "connect", json!({"host": "127.0.0.1", "port": port}), &nothing());
    assert!(said_no(&outcome).contains("PermissionDenied"), "{outcome:?}");
    assert_eq!(rules(&outcome), [Rule::NetworkOff]);
    assert_eq!(outcome.denials[0].subject, format!("connect 127.0.0.1:{port}"));
    listener.set_nonblocking(true).unwrap();
    assert_eq!(listener.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock, "somebody connected");
    // The twin: the same address answers when it is reached from here.
    listener.set_nonblocking(false).unwrap();
    let twin = rustix::net::socket(rustix::net::AddressFamily::INET, rustix::net::SocketType::STREAM, None).unwrap();
    rustix::net::connect(&twin, &std::net::SocketAddr::from(([127, 0, 0, 1], port))).unwrap();
    listener.accept().unwrap();

    for (function, args) in [
        ("connect", json!({"host": "::1", "port": port})),
        ("listen", json!({"port": 0})),
        ("send", json!({"host": "127.0.0.1", "port": port})),
        ("resolve", json!({"name": "example.com"})),
        ("connect", json!({"host": "example.com", "port": 443})),
    ] {
        let outcome = run(&plugin, function, args.clone(), &nothing());
        said_no(&outcome);
        assert_eq!(rules(&outcome), [Rule::NetworkOff], "{function} {args}: {outcome:?}");
    }
}

#[test]
fn a_listed_host_is_still_not_reached_by_socket() {
    let plugin = guest("plugin_net");
    let open = Grants::none(Arc::new(SmallPolicy { roots: Vec::new(), connect: true }));
    let outcome = run(&plugin, "connect", json!({"host": "127.0.0.1", "port": 80}), &open);
    said_no(&outcome);
    assert_eq!(rules(&outcome), [Rule::DefaultDeny]);
}

#[test]
fn a_host_that_panics_loses_one_call() {
    struct Broken;
    impl Gate for Broken {
        fn decide(&self, _: &Request) -> Decision {
            panic!("the gate is broken");
        }
    }
    let plugin = guest("plugin_net");
    let grants = Grants::none(Arc::new(Broken));
    let outcome = run(&plugin, "connect", json!({"host": "127.0.0.1", "port": 80}), &grants);
    let Err(CallError::Host { message }) = &outcome.result else { panic!("{outcome:?}") };
    assert!(message.contains("the gate is broken"), "{message}");
    said_no(&run(&plugin, "connect", json!({"host": "127.0.0.1", "port": 80}), &nothing()));
}
