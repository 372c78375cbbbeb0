//! Executions that wait: for a person's answer, and for the daemon's next start.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::world::{Said, World};

/// Asks for one command, and wants what it is told in `expect`.
pub(crate) fn script(expect: &str) -> String {
    format!(
        "[[turn]]\ntext = \"I count.\"\n[[turn.call]]\nid = \"count\"\ntool = \"execute\"\n\
         args = {{ command = \"echo ran >> ran.txt\" }}\n\
         [[turn]]\ntext = \"Over.\"\n[[turn.expect]]\ncall = \"count\"\n{expect}\n"
    )
}

pub(crate) const RAN: &str = "matches = 'exit code 0|succeeded|^$|no output'";
const DENIED: &str = "is_error = true\ncontains = \"not approved\"";

/// A `run` that waits for an answer.
pub(crate) struct Asking {
    pub(crate) execution: String,
    child: Child,
    out: BufReader<std::process::ChildStdout>,
}

pub(crate) fn asking(world: &World, format: &str) -> Asking {
    asking_for(world, format, RAN)
}

fn asking_for(world: &World, format: &str, expect: &str) -> Asking {
    let script = world.write("asks.toml", &script(expect));
    let model = format!("script:{}", script.display());
    let arguments = ["run", "-m", "count", "--model", &model, "--approve", "ask", "--output-format", format];
    let mut command = world.command(&arguments);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let out = BufReader::new(child.stdout.take().unwrap());
    // Followed from beside: the formats say different things on the way.
    let execution = until_it_waits(world);
    Asking { execution, child, out }
}

/// The newest execution, once it waits for an answer.
pub(crate) fn until_it_waits(world: &World) -> String {
    let start = std::time::Instant::now();
    loop {
        assert!(start.elapsed() < std::time::Duration::from_secs(30), "nothing waits");
        let listed = world.command(&["execution", "list", "--json", "--limit", "1"]).output().unwrap();
        let listed: serde_json::Value = serde_json::from_slice(&listed.stdout).unwrap();
        let newest = &listed["executions"][0];
        if newest["state"] == "parked" {
            return newest["id"].as_str().unwrap().to_owned();
        }
        std::thread::yield_now();
    }
}

impl Asking {
    pub(crate) fn end(mut self) -> Said {
        let (mut out, mut err) = (String::new(), String::new());
        self.out.read_to_string(&mut out).unwrap();
        self.child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
        let said = Said { code: self.child.wait().unwrap().code().unwrap_or(-1), out, err };
        println!("{said:#?}");
        said
    }

    fn approval(&mut self) -> serde_json::Value {
        let mut line = String::new();
        loop {
            line.clear();
            assert_ne!(self.out.read_line(&mut line).unwrap(), 0, "the stream goes on");
            let value: serde_json::Value = serde_json::from_str(&line).unwrap();
            if value["kind"] == "approval" {
                return value;
            }
        }
    }
}

fn ran(world: &World) -> Option<String> {
    std::fs::read_to_string(world.work().join("ran.txt")).ok()
}

#[test]
fn a_call_is_approved_or_denied_from_a_second_terminal() {
    let world = World::new();
    world.start();
    let mut asking = asking_for(&world, "stream-json", DENIED);
    let approval = asking.approval();
    let words = format!("stigmer execution approve {} --call 1.1", asking.execution);
    assert_eq!((approval["state"].as_str(), approval["approve"].as_str()), (Some("waiting"), Some(words.as_str())));
    let said = world.run(&["execution", "deny", &asking.execution]);
    assert_eq!(said.code, 0);
    assert!(said.out.contains("denied 1.1"), "{}", said.out);
    let said = asking.end();
    assert_eq!((said.code, ran(&world)), (0, None));

    let mut asking = asking_for(&world, "stream-json", RAN);
    let words: Vec<String> = asking.approval()["approve"].as_str().unwrap().split(' ').map(str::to_owned).collect();
    assert_eq!(ran(&world), None, "nothing starts before the answer");
    let words: Vec<&str> = words[1..].iter().map(String::as_str).collect();
    assert_eq!(world.run(&words).code, 0);
    let said = world.run(&words);
    assert_eq!(said.code, 1, "there is one answer to a call");
    assert!(said.err.contains("no such call waits"), "{}", said.err);
    assert_eq!(asking.end().code, 0);
    assert_eq!(ran(&world).as_deref(), Some("ran\n"));
}

#[test]
fn a_stopped_daemon_leaves_it_parked_and_says_how_to_go_on() {
    for format in ["text", "json", "stream-json"] {
        let world = World::new();
        world.start();
        let asking = asking(&world, format);
        let execution = asking.execution.clone();
        assert_eq!(world.run(&["local", "stop"]).code, 0);
        let said = asking.end();
        assert_eq!(said.code, 1);
        let follow = format!("stigmer execution follow {execution}");
        if format != "stream-json" {
            assert!(said.err.contains(&format!("`{execution}` is parked: the daemon was stopped")), "{}", said.err);
            assert!(said.err.contains("stigmer local start") && said.err.contains(&follow), "{}", said.err);
            assert!(!said.err.contains("error"), "{}", said.err);
        }
        if format != "text" {
            let last: serde_json::Value = serde_json::from_str(said.out.lines().last().unwrap()).unwrap();
            crate::runs::fits_the_schema(&last);
            assert_eq!((last["kind"].as_str(), last["what"].as_str()), (Some("error"), Some("stopped")));
            assert_eq!((last["execution"].as_str(), last["follow"].as_str()), (Some(&*execution), Some(&*follow)));
        }
        // It goes on, still asks, and the command runs once.
        world.start();
        assert_eq!(ran(&world), None);
        let mut follower = world.command(&["execution", "follow", &execution, "--output-format", "json"]);
        let follower = follower.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        assert_eq!(until_it_waits(&world), execution);
        assert_eq!(world.run(&["execution", "approve", &execution]).code, 0);
        let output = follower.wait_with_output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let result: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!((result["kind"].as_str(), result["outcome"].as_str()), (Some("result"), Some("completed")));
        assert_eq!(ran(&world).as_deref(), Some("ran\n"));
    }
}

#[test]
fn a_killed_daemon_leaves_it_parked_too() {
    let world = World::new();
    world.start();
    let asking = asking(&world, "text");
    let execution = asking.execution.clone();
    let status: serde_json::Value = serde_json::from_str(&world.run(&["local", "status", "--json"]).out).unwrap();
    let pid = Pid::from_raw(i32::try_from(status["pid"].as_i64().unwrap()).unwrap()).unwrap();
    // The daemon of this test's own home.
    kill_process(pid, Signal::KILL).unwrap();
    let said = asking.end();
    assert_eq!(said.code, 1);
    assert!(said.err.contains("is parked") && said.err.contains("stigmer local start"), "{}", said.err);
    world.start();
    assert_eq!(until_it_waits(&world), execution);
    assert_eq!(world.run(&["execution", "deny", &execution]).code, 0);
    let said = world.run(&["execution", "follow", &execution]);
    // The script wanted it to run.
    assert_eq!((said.code, ran(&world)), (1, None));
}
