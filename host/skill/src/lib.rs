//! Agent Skills (agentskills.io): a folder with a `SKILL.md` and whatever it refers to.
//!
//! ```text
//! folder ──► Skill::from_dir ──┐                   ┌──► pack ──► archive (tar, gzip)
//!                              ├──► Skill ─────────┤
//! archive ──► unpack ──────────┘  (entries, digest) └──► write_into ──► folder
//! ```
//!
//! A [`Skill`] is entries in memory, bounded, each with a checked name; nothing is run by being loaded, and this crate
//! knows no sandbox. [`Skill::problems`] is the strict reading that `skill validate` shows; loading is lenient, as the
//! specification asks of clients.

#![deny(missing_docs)]

pub mod archive;
pub mod digest;
pub mod entry;
pub mod folder;
pub mod front_matter;
pub mod name;
pub mod skill;

pub use archive::{UnpackError, pack, unpack};
pub use digest::Digest;
pub use entry::{Entry, EntryError, EntryPath, Limits};
pub use folder::{ReadError, WriteError};
pub use front_matter::{FrontMatter, FrontMatterError};
pub use name::{NameError, SkillName};
pub use skill::{Skill, SkillError};
