//! From a configuration to running workers, and down again on a signal.

use std::io::{self, Write as _};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;

use super::adapt;
use super::admin_port;
use super::facts::Facts;
use super::hub_app;
use super::notify::Supervisor;
use super::plan::Plan;
use super::report::{self, Places};
use super::stats::Stats;
use super::tls::TlsCare;
use super::watch::{Adopt, Reread, Watch, say};
use crate::admin::{Absent, Backend};
use crate::config::{App, Config, Endpoint as Listen};
use crate::echo::Echo;
use crate::metrics::Board;
use crate::proxy::Trusted;
use crate::reactor::{Crew, CrewConfig, House, Started, WorkerConfig};
use crate::service::Service;
use crate::sys::activation::{self, Inherited};
use crate::sys::{Address, Endpoint, signals};

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
    let (plain, tls) = claim_all(config)?;
    let admin_endpoint = admin_port::claim(config)?;
    let facts = Facts::gather();
    let plan = Plan::new(config, &facts);
    let house = House::new(usize::try_from(plan.connections_max)?);
    let board = Board::new(plan.workers + plan.shards);
    let stats = Arc::new(Stats::new(board.clone(), house.clone()));
    let tls_care = care_for_tls(config, &tls, &stats)?;
    let crew_config = CrewConfig {
        endpoints: plain,
        tls_endpoints: tls,
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
            tls: tls_care.as_ref().map(TlsCare::for_workers),
            proxy_from: Trusted::new(&config.proxy_from),
            connections_max: usize::try_from(plan.worker_connections_max)?,
            connections_expected: usize::try_from(plan.worker_connections_expected)?,
            house: house.clone(),
            board,
        },
    };
    let endpoints = crew_config
        .endpoints
        .iter()
        .chain(&crew_config.tls_endpoints);
    let addresses = endpoints.map(Endpoint::address);
    let is_local = hub_app::is_only_for_this_machine(config, addresses);
    let serving = Serving {
        config,
        facts: &facts,
        plan: &plan,
        stats: &stats,
        house,
        admin_endpoint,
        tls_care,
        is_local,
    };
    match config.app {
        App::Hub => serving.with_hub(crew_config, reread, supervisor),
        App::Echo => {
            let page = stats.clone();
            let echo = match config.stats {
                true => Echo::with_stats(Arc::new(move || page.json())),
                false => Echo::default(),
            };
            let crew = Crew::start(crew_config, move |_| echo.clone()).context(CANNOT_START)?;
            let adopt: Adopt = Box::new(|_| Ok(()));
            serving.until_the_end(crew, Arc::new(Absent), (reread, adopt), supervisor)
        }
    }
}

fn care_for_tls(
    config: &Config,
    endpoints: &[Endpoint],
    stats: &Arc<Stats>,
) -> anyhow::Result<Option<TlsCare>> {
    if endpoints.is_empty() {
        warn_of_idle_certificates(config);
        return Ok(None);
    }
    let care = TlsCare::begin(config, stats.clone()).context("TLS cannot be spoken")?;
    Ok(Some(care))
}

const CANNOT_START: &str = "cannot start the workers";

/// What is known when the workers have started, whatever they do.
struct Serving<'a> {
    config: &'a Config,
    facts: &'a Facts,
    plan: &'a Plan,
    stats: &'a Arc<Stats>,
    house: Arc<House>,
    admin_endpoint: Option<Endpoint>,
    tls_care: Option<TlsCare>,
    is_local: bool,
}

