//! The file verbs: what the file tools of an agent and `stigmer sandbox put|get|ls|grep` do.
//!
//! [`Roots`] opens every folder that the policy grants once, by path, and never again. From then on each verb asks
//! the policy about the path as it was written, walks to it name by name over directory handles, asks the policy again
//! about the place that the walk arrived at, and acts on one name relative to the handle that it holds. No path string
//! is opened after a check, so a link that is swapped in between can at most make a verb fail.
//!
//! Every verb is synchronous, bounded by named constants, and has its own error type, with a stable
//! `case()`, an optional `hint()` and, where the policy refused, the `denial()`.

mod change;
mod delete;
mod draft;
mod edit;
mod fault;
mod glob;
mod grep;
mod ignored;
mod lines;
mod ls;
mod mkdir;
mod node;
mod put;
mod read;
mod rename;
mod resolve;
mod roots;
mod stat;
mod stop;
mod tree;
mod turn;
mod walk;

pub use change::{Change, ChangeKind};
pub use delete::{DeleteError, Removal};
pub use edit::{Edit, EditError, Edited, MAX_EDIT_BYTES};
pub use fault::PathFault;
pub use glob::{GLOB_MATCHES, GlobError, GlobOptions, Globbed};
pub use grep::{GREP_FILE_BYTES, GREP_LINE_BYTES, GREP_MATCHES, GrepError, GrepMatch, GrepOptions, Grepped};
pub use lines::{LINE_BYTES, Line, Lines, LinesOptions, PAGE_BYTES, PAGE_LINES, Page};
pub use ls::{Entry, LS_ENTRIES, LS_SCAN, LinkEntry, LinkLeads, Listing, LsError};
pub use mkdir::MkdirError;
pub use node::Kind;
pub use put::{PutError, PutOptions};
pub use read::{READ_BYTES, ReadBytes, ReadError, ReadOptions};
pub use rename::RenameError;
pub use roots::{Identity, RootError, Roots};
pub use stat::{Stat, StatError};
pub use stop::{Stop, Stopped};
pub use tree::TreeFault;
pub use walk::{Cut, MAX_DEPTH, MAX_ENTRIES, SEARCH_TIME, Warning};
