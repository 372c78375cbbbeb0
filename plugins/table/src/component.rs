//! The border: WIT types in, WIT types out.

#![expect(unsafe_code, reason = "generated bindings")]

wit_bindgen::generate!({ world: "plugin", path: "../wit/table" });

use exports::stigmer::table::table as wit;

use crate::{Error, Table};

struct Component;

impl wit::Guest for Component {
    fn profile(path: String, options: Option<wit::Options>) -> Result<wit::TableProfile, wit::Error> {
        let table = Table::open(&named(path), &options.map(Into::into).unwrap_or_default())?;
        Ok(crate::profile(table)?.into())
    }

    fn query(path: String, query: wit::TableQuery) -> Result<wit::Rows, wit::Error> {
        let (options, query) = split(query);
        Ok(crate::query(Table::open(&named(path), &options)?, &query)?.into())
    }
}

export!(Component);

/// The path as WASI knows it. It has no current folder: what is relative counts from the first granted one, which is the
/// workspace.
fn named(path: String) -> String {
    if path.starts_with('/') {
        return path;
    }
    match wasip2::filesystem::preopens::get_directories().first() {
        Some((_, root)) => format!("{}/{path}", root.trim_end_matches('/')),
        None => path,
    }
}

/// A one-to-one mapping of enums that have the same cases on both sides.
macro_rules! same_cases {
    ($from:path => $to:path { $($case:ident),* $(,)? }) => {
        impl From<$from> for $to {
            fn from(value: $from) -> Self {
                match value { $(<$from>::$case => <$to>::$case,)* }
            }
        }
    };
}

same_cases!(wit::Format => crate::Format { Csv, JsonLines });
same_cases!(crate::Format => wit::Format { Csv, JsonLines });
same_cases!(crate::ColumnType => wit::ColumnType { Integer, Number, Boolean, Date, Timestamp, Text, Empty });
same_cases!(wit::Function => crate::Function { Count, Sum, Mean, Min, Max });
same_cases!(wit::Operator => crate::Operator {
    Equals, NotEquals, Less, LessOrEqual, Greater, GreaterOrEqual, Contains, StartsWith, EndsWith, OneOf, IsNull, NotNull,
});

impl From<wit::Options> for crate::Options {
    fn from(options: wit::Options) -> Self {
        crate::Options {
            format: options.format.map(Into::into),
            delimiter: options.delimiter,
            header: options.header,
            null_values: options.null_values.unwrap_or_default(),
        }
    }
}

fn split(query: wit::TableQuery) -> (crate::Options, crate::Query) {
    let filter = |filter: wit::Filter| crate::Filter {
        column: filter.column,
        operator: filter.operator.into(),
        value: filter.value,
        values: filter.values,
    };
    let aggregate = |aggregate: wit::Aggregate| crate::Aggregate {
        function: aggregate.function.into(),
        column: aggregate.column,
        name: aggregate.name,
    };
    let key = |key: wit::SortKey| crate::SortKey { column: key.column, descending: key.descending.unwrap_or(false) };
    let checked = crate::Query {
        select: query.select.unwrap_or_default(),
        filters: query.filters.unwrap_or_default().into_iter().map(filter).collect(),
        group_by: query.group_by.unwrap_or_default(),
        aggregates: query.aggregates.unwrap_or_default().into_iter().map(aggregate).collect(),
        order: query.order.unwrap_or_default().into_iter().map(key).collect(),
        limit: query.limit,
    };
    (query.options.map(Into::into).unwrap_or_default(), checked)
}

impl From<crate::Profile> for wit::TableProfile {
    fn from(profile: crate::Profile) -> Self {
        wit::TableProfile {
            format: profile.format.into(),
            delimiter: profile.delimiter,
            rows: profile.rows,
            columns: profile.columns.into_iter().map(Into::into).collect(),
            warnings: profile.warnings,
        }
    }
}

impl From<crate::ColumnProfile> for wit::ColumnProfile {
    fn from(column: crate::ColumnProfile) -> Self {
        wit::ColumnProfile {
            name: column.name,
            inferred_type: column.inferred_type.into(),
            count: column.count,
            nulls: column.nulls,
            min: column.min,
            max: column.max,
            numeric: column.numeric.map(|summary| wit::NumericSummary {
                count: summary.count,
                mean: summary.mean,
                deviation: summary.deviation,
                q25: summary.q25,
                q50: summary.q50,
                q75: summary.q75,
                quantiles_exact: summary.quantiles_exact,
            }),
            distinct: column.distinct,
            distinct_exact: column.distinct_exact,
            examples: column.examples,
        }
    }
}

impl From<crate::Rows> for wit::Rows {
    fn from(rows: crate::Rows) -> Self {
        wit::Rows { columns: rows.columns, rows: rows.rows, more: rows.more, warnings: rows.warnings }
    }
}

impl From<Error> for wit::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::NotFound(path) => wit::Error::NotFound(path),
            Error::Denied(path) => wit::Error::Denied(path),
            Error::Io { path, source } => wit::Error::Io(format!("could not read `{path}`: {source}")),
            Error::Malformed { .. } => wit::Error::Malformed(error.to_string()),
            Error::UnknownColumn { name, known } => wit::Error::UnknownColumn(wit::UnknownColumn { name, known }),
            Error::InvalidQuery(why) => wit::Error::InvalidQuery(why),
            Error::Limit { name, value } => wit::Error::Limit(wit::Limit { name: name.to_owned(), value }),
        }
    }
}
