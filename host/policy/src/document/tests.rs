use std::error::Error as _;

use super::*;
use crate::path::JailPath;
use crate::policy::{Access, RootKind};
use crate::promise::{Promise, Strength};
use crate::request::Request;

fn path(text: &str) -> JailPath {
    JailPath::absolute(text).unwrap()
}

fn places() -> Places {
    let mut places = Places::new(path("/home/ada/w"), path("/tmp"), path("/home/ada"));
    places.skills.push(path("/home/ada/.stigmer/skills/aa"));
    places
}

/// The error as a person sees it: the chain on one line, then the hint.
fn error(text: &str) -> String {
    let error = Policy::from_document(text, &places()).expect_err(text);
    let source = error.source().map(|source| format!(": {source}")).unwrap_or_default();
    let hint = error.hint().map(|hint| format!("\nhint: {hint}")).unwrap_or_default();
    format!("{error}{source}{hint}")
}

#[test]
fn the_example_of_the_module_makes_a_policy() {
    let text = r#"
        extends = "workspace"
        [roots]
        read = ["/data/sets", "/home/ada/w/vendor"]
        write = ["/data/out"]
        [protected]
        add = ["ci/deploy.sh"]
        remove = [".IDEA"]
        [[host]]
        name = "*.Example.com."
        ports = [443, 80]
        [[host]]
        name = "::ffff:10.0.0.7"
        ports = [5432]
        [env]
        allow = ["CI"]
        [unix]
        allow = ["/srv/db/.s.PGSQL.5432"]
        [limits]
        command-seconds = 600
        plugin-memory-bytes = 1048576
        [minimum]
        protected-paths = "prevented"
    "#;
    let policy = Policy::from_document(text, &places()).unwrap();
    assert_eq!(policy.check(), Ok(()));
    let extra: Vec<_> = policy.roots.iter().filter(|root| root.kind == RootKind::Extra).collect();
    assert_eq!(extra.len(), 3);
    assert_eq!((extra[2].path.clone(), extra[2].access), (path("/data/out"), Access::ReadWrite));
    assert!(policy.protected.contains(&"ci/deploy.sh".to_owned()));
    assert!(!policy.protected.contains(&".idea".to_owned()));
    assert_eq!(policy.hosts[0].host, "*.example.com");
    assert_eq!(policy.hosts[1].host, "10.0.0.7");
    assert_eq!(policy.env, ["CI"]);
    assert_eq!(policy.limits.command_time.as_secs(), 600);
    assert_eq!(policy.limits.plugin_memory_bytes, 1 << 20);
    assert_eq!(policy.minimum.iter().filter(|(named, _)| *named == Promise::ProtectedPaths).count(), 1);
    assert!(policy.minimum.contains(&(Promise::ProtectedPaths, Strength::Prevented)));
    assert!(!crate::decide(&policy, &Request::Write(path("/home/ada/w/ci/deploy.sh"))).is_allowed());
    assert!(crate::decide(&policy, &Request::Write(path("/home/ada/w/.idea/x"))).is_allowed());
}

#[test]
fn built_in_policies() {
    assert_eq!(Policy::from_document("", &places()).unwrap(), Policy::workspace(&places()));
    let read_only = Policy::from_document("extends = \"read-only\"", &places()).unwrap();
    assert_eq!(read_only, Policy::read_only(&places()));
    assert!(!crate::decide(&read_only, &Request::Write(path("/home/ada/w/a"))).is_allowed());
    assert!(crate::decide(&read_only, &Request::Write(path("/tmp/a"))).is_allowed());
    // A folder inside a read-only workspace can be granted for writing.
    let text = "extends = \"read-only\"\nroots.write = [\"/home/ada/w/out\"]";
    let policy = Policy::from_document(text, &places()).unwrap();
    assert!(crate::decide(&policy, &Request::Write(path("/home/ada/w/out/a"))).is_allowed());
}

#[test]
fn shapes_that_are_wrong() {
    for (text, want) in [
        ("extends = ", "line 1: string values must be quoted, expected literal string"),
        (
            "\n\nextend = \"workspace\"",
            "line 3: unknown field `extend`, expected one of `extends`, `roots`, `protected`, `host`, `env`, `unix`, `limits`, `minimum`",
        ),
        ("[roots]\nreed = []", "line 2: unknown field `reed`, expected `read` or `write`"),
        ("[roots]\nread = \"/x\"", "line 2: invalid type: string \"/x\", expected a sequence"),
        ("[limits]\nprocesses = \"8\"", "line 2: invalid type: string \"8\", expected i64"),
        ("[[host]]\nname = \"a.example\"", "line 1: missing field `ports`"),
        (
            "[[host]]\nname = \"a.example\"\nports = [443]\nmethods = []",
            "line 4: unknown field `methods`, expected `name` or `ports`",
        ),
        ("[env]\nallow = [1]", "line 2: invalid type: integer `1`, expected a string"),
        ("a = 1\na = 2", "line 2: duplicate key"),
    ] {
        assert_eq!(error(text), want, "{text}");
    }
    let long = "#".repeat(MAX_DOCUMENT + 1);
    assert_eq!(error(&long), "the document has 262145 bytes, at most 262144 are accepted");
    assert!(Document::parse(&long[..MAX_DOCUMENT]).is_ok());
}

