use std::collections::BTreeSet;

use super::*;
use crate::path::JailPath;
use crate::policy::{Places, Policy};

const UIDS: [bool; 2] = [false, true];

fn policy() -> Policy {
    let path = |text| JailPath::absolute(text).unwrap();
    Policy::workspace(&Places::new(path("/w"), path("/tmp"), path("/home/ada")))
}

#[test]
fn names_are_unique_and_match_what_serde_writes() {
    let name = |value: &toml::Value| value.as_str().unwrap().to_owned();
    let promises: BTreeSet<_> = Promise::ALL.iter().map(|promise| promise.name()).collect();
    let layers: BTreeSet<_> = Layer::ALL.iter().map(|layer| layer.name()).collect();
    assert_eq!((promises.len(), layers.len()), (Promise::ALL.len(), Layer::ALL.len()));
    for promise in Promise::ALL {
        assert_eq!(name(&toml::Value::try_from(promise).unwrap()), promise.name());
    }
    for layer in Layer::ALL {
        assert_eq!(name(&toml::Value::try_from(layer).unwrap()), layer.name());
    }
    for level in Level::ALL {
        assert_eq!(name(&toml::Value::try_from(level).unwrap()), level.name());
    }
    for strength in [Strength::Open, Strength::Detected, Strength::Prevented] {
        assert_eq!(name(&toml::Value::try_from(strength).unwrap()), strength.name());
    }
}

#[test]
fn every_promise_has_its_row_in_order_and_every_layer_holds_something() {
    assert_eq!(PROMISES.iter().map(|row| row.promise).collect::<Vec<_>>(), Promise::ALL);
    for promise in Promise::ALL {
        assert_eq!(row(*promise).promise, *promise);
        assert!(!row(*promise).sentence.is_empty());
    }
    let ways = || PROMISES.iter().flat_map(|row| Level::ALL.iter().map(move |level| (row, *level)));
    let named: BTreeSet<_> = ways()
        .flat_map(|(row, level)| UIDS.map(|root| row.held(level, root)))
        .flatten()
        .flat_map(|held| held.by)
        .copied()
        .collect();
    assert_eq!(named, Layer::ALL.iter().copied().collect());
}

#[test]
fn rows_are_sound() {
    for row in PROMISES {
        for level in Level::ALL {
            for root in UIDS {
                let ways = row.held(*level, root);
                for (at, way) in ways.iter().enumerate() {
                    let what = format!("{} {} {way:?}", row.promise.name(), level.name());
                    assert_ne!(way.strength, Strength::Open, "{what}");
                    assert!(!way.by.is_empty() || !way.how.is_empty(), "{what}");
                    assert!(way.by.iter().all(|layer| layer.stands_at(*level)), "{what}");
                    // A way that needs all that an earlier one of the same strength needs adds nothing.
                    let earlier = ways[..at].iter().filter(|earlier| earlier.strength == way.strength);
                    assert!(earlier.clone().all(|e| !e.by.iter().all(|layer| way.by.contains(layer))), "{what}");
                    assert!(ways[..at].iter().all(|earlier| earlier.strength >= way.strength), "{what}");
                }
            }
            assert!(strength(row.promise, Level::Full, true) >= strength(row.promise, Level::Base, true));
            assert!(strength(row.promise, Level::Base, true) >= strength(row.promise, Level::Filesystem, true));
        }
        assert!(strength(row.promise, Level::Full, false) >= strength(row.promise, Level::Full, true));
    }
}

#[test]
fn what_falls_when_layers_fall() {
    use Layer::*;
    for (promise, level, root, left_out, want) in [
        (Promise::ReadOutside, Level::Full, false, &[Mounts][..], Strength::Prevented),
        (Promise::ReadOutside, Level::Full, false, &[LandlockFiles], Strength::Prevented),
        (Promise::ReadOutside, Level::Full, false, &[Mounts, LandlockFiles], Strength::Open),
        (Promise::ReadOutside, Level::Base, false, &[LandlockFiles], Strength::Open),
        (Promise::MetadataOutside, Level::Full, false, &[Mounts], Strength::Open),
        (Promise::MetadataOutside, Level::Base, false, &[], Strength::Open),
        (Promise::ProtectedPaths, Level::Full, false, &[Anchors], Strength::Detected),
        (Promise::ProtectedPaths, Level::Full, false, &[Capabilities, Seccomp], Strength::Prevented),
        (Promise::ProtectedPaths, Level::Full, false, &[Capabilities, Seccomp, LandlockFiles], Strength::Detected),
        (Promise::ProtectedPaths, Level::Base, false, &[], Strength::Detected),
        (Promise::ProcessNames, Level::Base, false, &[], Strength::Prevented),
        (Promise::ProcessNames, Level::Base, false, &[LandlockFiles], Strength::Open),
        (Promise::Network, Level::Full, false, &[NetNamespace], Strength::Open),
        (Promise::Network, Level::Full, false, &[Seccomp], Strength::Prevented),
        (Promise::Network, Level::Base, false, &[Seccomp], Strength::Open),
        (Promise::UnixSockets, Level::Full, false, &[NetNamespace], Strength::Prevented),
        (Promise::UnixSockets, Level::Full, false, &[NetNamespace, LandlockScopes], Strength::Open),
        (Promise::Processes, Level::Base, true, &[LandlockFiles], Strength::Prevented),
        (Promise::Processes, Level::Base, true, &[LandlockFiles, Capabilities], Strength::Open),
        (Promise::Survivors, Level::Base, false, &[LandlockScopes], Strength::Detected),
        (Promise::Survivors, Level::Base, false, &[Stage], Strength::Open),
        (Promise::ProcessCount, Level::Full, true, &[Pids], Strength::Open),
        (Promise::ProcessCount, Level::Full, false, &[Pids], Strength::Prevented),
        (Promise::Terminal, Level::Base, true, &[Capabilities, Seccomp], Strength::Open),
        (Promise::Terminal, Level::Base, false, &[Capabilities, Seccomp], Strength::Prevented),
        (Promise::Privileges, Level::Base, false, Layer::ALL, Strength::Prevented),
    ] {
        assert_eq!(strength_without(promise, level, root, left_out), want, "{promise:?} {level:?} {left_out:?}");
    }
}

