//! A skill in memory.

use std::str;

use crate::digest::Digest;
use crate::entry::Entry;
use crate::front_matter::{self, FrontMatter, FrontMatterError};
use crate::name::{NameError, SkillName};

/// The file that makes a folder a skill.
pub const SKILL_FILE: &str = "SKILL.md";
/// Lines of a body above which the specification advises to move parts into references.
pub const ADVISED_LINES: usize = 500;

/// A skill: its head, its body, its files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skill {
    name: SkillName,
    description: String,
    head: FrontMatter,
    body: String,
    entries: Vec<Entry>,
    folder: Option<String>,
}

/// Why entries are no skill.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SkillError {
    /// No `SKILL.md` at the top.
    #[error("there is no `SKILL.md`")]
    NoSkillFile,
    /// It is not UTF-8.
    #[error("`SKILL.md` is not UTF-8")]
    NotUtf8,
    /// Its head cannot be read.
    #[error(transparent)]
    Head(#[from] FrontMatterError),
    /// Without a description no model can know when to use it; even a lenient client skips it.
    #[error("the front matter has no `description`")]
    NoDescription,
    /// Neither the head nor the folder has a name that can be used.
    #[error("the skill has no usable name")]
    Name(#[source] NameError),
}

impl Skill {
    /// Makes a skill of entries sorted by path; `folder` is the name of the folder they come from, where there is one.
    ///
    /// Lenient: a name that differs from the folder's, unknown keys and too long texts are [`Skill::problems`], no errors.
    ///
    /// # Errors
    /// [`SkillError`].
    pub(crate) fn from_entries(entries: Vec<Entry>, folder: Option<&str>) -> Result<Self, SkillError> {
        let file = entries.iter().find(|entry| entry.path.as_str() == SKILL_FILE).ok_or(SkillError::NoSkillFile)?;
        let text = str::from_utf8(&file.content).map_err(|_| SkillError::NotUtf8)?;
        let (head, body) = front_matter::parse(text)?;
        let description = head.description.clone().filter(|text| !text.is_empty()).ok_or(SkillError::NoDescription)?;
        let name = match (SkillName::new(head.name.as_deref().unwrap_or_default()), folder) {
            (Ok(name), _) => name,
            (Err(_), Some(folder)) => SkillName::new(folder).map_err(SkillError::Name)?,
            (Err(error), None) => return Err(SkillError::Name(error)),
        };
        let body = body.to_owned();
        Ok(Skill { name, description, head, body, entries, folder: folder.map(str::to_owned) })
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &SkillName {
        &self.name
    }

    /// What it does and when to use it: what stands in the prompt. Written by a stranger.
    #[must_use]
    pub fn description(&self) -> &str {
        &self.description
    }

    /// The head as written.
    #[must_use]
    pub fn head(&self) -> &FrontMatter {
        &self.head
    }

    /// The instructions, without the head. Written by a stranger.
    #[must_use]
    pub fn body(&self) -> &str {
        &self.body
    }

    /// Its files, sorted by path.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Components that it brings: files `tools/NAME.wasm`.
    pub fn tools(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(|entry| {
            let name = entry.path.as_str().strip_prefix("tools/").and_then(|name| name.strip_suffix(".wasm"));
            name.is_some_and(|name| !name.is_empty() && !name.contains('/'))
        })
    }

    /// What identifies its content.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(&self.entries)
    }

    /// Everything that a strict reading of the specification objects to; empty when it is in order.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        let mut found = self.head.problems();
        if let Some(folder) = &self.folder
            && self.head.name.as_ref().is_some_and(|name| name != folder)
        {
            found.push(format!(
                "the folder is called `{}`, the skill `{}`",
                crate::entry::shown(folder.as_bytes()),
                self.name
            ));
        }
        let lines = self.body.lines().count();
        if lines > ADVISED_LINES {
            found.push(format!("the body has {lines} lines, at most {ADVISED_LINES} are advised"));
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::EntryPath;

    fn entry(path: &str, content: &[u8]) -> Entry {
        Entry { path: EntryPath::new(path.as_bytes()).unwrap(), executable: false, content: content.to_vec() }
    }

    fn skill(text: &str, folder: Option<&str>) -> Result<Skill, SkillError> {
        Skill::from_entries(vec![entry(SKILL_FILE, text.as_bytes())], folder)
    }

    #[test]
    fn lenient_where_the_specification_allows() {
        let good = "---\nname: a\ndescription: d\n---\nbody";
        let found = skill(good, Some("a")).unwrap();
        assert_eq!((found.name().as_str(), found.description(), found.body()), ("a", "d", "body"));
        assert_eq!(found.problems(), Vec::<String>::new());
        assert_eq!(skill(good, Some("b")).unwrap().problems(), ["the folder is called `b`, the skill `a`"]);
        let unnamed = skill("---\ndescription: d\n---\n", Some("a")).unwrap();
        assert_eq!((unnamed.name().as_str(), unnamed.problems()), ("a", vec!["`name` is missing".to_owned()]));
        let long = |n: usize| skill(&format!("{good}{}", "\nx".repeat(n - 1)), None).unwrap().problems().len();
        assert_eq!((long(ADVISED_LINES), long(ADVISED_LINES + 1)), (0, 1));
    }

    #[test]
    fn what_is_no_skill() {
        assert_eq!(Skill::from_entries(vec![entry("docs/SKILL.md", b"")], None).unwrap_err(), SkillError::NoSkillFile);
        assert_eq!(Skill::from_entries(vec![entry(SKILL_FILE, b"\xff")], None).unwrap_err(), SkillError::NotUtf8);
        assert_eq!(skill("---\nname: a\n---\n", None).unwrap_err(), SkillError::NoDescription);
        assert!(matches!(skill("no head", None), Err(SkillError::Head(FrontMatterError::Missing))));
        for folder in [None, Some("../x")] {
            assert!(matches!(skill("---\nname: ../x\ndescription: d\n---\n", folder), Err(SkillError::Name(_))));
        }
    }

    #[test]
    fn tools_are_components_in_tools_only() {
        let paths = ["SKILL.md", "tools/a.wasm", "tools/.wasm", "tools/b.txt", "tools/x/c.wasm", "d.wasm"];
        let entries = paths.iter().map(|path| entry(path, b"---\nname: a\ndescription: d\n---\n")).collect();
        let skill = Skill::from_entries(entries, None).unwrap();
        assert_eq!(skill.tools().map(|tool| tool.path.as_str()).collect::<Vec<_>>(), ["tools/a.wasm"]);
    }
}
