//! The built product in a fresh home.

use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use stigmer_policy::Level;

/// Seconds after which a call of the product counts as hung.
const PATIENCE: u64 = 60;

/// A fresh home, workspace and outside, and the product's executable.
#[derive(Debug)]
pub struct Product {
    /// The built `stigmer`.
    pub executable: PathBuf,
    folder: tempfile::TempDir,
    variables: Vec<(String, String)>,
}

impl Product {
    /// Finds the product and makes fresh folders.
    ///
    /// # Panics
    /// When the product has not been built: `STIGMER_BIN` names it, else it lies beside the test programs.
    #[must_use]
    pub fn fresh() -> Product {
        let executable = std::env::var_os("STIGMER_BIN").map_or_else(beside_the_tests, PathBuf::from);
        assert!(executable.is_file(), "build the product first (`cargo build`): no file at {}", executable.display());
        // Not below /tmp, which is scratch inside: what lies outside must be outside.
        let folder = tempfile::tempdir_in("/var/tmp").expect("a temporary folder can be made");
        let product = Product { executable, folder, variables: Vec::new() };
        for name in ["home", "workspace", "outside"] {
            std::fs::create_dir(product.folder.path().join(name)).expect("a fresh folder takes new ones");
        }
        product
    }

    /// Adds a variable to the person's environment.
    pub fn set(&mut self, name: &str, value: &str) {
        self.variables.push((name.to_owned(), value.to_owned()));
    }

    /// The person's home.
    #[must_use]
    pub fn home(&self) -> PathBuf {
        self.path("home")
    }

    /// The folder that the walls are put around.
    #[must_use]
    pub fn workspace(&self) -> PathBuf {
        self.path("workspace")
    }

    /// A folder of the person's that no wall opens.
    #[must_use]
    pub fn outside(&self) -> PathBuf {
        self.path("outside")
    }

    /// The daemon's process id, by its own status.
    ///
    /// # Panics
    /// When none runs.
    #[must_use]
    pub fn daemon(&self) -> i32 {
        let status = self.run(&["local", "status", "--json"], b"");
        let value: Option<serde_json::Value> = serde_json::from_slice(&status.stdout).ok();
        let pid = value.and_then(|value| i32::try_from(value["pid"].as_i64()?).ok());
        pid.unwrap_or_else(|| panic!("no pid: {}", show(&status)))
    }

    fn path(&self, name: &str) -> PathBuf {
        // Canonical, since the product shows paths that way.
        self.folder.path().canonicalize().expect("the folder exists").join(name)
    }

