//! An execution as it happens: from the daemon's stream to whoever watches.

mod asking;
mod diff;
mod event;
mod json;
mod text;

use std::process::ExitCode;

use anyhow::Context;
use stigmer_proto::local::{AnswerRequest, CancelRequest, FollowRequest, ShowExecutionReply, ShowExecutionRequest};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tonic::Code;

use crate::client::{Daemon, failed};
use crate::failure::{Failure, OURS, SAID_NO};
use crate::printer::Printer;
use asking::Asking;
use event::Event;

pub(crate) use text::{clean, used};

/// How an execution is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// For people
    Text,
    /// One JSON object at the end
    Json,
    /// One JSON object a line, as it happens
    StreamJson,
}

/// What to follow, and how.
pub(crate) struct Follow {
    pub(crate) execution: String,
    pub(crate) format: Format,
    /// Somebody at the terminal answers what is asked.
    pub(crate) asks: bool,
    /// The model is a script.
    pub(crate) scripted: bool,
    /// Ctrl-C cancels; else it only stops following.
    pub(crate) cancels: bool,
}

/// Ctrl-C, TERM and HUP, held back from ending this process.
pub(crate) struct Interrupt([Signal; 3]);

impl Interrupt {
    /// Watches from now on.
    pub(crate) fn watch() -> Result<Interrupt, Failure> {
        let watch = |kind| signal(kind).context("could not watch for signals");
        Ok(Interrupt([watch(SignalKind::interrupt())?, watch(SignalKind::terminate())?, watch(SignalKind::hangup())?]))
    }

    async fn came(&mut self) {
        let [a, b, c] = &mut self.0;
        tokio::select! {
            _ = a.recv() => {}
            _ = b.recv() => {}
            _ = c.recv() => {}
        }
    }
}

/// Shows events.
trait Show {
    fn begin(&mut self, about: &ShowExecutionReply, scripted: bool);
    fn event(&mut self, event: &Event);
    fn end(&mut self, record: &ShowExecutionReply);
    /// The daemon was stopped; the execution is parked until the next one.
    fn left(&mut self);
}

/// What an execution is called whose daemon was stopped.
const STOPPED: &str = "stopped";

/// How a parked execution is gone on with, and then seen.
fn go_on(execution: &str) -> String {
    format!("`stigmer local start` goes on with it; `stigmer execution follow {execution}` shows it")
}

/// Shows an execution until it ends, answers what it asks, cancels it when asked to. Gives the exit code.
pub(crate) async fn follow(
    follow: Follow,
    mut daemon: Daemon,
    mut interrupt: Interrupt,
    printer: &Printer,
) -> Result<ExitCode, Failure> {
    let mut show: Box<dyn Show + '_> = match follow.format {
        Format::Text => Box::new(text::Text::new(printer, follow.asks)),
        Format::Json => Box::new(json::Whole::new(printer)),
        Format::StreamJson => Box::new(json::Stream::new(printer)),
    };
    let record = record(&mut daemon, &follow.execution).await?;
    show.begin(&record, follow.scripted);
    let request = FollowRequest { execution: follow.execution.clone(), after_seq: 0, no_wait: false };
    let stream = daemon.follow(request).await.map_err(|status| failed("could not follow the execution", &status))?;
    let mut stream = stream.into_inner();
    let mut asking = Asking::new(printer);
    let mut cancelled = false;
    let broken = loop {
        let message = tokio::select! {
            biased;
            () = interrupt.came() => {
                if !follow.cancels {
                    return Ok(ExitCode::SUCCESS);
                }
                if cancelled {
                    // The second time the person does not want to wait; the daemon goes on cancelling.
                    return Ok(ExitCode::from(SAID_NO));
                }
                cancelled = true;
                cancel(&daemon, &follow.execution);
                continue;
            }
            message = stream.message() => message,
            (call, approve) = asking.answer() => {
                answer(&mut daemon, &follow.execution, call, approve).await?;
                continue;
            }
        };
        let message = match message {
            Ok(Some(message)) => message,
            Ok(None) => break None,
            Err(status) => break Some(status),
        };
        let Some(event) = Event::read(message) else { continue };
        if event.is_shown() {
            asking.step_aside();
        }
        show.event(&event);
        match &event {
            Event::Asked { call, summary, .. } if follow.asks => asking.ask(call, summary),
            Event::Answered { call, .. } => asking.answered(call),
            Event::Ended { .. } => break None,
            _ => {}
        }
    };
    drop(stream);
    let record = match self::record(&mut daemon, &follow.execution).await {
        Ok(record) => record,
        // A daemon that does not answer any more has left the execution where it was.
        Err(_) => {
            show.left();
            return Ok(ExitCode::from(SAID_NO));
        }
    };
    let execution = record.execution.clone().unwrap_or_default();
    match (execution.outcome.as_str(), broken) {
        ("", _) if execution.state == STOPPED => {
            show.left();
            Ok(ExitCode::from(SAID_NO))
        }
        (_, Some(status)) => Err(failed("the stream of events broke", &status)),
        (outcome, None) => {
            show.end(&record);
            match outcome {
                "completed" => Ok(ExitCode::SUCCESS),
                "" => {
                    printer.note(format_args!("`{}` goes on: {}", execution.id, execution.state));
                    Ok(ExitCode::from(OURS))
                }
                _ => Ok(ExitCode::from(SAID_NO)),
            }
        }
    }
}

/// Asks the daemon in the background: what becomes of it comes with the stream.
fn cancel(daemon: &Daemon, execution: &str) {
    let (mut daemon, execution) = (daemon.clone(), execution.to_owned());
    tokio::spawn(async move { daemon.cancel(CancelRequest { execution }).await });
}

async fn answer(daemon: &mut Daemon, execution: &str, call: String, approve: bool) -> Result<(), Failure> {
    let request = AnswerRequest { execution: execution.to_owned(), call, approve, all: false };
    match daemon.answer(request).await {
        // It was answered from elsewhere, or the daemon is on its way down: the stream says so.
        Err(status) if matches!(status.code(), Code::NotFound | Code::Unavailable) => Ok(()),
        answered => answered.map(drop).map_err(|status| failed("could not answer", &status)),
    }
}

/// The daemon's record of an execution.
pub(crate) async fn record(daemon: &mut Daemon, execution: &str) -> Result<ShowExecutionReply, Failure> {
    let request = ShowExecutionRequest { execution: execution.to_owned() };
    let reply = daemon.show_execution(request).await;
    let known = || Some("`stigmer execution list` names those that are known".to_owned());
    Ok(reply.map_err(|status| failed("could not look the execution up", &status).hint_or(known))?.into_inner())
}
