//! What the trusted half does before a jail starts: who the person is, which folders there are, which environment
//! commands get. The result is a [`Plan`] that init needs no question about.

mod claim;
mod environment;
mod git_identity;
mod left;
mod run_folder;
mod workspace;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use stigmer_policy::{JailPath, Level, Places, Policy, RootKind, tools};

use crate::jail::facts::{FactError, HostFacts, Identity};
use crate::jail::plan::{Plan, PlanError};

pub(crate) use claim::Claim;
pub use environment::Environment;
pub use git_identity::GitIdentity;
pub use run_folder::{RunFolder, scratch_folder};
pub use workspace::{WorkspaceError, check_workspace};

/// What is known of the person: gathered once by a composition root, never read here.
#[derive(Debug, Clone)]
pub struct Person {
    /// Home folder.
    pub home: PathBuf,
    /// The environment that the command line was called with.
    pub environment: BTreeMap<OsString, OsString>,
    /// `STIGMER_HOME`.
    pub stigmer_home: PathBuf,
    /// Our own executable.
    pub executable: PathBuf,
}

impl Person {
    /// One variable, as text.
    #[must_use]
    pub fn variable(&self, name: &str) -> Option<String> {
        self.environment.get(std::ffi::OsStr::new(name))?.to_str().map(str::to_owned)
    }
}

/// Folders of one execution that do not depend on the policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folders {
    /// `HOME` of commands.
    pub home: JailPath,
    /// `TMPDIR` of commands.
    pub scratch: JailPath,
}

impl Folders {
    /// Full level: the person's home path and `/tmp`, both made anew inside. Else two folders below `run`, which must
    /// exist by the time a jail starts.
    ///
    /// # Errors
    /// When a path cannot be a [`JailPath`].
    pub fn of(level: Level, person: &Person, run: &Path) -> Result<Folders, stigmer_policy::path::PathError> {
        Ok(match level {
            Level::Full => Folders { home: JailPath::absolute(&person.home)?, scratch: JailPath::absolute("/tmp")? },
            Level::Base | Level::Filesystem => {
                Folders { home: JailPath::absolute(run.join("home"))?, scratch: JailPath::absolute(run.join("tmp"))? }
            }
        })
    }
}

/// Where everything of one execution lies: its folders, skills, and the tool folders that this person has.
///
/// # Errors
/// When the home is no path that a jail can have.
pub fn places(
    workspace: &JailPath,
    folders: &Folders,
    person: &Person,
    skills: Vec<JailPath>,
) -> Result<Places, stigmer_policy::path::PathError> {
    let mut places = Places::new(workspace.clone(), folders.scratch.clone(), folders.home.clone());
    places.skills = skills;
    let home = JailPath::absolute(&person.home)?;
    let found = tools::places(&home, |name| person.variable(name)).into_iter().map(|place| place.path);
    // A link to a folder is as good as the folder; what is not there is not granted.
    places.tools = found.filter(|path| path.as_path().exists()).collect();
    Ok(places)
}

/// Why nothing could be prepared.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PrepareError {
    /// A path of the policy could not be looked at.
    #[error(transparent)]
    Fact(#[from] FactError),
    /// The policy makes no plan.
    #[error(transparent)]
    Plan(#[from] PlanError),
}

/// Looks at the host and makes the plan of a jail for `policy`. `scratch` is the host folder that appears as scratch.
///
/// # Errors
/// [`PrepareError`], naming the path.
pub fn plan(
    policy: &Policy,
    level: Level,
    person: &Person,
    scratch: Option<(PathBuf, Identity)>,
) -> Result<Plan, PrepareError> {
    let facts = HostFacts::gather(policy)?;
    let mut plan = Plan::build(policy, level, &facts, scratch)?;
    if let Some(home) = policy.roots.iter().find(|root| root.kind == RootKind::Home) {
        let identity = GitIdentity::of(person).unwrap_or_default();
        plan.add_home_file(home.path.as_path(), ".gitconfig", identity.to_config());
    }
    Ok(plan)
}
