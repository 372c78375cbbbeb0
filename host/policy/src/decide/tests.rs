use super::*;
use crate::path::JailPath;
use crate::policy::{Access, HostRule, Places, Root, RootKind};
use crate::rule::Rule;

fn path(text: &str) -> JailPath {
    JailPath::absolute(text).unwrap()
}

fn policy() -> Policy {
    let mut places = Places::new(path("/home/ada/w"), path("/tmp"), path("/home/ada"));
    places.skills.push(path("/home/ada/.stigmer/skills/aa"));
    places.tools.push(path("/home/ada/.cargo/bin"));
    let mut policy = Policy::workspace(&places);
    policy.roots.push(Root { path: path("/home/ada/w/vendor"), access: Access::ReadOnly, kind: RootKind::Extra });
    policy.roots.push(Root { path: path("/data/out"), access: Access::ReadWrite, kind: RootKind::Extra });
    for (host, ports) in [
        ("api.example.com", &[443][..]),
        ("*.cdn.example.com", &[80, 443]),
        ("10.0.0.7", &[5432]),
        ("localhost", &[11434]),
    ] {
        policy.hosts.push(HostRule { host: host.to_owned(), ports: ports.to_vec() });
    }
    policy.env = vec!["CI".to_owned(), "LD_PRELOAD".to_owned()];
    policy.unix = vec![path("/srv/db.sock")];
    policy.check().expect_err("the table lists a name that is never given, on purpose");
    policy
}

/// One row: what is asked, whether it is allowed, by which rule.
fn table(rows: &[(Request, bool, Rule)]) {
    let policy = policy();
    for (request, allowed, rule) in rows {
        let decision = decide(&policy, request);
        assert_eq!((decision.is_allowed(), decision.rule()), (*allowed, *rule), "{request:?}: {decision:?}");
    }
}

#[test]
fn reads() {
    let read = |text: &str| Request::Read(path(text));
    table(&[
        (read("/home/ada/w"), true, Rule::Roots),
        (read("/home/ada/w/.git/config"), true, Rule::Roots),
        (read("/home/ada/w/vendor/x"), true, Rule::Roots),
        (read("/home/ada/.cargo/bin/cargo"), true, Rule::Roots),
        (read("/tmp/x"), true, Rule::Roots),
        (read("/usr/bin/env"), true, Rule::SystemFiles),
        (read("/etc/passwd"), true, Rule::SystemFiles),
        (read("/etc/shadow"), false, Rule::OutsideRoots),
        (read("/etc"), false, Rule::OutsideRoots),
        (read("/etc/passwd-"), false, Rule::OutsideRoots),
        (read("/home/eve/x"), false, Rule::OutsideRoots),
        (read("/data"), false, Rule::OutsideRoots),
        (read("/"), false, Rule::OutsideRoots),
    ]);
}

#[test]
fn writes() {
    let write = |text: &str| Request::Write(path(text));
    table(&[
        (write("/home/ada/w/a"), true, Rule::Roots),
        (write("/home/ada/w/.git/index"), true, Rule::Roots),
        (write("/home/ada/w/.gitignore"), true, Rule::Roots),
        (write("/data/out/a"), true, Rule::Roots),
        (write("/tmp/r/.git/hooks/a"), true, Rule::Roots),
        (write("/home/ada/w/.git/hooks/a"), false, Rule::ProtectedPaths),
        (write("/home/ada/w/sub/.GIT/Hooks"), false, Rule::ProtectedPaths),
        (write("/home/ada/w/sub/.git"), false, Rule::ProtectedPaths),
        (write("/data/out/.envrc"), false, Rule::ProtectedPaths),
        // Protected wins over the root that holds it.
        (write("/home/ada/w/vendor/.envrc"), false, Rule::ProtectedPaths),
        (write("/home/ada/w/vendor/x"), false, Rule::ReadOnlyRoot),
        (write("/home/ada/.cargo/bin/cargo"), false, Rule::ReadOnlyRoot),
        (write("/home/ada/.stigmer/skills/aa/SKILL.md"), false, Rule::ReadOnlyRoot),
        (write("/usr/bin/env"), false, Rule::SystemFiles),
        (write("/etc/passwd"), false, Rule::SystemFiles),
        (write("/etc/motd"), false, Rule::OutsideRoots),
        (write("/data/other"), false, Rule::OutsideRoots),
    ]);
}

