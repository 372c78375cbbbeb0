//! One execution: the agent's loop over our tools.

use std::sync::Arc;

use stigmer_agent::history::HistoryError;
use stigmer_agent::limits::MAX_TURNS;
use stigmer_agent::{
    Agent, CancellationToken, Earlier, Entry, History, Outcome, Parts, Protocol, SkillLine, Surroundings, SystemClock,
    Task, Tool, ToolSet, ToolSetError, system_prompt,
};
use stigmer_policy::path::PathError;
use stigmer_policy::{JailPath, Level, Policy};
use stigmer_proto::runner as wire;
use stigmer_sandbox::files::{RootError, Roots};

use crate::events::Reported;
use crate::journal::{self, KeptJournal, ReplayError};
use crate::lease::Past;
use crate::model::Gateway;
use crate::outbox::Outbox;
use crate::plugins::{self, PluginError};
use crate::run::{Finished, Session};
use crate::scratch::Scratch;
use crate::tools::{Execute, Mode, Place, file_tools};

/// Why an execution did not begin. Told to the person as the execution's failure.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BeginError {
    #[error("the policy makes no sense")]
    Policy(#[source] serde_json::Error),
    #[error("`{0}` is no level")]
    Level(String),
    #[error("the path `{path}` is none")]
    Path { path: String, source: PathError },
    #[error("`{0}` is no wire of a model")]
    Wire(String),
    #[error("`{0}` is no way of approving")]
    Approve(String),
    #[error(transparent)]
    Roots(#[from] RootError),
    #[error(transparent)]
    Plugin(#[from] PluginError),
    #[error(transparent)]
    Tools(#[from] ToolSetError),
    #[error(transparent)]
    Replay(#[from] ReplayError),
    #[error(transparent)]
    History(#[from] HistoryError),
}

/// The policy as it travels.
pub(crate) fn policy(json: &[u8]) -> Result<Policy, BeginError> {
    serde_json::from_slice(json).map_err(BeginError::Policy)
}

/// A path that the trusted half named.
pub(crate) fn path(text: &str) -> Result<JailPath, BeginError> {
    JailPath::absolute(text).map_err(|source| BeginError::Path { path: text.to_owned(), source })
}

/// Runs it to its end.
pub(crate) async fn run(session: &Session, work: wire::Execution, past: Past) -> Finished {
    let refused = CancellationToken::new();
    let outbox = Outbox::start(session.rpc.clone(), refused.clone());
    let begun = tokio::select! {
        biased;
        () = session.cancel.cancelled() => return Finished::ended("cancelled", ""),
        begun = begin(session, work, past, &outbox) => begun,
    };
    let (agent, task, history) = match begun {
        Ok(begun) => begun,
        Err(error) => return Finished::failed(chain(&error)),
    };
    // Events that nobody takes end the execution as a cancelled one; the reason comes from the trusted half.
    let cancel = session.cancel.child_token();
    let ended = tokio::select! {
        finished = agent.run(&task, history, &cancel) => finished.outcome,
        () = refused.cancelled() => {
            Outcome::Limit { name: "events".to_owned(), reason: "the trusted half takes no further events".to_owned() }
        }
    };
    outbox.flush().await;
    finished(ended)
}

fn finished(outcome: Outcome) -> Finished {
    let name = outcome.name();
    match outcome {
        Outcome::Completed { text } => {
            let mut finished = Finished::ended(name, "");
            finished.outcome.text = within_a_message(text);
            finished
        }
        Outcome::Failed { reason } => Finished::ended(name, within_a_message(reason)),
        Outcome::Cancelled => Finished::ended(name, ""),
        Outcome::Loop { tool, times } => {
            Finished::ended(name, format!("`{tool}` was called {times} times with the same arguments and result"))
        }
        Outcome::Limit { name: limit, reason } => Finished::ended(name, format!("{limit}: {reason}")),
    }
}

/// Bytes of text in an outcome: one message, with room for the rest.
const TEXT_BYTES: usize = stigmer_proto::MAX_MESSAGE / 2;

fn within_a_message(mut text: String) -> String {
    if text.len() > TEXT_BYTES {
        text.truncate(text.floor_char_boundary(TEXT_BYTES));
        text.push_str("…\n[the whole text is in the journal]");
    }
    text
}

async fn begin(
    session: &Session,
    work: wire::Execution,
    past: Past,
    outbox: &Outbox,
) -> Result<(Agent, Task, History), BeginError> {
    let policy = policy(&work.policy)?;
    let level = Level::ALL.iter().find(|level| level.name() == work.level);
    let level = *level.ok_or_else(|| BeginError::Level(work.level.clone()))?;
    let (workspace, folder) = (path(&work.workspace)?, path(&work.scratch)?);
    let protocol = Protocol::from_name(&work.wire).ok_or_else(|| BeginError::Wire(work.wire.clone()))?;
    let command_time = policy.limits.command_time;
    let roots = Roots::open(&policy)?;
    let scratch = Scratch { roots: roots.clone(), folder };

    let mode = match work.approve.as_str() {
        "auto" => Mode::Free,
        // With `deny` the trusted half answers by itself; init holds both in the same way.
        "ask" | "deny" => Mode::Asked { rpc: session.rpc.clone(), approvals: session.approvals.clone() },
        other => return Err(BeginError::Approve(other.to_owned())),
    };
    let env = work.command_env.iter().map(|var| format!("{}={}", var.name, var.value).into_bytes()).collect();
    let mut tools: Vec<Arc<dyn Tool>> = file_tools(&Place { roots: roots.clone(), workspace: workspace.clone() });
    let commands = session.commands.clone();
    tools.push(Arc::new(Execute::new(commands, mode, workspace, env, command_time, scratch.clone())));
    tools.extend(plugins::tools(&roots, &session.code, &work.plugins)?);

    let Past { earlier: continued, own } = past;
    let mut earlier = Vec::with_capacity(continued.len());
    for it in continued {
        earlier.push(Earlier { message: it.message, history: replay(session, it.entries, None).await? });
    }
    let history = replay(session, own, work.scratch_lost.then_some(&scratch)).await?;
    let skills = work.skills.into_iter().map(|skill| SkillLine {
        name: skill.name,
        description: skill.description,
        path: skill.path,
    });
    let system = system_prompt(&Surroundings {
        workspace: work.workspace,
        scratch: work.scratch,
        level,
        protected: work.protected,
        command_time,
        skills: skills.collect(),
        instructions: work.instructions,
    });
    let parts = Parts {
        model: Arc::new(Gateway { rpc: session.rpc.clone(), provider: work.provider, model: work.model.clone() }),
        journal: Arc::new(KeptJournal { rpc: session.rpc.clone(), outbox: outbox.clone() }),
        events: Arc::new(Reported::new(outbox.clone())),
        clock: Arc::new(SystemClock),
        spill: Arc::new(scratch),
    };
    let task = Task {
        protocol,
        model: work.model,
        system,
        earlier,
        message: work.message,
        max_turns: if work.max_turns == 0 { MAX_TURNS } else { work.max_turns },
        scratch_lost: work.scratch_lost,
    };
    Ok((Agent::new(parts, ToolSet::new(tools)?), task, history))
}

/// The past of one execution. The results that the model was told of are written anew into `lost`, the scratch that was
/// lost.
async fn replay(session: &Session, entries: Vec<wire::Entry>, lost: Option<&Scratch>) -> Result<History, BeginError> {
    let mut read = Vec::with_capacity(entries.len());
    let mut held = Vec::new();
    for entry in entries {
        let is_held = entry.held;
        let entry = journal::read(&session.rpc, entry, lost.is_some()).await?;
        if let (Entry::CallEnd(end), Some(scratch)) = (&entry, lost) {
            // The model is told that scratch is gone; a file that cannot be made again is then simply missing.
            let _ = scratch.restore(end).await;
        }
        if let (Entry::CallBegin(begin), true) = (&entry, is_held) {
            held.push(begin.call);
        }
        read.push(entry);
    }
    Ok(History::from_entries(read)?.with_held(&held))
}

/// An error and what caused it, on one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(&format!(": {error}"));
        source = error.source();
    }
    text
}
