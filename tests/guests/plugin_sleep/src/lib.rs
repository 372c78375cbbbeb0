//! Uses more than it should.

use std::hint::black_box;
use std::time::{Duration, Instant};

use exports::test::waiting::guest::Guest;

wit_bindgen::generate!({ path: "wit" });

struct Guest_;

#[inline(never)]
fn deeper(depth: u64) -> u64 {
    let frame = black_box([depth; 16]);
    if depth == 0 { 0 } else { deeper(black_box(depth - 1)) + frame[0] % 2 }
}

impl Guest for Guest_ {
    fn sleep(milliseconds: u64) {
        std::thread::sleep(Duration::from_millis(milliseconds));
    }

    fn spin() -> u64 {
        let mut count = 0_u64;
        loop {
            count = black_box(count.wrapping_add(1));
        }
    }

    fn recurse(depth: u64) -> u64 {
        deeper(depth)
    }

    fn grow(mebibytes: u32) -> u64 {
        let bytes = vec![1_u8; (mebibytes as usize) << 20];
        black_box(&bytes).iter().map(|byte| u64::from(*byte)).sum()
    }

    fn panic(text: String) {
        panic!("{text}");
    }

    fn hold(resources: u32) -> u32 {
        let held: Vec<_> = (0..resources).map(|_| std::fs::File::open("/")).collect();
        black_box(Instant::now());
        held.iter().filter(|file| file.is_ok()).count() as u32
    }

    fn zeros(count: u64) -> Vec<u8> {
        vec![0; count as usize]
    }
}

export!(Guest_);
