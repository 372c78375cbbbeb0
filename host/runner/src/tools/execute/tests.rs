use std::sync::{Arc, Mutex};

use stigmer_agent::{CallId, CancellationToken, Event, Events, Output};
use stigmer_sandbox::message::Reaped;

use super::*;
use crate::testing::{World, ctx, init, within};

struct Bench {
    world: World,
    known: Arc<init::Known>,
    tool: Execute,
}

fn bench(time: Duration) -> Bench {
    let world = World::new();
    let (channel, known) = init::start();
    let commands = Commands::listen(channel, CancellationToken::new()).unwrap();
    let scratch = Scratch { roots: world.roots(), folder: world.places.scratch.clone() };
    let env = vec![b"PATH=/usr/local/bin:/usr/bin:/bin".to_vec(), b"GIVEN=yes".to_vec()];
    let tool = Execute::new(commands, Mode::Free, world.places.workspace.clone(), env, time, scratch);
    Bench { world, known, tool }
}

impl Bench {
    async fn run(&self, command: &str) -> ToolResult {
        within("the command's end", self.tool.call(ctx(), json!({ "command": command }))).await
    }
}

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_gets_the_given_environment_and_folder_and_no_input() {
    let bench = bench(MINUTE);
    let result = bench.run("pwd; echo $GIVEN; env | wc -l").await;
    let lines: Vec<&str> = result.text.lines().collect();
    assert_eq!(lines[..2], [bench.world.places.workspace.to_string().as_str(), "yes"]);
    // PATH, GIVEN, and what the shell itself sets.
    assert!(lines[2].trim().parse::<u32>().unwrap() <= 6, "{lines:?}");
    let (_, spec) = bench.known.started.lock().unwrap()[0].clone();
    assert_eq!(spec.timeout, Some(MINUTE));
    assert_eq!(spec.argv[..2], [b"/bin/sh".to_vec(), b"-c".to_vec()]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn output_far_above_the_bound_is_drained_and_counted() {
    let bench = bench(MINUTE);
    let result = bench.run("yes 0123456789abcde | head -c 3000000; printf END; printf ERR >&2").await;
    assert!(result.text.contains(" bytes left out here]"), "{}", &result.text[..200]);
    assert!(result.text.ends_with("\n[Command succeeded with exit code 0]\n[Output was truncated due to size limits]"));
    assert!(result.text.contains("END") && result.text.contains("ERR"));
    assert!(result.text.len() < 300_000);
    let short = bench.run("printf '\\033[31mred\\033[0m'").await;
    assert_eq!(short.text, "\u{1b}[31mred\u{1b}[0m\n[Command succeeded with exit code 0]");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_way_to_end_is_told() {
    let long = bench(MINUTE);
    let failed = long.run("echo no; exit 3").await;
    assert_eq!((failed.text.as_str(), failed.is_error), ("no\n\n[Command failed with exit code 3]", false));
    let signal = long.run("kill -TERM $$").await;
    assert!(signal.is_error && signal.text.ends_with("exit code 143]\n[It was ended by signal 15]"), "{}", signal.text);
    let short = bench(Duration::from_millis(50));
    let late = short.run("echo begun; exec sleep 600").await;
    assert!(late.is_error && late.text.contains("exit code 124]\n[Its time of 0 s was over"), "{}", late.text);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_reaped_and_restored_is_told_and_the_latter_is_a_denial() {
    let bench = bench(MINUTE);
    *bench.known.reaped.lock().unwrap() = vec![Reaped { pid: 7, name: "sleep".to_owned() }];
    *bench.known.restored.lock().unwrap() =
        vec![Restored { path: "/w/.git/hooks/a".to_owned(), action: RestoreAction::PutBack }];
    let result = bench.run("true").await;
    assert!(result.text.contains("[Still running in the background, and ended with the command: sleep (7)]"));
    assert!(result.text.contains("`/w/.git/hooks/a` was changed by the command and has been put back"));
    assert_eq!(result.denials.len(), 1);
    assert_eq!(result.denials[0].rule, Rule::ProtectedPaths);
    let plain = bench.run("true").await;
    assert_eq!((plain.text.as_str(), plain.denials.len()), ("\n[Command succeeded with exit code 0]", 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_longer_than_an_argument_runs_from_a_file() {
    let bench = bench(MINUTE);
    let fits = format!("echo fits #{}", "x".repeat(MAX_ARGUMENT - "echo fits #".len()));
    assert_eq!(fits.len(), MAX_ARGUMENT);
    let above = format!("echo above #{}", "x".repeat(MAX_ARGUMENT));
    assert!(bench.run(&fits).await.text.starts_with("fits\n"));
    let result = bench.run(&above).await;
    assert!(result.text.starts_with("above\n"), "{}", &result.text[..100]);
    let started = bench.known.started.lock().unwrap();
    assert_eq!(started[0].1.argv.len(), 3);
    assert_eq!(started[1].1.argv.len(), 2);
    assert!(String::from_utf8_lossy(&started[1].1.argv[1]).ends_with("/scratch/command-1.1.sh"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_arguments_start_nothing() {
    let bench = bench(MINUTE);
    for (args, words) in [
        (json!({}), "missing field `command`"),
        (json!({ "command": "true", "cwd": "/" }), "unknown field `cwd`"),
        (json!({ "command": "a\0b" }), "NUL byte"),
    ] {
        let result = bench.tool.call(ctx(), args).await;
        assert!(result.is_error && result.text.contains(words), "{}", result.text);
    }
    assert!(bench.known.started.lock().unwrap().is_empty());
}

/// Passes on the first piece of output.
struct First(Mutex<Option<tokio::sync::oneshot::Sender<(Output, String)>>>);

#[async_trait]
impl Events for First {
    async fn emit(&self, event: Event) {
        if let (Event::ToolOutput { stream, text, .. }, Some(first)) = (event, self.0.lock().unwrap().take()) {
            let _ = first.send((stream, text));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn output_is_shown_while_the_command_runs_and_a_dropped_call_ends_it() {
    let bench = bench(MINUTE);
    let (sender, first) = tokio::sync::oneshot::channel();
    let events = Arc::new(First(Mutex::new(Some(sender))));
    let call = CallId::new(3, 2);
    let ctx = CallCtx { call, turn: 3, cancel: CancellationToken::new(), events };
    let number = 3 << 32 | 2;
    {
        let running = bench.tool.call(ctx, json!({ "command": "echo shown >&2; exec sleep 600" }));
        tokio::pin!(running);
        let shown = tokio::select! {
            shown = first => shown.unwrap(),
            result = &mut running => panic!("it ended: {result:?}"),
        };
        assert_eq!(shown, (Output::Stderr, "shown\n".to_owned()));
    }
    within("the end of the process", async {
        while !bench.known.killed.lock().unwrap().contains(&number) {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_init_the_call_gives_no_result_that_could_be_wrong() {
    let world = World::new();
    let (channel, other) = stigmer_sandbox::channel::pair().unwrap();
    let lost = CancellationToken::new();
    let commands = Commands::listen(channel, lost.clone()).unwrap();
    let scratch = Scratch { roots: world.roots(), folder: world.places.scratch.clone() };
    let tool = Execute::new(commands, Mode::Free, world.places.workspace.clone(), Vec::new(), MINUTE, scratch);
    drop(other);
    within("the loss", lost.cancelled()).await;
    // Whatever it said, the next runner would take it for what happened.
    let result = tokio::time::timeout(Duration::from_millis(300), tool.call(ctx(), json!({ "command": "true" })));
    assert!(result.await.is_err());
}
