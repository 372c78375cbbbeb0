//! How commands, the runner and init itself end, and what is done about those that nobody was told the end of.

use rustix::process::{Pid, Signal, WaitOptions};
use stigmer_policy::{Layer, Level};

use super::{Init, Origin, Running, ended};
use crate::fork::exit;
use crate::message::FromInit;
use crate::stage::{FromStage, Stage, ToStage};

impl Init<'_> {
    /// Ends the runner and every command that it started.
    pub(super) fn end_runner(&mut self) {
        self.kill_runner();
        for running in self.running.iter().filter(|it| it.origin == Origin::Work) {
            let _ = running.stage.channel.try_send(&ToStage::Kill);
        }
        let (ours, rest): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.running).into_iter().partition(|it| it.origin == Origin::Work);
        self.running = rest;
        let worked = self.runner.is_some() || !ours.is_empty();
        for running in ours {
            while !matches!(running.stage.channel.recv::<FromStage>(), Err(_) | Ok((FromStage::Ended(_), _))) {}
            let _ = rustix::process::waitpid(Some(running.stage.pid), WaitOptions::empty());
        }
        if let Some((pid, _)) = self.runner.take() {
            let _ = rustix::process::waitpid(Some(pid), WaitOptions::empty());
        }
        if worked {
            self.restore_untold();
        }
    }

    /// As after a command, where its end is told to nobody: what it changed must not be the next one's beginning.
    pub(super) fn restore_untold(&mut self) {
        let restored = self.restore();
        if !restored.is_empty() {
            // The trusted half may be gone; it is undone all the same.
            let _ = self.control.send(&FromInit::Restored(restored), &[]);
        }
    }

    pub(super) fn reap(&mut self) {
        // By name, not by -1: nothing is reaped that somebody still speaks of.
        let is_gone = |pid: &Pid| !matches!(rustix::process::waitpid(Some(*pid), WaitOptions::NOHANG), Ok(None));
        self.ending.retain(|pid| !is_gone(pid));
        let Some((pid, _)) = &self.runner else { return self.reap_strangers() };
        if let Ok(Some((_, status))) = rustix::process::waitpid(Some(*pid), WaitOptions::NOHANG) {
            self.runner = None;
            let _ = self.control.send(&FromInit::RunnerEnded(ended(status)), &[]);
        }
        self.reap_strangers();
    }

    /// Orphans that the kernel gave to init; stages and the runner are waited for by name.
    fn reap_strangers(&self) {
        for pid in self.strangers() {
            let _ = rustix::process::waitpid(Some(pid), WaitOptions::NOHANG);
        }
    }

    fn strangers(&self) -> Vec<Pid> {
        let known = |pid: &Pid| {
            self.runner.as_ref().is_some_and(|(runner, _)| runner == pid)
                || self.spare.as_ref().is_some_and(|spare| spare.pid == *pid)
                || self.ending.contains(pid)
                || self.running.iter().any(|it| it.stage.pid == *pid)
        };
        crate::stage::children_of_self().into_iter().filter(|pid| !known(pid)).collect()
    }

    /// Ends what a lost stage left behind. Its descendants become children of init one after the other.
    pub(super) fn end_orphans(&self) {
        loop {
            let strangers = self.strangers();
            if strangers.is_empty() {
                return;
            }
            for pid in strangers {
                let _ = rustix::process::kill_process(pid, Signal::KILL);
                let _ = rustix::process::waitpid(Some(pid), WaitOptions::empty());
            }
        }
    }

    /// Ends everything, and undoes what commands that ran to the last did to protected paths. At full level this process is
    /// the first of its pid namespace, and the kernel ends what is left.
    pub(super) fn end(mut self) -> ! {
        self.end_runner();
        // A closed channel is a stage's order to end its tree.
        let cut_off = std::mem::take(&mut self.running);
        let any = !cut_off.is_empty();
        for Running { stage, .. } in cut_off {
            drop(stage.channel);
            let _ = rustix::process::waitpid(Some(stage.pid), WaitOptions::empty());
        }
        if let Some(Stage { pid, channel }) = self.spare.take() {
            drop(channel);
            self.ending.push(pid);
        }
        for pid in std::mem::take(&mut self.ending) {
            let _ = rustix::process::waitpid(Some(pid), WaitOptions::empty());
        }
        if self.context.layers.level() != Level::Full || !self.context.layers.has(Layer::Pids) {
            self.end_orphans();
        }
        if any {
            self.restore_untold();
        }
        exit(0)
    }
}
