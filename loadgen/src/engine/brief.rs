//! What every thread is told before it begins, and the two coarse clocks of a run.

use std::net::SocketAddr;
use std::sync::Arc;

use throng::tls::ClientTls;

use super::fanout::Publications;
use super::gate::Gate;
use crate::scenario::{Kind, Scenario};

/// The same for all threads.
#[derive(Debug)]
pub struct Brief {
    /// What to do.
    pub scenario: Arc<Scenario>,
    /// Where: by the listener's number in the tuple space.
    pub places: Vec<Place>,
    /// What the threads share of each cohort that broadcasts.
    pub publications: Vec<Option<Arc<Publications>>>,
    /// Threads.
    pub threads: u32,
    /// Seed of every random choice.
    pub seed: u64,
    /// When the run began.
    pub origin_ns: u64,
    /// Threads that dial at the same time, as long as they keep to the rate: as many as there are cores.
    pub abreast: u32,
    /// Connects and handshakes under way at once.
    pub gate: Gate,
    /// Attempts after a failed one.
    pub retries_max: u64,
    /// For the SYN-ACK and for the upgrade, each.
    pub connect_timeout_ns: u64,
    /// After which a message is lost.
    pub answer_timeout_ns: u64,
    /// Proven alive: heard from within this.
    pub alive_window_s: u32,
    /// The largest message that is read.
    pub message_bytes_max: usize,
}

/// One listener of the target.
#[derive(Debug, Clone)]
pub struct Place {
    /// Where to connect.
    pub address: SocketAddr,
    /// `Host`.
    pub authority: String,
    /// Path and query.
    pub path: String,
    /// Whom to believe there, for `wss://`.
    pub tls: Option<ClientTls>,
}

/// One entry per cohort.
#[must_use]
pub fn publications_of(scenario: &Scenario) -> Vec<Option<Arc<Publications>>> {
    let broadcasts = |kind: &Kind| matches!(kind, Kind::Broadcast { .. });
    let cohorts = scenario.cohorts.iter();
    cohorts
        .map(|cohort| broadcasts(&cohort.kind).then(|| Arc::new(Publications::new())))
        .collect()
}

impl Brief {
    /// How long the ramp takes as planned; without a rate, no time.
    #[must_use]
    pub fn ramp_ticks(&self) -> u32 {
        let per_s = self.scenario.ramp_per_s;
        if per_s <= 0.0 {
            return 0;
        }
        let seconds = self.scenario.connections() as f64 / per_s;
        (seconds * f64::from(TICKS_PER_S)) as u32
    }

    /// The second of a moment.
    #[must_use]
    pub const fn second(&self, now_ns: u64) -> u32 {
        (now_ns.saturating_sub(self.origin_ns) / SECOND_NS) as u32
    }

    /// The ticks of a thread. Each begins its own after the one before: if all began at once, the heartbeats
    /// of a tick would be one burst, and messages that are due meanwhile would wait behind it.
    #[must_use]
    pub const fn ticks_of(&self, thread: u32) -> Ticks {
        Ticks {
            origin_ns: self.origin_ns + TICK_NS * thread as u64 / self.threads as u64,
        }
    }
}

/// The coarse clock of a thread's timers.
#[derive(Debug, Clone, Copy)]
pub struct Ticks {
    /// When the first begins.
    origin_ns: u64,
}

impl Ticks {
    /// The tick of a moment.
    #[must_use]
    pub const fn at(self, now_ns: u64) -> u32 {
        (now_ns.saturating_sub(self.origin_ns) / TICK_NS) as u32
    }

    /// When a tick begins.
    #[must_use]
    pub const fn begin_ns(self, tick: u32) -> u64 {
        self.origin_ns + tick as u64 * TICK_NS
    }
}

/// Timers are this exact: a timeout of seconds needs no better.
pub const TICK_NS: u64 = 100_000_000;
const SECOND_NS: u64 = 1_000_000_000;
/// Ticks of a second.
pub const TICKS_PER_S: u32 = 10;

/// A time span in ticks, rounded up, at least one.
#[must_use]
pub const fn ticks(span_ns: u64) -> u32 {
    let ticks = span_ns.div_ceil(TICK_NS);
    if ticks == 0 {
        1
    } else if ticks > u32::MAX as u64 / 4 {
        u32::MAX / 4
    } else {
        ticks as u32
    }
}
