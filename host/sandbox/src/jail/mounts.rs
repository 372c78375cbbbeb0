//! Building the jail's own tree. The only file that calls mount(2) and its kin.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags,
    fsconfig_create, fsconfig_set_string, fsmount, fsopen, mount_change, move_mount, open_tree, unmount,
};
use stigmer_policy::{Access, Layer};

use crate::failure::Step;
use crate::jail::facts::Identity;
use crate::jail::plan::Mount;
use crate::message::SetupFailure;

/// Folders that exist on every Linux; the new tree is put together over the first one that is there.
const STAGING: &[&str] = &["/tmp", "/usr", "/"];
/// Bytes of the root's own memory file system: it holds folders and links only.
const ROOT_BYTES: u64 = 4 << 20;

const LAYER: Layer = Layer::Mounts;

/// Replaces the process's whole tree by the one that `mounts` describes, with the capabilities of its user namespace.
/// With `own_pids` the process must be the first of a new pid namespace; without, the host's `/proc` stays in view.
///
/// # Errors
/// The step and the path; `root changed` when a source is no longer what the trusted half saw.
pub(crate) fn replace_tree(mounts: &[Mount], own_pids: bool) -> Result<(), SetupFailure> {
    mount_change("/", MountPropagationFlags::REC | MountPropagationFlags::PRIVATE)
        .step(LAYER, "make the mount namespace private")?;
    // Every source is opened before anything is mounted over: staging may hide one.
    let trees = mounts.iter().map(|mount| source(mount, own_pids)).collect::<Result<Vec<_>, _>>()?;
    let root = tmpfs(ROOT_BYTES, 0o755).step(LAYER, "make an empty root")?;
    let staging = STAGING.iter().find(|path| rustix::fs::stat(**path).is_ok()).copied().unwrap_or("/");
    move_mount(&root, "", CWD, staging, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH).step_on(
        LAYER,
        "place the new root over",
        Path::new(staging),
    )?;
    for (mount, tree) in mounts.iter().zip(trees) {
        place(&root, mount, tree)?;
    }
    rustix::process::fchdir(&root).step(LAYER, "enter the new root")?;
    // pivot_root(2): with both arguments "." the old root is stacked below the new one, and detached right after.
    rustix::process::pivot_root(".", ".").step(LAYER, "pivot into the new root")?;
    unmount(".", UnmountFlags::DETACH).step(LAYER, "detach the old root")?;
    rustix::process::chdir("/").step(LAYER, "enter the new root")?;
    set_attributes(CWD, "/", libc::MOUNT_ATTR_RDONLY | libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV, false)
        .step(LAYER, "make the new root read-only")
}

/// Gives the calling process its own `/proc`, over the one that it sees.
///
/// # Errors
/// As mount(2); EPERM where no whole `/proc` is visible.
pub(crate) fn own_proc() -> io::Result<()> {
    move_mount(proc()?, "", CWD, "/proc", MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?;
    Ok(())
}

/// Binds `path`, which lies below `/`, onto itself, so that it can no longer be renamed or removed; with `read_only`
/// nothing in it can be changed either. No symbolic link is followed on the way.
///
/// # Errors
/// As open_tree(2) and move_mount(2).
pub(crate) fn bind_onto_itself(path: &Path, read_only: bool) -> io::Result<()> {
    let target = openat2(CWD, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), ResolveFlags::NO_SYMLINKS)?;
    let tree = clone_tree(target.as_fd())?;
    let mut attributes = libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV;
    if read_only {
        attributes |= libc::MOUNT_ATTR_RDONLY;
    }
    set_attributes(tree.as_fd(), "", attributes, true)?;
    attach(&tree, target.as_fd())
}

