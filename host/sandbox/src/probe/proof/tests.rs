use stigmer_policy::{JailPath, Places};

use super::*;

fn raws(of: impl Fn(Promise) -> Found) -> Vec<Raw> {
    all().map(|act| Raw { found: of(act.promise), detail: String::new() }).collect()
}

fn policy() -> Policy {
    let path = |text| JailPath::absolute(text).unwrap();
    Policy::workspace(&Places::new(path("/w"), path("/tmp"), path("/home/ada")))
}

#[test]
fn a_refusal_proves_only_where_the_control_works() {
    let works = raws(|_| Found::Done);
    let proof = Proof::new(Level::Full, false, &[], &works, raws(|_| Found::Refused));
    assert_eq!(proof.standing(Promise::Network), Standing::Proved);
    assert_eq!(proof.unheld(&policy()), []);
    let fails = raws(|promise| if promise == Promise::Network { Found::Refused } else { Found::Done });
    let proof = Proof::new(Level::Full, false, &[], &fails, raws(|_| Found::Refused));
    assert_eq!(proof.standing(Promise::Network), Standing::Unproved);
    assert_eq!(proof.measured(Promise::Network), None);
    assert_eq!(proof.standing(Promise::ReadOutside), Standing::Proved);
}

#[test]
fn an_act_that_is_done_fails_its_promise_and_refuses_the_start() {
    let works = raws(|_| Found::Done);
    let found = raws(|promise| if promise == Promise::Network { Found::Done } else { Found::Refused });
    let proof = Proof::new(Level::Full, false, &[], &works, found);
    assert_eq!(proof.standing(Promise::Network), Standing::Failed);
    let unheld = proof.unheld(&policy());
    assert_eq!(unheld.len(), 1);
    assert_eq!((unheld[0].promise, unheld[0].held), (Promise::Network, Strength::Open));
}

#[test]
fn what_is_not_promised_is_open_and_asked_of_nobody() {
    let works = raws(|_| Found::Done);
    let found = raws(|promise| if promise == Promise::Space { Found::Done } else { Found::Refused });
    let proof = Proof::new(Level::Full, false, &[], &works, found);
    assert_eq!(proof.standing(Promise::Space), Standing::Open);
    assert_eq!(proof.unheld(&policy()), []);
    let undone = raws(|promise| if promise == Promise::ProtectedPaths { Found::Undone } else { Found::Refused });
    let full = Proof::new(Level::Full, false, &[], &works, undone.clone());
    assert_eq!(full.standing(Promise::ProtectedPaths), Standing::Failed);
    let base = Proof::new(Level::Base, false, &[], &works, undone);
    assert_eq!(base.standing(Promise::ProtectedPaths), Standing::Proved);
}

#[test]
fn a_probe_that_broke_proves_nothing() {
    let works = raws(|_| Found::Done);
    let found = raws(|promise| if promise == Promise::Ipc { Found::Broken } else { Found::Refused });
    let proof = Proof::new(Level::Full, false, &[], &works, found);
    assert_eq!(proof.standing(Promise::Ipc), Standing::Unproved);
}
