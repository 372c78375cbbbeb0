//! `stigmer`: one executable in all parts. The hidden parts are dispatched first, before the command line, logging or
//! any runtime is touched: they run as other processes, with other rights.

mod doctor;
mod failure;
mod jobs;
mod person;
mod printer;
mod sandbox;

use std::process::ExitCode;

use clap::Parser;

use crate::failure::Failure;
use crate::printer::Printer;

/// Runs AI agents on your machine without trusting them.
#[derive(Parser)]
#[command(name = "stigmer", version, about, max_term_width = 110, disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// The walls alone, without an agent
    Sandbox(sandbox::SandboxCommand),
    Doctor(doctor::DoctorCommand),
}

fn main() -> ExitCode {
    if std::env::args_os().nth(1).is_some_and(|part| part == "init") {
        run_init();
    }
    let printer = Printer::new();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return failure::usage(&error),
    };
    let outcome = match cli.command {
        Command::Sandbox(command) => command.execute(&printer),
        Command::Doctor(command) => command.execute(&printer),
    };
    outcome.unwrap_or_else(|failure: Failure| failure.print(&printer))
}

fn run_init() -> ! {
    use std::os::fd::AsFd;
    // A copy, not the number itself: nothing else here owns descriptor 0.
    match std::io::stdin().as_fd().try_clone_to_owned() {
        Ok(control) => stigmer_sandbox::init::run(control, jobs::JOBS),
        Err(_) => std::process::exit(3),
    }
}
