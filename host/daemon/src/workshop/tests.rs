use super::cache::{Cache, Kind};
use super::*;

fn home() -> (tempfile::TempDir, Home) {
    let folder = tempfile::tempdir().unwrap();
    let home = Home::open(folder.path().join("home")).unwrap();
    (folder, home)
}

#[test]
fn what_was_kept_comes_back_and_a_changed_byte_does_not() {
    let (_folder, home) = home();
    let cache = Cache::open(home.path(), 7).unwrap();
    let digest = [1; 32];
    assert!(cache.get(Kind::Code, &digest).unwrap().is_none());
    cache.put(Kind::Code, &digest, b"machine code").unwrap();
    assert_eq!(cache.get(Kind::Code, &digest).unwrap().unwrap(), "machine code");
    let file = home.path().join("cache").join(format!("{}.code", crate::hex(&digest)));
    let mut bytes = std::fs::read(&file).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&file, &bytes).unwrap();
    assert!(cache.get(Kind::Code, &digest).unwrap().is_none());
    std::fs::write(&file, b"short").unwrap();
    assert!(cache.get(Kind::Code, &digest).unwrap().is_none());
}

#[test]
fn code_is_bound_to_its_component_its_engine_and_its_kind() {
    let (_folder, home) = home();
    let cache = Cache::open(home.path(), 7).unwrap();
    cache.put(Kind::Code, &[1; 32], b"code").unwrap();
    let at = |name: String| home.path().join("cache").join(name);
    let digest = |byte: u8| crate::hex(&[byte; 32]);
    // The same file under another component's name.
    std::fs::copy(at(format!("{}.code", digest(1))), at(format!("{}.code", digest(2)))).unwrap();
    assert!(cache.get(Kind::Code, &[2; 32]).unwrap().is_none());
    // The same cache with another engine.
    assert!(Cache::open(home.path(), 8).unwrap().get(Kind::Code, &[1; 32]).unwrap().is_none());
    // Another key.
    std::fs::write(home.path().join("keys/cache"), [9; 32]).unwrap();
    assert!(Cache::open(home.path(), 7).unwrap().get(Kind::Code, &[1; 32]).unwrap().is_none());
    // Inspections of two names do not stand in for each other.
    cache.put(Kind::Tools("a"), &[1; 32], b"{}").unwrap();
    assert!(cache.get(Kind::Tools("b"), &[1; 32]).unwrap().is_none());
    assert!(cache.get(Kind::Tools("a"), &[1; 32]).unwrap().is_some());
}

#[test]
fn the_key_is_made_once_and_for_us_alone() {
    use std::os::unix::fs::PermissionsExt;
    let (_folder, home) = home();
    Cache::open(home.path(), 7).unwrap();
    let path = home.path().join("keys/cache");
    let first = std::fs::read(&path).unwrap();
    Cache::open(home.path(), 7).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), first);
    assert_eq!(first.len(), 32);
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(std::fs::read_dir(home.path().join("keys")).unwrap().count(), 1);
}

#[test]
fn memory_files_cannot_be_changed() {
    use std::io::Write;
    let file = super::memory::sealed(b"code").unwrap();
    let mut file = std::fs::File::from(file);
    let mut text = String::new();
    file.read_to_string(&mut text).unwrap();
    assert_eq!(text, "code");
    assert!(file.write_all(b"x").is_err());
    assert!(file.set_len(0).is_err());
}

#[test]
fn a_component_is_a_regular_file_that_can_be_read() {
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(Component::read(&folder.path().join("no")), Err(ReadError::Read { .. })));
    assert!(matches!(Component::read(folder.path()), Err(ReadError::NotAFile(_))));
    let file = folder.path().join("a.wasm");
    std::fs::write(&file, "x").unwrap();
    assert_eq!(Component::read(&file).unwrap().digest().len(), 64);
}