#[test]
fn connections() {
    let connect = |host: &str, port| Request::Connect { host: host.to_owned(), port };
    table(&[
        (connect("api.example.com", 443), true, Rule::Hosts),
        (connect("API.Example.Com.", 443), true, Rule::Hosts),
        (connect("a.b.cdn.example.com", 80), true, Rule::Hosts),
        (connect("10.0.0.7", 5432), true, Rule::Hosts),
        (connect("::ffff:10.0.0.7", 5432), true, Rule::Hosts),
        (connect("localhost", 11434), true, Rule::Hosts),
        (connect("api.example.com", 80), false, Rule::HostNotListed),
        (connect("api.example.com", 0), false, Rule::HostNotListed),
        (connect("cdn.example.com", 443), false, Rule::HostNotListed),
        (connect("evil.example.net", 443), false, Rule::HostNotListed),
        (connect("1.1.1.1", 443), false, Rule::HostNotListed),
        (connect("127.1", 443), false, Rule::HostNotListed),
        (connect("api.example.com/x", 443), false, Rule::HostNotListed),
        (connect("10.0.0.8", 5432), false, Rule::PrivateAddress),
        (connect("169.254.169.254", 80), false, Rule::PrivateAddress),
        (connect("fd00:ec2::254", 80), false, Rule::PrivateAddress),
        (connect("::ffff:127.0.0.1", 80), false, Rule::PrivateAddress),
        (connect("localhost", 80), false, Rule::HostNotListed),
        (connect("x.localhost", 80), false, Rule::PrivateAddress),
    ]);
    let off = Policy::workspace(&Places::new(path("/w"), path("/tmp"), path("/h")));
    assert_eq!(decide(&off, &connect("api.example.com", 443)).rule(), Rule::NetworkOff);
    assert_eq!(decide(&off, &connect("127.0.0.1", 443)).rule(), Rule::NetworkOff);
}

#[test]
fn addresses_that_names_lead_to() {
    let policy = policy();
    for (host, address, port, want) in [
        ("api.example.com", "93.184.216.34", 443, Ok(Rule::Hosts)),
        ("api.example.com", "10.0.0.7", 443, Err(Rule::PrivateAddress)),
        ("api.example.com", "169.254.169.254", 443, Err(Rule::PrivateAddress)),
        ("api.example.com", "::ffff:127.0.0.1", 443, Err(Rule::PrivateAddress)),
        ("localhost", "127.0.0.1", 11434, Ok(Rule::Hosts)),
        ("localhost", "::1", 11434, Ok(Rule::Hosts)),
        ("localhost", "10.0.0.1", 11434, Err(Rule::PrivateAddress)),
        ("10.0.0.7", "10.0.0.7", 5432, Ok(Rule::Hosts)),
        ("evil.example.net", "93.184.216.34", 443, Err(Rule::HostNotListed)),
    ] {
        let got = resolved(&policy, host, address.parse().unwrap(), port).into_result().map_err(|denial| denial.rule);
        assert_eq!(got, want, "{host} {address}");
    }
}

#[test]
fn environment_and_sockets() {
    let env = |name: &str| Request::Env(name.to_owned());
    let unix = |text: &str| Request::Unix(path(text));
    table(&[
        (env("PATH"), true, Rule::Environment),
        (env("LC_TIME"), true, Rule::Environment),
        (env("STIGMER_SANDBOX"), true, Rule::Environment),
        (env("CI"), true, Rule::Environment),
        (env("CIX"), false, Rule::EnvironmentNotListed),
        (env("LD_PRELOAD"), false, Rule::EnvironmentNotListed),
        (env("STIGMER_LLM_API_KEY"), false, Rule::EnvironmentNotListed),
        (unix("/srv/db.sock"), true, Rule::UnixSockets),
        (unix("/srv/db.sock2"), false, Rule::UnixSocketNotListed),
        (unix("/srv"), false, Rule::UnixSocketNotListed),
    ]);
}

#[test]
fn denials_carry_words_and_the_smallest_grant() {
    let policy = policy();
    let denial = |request: Request| decide(&policy, &request).into_result().unwrap_err();
    let outside = denial(Request::Read(path("/data/in/a.csv")));
    assert_eq!(outside.subject, "read /data/in/a.csv");
    assert_eq!(outside.grant.as_deref(), Some("[roots]\nread = [\"/data/in\"]"));
    assert_eq!(denial(Request::Read(path("/etc/shadow"))).grant, None);
    // The folder around the workspace is never offered: it holds the workspace and more.
    assert_eq!(denial(Request::Read(path("/home/eve"))).grant, None);
    let hooks = denial(Request::Write(path("/home/ada/w/.git/hooks/x")));
    assert_eq!(hooks.reason, "`.git/hooks` is a protected path: it can be read, not changed");
    assert_eq!(hooks.grant.as_deref(), Some("[protected]\nremove = [\".git/hooks\"]"));
    assert_eq!(denial(Request::Write(path("/home/ada/w/stigmer.toml"))).grant, None);
    let host = denial(Request::Connect { host: "fe80::1".into(), port: 80 });
    assert_eq!(host.subject, "connect [fe80::1]:80");
    assert_eq!(host.grant.as_deref(), Some("[[host]]\nname = \"fe80::1\"\nports = [80]"));
    let hostile = denial(Request::Read(path("/x/a\nb\u{202e}")));
    assert_eq!(hostile.subject, "read /x/a\\nb\\u{202e}");
}
