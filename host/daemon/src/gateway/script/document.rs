//! A script as written, and its check.

use std::collections::{BTreeMap, BTreeSet};

use regex::Regex;
use serde::Deserialize;
use serde_json::Value;

use super::SCRIPT_BYTES;
use super::fill::{self, FillError};

/// Largest compiled `matches`, in bytes.
const REGEX_BYTES: usize = 1 << 20;

/// Why a text is no script.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScriptError {
    /// More than [`SCRIPT_BYTES`].
    #[error("the script is longer than {SCRIPT_BYTES} bytes")]
    TooLong,
    /// Not TOML, or a key that scripts do not have.
    #[error("the script cannot be read")]
    Toml(#[from] toml::de::Error),
    /// No turn.
    #[error("the script has no turn")]
    Empty,
    /// A turn that cannot be played.
    #[error("turn {turn} of the script cannot be played")]
    Turn {
        /// From 1.
        turn: usize,
        /// Why.
        source: TurnError,
    },
}

/// Why a turn cannot be played.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TurnError {
    /// Neither text nor call.
    #[error("it has neither `text` nor `call`")]
    Nothing,
    /// It calls tools and is the last.
    #[error("it calls tools, so a turn that expects their results must follow")]
    Last,
    /// A call's result that nothing looks at.
    #[error("nothing is expected of the result of call `{call}` of the turn before")]
    Unexpected {
        /// The call.
        call: String,
    },
    /// An expectation without a call.
    #[error("the turn before has no call `{call}`")]
    UnknownCall {
        /// As it was written.
        call: String,
    },
    /// An expectation that expects nothing.
    #[error("the expectation on call `{call}` has none of `equals`, `contains`, `matches`, `json`")]
    NoCheck {
        /// The call.
        call: String,
    },
    /// An id twice, or one that model APIs do not accept.
    #[error("the id `{id}` of a call is used twice or has other characters than letters, digits, `_`, `-`")]
    Id {
        /// The id.
        id: String,
    },
    /// A pattern that is none.
    #[error("the `matches` of call `{call}` is no regular expression")]
    Pattern {
        /// The call.
        call: String,
        /// Why.
        source: Box<regex::Error>,
    },
    /// A JSON pointer that is none.
    #[error("`{pointer}` is no JSON pointer: it begins with `/`, or is empty for the whole result")]
    Pointer {
        /// As it was written.
        pointer: String,
    },
    /// A text that every request holds.
    #[error("an empty text in `sees` looks at nothing")]
    SeesNothing,
    /// A placeholder without a value.
    #[error(transparent)]
    Fill(#[from] FillError),
}

