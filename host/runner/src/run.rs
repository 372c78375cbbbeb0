//! From the lease to the result.

use std::os::fd::OwnedFd;

use bytes::Bytes;
use stigmer_agent::CancellationToken;
use stigmer_proto::runner as wire;
use stigmer_proto::runner::finish_request::Part;
use stigmer_proto::runner::spec::Work;

use crate::approvals::Approvals;
use crate::commands::Commands;
use crate::lease::{Lease, Leased};
use crate::rpc::{Rpc, chunks};
use crate::start::Handed;
use crate::{execution, jobs};

/// How the process ends. What the work came to is not here: the trusted half has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The trusted half has the result.
    Done,
    /// This is no process that init started as a runner, or it could not be confined.
    Unfit,
    /// The stream to the trusted half ended, or it took no result.
    Lost,
}

impl Ended {
    /// The exit code: 0, 3, 4.
    #[must_use]
    pub fn code(self) -> i32 {
        match self {
            Ended::Done => 0,
            Ended::Unfit => 3,
            Ended::Lost => 4,
        }
    }
}

/// What the trusted half and init gave, for the length of one work.
pub(crate) struct Session {
    pub(crate) rpc: Rpc,
    pub(crate) commands: Commands,
    pub(crate) code: Vec<OwnedFd>,
    pub(crate) approvals: Approvals,
    pub(crate) cancel: CancellationToken,
}

/// A result: the outcome, and bytes for work that is no execution.
pub(crate) struct Finished {
    pub(crate) outcome: wire::Outcome,
    pub(crate) bytes: Bytes,
}

impl Finished {
    /// It could not be done, for this reason.
    pub(crate) fn failed(reason: impl Into<String>) -> Finished {
        Finished::ended("failed", reason)
    }

    /// It ended in this way.
    pub(crate) fn ended(outcome: &str, reason: impl Into<String>) -> Finished {
        let outcome = wire::Outcome { outcome: outcome.to_owned(), reason: reason.into(), ..wire::Outcome::default() };
        Finished { outcome, bytes: Bytes::new() }
    }
}

/// Does the work of one lease, on a tokio runtime with time and I/O. Returns once the trusted half has the result, or as
/// soon as its stream has ended: then nothing that is still under way matters.
pub async fn run(handed: Handed) -> Ended {
    let lost = CancellationToken::new();
    let Ok(rpc) = Rpc::new(handed.rpc) else { return Ended::Unfit };
    let Ok(commands) = Commands::listen(handed.work, lost.clone()) else { return Ended::Unfit };
    let Ok(lease) = Lease::take(&rpc).await else { return Ended::Lost };
    let (cancel, approvals) = (CancellationToken::new(), Approvals::default());
    let Leased { work, past } = lease.follow(cancel.clone(), approvals.clone(), lost.clone());
    let session = Session { rpc, commands, code: handed.code, approvals, cancel };
    let done = async {
        let finished = match work {
            Work::Execution(work) => execution::run(&session, work, past).await,
            work => jobs::run(&session, work).await,
        };
        finish(&session.rpc, finished).await
    };
    tokio::select! {
        biased;
        // A result that is stored counts, also when the stream ends right behind it.
        ended = done => ended,
        () = lost.cancelled() => Ended::Lost,
    }
}

async fn finish(rpc: &Rpc, finished: Finished) -> Ended {
    let Finished { outcome, bytes } = finished;
    let parts = std::iter::once(Part::Outcome(outcome)).chain(chunks(bytes).map(Part::Chunk));
    let parts = tokio_stream::iter(parts.map(|part| wire::FinishRequest { part: Some(part) }));
    match rpc.runner().finish(parts).await {
        Ok(_) => Ended::Done,
        Err(_) => Ended::Lost,
    }
}

#[cfg(test)]
mod tests;
