use super::*;
use crate::policy::{Access, Places, Root};

fn path(text: &str) -> JailPath {
    JailPath::absolute(text).unwrap()
}

fn policy() -> Policy {
    let mut policy = Policy::workspace(&Places::new(path("/w"), path("/tmp"), path("/home/ada")));
    policy.roots.push(Root { path: path("/data"), access: Access::ReadWrite, kind: RootKind::Extra });
    policy
}

#[test]
fn list_is_clean_unique_and_reasoned() {
    let mut seen = BTreeSet::new();
    for row in PROTECTED {
        assert_eq!(check_pattern(row.pattern), Ok(()), "{}", row.pattern);
        assert!(seen.insert(names_of(row.pattern)), "{}", row.pattern);
        assert!(!row.reason.is_empty());
    }
    assert!(FIXED.iter().all(|fixed| PROTECTED.iter().any(|row| row.pattern == *fixed)));
}

#[test]
fn matches_at_every_depth_in_roots_of_the_person_only() {
    let policy = policy();
    for (text, want) in [
        ("/w/.git/hooks", Some((".git/hooks", "/w/.git/hooks"))),
        ("/w/.git/hooks/pre-commit", Some((".git/hooks", "/w/.git/hooks"))),
        ("/w/a/b/.GIT/Config", Some((".git/config", "/w/a/b/.GIT/Config"))),
        ("/w/.git/modules/lib/x/hooks/a", Some((".git/hooks", "/w/.git/modules/lib/x/hooks"))),
        ("/w/.git/worktrees/t/commondir", Some((".git/commondir", "/w/.git/worktrees/t/commondir"))),
        ("/w/.g\u{200c}it/hook\u{17f}/x", Some((".git/hooks", "/w/.g\u{200c}it/hook\u{17f}"))),
        ("/w/sub/.vscode/tasks.json", Some((".vscode", "/w/sub/.vscode"))),
        ("/data/.envrc", Some((".envrc", "/data/.envrc"))),
        ("/w/.git/modules/lib/refs/heads/config", None),
        ("/w/.git/index.lock", None),
        ("/w/.git/info/attributes", None),
        ("/w/git/hooks", None),
        ("/w/.gitignore", None),
        ("/w/hooks", None),
        ("/w/.envrc.example", None),
        ("/tmp/x/.git/hooks/a", None),
        ("/home/ada/.bashrc", None),
        ("/etc/.envrc", None),
    ] {
        let got = matches(&policy, &path(text));
        let got = got.as_ref().map(|found| (found.pattern.as_str(), found.path.to_string()));
        assert_eq!(got, want.map(|(pattern, place)| (pattern, place.to_owned())), "{text}");
    }
}

#[test]
fn rows_say_how_they_are_held() {
    let policy = policy();
    let of = |text: &str| matches(&policy, &path(text)).map(|found| (found.present, found.absent)).unwrap();
    assert_eq!(of("/w/.git/config"), (Present::Anchor, Absent::Inspect));
    assert_eq!(of("/w/.git/worktrees/a/commondir"), (Present::Watch, Absent::Inspect));
    assert_eq!(of("/w/.envrc"), (Present::Anchor, Absent::Quarantine));
    assert_eq!(absent("Makefile"), Absent::Quarantine);
}

#[test]
fn anchors_by_name_and_by_walk() {
    let policy = policy();
    for (text, want) in [
        ("/w", true),
        ("/", true),
        ("/w/.git", true),
        ("/w/sub/.Git", true),
        ("/w/.git/objects", true),
        ("/w/.git/objects/info", true),
        ("/w/.git/modules/lib", true),
        ("/w/.config", true),
        ("/w/src", false),
        ("/w/.git/refs", false),
        ("/tmp/.git", false),
    ] {
        assert_eq!(is_anchor(&policy, &path(text)), want, "{text}");
    }
    let found = [path("/w/a/.git/hooks"), path("/w/.envrc"), path("/w/a/.git/config")];
    let want = vec![path("/w/a"), path("/w/a/.git")];
    assert_eq!(anchors(&policy, &found), want);
}

#[test]
fn a_repository_is_known_by_its_name() {
    let mut policy = policy();
    assert!(is_repository(&policy, &path("/w/sub/.GIT")));
    assert!(!is_repository(&policy, &path("/w/sub/.git/index")));
    policy.protected.retain(|pattern| !pattern.starts_with(".git/"));
    assert!(!is_repository(&policy, &path("/w/sub/.git")));
}

#[test]
fn patterns_are_checked() {
    for (text, want) in [
        ("", PatternError::Empty),
        ("/etc/x", PatternError::Absolute),
        ("~/x", PatternError::Absolute),
        ("a/../b", PatternError::Unclean),
        ("a//b", PatternError::Unclean),
        ("a/", PatternError::Unclean),
        (".", PatternError::Unclean),
        ("\u{200b}", PatternError::Unclean),
        ("*.sh", PatternError::Wildcard),
        (".GIT", PatternError::Repository),
        ("a/b/c/d/e/f/g/h/i", PatternError::TooLong),
        ("a\0b", PatternError::TooLong),
    ] {
        assert_eq!(check_pattern(text), Err(want), "{text:?}");
    }
    assert_eq!(check_pattern("ci/deploy.sh"), Ok(()));
}
