//! From flags to a scenario of one cohort, or from a file to any.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use super::CliError;
use super::arguments::Arguments;
use crate::backoff::Backoff;
use crate::dialect::Dialect;
use crate::identity::{Identity, Signer, Token};
use crate::pool::SourcePool;
use crate::ports::UNPRIVILEGED;
use crate::scenario::{
    self, ARRIVALS, Beast, Cohort, Cut, CutBy, Floor, HEARTBEAT, Handshake, Kind, MessageShape,
    Pace, Phase, Scenario, parse_bytes_per_s, parse_size,
};
use crate::schedule::Arrivals;
use crate::target::Target;
use crate::thresholds::Threshold;
use crate::units::{parse_count, parse_duration, parse_rate, parse_share};

/// Everything a run is told.
#[derive(Debug, Clone, PartialEq)]
pub struct RunOptions {
    /// What to do.
    pub scenario: Scenario,
    /// Addresses to come from.
    pub sources: Option<SourcePool>,
    /// Ports to come from.
    pub ports: RangeInclusive<u16>,
    /// Engine threads; `None` for auto.
    pub threads: Option<u64>,
    /// Seed; `None` to draw one.
    pub seed: Option<u64>,
    /// Connects and handshakes under way at once.
    pub handshakes_max: u64,
    /// Attempts after a failed one.
    pub retries_max: u64,
    /// For the SYN-ACK and for the upgrade, each.
    pub connect_timeout: Duration,
    /// After which a message is lost.
    pub answer_timeout: Duration,
    /// Proven alive: heard from within this.
    pub alive_window: Duration,
    /// Certificates to trust.
    pub ca: Option<PathBuf>,
    /// Trust anybody.
    pub insecure: bool,
    /// The name that certificates have to be for, instead of the target's host.
    pub server_name: Option<String>,
    /// Resume TLS sessions.
    pub tls_resume: bool,
    /// The target process, to be sampled.
    pub server_pid: Option<u32>,
    /// The server's own count of connections.
    pub gauge: Option<String>,
    /// Where the bundle goes.
    pub report: Option<PathBuf>,
    /// Print JSON.
    pub json: bool,
    /// No progress.
    pub quiet: bool,
}

/// What a search changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vary {
    /// Messages per second.
    Rate,
    /// Connections.
    Connections,
}

/// A search.
#[derive(Debug, Clone, PartialEq)]
pub struct SearchOptions {
    /// The run that is repeated.
    pub run: RunOptions,
    /// What is changed.
    pub vary: Vary,
    /// Lowest value.
    pub from: u64,
    /// Highest value.
    pub to: u64,
    /// How long each is held.
    pub step: Duration,
}

type Read<T> = Result<T, CliError>;

impl RunOptions {
    pub(super) fn of(arguments: &Arguments) -> Read<Self> {
        if let Some(word) = arguments.positional.first() {
            return Err(CliError(format!(
                "what is `{word}`? every value here follows a flag"
            )));
        }
        let scenario = scenario_of(arguments)?;
        let time = |name: &str| arguments.quantity(name, parse_duration);
        let heartbeat = scenario
            .cohorts
            .iter()
            .map(|cohort| cohort.handshake.heartbeat)
            .max()
            .unwrap_or(HEARTBEAT);
        Ok(Self {
            sources: sources_of(arguments)?,
            ports: ports_of(arguments)?,
            threads: threads_of(arguments)?,
            seed: arguments.seed()?.or(scenario.seed),
            handshakes_max: arguments
                .quantity("--handshakes", parse_count)?
                .unwrap_or(512)
                .max(1),
            retries_max: arguments.quantity("--retries", parse_count)?.unwrap_or(3),
            connect_timeout: time("--connect-timeout")?.unwrap_or(Duration::from_secs(10)),
            answer_timeout: time("--answer-timeout")?.unwrap_or(Duration::from_secs(10)),
            alive_window: time("--alive-window")?.unwrap_or(heartbeat + Duration::from_secs(5)),
            ca: arguments.one("--ca").map(PathBuf::from),
            insecure: arguments.has("--insecure"),
            server_name: arguments.one("--server-name").map(str::to_owned),
            tls_resume: arguments.has("--tls-resume"),
            server_pid: pid_of(arguments)?,
            gauge: arguments.one("--gauge").map(str::to_owned),
            report: arguments.one("--report").map(PathBuf::from),
            json: arguments.has("--json"),
            quiet: arguments.has("--quiet"),
            scenario,
        })
    }
}

