//! Says what a guest sees of its surroundings.

use std::io::{Read, Write};

use exports::test::environment::guest::Guest;

wit_bindgen::generate!({ path: "wit" });

struct Guest_;

impl Guest for Guest_ {
    fn get(name: String) -> Option<String> {
        std::env::var(name).ok()
    }

    fn names() -> Vec<String> {
        let mut names: Vec<_> = std::env::vars().map(|(name, _)| name).collect();
        names.sort();
        names
    }

    fn arguments() -> Vec<String> {
        std::env::args().collect()
    }

    fn input() -> Result<String, String> {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).map_err(|error| error.to_string())?;
        Ok(text)
    }

    fn print(out: String, error: String, times: u32) {
        for _ in 0..times {
            std::io::stdout().write_all(out.as_bytes()).expect("stdout takes everything");
            std::io::stderr().write_all(error.as_bytes()).expect("stderr takes everything");
        }
        std::io::stdout().flush().expect("stdout takes everything");
    }

    fn exit(ok: bool) {
        std::process::exit(if ok { 0 } else { 1 })
    }
}

export!(Guest_);
