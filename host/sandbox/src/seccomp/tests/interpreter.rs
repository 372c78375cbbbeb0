//! The part of BPF that seccomp programs may use (linux/filter.h, kernel/seccomp.c `seccomp_check_filter`).

use crate::seccomp::compile::ARCHITECTURE;

/// What a filter sees of a call.
pub(in crate::seccomp) struct Call {
    pub(in crate::seccomp) number: u32,
    pub(in crate::seccomp) architecture: u32,
    pub(in crate::seccomp) arguments: [u64; 6],
}

impl Call {
    pub(in crate::seccomp) fn native(number: u32, arguments: [u64; 6]) -> Call {
        Call { number, architecture: ARCHITECTURE, arguments }
    }

    /// `struct seccomp_data` as words.
    fn words(&self) -> [u32; 16] {
        let mut words = [0; 16];
        words[0] = self.number;
        words[1] = self.architecture;
        // Words 2 and 3 are the instruction pointer. No rule reads it; a value that would show if one did.
        words[2] = 0xdead_beef;
        for (index, argument) in self.arguments.iter().enumerate() {
            words[4 + 2 * index] = *argument as u32;
            words[5 + 2 * index] = (argument >> 32) as u32;
        }
        words
    }
}

/// Runs `program` and returns its value.
///
/// Panics on what the kernel would reject at attach: an unknown instruction, a load outside the data, a program that
/// runs out.
pub(in crate::seccomp) fn run(program: &[libc::sock_filter], call: &Call) -> u32 {
    count(program, call).0
}

/// As [`run`], and how many instructions it took.
pub(in crate::seccomp) fn count(program: &[libc::sock_filter], call: &Call) -> (u32, usize) {
    const LOAD: u32 = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
    const AND: u32 = libc::BPF_ALU | libc::BPF_AND | libc::BPF_K;
    const RETURN: u32 = libc::BPF_RET | libc::BPF_K;
    const JUMP: u32 = libc::BPF_JMP | libc::BPF_JA;
    const EQUAL: u32 = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
    const GREATER: u32 = libc::BPF_JMP | libc::BPF_JGT | libc::BPF_K;
    const AT_LEAST: u32 = libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K;
    const ANY_BIT: u32 = libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K;

    let words = call.words();
    let mut accumulator = 0_u32;
    let mut at = 0;
    for step in 1.. {
        let instruction = program[at];
        let operand = instruction.k;
        at += 1;
        let mut choose = |condition: bool| {
            at += usize::from(if condition { instruction.jt } else { instruction.jf });
        };
        match u32::from(instruction.code) {
            LOAD => {
                assert_eq!(operand % 4, 0, "unaligned load");
                accumulator = words[operand as usize / 4];
            }
            AND => accumulator &= operand,
            RETURN => return (operand, step),
            JUMP => at += operand as usize,
            EQUAL => choose(accumulator == operand),
            GREATER => choose(accumulator > operand),
            AT_LEAST => choose(accumulator >= operand),
            ANY_BIT => choose(accumulator & operand != 0),
            other => panic!("instruction {other:#x} at {}", at - 1),
        }
    }
    unreachable!("jumps only lead forward")
}
