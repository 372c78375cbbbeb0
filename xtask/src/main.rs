//! Developer commands, one file per task: `cargo xtask TASK`.

#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a developer's tool: it starts processes, touches the build folder, and speaks to a terminal"
)]

mod bench;
mod budget;
mod build;
mod guests;
mod place;
mod process;
#[cfg(feature = "proto")]
mod proto;
mod quickstart;
mod test;
mod wasm_target;

use std::process::ExitCode;

const USAGE: &str = "usage: cargo xtask TASK

  quickstart        build everything, then run the main job on real data with a scripted model
  test [--long]     format, lints, docs, architecture and length checks, all tests; as root also as an ordinary user
  build             guests, plugins with their skill folders, and the product
  guests            components only; prints where they are
  bench [NAME]      the benches, or one of them
  budget [--cold]   crates in the binary, check and link times; --cold also a build from nothing
  wasm-target       provide the wasm32-wasip2 target (the others do so themselves)
  proto             regenerate code from .proto files (needs `--features proto` before `--`)";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let Some((task, rest)) = args.split_first() else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    let done = match task.as_str() {
        "quickstart" => quickstart::run(rest),
        "test" => test::run(rest),
        "build" => build::run(rest),
        "guests" => guests::run(rest),
        "bench" => bench::run(rest),
        "budget" => budget::run(rest),
        "wasm-target" => wasm_target::provide(),
        #[cfg(feature = "proto")]
        "proto" => proto::run(rest),
        #[cfg(not(feature = "proto"))]
        "proto" => Err(anyhow::anyhow!("run `cargo run -p xtask --features proto -- proto`")),
        _ => {
            eprintln!("no task `{task}`\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {task}: {error:#}");
            ExitCode::FAILURE
        }
    }
}
