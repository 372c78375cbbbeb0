//! What a command did to protected paths is undone also where its end is told to nobody, and in a folder that is too large
//! to be searched whole.

#![expect(clippy::disallowed_methods, reason = "tests make their own fixtures")]

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use stigmer_policy::Level;
use stigmer_tests::product::{Product, has_program, level_flags, show};
use stigmer_tests::waiting::until;

/// Within this time everything must be there, or gone.
const PATIENCE: Duration = Duration::from_secs(20);
/// More folders than are kept in view.
const FOLDERS: usize = 20_100;
/// Plants what the person's shell, editor and git would run, and stays.
const PLANT: &str = "echo EVIL > .envrc; git init -q r; printf EVIL > r/.git/hooks/pre-commit; chmod 755 \
                     r/.git/hooks/pre-commit; touch planted; sleep 60";

fn is_evil(path: &Path) -> bool {
    std::fs::read_to_string(path).is_ok_and(|text| text.contains("EVIL"))
}

fn nothing_planted(product: &Product, level: Level) {
    let (envrc, hook) = (product.workspace().join(".envrc"), product.workspace().join("r/.git/hooks/pre-commit"));
    until(PATIENCE, &format!("what was planted is undone at {}", level.name()), || !is_evil(&envrc) && !is_evil(&hook));
}

#[test]
fn a_killed_command_line_leaves_nothing_planted() {
    for level in [Level::Full, Level::Base] {
        let product = Product::fresh();
        if !has_program("git") || !product.holds(level, "cut off") {
            continue;
        }
        let mut arguments = vec!["sandbox", "exec"];
        arguments.extend(level_flags(level));
        arguments.extend(["--", "sh", "-c", PLANT]);
        let mut command = product.command(&arguments);
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("starts");
        let planted = product.workspace().join("planted");
        until(PATIENCE, "it is planted", || planted.exists());
        assert!(is_evil(&product.workspace().join(".envrc")), "the twin: it was there");
        kill_process(Pid::from_child(&child), Signal::KILL).expect("our own child");
        let _ = child.wait();
        nothing_planted(&product, level);
    }
}

#[test]
fn an_execution_that_is_cut_off_leaves_nothing_planted() {
    for level in [Level::Full, Level::Base] {
        let product = Product::fresh();
        if !has_program("git") || !product.holds(level, "cut off") {
            continue;
        }
        let started = product.run(&[&["local", "start"][..], &level_flags(level)].concat(), b"");
        assert!(started.status.success(), "{}", show(&started));
        let file = product.home().join("plant.toml");
        let script = format!(
            "[[turn]]\n[[turn.call]]\nid = \"a\"\ntool = \"execute\"\nargs = {{ command = '''{PLANT}''' }}\n[[turn]]\ntext = \
             \"Done.\"\n[[turn.expect]]\ncall = \"a\"\nmatches = \".*\"\n"
        );
        std::fs::write(&file, script).expect("the home is the person's");
        let model = format!("script:{}", file.display());
        let mut arguments = vec!["run", "-m", "plant", "--model", &model, "--approve", "auto"];
        arguments.extend(level_flags(level));
        let mut command = product.command(&arguments);
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts");
        let planted = product.workspace().join("planted");
        until(PATIENCE, "it is planted", || planted.exists());
        let stopped = product.run(&["local", "stop"], b"");
        assert!(stopped.status.success(), "{}", show(&stopped));
        let _ = child.wait_with_output();
        nothing_planted(&product, level);
    }
}

#[test]
fn in_a_folder_too_large_to_search_the_repository_at_its_top_is_held() {
    for level in [Level::Full, Level::Base] {
        let product = Product::fresh();
        if !has_program("git") || !product.holds(level, "a large folder") {
            continue;
        }
        let workspace = product.workspace();
        assert!(product.unconfined("git init -q .").status.success());
        for name in ["node_modules", ".a"] {
            for index in 0..FOLDERS / 2 {
                std::fs::create_dir_all(workspace.join(format!("{name}/p{index}"))).expect("a fresh workspace");
            }
        }
        let script = "printf '[core]\\n\\tfsmonitor = EVIL\\n' >> .git/config; echo EVIL > .git/hooks/pre-commit; echo fine > \
                      note.txt";
        let output = product.exec(level, script);
        let words = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(words.contains("too large to be searched whole"), "{words}");
        for path in [".git/config", ".git/hooks/pre-commit"] {
            assert!(!is_evil(&workspace.join(path)), "{path} at {}: {}", level.name(), show(&output));
        }
        assert!(workspace.join("note.txt").exists(), "the twin");
    }
}
