//! Commands that wait for a person.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use stigmer_proto::runner::AskRequest;
use tokio::sync::oneshot;

use crate::rpc::Rpc;

/// Questions that are open, by call. Clones share them.
#[derive(Clone, Default)]
pub(crate) struct Approvals(Arc<Mutex<HashMap<String, oneshot::Sender<bool>>>>);

impl Approvals {
    /// Asks, and waits for the answer however long that takes. The trusted half tells init of a release before it
    /// answers.
    ///
    /// # Errors
    /// Why the question could not be put, for the model.
    pub(crate) async fn ask(&self, rpc: &Rpc, question: AskRequest) -> Result<bool, String> {
        let (sender, answer) = oneshot::channel();
        // Before the question is put: its answer may come before the reply does.
        self.open().insert(question.call.clone(), sender);
        let call = question.call.clone();
        if let Err(status) = rpc.runner().ask(question).await {
            self.open().remove(&call);
            return Err(status.message().to_owned());
        }
        answer.await.map_err(|_| "the question was put a second time".to_owned())
    }

    /// An answer came; one that nobody waits for is none of ours.
    pub(crate) fn answered(&self, call: &str, approved: bool) {
        if let Some(waiting) = self.open().remove(call) {
            // Whoever waited may have been cancelled.
            let _ = waiting.send(approved);
        }
    }

    fn open(&self) -> MutexGuard<'_, HashMap<String, oneshot::Sender<bool>>> {
        // Each change is one insert or remove, so the map is whole after any panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
