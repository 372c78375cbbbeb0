//! What the file tools have in common: typed arguments, a thread for the verb, an end when the call is given up.

use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use serde::de::DeserializeOwned;
use serde_json::Value;
use stigmer_agent::{CallCtx, Repeat, Tool, ToolResult};
use stigmer_policy::JailPath;
use stigmer_sandbox::files::Stop;

use super::Place;

/// One file tool: its words, and a synchronous function that does it.
pub(super) struct FileTool<A> {
    pub(super) name: &'static str,
    pub(super) description: &'static str,
    pub(super) schema: Value,
    pub(super) repeat: Repeat,
    pub(super) place: Place,
    /// The argument that names what is changed.
    pub(super) writes: Option<&'static str>,
    pub(super) run: fn(&Place, A, Stop<'_>) -> ToolResult,
    pub(super) args: PhantomData<fn(A)>,
}

impl<A> FileTool<A> {
    fn key(&self, args: &Value) -> Option<JailPath> {
        self.place.path(args.get(self.writes?)?.as_str()?).ok()
    }
}

/// Raises its flag when it is dropped: the verb then ends at its next look.
struct Raised(Arc<AtomicBool>);

impl Drop for Raised {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[async_trait]
impl<A: DeserializeOwned + Send + 'static> Tool for FileTool<A> {
    fn name(&self) -> &str {
        self.name
    }

    fn description(&self) -> &str {
        self.description
    }

    fn input_schema(&self) -> &Value {
        &self.schema
    }

    fn repeat(&self) -> Repeat {
        self.repeat
    }

    fn writes(&self, args: &Value) -> Option<String> {
        self.key(args).map(|path| format!("file:{path}"))
    }

    async fn call(&self, _ctx: CallCtx, args: Value) -> ToolResult {
        let args: A = match serde_json::from_value(args) {
            Ok(args) => args,
            Err(error) => return ToolResult::error(format!("Error: {}: {error}", self.name)),
        };
        let flag = Raised(Arc::default());
        let (raised, place, run) = (Arc::clone(&flag.0), self.place.clone(), self.run);
        let done =
            tokio::task::spawn_blocking(move || run(&place, args, Stop { cancel: Some(&raised), deadline: None }));
        let result = done.await;
        drop(flag);
        match result {
            Ok(result) => result,
            // Told apart from a refusal: what was done until then is not known.
            Err(_) => ToolResult::error(format!("Error: {}: the tool failed by a fault of its own", self.name)),
        }
    }
}
