//! What surrounds a hostile runner: a daemon, listeners that answer, a process of the person, private files.

use std::io::Write;
use std::net::{TcpListener, UdpSocket};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use stigmer_policy::Level;
use stigmer_tests::attack::CANARY;
use stigmer_tests::hostile::{Mode, Outcomes, Scene};
use stigmer_tests::model_server::{Answer, Fault, ModelServer};
use stigmer_tests::product::{Product, level_flags, show};

const PATIENCE: Duration = Duration::from_secs(60);
const HEAD: &str = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"usage\":{\"input_tokens\":1}}}\n\n";

pub(crate) struct Stage {
    pub(crate) level: Level,
    product: Product,
    scene: Scene,
    reached: Arc<AtomicUsize>,
    witness: std::cell::RefCell<Child>,
    server: ModelServer,
    // Its connections are served while the product is waited for.
    _runtime: tokio::runtime::Runtime,
}

/// What became of an execution.
pub(crate) struct Ran {
    pub(crate) id: String,
    pub(crate) outcomes: Outcomes,
}

pub(crate) struct Started {
    child: Child,
}

impl Started {
    pub(crate) fn wait(mut self) -> ExitStatus {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("our own child") {
                return status;
            }
            assert!(begun.elapsed() < PATIENCE, "the run does not end");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Stage {
    pub(crate) fn new(product: Product, level: Level) -> Stage {
        let reached = Arc::new(AtomicUsize::new(0));
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("threads");
        let body = HEAD.as_bytes();
        let answers = (0..64).map(|_| Answer::events(body).with(Fault::Stall(body.len())));
        let server = runtime.block_on(ModelServer::start(answers)).expect("loopback has a free port");
        let private = product.home().join("private.txt");
        let other = product.outside().join("other");
        std::fs::write(&private, CANARY).expect("the home is the person's");
        std::fs::create_dir(&other).expect("a fresh folder");
        std::fs::write(other.join("file"), CANARY).expect("a fresh folder");
        let mut witness = Command::new("sleep");
        let witness = witness.arg("600").env("SECRET", CANARY).spawn().expect("sleep starts");
        let mut arguments = vec!["local", "start", "--provider", "anthropic", "--model", "hostile"];
        arguments.extend(level_flags(level));
        let output = product.command(&arguments).envs(keys(&server)).stdin(Stdio::null()).output().expect("starts");
        assert!(output.status.success(), "{}", show(&output));
        let scene = Scene {
            mode: Mode::Survey,
            tcp: tcp(&reached),
            udp: udp(&reached),
            unix: unix(&product, &reached),
            name: named(&reached),
            daemon: product.home().join(".stigmer/daemon.sock"),
            home_file: private,
            other_file: other.join("file"),
            database: product.home().join(".stigmer/state.db"),
            outside: product.outside(),
            witness: i32::try_from(witness.id()).expect("a process id"),
            other_execution: String::new(),
            other_blob: String::new(),
        };
        Stage { level, product, scene, reached, witness: witness.into(), server, _runtime: runtime }
    }

    pub(crate) fn scene(&self, mode: Mode) -> Scene {
        Scene { mode, ..self.scene.clone() }
    }

    pub(crate) fn workspace(&self) -> PathBuf {
        self.product.workspace()
    }

    /// The controls reached everything on purpose, and made a file; from now on nobody may.
    pub(crate) fn forget(&self) {
        std::fs::remove_file(self.product.outside().join("made")).expect("the control made it");
        // The listeners count on threads of their own: until they are done, a count could be the controls'.
        let begun = Instant::now();
        while self.reached.load(Ordering::SeqCst) < 4 {
            assert!(begun.elapsed() < PATIENCE, "a control was not seen");
            std::thread::yield_now();
        }
        self.reached.store(0, Ordering::SeqCst);
    }

    pub(crate) fn was_reached(&self) -> bool {
        self.reached.load(Ordering::SeqCst) > 0
    }

    fn command(&self, approve: &str, scene: &Scene, more: &[&str]) -> Command {
        let message = serde_json::to_string(scene).expect("texts and numbers");
        let mut command = self.product.command(&["run", "-m", &message, "--approve", approve, "--model", "hostile"]);
        command.args(["--provider", "anthropic"]).args(more).envs(keys(&self.server));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    pub(crate) fn started(&self, approve: &str, scene: &Scene) -> Started {
        Started { child: self.command(approve, scene, &[]).spawn().expect("the product starts") }
    }

    pub(crate) fn run(&self, approve: &str, scene: &Scene) -> Ran {
        let status = self.started(approve, scene).wait();
        assert!(status.success(), "the attacker ended with {status}: {}", self.newest());
        let outcomes = self.report();
        Ran { id: self.newest()["id"].as_str().expect("an id").to_owned(), outcomes }
    }

    /// Runs it, and approves what it asks for.
    pub(crate) fn approved(&self, scene: &Scene) -> Outcomes {
        let before = self.newest()["id"].clone();
        let started = self.started("ask", scene);
        let begun = Instant::now();
        let parked = || Some(self.newest()).filter(|it| it["id"] != before && it["state"] == "parked");
        let execution = loop {
            if let Some(execution) = parked() {
                break execution["id"].as_str().expect("an id").to_owned();
            }
            assert!(begun.elapsed() < PATIENCE, "nothing was asked: {}", self.newest());
            std::thread::sleep(Duration::from_millis(20));
        };
        let answered = self.product.run(&["execution", "approve", &execution], b"");
        assert!(answered.status.success(), "{}", show(&answered));
        let status = started.wait();
        assert!(status.success(), "the attacker ended with {status}: {}", self.newest());
        self.report()
    }

    /// How often the model is asked by a runner that does not want to be counted.
    pub(crate) fn spend(&self, turns: usize) -> usize {
        let before = self.server.asked().len();
        let mut child = self
            .command("deny", &self.scene(Mode::Spend), &["--max-turns", &turns.to_string()])
            .spawn()
            .expect("starts");
        let begun = Instant::now();
        let asked = || self.server.asked().len() - before;
        while child.try_wait().expect("our own child").is_none() && asked() <= turns {
            assert!(begun.elapsed() < PATIENCE, "the spender does not end: {}", self.newest());
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = child.kill();
        let _ = child.wait();
        let id = self.newest()["id"].as_str().expect("an id").to_owned();
        let _ = self.product.run(&["execution", "cancel", &id], b"");
        asked()
    }

    fn newest(&self) -> serde_json::Value {
        let list = self.product.run(&["execution", "list", "--json"], b"");
        let list: serde_json::Value =
            serde_json::from_slice(&list.stdout).unwrap_or_else(|_| panic!("{}", show(&list)));
        list["executions"][0].clone()
    }

    fn report(&self) -> Outcomes {
        let path = self.workspace().join("report.json");
        let text = std::fs::read(&path).unwrap_or_else(|error| panic!("no report: {error}; {}", self.newest()));
        std::fs::remove_file(path).expect("the workspace is the person's");
        serde_json::from_slice(&text).expect("the attacker writes JSON")
    }

    pub(crate) fn stop(self) {
        let alive = self.witness.borrow_mut().try_wait().expect("our own child").is_none();
        let stopped = self.product.run(&["local", "stop"], b"");
        assert!(stopped.status.success(), "{}", show(&stopped));
        assert!(alive, "the person's process is gone");
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let _ = self.witness.get_mut().kill();
        let _ = self.witness.get_mut().wait();
        // After a failure the daemon is still there; after `stop` this only says so.
        let _ = self.product.command(&["local", "stop"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    }
}

fn keys(server: &ModelServer) -> [(&'static str, String); 2] {
    [("ANTHROPIC_API_KEY", "sk-ant-hostile".to_owned()), ("ANTHROPIC_BASE_URL", server.url())]
}

fn count(reached: &Arc<AtomicUsize>, mut next: impl FnMut() -> bool + Send + 'static) {
    let reached = Arc::clone(reached);
    // Ends with the test's process.
    std::thread::spawn(move || {
        while next() {
            reached.fetch_add(1, Ordering::SeqCst);
        }
    });
}

fn tcp(reached: &Arc<AtomicUsize>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    let port = listener.local_addr().expect("bound").port();
    count(reached, move || listener.accept().and_then(|(mut stream, _)| stream.write_all(b"hi")).is_ok());
    port
}

fn udp(reached: &Arc<AtomicUsize>) -> u16 {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("loopback has a free port");
    let port = socket.local_addr().expect("bound").port();
    count(reached, move || socket.recv_from(&mut [0; 8]).and_then(|(_, from)| socket.send_to(b"hi", from)).is_ok());
    port
}

fn unix(product: &Product, reached: &Arc<AtomicUsize>) -> PathBuf {
    let path = product.outside().join("socket");
    let listener = UnixListener::bind(&path).expect("a fresh folder takes a socket");
    count(reached, move || listener.accept().is_ok());
    path
}

fn named(reached: &Arc<AtomicUsize>) -> String {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let name = format!("stigmer-hostile-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::SeqCst));
    let address = SocketAddr::from_abstract_name(&name).expect("a short name");
    let listener = UnixListener::bind_addr(&address).expect("the name is free");
    count(reached, move || listener.accept().is_ok());
    name
}
