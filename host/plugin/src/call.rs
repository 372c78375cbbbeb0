//! One call: a fresh instance, bounded, whose every outcome is a value.

use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use futures::FutureExt;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use stigmer_policy::Denial;
use wasmtime::component::Val;
use wasmtime::component::types::Type;
use wasmtime::{Store, UpdateDeadline};
use wasmtime_wasi::WasiCtx;

use crate::engine::EPOCH_TICK;
use crate::fault::{self, CallError};
use crate::files::{ChangedFiles, Files};
use crate::grants::{self, Denials, Grants};
use crate::inspect::Tool;
use crate::json;
use crate::limits::{CallLimits, HANDLES, Meter};
use crate::plugin::{Callable, Plugin};
use crate::state::State;
use crate::stdio::{Capture, Captured};

/// How long after the deadline a call that waits in the host is given up. A guest that runs is stopped at the deadline
/// itself, and then its backtrace is known; this is for the others.
const GIVE_UP_AFTER: Duration = EPOCH_TICK.saturating_mul(2);

/// What came of a call.
#[derive(Debug)]
pub struct CallOutcome {
    /// The function's value as JSON, or why there is none.
    pub result: Result<Value, CallError>,
    /// What it used.
    pub used: CallUse,
    /// What it printed.
    pub stdout: Captured,
    /// What it printed as errors; a guest's panic message is here.
    pub stderr: Captured,
    /// What was refused to it, each once; the guest saw an error. May be there with a good result.
    pub denials: Vec<Denial>,
    /// What to do about a refusal, where that can be told: a relative path among the arguments was meant otherwise.
    pub hint: Option<String>,
    /// Files that it changed, also where it failed later.
    pub changed: ChangedFiles,
}

/// What a call used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallUse {
    /// From instantiation to result.
    pub wall: Duration,
    /// Most linear memory at once, in bytes.
    pub peak_memory_bytes: u64,
    /// Random bytes taken.
    pub random_bytes: u64,
}

impl Plugin {
    /// Calls `tool` with `arguments` (one JSON object) in a fresh instance that is gone afterwards.
    ///
    /// Never panics and never takes longer than `limits.time` and a few hundredths of a second, the wait for one of
    /// [`crate::POOL_CALLS`] places not counted. Dropping the future ends the guest.
    pub async fn call(&self, tool: &str, arguments: &Value, grants: &Grants, limits: &CallLimits) -> CallOutcome {
        let prepared = self.callable(tool).ok_or_else(|| fault::unknown_tool(self, tool));
        let prepared = prepared.and_then(|(tool, function)| {
            Ok((tool, function, json::arguments(&function.ty, arguments).map_err(CallError::Arguments)?))
        });
        match prepared {
            Ok((tool, function, values)) => {
                let mut outcome = self.run(tool, function, &values, grants, limits).await;
                outcome.hint = grants::meant_relative(arguments, &outcome.denials, &grants.dirs);
                outcome
            }
            Err(error) => CallOutcome {
                result: Err(error),
                used: CallUse::default(),
                stdout: Captured::default(),
                stderr: Captured::default(),
                denials: Vec::new(),
                hint: None,
                changed: ChangedFiles::default(),
            },
        }
    }

    async fn run(
        &self,
        tool: &Tool,
        function: &Callable,
        arguments: &[Val],
        grants: &Grants,
        limits: &CallLimits,
    ) -> CallOutcome {
        let place = self.engine().slots.acquire().await;
        let started = Instant::now();
        let (stdout, stderr) = (Capture::new(limits.stdio_bytes), Capture::new(limits.stdio_bytes));
        let mut store = self.store(grants, limits, started, (&stdout, &stderr));
        let mut results = vec![Val::Bool(false); function.ty.results().len()];

        let guest = AssertUnwindSafe(async {
            let instance = self.pre().instantiate_async(&mut store).await?;
            let called = instance
                .get_func(&mut store, function.index)
                .ok_or_else(|| wasmtime::Error::msg("the export is not a function"))?;
            called.call_async(&mut store, arguments, &mut results).await
        });
        // A panic in a host function unwinds through the guest to here. What it may have left half done lies in the
        // store, of which only plain counters are read before it is dropped.
        let deadline = tokio::time::Instant::from_std(started + limits.time + GIVE_UP_AFTER);
        let ended = tokio::time::timeout_at(deadline, guest.catch_unwind()).await;

        let state = store.data_mut();
        let result = match ended {
            Err(_elapsed) => Err(CallError::Limit(state.meter.time_error())),
            Ok(Err(panic)) => Err(fault::host_panic(panic.as_ref())),
            Ok(Ok(Err(error))) => Err(fault::classify(self, tool, &state.meter, &error)),
            Ok(Ok(Ok(()))) => outcome(function, &results),
        };
        let used = CallUse {
            wall: started.elapsed(),
            peak_memory_bytes: state.meter.peak_memory,
            random_bytes: state.meter.random,
        };
        let denials = state.denials.take();
        let changed = state.files.changed();
        drop(store);
        drop(place);
        CallOutcome { result, used, stdout: stdout.take(), stderr: stderr.take(), denials, hint: None, changed }
    }

    fn store(
        &self,
        grants: &Grants,
        limits: &CallLimits,
        started: Instant,
        (stdout, stderr): (&Capture, &Capture),
    ) -> Store<State> {
        let mut wasi = WasiCtx::builder();
        wasi.stdout(stdout.clone()).stderr(stderr.clone()).envs(&grants.env).max_random_size(limits.random_bytes);
        wasi.allow_tcp(false).allow_udp(false).allow_ip_name_lookup(false);
        if let Some(first) = grants.dirs.first() {
            wasi.initial_cwd(first.path.to_string());
        }
        let mut table = wasmtime::component::ResourceTable::new();
        table.set_max_capacity(limits.host_resources);
        let state = State {
            table,
            wasi: wasi.build(),
            files: Files::new(grants),
            gate: grants.gate.clone(),
            denials: Denials::default(),
            meter: Meter::new(limits.clone(), started),
        };
        let mut store = Store::new(&self.engine().wasm, state);
        store.limiter(|state| &mut state.meter);
        store.set_hostcall_fuel(limits.host_call_bytes);
        store.set_max_component_handles(HANDLES);
        store.set_epoch_deadline(1);
        // At each tick: past the deadline the guest is stopped where it is, before it other tasks get their turn.
        store.epoch_deadline_callback(|store| {
            let late = Instant::now() >= store.data().meter.deadline;
            Ok(if late { UpdateDeadline::Interrupt } else { UpdateDeadline::Yield(1) })
        });
        store
    }
}

/// The value for the caller: of a `result` what its `ok` holds; its `err` is an error of the tool.
fn outcome(function: &Callable, results: &[Val]) -> Result<Value, CallError> {
    let Some((ty, value)) = function.ty.results().next().zip(results.first()) else { return Ok(Value::Null) };
    let write = |ty: Option<Type>, value: &Option<Box<Val>>| match ty.zip(value.as_deref()) {
        Some((ty, value)) => json::write(&ty, value).map_err(fault::unwritable),
        None => Ok(Value::Null),
    };
    match (&ty, value) {
        (Type::Result(result), Val::Result(Ok(value))) => write(result.ok(), value),
        (Type::Result(result), Val::Result(Err(value))) => Err(CallError::Guest(write(result.err(), value)?)),
        _ => json::write(&ty, value).map_err(fault::unwritable),
    }
}