fn source(mount: &Mount, own_pids: bool) -> Result<Option<OwnedFd>, SetupFailure> {
    if *mount == Mount::Proc {
        let target = Path::new("/proc");
        // Made before the old root goes: a new /proc is refused (EPERM) unless a whole one is in view.
        let tree = if own_pids { proc() } else { open_host_proc() };
        return tree.map(Some).step_on(Layer::Pids, "mount", target);
    }
    let Mount::Bind { source, access, identity, device, .. } = mount else { return Ok(None) };
    let from = openat2(CWD, source, OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), ResolveFlags::NO_SYMLINKS)
        .step_on(LAYER, "open", source)?;
    check_identity(&from, *identity, source)?;
    let tree = clone_tree(from.as_fd()).step_on(LAYER, "take", source)?;
    let mut attributes = libc::MOUNT_ATTR_NOSUID;
    if !device {
        attributes |= libc::MOUNT_ATTR_NODEV;
    }
    if *access == Access::ReadOnly {
        attributes |= libc::MOUNT_ATTR_RDONLY;
    }
    set_attributes(tree.as_fd(), "", attributes, true).step_on(LAYER, "restrict", source)?;
    Ok(Some(tree))
}

/// Refuses a root that was swapped between the trusted half's check and this moment.
pub(crate) fn check_identity(fd: impl AsFd, identity: Identity, path: &Path) -> Result<(), SetupFailure> {
    let stat = rustix::fs::fstat(fd).step_on(LAYER, "look at", path)?;
    if (Identity { device: stat.st_dev, inode: stat.st_ino }) == identity {
        return Ok(());
    }
    Err(SetupFailure {
        step: "use a root that changed since it was checked (root changed)".to_owned(),
        subject: Some(path.display().to_string()),
        errno: 0,
        layer: Some(LAYER),
    })
}

fn clone_tree(from: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    // Recursive: without privilege over the host, mounts below a source may not be shed.
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_EMPTY_PATH
        | OpenTreeFlags::AT_RECURSIVE;
    Ok(open_tree(from, "", flags)?)
}

fn open_host_proc() -> io::Result<OwnedFd> {
    let proc = rustix::fs::open("/proc", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    clone_tree(proc.as_fd())
}

fn attach(tree: &OwnedFd, target: BorrowedFd<'_>) -> io::Result<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    Ok(move_mount(tree, "", target, "", flags)?)
}

fn tmpfs(bytes: u64, mode: u32) -> io::Result<OwnedFd> {
    let fs = fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_set_string(fs.as_fd(), "size", bytes.to_string())?;
    fsconfig_set_string(fs.as_fd(), "mode", format!("{mode:o}"))?;
    fsconfig_create(fs.as_fd())?;
    let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
    Ok(fsmount(fs.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, attributes)?)
}

fn ptys() -> io::Result<OwnedFd> {
    let fs = fsopen("devpts", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_set_string(fs.as_fd(), "ptmxmode", "0666")?;
    fsconfig_set_string(fs.as_fd(), "mode", "620")?;
    fsconfig_create(fs.as_fd())?;
    let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    Ok(fsmount(fs.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, attributes)?)
}

fn place(root: &OwnedFd, mount: &Mount, tree: Option<OwnedFd>) -> Result<(), SetupFailure> {
    match mount {
        Mount::Bind { target, folder, .. } => {
            let tree = tree.expect("every bind has a source, opened above");
            let at = mount_point(root, target, *folder).step_on(LAYER, "make a place for", target)?;
            attach(&tree, at.as_fd()).step_on(LAYER, "mount", target)
        }
        Mount::Tmpfs { target, bytes, mode } => {
            let at = mount_point(root, target, true).step_on(LAYER, "make a place for", target)?;
            let tree = tmpfs(*bytes, *mode).step_on(LAYER, "make a memory file system for", target)?;
            attach(&tree, at.as_fd()).step_on(LAYER, "mount", target)
        }
        Mount::Ptys => {
            let target = Path::new("/dev/pts");
            let at = mount_point(root, target, true).step_on(LAYER, "make a place for", target)?;
            let tree = ptys().step_on(LAYER, "make pseudo-terminals for", target)?;
            attach(&tree, at.as_fd()).step_on(LAYER, "mount", target)
        }
        Mount::Proc => {
            let target = Path::new("/proc");
            let at = mount_point(root, target, true).step_on(LAYER, "make a place for", target)?;
            let tree = tree.expect("made with the sources above");
            attach(&tree, at.as_fd()).step_on(LAYER, "mount", target)
        }
        Mount::File { target, content } => {
            let (parent, name) = parent(root, target).step_on(LAYER, "make a place for", target)?;
            let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
            let file =
                rustix::fs::openat(&parent, name, flags, Mode::from_raw_mode(0o644)).step_on(LAYER, "make", target)?;
            std::io::Write::write_all(&mut std::fs::File::from(file), content).step_on(LAYER, "write", target)
        }
        Mount::Link { target, text } => {
            let (parent, name) = parent(root, target).step_on(LAYER, "make a place for", target)?;
            rustix::fs::symlinkat(text, &parent, name).step_on(LAYER, "link", target)
        }
    }
}

fn proc() -> io::Result<OwnedFd> {
    let fs = fsopen("proc", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_create(fs.as_fd())?;
    let attributes =
        MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    Ok(fsmount(fs.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, attributes)?)
}

/// Opens the folder that `target` lies in, making it and its parents where they are missing. Never follows a link.
fn parent<'t>(root: &OwnedFd, target: &'t Path) -> io::Result<(OwnedFd, &'t std::ffi::OsStr)> {
    let name = target.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let folder = target.parent().and_then(|parent| parent.strip_prefix("/").ok()).ok_or(io::ErrorKind::InvalidInput)?;
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    // As a rule a mount before this one made it.
    match open_below(root.as_fd(), folder, true) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        found => return Ok((found?, name)),
    }
    let mut at = open_below(root.as_fd(), Path::new("."), true)?;
    for component in folder.components() {
        let std::path::Component::Normal(part) = component else { continue };
        let next = match open_below(at.as_fd(), Path::new(part), true) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                rustix::fs::mkdirat(&at, part, Mode::from_raw_mode(0o755))?;
                open_below(at.as_fd(), Path::new(part), true)?
            }
            other => other?,
        };
        at = next;
    }
    Ok((at, name))
}

