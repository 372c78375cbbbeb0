//! The architecture as a check: which crate may reach which.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::process;

/// One arrow that must not be there.
struct Rule {
    arrow: Arrow,
    why: &'static str,
}

enum Arrow {
    /// `from` reaches `to` by no path.
    Never { from: &'static str, to: &'static str },
    /// Every path from a crate of ours to `to` leads through one of `owners`.
    Only { owners: &'static [&'static str], to: &'static str },
    /// `from` does not switch on `feature` of `to`.
    Feature { from: &'static str, to: &'static str, feature: &'static str },
}

const fn never(from: &'static str, to: &'static str, why: &'static str) -> Rule {
    Rule { arrow: Arrow::Never { from, to }, why }
}

const fn only(owners: &'static [&'static str], to: &'static str, why: &'static str) -> Rule {
    Rule { arrow: Arrow::Only { owners, to }, why }
}

const fn feature(from: &'static str, to: &'static str, feature: &'static str, why: &'static str) -> Rule {
    Rule { arrow: Arrow::Feature { from, to, feature }, why }
}

const RULES: &[Rule] = &[
    never("stigmer-daemon", "stigmer-runner", "the trusted half holds no code of the untrusted one"),
    never("stigmer-runner", "stigmer-daemon", "the untrusted half holds no code of the trusted one"),
    never("stigmer-runner", "stigmer-secrets", "no key enters a jail"),
    never("stigmer-runner", "stigmer-egress", "a runner has no network"),
    never("stigmer-plugin", "stigmer-egress", "plugins ask for HTTP through a trait; they own no socket"),
    never("stigmer-plugin", "hyper", "plugins own no socket"),
    never("stigmer-plugin", "stigmer-sandbox", "the wall around plugins does not lean on the wall around commands"),
    never("stigmer-sandbox", "stigmer-plugin", "as above"),
    never("stigmer-sandbox", "tonic", "init and the inner jail speak frames of their own"),
    never("stigmer-sandbox", "tokio", "init is single-threaded"),
    never("stigmer-skill", "stigmer-sandbox", "a skill is entries; who runs them is another's business"),
    never("stigmer-skill", "stigmer-plugin", "as above"),
    never("stigmer-agent", "tonic", "the loop does not know what carries it"),
    never("stigmer-agent", "wasmtime", "the loop does not know what a tool is made of"),
    never("stigmer-agent", "stigmer-sandbox", "as above"),
    never("stigmer-agent", "stigmer-proto", "as above"),
    never("stigmer-policy", "tokio", "decisions are pure"),
    never("stigmer-policy", "cap-std", "decisions are pure"),
    never("stigmer-policy", "rustix", "decisions are pure"),
    only(&["stigmer-egress"], "rustls", "one door out"),
    only(&["stigmer-egress"], "rustls-native-certs", "one door out"),
    only(&["stigmer-plugin"], "wasmtime", "heavy, and the only code that loads what a stranger wrote"),
    only(&["stigmer-daemon"], "rusqlite", "one writer of the record"),
    only(&["stigmer-sandbox"], "landlock", "one place that confines"),
    only(&["stigmer-sandbox"], "seccompiler", "one place that confines"),
    only(&["stigmer-agent"], "rig-core", "model wires change every month; one crate has to follow"),
    only(&["stigmer-secrets"], "keyring", "keys come from one place"),
    feature("stigmer-plugin", "tokio", "net", "plugins own no socket"),
    feature("stigmer-plugin", "tokio", "full", "plugins own no socket"),
    feature("stigmer-plugin", "tokio", "process", "plugins start nothing"),
];

/// Checks [`RULES`] on what cargo would build for this machine, dependencies of tests left out.
///
/// # Errors
/// Lists each forbidden arrow with a path that proves it and the reason for the rule.
pub(super) fn check() -> Result<()> {
    let host = process::text(process::rustc().arg("-vV"))?;
    let host = host.lines().find_map(|line| line.strip_prefix("host: ")).context("`rustc -vV` names no host")?;
    let text = process::text(process::cargo().args(["metadata", "--format-version", "1", "--filter-platform", host]))?;
    let broken = broken(RULES, &Graph::new(&serde_json::from_str(&text)?)?);
    if !broken.is_empty() {
        bail!("forbidden arrows between crates:\n  {}", broken.join("\n  "));
    }
    Ok(())
}

fn broken(rules: &[Rule], graph: &Graph) -> Vec<String> {
    let mut found = Vec::new();
    for Rule { arrow, why } in rules {
        match arrow {
            Arrow::Never { from, to } => {
                found.extend(graph.path(from, to, &[]).map(|path| format!("{}: {why}", path.join(" → "))));
            }
            Arrow::Only { owners, to } => {
                for from in graph.members.iter().filter(|member| !owners.contains(&member.as_str())) {
                    found.extend(graph.path(from, to, owners).map(|path| format!("{}: {why}", path.join(" → "))));
                }
            }
            Arrow::Feature { from, to, feature } => {
                if graph.features.get(&((*from).to_owned(), (*to).to_owned())).is_some_and(|all| all.contains(*feature))
                {
                    found.push(format!("{from} → {to} with feature `{feature}`: {why}"));
                }
            }
        }
    }
    found
}

