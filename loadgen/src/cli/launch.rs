//! From options to a running crew, and from its end to a summary: `loadgen run` and `loadgen search`.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, bail};
use throng::sys::{clock, random, rlimit, signals};

use super::trust::Belief;
use super::{RunOptions, SearchOptions, Vary, plan_of};
use crate::collect::{Collector, Setup};
use crate::dialect::Dialect;
use crate::engine::brief::{Brief, Place, publications_of};
use crate::engine::conductor::{Conductor, Held};
use crate::engine::gate::Gate;
use crate::engine::gauge::{FIRST_PATIENCE, Gauge, GaugeUrl};
use crate::engine::orders::{Command, PhaseOrder};
use crate::engine::view::View;
use crate::engine::worker::Crew;
use crate::environment::Environment;
use crate::histograms::quantile_ms;
use crate::plan::Plan;
use crate::report::bundle::BundleWriter;
use crate::sample::Sampler;
use crate::sample::root::ProcRoot;
use crate::scenario::{Kind, Pace, Scenario};
use crate::schedule::Arrivals;
use crate::search::{Knee, Search};
use crate::summary::{Connections, Rates, Summary};
use crate::thresholds::{Evidence, Threshold};

/// Opens the connections, drives the scenario, writes the report.
pub(super) fn run(options: &RunOptions) -> anyhow::Result<Summary> {
    Ok(start(options)?.perform()?)
}

/// What a search found.
pub(super) struct Found {
    /// The edge.
    pub(super) knee: Knee,
    /// The lowest value at which the generator and not the server gave way.
    pub(super) generator_limited_from: Option<u64>,
    /// The run as a whole.
    pub(super) summary: Summary,
}

/// The highest value that holds. The sockets stay open between the steps.
pub(super) fn search(options: &SearchOptions) -> anyhow::Result<Found> {
    let (mut run, top) = (options.run.clone(), options.to);
    match options.vary {
        Vary::Rate => set_rate(&mut run.scenario, top as f64)?,
        Vary::Connections => set_connections(&mut run.scenario, top)?,
    }
    // The search judges its own steps; the run as a whole is not judged.
    let thresholds = std::mem::take(&mut run.scenario.thresholds);
    run.scenario.duration = Duration::MAX;
    run.scenario.phases.clear();
    let mut conductor = start(&run)?;
    let share = |value: u64| value as f64 / top as f64;
    if options.vary == Vary::Connections {
        conductor.tell(&Command::Hold(share(options.from)));
    }
    conductor.ramp(RAMP_WITHIN)?;
    let mut search = Search::new(options.from, options.to);
    let mut limited_from: Option<u64> = None;
    while let Some(value) = search.next_value() {
        match options.vary {
            Vary::Rate => conductor.tell(&rate_order(&run.scenario, share(value))),
            Vary::Connections => {
                conductor.tell(&Command::Hold(share(value)));
                conductor.ramp(RAMP_WITHIN)?;
            }
        }
        // What the step before left behind is not this step's doing.
        conductor.hold(options.step / 5)?;
        let held = conductor.hold(options.step)?;
        if held.is_interrupted {
            break;
        }
        let (passed, p99_ms) = judge(&thresholds, &held);
        if !passed && held.latency.is_limited {
            limited_from = Some(limited_from.map_or(value, |from| from.min(value)));
        }
        search.record(value, passed, p99_ms);
        conductor.note(&format!(
            "{value}: {} (p99 {p99_ms:.2} ms)",
            if passed { "holds" } else { "does not hold" }
        ));
    }
    Ok(Found {
        knee: search.knee(),
        generator_limited_from: limited_from,
        summary: conductor.finish()?,
    })
}

