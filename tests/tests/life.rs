//! Executions beside each other and cut off, at every level.

#![expect(clippy::disallowed_methods, reason = "tests look at /proc and make their own fixtures")]

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use stigmer_policy::Level;
use stigmer_tests::processes::marked;
use stigmer_tests::product::{Product, level_flags, show};
use stigmer_tests::waiting::until;

/// Within this time everything must be there, or gone.
const PATIENCE: Duration = Duration::from_secs(20);

fn run(product: &Product, level: Level, name: &str, script: &str, message: &str) -> Child {
    let file = product.home().join(name);
    std::fs::write(&file, script).expect("the home is the person's");
    let model = format!("script:{}", file.display());
    let mut arguments = vec!["run", "-m", message, "--model", &model, "--approve", "auto"];
    arguments.extend(["--output-format", "stream-json"]);
    arguments.extend(level_flags(level));
    let mut command = product.command(&arguments);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().expect("the product starts")
}

/// Processes that run the product's executable, the daemon among them.
fn own(product: &Product) -> usize {
    let entries = std::fs::read_dir("/proc").expect("/proc is there").flatten();
    let home = product.home();
    let of_this_home =
        |line: &[u8]| line.windows(home.as_os_str().len()).any(|part| part == home.as_os_str().as_encoded_bytes());
    entries
        .filter(|entry| {
            let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
            of_this_home(&line)
        })
        .count()
}

#[test]
fn ctrl_c_during_a_run_cancels_and_leaves_no_process() {
    for level in [Level::Full, Level::Base, Level::Filesystem] {
        let product = Product::fresh();
        if !product.holds(level, "ctrl-c") {
            continue;
        }
        let started = product.run(&[&["local", "start"][..], &level_flags(level)].concat(), b"");
        assert!(started.status.success(), "{}", show(&started));
        let before = own(&product);
        let marker = format!("life-{}-{}", std::process::id(), level.name());
        let script = format!(
            "[[turn]]\n[[turn.call]]\nid = \"long\"\ntool = \"execute\"\n\
             args = {{ command = \"touch began; setsid sh -c 'sleep 60' {marker} & sh -c 'sleep 60' {marker}\" }}\n\
             [[turn]]\ntext = \"Over.\"\n[[turn.expect]]\ncall = \"long\"\nequals = \"never\"\n"
        );
        let child = run(&product, level, "long.toml", &script, "wait");
        let began = product.workspace().join("began");
        until(PATIENCE, "the command begins", || began.exists() && marked(&marker).len() >= 2);
        let pid = Pid::from_raw(i32::try_from(child.id()).expect("a process id")).expect("a process id");
        kill_process(pid, Signal::INT).expect("our own child");
        let output = child.wait_with_output().expect("it ends");
        assert_eq!(output.status.code(), Some(1), "{}", show(&output));
        let last = String::from_utf8_lossy(&output.stdout).lines().last().unwrap_or_default().to_owned();
        let result: serde_json::Value = serde_json::from_str(&last).unwrap_or_else(|_| panic!("{}", show(&output)));
        assert_eq!(result["outcome"].as_str(), Some("cancelled"), "{result}");
        // The stream's end comes after the tree's.
        assert_eq!(marked(&marker), Vec::<i32>::new(), "at {}", level.name());
        assert_eq!(own(&product), before, "at {}", level.name());
        let stopped = product.run(&["local", "stop"], b"");
        assert!(stopped.status.success(), "{}", show(&stopped));
        assert_eq!(own(&product), 0);
    }
}

#[test]
fn two_executions_in_one_workspace_lose_no_edit() {
    for level in [Level::Full, Level::Base, Level::Filesystem] {
        let product = Product::fresh();
        if !product.holds(level, "two executions") {
            continue;
        }
        let started = product.run(&[&["local", "start"][..], &level_flags(level)].concat(), b"");
        assert!(started.status.success(), "{}", show(&started));
        let shared = product.workspace().join("shared.txt");
        let lines: String =
            ["a", "b"].iter().flat_map(|who| (0..ROUNDS).map(move |n| format!("{who}{n}: open\n"))).collect();
        std::fs::write(&shared, lines).expect("the workspace is the person's");
        let runs = ["a", "b"].map(|who| run(&product, level, &format!("{who}.toml"), &edits(who), who));
        for child in runs {
            let output = child.wait_with_output().expect("it ends");
            assert!(output.status.success(), "at {}: {}", level.name(), show(&output));
            let mut overlapped = BufReader::new(&output.stdout[..]).lines().map_while(Result::ok);
            assert!(overlapped.any(|line| line.contains("edit_file")));
        }
        let text = std::fs::read_to_string(&shared).expect("it is still there");
        let done: String =
            ["a", "b"].iter().flat_map(|who| (0..ROUNDS).map(move |n| format!("{who}{n}: done\n"))).collect();
        assert_eq!(text, done, "at {}", level.name());
        let stopped = product.run(&["local", "stop"], b"");
        assert!(stopped.status.success(), "{}", show(&stopped));
    }
}

/// Edits of each execution.
const ROUNDS: usize = 20;

/// One edit a turn, each of its own line; both wait for each other first.
fn edits(who: &str) -> String {
    let other = if who == "a" { "b" } else { "a" };
    let meet = format!("touch {who}.here; while ! test -e {other}.here; do sleep 0.01; done; echo met");
    let mut script =
        format!("[[turn]]\n[[turn.call]]\nid = \"meet\"\ntool = \"execute\"\nargs = {{ command = \"{meet}\" }}\n");
    let mut expect = "[[turn.expect]]\ncall = \"meet\"\ncontains = \"met\"\n".to_owned();
    for n in 0..ROUNDS {
        script.push_str(&format!(
            "[[turn]]\n{expect}[[turn.call]]\nid = \"e{n}\"\ntool = \"edit_file\"\nargs = {{ file_path = \
             \"${{WORKSPACE}}/shared.txt\", old_string = \"{who}{n}: open\", new_string = \"{who}{n}: done\" }}\n"
        ));
        expect = format!("[[turn.expect]]\ncall = \"e{n}\"\nmatches = \"replaced 1\"\n");
    }
    script + &format!("[[turn]]\ntext = \"Over.\"\n{expect}")
}
