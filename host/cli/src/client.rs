//! The daemon, as its clients on the command line reach it.

use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context;
use hyper_util::rt::TokioIo;
use stigmer_proto::local::HelloRequest;
use stigmer_proto::local::local_client::LocalClient;
use stigmer_proto::{PROTOCOL, PROTOCOL_METADATA};
use tonic::metadata::MetadataValue;
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};

use crate::failure::Failure;

/// Metadata in which the daemon gives advice beside an error.
const HINT_METADATA: &str = "stigmer-hint-bin";
/// Largest answer that is taken, in bytes: a record with every changed file.
const MAX_ANSWER: usize = 64 << 20;

/// How long a daemon is waited for that listens and says nothing.
const SILENCE: Duration = Duration::from_secs(2);

/// Between two looks at a daemon that is on its way out.
const BETWEEN_LOOKS: Duration = Duration::from_millis(2);

/// Most bytes of a lock file: a process id and a line end.
const MAX_LOCK: u64 = 32;

/// Longest path of a unix socket, in bytes (unix(7): 108 with the end).
const MAX_SOCKET_PATH: usize = 107;

/// Calls of the local contract.
pub(crate) type Daemon = LocalClient<InterceptedService<Channel, Speaks>>;

/// Names the protocol on every call.
#[derive(Debug, Clone)]
pub(crate) struct Speaks;

impl Interceptor for Speaks {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request.metadata_mut().insert(PROTOCOL_METADATA, MetadataValue::from(PROTOCOL));
        Ok(request)
    }
}

/// Where the daemon of a home listens.
pub(crate) fn socket(stigmer_home: &Path) -> PathBuf {
    stigmer_home.join("daemon.sock")
}

/// Whether a daemon listens there, and which, by the kernel's word. Blocks for no longer than connecting takes.
///
/// # Errors
/// When somebody else listens there, who is named: whoever is no daemon of this folder is neither asked nor signalled.
pub(crate) fn listener(socket: &Path) -> Result<Option<rustix::process::Pid>, Failure> {
    match look(socket)? {
        Seen::Nobody => Ok(None),
        Seen::Daemon(pid) => Ok(Some(pid)),
        Seen::Other { pid, .. } => Err(stranger(socket, pid)),
    }
}

/// Who listens at a socket.
enum Seen {
    Nobody,
    /// The daemon of its folder.
    Daemon(rustix::process::Pid),
    /// One that has not the folder's lock. `named`: the lock file speaks of it, as of a daemon that was killed, whose
    /// lock the kernel has taken away and whose socket it has not yet.
    Other {
        pid: rustix::process::Pid,
        named: bool,
    },
}

fn look(socket: &Path) -> Result<Seen, Failure> {
    let bytes = socket.as_os_str().len();
    if bytes > MAX_SOCKET_PATH {
        let error = anyhow::anyhow!(
            "the path of the daemon's socket `{}` has {bytes} bytes; {MAX_SOCKET_PATH} are possible",
            socket.display()
        );
        return Err(Failure::usage(error).hint(Some("name a shorter folder by STIGMER_HOME".to_owned())));
    }
    match UnixStream::connect(socket) {
        Ok(stream) => {
            let peer = rustix::net::sockopt::socket_peercred(stream.as_fd()).context("could not ask who listens")?;
            let ours = rustix::process::geteuid();
            if peer.uid != ours {
                let error = anyhow::anyhow!(
                    "`{}` is served by user {} (pid {}), not by you",
                    socket.display(),
                    peer.uid.as_raw(),
                    peer.pid.as_raw_nonzero()
                );
                return Err(Failure::ours(error).hint(Some("name another folder by STIGMER_HOME".to_owned())));
            }
            let (taken, named) = lock_of(socket, peer.pid);
            Ok(if taken && named { Seen::Daemon(peer.pid) } else { Seen::Other { pid: peer.pid, named } })
        }
        Err(error) if matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::ConnectionRefused) => {
            Ok(Seen::Nobody)
        }
        Err(error) => Err(Failure::ours(
            anyhow::Error::from(error).context(format!("could not connect to `{}`", socket.display())),
        )),
    }
}

/// As [`listener`], of a daemon that lives: one that was killed still has its socket while the kernel takes it down. One
/// that says nothing for [`SILENCE`] is there all the same. For whoever would start another.
///
/// # Errors
/// As [`listener`].
pub(crate) fn living(socket: &Path) -> Result<Option<rustix::process::Pid>, Failure> {
    let end = Instant::now() + SILENCE;
    loop {
        let late = Instant::now() >= end;
        match look(socket)? {
            Seen::Nobody => return Ok(None),
            Seen::Daemon(pid) if speaks(socket, end) || late => return Ok(Some(pid)),
            // On its way out: the next look finds nobody.
            Seen::Daemon(_) | Seen::Other { named: true, .. } if !late => std::thread::sleep(BETWEEN_LOOKS),
            Seen::Daemon(pid) | Seen::Other { pid, .. } => return Err(stranger(socket, pid)),
        }
    }
}

