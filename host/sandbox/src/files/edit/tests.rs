use super::*;

fn edited(before: &str, old: &str, new: &str, all: bool) -> Result<(String, usize), EditError> {
    let path = JailPath::absolute("/x").unwrap();
    apply(&path, before.as_bytes(), Edit { old, new, all })
        .map(|(after, count)| (String::from_utf8(after).unwrap(), count))
}

#[test]
fn replaces_exactly_and_keeps_line_endings() {
    for (before, old, new, all, want, count) in [
        ("a b c", "b", "x", false, "a x c", 1),
        ("aXaX", "X", "", true, "aa", 2),
        ("aaaa", "aa", "b", true, "bb", 2),
        ("a\r\nb\r\n", "a\nb", "c\nd\ne", false, "c\r\nd\r\ne\r\n", 1),
        ("a\r\nb\r\n", "a\r\nb", "c\r\nd", false, "c\r\nd\r\n", 1),
        ("a\r\nb\r\n", "b", "b\nc", false, "a\r\nb\r\nc\r\n", 1),
        ("a\r\nb\n", "b", "b\nc", false, "a\r\nb\nc\n", 1),
        ("a\nb\n", "a\nb", "c", false, "c\n", 1),
    ] {
        assert_eq!(edited(before, old, new, all).unwrap(), (want.to_owned(), count), "{before:?} {old:?}");
    }
}

#[test]
fn says_why_nothing_fits() {
    assert!(matches!(edited("a", "", "b", false), Err(EditError::EmptyOld { .. })));
    assert!(matches!(edited("a", "a", "a", false), Err(EditError::Same { .. })));
    assert!(matches!(edited("a", "z", "b", false), Err(EditError::NoMatch { near: None, .. })));
    assert!(matches!(
        edited("x\n  foo()\n", "foo()\nbar()", "b", false),
        Err(EditError::NoMatch { near: Some(2), .. })
    ));
    match edited("n\nm\nn n\n", "n", "b", false) {
        Err(error @ EditError::NotUnique { .. }) => {
            let EditError::NotUnique { count, lines, .. } = &error else { unreachable!("matched above") };
            assert_eq!((*count, lines.as_slice()), (3, &[1, 3, 3][..]));
            assert!(error.hint().unwrap().contains("1, 3, 3"));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_replacement_that_grows_too_far_is_refused_before_it_is_built() {
    let (new, many) = ("x".repeat(1 << 20), "a".repeat(17));
    assert!(matches!(edited(&many, "a", &new, true), Err(EditError::TooLarge { .. })));
    assert!(edited(&many[..3], "a", &new, true).is_ok());
}
