//! Plugins made ready: code from sealed memory files, folders from the file wall, names that no model interface refuses.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustix::fs::{Mode, OFlags};
use stigmer_agent::Tool;
use stigmer_plugin::{
    CallLimits, Code, DirGrant, Engine, EngineKind, Export, Grants, Inspection, LoadError, Plugin, PrepareError,
    tool_names,
};
use stigmer_policy::{Access, JailPath, RootKind};
use stigmer_proto::runner as wire;
use stigmer_sandbox::files::Roots;

use crate::tools::{PluginTool, RESERVED};

/// Number of the first memory file.
pub(crate) const FIRST: usize = 10;

/// Why a plugin cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PluginError {
    /// No memory file has that number.
    #[error("the code of plugin `{0}` was not handed over")]
    NoCode(String),
    /// What is said of it makes no sense, or is of another component.
    #[error("what is known of plugin `{plugin}` makes no sense: {reason}")]
    Tools { plugin: String, reason: String },
    /// Its code was refused.
    #[error("could not load the code of plugin `{plugin}`")]
    Load { plugin: String, source: LoadError },
    /// It does not fit this host.
    #[error(transparent)]
    Prepare(#[from] PrepareError),
    /// The folder that it is given could not be opened.
    #[error("could not open the folder `{folder}` for plugin `{plugin}`")]
    Folder { plugin: String, folder: JailPath, source: std::io::Error },
    /// There is no engine.
    #[error(transparent)]
    Engine(#[from] stigmer_plugin::EngineError),
}

/// The memory file that has this number in the process.
pub(crate) fn file(code: &[OwnedFd], number: u32) -> Option<&OwnedFd> {
    code.get((number as usize).checked_sub(FIRST)?)
}

/// Loads one plugin.
pub(crate) fn load(engine: &Engine, code: &[OwnedFd], sent: &wire::Plugin) -> Result<Plugin, PluginError> {
    let name = || sent.name.clone();
    let file = file(code, sent.code_fd).ok_or_else(|| PluginError::NoCode(name()))?;
    let strange = |reason: String| PluginError::Tools { plugin: name(), reason };
    let inspection: Inspection = serde_json::from_slice(&sent.tools).map_err(|error| strange(error.to_string()))?;
    if inspection.digest.trim_start_matches("sha256:") != sent.digest {
        return Err(strange(format!("it was inspected as {}, and is {}", inspection.digest, sent.digest)));
    }
    let code = Code::load_sealed(engine, file).map_err(|source| PluginError::Load { plugin: name(), source })?;
    Ok(Plugin::prepare(engine, &code, inspection)?)
}

/// Which folders of the policy a plugin is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Given {
    /// The workspace alone: what else an execution may use was not named for its plugins.
    Workspace,
    /// The workspace and every folder beside it, all of which a person named for this one call.
    EveryFolder,
}

/// What a plugin is given: folders, through the policy, and nothing else. The workspace is the first.
pub(crate) fn grants(roots: &Roots, sent: &wire::Plugin, given: Given) -> Result<Grants, PluginError> {
    let mut grants = Grants::none(Arc::new(roots.policy().clone()));
    let of = |kind| roots.policy().roots.iter().filter(move |root| root.kind == kind);
    let beside = of(RootKind::Extra).filter(|_| given == Given::EveryFolder);
    for root in of(RootKind::Workspace).chain(beside) {
        let Some(dir) = roots.dir(&root.path) else { continue };
        // The wall's own handle can only be walked from; a guest lists its folder too.
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let dir = rustix::fs::openat(dir, c".", flags, Mode::empty()).map_err(|errno| PluginError::Folder {
            plugin: sent.name.clone(),
            folder: root.path.clone(),
            source: errno.into(),
        })?;
        let read_only = sent.read_only && root.kind == RootKind::Workspace;
        let access = if read_only { Access::ReadOnly } else { root.access };
        grants.dirs.push(DirGrant { dir: Arc::new(File::from(dir)), path: root.path.clone(), access });
    }
    Ok(grants)
}

/// The tools of all plugins, in the order given. Nothing is loaded, and no engine made, where there are none.
pub(crate) fn tools(roots: &Roots, code: &[OwnedFd], sent: &[wire::Plugin]) -> Result<Vec<Arc<dyn Tool>>, PluginError> {
    if sent.is_empty() {
        return Ok(Vec::new());
    }
    let engine = Engine::new(EngineKind::Runner)?;
    let limits = Arc::new(CallLimits::from(&roots.policy().limits));
    let mut loaded = Vec::with_capacity(sent.len());
    for sent in sent {
        loaded.push((load(&engine, code, sent)?, Arc::new(grants(roots, sent, Given::Workspace)?)));
    }
    let ours: Vec<(&str, Export)> = RESERVED
        .iter()
        .map(|(plugin, function)| (*plugin, Export { interface: None, function: (*function).to_owned() }))
        .collect();
    let exports = loaded
        .iter()
        .flat_map(|(plugin, _)| plugin.tools().iter().map(|tool| (plugin.inspection().plugin.as_str(), &tool.export)));
    let pairs: Vec<(&str, &Export)> = ours.iter().map(|(plugin, export)| (*plugin, export)).chain(exports).collect();
    let mut names = tool_names(&pairs).into_iter().skip(ours.len());
    let mut tools: Vec<Arc<dyn Tool>> = Vec::new();
    for (plugin, grants) in &loaded {
        for (tool, name) in plugin.tools().iter().zip(&mut names) {
            let about = tool.description.clone().unwrap_or_else(|| tool.signature.clone());
            tools.push(Arc::new(PluginTool {
                plugin: plugin.clone(),
                export: tool.export.clone(),
                name,
                description: format!("{about}\n(plugin `{}`, `{}`)", plugin.inspection().plugin, tool.signature),
                schema: tool.input_schema.clone(),
                grants: Arc::clone(grants),
                limits: Arc::clone(&limits),
            }));
        }
    }
    Ok(tools)
}
