//! Generated types ⇄ ours. Everything that a runner sends is checked here, once.

use serde::Deserialize;
use stigmer_policy::{Denial, Wall};
use stigmer_proto::runner as wire;
use tonic::Status;

use super::ports::{CallFailure, FailureKind, Header, Part, Question, Refusal, Replayed, RunnerDenial};
use super::work::{EnvVar, ExecutionWork, PluginWork, Work};
use crate::store::{BlobRef, EntryKind, MAX_EVENT_BODY, NewEntry, NewEvent, StoredEntry};

/// Kinds of events that a runner may report; all others are the trusted half's to say.
const KINDS: [&str; 11] = [
    "text_delta",
    "turn",
    "tool_begin",
    "tool_output",
    "tool_end",
    "denial",
    "file_changed",
    "limit",
    "retry",
    "interrupted",
    "usage",
];
/// Longest name of an entry or a call, in bytes.
const MAX_NAME: usize = 128;
/// Most entries or events in one request.
const MAX_BATCH: usize = 256;

impl From<Refusal> for Status {
    fn from(refusal: Refusal) -> Self {
        let message = refusal.to_string();
        match refusal {
            Refusal::Ended => Status::failed_precondition(message),
            Refusal::TooMuch(_) => Status::resource_exhausted(message),
            Refusal::Invalid(_) => Status::invalid_argument(message),
            Refusal::Unavailable => Status::unavailable(message),
        }
    }
}

fn name(text: String, what: &str) -> Result<String, Refusal> {
    if text.len() > MAX_NAME || text.bytes().any(|byte| byte.is_ascii_control()) {
        return Err(Refusal::Invalid(format!("{what} is longer than {MAX_NAME} bytes or holds control characters")));
    }
    Ok(text)
}

fn object(body: &[u8], what: &str) -> Result<(), Refusal> {
    let value: Result<serde_json::Map<String, serde_json::Value>, _> = serde_json::from_slice(body);
    value.map(drop).map_err(|error| Refusal::Invalid(format!("the body of {what} is not a JSON object: {error}")))
}

fn batch(length: usize, what: &str) -> Result<(), Refusal> {
    if length > MAX_BATCH {
        return Err(Refusal::Invalid(format!("{length} {what} in one request; at most {MAX_BATCH} are taken")));
    }
    Ok(())
}

pub(super) fn entries(sent: Vec<wire::Entry>) -> Result<Vec<NewEntry>, Refusal> {
    batch(sent.len(), "entries")?;
    sent.into_iter().map(entry).collect()
}

fn entry(sent: wire::Entry) -> Result<NewEntry, Refusal> {
    let kind = match sent.kind() {
        wire::EntryKind::TurnBegin => EntryKind::TurnBegin,
        wire::EntryKind::TurnEnd => EntryKind::TurnEnd,
        wire::EntryKind::CallBegin => EntryKind::CallBegin,
        wire::EntryKind::CallEnd => EntryKind::CallEnd,
        wire::EntryKind::Unspecified => return Err(Refusal::Invalid("an entry without a kind".to_owned())),
    };
    if sent.id.is_empty() {
        return Err(Refusal::Invalid("an entry without an id".to_owned()));
    }
    object(&sent.body, "an entry")?;
    batch(sent.blobs.len(), "blobs")?;
    Ok(NewEntry {
        id: name(sent.id, "an entry's id")?,
        kind,
        turn: sent.turn,
        call: name(sent.call, "a call's name")?,
        body: sent.body,
        blobs: sent.blobs.into_iter().map(blob).collect::<Result<_, _>>()?,
    })
}

pub(super) fn blob(sent: wire::Blob) -> Result<BlobRef, Refusal> {
    let sha256 = sent.sha256[..].try_into().map_err(|_| Refusal::Invalid("a digest has 32 bytes".to_owned()))?;
    Ok(BlobRef { sha256, size: sent.size })
}

pub(super) fn sent_blob(blob: BlobRef) -> wire::Blob {
    wire::Blob { sha256: bytes::Bytes::copy_from_slice(&blob.sha256), size: blob.size }
}

pub(super) fn events(sent: Vec<wire::EventDraft>) -> Result<(Vec<NewEvent>, Vec<RunnerDenial>), Refusal> {
    batch(sent.len(), "events")?;
    let (mut events, mut denials) = (Vec::new(), Vec::new());
    for draft in sent {
        if !KINDS.contains(&draft.kind.as_str()) {
            let kind = name(draft.kind, "a kind")?;
            return Err(Refusal::Invalid(format!("a runner cannot report `{kind}`")));
        }
        if draft.body.len() > MAX_EVENT_BODY {
            let length = draft.body.len();
            return Err(Refusal::TooMuch(format!("an event of {length} bytes; at most {MAX_EVENT_BODY} are taken")));
        }
        object(&draft.body, "an event")?;
        let call = name(draft.call, "a call's name")?;
        if draft.kind == "denial" {
            denials.push(denial(&draft.body, call)?);
        } else {
            events.push(NewEvent { kind: draft.kind, turn: draft.turn, call, body: draft.body });
        }
    }
    Ok((events, denials))
}

fn denial(body: &[u8], call: String) -> Result<RunnerDenial, Refusal> {
    #[derive(Deserialize)]
    struct Reported {
        #[serde(flatten)]
        denial: Denial,
        wall: Option<Wall>,
    }
    let Reported { denial, wall } =
        serde_json::from_slice(body).map_err(|error| Refusal::Invalid(format!("a denial that is none: {error}")))?;
    Ok(RunnerDenial { denial, wall, call })
}