    /// The product with these arguments, in the workspace.
    #[must_use]
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.executable);
        command
            .args(arguments)
            .current_dir(self.workspace())
            .env_clear()
            .envs(self.environment())
            .envs(self.variables.iter().cloned());
        command
    }

    fn environment(&self) -> Vec<(&'static str, std::ffi::OsString)> {
        let mut variables = vec![
            ("HOME", self.home().into_os_string()),
            ("PATH", std::env::var_os("PATH").unwrap_or_else(|| "/usr/local/bin:/usr/bin:/bin".into())),
            ("LANG", "C.UTF-8".into()),
        ];
        // Toolchains lie where they were installed, not in the fresh home.
        for name in ["RUSTUP_HOME", "PYENV_ROOT"] {
            let default = || {
                let old = std::env::home_dir()?.join(if name == "RUSTUP_HOME" { ".rustup" } else { ".pyenv" });
                old.is_dir().then(|| old.into_os_string())
            };
            if let Some(value) = std::env::var_os(name).or_else(default) {
                variables.push((name, value));
            }
        }
        variables
    }

    /// Runs the product to its end with `stdin`, within a bound of time.
    ///
    /// # Panics
    /// When it cannot be started or does not end.
    #[must_use]
    pub fn run(&self, arguments: &[&str], stdin: &[u8]) -> Output {
        finish(self.command(arguments), stdin)
    }

    /// Runs a shell command in the jail.
    ///
    /// # Panics
    /// As [`Product::run`].
    #[must_use]
    pub fn exec(&self, level: Level, script: &str) -> Output {
        let mut arguments = vec!["sandbox", "exec"];
        arguments.extend(level_flags(level));
        arguments.extend(["--timeout", "30", "--", "sh", "-c", script]);
        self.run(&arguments, b"")
    }

    /// Calls a guest's function in its jail, the workspace given for writing; the outcome is one JSON object on stdout.
    ///
    /// # Panics
    /// As [`Product::run`], and when `STIGMER_GUESTS` names no folder.
    #[must_use]
    pub fn plugin(&self, level: Level, guest: &str, export: &str, arguments: &str) -> Output {
        let guests = std::env::var_os("STIGMER_GUESTS");
        let guests = guests.expect("`cargo xtask guests` builds them, `cargo xtask test` names them");
        let file = PathBuf::from(guests).join(guest).with_extension("wasm").display().to_string();
        let workspace = self.workspace().display().to_string();
        let mut words = vec!["plugin", "call", &file, export, arguments, "--dir", &workspace, "--json"];
        words.extend(level_flags(level));
        self.run(&words, b"")
    }

    /// Runs a shell command without any wall, as the person.
    ///
    /// # Panics
    /// As [`Product::run`].
    #[must_use]
    pub fn unconfined(&self, script: &str) -> Output {
        let mut command = Command::new("sh");
        command
            .args(["-c", script])
            .current_dir(self.workspace())
            .env_clear()
            .envs(self.environment())
            .envs(self.variables.iter().cloned());
        finish(command, b"")
    }

    /// Whether this machine can hold `level` at all; prints the skip when it cannot.
    #[must_use]
    pub fn holds(&self, level: Level, test: &str) -> bool {
        let output = self.exec(level, "true");
        if output.status.success() {
            return true;
        }
        let words = String::from_utf8_lossy(&output.stderr);
        say(&format!("skipped: {test} at {}: {}", level.name(), words.lines().next().unwrap_or("cannot be held here")));
        false
    }
}

/// The flags that choose a level.
#[must_use]
pub fn level_flags(level: Level) -> [&'static str; 2] {
    match level {
        Level::Full => ["--level", "full"],
        Level::Base => ["--level", "base"],
        Level::Filesystem => ["--sandbox", "filesystem"],
    }
}

/// Prints a line that the test run collects.
pub fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// Whether the tests run as root.
#[must_use]
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Whether a program is on this machine's PATH.
#[must_use]
pub fn has_program(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(name).is_file())
}

fn beside_the_tests() -> PathBuf {
    let own = std::env::current_exe().expect("a running program has a path");
    let folder = own.ancestors().nth(2).unwrap_or_else(|| Path::new("."));
    folder.join("stigmer")
}

/// Runs a command to its end with `stdin`, within a bound of time.
///
/// # Panics
/// When it cannot be started or does not end.
#[must_use]
pub fn finish(mut command: Command, stdin: &[u8]) -> Output {
    let shown = format!("{command:?}");
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{shown}: {error}"));
    let mut pipe = child.stdin.take().expect("stdin is a pipe");
    let stdin = stdin.to_vec();
    let writer = std::thread::spawn(move || {
        // A program that does not read its input is free to.
        let _ = pipe.write_all(&stdin);
    });
    let pid = child.id();
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || sender.send(child.wait_with_output()));
    let Ok(output) = receiver.recv_timeout(std::time::Duration::from_secs(PATIENCE)) else {
        let raw = i32::try_from(pid).expect("a process id");
        if let Some(pid) = rustix::process::Pid::from_raw(raw) {
            // Its own child, not reaped by anyone yet: the id is still its own.
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
        panic!("{shown}: not finished after {PATIENCE} s");
    };
    let _ = writer.join();
    output.unwrap_or_else(|error| panic!("{shown}: {error}"))
}

/// Both streams and the exit code, for messages.
#[must_use]
pub fn show(output: &Output) -> String {
    format!(
        "exit {:?}\n--- stdout\n{}\n--- stderr\n{}",
        output.status.code(),
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// Whether `text` is one of a program's arguments or output lines; bytes are compared as they are.
#[must_use]
pub fn holds_text(bytes: &[u8], text: impl AsRef<OsStr>) -> bool {
    let text = text.as_ref().as_encoded_bytes();
    !text.is_empty() && bytes.windows(text.len()).any(|window| window == text)
}
