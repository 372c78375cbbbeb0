//! Namespaces of an execution. The only file that calls unshare(2), and that says with which a process is born.

use std::io;

use rustix::thread::UnshareFlags;
use stigmer_policy::Layer;

use crate::failure::Step;
use crate::jail::layers::Layers;
use crate::message::SetupFailure;

/// Leaves the person's namespaces. The calling process keeps its ids and has every capability in the new user
/// namespace, none over the host. The pid namespace begins with the next fork.
///
/// # Errors
/// The step that the kernel refused; on systems that limit user namespaces it is the first.
pub(crate) fn leave(layers: &Layers, uid: u32, gid: u32) -> Result<(), SetupFailure> {
    // First: it gives the capabilities that every later step needs.
    unshare(UnshareFlags::NEWUSER).step(Layer::Capabilities, "make a user namespace")?;
    keep_ids(uid, gid)?;
    unshare(others(layers)).step(Layer::Mounts, "make mount, process and ipc namespaces")?;
    if layers.has(Layer::NetNamespace) {
        // The dearest step (about 0.4 ms).
        unshare(UnshareFlags::NEWNET).step(Layer::NetNamespace, "make a network namespace")?;
    }
    furnish(layers)
}

/// What makes a fork (clone(2)) begin in all namespaces at once. Which one the kernel refuses it does not say.
pub(crate) fn at_birth(layers: &Layers) -> libc::c_int {
    let mut flags = UnshareFlags::NEWUSER | others(layers);
    if layers.has(Layer::NetNamespace) {
        flags |= UnshareFlags::NEWNET;
    }
    flags.bits().cast_signed()
}

/// Makes a process that was born in its namespaces what [`leave`] makes of one that moved.
///
/// # Errors
/// The step that the kernel refused.
pub(crate) fn settle(layers: &Layers, uid: u32, gid: u32) -> Result<(), SetupFailure> {
    keep_ids(uid, gid)?;
    furnish(layers)
}

/// All but those of users and of the network.
fn others(layers: &Layers) -> UnshareFlags {
    let mut flags = UnshareFlags::NEWUTS;
    for (layer, flag) in [(Layer::IpcNamespace, UnshareFlags::NEWIPC), (Layer::Pids, UnshareFlags::NEWPID)] {
        if layers.has(layer) {
            flags |= flag;
        }
    }
    // Anchors need mounts of their own even where the tree is left as it is.
    if layers.has(Layer::Mounts) || layers.has(Layer::Anchors) || layers.has(Layer::Pids) {
        flags |= UnshareFlags::NEWNS;
    }
    flags
}

fn keep_ids(uid: u32, gid: u32) -> Result<(), SetupFailure> {
    map_ids(uid, gid).step(Layer::Capabilities, "keep the person's user id in a user namespace")
}

fn furnish(layers: &Layers) -> Result<(), SetupFailure> {
    if layers.has(Layer::NetNamespace) {
        raise_loopback().step(Layer::NetNamespace, "bring up loopback")?;
    }
    // What `uname -n` shows; not being able to set it takes nothing from anyone.
    let _ = rustix::system::sethostname(b"stigmer");
    Ok(())
}

fn unshare(flags: UnshareFlags) -> io::Result<()> {
    // SAFETY: `unshare_unsafe` is unsafe because CLONE_FILES and CLONE_FS change what other threads share; neither
    // flag is ever passed here, and init has one thread.
    unsafe { rustix::thread::unshare_unsafe(flags) }?;
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "/proc/self of the process itself, before the jail stands")]
fn map_ids(uid: u32, gid: u32) -> io::Result<()> {
    // user_namespaces(7): without privilege over the parent namespace a process may map only its own ids, and must
    // give up setgroups(2) before it maps groups.
    std::fs::write("/proc/self/setgroups", "deny")?;
    std::fs::write("/proc/self/uid_map", format!("{uid} {uid} 1"))?;
    std::fs::write("/proc/self/gid_map", format!("{gid} {gid} 1"))
}

fn raise_loopback() -> io::Result<()> {
    use rustix::net::{AddressFamily, SocketType, socket};
    use std::os::fd::AsRawFd;
    let socket = socket(AddressFamily::INET, SocketType::DGRAM, None)?;
    // SAFETY: an all-zero ifreq is a valid value of this plain C struct.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    request.ifr_name[0] = b'l' as libc::c_char;
    request.ifr_name[1] = b'o' as libc::c_char;
    request.ifr_ifru.ifru_flags = i16::try_from(libc::IFF_UP).expect("IFF_UP is 1");
    // SAFETY: SIOCSIFFLAGS reads an ifreq, which `request` is and stays for the call (netdevice(7)).
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
