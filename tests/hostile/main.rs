//! The product, around a runner that attacks instead of working. It is confined by the product's own code and started by
//! the product's own daemon and init; nothing of the product knows that it exists.

#![expect(clippy::disallowed_methods, reason = "an attacker keeps to no rules")]

mod commands;
mod rpc;
mod spend;

use std::path::Path;

use stigmer_proto::runner as wire;
use stigmer_runner::{Ended, Handed};
use stigmer_sandbox::channel::Channel;
use stigmer_tests::hostile::{Mode, Outcomes, Scene, acts};

use crate::rpc::Rpc;

fn main() -> std::process::ExitCode {
    stigmer_cli::main(|| stigmer_runner::main_with(attack))
}

/// What every attack has at hand.
struct Attacker {
    rpc: Rpc,
    work: Channel,
    spec: wire::Execution,
    scene: Scene,
}

fn attack(handed: Handed) -> Ended {
    // Before anything of our own is open.
    let mut outcomes = Outcomes::new();
    outcomes.insert("hold descriptors".to_owned(), descriptors());
    outcomes.insert("have an environment".to_owned(), environment());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let Ok(runtime) = runtime else { return Ended::Unfit };
    runtime.block_on(async {
        let Ok((rpc, spec)) = Rpc::lease(handed.rpc).await else { return Ended::Lost };
        let Ok(scene) = serde_json::from_str::<Scene>(&spec.message) else { return Ended::Unfit };
        let mut attacker = Attacker { rpc, work: handed.work, spec, scene };
        match attacker.scene.mode {
            Mode::Survey => {
                outcomes.extend(acts(&attacker.scene));
                outcomes.extend(rpc::survey(&mut attacker).await);
                outcomes.insert("start a command".to_owned(), commands::start(&attacker, 1, "survey"));
            }
            Mode::Forge => commands::forge(&attacker),
            Mode::Replay => outcomes.extend(commands::replay(&mut attacker).await),
            Mode::Swap => outcomes.extend(commands::swap(&mut attacker).await),
            Mode::Spend => spend::and_die(&attacker).await,
        }
        report(Path::new(&attacker.spec.workspace), &outcomes);
        attacker.rpc.finish().await
    })
}

fn report(workspace: &Path, outcomes: &Outcomes) {
    let text = serde_json::to_vec(outcomes).expect("texts are JSON");
    // Without it the test fails, and says that it is missing.
    let _ = std::fs::write(workspace.join("report.json"), text);
}

/// Descriptors that lead to a file or folder; those that lead nowhere, and sockets, are what init gives.
fn descriptors() -> Result<String, String> {
    let entries = std::fs::read_dir("/proc/self/fd").map_err(|error| format!("unreadable: {error}"))?;
    let targets = entries.flatten().filter_map(|entry| std::fs::read_link(entry.path()).ok());
    let shown: Vec<_> = targets.map(|target| target.display().to_string()).collect();
    let known = |target: &&String| {
        let listing = target.starts_with("/proc/") && target.ends_with("/fd");
        *target != "/dev/null" && !target.starts_with("socket:") && !listing
    };
    match shown.iter().find(known) {
        Some(target) => Ok(target.clone()),
        None => Err(format!("only {shown:?}")),
    }
}

fn environment() -> Result<String, String> {
    std::env::vars_os().next().map(|(name, _)| name.to_string_lossy().into_owned()).ok_or_else(|| "empty".to_owned())
}
