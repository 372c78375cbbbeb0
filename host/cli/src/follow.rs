//! An execution as it happens: from the daemon's stream to whoever watches.

mod diff;
mod event;
mod json;
mod text;

use std::process::ExitCode;

use anyhow::Context;
use stigmer_proto::local::{AnswerRequest, CancelRequest, FollowRequest, ShowExecutionReply, ShowExecutionRequest};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::client::{Daemon, failed};
use crate::failure::{Failure, OURS, SAID_NO};
use crate::printer::Printer;
use event::Event;

pub(crate) use text::clean;

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
}

/// Shows an execution until it ends, answers what it asks, cancels it when asked to. Gives the exit code.
pub(crate) async fn follow(
    follow: Follow,
    mut daemon: Daemon,
    mut interrupt: Interrupt,
    printer: &Printer,
) -> Result<ExitCode, Failure> {
    let mut show: Box<dyn Show + '_> = match follow.format {
        Format::Text => Box::new(text::Text::new(printer)),
        Format::Json => Box::new(json::Whole::new(printer)),
        Format::StreamJson => Box::new(json::Stream::new(printer)),
    };
    let record = record(&mut daemon, &follow.execution).await?;
    show.begin(&record, follow.scripted);
    let request = FollowRequest { execution: follow.execution.clone(), after_seq: 0, no_wait: false };
    let stream = daemon.follow(request).await.map_err(|status| failed("could not follow the execution", &status))?;
    let mut stream = stream.into_inner();
    let mut asked = std::collections::VecDeque::new();
    let mut cancelled = false;
    loop {
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
            message = stream.message() => message.map_err(|status| failed("the stream of events broke", &status))?,
        };
        let Some(message) = message else { break };
        let Some(event) = Event::read(message) else { continue };
        show.event(&event);
        match &event {
            Event::Asked { call, summary, .. } if follow.asks => asked.push_back((call.clone(), summary.clone())),
            Event::Answered { call, .. } => asked.retain(|(waiting, _)| waiting != call),
            Event::Ended { .. } => break,
            _ => {}
        }
        if let Some((call, summary)) = asked.pop_front() {
            answer(&mut daemon, &follow.execution, call, &summary, &mut interrupt, printer, &mut cancelled).await?;
        }
    }
    drop(stream);
    let record = self::record(&mut daemon, &follow.execution).await?;
    show.end(&record);
    let execution = record.execution.unwrap_or_default();
    Ok(match execution.outcome.as_str() {
        "completed" => ExitCode::SUCCESS,
        "" => {
            printer.note(format_args!("`{}` goes on: {}", execution.id, execution.state));
            ExitCode::from(OURS)
        }
        _ => ExitCode::from(SAID_NO),
    })
}

/// Asks the daemon in the background: what becomes of it comes with the stream.
fn cancel(daemon: &Daemon, execution: &str) {
    let (mut daemon, execution) = (daemon.clone(), execution.to_owned());
    tokio::spawn(async move { daemon.cancel(CancelRequest { execution }).await });
}

async fn answer(
    daemon: &mut Daemon,
    execution: &str,
    call: String,
    summary: &str,
    interrupt: &mut Interrupt,
    printer: &Printer,
    cancelled: &mut bool,
) -> Result<(), Failure> {
    let question = format!("Run `{}`?", text::clean(summary));
    let (asking, (tell, told)) = (printer.clone(), tokio::sync::oneshot::channel());
    // A thread that nobody waits for: the person may break off, and reading a terminal cannot be.
    std::thread::spawn(move || tell.send(asking.confirm(&question)));
    let approve = tokio::select! {
        biased;
        () = interrupt.came() => {
            *cancelled = true;
            cancel(daemon, execution);
            return Ok(());
        }
        answer = told => answer.unwrap_or(false),
    };
    let request = AnswerRequest { execution: execution.to_owned(), call, approve, all: false };
    match daemon.answer(request).await {
        // It was answered from elsewhere.
        Err(status) if status.code() == tonic::Code::NotFound => Ok(()),
        answered => answered.map(drop).map_err(|status| failed("could not answer", &status)),
    }
}

/// The daemon's record of an execution.
pub(crate) async fn record(daemon: &mut Daemon, execution: &str) -> Result<ShowExecutionReply, Failure> {
    let request = ShowExecutionRequest { execution: execution.to_owned() };
    let reply = daemon.show_execution(request).await;
    Ok(reply.map_err(|status| failed("could not look the execution up", &status))?.into_inner())
}
