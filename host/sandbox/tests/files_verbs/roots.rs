//! Opening the roots.

use std::os::unix::fs::{MetadataExt, symlink};

use stigmer_policy::JailPath;
use stigmer_sandbox::files::{Identity, RootError, Roots};

use crate::world::{Verb, World, run};

#[test]
fn roots_are_shared_between_threads() {
    fn assert_shared<T: Send + Sync + Clone + 'static>(_: &T) {}
    assert_shared(&World::new().roots);
}

#[test]
fn the_handle_of_a_root_serves_other_walls() {
    let world = World::new();
    world.file("a.txt", "a");
    let dir = world.roots.dir(&world.at(".")).unwrap();
    let names: Vec<_> = dir.entries().unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["a.txt"]);
    dir.write("b.txt", b"b").unwrap();
    assert_eq!(world.content("b.txt"), "b");
    assert!(dir.read("../outside/secret.txt").is_err());
    assert!(world.roots.dir(&world.at("a.txt")).is_none());
}

#[test]
fn a_root_must_exist_be_a_folder_and_have_no_link_on_its_way() {
    let world = World::new();
    world.file("file", "");
    symlink(world.top.join("work"), world.top.join("alias")).unwrap();
    for (name, case) in [
        ("missing", "root-not-opened"),
        ("work/file", "root-not-a-directory"),
        ("alias", "root-not-opened"),
        ("alias/folder", "root-not-opened"),
    ] {
        world.folder("folder");
        let mut policy = world.policy.clone();
        policy.roots[0].path = JailPath::absolute(world.top.join(name)).unwrap();
        let error = Roots::open(&policy).unwrap_err();
        assert_eq!(error.case(), case, "{name}");
        if name == "alias" {
            assert_eq!(error.hint().unwrap(), "name the folder by its canonical path");
        }
    }
    Roots::open(&world.policy).unwrap();
}

#[test]
fn a_root_that_is_another_folder_than_the_checked_one_is_refused() {
    let world = World::new();
    let work = world.at(".");
    let metadata = std::fs::metadata(world.disk(".")).unwrap();
    let expected = [(work.clone(), Identity { dev: metadata.dev(), ino: metadata.ino() })];
    assert_eq!(world.roots.identity(&work), Some(expected[0].1));
    Roots::open_expecting(&world.policy, &expected).unwrap();
    std::fs::rename(world.top.join("work"), world.top.join("old")).unwrap();
    std::fs::create_dir(world.top.join("work")).unwrap();
    let error = Roots::open_expecting(&world.policy, &expected).unwrap_err();
    assert!(matches!(&error, RootError::Changed { path, .. } if *path == work));
    assert!(error.to_string().starts_with("root changed"));
}

#[test]
fn after_opening_a_root_its_name_no_longer_matters() {
    let world = World::new();
    world.file("a.txt", "a");
    std::fs::rename(world.top.join("work"), world.top.join("moved")).unwrap();
    symlink(world.top.join("outside"), world.top.join("work")).unwrap();
    let before = world.outside();
    assert_eq!(run(&world, Verb::Read, &world.at("a.txt")).0, "ok");
    assert_eq!(run(&world, Verb::Read, &world.at("secret.txt")).0, "not-found");
    assert_eq!(run(&world, Verb::Put, &world.at("secret.txt")).0, "ok");
    assert_eq!(world.outside(), before);
    assert_eq!(std::fs::read_to_string(world.top.join("moved/secret.txt")).unwrap(), "put");
}

#[test]
fn listed_system_paths_that_do_not_exist_are_left_out() {
    let world = World::with(|policy| {
        policy.system.push(JailPath::absolute("/no/such/listed/folder").unwrap());
    });
    let missing = world.at("/no/such/listed/folder/x");
    assert_eq!(run(&world, Verb::Read, &missing), ("not-found", None));
    let unlisted = world.at("/no/such/other/folder/x");
    assert_eq!(run(&world, Verb::Read, &unlisted).0, "outside");
}

#[test]
fn a_listed_device_is_named_and_never_opened() {
    let world = World::with(|policy| {
        policy.system.push(JailPath::absolute("/dev/null").unwrap());
    });
    assert_eq!(run(&world, Verb::Read, &world.at("/dev/null")), ("not-a-regular-file", None));
    assert_eq!(run(&world, Verb::Stat, &world.at("/dev/null")), ("ok", None));
    assert_eq!(run(&world, Verb::Read, &world.at("/dev/zero")).0, "outside");
}

#[test]
fn the_longest_root_decides() {
    let world = World::with(|policy| {
        let mut inner = policy.roots[0].clone();
        inner.path = inner.path.join("fixed").unwrap();
        std::fs::create_dir(inner.path.as_path()).unwrap();
        std::fs::write(inner.path.as_path().join("a.txt"), "a").unwrap();
        inner.access = stigmer_policy::Access::ReadOnly;
        inner.kind = stigmer_policy::RootKind::Extra;
        policy.roots.push(inner);
    });
    world.link("way", "fixed/a.txt");
    for (verb, text, want) in [
        (Verb::Read, "fixed/a.txt", "ok"),
        (Verb::Put, "fixed/a.txt", "read-only"),
        (Verb::Put, "way", "read-only"),
        (Verb::Delete, "fixed", "read-only"),
        (Verb::Put, "loose/a.txt", "ok"),
    ] {
        assert_eq!(run(&world, verb, &world.at(text)).0, want, "{verb:?} {text}");
    }
    // A folder that a root lies in does not go.
    let world = World::with(|policy| {
        let mut inner = policy.roots[0].clone();
        inner.path = inner.path.join("outer/inner").unwrap();
        std::fs::create_dir_all(inner.path.as_path()).unwrap();
        inner.kind = stigmer_policy::RootKind::Extra;
        policy.roots.push(inner);
    });
    assert_eq!(run(&world, Verb::Delete, &world.at("outer")).0, "is-a-root");
    assert_eq!(run(&world, Verb::RenameFrom, &world.at("outer")).0, "is-a-root");
}
