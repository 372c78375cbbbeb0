//! `execution prune`.

use crate::parked::asking;
use crate::runs::{SCRIPT, run};
use crate::world::World;

fn listed(world: &World) -> Vec<String> {
    let listed = world.run(&["execution", "list", "--json"]);
    let listed: serde_json::Value = serde_json::from_str(&listed.out).unwrap();
    listed["executions"].as_array().unwrap().iter().map(|it| it["id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn what_ended_is_removed_when_it_is_asked_for_and_what_waits_stays() {
    let world = World::new();
    world.start();
    assert_eq!(run(&world, SCRIPT, &[]).code, 0);
    std::fs::remove_file(world.work().join("note.md")).unwrap();
    assert_eq!(run(&world, SCRIPT, &[]).code, 0);
    let asking = asking(&world, "json");
    let all = listed(&world);
    assert_eq!((all.len(), &all[0]), (3, &asking.execution));

    let said = world.run(&["execution", "prune", "--older-than", "1h", "--yes"]);
    assert_eq!((said.code, said.out.starts_with("removed 0 executions")), (0, true));
    let said = world.run(&["execution", "prune", "--older-than", "0h"]);
    assert_eq!((said.code, said.out.starts_with("would remove 2 executions")), (0, true));
    assert!(said.err.contains("--yes"), "{}", said.err);
    assert_eq!(listed(&world), all);

    let said = world.run(&["execution", "prune", "--older-than", "0h", "--yes", "--json"]);
    let pruned: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!((pruned["removed"].as_bool(), pruned["kept"].as_u64()), (Some(true), Some(0)));
    assert_eq!(pruned["executions"], serde_json::json!(all[1..]));
    assert!(pruned["bytes"].as_u64().unwrap() > 0);
    assert_eq!(listed(&world), all[..1]);
    assert_eq!(world.run(&["execution", "show", &all[1]]).code, 1);

    // What waited goes on as if nothing had been, and its conversation stays.
    assert_eq!(world.run(&["execution", "approve", &asking.execution]).code, 0);
    assert_eq!(asking.end().code, 0);
}

#[test]
fn an_age_must_be_named() {
    let world = World::new();
    world.start();
    for words in [&["execution", "prune", "--yes"][..], &["execution", "prune", "--older-than", "30m"]] {
        assert_eq!(world.run(words).code, 2);
    }
}
