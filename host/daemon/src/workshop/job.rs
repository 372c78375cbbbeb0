//! One piece of work in a jail of its own.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use stigmer_policy::{JailPath, Level, Places, Policy};
use stigmer_sandbox::prepare::{Folders, RunFolder};

use super::Parts;
use crate::api::runner::{NoHttp, NoJournal, NoModel, Note, Ports, Work, pair, serve};
use crate::supervisor::End;
use crate::supervisor::jail::{Jail, JailError, JailEvent, JailSpec};

/// Longest time for inspecting, compiling or calling one component, jail included. A large interpreter compiles in well
/// under a minute on two cores; a call has its own, shorter, bound inside.
pub const JOB_TIME: Duration = Duration::from_secs(180);

/// Why a jailed process gave no result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JobError {
    /// No jail.
    #[error("could not start the jail of a plugin")]
    Jail(#[from] JailError),
    /// Nothing to talk to it by, or no place for it.
    #[error("could not prepare the jail of a plugin")]
    Prepare(#[source] std::io::Error),
    /// It ended before it was done.
    #[error("the jailed process of a plugin ended before it was done: {0}")]
    Died(String),
    /// `JOB_TIME` passed.
    #[error("the jailed process of a plugin took more than {} seconds", JOB_TIME.as_secs())]
    Time,
}

/// Runs work that needs no folder: its workspace is empty, read-only and gone afterwards.
pub(super) async fn run_alone(parts: &Parts, work: Work, code: Vec<Arc<OwnedFd>>) -> Result<(End, Bytes), JobError> {
    // Read-only for the jail, so it stays empty.
    let (home, id) = (parts.home.path().to_owned(), format!("job-{}{EMPTY}", ulid::Ulid::new()));
    // Making one removes what killed ones left, which may be much.
    let empty = tokio::task::spawn_blocking(move || RunFolder::bare(&home, &id));
    let empty = empty.await.map_err(std::io::Error::other).and_then(|made| made).map_err(JobError::Prepare)?;
    let name = name_of(empty.path());
    let run = parts.home.path().join("run").join(&name);
    let policy = alone(parts, empty.path(), &run).map_err(|error| JobError::Prepare(std::io::Error::other(error)))?;
    run_named(parts, work, code, policy, parts.level, name).await
}

/// Runs work under a policy.
pub(super) async fn run(
    parts: &Parts,
    work: Work,
    code: Vec<Arc<OwnedFd>>,
    policy: Policy,
    level: Level,
) -> Result<(End, Bytes), JobError> {
    // Below full level scratch and home lie in the run folder, by the name that the policy already has.
    let scratch = policy.roots.iter().find(|root| root.kind == stigmer_policy::RootKind::Scratch);
    let named = scratch.and_then(|root| root.path.as_path().parent()).filter(|_| level != Level::Full);
    let name = named.map_or_else(|| format!("job-{}", ulid::Ulid::new()), name_of);
    run_named(parts, work, code, policy, level, name).await
}

async fn run_named(
    parts: &Parts,
    work: Work,
    code: Vec<Arc<OwnedFd>>,
    policy: Policy,
    level: Level,
    name: String,
) -> Result<(End, Bytes), JobError> {
    let (ours, theirs) = pair().map_err(JobError::Prepare)?;
    let ports = Ports { journal: Arc::new(NoJournal), model: Arc::new(NoModel), http: Arc::new(NoHttp) };
    let mut link = serve(ours, work, ports).map_err(JobError::Prepare)?;
    let run = parts.home.path().join("run").join(&name);
    let spec = JailSpec { name, level, policy, released: true, run, code };
    let mut jail = parts.jails.start(&spec, theirs).await?;
    let result = tokio::select! {
        () = tokio::time::sleep(JOB_TIME) => Err(JobError::Time),
        result = async {
            loop {
                tokio::select! {
                    // What it reported before it ended counts.
                    biased;
                    note = link.next() => match note {
                        Note::Finished { end, bytes, .. } => return Ok((end, bytes)),
                        Note::Gone => return Err(JobError::Died("its stream ended".to_owned())),
                        _ => {}
                    },
                    event = jail.event() => return Err(JobError::Died(match event {
                        JailEvent::RunnerEnded(how) | JailEvent::Gone(how) => how,
                    })),
                }
            }
        } => result,
    };
    let result = match result {
        Err(JobError::Died(why)) => Err(JobError::Died(how_it_ended(jail.as_mut(), why).await)),
        result => result,
    };
    drop(link);
    jail.stop().await;
    while !matches!(jail.event().await, JailEvent::Gone(_)) {}
    result
}

/// A stream that ends says little; its process's end says more, when it comes soon.
async fn how_it_ended(jail: &mut dyn Jail, why: String) -> String {
    match tokio::time::timeout(Duration::from_secs(1), jail.event()).await {
        Ok(JailEvent::RunnerEnded(how) | JailEvent::Gone(how)) => how,
        Err(_) => why,
    }
}

fn alone(parts: &Parts, empty: &Path, run: &Path) -> Result<Policy, stigmer_policy::path::PathError> {
    let folders = Folders::of(parts.level, &parts.person, run)?;
    let places = Places::new(JailPath::absolute(empty)?, folders.scratch, folders.home);
    Ok(Policy::read_only(&places))
}

fn name_of(path: &Path) -> String {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or("job");
    name.trim_end_matches(EMPTY).to_owned()
}

const EMPTY: &str = "-empty";
