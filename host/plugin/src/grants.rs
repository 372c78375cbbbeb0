//! What one call may reach, as handles that are already open.

use std::fs::File;
use std::sync::Arc;

use serde_json::Value;
use stigmer_policy::{Access, Decision, Denial, JailPath, Policy, Request, Rule};

/// Answers what the policy says. [`Policy`] is one; tests bring their own.
pub trait Gate: Send + Sync {
    /// Whether `request` is allowed, and by which rule.
    fn decide(&self, request: &Request) -> Decision;
}

impl Gate for Policy {
    fn decide(&self, request: &Request) -> Decision {
        stigmer_policy::decide(self, request)
    }
}

/// A folder that a plugin is given. The handle is the grant: the path is only its name, never opened.
#[derive(Debug, Clone)]
pub struct DirGrant {
    /// The folder, open for reading.
    pub dir: Arc<File>,
    /// Its canonical path: the name that the guest, the file tools and commands all use for it.
    pub path: JailPath,
    /// Whether the guest may change what lies below.
    pub access: Access,
}

/// Everything that one call may reach. A guest sees the policy *and* the grant: what either refuses is refused.
#[derive(Clone)]
pub struct Grants {
    /// Folders, each by its own path.
    pub dirs: Vec<DirGrant>,
    /// Environment variables that the guest sees; nothing else of the environment does.
    pub env: Vec<(String, String)>,
    /// Asked before every access to a path and every connection.
    pub gate: Arc<dyn Gate>,
}

impl Grants {
    /// No folder and no variable; `gate` still names the rules in refusals.
    #[must_use]
    pub fn none(gate: Arc<dyn Gate>) -> Grants {
        Grants { dirs: Vec::new(), env: Vec::new(), gate }
    }
}

impl std::fmt::Debug for Grants {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<_> = self.env.iter().map(|(name, _)| name).collect();
        f.debug_struct("Grants").field("dirs", &self.dirs).field("env", &names).finish_non_exhaustive()
    }
}

/// A refusal where the policy would allow but the plugin was not granted it.
pub(crate) fn not_granted(rule: Rule, subject: String, reason: String) -> Denial {
    Denial { rule, subject, reason, grant: None }
}

/// Advice for a relative path among `arguments` that was refused as if it began at `/`, which is how a guest's C library
/// reads it: WASI 0.2 has no working folder.
pub(crate) fn meant_relative(arguments: &Value, denials: &[Denial], dirs: &[DirGrant]) -> Option<String> {
    let first = dirs.first()?;
    let refused = |text: &&str| {
        let place = format!(" /{}", text.trim_start_matches("./"));
        !text.starts_with('/')
            && denials.iter().any(|denial| denial.rule == Rule::OutsideRoots && denial.subject.ends_with(&place))
    };
    let mut open = vec![arguments];
    while let Some(value) = open.pop() {
        match value {
            Value::String(text) if refused(&text.as_str()) => {
                let whole = first.path.join(text).ok()?;
                return Some(format!("this plugin reads relative paths from `/`: did you mean `{whole}`?"));
            }
            Value::Array(items) => open.extend(items.iter().rev()),
            Value::Object(fields) => open.extend(fields.values().rev()),
            _ => {}
        }
    }
    None
}

/// Refusals that were seen during a call, each once, bounded.
#[derive(Debug, Default)]
pub(crate) struct Denials(Vec<Denial>);

impl Denials {
    /// Different refusals kept per call; a guest that asks for more has made its point.
    pub(crate) const KEPT: usize = 256;

    pub(crate) fn push(&mut self, denial: Denial) {
        if self.0.len() < Self::KEPT && !self.0.contains(&denial) {
            self.0.push(denial);
        }
    }

    pub(crate) fn take(&mut self) -> Vec<Denial> {
        std::mem::take(&mut self.0)
    }
}
