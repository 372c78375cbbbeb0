//! `edit`: exact text replaced in a file, whatever else happens to it meanwhile.

use std::io::{self, Read};

use stigmer_policy::JailPath;

use super::change::Change;
use super::fault::{PathFault, shown, verb_error};
use super::node;
use super::put::{Goal, PutError};
use super::resolve::{Last, resolve_write};
use super::roots::Roots;

/// Largest file that is edited, before and after, in bytes: two copies are in memory.
pub const MAX_EDIT_BYTES: u64 = 16 << 20;

/// How often an edit starts over when the file changed under it.
const TRIES: usize = 4;

/// Line numbers that [`EditError::NotUnique`] names.
const NAMED_LINES: usize = 10;

/// One replacement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edit<'a> {
    /// The text to replace, exactly as it stands in the file.
    pub old: &'a str,
    /// What takes its place.
    pub new: &'a str,
    /// Replace every occurrence; without it there must be exactly one.
    pub all: bool,
}

/// An edited file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edited {
    /// The change, for the record.
    pub change: Change,
    /// How many occurrences were replaced.
    pub replaced: usize,
    /// The content before, for a diff.
    pub before: Vec<u8>,
    /// The content after.
    pub after: Vec<u8>,
}

/// Why nothing was edited.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EditError {
    /// The place could not be reached, or the file kept changing.
    #[error(transparent)]
    Path(#[from] PathFault),
    /// The text to replace is empty.
    #[error("the text to replace in `{}` is empty", shown(path))]
    EmptyOld {
        /// The path.
        path: JailPath,
    },
    /// Old and new text are the same.
    #[error("the old and the new text for `{}` are the same", shown(path))]
    Same {
        /// The path.
        path: JailPath,
    },
    /// The text does not occur.
    #[error("the text to replace does not occur in `{}`", shown(path))]
    NoMatch {
        /// The path.
        path: JailPath,
        /// Line, counted from 1, that holds the first line of the text apart from white space.
        near: Option<usize>,
    },
    /// The text occurs more than once.
    #[error("the text to replace occurs {count} times in `{}`", shown(path))]
    NotUnique {
        /// The path.
        path: JailPath,
        /// How often.
        count: usize,
        /// Lines that it begins in, counted from 1; the first ten.
        lines: Vec<usize>,
    },
    /// Larger than [`MAX_EDIT_BYTES`], before or after.
    #[error("`{}` is larger than {limit} bytes", shown(path))]
    TooLarge {
        /// The path.
        path: JailPath,
        /// The limit, in bytes.
        limit: u64,
    },
    /// The new content could not be written.
    #[error(transparent)]
    Put(PutError),
}

impl From<PutError> for EditError {
    fn from(error: PutError) -> Self {
        match error {
            PutError::Path(fault) => EditError::Path(fault),
            PutError::TooLarge { path, limit } => EditError::TooLarge { path, limit },
            error => EditError::Put(error),
        }
    }
}

verb_error!(EditError,
    case {
        Self::EmptyOld { .. } => "empty-old-text",
        Self::Same { .. } => "same-text",
        Self::NoMatch { .. } => "no-match",
        Self::NotUnique { .. } => "not-unique",
        Self::TooLarge { .. } => "too-large",
        Self::Put(_) => "not-written",
    }
    hint {
        Self::NoMatch { near: Some(line), .. } => {
            Some(format!("line {line} is like where the text begins; white space or what follows differs"))
        },
        Self::NoMatch { near: None, .. } => Some("read the file again; it may have changed".to_owned()),
        Self::NotUnique { lines, .. } => {
            let lines: Vec<String> = lines.iter().map(usize::to_string).collect();
            Some(format!("add surrounding lines to make it unique, or replace all (lines {})", lines.join(", ")))
        },
        _ => None,
    }
);

impl Roots {
    /// Replaces exact text in a file; the file then changes in one step, as with [`Roots::put`].
    ///
    /// Line endings stay: where the file ends its lines with CR LF and the given text does not, the text is taken to
    /// mean CR LF. The content is compared once more right before it is replaced; where it changed meanwhile the edit
    /// starts over on the new content, so of several edits at once, also by other executions, none is lost.
    ///
    /// # Errors
    /// [`EditError`].
    pub fn edit(&self, path: &JailPath, edit: Edit<'_>) -> Result<Edited, EditError> {
        for _ in 0..TRIES {
            if let Some(edited) = self.try_edit(path, edit)? {
                return Ok(edited);
            }
        }
        Err(PathFault::ChangedMeanwhile { path: path.clone() }.into())
    }

