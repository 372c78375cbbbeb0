use super::*;

fn shell(script: &str) -> SecretCommand {
    let argv = ["/bin/sh", "-c", script, "sh", "{name}"].map(str::to_owned).to_vec();
    let environment = |name: &str| match name {
        "PATH" => Some("/usr/bin:/bin".into()),
        "HOME" => Some("/nonexistent".into()),
        _ => None,
    };
    SecretCommand::new(argv, environment).unwrap()
}

fn run(script: &str) -> Result<SecretValue, SecretCommandError> {
    shell(script).run(&SecretName::new("anthropic").unwrap())
}

#[test]
fn takes_one_line_and_is_told_the_name() {
    assert_eq!(run("echo \"key-of-$1\"").unwrap().expose(), "key-of-anthropic");
    assert_eq!(run("printf 'no-line-end'").unwrap().expose(), "no-line-end");
    assert_eq!(run("printf 'windows\\r\\n'").unwrap().expose(), "windows");
}

#[test]
fn anything_but_one_line_is_refused_without_showing_it() {
    for script in ["echo canary; echo second", "true", "printf 'can\\377ary'"] {
        let error = run(script).unwrap_err();
        assert!(matches!(error, SecretCommandError::NotOneLine { .. }), "{script}: {error}");
        assert!(!format!("{error:?}").contains("canary"));
    }
    let error = run("head -c 100000 /dev/zero | tr '\\0' x").unwrap_err();
    assert!(matches!(error, SecretCommandError::Value { source: SecretValueError::TooLong, .. }), "{error}");
}

#[test]
fn a_failure_says_the_status_and_the_first_line_of_stderr() {
    let error = run("echo canary; echo 'vault is locked' >&2; echo more >&2; exit 3").unwrap_err();
    assert_eq!(error.to_string(), "`secret_command` `/bin/sh` failed with exit status: 3: vault is locked");
}

#[test]
fn a_program_that_is_not_there_and_an_empty_setting_are_named() {
    let missing = SecretCommand::new(vec!["/nonexistent/helper".to_owned()], |_| None).unwrap();
    let error = missing.run(&SecretName::new("x").unwrap()).unwrap_err();
    assert!(matches!(error, SecretCommandError::Start { .. }));
    assert!(matches!(SecretCommand::new(vec![], |_| None), Err(SecretCommandError::Empty)));
}

#[test]
fn the_environment_is_only_the_listed_part_of_what_was_offered() {
    let argv = ["/bin/sh", "-c", "env | grep -c CANARY"].map(str::to_owned).to_vec();
    let command = SecretCommand::new(argv, |name| Some(format!("v-{name}").into())).unwrap();
    assert!(command.environment.iter().all(|(name, _)| ENVIRONMENT.contains(name)));
    assert_eq!(run("env | sort | sed 's/=.*//' | tr '\\n' ' '").unwrap().expose(), "HOME PATH PWD");
}

#[test]
fn a_command_past_its_time_is_ended_with_all_that_it_started() {
    let folder = tempfile::tempdir().unwrap();
    let fifo = folder.path().join("alive");
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU, 0).unwrap();
    // The grandchild holds the fifo open: the reader sees the end of it only when the grandchild is gone.
    let script = format!("sleep 600 >{0} & sleep 600 &", fifo.display());
    let (started, opened) = sync_channel(0);
    let reader = std::thread::spawn(move || {
        let file = rustix::fs::open(&fifo, rustix::fs::OFlags::RDONLY, rustix::fs::Mode::empty()).unwrap();
        started.send(()).unwrap();
        let mut byte = [0_u8; 1];
        rustix::io::read(&file, &mut byte).unwrap()
    });
    // The leader may end before what it started: the output is still held open.
    let error = shell(&script).within(Duration::from_millis(500)).run(&SecretName::new("x").unwrap()).unwrap_err();
    assert!(matches!(error, SecretCommandError::Timeout { .. }), "{error}");
    opened.recv().unwrap();
    assert_eq!(reader.join().unwrap(), 0, "end of file: the grandchild is gone");
}
