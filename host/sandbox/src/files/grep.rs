//! `grep`: lines that hold a text or fit an expression, in time that grows with the input only.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, Read};

use globset::GlobMatcher;
use grep_matcher::Matcher;
use grep_regex::{RegexMatcher, RegexMatcherBuilder};
use grep_searcher::{BinaryDetection, MmapChoice, Searcher, SearcherBuilder, Sink, SinkFinish, SinkMatch};
use stigmer_policy::JailPath;

use super::fault::{PathFault, verb_error};
use super::glob;
use super::lines::whole_characters;
use super::node::{self, Kind};
use super::read::Stream;
use super::resolve::{Last, Place, Want, resolve};
use super::roots::Roots;
use super::stop::{Stop, Stopped};
use super::walk::{Cut, Found, Next, Walk, Warning, Warnings};

/// Lines that one search gives.
pub const GREP_MATCHES: usize = 5_000;

/// Bytes of one line that are given; the part around the match.
pub const GREP_LINE_BYTES: usize = 1_000;

/// Bytes of one file that are searched.
pub const GREP_FILE_BYTES: u64 = 1 << 30;

/// Longest line that can be searched, in bytes: the searcher holds a line whole.
const LONGEST_LINE: usize = 8 << 20;

/// Longest pattern, in bytes.
const PATTERN_BYTES: usize = 16 << 10;

/// Memory of a compiled pattern, in bytes: nested counts such as `(a{999}){999}` stop here.
const COMPILED_BYTES: usize = 4 << 20;

/// How to search.
#[derive(Debug, Clone, Copy)]
pub struct GrepOptions<'a> {
    /// The pattern is a regular expression (Rust's `regex`: no look-around, no back-references); else it is a text.
    pub regex: bool,
    /// Upper and lower case are the same.
    pub ignore_case: bool,
    /// Only files whose name fits this pattern, or whose path below the folder does when the pattern holds a `/`.
    pub include: Option<&'a str>,
    /// Leave out what `.gitignore` files name, and `.git` itself.
    pub ignore: bool,
    /// Whether files and folders that begin with a dot count.
    pub hidden: bool,
    /// Lines to give; at most [`GREP_MATCHES`].
    pub limit: usize,
    /// When to give up; without a deadline after [`super::SEARCH_TIME`].
    pub stop: Stop<'a>,
}

impl Default for GrepOptions<'_> {
    fn default() -> Self {
        GrepOptions {
            regex: false,
            ignore_case: false,
            include: None,
            ignore: true,
            hidden: true,
            limit: GREP_MATCHES,
            stop: Stop::default(),
        }
    }
}

/// One line that fits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrepMatch {
    /// The file.
    pub path: JailPath,
    /// Line, counted from 1.
    pub line: u64,
    /// The line without its ending, or the part around the match; bytes that are no text stand as U+FFFD.
    pub text: String,
    /// Whether `text` is only a part.
    pub cut: bool,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grepped {
    /// Lines, by file in byte order of names within each folder, then by line.
    pub matches: Vec<GrepMatch>,
    /// Files searched.
    pub files: u64,
    /// Files passed over because they hold NUL bytes.
    pub binary: u64,
    /// Why these are not all; `None` when they are.
    pub truncated: Option<Cut>,
    /// What could not be looked into, the first hundred.
    pub warnings: Vec<Warning>,
    /// How many places could not be looked into.
    pub warned: usize,
}

