use hyper_util::rt::TokioIo;
use stigmer_proto::local as wire;
use stigmer_proto::local::local_client::LocalClient;
use stigmer_proto::{PROTOCOL, PROTOCOL_METADATA};
use tokio::net::UnixStream;
use tokio::sync::oneshot;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request};

use super::*;
use crate::supervisor::tests::{FakeJails, FakePrepare, FakeRunner, FakeUpstreams};

struct Daemon {
    folder: tempfile::TempDir,
    task: tokio::task::JoinHandle<Result<(), ServeError>>,
    shutdown: oneshot::Sender<()>,
    client: LocalClient<Channel>,
}

fn config(home: PathBuf, jails: FakeJails) -> DaemonConfig {
    DaemonConfig {
        home,
        version: "9.9.9".to_owned(),
        settings: vec![],
        sandbox: SandboxState { kind: "wasi".to_owned(), level: "full".to_owned(), ..SandboxState::default() },
        durability: Durability::default(),
        jails: Arc::new(jails),
        prepare: Arc::new(FakePrepare),
        upstreams: Arc::new(FakeUpstreams::default()),
    }
}

async fn start(jails: FakeJails) -> Daemon {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("w")).unwrap();
    let config = config(folder.path().join("home"), jails);
    let (ready, is_ready) = oneshot::channel();
    let (shutdown, asked) = oneshot::channel::<()>();
    let on_ready = move |home: &Home| ready.send(home.socket()).unwrap();
    let task = tokio::spawn(serve(config, on_ready, async {
        let _ = asked.await;
    }));
    let socket = is_ready.await.unwrap();
    let connector = tower::service_fn(move |_| {
        let socket = socket.clone();
        async move { UnixStream::connect(socket).await.map(TokioIo::new) }
    });
    let channel = Endpoint::from_static("http://daemon").connect_with_connector_lazy(connector);
    Daemon { folder, task, shutdown, client: LocalClient::new(channel) }
}

fn spoken<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert(PROTOCOL_METADATA, PROTOCOL.into());
    request
}

impl Daemon {
    fn run(&self) -> Request<wire::RunRequest> {
        spoken(wire::RunRequest {
            workspace: self.folder.path().join("w").display().to_string(),
            message: "  do\nit ".to_owned(),
            provider: "script".to_owned(),
            approve: wire::ApproveMode::Auto.into(),
            ..Default::default()
        })
    }
}

