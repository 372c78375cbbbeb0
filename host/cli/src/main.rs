//! The program.

fn main() -> std::process::ExitCode {
    stigmer_cli::main(stigmer_runner::main)
}
