//! Keeps the documents true: what they name exists, what they repeat is what the code says.

#![expect(clippy::disallowed_methods, reason = "tests read the repository's own documents")]

mod docs {
    pub(super) mod promises;
    pub(super) mod repository;
}

use stigmer_policy::{Document, JailPath, Places, Promise};

use docs::promises;
use docs::repository::{Page, code_spans, exists, pages, read};

/// What no page may say: places of the machine it was written on, trackers, hosts of registries.
const FORBIDDEN: &[&str] = &[
    "/work/",
    "/root/",
    "issue #",
    "crates.io",
    "pypi.org",
    "npmjs",
    "proxy.golang.org",
    "deb.debian.org",
    "TODO",
    "FIXME",
];

/// Runs `check` over all pages and fails with everything that it found.
fn every_page(what: &str, check: impl Fn(&Page) -> Vec<String>) {
    let pages = pages();
    assert!(pages.len() > 5, "the pages were not found");
    let found: Vec<_> = pages
        .iter()
        .flat_map(|page| check(page).into_iter().map(|it| format!("{}: {it}", page.name)).collect::<Vec<_>>())
        .collect();
    assert!(found.is_empty(), "{what}:\n{}", found.join("\n"));
}

#[test]
fn links_lead_to_files_that_exist() {
    every_page("links that lead nowhere", |page| {
        let targets = page.links();
        targets.into_iter().filter(|target| !exists(&page.beside(target))).collect()
    });
}

#[test]
fn the_promise_table_is_the_one_of_the_policy() {
    for name in ["README.md", "SPECIFICATION.md"] {
        promises::compare(name, "promises", &promises::strengths());
    }
    promises::compare("SPECIFICATION.md", "layers", &promises::layers());
}

#[test]
fn every_promise_says_what_shows_it() {
    let text = read("SPECIFICATION.md");
    let shown = promises::block(&text, "shown").expect("SPECIFICATION.md has a block `shown`");
    for promise in Promise::ALL {
        let row = shown.lines().find(|line| line.starts_with(&format!("| `{}` |", promise.name())));
        let row = row.unwrap_or_else(|| panic!("`{}` has no row", promise.name()));
        assert!(row.contains("tests/attacks/") || row.contains(".rs::"), "no test is named: {row}");
    }
}

#[test]
fn tests_scenarios_and_benches_that_are_named_exist() {
    every_page("named and not there", |page| {
        code_spans(&page.text)
            .filter_map(|span| docs::repository::missing(span).map(|why| format!("`{span}`: {why}")))
            .collect()
    });
}

#[test]
fn the_examples_of_the_policy_page_make_policies() {
    let path = |text| JailPath::absolute(text).expect("a plain path");
    let places = Places::new(path("/home/ada/project"), path("/tmp"), path("/home/ada"));
    let page = pages().into_iter().find(|page| page.name == "docs/policy.md").expect("docs/policy.md is there");
    let examples = page.fenced("toml");
    assert!(!examples.is_empty(), "the page has no example");
    for example in examples {
        let policy = Document::parse(&example).and_then(|document| document.check(&places));
        assert!(policy.is_ok(), "{example}\n{:?}", policy.err());
    }
}

#[test]
fn the_page_of_variables_lists_what_the_table_has() {
    let source = read("host/cli/src/settings/variables.rs");
    let is_variable = |word: &str| {
        word.len() > 2
            && word.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_')
            && word.bytes().any(|byte| byte != b'_')
    };
    let mut table: Vec<_> = source.split('"').skip(1).step_by(2).filter(|word| is_variable(word)).collect();
    let text = read("docs/environment.md");
    let rows = text.lines().filter(|line| line.starts_with("| `"));
    let mut page: Vec<_> = rows.filter_map(|row| row.split('`').nth(1)).filter(|word| is_variable(word)).collect();
    for list in [&mut table, &mut page] {
        list.sort_unstable();
        list.dedup();
    }
    assert!(table.len() > 5, "the table was not found");
    assert_eq!(page, table);
}

#[test]
fn no_page_speaks_of_where_it_was_made() {
    every_page("forbidden words", |page| {
        FORBIDDEN.iter().filter(|word| page.text.contains(**word)).map(|word| format!("`{word}`")).collect()
    });
}
