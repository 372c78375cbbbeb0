//! The main job, as a user would do it: a fresh home, a fresh copy of real data, a skill with a WebAssembly tool.
//!
//! What is printed at the end comes from the daemon's record, never from the script that plays the model.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::place::{self, TempFolder};
use crate::{build, process};

/// The data set that the agent works on.
const DATA: &str = "tests/fixtures/airports";
/// The scripted model's turns.
const SCRIPT: &str = "tests/quickstart/script.toml";
/// What a person would ask.
const QUESTION: &str = "Which states have the most airports? Profile airports.csv with the table skill, write a short \
                        report to report.md, and check it with the shell.";
/// Exit code of a machine that cannot hold the sandbox asked for (docs: exit codes).
const CANNOT_HOLD: i32 = 3;

/// What stands on the screen, below the product's own words, where the walls do not hold.
const UNCONFINED: &str = "
!! This machine cannot hold `--sandbox=wasi`: the layer that is missing is named above.
!! Going on with `--sandbox=filesystem`: commands are NOT confined.
";

/// `cargo xtask quickstart`.
///
/// # Errors
/// Names the step that failed; whatever was started is stopped first.
pub(crate) fn run(args: &[String]) -> Result<()> {
    if !args.is_empty() {
        bail!("takes no arguments");
    }
    eprintln!("building (the first time takes some minutes)");
    let guests = build::everything()?;
    let folder = TempFolder::new("quickstart")?;
    let session = Session::new(folder.path(), guests.skills.join("table"))?;
    println!("a fresh home   {}", session.home.display());
    println!("a workspace    {}  (a copy of {DATA})", session.workspace.display());
    println!("the model      scripted: {SCRIPT} plays it, everything else is real\n");

    let sandbox = session.start(&mut std::io::stdout())?;
    let done = session.work(sandbox);
    // Also after a failure: nothing may be left behind, and the first error is the one to show.
    let stopped = session.stop();
    done.and(stopped)?;
    print_next_steps();
    Ok(())
}

struct Session {
    home: PathBuf,
    workspace: PathBuf,
    skill: PathBuf,
}

impl Session {
    fn new(folder: &Path, skill: PathBuf) -> Result<Self> {
        let session = Session { home: folder.join("home"), workspace: folder.join("airports"), skill };
        std::fs::create_dir(&session.home)?;
        place::copy_folder(&place::root().join(DATA), &session.workspace)?;
        Ok(session)
    }

    /// The product, in a home of its own and without any of the person's settings.
    fn stigmer(&self, args: &[&str]) -> Command {
        let mut command = Command::new(place::product());
        command.env_clear().args(args).current_dir(&self.workspace).stdin(Stdio::null());
        for name in ["PATH", "TERM", "LANG", "NO_COLOR", "TMPDIR"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command.env("HOME", &self.home).env("STIGMER_HOME", self.home.join(".stigmer"));
        command
    }

    /// Runs a step on the terminal, shown as a person would type it.
    fn step(&self, args: &[&str]) -> Result<ExitStatus> {
        let shown = |arg: &&str| if arg.contains(' ') { format!("'{arg}'") } else { (*arg).to_owned() };
        println!("$ stigmer {}", args.iter().map(shown).collect::<Vec<_>>().join(" "));
        self.stigmer(args).status().context("could not start the product")
    }

    /// Starts the daemon with the strongest sandbox that this machine holds; says so loudly when that is not `wasi`.
    fn start(&self, screen: &mut impl Write) -> Result<&'static str> {
        let start = |sandbox| self.step(&["local", "start", &format!("--sandbox={sandbox}")]);
        let status = start("wasi")?;
        if status.success() {
            return Ok("wasi");
        }
        if status.code() != Some(CANNOT_HOLD) {
            bail!("`stigmer local start` ended with {status}");
        }
        writeln!(screen, "{UNCONFINED}")?;
        let status = start("filesystem")?;
        if !status.success() {
            bail!("`stigmer local start --sandbox=filesystem` ended with {status}");
        }
        Ok("filesystem")
    }

    fn work(&self, sandbox: &str) -> Result<()> {
        let model = format!("script:{}", place::root().join(SCRIPT).display());
        let (workspace, skill) = (path_text(&self.workspace)?, path_text(&self.skill)?);
        let status = self.step(&[
            "run",
            "--message",
            QUESTION,
            "--model",
            &model,
            "--skill",
            skill,
            "--workspace",
            workspace,
            "--approve",
            "auto",
        ])?;
        if !status.success() {
            bail!("`stigmer run` ended with {status}");
        }
        let executions = self.json(&["execution", "list", "--json"])?;
        let id = executions["executions"][0]["id"].as_str().context("the record lists no execution")?;
        let record = self.json(&["execution", "show", id, "--json"])?;
        println!("\nfrom the daemon's record of {id} (sandbox {sandbox}):\n{}", table(&record)?);
        Ok(())
    }

