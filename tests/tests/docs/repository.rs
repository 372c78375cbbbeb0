//! Pages of this repository, and the things that they name.

use std::path::{Component, Path, PathBuf};

/// One Markdown file.
pub(crate) struct Page {
    /// From the repository's root.
    pub(crate) name: String,
    pub(crate) text: String,
}

impl Page {
    /// Targets of links inside the repository, outside fenced blocks and without their anchors.
    pub(crate) fn links(&self) -> Vec<String> {
        let mut targets = Vec::new();
        for line in prose(&self.text) {
            for (at, _) in line.match_indices("](") {
                let Some((target, _)) = line[at + 2..].split_once(')') else { continue };
                let target = target.split_once('#').map_or(target, |(file, _)| file);
                if !target.is_empty() && !target.contains("://") && !target.starts_with("mailto:") {
                    targets.push(target.to_owned());
                }
            }
        }
        targets
    }

    /// A link's target from the repository's root.
    pub(crate) fn beside(&self, target: &str) -> String {
        let folder = Path::new(&self.name).parent().unwrap_or(Path::new(""));
        let mut out = PathBuf::new();
        for part in folder.join(target).components() {
            match part {
                Component::ParentDir => assert!(out.pop(), "{}: `{target}` leaves the repository", self.name),
                Component::Normal(name) => out.push(name),
                _ => {}
            }
        }
        out.to_string_lossy().into_owned()
    }

    /// Contents of the blocks that are fenced as `language`.
    pub(crate) fn fenced(&self, language: &str) -> Vec<String> {
        let mut blocks = Vec::new();
        let mut open: Option<(bool, String)> = None;
        for line in self.text.lines() {
            match (&mut open, line.strip_prefix("```")) {
                (None, Some(info)) => open = Some((info == language, String::new())),
                (Some(_), Some(_)) => blocks.extend(open.take().and_then(|(wanted, text)| wanted.then_some(text))),
                (Some((_, text)), None) => {
                    text.push_str(line);
                    text.push('\n');
                }
                (None, None) => {}
            }
        }
        blocks
    }
}

/// Every page: of the root, of `docs`, beside data and plugins.
pub(crate) fn pages() -> Vec<Page> {
    let mut found = Vec::new();
    collect(&root(), &mut found);
    let mut pages: Vec<_> = found
        .iter()
        .map(|path| {
            let name = path.strip_prefix(root()).expect("it was found below the root");
            Page { name: name.to_string_lossy().into_owned(), text: std::fs::read_to_string(path).expect("UTF-8") }
        })
        .collect();
    pages.sort_by(|one, other| one.name.cmp(&other.name));
    pages
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder of the repository") {
        let entry = entry.expect("a folder of the repository");
        let (path, name) = (entry.path(), entry.file_name());
        let hidden = name.as_encoded_bytes().starts_with(b".");
        if entry.file_type().expect("a kind").is_dir() {
            if !hidden && name != "target" {
                collect(&path, found);
            }
        } else if path.extension().is_some_and(|extension| extension == "md") {
            found.push(path);
        }
    }
}

/// Lines that are no code blocks.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut fenced = false;
    text.lines().filter(move |line| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        !fence && !fenced
    })
}

/// What stands between single back-ticks.
pub(crate) fn code_spans(text: &str) -> impl Iterator<Item = &str> {
    prose(text).flat_map(|line| line.split('`').skip(1).step_by(2))
}

/// Why what a code span names is not there; `None` when it is, or when the span names nothing of the kind.
///
/// `PATH.rs::name` is a test, `PATH.rs::NAME = VALUE` a constant, `tests/attacks/NAME` a scenario, `cargo xtask bench
/// NAME` a bench.
pub(crate) fn missing(span: &str) -> Option<String> {
    if let Some(bench) = span.strip_prefix("cargo xtask bench ") {
        let places = ["tests", "host/sandbox", "host/plugin", "host/daemon", "host/runner"];
        let there = places.iter().any(|package| exists(&format!("{package}/benches/{bench}.rs")));
        return (!there).then(|| "there is no such bench".to_owned());
    }
    if span.starts_with("tests/attacks/") {
        return (!exists(&format!("{span}/attack.toml"))).then(|| "there is no such scenario".to_owned());
    }
    let (file, item) = span.split_once(".rs::")?;
    let file = format!("{file}.rs");
    if !exists(&file) {
        return Some(format!("there is no file {file}"));
    }
    let source = read(&file);
    match item.split_once(" = ") {
        Some((name, value)) => {
            let declared = source.lines().any(|line| {
                line.contains(&format!("const {name}: ")) && line.trim_end().ends_with(&format!("= {value};"))
            });
            (!declared).then(|| "the constant has another value, or is not there".to_owned())
        }
        None => (!is_test(&source, item)).then(|| "there is no such test".to_owned()),
    }
}

fn is_test(source: &str, name: &str) -> bool {
    let Some(at) = source.find(&format!("fn {name}(")) else { return false };
    let attributes = source[..at].lines().rev().take(5);
    attributes.map(str::trim).any(|line| line.starts_with("#[test]") || line.starts_with("#[tokio::test"))
}

/// A file's text.
pub(crate) fn read(name: &str) -> String {
    std::fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Whether a file or folder is there.
pub(crate) fn exists(name: &str) -> bool {
    root().join(name).exists()
}

fn root() -> PathBuf {
    let manifest = std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo and the test runner name the package");
    Path::new(&manifest).parent().expect("the package lies in the repository").to_owned()
}
