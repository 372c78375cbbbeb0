//! One runner's stream, from the trusted half's side.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use bytes::Bytes;
use stigmer_proto::runner::http_server::HttpServer;
use stigmer_proto::runner::model_server::ModelServer;
use stigmer_proto::runner::runner_server::RunnerServer;
use tokio::net::UnixStream;
use tokio::sync::mpsc;

use super::ports::Ports;
use super::service::{Service, Shared};
use super::work::Work;
use super::{MAX_STREAMS, upstream};
use crate::supervisor::End;

/// What a runner did that its owner must know.
#[derive(Debug)]
#[non_exhaustive]
pub enum Note {
    /// It leased its work.
    Leased {
        /// Its pid as it sees it; for logs.
        pid: u32,
    },
    /// It stored journal entries.
    Progress,
    /// A call of it waits for a person.
    Asked,
    /// Its result.
    Finished {
        /// How it ended.
        end: End,
        /// A refusal by policy that ended it.
        denial: Option<Box<stigmer_policy::Denial>>,
        /// Result of work that is no execution.
        bytes: Bytes,
    },
    /// It spent what it may store.
    Full(String),
    /// Its stream ended.
    Gone,
}

/// What its owner says to a runner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Say {
    /// Stop.
    Cancel {
        /// Why.
        reason: String,
    },
    /// An answer to a question.
    Answer {
        /// The call.
        call: String,
        /// Whether it may start.
        approved: bool,
    },
}

/// Messages that wait for a runner which does not read; more are dropped with it.
const QUEUE: usize = 64;

/// A served runner. Dropping it closes the stream, which tells the runner to stop.
#[derive(Debug)]
pub struct Link {
    notes: mpsc::Receiver<Note>,
    say: mpsc::Sender<Say>,
    socket: OwnedFd,
    server: tokio::task::JoinHandle<()>,
}

impl Link {
    /// What the runner did next. May be dropped and called again.
    pub async fn next(&mut self) -> Note {
        self.notes.recv().await.unwrap_or(Note::Gone)
    }

    /// Says something to the runner. `false` when it does not read any more.
    #[must_use]
    pub fn say(&self, say: Say) -> bool {
        self.say.try_send(say).is_ok()
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        // ENOTCONN: the runner was faster.
        let _ = rustix::net::shutdown(&self.socket, rustix::net::Shutdown::Both);
        self.server.abort();
    }
}

/// The two ends of a runner's stream: ours, and the one that goes into the jail.
///
/// # Errors
/// As socketpair(2).
pub fn pair() -> std::io::Result<(UnixStream, OwnedFd)> {
    let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
    ours.set_nonblocking(true)?;
    // The runner's end blocks or not as the runner likes; it sets that itself.
    Ok((UnixStream::from_std(ours)?, theirs.into()))
}

/// Serves `work` to the runner at the other end of `stream`, on the current tokio runtime.
///
/// # Errors
/// When the stream's descriptor cannot be duplicated.
pub fn serve(stream: UnixStream, work: Work, ports: Ports) -> std::io::Result<Link> {
    let socket = stream.as_fd().try_clone_to_owned()?;
    let (note, notes) = mpsc::channel(QUEUE);
    let (say, said) = mpsc::channel(QUEUE);
    let shared = Arc::new(Shared::new(work, ports, note, say.clone(), said));
    let limit = stigmer_proto::MAX_MESSAGE;
    let router = tonic::transport::Server::builder()
        .max_concurrent_streams(MAX_STREAMS)
        .add_service(RunnerServer::new(Service(shared.clone())).max_decoding_message_size(limit))
        .add_service(ModelServer::new(upstream::ModelUpstream(shared.clone())).max_decoding_message_size(limit))
        .add_service(HttpServer::new(upstream::HttpUpstream(shared)).max_decoding_message_size(limit));
    let incoming = tokio_stream::once(Ok::<_, std::io::Error>(stream));
    let server = tokio::spawn(async move {
        if let Err(error) = router.serve_with_incoming(incoming).await {
            tracing::warn!(error = %error, "a runner's stream could not be served");
        }
    });
    Ok(Link { notes, say, socket, server })
}