    fn stop(&self) -> Result<()> {
        let status = self.step(&["local", "stop"])?;
        if !status.success() {
            bail!("`stigmer local stop` ended with {status}");
        }
        Ok(())
    }

    fn json(&self, args: &[&str]) -> Result<Value> {
        let text = process::text(&mut self.stigmer(args))?;
        serde_json::from_str(&text).with_context(|| format!("`stigmer {}` printed what is not JSON", args.join(" ")))
    }
}

/// Files and denials of a record, as rows.
fn table(record: &Value) -> Result<String> {
    let mut out = String::new();
    let list = |name: &str| record[name].as_array().with_context(|| format!("the record has no `{name}`"));
    let text = |row: &Value, name: &str| match &row[name] {
        Value::String(text) => text.clone(),
        Value::Null => "-".to_owned(),
        other => other.to_string(),
    };
    let row = |out: &mut String, cells: [String; 4]| {
        let [a, b, c, d] = cells;
        out.push_str(&format!("  {a:<40} {b:>10}  {c:<64}  {d}\n"));
    };
    row(&mut out, ["file", "bytes", "sha256", "by"].map(str::to_owned));
    for file in list("files")? {
        row(&mut out, ["path", "size", "sha256", "wall"].map(|name| text(file, name)));
    }
    let denials = list("denials")?;
    out.push_str(&format!("\n  denials: {}\n", denials.len()));
    for denial in denials {
        out.push_str(&format!(
            "  {}  rule {}: {}\n",
            text(denial, "subject"),
            text(denial, "rule"),
            text(denial, "reason")
        ));
    }
    Ok(out)
}

fn path_text(path: &Path) -> Result<&str> {
    path.to_str().with_context(|| format!("`{}` is not UTF-8", path.display()))
}

fn print_next_steps() {
    let product = place::product();
    println!("\nThe same with your own key:");
    println!("  export ANTHROPIC_API_KEY=…    # or OPENAI_API_KEY; without either, `local start` asks");
    println!("  {} local start --sandbox=wasi", product.display());
    println!("  {} run -m 'What is in this folder?' --workspace ~/some/folder", product.display());
    println!("with Ollama, nothing leaves this machine:");
    println!("  {} local start --sandbox=wasi --provider ollama --model MODEL", product.display());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_shows_every_row_of_the_record() {
        let record = serde_json::json!({
            "files": [{"path": "report.md", "size": 12, "sha256": "ab", "wall": "file-tool"}],
            "denials": [{"subject": "write /w/.git/config", "rule": "protected-paths", "reason": "protected"}],
        });
        let shown = table(&record).unwrap();
        for part in ["report.md", "12", "ab", "file-tool", "denials: 1", "write /w/.git/config", "rule protected-paths"]
        {
            assert!(shown.contains(part), "{shown} lacks {part}");
        }
        assert!(table(&serde_json::json!({"files": []})).is_err());
    }

    /// Runs `work` where no Landlock domain can be had any more, which neither level of `wasi` can do without: a thread has
    /// at most 16 of them (landlock(7)), and hands them on to what it starts.
    fn without_landlock(work: impl FnOnce() + Send + 'static) {
        use landlock::{AccessFs, Ruleset, RulesetAttr};
        let thread = std::thread::spawn(move || {
            let domain = || Ruleset::default().handle_access(AccessFs::MakeBlock)?.create()?.restrict_self();
            let refused = (0..17).find_map(|_| domain().err());
            assert!(refused.is_some(), "the kernel gives more domains than it says");
            work();
        });
        thread.join().unwrap();
    }

    #[test]
    fn where_the_walls_do_not_hold_the_layer_is_named_and_the_same_runs_at_filesystem() {
        let skill = place::made().join("skills/table");
        if !place::product().is_file() || !skill.is_dir() {
            println!("skipped: where_the_walls_do_not_hold: `cargo xtask quickstart` has not built the product");
            return;
        }
        // The twin, with the walls, is the quickstart itself.
        without_landlock(move || {
            let folder = TempFolder::new("quickstart-test").unwrap();
            let session = Session::new(folder.path(), skill).unwrap();
            let refused = session.stigmer(&["local", "start", "--sandbox=wasi"]).output().unwrap();
            let words = String::from_utf8(refused.stderr).unwrap();
            assert_eq!(refused.status.code(), Some(CANNOT_HOLD), "{words}");
            assert!(words.contains("the layer `landlock-files`") && words.contains("hint: "), "{words}");
            let mut screen = Vec::new();
            assert_eq!(session.start(&mut screen).unwrap(), "filesystem");
            let screen = String::from_utf8(screen).unwrap();
            assert!(screen.contains("commands are NOT confined"), "{screen}");
            let done = session.work("filesystem");
            session.stop().unwrap();
            done.unwrap();
        });
    }
}
