//! Wrong usage: exit code 2, one error, advice.

use crate::world::World;

fn refused(variables: &[(&str, &str)], arguments: &[&str], says: &[&str]) {
    let world = World::new();
    let said = world.run_with(variables, arguments);
    assert_eq!((said.code, said.out.as_str()), (2, ""));
    for text in says {
        assert!(said.err.contains(text), "{} lacks {text}", said.err);
    }
}

#[test]
fn unknown_flags_and_verbs() {
    refused(&[], &["local", "start", "--fast"], &["--fast"]);
    refused(&[], &["fly"], &["fly"]);
    refused(&[], &["run"], &["--message"]);
}

#[test]
fn unknown_modes_sandboxes_and_levels() {
    let start = ["local", "start"];
    refused(&[("MODE", "remote")], &start, &["`remote` (environment MODE) is no mode", "hint"]);
    refused(&[("SANDBOX_TYPE", "docker")], &start, &["`docker`", "SANDBOX_TYPE"]);
    refused(&[("SANDBOX_TYPE", "daytona")], &start, &["MODE=cloud"]);
    refused(&[], &["local", "start", "--level", "half"], &["`half` (flag)"]);
    refused(&[], &["local", "start", "--sandbox", "filesystem", "--level", "base"], &["belongs to the sandbox `wasi`"]);
    refused(&[("STIGMER_LLM_PROVIDER", "nobody")], &["local", "start", "--sandbox", "filesystem"], &["`nobody`"]);
}

#[test]
fn the_cloud_says_at_once_what_is_missing() {
    refused(
        &[("MODE", "cloud")],
        &["local", "start"],
        &["STIGMER_BACKEND_ENDPOINT", "DAYTONA_API_KEY", "TEMPORAL_ADDRESS", "REDIS_URL", "not built"],
    );
}

#[test]
fn unknown_keys_in_the_configuration() {
    let world = World::new();
    world.write("home/.stigmer/config.toml", "sandbox = \"wasi\"\n");
    let said = world.run(&["local", "start"]);
    assert_eq!(said.code, 2);
    assert_eq!(
        said.err.lines().next(),
        Some("error: `[FOLDER]/home/.stigmer/config.toml`, line 1: unknown key `sandbox`")
    );
    assert!(said.err.contains("hint: did you mean `sandbox_type`? known keys: mode, "), "{}", said.err);
    world.write("home/.stigmer/config.toml", "sandbox_type = \"filesystem\"\n");
    let said = world.run(&["local", "start"]);
    assert_eq!(said.code, 0);
    assert!(said.out.contains("confined: no"), "{}", said.out);
}

#[test]
fn workspaces_that_no_agent_gets() {
    let world = World::new();
    let file = world.write("work/file", "x");
    let home = world.home();
    for (workspace, says) in [
        ("/", "the root of the whole system"),
        (home.to_str().unwrap(), "your home folder"),
        (file.to_str().unwrap(), "not a folder"),
        ("missing", "cannot use `missing`"),
    ] {
        let said = world.run(&["local", "start", "--sandbox", "filesystem", "--workspace", workspace]);
        assert_eq!(said.code, 2, "{workspace}");
        assert!(said.err.contains(says), "{} lacks {says}", said.err);
        let said = world.run(&["run", "-m", "x", "--workspace", workspace]);
        assert_eq!(said.code, 2, "{workspace}");
    }
    assert!(!world.stigmer_home().join("daemon.sock").exists());
}

#[test]
fn a_home_that_cannot_be_made() {
    let world = World::new();
    world.write("home/.stigmer", "a file in its place");
    let said = world.run(&["local", "start", "--sandbox", "filesystem"]);
    assert_ne!(said.code, 0);
    assert!(said.err.contains("[FOLDER]/home/.stigmer"), "{}", said.err);
    std::fs::remove_file(world.stigmer_home()).unwrap();
}

#[test]
fn components_and_arguments_that_are_none() {
    let world = World::new();
    let file = world.write("work/a.wasm", "no component");
    let file = file.to_str().unwrap();
    let call = |arguments: &[&str]| world.run(&[&["plugin", "call", file], arguments].concat());
    let said = call(&["f", "{"]);
    assert_eq!(said.code, 2);
    assert!(said.err.contains("the arguments are not JSON"), "{}", said.err);
    let said = call(&["f", "[1]"]);
    assert_eq!(said.code, 2);
    assert!(said.err.contains("a list; one JSON object is expected"), "{}", said.err);
    let said = world.run(&["plugin", "inspect", "missing.wasm"]);
    assert_eq!(said.code, 2);
    let said = world.run(&["plugin", "inspect", file]);
    assert_eq!((said.code, said.out.as_str()), (2, ""));
    assert!(said.err.contains("expected a WebAssembly component"), "{}", said.err);
}

