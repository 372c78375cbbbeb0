//! Generated types ⇄ ours, and the one mapping from errors to statuses.

use std::path::Path;

use stigmer_proto::local as wire;
use tonic::metadata::MetadataValue;
use tonic::{Code, Status};

use super::HINT_METADATA;
use crate::api::runner::EnvVar;
use crate::request::{Approve, MAX_MESSAGE, MAX_TURNS, PluginRequest, RunRequest, Setting};
use crate::serve::About;
use crate::store::{Approval, DenialRow, ExecutionRow, FileRow, StoreError, StoredEvent, Usage};
use crate::supervisor::ports::{ProviderState, UpstreamError};
use crate::supervisor::{Outcome, RunError};

/// What stands in an error's chain, joined as it is printed. The client is the person's own: paths may be in it.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

pub(super) fn hinted(mut status: Status, hint: &str) -> Status {
    if !hint.is_empty() {
        status.metadata_mut().insert_bin(HINT_METADATA, MetadataValue::from_bytes(hint.as_bytes()));
    }
    status
}

pub(super) fn status(error: &StoreError) -> Status {
    let code = match error {
        StoreError::NoExecution(_) => Code::NotFound,
        StoreError::Ended(_) => Code::FailedPrecondition,
        StoreError::TooMuch { .. } => Code::ResourceExhausted,
        _ => Code::Internal,
    };
    Status::new(code, chain(error))
}

pub(super) fn run_status(error: &RunError) -> Status {
    match error {
        RunError::Prepare(error) => hinted(Status::invalid_argument(error.to_string()), &error.hint),
        RunError::Upstream(error @ UpstreamError::NeedsKey { provider }) => {
            let hint = format!("run `stigmer secret set {provider}`");
            hinted(Status::failed_precondition(error.to_string()), &hint)
        }
        RunError::Upstream(error) => Status::invalid_argument(error.to_string()),
        RunError::NotEnded(id) => {
            let hint = format!("`stigmer execution follow {id}` or `stigmer execution cancel {id}` first");
            hinted(Status::failed_precondition(error.to_string()), &hint)
        }
        RunError::OtherWorkspace { workspace, .. } => {
            let hint = format!("add `--workspace {workspace}`");
            hinted(Status::failed_precondition(error.to_string()), &hint)
        }
        RunError::OtherWire { earlier, .. } => {
            let hint = format!("add `--provider {earlier}`");
            hinted(Status::failed_precondition(error.to_string()), &hint)
        }
        RunError::TooLong | RunError::Unreadable(_) => Status::failed_precondition(error.to_string()),
        RunError::Store(error) => status(error),
    }
}

pub(super) fn run_request(sent: wire::RunRequest) -> Result<RunRequest, Status> {
    let invalid = |text: String| Err(Status::invalid_argument(text));
    let approve = match sent.approve() {
        wire::ApproveMode::Ask => Approve::Ask,
        wire::ApproveMode::Auto => Approve::Auto,
        // Closed: whoever says nothing lets nothing start.
        wire::ApproveMode::Deny | wire::ApproveMode::Unspecified => Approve::Deny,
    };
    if sent.message.trim().is_empty() {
        return invalid("the message is empty".to_owned());
    }
    if sent.message.len() > MAX_MESSAGE {
        return invalid(format!("the message has {} bytes; at most {MAX_MESSAGE} are taken", sent.message.len()));
    }
    for path in
        std::iter::once(&sent.workspace).chain(&sent.skill_dirs).chain(sent.plugins.iter().map(|plugin| &plugin.path))
    {
        if !Path::new(path).is_absolute() {
            return invalid(format!("`{path}` is not absolute"));
        }
    }
    let Ok(script) = String::from_utf8(sent.script) else {
        return invalid("the script is not UTF-8".to_owned());
    };
    let plugin =
        |plugin: wire::Plugin| PluginRequest { name: plugin.name, path: plugin.path, read_only: plugin.read_only };
    let setting = |setting: wire::Setting| Setting { name: setting.name, value: setting.value, origin: setting.origin };
    Ok(RunRequest {
        workspace: sent.workspace,
        message: sent.message,
        agent: sent.agent,
        instructions: sent.instructions,
        skill_dirs: sent.skill_dirs,
        plugins: sent.plugins.into_iter().map(plugin).collect(),
        approve,
        provider: sent.provider,
        model: sent.model,
        level: sent.level,
        sandbox: sent.sandbox,
        script,
        max_turns: if sent.max_turns == 0 { MAX_TURNS } else { sent.max_turns },
        max_tokens: sent.max_tokens,
        resume: sent.resume,
        policy: sent.policy,
        settings: sent.settings.into_iter().map(setting).collect(),
        command_env: sent.command_env.into_iter().map(|var| EnvVar { name: var.name, value: var.value }).collect(),
        git_name: sent.git_name,
        git_email: sent.git_email,
    })
}

