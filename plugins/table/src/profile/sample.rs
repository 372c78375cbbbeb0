//! Quantiles of any number of numbers from a uniform sample of fixed size.

/// Numbers kept: 64 KiB. Up to here quantiles are exact.
const KEPT: usize = 8192;

/// A uniform random sample (reservoir sampling, algorithm R of Vitter, 1985). The random numbers are fixed, so that the
/// same file gives the same answer.
#[derive(Debug)]
pub(super) struct Sample {
    kept: Vec<f64>,
    count: u64,
    state: u64,
}

impl Sample {
    pub(super) fn new(seed: usize) -> Self {
        Sample { kept: Vec::new(), count: 0, state: seed as u64 }
    }

    pub(super) fn add(&mut self, value: f64) {
        self.count += 1;
        if self.kept.len() < KEPT {
            self.kept.push(value);
            return;
        }
        // Multiply-shift maps 64 random bits to 0..count with a bias below 2^-40 for any file that exists.
        let place = (u128::from(self.random()) * u128::from(self.count)) >> 64;
        if let Some(slot) = usize::try_from(place).ok().and_then(|place| self.kept.get_mut(place)) {
            *slot = value;
        }
    }

    /// SplitMix64.
    fn random(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut value = self.state;
        value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        value ^ (value >> 31)
    }

    pub(super) fn is_exact(&self) -> bool {
        self.count <= KEPT as u64
    }

    /// The three quartiles, interpolated between neighbours; `None` without numbers.
    pub(super) fn quartiles(mut self) -> Option<[f64; 3]> {
        if self.kept.is_empty() {
            return None;
        }
        self.kept.sort_by(f64::total_cmp);
        Some([0.25, 0.5, 0.75].map(|share| interpolate(&self.kept, share)))
    }
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "places in a list of at most 8,192"
)]
fn interpolate(sorted: &[f64], share: f64) -> f64 {
    let at = share * (sorted.len() - 1) as f64;
    let (below, above) = (sorted[at.floor() as usize], sorted[at.ceil() as usize]);
    below + (above - below) * at.fract()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quartiles(count: u32) -> (bool, [f64; 3]) {
        let mut sample = Sample::new(3);
        // Every number below `count` once, in an order that is not theirs: 7919 is prime.
        (0..u64::from(count)).for_each(|n| sample.add((n * 7919 % u64::from(count)) as f64));
        (sample.is_exact(), sample.quartiles().unwrap())
    }

    #[test]
    fn exact_at_the_limit_close_above() {
        assert_eq!(quartiles(5), (true, [1.0, 2.0, 3.0]));
        assert_eq!(quartiles(8192), (true, [2047.75, 4095.5, 6143.25]));
        for count in [8193, 1_000_000] {
            let (exact, found) = quartiles(count);
            assert!(!exact);
            for (share, value) in [0.25, 0.5, 0.75].into_iter().zip(found) {
                assert!((value / f64::from(count) - share).abs() < 0.02, "{count} {share}: {value}");
            }
        }
        assert_eq!(Sample::new(0).quartiles(), None);
    }
}
