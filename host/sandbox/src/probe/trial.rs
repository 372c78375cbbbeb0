//! One side of the comparison: the acts in a plain child, or in a jail that is built as for any command.

mod running;

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use stigmer_policy::{JailPath, Level, Limits, Policy};

use super::act::{Act, Barred, Effect, How, Tried};
use super::acts::all;
use super::job::{self, ACTS, BOUNDED, JOBS, PLAIN, SURVIVE};
use super::proof::{Found, Raw};
use super::prove::{Ground, Tested, Trial};
use super::set::Set;
use crate::jail::layers::Layers;
use crate::jail::rlimits;
use crate::message::{CommandMode, CommandSpec, Job, Setup};
use crate::prepare::{self, Environment, Folders, Person, RunFolder};
use crate::start::{Jail, Launch, StartError};
use running::{environment_outside, survivor_outside};

/// Limit on processes in the jail with small limits.
const PROCESSES: u32 = 24;
/// What a fresh pid namespace holds besides the limit: ids below 300 come on top once (see [`crate::jail`]'s `rlimits`).
const FIRST_PIDS: u32 = 300;
/// Limits on scratch and on one file in that jail.
const SCRATCH_BYTES: u64 = 1 << 20;
const FILE_BYTES: u64 = 256 << 10;
/// A variable that no policy lists.
const VARIABLE: &str = "STIGMER_PROBE_CANARY";

/// Performs every act in plain children of this process.
///
/// # Errors
/// When the witnesses cannot be made.
pub(super) fn control(ground: &Ground) -> std::io::Result<Vec<Raw>> {
    let mut set = Set::make(&ground.folder, "c")?;
    set.scene.scratch.clone_from(&set.scene.workspace);
    set.scene.most_processes = PROCESSES + FIRST_PIDS;
    (set.scene.scratch_bytes, set.scene.file_bytes) = (SCRATCH_BYTES, FILE_BYTES);
    let mut tried = blank();
    for bounded in [false, true] {
        for (index, one) in job::try_all(&set.scene, bounded) {
            tried[usize::from(index)] = one;
        }
    }
    put(&mut tried, How::is_survivor, survivor_outside());
    let variable = OsString::from(&set.scene.canary);
    put(&mut tried, How::is_environment, environment_outside(VARIABLE, &variable));
    Ok(all().zip(tried).map(|(act, tried)| raw(act, tried, &set)).collect())
}

/// Performs every act in jails of the trial's level. Two of them: limits are small in the second.
///
/// # Errors
/// In words, when the witnesses cannot be made or a jail does not speak; a jail that cannot be made is no error.
pub(super) fn run(ground: &Ground, number: usize, trial: &Trial) -> Result<Tested, String> {
    let mut set = Set::make(&ground.folder, &format!("t{number}")).map_err(|error| error.to_string())?;
    let mut tried = blank();
    for bounded in [false, true] {
        match in_jail(ground, trial, &mut set, bounded, &mut tried) {
            Ok(()) => {}
            Err(Failed::Start(StartError::Setup(failure))) => return Ok(Tested::NotBuilt(failure)),
            Err(Failed::Start(error)) => return Err(error.to_string()),
            Err(Failed::Words(words)) => return Err(words),
        }
    }
    Ok(Tested::Ran(all().zip(tried).map(|(act, tried)| raw(act, tried, &set)).collect()))
}

enum Failed {
    Start(StartError),
    Words(String),
}

fn words(error: impl std::fmt::Display) -> Failed {
    Failed::Words(error.to_string())
}

