//! One JSON object a line, its keys the columns.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::record::{Record, check_columns};
use super::{Input, sniff};
use crate::error::{Error, MAX_RECORD_BYTES};

pub(super) struct JsonLines {
    input: Input,
    pub(super) columns: Vec<String>,
    /// Per column: whether a record that was read had it.
    pub(super) seen: Vec<bool>,
    places: HashMap<String, usize>,
    /// Lines read, empty ones too.
    number: u64,
}

impl JsonLines {
    pub(super) fn new(mut input: Input) -> Self {
        if input.waiting().starts_with(sniff::BOM) {
            input.consume(sniff::BOM.len());
        }
        JsonLines { input, columns: Vec::new(), seen: Vec::new(), places: HashMap::new(), number: 0 }
    }

    pub(super) fn reserve(&mut self, name: &str) -> Result<usize, Error> {
        if let Some(place) = self.places.get(name) {
            return Ok(*place);
        }
        check_columns(self.columns.len() + 1)?;
        let place = self.columns.len();
        self.columns.push(name.to_owned());
        self.seen.push(false);
        self.places.insert(name.to_owned(), place);
        Ok(place)
    }

    pub(super) fn next(&mut self, row: u64, record: &mut Record) -> Result<bool, Error> {
        loop {
            let Some(length) = self.line()? else { return Ok(false) };
            let line = self.input.waiting()[..length].trim_ascii().to_vec();
            self.input.consume((length + 1).min(self.input.waiting().len()));
            self.number += 1;
            let number = self.number;
            if line.is_empty() {
                continue;
            }
            let malformed = |error: serde_json::Error| Error::Malformed { row, reason: unreadable(number, &error) };
            let object: Object<'_> = serde_json::from_slice(&line).map_err(malformed)?;
            record.reset(self.columns.len());
            for (key, value) in object.0 {
                let place = self.reserve(&key)?;
                self.seen[place] = true;
                match value.get().as_bytes().first() {
                    Some(b'n') => record.set(place, ""),
                    Some(b'"') => {
                        record.set(place, &serde_json::from_str::<Cow<'_, str>>(value.get()).map_err(malformed)?);
                    }
                    _ => record.set(place, value.get()),
                }
            }
            return Ok(true);
        }
    }

    /// Length of the next line without its newline; `None` at the end of the file.
    fn line(&mut self) -> Result<Option<usize>, Error> {
        let mut searched = 0;
        loop {
            let waiting = self.input.waiting();
            if let Some(at) = waiting[searched..].iter().position(|byte| *byte == b'\n') {
                return Ok(Some(searched + at));
            }
            searched = waiting.len();
            if searched > MAX_RECORD_BYTES {
                return Err(Error::limit("record-bytes", MAX_RECORD_BYTES));
            }
            if !self.input.fill()? {
                return Ok((searched > 0).then_some(searched));
            }
        }
    }
}

/// What is wrong with a line: `number` counts all lines of the file, empty ones too, as an editor does.
fn unreadable(number: u64, error: &serde_json::Error) -> String {
    let text = error.to_string();
    // The parser saw one line only, so it calls each the first.
    let reason = text.split(" at line ").next().unwrap_or(&text);
    format!("line {number} of the file, column {}, is not a JSON object: {reason}", error.column())
}

/// An object's members in order, values untouched: numbers keep their digits, nested values their text.
struct Object<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de> Deserialize<'de> for Object<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Object<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Object(members))
            }
        }
        deserializer.deserialize_map(Members)
    }
}
