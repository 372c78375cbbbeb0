//! Guests, folders, and a small policy.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};

use serde_json::Value;
use stigmer_plugin::{
    CallError, CallLimits, CallOutcome, Code, DirGrant, Engine, EngineKind, Gate, Grants, Plugin, inspect,
};
use stigmer_policy::{Access, Decision, Denial, JailPath, Request, Rule};

/// One engine for all tests: a pool reserves much address space.
pub(crate) fn engine() -> &'static Engine {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    ENGINE.get_or_init(|| Engine::new(EngineKind::Runner).unwrap())
}

pub(crate) fn guest_bytes(name: &str) -> Vec<u8> {
    let folder = std::env::var_os("STIGMER_GUESTS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/guests/target/wasm32-wasip2/release"),
        PathBuf::from,
    );
    let path = folder.join(format!("{name}.wasm"));
    std::fs::read(&path).unwrap_or_else(|error| {
        panic!(
            "guest `{}`: {error}; build it with `cargo build --release --target wasm32-wasip2` in tests/guests, or name \
             the folder in STIGMER_GUESTS",
            path.display()
        )
    })
}

pub(crate) fn prepare(name: &str, bytes: &[u8]) -> Plugin {
    let inspection = inspect(name, bytes).unwrap();
    Plugin::prepare(engine(), &Code::compile_here(engine(), bytes).unwrap(), inspection).unwrap()
}

/// The guest as plugin `g`, compiled once for all tests.
pub(crate) fn guest(name: &str) -> Plugin {
    static READY: Mutex<BTreeMap<String, Plugin>> = Mutex::new(BTreeMap::new());
    let mut ready = READY.lock().unwrap();
    ready.entry(name.to_owned()).or_insert_with(|| prepare("g", &guest_bytes(name))).clone()
}

/// Calls `function` of the guest's interface `guest`.
pub(crate) fn call(plugin: &Plugin, function: &str, args: Value, grants: &Grants, limits: &CallLimits) -> CallOutcome {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(plugin.call(function, &args, grants, limits))
}

pub(crate) fn said_no(outcome: &CallOutcome) -> &str {
    match &outcome.result {
        Err(CallError::Guest(Value::String(text))) => text,
        other => panic!("expected the guest to report an error, got {other:?}"),
    }
}

/// Roots with their access, `.git/hooks` and `.git/config` protected below them, network off.
pub(crate) struct SmallPolicy {
    pub(crate) roots: Vec<(JailPath, Access)>,
    pub(crate) connect: bool,
}

impl Gate for SmallPolicy {
    fn decide(&self, request: &Request) -> Decision {
        let deny = |rule, subject: String| {
            Decision::Deny(Denial { rule, subject, reason: format!("test: {rule}"), grant: None })
        };
        match request {
            Request::Read(path) | Request::Write(path) => {
                let write = matches!(request, Request::Write(_));
                let subject = format!("{} {path}", if write { "write" } else { "read" });
                let Some((root, access)) = self.roots.iter().find(|(root, _)| path.is_within(root)) else {
                    return deny(Rule::OutsideRoots, subject);
                };
                let below = path.below(root).unwrap();
                if write && (below.starts_with(".git/hooks") || below == Path::new(".git/config")) {
                    return deny(Rule::ProtectedPaths, subject);
                }
                if write && *access == Access::ReadOnly {
                    return deny(Rule::ReadOnlyRoot, subject);
                }
                Decision::Allow { rule: Rule::Roots }
            }
            Request::Connect { .. } if self.connect => Decision::Allow { rule: Rule::Hosts },
            Request::Connect { host, port } => deny(Rule::NetworkOff, format!("connect {host}:{port}")),
            _ => deny(Rule::DefaultDeny, String::new()),
        }
    }
}

/// A temporary workspace, and what a plugin is granted of it.
pub(crate) struct Workspace {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) root: PathBuf,
}

impl Workspace {
    pub(crate) fn new() -> Workspace {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap().join("work");
        std::fs::create_dir(&root).unwrap();
        Workspace { folder, root }
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.root.join(name).to_str().unwrap().to_owned()
    }

    pub(crate) fn grants(&self, access: Access) -> Grants {
        self.grants_within(access, Access::ReadWrite)
    }

    /// What the plugin is granted, within what the policy allows.
    pub(crate) fn grants_within(&self, access: Access, policy: Access) -> Grants {
        let path = JailPath::absolute(&self.root).unwrap();
        let gate = SmallPolicy { roots: vec![(path.clone(), policy)], connect: false };
        let dir = Arc::new(File::open(&self.root).unwrap());
        Grants { dirs: vec![DirGrant { dir, path, access }], env: Vec::new(), gate: Arc::new(gate) }
    }
}

pub(crate) fn nothing() -> Grants {
    Grants::none(Arc::new(SmallPolicy { roots: Vec::new(), connect: false }))
}

pub(crate) fn rules(outcome: &CallOutcome) -> Vec<Rule> {
    outcome.denials.iter().map(|denial| denial.rule).collect()
}
