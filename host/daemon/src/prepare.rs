//! Turns a request into work: checks the workspace, copies skills, makes plugins ready, checks the policy.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use cap_std::ambient_authority;
use cap_std::fs::Dir;
use stigmer_policy::{JailPath, Layer, Level, Policy, promise};
use stigmer_sandbox::prepare::{Environment, Folders, Person, check_workspace, places};
use stigmer_skill::{Limits, Skill};

use crate::ExecutionId;
use crate::api::runner::{EnvVar, ExecutionWork, PluginWork, SkillWork};
use crate::home::Home;
use crate::request::{PluginRequest, RunRequest};
use crate::supervisor::ports::{Prepare, PrepareError, Prepared};
use crate::workshop::{Component, FIRST_CODE, Workshop};

/// Prepares executions of one person on this machine.
pub struct LocalPrepare {
    /// The daemon's folder.
    pub home: Home,
    /// Whose executions; the environment comes with each request.
    pub person: Person,
    /// Inspects and compiles plugins.
    pub workshop: Arc<Workshop>,
    /// Level when a request names none.
    pub level: Level,
    /// Layers that this machine lacks.
    pub missing: Vec<Layer>,
}

#[async_trait]
impl Prepare for LocalPrepare {
    async fn prepare(&self, execution: &ExecutionId, request: &RunRequest) -> Result<Prepared, PrepareError> {
        let level = self.level_of(request)?;
        let person = self.person_of(request);
        let workspace = check_workspace(Path::new(&request.workspace), &person)
            .map_err(|error| with_hint(&error, error.hint().unwrap_or_default()))?;
        let workspace = JailPath::absolute(&workspace).map_err(|error| plain(&error))?;
        let (skills, brought) = self.skills(&request.skill_dirs).await?;
        let folders = Folders::of(level, &person, &self.home.run(execution)).map_err(|error| plain(&error))?;
        let policy = self.policy(request, level, &workspace, &folders, &person, &skills)?;
        let plugins: Vec<PluginRequest> = request.plugins.iter().cloned().chain(brought).collect();
        let (plugins, code) = self.plugins(&plugins).await?;
        let environment = Environment::of(&policy, level, &person, &folders);
        let work = ExecutionWork {
            policy: serde_json::to_vec(&policy).map_err(|error| plain(&error))?,
            level: level.name().to_owned(),
            workspace: workspace.to_string(),
            home: folders.home.to_string(),
            scratch: folders.scratch.to_string(),
            command_env: environment.to_pairs().into_iter().filter_map(variable).collect(),
            provider: request.provider.clone(),
            wire: request.wire().to_owned(),
            model: request.model.clone(),
            instructions: request.instructions.clone(),
            skills,
            plugins,
            message: request.message.clone(),
            approve: request.approve.name().to_owned(),
            max_turns: request.max_turns,
            max_tokens: request.max_tokens,
            protected: policy.protected.clone(),
            ..ExecutionWork::default()
        };
        Ok(Prepared { work, policy, level, code })
    }
}

impl LocalPrepare {
    fn level_of(&self, request: &RunRequest) -> Result<Level, PrepareError> {
        let wrong = |what: &str, hint: &str| Err(PrepareError { message: what.to_owned(), hint: hint.to_owned() });
        match (request.sandbox.as_str(), request.level.as_str()) {
            ("", "") => Ok(self.level),
            ("filesystem", "") => Ok(Level::Filesystem),
            ("filesystem", _) => wrong("a level belongs to the sandbox `wasi`", "leave the level out"),
            ("wasi" | "", "full") => Ok(Level::Full),
            ("wasi" | "", "base") => Ok(Level::Base),
            ("wasi", "") if self.level != Level::Filesystem => Ok(self.level),
            ("wasi", "") => {
                wrong("the daemon was started with the sandbox `filesystem`", "name a level: `--level full` or `base`")
            }
            ("wasi", other) => wrong(&format!("`{other}` is no level"), "there are `full` and `base`"),
            (other, _) => wrong(&format!("`{other}` is no sandbox"), "there are `wasi` and `filesystem`"),
        }
    }

    fn person_of(&self, request: &RunRequest) -> Person {
        let pairs = request.command_env.iter().map(|it| (it.name.clone().into(), it.value.clone().into()));
        Person { environment: pairs.collect::<BTreeMap<_, _>>(), ..self.person.clone() }
    }