/// Whether whoever listens says something, as every HTTP/2 server does to this (RFC 9113, 3.4: the preface, and settings
/// that change nothing).
fn speaks(socket: &Path, end: Instant) -> bool {
    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    let ask = || {
        let mut stream = UnixStream::connect(socket)?;
        let left = end.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        stream.set_read_timeout(Some(left))?;
        stream.write_all(PREFACE)?;
        stream.read_exact(&mut [0])
    };
    ask().is_ok()
}

fn stranger(socket: &Path, pid: rustix::process::Pid) -> Failure {
    let error = anyhow::anyhow!(
        "`{}` is held by `{}` (pid {}), which is no daemon of this folder",
        socket.display(),
        program(pid),
        pid.as_raw_nonzero()
    );
    Failure::ours(error).hint(Some("end it, or name another folder by STIGMER_HOME".to_owned()))
}

/// Whether the lock of the socket's folder is taken (flock(2)), and whether its file names `pid`: both are true of the
/// folder's daemon alone.
#[expect(clippy::disallowed_methods, reason = "the lock in the person's own folder")]
fn lock_of(socket: &Path, pid: rustix::process::Pid) -> (bool, bool) {
    use rustix::fs::{FlockOperation, flock};
    let Ok(lock) = std::fs::File::open(socket.with_file_name("daemon.lock")) else { return (false, false) };
    let taken = flock(&lock, FlockOperation::NonBlockingLockShared) == Err(rustix::io::Errno::WOULDBLOCK);
    let written = std::io::read_to_string(lock.take(MAX_LOCK)).unwrap_or_default();
    (taken, written.trim() == pid.as_raw_nonzero().to_string())
}

/// Name of a process, for people; `?` when it is gone.
#[expect(clippy::disallowed_methods, reason = "a name from /proc")]
fn program(pid: rustix::process::Pid) -> String {
    let name = std::fs::read_to_string(format!("/proc/{}/comm", pid.as_raw_nonzero()));
    name.map_or_else(|_| "?".to_owned(), |name| name.trim().to_owned())
}

/// Connects and shakes hands.
pub(crate) async fn connect(socket: &Path) -> Result<Daemon, Failure> {
    let path = socket.to_owned();
    let connector = tower::service_fn(move |_: tonic::transport::Uri| {
        let path = path.clone();
        async move { tokio::net::UnixStream::connect(path).await.map(TokioIo::new) }
    });
    // The name only fills a header.
    let channel = Endpoint::from_static("http://daemon")
        .connect_with_connector(connector)
        .await
        .with_context(|| format!("could not reach the daemon at `{}`", socket.display()))?;
    let mut daemon = LocalClient::with_interceptor(channel, Speaks).max_decoding_message_size(MAX_ANSWER);
    let version = env!("CARGO_PKG_VERSION");
    let hello = HelloRequest { version: version.to_owned(), protocol: PROTOCOL };
    let reply = daemon.hello(hello).await.map_err(|status| failed("could not greet the daemon", &status))?.into_inner();
    if reply.protocol != PROTOCOL {
        let error = anyhow::anyhow!(
            "the daemon {} speaks protocol {}, this program {version} speaks {PROTOCOL}",
            reply.version,
            reply.protocol
        );
        return Err(Failure::ours(error).hint(Some("run `stigmer local restart`".to_owned())));
    }
    Ok(daemon)
}

/// Connects to the daemon of a home; without one that is an error with advice.
pub(crate) async fn required(stigmer_home: &Path) -> Result<Daemon, Failure> {
    let socket = socket(stigmer_home);
    if listener(&socket)?.is_none() {
        let error = anyhow::anyhow!("no daemon runs for `{}`", stigmer_home.display());
        return Err(Failure::said_no(error).hint(Some("start one with `stigmer local start`".to_owned())));
    }
    connect(&socket).await
}

/// What a daemon's refusal means for the exit code; its advice goes along.
pub(crate) fn failed(doing: &str, status: &Status) -> Failure {
    let hint = status.metadata().get_bin(HINT_METADATA).and_then(|value| value.to_bytes().ok());
    let hint = hint.and_then(|bytes| String::from_utf8(bytes.to_vec()).ok());
    let error = anyhow::anyhow!("{}", status.message()).context(doing.to_owned());
    let failure = match status.code() {
        Code::InvalidArgument => Failure::usage(error),
        Code::NotFound | Code::FailedPrecondition => Failure::said_no(error),
        _ => Failure::ours(error),
    };
    failure.hint(hint)
}

/// A runtime for the verbs that talk to a daemon. Made as late as possible: before, the process has one thread.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    Ok(runtime.context("could not start the runtime")?)
}
