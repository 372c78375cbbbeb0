//! The daemon's life.

use crate::world::{World, alive};

#[test]
fn start_status_and_stop_each_twice() {
    let world = World::new();
    let said = world.run(&["local", "status"]);
    assert_eq!((said.code, said.out.as_str()), (1, "no daemon runs for [FOLDER]/home/.stigmer\n"));
    let first = world.start();
    assert!(first.out.contains("is running (pid "), "{}", first.out);
    assert!(first.out.contains("filesystem, confined: no"), "{}", first.out);
    let status =
        || -> serde_json::Value { serde_json::from_str(&world.run(&["local", "status", "--json"]).out).unwrap() };
    let before = status();
    let again = world.run(&["local", "start", "--sandbox", "filesystem"]);
    assert_eq!(again.code, 0);
    assert!(again.out.contains("running already") && again.out.contains("nothing was changed"), "{}", again.out);
    assert_eq!(before, status());
    let setting = |name: &str| {
        let settings = before["settings"].as_array().unwrap();
        settings.iter().find(|setting| setting["name"] == name).unwrap()["origin"].clone()
    };
    assert_eq!((setting("sandbox"), setting("mode")), ("flag".into(), "default".into()));
    let shown = world.run(&["local", "status"]).out;
    let says = |name: &str, rest: &str| {
        let line = shown.lines().find(|line| line.trim_start().starts_with(name));
        assert_eq!(line.map(|line| line.trim_start()[name.len()..].trim()), Some(rest), "{shown}");
    };
    says("workspace", "[FOLDER]/work (default)");
    says("sandbox", "filesystem (flag)");
    says("home", "[FOLDER]/home/.stigmer (default)");
    says("walls", "filesystem, confined: no");
    // What nobody set is named too, and has no value for programs.
    says("model", "not set");
    says("proxy", "not set");
    let unset = before["settings"].as_array().unwrap().iter().filter(|setting| setting["value"].is_null());
    let unset: Vec<_> = unset.map(|setting| (&setting["name"], &setting["origin"])).collect();
    assert!(unset.len() > 5 && unset.iter().all(|(_, origin)| *origin == "not set"), "{unset:?}");
    let pid = i32::try_from(before["pid"].as_i64().unwrap()).unwrap();
    assert!(alive(pid));
    let said = world.run(&["local", "stop"]);
    assert_eq!((said.code, said.out.as_str(), said.err.as_str()), (0, "stopped\n", ""));
    assert!(!alive(pid));
    assert!(!world.stigmer_home().join("daemon.sock").exists());
    assert_eq!(std::fs::read_dir(world.stigmer_home().join("run")).unwrap().count(), 0);
    let said = world.run(&["local", "stop"]);
    assert_eq!((said.code, said.out.as_str()), (0, "no daemon was running\n"));
}

#[test]
fn the_daemon_has_no_environment_and_cannot_be_looked_into() {
    let world = World::new();
    let said = world.run_with(&[("ANTHROPIC_API_KEY", "sk-canary-7")], &["local", "start", "--sandbox", "filesystem"]);
    assert_eq!(said.code, 0);
    assert!(said.out.contains("environment ANTHROPIC_API_KEY"), "{}", said.out);
    assert!(!said.out.contains("canary") && !said.err.contains("canary"));
    let status = world.run(&["local", "status"]);
    assert!(status.out.contains("anthropic (environment ANTHROPIC_API_KEY)"), "{}", status.out);
    assert!(!status.out.contains("canary"));
    let value: serde_json::Value = serde_json::from_str(&world.run(&["local", "status", "--json"]).out).unwrap();
    // Root may look; what it sees is nothing.
    if let Ok(environment) = std::fs::read(format!("/proc/{}/environ", value["pid"])) {
        assert!(environment.is_empty());
    }
    let listed = world.run(&["secret", "list"]);
    assert_eq!(listed.out, "anthropic  (environment ANTHROPIC_API_KEY)\n");
}

#[test]
fn a_named_provider_without_a_key_and_without_a_terminal_is_refused_with_advice() {
    let world = World::new();
    let said = world.run(&["local", "start", "--sandbox", "filesystem", "--provider", "anthropic"]);
    assert_eq!(said.code, 1);
    assert!(said.err.contains("no key for `anthropic`") && said.err.contains("ANTHROPIC_API_KEY"), "{}", said.err);
    assert!(!world.stigmer_home().join("daemon.sock").exists());
}

