//! What the reader makes of real-world files.

use super::*;

/// Gives out one byte a read, so that every boundary falls inside a field, quote or character.
struct Dribble(std::io::Cursor<Vec<u8>>);

impl Read for Dribble {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let end = buffer.len().min(1);
        self.0.read(&mut buffer[..end])
    }
}

type Cells = Vec<Vec<Option<String>>>;

fn read_with(bytes: &[u8], options: &Options) -> Result<(Table, Cells), Error> {
    let whole = drain(Table::new(Box::new(std::io::Cursor::new(bytes.to_vec())), "t", options)?)?;
    let dribbled = drain(Table::new(Box::new(Dribble(std::io::Cursor::new(bytes.to_vec()))), "t", options)?)?;
    assert_eq!(whole.1, dribbled.1, "the size of reads must not matter");
    Ok(whole)
}

fn drain(mut table: Table) -> Result<(Table, Cells), Error> {
    let mut rows = Vec::new();
    while let Some(record) = table.advance()? {
        rows.push(record.copy(0..4));
    }
    let columns = table.columns().len();
    for row in &mut rows {
        row.truncate(columns);
    }
    Ok((table, rows))
}

fn read(bytes: &[u8]) -> (Table, Cells) {
    read_with(bytes, &Options::default()).unwrap()
}

fn cells(rows: &[&[&str]]) -> Cells {
    let cell = |text: &&str| (!text.is_empty()).then(|| (*text).to_owned());
    rows.iter().map(|row| row.iter().map(cell).collect()).collect()
}

#[test]
fn quotes_newlines_and_bom() {
    let (table, rows) = read(b"\xEF\xBB\xBFid,text\r\n1,\"a \"\"b\"\"\nc, d\"\r\n2,\r\n");
    assert_eq!(table.columns(), ["id", "text"]);
    assert_eq!(rows, cells(&[&["1", "a \"b\"\nc, d"], &["2", ""]]));
    assert_eq!(table.warnings(), Vec::<String>::new());
}

#[test]
fn finds_each_delimiter() {
    for delimiter in [',', ';', '\t', '|'] {
        let text = format!("a{delimiter}b\n\"1,5;x|y\"{delimiter}2\n3{delimiter}4\n");
        let (table, rows) = read(text.as_bytes());
        assert_eq!(table.delimiter(), Some(delimiter));
        assert_eq!(rows, cells(&[&["1,5;x|y", "2"], &["3", "4"]]));
    }
    assert_eq!(read(b"one\n1\n").0.delimiter(), Some(','));
    let chosen = Options { delimiter: Some(':'), ..Options::default() };
    assert_eq!(read_with(b"a:b\n1:2\n", &chosen).unwrap().1, cells(&[&["1", "2"]]));
    let refused = Options { delimiter: Some('"'), ..Options::default() };
    assert!(matches!(read_with(b"a\n", &refused), Err(Error::InvalidQuery(_))));
}

#[test]
fn ragged_rows_are_read_and_said() {
    let (table, rows) = read(b"a,b\n1\n1,2,3\n1,2\n");
    assert_eq!(rows, cells(&[&["1", ""], &["1", "2"], &["1", "2"]]));
    let warnings = table.warnings();
    assert!(warnings[0].starts_with("1 row(s) with fewer") && warnings[0].ends_with("(first: row 1)"), "{warnings:?}");
    assert!(warnings[1].starts_with("1 row(s) with more") && warnings[1].ends_with("(first: row 2)"), "{warnings:?}");
}

#[test]
fn names_are_unique_and_present() {
    let (table, _) = read(b"a,,a,a\n");
    assert_eq!(table.columns(), ["a", "column_2", "a_2", "a_3"]);
    assert_eq!(table.warnings().len(), 2);
    let bare = Options { header: Some(false), ..Options::default() };
    let (table, rows) = read_with(b"1,2\n3,4\n", &bare).unwrap();
    assert_eq!(table.columns(), ["column_1", "column_2"]);
    assert_eq!(rows, cells(&[&["1", "2"], &["3", "4"]]));
}

