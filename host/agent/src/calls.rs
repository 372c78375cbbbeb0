//! The calls of one turn: started beside each other, those with one key in order, results in call order.

use std::collections::HashSet;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use bytes::Bytes;
use futures::FutureExt;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::agent::Agent;
use crate::call::CallId;
use crate::conversation::CallResult;
use crate::events::Event;
use crate::history::PastCall;
use crate::journal::{CallBegin, CallEnd, Entry};
use crate::limits::{CALLS_PER_TURN, FULL_BYTES, PARALLEL_CALLS};
use crate::model::{Arguments, Requested};
use crate::shorten;
use crate::stopped::Stopped;
use crate::streak;
use crate::tool::{CallCtx, Repeat, Tool, ToolResult};
use crate::toolset::ToolSet;

/// What the model is told of a call that was cut off and is not made again.
pub const INTERRUPTED: &str = "Error: interrupted. The execution stopped while this call ran, and it was not made again: \
it may have happened in full, in part or not at all. Look before you repeat it.";

/// What the model is told of a tool that panicked. The panic itself goes to the log, not to the model.
const FAULT: &str = "the tool failed by a fault of its own; what it did until then is not known";

/// A call that the model asked for, and what is to be done about it.
pub(crate) struct Planned {
    call: CallId,
    requested: Requested,
    repeat: Repeat,
    /// Its start is in the journal already.
    begun: bool,
    act: Act,
}

enum Act {
    Run {
        tool: Arc<dyn Tool>,
        args: Value,
        key: Option<String>,
    },
    /// No tool runs; the model is told this.
    Tell(String),
    /// As `Tell`, for a call that a crash cut off.
    Interrupted,
    /// It ended before a resumption.
    Over(CallEnd),
}

/// A call that came to its end.
pub(crate) struct Ended {
    call: CallId,
    pub(crate) requested: Requested,
    /// Of the whole result; `None` when only a part of it is still known.
    pub(crate) digest: Option<[u8; 32]>,
    text: String,
    is_error: bool,
}

impl Planned {
    /// Decides about the call at `place` (from 0) of `turn`.
    pub(crate) fn new(tools: &ToolSet, requested: Requested, turn: u32, place: usize) -> Self {
        let call = CallId::new(turn, place as u32 + 1);
        let mut repeat = Repeat::Safe;
        let act = match (&requested.args, tools.get(&requested.name)) {
            _ if place >= CALLS_PER_TURN => Act::Tell(format!(
                "Error: not run. One turn may make {CALLS_PER_TURN} calls; make the rest in the next one."
            )),
            (_, None) => {
                let names: Vec<&str> = tools.names().collect();
                Act::Tell(format!("Error: there is no tool `{}`. The tools are: {}.", requested.name, names.join(", ")))
            }
            (Arguments::Malformed(raw), Some(_)) => Act::Tell(malformed(&requested.name, raw)),
            (Arguments::Object(map), Some(tool)) => {
                repeat = tool.repeat();
                let args = Value::Object(map.clone());
                Act::Run { tool: Arc::clone(tool), key: tool.writes(&args), args }
            }
        };
        Planned { call, requested, repeat, begun: false, act }
    }

    pub(crate) fn id(&self) -> CallId {
        self.call
    }

    pub(crate) fn is_over(&self) -> bool {
        matches!(self.act, Act::Over(_))
    }

    /// Takes what the journal says of it: a finished call is not run again, one in flight only if that is safe. What was
    /// declared when it started counts, and the tool must still say so.
    pub(crate) fn resume(&mut self, past: &PastCall) {
        self.begun = true;
        match &past.end {
            Some(end) => self.act = Act::Over(end.clone()),
            // It never ran: the question is put again, or the denial told.
            None if past.held => {}
            None if past.begin.repeat == Repeat::Safe && self.repeat == Repeat::Safe => {}
            None => self.act = Act::Interrupted,
        }
    }

    /// The end of a call that will not be run: what it came to, or that it was interrupted.
    pub(crate) fn abandon(self) -> Ended {
        match self.act {
            Act::Over(end) => Ended::before(self.requested, end),
            _ => {
                let (text, is_error) = (INTERRUPTED.to_owned(), true);
                Ended { call: self.call, requested: self.requested, digest: None, text, is_error }
            }
        }
    }

    fn key(&self) -> Option<&str> {
        match &self.act {
            Act::Run { key, .. } => key.as_deref(),
            _ => None,
        }
    }

    fn begin(&self) -> Entry {
        Entry::CallBegin(CallBegin {
            call: self.call,
            tool: self.requested.name.clone(),
            args: self.requested.args.shown(),
            repeat: self.repeat,
        })
    }
}

fn malformed(tool: &str, raw: &str) -> String {
    let why = match serde_json::from_str::<Value>(raw) {
        Ok(_) => "they are not a JSON object".to_owned(),
        Err(error) => error.to_string(),
    };
    format!("Error: the arguments of `{tool}` could not be read: {why}. Send one JSON object that matches its schema.")
}

