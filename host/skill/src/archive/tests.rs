//! Archives that must be refused as a whole, each beside one that is taken.

use super::*;

const HEAD: &str = "---\nname: a\ndescription: d\n---\n";

/// One entry, written without any of the checks that ordinary writers make.
fn raw(out: &mut Vec<u8>, kind: EntryType, name: &[u8], link: &[u8], content: &[u8]) {
    let mut header = Header::new_ustar();
    header.as_old_mut().name[..name.len()].copy_from_slice(name);
    header.as_old_mut().linkname[..link.len()].copy_from_slice(link);
    header.set_entry_type(kind);
    header.set_mode(0o644);
    header.set_size(content.len() as u64);
    header.set_cksum();
    out.extend(header.as_bytes());
    out.extend(content);
    out.resize(out.len().next_multiple_of(512), 0);
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = GzEncoder::new(Vec::new(), Compression::best());
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

/// An archive of a good skill and one more entry.
fn archive(kind: EntryType, name: &[u8], link: &[u8], content: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    raw(&mut out, EntryType::Regular, b"a/SKILL.md", b"", HEAD.as_bytes());
    raw(&mut out, kind, name, link, content);
    out.resize(out.len() + 1024, 0);
    gzip(&out)
}

fn read(bytes: &[u8]) -> Result<Skill, UnpackError> {
    unpack(bytes, &Limits::default())
}

#[test]
fn hostile_names_refuse_the_whole() {
    for name in ["a/x", "a/tools/t.wasm", "a/ö"] {
        let skill = read(&archive(EntryType::Regular, name.as_bytes(), b"", b"x")).unwrap();
        assert_eq!(skill.entries().len(), 2, "{name}");
    }
    for (name, why) in [
        ("../x", "`..`"),
        ("a/../../x", "`..`"),
        ("/etc/x", "absolute"),
        ("a\\..\\x", "backslash"),
        ("C:x", "drive"),
        ("a/SKILL.md", "same file"),
        ("a/skill.md", "same file"),
        ("A/x", "same file"),
        ("a/SKILL.md/x", "a file and a folder"),
        ("a/x\u{1b}[2J", "control"),
    ] {
        let error = read(&archive(EntryType::Regular, name.as_bytes(), b"", b"x")).unwrap_err().to_string();
        assert!(error.contains(why), "{name:?}: {error}");
    }
    assert!(read(&archive(EntryType::Regular, b"a/\xff", b"", b"")).unwrap_err().to_string().contains("UTF-8"));
}

#[test]
fn unicode_twins_are_refused() {
    let with = |second: &str| {
        let mut out = Vec::new();
        raw(&mut out, EntryType::Regular, b"a/SKILL.md", b"", HEAD.as_bytes());
        for name in ["a/\u{e9}", second] {
            raw(&mut out, EntryType::Regular, name.as_bytes(), b"", b"");
        }
        read(&gzip(&out))
    };
    assert!(with("a/e").is_ok());
    assert!(with("a/e\u{301}").unwrap_err().to_string().contains("same file"));
}

#[test]
fn only_files_and_folders_are_taken() {
    assert!(read(&archive(EntryType::Directory, b"a/d/", b"", b"")).is_ok());
    for (kind, why) in [
        (EntryType::Symlink, "symbolic link"),
        (EntryType::Link, "hard link"),
        (EntryType::Char, "device"),
        (EntryType::Block, "device"),
        (EntryType::Fifo, "pipe"),
        (EntryType::Continuous, "special entry"),
    ] {
        let error = read(&archive(kind, b"a/x", b"SKILL.md", b"")).unwrap_err().to_string();
        assert!(error.contains(why), "{kind:?}: {error}");
    }
    assert!(read(&archive(EntryType::GNUSparse, b"a/x", b"", b"")).is_err());
}

#[test]
fn bombs_stop_at_each_bound() {
    let zeros = |bytes: usize| archive(EntryType::Regular, b"a/x", b"", &vec![0; bytes]);
    assert!(read(&zeros(1000 << 10)).is_ok(), "a small file of zeros is no bomb");
    let error = read(&zeros(8 << 20)).unwrap_err().to_string();
    assert_eq!(error, "more than 100 times the packed size");
    let loose = Limits { ratio: u64::MAX, ..Limits::default() };
    assert!(unpack(zeros(8 << 20).as_slice(), &loose).is_ok());

    let size = HEAD.len() as u64 + 10;
    let small = |bytes| Limits { bytes, ..Limits::default() };
    let bytes = archive(EntryType::Regular, b"a/x", b"", &[1; 10]);
    assert!(unpack(bytes.as_slice(), &small(size)).is_ok());
    assert_eq!(
        unpack(bytes.as_slice(), &small(size - 1)).unwrap_err().to_string(),
        format!("more than {} bytes", size - 1)
    );
    // `a`, `a/SKILL.md`, `a/x`
    let few = |entries| Limits { entries, ..Limits::default() };
    assert!(unpack(bytes.as_slice(), &few(3)).is_ok());
    assert_eq!(unpack(bytes.as_slice(), &few(2)).unwrap_err().to_string(), "more than 2 entries");

    // A long name is read before it is an entry: it is bounded by the stream.
    let mut out = Vec::new();
    raw(&mut out, EntryType::GNULongName, b"././@LongLink", b"", &vec![b'x'; 2 << 20]);
    let tight = Limits { entries: 10, bytes: 1 << 20, ratio: u64::MAX };
    assert!(matches!(unpack(gzip(&out).as_slice(), &tight), Err(UnpackError::Entry(EntryError::Limit { .. }))));
}

#[test]
fn the_folder_has_the_name_of_the_skill() {
    let named = |folder: &str, name: &str| {
        let mut out = Vec::new();
        let head = format!("---\nname: {name}\ndescription: d\n---\n");
        raw(&mut out, EntryType::Regular, format!("{folder}SKILL.md").as_bytes(), b"", head.as_bytes());
        read(&gzip(&out))
    };
    for folder in ["a/", "", "./", "./a/"] {
        assert_eq!(named(folder, "a").unwrap().name().as_str(), "a");
    }
    assert!(matches!(named("b/", "a"), Err(UnpackError::OtherName { .. })));
    for hostile in ["../a", "A", "a/b", "'a b'"] {
        assert!(named("", hostile).is_err(), "{hostile}");
    }
}

#[test]
fn cut_foreign_and_longer_archives_are_refused() {
    let good = archive(EntryType::Regular, b"a/x", b"", b"x");
    assert!(read(&good).is_ok());
    for cut in 0..good.len() {
        assert!(read(&good[..cut]).is_err(), "cut at {cut}");
    }
    assert!(matches!(read(b"PK\x03\x04"), Err(UnpackError::Read(_))));
    let twice = [good.clone(), good.clone()].concat();
    assert!(matches!(read(&twice), Err(UnpackError::Trailing)));
    let mut inside = Vec::new();
    raw(&mut inside, EntryType::Regular, b"a/SKILL.md", b"", HEAD.as_bytes());
    inside.resize(inside.len() + 1024, 0);
    inside.extend(b"more");
    assert!(matches!(read(&gzip(&inside)), Err(UnpackError::Trailing)));
}

#[test]
fn pack_and_unpack_meet_and_repeat() {
    let mut skill = read(&archive(EntryType::Regular, b"a/tools/t.wasm", b"", b"\0asm")).unwrap();
    let long = format!("{}/{}", "d".repeat(150), "e".repeat(150));
    let entry = Entry { path: EntryPath::new(long.as_bytes()).unwrap(), executable: true, content: b"x".to_vec() };
    let mut entries = skill.entries().to_vec();
    entries.push(entry);
    entries.sort_by(|a, b| a.path.cmp(&b.path));
    skill = Skill::from_entries(entries, Some("a")).unwrap();

    let packed = |skill: &Skill| {
        let mut out = Vec::new();
        pack(skill, &mut out).unwrap();
        out
    };
    let first = packed(&skill);
    let again = read(&first).unwrap();
    assert_eq!(again, skill);
    assert_eq!(again.digest(), skill.digest());
    assert_eq!(packed(&again), first);
    assert_eq!(again.tools().count(), 1);
}
