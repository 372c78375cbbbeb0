//! The main job: an agent with a skill on a real folder, and the daemon's record of it.

#![expect(clippy::disallowed_methods, reason = "tests make their own fixtures")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Output;

use sha2::{Digest, Sha256};
use stigmer_tests::product::{Product, show};

fn repository() -> PathBuf {
    let manifest = std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo and the test runner name the package");
    PathBuf::from(manifest).parent().expect("the package lies in the repository").to_owned()
}

fn skill() -> PathBuf {
    let skills =
        std::env::var_os("STIGMER_SKILLS").expect("`cargo xtask guests` builds them, `cargo xtask test` names them");
    PathBuf::from(skills).join("table")
}

fn with_airports() -> Product {
    let product = Product::fresh();
    let fixture = repository().join("tests/fixtures/airports");
    for entry in std::fs::read_dir(&fixture).expect("the fixture is there") {
        let from = entry.expect("a readable folder").path();
        let to = product.workspace().join(from.file_name().expect("a file has a name"));
        std::fs::copy(&from, to).expect("a small file");
    }
    product
}

/// Runs the quickstart's script, and stops the daemon that it started.
fn run(product: &Product) -> (Output, serde_json::Value) {
    let script = format!("script:{}", repository().join("tests/quickstart/script.toml").display());
    let (skill, workspace) = (skill(), product.workspace());
    let (skill, workspace) = (skill.to_str().expect("plain"), workspace.to_str().expect("plain"));
    let arguments = [
        "run",
        "-m",
        "Which states have the most airports?",
        "--model",
        &script,
        "--skill",
        skill,
        "--workspace",
        workspace,
        "--approve",
        "auto",
    ];
    let output = product.run(&arguments, b"");
    let list = product.run(&["execution", "list", "--json"], b"");
    let list: serde_json::Value = serde_json::from_slice(&list.stdout).unwrap_or_else(|_| panic!("{}", show(&list)));
    let id = list["executions"][0]["id"].as_str().unwrap_or_else(|| panic!("no execution: {list}")).to_owned();
    let record = product.run(&["execution", "show", &id, "--json"], b"");
    let record = serde_json::from_slice(&record.stdout).unwrap_or_else(|_| panic!("{}", show(&record)));
    let stopped = product.run(&["local", "stop"], b"");
    assert!(stopped.status.success(), "{}", show(&stopped));
    (output, record)
}

/// Path below the workspace, size and sha256 of every file.
fn walk(folder: &Path, root: &Path, found: &mut BTreeMap<String, (u64, String)>) {
    for entry in std::fs::read_dir(folder).expect("the workspace is the person's") {
        let path = entry.expect("a readable folder").path();
        if path.is_dir() {
            walk(&path, root, found);
        } else {
            let bytes = std::fs::read(&path).expect("a file of the person's");
            let digest = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
            let name = path.strip_prefix(root).expect("below").display().to_string();
            found.insert(name, (bytes.len() as u64, digest));
        }
    }
}

#[test]
fn the_daemons_record_is_what_an_independent_walk_finds() {
    let product = with_airports();
    let root = product.workspace();
    let (mut before, mut after) = (BTreeMap::new(), BTreeMap::new());
    walk(&root, &root, &mut before);
    let (output, record) = run(&product);
    assert!(output.status.success(), "{}", show(&output));
    walk(&root, &root, &mut after);
    after.retain(|name, seen| before.get(name) != Some(seen));
    let recorded: BTreeMap<String, (u64, String)> = record["files"]
        .as_array()
        .expect("files")
        .iter()
        .map(|file| {
            let text = |key: &str| file[key].as_str().unwrap_or_else(|| panic!("{key}: {file}")).to_owned();
            (text("path"), (file["size"].as_u64().expect("a size"), text("sha256")))
        })
        .collect();
    assert_eq!(recorded, after);
    let walls: Vec<_> = record["files"].as_array().expect("files").iter().map(|file| file["wall"].as_str()).collect();
    assert!(walls.contains(&Some("file-tool")) && walls.contains(&Some("shell")), "{record}");
    assert_eq!(record["denials"][0]["rule"].as_str(), Some("outside-roots"), "{record}");
}

#[test]
fn one_changed_row_of_the_data_fails_the_run_with_expected_and_got() {
    let product = with_airports();
    let file = product.workspace().join("airports.csv");
    let text = std::fs::read_to_string(&file).expect("the fixture is text");
    let changed = text.replacen(",AK,USA,", ",AL,USA,", 1);
    assert_ne!(text, changed, "the fixture has airports in Alaska");
    std::fs::write(&file, changed).expect("the workspace is the person's");
    let (output, _) = run(&product);
    let words = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(1), "{}", show(&output));
    assert!(words.contains("expected") && words.contains("got"), "{}", show(&output));
}
