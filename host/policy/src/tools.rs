//! Folders of tools below the person's home that code may read and run. A table; nothing here looks at a disk.

use crate::path::JailPath;

/// One kind of tool folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ToolRow {
    /// Variable that names the folder when the person moved it; given to commands when it is set.
    pub variable: Option<&'static str>,
    /// Where the folder lies without the variable, below the home.
    pub default: &'static str,
    /// What is granted of it, below the folder; empty: the whole folder.
    pub parts: &'static [&'static str],
    /// Why it is granted, and why no more of it.
    pub reason: &'static str,
}

/// A folder (or single file) that the table names on one person's machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolPlace {
    /// Where it would lie; the caller looks whether it exists.
    pub path: JailPath,
    /// The row that it comes from.
    pub row: &'static ToolRow,
}

const fn row(
    variable: Option<&'static str>,
    default: &'static str,
    parts: &'static [&'static str],
    reason: &'static str,
) -> ToolRow {
    ToolRow { variable, default, parts, reason }
}

/// The table. No row names a folder that holds credentials.
pub const TOOLS: &[ToolRow] = &[
    row(
        Some("CARGO_HOME"),
        ".cargo",
        &["bin"],
        "cargo and installed programs; credentials.toml lies beside and stays out",
    ),
    row(
        Some("RUSTUP_HOME"),
        ".rustup",
        &["toolchains", "settings.toml"],
        "Rust toolchains, and which one is the default",
    ),
    row(Some("PYENV_ROOT"), ".pyenv", &[], "Python versions and their shims; holds no settings of the person"),
    row(Some("NVM_DIR"), ".nvm", &["versions"], "node versions"),
    row(Some("FNM_DIR"), ".local/share/fnm", &["node-versions", "aliases"], "node versions"),
    row(Some("VOLTA_HOME"), ".volta", &["bin", "tools/image"], "node versions"),
    row(Some("BUN_INSTALL"), ".bun", &["bin"], "bun"),
    row(Some("DENO_INSTALL_ROOT"), ".deno", &["bin"], "deno and installed programs"),
    row(Some("RBENV_ROOT"), ".rbenv", &["versions", "shims", "version", "bin", "libexec"], "Ruby versions"),
    row(Some("SDKMAN_DIR"), ".sdkman", &["candidates"], "JVMs and their build tools"),
    row(Some("GOPATH"), "go", &["bin"], "installed Go programs; the module cache holds private sources and stays out"),
    row(Some("UV_PYTHON_INSTALL_DIR"), ".local/share/uv/python", &[], "Python versions"),
    row(Some("UV_TOOL_DIR"), ".local/share/uv/tools", &[], "programs behind the links in ~/.local/bin"),
    row(Some("ASDF_DATA_DIR"), ".asdf", &["installs", "shims"], "versions of many languages"),
    row(Some("MISE_DATA_DIR"), ".local/share/mise", &["installs", "shims"], "versions of many languages"),
    row(None, ".local/bin", &[], "the person's own programs"),
    row(None, ".local/lib", &[], "Python packages behind programs in ~/.local/bin"),
];

/// The variables of the table, which commands get when they are set.
pub fn variables() -> impl Iterator<Item = &'static str> {
    TOOLS.iter().filter_map(|row| row.variable)
}

/// Where the tool folders of this person would lie. `lookup` reads one variable of the person's environment.
///
/// A variable that names no folder of its own (relative, `/`, a top folder such as `/opt`, or one that holds the home)
/// counts as if its row were absent: granting it would grant far more than tools.
pub fn places(home: &JailPath, lookup: impl Fn(&str) -> Option<String>) -> Vec<ToolPlace> {
    let mut places: Vec<ToolPlace> = Vec::new();
    for row in TOOLS {
        let named = row.variable.and_then(&lookup).filter(|value| !value.is_empty());
        let folder = match named {
            Some(value) => JailPath::absolute(value).ok().filter(|path| is_own_folder(path, home)),
            None => home.join(row.default).ok(),
        };
        let Some(folder) = folder else { continue };
        let parts = if row.parts.is_empty() { &[""][..] } else { row.parts };
        for part in parts {
            let path = if part.is_empty() { Ok(folder.clone()) } else { folder.join(part) };
            if let Ok(path) = path
                && places.iter().all(|place| place.path != path)
            {
                places.push(ToolPlace { path, row });
            }
        }
    }
    places
}

fn is_own_folder(path: &JailPath, home: &JailPath) -> bool {
    path.depth() >= 2 && !home.is_within(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(home: &str, set: &[(&str, &str)]) -> Vec<String> {
        let lookup = |name: &str| set.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        places(&JailPath::absolute(home).unwrap(), lookup).into_iter().map(|place| place.path.to_string()).collect()
    }

    #[test]
    fn defaults_lie_below_the_home_and_variables_move_them() {
        let plain = paths("/home/ada", &[]);
        assert!(plain.contains(&"/home/ada/.cargo/bin".to_owned()));
        assert!(plain.contains(&"/home/ada/.rustup/settings.toml".to_owned()));
        let moved = paths("/home/ada", &[("CARGO_HOME", "/srv/rust/cargo/"), ("RUSTUP_HOME", "")]);
        assert!(moved.contains(&"/srv/rust/cargo/bin".to_owned()));
        assert!(!moved.contains(&"/home/ada/.cargo/bin".to_owned()));
        assert!(moved.contains(&"/home/ada/.rustup/toolchains".to_owned()));
    }

    #[test]
    fn a_variable_cannot_grant_the_home_or_a_top_folder() {
        for value in ["/", "/home", "/home/ada", "/opt", ".pyenv", "../x"] {
            let places = paths("/home/ada", &[("PYENV_ROOT", value)]);
            assert!(places.iter().all(|path| !path.contains("pyenv") && path.as_str() != value), "{value}");
        }
        assert!(paths("/home/ada", &[("PYENV_ROOT", "/home/ada/py")]).contains(&"/home/ada/py".to_owned()));
    }

    #[test]
    fn no_row_reaches_a_credential_file() {
        let home = JailPath::absolute("/home/ada").unwrap();
        for file in [
            ".cargo/credentials.toml",
            ".netrc",
            ".npmrc",
            ".ssh/id_ed25519",
            ".aws/credentials",
            ".gem/credentials",
            ".config/gh/hosts.yml",
            ".docker/config.json",
            ".pypirc",
            ".local/share/keyrings/login.keyring",
            ".gitconfig",
        ] {
            let file = home.join(file).unwrap();
            assert!(places(&home, |_| None).iter().all(|place| !file.is_within(&place.path)), "{file}");
        }
    }
}