#[test]
fn values_that_are_wrong() {
    let hosts = |name: &str| format!("[[host]]\nname = \"{name}\"\nports = [443]");
    let rows: Vec<(String, &str)> = vec![
        (
            "extends = \"all\"".into(),
            "line 1: `extends` cannot be `all`: there is no built-in policy of that name\nhint: write \"workspace\" or \"read-only\"",
        ),
        (
            "[roots]\nread = [\"data\"]".into(),
            "line 2: `roots.read` cannot be `data`: the path is not absolute\nhint: write the path from `/` on",
        ),
        (
            "[roots]\nread = [\n\"/a\",\n\"~/x\"]".into(),
            "line 4: `roots.read` cannot be `~/x`: `~` is not expanded\nhint: write the path from `/` on",
        ),
        (
            "[roots]\nread = [\"/a/../b/\"]".into(),
            "line 2: `roots.read` cannot be `/a/../b/`: the path is not in its clean form\nhint: write \"/b\"",
        ),
        ("[roots]\nread = [\"\"]".into(), "line 2: `roots.read` cannot be ``: a path cannot be empty"),
        ("[roots]\nwrite = [\"/\"]".into(), "line 2: `roots.write` cannot be `/`: everything at once is not granted"),
        (
            "[roots]\nread = [\"/etc/ssh\"]".into(),
            "line 2: `roots.read` cannot be `/etc/ssh`: files of the system are readable by list, passwords and keys lie beside them",
        ),
        ("[roots]\nread = [\"/home\"]".into(), "line 2: `roots.read` cannot be `/home`: homes are not granted whole"),
        (
            "[roots]\nread = [\"/home/ada\"]".into(),
            "line 2: `roots.read` cannot be `/home/ada`: the folder holds `/home/ada/w`, which the execution has anyway",
        ),
        (
            "[roots]\nread = [\"/home/ada/w\"]".into(),
            "line 2: `roots.read` cannot be `/home/ada/w`: this changes nothing: it is the workspace; `extends` decides whether that is writable",
        ),
        (
            "[roots]\nwrite = [\"/home/ada/w/x\"]".into(),
            "line 2: `roots.write` cannot be `/home/ada/w/x`: this changes nothing: the workspace grants it already",
        ),
        (
            "[roots]\nwrite = [\"/home/ada/.stigmer/skills/aa/x\"]".into(),
            "line 2: `roots.write` cannot be `/home/ada/.stigmer/skills/aa/x`: it lies in a folder that is granted for reading only",
        ),
        (
            "[roots]\nwrite = [\"/usr/local\"]".into(),
            "line 2: `roots.write` cannot be `/usr/local`: files of the system are never writable",
        ),
        (
            "[roots]\nread = [\"/usr/local\"]".into(),
            "line 2: `roots.read` cannot be `/usr/local`: this changes nothing: files of the system are readable anyway",
        ),
        (
            "[roots]\nread = [\"/a\"]\nwrite = [\"/a\"]".into(),
            "line 3: `roots.write` cannot be `/a`: this is listed twice",
        ),
        (
            "[protected]\nadd = [\"/etc/x\"]".into(),
            "line 2: `protected.add` cannot be `/etc/x`: a pattern is relative\nhint: write a path below the workspace, such as \"ci/deploy.sh\"",
        ),
        (
            "[protected]\nadd = [\"*.sh\"]".into(),
            "line 2: `protected.add` cannot be `*.sh`: a pattern is a literal path\nhint: write a path below the workspace, such as \"ci/deploy.sh\"",
        ),
        (
            "[protected]\nadd = [\".git\"]".into(),
            "line 2: `protected.add` cannot be `.git`: a repository's whole folder cannot be protected, since git could not commit\nhint: write \".git/hooks\" or another path in it",
        ),
        ("[protected]\nadd = [\".ENVRC\"]".into(), "line 2: `protected.add` cannot be `.ENVRC`: this is listed twice"),
        (
            "[protected]\nremove = [\"Makefile\"]".into(),
            "line 2: `protected.remove` cannot be `Makefile`: there is no such pattern on the list",
        ),
        (
            "[protected]\nremove = [\"Stigmer.toml\"]".into(),
            "line 2: `protected.remove` cannot be `Stigmer.toml`: the pattern cannot be removed: code would change the walls around itself",
        ),
        (
            hosts("*"),
            "line 2: `host.name` cannot be `*`: every host at once cannot be listed\nhint: list each name, or `*.example.com` for all names below one domain",
        ),
        (
            hosts("https://a.example"),
            "line 2: `host.name` cannot be `https://a.example`: a host is a name without a scheme\nhint: write the name alone, `api.example.com`, and the port under `ports`",
        ),
        (
            hosts("10.0.0.0/8"),
            "line 2: `host.name` cannot be `10.0.0.0/8`: address ranges are not supported\nhint: list each address by itself, `10.0.0.7`",
        ),
        (
            hosts("a.example:443"),
            "line 2: `host.name` cannot be `a.example:443`: a host is a name without a port\nhint: write the port under `ports`",
        ),
        (format!("{0}\n{0}", hosts("a.example")), "line 5: `host.name` cannot be `a.example`: this is listed twice"),
        (
            "[[host]]\nname = \"a.example\"\nports = []".into(),
            "line 3: `host.ports` cannot be `[]`: ports lie between 1 and 65535, and there is at least one\nhint: write [443]",
        ),
        (
            "[[host]]\nname = \"a.example\"\nports = [443,\n70000]".into(),
            "line 4: `host.ports` cannot be `70000`: ports lie between 1 and 65535, and there is at least one\nhint: write [443]",
        ),
        (
            "[[host]]\nname = \"a.example\"\nports = [443, 443]".into(),
            "line 3: `host.ports` cannot be `443`: this is listed twice",
        ),
        (
            "[env]\nallow = [\"LD_PRELOAD\"]".into(),
            "line 2: `env.allow` cannot be `LD_PRELOAD`: never given: the loader loads or logs what it names",
        ),
        (
            "[env]\nallow = [\"A=1\"]".into(),
            "line 2: `env.allow` cannot be `A=1`: an environment name has letters, digits and `_`, and does not begin with a digit\nhint: write one name, such as \"CI\"",
        ),
        (
            "[env]\nallow = [\"PATH\"]".into(),
            "line 2: `env.allow` cannot be `PATH`: this changes nothing: every command gets it",
        ),
        ("[env]\nallow = [\"CI\", \"CI\"]".into(), "line 2: `env.allow` cannot be `CI`: this is listed twice"),
        (
            "[unix]\nallow = [\"x.sock\"]".into(),
            "line 2: `unix.allow` cannot be `x.sock`: the path is not absolute\nhint: write the path from `/` on",
        ),
        ("[limits]\nprocesses = 0".into(), "line 2: `limits.processes` cannot be `0`: between 1 and 65536 is accepted"),
        (
            "[limits]\nprocesses = -1".into(),
            "line 2: `limits.processes` cannot be `-1`: between 1 and 65536 is accepted",
        ),
        (
            "[limits]\nprocesses = 4294967297".into(),
            "line 2: `limits.processes` cannot be `4294967297`: between 1 and 65536 is accepted",
        ),
        (
            "[limits]\ncommand-seconds = 86401".into(),
            "line 2: `limits.command-seconds` cannot be `86401`: between 1 and 86400 is accepted",
        ),
        (
            "[minimum]\nnetwork = \"strong\"".into(),
            "line 2: `minimum` cannot be `strong`: there is no such strength\nhint: write \"prevented\", \"detected\" or \"open\"",
        ),
        (
            "[minimum]\nnetworks = \"open\"".into(),
            "line 2: `minimum` cannot be `networks`: there is no such promise\nhint: promises are read-outside, write-outside, metadata-outside, protected-paths, network, odd-sockets, unix-sockets, processes, signals, process-names, survivors, kernel-surface, privileges, environment, descriptors, terminal, process-count, space, ipc",
        ),
    ];
    for (text, want) in rows {
        assert_eq!(error(&text), want, "{text}");
    }
}