fn mount_point(root: &OwnedFd, target: &Path, folder: bool) -> io::Result<OwnedFd> {
    let (parent, name) = parent(root, target)?;
    let name = Path::new(name);
    match open_below(parent.as_fd(), name, folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if folder {
                rustix::fs::mkdirat(&parent, name, Mode::from_raw_mode(0o755))?;
            } else {
                let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
                rustix::fs::openat(&parent, name, flags, Mode::from_raw_mode(0o644))?;
            }
            open_below(parent.as_fd(), name, folder)
        }
        other => other,
    }
}

fn open_below(at: BorrowedFd<'_>, path: &Path, folder: bool) -> io::Result<OwnedFd> {
    let mut flags = OFlags::PATH | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    if folder {
        flags |= OFlags::DIRECTORY;
    }
    // BENEATH would refuse to cross into a mount placed before; NO_SYMLINKS is what matters here.
    Ok(openat2(at, path, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS)?)
}

fn set_attributes(at: BorrowedFd<'_>, path: &str, set: u64, recursive: bool) -> io::Result<()> {
    let path = CString::new(Path::new(path).as_os_str().as_bytes()).map_err(|_| io::ErrorKind::InvalidInput)?;
    let mut flags = 0;
    if path.is_empty() {
        flags |= libc::AT_EMPTY_PATH;
    }
    if recursive {
        flags |= libc::AT_RECURSIVE;
    }
    let attributes = libc::mount_attr { attr_set: set, attr_clr: 0, propagation: 0, userns_fd: 0 };
    // SAFETY: mount_setattr(2) reads a NUL-terminated path and `size` bytes of mount_attr; both outlive the call.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            at.as_raw_fd(),
            path.as_ptr(),
            flags,
            &raw const attributes,
            size_of::<libc::mount_attr>(),
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
