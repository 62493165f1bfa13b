//! `summary.json`: the numbers of a run, in a shape that other programs may rely on.
//!
//! The shape has a version. A field is added without a new version; one that changes its meaning or goes
//! away makes a new one, and the reader refuses what it does not know.

use std::collections::BTreeMap;
use std::fmt;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// Version of the shape written here.
pub const VERSION: u32 = 1;

/// A whole run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Always `loadgen-summary`.
    pub format: String,
    /// See [`VERSION`].
    pub version: u32,
    /// Name of the scenario.
    pub scenario: String,
    /// Where the connections went.
    pub target: String,
    /// Start, seconds since 1970.
    pub started_unix_s: f64,
    /// Length of the run.
    pub duration_s: f64,
    /// Seed of every random choice.
    pub seed: u64,
    /// True for an invented run: such a report must never be taken for a measurement.
    #[serde(default)]
    pub synthetic: bool,
    /// The bundles this one was merged from.
    #[serde(default)]
    pub merged_from: Vec<String>,
    /// Connections.
    pub connections: Connections,
    /// Messages.
    pub messages: Messages,
    /// Latency of all healthy cohorts together.
    pub latency_ms: Latency,
    /// Rates over the measured seconds.
    pub rates: Rates,
    /// The target process; `null` when it was not sampled.
    pub server: Option<Server>,
    /// This program.
    pub generator: Generator,
    /// TLS, where the target is `wss://`; `null` elsewhere.
    #[serde(default)]
    pub tls: Option<Tls>,
    /// How those that were cut came back; `null` without a storm.
    #[serde(default)]
    pub storm: Option<Storm>,
    /// How a broadcast spread; `null` without one.
    #[serde(default)]
    pub fanout: Option<Fanout>,
    /// Rooms, and who sat in them; `null` without any.
    #[serde(default)]
    pub rooms: Option<Rooms>,
    /// The healthy cohorts' latency by phase, when there are phases: with and without the zoo, say.
    #[serde(default)]
    pub phases: Vec<PhaseLatency>,
    /// Marginal bytes per connection, line by line.
    #[serde(default)]
    pub ledger: Vec<LedgerLine>,
    /// The same numbers by cohort, when there are several.
    #[serde(default)]
    pub cohorts: BTreeMap<String, Cohort>,
    /// What to make of it.
    pub verdict: Verdict,
}

/// Connections at the end of the run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Connections {
    /// Asked for.
    pub requested: u64,
    /// TCP connections established, at the peak.
    pub connected: u64,
    /// Of them, with a valid WebSocket handshake.
    pub upgraded: u64,
    /// Of them, heard from within the liveness window at the end.
    pub proven_alive: u64,
    /// Width of that window.
    #[serde(default)]
    pub proven_alive_window_s: f64,
    /// Attempts that failed, by class.
    pub failed: BTreeMap<String, u64>,
    /// Attempts made again after a failure.
    #[serde(default)]
    pub retries: u64,
    /// Handshakes completed, those of reconnections included.
    #[serde(default)]
    pub opened: u64,
    /// From the dial to the upgrade.
    #[serde(default)]
    pub handshake_ms: Quantiles,
    /// Distinct (address, port) connected to.
    #[serde(default)]
    pub listeners: u64,
    /// Most connections at one listener.
    #[serde(default)]
    pub per_listener: u64,
}

/// Messages: `sent = received + lost + in_flight`, always.
///
/// A broadcast counts one per receiver on both sides. A wrong answer is not received: it is an error, and
/// the message it should have answered is lost. A duplicate is an error and nothing else.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Messages {
    /// Answers or deliveries expected.
    pub sent: u64,
    /// Answers or deliveries that came and were right.
    pub received: u64,
    /// Those that can no longer come.
    pub lost: u64,
    /// Those that still may.
    pub in_flight: u64,
    /// Wrong, duplicate or out of order.
    pub errors: u64,
    /// Intended by the schedule and never sent: no connection to send over, or too many under way.
    #[serde(default)]
    pub unsent: u64,
    /// The errors by class.
    #[serde(default)]
    pub error_classes: BTreeMap<String, u64>,
    /// The lost by what became of them.
    #[serde(default)]
    pub lost_classes: BTreeMap<String, u64>,
}

/// The three latencies, in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    /// From the intended send.
    pub response: Quantiles,
    /// From the actual send.
    pub service: Quantiles,
    /// Between the two.
    pub lateness: Quantiles,
}

/// A distribution in a few numbers, in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Quantiles {
    /// Samples.
    pub count: u64,
    /// Arithmetic mean.
    pub mean: f64,
    /// Median.
    pub p50: f64,
    /// 90 %.
    pub p90: f64,
    /// 99 %.
    pub p99: f64,
    /// 99.9 %.
    pub p999: f64,
    /// Largest.
    pub max: f64,
}

