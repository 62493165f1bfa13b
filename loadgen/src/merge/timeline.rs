//! One axis of seconds for hosts that reported at moments of their own.
//!
//! ```text
//!  host A    |.|.|.|.|....|....|....|..|          a quarter of a second while it ramps, then seconds
//!  host B    |.|.|....|....|....|....|....|.|
//!  timeline  |.......|....|....|....|..|..|.|     A's moments, no closer than a second; then B's
//! ```
//!
//! A histogram cannot be cut: it goes, whole, to the second that holds its middle, so that sums stay exact
//! and no sample moves by more than half an interval. A counter is known between two reports by a straight
//! line, so a steady rate stays steady.

use crate::histograms::SparseInterval;
use crate::joining::SECOND_S;
use crate::report::bundle::Bundle;
use crate::series::{self, Point, Traffic};

/// Where the seconds end, rising.
#[derive(Debug, PartialEq)]
pub(super) struct Timeline {
    ends_s: Vec<f64>,
}

impl Timeline {
    /// The seconds of the first host, then of those that ran longer. What is left at the end stands for itself.
    pub(super) fn of(bundles: &[Bundle]) -> Self {
        let mut ends_s = vec![0.0];
        let mut longest_s: f64 = 0.0;
        for end_s in bundles.iter().flat_map(ends_of) {
            longest_s = longest_s.max(end_s);
            if end_s - ends_s[ends_s.len() - 1] >= SECOND_S {
                ends_s.push(end_s);
            }
        }
        if longest_s - ends_s[ends_s.len() - 1] > APART_MIN_S {
            ends_s.push(longest_s);
        }
        ends_s.remove(0);
        Self { ends_s }
    }

    /// The seconds, empty.
    pub(super) fn intervals(&self) -> Vec<SparseInterval> {
        let interval = |(from_s, end_s): (f64, f64)| SparseInterval {
            start_s: from_s,
            length_s: end_s - from_s,
            counts: Vec::new(),
        };
        self.spans().map(interval).collect()
    }

    /// Adds a host's log.
    pub(super) fn add(&self, sum: &mut [SparseInterval], log: &[SparseInterval]) {
        for interval in log {
            if let Some(mine) = self.second_at(interval.start_s, interval.end_s()) {
                sum[mine].add(interval);
            }
        }
    }

    /// The traffic of all hosts together. The kernel's numbers are the first host's: two hosts have two
    /// kernels, and a sum of slabs would belong to neither.
    pub(super) fn points(&self, bundles: &[Bundle]) -> Vec<Point> {
        let point = |(from_s, at_s): (f64, f64)| {
            let mut sum = Point {
                at_s,
                ..Point::default()
            };
            if let Some(seen) = bundles.first().and_then(|host| report_at(host, at_s)) {
                sum.system = seen.system;
                sum.traffic.connect_us = seen.traffic.connect_us;
                sum.traffic.server_gauge = seen.traffic.server_gauge;
            }
            for host in bundles {
                add_counts(&mut sum.traffic, &traffic_at(&host.points, at_s));
            }
            let middle_s = from_s.midpoint(at_s);
            let is_over = |host: &Bundle| match next_report(&host.points, middle_s) {
                Some(at) => host.points[at].traffic.settling > 0,
                None => true,
            };
            sum.traffic.settling = u64::from(bundles.iter().all(is_over));
            sum
        };
        let mut points: Vec<Point> = self.spans().map(point).collect();
        for (from_s, theirs) in bundles
            .iter()
            .flat_map(|host| series::intervals(&host.points))
        {
            if let Some(at) = self.second_at(from_s, theirs.at_s) {
                let (mine, theirs) = (&mut points[at].traffic, &theirs.traffic);
                mine.generator_limited = mine.generator_limited.max(theirs.generator_limited);
                mine.lateness_p99_ms = mine.lateness_p99_ms.max(theirs.lateness_p99_ms);
            }
        }
        points
    }

    fn spans(&self) -> impl Iterator<Item = (f64, f64)> {
        let begins_s = [0.0].into_iter().chain(self.ends_s.iter().copied());
        begins_s.zip(self.ends_s.iter().copied())
    }

    /// The second that holds the middle of this stretch. Rounding may put the very last beyond the end.
    fn second_at(&self, from_s: f64, to_s: f64) -> Option<usize> {
        let middle_s = from_s.midpoint(to_s);
        let at = self.ends_s.partition_point(|&end_s| end_s < middle_s);
        Some(at.min(self.ends_s.len().checked_sub(1)?))
    }
}

/// The moments of a host's reports.
fn ends_of(bundle: &Bundle) -> Vec<f64> {
    if bundle.points.is_empty() {
        let log = bundle.tags.first().map(|tag| &tag.series[0].intervals);
        let log = log.map_or(&[][..], Vec::as_slice);
        return log.iter().map(SparseInterval::end_s).collect();
    }
    bundle.points.iter().map(|point| point.at_s).collect()
}

/// The first report at or after a moment.
fn next_report(points: &[Point], at_s: f64) -> Option<usize> {
    let next = points.partition_point(|point| point.at_s < at_s);
    (next < points.len()).then_some(next)
}

fn report_at(bundle: &Bundle, at_s: f64) -> Option<&Point> {
    let next = next_report(&bundle.points, at_s);
    next.map_or(bundle.points.last(), |at| bundle.points.get(at))
}

/// What a host had counted at a moment between its reports. After its end the totals stay, and a while
/// later its connections are gone.
fn traffic_at(points: &[Point], at_s: f64) -> Traffic {
    let Some(next) = next_report(points, at_s) else {
        let last = points.last().copied().unwrap_or_default();
        let mut traffic = last.traffic;
        if at_s - last.at_s > CLOCKS_APART_S {
            GAUGES.iter().for_each(|field| *field(&mut traffic) = 0);
        }
        return traffic;
    };
    let mut before = match next {
        0 => Point::default(),
        next => points[next - 1],
    };
    let mut after = points[next];
    let share = (at_s - before.at_s) / (after.at_s - before.at_s).max(1e-9);
    for field in TOTALS.iter().chain(GAUGES) {
        let (from, to) = (
            *field(&mut before.traffic) as f64,
            field(&mut after.traffic),
        );
        *to = (from + (*to as f64 - from) * share).round() as u64;
    }
    after.traffic
}

fn add_counts(sum: &mut Traffic, host: &Traffic) {
    let mut host = *host;
    for field in TOTALS.iter().chain(GAUGES) {
        *field(sum) += *field(&mut host);
    }
}

type Field = fn(&mut Traffic) -> &mut u64;

const TOTALS: &[Field] = &[
    |traffic| &mut traffic.requested,
    |traffic| &mut traffic.failed,
    |traffic| &mut traffic.sent,
    |traffic| &mut traffic.received,
    |traffic| &mut traffic.lost,
    |traffic| &mut traffic.errors,
];
const GAUGES: &[Field] = &[
    |traffic| &mut traffic.connected,
    |traffic| &mut traffic.upgraded,
    |traffic| &mut traffic.proven_alive,
    |traffic| &mut traffic.connecting,
];
/// Hosts that end within this of each other ended together.
const CLOCKS_APART_S: f64 = 1.0;
/// Logs are written to the millisecond: less than this is no stretch of time.
const APART_MIN_S: f64 = 0.01;

#[cfg(test)]
mod tests;