#[test]
fn limits_at_the_edge_are_accepted() {
    for text in
        ["processes = 1", "processes = 65536", "command-seconds = 86400", "descriptors = 16", "plugin-seconds = 1"]
    {
        assert!(Policy::from_document(&format!("[limits]\n{text}"), &places()).is_ok(), "{text}");
    }
}

/// What a denial offers is taken by the document and allows exactly what was refused.
#[test]
fn every_grant_that_is_offered_works() {
    let base = "extends = \"read-only\"\n[[host]]\nname = \"api.example.com\"\nports = [443]\n";
    let connect = |host: &str| Request::Connect { host: host.into(), port: 8443 };
    for (document, request) in [
        ("", Request::Read(path("/data/in/a \"quoted\".csv"))),
        ("", Request::Write(path("/data/in/a.csv"))),
        ("", Request::Write(path("/home/ada/w/.git/hooks/a"))),
        ("extends = \"read-only\"", Request::Write(path("/home/ada/w/a"))),
        ("", connect("api.example.com")),
        ("", connect("fe80::1")),
        ("", Request::Env("CI".into())),
        ("", Request::Unix(path("/srv/x.sock"))),
    ] {
        let before = Policy::from_document(document, &places()).unwrap();
        let denial = crate::decide(&before, &request).into_result().expect_err("refused before");
        let after = Policy::from_document(&denial.grant.expect("a grant is offered"), &places()).unwrap();
        assert!(crate::decide(&after, &request).is_allowed(), "{request:?}");
    }
    let listed = Policy::from_document(base, &places()).unwrap();
    let denial = crate::decide(&listed, &connect("api.example.com")).into_result().unwrap_err();
    assert_eq!(denial.reason, "the host is listed, port 8443 is not");
}
