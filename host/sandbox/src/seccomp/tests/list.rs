//! The list as a list: no number twice, no reason missing, lockdown only narrows; every number, one by one.

use std::collections::HashMap;

use super::interpreter::{Call, count, run};
use super::{action, decide};
use crate::seccomp::rule::EVERYONE;
use crate::seccomp::{Action, ArgTest, Caller, Program, Row, Verdict, program, rows};

/// Above every number that a kernel of today knows.
const NUMBERS: std::ops::Range<u32> = 0..600;

#[test]
fn no_number_and_no_name_stands_twice() {
    let mut numbers = HashMap::new();
    let mut names = HashMap::new();
    for (row, _) in rows(Caller::CommandFull) {
        assert_eq!(numbers.insert(row.number(), row.name()), None, "{} is named twice", row.number());
        assert_eq!(names.insert(row.name(), row.number()), None, "`{}` stands twice", row.name());
    }
}

#[test]
fn every_row_has_a_reason_and_a_plain_name() {
    for (row, _) in rows(Caller::CommandFull) {
        assert!(!row.why().trim().is_empty(), "`{}` has no reason", row.name());
        assert!(!row.name().starts_with("SYS"), "`{}`", row.name());
        assert!(NUMBERS.contains(&row.number()), "`{}` is outside of what these tests walk", row.name());
    }
}

#[test]
fn rows_without_arguments_decide_as_written_and_all_other_numbers_are_absent() {
    for caller in Caller::ALL {
        let written: HashMap<u32, Verdict> = rows(caller).map(|(row, verdict)| (row.number(), verdict)).collect();
        for number in NUMBERS {
            let expected = match written.get(&number) {
                Some(Verdict::Always(action)) => *action,
                Some(Verdict::When { .. }) => continue,
                None => Action::Absent,
            };
            for argument in [0, 1, u64::MAX] {
                assert_eq!(decide(caller, number, [argument; 6]), expected, "{} {number}", caller.name());
            }
        }
        assert_eq!(decide(caller, 0x3fff_ffff, [0; 6]), Action::Absent);
        assert_eq!(decide(caller, u32::MAX, [0; 6]), Action::Absent, "syscall(-1) is a probe, not an ABI");
    }
}

#[test]
fn a_foreign_abi_ends_the_process() {
    const I386: u32 = 0x4000_0003;
    const ARM: u32 = 0x4000_0028;
    for caller in Caller::ALL {
        let instructions = program(caller).instructions();
        for number in NUMBERS {
            for architecture in [I386, ARM, 0] {
                let call = Call { number, architecture, arguments: [0; 6] };
                assert_eq!(action(run(instructions, &call)), Action::Kill, "{} {number}", caller.name());
            }
            #[cfg(target_arch = "x86_64")]
            for bits in [0x4000_0000, 0xc000_0000] {
                assert_eq!(decide(caller, number | bits, [0; 6]), Action::Kill, "x32 {} {number}", caller.name());
            }
        }
    }
}

#[test]
fn lockdown_allows_nothing_that_the_runner_may_not() {
    for (row, verdict) in rows(Caller::RunnerLockdown) {
        for arguments in super::second_opinion::arguments(row) {
            if decide(Caller::RunnerLockdown, row.number(), arguments) == Action::Allow {
                assert_eq!(
                    decide(Caller::Runner, row.number(), arguments),
                    Action::Allow,
                    "{} {verdict:?}",
                    row.name()
                );
            }
        }
    }
}

#[test]
fn base_level_allows_nothing_that_full_level_does_not() {
    for (row, verdict) in rows(Caller::CommandBase) {
        for arguments in super::second_opinion::arguments(row) {
            if decide(Caller::CommandBase, row.number(), arguments) == Action::Allow {
                assert_eq!(
                    decide(Caller::CommandFull, row.number(), arguments),
                    Action::Allow,
                    "{} {verdict:?}",
                    row.name()
                );
            }
        }
    }
}

/// The tree's purpose: attaching costs by both (see the bench), per command.
#[test]
fn programs_are_small_and_shallow() {
    const INSTRUCTIONS: usize = 300;
    const STEPS: usize = 16;
    for caller in Caller::ALL {
        let instructions = program(caller).instructions();
        assert!(instructions.len() <= INSTRUCTIONS, "{} has {} instructions", caller.name(), instructions.len());
        let tested: Vec<u32> = rows(caller)
            .filter_map(|(row, verdict)| matches!(verdict, Verdict::When { .. }).then_some(row.number()))
            .collect();
        for number in NUMBERS.filter(|number| !tested.contains(number)) {
            let (_, steps) = count(instructions, &Call::native(number, [0; 6]));
            assert!(steps <= STEPS, "{} takes {steps} steps for {number}", caller.name());
        }
    }
}

/// A list far longer than ours, where branches no longer reach: the long jumps must lead to the same places.
#[test]
fn a_long_list_keeps_its_jumps() {
    const VALUES: &[u64] = &[3, 5, 8, 13, 21, 34, 55, 89];
    const VERDICTS: [Verdict; 5] = [
        Verdict::Always(Action::Allow),
        Verdict::Always(Action::Refuse),
        Verdict::allow_when(&[&[ArgTest::int(0, VALUES), ArgTest::new(1, u64::MAX, &[7 << 32 | 7])]]),
        Verdict::refuse_when(&[&[ArgTest::int(2, VALUES)], &[ArgTest::int(3, VALUES)]]),
        Verdict::allow_when(&[&[ArgTest::new(5, 0xf0, &[0x30])]]),
    ];
    const COUNT: u32 = 3000;
    // Mixed so that hardly any neighbours agree; which number gets what is the same in every run.
    let pick = |number: u32| VERDICTS[(number.wrapping_mul(2_654_435_761) >> 16) as usize % VERDICTS.len()];
    let listed: Vec<Row> =
        (0..COUNT).map(|number| Row::new("SYS_made_up", number.into(), EVERYONE, "stands for a longer list")).collect();
    let long = Program::compile(listed.iter().map(|row| (row, pick(row.number()))));
    assert!(long.instructions().len() > 2 * usize::from(u8::MAX), "not long enough to need a long jump");
    let vectors = [[0; 6], [5, 7 << 32 | 7, 0, 0, 0, 0x30], [89, 7, 21, 1, 0, 0x3f], [1, 1, 1, 55, 1, 1]];
    for (number, arguments) in (0..COUNT).flat_map(|number| vectors.map(|vector| (number, vector))) {
        let [a, b, c, d, _, f] = arguments;
        let expected = match VERDICTS.iter().position(|verdict| *verdict == pick(number)) {
            Some(0) => Action::Allow,
            Some(1) => Action::Refuse,
            Some(2) if VALUES.contains(&a) && b == (7 << 32 | 7) => Action::Allow,
            Some(3) if !VALUES.contains(&c) && !VALUES.contains(&d) => Action::Allow,
            Some(4) if f & 0xf0 == 0x30 => Action::Allow,
            _ => Action::Refuse,
        };
        let found = action(run(long.instructions(), &Call::native(number, arguments)));
        assert_eq!(found, expected, "{number} {arguments:x?}");
    }
}
