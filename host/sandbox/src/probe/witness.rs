//! The process of the host that acts aim at: it holds a canary in memory, environment and an open file, and waits.

use std::os::fd::{AsRawFd, OwnedFd};

use rustix::process::{Pid, Signal};

use super::attempt::reap;
use super::scene::Target;
use crate::fork::{Side, fork};
use crate::signals;

/// A child of the trusted half; ended when this value goes.
#[derive(Debug)]
pub(crate) struct Process {
    pid: Pid,
    /// What acts are told of it.
    pub(crate) target: Target,
}

impl Process {
    /// Starts the process with `name` (at most 15 bytes), `canary` in its memory and `file` open.
    ///
    /// # Errors
    /// When no process can be made, or it could not get ready.
    pub(crate) fn start(name: String, canary: &str, file: &OwnedFd) -> std::io::Result<Process> {
        // At the same address in parent and child.
        let memory = canary.to_owned().into_boxed_str();
        let address = memory.as_ptr() as u64;
        let (read, write) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
        match fork(0)? {
            Side::Child => {
                drop(read);
                wait_for_the_end(&name, &memory, &write)
            }
            Side::Parent(pid) => {
                drop(write);
                let mut ready = [0u8; 1];
                let mut process = Process {
                    pid,
                    target: Target {
                        pid: pid.as_raw_nonzero().get(),
                        name,
                        address,
                        descriptor: file.as_raw_fd(),
                        environment: false,
                    },
                };
                if rustix::io::read(&read, &mut ready)? == 0 {
                    return Err(std::io::Error::other("the witness process ended early"));
                }
                process.target.environment = ready[0] == 1;
                Ok(process)
            }
        }
    }

    /// Whether `signal` has reached it: it holds every signal back.
    #[expect(clippy::disallowed_methods, reason = "the trusted half looks at its own child")]
    pub(crate) fn is_pending(&self, signal: i32) -> bool {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.target.pid)).unwrap_or_default();
        let pending = status.lines().find_map(|line| line.strip_prefix("ShdPnd:"));
        let pending = pending.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok()).unwrap_or(0);
        pending & (1 << (signal - 1)) != 0
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Not reaped yet, so the id is still its own.
        let _ = rustix::process::kill_process(self.pid, Signal::KILL);
        let _ = reap(self.pid);
    }
}

fn wait_for_the_end(name: &str, memory: &str, ready: &OwnedFd) -> ! {
    let _ = rustix::process::set_parent_process_death_signal(Some(Signal::KILL));
    signals::block_all();
    if let Ok(name) = std::ffi::CString::new(name) {
        let _ = rustix::thread::set_name(&name);
    }
    // Where Yama lets only a parent trace, the control could not; a wall that holds must hold without Yama's help.
    // SAFETY: PR_SET_PTRACER takes a number and touches no memory; EINVAL where there is no Yama.
    unsafe { libc::prctl(libc::PR_SET_PTRACER, libc::PR_SET_PTRACER_ANY, 0_u64, 0_u64, 0_u64) };
    let environment = put_into_environment(memory.as_bytes());
    let _ = rustix::io::write(ready, &[if environment { 1 } else { 2 }]);
    loop {
        // SAFETY: pause(2) takes nothing. With every signal held back only KILL ends it.
        unsafe { libc::pause() };
        std::hint::black_box(memory);
    }
}

/// Writes over the environment that /proc shows (proc_pid_environ(5)): the block that the program was started with.
#[expect(clippy::disallowed_methods, reason = "/proc/self of the process itself")]
fn put_into_environment(canary: &[u8]) -> bool {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name may hold spaces; fields are counted from behind it. 50 and 51 are env_start and env_end.
    let Some((_, fields)) = stat.rsplit_once(") ") else { return false };
    let field = |number: usize| fields.split(' ').nth(number - 3)?.trim().parse::<u64>().ok();
    let (Some(start), Some(end)) = (field(50), field(51)) else { return false };
    if start == 0 || end.saturating_sub(start) < canary.len() as u64 {
        return false;
    }
    // SAFETY: the kernel put the environment there and the block stays mapped and writable for the process's life; this
    // process has one thread and reads its environment no more.
    unsafe { std::ptr::copy_nonoverlapping(canary.as_ptr(), start as *mut u8, canary.len()) };
    true
}
