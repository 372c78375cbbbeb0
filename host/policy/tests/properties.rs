//! Properties of decisions over many random paths, and of a policy that crossed a socket.

use proptest::prelude::*;
use stigmer_policy::policy::{Access, HostRule, Root, RootKind};
use stigmer_policy::{Decision, JailPath, Places, Policy, Request, Rule, decide};
use unicode_normalization::UnicodeNormalization;

fn path(text: &str) -> JailPath {
    JailPath::absolute(text).unwrap()
}

fn policy() -> Policy {
    let mut places = Places::new(path("/w"), path("/tmp"), path("/home/a"));
    places.skills.push(path("/w/skill"));
    let mut policy = Policy::workspace(&places);
    policy.roots.push(Root { path: path("/w/a/ro"), access: Access::ReadOnly, kind: RootKind::Extra });
    policy.roots.push(Root { path: path("/w/a/ro/rw"), access: Access::ReadWrite, kind: RootKind::Extra });
    policy.hosts.push(HostRule { host: "api.example.com".into(), ports: vec![443] });
    policy.env.push("CI".into());
    policy
}

/// Components that meet roots, protected names and their look-alikes often enough.
fn component() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => prop::sample::select(vec![
            "w", "a", "ro", "rw", "tmp", "home", "skill", "etc", "usr", "..", ".", "", ".git", ".GIT", "hooks", "config",
            "modules", "worktrees", ".envrc", ".g\u{200c}it", "objects", "info", "W", "passwd",
        ]).prop_map(str::to_owned),
        1 => "[a-zA-Z.\u{e9}\u{131}]{1,4}",
    ]
}

fn raw_path() -> impl Strategy<Value = String> {
    prop::collection::vec(component(), 0..9).prop_map(|parts| format!("/{}", parts.join("/")))
}

/// The same rule as the product's, said once more in another way: the deepest root that is a prefix of the text.
fn deepest_root<'a>(policy: &'a Policy, path: &JailPath) -> Option<&'a Root> {
    let text = format!("{path}/");
    let holds = |root: &&Root| text.starts_with(&format!("{}/", root.path));
    policy.roots.iter().filter(holds).max_by_key(|root| root.path.to_string().len())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_write_outside_a_writable_root(raw in raw_path()) {
        let policy = policy();
        let Ok(path) = JailPath::absolute(&raw) else { return Ok(()) };
        let root = deepest_root(&policy, &path);
        match decide(&policy, &Request::Write(path.clone())) {
            Decision::Allow { rule } => {
                prop_assert_eq!(rule, Rule::Roots);
                prop_assert_eq!(root.map(|root| root.access), Some(Access::ReadWrite));
            }
            Decision::Deny(denial) => {
                let writable = root.is_some_and(|root| root.access == Access::ReadWrite);
                prop_assert!(!writable || denial.rule == Rule::ProtectedPaths, "{} {:?}", path, denial);
            }
        }
        // What may be written may be read.
        if decide(&policy, &Request::Write(path.clone())).is_allowed() {
            prop_assert!(decide(&policy, &Request::Read(path)).is_allowed());
        }
    }

    #[test]
    fn normalising_twice_changes_nothing(raw in raw_path()) {
        if let Ok(once) = JailPath::absolute(&raw) {
            prop_assert_eq!(JailPath::absolute(once.as_path()).unwrap(), once.clone());
            let text = once.to_string();
            prop_assert!(!text.contains("//") && !text.contains("/./") && !text.contains("/../"), "{}", text);
        }
    }

    #[test]
    fn protected_in_every_case_and_form(
        row in 0..stigmer_policy::protected::PROTECTED.len(),
        capitals in any::<u64>(),
        prefix in prop::sample::select(vec!["", "sub/", "a/b/", "caf\u{e9}/"]),
        decomposed in any::<bool>(),
        joiner in any::<bool>(),
        below in any::<bool>(),
    ) {
        let policy = policy();
        let pattern = stigmer_policy::protected::PROTECTED[row].pattern;
        let mut text: String = pattern
            .chars()
            .enumerate()
            .map(|(at, c)| if capitals >> (at % 64) & 1 == 1 { c.to_ascii_uppercase() } else { c })
            .collect();
        if joiner {
            text.insert(2, '\u{200d}');
        }
        let mut text = format!("/w/{prefix}{text}");
        if below {
            text.push_str("/x");
        }
        let text: String = if decomposed { text.nfd().collect() } else { text.nfc().collect() };
        let decision = decide(&policy, &Request::Write(path(&text)));
        prop_assert_eq!(decision.rule(), Rule::ProtectedPaths, "{}", text);
        prop_assert!(decide(&policy, &Request::Read(path(&text))).is_allowed());
    }

    #[test]
    fn added_patterns_hold_in_both_unicode_forms(name in "[\u{e0}-\u{f6}\u{ac00}-\u{ac10}]{1,6}") {
        let mut policy = policy();
        policy.protected.push(name.nfc().collect());
        for form in [name.nfc().collect::<String>(), name.nfd().collect(), name.to_uppercase()] {
            let decision = decide(&policy, &Request::Write(path(&format!("/w/{form}"))));
            prop_assert_eq!(decision.rule(), Rule::ProtectedPaths, "{}", form);
        }
    }

    #[test]
    fn no_text_makes_decide_panic_or_allow_an_unlisted_host(host in ".{0,40}", port in any::<u16>()) {
        let policy = policy();
        let allowed = decide(&policy, &Request::Connect { host: host.clone(), port }).is_allowed();
        let listed = host.trim_end_matches('.').eq_ignore_ascii_case("api.example.com") && port == 443;
        prop_assert!(!allowed || listed, "{} {}", host, port);
        let loader = Request::Env(format!("LD_{host}"));
        prop_assert!(!decide(&policy, &loader).is_allowed());
    }

    #[test]
    fn arbitrary_documents_are_errors_not_panics(text in ".{0,200}") {
        let places = Places::new(path("/w"), path("/tmp"), path("/home/a"));
        let _ = Policy::from_document(&text, &places);
    }
}