impl Agent {
    /// Runs what is planned. `entries` are committed together with the first starts, and `events` shown after that.
    pub(crate) async fn run_calls(
        &self,
        planned: Vec<Planned>,
        mut entries: Vec<Entry>,
        mut events: Vec<Event>,
        cancel: &CancellationToken,
    ) -> Result<Vec<Ended>, Stopped> {
        let mut ended: Vec<Ended> = Vec::with_capacity(planned.len());
        let mut waiting = Vec::with_capacity(planned.len());
        for call in planned {
            match call.act {
                Act::Over(end) => ended.push(Ended::before(call.requested, end)),
                _ => waiting.push(call),
            }
        }
        let mut running = FuturesUnordered::new();
        let mut keys: HashSet<String> = HashSet::new();
        loop {
            let starting = ready(&mut waiting, &mut keys, PARALLEL_CALLS - running.len());
            entries.extend(starting.iter().filter(|call| !call.begun).map(Planned::begin));
            if !entries.is_empty() {
                self.parts.journal.commit(std::mem::take(&mut entries)).await?;
            }
            for event in events.drain(..) {
                self.emit(event).await;
            }
            for call in starting {
                self.emit(Event::ToolBegin {
                    call: call.call,
                    tool: call.requested.name.clone(),
                    args: call.requested.args.shown(),
                })
                .await;
                running.push(self.run_call(call, cancel));
            }
            let Some((end, key, entry, after)) = running.next().await else { break };
            if let Some(key) = key {
                keys.remove(&key);
            }
            entries.push(entry);
            events.extend(after);
            ended.push(end);
        }
        ended.sort_unstable_by_key(|end| end.call);
        Ok(ended)
    }

    async fn run_call(
        &self,
        planned: Planned,
        cancel: &CancellationToken,
    ) -> (Ended, Option<String>, Entry, Vec<Event>) {
        let Planned { call, requested, act, .. } = planned;
        let started = self.parts.clock.now();
        let mut events = Vec::new();
        let (result, key) = match act {
            Act::Run { tool, args, key } => {
                let ctx =
                    CallCtx { call, turn: call.turn(), cancel: cancel.clone(), events: Arc::clone(&self.parts.events) };
                // A fault in one tool must not end the process: the call would be made again after it, and again.
                let result = AssertUnwindSafe(tool.call(ctx, args)).catch_unwind().await;
                (result.unwrap_or_else(|_| ToolResult::error(format!("Error: {FAULT}"))), key)
            }
            Act::Tell(text) => (ToolResult::error(text), None),
            Act::Interrupted => {
                events.push(Event::Interrupted { call });
                (ToolResult::error(INTERRUPTED), None)
            }
            Act::Over(end) => (ToolResult { text: end.text, is_error: end.is_error, ..ToolResult::default() }, None),
        };
        let took = self.parts.clock.now().saturating_duration_since(started);
        events.extend(result.denials.iter().map(|denial| Event::Denial { call, denial: denial.clone() }));
        events.extend(result.changed.iter().map(|changed| Event::FileChanged { call, changed: changed.clone() }));
        let is_error = result.is_error;
        let digest = streak::digest(result.full.as_deref().unwrap_or(result.text.as_bytes()), is_error);
        let (text, full, spilled) = self.fit(call, result).await;
        events.push(Event::ToolEnd { call, tool: requested.name.clone(), text: text.clone(), is_error, took });
        let entry = Entry::CallEnd(CallEnd { call, text: text.clone(), is_error, full, spilled });
        (Ended { call, requested, digest: Some(digest), text, is_error }, key, entry, events)
    }

    /// Makes a result fit for the model, and keeps the whole of one that is too long.
    async fn fit(&self, call: CallId, result: ToolResult) -> (String, Option<Bytes>, Option<String>) {
        let long = shorten::is_long(&result.text);
        if !long && result.full.is_none() {
            return (result.text, None, None);
        }
        let whole = result.full.unwrap_or_else(|| Bytes::copy_from_slice(result.text.as_bytes()));
        let spilled = self.parts.spill.spill(call, whole.clone()).await;
        let reason = spilled.as_ref().err().map(ToString::to_string).unwrap_or_default();
        let kept = spilled.as_deref().map_err(|_| reason.as_str());
        let text = if long {
            shorten::shorten(&result.text, whole.len(), kept)
        } else {
            format!("{}\n[{}]", result.text, shorten::place(whole.len(), kept))
        };
        (text, Some(whole.slice(..whole.len().min(FULL_BYTES))), spilled.ok())
    }
}

/// Takes up to `room` calls that may start now, in call order: those whose key no running or earlier call holds.
fn ready(waiting: &mut Vec<Planned>, keys: &mut HashSet<String>, room: usize) -> Vec<Planned> {
    let mut starting = Vec::new();
    let mut place = 0;
    while place < waiting.len() && starting.len() < room {
        // A call that stays behind waits for a key that is held, so the set also keeps later ones behind it.
        if waiting[place].key().is_some_and(|key| keys.contains(key)) {
            place += 1;
            continue;
        }
        let call = waiting.remove(place);
        keys.extend(call.key().map(str::to_owned));
        starting.push(call);
    }
    starting
}

impl Ended {
    fn before(requested: Requested, end: CallEnd) -> Self {
        let digest = match (&end.full, &end.spilled) {
            (Some(full), _) if full.len() < FULL_BYTES => Some(streak::digest(full, end.is_error)),
            (None, None) => Some(streak::digest(end.text.as_bytes(), end.is_error)),
            _ => None,
        };
        Ended { call: end.call, requested, digest, text: end.text, is_error: end.is_error }
    }

    pub(crate) fn into_result(self) -> CallResult {
        CallResult {
            call: self.call,
            provider_id: self.requested.id,
            tool: self.requested.name,
            text: self.text,
            is_error: self.is_error,
        }
    }
}

#[cfg(test)]
mod tests;
