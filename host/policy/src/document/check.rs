//! From values as written to a policy.

use std::time::Duration;

use toml::Spanned;

use super::{Document, DocumentError, Problem, Texts, roots};
use crate::host::HostPattern;
use crate::limits::Limits;
use crate::path::JailPath;
use crate::policy::{Access, HostRule, Places, Policy, Root, RootKind};
use crate::promise::{Promise, Strength};
use crate::{environment, protected};

pub(super) fn check(document: &Document, places: &Places) -> Result<Policy, DocumentError> {
    let raw = &document.raw;
    let mut policy = match raw.extends.as_ref().map(|name| (name, name.get_ref().as_str())) {
        None | Some((_, "workspace")) => Policy::workspace(places),
        Some((_, "read-only")) => Policy::read_only(places),
        Some((name, _)) => return Err(document.value("extends", name, Problem::Extends)),
    };
    for (key, access, texts) in
        [("roots.read", Access::ReadOnly, &raw.roots.read), ("roots.write", Access::ReadWrite, &raw.roots.write)]
    {
        for text in texts {
            let path = root(&policy, access, text.get_ref()).map_err(|problem| document.value(key, text, problem))?;
            policy.roots.push(Root { path, access, kind: RootKind::Extra });
        }
    }
    document.each("protected.add", &raw.protected.add, |text| add_pattern(&mut policy, text))?;
    document.each("protected.remove", &raw.protected.remove, |text| remove_pattern(&mut policy, text))?;
    for host in &raw.host {
        let name = rule_name(&policy, host.name.get_ref())
            .map_err(|problem| document.value("host.name", &host.name, problem))?;
        policy.hosts.push(HostRule { host: name, ports: ports(document, &host.ports)? });
    }
    document.each("env.allow", &raw.env.allow, |text| add_env(&mut policy, text))?;
    document.each("unix.allow", &raw.unix.allow, |text| add_unix(&mut policy, text))?;
    policy.limits = limits(document)?;
    minimum(document, &mut policy)?;
    policy.check().map_err(DocumentError::Policy)?;
    Ok(policy)
}

impl Document {
    fn value<T: std::fmt::Display>(&self, key: &'static str, at: &Spanned<T>, source: Problem) -> DocumentError {
        let value = crate::request::plain(&at.get_ref().to_string());
        DocumentError::Value { line: self.line(&at.span()), key, value, source }
    }

    fn each(
        &self,
        key: &'static str,
        texts: &Texts,
        mut take: impl FnMut(&str) -> Result<(), Problem>,
    ) -> Result<(), DocumentError> {
        texts.iter().try_for_each(|text| take(text.get_ref()).map_err(|problem| self.value(key, text, problem)))
    }
}

/// A folder besides the workspace. It may lie inside the workspace, to grant there less or more than around it.
fn root(policy: &Policy, access: Access, text: &str) -> Result<JailPath, Problem> {
    let path = roots::path(text)?;
    if let Some(problem) = roots::refused(&path) {
        return Err(problem);
    }
    if policy.roots.iter().any(|root| root.path == path && root.kind == RootKind::Extra) {
        return Err(Problem::Twice);
    }
    if policy.roots.iter().any(|root| root.path == path && root.kind == RootKind::Workspace) {
        return Err(Problem::Nothing { why: "it is the workspace; `extends` decides whether that is writable" });
    }
    let own = policy.roots.iter().filter(|root| root.kind != RootKind::Extra);
    if let Some(inner) = own.clone().find(|root| root.path.is_within(&path)) {
        return Err(Problem::Holds { inner: inner.path.clone() });
    }
    if policy.system.iter().any(|listed| path.is_within(listed)) {
        return Err(match access {
            Access::ReadOnly => Problem::Nothing { why: "files of the system are readable anyway" },
            Access::ReadWrite => Problem::Refused { why: "files of the system are never writable" },
        });
    }
    if policy.system.iter().any(|listed| listed.is_within(&path)) {
        return Err(Problem::Refused { why: "files of the system lie in it" });
    }
    match policy.root_of(&path).filter(|root| root.kind != RootKind::Extra) {
        Some(root) if matches!(root.kind, RootKind::Skill | RootKind::Tools) => {
            Err(Problem::Refused { why: "it lies in a folder that is granted for reading only" })
        }
        Some(root) if root.kind != RootKind::Workspace => {
            Err(Problem::Nothing { why: "scratch and home are writable" })
        }
        Some(root) if root.access == access => Err(Problem::Nothing { why: "the workspace grants it already" }),
        _ => Ok(path),
    }
}

