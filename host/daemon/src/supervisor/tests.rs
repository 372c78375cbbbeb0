mod earlier;
mod fake;

use super::jail::JailError;
use super::*;
use crate::events::Follower;
use crate::request::Approve;
use fake::JAIL_DIES;
pub(crate) use fake::{Deeds, FakeJails, FakePrepare, FakeRunner, FakeUpstreams, request};

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
    let (deeds, silent) = (jails.deeds.clone(), jails.silent);
    let home = Home::open(folder.path().join("home")).unwrap();
    let store = crate::store::tests::open(home.path());
    let upstreams = Arc::new(FakeUpstreams::default());
    let mut supervisor = Supervisor::new(home, store, Arc::new(jails), Arc::new(FakePrepare), upstreams.clone());
    if silent {
        Arc::get_mut(&mut supervisor.0).unwrap().lease_time = Duration::from_millis(50);
    }
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
async fn a_runner_that_never_leases_is_given_up_by_name() {
    let mut jails = FakeJails::new(|_| async {});
    jails.silent = true;
    let stage = stage(jails);
    let id = stage.supervisor.run(request(&stage.workspace, Approve::Auto)).await.unwrap();
    assert_eq!(stage.events_until(&id, "ended").await, ["created", "ended"]);
    let row = stage.supervisor.store().execution(&id).await.unwrap();
    let reason = "the runner did not lease its work in time";
    assert_eq!((row.outcome, row.reason.as_str()), (Some(Outcome::Failed), reason));
    assert_eq!(stage.deeds(), ["start released=false", "stop"]);
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
async fn an_approval_lets_one_start_happen_and_the_next_runner_that_asks_gets_the_answer_alone() {
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
    assert_eq!(stage.deeds(), ["start released=true", "release 1", "restart", "stop"]);
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
    assert_eq!(stage.supervisor.store().executions(9, "").await.unwrap().len(), 1, "a refused request leaves nothing");
}

#[tokio::test]
async fn a_call_is_held_until_init_is_told_of_it_and_no_longer() {
    let jails = FakeJails::new(|mut runner: FakeRunner| async move {
        if runner.number == 1 {
            runner.begin("c1").await;
            runner.begin("c2").await;
            assert!(runner.ask("c2", 2).await);
            runner.put("c1", 1).await;
            std::future::pending::<()>().await;
        }
        let held: Vec<bool> = runner.journal.iter().map(|entry| entry.held).collect();
        runner.finish(&format!("{held:?}")).await;
    });
    let stage = stage(jails);
    let id = stage.supervisor.run(request(&stage.workspace, Approve::Ask)).await.unwrap();
    stage.events_until(&id, "approval_asked").await;
    stage.supervisor.answer(&id, "c2", false, true).await.unwrap();
    while stage.supervisor.store().approvals(&id).await.unwrap().len() < 2 {
        tokio::task::yield_now().await;
    }
    stage.supervisor.stop().await;
    // Between two daemons: approved, and nobody could have started it.
    assert_eq!(stage.supervisor.answer(&id, "c1", false, true).await.unwrap().len(), 1);
    stage.supervisor.go_on().await.unwrap();
    stage.events_until(&id, "ended").await;
    assert_eq!(stage.supervisor.store().execution(&id).await.unwrap().text, "[true, false]");
}
