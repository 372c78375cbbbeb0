//! The lease: what the trusted half wants done, and what it says while that is done.

use stigmer_agent::CancellationToken;
use stigmer_proto::runner as wire;
use stigmer_proto::runner::from_daemon::Message;
use stigmer_proto::runner::spec::Work;
use tonic::{Status, Streaming};

use crate::approvals::Approvals;
use crate::rpc::Rpc;

/// Work, and the journal that it goes on from.
pub(crate) struct Lease {
    pub(crate) work: Work,
    /// Stored entries in their order; those of the execution that is continued come first.
    pub(crate) entries: Vec<wire::Entry>,
    stream: Streaming<wire::FromDaemon>,
}

/// Why there is no work.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LeaseError {
    /// The trusted half refused, or is gone.
    #[error("the trusted half gave no work")]
    Refused(#[from] Status),
    /// What it said makes no sense.
    #[error("the trusted half's first words make no sense")]
    Malformed,
}

impl Lease {
    /// Asks for work and waits until all of it is here.
    pub(crate) async fn take(rpc: &Rpc) -> Result<Lease, LeaseError> {
        let request = wire::LeaseRequest { version: env!("CARGO_PKG_VERSION").to_owned(), pid: std::process::id() };
        let mut stream = rpc.runner().lease(request).await?.into_inner();
        let mut work = None;
        let mut entries = Vec::new();
        loop {
            match stream.message().await?.and_then(|message| message.message) {
                Some(Message::Spec(spec)) if work.is_none() => work = spec.work,
                Some(Message::Entry(entry)) => entries.push(entry),
                Some(Message::Start(_)) => {
                    return Ok(Lease { work: work.ok_or(LeaseError::Malformed)?, entries, stream });
                }
                _ => return Err(LeaseError::Malformed),
            }
        }
    }

    /// Passes on what is said from now on, until the stream ends; then `lost` fires.
    pub(crate) fn follow(self, cancel: CancellationToken, approvals: Approvals, lost: CancellationToken) -> Leased {
        let Lease { work, entries, mut stream } = self;
        tokio::spawn(async move {
            let _guard = lost.drop_guard();
            while let Ok(Some(message)) = stream.message().await {
                match message.message {
                    Some(Message::Cancel(_)) => cancel.cancel(),
                    Some(Message::Answer(answer)) => approvals.answered(&answer.call, answer.approved),
                    // A word that this version does not know changes nothing.
                    _ => {}
                }
            }
        });
        Leased { work, entries }
    }
}

/// What is left of a lease that is followed.
pub(crate) struct Leased {
    pub(crate) work: Work,
    pub(crate) entries: Vec<wire::Entry>,
}
