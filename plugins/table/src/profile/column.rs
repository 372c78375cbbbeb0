//! One column, seen value by value.

use super::distinct::Distinct;
use super::sample::Sample;
use super::{ColumnProfile, NumericSummary};
use crate::value::{ColumnType, Number, compare_numbers, number, type_of};

/// Characters shown of a value.
const SHOWN: usize = 200;
/// Values shown.
const EXAMPLES: usize = 3;

#[derive(Debug)]
pub(super) struct ColumnSketch {
    types: [u64; 6],
    numbers: Option<Extremes<Number>>,
    texts: Option<Extremes<()>>,
    mean: f64,
    /// Sum of squared distances from the mean (Welford, 1962).
    squares: f64,
    sample: Sample,
    distinct: Distinct,
    examples: Vec<String>,
}

/// The smallest and largest value, as written and as compared.
#[derive(Debug)]
struct Extremes<T> {
    min: (T, String),
    max: (T, String),
}

impl ColumnSketch {
    pub(super) fn new(seed: usize) -> Self {
        ColumnSketch {
            types: [0; 6],
            numbers: None,
            texts: None,
            mean: 0.0,
            squares: 0.0,
            sample: Sample::new(seed),
            distinct: Distinct::new(),
            examples: Vec::new(),
        }
    }

    pub(super) fn add(&mut self, text: &str) {
        let found = type_of(text);
        self.types[place(found)] += 1;
        if self.distinct.add(text) && self.examples.len() < EXAMPLES {
            self.examples.push(shown(text));
        }
        if let (ColumnType::Integer | ColumnType::Number, Some(value)) = (found, number(text)) {
            self.add_number(value, text);
        }
        match &mut self.texts {
            None => self.texts = Some(Extremes { min: ((), text.to_owned()), max: ((), text.to_owned()) }),
            Some(texts) if text < texts.min.1.as_str() => text.clone_into(&mut texts.min.1),
            Some(texts) if text > texts.max.1.as_str() => text.clone_into(&mut texts.max.1),
            Some(_) => {}
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "a count as divisor")]
    fn add_number(&mut self, value: Number, text: &str) {
        match &mut self.numbers {
            None => self.numbers = Some(Extremes { min: (value, text.to_owned()), max: (value, text.to_owned()) }),
            Some(numbers) if compare_numbers(value, numbers.min.0).is_lt() => numbers.min = (value, text.to_owned()),
            Some(numbers) if compare_numbers(value, numbers.max.0).is_gt() => numbers.max = (value, text.to_owned()),
            Some(_) => {}
        }
        let value = value.as_f64();
        self.sample.add(value);
        let distance = value - self.mean;
        self.mean += distance / self.count_of_numbers() as f64;
        self.squares += distance * (value - self.mean);
    }

    fn count_of_numbers(&self) -> u64 {
        self.types[place(ColumnType::Integer)] + self.types[place(ColumnType::Number)]
    }

    #[expect(clippy::cast_precision_loss, reason = "a count as divisor")]
    pub(super) fn finish(self, name: String, rows: u64) -> ColumnProfile {
        let count: u64 = self.types.iter().sum();
        let numbers = self.count_of_numbers();
        let inferred_type = self.inferred_type();
        let (distinct, distinct_exact) = self.distinct.count();
        let extremes = match inferred_type {
            ColumnType::Integer | ColumnType::Number => self.numbers.map(|found| (found.min.1, found.max.1)),
            _ => self.texts.map(|found| (found.min.1, found.max.1)),
        };
        let quantiles_exact = self.sample.is_exact();
        let numeric = self.sample.quartiles().filter(|_| numbers * 2 >= count).map(|[q25, q50, q75]| NumericSummary {
            count: numbers,
            mean: self.mean,
            deviation: if numbers > 1 { (self.squares / (numbers - 1) as f64).sqrt() } else { 0.0 },
            q25,
            q50,
            q75,
            quantiles_exact,
        });
        let (min, max) = extremes.map(|(min, max)| (shown(&min), shown(&max))).unzip();
        let nulls = rows - count;
        let examples = self.examples;
        ColumnProfile { name, inferred_type, count, nulls, min, max, numeric, distinct, distinct_exact, examples }
    }

    fn inferred_type(&self) -> ColumnType {
        use ColumnType::{Boolean, Date, Empty, Integer, Number, Text, Timestamp};
        let seen = |wanted: &[ColumnType]| {
            [Integer, Number, Boolean, Date, Timestamp, Text]
                .into_iter()
                .all(|found| wanted.contains(&found) || self.types[place(found)] == 0)
        };
        for (wanted, answer) in [
            (&[][..], Empty),
            (&[Integer], Integer),
            (&[Integer, Number], Number),
            (&[Boolean], Boolean),
            (&[Date], Date),
            (&[Date, Timestamp], Timestamp),
        ] {
            if seen(wanted) {
                return answer;
            }
        }
        Text
    }
}

fn place(found: ColumnType) -> usize {
    match found {
        ColumnType::Integer => 0,
        ColumnType::Number => 1,
        ColumnType::Boolean => 2,
        ColumnType::Date => 3,
        ColumnType::Timestamp => 4,
        ColumnType::Text | ColumnType::Empty => 5,
    }
}

fn shown(text: &str) -> String {
    text.chars().take(SHOWN).collect()
}
