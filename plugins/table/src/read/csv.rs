//! Delimited text with optional double quotes (RFC 4180), read record by record.

use csv_core::ReadRecordResult;

use super::record::{Record, check_columns};
use super::{Input, Options, Warnings, sniff};
use crate::error::{Error, MAX_COLUMNS, MAX_RECORD_BYTES};

pub(super) struct Csv {
    input: Input,
    parser: csv_core::Reader,
    pub(super) delimiter: u8,
    pub(super) columns: Vec<String>,
    fields: Fields,
    /// The first record, when it is data and not a header.
    first: Option<Fields>,
}

/// The fields of one record: their bytes one after the other, and where each ends.
struct Fields {
    bytes: Vec<u8>,
    ends: Vec<usize>,
    count: usize,
    /// Fields that there was no room for.
    dropped: bool,
}

impl Fields {
    fn new() -> Self {
        Fields { bytes: vec![0; 4096], ends: vec![0; 64], count: 0, dropped: false }
    }

    fn ends(&self) -> &[usize] {
        &self.ends[..self.count]
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes[..self.ends().last().copied().unwrap_or(0)]
    }
}

impl Csv {
    pub(super) fn new(mut input: Input, options: &Options, warnings: &mut Warnings) -> Result<Self, Error> {
        if input.waiting().starts_with(sniff::BOM) {
            input.consume(sniff::BOM.len());
        }
        let delimiter = match options.delimiter {
            Some(chosen) => u8::try_from(chosen)
                .ok()
                .filter(|byte| byte.is_ascii() && !matches!(byte, b'"' | b'\n' | b'\r'))
                .ok_or_else(|| Error::InvalidQuery(format!("`{chosen}` cannot be a delimiter")))?,
            None => {
                let sample = &input.waiting()[..input.waiting().len().min(sniff::SAMPLE)];
                sniff::delimiter(sample, input.waiting().len() < sniff::SAMPLE)
            }
        };
        let parser = csv_core::ReaderBuilder::new().delimiter(delimiter).build();
        let mut csv = Csv { input, parser, delimiter, columns: Vec::new(), fields: Fields::new(), first: None };
        if !csv.read_fields()? {
            return Ok(csv);
        }
        check_columns(if csv.fields.dropped { MAX_COLUMNS + 1 } else { csv.fields.count })?;
        if options.header.unwrap_or(true) {
            csv.columns = names(&csv.fields, warnings);
        } else {
            csv.columns = (1..=csv.fields.count).map(|n| format!("column_{n}")).collect();
            csv.first = Some(std::mem::replace(&mut csv.fields, Fields::new()));
        }
        Ok(csv)
    }

    pub(super) fn next(&mut self, row: u64, record: &mut Record, warnings: &mut Warnings) -> Result<bool, Error> {
        let first = self.first.take();
        if first.is_none() && !self.read_fields()? {
            return Ok(false);
        }
        let fields = first.as_ref().unwrap_or(&self.fields);
        if fields.count < self.columns.len() {
            warnings.short.note(row);
        } else if fields.count > self.columns.len() || fields.dropped {
            warnings.long.note(row);
        }
        record.reset(self.columns.len());
        if !record.set_fields(fields.bytes(), fields.ends()) {
            warnings.invalid_utf8.note(row);
        }
        Ok(true)
    }

    /// Reads one record into `fields`; false at the end of the file.
    fn read_fields(&mut self) -> Result<bool, Error> {
        let fields = &mut self.fields;
        let (mut written, mut count) = (0, 0);
        fields.dropped = false;
        loop {
            if self.input.waiting().is_empty() {
                self.input.fill()?;
            }
            let input = self.input.waiting();
            let (result, read, wrote, ended) =
                self.parser.read_record(input, &mut fields.bytes[written..], &mut fields.ends[count..]);
            self.input.consume(read);
            written += wrote;
            count += ended;
            match result {
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull if fields.bytes.len() > MAX_RECORD_BYTES => {
                    return Err(Error::limit("record-bytes", MAX_RECORD_BYTES));
                }
                ReadRecordResult::OutputFull => {
                    // One byte above the limit: the parser calls a buffer full that its record just fits.
                    let room = (fields.bytes.len() * 2).min(MAX_RECORD_BYTES + 1);
                    fields.bytes.resize(room, 0);
                }
                // More fields than any table may have: the rest of this record is read over, one field at a time.
                ReadRecordResult::OutputEndsFull if fields.ends.len() > MAX_COLUMNS => {
                    fields.dropped = true;
                    count = MAX_COLUMNS;
                    written = fields.ends[MAX_COLUMNS - 1];
                }
                ReadRecordResult::OutputEndsFull => {
                    let room = (fields.ends.len() * 2).min(MAX_COLUMNS + 1);
                    fields.ends.resize(room, 0);
                }
                ReadRecordResult::Record => {
                    fields.count = count.min(MAX_COLUMNS);
                    fields.dropped |= count > MAX_COLUMNS;
                    return Ok(true);
                }
                ReadRecordResult::End => return Ok(false),
            }
        }
    }
}

/// Column names from the header: trimmed, unique, none empty.
fn names(header: &Fields, warnings: &mut Warnings) -> Vec<String> {
    let mut names = Vec::<String>::new();
    let mut start = 0;
    for (place, end) in header.ends().iter().enumerate() {
        let written = String::from_utf8_lossy(&header.bytes()[start..*end]).trim().to_owned();
        start = *end;
        let wanted = if written.is_empty() { format!("column_{}", place + 1) } else { written };
        let mut name = wanted.clone();
        let mut turn = 2;
        while names.contains(&name) {
            name = format!("{wanted}_{turn}");
            turn += 1;
        }
        if name != wanted {
            warnings.names.push(format!("column name `{wanted}` occurs again; it is called `{name}`"));
        }
        names.push(name);
    }
    names
}