impl ScriptError {
    /// What a person can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            ScriptError::Turn { source: TurnError::Unexpected { call }, turn } => {
                Some(format!("add to turn {turn}: [[turn.expect]] call = \"{call}\", contains = \"…\""))
            }
            ScriptError::Turn { source: TurnError::Fill(_), .. } => Some("write `$${` for a literal `${`".to_owned()),
            _ => Some("the format is described in docs/scripted-model.md".to_owned()),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(default)]
    turn: Vec<TurnDocument>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TurnDocument {
    text: Option<String>,
    #[serde(default)]
    sees: Vec<String>,
    #[serde(default)]
    call: Vec<CallDocument>,
    #[serde(default)]
    expect: Vec<ExpectDocument>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CallDocument {
    tool: String,
    id: Option<String>,
    #[serde(default)]
    args: toml::Table,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExpectDocument {
    call: String,
    equals: Option<String>,
    contains: Option<OneOrMany>,
    matches: Option<String>,
    #[serde(default)]
    is_error: bool,
    #[serde(default)]
    json: BTreeMap<String, toml::Value>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

/// One turn, checked.
#[derive(Debug)]
pub(super) struct Turn {
    pub(super) text: String,
    /// Texts that the request must hold, in this order.
    pub(super) sees: Vec<String>,
    pub(super) calls: Vec<Call>,
    pub(super) expects: Vec<Expect>,
}

#[derive(Debug)]
pub(super) struct Call {
    pub(super) id: String,
    pub(super) tool: String,
    pub(super) args: Value,
}

/// What is expected of one result. The call's tool stands here for messages.
#[derive(Debug)]
pub(super) struct Expect {
    pub(super) id: String,
    pub(super) tool: String,
    pub(super) is_error: bool,
    pub(super) checks: Vec<Check>,
}

#[derive(Debug)]
pub(super) enum Check {
    Equals(String),
    Contains(String),
    Matches(Regex),
    Json { pointer: String, value: Value },
}

pub(super) fn parse(text: &str, places: &BTreeMap<String, String>) -> Result<Vec<Turn>, ScriptError> {
    if text.len() > SCRIPT_BYTES {
        return Err(ScriptError::TooLong);
    }
    let document: Document = toml::from_str(text)?;
    if document.turn.is_empty() {
        return Err(ScriptError::Empty);
    }
    let (last, mut ids) = (document.turn.len(), BTreeSet::new());
    let mut turns: Vec<Turn> = Vec::new();
    for (index, turn) in document.turn.into_iter().enumerate() {
        let number = index + 1;
        let before = turns.last().map_or(&[][..], |turn| &turn.calls);
        let checked = check(turn, number, before, places, &mut ids)
            .and_then(|turn| if number == last && !turn.calls.is_empty() { Err(TurnError::Last) } else { Ok(turn) })
            .map_err(|source| ScriptError::Turn { turn: number, source })?;
        turns.push(checked);
    }
    Ok(turns)
}

fn check(
    turn: TurnDocument,
    number: usize,
    before: &[Call],
    places: &BTreeMap<String, String>,
    ids: &mut BTreeSet<String>,
) -> Result<Turn, TurnError> {
    let text = fill::text(turn.text.as_deref().unwrap_or_default(), places)?;
    if text.is_empty() && turn.call.is_empty() {
        return Err(TurnError::Nothing);
    }
    let sees = turn.sees.iter().map(|text| fill::text(text, places)).collect::<Result<Vec<_>, _>>()?;
    if sees.iter().any(String::is_empty) {
        return Err(TurnError::SeesNothing);
    }
    let mut calls = Vec::new();
    for (index, call) in turn.call.into_iter().enumerate() {
        let id = call.id.unwrap_or_else(|| format!("call_{number}_{}", index + 1));
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        if id.is_empty() || !id.bytes().all(legal) || !ids.insert(id.clone()) {
            return Err(TurnError::Id { id });
        }
        let args = fill::value(json(toml::Value::Table(call.args)), places)?;
        calls.push(Call { id, tool: call.tool, args });
    }
    let expects: Vec<Expect> =
        turn.expect.into_iter().map(|it| expectation(it, before, places)).collect::<Result<_, _>>()?;
    match before.iter().find(|call| expects.iter().all(|expect| expect.id != call.id)) {
        Some(call) => Err(TurnError::Unexpected { call: call.id.clone() }),
        None => Ok(Turn { text, sees, calls, expects }),
    }
}

/// An expectation names a call by its id, or by its tool where that was called once.
fn expectation(
    expect: ExpectDocument,
    before: &[Call],
    places: &BTreeMap<String, String>,
) -> Result<Expect, TurnError> {
    let by_tool = || {
        let mut found = before.iter().filter(|call| call.tool == expect.call);
        found.next().filter(|_| found.next().is_none())
    };
    let call = before
        .iter()
        .find(|call| call.id == expect.call)
        .or_else(by_tool)
        .ok_or_else(|| TurnError::UnknownCall { call: expect.call.clone() })?;
    let mut checks = Vec::new();
    if let Some(text) = expect.equals {
        checks.push(Check::Equals(fill::text(&text, places)?));
    }
    for text in match expect.contains {
        None => Vec::new(),
        Some(OneOrMany::One(text)) => vec![text],
        Some(OneOrMany::Many(texts)) => texts,
    } {
        // An empty text is contained in everything and looks at nothing.
        if !text.is_empty() {
            checks.push(Check::Contains(fill::text(&text, places)?));
        }
    }
    if let Some(pattern) = expect.matches {
        let pattern = fill::pattern(&pattern, places)?;
        let built = regex::RegexBuilder::new(&pattern).size_limit(REGEX_BYTES).build();
        checks.push(Check::Matches(
            built.map_err(|source| TurnError::Pattern { call: call.id.clone(), source: Box::new(source) })?,
        ));
    }
    for (pointer, value) in expect.json {
        if !pointer.is_empty() && !pointer.starts_with('/') {
            return Err(TurnError::Pointer { pointer });
        }
        checks.push(Check::Json { pointer, value: fill::value(json(value), places)? });
    }
    if checks.is_empty() {
        return Err(TurnError::NoCheck { call: call.id.clone() });
    }
    Ok(Expect { id: call.id.clone(), tool: call.tool.clone(), is_error: expect.is_error, checks })
}

/// TOML as JSON; a date becomes its text.
fn json(value: toml::Value) -> Value {
    match value {
        toml::Value::String(text) => Value::String(text),
        toml::Value::Integer(number) => Value::from(number),
        toml::Value::Float(number) => serde_json::Number::from_f64(number).map_or(Value::Null, Value::Number),
        toml::Value::Boolean(truth) => Value::Bool(truth),
        toml::Value::Datetime(date) => Value::String(date.to_string()),
        toml::Value::Array(items) => Value::Array(items.into_iter().map(json).collect()),
        toml::Value::Table(table) => Value::Object(table.into_iter().map(|(key, value)| (key, json(value))).collect()),
    }
}
