//! The head of a `SKILL.md`: YAML between two lines of three hyphens.

use std::collections::BTreeMap;

use saphyr_parser::{Event, Parser};

/// Most bytes of a head; the specification's own limits stay far below.
pub const MAX_HEAD: usize = 64 << 10;
/// Most characters of a description (specification, "description field").
pub const MAX_DESCRIPTION: usize = 1_024;
/// Most characters of a compatibility note.
pub const MAX_COMPATIBILITY: usize = 500;

/// The head as written, every value a text; lenient about what is missing, [`FrontMatter::problems`] is not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FrontMatter {
    /// What the skill calls itself.
    pub name: Option<String>,
    /// What it does and when to use it.
    pub description: Option<String>,
    /// Licence name or file.
    pub license: Option<String>,
    /// What it needs of its surroundings.
    pub compatibility: Option<String>,
    /// Free keys.
    pub metadata: BTreeMap<String, String>,
    /// Tools it would like to be pre-approved, as one text. Shown; it grants nothing.
    pub allowed_tools: Option<String>,
    /// What the reader forgave, in words.
    pub warnings: Vec<String>,
}

/// Why a head cannot be read at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrontMatterError {
    /// The file does not begin with `---`, or a second one never comes.
    #[error("`SKILL.md` has no front matter between two lines of `---`")]
    Missing,
    /// More than [`MAX_HEAD`] bytes.
    #[error("the front matter is longer than {MAX_HEAD} bytes")]
    TooLong,
    /// Not the YAML that a head may be.
    #[error("the front matter is not flat YAML: {0}")]
    Yaml(String),
}

/// Parts a `SKILL.md` into its head and its body.
///
/// # Errors
/// [`FrontMatterError`].
pub fn parse(text: &str) -> Result<(FrontMatter, &str), FrontMatterError> {
    let (head, body) = split(text)?;
    if head.len() > MAX_HEAD {
        return Err(FrontMatterError::TooLong);
    }
    match read(head) {
        Ok(found) => Ok((found, body)),
        // Many skills in the wild have an unquoted colon in the description; the client guide asks to try again.
        Err(error) => match read(&quote_values(head)) {
            Ok(mut found) => {
                found.warnings.push("values with a colon should be quoted".to_owned());
                Ok((found, body))
            }
            Err(_) => Err(error),
        },
    }
}

fn split(text: &str) -> Result<(&str, &str), FrontMatterError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let rest = text.strip_prefix("---").ok_or(FrontMatterError::Missing)?;
    let rest = rest.strip_prefix('\n').or_else(|| rest.strip_prefix("\r\n")).ok_or(FrontMatterError::Missing)?;
    let mut at = 0;
    for line in rest.split_inclusive('\n') {
        if line.trim_end() == "---" {
            return Ok((&rest[..at], &rest[at + line.len()..]));
        }
        at += line.len();
    }
    Err(FrontMatterError::Missing)
}

/// Puts the values of top-level `key: value` lines that hold a second `: ` in single quotes.
fn quote_values(head: &str) -> String {
    let quote = |line: &str| match line.split_once(": ") {
        Some((key, value)) if !key.starts_with([' ', '\t', '#']) && value.contains(": ") => {
            format!("{key}: '{}'\n", value.trim().replace('\'', "''"))
        }
        _ => format!("{line}\n"),
    };
    head.lines().map(quote).collect()
}

fn read(head: &str) -> Result<FrontMatter, FrontMatterError> {
    let mut events = Events(Parser::new_from_str(head));
    let mut found = FrontMatter::default();
    match events.next()? {
        Event::MappingStart(0, None) => {}
        Event::StreamEnd => return Ok(found),
        _ => return Err(yaml("it is not a mapping of keys to values")),
    }
    let mut seen = Vec::new();
    while let Some(key) = events.key()? {
        if seen.contains(&key) {
            return Err(yaml(&format!("key `{key}` stands twice")));
        }
        if key == "metadata" {
            found.metadata = events.metadata()?;
        } else if let Some(field) = found.field(&key) {
            *field = events.text_or_list()?;
        } else {
            events.skip_value()?;
            found.warnings.push(format!("unknown key `{key}`"));
        }
        seen.push(key);
    }
    match events.next()? {
        Event::StreamEnd => Ok(found),
        _ => Err(yaml("it holds a second document")),
    }
}

