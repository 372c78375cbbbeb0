//! Tools for the tests.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use futures::future::BoxFuture;
use serde_json::{Value, json};

use crate::tool::{CallCtx, Repeat, Tool, ToolResult};

type Answer = dyn Fn(CallCtx, Value) -> BoxFuture<'static, ToolResult> + Send + Sync;

/// A tool that does what a closure says, and remembers the calls that it was started for.
#[derive(Clone)]
pub(crate) struct Answering {
    name: &'static str,
    schema: Value,
    answer: Arc<Answer>,
    pub(crate) repeat: Repeat,
    /// The argument that names what is written.
    pub(crate) key: Option<&'static str>,
    pub(crate) calls: Arc<Mutex<Vec<String>>>,
}

/// A tool that answers with what the closure gives.
pub(crate) fn answer<F>(name: &'static str, run: impl Fn(CallCtx, Value) -> F + Send + Sync + 'static) -> Answering
where
    F: Future<Output = ToolResult> + Send + 'static,
{
    Answering {
        name,
        schema: json!({ "type": "object" }),
        answer: Arc::new(move |ctx, args| Box::pin(run(ctx, args))),
        repeat: Repeat::Never,
        key: None,
        calls: Arc::default(),
    }
}

/// A tool that answers with its arguments.
pub(crate) fn echo() -> Answering {
    answer("echo", |_, args| async move { ToolResult::ok(args.to_string()) })
}

#[async_trait]
impl Tool for Answering {
    fn name(&self) -> &str {
        self.name
    }
    fn description(&self) -> &str {
        "for tests"
    }
    fn input_schema(&self) -> &Value {
        &self.schema
    }
    fn repeat(&self) -> Repeat {
        self.repeat
    }
    fn writes(&self, args: &Value) -> Option<String> {
        args[self.key?].as_str().map(str::to_owned)
    }
    async fn call(&self, ctx: CallCtx, args: Value) -> ToolResult {
        self.calls.lock().unwrap().push(ctx.call.to_string());
        (self.answer)(ctx, args).await
    }
}
