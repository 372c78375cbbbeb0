//! Names of environment variables: always given, never given, and the grammar of the rest.

/// Names that every command gets, as far as they are set; a trailing `*` stands for any rest.
pub const ALWAYS: &[(&str, &str)] = &[
    ("PATH", "where programs are found; rebuilt from system and tool folders"),
    ("HOME", "the empty home"),
    ("USER", "programs print it"),
    ("LOGNAME", "POSIX name of USER"),
    ("SHELL", "programs that start a shell ask it"),
    ("LANG", "text encoding and messages"),
    ("LC_*", "text encoding and messages"),
    ("TZ", "local time"),
    ("TERM", "programs that draw ask it"),
    ("TMPDIR", "scratch"),
    ("NO_COLOR", "output is read by a program"),
    ("STIGMER_SANDBOX", "lets a script see that it is confined, and at which level"),
];

/// Names that no policy can give: each makes a loader, shell or interpreter run or load something before the program
/// that was asked for, or leads to a key. A trailing `*` stands for any rest.
pub const NEVER: &[(&str, &str)] = &[
    ("LD_*", "the loader loads or logs what it names"),
    ("DYLD_*", "the loader loads what it names"),
    ("_RLD_*", "the loader loads what it names"),
    ("GLIBC_TUNABLES", "changes the C library under the program"),
    ("GCONV_PATH", "the C library loads converters from it"),
    ("LOCPATH", "the C library loads locales from it"),
    ("NLSPATH", "the C library loads message formats from it"),
    ("HOSTALIASES", "the resolver reads the file"),
    ("RES_OPTIONS", "changes the resolver"),
    ("LOCALDOMAIN", "changes the resolver"),
    ("MALLOC_*", "the allocator writes or logs what it names"),
    ("BASH_ENV", "bash runs the file first"),
    ("ENV", "sh runs the file first"),
    ("ZDOTDIR", "zsh takes its start-up files from it"),
    ("BASH_FUNC_*", "bash defines functions from it"),
    ("SHELLOPTS", "changes how the shell reads a script"),
    ("BASHOPTS", "changes how bash reads a script"),
    ("PROMPT_COMMAND", "bash runs it"),
    ("PS4", "the shell expands it, commands included"),
    ("IFS", "changes how the shell splits words"),
    ("CDPATH", "changes where `cd` leads"),
    ("PYTHONSTARTUP", "python runs the file first"),
    ("PYTHONPATH", "python loads modules from it"),
    ("PYTHONHOME", "python takes its library from it"),
    ("PYTHONBREAKPOINT", "python calls what it names"),
    ("PYTHONWARNINGS", "python imports what it names"),
    ("PYTHONINSPECT", "python reads commands after the script"),
    ("PYTHONUSERBASE", "python loads modules from it"),
    ("NODE_OPTIONS", "node loads what it names"),
    ("NODE_PATH", "node loads modules from it"),
    ("NODE_REPL_EXTERNAL_MODULE", "node loads what it names"),
    ("PERL5OPT", "perl takes switches from it"),
    ("PERL5LIB", "perl loads modules from it"),
    ("PERLLIB", "perl loads modules from it"),
    ("PERL5DB", "perl runs it"),
    ("PERLIO_DEBUG", "perl writes the file"),
    ("RUBYOPT", "ruby takes switches from it"),
    ("RUBYLIB", "ruby loads from it"),
    ("PHPRC", "php takes its settings from it"),
    ("PHP_INI_SCAN_DIR", "php takes its settings from it"),
    ("LUA_INIT*", "lua runs it first"),
    ("JAVA_TOOL_OPTIONS", "the JVM loads agents that it names"),
    ("_JAVA_OPTIONS", "the JVM loads agents that it names"),
    ("JDK_JAVA_OPTIONS", "the JVM loads agents that it names"),
    ("CLASSPATH", "the JVM loads from it"),
    ("GIT_*", "git runs commands and takes settings from it"),
    ("SSH_*", "leads to the person's keys, or runs what it names"),
    ("GPG_AGENT_INFO", "leads to the person's keys"),
    ("DBUS_*", "leads to the person's session"),
    ("LESSOPEN", "less runs it"),
    ("LESSCLOSE", "less runs it"),
    ("STIGMER_*", "settings of the product, keys among them"),
    ("ANTHROPIC_API_KEY", "model keys stay in the daemon"),
    ("OPENAI_API_KEY", "model keys stay in the daemon"),
];

/// Longest name that a policy lists, in bytes.
pub const MAX_NAME: usize = 128;

/// Why a name cannot be listed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// Not `[A-Za-z_][A-Za-z0-9_]*` (POSIX, 8.1), or too long.
    #[error("an environment name has letters, digits and `_`, and does not begin with a digit")]
    Grammar,
    /// On the list of names that are never given.
    #[error("never given: {reason}")]
    Never {
        /// What the name does.
        reason: &'static str,
    },
}

/// Whether every command gets `name` anyway: the fixed list and the variables of the tool table.
#[must_use]
pub fn is_always(name: &str) -> bool {
    ALWAYS.iter().any(|(row, _)| covers(row, name)) || crate::tools::variables().any(|variable| variable == name)
}

/// Why `name` is never given, or `None` when it may be listed.
#[must_use]
pub fn never(name: &str) -> Option<&'static str> {
    // The one name of ours that is given wins over the row that keeps the others back.
    if is_always(name) {
        return None;
    }
    NEVER.iter().find(|(row, _)| covers(row, name)).map(|(_, reason)| *reason)
}

/// Checks a name that a policy lists.
///
/// # Errors
/// [`NameError`].
pub fn check(name: &str) -> Result<(), NameError> {
    let first = name.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_');
    let rest = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if !first || !rest || name.len() > MAX_NAME {
        return Err(NameError::Grammar);
    }
    never(name).map_or(Ok(()), |reason| Err(NameError::Never { reason }))
}

fn covers(row: &str, name: &str) -> bool {
    match row.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => row == name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loader_and_interpreter_names_are_refused_and_their_neighbours_are_not() {
        for name in [
            "LD_PRELOAD",
            "LD_AUDIT",
            "BASH_ENV",
            "ENV",
            "PYTHONSTARTUP",
            "NODE_OPTIONS",
            "GIT_SSH_COMMAND",
            "GIT_DIR",
            "SSH_AUTH_SOCK",
            "BASH_FUNC_x",
            "STIGMER_LLM_API_KEY",
            "STIGMER_HOME",
            "ANTHROPIC_API_KEY",
        ] {
            assert!(matches!(check(name), Err(NameError::Never { .. })), "{name}");
        }
        for name in ["ENVIRONMENT", "CI", "GITHUB_ACTIONS", "PYTHONUNBUFFERED", "NODE_ENV", "LDFLAGS", "_x9"] {
            assert_eq!(check(name), Ok(()), "{name}");
        }
        for name in ["", "9A", "A-B", "A=B", "A B", "A*", "\u{c4}", "A\0"] {
            assert_eq!(check(name), Err(NameError::Grammar), "{name:?}");
        }
    }

    #[test]
    fn given_names() {
        for name in ["PATH", "LC_ALL", "STIGMER_SANDBOX", "CARGO_HOME", "RUSTUP_HOME", "PYENV_ROOT"] {
            assert!(is_always(name), "{name}");
        }
        assert!(!is_always("PATHS"));
    }
}
