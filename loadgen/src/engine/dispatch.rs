//! What a thread reports to the conductor, several times a second.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;

use super::books::Books;
use super::fanout::Part;
use super::fleet::{Counts, Recovery};
use super::rooms::RoomCounts;
use crate::failures::FailureCounts;
use crate::histograms::Recorded;
use crate::tuples::TupleCounts;

/// One thread at one moment. Counters are totals since the start.
#[derive(Debug)]
pub struct Dispatch {
    /// Numbers of this moment.
    pub counts: Counts,
    /// Connections that are still being opened, or wait for their next attempt.
    pub awaited: u64,
    /// Heard from within the window.
    pub proven_alive: u64,
    /// Attempts that failed, and connections that ended unasked.
    pub failed: FailureCounts,
    /// The books of each cohort.
    pub books: Vec<Books>,
    /// Open connections of each cohort.
    pub open: Vec<u64>,
    /// What became of the tuples.
    pub tuples: TupleCounts,
    /// What was recorded since the last dispatch.
    pub recorded: Recorded,
    /// Times from the dial to the upgrade since the last dispatch, if there were any.
    pub handshakes: Option<Histogram<u64>>,
    /// What was seen of publications since the last dispatch.
    pub parts: BTreeMap<u32, Part>,
    /// How those that were cut come back.
    pub recovery: Option<Recovery>,
    /// The rooms of all cohorts, where there are any.
    pub rooms: Option<RoomCounts>,
    /// No entry is left: everything is closed.
    pub is_empty: bool,
}

/// For times of handshakes, in nanoseconds. Two digits: a thread's copy is 40 KB, and there may be hundreds.
#[must_use]
pub fn handshake_histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1000, 3_600_000_000_000, 2).expect("the bounds are in order")
}
