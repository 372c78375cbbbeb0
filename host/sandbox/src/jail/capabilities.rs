//! Giving up every capability.

use rustix::thread::{CapabilitySet, CapabilitySets, set_capabilities};
use stigmer_policy::Layer;

use crate::failure::Step;
use crate::message::SetupFailure;

/// Highest capability number that is tried; the kernel has 41 today (CAP_LAST_CAP), the bound leaves room.
const LAST: u32 = 63;

/// Empties the bounding set, so that no program started from here can gain a capability. Those that the process holds
/// stay. Once per execution: the set is inherited.
///
/// That it cannot be changed for want of CAP_SETPCAP, as for an ordinary user at base level, is no error: no_new_privs
/// keeps it from mattering (capabilities(7)).
pub(crate) fn drop_bounding() {
    for number in 0..=LAST {
        // SAFETY: PR_CAPBSET_DROP takes a number and touches no memory.
        let dropped = unsafe { libc::prctl(libc::PR_CAPBSET_DROP, u64::from(number), 0, 0, 0) };
        // EINVAL: past the kernel's last one.
        if dropped != 0 {
            break;
        }
    }
}

/// Drops all capabilities that the calling process holds: effective, permitted, inheritable and ambient.
///
/// # Errors
/// When they cannot be dropped.
pub(crate) fn drop_all() -> Result<(), SetupFailure> {
    // An old kernel without ambient capabilities has none to clear.
    let _ = rustix::thread::clear_ambient_capability_set();
    let none = CapabilitySets {
        effective: CapabilitySet::empty(),
        permitted: CapabilitySet::empty(),
        inheritable: CapabilitySet::empty(),
    };
    set_capabilities(None, none).step(Layer::Capabilities, "drop all capabilities")
}
