//! What the host offers to an attack: listeners that count, and a process that must live.

use std::collections::BTreeMap;
use std::net::{TcpListener, UdpSocket};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::atomic::{AtomicUsize, Ordering};

use stigmer_policy::Level;
use stigmer_policy::path::{MAX_NAME, MAX_PATH};

use super::{Attack, CANARY};
use crate::product::{self, Product};

/// Most bytes of a file that are compared.
const MAX_COMPARED: usize = 1 << 20;

pub(super) struct Host {
    values: BTreeMap<String, String>,
    /// Each takes the next that the kernel has queued for one listener and says whether there was one. Asked when a step
    /// has ended: what reached a listener by then is in its queue, and no thread of ours can be late with it.
    listeners: Vec<Box<dyn Fn() -> bool>>,
    reached: std::cell::Cell<bool>,
    /// A command that nothing holds has run: who reaches a listener from now on is not known.
    open: std::cell::Cell<bool>,
    witness: Option<std::cell::RefCell<Child>>,
}

impl Host {
    pub(super) fn new(product: &Product, attack: &Attack, level: Level) -> Host {
        let mut values = BTreeMap::new();
        let text = |path: PathBuf| path.to_str().expect("temporary folders have plain paths").to_owned();
        values.insert("workspace".to_owned(), text(product.workspace()));
        values.insert("outside".to_owned(), text(product.outside()));
        values.insert("home".to_owned(), text(product.home()));
        values.insert("canary".to_owned(), CANARY.to_owned());
        values.insert("stigmer".to_owned(), text(product.executable.clone()));
        values.insert("level".to_owned(), product::level_flags(level).join(" "));
        values.insert("long-name".to_owned(), "n".repeat(MAX_NAME + 1));
        values.insert("long-path".to_owned(), "n/".repeat(MAX_PATH / 2 + 1));
        let mut host = Host { values, listeners: Vec::new(), reached: false.into(), open: false.into(), witness: None };
        for name in &attack.host {
            let value = host.offer(name, product);
            host.values.insert(name.clone(), value);
        }
        host
    }

    fn offer(&mut self, name: &str, product: &Product) -> String {
        match name {
            "tcp" => {
                let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
                let port = listener.local_addr().expect("a bound socket has an address").port();
                listener.set_nonblocking(true).expect("a socket has this flag");
                self.listeners.push(Box::new(move || listener.accept().is_ok()));
                port.to_string()
            }
            "udp" => {
                let socket = UdpSocket::bind("127.0.0.1:0").expect("loopback has a free port");
                let port = socket.local_addr().expect("a bound socket has an address").port();
                socket.set_nonblocking(true).expect("a socket has this flag");
                self.listeners.push(Box::new(move || socket.recv(&mut [0; 16]).is_ok()));
                port.to_string()
            }
            "unix" => {
                let path = product.outside().join("socket");
                let listener = UnixListener::bind(&path).expect("a fresh folder takes a socket");
                listener.set_nonblocking(true).expect("a socket has this flag");
                self.listeners.push(Box::new(move || listener.accept().is_ok()));
                path.display().to_string()
            }
            "unix-datagram" => {
                let path = product.outside().join("datagrams");
                let socket = UnixDatagram::bind(&path).expect("a fresh folder takes a socket");
                socket.set_nonblocking(true).expect("a socket has this flag");
                self.listeners.push(Box::new(move || socket.recv(&mut [0; 16]).is_ok()));
                path.display().to_string()
            }
            "abstract" => {
                static NEXT: AtomicUsize = AtomicUsize::new(0);
                let name = format!("stigmer-test-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::SeqCst));
                let address = SocketAddr::from_abstract_name(&name).expect("a short name");
                let listener = UnixListener::bind_addr(&address).expect("the name is free");
                listener.set_nonblocking(true).expect("a socket has this flag");
                self.listeners.push(Box::new(move || listener.accept().is_ok()));
                name
            }
            "witness" => {
                let child = Command::new("sleep").arg("600").env("SECRET", CANARY).spawn().expect("sleep starts");
                let pid = child.id().to_string();
                self.witness = Some(std::cell::RefCell::new(child));
                pid
            }
            other => panic!("the host offers no `{other}`"),
        }
    }

    pub(super) fn fill(&self, text: &str) -> String {
        self.values.iter().fold(text.to_owned(), |text, (name, value)| text.replace(&format!("{{{name}}}"), value))
    }

    /// A control has reached the listeners on purpose; from now on nobody may.
    pub(super) fn forget(&self) {
        self.was_reached();
        self.reached.set(false);
    }

    /// Whether somebody who may not has reached a listener, as far as that can be told.
    pub(super) fn was_reached_within_walls(&self) -> bool {
        !self.open.get() && self.was_reached()
    }

    /// To be told after a command at a level that leaves its act open.
    pub(super) fn left_open(&self) {
        self.open.set(true);
    }

    pub(super) fn was_reached(&self) -> bool {
        for next in &self.listeners {
            while next() {
                self.reached.set(true);
            }
        }
        self.reached.get()
    }

    pub(super) fn witness_lives(&self) -> bool {
        self.witness.as_ref().is_none_or(|child| matches!(child.borrow_mut().try_wait(), Ok(None)))
    }

    /// Everything that is at and below these paths.
    pub(super) fn contents(&self, paths: &[String]) -> BTreeMap<PathBuf, String> {
        let mut found = BTreeMap::new();
        for path in paths {
            let path = PathBuf::from(self.fill(path));
            let path = if path.is_absolute() { path } else { Path::new(&self.values["workspace"]).join(path) };
            take(&path, &mut found);
        }
        found
    }
}

fn take(path: &Path, found: &mut BTreeMap<PathBuf, String>) {
    use std::os::unix::fs::MetadataExt;
    let Ok(metadata) = std::fs::symlink_metadata(path) else {
        found.insert(path.to_owned(), "absent".to_owned());
        return;
    };
    let kind = metadata.file_type();
    if kind.is_dir() {
        found.insert(path.to_owned(), format!("folder {:o}", metadata.mode()));
        for entry in std::fs::read_dir(path).into_iter().flatten().flatten() {
            take(&entry.path(), found);
        }
    } else if kind.is_file() {
        let bytes = std::fs::read(path).unwrap_or_default();
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(MAX_COMPARED)]).into_owned();
        found.insert(path.to_owned(), format!("file {:o} {} {shown}", metadata.mode(), metadata.nlink()));
    } else {
        found.insert(path.to_owned(), format!("{kind:?}"));
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if let Some(child) = &self.witness {
            let mut child = child.borrow_mut();
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
