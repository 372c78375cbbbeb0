//! One row, its cells as slices of one reused buffer.

use crate::error::Error;

/// One row. Cells beyond its end have no value.
#[derive(Debug, Default)]
pub(crate) struct Record {
    text: String,
    /// Per column: where its text lies; `None` for no value.
    cells: Vec<Option<(usize, usize)>>,
}

impl Record {
    /// The text of the cell at `place`, `None` for no value.
    pub(crate) fn cell(&self, place: usize) -> Option<&str> {
        let (start, end) = (*self.cells.get(place)?)?;
        Some(&self.text[start..end])
    }

    /// Cells it has, with or without a value.
    pub(crate) fn width(&self) -> usize {
        self.cells.len()
    }

    /// Empties it and gives it `columns` cells without a value.
    pub(super) fn reset(&mut self, columns: usize) {
        self.text.clear();
        self.cells.clear();
        self.cells.resize(columns, None);
    }

    /// Sets the cell at `place`; the empty text is no value.
    pub(super) fn set(&mut self, place: usize, text: &str) {
        let start = self.text.len();
        self.text.push_str(text);
        if place >= self.cells.len() {
            self.cells.resize(place + 1, None);
        }
        self.cells[place] = (!text.is_empty()).then_some((start, self.text.len()));
    }

    /// Takes fields that lie one after the other in `bytes`, each ending at one of `ends`, as the first cells.
    ///
    /// Returns whether all were UTF-8; what was not is replaced.
    pub(super) fn set_fields(&mut self, bytes: &[u8], ends: &[usize]) -> bool {
        // The whole at once is much faster than field by field, but a field may end within a character of the whole:
        // `C3` and `A9` in two fields are each invalid, together they are valid.
        if let Ok(text) = std::str::from_utf8(bytes)
            && ends.iter().all(|end| text.is_char_boundary(*end))
        {
            self.text.push_str(text);
            let mut start = 0;
            for (cell, end) in self.cells.iter_mut().zip(ends) {
                *cell = (start != *end).then_some((start, *end));
                start = *end;
            }
            return true;
        }
        let mut start = 0;
        for (place, end) in ends.iter().enumerate().take(self.cells.len()) {
            self.set(place, &String::from_utf8_lossy(&bytes[start..*end]));
            start = *end;
        }
        false
    }

    /// Takes the value from cells whose text is one of `nulls`.
    pub(super) fn clear_nulls(&mut self, nulls: &[String]) {
        if nulls.is_empty() {
            return;
        }
        for cell in &mut self.cells {
            if cell.is_some_and(|(start, end)| nulls.iter().any(|null| *null == self.text[start..end])) {
                *cell = None;
            }
        }
    }

    /// Copies cells out, in the order of `places`.
    pub(crate) fn copy(&self, places: impl Iterator<Item = usize>) -> Vec<Option<String>> {
        places.map(|place| self.cell(place).map(str::to_owned)).collect()
    }
}

/// Bounds what one more column would make.
pub(super) fn check_columns(count: usize) -> Result<(), Error> {
    use crate::error::MAX_COLUMNS;
    if count > MAX_COLUMNS { Err(Error::limit("columns", MAX_COLUMNS)) } else { Ok(()) }
}