impl FrontMatter {
    fn field(&mut self, key: &str) -> Option<&mut Option<String>> {
        match key {
            "name" => Some(&mut self.name),
            "description" => Some(&mut self.description),
            "license" => Some(&mut self.license),
            "compatibility" => Some(&mut self.compatibility),
            "allowed-tools" => Some(&mut self.allowed_tools),
            _ => None,
        }
    }

    /// Everything that a strict reading of the specification objects to, warnings included.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        let mut found = self.warnings.clone();
        match &self.name {
            None => found.push("`name` is missing".to_owned()),
            Some(name) => found.extend(crate::name::SkillName::new(name).err().map(|error| error.to_string())),
        }
        let length = |text: &Option<String>| text.as_ref().map_or(0, |text| text.chars().count());
        match length(&self.description) {
            0 => found.push("`description` is missing or empty".to_owned()),
            n if n > MAX_DESCRIPTION => {
                found.push(format!("`description` has {n} characters, at most {MAX_DESCRIPTION}"))
            }
            _ => {}
        }
        if self.compatibility.as_deref() == Some("") || length(&self.compatibility) > MAX_COMPATIBILITY {
            found.push(format!(
                "`compatibility` has {} characters, 1 to {MAX_COMPATIBILITY}",
                length(&self.compatibility)
            ));
        }
        found
    }
}

/// YAML's events with everything refused that a flat head does not need: aliases, anchors, tags, nesting.
struct Events<'a>(Parser<'a, saphyr_parser::StrInput<'a>>);

impl<'a> Events<'a> {
    fn next(&mut self) -> Result<Event<'a>, FrontMatterError> {
        loop {
            match self.0.next_event() {
                None => return Err(yaml("it ends early")),
                Some(Err(error)) => return Err(yaml(&error.to_string())),
                Some(Ok((Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd | Event::Nothing, _))) => {}
                Some(Ok((event, _))) => return Ok(event),
            }
        }
    }

    /// The next key of the mapping, `None` at its end.
    fn key(&mut self) -> Result<Option<String>, FrontMatterError> {
        match self.next()? {
            Event::MappingEnd => Ok(None),
            Event::Scalar(text, _, 0, None) => Ok(Some(text.into_owned())),
            _ => Err(yaml("a key is not plain text")),
        }
    }

    fn text(&mut self) -> Result<String, FrontMatterError> {
        match self.next()? {
            Event::Scalar(text, _, 0, None) => Ok(text.into_owned()),
            _ => Err(yaml("a value is not plain text")),
        }
    }

    /// A text, or a list of texts joined by spaces, as older skills write `allowed-tools`.
    fn text_or_list(&mut self) -> Result<Option<String>, FrontMatterError> {
        match self.next()? {
            Event::Scalar(text, _, 0, None) => Ok(Some(text.trim().to_owned())),
            Event::SequenceStart(0, None) => {
                let mut words = Vec::new();
                loop {
                    match self.next()? {
                        Event::SequenceEnd => return Ok(Some(words.join(" "))),
                        Event::Scalar(text, _, 0, None) => words.push(text.into_owned()),
                        _ => return Err(yaml("a list holds more than plain text")),
                    }
                }
            }
            _ => Err(yaml("a value is not plain text")),
        }
    }

    fn metadata(&mut self) -> Result<BTreeMap<String, String>, FrontMatterError> {
        match self.next()? {
            Event::MappingStart(0, None) => {}
            _ => return Err(yaml("`metadata` is not a mapping")),
        }
        let mut found = BTreeMap::new();
        while let Some(key) = self.key()? {
            let value = self.text()?;
            if found.insert(key.clone(), value).is_some() {
                return Err(yaml(&format!("key `{key}` stands twice in `metadata`")));
            }
        }
        Ok(found)
    }

    /// Reads over a value of any shape: keys that we do not know are other clients' business.
    fn skip_value(&mut self) -> Result<(), FrontMatterError> {
        let mut depth = 0_usize;
        loop {
            match self.next()? {
                Event::MappingStart(..) | Event::SequenceStart(..) => depth += 1,
                Event::MappingEnd | Event::SequenceEnd => depth -= 1,
                Event::StreamEnd => return Err(yaml("it ends early")),
                _ => {}
            }
            if depth == 0 {
                return Ok(());
            }
        }
    }
}

