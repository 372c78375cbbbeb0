//! One execution in one process, inside the jail.
//!
//! ```text
//!  trusted half ◄── rpc ──► lease ─► execution ─► agent loop ─► tools ─► file verbs
//!                           outbox ◄─ journal, events     │       ├────► plugins
//!                           model transport ◄─────────────┘       └────► commands ── work ──► init
//! ```
//!
//! The process holds no key, no network and no folder that its policy does not grant. Everything that it reports is
//! bounded here and checked again by the trusted half. When its stream to the trusted half ends, it ends.

#![deny(missing_docs)]

mod approvals;
mod capture;
mod commands;
mod events;
mod execution;
mod jobs;
mod journal;
mod lease;
mod model;
mod outbox;
mod plugins;
mod rpc;
mod run;
mod scratch;
mod start;
#[cfg(test)]
mod testing;
pub mod tools;
mod trim;

pub use run::{Ended, run};
pub use start::{Handed, main, main_with};
