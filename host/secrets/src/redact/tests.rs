use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};

use super::*;

const KEY: &str = "sk-Canary/9+\"q\\ ä=";

fn redactor() -> Redactor {
    Redactor::new([&SecretValue::new(KEY).unwrap(), &SecretValue::new("hunter22").unwrap()])
}

#[test]
fn every_form_is_taken_out_and_the_rest_stays() {
    let json = serde_json::to_string(KEY).unwrap();
    let twice = serde_json::to_string(&json).unwrap();
    let mut cases = vec![
        KEY.to_owned(),
        json.trim_matches('"').to_owned(),
        twice.trim_matches('"').trim_matches('"').to_owned(),
        "sk-Canary%2F9%2B%22q%5C%20%C3%A4%3D".to_owned(),
        "sk-Canary%2f9%2b%22q%5c+%c3%a4%3d".to_owned(),
        "sk-Canary\\/9+\\\"q\\\\ \\u00e4=".to_owned(),
    ];
    for before in ["", "u", "us", "use"] {
        for after in ["", "x", "xy"] {
            cases.push(STANDARD.encode(format!("{before}{KEY}{after}")));
            cases.push(URL_SAFE.encode(format!("{before}{KEY}{after}")));
        }
    }
    for case in cases {
        let got = redactor().text(&format!("<a {case} b>")).into_owned();
        assert!(got.contains(REDACTED), "{case} stayed: {got}");
        assert!(!got.contains("Canary") && !got.contains("FuYXJ5") && !got.contains("DYW5hcnk"), "{case}: {got}");
        assert!(got.starts_with("<a ") && got.ends_with(" b>"), "{got}");
    }
}

#[test]
fn text_without_secrets_is_handed_back_as_it_was() {
    assert!(matches!(redactor().text("sk-Canar and hunter2"), Cow::Borrowed(_)));
    assert!(matches!(Redactor::default().text(KEY), Cow::Borrowed(_)));
}

#[test]
fn short_values_are_left_alone() {
    let redactor = Redactor::new([&SecretValue::new("abc").unwrap()]);
    assert_eq!(redactor.text("abc"), "abc");
    let redactor = Redactor::new([&SecretValue::new("abcd").unwrap()]);
    assert_eq!(redactor.text("xabcdx"), "x[redacted]x");
}

#[test]
fn a_cut_at_any_two_bytes_changes_nothing() {
    let text = format!("data: {KEY}, hunter2 hunter22 hunhunter22 {} {KEY}", STANDARD.encode(format!("u:{KEY}")));
    let bytes = text.as_bytes();
    let redactor = redactor();
    let whole = redactor.bytes(bytes).into_owned();
    assert_eq!(String::from_utf8_lossy(&whole).matches(REDACTED).count(), 5);
    for first in 0..=bytes.len() {
        for second in first..=bytes.len() {
            let mut stream = redactor.stream();
            let mut got = stream.push(&bytes[..first]);
            got.extend(stream.push(&bytes[first..second]));
            got.extend(stream.push(&bytes[second..]));
            got.extend(stream.finish());
            assert_eq!(got, whole, "cut at {first} and {second}");
        }
    }
}

#[test]
fn one_byte_at_a_time_and_one_secret_the_beginning_of_another() {
    let redactor = Redactor::new([&SecretValue::new("secret").unwrap(), &SecretValue::new("secretsecond").unwrap()]);
    for text in ["a secretsecond b", "a secretsec", "secret secret", "ssecretsecon secretsecond"] {
        let whole = redactor.bytes(text.as_bytes()).into_owned();
        let mut stream = redactor.stream();
        let mut got: Vec<u8> = text.bytes().flat_map(|byte| stream.push(&[byte])).collect();
        got.extend(stream.finish());
        assert_eq!(String::from_utf8(got).unwrap(), String::from_utf8(whole).unwrap());
    }
}

#[test]
fn what_cannot_become_a_secret_is_not_delayed() {
    let mut stream = redactor().stream();
    assert_eq!(stream.push(b"data: {\"text\":\"hu\"}\n\n"), b"data: {\"text\":\"hu\"}\n\n");
    assert_eq!(stream.push(b"hunter"), b"");
    assert_eq!(stream.push(b"s"), b"hunter");
    assert_eq!(stream.finish(), b"s");
}
