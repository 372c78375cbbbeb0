//! `local restart` and `logs`, keys by name, and a keyring that is absent or hangs.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixListener;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::refusing::Refusing;
use crate::world::{Said, World};

const BUS: &str = "DBUS_SESSION_BUS_ADDRESS";

#[test]
fn restart_and_logs() {
    let world = World::new();
    assert!(world.run(&["local", "logs"]).err.contains("no daemon was started here yet"));
    let restart = ["local", "restart", "--sandbox", "filesystem"];
    // Without a daemon it is a start.
    let said = world.run(&restart);
    assert_eq!((said.code, said.out.contains("stopped")), (0, false));
    let mut follow = world.command(&["local", "logs", "--follow"]);
    let mut follow = follow.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(follow.stdout.take().unwrap()).lines();
    let mut serving = || lines.by_ref().map(Result::unwrap).find(|line| line.contains("serving")).unwrap();
    let first = serving();
    let said = world.run(&restart);
    assert_eq!(said.code, 0);
    assert!(said.out.starts_with("stopped; 0 executions parked\n"), "{}", said.out);
    let second = serving();
    follow.kill().unwrap();
    follow.wait().unwrap();
    let whole = world.run(&["local", "logs"]);
    assert_eq!(whole.code, 0);
    for line in [first, second] {
        let line = line.replace(&*world.home().to_string_lossy(), "[FOLDER]/home");
        assert!(whole.out.contains(&line), "{line} is not in {}", whole.out);
    }
}

fn set(world: &World, variables: &[(&str, &str)], value: &str) -> Said {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(value.as_bytes()).unwrap();
    std::io::Seek::rewind(&mut file).unwrap();
    let mut command = world.command(&["secret", "set", "anthropic"]);
    world.finish(command.envs(variables.iter().copied()).stdin(file))
}

#[test]
fn without_a_keyring_a_key_lives_as_long_as_the_daemon() {
    let world = World::new();
    // No bus at this address: nobody listens there.
    let nobody = format!("unix:path={}", world.home().join("nobody").display());
    let absent = [(BUS, nobody.as_str())];
    let said = set(&world, &absent, "sk-canary-1\n");
    assert_eq!(said.code, 1);
    assert!(said.err.contains("no keyring took it and no daemon runs to keep it"), "{}", said.err);
    assert!(said.err.contains("secret_command"), "{}", said.err);
    world.start();
    let said = set(&world, &absent, "sk-canary-1\n");
    assert_eq!((said.code, said.out.as_str()), (0, "kept `anthropic` for this daemon's life\n"));
    assert!(said.err.contains("keyring"), "{}", said.err);
    assert_eq!(world.run(&["secret", "list"]).out, "anthropic  (typed in)\n");
    let json = world.run(&["secret", "list", "--json"]).out;
    assert_eq!(json, "{\"version\":1,\"secrets\":[{\"name\":\"anthropic\",\"origin\":\"typed in\"}]}\n");
    let said = world.run_with(&absent, &["secret", "delete", "anthropic"]);
    assert_eq!((said.code, said.out.as_str()), (0, "forgot `anthropic`\n"));
    assert_eq!(world.run(&["secret", "list"]).out, "");
    let said = world.run_with(&absent, &["secret", "delete", "anthropic"]);
    assert_eq!(said.code, 1);
    assert!(said.err.contains("there is no secret `anthropic`"), "{}", said.err);
    for (value, says) in [("", "stdin is empty"), ("a\0b", "NUL"), ("\n", "empty")] {
        let said = set(&world, &absent, value);
        assert_eq!(said.code, 2);
        assert!(said.err.contains(says), "{}", said.err);
    }
    assert_eq!(world.run_with(&absent, &["secret", "delete", "no name"]).code, 2);
}

#[test]
fn a_keyring_that_hangs_is_given_up_in_time_and_the_next_source_is_named() {
    let world = World::new();
    let bus = world.home().join("bus");
    // Takes connections by its backlog and never says a word.
    let _silent = UnixListener::bind(&bus).unwrap();
    let address = format!("unix:path={}", bus.display());
    world.write("home/.stigmer/config.toml", "secret_command = [\"echo\", \"sk-canary-2\"]\n");
    let begun = Instant::now();
    let start = ["local", "start", "--sandbox", "filesystem", "--provider", "anthropic"];
    let said = world.run_with(&[(BUS, &address)], &start);
    assert_eq!(said.code, 0);
    // Once, not per call: the limit is 3 s (`keyring::PATIENCE`).
    assert!(begun.elapsed() < Duration::from_secs(9), "{:?}", begun.elapsed());
    assert!(said.err.contains("keyring is not used: the keyring did not answer within 3s"), "{}", said.err);
    assert!(said.out.contains("key        secret_command\n"), "{}", said.out);
    assert!(!said.out.contains("canary") && !said.err.contains("canary"));
    let said = set(&world, &[(BUS, &address)], "sk-canary-3\n");
    assert_eq!((said.code, said.out.as_str()), (0, "kept `anthropic` for this daemon's life\n"));
    assert!(said.err.contains("did not answer within 3s"), "{}", said.err);
}

#[test]
fn a_run_asks_where_the_daemon_was_told_to_and_nowhere_else() {
    let (first, second) = (Refusing::start(), Refusing::start());
    let world = World::new();
    let (first_url, second_url) = (first.url(), second.url());
    let started = [("ANTHROPIC_BASE_URL", first_url.as_str()), ("ANTHROPIC_API_KEY", "sk-canary-5")];
    assert_eq!(world.run_with(&started, &["local", "start", "--sandbox", "filesystem"]).code, 0);
    // A shell that knows neither address nor key.
    let said = world.run(&["run", "-m", "hello"]);
    assert_eq!(said.code, 1);
    assert!(
        said.err.contains("answered with status 401") && said.err.contains("environment ANTHROPIC_API_KEY"),
        "{}",
        said.err
    );
    assert_eq!((first.keys(), second.keys()), (vec!["sk-canary-5".to_owned()], vec![]));
    // The twin: one that names another address asks there.
    assert!(!said.err.contains("sends this run"), "{}", said.err);
    let said = world.run_with(&[("ANTHROPIC_BASE_URL", &second_url)], &["run", "-m", "hello"]);
    assert_eq!(said.code, 1);
    let says =
        format!("note: ANTHROPIC_BASE_URL sends this run, with the key that the daemon has, to `{second_url}`\n");
    assert!(said.err.contains(&says), "{}", said.err);
    assert_eq!((first.keys().len(), second.keys().len()), (1, 1));
    // A key of its own goes with it instead, and nothing is to be said.
    let own = [("ANTHROPIC_BASE_URL", second_url.as_str()), ("ANTHROPIC_API_KEY", "sk-canary-6")];
    let said = world.run_with(&own, &["run", "-m", "hello"]);
    assert_eq!((said.code, second.keys().last().map(String::as_str)), (1, Some("sk-canary-6")));
}