    fn policy(
        &self,
        request: &RunRequest,
        level: Level,
        workspace: &JailPath,
        folders: &Folders,
        person: &Person,
        skills: &[SkillWork],
    ) -> Result<Policy, PrepareError> {
        let skills = skills.iter().map(|skill| JailPath::absolute(&skill.path)).collect::<Result<Vec<_>, _>>();
        let skills = skills.map_err(|error| plain(&error))?;
        let places = places(workspace, folders, person, skills).map_err(|error| plain(&error))?;
        let policy = if request.policy.is_empty() {
            Policy::workspace(&places)
        } else {
            let checked = stigmer_policy::Document::parse(&request.policy).and_then(|text| text.check(&places));
            checked.map_err(|error| plain(&error))?
        };
        let root = rustix::process::geteuid().is_root();
        // What the start of the daemon asked for the default policy, asked again for this one.
        match promise::unheld(&policy, level, root, &self.missing).first() {
            None => Ok(policy),
            Some(unheld) => Err(PrepareError {
                message: format!(
                    "the promise `{}` is needed as `{}`, and level `{}` holds it here as `{}`",
                    unheld.promise.name(),
                    unheld.needed.name(),
                    level.name(),
                    unheld.held.name()
                ),
                hint: unheld.missing.map_or_else(
                    || "choose another level, or ask less of the promise in the policy".to_owned(),
                    |layer| format!("the layer `{}` is missing; `stigmer doctor` says why", layer.name()),
                ),
            }),
        }
    }

    /// Copies skills into the store, by digest; gives them and the plugins that they bring.
    async fn skills(&self, folders: &[String]) -> Result<(Vec<SkillWork>, Vec<PluginRequest>), PrepareError> {
        let (store, folders) = (self.home.skills(), folders.to_vec());
        let copied = tokio::task::spawn_blocking(move || {
            let mut skills = Vec::new();
            let mut plugins = Vec::new();
            for folder in &folders {
                copy_skill(&store, Path::new(folder), &mut skills, &mut plugins)?;
            }
            Ok((skills, plugins))
        });
        copied.await.map_err(|error| plain(&error))?
    }

    async fn plugins(&self, requests: &[PluginRequest]) -> Result<(Vec<PluginWork>, Vec<Arc<OwnedFd>>), PrepareError> {
        let (mut plugins, mut code) = (Vec::new(), Vec::new());
        for (request, number) in requests.iter().zip(FIRST_CODE..) {
            let about = |error: &dyn std::error::Error| {
                let error = plain(error);
                PrepareError { message: format!("plugin `{}`: {}", request.name, error.message), ..error }
            };
            let path = PathBuf::from(&request.path);
            let read = tokio::task::spawn_blocking(move || Component::read(&path)).await;
            let component = read.map_err(|error| plain(&error))?.map_err(|error| about(&error))?;
            let tools = self.workshop.inspect(&request.name, &component).await.map_err(|error| about(&error))?;
            code.push(self.workshop.code(&component).await.map_err(|error| about(&error))?);
            plugins.push(PluginWork {
                name: request.name.clone(),
                digest: component.digest(),
                code_fd: number,
                tools: tools.to_vec(),
                read_only: request.read_only,
                hosts: Vec::new(),
            });
        }
        Ok((plugins, code))
    }
}

fn copy_skill(
    store: &Path,
    folder: &Path,
    skills: &mut Vec<SkillWork>,
    plugins: &mut Vec<PluginRequest>,
) -> Result<(), PrepareError> {
    let about = |error: &dyn std::error::Error| {
        let error = plain(error);
        PrepareError { message: format!("skill `{}`: {}", folder.display(), error.message), ..error }
    };
    let dir = Dir::open_ambient_dir(folder, ambient_authority()).map_err(|error| about(&error))?;
    let name = folder.file_name().and_then(|name| name.to_str());
    let skill = Skill::from_dir(&dir, name, &Limits::default()).map_err(|error| about(&error))?;
    let digest = crate::hex(skill.digest().as_bytes());
    let kept = store.join(&digest);
    if !kept.is_dir() {
        let parent = Dir::open_ambient_dir(store, ambient_authority()).map_err(|error| about(&error))?;
        match skill.write_into(&parent, &digest) {
            // Another request was faster: what lies under a digest is what the digest says.
            Err(error) if error.source.kind() == std::io::ErrorKind::AlreadyExists && kept.is_dir() => {}
            written => written.map_err(|error| about(&error))?,
        }
    }
    for tool in skill.tools() {
        let path = kept.join(tool.path.as_str());
        let name = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default().to_owned();
        plugins.push(PluginRequest { name, path: path.display().to_string(), read_only: false });
    }
    skills.push(SkillWork {
        name: skill.name().as_str().to_owned(),
        description: skill.description().to_owned(),
        path: kept.display().to_string(),
    });
    Ok(())
}

fn variable(pair: Vec<u8>) -> Option<EnvVar> {
    let text = String::from_utf8(pair).ok()?;
    let (name, value) = text.split_once('=')?;
    Some(EnvVar { name: name.to_owned(), value: value.to_owned() })
}

fn plain(error: &dyn std::error::Error) -> PrepareError {
    with_hint(error, String::new())
}

fn with_hint(error: &dyn std::error::Error, hint: String) -> PrepareError {
    let causes = std::iter::successors(Some(error), |error| error.source());
    PrepareError { message: causes.map(ToString::to_string).collect::<Vec<_>>().join(": "), hint }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests build their own fixtures")]
mod tests;
