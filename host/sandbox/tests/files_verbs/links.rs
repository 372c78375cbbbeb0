//! Symbolic links: those that stay inside work, those that leave are named and never followed.

use stigmer_sandbox::files::{Kind, LinesOptions, LinkLeads, Page, ReadOptions};

use crate::world::{SECRET, Verb, World, run};

fn fixture() -> World {
    let world = World::new();
    world.file("packages/a/src/index.txt", "a\n");
    world.file("mover", "a\n");
    // As pnpm lays packages out.
    world.link("node_modules/a", "../packages/a");
    world.link("node_modules/.store/deep/a", "../../../packages/a/src/../src");
    world.link("chain", "node_modules/a/src/index.txt");
    world.link("here", ".");
    world.link("up", "packages/..");
    world.link("outward", "../outside/secret.txt");
    world.link("outfolder", "../outside");
    world.link("twice", "outfolder/secret.txt");
    world.link("absolute-out", world.top.join("outside/secret.txt"));
    world.link("absolute-in", world.top.join("work/packages/a/src/index.txt"));
    world.link("passwd", "/etc/passwd");
    world.link("dangling", "packages/none.txt");
    world.link("loop", "loop");
    world.link("ping", "pong");
    world.link("pong", "ping");
    world.link("proc", "/proc/self/root/etc/passwd");
    world
}

#[test]
fn links_that_stay_inside_work_for_reading_and_writing() {
    let world = fixture();
    for text in [
        "node_modules/a/src/index.txt",
        "node_modules/.store/deep/a/index.txt",
        "chain",
        "here/here/chain",
        "up/chain",
        "up/up/here/node_modules/a/src/index.txt",
    ] {
        let read = world.roots.read(&world.at(text), ReadOptions::default()).unwrap();
        assert_eq!((read.bytes.as_slice(), &read.path), (&b"a\n"[..], &world.at("packages/a/src/index.txt")), "{text}");
    }
    let change = world.roots.write(&world.at("chain"), b"a new\n").unwrap();
    assert_eq!(change.path, world.at("packages/a/src/index.txt"));
    assert_eq!(world.content("packages/a/src/index.txt"), "a new\n");
    assert!(world.disk("chain").is_symlink());
    world.roots.write(&world.at("node_modules/a/src/new/one.txt"), b"one").unwrap();
    assert_eq!(world.content("packages/a/src/new/one.txt"), "one");
    let listing = world.roots.ls(&world.at("here"), 100).unwrap();
    assert_eq!(listing.path, world.at("."));
}

#[test]
fn links_that_leave_are_refused_with_the_rule_by_every_verb_that_would_follow() {
    for (text, case) in [
        ("outward", "link-outside"),
        ("outfolder/secret.txt", "link-outside"),
        ("outfolder/new.txt", "link-outside"),
        ("twice", "link-outside"),
        ("here/outward", "link-outside"),
        ("absolute-out", "link-outside"),
        // Listed and readable by its own name, but not through a link that code may have made.
        ("passwd", "link-outside"),
        ("proc", "link-outside"),
        ("absolute-in", "absolute-link"),
    ] {
        for verb in Verb::READING.iter().chain(&[Verb::Put, Verb::New, Verb::Edit, Verb::Mkdir]) {
            let world = fixture();
            let before = world.outside();
            let (found, denial) = run(&world, *verb, &world.at(text));
            assert_eq!(
                (found, denial.map(|denial| denial.rule.name())),
                (case, Some("outside-roots")),
                "{verb:?} {text}"
            );
            assert_eq!(world.outside(), before);
            assert!(!world.disk(text).is_symlink() || std::fs::read_link(world.disk(text)).is_ok());
        }
    }
    let world = fixture();
    assert_eq!(run(&world, Verb::Read, &world.at("/etc/passwd")).0, "ok");
    assert_eq!(run(&world, Verb::Read, &world.at("packages/a/src/index.txt")).0, "ok");
}

#[test]
fn a_link_itself_can_be_removed_and_renamed_without_touching_its_target() {
    let world = fixture();
    let before = world.outside();
    for text in ["outward", "outfolder", "absolute-out", "dangling", "loop", "passwd"] {
        world.roots.rename(&world.at(text), &world.at("renamed"), false).unwrap();
        assert!(world.disk("renamed").is_symlink() && !world.disk(text).is_symlink());
        world.roots.delete(&world.at("renamed"), true).unwrap();
        assert!(!world.disk("renamed").is_symlink());
    }
    assert_eq!(world.outside(), before);
    world.link("folder/inner/outfolder", "../../../outside");
    let removal = world.roots.delete(&world.at("folder"), true).unwrap();
    assert_eq!((removal.files, removal.folders), (1, 2));
    assert_eq!(world.outside(), before);
}

#[test]
fn an_absolute_link_back_into_the_root_says_why_and_what_to_use() {
    let world = fixture();
    let error = world.roots.read(&world.at("absolute-in"), ReadOptions::default()).unwrap_err();
    assert!(error.to_string().contains("is a link to the absolute path"), "{error}");
    let instead = error.hint().unwrap();
    assert_eq!(instead, format!("name `{}` itself", world.at("packages/a/src/index.txt")));
    assert_eq!(run(&world, Verb::Read, &world.at("packages/a/src/index.txt")).0, "ok");
}