impl SearchOptions {
    pub(super) fn of(arguments: &Arguments) -> Read<Self> {
        let run = RunOptions::of(arguments)?;
        if run.scenario.thresholds.is_empty() {
            return Err(CliError(
                "a search needs to know what must hold: --fail-if 'p99>20ms'".into(),
            ));
        }
        let bound = |name: &str| {
            let value = arguments
                .quantity(name, parse_count)?
                .filter(|&value| value > 0);
            value.ok_or_else(|| CliError(format!("a search goes {name} a number above 0")))
        };
        let (from, to) = (bound("--from")?, bound("--to")?);
        if from >= to {
            return Err(CliError("--from is below --to".into()));
        }
        let vary = arguments.choice(
            "--vary",
            &[("rate", Vary::Rate), ("connections", Vary::Connections)],
        )?;
        let step = arguments
            .quantity("--step", parse_duration)?
            .unwrap_or(Duration::from_secs(10));
        Ok(Self {
            run,
            vary: vary.unwrap_or(Vary::Rate),
            from,
            to,
            step,
        })
    }
}

fn scenario_of(arguments: &Arguments) -> Read<Scenario> {
    let thresholds = arguments.all("--fail-if").map(|text| {
        Threshold::parse(text).map_err(|error| CliError(format!("--fail-if `{text}`: {error}")))
    });
    let thresholds = thresholds.collect::<Read<Vec<_>>>()?;
    let targets = arguments.all("--target").map(|text| {
        Target::parse(text).map_err(|error| CliError(format!("--target `{text}`: {error}")))
    });
    let targets = targets.collect::<Read<Vec<_>>>()?;
    let duration = arguments.quantity("--duration", parse_duration)?;
    let mut scenario = match arguments.one("--scenario-file") {
        Some(file) => {
            let text = std::fs::read_to_string(file)
                .map_err(|error| CliError(format!("{file}: {error}")))?;
            scenario::parse(file, &text, duration).map_err(|error| CliError(error.to_string()))?
        }
        None => single(arguments)?,
    };
    if !targets.is_empty() {
        scenario.targets = targets;
    }
    if scenario.targets.is_empty() {
        return Err(CliError("say where: --target ws://HOST:PORT/PATH".into()));
    }
    scenario.thresholds.extend(thresholds);
    scenario.ramp_per_s = arguments
        .quantity("--ramp", parse_rate)?
        .unwrap_or(scenario.ramp_per_s);
    Ok(scenario)
}

/// The flags as a scenario of one cohort.
fn single(arguments: &Arguments) -> Read<Scenario> {
    let names: Vec<(&str, &str)> = Kind::NAMES.iter().map(|name| (*name, *name)).collect();
    let name = arguments.choice("--scenario", &names)?.unwrap_or("echo");
    let connections = arguments
        .quantity("--connections", parse_count)?
        .unwrap_or(100);
    if connections == 0 {
        return Err(CliError("--connections is at least 1".into()));
    }
    let cohort = Cohort {
        name: name.to_owned(),
        kind: kind_of(arguments, name)?,
        connections,
        messages: messages_of(arguments)?,
        handshake: handshake_of(arguments)?,
    };
    let duration = arguments
        .quantity("--duration", parse_duration)?
        .unwrap_or(Duration::from_secs(30));
    let mut scenario = Scenario {
        name: name.to_owned(),
        targets: Vec::new(),
        duration,
        ramp_per_s: 0.0,
        seed: None,
        phases: if name == "storm" || arguments.one("--cut").is_some() {
            storm_phases(arguments, duration)?
        } else {
            Vec::new()
        },
        cohorts: vec![cohort],
        thresholds: Vec::new(),
    };
    if scenario.cohorts[0].kind.misbehaves() {
        add_bystanders(arguments, &mut scenario)?;
    }
    Ok(scenario)
}

