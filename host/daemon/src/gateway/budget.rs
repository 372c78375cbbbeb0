//! What one execution may spend on models.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

use super::error::GatewayError;

/// Model turns of one execution, unless `--max-turns` says otherwise.
pub const MAX_TURNS: u32 = 1000;

/// Model calls of one execution that may be open at once. The agent has one; the bound is against a hostile runner that
/// opens many before the first of them is counted.
pub const OPEN_CALLS: u32 = 4;

/// Tokens, as the provider counts them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spent {
    /// Model turns that were answered.
    pub turns: u32,
    /// Input that no cache had.
    pub input: u64,
    /// Input read from the provider's cache.
    pub cache_read: u64,
    /// Input written to the provider's cache.
    pub cache_write: u64,
    /// Output.
    pub output: u64,
    /// Whether some of it was estimated (four bytes are one token), because a provider did not say.
    pub estimated: bool,
}

impl Spent {
    /// What is held against `--max-tokens`: input and output, cached or not.
    #[must_use]
    pub fn tokens(&self) -> u64 {
        [self.input, self.cache_read, self.cache_write, self.output].iter().fold(0, |sum, it| sum.saturating_add(*it))
    }
}

/// Bounds and spending of one execution; shared by its calls.
#[derive(Debug)]
pub struct Budget {
    max_turns: u32,
    /// `u64::MAX`: none.
    max_tokens: u64,
    turns: AtomicU32,
    input: AtomicU64,
    cache_read: AtomicU64,
    cache_write: AtomicU64,
    output: AtomicU64,
    estimated: AtomicU32,
    open: AtomicU32,
}

impl Budget {
    /// A budget. `spent` is what earlier runners of this execution spent; [`Spent::default`] for a new one.
    ///
    /// A turn that was begun is finished: tokens are known when it ends, so the last turn may pass `max_tokens`.
    #[must_use]
    pub fn new(max_turns: u32, max_tokens: Option<u64>, spent: Spent) -> Self {
        Budget {
            max_turns,
            max_tokens: max_tokens.unwrap_or(u64::MAX),
            turns: AtomicU32::new(spent.turns),
            input: AtomicU64::new(spent.input),
            cache_read: AtomicU64::new(spent.cache_read),
            cache_write: AtomicU64::new(spent.cache_write),
            output: AtomicU64::new(spent.output),
            estimated: AtomicU32::new(u32::from(spent.estimated)),
            open: AtomicU32::new(0),
        }
    }

    /// What has been spent so far.
    #[must_use]
    pub fn spent(&self) -> Spent {
        Spent {
            turns: self.turns.load(Ordering::Acquire),
            input: self.input.load(Ordering::Acquire),
            cache_read: self.cache_read.load(Ordering::Acquire),
            cache_write: self.cache_write.load(Ordering::Acquire),
            output: self.output.load(Ordering::Acquire),
            estimated: self.estimated.load(Ordering::Acquire) != 0,
        }
    }

    /// Begins a turn, or refuses. The turn counts from now on, so that turns begun at once cannot pass the bound together.
    pub(super) fn begin(self: &Arc<Self>) -> Result<Turn, GatewayError> {
        let used = self.spent().tokens();
        if used >= self.max_tokens {
            return Err(GatewayError::Limit { name: "max-tokens", used, limit: self.max_tokens });
        }
        if self.open.fetch_add(1, Ordering::AcqRel) >= OPEN_CALLS {
            self.open.fetch_sub(1, Ordering::AcqRel);
            return Err(GatewayError::TooManyOpen { limit: OPEN_CALLS });
        }
        let turn = Turn(Arc::clone(self));
        let counted = |turns: u32| (turns < self.max_turns).then(|| turns + 1);
        match self.turns.fetch_update(Ordering::AcqRel, Ordering::Acquire, counted) {
            Ok(_) => Ok(turn),
            Err(used) => {
                Err(GatewayError::Limit { name: "max-turns", used: used.into(), limit: self.max_turns.into() })
            }
        }
    }
}

/// A turn that was begun and not ended.
#[derive(Debug)]
pub(super) struct Turn(Arc<Budget>);

impl Turn {
    /// Takes the turn back: the *provider* failed (a status, a broken stream), and the agent will try again. A call that
    /// the runner dropped stays counted, or it could have every answer but its last byte for nothing.
    pub(super) fn refund(&self) {
        self.0.turns.fetch_sub(1, Ordering::AcqRel);
    }

    pub(super) fn spend(&self, more: Spent) {
        let add = |to: &AtomicU64, what: u64| {
            let _ = to.fetch_update(Ordering::AcqRel, Ordering::Acquire, |sum| Some(sum.saturating_add(what)));
        };
        add(&self.0.input, more.input);
        add(&self.0.cache_read, more.cache_read);
        add(&self.0.cache_write, more.cache_write);
        add(&self.0.output, more.output);
        self.0.estimated.fetch_or(u32::from(more.estimated), Ordering::AcqRel);
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(error: &GatewayError) -> &'static str {
        error.limit().unwrap_or("other")
    }

    #[test]
    fn turns_up_to_the_limit_and_not_one_more() {
        let budget = Arc::new(Budget::new(2, None, Spent::default()));
        drop(budget.begin().unwrap());
        drop(budget.begin().unwrap());
        assert_eq!(limit(&budget.begin().unwrap_err()), "max-turns");
        assert_eq!(budget.spent().turns, 2);
    }

    #[test]
    fn a_turn_that_the_provider_failed_is_given_back() {
        let budget = Arc::new(Budget::new(1, None, Spent::default()));
        budget.begin().unwrap().refund();
        drop(budget.begin().unwrap());
        assert_eq!(limit(&budget.begin().unwrap_err()), "max-turns");
    }

    #[test]
    fn tokens_at_the_limit_end_it_and_one_below_goes_on() {
        for (spent, goes_on) in [(99, true), (100, false)] {
            let budget = Arc::new(Budget::new(9, Some(100), Spent::default()));
            budget.begin().unwrap().spend(Spent { input: spent - 9, output: 9, ..Spent::default() });
            assert_eq!(
                budget.begin().map(drop).map_err(|error| limit(&error)),
                if goes_on { Ok(()) } else { Err("max-tokens") }
            );
        }
        let resumed = Arc::new(Budget::new(9, Some(100), Spent { cache_read: 100, ..Spent::default() }));
        assert_eq!(limit(&resumed.begin().unwrap_err()), "max-tokens");
    }

    #[test]
    fn calls_open_at_once_are_bounded() {
        let budget = Arc::new(Budget::new(100, None, Spent::default()));
        let open: Vec<_> = (0..OPEN_CALLS).map(|_| budget.begin().unwrap()).collect();
        assert!(matches!(budget.begin(), Err(GatewayError::TooManyOpen { .. })));
        drop(open);
        assert!(budget.begin().is_ok());
    }
}
