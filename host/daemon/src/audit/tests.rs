use super::*;

fn row(subject: &str) -> AuditRow {
    AuditRow {
        time_ms: 1,
        execution: "aex-x".to_owned(),
        rule: "outside-roots".to_owned(),
        subject: subject.to_owned(),
        reason: "no".to_owned(),
        observer: "runner".to_owned(),
        wall: "command".to_owned(),
        count: 1,
    }
}

fn log_of(rows: &[&str]) -> (tempfile::TempDir, PathBuf, Head) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.jsonl");
    let mut log = AuditLog::open(&path).unwrap();
    let mut head = Head::default();
    for subject in rows {
        head = log.append(row(subject)).unwrap();
    }
    (folder, path, head)
}

#[test]
fn an_untouched_log_holds_and_goes_on_after_reopening() {
    let (_folder, path, head) = log_of(&["a", "b", "c"]);
    assert_eq!(verify(&path, &head).unwrap(), head);
    let mut log = AuditLog::open(&path).unwrap();
    log.anchor(head.clone()).unwrap();
    let next = log.append(row("d")).unwrap();
    assert_eq!(next.seq, 4);
    assert_eq!(verify(&path, &head).unwrap(), next, "rows after the anchor are kept");
}

#[test]
fn every_way_to_tamper_is_named() {
    let lines =
        |path: &Path| -> Vec<String> { std::fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect() };
    type Tamper = fn(&mut Vec<String>);
    let cases: [(&str, Tamper, &str); 6] = [
        (
            "changed",
            |l| l[1] = l[1].replace("\"b\"", "\"x\""),
            "line 2 of the audit log breaks the chain: its own hash",
        ),
        ("removed", |l| drop(l.remove(1)), "line 2 of the audit log breaks the chain: number"),
        ("swapped", |l| l.swap(0, 1), "line 1 of the audit log breaks the chain: number"),
        ("cut", |l| l.truncate(2), "the audit log does not hold row 3, which the database anchors"),
        ("emptied", Vec::clear, "the audit log does not hold row 3, which the database anchors"),
        ("nonsense", |l| l.push("{}".to_owned()), "line 4 of the audit log is not a row"),
    ];
    for (name, tamper, says) in cases {
        let (_folder, path, head) = log_of(&["a", "b", "c"]);
        let mut text = lines(&path);
        tamper(&mut text);
        std::fs::write(&path, text.iter().map(|line| format!("{line}\n")).collect::<String>()).unwrap();
        assert_eq!(verify(&path, &head).unwrap_err().to_string(), says, "{name}");
    }
}

#[test]
fn a_rewritten_log_disagrees_with_the_anchor() {
    let (_folder, _path, head) = log_of(&["a", "b", "c"]);
    let (_other_folder, other, other_head) = log_of(&["a", "x", "c"]);
    verify(&other, &other_head).unwrap();
    assert!(matches!(verify(&other, &head), Err(AuditError::Anchor { seq: 3 })));
}

#[test]
fn a_line_cut_by_a_crash_is_taken_away_on_opening() {
    let (_folder, path, head) = log_of(&["a", "b"]);
    let mut file = OpenOptions::new().append(true).open(&path).unwrap();
    file.write_all(b"{\"schema\":1,\"se").unwrap();
    assert!(verify(&path, &head).is_err());
    let mut log = AuditLog::open(&path).unwrap();
    log.anchor(head.clone()).unwrap();
    assert_eq!(log.append(row("c")).unwrap().seq, 3);
    verify(&path, &head).unwrap();
}
