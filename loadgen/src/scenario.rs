//! What a run does: cohorts of connections and the phases they go through.
//!
//! The flags of the command line describe a scenario of one cohort; a TOML file describes any. Both end in
//! the same types, and the engine knows nothing else.
//!
//! ```toml
//! name = "evening"
//! target = "ws://127.0.0.1:9000/echo"
//! duration = "2m"
//! ramp = "40k/s"
//! fail_if = ["p99>50ms", "lost>0"]
//!
//! [[cohort]]
//! name = "people"
//! kind = "echo"
//! connections = "90k"
//! rate = "20k/s"
//! size = "64-512"
//!
//! [[cohort]]
//! name = "sleepers"
//! kind = "zoo"
//! beast = "never-read"
//! connections = 500
//!
//! [[phase]]
//! name = "without the zoo"
//! duration = "1m"
//! silent = ["sleepers"]            # absent = [..] would keep them away
//!
//! [[phase]]
//! name = "with it"
//! duration = "1m"
//! ```

use std::time::Duration;

use crate::backoff::Backoff;
use crate::dialect::Dialect;
use crate::identity::Identity;
use crate::schedule::Arrivals;
use crate::target::Target;
use crate::thresholds::Threshold;

mod file;
mod reader;

pub use file::parse;
pub(crate) use file::{ARRIVALS, HEARTBEAT, is_header, parse_bytes_per_s, parse_size};
pub use reader::ScenarioError;

/// A whole run.
#[derive(Debug, Clone, PartialEq)]
pub struct Scenario {
    /// Name in the report.
    pub name: String,
    /// Where to connect; the command line may say it instead.
    pub targets: Vec<Target>,
    /// How long, the ramp included.
    pub duration: Duration,
    /// Connects per second; 0 for as fast as the bound on handshakes allows.
    pub ramp_per_s: f64,
    /// Seed, when the file sets one.
    pub seed: Option<u64>,
    /// Groups of connections that behave alike. Their names are the tags of the report.
    pub cohorts: Vec<Cohort>,
    /// What happens when; none means one phase of the whole duration.
    pub phases: Vec<Phase>,
    /// Conditions under which the run fails.
    pub thresholds: Vec<Threshold>,
}

/// Connections that behave alike.
#[derive(Debug, Clone, PartialEq)]
pub struct Cohort {
    /// Letters, digits, `-` and `_`: it names files.
    pub name: String,
    /// What they do.
    pub kind: Kind,
    /// How many.
    pub connections: u64,
    /// What their messages look like.
    pub messages: MessageShape,
    /// What their handshake says.
    pub handshake: Handshake,
}

/// What a cohort does.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// Holds, with a ping at every heartbeat.
    Idle,
    /// Sends and expects the same back.
    Echo {
        /// The schedule.
        pace: Pace,
    },
    /// One publishes, all receive.
    Broadcast {
        /// Publications per second, all publishers together.
        pace: Pace,
        /// How many of the connections publish.
        publishers: u64,
    },
    /// Connects, lives a while, closes, connects again.
    Churn {
        /// Mean life, jittered by half.
        life: Duration,
    },
    /// Holds and comes back after a cut (see [`Phase::cut`]).
    Storm {
        /// How it comes back.
        backoff: Backoff,
    },
    /// Reads no faster than this.
    Slow {
        /// Per connection.
        bytes_per_s: u64,
        /// What it asks for (an echo of its own messages).
        pace: Pace,
    },
    /// Misbehaves.
    Zoo {
        /// How.
        beast: Beast,
    },
    /// Sits in a room and hears what is said there; comes back when it is cut, and wants what it missed.
    Rooms {
        /// Publications per second, all rooms together.
        pace: Pace,
        /// What a room is like.
        floor: Floor,
        /// How it comes back.
        backoff: Backoff,
    },
}

/// What rooms are like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Floor {
    /// Connections of a room, at the most: rooms are as even as the number of connections allows.
    pub size: u64,
    /// Everybody speaks in turn (a chat), and not one of each room (a feed).
    pub everyone: bool,
    /// How rooms are spoken of.
    pub dialect: Dialect,
    /// Ask how many are there, on entering.
    pub presence: bool,
}

impl Default for Floor {
    fn default() -> Self {
        Self {
            size: 100,
            everyone: true,
            dialect: Dialect::Centrifuge,
            presence: false,
        }
    }
}

/// When messages are sent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Pace {
    /// At intended times, whatever the server does. Messages per second of the whole cohort.
    Open {
        /// Rate.
        rate_per_s: f64,
        /// Spacing.
        arrivals: Arrivals,
    },
    /// The next when the last is answered.
    Closed {
        /// Unanswered messages per connection.
        in_flight: u32,
    },
}

/// A way to misbehave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beast {
    /// Disappears without FIN or RST.
    Vanish,
    /// Never answers a ping.
    IgnorePings,
    /// Sends its upgrade one byte at a time.
    DribbleUpgrade,
    /// Sends messages in fragments of one byte.
    TinyFragments,
    /// Never reads.
    NeverRead,
    /// Floods with pings.
    PingFlood,
}

/// What messages look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessageShape {
    /// Smallest and largest payload; sizes between are equally likely.
    pub bytes: (u64, u64),
    /// Text instead of binary.
    pub text: bool,
    /// Offer permessage-deflate.
    pub deflate: bool,
}

