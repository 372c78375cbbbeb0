//! Jails, runners and ways out that live in this process.

use std::os::fd::OwnedFd;
use std::path::Path;

use async_trait::async_trait;
use futures::future::BoxFuture;
use hyper_util::rt::TokioIo;
use stigmer_policy::{Limits, Policy};
use stigmer_proto::runner as wire;
use stigmer_proto::runner::from_daemon::Message;
use stigmer_proto::runner::runner_client::RunnerClient;
use tonic::Streaming;
use tonic::transport::{Channel, Endpoint};

use super::super::jail::{Jail, JailError, JailEvent, JailSpec};
use super::super::ports::{ProviderState, SecretError};
use super::super::*;
use crate::api::runner::{ExecutionWork, Model, NoHttp, NoModel, PluginHttp, Question};
use crate::request::Approve;

/// A runner that lives in this process: what it does when it is started for the n-th time.
type Behaviour = Arc<dyn Fn(FakeRunner) -> BoxFuture<'static, ()> + Send + Sync>;

pub(crate) struct FakeRunner {
    pub(crate) number: u32,
    client: RunnerClient<Channel>,
    stream: Streaming<wire::FromDaemon>,
    pub(crate) work: wire::Execution,
    pub(crate) journal: Vec<wire::Entry>,
    /// Messages of earlier executions, each with the number of its entries.
    pub(crate) earlier: Vec<(String, usize)>,
}

impl FakeRunner {
    async fn connect(number: u32, rpc: OwnedFd) -> Self {
        let stream = std::os::unix::net::UnixStream::from(rpc);
        stream.set_nonblocking(true).unwrap();
        let mut stream = Some(tokio::net::UnixStream::from_std(stream).unwrap());
        let connector = tower::service_fn(move |_| {
            std::future::ready(stream.take().map(TokioIo::new).ok_or_else(|| std::io::Error::other("one stream")))
        });
        let channel = Endpoint::from_static("http://daemon").connect_with_connector_lazy(connector);
        let mut client = RunnerClient::new(channel);
        let request = wire::LeaseRequest { version: env!("CARGO_PKG_VERSION").to_owned(), pid: number };
        let mut stream = client.lease(request).await.unwrap().into_inner();
        let (mut work, mut journal, mut earlier) = (wire::Execution::default(), Vec::new(), Vec::new());
        loop {
            match stream.message().await.unwrap().unwrap().message.unwrap() {
                Message::Spec(wire::Spec { work: Some(wire::spec::Work::Execution(sent)) }) => work = sent,
                Message::Earlier(begun) => earlier.push((begun.message, 0)),
                Message::Entry(entry) if entry.history => earlier.last_mut().unwrap().1 += 1,
                Message::Entry(entry) => journal.push(entry),
                Message::Start(_) => break,
                other => panic!("{other:?}"),
            }
        }
        FakeRunner { number, client, stream, work, journal, earlier }
    }

    /// Keeps its stream open and does nothing.
    pub(crate) async fn hold(self) {
        std::future::pending::<()>().await;
        drop(self);
    }

    pub(crate) async fn journal(&mut self, id: &str) {
        let entry = wire::Entry {
            id: id.to_owned(),
            kind: wire::EntryKind::TurnBegin.into(),
            body: "{}".into(),
            ..Default::default()
        };
        self.client.append(wire::AppendRequest { entries: vec![entry], events: vec![] }).await.unwrap();
    }

    pub(crate) async fn begin(&mut self, call: &str) {
        let (id, call) = (format!("call-{call}-begin"), call.to_owned());
        let kind = wire::EntryKind::CallBegin.into();
        let entry = wire::Entry { id, kind, call, body: "{}".into(), ..Default::default() };
        self.client.append(wire::AppendRequest { entries: vec![entry], events: vec![] }).await.unwrap();
    }

    /// Puts a question and does not wait.
    pub(crate) async fn put(&mut self, call: &str, number: u64) {
        let ask = wire::AskRequest { call: call.to_owned(), number, argv: vec!["ls".into()], ..Default::default() };
        self.client.ask(ask).await.unwrap();
    }

