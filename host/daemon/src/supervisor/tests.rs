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

use super::jail::{Jail, JailError, JailEvent, JailSpec};
use super::ports::{ProviderState, SecretError};
use super::*;
use crate::api::runner::{ExecutionWork, Model, NoHttp, NoModel, PluginHttp, Question};
use crate::events::Follower;
use crate::request::Approve;

/// A runner that lives in this process: what it does when it is started for the n-th time.
type Behaviour = Arc<dyn Fn(FakeRunner) -> BoxFuture<'static, ()> + Send + Sync>;

pub(crate) struct FakeRunner {
    pub(crate) number: u32,
    client: RunnerClient<Channel>,
    stream: Streaming<wire::FromDaemon>,
    pub(crate) work: wire::Execution,
    pub(crate) journal: Vec<wire::Entry>,
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
        let (mut work, mut journal) = (wire::Execution::default(), Vec::new());
        loop {
            match stream.message().await.unwrap().unwrap().message.unwrap() {
                Message::Spec(wire::Spec { work: Some(wire::spec::Work::Execution(sent)) }) => work = sent,
                Message::Entry(entry) => journal.push(entry),
                Message::Start(_) => break,
                other => panic!("{other:?}"),
            }
        }
        FakeRunner { number, client, stream, work, journal }
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

    pub(crate) async fn report(&mut self, kind: &str, body: &str) {
        let event = wire::EventDraft { kind: kind.to_owned(), body: body.to_owned().into(), ..Default::default() };
        self.client.events(wire::EventsRequest { events: vec![event] }).await.unwrap();
    }

    async fn ask(&mut self, call: &str, number: u64) -> bool {
        let ask = wire::AskRequest { call: call.to_owned(), number, argv: vec!["ls".into()], ..Default::default() };
        self.client.ask(ask).await.unwrap();
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
const JAIL_DIES: &str = "the jail dies";

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
        FakeJails { behaviour, deeds: Deeds::default(), refuse: None, count: Arc::default() }
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
            runner: run_fake(self.behaviour.clone(), next_number(&self.count), rpc, tell.clone()),
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
        max_cost_micros: 0,
        resume: String::new(),
        policy: String::new(),
        settings: vec![],
        command_env: vec![],
        git_name: String::new(),
        git_email: String::new(),
    }
}

struct Stage {
    _folder: tempfile::TempDir,
    workspace: std::path::PathBuf,
    supervisor: Supervisor,
    deeds: Deeds,
    upstreams: Arc<FakeUpstreams>,
}

fn stage(jails: FakeJails) -> Stage {
    let folder = tempfile::tempdir().unwrap();
    let workspace = folder.path().join("w");
    std::fs::create_dir(&workspace).unwrap();
    let deeds = jails.deeds.clone();
    let home = Home::open(folder.path().join("home")).unwrap();
    let store = crate::store::tests::open(home.path());
    let upstreams = Arc::new(FakeUpstreams::default());
    let supervisor = Supervisor::new(home, store, Arc::new(jails), Arc::new(FakePrepare), upstreams.clone());
    Stage { _folder: folder, workspace, supervisor, deeds, upstreams }
}

impl Stage {
    async fn events_until(&self, id: &ExecutionId, kind: &str) -> Vec<String> {
        let mut follower = Follower::start(self.supervisor.store().clone(), id.clone(), 0).await.unwrap();
        let mut kinds = Vec::new();
        while let Some(event) = follower.next().await.unwrap() {
            kinds.push(event.event.kind);
            if kinds.last().unwrap() == kind {
                break;
            }
        }
        kinds
    }

    fn deeds(&self) -> Vec<String> {
        self.deeds.lock().unwrap().clone()
    }
}