#[test]
fn a_policy_crosses_a_socket_unchanged_and_only_whole() {
    let policy = policy();
    let text = serde_json::to_string(&policy).unwrap();
    assert_eq!(serde_json::from_str::<Policy>(&text).unwrap(), policy);

    let damaged = |change: &dyn Fn(&mut serde_json::Value)| {
        let mut value = serde_json::to_value(&policy).unwrap();
        change(&mut value);
        serde_json::from_value::<Policy>(value).map(|_| ()).unwrap_err().to_string()
    };
    for (change, want) in [
        (
            &(|v: &mut serde_json::Value| v["roots"][0]["kind"] = "extra".into()) as &dyn Fn(&mut serde_json::Value),
            "a policy has exactly one workspace, this one has 0",
        ),
        (&|v| v["roots"][1]["path"] = "/w".into(), "root `/w` is listed twice"),
        (&|v| v["roots"][1]["path"] = "/".into(), "`/` cannot be granted"),
        (&|v| v["roots"][1]["path"] = "tmp".into(), "the path is not absolute"),
        (&|v| v["system"][0] = "/".into(), "`/` cannot be granted"),
        (&|v| v["protected"] = serde_json::json!([]), "protected pattern `stigmer.toml` is missing"),
        (&|v| v["protected"][0] = "../x".into(), "protected pattern `../x` is malformed"),
        (&|v| v["hosts"][0]["host"] = "*".into(), "host `*` is malformed"),
        (&|v| v["hosts"][0]["ports"] = serde_json::json!([]), "host `api.example.com` needs ports between 1 and 65535"),
        (&|v| v["env"][0] = "LD_PRELOAD".into(), "environment name `LD_PRELOAD` cannot be listed"),
        (&|v| v["limits"]["processes"] = 0.into(), "a limit is out of range"),
        (&|v| v["minimum"][1] = v["minimum"][0].clone(), "the minimum of `protected-paths` is named twice"),
        (&|v| v["more"] = true.into(), "unknown field `more`"),
        (&|v| v["env"] = vec!["CI"; 1025].into(), "`env` has 1025 entries, at most 1024 are accepted"),
    ] {
        let got = damaged(change);
        assert!(got.starts_with(want), "{got:?} does not begin with {want:?}");
    }
}

#[test]
fn a_path_that_is_not_utf8_does_not_cross_as_another() {
    use std::os::unix::ffi::OsStrExt;
    let odd = JailPath::absolute(std::ffi::OsStr::from_bytes(b"/w/\xff")).unwrap();
    assert!(serde_json::to_string(&odd).is_err());
    assert_eq!(serde_json::to_string(&path("/w/\u{fc}")).unwrap(), "\"/w/\u{fc}\"");
}
