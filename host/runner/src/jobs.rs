//! Work that is no execution: compile a component, look at one, call one of its exports.
//!
//! A call's result is one JSON object: `value` or `error`, `used`, `stdout`, `stderr`, `denials`,
//! `changed`, `changed_more`.

use std::io::{Read, Seek};

use bytes::Bytes;
use serde::Serialize;
use serde_json::{Value, json};
use stigmer_plugin::{CallLimits, CallOutcome, Captured, Engine, EngineKind, MAX_COMPONENT_BYTES, compile, inspect};
use stigmer_proto::runner as wire;
use stigmer_proto::runner::spec::Work;
use stigmer_sandbox::files::Roots;

use crate::execution::{BeginError, chain, policy};
use crate::plugins::{self, Given, PluginError};
use crate::run::{Finished, Session};

/// Why a job has no result.
#[derive(Debug, thiserror::Error)]
enum JobError {
    #[error("the component was not handed over")]
    NoComponent,
    #[error("could not read the component")]
    Read(#[source] std::io::Error),
    #[error("the component has more than {MAX_COMPONENT_BYTES} bytes")]
    TooLarge,
    #[error(transparent)]
    Content(#[from] stigmer_plugin::ContentError),
    #[error(transparent)]
    Compile(#[from] stigmer_plugin::CompileError),
    #[error(transparent)]
    Engine(#[from] stigmer_plugin::EngineError),
    #[error(transparent)]
    Plugin(#[from] PluginError),
    #[error(transparent)]
    Begin(#[from] BeginError),
    #[error(transparent)]
    Roots(#[from] stigmer_sandbox::files::RootError),
    #[error("the arguments are not one JSON object: {0}")]
    Arguments(String),
    #[error("there was nothing to do")]
    Nothing,
    #[error("the work broke off")]
    BrokeOff,
}

/// Does the work; cancelling gives it up.
pub(crate) async fn run(session: &Session, work: Work) -> Finished {
    tokio::select! {
        biased;
        () = session.cancel.cancelled() => Finished::ended("cancelled", ""),
        done = done(session, work) => done.unwrap_or_else(|error| Finished::failed(chain(&error))),
    }
}

async fn done(session: &Session, work: Work) -> Result<Finished, JobError> {
    match work {
        Work::Compile(wire::Compile { wasm_fd }) => {
            let wasm = component(session, wasm_fd)?;
            // On a thread that may block: a large component takes seconds, and cancelling must get through.
            let compiled = tokio::task::spawn_blocking(move || {
                Ok::<_, JobError>(compile(&Engine::new(EngineKind::Runner)?, &wasm)?.bytes)
            });
            Ok(completed(compiled.await.map_err(|_| JobError::BrokeOff)??.into()))
        }
        Work::PluginInspect(wire::PluginInspect { name, wasm_fd }) => {
            let wasm = component(session, wasm_fd)?;
            let seen = tokio::task::spawn_blocking(move || inspect(&name, &wasm));
            Ok(completed(json_bytes(&seen.await.map_err(|_| JobError::BrokeOff)??)))
        }
        Work::PluginCall(call) => plugin_call(session, call).await,
        Work::Execution(_) => Err(JobError::Nothing),
    }
}

fn completed(bytes: Bytes) -> Finished {
    Finished { bytes, ..Finished::ended("completed", "") }
}

fn component(session: &Session, number: u32) -> Result<Vec<u8>, JobError> {
    let file = plugins::file(&session.code, number).ok_or(JobError::NoComponent)?;
    let mut wasm = Vec::new();
    let mut file = std::fs::File::from(file.try_clone().map_err(JobError::Read)?);
    // Whoever filled the file left its position at the end.
    file.rewind().map_err(JobError::Read)?;
    file.take(MAX_COMPONENT_BYTES as u64 + 1).read_to_end(&mut wasm).map_err(JobError::Read)?;
    if wasm.len() > MAX_COMPONENT_BYTES {
        return Err(JobError::TooLarge);
    }
    Ok(wasm)
}

async fn plugin_call(session: &Session, call: wire::PluginCall) -> Result<Finished, JobError> {
    let sent = call.plugin.ok_or(JobError::Nothing)?;
    let arguments: Value =
        serde_json::from_slice(&call.arguments).map_err(|error| JobError::Arguments(error.to_string()))?;
    let policy = policy(&call.policy)?;
    let limits = CallLimits::from(&policy.limits);
    let roots = Roots::open(&policy)?;
    let grants = plugins::grants(&roots, &sent, Given::EveryFolder)?;
    let engine = Engine::new(EngineKind::OneShot)?;
    let plugin = plugins::load(&engine, &session.code, &sent)?;
    let outcome = plugin.call(&call.export, &arguments, &grants, &limits).await;
    Ok(called(&outcome))
}

fn called(outcome: &CallOutcome) -> Finished {
    let printed = |it: &Captured| json!({ "text": it.text(), "total_bytes": it.total, "truncated": it.is_truncated() });
    let mut result = json!({
        "used": outcome.used,
        "stdout": printed(&outcome.stdout),
        "stderr": printed(&outcome.stderr),
        "denials": outcome.denials,
        "changed": outcome.changed.paths.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "changed_more": outcome.changed.more,
    });
    let mut finished = match &outcome.result {
        Ok(value) => {
            result["value"] = value.clone();
            Finished::ended("completed", "")
        }
        Err(error) => {
            result["error"] =
                json!({ "message": error.to_string(), "hint": error.hint().or_else(|| outcome.hint.clone()) });
            Finished::failed(error.to_string())
        }
    };
    if let (Some(denial), true) = (outcome.denials.first(), outcome.result.is_err()) {
        finished.outcome.denial = json_bytes(denial);
    }
    finished.bytes = json_bytes(&result);
    finished
}

/// Shapes of ours whose keys are texts always serialise.
fn json_bytes(value: &impl Serialize) -> Bytes {
    serde_json::to_vec(value).unwrap_or_default().into()
}
