//! Commands that nobody released.

use std::os::fd::AsFd;
use std::time::Duration;

use bytes::Bytes;
use stigmer_proto::runner as wire;
use stigmer_sandbox::message::{CommandSpec, FromInit, ToInit};
use stigmer_tests::hostile::Outcomes;

use crate::Attacker;

/// A command that leaves a line in `NAME` in the workspace.
fn spec(attacker: &Attacker, name: &str) -> CommandSpec {
    CommandSpec {
        argv: ["/bin/sh".to_owned(), "-c".to_owned(), format!("echo ran >> {name}")].map(String::into_bytes).into(),
        env: vec![b"PATH=/usr/bin:/bin".to_vec()],
        cwd: attacker.spec.workspace.clone().into_bytes(),
        timeout: Some(Duration::from_secs(10)),
    }
}

/// Asks init for it and waits for what becomes of it.
pub(crate) fn start(attacker: &Attacker, number: u64, name: &str) -> Result<String, String> {
    let stdin = std::io::stdin();
    let stdio = [stdin.as_fd(), stdin.as_fd(), stdin.as_fd()];
    let text = |error: &dyn std::error::Error| format!("init does not answer: {error}");
    attacker.work.send(&ToInit::Start(number, spec(attacker, name)), &stdio).map_err(|error| text(&error))?;
    loop {
        match attacker.work.recv::<FromInit>().map_err(|error| text(&error))?.0 {
            FromInit::NotStarted(_, failure) => return Err(failure.to_string()),
            FromInit::Ended(_, report) => return Ok(format!("{:?}", report.ended)),
            _ => {}
        }
    }
}

/// Says on *work* what only *control* may say.
pub(crate) fn forge(attacker: &Attacker) {
    let released = ToInit::Release(1, spec(attacker, "forged").digest());
    let _ = attacker.work.send(&released, &[]);
    let _ = start(attacker, 1, "forged");
}

async fn ask(attacker: &mut Attacker, name: &str) -> Result<String, String> {
    let spec = spec(attacker, name);
    let bytes = |list: &[Vec<u8>]| list.iter().map(|item| Bytes::copy_from_slice(item)).collect();
    let question = wire::AskRequest {
        call: "1.1".to_owned(),
        number: 1,
        tool: "execute".to_owned(),
        argv: bytes(&spec.argv),
        env: bytes(&spec.env),
        cwd: spec.cwd.clone().into(),
        timeout_ms: 10_000,
    };
    attacker.rpc.runner().ask(question).await.map_err(|status| status.to_string())?;
    match attacker.rpc.answer().await {
        Some(answer) if answer.approved => Ok("approved".to_owned()),
        other => Err(format!("{other:?}")),
    }
}

/// One answer is good for one start.
pub(crate) async fn replay(attacker: &mut Attacker) -> Outcomes {
    let mut outcomes = Outcomes::new();
    outcomes.insert("twin: ask".to_owned(), ask(attacker, "asked").await);
    outcomes.insert("twin: start what was approved".to_owned(), start(attacker, 1, "asked"));
    outcomes.insert("start it again".to_owned(), start(attacker, 1, "asked"));
    let again = match ask(attacker, "asked").await {
        Ok(_) => start(attacker, 1, "asked"),
        Err(why) => Err(why),
    };
    outcomes.insert("ask again and start it again".to_owned(), again);
    outcomes.insert("ask for another under its name".to_owned(), ask(attacker, "other").await);
    outcomes
}

/// What was approved is the command, not the number.
pub(crate) async fn swap(attacker: &mut Attacker) -> Outcomes {
    let mut outcomes = Outcomes::new();
    outcomes.insert("twin: ask".to_owned(), ask(attacker, "asked").await);
    outcomes.insert("start another under its number".to_owned(), start(attacker, 1, "swapped"));
    outcomes
}
