//! Huge input: bounded memory, bounded time, and truncation that is said.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::io::{BufWriter, Write};
use std::time::Duration;

use stigmer_sandbox::files::{GREP_LINE_BYTES, GlobOptions, LINE_BYTES, LinesOptions, Page, READ_BYTES, ReadOptions};

use crate::world::World;

/// Counts what each thread holds; verbs run on the thread that calls them.
struct Counting;

thread_local! {
    static HELD: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

fn count(bytes: isize) {
    // During a thread's own end its locals are gone; nothing is measured then.
    let _ = HELD.try_with(|held| {
        held.set(held.get() + bytes);
        let _ = PEAK.try_with(|peak| peak.set(peak.get().max(held.get())));
    });
}

// SAFETY: every call is passed on to the system allocator unchanged; counting touches thread locals without destructors
// and allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: the caller's promise about `layout` is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        // SAFETY: `at` came from `alloc` above with this layout, so from the system allocator.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// Most bytes that `work` held at once, beyond what was held before.
fn peak<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = HELD.get();
    PEAK.set(before);
    let result = work();
    (result, usize::try_from(PEAK.get() - before).unwrap_or(0))
}

#[test]
fn the_count_sees_an_allocation() {
    let (kept, most) = peak(|| vec![1_u8; 5 << 20]);
    assert!(most >= 5 << 20 && kept.len() == 5 << 20, "{most}");
}

#[test]
fn a_sparse_terabyte_costs_what_is_asked_for() {
    let world = World::new();
    let file = std::fs::File::create(world.disk("sparse")).unwrap();
    // The largest that the file system under the test takes.
    let size = [1_u64 << 42, 1 << 40, 1 << 36].into_iter().find(|size| file.set_len(*size).is_ok()).unwrap();
    let path = world.at("sparse");
    let (read, most) = peak(|| world.roots.read(&path, ReadOptions { offset: size - 10, limit: 100 }).unwrap());
    assert!(read.bytes == [0; 10] && !read.truncated && most < 1 << 20, "{most}");
    let (read, most) = peak(|| world.roots.read(&path, ReadOptions { offset: 0, limit: usize::MAX }).unwrap());
    assert!(read.bytes.len() == READ_BYTES && read.truncated && most < 4 * READ_BYTES, "{most}");
    let (page, most) = peak(|| world.roots.read_lines(&path, LinesOptions::default()).unwrap());
    assert!(matches!(page, Page::Binary { .. }) && most < 1 << 20, "{most}");
    let (grepped, most) = peak(|| world.roots.grep(&path, "a", Default::default()).unwrap());
    assert!(grepped.binary == 1 && grepped.matches.is_empty() && most < 2 << 20, "{most}");
}

#[test]
fn a_line_of_a_hundred_megabytes_is_cut_and_said() {
    const LENGTH: u64 = 100 << 20;
    let world = World::new();
    let mut file = BufWriter::new(std::fs::File::create(world.disk("line")).unwrap());
    let block = vec![b'x'; 1 << 20];
    file.write_all(b"needle first\n").unwrap();
    for _ in 0..LENGTH >> 20 {
        file.write_all(&block).unwrap();
    }
    file.write_all(b"\nneedle last\n").unwrap();
    file.into_inner().unwrap();
    let path = world.at("line");
    let (page, most) = peak(|| world.roots.read_lines(&path, LinesOptions::default()).unwrap());
    assert!(most < 2 << 20, "{most}");
    let Page::Text(page) = page else { panic!("{page:?}") };
    assert_eq!(page.lines.len(), 3);
    assert_eq!((page.lines[1].text.len(), page.lines[1].left_out), (LINE_BYTES, LENGTH - LINE_BYTES as u64));
    assert_eq!((page.lines[2].text.as_str(), page.total), ("needle last", Some(3)));
    let (grepped, most) = peak(|| world.roots.grep(&path, "needle", Default::default()).unwrap());
    assert!(most < 20 << 20, "{most}");
    assert_eq!(grepped.matches.len(), 1);
    assert_eq!(grepped.warnings[0].case, "line-too-long");
    // The twin: a long line that can be held is searched to its end, and shown in part.
    world.file("shorter", &format!("{}needle{}", "x".repeat(1 << 20), "y".repeat(1 << 20)));
    let grepped = world.roots.grep(&world.at("shorter"), "needle", Default::default()).unwrap();
    assert!(grepped.matches[0].cut && grepped.matches[0].text.contains("needle"));
    assert!(grepped.matches[0].text.len() <= GREP_LINE_BYTES && grepped.warned == 0);
}

