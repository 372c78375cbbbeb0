//! The key stays in the daemon: during a model call no other process of the product holds it, in no form.

#![expect(clippy::disallowed_methods, reason = "the test looks into processes that it started")]

use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use stigmer_policy::Level;
use stigmer_tests::model_server::{Answer, Fault, ModelServer};
use stigmer_tests::processes::descendants;
use stigmer_tests::product::{Product, is_root, level_flags, say, show};

/// Characters that base64, URLs and JSON write differently are in it on purpose.
const KEY: &str = "sk-ant-canary+7f3a/91c2=KEY";
/// Time for the call to be under way.
const PATIENCE: Duration = Duration::from_secs(30);
/// Bytes of memory that are read at once; forms of the key that straddle two reads are found by the overlap.
const CHUNK: usize = 1 << 20;

fn forms() -> Vec<Vec<u8>> {
    let base64 = |shift: usize| {
        // The key may stand at any offset of what was encoded: the middle is the same for each of three shifts.
        let mut padded = vec![b'x'; shift];
        padded.extend(KEY.as_bytes());
        let encoded = encode(&padded);
        encoded[(shift * 4).div_ceil(3) + 1..encoded.len() - 5].to_vec()
    };
    vec![
        KEY.as_bytes().to_vec(),
        KEY.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D").into_bytes(),
        KEY.replace('/', "\\/").into_bytes(),
        base64(0),
        base64(1),
        base64(2),
    ]
}

