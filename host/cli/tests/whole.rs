//! Whole runs of the program: exit code, stdout, stderr, in a fresh home with a scrubbed environment.
#![expect(clippy::disallowed_methods, reason = "tests build their own fixtures and start the program")]
#![expect(clippy::print_stdout, reason = "shown when a test fails")]

#[path = "whole/earlier.rs"]
mod earlier;
#[path = "whole/faults.rs"]
mod faults;
#[path = "whole/keys.rs"]
mod keys;
#[path = "whole/lifecycle.rs"]
mod lifecycle;
#[path = "whole/locked.rs"]
mod locked;
#[path = "whole/parked.rs"]
mod parked;
#[path = "whole/prompt.rs"]
mod prompt;
#[path = "whole/prune.rs"]
mod prune;
#[path = "whole/refusing.rs"]
mod refusing;
#[path = "whole/runs.rs"]
mod runs;
#[path = "whole/screens.rs"]
mod screens;
#[path = "whole/usage.rs"]
mod usage;
#[path = "whole/world.rs"]
mod world;
