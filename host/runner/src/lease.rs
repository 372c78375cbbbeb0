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
    pub(crate) past: Past,
    stream: Streaming<wire::FromDaemon>,
}

/// What the journals say of the time before, each part in its order.
#[derive(Default)]
pub(crate) struct Past {
    /// The executions that this one continues, oldest first.
    pub(crate) earlier: Vec<Earlier>,
    /// What former runners of this execution did.
    pub(crate) own: Vec<wire::Entry>,
}

/// An execution that is continued.
pub(crate) struct Earlier {
    /// The person's words of then.
    pub(crate) message: String,
    pub(crate) entries: Vec<wire::Entry>,
}

impl Past {
    /// Takes an entry; gives it back when it has no place here.
    fn add(&mut self, entry: wire::Entry) -> Result<(), LeaseError> {
        if !entry.history {
            self.own.push(entry);
            return Ok(());
        }
        // Behind an entry of our own nothing of earlier executions comes, and none comes without its message.
        match self.earlier.last_mut() {
            Some(earlier) if self.own.is_empty() => earlier.entries.push(entry),
            _ => return Err(LeaseError::Malformed),
        }
        Ok(())
    }
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
        let mut past = Past::default();
        loop {
            match stream.message().await?.and_then(|message| message.message) {
                Some(Message::Spec(spec)) if work.is_none() => work = spec.work,
                Some(Message::Earlier(wire::Earlier { message })) if past.own.is_empty() => {
                    past.earlier.push(Earlier { message, entries: Vec::new() });
                }
                Some(Message::Entry(entry)) => past.add(entry)?,
                Some(Message::Start(_)) => {
                    return Ok(Lease { work: work.ok_or(LeaseError::Malformed)?, past, stream });
                }
                _ => return Err(LeaseError::Malformed),
            }
        }
    }

    /// Passes on what is said from now on, until the stream ends; then `lost` fires.
    pub(crate) fn follow(self, cancel: CancellationToken, approvals: Approvals, lost: CancellationToken) -> Leased {
        let Lease { work, past, mut stream } = self;
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
        Leased { work, past }
    }
}

/// What is left of a lease that is followed.
pub(crate) struct Leased {
    pub(crate) work: Work,
    pub(crate) past: Past,
}
