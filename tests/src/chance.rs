//! Random choices of tests that can be made again, and how many there are of them.

use std::time::Duration;

use crate::product::say;

/// Names a seed to be used again.
const SEED: &str = "STIGMER_SEED";

/// `long` under `cargo xtask test --long`, else `short`.
#[must_use]
pub fn rounds(short: usize, long: usize) -> usize {
    if std::env::var_os("STIGMER_LONG").is_some_and(|value| value == *"1") { long } else { short }
}

/// A row of random numbers (splitmix64), whose seed is printed.
#[derive(Debug)]
pub struct Chance(u64);

impl Chance {
    /// The row of `STIGMER_SEED`, or of the clock.
    #[must_use]
    pub fn of(test: &str) -> Chance {
        let given = std::env::var(SEED).ok().and_then(|text| text.parse().ok());
        let clock = || std::time::UNIX_EPOCH.elapsed().map_or(0, |time| time.as_micros() as u64);
        let seed = given.unwrap_or_else(clock);
        say(&format!("{test}: {SEED}={seed}"));
        Chance(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// One of `items`.
    #[must_use]
    pub fn one<T: Copy>(&mut self, items: &[T]) -> Option<T> {
        let count = u64::try_from(items.len()).ok().filter(|count| *count > 0)?;
        usize::try_from(self.next() % count).ok().and_then(|index| items.get(index).copied())
    }

    /// A time below `most`.
    #[must_use]
    pub fn time(&mut self, most: Duration) -> Duration {
        let micros = u64::try_from(most.as_micros()).unwrap_or(u64::MAX);
        Duration::from_micros(self.next() % micros.max(1))
    }
}
