//! Tool names that every model interface accepts, and the way back from them.
//!
//! `^[a-zA-Z0-9_-]{1,64}$`: plugin, interface (without package and version) and function, joined by `_`. Two exports
//! that would share a name, and names that are too long, get a suffix made from the whole export; it does not depend on
//! what else is installed, so that a prompt's tool list stays the same.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Longest tool name, in characters: what the model interfaces have in common.
pub const MAX_TOOL_NAME: usize = 64;
/// Characters of the suffix: `_` and eight hexadecimal digits.
const SUFFIX: usize = 9;

/// An exported function, by its names in the component.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Export {
    /// The interface as exported, with package and version (`test:types/echo@1.2.0`); `None` for a function of the
    /// world itself.
    pub interface: Option<String>,
    /// The function.
    pub function: String,
}

impl std::fmt::Display for Export {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.interface {
            Some(interface) => write!(f, "{interface}.{}", self.function),
            None => f.write_str(&self.function),
        }
    }
}

/// Gives each export of each plugin its tool name, in the order given. `exports` are pairs of plugin name and export.
#[must_use]
pub fn tool_names(exports: &[(&str, &Export)]) -> Vec<String> {
    let plain: Vec<String> = exports.iter().map(|(plugin, export)| plain_name(plugin, export)).collect();
    let mut uses: HashMap<&str, usize> = HashMap::new();
    for name in &plain {
        *uses.entry(name).or_default() += 1;
    }
    plain
        .iter()
        .zip(exports)
        .map(|(name, (plugin, export))| {
            if name.len() <= MAX_TOOL_NAME && uses[name.as_str()] == 1 {
                return name.clone();
            }
            let digest = Sha256::digest(format!("{plugin}\n{export}"));
            let suffix: String = digest.iter().take((SUFFIX - 1) / 2).map(|byte| format!("{byte:02x}")).collect();
            format!("{}_{suffix}", &name[..name.len().min(MAX_TOOL_NAME - SUFFIX)])
        })
        .collect()
}

fn plain_name(plugin: &str, export: &Export) -> String {
    let mut parts = vec![plugin];
    if let Some(interface) = &export.interface {
        let path = interface.split_once('@').map_or(interface.as_str(), |(path, _version)| path);
        let name = path.rsplit_once('/').map_or(path, |(_package, name)| name);
        // `table_table_profile` would say the same word twice.
        if name != plugin {
            parts.push(name);
        }
    }
    parts.push(&export.function);
    let joined = parts.join("_");
    joined.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn export(interface: &str, function: &str) -> Export {
        let interface = (!interface.is_empty()).then(|| interface.to_owned());
        Export { interface, function: function.to_owned() }
    }

    #[test]
    fn joins_and_cleans() {
        for (plugin, interface, function, want) in [
            ("table", "", "profile", "table_profile"),
            ("table", "stigmer:table/table@0.1.0", "profile", "table_profile"),
            ("types", "test:types/echo@1.2.0", "maybe-maybe", "types_echo_maybe-maybe"),
            ("a.b", "x:y/z@1.0.0-rc.1", "f", "a_b_z_f"),
            ("ü", "", "f", "__f"),
        ] {
            assert_eq!(tool_names(&[(plugin, &export(interface, function))]), [want]);
        }
    }

    #[test]
    fn collisions_and_long_names_get_a_suffix_that_does_not_depend_on_order() {
        let (one, two, long) = (export("a:b/x", "f"), export("c:d/x@1.0.0", "f"), export("", &"y".repeat(80)));
        let names = tool_names(&[("p", &one), ("p", &two), ("p", &long)]);
        let again = tool_names(&[("p", &long), ("p", &two), ("p", &one)]);
        assert_eq!(names, again.iter().rev().cloned().collect::<Vec<_>>());
        assert_ne!(names[0], names[1]);
        for name in &names {
            assert!(name.len() <= MAX_TOOL_NAME && name.contains('_'), "{name}");
        }
        assert_eq!(names[2].len(), MAX_TOOL_NAME);
        // The same word from two plugins: `a` + `b_c` and `a_b` + `c`.
        let (c, bc) = (export("", "c"), export("", "b_c"));
        let names = tool_names(&[("a_b", &c), ("a", &bc)]);
        assert_ne!(names[0], names[1]);
    }

    #[test]
    fn the_limit_is_exact() {
        let at = export("", &"y".repeat(MAX_TOOL_NAME - 2));
        let over = export("", &"y".repeat(MAX_TOOL_NAME - 1));
        assert_eq!(tool_names(&[("p", &at)])[0], format!("p_{}", at.function));
        assert!(tool_names(&[("p", &over)])[0].len() == MAX_TOOL_NAME);
    }
}