pub(super) fn question(sent: wire::AskRequest) -> Result<Question, Refusal> {
    if sent.call.is_empty() || sent.argv.is_empty() {
        return Err(Refusal::Invalid("a question names a call and a program".to_owned()));
    }
    Ok(Question {
        call: name(sent.call, "a call's name")?,
        number: sent.number,
        tool: name(sent.tool, "a tool's name")?,
        argv: sent.argv,
        env: sent.env,
        cwd: sent.cwd,
        timeout_ms: sent.timeout_ms,
    })
}

pub(super) fn replayed(replayed: Replayed) -> wire::from_daemon::Message {
    use wire::from_daemon::Message;
    match replayed {
        Replayed::Earlier(message) => Message::Earlier(wire::Earlier { message }),
        Replayed::History(stored) => Message::Entry(stored_entry(stored, true, false)),
        Replayed::Own { entry, held } => Message::Entry(stored_entry(entry, false, held)),
    }
}

fn stored_entry(stored: StoredEntry, history: bool, held: bool) -> wire::Entry {
    let entry = stored.entry;
    let kind = match entry.kind {
        EntryKind::TurnBegin => wire::EntryKind::TurnBegin,
        EntryKind::TurnEnd => wire::EntryKind::TurnEnd,
        EntryKind::CallBegin => wire::EntryKind::CallBegin,
        EntryKind::CallEnd => wire::EntryKind::CallEnd,
    };
    wire::Entry {
        id: entry.id,
        seq: stored.seq,
        kind: kind.into(),
        turn: entry.turn,
        call: entry.call,
        body: entry.body,
        blobs: entry.blobs.into_iter().map(sent_blob).collect(),
        history,
        held,
    }
}

pub(super) fn headers(sent: Vec<wire::Header>) -> Vec<Header> {
    sent.into_iter().map(|header| (header.name, header.value)).collect()
}

pub(super) fn part(part: Part) -> wire::HttpReply {
    use wire::http_reply::Part as Sent;
    let part = match part {
        Part::Head { status, headers } => {
            let headers = headers.into_iter().map(|(name, value)| wire::Header { name, value }).collect();
            Sent::Head(wire::ReplyHead { status: status.into(), headers })
        }
        Part::Chunk(bytes) => Sent::Chunk(bytes),
        Part::End => Sent::End(wire::End {}),
        Part::Failed(failure) => Sent::Failure(sent_failure(failure)),
    };
    wire::HttpReply { part: Some(part) }
}

fn sent_failure(failure: CallFailure) -> wire::Failure {
    let kind = match failure.kind {
        FailureKind::Denied => wire::FailureKind::Denied,
        FailureKind::Limit => wire::FailureKind::Limit,
        FailureKind::NeedsKey => wire::FailureKind::NeedsKey,
        FailureKind::Dns => wire::FailureKind::Dns,
        FailureKind::Connect => wire::FailureKind::Connect,
        FailureKind::Tls => wire::FailureKind::Tls,
        FailureKind::Timeout => wire::FailureKind::Timeout,
        FailureKind::Cut => wire::FailureKind::Cut,
        FailureKind::BadRequest => wire::FailureKind::BadRequest,
        FailureKind::Script => wire::FailureKind::Script,
    };
    let denial = failure.denial.map(|denial| serde_json::to_vec(&denial).expect("strings are JSON"));
    wire::Failure {
        kind: kind.into(),
        message: failure.message,
        hint: failure.hint,
        denial: denial.unwrap_or_default().into(),
    }
}

pub(super) fn spec(work: Work) -> wire::Spec {
    use wire::spec::Work as Sent;
    let work = match work {
        Work::Execution(work) => Sent::Execution(execution(*work)),
        Work::PluginCall { plugin, export, arguments, policy, level, workspace } => {
            Sent::PluginCall(wire::PluginCall {
                plugin: Some(sent_plugin(plugin)),
                export,
                arguments: arguments.into(),
                policy: policy.into(),
                level,
                workspace,
            })
        }
        Work::PluginInspect { name, wasm_fd } => Sent::PluginInspect(wire::PluginInspect { name, wasm_fd }),
        Work::Compile { wasm_fd } => Sent::Compile(wire::Compile { wasm_fd }),
    };
    wire::Spec { work: Some(work) }
}

fn execution(work: ExecutionWork) -> wire::Execution {
    let env = |var: EnvVar| wire::EnvVar { name: var.name, value: var.value };
    wire::Execution {
        id: work.id,
        policy: work.policy.into(),
        level: work.level,
        workspace: work.workspace,
        home: work.home,
        scratch: work.scratch,
        command_env: work.command_env.into_iter().map(env).collect(),
        provider: work.provider,
        wire: work.wire,
        model: work.model,
        instructions: work.instructions,
        skills: work
            .skills
            .into_iter()
            .map(|skill| wire::Skill { name: skill.name, description: skill.description, path: skill.path })
            .collect(),
        plugins: work.plugins.into_iter().map(sent_plugin).collect(),
        message: work.message,
        approve: work.approve,
        max_turns: work.max_turns,
        max_tokens: work.max_tokens,
        attempt: work.attempt,
        scratch_lost: work.scratch_lost,
        protected: work.protected,
    }
}

fn sent_plugin(plugin: PluginWork) -> wire::Plugin {
    wire::Plugin {
        name: plugin.name,
        digest: plugin.digest,
        code_fd: plugin.code_fd,
        tools: plugin.tools.into(),
        read_only: plugin.read_only,
        hosts: plugin.hosts,
    }
}
