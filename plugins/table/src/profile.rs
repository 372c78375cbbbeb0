//! Describes every column of a table in one pass.

mod column;
mod distinct;
mod sample;

use crate::error::Error;
use crate::read::{Format, Table};
use crate::value::ColumnType;
use column::ColumnSketch;

/// A table, described; see the WIT record `table-profile`.
#[derive(Debug, Clone, PartialEq)]
pub struct Profile {
    /// The format found.
    pub format: Format,
    /// The CSV delimiter found.
    pub delimiter: Option<char>,
    /// Data rows.
    pub rows: u64,
    /// Columns in the order of the file.
    pub columns: Vec<ColumnProfile>,
    /// What the reader had to work around.
    pub warnings: Vec<String>,
}

/// One column, described; see the WIT record `column-profile`.
#[derive(Debug, Clone, PartialEq)]
pub struct ColumnProfile {
    /// Its name.
    pub name: String,
    /// What its values have in common.
    pub inferred_type: ColumnType,
    /// Rows with a value.
    pub count: u64,
    /// Rows without one.
    pub nulls: u64,
    /// Smallest value as written.
    pub min: Option<String>,
    /// Largest value as written.
    pub max: Option<String>,
    /// Numbers about it, when at least half of its values are numbers.
    pub numeric: Option<NumericSummary>,
    /// How many different values.
    pub distinct: u64,
    /// Whether `distinct` is exact.
    pub distinct_exact: bool,
    /// The first three different values.
    pub examples: Vec<String>,
}

/// See the WIT record `numeric-summary`.
#[derive(Debug, Clone, PartialEq)]
pub struct NumericSummary {
    /// How many values are numbers.
    pub count: u64,
    /// Mean.
    pub mean: f64,
    /// Standard deviation of the sample.
    pub deviation: f64,
    /// First quartile.
    pub q25: f64,
    /// Median.
    pub q50: f64,
    /// Third quartile.
    pub q75: f64,
    /// Whether the quartiles are exact.
    pub quantiles_exact: bool,
}

/// Reads `table` to its end and describes it. Memory: about 80 KiB a column, whatever the number of rows.
///
/// # Errors
/// As the reader: [`Error::Io`], [`Error::Malformed`], [`Error::Limit`].
pub fn profile(mut table: Table) -> Result<Profile, Error> {
    let mut sketches = Vec::<ColumnSketch>::new();
    loop {
        let known = table.columns().len();
        let Some(record) = table.advance()? else { break };
        while sketches.len() < known {
            sketches.push(ColumnSketch::new(sketches.len()));
        }
        // JSON Lines: this very record may have brought a column.
        while record.width() > sketches.len() {
            sketches.push(ColumnSketch::new(sketches.len()));
        }
        for (place, sketch) in sketches.iter_mut().enumerate() {
            if let Some(text) = record.cell(place) {
                sketch.add(text);
            }
        }
    }
    let rows = table.rows();
    sketches.resize_with(table.columns().len(), || ColumnSketch::new(0));
    let columns =
        table.columns().iter().zip(sketches).map(|(name, sketch)| sketch.finish(name.clone(), rows)).collect();
    Ok(Profile { format: table.format(), delimiter: table.delimiter(), rows, columns, warnings: table.warnings() })
}

#[cfg(test)]
mod tests;
