//! The same rows through another compiler (seccompiler, one of its filters per action): the same decision at every
//! number and for arguments at each rule's edges.

use std::collections::{BTreeMap, BTreeSet};

use seccompiler::{SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule};

use super::decide;
use super::interpreter::{Call, run};
use crate::seccomp::{Action, ArgTest, Caller, Row, Verdict, rows};

const ACTIONS: [Action; 3] = [Action::Allow, Action::Refuse, Action::Absent];

#[test]
fn both_compilers_decide_alike() {
    let mut compared = 0_u64;
    for caller in Caller::ALL {
        let opinion = Opinion::of(caller);
        let by_number: BTreeMap<u32, &Row> = rows(caller).map(|(row, _)| (row.number(), row)).collect();
        for number in 0..600 {
            let vectors = by_number.get(&number).map_or_else(|| vec![[0; 6]], |row| arguments(row));
            for vector in vectors {
                let expected = opinion.decide(number, vector);
                assert_eq!(decide(caller, number, vector), expected, "{} {number} {vector:x?}", caller.name());
                compared += 1;
            }
        }
    }
    assert!(compared > 10_000, "only {compared} cases were compared");
}

/// What seccompiler makes of one caller's list.
struct Opinion {
    /// Per action, a program that answers `Trap` where the rows lead to it.
    programs: Vec<(Action, Vec<libc::sock_filter>)>,
    /// What a row with argument rules says when none of them matches.
    otherwise: BTreeMap<u32, Action>,
}

impl Opinion {
    fn of(caller: Caller) -> Opinion {
        let programs = ACTIONS.map(|action| {
            let rules = rows(caller).filter_map(|(row, verdict)| {
                let rules = match verdict {
                    Verdict::Always(always) if always == action => Vec::new(),
                    Verdict::When { any, then, .. } if then == action => {
                        any.iter().flat_map(|all| product(all)).collect()
                    }
                    _ => return None,
                };
                Some((i64::from(row.number()), rules))
            });
            (action, build(rules.collect()))
        });
        let otherwise = rows(caller).filter_map(|(row, verdict)| match verdict {
            Verdict::When { otherwise, .. } => Some((row.number(), otherwise)),
            Verdict::Always(_) => None,
        });
        Opinion { programs: programs.into(), otherwise: otherwise.collect() }
    }

    fn decide(&self, number: u32, arguments: [u64; 6]) -> Action {
        let call = Call::native(number, arguments);
        let matched: Vec<Action> = self
            .programs
            .iter()
            .filter(|(_, program)| run(program, &call) == libc::SECCOMP_RET_TRAP)
            .map(|(action, _)| *action)
            .collect();
        match matched[..] {
            [action] => action,
            [] => self.otherwise.get(&number).copied().unwrap_or(Action::Absent),
            _ => panic!("{number} leads to {matched:?}"),
        }
    }
}

fn build(rules: BTreeMap<i64, Vec<SeccompRule>>) -> Vec<libc::sock_filter> {
    let architecture = std::env::consts::ARCH.try_into().unwrap();
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, SeccompAction::Trap, architecture).unwrap();
    let program: seccompiler::BpfProgram = filter.try_into().unwrap();
    program.iter().map(|one| libc::sock_filter { code: one.code, jt: one.jt, jf: one.jf, k: one.k }).collect()
}

/// seccompiler compares with one value at a time: a test with several becomes several rules.
fn product(all: &[ArgTest]) -> Vec<SeccompRule> {
    let mut conjunctions: Vec<Vec<SeccompCondition>> = vec![Vec::new()];
    for test in all {
        conjunctions = conjunctions
            .iter()
            .flat_map(|before| {
                test.values().iter().map(|&value| {
                    let operator = SeccompCmpOp::MaskedEq(test.mask());
                    let length = if test.is_wide() { SeccompCmpArgLen::Qword } else { SeccompCmpArgLen::Dword };
                    let condition = SeccompCondition::new(test.argument(), length, operator, value).unwrap();
                    before.iter().cloned().chain([condition]).collect()
                })
            })
            .collect();
    }
    conjunctions.into_iter().map(|conditions| SeccompRule::new(conditions).unwrap()).collect()
}

/// Argument vectors at the edges of a row's rules, for all callers: each value that a rule names, its neighbours, the
/// value under a dirty upper half and under dirty bits outside the mask, all combined.
pub(super) fn arguments(row: &Row) -> Vec<[u64; 6]> {
    let mut interesting: [BTreeSet<u64>; 6] = std::array::from_fn(|_| BTreeSet::from([0]));
    for caller in Caller::ALL {
        let Verdict::When { any, .. } = row.verdict(caller) else { continue };
        for test in any.iter().copied().flatten() {
            let edges = &mut interesting[usize::from(test.argument())];
            edges.extend([u64::MAX, 1 << 32, 1 << 63, !test.mask()]);
            for &value in test.values() {
                edges.extend([value, value ^ 1, value | 1 << 32, value | !test.mask(), value ^ (1 << 31)]);
            }
        }
    }
    let mut vectors = vec![[0; 6]];
    for (index, values) in interesting.iter().enumerate() {
        vectors = vectors
            .into_iter()
            .flat_map(|vector| {
                values.iter().map(move |&value| {
                    let mut next = vector;
                    next[index] = value;
                    next
                })
            })
            .collect();
    }
    vectors
}