fn add_pattern(policy: &mut Policy, text: &str) -> Result<(), Problem> {
    protected::check_pattern(text)?;
    if policy.protected.iter().any(|pattern| protected::same_pattern(pattern, text)) {
        return Err(Problem::Twice);
    }
    policy.protected.push(text.to_owned());
    Ok(())
}

fn remove_pattern(policy: &mut Policy, text: &str) -> Result<(), Problem> {
    if protected::FIXED.iter().any(|fixed| protected::same_pattern(fixed, text)) {
        return Err(Problem::Fixed);
    }
    let before = policy.protected.len();
    policy.protected.retain(|pattern| !protected::same_pattern(pattern, text));
    if policy.protected.len() == before { Err(Problem::NoPattern) } else { Ok(()) }
}

fn rule_name(policy: &Policy, text: &str) -> Result<String, Problem> {
    let name = match HostPattern::parse(text)? {
        HostPattern::Exact(name) => name,
        HostPattern::Below(domain) => format!("*.{domain}"),
        HostPattern::Address(address) => address.to_string(),
    };
    if policy.hosts.iter().any(|rule| rule.host == name) { Err(Problem::Twice) } else { Ok(name) }
}

fn ports(document: &Document, written: &Spanned<Vec<Spanned<i64>>>) -> Result<Vec<u16>, DocumentError> {
    let mut ports = Vec::new();
    for port in written.get_ref() {
        match u16::try_from(*port.get_ref()) {
            Ok(0) | Err(_) => return Err(document.value("host.ports", port, Problem::Ports)),
            Ok(number) if ports.contains(&number) => return Err(document.value("host.ports", port, Problem::Twice)),
            Ok(number) => ports.push(number),
        }
    }
    if ports.is_empty() {
        return Err(document.value("host.ports", &Spanned::new(written.span(), "[]"), Problem::Ports));
    }
    Ok(ports)
}

fn add_env(policy: &mut Policy, text: &str) -> Result<(), Problem> {
    environment::check(text)?;
    if environment::is_always(text) {
        return Err(Problem::Nothing { why: "every command gets it" });
    }
    if policy.env.iter().any(|name| name == text) {
        return Err(Problem::Twice);
    }
    policy.env.push(text.to_owned());
    Ok(())
}

fn add_unix(policy: &mut Policy, text: &str) -> Result<(), Problem> {
    let path = roots::path(text)?;
    if path.depth() == 0 {
        return Err(Problem::Refused { why: "`/` is no socket" });
    }
    if policy.unix.contains(&path) {
        return Err(Problem::Twice);
    }
    policy.unix.push(path);
    Ok(())
}

fn limits(document: &Document) -> Result<Limits, DocumentError> {
    type Set = fn(&mut Limits, u64);
    let raw = &document.raw.limits;
    let rows: [(&'static str, &Option<Spanned<i64>>, Set); 7] = [
        ("limits.command-seconds", &raw.command_seconds, |limits, value| {
            limits.command_time = Duration::from_secs(value)
        }),
        ("limits.processes", &raw.processes, |limits, value| {
            limits.processes = u32::try_from(value).unwrap_or(u32::MAX)
        }),
        ("limits.scratch-bytes", &raw.scratch_bytes, |limits, value| limits.scratch_bytes = value),
        ("limits.descriptors", &raw.descriptors, |limits, value| limits.descriptors = value),
        ("limits.file-bytes", &raw.file_bytes, |limits, value| limits.file_bytes = value),
        ("limits.plugin-memory-bytes", &raw.plugin_memory_bytes, |limits, value| limits.plugin_memory_bytes = value),
        ("limits.plugin-seconds", &raw.plugin_seconds, |limits, value| limits.plugin_time = Duration::from_secs(value)),
    ];
    let mut limits = Limits::default();
    for (key, written, set) in rows {
        let Some(written) = written else { continue };
        // A negative number becomes 0, which every range refuses.
        set(&mut limits, u64::try_from(*written.get_ref()).unwrap_or(0));
        limits.check().map_err(|error| document.value(key, written, Problem::Limit(error)))?;
    }
    Ok(limits)
}

fn minimum(document: &Document, policy: &mut Policy) -> Result<(), DocumentError> {
    for (key, written) in &document.raw.minimum {
        let promise = Promise::ALL.iter().copied().find(|promise| promise.name() == key.get_ref());
        let promise = promise.ok_or_else(|| document.value("minimum", key, Problem::Promise))?;
        let strength = [Strength::Open, Strength::Detected, Strength::Prevented]
            .into_iter()
            .find(|strength| strength.name() == written.get_ref());
        let strength = strength.ok_or_else(|| document.value("minimum", written, Problem::Strength))?;
        policy.minimum.retain(|(named, _)| *named != promise);
        policy.minimum.push((promise, strength));
    }
    Ok(())
}
