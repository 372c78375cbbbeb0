//! Rows as they are: filtered, ordered, cut.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use super::{Conditions, Held, Named, Query, Rows, SortKey, weight};
use crate::error::Error;
use crate::read::{Record, Table};
use crate::value::compare;

pub(super) fn answer(mut table: Table, query: &Query, limit: usize) -> Result<Rows, Error> {
    let mut named = Named::new();
    let conditions = Conditions::new(&query.filters, &mut table, &mut named)?;
    let select = query.select.iter().map(|name| named.place(&mut table, name)).collect::<Result<Vec<_>, _>>()?;
    let keys = query
        .order
        .iter()
        .map(|key| Ok((named.place(&mut table, &key.column)?, key.descending)))
        .collect::<Result<Vec<_>, Error>>()?;
    let mut kept = Kept { rows: Vec::new(), best: BinaryHeap::new(), limit, held: Held::default(), more: false };
    let mut number = 0;
    while let Some(record) = table.advance()? {
        number += 1;
        if !conditions.hold(record) {
            continue;
        }
        let ordered = !keys.is_empty();
        if ordered {
            kept.add_ordered(record, &select, &keys, number)?;
        } else if kept.rows.len() == limit {
            // Without an order the answer is complete here; that there is one row more is all that is left to say.
            kept.more = true;
            break;
        } else {
            kept.add(record, &select)?;
        }
    }
    if kept.more && keys.is_empty() {
        // Stopped early: a JSON Lines column that has not turned up yet may still come.
    } else {
        named.check_seen(&table)?;
    }
    let columns = if select.is_empty() { table.columns().to_vec() } else { query.select.clone() };
    let more = kept.more;
    let mut rows = kept.finish();
    rows.iter_mut().for_each(|row| row.resize(columns.len(), None));
    Ok(Rows { columns, rows, more, warnings: table.warnings() })
}

/// The rows of the answer so far, never more than the limit.
struct Kept {
    rows: Vec<Vec<Option<String>>>,
    best: BinaryHeap<Row>,
    limit: usize,
    held: Held,
    more: bool,
}

/// A row with its place in the order; the greatest is the one to give up first.
struct Row {
    keys: Vec<Key>,
    number: u64,
    cells: Vec<Option<String>>,
}

struct Key {
    text: Option<String>,
    descending: bool,
}

impl Kept {
    fn add(&mut self, record: &Record, select: &[usize]) -> Result<(), Error> {
        let cells = pick(record, select);
        self.held.add(weight(&cells))?;
        self.rows.push(cells);
        Ok(())
    }

    fn add_ordered(
        &mut self,
        record: &Record,
        select: &[usize],
        keys: &[(usize, bool)],
        number: u64,
    ) -> Result<(), Error> {
        if self.best.len() == self.limit {
            self.more = true;
            let worst = self.best.peek().expect("a limit is at least 1");
            let after = keys
                .iter()
                .zip(&worst.keys)
                .map(|((place, descending), key)| order(record.cell(*place), key.text.as_deref(), *descending));
            // Later rows lose a tie: the order is stable.
            if after.fold(Ordering::Equal, Ordering::then).is_ge() {
                return Ok(());
            }
            let given_up = self.best.pop().expect("just seen");
            self.held.free(given_up.weight());
        }
        let keys = keys
            .iter()
            .map(|(place, descending)| Key { text: record.cell(*place).map(str::to_owned), descending: *descending });
        let row = Row { keys: keys.collect(), number, cells: pick(record, select) };
        self.held.add(row.weight())?;
        self.best.push(row);
        Ok(())
    }

    fn finish(self) -> Vec<Vec<Option<String>>> {
        let ordered = self.best.into_sorted_vec().into_iter().map(|row| row.cells);
        self.rows.into_iter().chain(ordered).collect()
    }
}

fn pick(record: &Record, select: &[usize]) -> Vec<Option<String>> {
    if select.is_empty() { record.copy(0..record.width()) } else { record.copy(select.iter().copied()) }
}

impl Row {
    fn weight(&self) -> usize {
        weight(&self.cells)
            + self.keys.iter().map(|key| size_of::<Key>() + key.text.as_ref().map_or(0, String::len)).sum::<usize>()
    }
}

impl Ord for Row {
    fn cmp(&self, other: &Self) -> Ordering {
        let keys = self.keys.iter().zip(&other.keys);
        keys.map(|(a, b)| order(a.text.as_deref(), b.text.as_deref(), a.descending))
            .fold(Ordering::Equal, Ordering::then)
            .then(self.number.cmp(&other.number))
    }
}

impl PartialOrd for Row {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Row {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Row {}

/// Order of two cells under one key; cells without a value stay last in both directions.
fn order(left: Option<&str>, right: Option<&str>, descending: bool) -> Ordering {
    let ascending = compare(left, right);
    if descending && left.is_some() && right.is_some() { ascending.reverse() } else { ascending }
}

/// Sorts finished rows by result columns; `place` finds a column.
pub(super) fn sort(
    rows: &mut [Vec<Option<String>>],
    keys: &[SortKey],
    place: impl Fn(&str) -> Result<usize, Error>,
) -> Result<(), Error> {
    let keys = keys.iter().map(|key| Ok((place(&key.column)?, key.descending))).collect::<Result<Vec<_>, Error>>()?;
    rows.sort_by(|a, b| {
        keys.iter()
            .map(|(place, descending)| order(a[*place].as_deref(), b[*place].as_deref(), *descending))
            .fold(Ordering::Equal, Ordering::then)
    });
    Ok(())
}
