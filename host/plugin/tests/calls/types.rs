//! Values of every kind, there and back; schemas that accept exactly what a call accepts.

use std::path::PathBuf;
use std::sync::OnceLock;

use serde_json::{Value, json};
use stigmer_plugin::{CallError, CallLimits, Plugin, append_docs, inspect};

use crate::support::{call, guest_bytes, nothing, prepare};

/// This package's folder: where the tests run, which may be a copy.
fn package() -> PathBuf {
    std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo and the test runner name the package").into()
}

/// With docs: appended here unless the build did it.
fn documented() -> Vec<u8> {
    let bytes = guest_bytes("plugin_types");
    let wit = package().join("../../tests/guests/plugin_types/wit");
    append_docs(&bytes, &wit).unwrap_or(bytes)
}

fn plugin() -> &'static Plugin {
    static PLUGIN: OnceLock<Plugin> = OnceLock::new();
    PLUGIN.get_or_init(|| prepare("types", &documented()))
}

fn run(function: &str, args: Value) -> Result<Value, CallError> {
    call(plugin(), &format!("types_echo_{function}"), args, &nothing(), &CallLimits::default()).result
}

fn validator(function: &str) -> jsonschema::Validator {
    let tool = plugin().tool(&format!("types_echo_{function}")).unwrap();
    jsonschema::draft202012::new(&tool.input_schema).unwrap()
}

#[test]
fn values_come_back_as_they_went() {
    for (function, values) in [
        ("booleans", json!([true, false])),
        ("signed8", json!([-128, 0, 127])),
        ("signed16", json!([-32768, 32767])),
        ("signed32", json!([i32::MIN, i32::MAX])),
        (
            "signed64",
            json!([0, 9_007_199_254_740_991_i64, "9007199254740992", "-9223372036854775808", "9223372036854775807"]),
        ),
        ("unsigned8", json!([0, 255])),
        ("unsigned16", json!([65535])),
        ("unsigned32", json!([4_294_967_295_u32])),
        ("unsigned64", json!([0, 9_007_199_254_740_991_u64, "18446744073709551615"])),
        ("float32", json!([0.1, -2.5, 3.4028235e38, "NaN", "Infinity", "-Infinity"])),
        ("float64", json!([0.1, 1e300, 5e-324, "NaN", "Infinity", "-Infinity"])),
        ("character", json!(["a", "é", "🦀"])),
        ("text", json!(["", "ünïcode 🦀", "a\nb\u{0}"])),
        ("bytes", json!(["", "AAEC/w=="])),
        ("numbers", json!([[], [1, "18446744073709551615"]])),
        (
            "places",
            json!([{"latitude": 1.5, "longitude": -2.0, "note": "x"}, {"latitude": 0.5, "longitude": 0.25, "note": null}]),
        ),
        ("answers", json!(["nothing", {"one": {"latitude": 1.0, "longitude": 2.0, "note": null}}, {"many": []}])),
        ("colours", json!(["red", "green"])),
        ("right", json!([[], ["read", "execute"]])),
        ("pair", json!([["a", 1]])),
        ("maybe", json!([null, 0, 7])),
        ("maybe-maybe", json!([null, {"some": null}, {"some": 7}])),
    ] {
        let schema = validator(function);
        for value in values.as_array().unwrap() {
            let arguments = json!({ "value": value });
            assert!(schema.is_valid(&arguments), "{function} {value}");
            assert_eq!(run(function, arguments).unwrap(), *value, "{function}");
        }
    }
    for value in [json!({"ok": null}), json!({"ok": [1, 2]}), json!({"err": "no"})] {
        assert_eq!(run("nested", json!({ "value": value })).unwrap(), json!([value]));
    }
}

