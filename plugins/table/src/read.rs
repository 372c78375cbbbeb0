//! From bytes to records, one at a time.

mod csv;
mod json_lines;
mod record;
mod sniff;

use std::io::Read;

use crate::error::Error;
use csv::Csv;
use json_lines::JsonLines;
pub(crate) use record::Record;

/// Bytes asked of the file at once: large enough that the cost of a WASI call vanishes in the parsing.
const CHUNK: usize = 256 << 10;

/// How a file is written; what is left out is found out from the file. See the WIT record `options`.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The format.
    pub format: Option<Format>,
    /// The character between CSV fields; it must be ASCII.
    pub delimiter: Option<char>,
    /// Whether the first CSV row holds names; default true.
    pub header: Option<bool>,
    /// Texts that mean "no value" beside the empty field.
    pub null_values: Vec<String>,
}

/// A file format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Delimited text.
    Csv,
    /// One JSON object a line.
    JsonLines,
}

/// An open table that yields one record after the other, in bounded memory.
pub struct Table {
    reader: Reader,
    record: Record,
    row: u64,
    warnings: Warnings,
    null_values: Vec<String>,
}

enum Reader {
    Csv(Box<Csv>),
    JsonLines(JsonLines),
}

impl Table {
    /// Opens the file at `path`.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`], [`Error::Io`]; as [`Table::new`] for its content.
    #[expect(clippy::disallowed_methods, reason = "in a component every path lies beneath a folder that was granted")]
    pub fn open(path: &str, options: &Options) -> Result<Self, Error> {
        let file = std::fs::File::open(path).map_err(|error| Error::io(path, error))?;
        if file.metadata().map_err(|error| Error::io(path, error))?.is_dir() {
            return Err(Error::Malformed { row: 0, reason: "a folder, not a file".to_owned() });
        }
        Self::new(Box::new(file), path, options)
    }

    /// Takes any source of bytes; `name` stands in errors.
    ///
    /// # Errors
    /// [`Error::Malformed`] when the beginning is neither CSV nor JSON Lines, [`Error::Limit`] for too many columns.
    pub fn new(source: Box<dyn Read>, name: &str, options: &Options) -> Result<Self, Error> {
        let mut input = Input::new(source, name.to_owned());
        input.fill_to(sniff::SAMPLE)?;
        let mut warnings = Warnings::default();
        let reader = match options.format.map_or_else(|| sniff::format(input.waiting()), Ok)? {
            Format::Csv => Reader::Csv(Box::new(Csv::new(input, options, &mut warnings)?)),
            Format::JsonLines => Reader::JsonLines(JsonLines::new(input)),
        };
        Ok(Table { reader, record: Record::default(), row: 0, warnings, null_values: options.null_values.clone() })
    }

    /// Reads the next record; `None` at the end of the file.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Malformed`] with the row, [`Error::Limit`] for too long records or too many columns.
    pub(crate) fn advance(&mut self) -> Result<Option<&Record>, Error> {
        let row = self.row + 1;
        let found = match &mut self.reader {
            Reader::Csv(csv) => csv.next(row, &mut self.record, &mut self.warnings)?,
            Reader::JsonLines(lines) => lines.next(row, &mut self.record)?,
        };
        if !found {
            return Ok(None);
        }
        self.row = row;
        self.record.clear_nulls(&self.null_values);
        Ok(Some(&self.record))
    }

    /// Columns known so far: all for CSV, those seen for JSON Lines.
    #[must_use]
    pub fn columns(&self) -> &[String] {
        match &self.reader {
            Reader::Csv(csv) => &csv.columns,
            Reader::JsonLines(lines) => &lines.columns,
        }
    }

    /// Place of the column `name` in every record. In JSON Lines a column may turn up later, so asking reserves a place.
    ///
    /// # Errors
    /// [`Error::UnknownColumn`] for CSV, [`Error::Limit`] for too many columns.
    pub(crate) fn place_of(&mut self, name: &str) -> Result<usize, Error> {
        match &mut self.reader {
            Reader::Csv(csv) => csv
                .columns
                .iter()
                .position(|column| column == name)
                .ok_or_else(|| Error::unknown_column(name, &csv.columns)),
            Reader::JsonLines(lines) => lines.reserve(name),
        }
    }

    /// Whether a record that was read had the column at `place`.
    pub(crate) fn has_seen(&self, place: usize) -> bool {
        match &self.reader {
            Reader::Csv(_) => true,
            Reader::JsonLines(lines) => lines.seen[place],
        }
    }

    /// The format in use.
    #[must_use]
    pub fn format(&self) -> Format {
        match self.reader {
            Reader::Csv(_) => Format::Csv,
            Reader::JsonLines(_) => Format::JsonLines,
        }
    }

    /// The delimiter in use, for CSV.
    #[must_use]
    pub fn delimiter(&self) -> Option<char> {
        match &self.reader {
            Reader::Csv(csv) => Some(char::from(csv.delimiter)),
            Reader::JsonLines(_) => None,
        }
    }

    /// Records read so far.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.row
    }

    /// What had to be worked around so far, in words.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        self.warnings.describe()
    }
}

/// Things the reader worked around: how often, and where first.
#[derive(Debug, Default)]
pub(crate) struct Warnings {
    short: Seen,
    long: Seen,
    invalid_utf8: Seen,
    names: Vec<String>,
}

#[derive(Debug, Default)]
struct Seen {
    count: u64,
    first: u64,
}

impl Seen {
    fn note(&mut self, row: u64) {
        if self.count == 0 {
            self.first = row;
        }
        self.count += 1;
    }
}

impl Warnings {
    fn describe(&self) -> Vec<String> {
        let mut out = self.names.clone();
        for (seen, what) in [
            (&self.short, "with fewer fields than columns; the missing ones count as no value"),
            (&self.long, "with more fields than columns; the extra ones are left out"),
            (&self.invalid_utf8, "with bytes that are not UTF-8; they are shown as U+FFFD"),
        ] {
            if seen.count > 0 {
                out.push(format!("{} row(s) {what} (first: row {})", seen.count, seen.first));
            }
        }
        out
    }
}

/// The file as a window that slides over it.
pub(crate) struct Input {
    source: Box<dyn Read>,
    name: String,
    buffer: Vec<u8>,
    start: usize,
    ended: bool,
}

impl Input {
    fn new(source: Box<dyn Read>, name: String) -> Self {
        Input { source, name, buffer: Vec::with_capacity(CHUNK), start: 0, ended: false }
    }

    /// Bytes read and not yet used.
    pub(crate) fn waiting(&self) -> &[u8] {
        &self.buffer[self.start..]
    }

    pub(crate) fn consume(&mut self, count: usize) {
        self.start += count;
    }

    /// Reads more; false at the end of the file.
    pub(crate) fn fill(&mut self) -> Result<bool, Error> {
        if self.ended {
            return Ok(false);
        }
        self.buffer.drain(..self.start);
        self.start = 0;
        let before = self.buffer.len();
        self.buffer.resize(before + CHUNK, 0);
        let count = loop {
            match self.source.read(&mut self.buffer[before..]) {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                other => break other,
            }
        };
        let count = count.map_err(|error| Error::io(&self.name, error))?;
        self.buffer.truncate(before + count);
        self.ended = count == 0;
        Ok(count > 0)
    }

    fn fill_to(&mut self, wanted: usize) -> Result<(), Error> {
        while self.waiting().len() < wanted && self.fill()? {}
        Ok(())
    }
}

#[cfg(test)]
mod tests;
