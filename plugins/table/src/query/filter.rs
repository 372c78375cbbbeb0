//! Conditions on rows.

use std::cmp::Ordering;

use super::{Filter, Named, Operator};
use crate::error::Error;
use crate::read::{Record, Table};
use crate::value::{Number, compare_numbers, number};

/// All conditions of a query, checked.
pub(super) struct Conditions(Vec<Condition>);

struct Condition {
    place: usize,
    operator: Operator,
    operands: Vec<Operand>,
}

struct Operand {
    text: String,
    number: Option<Number>,
}

impl Conditions {
    pub(super) fn new(filters: &[Filter], table: &mut Table, named: &mut Named) -> Result<Self, Error> {
        let conditions = filters.iter().map(|filter| {
            Ok(Condition {
                place: named.place(table, &filter.column)?,
                operator: filter.operator,
                operands: operands(filter)?,
            })
        });
        conditions.collect::<Result<_, _>>().map(Conditions)
    }

    pub(super) fn hold(&self, record: &Record) -> bool {
        self.0.iter().all(|condition| condition.holds(record.cell(condition.place)))
    }
}

/// Exactly what the operator needs: one value, several, or none.
fn operands(filter: &Filter) -> Result<Vec<Operand>, Error> {
    let refuse = |why: &str| Err(Error::InvalidQuery(format!("filter on `{}` {why}", filter.column)));
    let texts = match (filter.operator, &filter.value, &filter.values) {
        (Operator::IsNull | Operator::NotNull, None, None) => Vec::new(),
        (Operator::IsNull | Operator::NotNull, ..) => return refuse("takes no value"),
        (Operator::OneOf, None, Some(values)) if !values.is_empty() => values.clone(),
        (Operator::OneOf, ..) => return refuse("needs `values` with at least one value, and no `value`"),
        (_, Some(value), None) => vec![value.clone()],
        _ => return refuse("needs `value`, and no `values`"),
    };
    Ok(texts.into_iter().map(|text| Operand { number: number(&text), text }).collect())
}

impl Condition {
    fn holds(&self, cell: Option<&str>) -> bool {
        let Some(cell) = cell else { return self.operator == Operator::IsNull };
        let Some(first) = self.operands.first() else { return self.operator == Operator::NotNull };
        let ordered = |wanted: fn(Ordering) -> bool| first.order(cell).is_some_and(wanted);
        match self.operator {
            Operator::Equals | Operator::OneOf => self.operands.iter().any(|operand| operand.equals(cell)),
            Operator::NotEquals => !first.equals(cell),
            Operator::Less => ordered(Ordering::is_lt),
            Operator::LessOrEqual => ordered(Ordering::is_le),
            Operator::Greater => ordered(Ordering::is_gt),
            Operator::GreaterOrEqual => ordered(Ordering::is_ge),
            Operator::Contains => cell.contains(first.text.as_str()),
            Operator::StartsWith => cell.starts_with(first.text.as_str()),
            Operator::EndsWith => cell.ends_with(first.text.as_str()),
            Operator::IsNull => false,
            Operator::NotNull => true,
        }
    }
}

impl Operand {
    fn equals(&self, cell: &str) -> bool {
        cell == self.text
            || self.number.zip(number(cell)).is_some_and(|(wanted, found)| compare_numbers(found, wanted).is_eq())
    }

    /// How `cell` stands to the operand; `None` for a text beside a number.
    fn order(&self, cell: &str) -> Option<Ordering> {
        match self.number {
            Some(wanted) => number(cell).map(|found| compare_numbers(found, wanted)),
            None => Some(cell.cmp(&self.text)),
        }
    }
}