#[test]
fn verbs_that_need_a_daemon_say_so() {
    let world = World::new();
    for arguments in [["execution", "list"].as_slice(), &["secret", "list"], &["execution", "show", "aex-x"]] {
        let said = world.run(arguments);
        assert_eq!(said.code, 1);
        assert!(said.err.contains("no daemon runs") && said.err.contains("local start"), "{}", said.err);
    }
    world.start();
    let said = world.run(&["execution", "list", "--json"]);
    assert_eq!((said.code, said.out.as_str()), (0, "{\"version\":1,\"executions\":[]}\n"));
    let said = world.run(&["execution", "show", "nonsense"]);
    assert_eq!(said.code, 2);
    assert!(said.err.contains("hint: `stigmer execution list`"), "{}", said.err);
    for verb in ["show", "follow"] {
        let said = world.run(&["execution", verb]);
        assert_eq!(said.code, 1);
        assert!(said.err.contains("nothing has run yet\nhint: `stigmer run -m MESSAGE`"), "{}", said.err);
    }
}

#[test]
fn whoever_names_no_execution_means_the_newest_and_a_title_steers_no_terminal() {
    let world = World::new();
    world.start();
    let script = world.write("script.toml", "[[turn]]\ntext = \"Nothing to do.\"\n");
    let model = format!("script:{}", script.display());
    for message in ["first", "\u{1b}[2Jsecond\u{7}"] {
        assert_eq!(world.run(&["run", "-m", message, "--model", &model]).code, 0);
    }
    let listed = world.run(&["execution", "list"]).out;
    let newest = listed.lines().next().unwrap();
    assert!(
        newest.contains("completed") && newest.contains(" s ago  script ") && newest.ends_with("second "),
        "{listed}"
    );
    assert!(!listed.contains('\u{1b}') && !listed.contains('\u{7}'), "{listed:?}");
    let id = newest.split_whitespace().next().unwrap();
    assert!(world.run(&["execution", "show"]).out.starts_with(&format!("{id}  completed\n")));
    assert!(world.run(&["execution", "follow"]).err.contains(id));
}

#[test]
fn status_names_the_origin_of_each_setting_and_shows_no_secret() {
    let world = World::new();
    world.write("home/.stigmer/config.toml", "llm_model = \"m\"\n");
    let variables = [
        ("STIGMER_LLM_PROVIDER", "anthropic"),
        ("ANTHROPIC_API_KEY", "sk-canary-1"),
        ("HTTPS_PROXY", "http://ada:canary-2@127.0.0.1:9"),
        ("OLLAMA_BASE_URL", "http://127.0.0.1:9"),
    ];
    let said = world.run_with(&variables, &["local", "start", "--sandbox", "filesystem"]);
    assert_eq!(said.code, 0);
    let json = world.run(&["local", "status", "--json"]).out;
    let status: serde_json::Value = serde_json::from_str(&json).unwrap();
    let setting = |name: &str| {
        let settings = status["settings"].as_array().unwrap();
        let it = settings.iter().find(|setting| setting["name"] == name).unwrap();
        (it["value"].as_str().unwrap_or_default().to_owned(), it["origin"].as_str().unwrap().to_owned())
    };
    let is = |name: &str, value: &str, origin: &str| {
        assert_eq!(setting(name), (value.to_owned(), origin.to_owned()), "{name}");
    };
    is("sandbox", "filesystem", "flag");
    is("provider", "anthropic", "environment STIGMER_LLM_PROVIDER");
    is("ollama", "http://127.0.0.1:9", "environment OLLAMA_BASE_URL");
    is("model", "m", "config.toml");
    is("mode", "local", "default");
    is("proxy", "set", "environment HTTPS_PROXY");
    is("certificates", "", "not set");
    assert_eq!(status["keys"], serde_json::json!([{ "name": "anthropic", "origin": "environment ANTHROPIC_API_KEY" }]));
    let shown = world.run(&["local", "status"]).out;
    assert!(!json.contains("canary") && !shown.contains("canary"), "{json}{shown}");
    assert!(shown.contains("anthropic (environment ANTHROPIC_API_KEY)\n"), "{shown}");
}

#[test]
fn an_endpoint_with_a_password_in_it_is_refused_before_it_is_shown_anywhere() {
    let world = World::new();
    for name in ["OLLAMA_BASE_URL", "ANTHROPIC_BASE_URL", "OPENAI_BASE_URL"] {
        for (url, says) in [("http://ada:canary@127.0.0.1:9", "user"), ("http://127.0.0.1:9/?key=canary", "query")] {
            let said = world.run_with(&[(name, url)], &["local", "start", "--sandbox", "filesystem"]);
            assert_eq!(said.code, 2, "{name} {url}");
            assert!(said.err.contains(name) && said.err.contains(says), "{} lacks {name} or {says}", said.err);
            assert!(!said.err.contains("canary"), "{}", said.err);
        }
    }
    assert_eq!(world.run(&["local", "status"]).code, 1);
}
