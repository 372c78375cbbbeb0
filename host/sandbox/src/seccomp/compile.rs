//! From rows to BPF.
//!
//! The list is cut into intervals of numbers with the same verdict, and these into a balanced binary tree: some eight
//! comparisons for any number. The kernel translates a filter anew at each attach and tries it on every number that it
//! knows, so both size and depth are paid per command; a linear list of the same rows costs several times as much.
//!
//! ```text
//! arch is ours? ── no ─► kill
//! number ≥ middle ? ─► right half : left half      (repeated)
//! leaf: number = the exception ? ─► its verdict : the interval's
//! verdict: ret action, or the argument tests of its row
//! ```

mod assembler;

use super::rule::{Action, ArgTest, Row, Verdict};
use assembler::{Assembler, Target};
use libc::sock_filter;

/// `AUDIT_ARCH_*` of the calls that the rows number (linux/audit.h: the ELF machine, 64-bit, little-endian).
pub(super) const ARCHITECTURE: u32 = if cfg!(target_arch = "x86_64") { 0xC000_003E } else { 0xC000_00B7 };
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
compile_error!("the system-call rows are written for x86_64 and aarch64");

/// x32 calls carry this bit on x86_64 (asm/unistd.h, `__X32_SYSCALL_BIT`).
const X32_BIT: u32 = 0x4000_0000;
/// `syscall(-1)`: what a tracer writes to skip a call, and a common probe. Never a call of any ABI.
const NO_CALL: u32 = u32::MAX;

// struct seccomp_data (linux/seccomp.h): number, architecture, instruction pointer, six arguments of eight bytes.
const OFFSET_NUMBER: u32 = 0;
const OFFSET_ARCHITECTURE: u32 = 4;
const OFFSET_ARGUMENTS: u32 = 16;

/// A compiled filter. Compile it before `fork`, then [`Program::install`] it in the child.
#[derive(Debug)]
pub struct Program {
    instructions: Box<[sock_filter]>,
}

impl Program {
    /// Compiles rows in any order; at most one row per number counts (the tests hold the list to that).
    pub(super) fn compile<'a>(rows: impl Iterator<Item = (&'a Row, Verdict)>) -> Program {
        let mut compiler = Compiler::default();
        let leaves = leaves(rows.map(|(row, verdict)| (row.number(), verdict)).collect());
        let tree = compiler.tree(&leaves);
        let number = compiler.code.load(OFFSET_NUMBER, u32::MAX, tree);
        let architecture = compiler.code.if_equal(ARCHITECTURE, number, Target::Return(Action::Kill));
        compiler.code.load(OFFSET_ARCHITECTURE, u32::MAX, architecture);
        Program { instructions: compiler.code.finish() }
    }

    /// The instructions, as the kernel gets them.
    #[must_use]
    pub fn instructions(&self) -> &[sock_filter] {
        &self.instructions
    }
}

/// An interval of numbers that share a verdict, from `start` to the next leaf's start; one number may differ. (Letting
/// more of them differ was tried: the program shrinks by 3 %, attaching takes as long.)
struct Leaf {
    start: u32,
    verdict: Verdict,
    exception: Option<(u32, Verdict)>,
}

/// Cuts all 32-bit numbers into intervals. The first starts at zero.
fn leaves(mut rows: Vec<(u32, Verdict)>) -> Vec<Leaf> {
    const UNKNOWN: Verdict = Verdict::Always(Action::Absent);
    rows.sort_unstable_by_key(|&(number, _)| number);
    let mut cuts = vec![(0, UNKNOWN)];
    for (number, verdict) in rows {
        cut(&mut cuts, number, verdict);
        cut(&mut cuts, number + 1, UNKNOWN);
    }
    if cfg!(target_arch = "x86_64") {
        cut(&mut cuts, X32_BIT, Verdict::Always(Action::Kill));
        cut(&mut cuts, NO_CALL, UNKNOWN);
    }
    let mut leaves = Vec::new();
    for (start, verdict) in cuts {
        leaves.push(Leaf { start, verdict, exception: None });
        except(&mut leaves);
    }
    leaves
}

/// Ends the last interval at `start`; drops it when nothing of it is left; joins equal neighbours.
fn cut(cuts: &mut Vec<(u32, Verdict)>, start: u32, verdict: Verdict) {
    cuts.pop_if(|last| last.0 == start);
    if cuts.last().is_none_or(|last| last.1 != verdict) {
        cuts.push((start, verdict));
    }
}

/// When the last three leaves are a, one number of b, a again: makes them one, with an exception.
fn except(leaves: &mut Vec<Leaf>) {
    let Some(first) = leaves.len().checked_sub(3) else { return };
    if let [before, single, after] = &mut leaves[first..]
        && before.verdict == after.verdict
        && after.start - single.start == 1
        && single.exception.is_none()
        && before.exception.is_none()
    {
        before.exception = Some((single.start, single.verdict));
        leaves.truncate(first + 1);
    }
}

#[derive(Default)]
struct Compiler {
    code: Assembler,
    /// Argument tests that stand already: several rows share them.
    written: Vec<(Verdict, Target)>,
}

impl Compiler {
    /// Code that ends in the verdict on the number in the accumulator.
    fn tree(&mut self, leaves: &[Leaf]) -> Target {
        match leaves {
            // Intervals cover all numbers, so this is not reached; were it, nothing would be allowed.
            [] => Target::Return(Action::Kill),
            [leaf] => {
                let rest = self.verdict(leaf.verdict);
                leaf.exception.iter().fold(rest, |rest, &(number, verdict)| {
                    let verdict = self.verdict(verdict);
                    self.code.if_equal(number, verdict, rest)
                })
            }
            _ => {
                let (left, right) = leaves.split_at(leaves.len() / 2);
                let middle = right[0].start;
                let (right, left) = (self.tree(right), self.tree(left));
                self.code.if_at_least(middle, right, left)
            }
        }
    }

    fn verdict(&mut self, verdict: Verdict) -> Target {
        let (any, then, otherwise) = match verdict {
            Verdict::Always(action) => return Target::Return(action),
            Verdict::When { any, then, otherwise } => (any, then, otherwise),
        };
        if let Some((_, target)) = self.written.iter().find(|(written, _)| *written == verdict) {
            return *target;
        }
        // From the last alternative to the first: each falls to the one after it.
        let target = any.iter().rev().fold(Target::Return(otherwise), |next, all| {
            all.iter().rev().fold(Target::Return(then), |matched, test| self.test(test, matched, next))
        });
        self.written.push((verdict, target));
        target
    }

    /// Goes to `yes` when the test matches, else to `no`.
    fn test(&mut self, test: &ArgTest, yes: Target, no: Target) -> Target {
        let low_word = OFFSET_ARGUMENTS + 8 * u32::from(test.argument());
        // Arguments are little-endian pairs of 32-bit words: mask and values are cut in two on purpose.
        let (low, high) = (|number: u64| number as u32, |number: u64| (number >> 32) as u32);
        let equal = test.values().iter().rev().fold(no, |no, &value| self.code.if_equal(low(value), yes, no));
        let low_matches = self.code.load(low_word, low(test.mask()), equal);
        if !test.is_wide() {
            return low_matches;
        }
        // A wide test has one value (`ArgTest::new`), so one comparison stands for all.
        let equal = test.values().iter().fold(no, |no, &value| self.code.if_equal(high(value), low_matches, no));
        self.code.load(low_word + 4, high(test.mask()), equal)
    }
}
