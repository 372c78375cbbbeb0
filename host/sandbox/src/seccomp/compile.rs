//! From rows to BPF.
//!
//! The list is cut into intervals of numbers with the same verdict, and these into a balanced binary tree: some eight
//! comparisons for any number. The kernel runs a fresh filter once for every call that it knows, so the depth is paid
//! some 450 times at each attach (a linear list of the same rows costs about 40 µs more per command).
//!
//! ```text
//! arch is ours? ── no ─► kill
//! number ≥ middle ? ─► right half : left half      (repeated)
//! leaf: ret action, or the argument tests of one row
//! ```

use super::rule::{Action, ArgTest, Row, Verdict};
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

const LOAD: u32 = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
const AND: u32 = libc::BPF_ALU | libc::BPF_AND | libc::BPF_K;
const RETURN: u32 = libc::BPF_RET | libc::BPF_K;
const JUMP: u32 = libc::BPF_JMP | libc::BPF_JA;
const IF_EQUAL: u32 = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
const IF_AT_LEAST: u32 = libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K;

/// A compiled filter. Compile it before `fork`, then [`Program::install`] it in the child.
#[derive(Debug)]
pub struct Program {
    instructions: Box<[sock_filter]>,
}

impl Program {
    /// Compiles rows in any order; at most one row per number counts (the tests hold the list to that).
    ///
    /// Total: every jump that could be long is an unconditional one, whose distance is a 32-bit number.
    pub(super) fn compile<'a>(rows: impl Iterator<Item = (&'a Row, Verdict)>) -> Program {
        let leaves = leaves(rows.map(|(row, verdict)| (row.number(), verdict)).collect());
        let mut instructions = vec![
            statement(LOAD, OFFSET_ARCHITECTURE),
            branch(IF_EQUAL, ARCHITECTURE, 1, 0),
            statement(RETURN, Action::Kill.code()),
            statement(LOAD, OFFSET_NUMBER),
        ];
        instructions.append(&mut tree(&leaves));
        Program { instructions: instructions.into_boxed_slice() }
    }

    /// The instructions, as the kernel gets them.
    #[must_use]
    pub fn instructions(&self) -> &[sock_filter] {
        &self.instructions
    }
}

/// An interval of numbers that share a verdict: from `start` to the next leaf's start.
struct Leaf {
    start: u32,
    verdict: Verdict,
}

/// Cuts all 32-bit numbers into intervals. The first starts at zero.
fn leaves(mut rows: Vec<(u32, Verdict)>) -> Vec<Leaf> {
    const UNKNOWN: Verdict = Verdict::Always(Action::Absent);
    rows.sort_unstable_by_key(|&(number, _)| number);
    let mut leaves = vec![Leaf { start: 0, verdict: UNKNOWN }];
    for (number, verdict) in rows {
        put(&mut leaves, number, verdict);
        put(&mut leaves, number + 1, UNKNOWN);
    }
    if cfg!(target_arch = "x86_64") {
        put(&mut leaves, X32_BIT, Verdict::Always(Action::Kill));
        put(&mut leaves, NO_CALL, UNKNOWN);
    }
    leaves
}

/// Ends the last interval at `start`; drops it when nothing of it is left; joins equal neighbours.
fn put(leaves: &mut Vec<Leaf>, start: u32, verdict: Verdict) {
    leaves.pop_if(|last| last.start == start);
    if leaves.last().is_none_or(|last| last.verdict != verdict) {
        leaves.push(Leaf { start, verdict });
    }
}

/// Code that ends in the verdict of the interval in which the accumulator (the number) lies.
fn tree(leaves: &[Leaf]) -> Vec<sock_filter> {
    let (left, right) = leaves.split_at(leaves.len() / 2);
    match (left, right) {
        (_, []) => Vec::new(),
        ([], [leaf, ..]) => verdict(leaf.verdict),
        (_, [first, ..]) => {
            let mut code = Vec::new();
            let mut below = tree(left);
            match u8::try_from(below.len()) {
                Ok(distance) => code.push(branch(IF_AT_LEAST, first.start, distance, 0)),
                Err(_) => {
                    code.push(branch(IF_AT_LEAST, first.start, 0, 1));
                    code.push(jump_over(&below));
                }
            }
            code.append(&mut below);
            code.append(&mut tree(right));
            code
        }
    }
}

fn verdict(verdict: Verdict) -> Vec<sock_filter> {
    match verdict {
        Verdict::Always(action) => vec![statement(RETURN, action.code())],
        Verdict::When { any, then, otherwise } => {
            let mut code = Vec::new();
            for all in any {
                code.append(&mut conjunction(all, then));
            }
            code.push(statement(RETURN, otherwise.code()));
            code
        }
    }
}

/// Returns `then` when all tests match; falls out at its end when one does not. Written from its end, where the
/// distances are known.
fn conjunction(all: &[ArgTest], then: Action) -> Vec<sock_filter> {
    let mut rest = vec![statement(RETURN, then.code())];
    for test in all.iter().rev() {
        let mut code = matches(test);
        code.push(jump_over(&rest));
        code.append(&mut rest);
        rest = code;
    }
    rest
}

/// Skips the instruction that follows it when the test matches; goes on to that one when it does not.
fn matches(test: &ArgTest) -> Vec<sock_filter> {
    let low = OFFSET_ARGUMENTS + 8 * u32::from(test.argument());
    // Arguments are little-endian pairs of 32-bit words: mask and values are cut in two on purpose.
    let high_half = |number: u64| (number >> 32) as u32;
    let low_half = |number: u64| number as u32;
    let mut code = Vec::new();
    if test.is_wide() {
        let mut low_word = load(low, low_half(test.mask()));
        low_word.extend(any_of(test.values().iter().map(|&value| low_half(value))));
        code.append(&mut load(low + 4, high_half(test.mask())));
        // `ArgTest::new` lets a wide test have one value, so this is all there is to skip: four instructions at most.
        let skipped = low_word.len() as u8;
        code.extend(test.values().iter().map(|&value| branch(IF_EQUAL, high_half(value), 0, skipped)));
        code.append(&mut low_word);
    } else {
        code.append(&mut load(low, low_half(test.mask())));
        code.extend(any_of(test.values().iter().map(|&value| low_half(value))));
    }
    code
}

/// Skips the instruction after it when the accumulator is one of `values`, of which `ArgTest::new` lets 64 pass.
fn any_of(values: impl ExactSizeIterator<Item = u32>) -> impl Iterator<Item = sock_filter> {
    let count = values.len() as u8;
    (1..=count).rev().zip(values).map(|(distance, value)| branch(IF_EQUAL, value, distance, 0))
}

/// Loads the masked word into the accumulator.
fn load(offset: u32, mask: u32) -> Vec<sock_filter> {
    let mut code = vec![statement(LOAD, offset)];
    if mask != u32::MAX {
        code.push(statement(AND, mask));
    }
    code
}

/// Skips all of `code`, however long.
fn jump_over(code: &[sock_filter]) -> sock_filter {
    // Lengths here are far below the kernel's 4,096 instructions.
    statement(JUMP, code.len() as u32)
}

fn statement(code: u32, operand: u32) -> sock_filter {
    branch(code, operand, 0, 0)
}

fn branch(code: u32, operand: u32, if_true: u8, if_false: u8) -> sock_filter {
    // Every BPF opcode fits in eight bits; libc types them `c_uint`.
    sock_filter { code: code as u16, jt: if_true, jf: if_false, k: operand }
}
