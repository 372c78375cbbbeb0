//! The words that rows are written in.

use super::Caller;

/// What the kernel does with a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// The call is made.
    Allow,
    /// `EPERM`: what this does is not for the caller.
    Refuse,
    /// `ENOSYS`: as if the kernel had no such call. Chosen where libraries have a way around.
    Absent,
    /// The whole process ends by `SIGSYS`.
    Kill,
}

impl Action {
    /// The value that a filter returns for it (seccomp(2), "return values").
    #[must_use]
    pub const fn code(self) -> u32 {
        match self {
            Action::Allow => libc::SECCOMP_RET_ALLOW,
            Action::Refuse => libc::SECCOMP_RET_ERRNO | libc::EPERM as u32,
            Action::Absent => libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32,
            Action::Kill => libc::SECCOMP_RET_KILL_PROCESS,
        }
    }
}

/// A question about one argument: is `argument & mask` among `values`?
///
/// Most kernel parameters are `int`: the kernel drops the register's upper half, so the mask must, too, or a caller
/// could hide a value from the filter. Pointers are compared whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ArgTest {
    argument: u8,
    mask: u64,
    values: &'static [u64],
}

impl ArgTest {
    /// Bound on the values of one test; it keeps every jump of the compiled form in range.
    pub const MAX_VALUES: usize = 64;

    /// Asks about the bits of `mask` of the `argument`-th argument, counted from zero.
    pub(super) const fn new(argument: u8, mask: u64, values: &'static [u64]) -> ArgTest {
        let test = ArgTest { argument, mask, values };
        assert!(argument < 6, "a system call has six arguments");
        assert!(!values.is_empty() && values.len() <= Self::MAX_VALUES);
        assert!(!test.is_wide() || values.len() == 1, "a wide test compares with one value");
        test
    }

    /// Asks about an argument that the kernel reads as a 32-bit number.
    pub(super) const fn int(argument: u8, values: &'static [u64]) -> ArgTest {
        ArgTest::new(argument, 0xffff_ffff, values)
    }

    /// Which argument, counted from zero.
    #[must_use]
    pub const fn argument(&self) -> u8 {
        self.argument
    }

    /// Which bits are compared.
    #[must_use]
    pub const fn mask(&self) -> u64 {
        self.mask
    }

    /// The values that count as a match.
    #[must_use]
    pub const fn values(&self) -> &'static [u64] {
        self.values
    }

    /// Whether any value needs the register's upper half.
    pub(super) const fn is_wide(&self) -> bool {
        self.mask >> 32 != 0
    }
}

/// What a row says about one caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The arguments do not matter.
    Always(Action),
    /// The arguments decide.
    When {
        /// Matches when all tests of at least one entry do.
        any: &'static [&'static [ArgTest]],
        /// What happens then.
        then: Action,
        /// What happens in all other cases.
        otherwise: Action,
    },
}

impl Verdict {
    /// Allowed when `any` matches, else `EPERM`.
    pub(super) const fn allow_when(any: &'static [&'static [ArgTest]]) -> Verdict {
        Verdict::When { any, then: Action::Allow, otherwise: Action::Refuse }
    }

    /// `EPERM` when `any` matches, else allowed.
    pub(super) const fn refuse_when(any: &'static [&'static [ArgTest]]) -> Verdict {
        Verdict::When { any, then: Action::Refuse, otherwise: Action::Allow }
    }
}

/// The verdicts of one row, per caller. Written as a starting point and what differs from it:
/// `COMMANDS.base(SELF_ONLY)`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Who {
    verdicts: [Verdict; Caller::ALL.len()],
}

/// All four callers.
pub(super) const EVERYONE: Who = Who { verdicts: [Verdict::Always(Action::Allow); 4] };
/// Refused to all.
pub(super) const NOBODY: Who = Who { verdicts: [Verdict::Always(Action::Refuse); 4] };
/// Not there for anybody.
pub(super) const ABSENT: Who = Who { verdicts: [Verdict::Always(Action::Absent); 4] };
/// Commands at both levels, not the runner.
pub(super) const COMMANDS: Who = NOBODY.commands(Verdict::Always(Action::Allow));
/// Commands at full level only.
pub(super) const FULL: Who = COMMANDS.base(Verdict::Always(Action::Refuse));

impl Who {
    const fn with(mut self, caller: Caller, verdict: Verdict) -> Who {
        self.verdicts[caller as usize] = verdict;
        self
    }

    /// The same for commands at both levels.
    pub(super) const fn commands(self, verdict: Verdict) -> Who {
        self.full(verdict).base(verdict)
    }

    /// For commands at full level.
    pub(super) const fn full(self, verdict: Verdict) -> Who {
        self.with(Caller::CommandFull, verdict)
    }

    /// For commands at base level.
    pub(super) const fn base(self, verdict: Verdict) -> Who {
        self.with(Caller::CommandBase, verdict)
    }

    /// For the runner, before and after its lockdown.
    pub(super) const fn runner(self, verdict: Verdict) -> Who {
        self.with(Caller::Runner, verdict).lockdown(verdict)
    }

    /// For the runner after its lockdown.
    pub(super) const fn lockdown(self, verdict: Verdict) -> Who {
        self.with(Caller::RunnerLockdown, verdict)
    }
}

/// One system call: what each caller may do with it, and why.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    name: &'static str,
    number: u32,
    who: Who,
    why: &'static str,
}

impl Row {
    /// `constant` is the name of the number in libc, `SYS_` and the call.
    pub(super) const fn new(constant: &'static str, number: libc::c_long, who: Who, why: &'static str) -> Row {
        assert!(number >= 0 && number < 0x4000_0000, "not a native system-call number");
        Row { name: constant.split_at("SYS_".len()).1, number: number as u32, who, why }
    }

    /// The call's name, as in its manual page.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Its number on this architecture.
    #[must_use]
    pub const fn number(&self) -> u32 {
        self.number
    }

    /// What it is needed for, or why it is refused.
    #[must_use]
    pub const fn why(&self) -> &'static str {
        self.why
    }

    /// What `caller` may do with it.
    #[must_use]
    pub const fn verdict(&self, caller: Caller) -> Verdict {
        self.who.verdicts[caller as usize]
    }
}

/// Writes a row by the name of its number: `row!(SYS_read, EVERYONE, "…")`, or with a number that libc does not name
/// yet, `row!(SYS_futex_wake = 454, COMMANDS, "…")`.
macro_rules! row {
    ($name:ident, $who:expr, $why:literal) => {
        $crate::seccomp::rule::Row::new(stringify!($name), libc::$name, $who, $why)
    };
    ($name:ident = $number:literal, $who:expr, $why:literal) => {
        $crate::seccomp::rule::Row::new(stringify!($name), $number, $who, $why)
    };
}
pub(super) use row;