/// Who misbehaves is interesting for what it does to the others: an ordinary cohort beside it, measured for
/// half the time without it and for half with it.
fn add_bystanders(arguments: &Arguments, scenario: &mut Scenario) -> Read<()> {
    let count = arguments
        .quantity("--bystanders", parse_count)?
        .unwrap_or(100);
    if count == 0 {
        return Ok(());
    }
    let name = scenario.name.clone();
    let bystanders = Cohort {
        name: "bystanders".into(),
        kind: Kind::Echo {
            pace: Pace::Open {
                rate_per_s: count as f64 * 10.0,
                arrivals: Arrivals::Even,
            },
        },
        connections: count,
        ..scenario.cohorts[0].clone()
    };
    scenario.cohorts.insert(0, bystanders);
    let phase = |text: &str, duration, silent| Phase {
        name: format!("{text} the {name}"),
        duration,
        rate: 1.0,
        ends_when_open: false,
        silent,
        absent: Vec::new(),
        cut: None,
    };
    scenario.phases = vec![
        phase("without", Some(scenario.duration / 2), vec![name.clone()]),
        phase("with", None, Vec::new()),
    ];
    Ok(())
}

fn kind_of(arguments: &Arguments, name: &str) -> Read<Kind> {
    Ok(match name {
        "idle" => Kind::Idle,
        "pubsub" | "chat" => Kind::Rooms {
            pace: rate_of(arguments)?,
            floor: floor_of(arguments, name)?,
            backoff: arguments
                .choice("--backoff", Backoff::ALL)?
                .unwrap_or_default(),
        },
        "broadcast" => {
            let publishers = arguments
                .quantity("--publishers", parse_count)?
                .unwrap_or(1);
            let pace = rate_of(arguments)?;
            Kind::Broadcast { pace, publishers }
        }
        "churn" => Kind::Churn {
            life: arguments
                .quantity("--life", parse_duration)?
                .unwrap_or(Duration::from_secs(10)),
        },
        "storm" => Kind::Storm {
            backoff: arguments
                .choice("--backoff", Backoff::ALL)?
                .unwrap_or_default(),
        },
        "slow" => {
            let bytes_per_s = arguments
                .quantity("--read", parse_bytes_per_s)?
                .unwrap_or(1024);
            Kind::Slow {
                bytes_per_s,
                pace: pace_of(arguments)?,
            }
        }
        "zoo" => {
            let beast = arguments.choice("--beast", Beast::ALL)?;
            Kind::Zoo {
                beast: beast.ok_or_else(|| CliError("a zoo has a --beast".into()))?,
            }
        }
        _ => Kind::Echo {
            pace: pace_of(arguments)?,
        },
    })
}

/// The schedule of those who have no answers to wait for, so no closed loop.
fn rate_of(arguments: &Arguments) -> Read<Pace> {
    Ok(match pace_of(arguments)? {
        open @ Pace::Open { .. } => open,
        Pace::Closed { .. } => Pace::Open {
            rate_per_s: 1.0,
            arrivals: Arrivals::Even,
        },
    })
}

fn floor_of(arguments: &Arguments, name: &str) -> Read<Floor> {
    let size = arguments.quantity("--room-size", parse_count)?;
    let dialect = arguments.choice("--dialect", Dialect::ALL)?;
    Ok(Floor {
        size: size.unwrap_or(Floor::default().size).max(1),
        everyone: name == "chat",
        dialect: dialect.unwrap_or_default(),
        presence: arguments.has("--presence"),
    })
}

fn identity_of(arguments: &Arguments) -> Read<Identity> {
    let token = match (arguments.one("--token"), arguments.one("--token-secret")) {
        (Some(_), Some(_)) => {
            return Err(CliError(
                "--token is written, --token-secret signs: not both".into(),
            ));
        }
        (Some(template), None) => Some(Token::Template(template.to_owned())),
        (None, Some(path)) => {
            let signer = Signer::of_file(path.as_ref());
            let signer =
                signer.map_err(|error| CliError(format!("--token-secret {path}: {error}")))?;
            Some(Token::Signed(signer))
        }
        (None, None) => None,
    };
    Ok(Identity {
        user: arguments.one("--user").unwrap_or_default().to_owned(),
        token,
    })
}

