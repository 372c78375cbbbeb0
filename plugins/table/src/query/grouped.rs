//! Groups of rows with equal values, and what is computed over each.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::aggregate::{Computed, State};
use super::{Conditions, Held, Named, Query, Rows, plain};
use crate::error::{Error, MAX_GROUPS};
use crate::read::{Record, Table};

/// A group's key: its cells, one after the other.
type Key = Vec<Option<String>>;

pub(super) fn answer(mut table: Table, query: &Query, limit: usize) -> Result<Rows, Error> {
    let mut named = Named::new();
    let conditions = Conditions::new(&query.filters, &mut table, &mut named)?;
    let places = query.group_by.iter().map(|name| named.place(&mut table, name)).collect::<Result<Vec<_>, _>>()?;
    let computed = query
        .aggregates
        .iter()
        .map(|aggregate| Computed::new(aggregate, &mut table, &mut named))
        .collect::<Result<Vec<_>, _>>()?;
    let columns: Vec<String> =
        query.group_by.iter().cloned().chain(computed.iter().map(|computed| computed.name.clone())).collect();
    let output = select(query, &columns)?;

    let mut groups = Groups::new(&places, &computed);
    while let Some(record) = table.advance()? {
        if conditions.hold(record) {
            groups.add(record)?;
        }
    }
    named.check_seen(&table)?;
    let mut warnings = table.warnings();
    warnings.extend(groups.warnings());

    let mut rows = groups.finish();
    plain::sort(&mut rows, &query.order, |name| place_in(&columns, name))?;
    let more = rows.len() > limit;
    rows.truncate(limit);
    let rows = rows.into_iter().map(|row| output.iter().map(|place| row[*place].clone()).collect()).collect();
    Ok(Rows { columns: output.iter().map(|place| columns[*place].clone()).collect(), rows, more, warnings })
}

/// Places of the result's columns that the query wants, all when it does not say.
fn select(query: &Query, columns: &[String]) -> Result<Vec<usize>, Error> {
    if let Some(twice) = columns.iter().enumerate().find(|(place, name)| columns[..*place].contains(name)) {
        return Err(Error::InvalidQuery(format!("two columns of the result are called `{}`", twice.1)));
    }
    if query.select.is_empty() {
        return Ok((0..columns.len()).collect());
    }
    query.select.iter().map(|name| place_in(columns, name)).collect()
}

fn place_in(columns: &[String], name: &str) -> Result<usize, Error> {
    columns.iter().position(|column| column == name).ok_or_else(|| {
        Error::InvalidQuery(format!(
            "`{name}` is neither grouped by nor computed; the result has `{}`",
            columns.join("`, `")
        ))
    })
}

struct Groups<'a> {
    places: &'a [usize],
    computed: &'a [Computed],
    index: HashMap<Key, usize>,
    /// In the order of first appearance.
    states: Vec<Vec<State>>,
    held: Held,
    /// Per aggregate: values that were not numbers.
    not_numbers: Vec<u64>,
    scratch: Key,
}

impl<'a> Groups<'a> {
    fn new(places: &'a [usize], computed: &'a [Computed]) -> Self {
        let mut groups = Groups {
            places,
            computed,
            index: HashMap::new(),
            states: Vec::new(),
            held: Held::default(),
            not_numbers: vec![0; computed.len()],
            scratch: vec![None; places.len()],
        };
        if places.is_empty() {
            // Aggregates over all rows: one group, there even without rows.
            groups.index.insert(Vec::new(), 0);
            groups.states.push(groups.fresh());
        }
        groups
    }

    fn fresh(&self) -> Vec<State> {
        self.computed.iter().map(|computed| State::new(computed.function)).collect()
    }

    fn add(&mut self, record: &Record) -> Result<(), Error> {
        for (slot, place) in self.scratch.iter_mut().zip(self.places) {
            match (record.cell(*place), slot) {
                (Some(text), Some(slot)) => text.clone_into(slot),
                (text, slot) => *slot = text.map(str::to_owned),
            }
        }
        let group = match self.index.get(&self.scratch) {
            Some(group) => *group,
            None => self.open()?,
        };
        for ((state, computed), misfits) in self.states[group].iter_mut().zip(self.computed).zip(&mut self.not_numbers)
        {
            if !state.add(record, computed.place, &mut self.held)? {
                *misfits += 1;
            }
        }
        Ok(())
    }

    fn open(&mut self) -> Result<usize, Error> {
        let group = self.states.len();
        if group == MAX_GROUPS {
            return Err(Error::limit("groups", MAX_GROUPS));
        }
        let fresh = self.fresh();
        self.held.add(super::weight(&self.scratch) + size_of::<State>() * fresh.len())?;
        if let Entry::Vacant(place) = self.index.entry(self.scratch.clone()) {
            place.insert(group);
        }
        self.states.push(fresh);
        Ok(group)
    }

    fn warnings(&self) -> Vec<String> {
        let misfits = self.computed.iter().zip(&self.not_numbers).filter(|(_, count)| **count > 0);
        misfits
            .map(|(computed, count)| format!("`{}` leaves out {count} value(s) that are not numbers", computed.name))
            .collect()
    }

    fn finish(self) -> Vec<Vec<Option<String>>> {
        let mut keys: Vec<(Key, usize)> = self.index.into_iter().collect();
        keys.sort_unstable_by_key(|(_, group)| *group);
        let rows = keys.into_iter().zip(self.states);
        rows.map(|((key, _), states)| key.into_iter().chain(states.into_iter().map(State::finish)).collect()).collect()
    }
}