fn encode(bytes: &[u8]) -> Vec<u8> {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    bytes
        .chunks(3)
        .flat_map(|chunk| {
            let group =
                chunk.iter().fold(0_u32, |group, byte| group << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
            [18, 12, 6, 0].map(|shift| DIGITS[(group >> shift & 63) as usize])
        })
        .collect()
}

/// How often any form of the key stands in a process's memory, environment, arguments or open regular files.
fn hits(pid: i32, forms: &[Vec<u8>]) -> std::io::Result<usize> {
    let folder = format!("/proc/{pid}");
    let mut found = 0;
    for name in ["environ", "cmdline"] {
        found += count(&std::fs::read(format!("{folder}/{name}"))?, forms);
    }
    let mut memory = std::fs::File::open(format!("{folder}/mem"))?;
    for line in std::fs::read_to_string(format!("{folder}/maps"))?.lines() {
        let mut fields = line.split_whitespace();
        let (Some(range), Some(mode)) = (fields.next(), fields.next()) else { continue };
        let Some((from, to)) = range.split_once('-') else { continue };
        let ends = (u64::from_str_radix(from, 16), u64::from_str_radix(to, 16));
        // Only what was written to can hold a key; reserved and code pages are skipped.
        if let (Ok(from), Ok(to), true) = (ends.0, ends.1, mode.starts_with("rw")) {
            found += scan(&mut memory, from, to, forms);
        }
    }
    for entry in std::fs::read_dir(format!("{folder}/fd"))?.flatten() {
        let path = entry.path();
        if std::fs::metadata(&path).is_ok_and(|metadata| metadata.is_file()) {
            found += count(&std::fs::read(&path).unwrap_or_default(), forms);
        }
    }
    Ok(found)
}

fn scan(memory: &mut std::fs::File, from: u64, to: u64, forms: &[Vec<u8>]) -> usize {
    let (mut found, mut at, mut kept) = (0, from, Vec::new());
    let mut chunk = vec![0; CHUNK];
    while at < to {
        let want = usize::try_from((to - at).min(CHUNK as u64)).expect("bounded by CHUNK");
        // A page that was never touched in a reservation cannot be read, and holds nothing.
        if memory.seek(SeekFrom::Start(at)).is_err() || memory.read_exact(&mut chunk[..want]).is_err() {
            kept.clear();
        } else {
            kept.extend_from_slice(&chunk[..want]);
            found += count(&kept, forms);
            kept.drain(..kept.len().saturating_sub(KEY.len() - 1));
        }
        at += want as u64;
    }
    found
}

fn count(bytes: &[u8], forms: &[Vec<u8>]) -> usize {
    forms.iter().map(|form| memchr::memmem::find_iter(bytes, form).count()).sum()
}

fn start(product: &Product, level: Level, url: &str) {
    let mut arguments = vec!["local", "start", "--provider", "anthropic", "--model", "canary-model"];
    arguments.extend(level_flags(level));
    let output = product
        .command(&arguments)
        .env("ANTHROPIC_API_KEY", KEY)
        .env("ANTHROPIC_BASE_URL", url)
        .stdin(Stdio::null())
        .output()
        .expect("starts");
    assert!(output.status.success(), "{}", show(&output));
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(!said.contains(KEY), "the banner shows the key: {said}");
}

fn call(product: &Product, url: &str) -> Child {
    product
        .command(&["run", "-m", "hello", "--approve", "auto", "--provider", "anthropic", "--model", "canary-model"])
        .env("ANTHROPIC_BASE_URL", url)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("starts")
}

fn wait_for(what: &str, mut until: impl FnMut() -> bool) {
    let start = Instant::now();
    while !until() {
        assert!(start.elapsed() < PATIENCE, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn during_a_model_call_only_the_daemon_holds_the_key() {
    let body = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"role\":\"assistant\",\
                \"content\":[],\"usage\":{\"input_tokens\":1,\"output_tokens\":1}}}\n\n";
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    for level in [Level::Full, Level::Base] {
        let product = Product::fresh();
        if !product.holds(level, "key custody") {
            continue;
        }
        let server = runtime
            .block_on(ModelServer::start([Answer::events(body).with(Fault::Stall(body.len()))]))
            .expect("loopback has a free port");
        let url = server.url();
        let url = url.as_str();
        // The server works on this thread's runtime: it is driven while the product is looked at.
        runtime.block_on(async {
            let look = tokio::task::spawn_blocking({
                let url = url.to_owned();
                move || {
                    start(&product, level, &url);
                    (call(&product, &url), product)
                }
            });
            let (mut child, product) = look.await.expect("the product starts");
            let asked = async {
                while server.asked().is_empty() {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            };
            tokio::time::timeout(PATIENCE, asked).await.expect("the model is asked");
            let request = &server.asked()[0];
            assert_eq!(request.header("x-api-key"), Some(KEY), "the provider gets the key, which is the control");
            let done = tokio::task::spawn_blocking(move || {
                examine(&product, &child, level);
                let _ = rustix::process::kill_process(
                    rustix::process::Pid::from_child(&child),
                    rustix::process::Signal::INT,
                );
                let _ = child.wait();
                let stopped = product.run(&["local", "stop"], b"");
                assert!(stopped.status.success(), "{}", show(&stopped));
                on_disk(&product.home());
            });
            done.await.expect("the key is where it should be");
        });
    }
}

#[test]
fn a_provider_that_echoes_the_key_gets_it_into_no_record_and_onto_no_screen() {
    let escaped: String = KEY.chars().map(|it| format!("\\u{:04x}", it as u32)).collect();
    let url = KEY.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
    let echo = format!(
        "{KEY} {url} {} {} {escaped}",
        KEY.replace('/', "\\/"),
        String::from_utf8_lossy(&encode(KEY.as_bytes()))
    );
    let error =
        format!("{{\"type\":\"error\",\"error\":{{\"type\":\"authentication_error\",\"message\":\"bad {echo}\"}}}}");
    // And once more across two pieces of the text, neither of which is the key.
    let (head, tail) = KEY.split_at(KEY.len() / 2);
    let stream = format!(
        "data: {{\"type\":\"message_start\",\"message\":{{\"usage\":{{\"input_tokens\":1}}}}}}\n\n\
         data: {{\"type\":\"content_block_start\",\"index\":0,\"content_block\":{{\"type\":\"text\",\"text\":\"\"}}}}\n\n\
         data: {{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{{\"type\":\"text_delta\",\"text\":\"good {echo}, cut {head}\"}}}}\n\n\
         data: {{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{{\"type\":\"text_delta\",\"text\":\"{tail} whole\"}}}}\n\n\
         data: {{\"type\":\"message_delta\",\"delta\":{{\"stop_reason\":\"end_turn\"}},\"usage\":{{\"output_tokens\":1}}}}\n\n\
         data: {{\"type\":\"message_stop\"}}\n\n"
    );
    let echoing = vec![Answer { status: 401, ..Answer::json(error) }, Answer::events(stream)];
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    for level in [Level::Full, Level::Base] {
        let product = Product::fresh();
        if !product.holds(level, "key echo") {
            continue;
        }
        let server = runtime.block_on(ModelServer::start(echoing.clone())).expect("loopback has a free port");
        let url = server.url();
        // The server works on this thread's runtime: it is driven while the product runs.
        let done = runtime.spawn_blocking(move || echoed(&product, level, &url));
        runtime.block_on(done).expect("the key is nowhere");
        assert_eq!(server.asked().len(), 2, "a refused key is not tried again");
    }
}

fn echoed(product: &Product, level: Level, url: &str) {
    start(product, level, url);
    for (word, code) in [("bad", 1), ("good", 0)] {
        let output = call(product, url).wait_with_output().expect("ends");
        let said = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
        assert_eq!(output.status.code(), Some(code), "{}", show(&output));
        assert!(String::from_utf8_lossy(&said).contains(&format!("{word} [redacted]")), "{}", show(&output));
        assert_eq!(count(&said, &forms()), 0, "{}", show(&output));
        let (head, tail) = KEY.split_at(KEY.len() / 2);
        if word == "good" {
            assert!(String::from_utf8_lossy(&said).contains("cut [redacted] whole"), "{}", show(&output));
            for half in [head, tail] {
                assert!(!String::from_utf8_lossy(&said).contains(half), "{}", show(&output));
            }
        }
    }
    for verb in [&["execution", "list", "--json"][..], &["local", "logs"], &["local", "stop"]] {
        let output = product.run(verb, b"");
        assert!(output.status.success(), "{}", show(&output));
        assert_eq!(count(&[output.stdout, output.stderr].concat(), &forms()), 0, "{verb:?}");
    }
    on_disk(&product.home());
}

fn examine(product: &Product, client: &Child, level: Level) {
    let forms = forms();
    let daemon = product.daemon();
    let tree = || descendants(daemon);
    wait_for("an execution has an init and a runner", || tree().len() >= 2);
    if !is_root() {
        // An ordinary user cannot look into the process that holds the key, though it is their own.
        assert!(std::fs::read(format!("/proc/{daemon}/environ")).is_err(), "the daemon can be read");
        assert!(std::fs::File::open(format!("/proc/{daemon}/mem")).is_err(), "the daemon's memory can be read");
        return say("skipped: key custody: memory of other processes is looked at as root only");
    }
    assert!(hits(daemon, &forms).expect("root can read it") > 0, "the control: the daemon holds the key");
    let client = i32::try_from(client.id()).expect("a process id");
    for pid in tree().into_iter().chain([client]) {
        // One that has just ended holds nothing.
        let found = hits(pid, &forms).unwrap_or(0);
        let name = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        assert_eq!(found, 0, "at {}: process {pid} ({name:?}) holds the key", level.name());
    }
}

/// Nothing that the daemon wrote holds the key.
fn on_disk(folder: &Path) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let kind = entry.file_type().expect("a folder of the test's own");
        if kind.is_dir() {
            on_disk(&path);
        } else if kind.is_file() {
            let found = count(&std::fs::read(&path).unwrap_or_default(), &forms());
            assert_eq!(found, 0, "{} holds the key", path.display());
        }
    }
}
