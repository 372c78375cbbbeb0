//! Questions to a small table, answered by hand.

use super::*;
use crate::error::{MAX_GROUPS, MAX_HELD_BYTES};
use crate::read::Options;

const CITIES: &str =
    "city,country,people,rain\nUlm,DE,126,0.5\nBern,CH,134,\nBonn,DE,330,1.25\nGenf,CH,203,2\nLinz,AT,x,\n";

fn ask(text: &str, question: &Query) -> Result<Rows, Error> {
    let source = Box::new(std::io::Cursor::new(text.as_bytes().to_vec()));
    query(Table::new(source, "t", &Options::default()).unwrap(), question)
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn filter(column: &str, operator: Operator, value: &str) -> Filter {
    let value = (!value.is_empty()).then(|| value.to_owned());
    Filter { column: column.into(), operator, value, values: None }
}

fn aggregate(function: Function, column: &str) -> Aggregate {
    Aggregate { function, column: (!column.is_empty()).then(|| column.to_owned()), name: None }
}

fn key(column: &str, descending: bool) -> SortKey {
    SortKey { column: column.into(), descending }
}

/// Rows as `a,b;c,d`, `-` for no value.
fn flat(rows: &Rows) -> String {
    let row = |row: &Vec<Option<String>>| row.iter().map(|c| c.as_deref().unwrap_or("-")).collect::<Vec<_>>().join(",");
    rows.rows.iter().map(row).collect::<Vec<_>>().join(";")
}

#[test]
fn each_operator_on_numbers_texts_and_nothing() {
    use Operator::{
        Contains, EndsWith, Equals, Greater, GreaterOrEqual, IsNull, Less, LessOrEqual, NotEquals, NotNull, StartsWith,
    };
    for (column, operator, value, want) in [
        ("people", Equals, "126.0", "Ulm"),
        ("people", NotEquals, "126", "Bern;Bonn;Genf;Linz"),
        ("people", Less, "134", "Ulm"),
        ("people", LessOrEqual, "134", "Ulm;Bern"),
        ("people", Greater, "203", "Bonn"),
        ("people", GreaterOrEqual, "203", "Bonn;Genf"),
        ("rain", NotEquals, "2", "Ulm;Bonn"),
        ("rain", IsNull, "", "Bern;Linz"),
        ("rain", NotNull, "", "Ulm;Bonn;Genf"),
        ("city", Less, "C", "Bern;Bonn"),
        ("city", Contains, "n", "Bern;Bonn;Genf;Linz"),
        ("city", StartsWith, "B", "Bern;Bonn"),
        ("city", EndsWith, "nz", "Linz"),
    ] {
        let question =
            Query { select: names(&["city"]), filters: vec![filter(column, operator, value)], ..Query::default() };
        assert_eq!(flat(&ask(CITIES, &question).unwrap()), want, "{column} {operator:?} {value}");
    }
    let one_of =
        Filter { column: "country".into(), operator: Operator::OneOf, value: None, values: Some(names(&["AT", "CH"])) };
    let question = Query { select: names(&["city"]), filters: vec![one_of], ..Query::default() };
    assert_eq!(flat(&ask(CITIES, &question).unwrap()), "Bern;Genf;Linz");
}

#[test]
fn order_is_stable_and_keeps_nothing_last() {
    for (keys, want) in [
        (vec![key("rain", false)], "Ulm;Bonn;Genf;Bern;Linz"),
        (vec![key("rain", true)], "Genf;Bonn;Ulm;Bern;Linz"),
        (vec![key("people", false)], "Ulm;Bern;Genf;Bonn;Linz"),
        (vec![key("country", false), key("people", true)], "Linz;Genf;Bern;Bonn;Ulm"),
    ] {
        let mut question = Query { select: names(&["city"]), order: keys, ..Query::default() };
        let all = ask(CITIES, &question).unwrap();
        assert_eq!(flat(&all), want);
        assert!(!all.more);
        for limit in 1..5 {
            question.limit = Some(limit);
            let cut = ask(CITIES, &question).unwrap();
            assert_eq!(cut.rows, all.rows[..limit as usize]);
            assert!(cut.more);
        }
    }
}

#[test]
fn without_an_order_the_file_gives_it() {
    let found = ask(CITIES, &Query { limit: Some(2), ..Query::default() }).unwrap();
    assert_eq!(found.columns, ["city", "country", "people", "rain"]);
    assert_eq!((flat(&found).as_str(), found.more), ("Ulm,DE,126,0.5;Bern,CH,134,-", true));
    assert!(!ask(CITIES, &Query { limit: Some(5), ..Query::default() }).unwrap().more);
}

#[test]
fn groups_with_every_aggregate() {
    use Function::{Count, Max, Mean, Min, Sum};
    let question = Query {
        group_by: names(&["country"]),
        aggregates: vec![
            aggregate(Count, ""),
            aggregate(Count, "rain"),
            aggregate(Sum, "people"),
            aggregate(Mean, "rain"),
            aggregate(Min, "people"),
            aggregate(Max, "city"),
        ],
        order: vec![key("sum_people", true)],
        ..Query::default()
    };
    let found = ask(CITIES, &question).unwrap();
    assert_eq!(found.columns, ["country", "count", "count_rain", "sum_people", "mean_rain", "min_people", "max_city"]);
    assert_eq!(flat(&found), "DE,2,2,456,0.875,126,Ulm;CH,2,1,337,2,134,Genf;AT,1,0,-,-,x,Linz");
    assert_eq!(found.warnings, ["`sum_people` leaves out 1 value(s) that are not numbers"]);
}

#[test]
fn aggregates_over_everything_and_over_nothing() {
    let mut question = Query { aggregates: vec![aggregate(Function::Count, "")], ..Query::default() };
    assert_eq!(flat(&ask(CITIES, &question).unwrap()), "5");
    question.filters = vec![filter("city", Operator::Equals, "Rom")];
    assert_eq!(flat(&ask(CITIES, &question).unwrap()), "0");
    let distinct = Query { group_by: names(&["country"]), ..Query::default() };
    assert_eq!(flat(&ask(CITIES, &distinct).unwrap()), "DE;CH;AT");
}

#[test]
fn whole_sums_are_exact_and_fractions_compensated() {
    let sum = |values: &str| {
        let question = Query { aggregates: vec![aggregate(Function::Sum, "a")], ..Query::default() };
        flat(&ask(&format!("a\n{values}\n"), &question).unwrap())
    };
    assert_eq!(sum("9007199254740993\n9007199254740993\n1"), "18014398509481987");
    assert_eq!(sum("1e100\n1.5\n-1e100"), "1.5");
}

#[test]
fn what_makes_no_sense_is_refused() {
    let invalid = |question: Query| match ask(CITIES, &question) {
        Err(Error::InvalidQuery(why)) => why,
        other => panic!("{other:?}"),
    };
    for limit in [0, 10_001] {
        assert!(invalid(Query { limit: Some(limit), ..Query::default() }).contains("between 1 and 10000"));
    }
    let with_filter = |filter| Query { filters: vec![filter], ..Query::default() };
    assert!(invalid(with_filter(filter("city", Operator::Equals, ""))).contains("needs `value`"));
    assert!(invalid(with_filter(filter("city", Operator::IsNull, "x"))).contains("takes no value"));
    assert!(invalid(with_filter(filter("city", Operator::OneOf, "x"))).contains("needs `values`"));
    let sum = Query { aggregates: vec![aggregate(Function::Sum, "")], ..Query::default() };
    assert!(invalid(sum).contains("needs a column"));
    let twice = Query { aggregates: vec![aggregate(Function::Count, ""); 2], ..Query::default() };
    assert!(invalid(twice).contains("two columns"));
    let stray = Query { group_by: names(&["country"]), select: names(&["city"]), ..Query::default() };
    assert!(invalid(stray).contains("neither grouped by nor computed"));
}

#[test]
fn unknown_columns_are_named_with_the_known() {
    let question = Query { select: names(&["town"]), ..Query::default() };
    for text in [CITIES, "{\"city\":1,\"country\":2,\"people\":3,\"rain\":4}\n"] {
        match ask(text, &question) {
            Err(Error::UnknownColumn { name, known }) => {
                assert_eq!((name.as_str(), known), ("town", names(&["city", "country", "people", "rain"])));
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn json_lines_columns_may_come_late() {
    let text = "{\"a\":1}\n{\"a\":2,\"b\":\"x\"}\n";
    assert_eq!(flat(&ask(text, &Query::default()).unwrap()), "1,-;2,x");
    let question = Query { select: names(&["b"]), ..Query::default() };
    assert_eq!(flat(&ask(text, &question).unwrap()), "-;x");
}

#[test]
fn groups_stop_at_their_limit() {
    let text = |rows: usize| (0..rows).fold(String::from("a\n"), |text, n| text + &n.to_string() + "\n");
    let question = Query { group_by: names(&["a"]), limit: Some(1), ..Query::default() };
    assert!(ask(&text(MAX_GROUPS), &question).unwrap().more);
    assert!(matches!(ask(&text(MAX_GROUPS + 1), &question), Err(Error::Limit { name: "groups", .. })));
}

#[test]
fn held_text_stops_at_its_limit() {
    let cell = "x".repeat(1 << 20);
    let text = |rows: usize| (0..rows).fold(String::from("a,b\n"), |text, n| text + &format!("{n},{cell}\n"));
    let rows = MAX_HELD_BYTES >> 20;
    let mut question = Query { limit: Some(10_000), ..Query::default() };
    assert!(ask(&text(rows - 1), &question).is_ok());
    assert!(matches!(ask(&text(rows + 1), &question), Err(Error::Limit { name: "held-bytes", .. })));
    // A small limit keeps few rows, however many there are.
    question.limit = Some(2);
    question.order = vec![key("a", true)];
    assert_eq!(ask(&text(rows + 1), &question).unwrap().rows[0][0].as_deref(), Some(rows.to_string().as_str()));
}
