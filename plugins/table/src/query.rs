//! Answers questions to a table in one pass.

mod aggregate;
mod filter;
mod grouped;
mod plain;

use crate::error::Error;
use crate::read::Table;
use filter::Conditions;

/// Rows returned when the query does not say.
const DEFAULT_LIMIT: u32 = 100;
/// Most rows returned.
const MAX_LIMIT: u32 = 10_000;

/// A question; see the WIT record `table-query`.
#[derive(Debug, Clone, Default)]
pub struct Query {
    /// Columns to return; empty: all.
    pub select: Vec<String>,
    /// Conditions, all of which must hold.
    pub filters: Vec<Filter>,
    /// Columns whose equal values make a group.
    pub group_by: Vec<String>,
    /// What to compute for each group.
    pub aggregates: Vec<Aggregate>,
    /// Order of the result.
    pub order: Vec<SortKey>,
    /// Rows to return; default 100, at most 10,000.
    pub limit: Option<u32>,
}

/// A condition on one column; see the WIT record `filter`.
#[derive(Debug, Clone)]
pub struct Filter {
    /// Column that is looked at.
    pub column: String,
    /// How it is compared.
    pub operator: Operator,
    /// With what.
    pub value: Option<String>,
    /// With what, under `one-of`.
    pub values: Option<Vec<String>>,
}

/// How a filter compares; see the WIT enum `operator`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is described in the WIT enum")]
pub enum Operator {
    Equals,
    NotEquals,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Contains,
    StartsWith,
    EndsWith,
    OneOf,
    IsNull,
    NotNull,
}

/// One computed column; see the WIT record `aggregate`.
#[derive(Debug, Clone)]
pub struct Aggregate {
    /// What is computed.
    pub function: Function,
    /// Over which column.
    pub column: Option<String>,
    /// Name in the result.
    pub name: Option<String>,
}

/// What is computed over a group; see the WIT enum `function`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is described in the WIT enum")]
pub enum Function {
    Count,
    Sum,
    Mean,
    Min,
    Max,
}

/// One key of the order; see the WIT record `sort-key`.
#[derive(Debug, Clone)]
pub struct SortKey {
    /// A column of the file or, grouped, of the result.
    pub column: String,
    /// Whether the largest comes first.
    pub descending: bool,
}

/// The answer; see the WIT record `rows`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rows {
    /// Names of the columns.
    pub columns: Vec<String>,
    /// Cells, one list a row.
    pub rows: Vec<Vec<Option<String>>>,
    /// Whether the limit held some back.
    pub more: bool,
    /// What the reader had to work around.
    pub warnings: Vec<String>,
}

/// Answers `query` from `table`.
///
/// # Errors
/// [`Error::InvalidQuery`], [`Error::UnknownColumn`]; [`Error::Limit`] for `groups` and `held-bytes`; as the reader.
pub fn query(table: Table, query: &Query) -> Result<Rows, Error> {
    let limit = query.limit.unwrap_or(DEFAULT_LIMIT);
    if !(1..=MAX_LIMIT).contains(&limit) {
        return Err(Error::InvalidQuery(format!("limit {limit} is not between 1 and {MAX_LIMIT}")));
    }
    if query.group_by.is_empty() && query.aggregates.is_empty() {
        plain::answer(table, query, limit as usize)
    } else {
        grouped::answer(table, query, limit as usize)
    }
}

/// Columns that the query named and their places; checked at the end, because JSON Lines may bring a column late.
struct Named(Vec<(String, usize)>);

impl Named {
    fn new() -> Self {
        Named(Vec::new())
    }

    fn place(&mut self, table: &mut Table, name: &str) -> Result<usize, Error> {
        let place = table.place_of(name)?;
        self.0.push((name.to_owned(), place));
        Ok(place)
    }

    /// Fails on a column that no record had.
    fn check_seen(&self, table: &Table) -> Result<(), Error> {
        match self.0.iter().find(|(_, place)| !table.has_seen(*place)) {
            None => Ok(()),
            Some((name, _)) => {
                let known: Vec<_> = (0..table.columns().len())
                    .filter(|place| table.has_seen(*place))
                    .map(|place| table.columns()[place].clone())
                    .collect();
                Err(Error::unknown_column(name, &known))
            }
        }
    }
}

/// Bytes of text held for the answer, bounded.
#[derive(Default)]
struct Held(usize);

impl Held {
    fn add(&mut self, bytes: usize) -> Result<(), Error> {
        use crate::error::MAX_HELD_BYTES;
        self.0 += bytes;
        if self.0 > MAX_HELD_BYTES { Err(Error::limit("held-bytes", MAX_HELD_BYTES)) } else { Ok(()) }
    }

    fn free(&mut self, bytes: usize) {
        self.0 -= bytes;
    }
}

/// Bytes that a row of the answer takes, the lists themselves included.
fn weight(cells: &[Option<String>]) -> usize {
    cells.iter().map(|cell| size_of::<Option<String>>() + cell.as_ref().map_or(0, String::len)).sum()
}

#[cfg(test)]
mod tests;