#[test]
fn invalid_utf8_even_split_over_two_fields() {
    let (table, rows) = read(b"a,b\n\xC3,\xA9\n");
    assert_eq!(rows, cells(&[&["\u{FFFD}", "\u{FFFD}"]]));
    assert!(table.warnings()[0].contains("not UTF-8"));
}

#[test]
fn null_values_are_what_the_options_name() {
    let options = Options { null_values: vec!["NA".into()], ..Options::default() };
    assert_eq!(read_with(b"a,b\nNA,NAB\n", &options).unwrap().1, cells(&[&["", "NAB"]]));
    assert_eq!(read(b"a,b\nNA,NAB\n").1, cells(&[&["NA", "NAB"]]));
}

#[test]
fn json_lines_keep_digits_and_nested_text() {
    let (table, rows) =
        read(b"{\"a\":12345678901234567890.10,\"b\":\"x\\ny\"}\n\n{\"b\":null,\"c\":[1, 2],\"a\":true}\r\n{}");
    assert_eq!(table.format(), Format::JsonLines);
    assert_eq!(table.columns(), ["a", "b", "c"]);
    assert_eq!(rows, cells(&[&["12345678901234567890.10", "x\ny", ""], &["true", "", "[1, 2]"], &["", "", ""]]));
}

#[test]
fn what_is_not_a_table_says_so() {
    for (bytes, want) in [
        (b"\xFF\xFEa\0".as_slice(), "UTF-16"),
        (b"\x7fELF\0\0", "binary"),
        (b"[{\"a\":1}]", "JSON array"),
        (b"{\"a\":1}\n{\"a\":", "row 2: line 2 of the file, column 5, is not a JSON object"),
        (b"{\"a\":1}\n[1]\n", "row 2: line 2 of the file, column 0, is not a JSON object"),
    ] {
        let error = read_with(bytes, &Options::default()).err().unwrap().to_string();
        assert!(error.contains(want), "{error} lacks {want}");
    }
    let (table, rows) = read(b"");
    assert_eq!((table.columns().len(), rows.len()), (0, 0));
}

#[test]
fn limits_hold_at_the_limit_and_one_above() {
    use crate::error::{MAX_COLUMNS, MAX_RECORD_BYTES};
    let header = |count: usize| vec!["x"; count].join(",").into_bytes();
    let open = |bytes: Vec<u8>| Table::new(Box::new(std::io::Cursor::new(bytes)), "t", &Options::default());
    assert_eq!(open(header(MAX_COLUMNS)).unwrap().columns().len(), MAX_COLUMNS);
    for count in [MAX_COLUMNS + 1, MAX_COLUMNS * 3] {
        assert!(matches!(open(header(count)), Err(Error::Limit { name: "columns", .. })));
    }
    let mut long_row = header(2);
    long_row.push(b'\n');
    long_row.extend(header(MAX_COLUMNS * 3));
    let (table, rows) = drain(open(long_row).unwrap()).unwrap();
    assert_eq!((rows.len(), table.warnings().len()), (1, 2));

    let field = |bytes: usize| [b"a,b\n1,\"".to_vec(), vec![b'x'; bytes], b"\"\n".to_vec()].concat();
    assert!(drain(open(field(MAX_RECORD_BYTES - 1)).unwrap()).is_ok());
    assert!(matches!(drain(open(field(MAX_RECORD_BYTES)).unwrap()), Err(Error::Limit { name: "record-bytes", .. })));
    let line = |bytes: usize| [b"{\"a\":\"".to_vec(), vec![b'x'; bytes], b"\"}".to_vec()].concat();
    assert!(drain(open(line(MAX_RECORD_BYTES / 2)).unwrap()).is_ok());
    assert!(matches!(drain(open(line(MAX_RECORD_BYTES * 2)).unwrap()), Err(Error::Limit { name: "record-bytes", .. })));
}

#[test]
fn missing_files_and_folders_are_told_apart() {
    assert!(matches!(Table::open("/nonexistent/x.csv", &Options::default()), Err(Error::NotFound(_))));
    let folder = std::env::temp_dir();
    assert!(matches!(Table::open(folder.to_str().unwrap(), &Options::default()), Err(Error::Malformed { .. })));
}