#[test]
fn plain_http_beyond_this_machine_is_said_and_https_or_loopback_is_not() {
    let start = ["local", "start", "--sandbox", "filesystem", "--provider", "openai-compatible", "--model", "m"];
    for (url, host) in [
        ("http://192.168.1.7:8080/v1", Some("192.168.1.7")),
        ("https://192.168.1.7:8080/v1", None),
        ("http://127.0.0.1:9/v1", None),
    ] {
        let world = World::new();
        let variables = [("OPENAI_BASE_URL", url), ("OPENAI_API_KEY", "sk-canary-1")];
        let said = world.run_with(&variables, &start);
        assert_eq!(said.code, 0, "{url}");
        let says = host.map(|host| format!("note: OPENAI_BASE_URL is plain http: the conversation, and a key, can be read and changed on the way to `{host}`\n"));
        match says {
            Some(says) => assert!(said.err.contains(&says) && said.err.contains("hint: use https"), "{}", said.err),
            None => assert!(!said.err.contains("plain http"), "{url}: {}", said.err),
        }
    }
}

#[test]
fn what_a_provider_still_lacks_is_said_at_the_start() {
    let start = ["local", "start", "--sandbox", "filesystem"];
    refused(
        &[],
        &[&start[..], &["--provider", "openai-compatible"]].concat(),
        &["needs an address", "OPENAI_BASE_URL"],
    );
    refused(&[], &[&start[..], &["--provider", "script"]].concat(), &["`script`", "`stigmer run --model script:FILE`"]);
    let world = World::new();
    // Nobody listens at port 9 (discard).
    let nowhere = [("OLLAMA_BASE_URL", "http://127.0.0.1:9")];
    let said = world.run_with(&nowhere, &[&start[..], &["--provider", "ollama"]].concat());
    assert_eq!(said.code, 0);
    assert!(
        said.err.contains("note: no Ollama answers at http://127.0.0.1:9\nhint: start it with `ollama serve`"),
        "{}",
        said.err
    );
    assert!(said.err.contains("note: no model is named yet\nhint: name one with `--model`"), "{}", said.err);
    // A second start changes nothing, and says what would.
    let again = world.run(&[&start[..], &["--model", "m"]].concat());
    assert!(again.err.contains("hint: `stigmer local restart`"), "{}", again.err);
    assert!(!world.run(&["local", "start"]).err.contains("hint"), "nothing was asked for");
    let said = world
        .run_with(&nowhere, &["local", "restart", "--sandbox", "filesystem", "--provider", "ollama", "--model", "m"]);
    assert!(said.code == 0 && !said.err.contains("no model is named"), "{}", said.err);
}

#[test]
fn a_command_without_its_dashes_is_told_where_they_go() {
    refused(&[], &["sandbox", "exec", "ls"], &["unexpected argument 'ls'", "hint: the command follows `--`"]);
    assert_eq!(World::new().run(&["sandbox", "exec", "--sandbox", "filesystem", "--", "true"]).code, 0);
    let world = World::new();
    let no_text = std::os::unix::ffi::OsStrExt::from_bytes(b"--\xff");
    let said = world.finish(world.command(&["sandbox"]).arg::<&std::ffi::OsStr>(no_text));
    assert_eq!(said.code, 2, "{}", said.err);
}

#[test]
fn a_policy_file_in_the_workspace_is_said_not_to_be_read() {
    let world = World::new();
    let exec = |more: &[&str]| {
        let said = world.run(&[&["sandbox", "exec", "--sandbox", "filesystem"], more, &["--", "true"]].concat());
        assert_eq!(said.code, 0);
        said.err
    };
    assert_eq!(exec(&[]), "");
    let file = world.write("work/stigmer.toml", "extends = \"workspace\"\n");
    assert!(exec(&[]).contains("note: `stigmer.toml` in the workspace is not read"), "{}", exec(&[]));
    // Whoever names a policy has said which one holds.
    assert_eq!(exec(&["--policy", file.to_str().unwrap()]), "");
    let script = world.write("script.toml", "[[turn]]\ntext = \"Nothing.\"\n");
    world.start();
    let said = world.run(&["run", "-m", "x", "--model", &format!("script:{}", script.display())]);
    assert_eq!(said.code, 0);
    assert!(said.err.contains("is not read by this version\nhint: name a policy document"), "{}", said.err);
}