impl Serving<'_> {
    /// With channels, and whatever they need.
    fn with_hub(
        self,
        crew_config: CrewConfig,
        reread: Reread<'_>,
        supervisor: Supervisor,
    ) -> anyhow::Result<ExitCode> {
        let is_local = self.is_local;
        let (common, journal) = hub_app::common(self.config, self.plan, is_local, self.stats)?;
        self.stats.set_service(common.clone());
        if let Some(journal) = &journal {
            self.stats.set_journal(journal.clone());
        }
        let adopted = common.clone();
        let adopt: Adopt = Box::new(move |config| {
            hub_app::adopt(&adopted, config, is_local).map_err(|problems| {
                let lines = problems.iter().map(|problem| format!("{problem}\n"));
                lines.collect()
            })
        });
        let exchanged = common.clone();
        let make = move |worker| Service::new(common.clone(), worker);
        let crew = Crew::start(crew_config, make).context(CANNOT_START)?;
        let backend = hub_app::backend(&crew, exchanged, journal.as_ref());
        let ended = self.until_the_end(crew, backend, (reread, adopt), supervisor);
        if let Some(journal) = journal {
            journal.close();
        }
        ended
    }

    fn until_the_end<L: Send + 'static>(
        self,
        crew: Crew<L>,
        backend: Arc<dyn Backend>,
        (reread, adopt): (Reread<'_>, Adopt),
        supervisor: Supervisor,
    ) -> anyhow::Result<ExitCode> {
        let (config, stats) = (self.config, self.stats);
        stats.set_serving();
        let (plain, tls) = (addresses(crew.endpoints()), addresses(crew.tls_endpoints()));
        let certificates = self.tls_care.as_ref().map(TlsCare::summary);
        // After the workers have parted their descriptor tables, so that none holds a copy of its
        // sockets.
        let admin = self
            .admin_endpoint
            .map(|endpoint| admin_port::open(endpoint, config, stats.clone(), backend))
            .transpose()?;
        let places = Places {
            plain: &plain,
            tls: &tls,
            is_local: self.is_local,
            certificates: certificates.as_deref(),
            admin: admin
                .as_ref()
                .map(|(admin, key)| (admin.address(), &key[..])),
        };
        let report = report::startup(config, self.facts, self.plan, &places);
        // Whoever started us may not want to read it; that is no reason not to serve.
        let _ = io::stdout().write_all(report.as_bytes());
        warn(crew.started());
        warn_of_supervision(&crew, &supervisor, self.facts);
        let figures = (stats.clone(), self.house);
        let watch = Watch::new(crew, figures, config, (reread, adopt), supervisor);
        Ok(watch.with_tls(self.tls_care).until_the_end())
    }
}

/// Where crew listens, each once: a socket unit may have several with one address.
fn addresses(endpoints: &[Endpoint]) -> Vec<Address> {
    let mut addresses: Vec<_> = endpoints.iter().map(|e| e.address().clone()).collect();
    addresses.dedup();
    addresses
}

/// Where to listen, plainly and for TLS. Claims every address before anything else is done: a port in
/// use is the commonest mistake. The sockets that a supervisor has opened for us replace the list
/// they belong to: systemd holds those addresses, so claiming them as well would fail.
fn claim_all(config: &Config) -> anyhow::Result<(Vec<Endpoint>, Vec<Endpoint>)> {
    let (mut plain, mut tls) = inherit(config)?;
    if plain.is_empty() && tls.is_empty() {
        plain = claim(&config.listen, "--listen", config)?;
    }
    if tls.is_empty() {
        tls = claim(&config.tls.listen, "--tls-listen", config)?;
    }
    Ok((plain, tls))
}

/// What a supervisor has opened for us: plain sockets, and those for TLS.
fn inherit(config: &Config) -> anyhow::Result<(Vec<Endpoint>, Vec<Endpoint>)> {
    let sockets = activation::inherited().context("cannot take over the sockets of LISTEN_FDS")?;
    let names: Vec<_> = sockets.iter().map(|socket| &socket.name[..]).collect();
    if !names.is_empty() {
        let (count, names) = (names.len(), names.join(", "));
        say(&format!(
            "{count} sockets inherited ({names}), --listen is not used"
        ));
    }
    let (tls, plain): (Vec<_>, Vec<_>) =
        (sockets.into_iter()).partition(|socket| socket.name == TLS_SOCKET_NAME);
    let adopt = |sockets: Vec<Inherited>| {
        let descriptors = sockets.into_iter().map(|socket| socket.fd).collect();
        Endpoint::inherit(descriptors, adapt::listen_options(config))
            .context("cannot listen on an inherited socket (LISTEN_FDS)")
    };
    Ok((adopt(plain)?, adopt(tls)?))
}

/// What a socket unit calls a socket for TLS (`FileDescriptorName=`).
const TLS_SOCKET_NAME: &str = "tls";

/// A certificate without an address is half of what somebody meant.
fn warn_of_idle_certificates(config: &Config) {
    if config.tls.certificate.cert.is_some() || !config.tls.more.is_empty() {
        say("a certificate is configured, and nobody listens for TLS: --tls-listen :443");
    }
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

fn claim(listens: &[Listen], flag: &str, config: &Config) -> anyhow::Result<Vec<Endpoint>> {
    let options = adapt::listen_options(config);
    let claim = |listen| {
        Endpoint::claim(&adapt::address(listen), options)
            .with_context(|| format!("cannot listen on {listen}{}", cure(listen, flag)))
    };
    listens.iter().map(claim).collect()
}

/// What to look at when an address cannot be had.
fn cure(listen: &Listen, flag: &str) -> String {
    match listen {
        Listen::Tcp(address) => format!(
            " (who has it: `ss -ltnp 'sport = :{}'`; elsewhere: {flag})",
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
