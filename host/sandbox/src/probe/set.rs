//! The witnesses of one side: everything outside that an act could reach, made by the trusted half and taken away again.

#![expect(clippy::disallowed_methods, reason = "the trusted half makes and looks at its own fixtures")]

use std::cell::RefCell;
use std::ffi::CString;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, TcpListener, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixListener};
use std::path::{Path, PathBuf};

use super::acts::REPOSITORIES;
use super::scene::Scene;
use super::witness::Process;

/// Largest datagram that acts send.
const DATAGRAM: usize = 512;
/// Most datagrams that are read: each act sends one.
const DATAGRAMS: usize = 8;

/// Witnesses, and what acts are told of them.
#[derive(Debug)]
pub(crate) struct Set {
    pub(crate) scene: Scene,
    pub(crate) process: Process,
    folder: PathBuf,
    udp: UdpSocket,
    datagrams: Option<UnixDatagram>,
    received: RefCell<Vec<Vec<u8>>>,
    _kept: Kept,
}

/// Held open for as long as the set lives.
#[derive(Debug)]
struct Kept {
    _tcp: TcpListener,
    _tcp6: Option<TcpListener>,
    _stream: Option<UnixListener>,
    _abstract: UnixListener,
    _file: OwnedFd,
}

impl Set {
    /// Makes `folder/label` and all witnesses. The open file is passed on to children, as a careless program's would be.
    ///
    /// # Errors
    /// The kernel's, for what every Linux has.
    pub(crate) fn make(folder: &Path, label: &str) -> io::Result<Set> {
        let folder = folder.join(label);
        std::fs::DirBuilder::new().mode(0o700).create(&folder)?;
        let (workspace, outside) = (folder.join("w"), folder.join("o"));
        for folder in [&workspace, &outside] {
            std::fs::create_dir(folder)?;
        }
        for repository in REPOSITORIES {
            repository_in(&workspace.join(repository))?;
        }
        let canary = random_text()?;
        for (name, content) in [("secret", canary.as_str()), ("change", "as it was"), ("remove", ""), ("metadata", "")]
        {
            let mut file = std::fs::OpenOptions::new();
            io::Write::write_all(
                &mut file.write(true).create_new(true).mode(0o600).open(outside.join(name))?,
                content.as_bytes(),
            )?;
        }
        let file = rustix::fs::open(outside.join("secret"), rustix::fs::OFlags::RDONLY, rustix::fs::Mode::empty())?;
        let stat = rustix::fs::fstat(&file)?;
        let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let tcp6 = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).ok();
        let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        udp.set_nonblocking(true)?;
        let datagrams = UnixDatagram::bind(outside.join("d")).ok();
        if let Some(socket) = &datagrams {
            socket.set_nonblocking(true)?;
        }
        let abstract_name = format!("stigmer-probe-{canary}");
        let process = Process::start(format!("sw-{}", &canary[..12]), &canary, &file)?;
        let scene = Scene {
            scratch: PathBuf::from("/tmp"),
            shm_file: Path::new("/dev/shm").join(&abstract_name),
            tcp: tcp.local_addr()?.port(),
            udp: udp.local_addr()?.port(),
            tcp6: tcp6.as_ref().and_then(|listener| listener.local_addr().ok()).map(|address| address.port()),
            segment: segment(&canary),
            queue: queue(&format!("/{abstract_name}")),
            process: process.target.clone(),
            open_file: (stat.st_dev, stat.st_ino),
            most_processes: 0,
            scratch_bytes: 0,
            file_bytes: 0,
            workspace,
            outside,
            abstract_name,
            canary,
        };
        let kept = Kept {
            _tcp: tcp,
            _tcp6: tcp6,
            _stream: UnixListener::bind(scene.outside.join("s")).ok(),
            _abstract: UnixListener::bind_addr(&SocketAddr::from_abstract_name(&scene.abstract_name)?)?,
            _file: file,
        };
        Ok(Set { scene, process, folder, udp, datagrams, received: RefCell::default(), _kept: kept })
    }

    /// Whether this datagram has arrived, over IP or a path.
    pub(crate) fn received(&self, datagram: &[u8]) -> bool {
        let mut received = self.received.borrow_mut();
        for _ in 0..DATAGRAMS {
            let mut buffer = [0u8; DATAGRAM];
            if let Ok(bytes) = self.udp.recv(&mut buffer) {
                received.push(buffer[..bytes].to_vec());
            }
            if let Some(Ok(bytes)) = self.datagrams.as_ref().map(|socket| socket.recv(&mut buffer)) {
                received.push(buffer[..bytes].to_vec());
            }
        }
        received.iter().any(|it| it == datagram)
    }
}

impl Drop for Set {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.scene.shm_file);
        if let Some(name) = self.scene.queue.as_ref().and_then(|name| CString::new(name.as_bytes()).ok()) {
            // SAFETY: mq_unlink(3) reads a NUL-terminated name.
            unsafe { libc::mq_unlink(name.as_ptr()) };
        }
        if let Some(id) = self.scene.segment {
            // SAFETY: IPC_RMID takes no buffer; the segment is ours.
            unsafe { libc::shmctl(id, libc::IPC_RMID, std::ptr::null_mut()) };
        }
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Enough of a repository that git, and whoever looks for repositories, takes it for one.
fn repository_in(folder: &Path) -> io::Result<()> {
    for part in ["hooks", "objects", "refs"] {
        std::fs::create_dir_all(folder.join(".git").join(part))?;
    }
    std::fs::write(folder.join(".git/HEAD"), "ref: refs/heads/main\n")?;
    std::fs::write(folder.join(".git/config"), "[core]\n\trepositoryformatversion = 0\n")
}

/// 32 hexadecimal digits from the kernel.
fn random_text() -> io::Result<String> {
    let mut bytes = [0u8; 16];
    // SAFETY: getrandom(2) writes at most `len` bytes into the array.
    let got = unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), bytes.len(), 0) };
    if usize::try_from(got) != Ok(bytes.len()) {
        return Err(io::Error::last_os_error());
    }
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// A System V segment that holds `canary`; `None` where the kernel has none.
fn segment(canary: &str) -> Option<i32> {
    // SAFETY: shmget(2) takes numbers.
    let id = unsafe { libc::shmget(libc::IPC_PRIVATE, canary.len(), libc::IPC_CREAT | 0o600) };
    if id < 0 {
        return None;
    }
    // SAFETY: the kernel chooses the address.
    let at = unsafe { libc::shmat(id, std::ptr::null(), 0) };
    if at as isize != -1 {
        // SAFETY: attached above, writable, with room for the canary; detached right after.
        unsafe {
            std::ptr::copy_nonoverlapping(canary.as_ptr(), at.cast::<u8>(), canary.len());
            libc::shmdt(at);
        }
    }
    Some(id)
}

/// A POSIX queue of this name; `None` where the kernel has none, or no more of them.
fn queue(name: &str) -> Option<String> {
    let text = CString::new(name).ok()?;
    let none = std::ptr::null::<libc::mq_attr>();
    // SAFETY: mq_open(3) with O_CREAT takes a NUL-terminated name, a mode and attributes, which may be null.
    let queue = unsafe { libc::mq_open(text.as_ptr(), libc::O_CREAT | libc::O_EXCL | libc::O_RDWR, 0o600, none) };
    if queue < 0 {
        return None;
    }
    // SAFETY: opened above and used no more.
    unsafe { libc::mq_close(queue) };
    Some(name.to_owned())
}
