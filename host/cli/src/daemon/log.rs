//! The daemon's log: one file of bounded size and its predecessor, without any key that the daemon holds.
#![expect(clippy::disallowed_methods, reason = "the daemon's own log in its own folder")]

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use anyhow::Context;
use stigmer_daemon::gateway::Gateway;

/// Name below `logs/`.
pub(super) const FILE: &str = "daemon.log";
/// Size at which a new file begins, in bytes. Two of them are kept.
const MAX_BYTES: u64 = 8 << 20;

/// Sends what is traced to the log.
pub(super) fn start(home: &Path, gateway: &Arc<Gateway>) -> anyhow::Result<()> {
    let path = home.join("logs").join(FILE);
    let log = Log::open(path.clone(), Arc::clone(gateway));
    let log = log.with_context(|| format!("could not open the log `{}`", path.display()))?;
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_max_level(tracing::Level::INFO)
        .with_writer(Mutex::new(log))
        .finish();
    tracing::subscriber::set_global_default(subscriber).context("logging was started already")
}

struct Log {
    path: PathBuf,
    file: File,
    bytes: u64,
    gateway: Arc<Gateway>,
}

impl Log {
    fn open(path: PathBuf, gateway: Arc<Gateway>) -> io::Result<Log> {
        let file = OpenOptions::new().append(true).create(true).mode(0o600).open(&path)?;
        let bytes = file.metadata()?.len();
        Ok(Log { path, file, bytes, gateway })
    }

    fn turn_over(&mut self) -> io::Result<()> {
        std::fs::rename(&self.path, self.path.with_extension("log.1"))?;
        self.file = OpenOptions::new().append(true).create(true).mode(0o600).open(&self.path)?;
        self.bytes = 0;
        Ok(())
    }
}

impl Write for Log {
    /// One call is one line, as the formatter makes it, so that no key is cut in two.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.bytes + line.len() as u64 > MAX_BYTES {
            self.turn_over()?;
        }
        let clean = self.gateway.redactor();
        self.file.write_all(&clean.bytes(line))?;
        self.bytes += line.len() as u64;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
