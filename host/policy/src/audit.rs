//! The shape of an audit row. Writing, chaining and bounding the file is the daemon's; here is what a row holds and the
//! exact text that its successor's `prev_hash` is taken of.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::request::Denial;
use crate::rule::Rule;

/// Number of this shape, in every row.
pub const SCHEMA: u32 = 1;

/// Who saw what the row tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Observer {
    /// The daemon itself.
    Daemon,
    /// The door out, in the daemon.
    Egress,
    /// The jail's init.
    Init,
    /// The runner, which is not trusted: the row says what it *reported*.
    Runner,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AuditKind {
    /// A request was refused.
    Denial,
    /// A person allowed something.
    Grant,
}

/// A SHA-256 digest, written as 64 lower-case hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct ChainHash(pub [u8; 32]);

/// Why a text is no [`ChainHash`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a hash has 64 lower-case hexadecimal digits")]
pub struct ChainHashError;

impl ChainHash {
    /// What stands before the first row.
    pub const START: ChainHash = ChainHash([0; 32]);
}

impl std::fmt::Display for ChainHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl std::str::FromStr for ChainHash {
    type Err = ChainHashError;

    fn from_str(text: &str) -> Result<Self, ChainHashError> {
        let digit = |byte: u8| match byte {
            b'0'..=b'9' => Ok(byte - b'0'),
            b'a'..=b'f' => Ok(byte - b'a' + 10),
            _ => Err(ChainHashError),
        };
        let digits: &[u8; 64] = text.as_bytes().try_into().map_err(|_| ChainHashError)?;
        let mut hash = [0; 32];
        for (byte, pair) in hash.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = digit(pair[0])? << 4 | digit(pair[1])?;
        }
        Ok(ChainHash(hash))
    }
}

impl Serialize for ChainHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ChainHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// One row. Rows that say the same coalesce: `count` says how often.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditRow {
    /// [`SCHEMA`].
    pub schema: u32,
    /// Place in the file, from 1, without gaps.
    pub seq: u64,
    /// When it was first seen: milliseconds since 1970, UTC.
    pub time: u64,
    /// The execution; empty for what belongs to none.
    pub execution: String,
    /// Who saw it.
    pub observer: Observer,
    /// What it is.
    pub kind: AuditKind,
    /// The rule that refused or was granted.
    pub rule: Rule,
    /// As in [`Denial::subject`].
    pub subject: String,
    /// How often, at least 1.
    pub count: u64,
    /// Digest of the row before; [`ChainHash::START`] for the first.
    pub prev_hash: ChainHash,
}

impl AuditRow {
    /// A row for one denial, counted once.
    #[must_use]
    pub fn denial(
        seq: u64,
        time: u64,
        execution: String,
        observer: Observer,
        denial: &Denial,
        prev_hash: ChainHash,
    ) -> Self {
        AuditRow {
            schema: SCHEMA,
            seq,
            time,
            execution,
            observer,
            kind: AuditKind::Denial,
            rule: denial.rule,
            subject: denial.subject.clone(),
            count: 1,
            prev_hash,
        }
    }

    /// The row's one text: JSON on one line, members in the order of the type, no spaces, no line end. It is what the
    /// file holds and what [`AuditRow::hash`] digests.
    #[must_use]
    pub fn canonical(&self) -> String {
        let AuditRow { schema, seq, time, execution, observer, kind, rule, subject, count, prev_hash } = self;
        let execution = json_text(execution);
        let (observer, kind) = (observer.name(), kind.name());
        let subject = json_text(subject);
        format!(
            "{{\"schema\":{schema},\"seq\":{seq},\"time\":{time},\"execution\":{execution},\"observer\":\"{observer}\",\
             \"kind\":\"{kind}\",\"rule\":\"{rule}\",\"subject\":{subject},\"count\":{count},\"prev_hash\":\"{prev_hash}\"}}"
        )
    }

    /// What `digest` makes of the row's text. The caller brings SHA-256; the next row's `prev_hash` is the result.
    pub fn hash<H>(&self, digest: impl FnOnce(&[u8]) -> H) -> H {
        digest(self.canonical().as_bytes())
    }

    /// Whether `other` says the same and may be counted here instead of standing alone.
    #[must_use]
    pub fn coalesces_with(&self, other: &AuditRow) -> bool {
        (&self.execution, self.observer, self.kind, self.rule, &self.subject)
            == (&other.execution, other.observer, other.kind, other.rule, &other.subject)
    }
}

impl Observer {
    /// The name in the row.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Observer::Daemon => "daemon",
            Observer::Egress => "egress",
            Observer::Init => "init",
            Observer::Runner => "runner",
        }
    }
}

impl AuditKind {
    /// The name in the row.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            AuditKind::Denial => "denial",
            AuditKind::Grant => "grant",
        }
    }
}

/// A JSON string (RFC 8259, section 7), each character in one way only.
fn json_text(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if (c as u32) < 0x20 || c == '\u{7f}' => out.push_str(&format!("\\u{:04x}", c as u32)),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(subject: &str) -> AuditRow {
        let denial = Denial { rule: Rule::HostNotListed, subject: subject.into(), reason: String::new(), grant: None };
        AuditRow::denial(1, 1_700_000_000_123, "aex-01".into(), Observer::Egress, &denial, ChainHash::START)
    }

    #[test]
    fn canonical_text_is_fixed() {
        let zeros = "0".repeat(64);
        let want = format!(
            r#"{{"schema":1,"seq":1,"time":1700000000123,"execution":"aex-01","observer":"egress","kind":"denial","rule":"host-not-listed","subject":"connect a\"\\\u000a\u001b:1","count":1,"prev_hash":"{zeros}"}}"#
        );
        assert_eq!(row("connect a\"\\\n\u{1b}:1").canonical(), want);
    }

    #[test]
    fn text_reads_back_and_every_member_changes_it() {
        let first = row("x");
        let back: AuditRow = serde_json::from_str(&first.canonical()).unwrap();
        assert_eq!(back, first);
        assert_eq!(
            serde_json::to_value(&first).unwrap(),
            serde_json::from_str::<serde_json::Value>(&first.canonical()).unwrap()
        );
        let others = [
            AuditRow { schema: 2, ..first.clone() },
            AuditRow { seq: 2, ..first.clone() },
            AuditRow { time: 2, ..first.clone() },
            AuditRow { execution: "y".into(), ..first.clone() },
            AuditRow { observer: Observer::Runner, ..first.clone() },
            AuditRow { kind: AuditKind::Grant, ..first.clone() },
            AuditRow { rule: Rule::Roots, ..first.clone() },
            AuditRow { subject: "y".into(), ..first.clone() },
            AuditRow { count: 2, ..first.clone() },
            AuditRow { prev_hash: ChainHash([1; 32]), ..first.clone() },
        ];
        for other in others {
            assert_ne!(other.hash(<[u8]>::to_vec), first.hash(<[u8]>::to_vec), "{other:?}");
        }
    }

    #[test]
    fn hashes_read_strictly_and_rows_coalesce_by_what_they_say() {
        let hash = ChainHash([0xa5; 32]);
        assert_eq!(hash.to_string().parse(), Ok(hash));
        for bad in ["", "a5", &hash.to_string().to_uppercase(), &format!("{hash}0"), &"g".repeat(64)] {
            assert_eq!(bad.parse::<ChainHash>(), Err(ChainHashError), "{bad}");
        }
        assert!(row("x").coalesces_with(&AuditRow { seq: 9, time: 9, count: 4, ..row("x") }));
        assert!(!row("x").coalesces_with(&row("y")));
    }
}
