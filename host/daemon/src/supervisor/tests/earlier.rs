//! Executions that go on from others.

use super::*;

fn says_earlier() -> FakeJails {
    FakeJails::new(|mut runner: FakeRunner| async move {
        runner.journal("t1").await;
        let earlier = runner.earlier.iter().map(|(message, entries)| format!("{message}:{entries}"));
        let earlier = earlier.collect::<Vec<_>>().join(" ");
        runner.finish(&earlier).await;
    })
}

async fn ended(stage: &Stage, request: RunRequest) -> (ExecutionId, String) {
    let id = stage.supervisor.run(request).await.unwrap();
    stage.events_until(&id, "ended").await;
    let text = stage.supervisor.store().execution(&id).await.unwrap().text;
    (id, text)
}

fn after(stage: &Stage, id: &ExecutionId, message: &str) -> RunRequest {
    let request = request(&stage.workspace, Approve::Auto);
    RunRequest { resume: id.to_string(), message: message.to_owned(), ..request }
}

#[tokio::test]
async fn each_one_is_told_of_all_before_it_with_their_messages_oldest_first() {
    let stage = stage(says_earlier());
    let (first, text) = ended(&stage, request(&stage.workspace, Approve::Auto)).await;
    assert_eq!(text, "");
    let (second, text) = ended(&stage, after(&stage, &first, "more")).await;
    assert_eq!(text, "do it:1");
    let (third, text) = ended(&stage, after(&stage, &second, "most")).await;
    assert_eq!(text, "do it:1 more:1");
    // Two may go on from the same one; neither knows of the other.
    assert_eq!(ended(&stage, after(&stage, &first, "else")).await.1, "do it:1");
    assert_eq!(stage.supervisor.store().execution(&third).await.unwrap().parent, second.to_string());
}

#[tokio::test]
async fn what_a_run_leaves_open_is_taken_over_and_what_it_says_is_not() {
    let stage = stage(says_earlier());
    let first = RunRequest {
        skill_dirs: vec!["/skill".to_owned()],
        policy: "p".to_owned(),
        level: "base".to_owned(),
        max_tokens: 7,
        ..request(&stage.workspace, Approve::Auto)
    };
    let (first, _) = ended(&stage, first).await;
    let own = RunRequest { policy: "q".to_owned(), approve: Approve::Deny, ..after(&stage, &first, "x") };
    let (second, _) = ended(&stage, own).await;
    let row = stage.supervisor.store().execution(&second).await.unwrap();
    let stored: RunRequest = serde_json::from_slice(&row.request).unwrap();
    assert_eq!((stored.skill_dirs, stored.level), (vec!["/skill".to_owned()], "base".to_owned()));
    assert_eq!((stored.policy.as_str(), stored.approve, stored.max_tokens), ("q", Approve::Deny, 0));
}

#[tokio::test]
async fn what_cannot_be_gone_on_from_is_named_and_leaves_nothing() {
    let stage = stage(FakeJails::new(FakeRunner::hold));
    let running = stage.supervisor.run(request(&stage.workspace, Approve::Auto)).await.unwrap();
    let words = async |request| stage.supervisor.run(request).await.unwrap_err().to_string();
    assert_eq!(
        words(after(&stage, &running, "x")).await,
        format!("`{running}` has not ended; follow or cancel it first")
    );
    stage.supervisor.cancel(&running).await.unwrap();
    let over = running;
    let unknown = RunRequest { resume: "aex-1".to_owned(), ..after(&stage, &over, "x") };
    let error = stage.supervisor.run(unknown).await.unwrap_err();
    assert!(matches!(&error, RunError::Store(StoreError::NoExecution(name)) if name == "aex-1"), "{error:?}");
    let elsewhere = RunRequest { workspace: "/elsewhere".to_owned(), ..after(&stage, &over, "x") };
    let want = format!("`{over}` worked on `{}`, not on this folder", stage.workspace.display());
    assert_eq!(words(elsewhere).await, want);
    let ollama = RunRequest { provider: "ollama".to_owned(), ..after(&stage, &over, "x") };
    assert_eq!(words(ollama).await, format!("`{over}` talked with `script`, which `ollama` cannot go on from"));
    assert_eq!(stage.supervisor.store().executions(9, "").await.unwrap().len(), 1);
    assert_eq!(stage.supervisor.store().executions(9, "/elsewhere").await.unwrap().len(), 0);
    let here = stage.workspace.display().to_string();
    assert_eq!(stage.supervisor.store().executions(9, &here).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_conversation_has_so_many_parts_and_not_one_more() {
    let stage = stage(says_earlier());
    let (mut last, _) = ended(&stage, request(&stage.workspace, Approve::Auto)).await;
    for part in 1..=MAX_EARLIER {
        let (next, text) = ended(&stage, after(&stage, &last, "x")).await;
        assert_eq!(text.matches(":1").count(), part);
        last = next;
    }
    let error = stage.supervisor.run(after(&stage, &last, "x")).await.unwrap_err();
    assert!(matches!(error, RunError::TooLong), "{error}");
}

#[tokio::test]
async fn after_a_restart_it_is_told_the_same() {
    let jails = FakeJails::new(|mut runner: FakeRunner| async move {
        match (runner.work.message.as_str(), runner.journal.len()) {
            ("more", 0) => {
                runner.journal("t1").await;
                runner.report("turn", "{}").await;
                std::future::pending().await
            }
            ("more", _) => assert_eq!(runner.earlier, [("do it".to_owned(), 0)]),
            _ => {}
        }
        runner.finish("went on").await;
    });
    let stage = stage(jails);
    let (first, _) = ended(&stage, request(&stage.workspace, Approve::Auto)).await;
    let second = stage.supervisor.run(after(&stage, &first, "more")).await.unwrap();
    stage.events_until(&second, "turn").await;
    stage.supervisor.stop().await;
    stage.supervisor.go_on().await.unwrap();
    stage.events_until(&second, "ended").await;
    assert_eq!(stage.supervisor.store().execution(&second).await.unwrap().text, "went on");
}
