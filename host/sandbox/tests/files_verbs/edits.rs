//! `edit`, alone and with company; `read_lines` over what it reads.

use std::sync::Barrier;

use stigmer_sandbox::files::{Edit, LinesOptions, MAX_EDIT_BYTES, Page, ReadOptions, Roots};

use crate::world::World;

#[test]
fn an_edit_changes_the_file_and_reports_both_sides() {
    let world = World::new();
    world.file("a.txt", "one\r\ntwo\r\n");
    let edit = Edit { old: "one\ntwo", new: "1\n2", all: false };
    let edited = world.roots.edit(&world.at("a.txt"), edit).unwrap();
    assert_eq!((edited.replaced, edited.before.as_slice()), (1, &b"one\r\ntwo\r\n"[..]));
    assert_eq!(world.content("a.txt"), "1\r\n2\r\n");
    let again = world.roots.edit(&world.at("a.txt"), edit).unwrap_err();
    assert_eq!(again.case(), "no-match");
    assert_eq!(world.content("a.txt"), "1\r\n2\r\n");
}

#[test]
fn of_edits_at_once_none_is_lost() {
    const AT_ONCE: usize = 4;
    let world = World::new();
    // As two threads of one execution, and as executions that know nothing of each other.
    let other = || Roots::open(world.roots.policy()).unwrap();
    let apart: Vec<Roots> = (0..AT_ONCE).map(|_| other()).collect();
    for round in 0..100 {
        let names: Vec<String> = (0..AT_ONCE).map(|index| format!("<{index}>")).collect();
        world.file("a.txt", &names.join("\n"));
        let barrier = Barrier::new(AT_ONCE);
        std::thread::scope(|scope| {
            for (name, own) in names.iter().zip(&apart) {
                let roots = if round < 50 { world.roots.clone() } else { own.clone() };
                let (path, barrier) = (world.at("a.txt"), &barrier);
                scope.spawn(move || {
                    let new = format!("{name} done");
                    barrier.wait();
                    roots.edit(&path, Edit { old: name, new: &new, all: false }).unwrap();
                });
            }
        });
        let want: Vec<String> = names.iter().map(|name| format!("{name} done")).collect();
        assert_eq!(world.content("a.txt"), want.join("\n"), "round {round}");
    }
    assert_eq!(std::fs::read_dir(world.disk(".")).unwrap().count(), 1);
}

#[test]
fn a_file_too_large_to_edit_is_refused_by_what_is_read() {
    let world = World::new();
    let file = std::fs::File::create(world.disk("big")).unwrap();
    file.set_len(MAX_EDIT_BYTES + 1).unwrap();
    let edit = Edit { old: "a", new: "b", all: false };
    assert_eq!(world.roots.edit(&world.at("big"), edit).unwrap_err().case(), "too-large");
    file.set_len(MAX_EDIT_BYTES).unwrap();
    assert_eq!(world.roots.edit(&world.at("big"), edit).unwrap_err().case(), "no-match");
}

#[test]
fn text_is_told_from_what_is_none() {
    let world = World::new();
    let put = |name: &str, bytes: &[u8]| std::fs::write(world.disk(name), bytes).unwrap();
    put("utf8", "\u{feff}grün\n".as_bytes());
    put("utf16le", &[0xFF, 0xFE, b'h', 0, 0xFC, 0, b'\n', 0, b'x', 0]);
    put("utf16be", &[0xFE, 0xFF, 0, b'h', 0, 0xFC]);
    put("latin1", b"gr\xfcn\n");
    put("empty", b"");
    put("nul", b"a\0b");
    put("png", b"\x89PNG\r\n\x1a\n....");
    put("jpg", b"\xff\xd8\xff\xe0");
    put("gif", b"GIF89a....");
    put("webp", b"RIFF....WEBPVP8 ");
    for (name, encoding, lossy, want) in [
        ("utf8", "utf-8", false, &["grün"][..]),
        ("utf16le", "utf-16le", false, &["hü", "x"]),
        ("utf16be", "utf-16be", false, &["hü"]),
        ("latin1", "utf-8", true, &["gr\u{fffd}n"]),
        ("empty", "utf-8", false, &[]),
    ] {
        match world.roots.read_lines(&world.at(name), LinesOptions::default()).unwrap() {
            Page::Text(page) => {
                let lines: Vec<_> = page.lines.iter().map(|line| line.text.as_str()).collect();
                assert_eq!((lines.as_slice(), page.encoding, page.lossy), (want, encoding, lossy), "{name}");
            }
            binary => panic!("{name}: {binary:?}"),
        }
    }
    for (name, want) in [
        ("nul", None),
        ("png", Some("image/png")),
        ("jpg", Some("image/jpeg")),
        ("gif", Some("image/gif")),
        ("webp", Some("image/webp")),
    ] {
        let page = world.roots.read_lines(&world.at(name), LinesOptions::default()).unwrap();
        assert_eq!(page, Page::Binary { path: world.at(name), media: want }, "{name}");
    }
}

#[test]
fn bytes_are_read_from_an_offset_and_truncation_is_said() {
    let world = World::new();
    world.file("a", "0123456789");
    for (offset, limit, want, truncated) in [
        (0, 10, "0123456789", false),
        (0, 9, "012345678", true),
        (4, 3, "456", true),
        (7, 3, "789", false),
        (10, 5, "", false),
        (99, 5, "", false),
        (0, 0, "", true),
        (u64::MAX - 1, 5, "", false),
    ] {
        let read = world.roots.read(&world.at("a"), ReadOptions { offset, limit }).unwrap();
        assert_eq!((read.bytes.as_slice(), read.truncated), (want.as_bytes(), truncated), "{offset} {limit}");
    }
    let mut out = Vec::new();
    assert_eq!(world.roots.copy_out(&world.at("a"), &mut out).unwrap(), 10);
    assert_eq!(out, b"0123456789");
}
