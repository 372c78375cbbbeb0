//! `stigmer local logs`.
#![expect(clippy::disallowed_methods, reason = "the daemon's log, in the person's own folder")]

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use rustix::fs::inotify;

use crate::daemon::log_file;
use crate::failure::Failure;
use crate::person;
use crate::printer::Printer;

/// Prints the daemon's log
#[derive(clap::Args)]
pub(crate) struct LogsCommand {
    /// Goes on with what is written from now on
    #[arg(short, long)]
    follow: bool,
}

impl LogsCommand {
    pub(crate) fn execute(self, printer: &Printer) -> Result<ExitCode, Failure> {
        let path = log_file(&person::gather()?.stigmer_home);
        let mut file = File::open(&path)
            .with_context(|| format!("could not open the log `{}`", path.display()))
            .map_err(|error| Failure::said_no(error).hint(Some("no daemon was started here yet".to_owned())))?;
        let shown = if self.follow { follow(&mut file, &path, printer) } else { copy(&mut file, printer) };
        match shown {
            // Whoever read it has seen enough.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(ExitCode::SUCCESS),
            shown => {
                shown.context("could not read the log")?;
                Ok(ExitCode::SUCCESS)
            }
        }
    }
}

fn copy(file: &mut File, printer: &Printer) -> io::Result<()> {
    let mut piece = [0; 16 << 10];
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(()),
            count => printer.bytes(&piece[..count])?,
        }
    }
}

/// Waits by inotify(7) for what is written, also into the file that takes this one's place.
fn follow(file: &mut File, path: &Path, printer: &Printer) -> io::Result<()> {
    let watch = inotify::init(inotify::CreateFlags::CLOEXEC)?;
    let folder = path.parent().unwrap_or(path);
    inotify::add_watch(&watch, folder, inotify::WatchFlags::MODIFY | inotify::WatchFlags::CREATE)?;
    let mut space = [std::mem::MaybeUninit::uninit(); 4096];
    loop {
        copy(file, printer)?;
        let replaced =
            std::fs::metadata(path).is_ok_and(|now| file.metadata().is_ok_and(|ours| ours.ino() != now.ino()));
        if replaced {
            copy(file, printer)?;
            *file = File::open(path)?;
            continue;
        }
        inotify::Reader::new(&watch, &mut space).next()?;
    }
}
