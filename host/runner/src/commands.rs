//! Commands, started and ended by init.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use stigmer_agent::CancellationToken;
use stigmer_sandbox::channel::{Channel, ChannelError};
use stigmer_sandbox::message::{CallId, CommandReport, CommandSpec, FromInit, StartFailure, ToInit};
use tokio::sync::mpsc;

/// Asks init for commands. Clones share the channel.
#[derive(Clone)]
pub(crate) struct Commands(Arc<Shared>);

struct Shared {
    channel: Channel,
    /// Held while a message is sent: one may take several packets.
    sending: Mutex<()>,
    running: Mutex<HashMap<CallId, mpsc::UnboundedSender<FromInit>>>,
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CommandError {
    /// Init could not start it, or may not.
    #[error(transparent)]
    NotStarted(#[from] StartFailure),
    /// Init is gone, and with it every command.
    #[error("the process that starts commands is gone")]
    InitGone(#[source] Option<ChannelError>),
    /// The number belongs to a command that runs.
    #[error("call {0} runs already")]
    InUse(CallId),
}

impl Commands {
    /// Listens to init from now on. When init is gone, `lost` fires.
    ///
    /// # Errors
    /// When no thread can be made.
    pub(crate) fn listen(channel: Channel, lost: CancellationToken) -> io::Result<Commands> {
        let shared = Arc::new(Shared { channel, sending: Mutex::default(), running: Mutex::default() });
        let listening = Arc::clone(&shared);
        // A thread of its own: the channel has no readiness of tokio's, and a message may take several packets.
        std::thread::Builder::new().name("from-init".to_owned()).spawn(move || {
            while let Ok((message, _)) = listening.channel.recv::<FromInit>() {
                listening.pass_on(message);
            }
            listening.running().clear();
            lost.cancel();
        })?;
        Ok(Commands(shared))
    }

    /// Asks init to start a command on these three descriptors.
    ///
    /// # Errors
    /// [`CommandError::InitGone`], [`CommandError::InUse`]; what init says comes with [`Running::ended`].
    pub(crate) async fn start(
        &self,
        call: CallId,
        spec: CommandSpec,
        stdio: [OwnedFd; 3],
    ) -> Result<Running, CommandError> {
        let (sender, reports) = mpsc::unbounded_channel();
        // Init sends at most two messages for a command, so this cannot grow.
        if self.0.running().contains_key(&call) {
            return Err(CommandError::InUse(call));
        }
        self.0.running().insert(call, sender);
        let running = Running { call, reports, commands: self.clone(), ended: false };
        let shared = Arc::clone(&self.0);
        let sent = tokio::task::spawn_blocking(move || {
            let _one_at_a_time = shared.sending.lock().unwrap_or_else(PoisonError::into_inner);
            shared.channel.send(&ToInit::Start(call, spec), &stdio.each_ref().map(AsFd::as_fd))
        });
        match sent.await {
            Ok(Ok(())) => Ok(running),
            Ok(Err(error)) => Err(CommandError::InitGone(Some(error))),
            Err(_) => Err(CommandError::InitGone(None)),
        }
    }
}

impl Shared {
    fn pass_on(&self, message: FromInit) {
        let call = match &message {
            FromInit::Started(call) | FromInit::NotStarted(call, _) | FromInit::Ended(call, _) => *call,
            // Not for this channel.
            FromInit::Ready { .. } | FromInit::Failed(_) | FromInit::RunnerEnded(_) | FromInit::Restored(_) => return,
        };
        let over = !matches!(message, FromInit::Started(_));
        let mut running = self.running();
        let to = if over { running.remove(&call) } else { running.get(&call).cloned() };
        if let Some(to) = to {
            // The call may have been given up.
            let _ = to.send(message);
        }
    }

    fn running(&self) -> MutexGuard<'_, HashMap<CallId, mpsc::UnboundedSender<FromInit>>> {
        // Each change is one insert or remove, so the map is whole after any panic.
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A command that was asked for. Dropping it ends the command's tree.
pub(crate) struct Running {
    call: CallId,
    reports: mpsc::UnboundedReceiver<FromInit>,
    commands: Commands,
    ended: bool,
}

impl Running {
    /// Waits until the command's whole tree is gone.
    pub(crate) async fn ended(&mut self) -> Result<CommandReport, CommandError> {
        loop {
            match self.reports.recv().await {
                Some(FromInit::Ended(_, report)) => {
                    self.ended = true;
                    return Ok(report);
                }
                Some(FromInit::NotStarted(_, failure)) => {
                    self.ended = true;
                    return Err(failure.into());
                }
                Some(_) => {}
                None => {
                    self.ended = true;
                    return Err(CommandError::InitGone(None));
                }
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        let shared = &self.commands.0;
        let _one_at_a_time = shared.sending.lock().unwrap_or_else(PoisonError::into_inner);
        // A full buffer means an init that does not listen, and then this process ends as well.
        let _ = shared.channel.try_send(&ToInit::Kill(self.call));
    }
}