fn yaml(why: &str) -> FrontMatterError {
    FrontMatterError::Yaml(why.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(text: &str) -> Result<FrontMatter, FrontMatterError> {
        parse(&format!("---\n{text}\n---\nbody\n")).map(|(found, body)| {
            assert_eq!(body, "body\n");
            found
        })
    }

    #[test]
    fn reads_every_field() {
        let found = head(
            "name: table\ndescription: >-\n  Two\n  lines.\nlicense: \"MIT\"\ncompatibility: any\n\
             allowed-tools: Bash(git:*) Read\nmetadata:\n  a.b: '1'\n  c: 2",
        )
        .unwrap();
        assert_eq!(found.name.as_deref(), Some("table"));
        assert_eq!(found.description.as_deref(), Some("Two lines."));
        assert_eq!(found.license.as_deref(), Some("MIT"));
        assert_eq!(found.allowed_tools.as_deref(), Some("Bash(git:*) Read"));
        assert_eq!(found.metadata.get("c").map(String::as_str), Some("2"));
        assert_eq!(found.problems(), Vec::<String>::new());
    }

    #[test]
    fn forgives_and_says_so() {
        let found =
            head("name: a\ndescription: Use when: the user asks: it's time\nversion: {x: [1, {y: 2}]}").unwrap();
        assert_eq!(found.description.as_deref(), Some("Use when: the user asks: it's time"));
        assert_eq!(found.problems(), ["unknown key `version`", "values with a colon should be quoted"]);
        assert_eq!(head("allowed-tools: [Read, Write]").unwrap().allowed_tools.as_deref(), Some("Read Write"));
        let (found, body) = parse("\u{feff}---\r\nname: a\r\ndescription: b\r\n---\r\nx").unwrap();
        assert_eq!((found.description.as_deref(), body), (Some("b"), "x"));
    }

    #[test]
    fn strict_reading_objects() {
        let problem = |text: &str| head(text).unwrap().problems().join("; ");
        assert_eq!(problem("description: x"), "`name` is missing");
        assert!(problem("name: A\ndescription: x").contains("no skill name"));
        assert!(problem("name: a\ndescription: ''").contains("`description` is missing"));
        let describe = |n: usize| problem(&format!("name: a\ndescription: {}", "ä".repeat(n)));
        assert_eq!(describe(MAX_DESCRIPTION), "");
        assert!(describe(MAX_DESCRIPTION + 1).contains("1025 characters"));
        let compatible = |n: usize| problem(&format!("name: a\ndescription: b\ncompatibility: {}", "x".repeat(n)));
        assert_eq!(compatible(MAX_COMPATIBILITY), "");
        assert!(compatible(MAX_COMPATIBILITY + 1).contains("501 characters"));
    }

    #[test]
    fn what_is_no_head_is_refused() {
        for text in ["", "name: a", "---\nname: a\n", "--- name: a\n---\n", "----\nname: a\n---\n"] {
            assert_eq!(parse(text).unwrap_err(), FrontMatterError::Missing, "{text:?}");
        }
        let anchors = "a: &x [1]\nname: *x";
        for text in
            ["- a", "name: [a, [b]]", "name: {a}", "name: a\nname: b", "metadata: x", "name: !!str a", anchors, "a: {"]
        {
            assert!(matches!(head(text), Err(FrontMatterError::Yaml(_))), "{text:?}");
        }
        let long = |n: usize| parse(&format!("---\n#{}\n---\n", "x".repeat(n - 2))).map(|_| ());
        assert_eq!(long(MAX_HEAD), Ok(()));
        assert_eq!(long(MAX_HEAD + 1), Err(FrontMatterError::TooLong));
    }
}
