//! The smallest change of a document that would allow what was refused, as text that the document takes.

use super::{READ, roots};
use crate::host::Asked;
use crate::path::JailPath;
use crate::policy::Policy;

/// Grants the folder that `path` lies in; `None` where a document could not.
pub(crate) fn root(policy: &Policy, key: &str, path: &JailPath) -> Option<String> {
    let folder = path.parent()?;
    let own = policy.roots.iter().any(|root| root.path.is_within(&folder));
    let system = policy.system.iter().any(|listed| folder.is_within(listed) || listed.is_within(&folder));
    if own || (system && key != READ) || roots::refused(&folder).is_some() {
        return None;
    }
    Some(format!("[roots]\n{key} = [{}]", quoted(folder.as_path().to_str()?)))
}

/// Turns a folder that is granted for reading into one for writing.
pub(crate) fn write_instead(root: &JailPath) -> Option<String> {
    Some(format!("[roots]\nwrite = [{}]", quoted(root.as_path().to_str()?)))
}

/// Makes the workspace writable.
pub(crate) fn workspace() -> String {
    "extends = \"workspace\"".to_owned()
}

/// Takes a pattern off the list; `None` for those that stay.
pub(crate) fn unprotect(pattern: &str) -> Option<String> {
    use crate::protected::{FIXED, PROTECTED, same_pattern};
    if FIXED.iter().any(|fixed| same_pattern(fixed, pattern)) {
        return None;
    }
    // A pattern that a document added is taken out of that document; only built-in ones can be named under `remove`.
    let built_in = PROTECTED.iter().any(|row| same_pattern(row.pattern, pattern));
    built_in.then(|| format!("[protected]\nremove = [{}]", quoted(pattern)))
}

/// Lists one host and port; `None` for what is no host.
pub(crate) fn host(host: &str, port: u16) -> Option<String> {
    let name = match Asked::parse(host).ok()? {
        Asked::Address(address) => address.to_string(),
        Asked::Name(name) => name,
    };
    (port != 0).then(|| format!("[[host]]\nname = {}\nports = [{port}]", quoted(&name)))
}

/// Lists one environment name; `None` for those that are never given.
pub(crate) fn env(name: &str) -> Option<String> {
    crate::environment::check(name).ok()?;
    Some(format!("[env]\nallow = [{}]", quoted(name)))
}

/// Lists one unix socket.
pub(crate) fn unix(path: &JailPath) -> Option<String> {
    Some(format!("[unix]\nallow = [{}]", quoted(path.as_path().to_str()?)))
}

fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}
