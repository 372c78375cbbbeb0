//! What `put`, `delete`, `rename` and `mkdir` leave behind, and what they report.

use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;

use sha2::{Digest, Sha256};
use stigmer_sandbox::files::{ChangeKind, PutOptions};

use crate::world::World;

fn names(world: &World) -> Vec<String> {
    let mut names: Vec<_> = std::fs::read_dir(world.disk("."))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn sha256(data: &[u8]) -> String {
    Sha256::digest(data).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn a_put_reports_what_was_written() {
    let world = World::new();
    let change = world.roots.write(&world.at("new/deep/a.txt"), b"one").unwrap();
    assert_eq!((&change.path, change.bytes), (&world.at("new/deep/a.txt"), 3));
    assert_eq!((&change.kind, change.sha256), (&ChangeKind::Created, Some(sha256(b"one"))));
    let change = world.roots.write(&world.at("new/deep/a.txt"), b"").unwrap();
    assert_eq!((&change.kind, change.bytes, change.sha256), (&ChangeKind::Changed, 0, Some(sha256(b""))));
    assert_eq!(world.content("new/deep/a.txt"), "");
    assert_eq!(names(&world), ["new"]);
}

#[test]
fn a_replaced_file_keeps_its_mode_without_set_id_bits() {
    let world = World::new();
    for (before, after) in [(0o600, 0o600), (0o755, 0o755), (0o4755, 0o755), (0o640, 0o640)] {
        world.file("run.sh", "old");
        std::fs::set_permissions(world.disk("run.sh"), std::fs::Permissions::from_mode(before)).unwrap();
        world.roots.write(&world.at("run.sh"), b"new").unwrap();
        let mode = std::fs::metadata(world.disk("run.sh")).unwrap().permissions().mode() & 0o7777;
        assert_eq!(mode, after, "{before:o}");
        std::fs::remove_file(world.disk("run.sh")).unwrap();
    }
}

/// Gives some bytes, then fails.
struct Broken(usize);

impl Read for Broken {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.0 == 0 {
            return Err(io::Error::other("the pipe broke"));
        }
        let count = buffer.len().min(self.0);
        buffer[..count].fill(b'x');
        self.0 -= count;
        Ok(count)
    }
}

#[test]
fn a_put_that_fails_leaves_the_old_content_and_nothing_else() {
    let world = World::with(|policy| policy.limits.file_bytes = 1_000);
    world.file("a.txt", "old");
    let put = |data: &mut dyn Read| world.roots.put(&world.at("a.txt"), data, PutOptions::default());
    assert_eq!(put(&mut Broken(500)).unwrap_err().case(), "source");
    assert_eq!(put(&mut io::repeat(b'x').take(1_001)).unwrap_err().case(), "too-large");
    assert_eq!((world.content("a.txt"), names(&world)), ("old".into(), vec!["a.txt".into()]));
    assert_eq!(put(&mut io::repeat(b'x').take(1_000)).unwrap().bytes, 1_000);
    assert_eq!(names(&world), ["a.txt"]);
}

#[test]
fn folders_are_made_only_when_asked() {
    let world = World::new();
    let options = PutOptions { parents: false, ..PutOptions::default() };
    let error = world.roots.put(&world.at("no/a.txt"), &mut &b"x"[..], options).unwrap_err();
    assert_eq!(error.case(), "not-found");
    assert!(names(&world).is_empty());
    world.roots.put(&world.at("a.txt"), &mut &b"x"[..], options).unwrap();
    assert!(world.roots.mkdir(&world.at("x/y"), false).is_err());
    assert!(world.roots.mkdir(&world.at("x/y"), true).unwrap().is_some());
    assert_eq!(world.roots.mkdir(&world.at("x/y"), true).unwrap(), None);
    assert_eq!(world.roots.mkdir(&world.at("x/y"), false).unwrap_err().case(), "exists");
    assert_eq!(world.roots.mkdir(&world.at("a.txt"), true).unwrap_err().case(), "exists");
}

#[test]
fn a_folder_goes_whole_only_when_asked() {
    let world = World::new();
    world.file("d/a.txt", "12345");
    world.file("d/e/b.txt", "123");
    let error = world.roots.delete(&world.at("d"), false).unwrap_err();
    assert_eq!(error.case(), "not-empty");
    assert_eq!(world.content("d/e/b.txt"), "123");
    let removal = world.roots.delete(&world.at("d"), true).unwrap();
    assert_eq!((removal.files, removal.folders, removal.change.bytes), (2, 2, 8));
    assert_eq!(removal.change.kind, ChangeKind::Removed);
    world.folder("empty");
    world.roots.delete(&world.at("empty"), false).unwrap();
    assert!(names(&world).is_empty());
}

#[test]
fn one_protected_name_in_a_folder_refuses_the_whole_and_nothing_is_gone() {
    let world = World::new();
    // Made before and after, so that in any order of the folder some come first.
    let names = |range: std::ops::Range<usize>| range.map(|index| format!("d/{index}.txt"));
    names(0..10).for_each(|name| world.file(&name, "a"));
    world.file("d/z/.envrc", "x");
    names(10..20).for_each(|name| world.file(&name, "a"));
    let error = world.roots.delete(&world.at("d"), true).unwrap_err();
    assert!(error.denial().is_some() && error.to_string().contains(".envrc"), "{error}");
    assert!(names(0..20).all(|name| world.content(&name) == "a"));
    std::fs::remove_file(world.disk("d/z/.envrc")).unwrap();
    world.roots.delete(&world.at("d"), true).unwrap();
}

#[test]
fn a_rename_replaces_only_when_asked() {
    let world = World::new();
    world.file("a.txt", "a");
    world.file("b.txt", "b");
    world.folder("d/e");
    let rename = |from: &str, to: &str, replace| world.roots.rename(&world.at(from), &world.at(to), replace);
    assert_eq!(rename("a.txt", "b.txt", false).unwrap_err().case(), "exists");
    assert_eq!(rename("a.txt", "d", true).unwrap_err().case(), "is-a-directory");
    assert_eq!(rename("d", "d/e/f", false).unwrap_err().case(), "into-itself");
    assert_eq!(rename("a.txt", "no/a.txt", false).unwrap_err().case(), "not-found");
    assert_eq!((world.content("a.txt"), world.content("b.txt")), ("a".into(), "b".into()));
    let change = rename("a.txt", "b.txt", true).unwrap();
    assert_eq!(change.kind, ChangeKind::Renamed { from: world.at("a.txt") });
    assert_eq!((change.path, change.bytes), (world.at("b.txt"), 1));
    rename("d", "d2", false).unwrap();
    assert_eq!((names(&world), world.content("b.txt")), (vec!["b.txt".into(), "d2".into()], "a".into()));
}