    pub(crate) async fn report(&mut self, kind: &str, body: &str) {
        let event = wire::EventDraft { kind: kind.to_owned(), body: body.to_owned().into(), ..Default::default() };
        self.client.events(wire::EventsRequest { events: vec![event] }).await.unwrap();
    }

    pub(crate) async fn ask(&mut self, call: &str, number: u64) -> bool {
        self.put(call, number).await;
        match self.stream.message().await.unwrap().unwrap().message.unwrap() {
            Message::Answer(answer) => answer.approved,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn finish(&mut self, text: &str) {
        let outcome = wire::Outcome { outcome: "completed".to_owned(), text: text.to_owned(), ..Default::default() };
        let part = wire::FinishRequest { part: Some(wire::finish_request::Part::Outcome(outcome)) };
        self.client.finish(futures::stream::iter([part])).await.unwrap();
    }
}

/// What happened to the jails, in order.
pub(crate) type Deeds = Arc<Mutex<Vec<String>>>;

pub(crate) struct FakeJails {
    pub(crate) behaviour: Behaviour,
    pub(crate) deeds: Deeds,
    pub(crate) refuse: Option<JailError>,
    /// Runners say nothing, not even their first word.
    pub(crate) silent: bool,
    count: Arc<std::sync::atomic::AtomicU32>,
}

struct FakeJail {
    behaviour: Behaviour,
    deeds: Deeds,
    count: Arc<std::sync::atomic::AtomicU32>,
    runner: tokio::task::JoinHandle<()>,
    events: mpsc::UnboundedReceiver<JailEvent>,
    tell: mpsc::UnboundedSender<JailEvent>,
    gone: bool,
    stopped: bool,
}

/// Ends the whole jail when the runner's behaviour panics with this.
pub(crate) const JAIL_DIES: &str = "the jail dies";

fn run_fake(
    behaviour: Behaviour,
    number: u32,
    rpc: OwnedFd,
    tell: mpsc::UnboundedSender<JailEvent>,
) -> tokio::task::JoinHandle<()> {
    tokio::spawn(async move {
        let ended = tokio::spawn(async move { behaviour(FakeRunner::connect(number, rpc).await).await }).await;
        let dies = ended.is_err_and(|error| {
            error.try_into_panic().is_ok_and(|panic| panic.downcast_ref::<&str>() == Some(&JAIL_DIES))
        });
        let event =
            if dies { JailEvent::Gone("killed".to_owned()) } else { JailEvent::RunnerEnded("signal 9".to_owned()) };
        let _ = tell.send(event);
    })
}

impl FakeJails {
    pub(crate) fn new<F: Future<Output = ()> + Send + 'static>(
        behaviour: impl Fn(FakeRunner) -> F + Send + Sync + 'static,
    ) -> Self {
        let behaviour: Behaviour = Arc::new(move |runner| Box::pin(behaviour(runner)));
        FakeJails { behaviour, deeds: Deeds::default(), refuse: None, silent: false, count: Arc::default() }
    }
}

fn next_number(count: &std::sync::atomic::AtomicU32) -> u32 {
    count.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1
}

#[async_trait]
impl JailStarter for FakeJails {
    async fn start(&self, spec: &JailSpec, rpc: OwnedFd) -> Result<Box<dyn Jail>, JailError> {
        if let Some(error) = &self.refuse {
            return Err(error.clone());
        }
        self.deeds.lock().unwrap().push(format!("start released={}", spec.released));
        let (tell, events) = mpsc::unbounded_channel();
        Ok(Box::new(FakeJail {
            behaviour: self.behaviour.clone(),
            deeds: self.deeds.clone(),
            count: self.count.clone(),
            runner: if self.silent {
                tokio::spawn(async move {
                    std::future::pending::<()>().await;
                    drop(rpc);
                })
            } else {
                run_fake(self.behaviour.clone(), next_number(&self.count), rpc, tell.clone())
            },
            events,
            tell,
            gone: false,
            stopped: false,
        }))
    }
}

#[async_trait]
impl Jail for FakeJail {
    async fn event(&mut self) -> JailEvent {
        if self.gone {
            return JailEvent::Gone("gone".to_owned());
        }
        let event = self.events.recv().await.unwrap();
        self.gone = matches!(event, JailEvent::Gone(_));
        event
    }

