//! Init's loop once the jail stands.

mod ending;

use std::collections::HashMap;
use std::os::fd::OwnedFd;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, Signal, WaitOptions, WaitStatus};
use stigmer_policy::Layer;

use super::JobTable;
use super::runner::{self, Handed};
use crate::channel::{Channel, ChannelError};
use crate::fork::exit;
use crate::jail::landlock;
use crate::jail::layers::Layers;
use crate::jail::protect::Protect;
use crate::message::{CallId, CommandMode, CommandReport, Ended, FromInit, Restored, Setup, StartFailure, ToInit};
use crate::signals;
use crate::stage::{self, Context, FromStage, Stage, ToStage, Work};

/// Commands that run at once; a runner that wants more waits. Above what eight parallel calls need.
const MAX_COMMANDS: usize = 64;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    Control,
    Work,
}

struct Running {
    call: CallId,
    origin: Origin,
    stage: Stage,
}

struct Init<'a> {
    control: &'a Channel,
    setup: &'a Setup,
    context: Context<'a>,
    protect: Protect<'a>,
    handed: Option<Handed>,
    runner: Option<(Pid, Channel)>,
    running: Vec<Running>,
    /// A stage that waits for the next command.
    spare: Option<Stage>,
    /// Stages that have reported and are on their way out.
    ending: Vec<Pid>,
    released: HashMap<CallId, [u8; 32]>,
}

/// Serves until control closes or a stop comes, then ends the tree and the process.
pub(super) fn serve(
    control: &Channel,
    setup: &Setup,
    layers: &Layers,
    protect: Protect<'_>,
    descriptors: Vec<OwnedFd>,
    jobs: JobTable,
) -> ! {
    Context::prepare(layers);
    let domain = match landlock::prepare(layers, &setup.plan.files) {
        Ok(domain) => domain,
        Err(failure) => super::fail(control, failure),
    };
    let mut init = Init {
        control,
        setup,
        context: Context { plan: &setup.plan, layers, jobs, domain },
        protect,
        handed: Handed::take(descriptors),
        runner: None,
        running: Vec::new(),
        spare: None,
        ending: Vec::new(),
        released: HashMap::new(),
    };
    // Below full level nothing but this makes orphans of a lost stage ours.
    let _ = rustix::process::set_child_subreaper(Some(rustix::process::getpid()));
    let Ok(children) = signals::ended_children() else { exit(super::FAILED) };
    init.start_runner();
    init.refill();
    while init.turn(&children) {}
    init.end()
}