fn finishing() -> FakeJails {
    FakeJails::new(|mut runner: FakeRunner| async move {
        runner.report("text_delta", r#"{"text":"hi"}"#).await;
        runner.finish("hi").await;
    })
}

#[tokio::test]
async fn a_client_runs_follows_and_reads_the_record() {
    let mut daemon = start(finishing()).await;
    let run = daemon.run();
    let execution = daemon.client.run(run).await.unwrap().into_inner().execution;
    let follow = wire::FollowRequest { execution: execution.clone(), ..Default::default() };
    let mut events = daemon.client.follow(spoken(follow)).await.unwrap().into_inner();
    let mut kinds = Vec::new();
    while let Some(event) = events.message().await.unwrap() {
        kinds.push((event.seq, event.kind));
    }
    let kinds: Vec<_> = kinds.iter().map(|(seq, kind)| (*seq, kind.as_str())).collect();
    assert_eq!(kinds, [(1, "created"), (2, "started"), (3, "text_delta"), (4, "ended")]);
    let show = wire::ShowExecutionRequest { execution: execution.clone() };
    let shown = daemon.client.show_execution(spoken(show)).await.unwrap().into_inner();
    let row = shown.execution.unwrap();
    assert_eq!((row.outcome.as_str(), row.title.as_str(), shown.text.as_str()), ("completed", "do it", "hi"));
    let list = daemon.client.list_executions(spoken(wire::ListExecutionsRequest::default())).await.unwrap();
    assert_eq!(list.into_inner().executions[0].id, execution);
    let cancelled = daemon.client.cancel(spoken(wire::CancelRequest { execution })).await.unwrap().into_inner();
    assert_eq!(cancelled.outcome, "completed");
}

#[tokio::test]
async fn another_protocol_is_refused_but_told_the_version() {
    let mut daemon = start(finishing()).await;
    let hello = daemon.client.hello(wire::HelloRequest::default()).await.unwrap().into_inner();
    assert_eq!((hello.version.as_str(), hello.protocol), ("9.9.9", PROTOCOL));
    for protocol in [None, Some(PROTOCOL + 1)] {
        let mut request = Request::new(wire::StatusRequest {});
        if let Some(protocol) = protocol {
            request.metadata_mut().insert(PROTOCOL_METADATA, protocol.into());
        }
        let refused = daemon.client.status(request).await.unwrap_err();
        assert_eq!(refused.code(), Code::FailedPrecondition);
        let hint = refused.metadata().get_bin(crate::api::local::HINT_METADATA).unwrap().to_bytes().unwrap();
        assert_eq!(hint, "run `stigmer local restart`");
    }
    let status = daemon.client.status(spoken(wire::StatusRequest {})).await.unwrap().into_inner();
    assert_eq!(status.sandbox.unwrap().level, "full");
}

#[tokio::test]
async fn a_home_is_served_once_and_left_clean() {
    let mut daemon = start(FakeJails::new(FakeRunner::hold)).await;
    let home = daemon.folder.path().join("home");
    let mode = std::fs::metadata(home.join("daemon.sock")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let second = serve(config(home.clone(), finishing()), |_| {}, std::future::pending()).await;
    assert!(matches!(second, Err(ServeError::Home(HomeError::Held { .. }))), "{second:?}");
    let run = daemon.run();
    let execution = daemon.client.run(run).await.unwrap().into_inner().execution;
    let follow = wire::FollowRequest { execution, ..Default::default() };
    let mut events = daemon.client.follow(spoken(follow)).await.unwrap().into_inner();
    while events.message().await.unwrap().unwrap().kind != "started" {}
    let stopped = daemon.client.stop(spoken(wire::StopRequest {})).await.unwrap().into_inner();
    assert_eq!(stopped.parked, 1);
    assert_eq!(events.message().await.unwrap().unwrap().kind, "parked");
    assert!(!matches!(events.message().await, Ok(Some(_))), "a follower hears that the daemon is gone");
    daemon.task.await.unwrap().unwrap();
    assert!(!home.join("daemon.sock").exists());
    drop(daemon.shutdown);
}

#[tokio::test]
async fn a_daemon_that_is_told_to_stop_by_its_owner_stops_and_a_stale_socket_is_replaced() {
    let daemon = start(finishing()).await;
    let home = daemon.folder.path().join("home");
    daemon.shutdown.send(()).unwrap();
    daemon.task.await.unwrap().unwrap();
    // What a killed daemon leaves.
    drop(std::os::unix::net::UnixListener::bind(home.join("daemon.sock")).unwrap());
    serve(config(home, finishing()), |_| {}, std::future::ready(())).await.unwrap();
}

#[tokio::test]
async fn secrets_are_listed_by_name_and_requests_are_checked() {
    let mut daemon = start(finishing()).await;
    let secret =
        wire::SetSecretRequest { name: "anthropic".to_owned(), value: b"canary".to_vec(), origin: "prompt".to_owned() };
    daemon.client.set_secret(spoken(secret)).await.unwrap();
    let list = daemon.client.list_secrets(spoken(wire::ListSecretsRequest {})).await.unwrap().into_inner();
    assert_eq!((list.secrets[0].name.as_str(), list.secrets[0].origin.as_str()), ("anthropic", "prompt"));
    let delete = || spoken(wire::DeleteSecretRequest { name: "anthropic".to_owned() });
    assert!(daemon.client.delete_secret(delete()).await.unwrap().into_inner().existed);
    assert!(!daemon.client.delete_secret(delete()).await.unwrap().into_inner().existed);

    type Change = fn(&mut wire::RunRequest);
    let cases: [(Change, &str); 4] = [
        (|run| run.message = " ".to_owned(), "the message is empty"),
        (|run| run.workspace = "w".to_owned(), "`w` is not absolute"),
        (|run| run.agent = "unknown".to_owned(), "there is no agent `unknown`"),
        (|run| run.resume = "aex-1".to_owned(), "there is no execution `aex-1`"),
    ];
    for (change, says) in cases {
        let mut run = daemon.run();
        change(run.get_mut());
        assert_eq!(daemon.client.run(run).await.unwrap_err().message(), says);
    }
    let mut keyless = daemon.run();
    keyless.get_mut().provider = "openai".to_owned();
    assert_eq!(daemon.client.run(keyless).await.unwrap_err().code(), Code::FailedPrecondition);
}
