//! Machines that lack layers: what is said, and what runs all the same. Each lack is made from outside, as a kernel, a
//! container or an administrator makes it; the product knows no switch for it.

#![expect(clippy::disallowed_methods, reason = "the test is the machine around the product")]

use std::path::PathBuf;
use std::process::{Command, Output};

use landlock::{AccessFs, Ruleset, RulesetAttr};
use stigmer_tests::product::{Product, finish, has_program, is_root, say, show};

/// More Landlock domains than a thread can have (landlock(7): 16).
const DOMAINS: usize = 17;

fn words(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

fn has(output: &Output, texts: &[&str]) {
    for text in texts {
        assert!(words(output).contains(text), "{} lacks `{text}`", show(output));
    }
}

/// The product where no user namespace may be made, as an administrator sets it.
fn without_namespaces(product: &Product, arguments: &[&str]) -> Output {
    let mut command = Command::new("unshare");
    let script = "echo 0 > /proc/sys/user/max_user_namespaces && exec \"$@\"";
    command.args(["--map-root-user", "sh", "-c", script, "sh"]).arg(&product.executable).args(arguments);
    let template = product.command(&[]);
    command.env_clear().envs(template.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.current_dir(product.workspace());
    finish(command, b"")
}

/// The product where no Landlock domain can be had: its parent has used them all up. They hold back making block devices,
/// and mounts, as every domain does (landlock(7)): neither level of `wasi` can stand.
fn without_landlock(product: &Product, arguments: &[&str]) -> Output {
    let command = product.command(arguments);
    // Domains are a thread's, and go on to what it starts.
    let thread = std::thread::spawn(move || {
        let domain = || {
            let ruleset = Ruleset::default().handle_access(AccessFs::MakeBlock)?.create()?;
            ruleset.restrict_self()
        };
        let refused = (0..DOMAINS).find_map(|_| domain().err());
        assert!(refused.is_some(), "the kernel gives more domains than it says");
        finish(command, b"")
    });
    thread.join().expect("the product was started")
}

fn can_lose_namespaces(product: &Product, name: &str) -> bool {
    let output = if has_program("unshare") { Some(without_namespaces(product, &["--version"])) } else { None };
    let can = output.is_some_and(|output| output.status.success());
    if !can {
        say(&format!("skipped: {name}: no user namespace can be made here to forbid more of them in"));
    }
    can
}

fn can_lose_landlock(product: &Product, name: &str) -> bool {
    if !product.holds(stigmer_policy::Level::Base, name) {
        return false;
    }
    let can = without_landlock(product, &["--version"]).status.success();
    if !can {
        say(&format!("skipped: {name}: the product does not start here where Landlock's domains are used up"));
    }
    can
}

fn guest() -> String {
    let guests = std::env::var_os("STIGMER_GUESTS").expect("`cargo xtask guests` builds them");
    let folder = std::fs::read_dir(PathBuf::from(guests)).expect("the folder of guests");
    let file =
        folder.map(|entry| entry.expect("readable").path()).find(|path| path.extension() == Some("wasm".as_ref()));
    file.expect("a guest").display().to_string()
}

fn script(product: &Product) -> String {
    let script = product.outside().join("script.toml");
    let text = "[[turn]]\ntext = \"Nothing to do.\"\n";
    std::fs::write(&script, text).expect("the person's own folder");
    format!("script:{}", script.display())
}

#[test]
fn without_user_namespaces_full_names_promise_layer_and_change_and_base_stands() {
    let product = Product::fresh();
    if !can_lose_namespaces(&product, "without_user_namespaces") {
        return;
    }
    let (model, guest) = (script(&product), guest());
    let full: [&[&str]; 5] = [
        &["local", "start", "--level", "full"],
        &["run", "-m", "x", "--model", &model, "--level", "full"],
        &["sandbox", "exec", "--level", "full", "--", "true"],
        &["plugin", "inspect", &guest, "--level", "full"],
        &["doctor", "--level", "full"],
    ];
    for arguments in full {
        let refused = without_namespaces(&product, arguments);
        assert_eq!(refused.status.code(), Some(3), "{arguments:?}: {}", show(&refused));
        has(
            &refused,
            &["could not make a user namespace", "layer `capabilities`", "sysctl -w user.max_user_namespaces"],
        );
        has(&refused, if arguments[0] == "doctor" { &["read-outside"] } else { &["the promise `processes`"] });
    }
    assert!(!product.home().join(".stigmer/daemon.sock").exists(), "a daemon was started");
    // The twins: the same where base is enough.
    let exec = without_namespaces(&product, &["sandbox", "exec", "--", "true"]);
    assert!(exec.status.success(), "{}", show(&exec));
    has(&exec, &["note: using level `base`: level `full` cannot be built here"]);
    let doctor = without_namespaces(&product, &["doctor"]);
    assert!(doctor.status.success(), "{}", show(&doctor));
    let start = without_namespaces(&product, &["local", "start"]);
    assert!(start.status.success(), "{}", show(&start));
    has(&start, &["note: using level `base`", "sandbox    wasi, level base"]);
    // Beside a daemon that stands at base, another level is refused in the same words, and its own one runs.
    let refused = without_namespaces(&product, full[1]);
    assert_eq!(refused.status.code(), Some(3), "{}", show(&refused));
    has(&refused, &["the promise `processes`", "layer `capabilities`", "sysctl -w user.max_user_namespaces"]);
    let run = without_namespaces(&product, &["run", "-m", "x", "--model", &model, "--level", "base"]);
    let stop = without_namespaces(&product, &["local", "stop"]);
    assert!(run.status.success() && stop.status.success(), "{}{}", show(&run), show(&stop));
}

#[test]
fn without_landlock_no_level_stands_and_filesystem_runs_and_says_that_it_confines_nothing() {
    let product = Product::fresh();
    if !can_lose_landlock(&product, "without_landlock") {
        return;
    }
    let model = script(&product);
    let start: &[&str] = &["local", "start"];
    for arguments in [start, &["run", "-m", "x", "--model", &model], &["sandbox", "exec", "--", "true"]] {
        let refused = without_landlock(&product, arguments);
        assert_eq!(refused.status.code(), Some(3), "{arguments:?}: {}", show(&refused));
        has(
            &refused,
            &["level `full`", "level `base`", "the promise `read-outside`", "layer `landlock-files`", "hint: "],
        );
    }
    let doctor = without_landlock(&product, &["doctor", "--json"]);
    assert_eq!(doctor.status.code(), Some(3), "{}", show(&doctor));
    let report: serde_json::Value = serde_json::from_slice(&doctor.stdout).expect("one JSON object");
    assert_eq!(report["holds"], false);
    for (level, layer) in report["levels"].as_array().expect("levels").iter().zip(["mounts", "landlock-files"]) {
        assert_eq!(level["unheld"][0]["promise"], "read-outside", "{level}");
        assert_eq!(level["unheld"][0]["layer"], layer, "{level}");
    }
    let start = without_landlock(&product, &["local", "start", "--sandbox=filesystem"]);
    assert!(start.status.success(), "{}", show(&start));
    has(&start, &["filesystem, confined: no"]);
    let run = without_landlock(&product, &["run", "-m", "x", "--model", &model]);
    let stop = without_landlock(&product, &["local", "stop"]);
    assert!(run.status.success() && stop.status.success(), "{}{}", show(&run), show(&stop));
    has(&run, &["filesystem, confined: no, ", "Nothing to do."]);
}

#[test]
fn a_policy_that_asks_more_than_a_level_holds_is_refused_there_and_starts_where_it_is_held() {
    let product = Product::fresh();
    let policy = product.outside().join("strict.toml");
    std::fs::write(&policy, "[minimum]\nprotected-paths = \"prevented\"\n").expect("the person's own folder");
    let policy = policy.display().to_string();
    let exec =
        |level: &str| product.run(&["sandbox", "exec", "--policy", &policy, "--level", level, "--", "true"], b"");
    if product.holds(stigmer_policy::Level::Base, "a_policy_that_asks_more") {
        let refused = exec("base");
        assert_eq!(refused.status.code(), Some(3), "{}", show(&refused));
        has(&refused, &["the promise `protected-paths` is needed as `prevented` and would be `detected`", "hint: "]);
    }
    if product.holds(stigmer_policy::Level::Full, "a_policy_that_asks_more") {
        let held = exec("full");
        assert!(held.status.success(), "{} (root: {})", show(&held), is_root());
    }
}