#[test]
fn wrong_values_are_refused_by_call_and_schema_alike_and_named() {
    for (function, value, pointer) in [
        ("booleans", json!(1), "/value"),
        ("signed8", json!(128), "/value"),
        ("unsigned8", json!(-1), "/value"),
        ("unsigned8", json!(1.5), "/value"),
        ("unsigned64", json!("18446744073709551616"), ""),
        ("unsigned64", json!("-1"), "/value"),
        ("unsigned64", json!("+1"), "/value"),
        ("float64", json!("nan"), "/value"),
        ("character", json!("ab"), "/value"),
        ("character", json!(""), "/value"),
        ("text", json!(null), "/value"),
        ("numbers", json!([1, true]), "/value/1"),
        ("places", json!({"latitude": 1.5}), "/value/longitude"),
        ("places", json!({"latitude": 1.5, "longitude": "x"}), "/value/longitude"),
        ("places", json!({"latitude": 1.5, "longitude": 2, "a/b": 1}), "/value/a~1b"),
        ("answers", json!("one"), "/value/one"),
        ("answers", json!({"one": {"latitude": 1, "longitude": null}}), "/value/one/longitude"),
        ("answers", json!({"nothing": 1}), "/value/nothing"),
        ("answers", json!("other"), "/value"),
        ("colours", json!("blue"), "/value"),
        ("right", json!(["read", "fly"]), "/value/1"),
        ("pair", json!(["a"]), "/value"),
        ("pair", json!(["a", 1, 2]), "/value"),
        ("pair", json!(["a", 300]), "/value/1"),
        ("maybe-maybe", json!(7), "/value"),
    ] {
        let arguments = json!({ "value": value });
        let Err(CallError::Arguments(error)) = run(function, arguments.clone()) else { panic!("{function} {value}") };
        if pointer.is_empty() {
            // Twenty digits that are one too many: a pattern cannot say that.
            continue;
        }
        assert_eq!(error.pointer, pointer, "{function} {value}: {error}");
        assert!(!validator(function).is_valid(&arguments), "schema of {function} takes {value}");
    }
    let Err(CallError::Arguments(error)) = run("bytes", json!({"value": "not base64!"})) else { panic!() };
    assert_eq!(error.to_string(), "argument `/value`: expected bytes as base64 text, found the text \"not base64!\"");
    for arguments in [json!([]), json!(null), json!({}), json!({"value": true, "more": 1})] {
        assert!(matches!(run("booleans", arguments.clone()), Err(CallError::Arguments(_))), "{arguments}");
        assert!(!validator("booleans").is_valid(&arguments), "{arguments}");
    }
}

#[test]
fn whole_numbers_may_be_written_with_a_point_and_integers_as_text() {
    assert_eq!(run("unsigned8", json!({"value": 3.0})).unwrap(), json!(3));
    assert_eq!(run("signed64", json!({"value": "-5"})).unwrap(), json!(-5));
    assert_eq!(run("float64", json!({"value": 2})).unwrap(), json!(2.0));
}

#[test]
fn options_may_be_left_out() {
    assert_eq!(run("defaults", json!({"name": "Ann"})).unwrap(), "hello, Ann");
    assert_eq!(run("defaults", json!({"name": "Ann", "greeting": null})).unwrap(), "hello, Ann");
    assert_eq!(run("defaults", json!({"name": "Ann", "greeting": "hi"})).unwrap(), "hi, Ann");
    assert!(validator("defaults").is_valid(&json!({"name": "Ann"})));
    assert_eq!(run("places", json!({"value": {"latitude": 1, "longitude": 2}})).unwrap()["note"], Value::Null);
}

#[test]
fn the_error_of_a_result_is_an_error_of_the_tool() {
    assert_eq!(run("divide", json!({"dividend": 7, "divisor": 2})), Ok(json!(3)));
    let error = run("divide", json!({"dividend": 7, "divisor": 0})).unwrap_err();
    assert_eq!(error, CallError::Guest(json!("cannot divide 7 by 0")));
    assert_eq!(error.to_string(), "cannot divide 7 by 0");
    assert_eq!(run("check", json!({"good": true})), Ok(Value::Null));
    assert_eq!(run("check", json!({"good": false})), Err(CallError::Guest(Value::Null)));
    assert_eq!(run("nothing", json!({})), Ok(Value::Null));
}

#[test]
fn an_unknown_tool_is_met_with_the_nearest() {
    let outcome = call(plugin(), "types_echo_divid", json!({}), &nothing(), &CallLimits::default());
    let error = outcome.result.unwrap_err();
    assert_eq!(error.hint().as_deref(), Some("did you mean `types_echo_divide`?"));
    let by_wit = call(plugin(), "test:types/echo@1.2.0.nothing", json!({}), &nothing(), &CallLimits::default());
    assert_eq!(by_wit.result, Ok(Value::Null));
    let bare = call(plugin(), "nothing", json!({}), &nothing(), &CallLimits::default());
    assert_eq!(bare.result, Ok(Value::Null));
}