#[test]
fn a_folder_of_a_hundred_thousand_names_is_listed_by_its_first() {
    const NAMES: usize = 100_000;
    let world = World::new();
    world.folder("many");
    let folder = rustix::fs::open(world.disk("many"), rustix::fs::OFlags::PATH, rustix::fs::Mode::empty()).unwrap();
    for index in 0..NAMES {
        let name = format!("{index:06}");
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        let flags = rustix::fs::OFlags::CREATE | rustix::fs::OFlags::WRONLY;
        drop(rustix::fs::openat(&folder, name, flags, mode).unwrap());
    }
    let (listing, most) = peak(|| world.roots.ls(&world.at("many"), 50).unwrap());
    assert!(most < 1 << 20, "{most}");
    assert_eq!((listing.total, listing.truncated, listing.entries.len()), (NAMES, true, 50));
    assert_eq!((listing.entries[0].name.to_str(), listing.entries[49].name.to_str()), (Some("000000"), Some("000049")));
    let globbed = world.roots.glob(&world.at("many"), "*", GlobOptions { limit: 7, ..Default::default() }).unwrap();
    assert_eq!((globbed.paths.len(), globbed.truncated.map(|cut| cut.name())), (7, Some("results")));
}

#[test]
fn a_folder_nested_too_deep_is_a_warning_for_searches_and_a_refusal_for_removal() {
    let world = World::new();
    let deep = vec!["d"; 70].join("/");
    world.file(&format!("{deep}/needle.txt"), "needle");
    world.file("top.txt", "needle");
    let globbed = world.roots.glob(&world.at("."), "**/*.txt", Default::default()).unwrap();
    assert_eq!((globbed.paths, globbed.warnings[0].case), (vec![world.at("top.txt")], "too-deep"));
    let grepped = world.roots.grep(&world.at("."), "needle", Default::default()).unwrap();
    assert_eq!((grepped.matches.len(), grepped.warnings[0].case), (1, "too-deep"));
    assert_eq!(world.roots.delete(&world.at("d"), true).unwrap_err().case(), "too-large");
    // By its own path everything is there.
    let inner = vec!["d"; 20].join("/");
    let grepped = world.roots.grep(&world.at(&inner), "needle", Default::default()).unwrap();
    assert_eq!((grepped.matches.len(), grepped.warned), (1, 0));
    world.roots.delete(&world.at(&inner), true).unwrap();
    world.roots.delete(&world.at("d"), true).unwrap();
}

#[test]
fn backtracking_patterns_take_linear_time_and_floods_are_refused() {
    let world = World::new();
    world.file("a.txt", &format!("{}!\n", "a".repeat(100_000)));
    let regex = stigmer_sandbox::files::GrepOptions { regex: true, ..Default::default() };
    let begun = std::time::Instant::now();
    for pattern in ["(a+)+$", "(a|aa)+$", "(a*)*b", "^(([a-z])+.)+[A-Z]([a-z])+$"] {
        let grepped = world.roots.grep(&world.at("a.txt"), pattern, regex).unwrap();
        assert!(grepped.matches.is_empty() && grepped.truncated.is_none(), "{pattern}");
    }
    // A backtracking matcher would need longer than the sun has.
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    for pattern in ["((a{999}){999}){999}", "(", "a\nb", "", &"x".repeat(20_000)] {
        assert_eq!(world.roots.grep(&world.at("a.txt"), pattern, regex).unwrap_err().case(), "bad-pattern");
    }
    assert_eq!(world.roots.grep(&world.at("a.txt"), "a+!", regex).unwrap().matches.len(), 1);
}
