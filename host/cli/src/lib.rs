//! `stigmer`: one executable in all parts. The hidden parts are dispatched first, before the command line, logging or
//! any runtime is touched: they run as other processes, with other rights.
//!
//! A library only so that a test can build the same program around a runner of its own, which attacks. Which runner that
//! is, is decided when the program is compiled; nothing that a person sets can put another in its place.

#![deny(missing_docs)]

mod banner;
mod begin;
mod client;
mod context;
mod daemon;
mod doctor;
mod ending;
mod engine;
mod execution;
mod failure;
mod follow;
mod jobs;
mod local;
mod orders;
mod person;
mod plugin;
mod printer;
mod project;
mod provider;
mod refusal;
mod run;
mod sandbox;
mod secret;
mod settings;
mod standing;
mod start;

use std::process::ExitCode;

use clap::Parser;

use crate::failure::Failure;
use crate::printer::Printer;

/// Runs AI agents on your machine without trusting them.
#[derive(Parser)]
#[command(
    name = "stigmer",
    version,
    about,
    max_term_width = 110,
    disable_help_subcommand = true,
    after_help = "To begin:\n  stigmer doctor                 what this machine can hold\n  stigmer local start            the daemon; asks for a key where one is missing\n  stigmer run -m 'What is here?' an agent on the current folder\n\nExit codes: 0 done; 1 it failed or was denied; 2 wrong usage; 3 our own failure, or this machine cannot hold what was asked"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    Local(local::LocalCommand),
    Run(Box<run::RunCommand>),
    Execution(execution::ExecutionCommand),
    Plugin(plugin::PluginCommand),
    Sandbox(sandbox::SandboxCommand),
    Secret(secret::SecretCommand),
    Doctor(doctor::DoctorCommand),
}

/// The whole program, around `runner`: the first statement of a runner's process, which never comes back from it. To be
/// called by the first statement of `main`. Returns the exit code.
pub fn main(runner: fn() -> !) -> ExitCode {
    match std::env::args_os().nth(1).as_deref().and_then(std::ffi::OsStr::to_str) {
        Some("init") => run_init(),
        Some(stigmer_daemon::jails::RUNNER_PART) => runner(),
        Some(daemon::PART) => return daemon::run(),
        _ => {}
    }
    let printer = Printer::new();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return failure::usage(&error),
    };
    let outcome = match cli.command {
        Command::Local(command) => command.execute(&printer),
        Command::Run(command) => command.execute(&printer),
        Command::Execution(command) => command.execute(&printer),
        Command::Plugin(command) => command.execute(&printer),
        Command::Sandbox(command) => command.execute(&printer),
        Command::Secret(command) => command.execute(&printer),
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
