//! The tools of one execution, checked once.

use std::collections::HashMap;
use std::sync::Arc;

use crate::model::ToolSpec;
use crate::tool::Tool;

/// Longest name that every provider takes.
pub const TOOL_NAME_BYTES: usize = 64;

/// Tools in the order in which the model is told of them. The order is the caller's and never changes.
#[derive(Clone, Default)]
pub struct ToolSet {
    tools: Vec<Arc<dyn Tool>>,
    places: HashMap<String, usize>,
    specs: Vec<ToolSpec>,
}

/// Why tools are not a set that a model can be given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ToolSetError {
    /// Model APIs do not take this name.
    #[error("`{0}` is no tool name: 1 to 64 of letters, digits, `_` and `-`")]
    Name(String),
    /// Two tools with one name.
    #[error("two tools are called `{0}`")]
    Twice(String),
    /// The schema is not one of an object.
    #[error("the schema of tool `{0}` is not that of an object")]
    Schema(String),
}

impl ToolSet {
    /// Checks names and schemas.
    ///
    /// # Errors
    /// [`ToolSetError`] for the first tool that is not fit.
    pub fn new(tools: Vec<Arc<dyn Tool>>) -> Result<Self, ToolSetError> {
        let mut set = ToolSet::default();
        for tool in tools {
            let name = tool.name().to_owned();
            let letters = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
            if name.is_empty() || name.len() > TOOL_NAME_BYTES || !letters {
                return Err(ToolSetError::Name(name));
            }
            if tool.input_schema()["type"] != "object" {
                return Err(ToolSetError::Schema(name));
            }
            if set.places.insert(name.clone(), set.tools.len()).is_some() {
                return Err(ToolSetError::Twice(name));
            }
            set.specs.push(ToolSpec {
                name,
                description: tool.description().to_owned(),
                input_schema: tool.input_schema().clone(),
            });
            set.tools.push(tool);
        }
        Ok(set)
    }

    /// The tool of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Arc<dyn Tool>> {
        self.places.get(name).map(|place| &self.tools[*place])
    }

    /// Names in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.specs.iter().map(|spec| spec.name.as_str())
    }

    /// As the model is told.
    #[must_use]
    pub fn specs(&self) -> &[ToolSpec] {
        &self.specs
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::tool::{CallCtx, ToolResult};

    struct Named(String, Value);

    #[async_trait::async_trait]
    impl Tool for Named {
        fn name(&self) -> &str {
            &self.0
        }
        fn description(&self) -> &str {
            ""
        }
        fn input_schema(&self) -> &Value {
            &self.1
        }
        async fn call(&self, _: CallCtx, _: Value) -> ToolResult {
            ToolResult::ok("")
        }
    }

    fn set(names: &[&str], schema: Value) -> Result<Vec<String>, ToolSetError> {
        let tools = names.iter().map(|name| Arc::new(Named((*name).to_owned(), schema.clone())) as Arc<dyn Tool>);
        ToolSet::new(tools.collect()).map(|set| set.names().map(str::to_owned).collect())
    }

    #[test]
    fn names_at_the_bound_pass_and_one_letter_more_does_not() {
        let object = json!({ "type": "object" });
        let long = "n".repeat(TOOL_NAME_BYTES);
        assert_eq!(set(&["ls", "a-b_C9", &long], object.clone()).unwrap(), ["ls", "a-b_C9", &long]);
        for name in ["", "a.b", "a b", "é", "a/b", &format!("{long}n")] {
            assert_eq!(set(&[name], object.clone()), Err(ToolSetError::Name(name.to_owned())));
        }
        assert_eq!(set(&["ls", "ls"], object), Err(ToolSetError::Twice("ls".to_owned())));
        assert_eq!(set(&["ls"], json!({ "type": "string" })), Err(ToolSetError::Schema("ls".to_owned())));
    }
}