fn start(options: &RunOptions) -> anyhow::Result<Conductor> {
    let mut scenario = options.scenario.clone();
    if scenario.cohorts.len() > COHORTS_MAX {
        bail!("a scenario has at most {COHORTS_MAX} cohorts");
    }
    let pace_of = |kind: &Kind| match kind {
        Kind::Broadcast { pace, .. } | Kind::Rooms { pace, .. } => Some(*pace),
        _ => None,
    };
    let mut broadcasts = scenario.cohorts.iter().filter_map(|c| pace_of(&c.kind));
    if broadcasts.any(|pace| matches!(pace, Pace::Closed { .. })) {
        bail!("a broadcast publishes at a rate, it has no closed loop: --rate 10/s");
    }
    check_rooms(&scenario)?;
    if scenario.thresholds.is_empty() {
        scenario.thresholds = expectations(&scenario);
    }
    // Before any thread exists: they inherit what is blocked.
    signals::block().context("signals cannot be blocked")?;
    rlimit::raise_nofile().context("the limit on descriptors cannot be read")?;
    let seed = match options.seed {
        Some(seed) => seed,
        None => draw_seed().context("this kernel has no getrandom")?,
    };
    let mut plan = plan_of(options, seed)?;
    let space = plan.take_space().context("the plan has no addresses")?;
    let has_tls = scenario.targets.iter().any(|target| target.tls);
    let belief = has_tls.then(|| Belief::of(options)).transpose()?;
    let places = places_of(&scenario, space.listeners(), belief.as_ref())?;
    let tls = belief.as_ref().map(Belief::in_report);
    let gauge = match &options.gauge {
        Some(text) => Some(gauge_of(text)?),
        None => None,
    };
    let report = report_of(options, &scenario)?;
    let report = match (report, has_tls) {
        (Some(report), true) => Some(report.with_tls()?),
        (report, _) => report,
    };
    let mut view = View::new(options.quiet);
    if let Some(wall) = plan.first_wall() {
        view.note(&format!(
            "this run is expected to stop at {} connections: {} ({})",
            wall.at_connections, wall.name, wall.cure
        ));
    }
    if tls.as_ref().is_some_and(|tls| tls.is_insecure) {
        view.warn(INSECURE);
    }
    let threads = threads_of(options, &plan);
    let setup = Setup {
        tls,
        ..setup_of(options, &scenario, seed, &plan, threads)
    };
    let collector = Collector::new(setup, report);
    let brief = Arc::new(Brief {
        publications: publications_of(&scenario),
        places,
        threads,
        seed,
        origin_ns: clock::monotonic_ns(),
        abreast: std::thread::available_parallelism().map_or(1, |cores| cores.get() as u32),
        gate: Gate::new(options.handshakes_max),
        retries_max: options.retries_max,
        connect_timeout_ns: nanos(options.connect_timeout),
        answer_timeout_ns: nanos(options.answer_timeout),
        alive_window_s: options.alive_window.as_secs().max(1) as u32,
        message_bytes_max: message_bytes_max(&scenario),
        scenario: Arc::new(scenario),
    });
    let crew = Crew::start(&brief, &Arc::new(space)).context("the threads cannot be started")?;
    let sampler = Sampler::new(ProcRoot::machine(), options.server_pid);
    let conductor = Conductor::new(crew, brief, sampler, gauge, view, collector);
    Ok(conductor)
}

/// Rooms have their place in a message, or in the path.
fn check_rooms(scenario: &Scenario) -> anyhow::Result<()> {
    for cohort in &scenario.cohorts {
        let Kind::Rooms { floor, .. } = cohort.kind else {
            continue;
        };
        let channel = &cohort.handshake.channel;
        let in_path = scenario.targets.iter().all(|t| t.path.contains("{room}"));
        if floor.dialect == Dialect::Raw && !in_path {
            bail!("the raw dialect names the room in the path: ws://HOST:PORT/raw/room{{room}}");
        }
        if floor.dialect != Dialect::Raw && !channel.is_empty() && !channel.contains("{room}") {
            bail!("--channel `{channel}` names one room for all of them: it needs {{room}}");
        }
        if !cohort.messages.text {
            bail!("rooms are spoken in with text: --payload text");
        }
    }
    Ok(())
}

