//! From a configuration to running workers, and down again on a signal.

use std::io::{self, Write as _};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;

use super::adapt;
use super::admin_port;
use super::facts::Facts;
use super::notify::Supervisor;
use super::plan::Plan;
use super::report;
use super::stats::Stats;
use super::watch::{Reread, Watch, say};
use crate::admin::Absent;
use crate::config::{App, Config, Endpoint as Listen};
use crate::echo::Echo;
use crate::metrics::Board;
use crate::reactor::{Crew, CrewConfig, House, Started, WorkerConfig};
use crate::sys::{Endpoint, activation, signals};

/// The shortest watchdog that can be fed: two turns of a worker without connections, and a round.
const WATCHDOG_MIN: Duration = Duration::from_secs(3);

/// Serves until a signal ends it.
pub fn run(config: &Config, reread: Reread<'_>) -> anyhow::Result<ExitCode> {
    // Before any thread exists, so that all of them inherit it: signals are for the main thread.
    signals::block().context("cannot block signals")?;
    let (supervisor, unreachable) = Supervisor::from_env();
    if let Some(error) = unreachable {
        say(&format!(
            "the supervisor cannot be told anything: {error} (NOTIFY_SOCKET)"
        ));
    }
    let inherited = inherit(config)?;
    let admin_endpoint = admin_port::claim(config)?;
    let facts = Facts::gather();
    let plan = Plan::new(config, &facts);
    let house = House::new(usize::try_from(plan.connections_max)?);
    let board = Board::new(plan.workers + plan.shards);
    let stats = Arc::new(Stats::new(board.clone(), house.clone()));
    let crew_config = CrewConfig {
        endpoints: match inherited.is_empty() {
            true => claim_all(config)?,
            false => inherited,
        },
        tls_endpoints: Vec::new(),
        workers: plan.workers,
        shards: plan.shards,
        descriptors_expected: plan.descriptors_expected,
        cores: if config.pin_cores {
            facts.cores.clone()
        } else {
            Vec::new()
        },
        worker: WorkerConfig {
            limits: config.limits.clone(),
            deflate: adapt::deflate(&config.deflate),
            tls: None,
            connections_max: usize::try_from(plan.worker_connections_max)?,
            connections_expected: usize::try_from(plan.worker_connections_expected)?,
            house: house.clone(),
            board,
        },
    };
    let App::Echo = config.app;
    let page = stats.clone();
    let echo = match config.stats {
        true => Echo::with_stats(Arc::new(move || page.json())),
        false => Echo::default(),
    };
    let crew =
        Crew::start(crew_config, move |_| echo.clone()).context("cannot start the workers")?;
    stats.set_serving();
    let mut bound: Vec<_> = crew
        .endpoints()
        .iter()
        .map(|e| e.address().clone())
        .collect();
    bound.dedup(); // a socket unit may have several with one address
    // After the workers have parted their descriptor tables, so that none holds a copy of its sockets.
    let admin = admin_endpoint
        .map(|endpoint| admin_port::open(endpoint, config, stats.clone(), Arc::new(Absent)))
        .transpose()?;
    let whereabouts = admin
        .as_ref()
        .map(|(admin, key)| (admin.address(), &key[..]));
    // Whoever started us may not want to read it; that is no reason not to serve.
    let _ = io::stdout()
        .write_all(report::startup(config, &facts, &plan, (&bound, whereabouts)).as_bytes());
    warn(crew.started());
    warn_of_supervision(&crew, &supervisor, &facts);
    let watch = Watch::new(crew, (stats, house), config, reread, supervisor);
    Ok(watch.until_the_end())
}

/// The sockets that a supervisor has opened for us. They replace `--listen`: systemd holds those
/// addresses, so claiming them as well would fail.
fn inherit(config: &Config) -> anyhow::Result<Vec<Endpoint>> {
    let sockets = activation::inherited().context("cannot take over the sockets of LISTEN_FDS")?;
    let names: Vec<_> = sockets.iter().map(|socket| &socket.name[..]).collect();
    if !names.is_empty() {
        let (count, names) = (names.len(), names.join(", "));
        say(&format!(
            "{count} sockets inherited ({names}), --listen is not used"
        ));
    }
    let descriptors = sockets.into_iter().map(|socket| socket.fd).collect();
    Endpoint::inherit(descriptors, adapt::listen_options(config))
        .context("cannot listen on an inherited socket (LISTEN_FDS)")
}

/// What a supervisor may expect of us and does not get.
fn warn_of_supervision<L: Send + 'static>(crew: &Crew<L>, supervisor: &Supervisor, facts: &Facts) {
    if let Some(limit) = supervisor.watchdog.filter(|limit| *limit < WATCHDOG_MIN) {
        say(&format!(
            "WatchdogSec= of {limit:?} is too short: an idle worker turns once a second. Make it \
             {WATCHDOG_MIN:?} or more"
        ));
    }
    // Each worker's own queue is closed with its listener when we drain: who waits there is reset,
    // unless the kernel moves it to a listener that is still open.
    let has_queues = crew
        .endpoints()
        .iter()
        .any(|endpoint| !endpoint.is_shared());
    let migrates = facts.host.sysctl("net.ipv4.tcp_migrate_req");
    if supervisor.notifier.is_connected() && has_queues && migrates == Some(0) {
        say(
            "a restart may reset those who connect meanwhile: use throng.socket, or \
             sysctl -w net.ipv4.tcp_migrate_req=1",
        );
    }
}

/// Claims every address before anything else is done: a port in use is the commonest mistake.
fn claim_all(config: &Config) -> anyhow::Result<Vec<Endpoint>> {
    let options = adapt::listen_options(config);
    let claim = |listen| {
        Endpoint::claim(&adapt::address(listen), options)
            .with_context(|| format!("cannot listen on {listen}{}", cure(listen)))
    };
    config.listen.iter().map(claim).collect()
}

/// What to look at when an address cannot be had.
fn cure(listen: &Listen) -> String {
    match listen {
        Listen::Tcp(address) => format!(
            " (who has it: `ss -ltnp 'sport = :{}'`; elsewhere: --listen)",
            address.port()
        ),
        Listen::Unix(path) => format!(" (is {} writable for us, and free?)", path.display()),
    }
}

/// Says once what a worker could not have; it serves all the same.
fn warn(started: &[Started]) {
    if let Some(reason) = started.iter().find_map(|worker| worker.not_pinned.as_ref()) {
        say(&format!("workers are not pinned to cores: {reason}"));
    }
}
