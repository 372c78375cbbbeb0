//! Reading a Messages request: how often the assistant has spoken, and the tool results since.

use serde::Deserialize;

use super::failure::ScriptFailure;

/// What the script needs of a request.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) spoken: usize,
    pub(super) results: Vec<ToolResult>,
    /// Everything that was said, called and answered, in order; a call as its tool and its arguments.
    pub(super) texts: Vec<String>,
    pub(super) stream: bool,
}

#[derive(Debug)]
pub(super) struct ToolResult {
    pub(super) id: String,
    pub(super) text: String,
    pub(super) is_error: bool,
}

#[derive(Deserialize)]
struct Body {
    messages: Vec<Message>,
    #[serde(default)]
    stream: bool,
}

#[derive(Deserialize)]
struct Message {
    role: String,
    content: Content,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Content {
    Text(String),
    Blocks(Vec<Block>),
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Block {
    ToolResult {
        tool_use_id: String,
        #[serde(default)]
        content: Option<Content>,
        #[serde(default)]
        is_error: Option<bool>,
    },
    ToolUse {
        name: String,
        #[serde(default)]
        input: serde_json::Value,
    },
    Text {
        text: String,
    },
    #[serde(other)]
    Other,
}

/// Reads a request's body. Source: platform.claude.com/docs/en/api/messages (November 2026).
pub(super) fn parse(body: &[u8]) -> Result<Request, ScriptFailure> {
    let body: Body =
        serde_json::from_slice(body).map_err(|error| ScriptFailure::Request { reason: error.to_string() })?;
    let mut request = Request { spoken: 0, results: Vec::new(), texts: Vec::new(), stream: body.stream };
    for message in body.messages {
        request.texts.extend(texts(&message.content));
        match message.role.as_str() {
            "assistant" => {
                request.spoken += 1;
                request.results.clear();
            }
            "user" => request.results.extend(results(message.content)),
            other => return Err(ScriptFailure::Request { reason: format!("a message has the role `{other}`") }),
        }
    }
    Ok(request)
}

fn texts(content: &Content) -> Vec<String> {
    let blocks = match content {
        Content::Text(text) => return vec![text.clone()],
        Content::Blocks(blocks) => blocks,
    };
    let said = |block: &Block| match block {
        Block::Text { text } => vec![text.clone()],
        Block::ToolUse { name, input } => vec![format!("{name} {input}")],
        Block::ToolResult { content, .. } => content.as_ref().map(texts).unwrap_or_default(),
        Block::Other => Vec::new(),
    };
    blocks.iter().flat_map(said).collect()
}

fn results(content: Content) -> Vec<ToolResult> {
    let Content::Blocks(blocks) = content else { return Vec::new() };
    let result = |block| match block {
        Block::ToolResult { tool_use_id, content, is_error } => Some(ToolResult {
            id: tool_use_id,
            text: content.map(text).unwrap_or_default(),
            is_error: is_error.unwrap_or(false),
        }),
        _ => None,
    };
    blocks.into_iter().filter_map(result).collect()
}

fn text(content: Content) -> String {
    match content {
        Content::Text(text) => text,
        Content::Blocks(blocks) => blocks
            .into_iter()
            .filter_map(|block| if let Block::Text { text } = block { Some(text) } else { None })
            .collect(),
    }
}
