//! Work that init can run in a confined process of its own, by name.

use stigmer_sandbox::init::JobTable;

/// The whole table.
pub(crate) const JOBS: JobTable = crate::sandbox::JOBS;