/// Names of crates and their arrows; versions do not matter to the rules.
#[derive(Default)]
struct Graph {
    members: BTreeSet<String>,
    edges: BTreeMap<String, BTreeSet<String>>,
    features: BTreeMap<(String, String), BTreeSet<String>>,
}

impl Graph {
    fn new(metadata: &Value) -> Result<Self> {
        let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let mut graph = Graph::default();
        let mut names = BTreeMap::new();
        for package in list(&metadata["packages"]) {
            let name = text(&package["name"]);
            for dependency in list(&package["dependencies"]).iter().filter(|d| d["kind"].is_null()) {
                let features = list(&dependency["features"]).iter().map(text).collect();
                graph.features.insert((name.clone(), text(&dependency["name"])), features);
            }
            names.insert(text(&package["id"]), name);
        }
        let name =
            |id: &Value| names.get(&text(id)).cloned().context("metadata names a package that it does not describe");
        for member in list(&metadata["workspace_members"]) {
            graph.members.insert(name(&member)?);
        }
        for node in list(&metadata["resolve"]["nodes"]) {
            let from = name(&node["id"])?;
            for dependency in list(&node["deps"]) {
                // A kind of null is an ordinary dependency; `dev` belongs to tests, `build` to the machine that builds.
                if list(&dependency["dep_kinds"]).iter().any(|kind| kind["kind"].is_null()) {
                    graph.edges.entry(from.clone()).or_default().insert(name(&dependency["pkg"])?);
                }
            }
        }
        Ok(graph)
    }

    /// A shortest path, if there is one that touches none of `around`.
    fn path(&self, from: &str, to: &str, around: &[&str]) -> Option<Vec<String>> {
        let mut paths = std::collections::VecDeque::from([vec![from.to_owned()]]);
        let mut seen = BTreeSet::new();
        while let Some(path) = paths.pop_front() {
            let last = path.last().expect("paths are not empty");
            if last == to && path.len() > 1 {
                return Some(path);
            }
            for next in self.edges.get(last).into_iter().flatten() {
                if !around.contains(&next.as_str()) && seen.insert(next.clone()) {
                    paths.push_back(path.iter().cloned().chain([next.clone()]).collect());
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(edges: &[(&str, &str)], members: &[&str]) -> Graph {
        let mut graph = Graph::default();
        graph.members.extend(members.iter().map(|member| (*member).to_owned()));
        for (from, to) in edges {
            graph.edges.entry((*from).to_owned()).or_default().insert((*to).to_owned());
        }
        graph
    }

    #[test]
    fn never_sees_through_others() {
        let rules = [never("a", "c", "why")];
        assert_eq!(broken(&rules, &graph(&[("a", "b"), ("b", "c")], &["a"])), ["a → b → c: why"]);
        assert_eq!(broken(&rules, &graph(&[("b", "c"), ("c", "a")], &["a"])), Vec::<String>::new());
    }

    #[test]
    fn only_lets_pass_what_leads_through_the_owner() {
        let rules = [only(&["door"], "tls", "why")];
        let through = [("door", "tls"), ("cli", "door")];
        assert_eq!(broken(&rules, &graph(&through, &["door", "cli"])), Vec::<String>::new());
        let beside = [("door", "tls"), ("cli", "door"), ("cli", "http"), ("http", "tls")];
        assert_eq!(broken(&rules, &graph(&beside, &["door", "cli"])), ["cli → http → tls: why"]);
    }

    #[test]
    fn a_feature_is_an_arrow_too() {
        let metadata = serde_json::json!({
            "packages": [
                {"name": "a", "id": "1", "dependencies": [
                    {"name": "t", "kind": null, "features": ["net", "rt"]},
                    {"name": "d", "kind": "dev", "features": ["net"]},
                ]},
                {"name": "t", "id": "2", "dependencies": []},
                {"name": "d", "id": "3", "dependencies": []},
            ],
            "workspace_members": ["1"],
            "resolve": {"nodes": [{"id": "1", "deps": [
                {"pkg": "2", "dep_kinds": [{"kind": null}]},
                {"pkg": "3", "dep_kinds": [{"kind": "dev"}]},
            ]}]},
        });
        let graph = Graph::new(&metadata).unwrap();
        let rules = [feature("a", "t", "net", "why"), feature("a", "t", "fs", "no"), feature("a", "d", "net", "no")];
        assert_eq!(broken(&rules, &graph), ["a → t with feature `net`: why"]);
        assert_eq!(broken(&[never("a", "d", "no"), never("a", "t", "why")], &graph), ["a → t: why"]);
    }

    #[test]
    fn every_rule_names_a_crate_of_this_workspace() {
        let text = process::text(process::cargo().args(["metadata", "--format-version", "1", "--no-deps"])).unwrap();
        let graph = Graph::new(&serde_json::from_str(&text).unwrap()).unwrap();
        for Rule { arrow, .. } in RULES {
            let named: &[&str] = match arrow {
                Arrow::Never { from, .. } | Arrow::Feature { from, .. } => &[from],
                Arrow::Only { owners, .. } => owners,
            };
            for name in named {
                assert!(graph.members.contains(*name), "`{name}` is no crate of ours: the rule can never speak");
            }
        }
    }
}