#[test]
fn nothing_is_made_through_a_dangling_link_or_a_loop() {
    let world = fixture();
    for (verb, text, want) in [
        (Verb::Read, "dangling", "not-found"),
        (Verb::Put, "dangling", "dangling-link"),
        (Verb::New, "dangling", "dangling-link"),
        (Verb::Edit, "dangling", "dangling-link"),
        (Verb::Mkdir, "dangling", "dangling-link"),
        (Verb::Put, "dangling/below.txt", "dangling-link"),
        (Verb::Read, "loop", "link-loop"),
        (Verb::Put, "loop", "link-loop"),
        (Verb::Read, "ping", "link-loop"),
        (Verb::Put, "pong/x", "link-loop"),
    ] {
        assert_eq!(run(&world, verb, &world.at(text)).0, want, "{verb:?} {text}");
    }
    assert!(!world.disk("packages/none.txt").exists());
    world.file("packages/none.txt", "a");
    assert_eq!(run(&world, Verb::Put, &world.at("dangling")).0, "ok");
    assert_eq!(world.content("packages/none.txt"), "put");
}

#[test]
fn a_link_that_climbs_a_thousand_times_ends() {
    let world = fixture();
    let deep = vec!["d"; 60].join("/");
    world.file(&format!("{deep}/a.txt"), "a");
    world.link(&format!("{deep}/wander"), format!("{}a.txt", "../d/".repeat(800)));
    world.link(&format!("{deep}/short"), format!("{}a.txt", "../d/".repeat(50)));
    assert_eq!(run(&world, Verb::Read, &world.at(format!("{deep}/wander"))).0, "link-loop");
    assert_eq!(run(&world, Verb::Read, &world.at(format!("{deep}/short"))).0, "ok");
}

#[test]
fn a_listing_says_where_links_lead() {
    let world = fixture();
    let listing = world.roots.ls(&world.at("."), 100).unwrap();
    let leads = |name: &str| {
        let entry = listing.entries.iter().find(|entry| entry.name == name).unwrap();
        assert_eq!(entry.kind, Kind::Link, "{name}");
        entry.link.as_ref().unwrap().leads
    };
    for (name, want) in [
        ("chain", LinkLeads::Inside(Kind::File)),
        ("here", LinkLeads::Inside(Kind::Folder)),
        ("outward", LinkLeads::Outside),
        ("outfolder", LinkLeads::Outside),
        ("absolute-out", LinkLeads::Outside),
        ("passwd", LinkLeads::Outside),
        ("absolute-in", LinkLeads::Absolute),
        ("dangling", LinkLeads::Nowhere),
        ("loop", LinkLeads::Unknown),
    ] {
        assert_eq!(leads(name), want, "{name}");
    }
    let target = listing.entries.iter().find(|entry| entry.name == "passwd").unwrap().link.as_ref().unwrap();
    assert_eq!(target.target, "/etc/passwd");
    let names: Vec<_> = listing.entries.iter().map(|entry| entry.name.clone()).collect();
    assert!(names.is_sorted());
}

#[test]
fn searches_never_follow_a_link_out() {
    let world = fixture();
    let grepped = world.roots.grep(&world.at("."), SECRET, Default::default()).unwrap();
    assert_eq!((grepped.matches.len(), grepped.warned), (0, 0));
    world.file("own.txt", SECRET);
    let grepped = world.roots.grep(&world.at("."), SECRET, Default::default()).unwrap();
    assert_eq!(grepped.matches.len(), 1);
    let globbed = world.roots.glob(&world.at("."), "**", Default::default()).unwrap();
    let names: Vec<_> = globbed.paths.iter().filter_map(|path| path.name()).collect();
    assert!(names.iter().any(|name| *name == "chain") && !names.iter().any(|name| *name == "outward"), "{names:?}");
}

#[test]
fn links_of_the_system_and_of_read_only_roots_lead_where_the_policy_grants() {
    let world = World::new();
    std::os::unix::fs::symlink("/etc/passwd", world.top.join("skill/users")).unwrap();
    std::os::unix::fs::symlink("../work/a.txt", world.top.join("skill/task")).unwrap();
    std::os::unix::fs::symlink("../outside/secret.txt", world.top.join("skill/bad")).unwrap();
    world.file("a.txt", "a");
    let skill = |name: &str| world.at(world.top.join("skill").join(name));
    let users = world.roots.read_lines(&skill("users"), LinesOptions::default()).unwrap();
    assert!(matches!(users, Page::Text(lines) if lines.path == world.at("/etc/passwd") && !lines.lines.is_empty()));
    assert_eq!(run(&world, Verb::Read, &skill("task")).0, "ok");
    assert_eq!(run(&world, Verb::Read, &skill("bad")).0, "link-outside");
    assert_eq!(run(&world, Verb::Put, &skill("task")).0, "read-only");
    assert_eq!(world.content("a.txt"), "a");
}
