//! Profiles of small tables, figured by hand.

use super::*;
use crate::read::Options;

fn of(text: &str) -> Profile {
    let source = Box::new(std::io::Cursor::new(text.as_bytes().to_vec()));
    profile(Table::new(source, "t", &Options::default()).unwrap()).unwrap()
}

#[test]
fn numbers_texts_and_nothing() {
    let found = of("n,f,t,z,e\n1,1.5,b,007,\n-10,,a,100,\n3,2,b,,\n");
    assert_eq!((found.rows, found.format, found.delimiter), (3, Format::Csv, Some(',')));
    let [n, f, t, z, e] = found.columns.as_slice() else { panic!("five columns: {found:?}") };
    assert_eq!(
        *n,
        ColumnProfile {
            name: "n".into(),
            inferred_type: ColumnType::Integer,
            count: 3,
            nulls: 0,
            min: Some("-10".into()),
            max: Some("3".into()),
            numeric: Some(NumericSummary {
                count: 3,
                mean: -2.0,
                deviation: 7.0,
                q25: -4.5,
                q50: 1.0,
                q75: 2.0,
                quantiles_exact: true,
            }),
            distinct: 3,
            distinct_exact: true,
            examples: vec!["1".into(), "-10".into(), "3".into()],
        }
    );
    assert_eq!((f.inferred_type, f.count, f.nulls), (ColumnType::Number, 2, 1));
    assert_eq!(
        (t.inferred_type, t.min.as_deref(), t.max.as_deref(), t.distinct),
        (ColumnType::Text, Some("a"), Some("b"), 2)
    );
    assert_eq!(t.numeric, None);
    assert_eq!((z.inferred_type, z.numeric.as_ref().map(|n| n.count)), (ColumnType::Text, Some(1)));
    assert_eq!((e.inferred_type, e.count, e.nulls, e.min.as_deref()), (ColumnType::Empty, 0, 3, None));
}

#[test]
fn types_widen_only_where_that_loses_nothing() {
    for (values, want) in [
        ("1\n2", ColumnType::Integer),
        ("1\n2.5", ColumnType::Number),
        ("true\nFALSE", ColumnType::Boolean),
        ("true\n1", ColumnType::Text),
        ("2024-01-01\n2024-01-02", ColumnType::Date),
        ("2024-01-01\n2024-01-02T10:00", ColumnType::Timestamp),
        ("2024-01-01\n3", ColumnType::Text),
    ] {
        assert_eq!(of(&format!("c\n{values}\n")).columns[0].inferred_type, want, "{values}");
    }
}

#[test]
fn json_lines_columns_appear_late() {
    let found = of("{\"a\":1}\n{\"b\":\"x\",\"a\":2}\n{\"c\":null}\n");
    let shape: Vec<_> = found.columns.iter().map(|c| (c.name.as_str(), c.count, c.nulls)).collect();
    assert_eq!(shape, [("a", 2, 1), ("b", 1, 2), ("c", 0, 3)]);
    assert_eq!(found.delimiter, None);
}

#[test]
fn long_values_are_shown_in_part() {
    let long = "é".repeat(500);
    let found = of(&format!("c\n{long}\n"));
    assert_eq!(found.columns[0].min.as_deref().map(|text| text.chars().count()), Some(SHOWN_FOR_TEST));
}

const SHOWN_FOR_TEST: usize = 200;
