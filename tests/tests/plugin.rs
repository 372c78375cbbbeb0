//! Plugins through the product: what the record says of their changes, and folders named for one call.

#![expect(clippy::disallowed_methods, reason = "tests make their own fixtures")]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Output;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use stigmer_tests::product::{Product, show};

fn guest(name: &str) -> String {
    let guests = std::env::var_os("STIGMER_GUESTS").expect("`cargo xtask guests` builds them");
    PathBuf::from(guests).join(name).with_extension("wasm").display().to_string()
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

const SCRIPT: &str = r#"
[[turn]]
[[turn.call]]
id = "folder"
tool = "plugin_fs_guest_make-dir"
args = { path = "${WORKSPACE}/made" }
[[turn]]
[[turn.expect]]
call = "folder"
is_error = false
matches = ""
[[turn.call]]
id = "write"
tool = "plugin_fs_guest_write"
args = { path = "${WORKSPACE}/made/new", text = "by a plugin" }
[[turn.call]]
id = "cut"
tool = "plugin_fs_guest_set-size"
args = { path = "${WORKSPACE}/long", size = 3 }
[[turn.call]]
id = "move"
tool = "plugin_fs_guest_rename"
args = { from = "${WORKSPACE}/old", to = "${WORKSPACE}/young" }
[[turn.call]]
id = "remove"
tool = "plugin_fs_guest_remove-file"
args = { path = "${WORKSPACE}/gone" }
[[turn.call]]
id = "shell"
tool = "execute"
args = { command = "echo shell > by-shell" }
[[turn.call]]
id = "tool"
tool = "write_file"
args = { file_path = "${WORKSPACE}/by-tool", content = "tool" }
[[turn]]
text = "done"
[[turn.expect]]
call = "write"
is_error = false
matches = ""
[[turn.expect]]
call = "cut"
is_error = false
matches = ""
[[turn.expect]]
call = "move"
is_error = false
matches = ""
[[turn.expect]]
call = "remove"
is_error = false
matches = ""
[[turn.expect]]
call = "shell"
is_error = false
matches = ""
[[turn.expect]]
call = "tool"
is_error = false
matches = ""
"#;

#[test]
fn the_record_names_the_plugin_for_what_a_plugin_changed() {
    let product = Product::fresh();
    let root = product.workspace();
    for (name, text) in [("long", "longer"), ("old", "moved"), ("gone", "x"), ("kept", "x")] {
        std::fs::write(root.join(name), text).expect("the workspace is the person's");
    }
    let script = product.home().join("script.toml");
    std::fs::write(&script, SCRIPT).expect("the home is the person's");
    let (model, file) = (format!("script:{}", script.display()), guest("plugin_fs"));
    let workspace = root.display().to_string();
    let run = ["run", "-m", "go", "--model", &model, "--workspace", &workspace, "--plugin", &file, "--approve", "auto"];
    let output = product.run(&run, b"");
    let record = product.run(&["execution", "show", "--json"], b"");
    let stopped = product.run(&["local", "stop"], b"");
    assert!(output.status.success() && stopped.status.success(), "{}", show(&output));
    let record: Value = serde_json::from_slice(&record.stdout).unwrap_or_else(|_| panic!("{}", show(&record)));
    let rows = record["files"].as_array().expect("files").iter().map(|file| {
        let text = |key: &str| file[key].as_str().unwrap_or_else(|| panic!("{key}: {file}")).to_owned();
        (text("path"), (text("change"), text("wall"), file["sha256"].as_str().unwrap_or_default().to_owned()))
    });
    let row = |change: &str, wall: &str, sha256: String| (change.to_owned(), wall.to_owned(), sha256);
    let wanted = BTreeMap::from([
        ("made/new".to_owned(), row("created", "plugin", sha256(b"by a plugin"))),
        ("long".to_owned(), row("changed", "plugin", sha256(b"lon"))),
        ("old".to_owned(), row("removed", "plugin", String::new())),
        ("young".to_owned(), row("created", "plugin", sha256(b"moved"))),
        ("gone".to_owned(), row("removed", "plugin", String::new())),
        ("by-shell".to_owned(), row("created", "shell", sha256(b"shell\n"))),
        ("by-tool".to_owned(), row("created", "file-tool", sha256(b"tool"))),
    ]);
    assert_eq!(rows.collect::<BTreeMap<_, _>>(), wanted, "{record}");
}

fn call(product: &Product, function: &str, arguments: &Value, dirs: &[&str]) -> (Output, Value) {
    let (file, arguments) = (guest("plugin_fs"), arguments.to_string());
    let mut words = vec!["plugin", "call", &file, function, &arguments, "--json"];
    words.extend(dirs.iter().flat_map(|dir| ["--dir", *dir]));
    let output = product.run(&words, b"");
    let outcome = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
    (output, outcome)
}

#[test]
fn several_folders_are_given_each_with_its_own_access() {
    let product = Product::fresh();
    let (one, two) = (product.workspace(), product.outside());
    std::fs::write(two.join("a"), "two").expect("a folder of the person's");
    let (one, two) = (one.display().to_string(), two.display().to_string());
    let read_only = format!("{two}:ro");
    let dirs = [one.as_str(), read_only.as_str()];
    let read = json!({"path": format!("{two}/a")});
    let write = |folder: &str| json!({"path": format!("{folder}/new"), "text": "x"});

    let (output, outcome) = call(&product, "read", &read, &dirs);
    assert_eq!(outcome["value"], "two", "{}", show(&output));
    let (output, outcome) = call(&product, "write", &write(&one), &dirs);
    assert_eq!(outcome["changed"], json!([format!("{one}/new")]), "{}", show(&output));
    let (output, outcome) = call(&product, "write", &write(&two), &dirs);
    assert_eq!(
        (output.status.code(), &outcome["denials"][0]["rule"]),
        (Some(1), &json!("read-only-root")),
        "{outcome}"
    );
    let (output, outcome) = call(&product, "write", &write(&two), &[&one, &two]);
    assert_eq!(outcome["changed"], json!([format!("{two}/new")]), "{}", show(&output));
    // Not named, not given.
    let (output, outcome) = call(&product, "read", &read, &[&one]);
    assert_eq!((output.status.code(), &outcome["denials"][0]["rule"]), (Some(1), &json!("outside-roots")), "{outcome}");
}

#[test]
fn folders_that_cannot_be_given_are_said_before_anything_starts() {
    let product = Product::fresh();
    let workspace = product.workspace();
    std::fs::create_dir(workspace.join("inner")).expect("the workspace is the person's");
    std::fs::write(workspace.join("file"), "x").expect("the workspace is the person's");
    let workspace = workspace.display().to_string();
    let (inner, file, mapped) =
        (format!("{workspace}/inner"), format!("{workspace}/file"), format!("{workspace}::/work"));
    for (dirs, words) in [
        (vec!["nowhere"], "there is no folder `nowhere`"),
        (vec![&*workspace, "nowhere:ro"], "there is no folder `nowhere`"),
        (vec![&*file], "is not a folder"),
        (vec![&*mapped], "the same path inside as outside"),
        (vec![&*workspace, &*workspace], "named twice"),
        (vec![&*workspace, &*inner], "lies in the other"),
        (vec!["/etc"], "is not given to plugins"),
    ] {
        let (output, _) = call(&product, "list", &json!({"path": "/"}), &dirs);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(2) && said.contains(words), "{dirs:?}: {}", show(&output));
    }
    let (output, outcome) = call(&product, "list", &json!({"path": &*workspace}), &[&workspace]);
    assert_eq!(outcome["value"], json!(["file", "inner"]), "{}", show(&output));
}