    async fn release(&mut self, question: &Question) -> Result<(), JailError> {
        self.deeds.lock().unwrap().push(format!("release {}", question.number));
        Ok(())
    }

    async fn restart_runner(&mut self, rpc: OwnedFd) -> Result<(), JailError> {
        self.deeds.lock().unwrap().push("restart".to_owned());
        self.runner = run_fake(self.behaviour.clone(), next_number(&self.count), rpc, self.tell.clone());
        Ok(())
    }

    async fn stop(&mut self) {
        // Again changes nothing, as the trait says.
        if std::mem::replace(&mut self.stopped, true) {
            return;
        }
        self.deeds.lock().unwrap().push("stop".to_owned());
        self.runner.abort();
        let _ = self.tell.send(JailEvent::Gone("stopped".to_owned()));
    }
}

pub(crate) struct FakePrepare;

#[async_trait]
impl Prepare for FakePrepare {
    async fn prepare(&self, _: &ExecutionId, request: &RunRequest) -> Result<Prepared, PrepareError> {
        if request.agent == "unknown" {
            let (message, hint) = ("there is no agent `unknown`".to_owned(), "leave it out".to_owned());
            return Err(PrepareError { message, hint });
        }
        let policy = Policy {
            roots: vec![],
            system: vec![],
            protected: vec![],
            hosts: vec![],
            env: vec![],
            unix: vec![],
            limits: Limits::default(),
            minimum: vec![],
        };
        let work = ExecutionWork { message: request.message.clone(), ..ExecutionWork::default() };
        Ok(Prepared { work, policy, level: stigmer_policy::Level::Full, code: vec![] })
    }
}

#[derive(Default)]
pub(crate) struct FakeUpstreams {
    pub(crate) keys: Mutex<std::collections::BTreeMap<String, String>>,
}

#[async_trait]
impl Upstreams for FakeUpstreams {
    fn check(&self, request: &RunRequest) -> Result<(), UpstreamError> {
        if request.provider != "script" && !self.keys.lock().unwrap().contains_key(&request.provider) {
            return Err(UpstreamError::NeedsKey { provider: request.provider.clone() });
        }
        Ok(())
    }

    async fn model(
        &self,
        _: &ExecutionId,
        request: &RunRequest,
        _: &ExecutionWork,
        _: &Arc<Store>,
    ) -> Result<Arc<dyn Model>, UpstreamError> {
        self.check(request)?;
        Ok(Arc::new(NoModel))
    }

    fn http(&self, _: &ExecutionId, _: &Policy, _: &Arc<Store>) -> Arc<dyn PluginHttp> {
        Arc::new(NoHttp)
    }

    fn left(&self, _: &ExecutionId) -> Option<String> {
        None
    }

    fn close(&self, _: &ExecutionId) {}

    fn set_secret(&self, name: &str, _: &str, origin: &str) -> Result<(), SecretError> {
        self.keys.lock().unwrap().insert(name.to_owned(), origin.to_owned());
        Ok(())
    }

    fn secrets(&self) -> Vec<(String, String)> {
        self.keys.lock().unwrap().clone().into_iter().collect()
    }

    fn delete_secret(&self, name: &str) -> bool {
        self.keys.lock().unwrap().remove(name).is_some()
    }

    fn providers(&self) -> Vec<ProviderState> {
        vec![]
    }
}

pub(crate) fn request(workspace: &Path, approve: Approve) -> RunRequest {
    RunRequest {
        workspace: workspace.display().to_string(),
        message: "do it".to_owned(),
        agent: String::new(),
        instructions: String::new(),
        skill_dirs: vec![],
        plugins: vec![],
        approve,
        provider: "script".to_owned(),
        model: "m".to_owned(),
        level: String::new(),
        sandbox: String::new(),
        script: String::new(),
        max_turns: 10,
        max_tokens: 0,
        resume: String::new(),
        policy: String::new(),
        settings: vec![],
        command_env: vec![],
        git_name: String::new(),
        git_email: String::new(),
    }
}
