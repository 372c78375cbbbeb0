//! The contract of `sandbox exec|put|get|ls|grep`, on which other programs build.

#![expect(clippy::disallowed_methods, reason = "tests make their own fixtures")]

use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::time::{Duration, Instant};

use stigmer_policy::Level;
use stigmer_tests::product::{Product, level_flags, say, show};

const LEVELS: [Level; 3] = [Level::Full, Level::Base, Level::Filesystem];

fn at_each_level(test: &str, mut run: impl FnMut(&Product, Level)) {
    for level in LEVELS {
        let product = Product::fresh();
        if product.holds(level, test) {
            run(&product, level);
        }
    }
}

fn sandbox(product: &Product, verb: &str, level: Level, rest: &[&str], stdin: &[u8]) -> std::process::Output {
    let mut arguments = vec!["sandbox", verb];
    arguments.extend(level_flags(level));
    arguments.extend(rest);
    product.run(&arguments, stdin)
}

#[test]
fn streams_pass_through_unchanged_separate_and_unbounded() {
    at_each_level("streams", |product, level| {
        let bytes: Vec<u8> = (0..3_000_000_u32).map(|number| (number * 31 % 256) as u8).collect();
        let output = sandbox(product, "exec", level, &["--", "cat"], &bytes);
        assert!(output.status.success() && output.stdout == bytes && output.stderr.is_empty(), "{}", show(&output));
        let output = product.exec(level, "echo out; echo err >&2; exit 7");
        assert_eq!(
            (output.status.code(), &output.stdout[..], &output.stderr[..]),
            (Some(7), &b"out\n"[..], &b"err\n"[..]),
            "{}",
            show(&output)
        );
    });
}

#[test]
fn exit_codes_are_those_of_a_shell_and_of_timeout() {
    at_each_level("exit codes", |product, level| {
        for (script, code) in [("exit 0", 0), ("exit 255", 255), ("kill -9 $$", 137), ("kill -TERM $$", 143)] {
            assert_eq!(product.exec(level, script).status.code(), Some(code), "{script} at {}", level.name());
        }
        for (argv, code) in [(&["--", "no-such-program"][..], 127), (&["--", "/etc/passwd"], 126)] {
            let output = sandbox(product, "exec", level, argv, b"");
            assert_eq!(output.status.code(), Some(code), "{}", show(&output));
        }
    });
}

#[test]
fn past_its_time_the_whole_tree_is_gone_and_124_is_returned() {
    at_each_level("timeout", |product, level| {
        let script = "setsid sh -c 'sleep 2; touch survived' & sleep 60";
        let start = Instant::now();
        let output = sandbox(product, "exec", level, &["--timeout", "0.3", "--", "sh", "-c", script], b"");
        assert_eq!(output.status.code(), Some(124), "{}", show(&output));
        assert!(start.elapsed() < Duration::from_secs(20));
        // The tree was gone when the call returned: nothing of it can still make the file.
        let still = product.unconfined("ps -ef | grep -c '[t]ouch survived'");
        assert_eq!(String::from_utf8_lossy(&still.stdout).trim(), "0", "{}", level.name());
    });
}

#[test]
fn signals_to_the_caller_reach_the_command() {
    at_each_level("signals", |product, level| {
        let script = "trap 'exit 5' INT; echo ready; while :; do sleep 0.05; done";
        let mut arguments = vec!["sandbox", "exec"];
        arguments.extend(level_flags(level));
        arguments.extend(["--timeout", "30", "--", "sh", "-c", script]);
        let mut child =
            product.command(&arguments).stdout(Stdio::piped()).stdin(Stdio::null()).spawn().expect("starts");
        let mut ready = [0; 6];
        std::io::Read::read_exact(child.stdout.as_mut().expect("a pipe"), &mut ready)
            .expect("it says that it is ready");
        let pid = rustix::process::Pid::from_child(&child);
        rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("our own child");
        let status = child.wait().expect("it ends");
        assert_eq!((status.code(), status.signal()), (Some(5), None), "{}", level.name());
    });
}

#[test]
fn a_directory_cannot_come_in_as_stdin() {
    at_each_level("stdin", |product, level| {
        let mut arguments = vec!["sandbox", "exec"];
        arguments.extend(level_flags(level));
        arguments.extend(["--", "ls"]);
        let folder = std::fs::File::open(product.outside()).expect("the folder is there");
        let output = product.command(&arguments).stdin(folder).output().expect("starts");
        let words = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(2) && words.contains("stdin is a directory"), "{}", show(&output));
        let file = product.outside().join("file");
        std::fs::write(&file, "a file may").expect("the person's folder");
        let output = product
            .command(&arguments[..arguments.len() - 1])
            .arg("cat")
            .stdin(std::fs::File::open(file).expect("there"))
            .output();
        assert_eq!(output.expect("starts").stdout, b"a file may", "{}", level.name());
    });
}

