//! The name and address that commits made in a jail carry: all that a command gets of the person's git settings.

use std::io::Read;

use super::Person;

/// Most bytes of a git configuration file that are looked at.
const MAX_CONFIG: u64 = 1 << 20;

/// `user.name` and `user.email`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GitIdentity {
    name: String,
    email: String,
}

impl Default for GitIdentity {
    /// Without one `git commit` ends with 128.
    fn default() -> Self {
        GitIdentity { name: "stigmer".to_owned(), email: "stigmer@localhost".to_owned() }
    }
}

impl GitIdentity {
    /// Reads the person's own files, in git's order; `None` when they name nobody. Includes are not followed.
    #[must_use]
    pub fn of(person: &Person) -> Option<GitIdentity> {
        let xdg = person.variable("XDG_CONFIG_HOME").map_or_else(|| person.home.join(".config"), Into::into);
        let mut found = (None, None);
        for file in [xdg.join("git/config"), person.home.join(".gitconfig")] {
            let Some(text) = read(&file) else { continue };
            let (name, email) = parse(&text);
            found = (name.or(found.0), email.or(found.1));
        }
        match found {
            (Some(name), Some(email)) => Some(GitIdentity { name, email }),
            _ => None,
        }
    }

    /// The text of a `.gitconfig` with this identity and nothing else.
    #[must_use]
    pub fn to_config(&self) -> Vec<u8> {
        let quote = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
        format!("[user]\n\tname = \"{}\"\n\temail = \"{}\"\n", quote(&self.name), quote(&self.email)).into_bytes()
    }
}

#[expect(clippy::disallowed_methods, reason = "the person's own file, read by the trusted half")]
fn read(file: &std::path::Path) -> Option<String> {
    let mut text = String::new();
    std::fs::File::open(file).ok()?.take(MAX_CONFIG).read_to_string(&mut text).ok()?;
    Some(text)
}

/// The last `name` and `email` of `[user]` sections (git-config(1), Syntax). Values that need more than quotes and a
/// backslash to be understood are left alone.
fn parse(text: &str) -> (Option<String>, Option<String>) {
    let (mut name, mut email, mut in_user) = (None, None, false);
    for line in text.lines().map(str::trim) {
        if let Some(section) = line.strip_prefix('[') {
            in_user = section.split(']').next().is_some_and(|title| title.trim().eq_ignore_ascii_case("user"));
        } else if in_user && let Some((key, value)) = line.split_once('=') {
            let value = unquote(value.trim());
            match key.trim().to_ascii_lowercase().as_str() {
                "name" => name = value,
                "email" => email = value,
                _ => {}
            }
        }
    }
    (name, email)
}

fn unquote(value: &str) -> Option<String> {
    let value = match value.strip_prefix('"') {
        Some(rest) => rest.strip_suffix('"')?.replace("\\\"", "\"").replace("\\\\", "\\"),
        None => value.split(['#', ';']).next().unwrap_or_default().trim().to_owned(),
    };
    let plain = !value.is_empty() && !value.chars().any(char::is_control);
    plain.then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_the_last_user_section_and_nothing_else() {
        let text = "[core]\n name = no\n[user]\n\tname = Ada Lovelace # poet's daughter\n email = \"ada@example.org\"\n[alias]\n x = !sh\n";
        assert_eq!(parse(text), (Some("Ada Lovelace".into()), Some("ada@example.org".into())));
        assert_eq!(parse("[user \"x\"]\nname = no\n").0, None);
        assert_eq!(parse("[user]\nname =\n").0, None);
    }

    #[test]
    fn a_name_cannot_smuggle_a_section() {
        let identity = GitIdentity { name: "a\" b\\".into(), email: "e".into() };
        assert_eq!(identity.to_config(), b"[user]\n\tname = \"a\\\" b\\\\\"\n\temail = \"e\"\n");
        assert_eq!(unquote("\"a\nb\""), None);
    }
}
