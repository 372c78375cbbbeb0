//! Tests of the filters. `interpreter` runs a program as the kernel would; everything else asks it, or the kernel.

#![expect(clippy::disallowed_methods, reason = "tests start their own processes")]

pub(super) mod interpreter;
mod list;
mod live;
mod second_opinion;
mod sockets;
mod table;

use super::{Action, Caller, program};
use interpreter::{Call, run};

/// What the filter of `caller` does with a native call.
fn decide(caller: Caller, number: u32, arguments: [u64; 6]) -> Action {
    action(run(program(caller).instructions(), &Call::native(number, arguments)))
}

/// Reads a filter's return value.
fn action(code: u32) -> Action {
    [Action::Allow, Action::Refuse, Action::Absent, Action::Kill]
        .into_iter()
        .find(|action| action.code() == code)
        .unwrap_or_else(|| panic!("no action has the code {code:#x}"))
}