#[test]
fn a_datagram_socket_cannot_come_in_as_stdin_and_a_stream_can() {
    use std::os::fd::OwnedFd;
    at_each_level("sockets as stdin", |product, level| {
        let mut arguments = vec!["sandbox", "exec"];
        arguments.extend(level_flags(level));
        arguments.extend(["--", "true"]);
        let (datagram, _peer) = std::os::unix::net::UnixDatagram::pair().expect("a pair");
        let output = product.command(&arguments).stdin(OwnedFd::from(datagram)).output().expect("starts");
        let words = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(2) && words.contains("a datagram socket"), "{}", show(&output));
        let (stream, _peer) = std::os::unix::net::UnixStream::pair().expect("a pair");
        let output = product.command(&arguments).stdin(OwnedFd::from(stream)).output().expect("starts");
        assert_eq!(output.status.code(), Some(0), "{}", show(&output));
    });
}

#[test]
fn long_and_many_arguments_arrive() {
    at_each_level("long arguments", |product, level| {
        // The longest that the kernel passes to us, too (execve(2)).
        let long = "x".repeat(131_071);
        let output = sandbox(product, "exec", level, &["--", "sh", "-c", "echo ${#1}", "sh", &long], b"");
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "131071", "{}", show(&output));
        // Many arguments, more than one packet of the control channel.
        let many: Vec<String> = (0..1000).map(|number| format!("{number:0>900}")).collect();
        let mut rest = vec!["--", "sh", "-c", "echo $#", "sh"];
        rest.extend(many.iter().map(String::as_str));
        let output = sandbox(product, "exec", level, &rest, b"");
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "1000", "{}", show(&output));
    });
}

#[test]
fn only_listed_variables_arrive() {
    at_each_level("environment", |product, level| {
        let mut arguments = vec!["sandbox", "exec"];
        arguments.extend(level_flags(level));
        arguments.extend(["--env", "GIVEN=yes", "--", "env"]);
        let mut command = product.command(&arguments);
        command
            .env("ANTHROPIC_API_KEY", "sk-secret")
            .env("LD_PRELOAD", "/evil.so")
            .env("MINE", "no")
            .env("LC_ALL", "C");
        let output = command.output().expect("starts");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        for absent in ["sk-secret", "LD_PRELOAD", "MINE", "STIGMER_HOME"] {
            assert!(!text.contains(absent), "{absent}: {text}");
        }
        for present in ["GIVEN=yes", "LC_ALL=C", "STIGMER_SANDBOX=", "TMPDIR=", "HOME="] {
            assert!(text.contains(present), "{present}: {text}");
        }
    });
}

#[test]
fn put_and_get_name_a_path_as_a_command_does() {
    at_each_level("put and get", |product, level| {
        let deep = product.workspace().join("new/folder/file");
        let deep = deep.to_str().expect("plain");
        let output = sandbox(product, "put", level, &[deep], b"first\0line\n");
        assert!(output.status.success() && output.stdout.is_empty(), "{}", show(&output));
        assert_eq!(product.exec(level, &format!("cat '{deep}'")).stdout, b"first\0line\n");
        assert_eq!(sandbox(product, "get", level, &["new/folder/file"], b"").stdout, b"first\0line\n");
        let listing = sandbox(product, "ls", level, &["new"], b"");
        assert_eq!(listing.stdout, b"folder/\n", "{}", show(&listing));
        let found = sandbox(product, "grep", level, &["x1", "."], b"");
        assert_eq!(found.status.code(), Some(1), "{}", show(&found));
        std::fs::write(product.workspace().join("hay"), "a\nneedle here\n").expect("the workspace is the person's");
        let found = sandbox(product, "grep", level, &["needle", "hay"], b"");
        assert!(String::from_utf8_lossy(&found.stdout).ends_with("hay:2:needle here\n"), "{}", show(&found));
    });
}

#[test]
fn failures_of_put_and_get_are_one_line_that_names_the_case() {
    at_each_level("failures", |product, level| {
        let workspace = product.workspace();
        std::fs::create_dir(workspace.join("folder")).expect("fresh");
        std::fs::write(workspace.join("file"), "x").expect("fresh");
        let long = "n".repeat(256);
        for (verb, path, case) in [
            ("get", "missing", "no such file"),
            ("get", "folder", "is a directory"),
            ("put", "folder", "is a directory"),
            ("get", "/etc/shadow", "outside the root"),
            ("put", "/etc/x", "outside the root"),
            ("put", "../x", "outside the root"),
            ("put", "file/x", "not a directory"),
            ("put", long.as_str(), "name too long"),
            ("put", ".envrc", "protected"),
        ] {
            let output = sandbox(product, verb, level, &[path], b"data");
            let words = String::from_utf8_lossy(&output.stderr).to_lowercase();
            let one_line = words.trim_end().lines().count() == 1;
            assert!(
                output.status.code() == Some(1) && output.stdout.is_empty() && one_line && words.contains(case),
                "{verb} {path} at {} should say `{case}`\n{}",
                level.name(),
                show(&output)
            );
        }
    });
}