    /// `None` when the file changed between reading and replacing.
    fn try_edit(&self, path: &JailPath, edit: Edit<'_>) -> Result<Option<Edited>, EditError> {
        let spot = resolve_write(self, path, Last::Follow)?;
        spot.existing()?;
        let replaced = self.replaceable(&spot)?;
        let name = spot.name().ok_or_else(|| PathFault::IsDirectory { path: spot.path.clone() })?;
        let path = &spot.path;
        let read = || -> Result<Vec<u8>, EditError> {
            let (file, _) = node::open_file(&spot.dir, name, path)?;
            read_whole(file, path)
        };
        let before = read()?;
        let (after, count) = apply(path, &before, edit)?;
        if after.len() as u64 > MAX_EDIT_BYTES {
            return Err(EditError::TooLarge { path: path.clone(), limit: MAX_EDIT_BYTES });
        }
        let goal = Goal { roots: self, dir: &spot.dir, name, path, replaced };
        let draft = goal.draft(&mut after.as_slice())?;
        let lock = self.replacing(&spot.dir, path)?;
        let unchanged = match read() {
            Ok(now) => now == before,
            // Gone or replaced by something else: the next try says what is there.
            Err(EditError::Path(_) | EditError::TooLarge { .. }) => false,
            Err(error) => return Err(error),
        };
        if !unchanged {
            return Ok(None);
        }
        let change = goal.finish(draft, false)?;
        drop(lock);
        Ok(Some(Edited { change, replaced: count, before, after }))
    }
}

fn read_whole(file: std::fs::File, path: &JailPath) -> Result<Vec<u8>, EditError> {
    let mut bytes = Vec::new();
    let failed = |source: io::Error| PathFault::Io { doing: "read", path: path.clone(), source };
    file.take(MAX_EDIT_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > MAX_EDIT_BYTES {
        return Err(EditError::TooLarge { path: path.clone(), limit: MAX_EDIT_BYTES });
    }
    Ok(bytes)
}

/// The content after `edit`, and how many occurrences it replaced. Pure.
fn apply(path: &JailPath, before: &[u8], edit: Edit<'_>) -> Result<(Vec<u8>, usize), EditError> {
    if edit.old.is_empty() {
        return Err(EditError::EmptyOld { path: path.clone() });
    }
    if edit.old == edit.new {
        return Err(EditError::Same { path: path.clone() });
    }
    let crlf = has_crlf_lines(before);
    let (mut old, mut new) = (edit.old.to_owned(), edit.new.to_owned());
    let mut places: Vec<usize> = places(before, old.as_bytes());
    if crlf {
        new = to_crlf(&new);
        if places.is_empty() {
            old = to_crlf(&old);
            places = self::places(before, old.as_bytes());
        }
    }
    match places.len() {
        0 => return Err(EditError::NoMatch { path: path.clone(), near: near(before, edit.old) }),
        count if count > 1 && !edit.all => {
            let lines = places.iter().take(NAMED_LINES).map(|at| line_of(before, *at)).collect();
            return Err(EditError::NotUnique { path: path.clone(), count, lines });
        }
        _ => {}
    }
    let grown = places.len().saturating_mul(new.len().saturating_sub(old.len()));
    if before.len().saturating_add(grown) as u64 > MAX_EDIT_BYTES {
        return Err(EditError::TooLarge { path: path.clone(), limit: MAX_EDIT_BYTES });
    }
    let mut after = Vec::with_capacity(before.len() + grown);
    let mut from = 0;
    for at in &places {
        after.extend_from_slice(&before[from..*at]);
        after.extend_from_slice(new.as_bytes());
        from = at + old.len();
    }
    after.extend_from_slice(&before[from..]);
    Ok((after, places.len()))
}

/// Where `old` begins, occurrences not overlapping.
fn places(text: &[u8], old: &[u8]) -> Vec<usize> {
    memchr::memmem::find_iter(text, old).collect()
}

/// Whether every line ends with CR LF.
fn has_crlf_lines(text: &[u8]) -> bool {
    let mut any = false;
    for at in memchr::memchr_iter(b'\n', text) {
        if at == 0 || text[at - 1] != b'\r' {
            return false;
        }
        any = true;
    }
    any
}

fn to_crlf(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\n', "\r\n")
}

/// Line, counted from 1, that the byte at `at` lies in.
fn line_of(text: &[u8], at: usize) -> usize {
    memchr::memchr_iter(b'\n', &text[..at]).count() + 1
}

/// The line that equals the first line of `old` that is not blank, white space at its ends apart.
fn near(text: &[u8], old: &str) -> Option<usize> {
    let first = old.lines().map(str::trim).find(|line| !line.is_empty())?;
    text.split(|byte| *byte == b'\n').position(|line| line.trim_ascii() == first.as_bytes()).map(|index| index + 1)
}

#[cfg(test)]
mod tests;
