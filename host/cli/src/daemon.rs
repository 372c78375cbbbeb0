//! The hidden part `daemon`: the trusted half in the background.

mod log;

use std::io::{Read, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use stigmer_daemon::gateway::Gateway;
use stigmer_daemon::home::HomeError;
use stigmer_daemon::jails::Jails;
use stigmer_daemon::prepare::LocalPrepare;
use stigmer_daemon::request::Setting;
use stigmer_daemon::store::Durability;
use stigmer_daemon::supervisor::jail::JailStarter;
use stigmer_daemon::upstreams::GatewayUpstreams;
use stigmer_daemon::workshop::{Parts, Workshop};
use stigmer_daemon::{DaemonConfig, Home, SandboxState, ServeError, serve};
use stigmer_egress::{Egress, Limits, Proxy, Settings};
use stigmer_sandbox::prepare::Person;
use tokio::signal::unix::{SignalKind, signal};

use crate::orders::{Answer, Orders};

/// Name of this part on the command line.
pub(crate) const PART: &str = "daemon";
/// Threads that poll; work that blocks has its own.
const WORKERS: usize = 2;
/// Most bytes of orders.
const MAX_ORDERS: u64 = 1 << 20;

/// Where the log of a home's daemon is.
pub(crate) fn log_file(stigmer_home: &Path) -> std::path::PathBuf {
    stigmer_home.join("logs").join(log::FILE)
}

/// Reads the orders from stdin, serves, and says on stdout when it is ready or why it is not.
pub(crate) fn run() -> ExitCode {
    match begin() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let answer = match error.downcast_ref::<ServeError>() {
                Some(ServeError::Home(HomeError::Held { pid, .. })) => Answer::Held { pid: pid.clone() },
                _ => Answer::Failed { message: format!("{error:#}") },
            };
            say(&answer);
            ExitCode::from(crate::failure::OURS)
        }
    }
}

fn begin() -> anyhow::Result<()> {
    stigmer_sandbox::inherited::close();
    // Away from the terminal that it was started on: Ctrl-C there is not meant for it.
    rustix::process::setsid().context("could not leave the session")?;
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    // Before a key can be here: no debugger, no core file, no look into /proc by the same user.
    stigmer_secrets::harden().context("could not close the process that holds the keys")?;
    let mut text = Vec::new();
    std::io::stdin().take(MAX_ORDERS).read_to_end(&mut text).context("could not read the orders")?;
    let orders: Orders = serde_json::from_slice(&text).context("the orders make no sense")?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(WORKERS).enable_all().build();
    runtime.context("could not start the runtime")?.block_on(stand(orders))
}

async fn stand(orders: Orders) -> anyhow::Result<()> {
    let home = Home::open(&orders.stigmer_home).map_err(ServeError::from)?;
    let proxy = orders.proxy.as_ref().map(|(url, bypass)| Proxy::parse(url, bypass)).transpose();
    let settings = Settings { extra_roots: orders.extra_roots.clone(), proxy: proxy.context("HTTPS_PROXY")? };
    let egress = Arc::new(Egress::new(settings).context("could not use the certificates of SSL_CERT_FILE")?);
    let gateway = Arc::new(Gateway::new(egress, Limits::default()));
    log::start(home.path(), &gateway)?;
    let person = Person {
        home: orders.home,
        environment: std::collections::BTreeMap::new(),
        stigmer_home: home.path().to_owned(),
        executable: std::env::current_exe().context("could not find our own executable")?,
    };
    let level = orders.sandbox.level;
    let jails: Arc<dyn JailStarter> =
        Arc::new(Jails::new(person.clone()).context("could not open our own executable")?);
    let parts = Parts {
        home: home.clone(),
        person: person.clone(),
        jails: jails.clone(),
        level,
        compatibility: crate::engine::compatibility()?,
    };
    let workshop = Arc::new(Workshop::new(parts)?);
    let setting = |(name, value, origin)| Setting { name, value, origin };
    let config = DaemonConfig {
        home: orders.stigmer_home,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        settings: orders.settings.into_iter().map(setting).collect(),
        sandbox: SandboxState {
            kind: orders.sandbox.kind,
            level: level.name().to_owned(),
            proved: orders.sandbox.proved,
            not_prevented: orders.sandbox.not_prevented,
        },
        durability: Durability::ProcessDeath,
        jails,
        prepare: Arc::new(LocalPrepare { home, person, workshop, level, missing: Vec::new() }),
        upstreams: Arc::new(GatewayUpstreams::new(gateway)),
    };
    let mut terminate = signal(SignalKind::terminate()).context("could not watch for signals")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("could not watch for signals")?;
    let asked = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    serve(config, ready, asked).await?;
    Ok(())
}

fn ready(home: &Home) {
    tracing::info!(home = %home.path().display(), "serving");
    say(&Answer::Ready { pid: std::process::id() });
    // Whoever started us waits for the end of this pipe; from here on there is nobody to talk to.
    if let Err(error) = leave_streams(Path::new("/dev/null")) {
        tracing::warn!(error = %error, "could not let go of the starter's pipes");
    }
}

fn leave_streams(null: &Path) -> rustix::io::Result<()> {
    let null = rustix::fs::open(null, rustix::fs::OFlags::RDWR, rustix::fs::Mode::empty())?;
    rustix::stdio::dup2_stdin(&null)?;
    rustix::stdio::dup2_stdout(&null)
}

fn say(answer: &Answer) {
    let text = serde_json::to_vec(answer).expect("an answer is texts and numbers");
    let mut out = std::io::stdout().lock();
    // A starter that is gone does not hear it; the log has the rest.
    let _ = out.write_all(&text).and_then(|()| out.flush());
}
