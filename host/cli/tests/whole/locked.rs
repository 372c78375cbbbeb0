//! A keyring that is locked: a bus of its own, and a Secret Service there that has the key and asks for its password
//! (Secret Service API, 0.2: SearchItems, Unlock, Prompt).

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use zbus::blocking::connection::Builder;
use zbus::object_server::SignalEmitter;
use zbus::zvariant::{ObjectPath, OwnedObjectPath, OwnedValue, Value};

use crate::world::{Said, World};

const BUS: &str = "DBUS_SESSION_BUS_ADDRESS";
const SERVICE: &str = "/org/freedesktop/secrets";
const PROMPT: &str = "/org/freedesktop/secrets/prompt/1";
const ITEM: &str = "/org/freedesktop/secrets/collection/login/1";

struct Service;

fn path(text: &'static str) -> OwnedObjectPath {
    ObjectPath::from_static_str_unchecked(text).into()
}

#[zbus::interface(name = "org.freedesktop.Secret.Service")]
impl Service {
    /// No secret is ever handed over: any number does for the other half of the exchange of keys.
    fn open_session(&self, _algorithm: &str, _input: Value<'_>) -> (OwnedValue, OwnedObjectPath) {
        let key = Value::from(vec![2u8; 128]).try_to_owned().unwrap();
        (key, path("/org/freedesktop/secrets/session/1"))
    }

    fn search_items(&self, _attributes: HashMap<&str, &str>) -> (Vec<OwnedObjectPath>, Vec<OwnedObjectPath>) {
        (vec![], vec![path(ITEM)])
    }

    fn unlock(&self, _objects: Vec<ObjectPath<'_>>) -> (Vec<OwnedObjectPath>, OwnedObjectPath) {
        (vec![], path(PROMPT))
    }
}

/// What becomes of the dialog.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Dialog {
    Dismissed,
    Unseen,
}

#[zbus::interface(name = "org.freedesktop.Secret.Prompt")]
impl Dialog {
    async fn prompt(&self, _window: &str, #[zbus(signal_emitter)] emitter: SignalEmitter<'_>) -> zbus::fdo::Result<()> {
        if *self == Dialog::Dismissed {
            Dialog::completed(&emitter, true, Value::from("")).await?;
        }
        Ok(())
    }

    #[zbus(signal)]
    async fn completed(emitter: &SignalEmitter<'_>, dismissed: bool, result: Value<'_>) -> zbus::Result<()>;
}

/// A bus with a locked keyring on it; ends with this value.
struct Locked {
    daemon: Child,
    address: String,
    _service: zbus::blocking::Connection,
}

impl Locked {
    /// `None`, and a line that says so, where the machine has no bus daemon.
    fn start(world: &World, dialog: Dialog, test: &str) -> Option<Locked> {
        let socket = world.home().join("locked-bus");
        let address = format!("unix:path={}", socket.display());
        let config = format!(
            "<busconfig><type>session</type><listen>{address}</listen><auth>EXTERNAL</auth><policy context=\"default\">\
             <allow send_destination=\"*\"/><allow receive_sender=\"*\"/><allow own=\"*\"/></policy></busconfig>"
        );
        let config = world.write("home/bus.conf", &config);
        let mut command = Command::new("dbus-daemon");
        command.arg(format!("--config-file={}", config.display())).args([
            "--nofork",
            "--nopidfile",
            "--print-address=1",
        ]);
        let Ok(mut daemon) = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn() else {
            println!("skipped: {test}: no dbus-daemon here");
            return None;
        };
        // It says where it listens when it does.
        let mut line = String::new();
        BufReader::new(daemon.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(line.starts_with("unix:path="), "{line}");
        let service = Builder::address(address.as_str())
            .and_then(|builder| builder.serve_at(SERVICE, Service))
            .and_then(|builder| builder.serve_at(PROMPT, dialog))
            .and_then(|builder| builder.name("org.freedesktop.secrets"))
            .and_then(Builder::build)
            .unwrap();
        Some(Locked { daemon, address, _service: service })
    }

    fn run(&self, world: &World, arguments: &[&str]) -> (Said, Duration) {
        let begun = Instant::now();
        (world.run_with(&[(BUS, &self.address)], arguments), begun.elapsed())
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        self.daemon.kill().unwrap();
        self.daemon.wait().unwrap();
    }
}

const START: [&str; 6] = ["local", "start", "--sandbox", "filesystem", "--provider", "anthropic"];

#[test]
fn a_locked_keyring_whose_dialog_is_dismissed_is_said_and_the_next_source_is_taken() {
    let world = World::new();
    let Some(locked) = Locked::start(&world, Dialog::Dismissed, "a_locked_keyring_whose_dialog_is_dismissed") else {
        return;
    };
    let (said, _) = locked.run(&world, &START);
    assert_eq!(said.code, 1);
    assert!(
        said.err.contains("note: the OS keyring is not used: the keyring could not read `anthropic`"),
        "{}",
        said.err
    );
    assert!(said.err.contains("prompt"), "{}", said.err);
    assert!(said.err.contains("unlock it and try again"), "{}", said.err);
    assert!(said.err.contains("there is no key for `anthropic`, and no terminal to ask for one"), "{}", said.err);
    assert!(said.err.contains("set ANTHROPIC_API_KEY"), "{}", said.err);
    // The twin: another source has the key.
    world.write("home/.stigmer/config.toml", "secret_command = [\"echo\", \"sk-canary-4\"]\n");
    let (said, _) = locked.run(&world, &START);
    assert_eq!(said.code, 0);
    assert!(said.out.contains("key        secret_command\n"), "{}", said.out);
}

#[test]
fn a_locked_keyring_whose_dialog_nobody_sees_is_given_up_in_time() {
    let world = World::new();
    let Some(locked) = Locked::start(&world, Dialog::Unseen, "a_locked_keyring_whose_dialog_nobody_sees") else {
        return;
    };
    let (said, took) = locked.run(&world, &START);
    assert_eq!(said.code, 1);
    // 3 s (`keyring::PATIENCE`), once.
    assert!(took > Duration::from_secs(2) && took < Duration::from_secs(9), "{took:?}");
    assert!(said.err.contains("the keyring did not answer within 3s"), "{}", said.err);
    assert!(said.err.contains("unlock it and try again"), "{}", said.err);
    assert!(said.err.contains("set ANTHROPIC_API_KEY"), "{}", said.err);
    let (said, took) = locked.run(&world, &["secret", "delete", "anthropic"]);
    assert!(said.code == 1 && took < Duration::from_secs(9), "{took:?}");
    assert!(said.err.contains("did not answer within 3s"), "{}", said.err);
}