#[test]
fn a_bare_name_that_two_interfaces_have_is_refused_and_both_tools_are_named() {
    let interface = |name: &str| {
        format!(
            r#"(instance ${name} (export "act" (func $act)) (export "{name}-only" (func $act)))
            (export "t:t/{name}" (instance ${name}))"#
        )
    };
    let text = format!(
        r#"(component
            (core module $m (func (export "act")))
            (core instance $i (instantiate $m))
            (func $act (canon lift (core func $i "act")))
            {} {})"#,
        interface("a"),
        interface("b")
    );
    let plugin = prepare("two", &wat::parse_str(&text).unwrap());
    let run = |name: &str| call(&plugin, name, json!({}), &nothing(), &CallLimits::default()).result;
    let error = run("act").unwrap_err();
    assert!(matches!(error, CallError::Ambiguous { .. }), "{error:?}");
    assert_eq!(error.to_string(), "plugin `two` has several tools called `act`");
    assert_eq!(error.hint().as_deref(), Some("name one of `two_a_act`, `two_b_act`"));
    for twin in ["a-only", "two_a_act", "two_b_act", "t:t/b.act"] {
        assert_eq!(run(twin), Ok(Value::Null), "{twin}");
    }
}

#[test]
fn docs_become_descriptions_and_what_cannot_be_called_is_listed_with_its_reason() {
    let inspection = inspect("types", &documented()).unwrap();
    let tool = |name: &str| inspection.tools.iter().find(|tool| tool.name == name).unwrap();
    let divide = tool("types_echo_divide");
    assert_eq!(divide.description.as_deref(), Some("Divides.\n\nRefuses to divide by zero."));
    assert_eq!(divide.signature, "func(dividend: s32, divisor: s32) -> result<s32, string>");
    assert_eq!(tool("types_add").description.as_deref(), Some("Adds two numbers."));
    let place = &tool("types_echo_places").input_schema["properties"]["value"];
    assert_eq!(place["description"], "Where something lies.");
    assert_eq!(place["properties"]["latitude"]["description"], "Degrees north.");
    assert_eq!(tool("types_echo_answers").signature, "func(value: answer) -> answer");
    tool("types_things_plain");
    let reasons: Vec<_> =
        inspection.unsupported.iter().map(|one| (one.export.function.as_str(), one.reason.as_str())).collect();
    assert!(reasons.contains(&("make", "resource values are not supported yet")), "{reasons:?}");
    assert!(reasons.iter().any(|(name, _)| name.contains("[constructor]thing")), "{reasons:?}");
    for tool in &inspection.tools {
        jsonschema::meta::validate(&tool.input_schema).unwrap();
        jsonschema::meta::validate(&tool.output_schema).unwrap();
    }
    let there_and_back: stigmer_plugin::Inspection =
        serde_json::from_str(&serde_json::to_string(&inspection).unwrap()).unwrap();
    assert_eq!(there_and_back, inspection);
}

/// What we append must not keep other tools from reading the component.
#[test]
fn a_documented_component_is_still_read_by_the_common_decoder() {
    let bytes = documented();
    let wit_parser::decoding::DecodedWasm::Component(resolve, world) = wit_parser::decoding::decode(&bytes).unwrap()
    else {
        panic!("not a component");
    };
    let function = resolve.worlds[world].exports.values().find_map(|item| match item {
        wit_parser::WorldItem::Function(function) if function.name == "add" => Some(function),
        _ => None,
    });
    assert_eq!(function.unwrap().docs.contents.as_deref(), Some("Adds two numbers."));
    let wit = package().join("../../tests/guests/plugin_types/wit");
    assert!(append_docs(&bytes, &wit).is_err(), "twice");
}

#[test]
fn without_docs_tools_are_the_same_but_for_descriptions() {
    let (with, plain) = (inspect("t", &documented()).unwrap(), inspect("t", &guest_bytes("plugin_types")).unwrap());
    let names = |inspection: &stigmer_plugin::Inspection| -> Vec<_> {
        inspection.tools.iter().map(|tool| tool.name.clone()).collect()
    };
    assert_eq!(names(&with), names(&plain));
    assert!(with.toolchain.iter().any(|tool| tool.starts_with("rustc")), "{:?}", with.toolchain);
}
