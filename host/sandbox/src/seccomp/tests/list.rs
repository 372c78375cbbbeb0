//! The list as a list: no number twice, no reason missing, lockdown only narrows; every number, one by one.

use std::collections::HashMap;

use super::interpreter::{Call, run};
use super::{action, decide};
use crate::seccomp::{Action, Caller, Verdict, program, rows};

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

/// The tree's purpose: few instructions for any number, and far from the kernel's bound.
#[test]
fn programs_are_small_and_shallow() {
    for caller in Caller::ALL {
        let size = program(caller).instructions().len();
        assert!(size < 1024, "{} has {size} instructions", caller.name());
    }
}
