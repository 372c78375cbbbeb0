//! Takes random bytes.

use exports::test::random::guest::Guest;

wit_bindgen::generate!({ path: "wit", generate_all });

struct Guest_;

impl Guest for Guest_ {
    fn take(size: u64, times: u32) -> u32 {
        let mut seen = [false; 256];
        for _ in 0..times {
            seen = [false; 256];
            for byte in wasi::random::random::get_random_bytes(size) {
                seen[usize::from(byte)] = true;
            }
        }
        seen.iter().filter(|seen| **seen).count() as u32
    }
}

export!(Guest_);
