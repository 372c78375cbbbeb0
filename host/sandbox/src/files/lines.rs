//! `read_lines`: a page of a text file.

use std::io::{self, BufRead, BufReader, Read};

use encoding_rs_io::DecodeReaderBytesBuilder;
use stigmer_policy::JailPath;

use super::fault::PathFault;
use super::read::{ReadError, Stream};
use super::roots::Roots;
use super::stop::Stop;
use super::walk::Cut;

/// Lines of one page where the caller does not say.
pub const PAGE_LINES: usize = 2_000;

/// Bytes of one line that are given where the caller does not say; the rest of the line is counted.
pub const LINE_BYTES: usize = 2_000;

/// Bytes of text in one page: well below what a model takes in one result.
pub const PAGE_BYTES: usize = 256 << 10;

/// Bytes at the start that decide whether a file is text, as git and grep look at the first block.
const HEAD: usize = 8_000;

/// Which lines to read.
#[derive(Debug, Clone, Copy)]
pub struct LinesOptions<'a> {
    /// Lines to skip.
    pub offset: u64,
    /// Lines to give.
    pub limit: usize,
    /// Bytes of one line to give; at most [`PAGE_BYTES`].
    pub max_line: usize,
    /// When to give up: a huge file is read from its start to reach a late line.
    pub stop: Stop<'a>,
}

impl Default for LinesOptions<'_> {
    fn default() -> Self {
        LinesOptions { offset: 0, limit: PAGE_LINES, max_line: LINE_BYTES, stop: Stop::default() }
    }
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Counted from 1.
    pub number: u64,
    /// The text without its line ending; bytes that are no text stand as U+FFFD.
    pub text: String,
    /// Bytes of this line that were left out, counted in UTF-8.
    pub left_out: u64,
}

/// A page of a text file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lines {
    /// The file, after following links.
    pub path: JailPath,
    /// The lines.
    pub lines: Vec<Line>,
    /// The offset of the next page; `None` at the end of the file.
    pub next: Option<u64>,
    /// How many lines the file has, where its end was seen.
    pub total: Option<u64>,
    /// Whether some bytes were no text in the file's encoding.
    pub lossy: bool,
    /// Name of the encoding: `utf-8`, `utf-16le`, `utf-16be`.
    pub encoding: &'static str,
    /// Why the page ends before the asked lines were read; `None` when it does not.
    pub cut: Option<Cut>,
}

/// What a file holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Page {
    /// Text.
    Text(Lines),
    /// No text: it holds NUL bytes, or is a picture by its first bytes.
    Binary {
        /// The file, after following links.
        path: JailPath,
        /// `image/png` and the like, for pictures that models take.
        media: Option<&'static str>,
    },
}

impl Roots {
    /// Reads a page of lines, in memory that is bounded by the page, however long lines and file are. A line ends with
    /// LF or CR LF.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn read_lines(&self, path: &JailPath, options: LinesOptions<'_>) -> Result<Page, ReadError> {
        let (path, file) = self.open_to_read(path)?;
        let failed = |source| PathFault::Io { doing: "read", path: path.clone(), source };
        let mut head = Vec::with_capacity(HEAD);
        Stream { file: file.try_clone().map_err(failed)?, at: 0 }
            .take(HEAD as u64)
            .read_to_end(&mut head)
            .map_err(failed)?;
        let media = media(&head);
        let encoding = encoding(&head);
        if media.is_some() || (encoding == "utf-8" && head.contains(&0)) {
            return Ok(Page::Binary { path, media });
        }
        // A byte order mark decides; without one the bytes pass as they are and count as UTF-8.
        let decoded = DecodeReaderBytesBuilder::new().utf8_passthru(true).strip_bom(true).build(Stream { file, at: 0 });
        let mut pager = Pager::new(BufReader::with_capacity(64 << 10, decoded), options);
        pager.run().map_err(failed)?;
        Ok(Page::Text(pager.page(path, encoding)))
    }
}

struct Pager<'a, R> {
    input: BufReader<R>,
    options: LinesOptions<'a>,
    /// Lines read to their end or begun.
    seen: u64,
    lines: Vec<Line>,
    bytes: usize,
    lossy: bool,
    ended: bool,
    cut: Option<Cut>,
}

impl<'a, R: Read> Pager<'a, R> {
    fn new(input: BufReader<R>, options: LinesOptions<'a>) -> Self {
        Pager { input, options, seen: 0, lines: Vec::new(), bytes: 0, lossy: false, ended: false, cut: None }
    }

    fn run(&mut self) -> io::Result<()> {
        loop {
            let wanted = self.seen >= self.options.offset;
            let full = self.lines.len() >= self.options.limit;
            if wanted && !full && self.bytes >= PAGE_BYTES {
                self.cut = Some(Cut::Results);
            }
            if full || self.cut.is_some() {
                // Whether anything follows, without reading on.
                self.ended = self.input.fill_buf()?.is_empty();
                return Ok(());
            }
            if !self.line(wanted)? {
                return Ok(());
            }
        }
    }

