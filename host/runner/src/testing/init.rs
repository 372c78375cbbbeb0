//! An init that starts ordinary processes: its side of the channel, without walls.

use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::Command;
use std::sync::{Arc, Mutex};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal};
use stigmer_sandbox::channel::{self, Channel};
use stigmer_sandbox::message::{
    CallId, CommandReport, CommandSpec, Ended, FromInit, Reaped, Restored, StartFailure, ToInit,
};

/// What the fake says and knows.
#[derive(Default)]
pub(crate) struct Known {
    /// `Some`: only these calls may start, once each, with this digest.
    pub(crate) released: Mutex<Option<HashMap<CallId, [u8; 32]>>>,
    pub(crate) started: Mutex<Vec<(CallId, CommandSpec)>>,
    pub(crate) killed: Mutex<HashSet<CallId>>,
    /// Stands in the next report.
    pub(crate) reaped: Mutex<Vec<Reaped>>,
    pub(crate) restored: Mutex<Vec<Restored>>,
    running: Mutex<HashMap<CallId, Pid>>,
}

/// Starts the fake; it ends with the other end of its channel.
pub(crate) fn start() -> (Channel, Arc<Known>) {
    let (ours, theirs) = channel::pair().unwrap();
    let known = Arc::new(Known::default());
    let serving = Arc::clone(&known);
    std::thread::spawn(move || {
        let channel = Arc::new(ours);
        while let Ok((message, descriptors)) = channel.recv::<ToInit>() {
            match message {
                ToInit::Start(call, spec) => serving.begin(&channel, call, spec, descriptors),
                ToInit::Kill(call) => serving.kill(call),
                other => panic!("a runner must not send {other:?}"),
            }
        }
        let running: Vec<CallId> = serving.running.lock().unwrap().keys().copied().collect();
        running.into_iter().for_each(|call| serving.kill(call));
    });
    (theirs, known)
}

impl Known {
    fn kill(&self, call: CallId) {
        self.killed.lock().unwrap().insert(call);
        if let Some(pid) = self.running.lock().unwrap().get(&call) {
            // The group that `begin` made for this child, which is not yet waited for.
            let _ = rustix::process::kill_process_group(*pid, Signal::KILL);
        }
    }

    fn begin(self: &Arc<Self>, channel: &Arc<Channel>, call: CallId, spec: CommandSpec, descriptors: Vec<OwnedFd>) {
        self.started.lock().unwrap().push((call, spec.clone()));
        if let Some(released) = self.released.lock().unwrap().as_mut()
            && released.remove(&call) != Some(spec.digest())
        {
            channel.send(&FromInit::NotStarted(call, StartFailure::NotReleased(call)), &[]).unwrap();
            return;
        }
        let [stdin, stdout, stderr] = <[OwnedFd; 3]>::try_from(descriptors).expect("three descriptors");
        let text = |bytes: &Vec<u8>| OsString::from_vec(bytes.clone());
        let env = spec.env.iter().map(|var| {
            let at = var.iter().position(|byte| *byte == b'=').unwrap();
            (text(&var[..at].to_vec()), text(&var[at + 1..].to_vec()))
        });
        let child = Command::new(text(&spec.argv[0]))
            .args(spec.argv[1..].iter().map(text))
            .env_clear()
            .envs(env)
            .current_dir(text(&spec.cwd))
            .stdin(stdin)
            .stdout(stdout)
            .stderr(stderr)
            .process_group(0)
            .spawn();
        let mut child = match child {
            Ok(child) => child,
            Err(_) => {
                let failure = StartFailure::NotFound(String::from_utf8_lossy(&spec.argv[0]).into_owned());
                channel.send(&FromInit::NotStarted(call, failure), &[]).unwrap();
                return;
            }
        };
        let pid = Pid::from_raw(child.id().cast_signed()).unwrap();
        self.running.lock().unwrap().insert(call, pid);
        channel.send(&FromInit::Started(call), &[]).unwrap();
        let (known, channel) = (Arc::clone(self), Arc::clone(channel));
        std::thread::spawn(move || {
            let pidfd = rustix::process::pidfd_open(pid, PidfdFlags::empty()).unwrap();
            let wait = spec
                .timeout
                .map(|time| Timespec { tv_sec: time.as_secs().cast_signed(), tv_nsec: time.subsec_nanos().into() });
            let in_time = poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], wait.as_ref()).unwrap() == 1;
            if !in_time {
                let _ = rustix::process::kill_process_group(pid, Signal::KILL);
            }
            let status = child.wait().unwrap();
            known.running.lock().unwrap().remove(&call);
            let ended = match (in_time, known.killed.lock().unwrap().contains(&call), status.code()) {
                (false, ..) => Ended::TimedOut,
                (_, true, _) => Ended::Killed,
                (.., Some(code)) => Ended::Code(code),
                _ => Ended::Signal(status.signal().unwrap_or(0)),
            };
            let reaped = std::mem::take(&mut *known.reaped.lock().unwrap());
            let restored = std::mem::take(&mut *known.restored.lock().unwrap());
            let report = CommandReport { ended, reaped_total: reaped.len() as u32, reaped, restored };
            // The runner may be gone.
            let _ = channel.send(&FromInit::Ended(call, report), &[]);
        });
    }
}
