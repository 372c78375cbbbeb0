//! The jail: what stands between confined code and the machine. One file per kind of wall.
//!
//! [`plan`] is pure: it turns a policy and facts about the host into a list of mounts and file rules. The other files
//! each make one kernel mechanism out of it; [`layers`] says which of them stand.

pub(crate) mod anchors;
pub(crate) mod capabilities;
pub(crate) mod enter;
pub mod facts;
pub mod landlock;
pub mod layers;
pub(crate) mod mounts;
pub(crate) mod namespaces;
pub mod plan;
pub(crate) mod protect;
pub(crate) mod rlimits;
