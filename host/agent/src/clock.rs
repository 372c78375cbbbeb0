//! Time and chance, as values that a test can choose.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::time::{Duration, Instant, SystemTime};

use async_trait::async_trait;

/// What the loop needs of time: a reading, a pause, and a spread for pauses.
#[async_trait]
pub trait Clock: Send + Sync {
    /// A reading that never goes back.
    fn now(&self) -> Instant;

    /// The time of day, as far as this machine knows it.
    fn wall(&self) -> SystemTime {
        SystemTime::now()
    }

    /// Returns after `time`.
    async fn sleep(&self, time: Duration);

    /// A number in `0.0..1.0`, different each time, so that many agents do not retry in step.
    fn jitter(&self) -> f64;
}

/// The machine's own clock, over tokio's timer.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

#[async_trait]
impl Clock for SystemClock {
    fn now(&self) -> Instant {
        Instant::now()
    }

    async fn sleep(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }

    fn jitter(&self) -> f64 {
        // Each `RandomState` has fresh keys; the spread of retries needs no better source, and no crate.
        let bits = RandomState::new().build_hasher().finish() >> 11;
        bits as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_stays_in_its_range_and_varies() {
        let draws: Vec<f64> = (0..64).map(|_| SystemClock.jitter()).collect();
        assert!(draws.iter().all(|draw| (0.0..1.0).contains(draw)), "{draws:?}");
        assert!(draws.iter().any(|draw| *draw != draws[0]));
    }
}
