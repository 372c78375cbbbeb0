use rustix::termios::{LocalModes, tcgetattr};

use super::*;

/// A pipe on which no signal arrives.
struct Calm(OwnedFd, #[expect(dead_code, reason = "held open, so that the other end is not readable")] OwnedFd);

impl Held for Calm {
    fn fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    fn take(&self) -> Vec<i32> {
        Vec::new()
    }
}

fn calm(_: &[i32]) -> io::Result<Box<dyn Held>> {
    let (read, write) = rustix::pipe::pipe()?;
    Ok(Box::new(Calm(read, write)))
}

fn pair() -> (OwnedFd, PathBuf, OwnedFd) {
    use rustix::fs::{Mode, OFlags};
    let master = rustix::pty::openpt(rustix::pty::OpenptFlags::RDWR | rustix::pty::OpenptFlags::NOCTTY).unwrap();
    rustix::pty::grantpt(&master).unwrap();
    rustix::pty::unlockpt(&master).unwrap();
    let name = rustix::pty::ptsname(&master, Vec::new()).unwrap();
    let path = PathBuf::from(name.to_str().unwrap());
    // Held open, so that the pair outlives the prompt and what it printed can be read afterwards.
    let slave = rustix::fs::open(&path, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap();
    (master, path, slave)
}

fn read_until(master: impl AsFd, mark: &str) -> String {
    let mut seen = Vec::new();
    let mut piece = [0_u8; 256];
    while !String::from_utf8_lossy(&seen).contains(mark) {
        let got = rustix::io::read(&master, &mut piece).unwrap();
        seen.extend_from_slice(&piece[..got]);
    }
    String::from_utf8_lossy(&seen).into_owned()
}

/// Types `early` before the question and `keys` the moment it stands there; gives what is seen from the question on.
fn type_in(early: &str, keys: &str) -> (Result<SecretValue, PromptError>, String) {
    let (master, path, slave) = pair();
    rustix::io::write(&master, early.as_bytes()).unwrap();
    // The kernel hands it on in its own time; once it is echoed it waits in the queue.
    read_until(&master, early.trim_end());
    let asked = std::thread::spawn(move || {
        Terminal::at(path, calm).ask(&SecretName::new("anthropic").unwrap(), "API key for Anthropic")
    });
    let before = read_until(&master, "Anthropic: ");
    assert_eq!(before.contains("is not taken"), !early.is_empty(), "{before:?}");
    rustix::io::write(&master, keys.as_bytes()).unwrap();
    let answer = asked.join().unwrap();
    assert!(tcgetattr(&master).unwrap().local_modes.contains(LocalModes::ECHO | LocalModes::ICANON));
    rustix::io::write(&slave, b"<end>").unwrap();
    (answer, read_until(&master, "<end>"))
}

#[test]
fn what_is_typed_is_taken_and_not_shown() {
    let (answer, seen) = type_in("", "sk-canary\r");
    assert_eq!(answer.unwrap().expose(), "sk-canary");
    assert!(!seen.contains("canary") && seen.contains("****"), "{seen:?}");
}

#[test]
fn what_waited_before_the_question_is_not_taken_and_not_shown_again() {
    for early in ["sk-canary-early", "sk-canary-early\r"] {
        let (answer, seen) = type_in(early, "sk-canary\r");
        assert_eq!(answer.unwrap().expose(), "sk-canary");
        assert!(!seen.contains("canary"), "{seen:?}");
    }
}

#[test]
fn the_rest_of_a_paste_of_several_lines_is_not_left_for_the_shell() {
    let (answer, seen) = type_in("", "sk-one\rsk-canary-two\r");
    assert_eq!(answer.unwrap().expose(), "sk-one");
    assert!(!seen.contains("canary"), "{seen:?}");
}

#[test]
fn breaking_off_and_an_empty_line_are_named() {
    assert!(matches!(type_in("", "\u{4}").0, Err(PromptError::Cancelled { .. })));
    assert!(matches!(type_in("", "\r").0, Err(PromptError::Value { source: SecretValueError::Empty, .. })));
}

#[test]
fn without_a_terminal_the_error_says_what_to_do() {
    let name = SecretName::new("anthropic").unwrap();
    let error = Terminal::at("/nonexistent/tty", calm).ask(&name, "key").unwrap_err();
    assert!(matches!(error, PromptError::NoTerminal { .. }), "{error:?}");
    assert!(error.hint().unwrap().contains("stigmer secret set anthropic"));
    let file = tempfile::NamedTempFile::new().unwrap();
    let error = Terminal::at(file.path(), calm).ask(&name, "key").unwrap_err();
    assert!(matches!(error, PromptError::Terminal { .. }), "{error:?}");
}