/// Rates per second.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Rates {
    /// Connects during the ramp.
    pub connects_per_s: f64,
    /// Mean time of a connect in the first quarter of the ramp's connections, in microseconds; 0 where the
    /// ramp was too short to say.
    #[serde(default)]
    pub connect_us_first: f64,
    /// The same in the last quarter: as much, or ports had to be looked for.
    #[serde(default)]
    pub connect_us_last: f64,
    /// Messages the schedule asked for (0: closed loop).
    pub intended_per_s: f64,
    /// Messages sent.
    pub sent_per_s: f64,
    /// Right answers.
    pub received_per_s: f64,
}

/// The target process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Server {
    /// Process.
    pub pid: u32,
    /// Marginal resident bytes per connection (slope over the ramp).
    pub rss_bytes_per_connection: f64,
    /// Resident bytes at the end.
    pub rss_bytes: u64,
    /// Processor time in user mode.
    pub cpu_user_s: f64,
    /// Processor time in the kernel.
    pub cpu_system_s: f64,
    /// Processor time per right answer; 0 where none was asked for.
    pub cpu_us_per_message: f64,
}

/// This program.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Generator {
    /// Engine threads.
    pub threads: u64,
    /// Marginal resident bytes per connection.
    pub rss_bytes_per_connection: f64,
    /// Processor time in user mode.
    pub cpu_user_s: f64,
    /// Processor time in the kernel.
    pub cpu_system_s: f64,
    /// Seconds in which the generator itself was the limit; they are left out of the verdict.
    pub limited_s: u64,
}

/// TLS: whom the run believed, and what the handshakes cost beside everything else.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Tls {
    /// The file of authorities that were believed, or that nobody was checked.
    pub trust: String,
    /// Certificates were not checked: such a run proves nothing about who answered.
    pub is_insecure: bool,
    /// The name that was asked for, where it is not the target's host.
    pub server_name: Option<String>,
    /// Whether tickets were kept and used.
    pub resumption: bool,
    /// Full handshakes.
    pub full: u64,
    /// Resumed ones.
    pub resumed: u64,
    /// Of both, those that ended in TLS 1.2: their connections cost 3.6 KB here instead of 128 bytes.
    pub tls12: u64,
    /// From the TCP connection to the end of a full handshake; milliseconds.
    pub full_ms: Quantiles,
    /// The same of resumed ones.
    pub resumed_ms: Quantiles,
}

/// A broadcast: of every publication, when its first, its median and its last receiver had it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Fanout {
    /// Publications that anybody received.
    pub publications: u64,
    /// Most receivers of one.
    pub receivers: u64,
    /// Distribution of the first receiver's latency, over the publications; milliseconds from the send.
    pub first: Quantiles,
    /// Of the median receiver's.
    pub median: Quantiles,
    /// Of the last receiver's.
    pub last: Quantiles,
}

/// Rooms: `messages` counts deliveries, one per publication and member.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Rooms {
    /// The protocol.
    pub dialect: String,
    /// Members of a room, at the most.
    pub size: u64,
    /// Rooms.
    pub rooms: u64,
    /// Connections in their room at the end.
    pub joined: u64,
    /// Publications sent.
    pub publications: u64,
    /// Connections that came back and got what they had missed.
    pub recovered: u64,
    /// Connections that came back and were told that it is lost.
    pub not_recovered: u64,
    /// Deliveries that were made up for; they are received, and in no latency.
    pub replayed: u64,
}

/// One phase.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct PhaseLatency {
    /// Name.
    pub name: String,
    /// Seconds since the start.
    pub from_s: f64,
    /// Latency of the healthy cohorts meanwhile.
    pub latency_ms: Latency,
}

/// A storm: connections cut at once, and how they came back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Storm {
    /// Connections that were cut.
    pub cut: u64,
    /// Of them, back at the end.
    pub recovered: u64,
    /// Attempts they made.
    pub attempts: u64,
    /// Seconds until half of them were back; 0 when they never were.
    pub p50_s: f64,
    /// Seconds until 99 % were back; 0 when they never were.
    pub p99_s: f64,
    /// Seconds until all were back; 0 when they never were.
    pub p100_s: f64,
}

impl Storm {
    /// From the times of return: shares are of all that were cut, not of those that came back.
    #[must_use]
    pub fn new(cut: u64, attempts: u64, back_after_ms: &Histogram<u64>) -> Self {
        let recovered = back_after_ms.len();
        let until = |share: f64| {
            let needed = (cut as f64 * share).ceil();
            let is_reached = recovered > 0 && recovered as f64 >= needed;
            let quantile = needed / recovered.max(1) as f64;
            if is_reached {
                back_after_ms.value_at_quantile(quantile) as f64 / 1e3
            } else {
                0.0
            }
        };
        Self {
            cut,
            recovered,
            attempts,
            p50_s: until(0.5),
            p99_s: until(0.99),
            p100_s: until(1.0),
        }
    }
}