/// Why nothing was searched.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GrepError {
    /// The file or folder to search could not be reached.
    #[error(transparent)]
    Path(#[from] PathFault),
    /// The pattern cannot be searched for.
    #[error("cannot search for `{pattern}`: {reason}")]
    BadPattern {
        /// The pattern, cut to 200 characters.
        pattern: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The pattern of file names is none.
    #[error("`{pattern}` is no pattern of file names: {reason}")]
    BadInclude {
        /// The pattern, cut to 200 characters.
        pattern: String,
        /// What is wrong with it.
        reason: String,
    },
}

verb_error!(GrepError,
    case {
        Self::BadPattern { .. } => "bad-pattern",
        Self::BadInclude { .. } => "bad-include",
    }
    hint {
        Self::BadPattern { .. } => Some("search within one line; without `regex` the text is taken as it stands".to_owned()),
        Self::BadInclude { .. } => None,
    }
);

impl Roots {
    /// Searches the file, or the files below the folder, `base`. Links are not followed below it. Matching takes time
    /// linear in the input for every pattern.
    ///
    /// # Errors
    /// [`GrepError`]; a file or folder on the way that cannot be read is a warning.
    pub fn grep(&self, base: &JailPath, pattern: &str, options: GrepOptions<'_>) -> Result<Grepped, GrepError> {
        let shown = |text: &str| text.chars().take(200).collect();
        let matcher =
            compile(pattern, options).map_err(|reason| GrepError::BadPattern { pattern: shown(pattern), reason })?;
        let include = options.include.map(Include::new).transpose().map_err(|reason| GrepError::BadInclude {
            pattern: options.include.map(shown).unwrap_or_default(),
            reason,
        })?;
        let mut walk = Walk::new(self, options.stop, options.ignore, options.hidden);
        let mut search = Search::new(matcher, options.limit.min(GREP_MATCHES), walk.stop);
        match resolve(self, base, Want::Read, Last::Follow)? {
            Place::Spot(spot) if spot.existing()?.kind == Kind::Folder => {
                walk.run(&spot.folder()?, &spot.path, &mut |walk, found| {
                    if found.kind == Kind::File && include.as_ref().is_none_or(|include| include.fits(found)) {
                        match node::open_file(found.dir, found.name, found.path) {
                            Ok((file, _)) => search.file(file, found.path, &mut walk.warnings),
                            Err(fault) => walk.warnings.fault(found.path, &fault),
                        }
                    }
                    walk.cut = search.cut;
                    Next::On
                })?;
            }
            _ => {
                let (path, file) = self.open_to_read(base)?;
                search.file(file, &path, &mut walk.warnings);
                walk.cut = search.cut;
            }
        }
        Ok(Grepped {
            matches: search.matches,
            files: search.files,
            binary: search.binary,
            truncated: walk.cut,
            warned: walk.warnings.count,
            warnings: walk.warnings.rows,
        })
    }
}

fn compile(pattern: &str, options: GrepOptions<'_>) -> Result<RegexMatcher, String> {
    if pattern.is_empty() {
        return Err("it is empty".to_owned());
    }
    if pattern.len() > PATTERN_BYTES {
        return Err(format!("longer than {PATTERN_BYTES} bytes"));
    }
    RegexMatcherBuilder::new()
        .fixed_strings(!options.regex)
        .case_insensitive(options.ignore_case)
        .line_terminator(Some(b'\n'))
        .size_limit(COMPILED_BYTES)
        .dfa_size_limit(COMPILED_BYTES)
        .build(pattern)
        .map_err(|error| error.to_string())
}

/// Which files to search.
struct Include {
    glob: GlobMatcher,
    whole_path: bool,
}

impl Include {
    fn new(pattern: &str) -> Result<Self, String> {
        Ok(Include { glob: glob::matcher(pattern, false)?, whole_path: pattern.contains('/') })
    }

    fn fits(&self, found: &Found<'_>) -> bool {
        if self.whole_path { self.glob.is_match(found.below) } else { self.glob.is_match(found.name) }
    }
}

struct Search<'a> {
    matcher: RegexMatcher,
    searcher: Searcher,
    stop: Stop<'a>,
    limit: usize,
    matches: Vec<GrepMatch>,
    files: u64,
    binary: u64,
    cut: Option<Cut>,
}

impl<'a> Search<'a> {
    fn new(matcher: RegexMatcher, limit: usize, stop: Stop<'a>) -> Self {
        let searcher = SearcherBuilder::new()
            .line_number(true)
            .binary_detection(BinaryDetection::quit(0))
            .heap_limit(Some(LONGEST_LINE))
            // A mapped file that shrinks meanwhile is a SIGBUS.
            .memory_map(MmapChoice::never())
            .build();
        Search { matcher, searcher, stop, limit, matches: Vec::new(), files: 0, binary: 0, cut: None }
    }

