//! Why a machine does not hold a level, and the smallest change that makes it: a table of known causes, asked with facts
//! that anyone may read.

use serde::Serialize;
use stigmer_policy::{Layer, Level};

use crate::jail::landlock;
use crate::message::SetupFailure;

mod table;

pub use table::{CAUSES, Cause};

/// What the kernel says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Machine {
    /// Version of the kernel, as it prints it.
    pub kernel: String,
    /// First two numbers of that.
    pub version: (u32, u32),
    /// Landlock's ABI; 0 where it is missing or off.
    pub landlock: i32,
    /// Security modules in force, where the list can be read (`/sys/kernel/security/lsm`).
    pub modules: Option<Vec<String>>,
    /// `kernel.apparmor_restrict_unprivileged_userns`, where there is such a setting.
    pub apparmor_restricts: Option<bool>,
    /// `kernel.unprivileged_userns_clone`, where there is such a setting (Debian, Arch).
    pub userns_clone: Option<bool>,
    /// `user.max_user_namespaces`; `None` where the kernel has no user namespaces.
    pub max_user_namespaces: Option<u64>,
    /// Something is mounted over parts of /proc, as containers do: a new one is refused.
    pub masked_proc: bool,
    /// The caller is in a seccomp filter or a container that says so by `Seccomp: 2`.
    pub filtered: bool,
    /// Whether seccomp filters are there at all.
    pub seccomp: bool,
    /// Whether the caller is uid 0.
    pub root: bool,
}

impl Machine {
    /// Asks the kernel.
    #[must_use]
    pub fn look() -> Machine {
        let release = rustix::system::uname().release().to_string_lossy().into_owned();
        let on = |name: &str| read(&format!("/proc/sys/kernel/{name}")).map(|text| text.trim() == "1");
        let status = read("/proc/self/status").unwrap_or_default();
        let seccomp = status.lines().find_map(|line| line.strip_prefix("Seccomp:"));
        let modules = read("/sys/kernel/security/lsm");
        Machine {
            version: version(&release),
            kernel: release,
            landlock: landlock::kernel_abi(),
            modules: modules.map(|list| list.trim().split(',').map(str::to_owned).collect()),
            apparmor_restricts: on("apparmor_restrict_unprivileged_userns"),
            userns_clone: on("unprivileged_userns_clone"),
            max_user_namespaces: read("/proc/sys/user/max_user_namespaces").and_then(|text| text.trim().parse().ok()),
            masked_proc: masks_proc(&read("/proc/self/mountinfo").unwrap_or_default()),
            filtered: seccomp.is_some_and(|mode| mode.trim() == "2"),
            seccomp: seccomp.is_some(),
            root: rustix::process::geteuid().is_root(),
        }
    }

    /// The causes that apply to a level whose jail failed at `failure`, in the order of the table; empty when none of the
    /// known ones is seen.
    #[must_use]
    pub fn causes(&self, level: Level, failure: Option<&SetupFailure>) -> Vec<&'static Cause> {
        let layer = failure.and_then(|failure| failure.layer);
        let of_layer = |cause: &&Cause| layer.is_none_or(|layer| cause.layers.contains(&layer));
        CAUSES.iter().filter(|cause| (cause.applies)(self, level)).filter(of_layer).collect()
    }
}

/// What a level lacks, in one line for people.
#[must_use]
pub fn failed(failure: &SetupFailure) -> String {
    let subject = failure.subject.as_deref().map(|subject| format!(" `{subject}`")).unwrap_or_default();
    let errno = match failure.errno {
        0 => String::new(),
        errno => format!(": {}", std::io::Error::from_raw_os_error(errno)),
    };
    let layer = failure.layer.map(|layer: Layer| format!(" (layer `{}`)", layer.name())).unwrap_or_default();
    format!("could not {}{subject}{errno}{layer}", failure.step)
}

fn version(release: &str) -> (u32, u32) {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).filter_map(|part| part.parse().ok());
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

/// Whether anything but the kernel's own helpers is mounted below /proc (proc_pid_mountinfo(5): the fifth field).
fn masks_proc(mountinfo: &str) -> bool {
    let points = mountinfo.lines().filter_map(|line| line.split(' ').nth(4));
    points.filter(|point| point.starts_with("/proc/")).any(|point| !point.starts_with("/proc/sys/fs/binfmt_misc"))
}

