//! Waiting for something that is seen, not for a time.

use std::time::{Duration, Instant};

/// Between two looks.
const AGAIN: Duration = Duration::from_millis(2);

/// Waits until `holds`.
///
/// # Panics
/// With `what` when it does not within `patience`.
pub fn until(patience: Duration, what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < patience, "{what}");
        std::thread::sleep(AGAIN);
    }
}
