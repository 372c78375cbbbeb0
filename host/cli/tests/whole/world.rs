//! A fresh home and workspace, and the program in them.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// One person's surroundings. The daemon, if any, is stopped at the end.
pub(crate) struct World {
    folder: tempfile::TempDir,
}

/// What a call came to, as text.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// Where it lies now: the variable is set again where the tests run as a copy.
pub(crate) fn program() -> PathBuf {
    std::env::var_os("CARGO_BIN_EXE_stigmer").unwrap_or_else(|| env!("CARGO_BIN_EXE_stigmer").into()).into()
}

impl World {
    pub(crate) fn new() -> World {
        // Not below /tmp, which is scratch in a jail.
        let folder = tempfile::tempdir_in("/var/tmp").unwrap();
        std::fs::create_dir(folder.path().join("home")).unwrap();
        std::fs::create_dir(folder.path().join("work")).unwrap();
        World { folder }
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.folder.path().canonicalize().unwrap().join("home")
    }

    pub(crate) fn work(&self) -> PathBuf {
        self.folder.path().canonicalize().unwrap().join("work")
    }

    pub(crate) fn stigmer_home(&self) -> PathBuf {
        self.home().join(".stigmer")
    }

    pub(crate) fn write(&self, path: &str, text: &str) -> PathBuf {
        let path = self.folder.path().canonicalize().unwrap().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(program());
        command.args(arguments).env_clear().current_dir(self.work()).stdin(Stdio::null());
        command.env("HOME", self.home()).env("PATH", "/usr/local/bin:/usr/bin:/bin").env("LANG", "C.UTF-8");
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Said {
        self.finish(&mut self.command(arguments))
    }

    pub(crate) fn run_with(&self, variables: &[(&str, &str)], arguments: &[&str]) -> Said {
        self.finish(self.command(arguments).envs(variables.iter().copied()))
    }

    pub(crate) fn finish(&self, command: &mut Command) -> Said {
        let Output { status, stdout, stderr } = command.output().unwrap();
        let text = |bytes: Vec<u8>| self.filter(&String::from_utf8(bytes).unwrap());
        let said = Said { code: status.code().unwrap_or(-1), out: text(stdout), err: text(stderr) };
        println!("{command:?}\n{said:#?}");
        said
    }

    /// Takes out what differs from run to run.
    fn filter(&self, text: &str) -> String {
        let folder = self.folder.path().canonicalize().unwrap();
        text.replace(&*folder.to_string_lossy(), "[FOLDER]")
    }

    /// Starts a daemon at the weakest level: these tests are about the program, not about the walls.
    pub(crate) fn start(&self) -> Said {
        let said = self.run(&["local", "start", "--sandbox", "filesystem"]);
        assert_eq!(said.code, 0);
        said
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let stopped = self.command(&["local", "stop"]).output().unwrap();
        if !stopped.status.success() && !std::thread::panicking() {
            panic!("{stopped:?}");
        }
    }
}

/// Whether a process runs. One that has ended and that nobody has waited for yet does not (proc_pid_stat(5)).
pub(crate) fn alive(pid: i32) -> bool {
    let stat = std::fs::read_to_string(Path::new(&format!("/proc/{pid}/stat")));
    stat.is_ok_and(|stat| !stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with(['Z', 'X'])))
}