pub(super) fn status_reply(
    about: &About,
    providers: Vec<wire::ProviderStatus>,
    running: u32,
    parked: u32,
) -> wire::StatusReply {
    let setting = |setting: &Setting| wire::Setting {
        name: setting.name.clone(),
        value: setting.value.clone(),
        origin: setting.origin.clone(),
    };
    wire::StatusReply {
        pid: std::process::id(),
        version: about.version.clone(),
        started_ms: about.started_ms,
        settings: about.settings.iter().map(setting).collect(),
        sandbox: Some(wire::Sandbox {
            kind: about.sandbox.kind.clone(),
            level: about.sandbox.level.clone(),
            proved: about.sandbox.proved.clone(),
            not_prevented: about.sandbox.not_prevented.clone(),
        }),
        providers,
        running,
        parked,
        home: about.home.clone(),
        endpoint: about.endpoint.clone(),
    }
}

pub(super) fn provider(state: ProviderState) -> wire::ProviderStatus {
    wire::ProviderStatus { name: state.name, endpoint: state.endpoint, key_origin: state.key_origin }
}

pub(super) fn execution(row: ExecutionRow) -> wire::Execution {
    wire::Execution {
        id: row.id.to_string(),
        state: row.state,
        outcome: row.outcome.map(Outcome::name).unwrap_or_default().to_owned(),
        created_ms: row.created_ms,
        ended_ms: row.ended_ms,
        workspace: row.workspace,
        provider: row.provider,
        model: row.model,
        sandbox: row.sandbox,
        level: row.level,
        title: row.title,
        parent: row.parent,
        last_seq: row.last_seq,
        reason: row.reason,
    }
}

pub(super) fn file(row: FileRow) -> wire::FileRecord {
    let change = row.change.to_owned();
    wire::FileRecord { path: row.path, change, size: row.size, sha256: row.sha256, wall: row.wall }
}

pub(super) fn denial(row: DenialRow) -> wire::DenialRecord {
    wire::DenialRecord {
        rule: row.rule,
        subject: row.subject,
        reason: row.reason,
        grant: row.grant,
        observer: row.observer,
        wall: row.wall,
        count: row.count,
    }
}

pub(super) fn usage(usage: Usage) -> wire::Usage {
    wire::Usage {
        turns: usage.turns,
        input_tokens: usage.input,
        output_tokens: usage.output,
        cache_read_tokens: usage.cache_read,
        cache_write_tokens: usage.cache_write,
    }
}

pub(super) fn approval(approval: Approval) -> wire::Approval {
    wire::Approval {
        call: approval.question.call,
        tool: approval.question.tool,
        summary: approval.question.summary,
        state: approval.state.name().to_owned(),
        asked_ms: approval.asked_ms,
    }
}

pub(super) fn event(stored: StoredEvent) -> wire::Event {
    wire::Event {
        seq: stored.seq,
        time_ms: stored.time_ms,
        kind: stored.event.kind,
        turn: stored.event.turn,
        call: stored.event.call,
        body: stored.event.body.to_vec(),
    }
}
