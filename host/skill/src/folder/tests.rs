//! Folders that are read and written.

#![expect(clippy::disallowed_methods, reason = "tests build their own fixtures")]

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use cap_std::ambient_authority;

use super::*;

fn open(path: &Path) -> Dir {
    Dir::open_ambient_dir(path, ambient_authority()).unwrap()
}

fn fixture() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("SKILL.md"), "---\nname: a\ndescription: d\n---\nbody").unwrap();
    fs::create_dir_all(folder.path().join("scripts/deep")).unwrap();
    let script = folder.path().join("scripts/deep/run.sh");
    fs::write(&script, "#!/bin/sh\n").unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

fn read(folder: &Path) -> Result<Skill, ReadError> {
    Skill::from_dir(&open(folder), Some("a"), &Limits::default())
}

#[test]
fn reads_what_it_wrote() {
    let source = fixture();
    let skill = read(source.path()).unwrap();
    let shape: Vec<_> = skill.entries().iter().map(|entry| (entry.path.as_str(), entry.executable)).collect();
    assert_eq!(shape, [("SKILL.md", false), ("scripts/deep/run.sh", true)]);

    let store = tempfile::tempdir().unwrap();
    let name = skill.digest().to_string();
    skill.write_into(&open(store.path()), &name).unwrap();
    let written = read(&store.path().join(&name)).unwrap();
    assert_eq!(written.digest(), skill.digest());
    let mode = |path: &str| fs::metadata(store.path().join(&name).join(path)).unwrap().permissions().mode() & 0o7777;
    assert_eq!((mode("SKILL.md"), mode("scripts/deep/run.sh")), (0o444, 0o555));

    let again = skill.write_into(&open(store.path()), &name).unwrap_err();
    assert_eq!(again.source.kind(), io::ErrorKind::AlreadyExists);
    let left: Vec<_> = fs::read_dir(store.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, [name.as_str()], "nothing is left behind");
}

#[test]
fn links_and_special_files_are_refused() {
    let folder = fixture();
    let extra = folder.path().join("scripts/x");
    symlink("/etc/passwd", &extra).unwrap();
    assert!(read(folder.path()).unwrap_err().to_string().contains("symbolic link"));
    fs::remove_file(&extra).unwrap();
    symlink("..", &extra).unwrap();
    assert!(read(folder.path()).unwrap_err().to_string().contains("symbolic link"));
    fs::remove_file(&extra).unwrap();
    let socket = std::os::unix::net::UnixListener::bind(&extra).unwrap();
    assert!(read(folder.path()).unwrap_err().to_string().contains("special file"));
    drop(socket);
    fs::remove_file(&extra).unwrap();
    assert!(read(folder.path()).is_ok());
}

#[test]
fn bounds_hold_on_disk_too() {
    let folder = fixture();
    let bytes = read(folder.path()).unwrap().entries().iter().map(|entry| entry.content.len() as u64).sum();
    let with = |limits: Limits| Skill::from_dir(&open(folder.path()), Some("a"), &limits);
    assert!(with(Limits { bytes, ..Limits::default() }).is_ok());
    let error = with(Limits { bytes: bytes - 1, ..Limits::default() }).unwrap_err().to_string();
    assert_eq!(error, format!("more than {} bytes", bytes - 1));
    assert!(with(Limits { entries: 4, ..Limits::default() }).is_ok());
    assert_eq!(with(Limits { entries: 3, ..Limits::default() }).unwrap_err().to_string(), "more than 3 entries");
    fs::write(folder.path().join("NUL"), "").unwrap();
    assert!(read(folder.path()).unwrap_err().to_string().contains("device"));
}

#[test]
fn the_table_skill_is_in_order() {
    let package = std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo and the test runner name the package");
    let folder = Path::new(&package).join("../../plugins/table/skill");
    let skill = Skill::from_dir(&open(&folder), Some("table"), &Limits::default()).unwrap();
    assert_eq!(skill.problems(), Vec::<String>::new());
}
