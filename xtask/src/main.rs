//! Developer commands.

use anyhow::Result;

#[cfg(feature = "proto")]
mod proto;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.split_first() {
        #[cfg(feature = "proto")]
        Some((verb, rest)) if verb == "proto" => proto::run(rest),
        #[cfg(not(feature = "proto"))]
        Some((verb, _)) if verb == "proto" => anyhow::bail!("run `cargo run -p xtask --features proto -- proto`"),
        _ => anyhow::bail!("usage: cargo xtask proto"),
    }
}