fn pace_of(arguments: &Arguments) -> Read<Pace> {
    let rate = arguments.quantity("--rate", parse_rate)?;
    let in_flight = arguments.quantity("--in-flight", parse_count)?;
    let arrivals = arguments
        .choice("--arrivals", ARRIVALS)?
        .unwrap_or(Arrivals::Even);
    match (rate, in_flight) {
        (Some(_), Some(_)) => Err(CliError(
            "--rate opens the loop, --in-flight closes it: not both".into(),
        )),
        (Some(rate_per_s), None) => Ok(Pace::Open {
            rate_per_s,
            arrivals,
        }),
        (None, in_flight) => Ok(Pace::Closed {
            in_flight: in_flight.unwrap_or(1).clamp(1, 1 << 20) as u32,
        }),
    }
}

fn messages_of(arguments: &Arguments) -> Read<MessageShape> {
    let default = MessageShape::default();
    Ok(MessageShape {
        bytes: arguments
            .quantity("--size", parse_size)?
            .unwrap_or(default.bytes),
        text: arguments
            .choice("--payload", &[("text", true), ("binary", false)])?
            .unwrap_or(default.text),
        deflate: arguments.has("--deflate"),
    })
}

fn handshake_of(arguments: &Arguments) -> Read<Handshake> {
    let header = |text: &str| {
        let (name, value) = text
            .split_once(':')
            .ok_or_else(|| CliError(format!("--header `{text}` is written 'Name: value'")))?;
        let (name, value) = (name.trim().to_owned(), value.trim().to_owned());
        if !scenario::is_header(&name, &value) {
            return Err(CliError(format!("--header `{text}` cannot be sent")));
        }
        Ok((name, value))
    };
    Ok(Handshake {
        subprotocol: arguments.one("--subprotocol").map(str::to_owned),
        headers: arguments
            .all("--header")
            .map(header)
            .collect::<Read<Vec<_>>>()?,
        identity: identity_of(arguments)?,
        channel: arguments.one("--channel").unwrap_or_default().to_owned(),
        heartbeat: arguments
            .quantity("--heartbeat", parse_duration)?
            .unwrap_or(HEARTBEAT),
    })
}

/// A storm from flags: half the time to ramp up and settle, then the cut, then the return.
fn storm_phases(arguments: &Arguments, duration: Duration) -> Read<Vec<Phase>> {
    let share = arguments.quantity("--cut", parse_share)?.unwrap_or(0.5);
    let by = arguments
        .choice("--cut-by", CutBy::ALL)?
        .unwrap_or(CutBy::Rst);
    let phase = |name: &str, duration, cut| Phase {
        name: name.into(),
        duration,
        rate: 1.0,
        ends_when_open: false,
        silent: Vec::new(),
        absent: Vec::new(),
        cut,
    };
    Ok(vec![
        phase("calm", Some(duration / 2), None),
        phase("storm", None, Some(Cut { share, by })),
    ])
}

fn sources_of(arguments: &Arguments) -> Read<Option<SourcePool>> {
    let read = |list: &str| {
        SourcePool::parse(list).map_err(|error| CliError(format!("--source `{list}`: {error}")))
    };
    arguments.one("--source").map(read).transpose()
}

fn ports_of(arguments: &Arguments) -> Read<RangeInclusive<u16>> {
    let Some(text) = arguments.one("--ports") else {
        return Ok(UNPRIVILEGED);
    };
    let range = text
        .split_once('-')
        .and_then(|(first, last)| Some(first.parse().ok()?..=last.parse().ok()?));
    let range = range.filter(|range: &RangeInclusive<u16>| !range.is_empty() && *range.start() > 0);
    range.ok_or_else(|| CliError(format!("--ports `{text}` is written 1024-65535")))
}

fn threads_of(arguments: &Arguments) -> Read<Option<u64>> {
    match arguments.one("--threads") {
        None | Some("auto") => Ok(None),
        Some(text) => {
            let threads = text
                .parse()
                .ok()
                .filter(|&threads| (1..=1024).contains(&threads));
            threads
                .map(Some)
                .ok_or_else(|| CliError(format!("--threads `{text}` is auto or 1 to 1024")))
        }
    }
}

fn pid_of(arguments: &Arguments) -> Read<Option<u32>> {
    let read = |text: &str| {
        text.parse()
            .map_err(|_| CliError(format!("--server-pid `{text}` is no process number")))
    };
    arguments.one("--server-pid").map(read).transpose()
}
