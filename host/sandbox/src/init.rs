//! Init: the first process of an execution. It builds the jail, starts the runner and commands in it, and ends the whole
//! tree when its control channel closes. One thread, no secret, no protobuf.

pub(crate) mod runner;
mod serve;

use std::ffi::OsString;
use std::os::fd::OwnedFd;

use rustix::process::{Pid, Signal, WaitOptions};
use stigmer_policy::{Layer, Policy};

use crate::channel::Channel;
use crate::descriptors;
use crate::fork::{Side, exit, fork};
use crate::jail::layers::Layers;
use crate::jail::{capabilities, enter, namespaces};
use crate::message::{FromInit, Setup, SetupFailure, ToInit};
use crate::signals;

/// Code that init can run in a process confined like a command, by name.
pub type JobTable = &'static [(&'static str, fn(&Policy, &[OsString]) -> i32)];

/// Exit code of an init that could not do its work; the reason went over control.
const FAILED: i32 = 3;

/// Where a process that becomes init was born.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Birth {
    /// In the person's namespaces.
    Outside,
    /// In the namespaces of its execution ([`namespaces::at_birth`]).
    Inside,
}

/// Runs init on `control`, the descriptor that the trusted half made. Never returns. The process must have one thread
/// and nothing open but `control` and descriptors that lead nowhere.
pub fn run(control: OwnedFd, jobs: JobTable) -> ! {
    run_born(Birth::Outside, control, jobs)
}

/// As [`run`].
pub(crate) fn run_born(birth: Birth, control: OwnedFd, jobs: JobTable) -> ! {
    signals::reset_all();
    signals::block_all();
    let Ok(control) = Channel::from_fd(control) else { exit(FAILED) };
    // What the trusted half's own starter left open is nobody's in here.
    descriptors::keep_only(&[0, 1, 2, control.number()]);
    let Ok((ToInit::Setup(setup), descriptors)) = control.recv::<ToInit>() else { exit(FAILED) };
    let layers = Layers::new(setup.plan.level, setup.left_out.clone());
    if layers.needs_namespaces() {
        let (uid, gid) = (setup.plan.uid, setup.plan.gid);
        let entered = match birth {
            Birth::Outside => namespaces::leave(&layers, uid, gid),
            Birth::Inside => namespaces::settle(&layers, uid, gid),
        };
        if let Err(failure) = entered {
            fail(&control, failure);
        }
        if birth == Birth::Outside {
            match fork(0) {
                Ok(Side::Parent(inner)) => outer(inner),
                Ok(Side::Child) => die_with_parent(),
                Err(error) => fail(&control, step("make init's process", &error)),
            }
        }
    }
    inner(&control, &setup, &layers, descriptors, jobs)
}

/// The half that stays outside the pid namespace: it only waits and passes the exit on.
fn outer(inner: Pid) -> ! {
    descriptors::keep_only(&[]);
    // It holds nothing, and what it cannot drop it cannot use either.
    let _ = capabilities::drop_all();
    loop {
        match rustix::process::waitpid(Some(inner), WaitOptions::empty()) {
            Ok(Some((_, status))) => exit(
                status
                    .exit_status()
                    .or_else(|| status.terminating_signal().map(|signal| 128 + signal))
                    .unwrap_or(FAILED),
            ),
            Ok(None) | Err(rustix::io::Errno::INTR) => {}
            Err(_) => exit(FAILED),
        }
    }
}

fn inner(control: &Channel, setup: &Setup, layers: &Layers, descriptors: Vec<OwnedFd>, jobs: JobTable) -> ! {
    let protect = match enter::enter(&setup.plan, layers) {
        Ok(protect) => protect,
        Err(failure) => fail(control, failure),
    };
    if layers.has(Layer::Capabilities) {
        capabilities::drop_bounding();
    }
    let ready = FromInit::Ready { level: setup.plan.level, anchored: protect.names(), partial: protect.partial() };
    if control.send(&ready, &[]).is_err() {
        exit(FAILED);
    }
    serve::serve(control, setup, layers, protect, descriptors, jobs)
}

fn die_with_parent() {
    // The process that only waits for this one. Not the trusted half itself: control's end of file says that it is gone,
    // and leaves the time to undo what a command did.
    let _ = rustix::process::set_parent_process_death_signal(Some(Signal::KILL));
}

fn fail(control: &Channel, failure: SetupFailure) -> ! {
    let _ = control.send(&FromInit::Failed(failure), &[]);
    exit(FAILED)
}

fn step(step: &str, error: &std::io::Error) -> SetupFailure {
    SetupFailure {
        step: step.to_owned(),
        subject: None,
        errno: error.raw_os_error().unwrap_or(0),
        layer: Some(Layer::Stage),
    }
}
