//! The built-in list of protected paths.

/// What becomes of a protected path that did not exist when a command began and does when it has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Absent {
    /// It is moved to quarantine and reported.
    Quarantine,
    /// It is looked at: harmless content stays and is protected from then on, anything else is quarantined and
    /// reported. For what ordinary git commands make, such as the sample hooks of `git init`.
    Inspect,
}

/// How a protected path that exists is held against commands at full level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Present {
    /// A read-only bind, each folder above it bound onto itself first.
    Anchor,
    /// Compared before and after, restored and reported: a bind would break ordinary git commands.
    Watch,
}

/// One row of the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProtectedRow {
    /// Path below the workspace, a further root, or any folder in them; a folder stands for all that it holds.
    pub pattern: &'static str,
    /// What is done when it appears.
    pub absent: Absent,
    /// What a change of it would run, and when.
    pub reason: &'static str,
}

const fn quarantine(pattern: &'static str, reason: &'static str) -> ProtectedRow {
    ProtectedRow { pattern, absent: Absent::Quarantine, reason }
}

const fn inspect(pattern: &'static str, reason: &'static str) -> ProtectedRow {
    ProtectedRow { pattern, absent: Absent::Inspect, reason }
}

/// The list: files that run something *later and outside the walls*, when the person opens a shell or an editor or uses
/// git in the folder.
///
/// Left out on purpose: `.gitattributes` and `.git/info/attributes` (they can only name drivers that a protected config
/// defines), and what runs when the person builds (`Makefile`, `build.rs`, `package.json`): that is the work itself.
pub const PROTECTED: &[ProtectedRow] = &[
    inspect(".git/hooks", "git runs hooks on commit, checkout, merge, push"),
    inspect(".git/config", "core.fsmonitor, core.hooksPath, alias.*, filter.* name programs that git runs"),
    inspect(".git/config.worktree", "as .git/config, for one worktree"),
    inspect(".git/commondir", "leads git to another folder's config and hooks"),
    quarantine(".git/objects/info/alternates", "leads git to another folder's objects"),
    quarantine(".git/objects/info/http-alternates", "leads git to another server's objects"),
    quarantine(".gitconfig", "git's settings of the person, where a folder serves as home"),
    quarantine(".config/git", "git's settings of the person, where a folder serves as home"),
    quarantine(".envrc", "direnv runs it on entering the folder"),
    quarantine(".bashrc", "bash runs it"),
    quarantine(".bash_profile", "bash runs it at login"),
    quarantine(".bash_login", "bash runs it at login"),
    quarantine(".bash_logout", "bash runs it at logout"),
    quarantine(".bash_aliases", "bash of some distributions runs it"),
    quarantine(".profile", "sh runs it at login"),
    quarantine(".inputrc", "readline binds keys to commands by it"),
    quarantine(".zshrc", "zsh runs it"),
    quarantine(".zshenv", "zsh runs it"),
    quarantine(".zprofile", "zsh runs it at login"),
    quarantine(".zlogin", "zsh runs it at login"),
    quarantine(".zlogout", "zsh runs it at logout"),
    quarantine(".kshrc", "ksh runs it"),
    quarantine(".cshrc", "csh runs it"),
    quarantine(".tcshrc", "tcsh runs it"),
    quarantine(".login", "csh runs it at login"),
    quarantine(".config/fish", "fish runs what lies there"),
    quarantine(".ssh", "keys that open this machine, and commands that ssh runs"),
    quarantine(".vscode", "tasks that run on opening the folder, settings that name programs, servers that start"),
    quarantine(".idea", "start-up tasks and run configurations"),
    quarantine(".fleet", "run configurations"),
    quarantine(".zed", "tasks, and settings that name programs"),
    quarantine(".cursor", "servers and hooks that an agent starts"),
    quarantine(".claude", "hooks that an agent runs, and its permissions"),
    quarantine(".mcp.json", "servers that an agent starts"),
    quarantine(".devcontainer", "initializeCommand runs on the host"),
    quarantine(".devcontainer.json", "initializeCommand runs on the host"),
    quarantine(".exrc", "vi runs it in the folder"),
    quarantine(".nvimrc", "neovim runs it in the folder"),
    quarantine(".nvim.lua", "neovim runs it in the folder"),
    quarantine(".vimrc", "vim runs it where a folder serves as home, or with 'exrc'"),
    quarantine(".dir-locals.el", "emacs evaluates it on opening a file"),
    quarantine(".dir-locals-2.el", "emacs evaluates it on opening a file"),
    quarantine("stigmer.toml", "this product's policy for the folder"),
    quarantine(".stigmer", "this product's settings and grants"),
];

/// Rows that no document can take off the list: with them code would change the walls around itself.
pub const FIXED: &[&str] = &["stigmer.toml", ".stigmer"];
