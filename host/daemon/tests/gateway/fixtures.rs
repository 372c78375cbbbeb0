//! Every recorded shape of the wires over the real door: split at each byte of its first 2 KiB, closed, stalled.

use std::time::Duration;

use stigmer_daemon::gateway::{Gateway, Provider, Spent};
use stigmer_egress::Limits;

use super::{call, endpoint, gateway, key, open, text};
use crate::model_server::{Answer, Fault, ModelServer};

/// Split points of each fixture.
const SPLITS: usize = 2048;
/// Every so many bytes a stream is closed; and some are stalled, each of which costs the idle time.
const CLOSE_EVERY: usize = 29;
const STALLS: [usize; 3] = [0, 1, 700];
const IDLE: Duration = Duration::from_millis(150);

macro_rules! fixture {
    ($name:literal) => {
        ($name, include_str!(concat!("../../../agent/src/model/fixtures/", $name)))
    };
}

const FIXTURES: &[(&str, &str)] = &[
    fixture!("anthropic-text.sse"),
    fixture!("anthropic-thinking-tools.sse"),
    fixture!("openai-text.sse"),
    fixture!("openai-tools.sse"),
    fixture!("openai-compatible.sse"),
    fixture!("ollama-text.ndjson"),
    fixture!("ollama-tools.ndjson"),
];

/// The folder holds no fixture that is not replayed here.
#[test]
#[expect(clippy::disallowed_methods, reason = "the package's folder is named by whoever starts the test")]
fn no_fixture_is_left_out() {
    let package = std::env::var("CARGO_MANIFEST_DIR").expect("cargo and the test runner name the package");
    let folder = format!("{package}/../agent/src/model/fixtures");
    let mut there: Vec<String> = std::fs::read_dir(folder)
        .expect("the fixtures are there")
        .map(|entry| entry.expect("readable").file_name().into_string().expect("plain names"))
        .collect();
    there.sort();
    let mut here: Vec<&str> = FIXTURES.iter().map(|(name, _)| *name).collect();
    here.sort_unstable();
    assert_eq!(there, here);
}

struct Bench {
    gateway: Gateway,
    provider: &'static str,
    path: &'static str,
    body: &'static str,
    _server: ModelServer,
}

impl Bench {
    async fn new(name: &str, file: &'static str, faults: impl Iterator<Item = Fault>) -> Self {
        let body = file.split_once('\n').expect("the first line says where it comes from").1;
        let answer = |fault| {
            let answer = if name.ends_with(".sse") { Answer::events(body) } else { Answer::lines(body) };
            answer.with(fault)
        };
        let server = ModelServer::start(faults.map(answer)).await.expect("loopback has a free port");
        let base = endpoint(&server.url());
        let (provider, path) = match name.split('-').next() {
            Some("anthropic") => (Provider::anthropic(base, key()), "/v1/messages"),
            Some("openai") => (Provider::openai(base, key()), "/chat/completions"),
            _ => (Provider::ollama(base), "/api/chat"),
        };
        let name = match path {
            "/v1/messages" => "anthropic",
            "/chat/completions" => "openai",
            _ => "ollama",
        };
        let gateway = gateway(Some(provider), Limits { idle: IDLE, ..Limits::default() });
        Bench { gateway, provider: name, path, body, _server: server }
    }

    /// One call: what came, whether it came whole, what it cost.
    async fn once(&self) -> (String, bool, Spent) {
        let id = open(&self.gateway, self.provider, 1, None, None);
        let reply = self.gateway.call(call(&id, self.provider, self.path)).await.expect("a status comes");
        let (seen, whole) = match text(reply).await {
            Ok(seen) => (seen, true),
            Err((seen, error)) => {
                assert!(error.is_transient(), "{error:?}");
                (seen, false)
            }
        };
        (seen, whole, self.gateway.close(&id).expect("was opened").budget.spent())
    }
}

#[tokio::test]
async fn each_fixture_passes_whole_at_every_split_point_of_its_first_2_kib() {
    for (name, file) in FIXTURES {
        let splits = file.split_once('\n').expect("a header").1.len().min(SPLITS);
        let faults = (0..splits).map(Fault::Split).chain([Fault::Drip, Fault::None]);
        let bench = Bench::new(name, file, faults).await;
        let mut cost = None;
        for at in 0..splits + 2 {
            let (seen, whole, spent) = bench.once().await;
            assert!(whole && seen == bench.body, "{name} split at {at}");
            assert_eq!(*cost.get_or_insert(spent), spent, "{name} split at {at}");
        }
        let cost = cost.expect("ran");
        assert!(cost.tokens() > 0 && !cost.estimated && cost.turns == 1, "{name}: {cost:?}");
    }
}

#[tokio::test]
async fn each_fixture_closed_or_stalled_is_an_error_after_what_came_and_costs_no_turn() {
    for (name, file) in FIXTURES {
        let length = file.split_once('\n').expect("a header").1.len();
        let closes = (0..length.min(SPLITS)).step_by(CLOSE_EVERY).map(|at| (at, Fault::Close(at)));
        let stalls = STALLS.into_iter().filter(|at| *at < length).map(|at| (at, Fault::Stall(at)));
        let cuts: Vec<(usize, Fault)> = closes.chain(stalls).collect();
        let faults = cuts.iter().map(|(_, fault)| *fault).chain([Fault::None]);
        let bench = Bench::new(name, file, faults).await;
        for (at, fault) in cuts {
            let (seen, whole, spent) = bench.once().await;
            // A cut inside a character is given on as far as it came; the text of the test ends before it.
            assert!(
                !whole && bench.body.as_bytes().starts_with(seen.as_bytes()) && seen.len() <= at,
                "{name} {fault:?}"
            );
            assert_eq!(spent.turns, 0, "{name} {fault:?}");
        }
        let (seen, whole, spent) = bench.once().await;
        assert!(whole && seen == bench.body && spent.turns == 1, "{name}: the twin passes");
    }
}