/// One line of the byte ledger.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct LedgerLine {
    /// What grows.
    pub what: String,
    /// Marginal bytes per connection.
    pub bytes_per_connection: f64,
    /// Lower end of the 95 % interval.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// One cohort of a mixed run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Cohort {
    /// Whether it misbehaves on purpose; its latency is then no part of the total.
    pub misbehaves: bool,
    /// Connections of the cohort.
    pub connections: u64,
    /// Its messages.
    pub messages: Messages,
    /// Its latency.
    pub latency_ms: Latency,
}

/// Pass, fail, or no statement.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Every threshold held (or none was set) and the books balance.
    #[default]
    Pass,
    /// A threshold was crossed.
    Fail,
    /// The run cannot carry a statement: the books do not balance or the generator was the limit throughout.
    Invalid,
}

/// What to make of a run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// In one word.
    pub outcome: Outcome,
    /// Each threshold.
    pub thresholds: Vec<Judged>,
    /// Things that make the numbers weaker than they look.
    pub warnings: Vec<String>,
}

/// One threshold and what became of it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Judged {
    /// As written: the condition under which the run fails.
    pub fail_if: String,
    /// What was measured; `null` when nothing was.
    pub observed: Option<f64>,
    /// Whether the run survived it.
    pub passed: bool,
}

/// Why a summary cannot be used.
#[derive(Debug)]
pub enum SummaryError {
    /// Not JSON of this shape.
    Shape(serde_json::Error),
    /// Another format.
    Format,
    /// A version from the future.
    Version(u32),
}

impl fmt::Display for SummaryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shape(error) => write!(f, "not a summary: {error}"),
            Self::Format => f.write_str("not a summary of loadgen"),
            Self::Version(version) => write!(
                f,
                "summary version {version}; this program reads up to {VERSION}"
            ),
        }
    }
}

impl std::error::Error for SummaryError {}

impl Summary {
    /// An empty summary of the current version.
    #[must_use]
    pub fn new(scenario: &str, target: &str) -> Self {
        Self {
            format: FORMAT.into(),
            version: VERSION,
            scenario: scenario.into(),
            target: target.into(),
            ..Self::default()
        }
    }

    /// Reads `summary.json`.
    pub fn parse(text: &str) -> Result<Self, SummaryError> {
        let summary: Self = serde_json::from_str(text).map_err(SummaryError::Shape)?;
        match (summary.format.as_str(), summary.version) {
            (FORMAT, 1..=VERSION) => Ok(summary),
            (FORMAT, version) => Err(SummaryError::Version(version)),
            _ => Err(SummaryError::Format),
        }
    }

    /// Writes `summary.json`.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self)
            .expect("a summary has string keys and finite numbers");
        text.push('\n');
        text
    }

    /// The messages of the cohorts that do not misbehave on purpose.
    #[must_use]
    pub fn healthy_messages(&self) -> Messages {
        let mut sum = self.messages.clone();
        for cohort in self.cohorts.values().filter(|cohort| cohort.misbehaves) {
            let theirs = &cohort.messages;
            for (all, part) in [
                (&mut sum.sent, theirs.sent),
                (&mut sum.received, theirs.received),
                (&mut sum.lost, theirs.lost),
                (&mut sum.in_flight, theirs.in_flight),
                (&mut sum.errors, theirs.errors),
                (&mut sum.unsent, theirs.unsent),
            ] {
                *all = all.saturating_sub(part);
            }
        }
        sum
    }

    /// Every equation that must hold, with the two sides that do not.
    #[must_use]
    pub fn imbalances(&self) -> Vec<String> {
        let mut found = self
            .messages
            .imbalance("messages")
            .into_iter()
            .collect::<Vec<_>>();
        found.extend(
            self.cohorts
                .iter()
                .filter_map(|(name, cohort)| cohort.messages.imbalance(name)),
        );
        let connections = &self.connections;
        for (name, more, fewer) in [
            ("upgraded", connections.connected, connections.upgraded),
            (
                "proven alive",
                connections.upgraded,
                connections.proven_alive,
            ),
        ] {
            if fewer > more {
                found.push(format!(
                    "{fewer} connections {name}, more than the {more} they are a part of"
                ));
            }
        }
        found
    }
}

impl Messages {
    /// What must equal `sent`.
    #[must_use]
    pub const fn accounted(&self) -> u64 {
        self.received + self.lost + self.in_flight
    }

    fn imbalance(&self, name: &str) -> Option<String> {
        let accounted = self.accounted();
        let Self {
            sent,
            received,
            lost,
            in_flight,
            ..
        } = self;
        (accounted != *sent).then(|| {
            format!("{name}: sent {sent}, accounted for {accounted} = {received} received + {lost} lost + {in_flight} in flight")
        })
    }
}

const FORMAT: &str = "loadgen-summary";

#[cfg(test)]
mod tests;