#[expect(clippy::disallowed_methods, reason = "settings of the kernel that anyone may read")]
fn read(path: &str) -> Option<String> {
    std::fs::read_to_string(path).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sound() -> Machine {
        Machine {
            kernel: "6.18.44".into(),
            version: (6, 18),
            landlock: 7,
            max_user_namespaces: Some(1000),
            seccomp: true,
            ..Machine::default()
        }
    }

    fn failure(layer: Layer) -> SetupFailure {
        SetupFailure { step: "make a user namespace".into(), subject: None, errno: libc::EPERM, layer: Some(layer) }
    }

    fn names(machine: &Machine, level: Level, layer: Layer) -> Vec<&'static str> {
        machine.causes(level, Some(&failure(layer))).iter().map(|cause| cause.name).collect()
    }

    /// How the machine differs from a sound one, the level, the layer that failed, the causes that are named.
    type Case = (fn(&mut Machine), Level, Layer, &'static [&'static str]);

    #[test]
    fn each_cause_is_named_where_it_applies_and_nowhere_else() {
        let cases: &[Case] = &[
            (|_| {}, Level::Full, Layer::Capabilities, &[]),
            (|it| it.apparmor_restricts = Some(true), Level::Full, Layer::Mounts, &["apparmor-userns"]),
            (|it| it.apparmor_restricts = Some(true), Level::Base, Layer::LandlockFiles, &[]),
            (|it| it.userns_clone = Some(false), Level::Full, Layer::Capabilities, &["userns-clone"]),
            (|it| it.max_user_namespaces = Some(0), Level::Full, Layer::Capabilities, &["max-user-namespaces"]),
            (|it| it.max_user_namespaces = None, Level::Full, Layer::Capabilities, &["no-user-namespaces"]),
            (|it| it.masked_proc = true, Level::Full, Layer::Pids, &["masked-proc"]),
            (|it| it.filtered = true, Level::Full, Layer::Capabilities, &["container-filter"]),
            (|it| it.seccomp = false, Level::Base, Layer::Seccomp, &["no-seccomp"]),
            (
                |it| (it.landlock, it.version) = (0, (5, 10)),
                Level::Base,
                Layer::LandlockFiles,
                &["kernel-too-old-for-base"],
            ),
            (
                |it| (it.landlock, it.version) = (4, (6, 8)),
                Level::Base,
                Layer::LandlockScopes,
                &["kernel-too-old-for-base"],
            ),
            (|it| (it.landlock, it.version) = (4, (6, 8)), Level::Full, Layer::LandlockFiles, &[]),
            (
                |it| (it.landlock, it.version) = (1, (6, 1)),
                Level::Full,
                Layer::LandlockFiles,
                &["kernel-too-old-for-full"],
            ),
            (|it| it.landlock = 0, Level::Full, Layer::LandlockFiles, &["landlock-off"]),
        ];
        for (index, (change, level, layer, want)) in cases.iter().enumerate() {
            let mut machine = sound();
            change(&mut machine);
            assert_eq!(names(&machine, *level, *layer), *want, "case {index}");
        }
        // Root needs no leave for a user namespace.
        let root = Machine { root: true, userns_clone: Some(false), ..sound() };
        assert!(names(&root, Level::Full, Layer::Capabilities).is_empty());
    }

    #[test]
    fn what_is_said_names_step_subject_errno_and_layer() {
        let said = failed(&SetupFailure { subject: Some("/proc".into()), ..failure(Layer::Pids) });
        assert_eq!(
            said,
            "could not make a user namespace `/proc`: Operation not permitted (os error 1) (layer `pids`)"
        );
    }

    #[test]
    fn a_masked_proc_is_told_from_a_plain_one() {
        assert!(!masks_proc(
            "22 1 0:21 / /proc rw - proc proc rw\n30 22 0:29 / /proc/sys/fs/binfmt_misc rw - a b rw\n"
        ));
        assert!(masks_proc("22 1 0:21 / /proc rw - proc proc rw\n31 22 0:5 / /proc/kcore rw - devtmpfs d rw\n"));
    }

    #[test]
    fn versions_are_read() {
        assert_eq!(version("6.18.44-fc-v782"), (6, 18));
        assert_eq!(version("5.15.0-91-generic"), (5, 15));
    }
}
