//! What is computed over the rows of a group.

use super::{Aggregate, Function, Held, Named};
use crate::error::Error;
use crate::read::{Record, Table};
use crate::value::{Number, compare_numbers, number};

/// An aggregate with its column found.
pub(super) struct Computed {
    pub(super) function: Function,
    pub(super) place: Option<usize>,
    pub(super) name: String,
}

impl Computed {
    pub(super) fn new(aggregate: &Aggregate, table: &mut Table, named: &mut Named) -> Result<Self, Error> {
        let word = match aggregate.function {
            Function::Count => "count",
            Function::Sum => "sum",
            Function::Mean => "mean",
            Function::Min => "min",
            Function::Max => "max",
        };
        let default_name = match &aggregate.column {
            Some(column) => format!("{word}_{column}"),
            None if aggregate.function == Function::Count => word.to_owned(),
            None => return Err(Error::InvalidQuery(format!("`{word}` needs a column"))),
        };
        let place = aggregate.column.as_ref().map(|column| named.place(table, column)).transpose()?;
        let name = aggregate.name.clone().unwrap_or(default_name);
        Ok(Computed { function: aggregate.function, place, name })
    }
}

/// The state of one aggregate in one group.
#[derive(Debug)]
pub(super) enum State {
    Count(u64),
    Sum(Sum),
    Mean(Sum),
    /// Smallest or largest, with the side wanted.
    Extreme(Extreme),
}

/// A sum that is exact while all are whole, and compensated (Neumaier, 1974) where not.
#[derive(Debug, Default)]
pub(super) struct Sum {
    count: u64,
    whole: i128,
    fraction: f64,
    lost: f64,
    has_fraction: bool,
}

#[derive(Debug)]
pub(super) struct Extreme {
    largest: bool,
    number: Option<(Number, String)>,
    text: Option<String>,
    all_numbers: bool,
}

impl State {
    pub(super) fn new(function: Function) -> Self {
        let extreme = |largest| State::Extreme(Extreme { largest, number: None, text: None, all_numbers: true });
        match function {
            Function::Count => State::Count(0),
            Function::Sum => State::Sum(Sum::default()),
            Function::Mean => State::Mean(Sum::default()),
            Function::Min => extreme(false),
            Function::Max => extreme(true),
        }
    }

    /// Takes one row; false when its value is not the number that the function needs.
    pub(super) fn add(&mut self, record: &Record, place: Option<usize>, held: &mut Held) -> Result<bool, Error> {
        let cell = match place {
            None => Some(""),
            Some(place) => record.cell(place),
        };
        let Some(text) = cell else { return Ok(true) };
        match self {
            State::Count(count) => *count += 1,
            State::Sum(sum) | State::Mean(sum) => match number(text) {
                Some(value) => sum.add(value),
                None => return Ok(false),
            },
            State::Extreme(extreme) => extreme.add(text, held)?,
        }
        Ok(true)
    }

    pub(super) fn finish(self) -> Option<String> {
        match self {
            State::Count(count) => Some(count.to_string()),
            State::Sum(sum) => sum.total(),
            State::Mean(sum) => sum.mean(),
            State::Extreme(extreme) => match extreme.number {
                Some((_, text)) if extreme.all_numbers => Some(text),
                _ => extreme.text,
            },
        }
    }
}

impl Sum {
    fn add(&mut self, value: Number) {
        self.count += 1;
        match value {
            // 2^63 values of 2^63 fit in an i128.
            Number::Integer(value) => self.whole += i128::from(value),
            Number::Float(value) => {
                self.has_fraction = true;
                let sum = self.fraction + value;
                self.lost += if self.fraction.abs() >= value.abs() {
                    (self.fraction - sum) + value
                } else {
                    (value - sum) + self.fraction
                };
                self.fraction = sum;
            }
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "with fractions the result is an f64 anyway")]
    fn as_f64(&self) -> f64 {
        self.whole as f64 + (self.fraction + self.lost)
    }

    fn total(&self) -> Option<String> {
        match self.count {
            0 => None,
            _ if self.has_fraction => Some(self.as_f64().to_string()),
            _ => Some(self.whole.to_string()),
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "a count as divisor")]
    fn mean(&self) -> Option<String> {
        (self.count > 0).then(|| (self.as_f64() / self.count as f64).to_string())
    }
}

impl Extreme {
    fn add(&mut self, text: &str, held: &mut Held) -> Result<(), Error> {
        let wins = |order: std::cmp::Ordering| if self.largest { order.is_gt() } else { order.is_lt() };
        match number(text) {
            Some(value) => {
                if self.number.as_ref().is_none_or(|(best, _)| wins(compare_numbers(value, *best))) {
                    held.free(self.number.as_ref().map_or(0, |(_, text)| text.len()));
                    held.add(text.len())?;
                    self.number = Some((value, text.to_owned()));
                }
            }
            None => self.all_numbers = false,
        }
        if self.text.as_deref().is_none_or(|best| wins(text.cmp(best))) {
            held.free(self.text.as_ref().map_or(0, String::len));
            held.add(text.len())?;
            self.text = Some(text.to_owned());
        }
        Ok(())
    }
}