    /// Reads one line, keeping its head if it is wanted. `false` at the end of the file or when stopped.
    fn line(&mut self, wanted: bool) -> io::Result<bool> {
        let room = self.options.max_line.min(PAGE_BYTES - self.bytes.min(PAGE_BYTES)).max(1);
        let mut kept: Vec<u8> = Vec::new();
        let mut length = 0_u64;
        let mut begun = false;
        // A CR counts as text only when something other than LF follows it.
        let mut last = None;
        loop {
            if let Some(stopped) = self.options.stop.now() {
                self.cut = Some(Cut::Stopped(stopped));
                return Ok(false);
            }
            let part = match self.input.fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                other => other?,
            };
            if part.is_empty() {
                self.ended = true;
                break;
            }
            begun = true;
            let end = memchr::memchr(b'\n', part);
            let text = &part[..end.unwrap_or(part.len())];
            length += text.len() as u64;
            last = text.last().copied().or(last);
            if wanted && kept.len() < room {
                kept.extend_from_slice(&text[..text.len().min(room - kept.len())]);
            }
            let used = text.len() + usize::from(end.is_some());
            self.input.consume(used);
            if end.is_some() {
                if last == Some(b'\r') {
                    length -= 1;
                    kept.truncate(usize::try_from(length).unwrap_or(usize::MAX).min(kept.len()));
                }
                break;
            }
        }
        if !begun {
            return Ok(false);
        }
        self.seen += 1;
        if wanted {
            self.keep(kept, length);
        }
        Ok(true)
    }

    fn keep(&mut self, mut kept: Vec<u8>, length: u64) {
        if (kept.len() as u64) < length {
            kept.truncate(whole_characters(&kept));
        }
        let left_out = length - kept.len() as u64;
        let text = match String::from_utf8(kept) {
            Ok(text) => text,
            Err(error) => {
                self.lossy = true;
                String::from_utf8_lossy(error.as_bytes()).into_owned()
            }
        };
        self.bytes += text.len();
        self.lines.push(Line { number: self.seen, text, left_out });
    }

    fn page(self, path: JailPath, encoding: &'static str) -> Lines {
        let total = self.ended.then_some(self.seen);
        let next = (!self.ended).then_some(self.seen);
        Lines { path, lines: self.lines, next, total, lossy: self.lossy, encoding, cut: self.cut }
    }
}

/// How many bytes of `text`, which was cut anywhere, remain when a half character at its end goes.
pub(super) fn whole_characters(text: &[u8]) -> usize {
    // A character has at most four bytes, so half of one has at most three.
    let tail = text.len().saturating_sub(3);
    let half = text[tail..].iter().rposition(|byte| *byte >= 0xC0).map(|start| tail + start);
    half.filter(|start| {
        // No error length: the text ends in the middle of a character.
        std::str::from_utf8(&text[*start..]).is_err_and(|error| error.error_len().is_none())
    })
    .unwrap_or(text.len())
}

fn encoding(head: &[u8]) -> &'static str {
    match head {
        [0xFF, 0xFE, ..] => "utf-16le",
        [0xFE, 0xFF, ..] => "utf-16be",
        _ => "utf-8",
    }
}

/// The media type of a picture, by its first bytes (W3C PNG 5.2, JFIF, GIF89a, RFC 9649 for WebP).
fn media(head: &[u8]) -> Option<&'static str> {
    match head {
        [0x89, b'P', b'N', b'G', 0x0D, 0x0A, 0x1A, 0x0A, ..] => Some("image/png"),
        [0xFF, 0xD8, 0xFF, ..] => Some("image/jpeg"),
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Some("image/gif"),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some("image/webp"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Short = (Vec<(u64, String, u64)>, Option<u64>, Option<u64>);

    fn page(text: &[u8], options: LinesOptions<'_>) -> Short {
        let mut pager = Pager::new(BufReader::with_capacity(3, text), options);
        pager.run().unwrap();
        let page = pager.page(JailPath::absolute("/x").unwrap(), "utf-8");
        let lines = page.lines.into_iter().map(|line| (line.number, line.text, line.left_out)).collect();
        (lines, page.next, page.total)
    }

    #[test]
    fn pages_by_line_with_any_ending_and_cuts_at_characters() {
        let all = LinesOptions::default();
        let line = |number, text: &str| (number, text.to_owned(), 0);
        assert_eq!(page(b"", all), (vec![], None, Some(0)));
        assert_eq!(page(b"a", all), (vec![line(1, "a")], None, Some(1)));
        assert_eq!(page(b"a\r\nb\n", all), (vec![line(1, "a"), line(2, "b")], None, Some(2)));
        assert_eq!(page(b"a\rb\n\n", all), (vec![line(1, "a\rb"), line(2, "")], None, Some(2)));
        assert_eq!(page(b"abcd\r\n", all), (vec![line(1, "abcd")], None, Some(1)));
        let second = LinesOptions { offset: 1, limit: 1, ..all };
        assert_eq!(page(b"a\nb\nc\n", second), (vec![line(2, "b")], Some(2), None));
        assert_eq!(page(b"a\nb\n", second), (vec![line(2, "b")], None, Some(2)));
        let past = LinesOptions { offset: 9, ..all };
        assert_eq!(page(b"a\nb\n", past), (vec![], None, Some(2)));
        let short = LinesOptions { max_line: 4, ..all };
        assert_eq!(page("abcé\nx".as_bytes(), short), (vec![(1, "abc".into(), 2), line(2, "x")], None, Some(2)));
        assert_eq!(page(b"abcd\r\n", short), (vec![line(1, "abcd")], None, Some(1)));
        assert_eq!(page(b"\xffabcdef", short), (vec![(1, "\u{fffd}abc".into(), 3)], None, Some(1)));
    }
}
