//! What a process does that wants out: the same acts for the hostile runner, which must fail at all of them, and for the
//! test itself, which must not.

use std::collections::BTreeMap;
use std::io::Read;
use std::net::{TcpStream, UdpSocket};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::net::{AddressFamily, SocketType, socket};
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open, test_kill_process};
use serde::{Deserialize, Serialize};

/// Longest wait for an answer that never comes.
const PATIENCE: Duration = Duration::from_secs(2);

/// What the host has that a runner must not reach. Travels to the hostile runner as the person's message.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Scene {
    /// What the runner is to do.
    pub mode: Mode,
    /// Port of a listener on loopback.
    pub tcp: u16,
    /// Port of a datagram socket on loopback that answers.
    pub udp: u16,
    /// A unix socket outside the workspace.
    pub unix: PathBuf,
    /// An abstract unix socket.
    pub name: String,
    /// The daemon's own socket.
    pub daemon: PathBuf,
    /// A file in the person's home.
    pub home_file: PathBuf,
    /// A file in the workspace of another execution.
    pub other_file: PathBuf,
    /// The daemon's database.
    pub database: PathBuf,
    /// A folder outside, for a new file.
    pub outside: PathBuf,
    /// A process of the person.
    pub witness: i32,
    /// An execution that is not this runner's.
    pub other_execution: String,
    /// Digest of bytes that the other execution has stored, lower-case hex; empty: none.
    pub other_blob: String,
}

/// What a hostile runner does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mode {
    /// Tries everything once and reports.
    Survey,
    /// Tells init, on its own channel, that a command was released.
    Forge,
    /// Asks for one command; once that is approved it starts it, starts it again, and asks again.
    Replay,
    /// Asks for one command; once that is approved it starts another.
    Swap,
    /// Asks the model, drops the answer and dies, as often as it is started again.
    Spend,
}

/// What came of each act: the words of its success, or of its failure.
pub type Outcomes = BTreeMap<String, Result<String, String>>;

/// Does every act. None of them changes anything but an empty file in `outside`.
#[must_use]
pub fn acts(scene: &Scene) -> Outcomes {
    let mut outcomes = Outcomes::new();
    let mut act = |name: &str, outcome: std::io::Result<String>| {
        outcomes.insert(name.to_owned(), outcome.map_err(|error| error.to_string()));
    };
    act("connect to a service on loopback", tcp(scene.tcp));
    act("exchange a datagram", udp(scene.udp));
    act("open a netlink socket", socket(AddressFamily::NETLINK, SocketType::RAW, None).map(done).map_err(Into::into));
    act("connect to a unix socket outside", UnixStream::connect(&scene.unix).map(done));
    act("connect to an abstract socket", abstract_socket(&scene.name));
    act("connect to the daemon", UnixStream::connect(&scene.daemon).map(done));
    act("read a file of the home", std::fs::read_to_string(&scene.home_file));
    act("list the home", list(scene.home_file.parent().unwrap_or(Path::new("/"))));
    act("read the workspace of another execution", std::fs::read_to_string(&scene.other_file));
    act("read the database", std::fs::read(&scene.database).map(|bytes| format!("{} bytes", bytes.len())));
    act("make a file outside", std::fs::File::create(scene.outside.join("made")).map(done));
    act("read another process's environment", environment(scene.witness));
    act("open another process's memory", std::fs::File::open(format!("/proc/{}/mem", scene.witness)).map(done));
    act("take another process's descriptor", take(scene.witness));
    act("list another process's descriptors", list_all(&format!("/proc/{}/fd", scene.witness)));
    act("signal another process", signal(scene.witness));
    act("start a program", std::process::Command::new("/bin/true").status().map(|status| status.to_string()));
    outcomes
}

fn done<T>(_: T) -> String {
    "done".to_owned()
}

fn tcp(port: u16) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut answer = [0; 2];
    stream.read_exact(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

fn udp(port: u16) -> std::io::Result<String> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.send_to(b"?", ("127.0.0.1", port))?;
    let mut answer = [0; 2];
    let length = socket.recv(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer[..length]).into_owned())
}

fn abstract_socket(name: &str) -> std::io::Result<String> {
    UnixStream::connect_addr(&SocketAddr::from_abstract_name(name)?).map(done)
}

fn list(folder: &Path) -> std::io::Result<String> {
    // An empty home is part of the promise: only names that the person has there count.
    let names: Vec<_> = std::fs::read_dir(folder)?.flatten().map(|entry| entry.file_name()).collect();
    let found = names.iter().find(|name| name.to_string_lossy().starts_with("private"));
    found
        .map(|name| name.to_string_lossy().into_owned())
        .ok_or_else(|| std::io::Error::other("nothing of the person's"))
}

fn environment(pid: i32) -> std::io::Result<String> {
    let bytes = std::fs::read(format!("/proc/{pid}/environ"))?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    // The number may mean another process here, whose environment is nobody's secret.
    if text.contains(crate::attack::CANARY) { Ok(text) } else { Err(std::io::Error::other("not that process")) }
}

fn take(pid: i32) -> std::io::Result<String> {
    let pid = Pid::from_raw(pid).ok_or(std::io::ErrorKind::InvalidInput)?;
    let process = pidfd_open(pid, PidfdFlags::empty())?;
    pidfd_getfd(&process, 1, PidfdGetfdFlags::empty()).map(done).map_err(Into::into)
}

fn list_all(folder: &str) -> std::io::Result<String> {
    let names: Vec<_> = std::fs::read_dir(folder)?.flatten().map(|entry| entry.file_name()).collect();
    Ok(format!("{} entries", names.len()))
}

fn signal(pid: i32) -> std::io::Result<String> {
    let pid = Pid::from_raw(pid).ok_or(std::io::ErrorKind::InvalidInput)?;
    test_kill_process(pid).map(done).map_err(Into::into)
}