fn in_jail(ground: &Ground, trial: &Trial, set: &mut Set, bounded: bool, tried: &mut [Tried]) -> Result<(), Failed> {
    let mut person = ground.person.clone();
    person.environment.insert(VARIABLE.into(), OsString::from(&set.scene.canary));
    let kind = if bounded { BOUNDED } else { PLAIN };
    let run = match trial.level {
        Level::Full => None,
        Level::Base | Level::Filesystem => Some(RunFolder::create(&person.stigmer_home, kind).map_err(words)?),
    };
    let state = run.as_ref().map_or(person.stigmer_home.as_path(), RunFolder::path);
    let folders = Folders::of(trial.level, &person, state).map_err(words)?;
    let workspace = JailPath::absolute(&set.scene.workspace).map_err(words)?;
    let places = prepare::places(&workspace, &folders, &person, Vec::new()).map_err(words)?;
    let mut policy = Policy::workspace(&places);
    if bounded {
        bound(&mut policy.limits, set, &Layers::new(trial.level, trial.left_out.clone()));
    }
    set.scene.scratch = folders.scratch.as_path().to_owned();
    let environment = Environment::of(&policy, trial.level, &person, &folders);
    let jail = start(&policy, trial, &person)?;
    let scene = serde_json::to_vec(&set.scene).map_err(words)?;
    let job = Job { name: ACTS.to_owned(), arguments: vec![scene, kind.into()] };
    for (index, one) in running::acts(&jail, job).map_err(Failed::Words)? {
        if let Some(place) = tried.get_mut(usize::from(index)) {
            *place = one;
        }
    }
    if !bounded {
        let job = Job { name: SURVIVE.to_owned(), arguments: Vec::new() };
        put(tried, How::is_survivor, running::survivor(&jail, job));
        let spec = printer(&environment, workspace.as_path());
        put(tried, How::is_environment, running::environment(&jail, spec, &set.scene.canary));
    }
    jail.end();
    Ok(())
}

fn start(policy: &Policy, trial: &Trial, person: &Person) -> Result<Jail, Failed> {
    let plan = prepare::plan(policy, trial.level, person, None).map_err(words)?;
    if trial.level != Level::Full {
        RunFolder::write(&plan.home_files).map_err(words)?;
    }
    let setup = Setup { plan, mode: CommandMode::Free, runner: None, spare: false, left_out: trial.left_out.clone() };
    Jail::start(&Launch::Clone(JOBS), setup, &[]).map_err(Failed::Start)
}

fn printer(environment: &Environment, workspace: &Path) -> CommandSpec {
    CommandSpec {
        argv: vec![b"env".to_vec()],
        env: environment.to_pairs(),
        cwd: workspace.as_os_str().as_bytes().to_vec(),
        timeout: Some(super::attempt::TIME),
    }
}

fn bound(limits: &mut Limits, set: &mut Set, layers: &Layers) {
    (limits.scratch_bytes, limits.file_bytes) = (SCRATCH_BYTES, FILE_BYTES);
    (set.scene.scratch_bytes, set.scene.file_bytes) = (SCRATCH_BYTES, FILE_BYTES);
    limits.processes = PROCESSES;
    set.scene.most_processes = match layers.level() {
        Level::Full => PROCESSES + FIRST_PIDS,
        // What the person runs besides counts against it; some of that may end meanwhile and make room.
        Level::Base | Level::Filesystem => PROCESSES + rlimits::counted_beside(layers, Vec::new) + 1,
    };
}

fn blank() -> Vec<Tried> {
    all().map(|_| Tried::Broken("it was not tried".to_owned())).collect()
}

fn put(tried: &mut [Tried], kind: fn(&How) -> bool, one: Tried) {
    for (place, _) in tried.iter_mut().zip(all()).filter(|(_, act)| kind(&act.how)) {
        *place = one.clone();
    }
}

/// Looks at the effect of an act that was done.
fn raw(act: &Act, tried: Tried, set: &Set) -> Raw {
    let refused = |detail| Raw { found: Found::Refused, detail };
    match tried {
        Tried::Done => match act.effect.map_or(Effect::Seen, |effect| effect(set)) {
            Effect::Seen => Raw { found: Found::Done, detail: "done".to_owned() },
            Effect::Undone => Raw { found: Found::Undone, detail: "done, and undone after the command".to_owned() },
            Effect::NotSeen => refused("it reached nothing of the host".to_owned()),
        },
        Tried::Barred(Barred::Errno(errno)) => refused(std::io::Error::from_raw_os_error(errno).to_string()),
        Tried::Barred(Barred::Elsewhere(what)) => refused(what),
        Tried::Barred(Barred::Absent(what)) => Raw { found: Found::Absent, detail: what },
        Tried::Killed(signal) => refused(format!("ended by signal {signal}")),
        Tried::Overdue => Raw { found: Found::Broken, detail: "it took too long".to_owned() },
        Tried::Broken(why) => Raw { found: Found::Broken, detail: why },
    }
}