#[test]
fn scratch_is_kept_only_when_a_folder_is_named() {
    at_each_level("scratch", |product, level| {
        let refused = match level {
            Level::Full => "/tmp/a".to_owned(),
            _ => String::from_utf8(product.exec(level, "printf %s \"$TMPDIR\"").stdout).expect("a path") + "/a",
        };
        if level == Level::Full {
            let output = sandbox(product, "put", level, &[&refused], b"x");
            let words = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(!output.status.success() && words.contains("would not outlive this call"), "{}", show(&output));
        }
        let scratch = product.outside().join("scratch");
        let scratch = scratch.to_str().expect("plain");
        let inside = if level == Level::Full { "/tmp/a".to_owned() } else { format!("{scratch}/a") };
        let output = sandbox(product, "put", level, &["--scratch", scratch, &inside], b"kept");
        assert!(output.status.success(), "{}", show(&output));
        let output = sandbox(product, "exec", level, &["--scratch", scratch, "--", "cat", &inside], b"");
        assert_eq!(output.stdout, b"kept", "{}", show(&output));
        let taken = product.home();
        let output = sandbox(product, "exec", level, &["--scratch", taken.to_str().expect("plain"), "--", "true"], b"");
        assert_eq!(output.status.code(), Some(2), "a folder that is not ours\n{}", show(&output));
    });
}

#[test]
fn many_tasks_of_the_person_leave_a_command_its_own() {
    if rustix::process::geteuid().is_root() {
        return say("skipped: many tasks: the kernel counts root's tasks against no limit");
    }
    at_each_level("many tasks", |product, level| {
        let ended = &std::sync::Mutex::new(());
        std::thread::scope(|scope| {
            let held = ended.lock().expect("nobody else has it");
            for _ in 0..stigmer_policy::limits::PROCESSES {
                let thread = std::thread::Builder::new().stack_size(64 << 10);
                thread.spawn_scoped(scope, || drop(ended.lock())).expect("a thread");
            }
            let output = product.exec(level, "echo of-its-own | cat");
            drop(held);
            assert_eq!(output.stdout, b"of-its-own\n", "{}\n{}", level.name(), show(&output));
        });
    });
}

#[test]
fn dangerous_workspaces_are_refused_by_name() {
    let product = Product::fresh();
    let (home, outside) = (product.home(), product.outside());
    let state = home.join(".stigmer");
    std::fs::create_dir_all(state.join("skills")).expect("fresh");
    let program = product.executable.canonicalize().expect("built").parent().expect("a folder").to_owned();
    let above = program.parent().expect("a folder").to_owned();
    // Other names of such folders.
    let link = outside.join("link");
    std::os::unix::fs::symlink("/etc", &link).expect("fresh");
    let around = outside.join("../home");
    let system = [
        "/",
        "//",
        "/.",
        "/tmp",
        "/var/tmp",
        "/proc",
        "/proc/self",
        "/proc/self/root",
        "/proc/1/root",
        "/dev",
        "/dev/shm",
        "/sys",
        "/sys/kernel",
        "/run",
        "/run/lock",
        "/usr",
        "/usr/lib",
        "/usr/../etc",
        "/etc",
        "/boot",
        "/bin",
        "/lib",
        "/opt",
        "/srv",
        "/home",
        "/root",
        "/var",
        "/var/lib",
        "/var/log",
        "/var/run",
    ];
    let own = [home.clone(), state.clone(), state.join("skills"), home.parent().expect("a folder").to_owned()];
    let roots = system.map(std::path::PathBuf::from).into_iter().chain(own).chain([program, above, link, around]);
    for root in roots.filter(|root| root.is_dir()) {
        let root = root.to_str().expect("plain");
        for arguments in [
            &["sandbox", "exec", "--root", root, "--", "true"][..],
            &["sandbox", "put", "--root", root, "file"],
            &["local", "start", "--workspace", root],
            &["run", "--workspace", root, "--model", "script:none", "-m", "x"],
        ] {
            let output = product.run(arguments, b"");
            let words = String::from_utf8_lossy(&output.stderr).into_owned();
            let named = words.contains("as a workspace") || words.contains("Permission denied");
            assert!(output.status.code() == Some(2) && named, "{arguments:?}\n{}", show(&output));
        }
    }
    assert!(!state.join("daemon.sock").exists(), "a daemon was started for one of them");
    for (root, words) in [("missing", "No such file"), ("file", "not a folder")] {
        std::fs::write(product.workspace().join("file"), "").expect("fresh");
        let output = product.run(&["sandbox", "exec", "--root", root, "--", "true"], b"");
        assert!(String::from_utf8_lossy(&output.stderr).contains(words), "{root}\n{}", show(&output));
    }
    // A folder beside them all is fine, also one that a link names.
    let beside = outside.join("beside");
    std::os::unix::fs::symlink(product.workspace(), &beside).expect("fresh");
    for root in [product.workspace(), beside] {
        let output = product.run(&["sandbox", "exec", "--root", root.to_str().expect("plain"), "--", "true"], b"");
        assert!(output.status.success() || output.status.code() == Some(3), "{root:?}\n{}", show(&output));
    }
}