    fn file(&mut self, file: File, path: &JailPath, warnings: &mut Warnings) {
        self.files += 1;
        let before = self.matches.len();
        let source = Source::new(file, self.stop);
        let mut rows = Rows {
            search: &self.matcher,
            path,
            limit: self.limit,
            matches: &mut self.matches,
            full: false,
            binary: false,
        };
        let searched = self.searcher.search_reader(&self.matcher, &source, &mut rows);
        let (full, binary) = (rows.full, rows.binary);
        if binary {
            self.binary += 1;
            self.matches.truncate(before);
        } else if full {
            self.cut = Some(Cut::Results);
        }
        if let Some(stopped) = source.stopped.get() {
            self.cut = Some(Cut::Stopped(stopped));
        } else if let Err(error) = searched {
            if source.failed.get() {
                warnings.add(path, "io", format!("could not read `{path}`: {error}"));
            } else {
                // The only error of the searcher's own is its heap limit.
                let text = format!("`{path}` has a line of more than {LONGEST_LINE} bytes, not searched from there on");
                warnings.add(path, "line-too-long", text);
            }
        } else if source.at_cap.get() {
            let text = format!("only the first {GREP_FILE_BYTES} bytes of `{path}` were searched");
            warnings.add(path, "too-large", text);
        }
    }
}

/// A file as the searcher reads it: capped, and ended by cancel and deadline.
struct Source<'a> {
    stream: Cell<Option<Stream>>,
    stop: Stop<'a>,
    stopped: Cell<Option<Stopped>>,
    failed: Cell<bool>,
    at_cap: Cell<bool>,
}

impl<'a> Source<'a> {
    fn new(file: File, stop: Stop<'a>) -> Self {
        Source {
            stream: Cell::new(Some(Stream { file, at: 0 })),
            stop,
            stopped: Cell::new(None),
            failed: Cell::new(false),
            at_cap: Cell::new(false),
        }
    }
}

impl Read for &Source<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let Some(stopped) = self.stop.now() {
            self.stopped.set(Some(stopped));
            return Err(io::Error::other(stopped.name()));
        }
        let Some(mut stream) = self.stream.take() else { return Ok(0) };
        let room = usize::try_from(GREP_FILE_BYTES - stream.at.min(GREP_FILE_BYTES)).unwrap_or(usize::MAX);
        if room == 0 {
            self.at_cap.set(true);
            return Ok(0);
        }
        let wanted = buffer.len().min(room);
        let count = stream.read(&mut buffer[..wanted]);
        self.failed.set(count.is_err());
        self.stream.set(Some(stream));
        count
    }
}

struct Rows<'a> {
    search: &'a RegexMatcher,
    path: &'a JailPath,
    limit: usize,
    matches: &'a mut Vec<GrepMatch>,
    full: bool,
    binary: bool,
}

impl Sink for Rows<'_> {
    type Error = io::Error;

    fn matched(&mut self, _: &Searcher, found: &SinkMatch<'_>) -> Result<bool, io::Error> {
        if self.matches.len() == self.limit {
            self.full = true;
            return Ok(false);
        }
        let mut line = found.bytes();
        line = line.strip_suffix(b"\n").unwrap_or(line);
        line = line.strip_suffix(b"\r").unwrap_or(line);
        let at = self.search.find(line).map_err(io::Error::other)?.map_or(0, |place| place.start());
        let (part, cut) = around(line, at);
        let text = String::from_utf8_lossy(part).into_owned();
        self.matches.push(GrepMatch { path: self.path.clone(), line: found.line_number().unwrap_or(0), text, cut });
        Ok(true)
    }

    fn finish(&mut self, _: &Searcher, finished: &SinkFinish) -> Result<(), io::Error> {
        self.binary = finished.binary_byte_offset().is_some();
        Ok(())
    }
}

/// The part of `line` that is shown: whole, or [`GREP_LINE_BYTES`] from a little before the match.
fn around(line: &[u8], at: usize) -> (&[u8], bool) {
    if line.len() <= GREP_LINE_BYTES {
        return (line, false);
    }
    let mut start = if at < GREP_LINE_BYTES / 2 { 0 } else { at - GREP_LINE_BYTES / 10 };
    // Not in the middle of a character.
    while start > 0 && line[start] & 0xC0 == 0x80 {
        start -= 1;
    }
    let part = &line[start..line.len().min(start + GREP_LINE_BYTES)];
    (&part[..whole_characters(part)], true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_are_cut_around_the_match() {
        let line = format!("{}é needle {}", "x".repeat(5_000), "y".repeat(5_000));
        let at = line.find("needle").unwrap();
        let (part, cut) = around(line.as_bytes(), at);
        let part = std::str::from_utf8(part).unwrap();
        assert!(cut && part.contains("é needle") && part.len() <= GREP_LINE_BYTES, "{part}");
        assert_eq!(around(b"short", 0), (&b"short"[..], false));
        let (head, cut) = around(line.as_bytes(), 3);
        assert!(cut && head.starts_with(b"xxx") && head.len() == GREP_LINE_BYTES);
    }
}