#[test]
fn the_built_in_policy_starts_at_both_levels_of_wasi_and_says_what_is_not_held() {
    let policy = policy();
    for root in UIDS {
        assert_eq!(unheld(&policy, Level::Full, root, &[]), []);
        assert_eq!(unheld(&policy, Level::Base, root, &[]), []);
        assert_eq!(unheld(&policy, Level::Filesystem, root, &[]), []);
    }
    let names = |level, root| not_prevented(level, root).iter().map(|row| row.promise.name()).collect::<Vec<_>>();
    assert_eq!(names(Level::Full, false), ["space"]);
    assert_eq!(names(Level::Base, false), ["metadata-outside", "protected-paths", "space"]);
    assert_eq!(names(Level::Base, true), ["metadata-outside", "protected-paths", "process-count", "space"]);
}

#[test]
fn a_missing_layer_or_a_stricter_policy_refuses_the_start() {
    let mut policy = policy();
    let missing = unheld(&policy, Level::Base, false, &[Layer::Seccomp]);
    let names: Vec<_> = missing.iter().map(|unheld| (unheld.promise.name(), unheld.missing)).collect();
    let seccomp = Some(Layer::Seccomp);
    assert_eq!(
        names,
        [
            ("network", seccomp),
            ("odd-sockets", seccomp),
            ("unix-sockets", seccomp),
            ("kernel-surface", seccomp),
            ("ipc", seccomp)
        ]
    );
    policy.minimum = vec![(Promise::ProtectedPaths, Strength::Prevented), (Promise::ProcessCount, Strength::Prevented)];
    policy
        .minimum
        .extend([Promise::MetadataOutside, Promise::ProcessNames, Promise::Space].map(|p| (p, Strength::Open)));
    let base = unheld(&policy, Level::Base, true, &[]);
    let promises: Vec<_> = base.iter().map(|unheld| (unheld.promise, unheld.held, unheld.missing)).collect();
    assert_eq!(
        promises,
        [(Promise::ProtectedPaths, Strength::Detected, None), (Promise::ProcessCount, Strength::Open, None)]
    );
    assert_eq!(unheld(&policy, Level::Full, true, &[]), []);
    let by_name = unheld(&policy, Level::Filesystem, false, &[]);
    assert_eq!(by_name.iter().map(|unheld| unheld.promise).collect::<Vec<_>>(), [Promise::ProtectedPaths]);
}

#[test]
fn a_level_that_cannot_be_built_holds_nothing_that_takes_a_layer_and_names_first_what_the_missing_one_helps_to_hold() {
    let policy = policy();
    for root in UIDS {
        for level in [Level::Full, Level::Base] {
            for layer in Layer::ALL.iter().copied().filter(|layer| layer.stands_at(level)) {
                let fallen = unbuilt(&policy, level, root, Some(layer));
                let helped = fallen.iter().take_while(|it| it.missing == Some(layer)).count();
                assert!(fallen[helped..].iter().all(|it| it.missing.is_none()), "{level:?} {layer:?}");
                // Without a layer in particular the same promises fall, in the order of the table.
                let mut all = unbuilt(&policy, level, root, None);
                assert!(all.iter().all(|it| it.missing.is_none()) && all.is_sorted_by_key(|it| it.promise));
                let mut fallen: Vec<_> = fallen.iter().map(|it| it.promise).collect();
                fallen.sort_unstable();
                assert_eq!(fallen, all.drain(..).map(|it| it.promise).collect::<Vec<_>>());
            }
        }
    }
    let network = unbuilt(&policy, Level::Full, false, Some(Layer::NetNamespace));
    assert_eq!((network[0].promise, network[0].held), (Promise::Network, Strength::Open));
    // What needs no layer stands without a jail, too.
    assert!(network.iter().all(|it| it.promise != Promise::Environment));
}
