//! Names of hosts: as a policy lists them, and as code asks for them.

use std::net::IpAddr;

/// Longest host name, in bytes (RFC 1035, 2.3.4, without the root's dot).
pub const MAX_NAME: usize = 253;
/// Longest label, in bytes (RFC 1035, 2.3.4).
pub const MAX_LABEL: usize = 63;

/// A listed host, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostPattern {
    /// This name and no other.
    Exact(String),
    /// `*.example.com`: one or more labels before `example.com`, never `example.com` itself.
    Below(String),
    /// This address and no other; IPv4 inside IPv6 (`::ffff:`) is kept as IPv4.
    Address(IpAddr),
}

/// Why a text is not a host that a policy can list.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HostError {
    /// No text.
    #[error("a host cannot be empty")]
    Empty,
    /// `https://…`.
    #[error("a host is a name without a scheme")]
    Scheme,
    /// `example.com:443`.
    #[error("a host is a name without a port")]
    Port,
    /// `10.0.0.0/8`.
    #[error("address ranges are not supported")]
    Range,
    /// `example.com/path`.
    #[error("a host is a name without a path")]
    Path,
    /// `user@example.com`.
    #[error("a host is a name without a user")]
    User,
    /// `[::1]`.
    #[error("an address is written without brackets")]
    Brackets,
    /// `*`.
    #[error("every host at once cannot be listed")]
    Everything,
    /// `a.*.com`, `*x.com`.
    #[error("`*` stands only as the whole first label")]
    Wildcard,
    /// `*.com`.
    #[error("`*.` needs a domain of at least two labels after it")]
    TooBroad,
    /// `0x7f.1`, `127.1`, `2130706433`: resolvers read these as addresses.
    #[error("the name reads as a number, which resolvers take for an address")]
    Number,
    /// Anything else that DNS names cannot hold.
    #[error("`{label}` is not a label of a host name")]
    Label {
        /// The label, shortened.
        label: String,
    },
    /// More than [`MAX_NAME`] bytes.
    #[error("a host name has at most 253 bytes")]
    TooLong,
}

impl HostError {
    /// How it should be written, for a person.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            HostError::Empty | HostError::Path | HostError::User | HostError::TooLong => "write `api.example.com`",
            HostError::Scheme => "write the name alone, `api.example.com`, and the port under `ports`",
            HostError::Port => "write the port under `ports`",
            HostError::Range => "list each address by itself, `10.0.0.7`",
            HostError::Brackets => "write `::1`",
            HostError::Everything => "list each name, or `*.example.com` for all names below one domain",
            HostError::Wildcard | HostError::TooBroad => "write `*.example.com`",
            HostError::Number => "write the address in full, `127.0.0.1`",
            HostError::Label { .. } => {
                "letters, digits, `-` and `_`, at most 63 in a label; other scripts in their `xn--` form"
            }
        }
    }
}

impl HostPattern {
    /// Takes a host as a policy lists it. Upper case and one trailing dot are forgiven.
    ///
    /// # Errors
    /// [`HostError`], one variant per mistake.
    pub fn parse(text: &str) -> Result<Self, HostError> {
        let text = canonical(text);
        if text.is_empty() {
            return Err(HostError::Empty);
        }
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(HostPattern::Address(address.to_canonical()));
        }
        if text == "*" {
            return Err(HostError::Everything);
        }
        if text.contains("://") {
            return Err(HostError::Scheme);
        }
        if text.contains(['[', ']']) {
            return Err(HostError::Brackets);
        }
        if text.contains('@') {
            return Err(HostError::User);
        }
        if let Some((before, after)) = text.split_once('/') {
            let range = before.parse::<IpAddr>().is_ok() && after.parse::<u8>().is_ok();
            return Err(if range { HostError::Range } else { HostError::Path });
        }
        if let Some((_, after)) = text.rsplit_once(':')
            && after.parse::<u16>().is_ok()
        {
            return Err(HostError::Port);
        }
        match text.strip_prefix("*.") {
            Some(domain) => {
                name(domain)?;
                if domain.contains('.') { Ok(HostPattern::Below(domain.to_owned())) } else { Err(HostError::TooBroad) }
            }
            None => {
                name(&text)?;
                Ok(HostPattern::Exact(text))
            }
        }
    }

    /// Whether this pattern speaks of `asked`.
    #[must_use]
    pub fn matches(&self, asked: &Asked) -> bool {
        match (self, asked) {
            (HostPattern::Address(listed), Asked::Address(asked)) => listed == asked,
            (HostPattern::Exact(listed), Asked::Name(asked)) => listed == asked,
            (HostPattern::Below(domain), Asked::Name(asked)) => {
                asked.strip_suffix(domain.as_str()).is_some_and(|left| left.len() > 1 && left.ends_with('.'))
            }
            _ => false,
        }
    }
}

