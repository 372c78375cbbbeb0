//! A `put` that is killed in the middle: the old content is whole, nothing half is shown, and the next put clears up.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::Write;
use std::process::{Child, Stdio};
use std::time::Duration;

use stigmer_policy::Level;
use stigmer_tests::processes::{descendants, kill};
use stigmer_tests::product::{Product, level_flags, show};
use stigmer_tests::waiting::until;

const PATIENCE: Duration = Duration::from_secs(10);
/// More than any buffer between the caller and the file.
const PART: usize = 4 << 20;

fn words<'a>(verb: &'a str, level: Level, path: &'a str) -> Vec<&'a str> {
    let mut words = vec!["sandbox", verb];
    words.extend(level_flags(level));
    words.push(path);
    words
}

fn run(product: &Product, verb: &str, level: Level, path: &str, stdin: &[u8]) -> Vec<u8> {
    let output = product.run(&words(verb, level, path), stdin);
    assert!(output.status.success(), "{}", show(&output));
    output.stdout
}

/// Temporary files in the workspace, by size.
fn drafts(product: &Product) -> BTreeMap<OsString, u64> {
    let entries = std::fs::read_dir(product.workspace()).expect("it is there").flatten();
    let drafts = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(".stigmer-put-"));
    drafts.map(|entry| (entry.file_name(), entry.metadata().map_or(0, |it| it.len()))).collect()
}

/// A put that has written a part and waits for the rest.
fn half(product: &Product, level: Level, path: &str) -> Child {
    let before = drafts(product);
    let mut command = product.command(&words("put", level, path));
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("starts");
    child.stdin.as_mut().expect("a pipe").write_all(&vec![b'x'; PART]).expect("it reads");
    let written = |(name, bytes): (&OsString, &u64)| !before.contains_key(name) && *bytes > PART as u64 / 2;
    until(PATIENCE, "a part is written", || drafts(product).iter().any(written));
    child
}

#[test]
fn a_killed_put_leaves_the_old_content_and_nothing_that_is_shown() {
    for level in [Level::Full, Level::Base, Level::Filesystem] {
        let product = Product::fresh();
        if !product.holds(level, "killed put") {
            continue;
        }
        run(&product, "put", level, "file", b"old");
        let mut killed = half(&product, level, "file");
        let pid = i32::try_from(killed.id()).expect("a process id");
        descendants(pid).into_iter().chain([pid]).for_each(kill);
        let _ = killed.wait();
        assert_eq!(drafts(&product).len(), 1, "the case is not the one that was meant, at {}", level.name());
        assert_eq!(run(&product, "get", level, "file", b""), b"old");
        let listed = run(&product, "ls", level, ".", b"");
        let listed = String::from_utf8_lossy(&listed).into_owned();
        assert!(listed.contains("file") && !listed.contains("stigmer-put"), "{listed}");
        let found = product.run(&["sandbox", "grep", "xxx", "."], b"");
        assert!(!String::from_utf8_lossy(&found.stdout).contains("stigmer-put"), "{}", show(&found));

        // One that is at work keeps its own; the other's is taken away by whoever puts something there next.
        let mut working = half(&product, level, "other");
        assert_eq!(drafts(&product).len(), 1, "the killed one's is gone, at {}", level.name());
        run(&product, "put", level, "file", b"new");
        assert_eq!(drafts(&product).len(), 1, "one in use was taken away, at {}", level.name());
        drop(working.stdin.take());
        assert!(working.wait().expect("it ends").success());
        assert_eq!(drafts(&product), BTreeMap::new());
        assert_eq!(run(&product, "get", level, "other", b"").len(), PART);
        assert_eq!(run(&product, "get", level, "file", b""), b"new");
    }
}
