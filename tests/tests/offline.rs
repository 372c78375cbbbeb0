//! The whole line where there is no network but loopback: nothing of a cloud is needed, and nothing could be contacted.

#![expect(clippy::disallowed_methods, reason = "tests make their own fixtures")]

use std::path::PathBuf;
use std::process::{Command, Stdio};

use stigmer_tests::product::{Product, say, show};

/// In a network namespace of its own, as the user that it maps: what a person types, one after the other.
const LINE: &str = r#"
set -e
ip link set lo up 2>/dev/null || true
test "$(sed -n '3,$s/:.*//p' /proc/net/dev | tr -d ' ')" = lo
"$STIGMER" local start $SANDBOX
"$STIGMER" run -m 'Which states have the most airports?' --model "script:$SCRIPT" --skill "$SKILL" --approve auto --output-format stream-json > ../run.json
id=$("$STIGMER" execution list --json | sed 's/.*"id":"\([^"]*\)".*/\1/')
"$STIGMER" execution show "$id"
"$STIGMER" local stop
"#;

#[test]
fn the_whole_line_runs_with_loopback_only() {
    const NAME: &str = "the_whole_line_runs_with_loopback_only";
    let own = Command::new("unshare").args(["-rn", "true"]).stderr(Stdio::null()).status();
    if !own.is_ok_and(|status| status.success()) {
        say(&format!("skipped: {NAME}: this machine gives no network namespace of one's own (`unshare -rn`)"));
        return;
    }
    let manifest = std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo and the test runner name the package");
    let repository = PathBuf::from(manifest).parent().expect("the package lies in the repository").to_owned();
    let skills = std::env::var_os("STIGMER_SKILLS").expect("`cargo xtask guests` builds them");
    for sandbox in ["--sandbox=wasi", "--sandbox=filesystem"] {
        let product = Product::fresh();
        for entry in std::fs::read_dir(repository.join("tests/fixtures/airports")).expect("the fixture is there") {
            let from = entry.expect("a readable folder").path();
            let name = from.file_name().expect("a file has a name");
            std::fs::copy(&from, product.workspace().join(name)).expect("a small file");
        }
        // Its environment is the product's: fresh home, plain PATH.
        let template = product.command(&[]);
        let mut command = Command::new("unshare");
        command.args(["-rn", "sh", "-c", LINE]).env_clear();
        command.envs(template.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.env("STIGMER", &product.executable).env("SANDBOX", sandbox);
        command.env("SCRIPT", repository.join("tests/quickstart/script.toml"));
        command.env("SKILL", PathBuf::from(&skills).join("table"));
        let output = command.current_dir(product.workspace()).stdin(Stdio::null()).output().expect("it starts");
        if !output.status.success() {
            let _ = product.run(&["local", "stop"], b"");
            panic!("{sandbox}: {}", show(&output));
        }
        let shown = String::from_utf8_lossy(&output.stdout);
        for text in ["is running (pid", "completed", "report.md", "rule outside-roots", "stopped"] {
            assert!(shown.contains(text), "{sandbox} lacks {text}: {shown}");
        }
        let said = std::fs::read_to_string(product.workspace().join("../run.json")).expect("the stream was kept");
        assert!(said.contains(r#""kind":"result""#), "{said}");
    }
}