/// A host as code asks for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// An address literal; IPv4 inside IPv6 (`::ffff:`) is kept as IPv4.
    Address(IpAddr),
    /// A host name, lower case, without a trailing dot.
    Name(String),
}

impl Asked {
    /// Takes a name or address literal, without brackets.
    ///
    /// # Errors
    /// [`HostError`]: the text is neither. Nothing of this kind is ever resolved.
    pub fn parse(text: &str) -> Result<Self, HostError> {
        match HostPattern::parse(text)? {
            HostPattern::Address(address) => Ok(Asked::Address(address)),
            HostPattern::Exact(name) => Ok(Asked::Name(name)),
            HostPattern::Below(_) => Err(HostError::Wildcard),
        }
    }

    /// Whether the name means this machine by definition (`localhost` and names below it, RFC 6761 section 6.3).
    #[must_use]
    pub fn is_localhost(&self) -> bool {
        matches!(self, Asked::Name(name) if name == "localhost" || name.ends_with(".localhost"))
    }
}

fn canonical(text: &str) -> String {
    let text = text.to_ascii_lowercase();
    text.strip_suffix('.').map_or(text.clone(), str::to_owned)
}

fn name(text: &str) -> Result<(), HostError> {
    if text.contains('*') {
        return Err(HostError::Wildcard);
    }
    if text.len() > MAX_NAME {
        return Err(HostError::TooLong);
    }
    for label in text.split('.') {
        let legal = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_';
        let edges = label.starts_with('-') || label.ends_with('-');
        if label.is_empty() || label.len() > MAX_LABEL || edges || !label.bytes().all(legal) {
            return Err(HostError::Label { label: label.chars().take(MAX_LABEL).collect() });
        }
    }
    // inet_aton(3) takes decimal, octal and hexadecimal parts; a name that ends in one of these is read as an address.
    let last = text.rsplit('.').next().unwrap_or(text);
    let hexadecimal = |rest: &str| rest.bytes().all(|byte| byte.is_ascii_hexdigit());
    if last.bytes().all(|byte| byte.is_ascii_digit()) || last.strip_prefix("0x").is_some_and(hexadecimal) {
        return Err(HostError::Number);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_mistake_has_its_own_name() {
        for (text, want) in [
            ("", HostError::Empty),
            (".", HostError::Empty),
            ("*", HostError::Everything),
            ("https://example.com", HostError::Scheme),
            ("example.com:443", HostError::Port),
            ("10.0.0.1:80", HostError::Port),
            ("10.0.0.0/8", HostError::Range),
            ("fd00::/8", HostError::Range),
            ("example.com/a", HostError::Path),
            ("me@example.com", HostError::User),
            ("[::1]", HostError::Brackets),
            ("a.*.com", HostError::Wildcard),
            ("*a.example.com", HostError::Wildcard),
            ("*.*.example.com", HostError::Wildcard),
            ("*.com", HostError::TooBroad),
            ("127.1", HostError::Number),
            ("2130706433", HostError::Number),
            ("0x7f000001", HostError::Number),
            ("example.0x7f", HostError::Number),
            ("a..b", HostError::Label { label: String::new() }),
            ("-a.example", HostError::Label { label: "-a".into() }),
            ("b\u{fc}cher.example", HostError::Label { label: "b\u{fc}cher".into() }),
            ("a b.example", HostError::Label { label: "a b".into() }),
        ] {
            assert_eq!(HostPattern::parse(text), Err(want), "{text:?}");
        }
        assert_eq!(HostPattern::parse(&"a.".repeat(127).repeat(2)), Err(HostError::TooLong));
    }

    #[test]
    fn wildcard_takes_labels_but_never_the_domain_itself() {
        let pattern = HostPattern::parse("*.Example.com.").unwrap();
        for (asked, want) in [
            ("a.example.com", true),
            ("A.b.EXAMPLE.com.", true),
            ("example.com", false),
            ("notexample.com", false),
            ("a.example.com.evil.net", false),
        ] {
            assert_eq!(pattern.matches(&Asked::parse(asked).unwrap()), want, "{asked}");
        }
    }

    #[test]
    fn addresses_compare_by_value() {
        let listed = HostPattern::parse("127.0.0.1").unwrap();
        assert!(listed.matches(&Asked::parse("::ffff:127.0.0.1").unwrap()));
        assert!(!listed.matches(&Asked::parse("127.0.0.2").unwrap()));
        assert!(Asked::parse("api.localhost").unwrap().is_localhost());
        assert!(!Asked::parse("localhost.example").unwrap().is_localhost());
    }
}
