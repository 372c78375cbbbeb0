//! BPF, written from the last instruction to the first, so that the target of each jump stands before the jump does.

use libc::sock_filter;

use crate::seccomp::Action;

const LOAD: u32 = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
const AND: u32 = libc::BPF_ALU | libc::BPF_AND | libc::BPF_K;
const RETURN: u32 = libc::BPF_RET | libc::BPF_K;
const JUMP: u32 = libc::BPF_JMP | libc::BPF_JA;
const IF_EQUAL: u32 = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
const IF_AT_LEAST: u32 = libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K;

/// How far a branch may lead. Its distances are bytes; the rest is room for the jump or return that the branch's other
/// way may need in between.
const REACH: usize = u8::MAX as usize - 2;

/// Where code goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    /// The filter's answer.
    Return(Action),
    /// An instruction, counted from the end of the program.
    Place(usize),
}

/// A program that grows towards its start.
#[derive(Default)]
pub(super) struct Assembler {
    /// Last instruction first.
    reversed: Vec<sock_filter>,
    /// The return instruction of an action that was written last: the nearest.
    returns: Vec<(Action, usize)>,
}

impl Assembler {
    /// Goes to `yes` when the accumulator is `value`, else to `no`.
    pub(super) fn if_equal(&mut self, value: u32, yes: Target, no: Target) -> Target {
        self.branch(IF_EQUAL, value, yes, no)
    }

    /// Goes to `yes` when the accumulator is `value` or more, else to `no`.
    pub(super) fn if_at_least(&mut self, value: u32, yes: Target, no: Target) -> Target {
        self.branch(IF_AT_LEAST, value, yes, no)
    }

    /// Loads the masked word of the call's data at `offset` into the accumulator, then goes to `next`.
    pub(super) fn load(&mut self, offset: u32, mask: u32, next: Target) -> Target {
        let next = self.reach(next);
        if self.distance(next) > 0 {
            self.jump(next);
        }
        if mask != u32::MAX {
            self.push(AND, mask, 0, 0);
        }
        self.push(LOAD, offset, 0, 0)
    }

    /// The program, first instruction first.
    pub(super) fn finish(mut self) -> Box<[sock_filter]> {
        self.reversed.reverse();
        self.reversed.into_boxed_slice()
    }

    fn branch(&mut self, code: u32, value: u32, yes: Target, no: Target) -> Target {
        let (yes, no) = (self.reach(yes), self.reach(no));
        // Both within `REACH`, plus at most one instruction that the second brought in: each fits in a byte.
        self.push(code, value, self.distance(yes) as u8, self.distance(no) as u8)
    }

    /// A place within reach of the next instruction that does what `target` does.
    fn reach(&mut self, target: Target) -> usize {
        match target {
            Target::Place(place) if self.distance(place) <= REACH => place,
            Target::Place(place) => self.jump(place),
            Target::Return(action) => {
                let nearest =
                    self.returns.iter().rev().find(|(written, _)| *written == action).map(|&(_, place)| place);
                match nearest {
                    Some(place) if self.distance(place) <= REACH => place,
                    _ => {
                        self.push(RETURN, action.code(), 0, 0);
                        let place = self.reversed.len() - 1;
                        self.returns.push((action, place));
                        place
                    }
                }
            }
        }
    }

    /// Instructions between the one to be written next and `place`.
    fn distance(&self, place: usize) -> usize {
        self.reversed.len() - 1 - place
    }

    fn jump(&mut self, place: usize) -> usize {
        // A jump's distance has 32 bits; programs have at most 4,096 instructions.
        self.push(JUMP, self.distance(place) as u32, 0, 0);
        self.reversed.len() - 1
    }

    fn push(&mut self, code: u32, operand: u32, if_true: u8, if_false: u8) -> Target {
        // Every BPF opcode fits in eight bits; libc types them `c_uint`.
        self.reversed.push(sock_filter { code: code as u16, jt: if_true, jf: if_false, k: operand });
        Target::Place(self.reversed.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seccomp::tests::interpreter::{Call, run};

    /// Code after a load is what `next` says, also when something else was written in between.
    #[test]
    fn a_load_goes_where_it_is_told() {
        let mut code = Assembler::default();
        let wanted = code.if_equal(7, Target::Return(Action::Allow), Target::Return(Action::Refuse));
        code.if_equal(7, Target::Return(Action::Kill), Target::Return(Action::Absent));
        code.load(0, u32::MAX, wanted);
        let program = code.finish();
        for (number, expected) in [(7, Action::Allow), (8, Action::Refuse)] {
            assert_eq!(run(&program, &Call::native(number, [0; 6])), expected.code());
        }
    }
}
