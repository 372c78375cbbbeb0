#![expect(clippy::disallowed_methods, reason = "tests do what a command does, by name")]

use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::jail::protect::place::open_root;

/// A root with a `.git` that holds a config and a hook.
struct Repository {
    _kept: tempfile::TempDir,
    root: JailPath,
    fd: OwnedFd,
}

impl Repository {
    fn new() -> Repository {
        let kept = tempfile::tempdir().unwrap();
        let root = JailPath::absolute(kept.path().canonicalize().unwrap()).unwrap();
        let fd = open_root(&root).unwrap();
        let repository = Repository { _kept: kept, root, fd };
        fs::create_dir_all(repository.at(".git/hooks")).unwrap();
        fs::write(repository.at(".git/config"), "theirs").unwrap();
        fs::write(repository.at(".git/hooks/pre-push"), "theirs").unwrap();
        repository
    }

    fn at(&self, name: &str) -> PathBuf {
        self.root.as_path().join(name)
    }

    fn place(&self) -> Place<'_> {
        Place::new(&self.root, self.fd.as_fd())
    }

    fn take(&self, name: &str) -> Snapshot {
        Snapshot::take(&self.place(), &self.root.join(name).unwrap()).unwrap()
    }

    fn restore(&self, snapshot: &mut Snapshot) -> Vec<RestoreAction> {
        let mut restored = Vec::new();
        snapshot.restore(&self.place(), &mut restored);
        restored.into_iter().map(|restored| restored.action).collect()
    }

    fn chmod(&self, name: &str, mode: u32) {
        fs::set_permissions(self.at(name), fs::Permissions::from_mode(mode)).unwrap();
    }

    fn mode(&self, name: &str) -> u32 {
        fs::metadata(self.at(name)).unwrap().permissions().mode() & 0o7777
    }
}

#[test]
fn what_is_written_while_it_restores_never_becomes_what_is_put_back() {
    let repository = Repository::new();
    let mut snapshot = repository.take(".git/hooks");
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                // Whichever of them the restore is faster than, the next round comes.
                let _ = fs::write(repository.at(".git/hooks/pre-push"), "evil");
                let _ = fs::write(repository.at(".git/hooks/post-merge"), "evil");
            }
        });
        for _ in 0..200 {
            repository.restore(&mut snapshot);
        }
        over.store(true, Ordering::Relaxed);
    });
    repository.restore(&mut snapshot);
    assert_eq!(fs::read_to_string(repository.at(".git/hooks/pre-push")).unwrap(), "theirs");
    assert!(!repository.at(".git/hooks/post-merge").exists());
}

#[test]
fn rights_taken_away_do_not_keep_a_change() {
    for mode in [0o000, 0o111, 0o444, 0o555] {
        for folder in [".git", ".git/hooks", "."] {
            let repository = Repository::new();
            let (mut config, mut hooks) = (repository.take(".git/config"), repository.take(".git/hooks"));
            fs::write(repository.at(".git/config"), "evil").unwrap();
            fs::write(repository.at(".git/hooks/pre-push"), "evil").unwrap();
            fs::write(repository.at(".git/hooks/post-merge"), "evil").unwrap();
            repository.chmod(folder, mode);
            let actions = [repository.restore(&mut config), repository.restore(&mut hooks)].concat();
            assert!(!actions.iter().any(|action| matches!(action, RestoreAction::Failed(_))), "{folder}: {actions:?}");
            assert_eq!(fs::read_to_string(repository.at(".git/config")).unwrap(), "theirs", "{folder} {mode:o}");
            assert_eq!(
                fs::read_to_string(repository.at(".git/hooks/pre-push")).unwrap(),
                "theirs",
                "{folder} {mode:o}"
            );
            assert!(!repository.at(".git/hooks/post-merge").exists(), "{folder} {mode:o}");
        }
    }
}

#[test]
fn a_folder_that_was_closed_before_is_closed_again() {
    let repository = Repository::new();
    repository.chmod(".git/hooks", 0o555);
    let mut snapshot = repository.take(".git/hooks");
    assert_eq!(repository.restore(&mut snapshot), []);
    repository.chmod(".git/hooks", 0o755);
    fs::write(repository.at(".git/hooks/pre-push"), "evil").unwrap();
    repository.chmod(".git/hooks", 0o555);
    assert_eq!(repository.restore(&mut snapshot), [RestoreAction::PutBack]);
    assert_eq!(fs::read_to_string(repository.at(".git/hooks/pre-push")).unwrap(), "theirs");
    assert_eq!(repository.mode(".git/hooks"), 0o555);
}

#[test]
fn a_taken_draft_name_does_not_keep_a_change() {
    let repository = Repository::new();
    let mut snapshot = repository.take(".git/config");
    fs::create_dir_all(repository.at(&format!(".git/.stigmer-restore-{}/x", std::process::id()))).unwrap();
    fs::write(repository.at(".git/config"), "evil").unwrap();
    assert_eq!(repository.restore(&mut snapshot), [RestoreAction::PutBack]);
    assert_eq!(fs::read_to_string(repository.at(".git/config")).unwrap(), "theirs");
}

#[test]
fn what_is_new_is_set_aside_once() {
    let repository = Repository::new();
    let mut snapshot = repository.take(".git/hooks");
    fs::write(repository.at(".git/hooks/post-merge"), "evil").unwrap();
    fs::remove_file(repository.at(".git/hooks/pre-push")).unwrap();
    fs::create_dir_all(repository.at(".git/hooks/pre-push/x")).unwrap();
    let actions = repository.restore(&mut snapshot);
    assert_eq!(actions.iter().filter(|action| matches!(action, RestoreAction::Quarantined(_))).count(), 2);
    assert_eq!(actions.len(), 3, "{actions:?}");
    assert_eq!(repository.restore(&mut snapshot), []);
    assert_eq!(fs::read_to_string(repository.at(".git/hooks/pre-push")).unwrap(), "theirs");
}

#[test]
fn a_file_in_place_of_a_pipe_is_set_aside() {
    let repository = Repository::new();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        repository.at(".envrc"),
        FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o600),
        0,
    )
    .unwrap();
    let mut snapshot = repository.take(".envrc");
    assert_eq!(repository.restore(&mut snapshot), []);
    fs::remove_file(repository.at(".envrc")).unwrap();
    fs::write(repository.at(".envrc"), "evil").unwrap();
    assert!(matches!(repository.restore(&mut snapshot)[..], [RestoreAction::Quarantined(_)]));
    assert!(!repository.at(".envrc").exists());
}