/// What a handshake says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Handshake {
    /// `Sec-WebSocket-Protocol`.
    pub subprotocol: Option<String>,
    /// Further headers. In a value, `{n}` becomes the connection's number, `{user}` and `{token}` what its
    /// identity says, `{room}` its room.
    pub headers: Vec<(String, String)>,
    /// Who it is.
    pub identity: Identity,
    /// The name of its room; `{room}` becomes the room's number.
    pub channel: String,
    /// Ping this often when nothing else is said.
    pub heartbeat: Duration,
}

/// A stretch of the run.
#[derive(Debug, Clone, PartialEq)]
pub struct Phase {
    /// Name in the report.
    pub name: String,
    /// How long; the last may be open-ended and takes the rest.
    pub duration: Option<Duration>,
    /// It ends before that when everybody who is to be there is.
    pub ends_when_open: bool,
    /// Multiplies every rate.
    pub rate: f64,
    /// Cohorts that keep still (the zoo in the first half, to compare).
    pub silent: Vec<String>,
    /// Cohorts that are not there yet: they open when the first phase that does not name them begins. Who is
    /// there already stays.
    pub absent: Vec<String>,
    /// Cut connections when the phase begins.
    pub cut: Option<Cut>,
}

/// Connections that are cut at once.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cut {
    /// Share of all connections, 0 to 1.
    pub share: f64,
    /// How.
    pub by: CutBy,
}

/// How a connection is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CutBy {
    /// A reset.
    Rst,
    /// An orderly end without a close frame.
    Fin,
    /// Nothing: the socket stays open and mute.
    Silence,
}

impl Kind {
    /// Names of the kinds, as files and flags write them.
    pub const NAMES: &[&str] = &[
        "idle",
        "echo",
        "broadcast",
        "churn",
        "storm",
        "slow",
        "zoo",
        "pubsub",
        "chat",
    ];

    /// Whether it comes back when it is cut.
    #[must_use]
    pub const fn backoff(&self) -> Option<Backoff> {
        match self {
            Self::Storm { backoff } | Self::Rooms { backoff, .. } => Some(*backoff),
            _ => None,
        }
    }

    /// When it sends, if it does.
    #[must_use]
    pub const fn pace(&self) -> Option<Pace> {
        match self {
            Self::Echo { pace }
            | Self::Slow { pace, .. }
            | Self::Broadcast { pace, .. }
            | Self::Rooms { pace, .. } => Some(*pace),
            _ => None,
        }
    }

    /// Whether its latency must not count into the healthy total.
    #[must_use]
    pub const fn misbehaves(&self) -> bool {
        matches!(self, Self::Zoo { .. } | Self::Slow { .. })
    }
}

impl Beast {
    /// Every beast with its name.
    pub const ALL: &[(&str, Self)] = &[
        ("vanish", Self::Vanish),
        ("ignore-pings", Self::IgnorePings),
        ("dribble-upgrade", Self::DribbleUpgrade),
        ("tiny-fragments", Self::TinyFragments),
        ("never-read", Self::NeverRead),
        ("ping-flood", Self::PingFlood),
    ];
}

impl CutBy {
    /// Every way with its name.
    pub const ALL: &[(&str, Self)] = &[
        ("rst", Self::Rst),
        ("fin", Self::Fin),
        ("silence", Self::Silence),
    ];
}

impl Scenario {
    /// Connections of all cohorts.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.cohorts.iter().map(|cohort| cohort.connections).sum()
    }

    /// Connections of the cohorts that such a phase does not keep away.
    #[must_use]
    pub fn connections_of(&self, phase: Option<&Phase>) -> u64 {
        let is_there = |cohort: &&Cohort| phase.is_none_or(|p| !p.absent.contains(&cohort.name));
        let there = self.cohorts.iter().filter(is_there);
        there.map(|cohort| cohort.connections).sum()
    }

    /// Names of the cohorts and whether they misbehave: the tags of the report.
    #[must_use]
    pub fn tags(&self) -> Vec<(String, bool)> {
        self.cohorts
            .iter()
            .map(|cohort| (cohort.name.clone(), cohort.kind.misbehaves()))
            .collect()
    }

    /// Messages per second that the open-loop cohorts intend.
    #[must_use]
    pub fn intended_per_s(&self) -> f64 {
        let rate = |pace| match pace {
            Pace::Open { rate_per_s, .. } => rate_per_s,
            Pace::Closed { .. } => 0.0,
        };
        self.cohorts
            .iter()
            .filter_map(|cohort| cohort.kind.pace())
            .map(rate)
            .sum()
    }

    /// The phase at this moment and when it began.
    #[must_use]
    pub fn phase_at(&self, since_start: Duration) -> Option<(usize, Duration)> {
        let mut began = Duration::ZERO;
        for (at, phase) in self.phases.iter().enumerate() {
            match phase.duration {
                Some(length) if began + length <= since_start => began += length,
                _ => return Some((at, began)),
            }
        }
        None
    }
}

impl Default for MessageShape {
    fn default() -> Self {
        Self {
            bytes: (64, 64),
            text: true,
            deflate: false,
        }
    }
}

#[cfg(test)]
mod tests;
