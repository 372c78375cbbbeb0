//! What people and agents do all day must simply work inside.

#![expect(clippy::disallowed_methods, reason = "tests read their own tables")]

use serde::Deserialize;
use stigmer_policy::Level;
use stigmer_tests::product::{Product, say, show};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    work: Vec<Row>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    name: String,
    run: String,
    base: Option<String>,
}

#[test]
fn ordinary_work_works_inside() {
    let manifest = std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo and the test runner name the package");
    let table = std::path::Path::new(&manifest).join("ordinary/work.toml");
    let table: Table = toml::from_str(&std::fs::read_to_string(table).expect("the table is there")).expect("its form");
    let mut failed = Vec::new();
    for row in &table.work {
        let script = format!("set -e\n{}", row.run);
        // Git refuses to commit for nobody; the jail has an identity of its own.
        let identity = "git config --global user.name t && git config --global user.email t@localhost; ";
        let without = Product::fresh().unconfined(&format!("{identity}{script}"));
        if !without.status.success() {
            say(&format!("skipped: {}: it does not work on this machine without walls either", row.name));
            continue;
        }
        for level in [Level::Full, Level::Base] {
            let product = Product::fresh();
            if (level == Level::Base && row.base.is_some()) || !product.holds(level, &row.name) {
                continue;
            }
            let output = product.exec(level, &script);
            if !output.status.success() {
                failed.push(format!("{} at {}: {}", row.name, level.name(), show(&output)));
            }
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n\n"));
}