impl Init<'_> {
    /// Waits for the next thing to happen and does it; false when it is over.
    fn turn(&mut self, children: &OwnedFd) -> bool {
        let ready = {
            let mut fds =
                vec![PollFd::from_borrowed_fd(self.control.fd(), PollFlags::IN), PollFd::new(children, PollFlags::IN)];
            fds.extend(self.running.iter().map(|it| PollFd::from_borrowed_fd(it.stage.channel.fd(), PollFlags::IN)));
            if let Some((_, work)) = &self.runner {
                fds.push(PollFd::from_borrowed_fd(work.fd(), PollFlags::IN));
            }
            match poll(&mut fds, None) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(_) => return false,
            }
            fds.iter().map(|fd| !fd.revents().is_empty()).collect::<Vec<_>>()
        };
        // Control first: a release must be known before the start that follows it on the other channel.
        if ready[0] {
            return self.control_message();
        }
        if ready[1] {
            signals::drain(children);
            self.reap();
        }
        let stages = self.running.len();
        for index in (0..stages).rev() {
            if ready[2 + index] {
                self.stage_message(index);
            }
        }
        if ready.get(2 + stages) == Some(&true) {
            self.work_message();
        }
        true
    }

    fn control_message(&mut self) -> bool {
        let (message, descriptors) = match self.control.recv::<ToInit>() {
            Ok(received) => received,
            Err(_) => return false,
        };
        match message {
            ToInit::Start(call, spec) => self.start(call, Origin::Control, Work::Command(spec), descriptors),
            ToInit::Job(call, job) => self.start(call, Origin::Control, Work::Job(job), descriptors),
            ToInit::Signal(call, number) => self.tell(call, Origin::Control, ToStage::Signal(number)),
            ToInit::Kill(call) => self.tell(call, Origin::Control, ToStage::Kill),
            ToInit::Release(call, digest) => drop(self.released.insert(call, digest)),
            ToInit::RestartRunner => {
                self.end_runner();
                // The executable stays; the stream and the code are new.
                if let (Some(handed), Some((rpc, code))) = (self.handed.as_mut(), runner::split_first(descriptors)) {
                    (handed.rpc, handed.code) = (rpc, code);
                }
                self.start_runner();
            }
            // A second setup would be a fault of the trusted half: nothing sound can follow.
            ToInit::Stop | ToInit::Setup(_) => return false,
        }
        true
    }

    fn work_message(&mut self) {
        let Some((_, work)) = &self.runner else { return };
        match work.recv::<ToInit>() {
            Ok((ToInit::Start(call, spec), descriptors)) => {
                if self.setup.mode == CommandMode::Released && self.released.remove(&call) != Some(spec.digest()) {
                    return self.answer(Origin::Work, &FromInit::NotStarted(call, StartFailure::NotReleased(call)));
                }
                self.start(call, Origin::Work, Work::Command(spec), descriptors);
            }
            Ok((ToInit::Signal(call, number), _)) => self.tell(call, Origin::Work, ToStage::Signal(number)),
            Ok((ToInit::Kill(call), _)) => self.tell(call, Origin::Work, ToStage::Kill),
            // Whatever else comes from there comes from a process that is not what it should be.
            Ok(_) | Err(ChannelError::Malformed { .. } | ChannelError::TooLarge { .. }) => self.kill_runner(),
            // Its end is reported when it is reaped; until then there is nothing to read.
            Err(_) => self.kill_runner(),
        }
    }

    fn start(&mut self, call: CallId, origin: Origin, work: Work, descriptors: Vec<OwnedFd>) {
        let refused = |step: &str| StartFailure::Step { step: step.to_owned(), errno: 0 };
        let outcome = match <[OwnedFd; 3]>::try_from(descriptors) {
            Err(_) => Err(refused("start a command without stdin, stdout and stderr")),
            Ok(_) if self.running.len() >= MAX_COMMANDS => Err(refused("run more commands at once")),
            Ok(_) if self.running.iter().any(|it| it.call == call && it.origin == origin) => {
                Err(refused("start a call under a number that is in use"))
            }
            Ok(stdio) => self.begin(&work, &stdio),
        };
        match outcome {
            Ok(stage) => self.running.push(Running { call, origin, stage }),
            Err(failure) => self.answer(origin, &FromInit::NotStarted(call, failure)),
        }
    }

    /// Gives work to the spare stage, or to a new one.
    fn begin(&mut self, work: &Work, stdio: &[OwnedFd; 3]) -> Result<Stage, StartFailure> {
        stage::check_descriptors(stdio)?;
        if let Some(spare) = self.spare.take() {
            if spare.begin(work, stdio).is_ok() {
                self.refill();
                return Ok(spare);
            }
            // It died while it waited; nothing was started.
            self.ending.push(spare.pid);
        }
        let stage = self.context.open()?;
        // A stage that is gone by now has said why, or its end of file will.
        let _ = stage.begin(work, stdio);
        self.refill();
        Ok(stage)
    }

    /// Opens a spare stage, while the command just begun keeps another processor busy.
    fn refill(&mut self) {
        if self.setup.spare && self.spare.is_none() {
            // Without one the next command opens its own, and says why when it cannot.
            self.spare = self.context.open().ok();
        }
    }

    /// A spare stage has the mounts of the moment it was opened: new anchors are none of them.
    fn renew_spare(&mut self) {
        if let Some(Stage { pid, channel }) = self.spare.take() {
            drop(channel);
            self.ending.push(pid);
            self.refill();
        }
    }

    /// Undoes what a command did to protected paths.
    fn restore(&mut self) -> Vec<Restored> {
        let anchors = self.protect.anchors();
        let restored = self.protect.after_command();
        if self.protect.anchors() != anchors {
            self.renew_spare();
        }
        restored
    }

    fn stage_message(&mut self, index: usize) {
        let Running { call, origin, stage } = &self.running[index];
        let (call, origin) = (*call, *origin);
        let message = match stage.channel.recv::<FromStage>() {
            Ok((FromStage::Started, _)) => return self.answer(origin, &FromInit::Started(call)),
            Ok((FromStage::NotStarted(failure), _)) => FromInit::NotStarted(call, failure),
            Ok((FromStage::Ended(mut report), _)) => {
                report.restored = self.restore();
                FromInit::Ended(call, report)
            }
            // The stage is gone without a word. At full level the kernel ended its pid namespace with it.
            Err(_) => {
                self.end_orphans();
                let report =
                    CommandReport { ended: Ended::Lost, reaped: Vec::new(), reaped_total: 0, restored: self.restore() };
                FromInit::Ended(call, report)
            }
        };
        let Running { stage, .. } = self.running.swap_remove(index);
        let confirmed = matches!(&message, FromInit::Ended(_, report) if report.ended != Ended::Lost);
        if confirmed && self.context.layers.has(Layer::Stage) {
            // Its tree is gone, which it confirmed before it reported. That its namespaces are torn down (milliseconds,
            // in the kernel) is nothing that anybody has to wait for.
            self.ending.push(stage.pid);
        } else {
            // Nobody ended the tree but the kernel, which has by the time that the stage itself can be waited for.
            let _ = rustix::process::waitpid(Some(stage.pid), WaitOptions::empty());
        }
        self.answer(origin, &message);
    }

    fn tell(&self, call: CallId, origin: Origin, message: ToStage) {
        if let Some(running) = self.running.iter().find(|it| it.call == call && it.origin == origin) {
            // A stage that has just ended has nothing left to be told.
            let _ = running.stage.channel.try_send(&message);
        }
    }

    fn answer(&mut self, origin: Origin, message: &FromInit) {
        match (origin, &self.runner) {
            (Origin::Control, _) => drop(self.control.send(message, &[])),
            (Origin::Work, Some((_, work))) => {
                // A runner that does not listen must not stop init.
                if work.try_send(message).is_err() {
                    self.kill_runner();
                }
            }
            (Origin::Work, None) => {
                if let FromInit::Ended(_, report) = message
                    && !report.restored.is_empty()
                {
                    let _ = self.control.send(&FromInit::Restored(report.restored.clone()), &[]);
                }
            }
        }
    }

    fn start_runner(&mut self) {
        let (Some(setup), Some(handed)) = (&self.setup.runner, &self.handed) else { return };
        match runner::start(self.context.plan, self.context.layers, setup, handed) {
            Ok(runner) => self.runner = Some(runner),
            Err(failure) => drop(self.control.send(&FromInit::Failed(failure), &[])),
        }
    }

    fn kill_runner(&self) {
        if let Some((pid, _)) = &self.runner {
            // Not yet reaped, so the id is still its own.
            let _ = rustix::process::kill_process(*pid, Signal::KILL);
        }
    }
}

fn ended(status: WaitStatus) -> Ended {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => Ended::Code(code),
        (None, Some(signal)) => Ended::Signal(signal),
        (None, None) => Ended::Lost,
    }
}
