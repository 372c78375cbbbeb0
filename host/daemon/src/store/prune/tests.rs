#![expect(clippy::disallowed_methods, reason = "tests look at their own files")]

use std::path::Path;

use bytes::Bytes;

use super::*;
use crate::id::now_ms;
use crate::store::tests::{create, event, new_execution, open};
use crate::store::{BlobRef, NewEvent, Observer};
use crate::supervisor::Outcome;

async fn going_on(store: &Store, parent: &ExecutionId) -> ExecutionId {
    let new = crate::store::NewExecution { parent: parent.to_string(), ..new_execution(Path::new("/w")) };
    let id = new.id.clone();
    store.create(new, NewEvent::new("created", &serde_json::json!({}))).await.unwrap();
    id
}

async fn end(store: &Store, execution: &ExecutionId) {
    store.end(execution, Outcome::Completed, String::new(), String::new()).await.unwrap();
}

/// A moment after everything until now, and before everything from now on.
fn moment() -> i64 {
    let before = now_ms() + 1;
    while now_ms() <= before {
        std::thread::yield_now();
    }
    before
}

fn rows(folder: &Path, table: &str) -> i64 {
    let connection = Connection::open(folder.join("state.db")).unwrap();
    connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
}

#[tokio::test]
async fn what_ended_long_ago_goes_with_all_that_nobody_else_has_and_nothing_else_does() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let (old, runs, parked) = (create(&store).await, create(&store).await, create(&store).await);
    let shared = Bytes::from_static(b"both have it");
    let own = store.put_blob(&old, Bytes::from_static(b"its own")).await.unwrap();
    store.put_blob(&old, shared.clone()).await.unwrap();
    store.put_blob(&runs, shared.clone()).await.unwrap();
    store.append_events(&old, vec![event("x")]).await.unwrap();
    store.set_state(&parked, "parked", String::new(), 1, vec![]).await.unwrap();
    let denial = stigmer_policy::Denial {
        rule: stigmer_policy::Rule::OutsideRoots,
        subject: "read /x".to_owned(),
        reason: "no".to_owned(),
        grant: None,
    };
    store.deny(&old, &denial, Observer::Runner, None, "").await.unwrap();
    // Two conversations: one is over as a whole, one goes on.
    let (over, last) = {
        let over = create(&store).await;
        let last = going_on(&store, &over).await;
        (over, last)
    };
    let (needed, goes_on) = {
        let it = create(&store).await;
        let next = going_on(&store, &it).await;
        (it, next)
    };
    for ended in [&old, &over, &last, &needed] {
        end(&store, ended).await;
    }
    let before = moment();
    let recent = create(&store).await;
    end(&store, &recent).await;
    let audit = std::fs::read(folder.path().join("audit.jsonl")).unwrap();
    assert!(!audit.is_empty());

    let named = store.prunable(before).await.unwrap();
    assert_eq!((&named.executions, named.kept), (&vec![last.clone(), over.clone(), old.clone()], 1));
    assert!(named.bytes >= (b"its own".len() + shared.len()) as u64);
    assert_eq!(rows(folder.path(), "executions"), 8, "naming removes nothing");
    assert_eq!(store.prune(before).await.unwrap(), named);

    for gone in [&old, &over, &last] {
        assert!(matches!(store.execution(gone).await, Err(StoreError::NoExecution(_))));
    }
    for stays in [&runs, &parked, &needed, &goes_on, &recent] {
        assert_eq!(&store.execution(stays).await.unwrap().id, stays);
        assert!(!store.events_after(stays, 0).await.unwrap().is_empty());
    }
    assert_eq!(store.lineage(goes_on.as_str()).await.unwrap().len(), 2);
    assert_eq!((rows(folder.path(), "blobs"), rows(folder.path(), "denials")), (1, 0));
    assert_eq!(store.blob(&runs, BlobRef::of(&shared).sha256).await.unwrap(), Some(shared));
    assert_eq!(store.blob(&old, own.sha256).await.unwrap(), None);
    assert_eq!(std::fs::read(folder.path().join("audit.jsonl")).unwrap(), audit, "the audit log keeps its rows");
    assert_eq!(store.prune(before).await.unwrap(), Prunable { kept: 1, ..Prunable::default() });
}

#[tokio::test]
async fn what_is_gone_cannot_be_gone_on_from() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let old = create(&store).await;
    end(&store, &old).await;
    assert_eq!(store.prune(moment()).await.unwrap().executions, std::slice::from_ref(&old));
    let new = crate::store::NewExecution { parent: old.to_string(), ..new_execution(Path::new("/w")) };
    let refused = store.create(new, NewEvent::new("created", &serde_json::json!({}))).await;
    assert!(matches!(refused, Err(StoreError::NoExecution(name)) if name == old.as_str()));
}

#[tokio::test]
async fn the_space_goes_back_to_the_file_system() {
    const BLOBS: u32 = 24;
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let (old, stays) = (create(&store).await, create(&store).await);
    for number in 0..BLOBS {
        let mut data = vec![b'x'; 1 << 20];
        data[..4].copy_from_slice(&number.to_be_bytes());
        store.put_blob(if number == 0 { &stays } else { &old }, data.into()).await.unwrap();
    }
    end(&store, &old).await;
    let pages = || {
        let connection = Connection::open(folder.path().join("state.db")).unwrap();
        let number = |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0)).unwrap();
        (number("page_count"), number("freelist_count"))
    };
    let (before, _) = pages();
    store.prune(moment()).await.unwrap();
    let (after, free) = pages();
    assert!(after < before / 8 && free == 0, "{before} pages, then {after}, {free} of them free");
    let connection = Connection::open(folder.path().join("state.db")).unwrap();
    let whole: String = connection.pragma_query_value(None, "integrity_check", |row| row.get(0)).unwrap();
    assert_eq!(whole, "ok");
}
