//! What makes a process the command: every wall goes up, and then, when there is a command, exec.

use std::ffi::{CString, OsStr, OsString};
use std::io;
use std::mem::ManuallyDrop;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use stigmer_policy::Layer;

use super::{Context, Work, caller, setup, step};
use crate::channel::Channel;
use crate::jail::layers::Layers;
use crate::jail::{landlock, rlimits};
use crate::message::{CommandSpec, MAX_ARGUMENT, StartFailure};
use crate::{descriptors, seccomp, signals};

/// Files made by commands are readable by others, as in a login shell.
const UMASK: u32 = 0o022;
/// Where a program without a slash is looked for when the environment has no PATH.
const DEFAULT_PATH: &[u8] = b"/usr/local/bin:/usr/bin:/bin";

/// Exit code of a job that panicked: our own failure.
const JOB_PANICKED: i32 = 3;

/// What exec needs, made while allocation failures can still be reported.
struct Image {
    argv: Vec<CString>,
    env: Vec<CString>,
    candidates: Vec<CString>,
}

/// Raises every wall around the calling process that can stand before it knows its command.
///
/// # Errors
/// The wall that could not be raised.
pub(super) fn raise(layers: &Layers, domain: Option<&OwnedFd>) -> Result<(), StartFailure> {
    if layers.has(Layer::Scrub) {
        // A session of its own: no controlling terminal, and one process group to signal.
        rustix::process::setsid().map_err(|errno| step("start a session", &errno.into()))?;
    }
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(UMASK));
    // prctl(2): from here on no program that is started can gain rights.
    rustix::thread::set_no_new_privs(true).map_err(|errno| step("give up gaining rights", &errno.into()))?;
    if let Some(domain) = domain {
        landlock::enter(domain).map_err(|failure| setup(&failure))?;
    }
    // Last: the filter refuses several of the calls above.
    if layers.has(Layer::Seccomp) {
        seccomp::program(caller(layers.level())).install().map_err(|error| step("install the filter", &error))?;
    }
    Ok(())
}

/// Turns the calling process, whose walls stand, into the command. Returns only when it could not. Of other descriptors
/// than the three it closes all but `said`, which a program's start closes. `beside`: [`rlimits::counted_beside`].
pub(super) fn become_command(
    context: &Context<'_>,
    work: &Work,
    stdio: [OwnedFd; 3],
    said: &Channel,
    beside: u32,
) -> Result<std::convert::Infallible, StartFailure> {
    let layers = context.layers;
    let image = match work {
        Work::Command(spec) => Some(Image::new(spec)?),
        Work::Job(_) => None,
    };
    signals::unblock_all();
    // In this order no number is overwritten that is still needed: the kernel gave them out from the lowest on, so that
    // none of the three lies below its place or below the one before it (SCM_RIGHTS, unix(7)).
    for (fd, number) in stdio.into_iter().zip(0..) {
        let inside = if layers.has(Layer::Anchors) { descriptors::reopened_inside(&fd) } else { Ok(None) };
        let inside = inside.map_err(|error| step("open stdin, stdout or stderr as the jail has it", &error))?;
        // Not closed by its owner: its number may be the place of one of the three.
        let fd = ManuallyDrop::new(inside.unwrap_or(fd));
        descriptors::place(&fd, number).map_err(|error| step("connect stdin, stdout and stderr", &error))?;
    }
    if let Work::Command(spec) = work {
        let cwd = OsStr::from_bytes(&spec.cwd);
        rustix::process::chdir(cwd).map_err(|_| StartFailure::Directory(cwd.to_string_lossy().into_owned()))?;
    }
    // Only now: the command had to be read without being bound by them.
    if layers.has(Layer::Rlimits) {
        rlimits::apply(&context.plan.policy.limits, beside).map_err(|error| step("set resource limits", &error))?;
    }
    if layers.has(Layer::Scrub) {
        descriptors::keep_only(&[0, 1, 2, said.number()]);
    }
    match (work, image) {
        (Work::Command(spec), Some(image)) => Err(image.exec(&spec.argv[0])),
        (Work::Job(job), _) => {
            let arguments: Vec<OsString> = job.arguments.iter().cloned().map(OsString::from_vec).collect();
            let Some((_, run)) = context.jobs.iter().find(|(name, _)| *name == job.name) else {
                return Err(StartFailure::NotFound(job.name.clone()));
            };
            // By number, like everything else; a program's start would have closed it.
            descriptors::close_range(said.number().unsigned_abs(), said.number().unsigned_abs());
            let policy = &context.plan.policy;
            let outcome = std::panic::catch_unwind(|| run(policy, &arguments));
            crate::fork::exit(outcome.unwrap_or(JOB_PANICKED))
        }
        (Work::Command(_), None) => unreachable!("an image is made for every command above"),
    }
}

impl Image {
    fn new(spec: &CommandSpec) -> Result<Image, StartFailure> {
        let program = spec.argv.first().ok_or_else(|| StartFailure::NotFound(String::new()))?;
        if let Some((index, argument)) = spec.argv.iter().enumerate().find(|(_, text)| text.len() > MAX_ARGUMENT) {
            return Err(StartFailure::ArgumentTooLong { index, bytes: argument.len() });
        }
        let path = spec.env.iter().find_map(|pair| pair.strip_prefix(b"PATH=")).unwrap_or(DEFAULT_PATH);
        let candidates = if program.contains(&b'/') {
            vec![text(program)?]
        } else {
            // An empty entry means the working directory; never here.
            let entries = path.split(|byte| *byte == b':').filter(|entry| entry.starts_with(b"/"));
            entries.map(|entry| text(&[entry, b"/", program].concat())).collect::<Result<_, _>>()?
        };
        let all = |list: &[Vec<u8>]| list.iter().map(|item| text(item)).collect::<Result<Vec<_>, _>>();
        Ok(Image { argv: all(&spec.argv)?, env: all(&spec.env)?, candidates })
    }

    fn exec(&self, program: &[u8]) -> StartFailure {
        let pointers = |list: &[CString]| {
            let mut pointers: Vec<_> = list.iter().map(|item| item.as_ptr()).collect();
            pointers.push(std::ptr::null());
            pointers
        };
        let (argv, env) = (pointers(&self.argv), pointers(&self.env));
        let name = || String::from_utf8_lossy(program).into_owned();
        let mut denied = None;
        for candidate in &self.candidates {
            // SAFETY: all three are NUL-terminated and outlive the call; execve(2) returns only on failure.
            unsafe { libc::execve(candidate.as_ptr(), argv.as_ptr(), env.as_ptr()) };
            let error = io::Error::last_os_error();
            match error.raw_os_error() {
                Some(libc::ENOENT | libc::ENOTDIR) => {}
                Some(libc::E2BIG) => return StartFailure::ArgumentsTooLong,
                // As a shell does: an entry that cannot be executed does not end the search.
                Some(libc::EACCES) => denied = Some(libc::EACCES),
                errno => return StartFailure::CannotExecute { program: name(), errno: errno.unwrap_or(0) },
            }
        }
        match denied {
            Some(errno) => StartFailure::CannotExecute { program: name(), errno },
            None => StartFailure::NotFound(name()),
        }
    }
}

fn text(bytes: &[u8]) -> Result<CString, StartFailure> {
    CString::new(bytes).map_err(|_| StartFailure::Step { step: "pass a NUL byte in an argument".to_owned(), errno: 0 })
}