#[tokio::test]
async fn an_execution_runs_and_its_record_is_written() {
    let jails = FakeJails::new(|mut runner: FakeRunner| async move {
        runner.journal("t1").await;
        let folder = runner.work.message.clone();
        assert_eq!(folder, "do it");
        runner.report("file_changed", r#"{"path":"made","wall":"file-tool"}"#).await;
        runner.report("denial", r#"{"rule":"network-off","subject":"connect x:1","reason":"no","grant":null}"#).await;
        runner.finish("all done").await;
    });
    let stage = stage(jails);
    let id = stage.supervisor.run(request(&stage.workspace, Approve::Auto)).await.unwrap();
    // Written while it runs, by no tool of ours: the walk at the end finds it all the same.
    let kinds = stage.events_until(&id, "ended").await;
    assert_eq!(kinds, ["created", "started", "file_changed", "denial", "ended"]);
    let row = stage.supervisor.store().execution(&id).await.unwrap();
    assert_eq!((row.outcome, row.text.as_str(), row.attempt), (Some(Outcome::Completed), "all done", 1));
    assert_eq!(stage.supervisor.store().denials(&id).await.unwrap()[0].observer, "runner");
    assert_eq!(stage.deeds(), ["start released=false", "stop"]);
}

#[tokio::test]
async fn a_runner_that_dies_is_replaced_in_the_same_jail_and_goes_on_from_the_journal() {
    let jails = FakeJails::new(|mut runner: FakeRunner| async move {
        assert_eq!(runner.journal.len() as u32, runner.number - 1);
        assert_eq!((runner.work.attempt, runner.work.scratch_lost), (runner.number, false));
        runner.journal(&runner.number.to_string()).await;
        if runner.number == 8 {
            runner.finish("").await;
        }
    });
    let stage = stage(jails);
    let id = stage.supervisor.run(request(&stage.workspace, Approve::Auto)).await.unwrap();
    let kinds = stage.events_until(&id, "ended").await;
    assert_eq!(kinds.iter().filter(|kind| *kind == "interrupted").count(), 7, "{kinds:?}");
    let row = stage.supervisor.store().execution(&id).await.unwrap();
    assert_eq!((row.outcome, row.attempt), (Some(Outcome::Completed), 8));
    assert_eq!(stage.deeds().iter().filter(|deed| *deed == "restart").count(), 7);
}

#[tokio::test]
async fn a_jail_that_dies_is_made_again_and_the_runner_is_told_that_scratch_is_gone() {
    let jails = FakeJails::new(|mut runner: FakeRunner| async move {
        runner.journal(&runner.number.to_string()).await;
        if runner.number == 1 {
            std::panic::panic_any(JAIL_DIES);
        }
        assert!(runner.work.scratch_lost);
        assert_eq!(runner.journal.len(), 1);
        runner.finish("").await;
    });
    let stage = stage(jails);
    let id = stage.supervisor.run(request(&stage.workspace, Approve::Auto)).await.unwrap();
    stage.events_until(&id, "ended").await;
    let row = stage.supervisor.store().execution(&id).await.unwrap();
    assert_eq!(row.outcome, Some(Outcome::Completed), "{}", row.reason);
    assert_eq!(stage.deeds(), ["start released=false", "start released=false", "stop"]);
}

#[tokio::test]
async fn a_runner_that_never_gets_on_is_given_up() {
    let stage = stage(FakeJails::new(|_| async {}));
    let id = stage.supervisor.run(request(&stage.workspace, Approve::Auto)).await.unwrap();
    stage.events_until(&id, "ended").await;
    let row = stage.supervisor.store().execution(&id).await.unwrap();
    assert_eq!(row.outcome, Some(Outcome::Failed));
    assert_eq!(row.attempt, state::MAX_CRASHES + 1);
    assert_eq!(stage.deeds().last().unwrap(), "stop");
}

#[tokio::test]
async fn cancel_returns_when_the_tree_is_gone_even_of_a_runner_that_does_not_listen() {
    let stage = stage(FakeJails::new(FakeRunner::hold));
    let id = stage.supervisor.run(request(&stage.workspace, Approve::Auto)).await.unwrap();
    stage.events_until(&id, "started").await;
    assert_eq!(stage.supervisor.cancel(&id).await.unwrap(), Outcome::Cancelled);
    assert_eq!(stage.deeds(), ["start released=false", "stop"]);
    assert_eq!(stage.supervisor.running(), 0);
    assert_eq!(stage.supervisor.cancel(&id).await.unwrap(), Outcome::Cancelled, "again changes nothing");
}

#[tokio::test]
async fn a_call_that_waits_is_released_before_its_runner_is_told_and_a_denied_one_never() {
    for approve in [true, false] {
        let jails = FakeJails::new(|mut runner: FakeRunner| async move {
            let approved = runner.ask("c1", 41).await;
            runner.finish(if approved { "started" } else { "left out" }).await;
        });
        let stage = stage(jails);
        let id = stage.supervisor.run(request(&stage.workspace, Approve::Ask)).await.unwrap();
        stage.events_until(&id, "parked").await;
        assert_eq!(stage.deeds(), ["start released=true"]);
        assert_eq!(stage.supervisor.answer(&id, "", false, approve).await.unwrap().len(), 1);
        assert!(stage.supervisor.answer(&id, "c1", false, true).await.unwrap().is_empty(), "one answer per call");
        stage.events_until(&id, "ended").await;
        let text = stage.supervisor.store().execution(&id).await.unwrap().text;
        if approve {
            assert_eq!(text, "started");
            assert_eq!(stage.deeds(), ["start released=true", "release 41", "stop"]);
        } else {
            assert_eq!(text, "left out");
            assert_eq!(stage.deeds(), ["start released=true", "stop"]);
        }
    }
}

#[tokio::test]
async fn an_approved_call_is_released_again_to_the_next_runner_without_asking_anybody() {
    let jails = FakeJails::new(|mut runner: FakeRunner| async move {
        assert!(runner.ask("c1", u64::from(runner.number)).await);
        if runner.number == 2 {
            runner.finish("").await;
        }
    });
    let stage = stage(jails);
    let id = stage.supervisor.run(request(&stage.workspace, Approve::Ask)).await.unwrap();
    stage.events_until(&id, "approval_asked").await;
    stage.supervisor.answer(&id, "c1", false, true).await.unwrap();
    let kinds = stage.events_until(&id, "ended").await;
    assert_eq!(kinds.iter().filter(|kind| *kind == "approval_asked").count(), 1);
    assert_eq!(stage.deeds(), ["start released=true", "release 1", "restart", "release 2", "stop"]);
}

#[tokio::test]
async fn with_deny_nobody_is_asked_and_nothing_is_released() {
    let jails = FakeJails::new(|mut runner: FakeRunner| async move {
        assert!(!runner.ask("c1", 1).await);
        runner.finish("").await;
    });
    let stage = stage(jails);
    let id = stage.supervisor.run(request(&stage.workspace, Approve::Deny)).await.unwrap();
    let kinds = stage.events_until(&id, "ended").await;
    assert!(!kinds.contains(&"parked".to_owned()));
    assert_eq!(stage.deeds(), ["start released=true", "stop"]);
}

#[tokio::test]
async fn what_a_stopped_daemon_left_goes_on_under_the_next() {
    let jails = FakeJails::new(|mut runner: FakeRunner| async move {
        if runner.journal.is_empty() {
            runner.journal("t1").await;
            runner.report("turn", "{}").await;
            std::future::pending().await
        }
        runner.finish("went on").await;
    });
    let stage = stage(jails);
    let id = stage.supervisor.run(request(&stage.workspace, Approve::Auto)).await.unwrap();
    stage.events_until(&id, "turn").await;
    assert_eq!(stage.supervisor.stop().await, 1);
    let row = stage.supervisor.store().execution(&id).await.unwrap();
    assert_eq!((row.outcome, row.state.as_str()), (None, "stopped"));
    assert_eq!(stage.deeds(), ["start released=false", "stop"]);
    stage.supervisor.go_on().await.unwrap();
    stage.events_until(&id, "ended").await;
    assert_eq!(stage.supervisor.store().execution(&id).await.unwrap().text, "went on");
}

#[tokio::test]
async fn without_its_key_an_execution_waits_and_goes_on_when_the_key_comes() {
    let jails = FakeJails::new(|mut runner: FakeRunner| async move {
        if runner.number == 1 {
            runner.report("turn", "{}").await;
            std::future::pending().await
        }
        runner.finish("").await;
    });
    let stage = stage(jails);
    let with_key = RunRequest { provider: "anthropic".to_owned(), ..request(&stage.workspace, Approve::Auto) };
    let refused = stage.supervisor.run(with_key.clone()).await.unwrap_err();
    assert!(matches!(refused, RunError::Upstream(UpstreamError::NeedsKey { .. })));
    stage.upstreams.set_secret("anthropic", "k", "prompt").unwrap();
    let id = stage.supervisor.run(with_key).await.unwrap();
    stage.events_until(&id, "turn").await;
    stage.supervisor.stop().await;
    stage.upstreams.delete_secret("anthropic");
    for _ in 0..2 {
        stage.supervisor.go_on().await.unwrap();
        assert_eq!(stage.supervisor.store().execution(&id).await.unwrap().state, "needs_key");
    }
    stage.upstreams.set_secret("anthropic", "k", "prompt").unwrap();
    stage.supervisor.go_on().await.unwrap();
    stage.events_until(&id, "ended").await;
}

#[tokio::test]
async fn a_jail_that_cannot_be_made_is_a_named_end() {
    let message = "the kernel has no user namespaces".to_owned();
    let mut jails = FakeJails::new(|_| async {});
    jails.refuse = Some(JailError { message: message.clone(), again: false });
    let stage = stage(jails);
    let id = stage.supervisor.run(request(&stage.workspace, Approve::Auto)).await.unwrap();
    stage.events_until(&id, "ended").await;
    let row = stage.supervisor.store().execution(&id).await.unwrap();
    assert_eq!((row.outcome, row.reason), (Some(Outcome::Failed), message));
    let unknown = RunRequest { agent: "unknown".to_owned(), ..request(&stage.workspace, Approve::Auto) };
    assert!(matches!(stage.supervisor.run(unknown).await, Err(RunError::Prepare(_))));
    assert_eq!(stage.supervisor.store().executions(9).await.unwrap().len(), 1, "a refused request leaves nothing");
}