/// What everybody expects who says nothing else: all connections alive, no answer wrong or lost.
fn expectations(scenario: &Scenario) -> Vec<Threshold> {
    let steady = scenario
        .cohorts
        .iter()
        .filter(|cohort| !cohort.kind.misbehaves())
        .filter(|cohort| !matches!(cohort.kind, Kind::Churn { .. } | Kind::Storm { .. }));
    let steady: u64 = steady.map(|cohort| cohort.connections).sum();
    let cut = scenario.phases.iter().any(|phase| phase.cut.is_some());
    let has_storm = scenario.cohorts.iter().any(|c| c.kind.backoff().is_some());
    let mut expected = vec![
        "errors>0".to_owned(),
        "lost>0".to_owned(),
        "unsent>0".to_owned(),
    ];
    if steady > 0 && (!cut || has_storm) {
        expected.push(format!("proven_alive<{steady}"));
    }
    let parsed = expected.iter().map(|text| Threshold::parse(text));
    parsed
        .collect::<Result<_, _>>()
        .expect("these conditions are written here")
}

fn report_of(options: &RunOptions, scenario: &Scenario) -> anyhow::Result<Option<BundleWriter>> {
    let Some(dir) = &options.report else {
        return Ok(None);
    };
    let command = without_tokens(std::env::args());
    let environment = Environment::read(&ProcRoot::machine(), command, options.server_pid);
    let tags: Vec<String> = scenario.tags().into_iter().map(|(name, _)| name).collect();
    let writer = BundleWriter::create(dir, &tags, &environment, unix_s())
        .with_context(|| format!("--report {}", dir.display()))?;
    Ok(Some(writer))
}

/// The command line as a report may show it.
fn without_tokens(words: impl Iterator<Item = String>) -> Vec<String> {
    let mut is_secret = false;
    let hide = |word: String| {
        let shown = match word.split_once('=') {
            _ if is_secret => HIDDEN.to_owned(),
            Some(("--token", _)) => format!("--token={HIDDEN}"),
            _ => word.clone(),
        };
        is_secret = word == "--token";
        shown
    };
    words.map(hide).collect()
}

fn setup_of(
    options: &RunOptions,
    scenario: &Scenario,
    seed: u64,
    plan: &Plan,
    threads: u32,
) -> Setup {
    let targets: Vec<String> = scenario.targets.iter().map(ToString::to_string).collect();
    Setup {
        scenario: scenario.name.clone(),
        target: targets.join(" "),
        seed,
        started_unix_s: unix_s(),
        tags: scenario.tags(),
        threads: u64::from(threads),
        server_pid: options.server_pid,
        both_ends_here: plan.both_ends_here,
        intended_per_s: scenario.intended_per_s(),
        thresholds: scenario.thresholds.clone(),
        synthetic: false,
        tls: None,
    }
}

/// The request that belongs to each listener.
fn places_of(
    scenario: &Scenario,
    listeners: &[std::net::SocketAddr],
    belief: Option<&Belief>,
) -> anyhow::Result<Vec<Place>> {
    let mut known = BTreeMap::new();
    for target in &scenario.targets {
        let secured = belief.filter(|_| target.tls);
        let tls = secured.map(|belief| belief.client(target)).transpose()?;
        for address in target
            .resolve()
            .map_err(|error| anyhow::anyhow!("{target}: {error}"))?
        {
            let place = Place {
                address,
                authority: target.authority(address.port()),
                path: target.path.clone(),
                tls: tls.clone(),
            };
            known.entry(address).or_insert(place);
        }
    }
    let place = |address| {
        let found = known.get(address).cloned();
        found.with_context(|| {
            format!("{address} no longer belongs to any target: its name has changed address")
        })
    };
    listeners.iter().map(place).collect()
}

fn threads_of(options: &RunOptions, plan: &Plan) -> u32 {
    let planned = options.threads.unwrap_or(plan.threads);
    // No thread without a connection.
    planned.clamp(1, options.scenario.connections().clamp(1, 1024)) as u32
}

fn gauge_of(text: &str) -> anyhow::Result<Gauge> {
    let url = GaugeUrl::parse(text)
        .with_context(|| format!("--gauge `{text}` is written http://HOST:PORT/PATH#NAME"))?;
    url.read(FIRST_PATIENCE)
        .with_context(|| format!("--gauge {text}"))?;
    Ok(Gauge::start(url)?)
}

/// An echo is as long as what was sent; a broadcast may be wrapped by the server.
fn message_bytes_max(scenario: &Scenario) -> usize {
    let longest = scenario
        .cohorts
        .iter()
        .map(|cohort| cohort.messages.bytes.1);
    let longest = longest.max().unwrap_or_default();
    usize::try_from(longest * 2).map_or(usize::MAX, |bytes| bytes.max(MESSAGE_BYTES_MIN))
}

