use super::*;
use crate::store::tests::{create, event, open};
use crate::supervisor::Outcome;

async fn collect(follower: &mut Follower) -> Vec<u64> {
    let mut seqs = Vec::new();
    while let Some(event) = follower.next().await.unwrap() {
        seqs.push(event.seq);
    }
    seqs
}

/// Followers that start at any moment, fast or slow, see each event once and in order, until the end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replay_and_follow_lose_and_repeat_nothing() {
    const EVENTS: u64 = 600;
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let id = create(&store).await;
    let mut followers = Vec::new();
    for number in 1..EVENTS {
        store.append_events(&id, vec![event(&number.to_string())]).await.unwrap();
        if number % 60 == 0 {
            let (store, id) = (store.clone(), id.clone());
            let after = if number % 120 == 0 { 0 } else { number / 2 };
            followers.push(tokio::spawn(async move {
                let mut follower = Follower::start(store, id, after).await.unwrap();
                (after, collect(&mut follower).await)
            }));
        }
    }
    // Never read until everything is stored: it holds nothing meanwhile.
    let mut slow = Follower::start(store.clone(), id.clone(), 0).await.unwrap();
    store.end(&id, Outcome::Completed, String::new(), String::new()).await.unwrap();
    for follower in followers {
        let (after, seqs) = follower.await.unwrap();
        assert_eq!(seqs, (after + 1..=EVENTS + 1).collect::<Vec<_>>());
    }
    assert!(slow.page.is_empty());
    assert_eq!(collect(&mut slow).await, (1..=EVENTS + 1).collect::<Vec<_>>());
    drop(slow);
    assert!(store.publisher().followed.lock().unwrap().is_empty(), "nobody follows, nothing is kept");
}

#[tokio::test]
async fn an_event_that_comes_while_one_waits_is_seen() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let id = create(&store).await;
    let mut follower = Follower::start(store.clone(), id.clone(), 1).await.unwrap();
    let mut next = Box::pin(follower.next());
    assert!(futures::poll!(&mut next).is_pending());
    store.append_events(&id, vec![event("x")]).await.unwrap();
    assert_eq!(next.await.unwrap().unwrap().seq, 2);
}

#[tokio::test]
async fn what_has_ended_is_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let id = create(&store).await;
    store.end(&id, Outcome::Failed, "x".to_owned(), String::new()).await.unwrap();
    let mut beyond = Follower::start(store.clone(), id, 99).await.unwrap();
    assert_eq!(beyond.next().await.unwrap(), None);
    assert!(matches!(Follower::start(store.clone(), ExecutionId::new(), 0).await, Err(StoreError::NoExecution(_))));
    assert!(store.publisher().followed.lock().unwrap().keys().count() <= 1);
}
