//! Whole screens, as a person sees them: exit code, stdout and stderr, with ids, numbers of processes and times filtered.

use crate::runs::{SCRIPT, run};
use crate::world::{Said, World};

/// Takes out what differs from run to run: the id of an execution, the number after `pid `, seconds.
fn filtered(text: &str) -> String {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let mut out = String::new();
    for line in text.lines() {
        let mut after_pid = false;
        let words = line.split(' ').map(|word| {
            let bare = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
            let number = std::mem::replace(&mut after_pid, bare == "pid") && digits(bare);
            match bare {
                id if id.starts_with("aex-") => word.replace(id, "[ID]"),
                time if time.strip_suffix('s').is_some_and(digits) => word.replace(time, "[TIME]"),
                pid if number => word.replace(pid, "[PID]"),
                _ => word.to_owned(),
            }
        });
        out.push_str(&words.collect::<Vec<_>>().join(" "));
        out.push('\n');
    }
    out
}

#[track_caller]
fn shows(said: &Said, code: i32, out: &str, err: &str) {
    assert_eq!((said.code, filtered(&said.out).as_str(), filtered(&said.err).as_str()), (code, out, err));
}

/// What `filesystem` does not hold, as root or not.
fn open() -> String {
    let root = rustix::process::geteuid().is_root();
    let rows = stigmer_policy::promise::not_prevented(stigmer_policy::Level::Filesystem, root);
    let strength = |promise| stigmer_policy::promise::strength(promise, stigmer_policy::Level::Filesystem, root).name();
    let lines: Vec<_> = rows.iter().map(|row| format!("{}: {}", row.promise.name(), strength(row.promise))).collect();
    lines.join(", ")
}

#[test]
fn a_day_without_a_key() {
    let world = World::new();
    let nowhere = [("OLLAMA_BASE_URL", "http://127.0.0.1:9")];
    let open = open();
    shows(
        &world.run_with(&nowhere, &["local", "start", "--sandbox", "filesystem"]),
        0,
        &format!(
            "stigmer 0.1.0 is running (pid [PID])
  mode       local (default)
  endpoint   unix://[FOLDER]/home/.stigmer/daemon.sock (default)
  sandbox    filesystem, confined: no
  not held   {open}
  provider   none
  model      none
  key        none
  workspace  [FOLDER]/work (default)
  home       [FOLDER]/home/.stigmer
"
        ),
        "note: no model can be asked yet
hint: set ANTHROPIC_API_KEY or OPENAI_API_KEY, run `stigmer secret set anthropic`, or start Ollama
",
    );
    shows(
        &run(&world, SCRIPT, &[]),
        0,
        "I write it down.\nDone.\n",
        &format!(
            "[ID]  scripted model: every answer was written down beforehand
filesystem, confined: no, [FOLDER]/work
not prevented here: {open}
✓ write_file [FOLDER]/work/note.md [TIME]
  +hello
created note.md (6 bytes, by file-tool)
2 turns, [TOKENS]
"
        )
        .replace("[TOKENS]", &tokens(&world)),
    );
    shows(
        &world.run(&["execution", "show"]),
        0,
        &format!(
            "[ID]  completed
  title      write a note
  workspace  [FOLDER]/work
  model      script scripted
  sandbox    filesystem, confined: no
  file       created note.md (6 bytes, by file-tool) 5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03
  text       Done.
  usage      2 turns, {}
",
            tokens(&world)
        ),
        "",
    );
    shows(
        &world.run_with(&nowhere, &["run", "-m", "hello"]),
        1,
        "",
        "error: no provider was named, no key was found, and no Ollama answers
hint: set ANTHROPIC_API_KEY or OPENAI_API_KEY, run `stigmer secret set anthropic`, or start Ollama
",
    );
    shows(&world.run(&["local", "stop"]), 0, "stopped\n", "");
    shows(&world.run(&["local", "stop"]), 0, "no daemon was running\n", "");
    shows(
        &world.run(&["execution", "list"]),
        1,
        "",
        "error: no daemon runs for `[FOLDER]/home/.stigmer`\nhint: start one with `stigmer local start`\n",
    );
}

/// They depend on the length of the system prompt, which names folders.
fn tokens(world: &World) -> String {
    let record: serde_json::Value = serde_json::from_str(&world.run(&["execution", "show", "--json"]).out).unwrap();
    let usage = &record["usage"];
    let number = |name: &str| usage[name].as_u64().unwrap_or_default();
    let input = number("input_tokens") + number("cache_read_tokens") + number("cache_write_tokens");
    format!("{input} tokens in, {} out", number("output_tokens"))
}

#[test]
fn typing_errors() {
    let world = World::new();
    shows(
        &world.run(&["local", "strat"]),
        2,
        "",
        "error: unrecognized subcommand 'strat'

  tip: some similar subcommands exist: 'status', 'restart', 'start'

Usage: stigmer local <COMMAND>

For more information, try '--help'.
",
    );
    shows(
        &world.run(&["local", "start", "--sandbox", "docker"]),
        2,
        "",
        "error: `docker` (flag) is no sandbox\nhint: there are `wasi` and `filesystem`\n",
    );
    shows(
        &world.run(&["run", "-m", "x", "--model", "script:nowhere.toml"]),
        2,
        "",
        "error: could not read the script `nowhere.toml`: No such file or directory (os error 2)\n",
    );
}
