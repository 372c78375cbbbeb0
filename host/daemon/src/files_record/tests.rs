#![expect(clippy::disallowed_methods, reason = "tests build their own fixtures")]

use std::fs;
use std::os::unix::fs::symlink;

use super::*;

async fn changes_after(folder: &Path, work: impl FnOnce(&Path), reported: &[(&str, &str)]) -> Record {
    let baseline = snapshot(folder.to_owned()).await.unwrap().to_bytes();
    work(folder);
    let reported = reported.iter().map(|(path, wall)| ((*path).to_owned(), (*wall).to_owned())).collect();
    changes(folder.to_owned(), baseline, reported).await.unwrap()
}

#[tokio::test]
async fn created_changed_removed_and_untouched_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    fs::create_dir_all(path.join("a/b")).unwrap();
    for name in ["a/b/same", "a/changed", "a/gone"] {
        fs::write(path.join(name), "before").unwrap();
    }
    let absolute = path.join("a/changed").display().to_string();
    let reported = [(absolute.as_str(), "file-tool"), ("a/new", "plugin"), ("a/gone", "the daemon itself")];
    let work = |path: &Path| {
        fs::write(path.join("a/changed"), "after!").unwrap();
        fs::write(path.join("a/new"), "new").unwrap();
        fs::remove_file(path.join("a/gone")).unwrap();
        fs::create_dir(path.join("empty")).unwrap();
    };
    let record = changes_after(path, work, &reported).await;
    let rows: Vec<_> =
        record.files.iter().map(|file| (file.path.as_str(), file.change, file.size, file.wall.as_str())).collect();
    assert_eq!(
        rows,
        [
            ("a/changed", "changed", 6, "file-tool"),
            ("a/gone", "removed", 0, "shell"),
            ("a/new", "created", 3, "plugin")
        ]
    );
    assert_eq!(record.files[2].sha256, "11507a0e2f5e69d5dfa40a62a1bd7b6ee57e6bcd85c67c9b8431b36fff21c437");
    assert!(!record.partial);
}

#[tokio::test]
async fn a_link_is_recorded_and_not_followed() {
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("secret"), "s").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let work = |path: &Path| {
        symlink(outside.path(), path.join("door")).unwrap();
        symlink(outside.path().join("secret"), path.join("file")).unwrap();
    };
    let record = changes_after(folder.path(), work, &[]).await;
    let rows: Vec<_> = record.files.iter().map(|file| (file.path.as_str(), file.sha256.as_str())).collect();
    assert_eq!(rows, [("door", ""), ("file", "")], "nothing below a link is listed, nothing behind it is read");
}

#[tokio::test]
async fn the_same_size_and_a_time_set_back_still_count_as_changed() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("f");
    fs::write(&file, "aaaa").unwrap();
    let time = fs::metadata(&file).unwrap().modified().unwrap();
    let work = |_: &Path| {
        fs::write(&file, "bbbb").unwrap();
        fs::File::options().write(true).open(&file).unwrap().set_modified(time).unwrap();
    };
    let record = changes_after(folder.path(), work, &[]).await;
    assert_eq!(record.files.len(), 1);
}

#[tokio::test]
async fn a_pipe_in_place_of_a_file_does_not_hold_the_walk() {
    let folder = tempfile::tempdir().unwrap();
    let work = |path: &Path| {
        let mode = rustix::fs::Mode::RWXU;
        rustix::fs::mknodat(rustix::fs::CWD, path.join("p"), rustix::fs::FileType::Fifo, mode, 0).unwrap();
    };
    let record = changes_after(folder.path(), work, &[]).await;
    assert_eq!((record.files[0].path.as_str(), record.files[0].sha256.as_str()), ("p", ""));
}

#[test]
fn the_stored_form_is_read_back_and_nonsense_is_not() {
    let entry =
        |path: &[u8]| Entry { path: path.to_vec(), kind: Kind::Link, size: 1, mtime: -2, ctime: 3, inode: 4, mode: 5 };
    let snapshot = Snapshot { entries: vec![entry(b"a"), entry(b"\xff/b")], partial: true };
    let bytes = snapshot.to_bytes();
    assert_eq!(Snapshot::from_bytes(&bytes), Some(snapshot));
    assert_eq!(Snapshot::from_bytes(&bytes[..bytes.len() - 1]), None);
    assert_eq!(Snapshot::from_bytes(&[]), None);
}

#[test]
fn a_workspace_at_the_bound_is_whole_and_one_entry_more_is_partial() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("d")).unwrap();
    fs::write(folder.path().join("d/a"), "").unwrap();
    let look = |most| walk::walk_within(most, folder.path()).unwrap().1;
    assert_eq!((look(2).entries.len(), look(2).partial), (1, false));
    fs::write(folder.path().join("d/b"), "").unwrap();
    assert_eq!((look(2).entries.len(), look(2).partial), (1, true));
    assert_eq!((look(3).entries.len(), look(3).partial), (2, false));
}
