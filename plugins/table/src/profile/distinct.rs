//! How many different values there are: exact while few, then estimated from their hashes.

use std::collections::HashSet;

/// Up to here the count is exact: 8 KiB of hashes.
const EXACT: usize = 1024;
/// Registers are chosen by this many bits: 4,096 of them, a standard error of 1.04 / 64 = 1.6 %.
const BITS: u32 = 12;
const REGISTERS: usize = 1 << BITS;

/// Counts different values by HyperLogLog (Flajolet and others, 2007), with linear counting while it is the better one.
#[derive(Debug)]
pub(super) struct Distinct {
    few: HashSet<u64>,
    registers: Option<Box<[u8]>>,
}

impl Distinct {
    pub(super) fn new() -> Self {
        Distinct { few: HashSet::new(), registers: None }
    }

    /// Counts `text`; true when it is known to be new.
    pub(super) fn add(&mut self, text: &str) -> bool {
        let hash = hash(text.as_bytes());
        if let Some(registers) = &mut self.registers {
            note(registers, hash);
            return false;
        }
        let new = self.few.insert(hash);
        if self.few.len() > EXACT {
            let mut registers = vec![0; REGISTERS].into_boxed_slice();
            self.few.drain().for_each(|hash| note(&mut registers, hash));
            self.registers = Some(registers);
        }
        new
    }

    /// The count, and whether it is exact.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an estimate of at most 2^64 from 4,096 registers"
    )]
    pub(super) fn count(&self) -> (u64, bool) {
        let Some(registers) = &self.registers else { return (self.few.len() as u64, true) };
        let m = REGISTERS as f64;
        let sum: f64 = registers.iter().map(|rank| (-f64::from(*rank)).exp2()).sum();
        let raw = 0.7213 / (1.0 + 1.079 / m) * m * m / sum;
        let empty = registers.iter().filter(|rank| **rank == 0).count();
        let estimate = if raw <= 2.5 * m && empty > 0 { m * (m / empty as f64).ln() } else { raw };
        (estimate.round() as u64, false)
    }
}

fn note(registers: &mut [u8], hash: u64) {
    let place = (hash >> (64 - BITS)) as usize;
    let rank = ((hash << BITS) | (1 << (BITS - 1))).leading_zeros() + 1;
    registers[place] = registers[place].max(u8::try_from(rank).expect("at most 53"));
}

/// FNV-1a over eight bytes at a time, then the finaliser of MurmurHash3 so that every bit counts.
fn hash(bytes: &[u8]) -> u64 {
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    let mut state = 0xcbf2_9ce4_8422_2325 ^ bytes.len() as u64;
    let mut chunks = bytes.chunks_exact(8);
    for chunk in &mut chunks {
        let word = u64::from_le_bytes(chunk.try_into().expect("chunks of eight"));
        state = mix(state ^ word).wrapping_mul(PRIME);
    }
    for byte in chunks.remainder() {
        state = (state ^ u64::from(*byte)).wrapping_mul(PRIME);
    }
    mix(state)
}

fn mix(mut value: u64) -> u64 {
    value ^= value >> 33;
    value = value.wrapping_mul(0xff51_afd7_ed55_8ccd);
    value ^= value >> 33;
    value = value.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    value ^ (value >> 33)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exact_at_the_limit_estimated_above() {
        for (count, exact) in
            [(0, true), (1, true), (EXACT, true), (EXACT + 1, false), (5_000, false), (300_000, false)]
        {
            let mut distinct = Distinct::new();
            for round in 0..2 {
                for value in 0..count {
                    distinct.add(&format!("value {value}"));
                }
                assert!(round < 2);
            }
            let (found, is_exact) = distinct.count();
            assert_eq!(is_exact, exact, "{count}");
            let off = found.abs_diff(count as u64);
            // Five standard errors: fixed hash, so this does not flicker.
            assert!(if exact { off == 0 } else { off * 1000 <= count as u64 * 85 }, "{count}: {found}");
        }
    }
}
