//! `execute`: a shell command, started by init.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};
use stigmer_agent::{CallCtx, Tool, ToolResult};
use stigmer_policy::{Denial, JailPath, Rule};
use stigmer_proto::runner::AskRequest;
use stigmer_sandbox::message::{CommandReport, CommandSpec, Ended, MAX_ARGUMENT, RestoreAction, Restored};

use crate::approvals::Approvals;
use crate::capture::{Captured, Reading, pipe};
use crate::commands::{CommandError, Commands};
use crate::rpc::Rpc;
use crate::scratch::Scratch;

/// Bytes of one command's output that are shown while it runs; the result does not depend on it.
const LIVE_BYTES: usize = stigmer_policy::limits::OUTPUT_BYTES as usize;
/// How long output is waited for once the command's whole tree is gone: only a process outside of the tree could still
/// hold the pipe.
const LAST_OUTPUT: Duration = Duration::from_secs(2);

/// Whether a person is asked before a command starts.
#[derive(Clone)]
pub(crate) enum Mode {
    /// Init starts what it is asked to.
    Free,
    /// Init starts only what the trusted half released.
    Asked { rpc: Rpc, approvals: Approvals },
}

/// The tool.
pub(crate) struct Execute {
    commands: Commands,
    mode: Mode,
    workspace: JailPath,
    env: Vec<Vec<u8>>,
    time: Duration,
    scratch: Scratch,
    description: String,
    schema: Value,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Args {
    command: String,
}

impl Execute {
    pub(crate) fn new(
        commands: Commands,
        mode: Mode,
        workspace: JailPath,
        env: Vec<Vec<u8>>,
        time: Duration,
        scratch: Scratch,
    ) -> Execute {
        let description = format!(
            "Runs a shell command (`/bin/sh -c`) in the workspace, without a terminal or input, for at most {} s. Each \
             call starts anew: no variables, no folder changes, no background processes remain.",
            time.as_secs()
        );
        let schema = json!({
            "type": "object",
            "properties": { "command": { "type": "string", "description": "The command line." } },
            "required": ["command"],
        });
        Execute { commands, mode, workspace, env, time, scratch, description, schema }
    }

    /// How the command reaches the shell: as an argument, or in a file where it is longer than one may be.
    async fn argv(&self, ctx: &CallCtx, command: String) -> Result<Vec<Vec<u8>>, ToolResult> {
        if command.len() <= MAX_ARGUMENT {
            return Ok(vec![b"/bin/sh".to_vec(), b"-c".to_vec(), command.into_bytes()]);
        }
        if matches!(self.mode, Mode::Asked { .. }) {
            // What a person released is the argument; a file's content could change after the answer.
            return Err(ToolResult::error(format!(
                "Error: the command has {} bytes; one that a person is asked about may have {MAX_ARGUMENT}. Write it to \
                 a file and run that.",
                command.len()
            )));
        }
        let name = format!("command-{}.sh", ctx.call);
        let path = self.scratch.write(name, Bytes::from(command)).await;
        let path = path.map_err(|why| ToolResult::error(format!("Error: could not keep the long command: {why}")))?;
        Ok(vec![b"/bin/sh".to_vec(), path.into_bytes()])
    }

    async fn may_start(&self, ctx: &CallCtx, number: u64, spec: &CommandSpec) -> Result<(), ToolResult> {
        let Mode::Asked { rpc, approvals } = &self.mode else { return Ok(()) };
        let bytes = |list: &[Vec<u8>]| list.iter().map(|item| Bytes::copy_from_slice(item)).collect();
        let question = AskRequest {
            call: ctx.call.to_string(),
            number,
            tool: self.name().to_owned(),
            argv: bytes(&spec.argv),
            env: bytes(&spec.env),
            cwd: Bytes::copy_from_slice(&spec.cwd),
            timeout_ms: spec.timeout.map_or(0, |time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX)),
        };
        match approvals.ask(rpc, question).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(ToolResult::error(
                "Error: this command was not approved, and was not started. Do not repeat it; find another way, or say \
                 what you would need.",
            )),
            Err(why) => Err(ToolResult::error(format!("Error: no one could be asked about this command: {why}"))),
        }
    }

    async fn run(&self, ctx: &CallCtx, number: u64, spec: CommandSpec) -> Result<ToolResult, ToolResult> {
        let broken = |error: io::Error| ToolResult::error(format!("Error: could not prepare the command: {error}"));
        let (stdout, stderr) = (pipe().map_err(broken)?, pipe().map_err(broken)?);
        let stdio = [nothing().map_err(broken)?, stdout.theirs, stderr.theirs];
        let started = self.commands.start(number, spec, stdio).await;
        let mut running = match started {
            Ok(running) => running,
            Err(error) => return Err(no_result(error).await),
        };
        let mut reading = Reading::new(stdout.ours, stderr.ours);
        let mut shown = 0;
        let mut report = None;
        // Output first: what a command said belongs before its end.
        let last = tokio::time::sleep(Duration::ZERO);
        tokio::pin!(last);
        loop {
            tokio::select! {
                biased;
                piece = reading.next() => match piece {
                    Some(piece) if shown < LIVE_BYTES => {
                        shown += piece.text.len();
                        ctx.output(piece.output, piece.text).await;
                    }
                    Some(_) => {}
                    None => break,
                },
                ended = running.ended(), if report.is_none() => {
                    report = match ended {
                        Ok(ended) => Some(ended),
                        Err(error) => return Err(no_result(error).await),
                    };
                    last.as_mut().reset(tokio::time::Instant::now() + LAST_OUTPUT);
                }
                () = &mut last, if report.is_some() => break,
            }
        }
        let report = match report {
            Some(report) => Ok(report),
            None => running.ended().await,
        };
        let report = match report {
            Ok(report) => report,
            Err(error) => return Err(no_result(error).await),
        };
        Ok(self.result(&reading.captured, &report))
    }

    fn result(&self, captured: &Captured, report: &CommandReport) -> ToolResult {
        let (code, note) = match report.ended {
            Ended::Code(code) => (code, None),
            Ended::Signal(signal) => (128 + signal, Some(format!("It was ended by signal {signal}"))),
            Ended::TimedOut => (
                124,
                Some(format!("Its time of {} s was over; it was ended with all it had started", self.time.as_secs())),
            ),
            Ended::Killed => (137, Some("It was ended on request".to_owned())),
            Ended::Lost => (137, Some("The process that watched it was lost; it was ended".to_owned())),
        };
        let how = if code == 0 { "succeeded" } else { "failed" };
        let mut text = captured.text();
        text.push_str(&format!("\n[Command {how} with exit code {code}]"));
        if captured.left_out() > 0 {
            text.push_str("\n[Output was truncated due to size limits]");
        }
        for line in note.into_iter().chain(reaped(report)).chain(restored(report)) {
            text.push_str(&format!("\n[{line}]"));
        }
        let is_error = !matches!(report.ended, Ended::Code(_));
        ToolResult { is_error, denials: report.restored.iter().map(denial).collect(), ..ToolResult::ok(text) }
    }
}