fn set_rate(scenario: &mut Scenario, total_per_s: f64) -> anyhow::Result<()> {
    let intended = scenario.intended_per_s();
    let mut paces = 0;
    for cohort in &mut scenario.cohorts {
        let (Kind::Echo { pace } | Kind::Broadcast { pace, .. } | Kind::Rooms { pace, .. }) =
            &mut cohort.kind
        else {
            continue;
        };
        paces += 1;
        *pace = match *pace {
            Pace::Open {
                rate_per_s,
                arrivals,
            } if intended > 0.0 => Pace::Open {
                rate_per_s: rate_per_s / intended * total_per_s,
                arrivals,
            },
            Pace::Open { arrivals, .. } => Pace::Open {
                rate_per_s: total_per_s,
                arrivals,
            },
            Pace::Closed { .. } => Pace::Open {
                rate_per_s: total_per_s,
                arrivals: Arrivals::Even,
            },
        };
    }
    if paces == 0 {
        bail!("a search for a rate needs a scenario that sends: --scenario echo");
    }
    Ok(())
}

fn set_connections(scenario: &mut Scenario, total: u64) -> anyhow::Result<()> {
    let [cohort] = scenario.cohorts.as_mut_slice() else {
        bail!("a search for connections needs a scenario of one cohort");
    };
    if !matches!(cohort.kind, Kind::Idle | Kind::Echo { .. }) {
        bail!("a search for connections needs --scenario idle or echo");
    }
    cohort.connections = total;
    Ok(())
}

fn rate_order(scenario: &Scenario, factor: f64) -> Command {
    Command::Phase(Arc::new(PhaseOrder {
        rate: factor,
        silent: vec![false; scenario.cohorts.len()],
        absent: vec![false; scenario.cohorts.len()],
        cut: None,
    }))
}

/// Whether a step held, and its p99.
fn judge(thresholds: &[Threshold], held: &Held) -> (bool, f64) {
    let mut summary = Summary::new("search", "");
    summary.messages = held.books.messages();
    summary.duration_s = held.length_s;
    summary.connections = Connections {
        requested: held.wanted,
        connected: held.traffic.connected,
        upgraded: held.traffic.upgraded,
        proven_alive: held.traffic.proven_alive,
        ..Connections::default()
    };
    summary.rates = Rates {
        sent_per_s: summary.messages.sent as f64 / held.length_s.max(1e-3),
        received_per_s: summary.messages.received as f64 / held.length_s.max(1e-3),
        ..Rates::default()
    };
    let [response, service, lateness] = &held.latency.judged;
    let evidence = Evidence {
        summary: &summary,
        latency: [response, service, lateness],
    };
    let passed = thresholds
        .iter()
        .all(|threshold| threshold.judge(&evidence).passed);
    // For the curve, also what nobody judges.
    let p99_ms = quantile_ms(&held.latency.all[0], 0.99).unwrap_or_default();
    (passed && summary.messages.unsent == 0, p99_ms)
}

fn draw_seed() -> io::Result<u64> {
    let mut bytes = [0; 8];
    random::fill(&mut bytes)?;
    // Short enough to be typed again.
    Ok(u64::from_le_bytes(bytes) % 1_000_000_000)
}

#[expect(
    clippy::disallowed_methods,
    reason = "the date in a report is wall time; nothing is measured with it"
)]
fn unix_s() -> f64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0.0, |since| since.as_secs_f64())
}

fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX / 4)
}

const INSECURE: &str = "--insecure: NO CERTIFICATE IS CHECKED. Whoever answers is believed; measure with it, prove nothing with it.";
/// Stands for a token.
const HIDDEN: &str = "...";
/// Cohorts are numbered in a byte.
const COHORTS_MAX: usize = 250;
/// Whatever is asked for, a server may say this much.
const MESSAGE_BYTES_MIN: usize = 1 << 20;
/// A step of a search that adds connections gives them this long.
const RAMP_WITHIN: Duration = Duration::from_secs(120);
