//! Every folder below `attacks/`, one test for all, each named in its failure. `STIGMER_ATTACK` names the beginning of
//! those to run, for whoever works on one.

#![expect(clippy::disallowed_methods, reason = "tests read their own scenarios")]

use std::path::PathBuf;

fn folders() -> Vec<PathBuf> {
    let manifest = std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo and the test runner name the package");
    let attacks = PathBuf::from(manifest).join("attacks");
    let entries = std::fs::read_dir(&attacks).expect("the scenarios are there");
    let mut folders: Vec<_> = entries.map(|entry| entry.expect("a readable folder").path()).collect();
    if let Some(wanted) = std::env::var_os("STIGMER_ATTACK") {
        let wanted = wanted.into_string().expect("scenario folders have plain names");
        folders.retain(|folder| folder.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&wanted)));
    }
    folders.sort();
    assert!(!folders.is_empty());
    folders
}

#[test]
fn every_attack_ends_as_promised() {
    let mut failed = Vec::new();
    for folder in folders() {
        if std::panic::catch_unwind(|| stigmer_tests::attack::run(&folder)).is_err() {
            failed.push(folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default());
        }
    }
    assert!(failed.is_empty(), "attacks that did not end as promised (details above): {failed:?}");
}