#[async_trait]
impl Tool for Execute {
    fn name(&self) -> &str {
        "execute"
    }

    fn description(&self) -> &str {
        &self.description
    }

    fn input_schema(&self) -> &Value {
        &self.schema
    }

    async fn call(&self, ctx: CallCtx, args: Value) -> ToolResult {
        let args: Args = match serde_json::from_value(args) {
            Ok(args) => args,
            Err(error) => return ToolResult::error(format!("Error: execute: {error}")),
        };
        if args.command.contains('\0') {
            return ToolResult::error("Error: execute: the command holds a NUL byte, which no program can be given");
        }
        // Follows from the call, so that a question asked again after a crash is the same question.
        let number = u64::from(ctx.call.turn()) << 32 | u64::from(ctx.call.index());
        let argv = match self.argv(&ctx, args.command).await {
            Ok(argv) => argv,
            Err(result) => return result,
        };
        let cwd = self.workspace.as_path().as_os_str().as_encoded_bytes().to_vec();
        let spec = CommandSpec { argv, env: self.env.clone(), cwd, timeout: Some(self.time) };
        if let Err(result) = self.may_start(&ctx, number, &spec).await {
            return result;
        }
        match self.run(&ctx, number, spec).await {
            Ok(result) | Err(result) => result,
        }
    }
}

/// A stdin that gives nothing: a copy of our own, which init opened on `/dev/null`.
fn nothing() -> io::Result<OwnedFd> {
    io::stdin().as_fd().try_clone_to_owned()
}

/// Without init nobody here knows whether the command ran, and this process ends with it ([`crate::run::run`]): no result
/// is given, so the call stays open in the journal and the next runner tells the model that it was interrupted.
async fn no_result(error: CommandError) -> ToolResult {
    match error {
        CommandError::InitGone(_) => std::future::pending().await,
        error => ToolResult::error(format!("Error: the command did not run: {error}")),
    }
}

fn reaped(report: &CommandReport) -> Option<String> {
    if report.reaped_total == 0 {
        return None;
    }
    let names: Vec<String> = report.reaped.iter().map(|it| format!("{} ({})", it.name, it.pid)).collect();
    let more = (report.reaped_total as usize).saturating_sub(names.len());
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    Some(format!("Still running in the background, and ended with the command: {}{more}", names.join(", ")))
}

fn restored(report: &CommandReport) -> Vec<String> {
    let line = |it: &Restored| match &it.action {
        RestoreAction::PutBack => format!("Protected: `{}` was changed by the command and has been put back", it.path),
        RestoreAction::Quarantined(name) => {
            format!("Protected: `{}` was made by the command and has been moved to `{name}`", it.path)
        }
        RestoreAction::Failed(why) => {
            format!("Protected: `{}` was changed by the command and could not be put back: {why}", it.path)
        }
    };
    report.restored.iter().map(line).collect()
}

/// What the walls undid is a refusal that came after the act.
fn denial(restored: &Restored) -> Denial {
    let done = match &restored.action {
        RestoreAction::PutBack => "its former content was put back".to_owned(),
        RestoreAction::Quarantined(name) => format!("it was moved to `{name}`"),
        RestoreAction::Failed(why) => format!("it could not be put back: {why}"),
    };
    Denial {
        rule: Rule::ProtectedPaths,
        subject: format!("write {}", stigmer_policy::request::plain(&restored.path)),
        reason: format!("a command changed a protected path; {done}"),
        grant: None,
    }
}

#[cfg(test)]
mod tests;
