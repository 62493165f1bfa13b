//! A run second by second: the rows of `samples.csv` and the points of the charts.

use std::fmt::Write as _;

use crate::joining::join_until;
use crate::sample::SystemSample;

/// What the engine counted up to a moment. Counters are totals since the start; the report takes
/// differences, so that a missed second loses nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Traffic {
    /// Connections that the ramp wants at this moment.
    pub requested: u64,
    /// TCP connections open now.
    pub connected: u64,
    /// Of them, upgraded.
    pub upgraded: u64,
    /// Of them, heard from within the liveness window.
    pub proven_alive: u64,
    /// Connects under way.
    pub connecting: u64,
    /// Attempts that failed so far.
    pub failed: u64,
    /// Messages (expected answers) sent so far.
    pub sent: u64,
    /// Right answers so far.
    pub received: u64,
    /// Answers that can no longer come.
    pub lost: u64,
    /// Wrong, duplicate or out of order.
    pub errors: u64,
    /// Median response in the last second, ms.
    pub response_p50_ms: f64,
    /// 99 % response in the last second, ms.
    pub response_p99_ms: f64,
    /// Largest response in the last second, ms.
    pub response_max_ms: f64,
    /// 99 % of the generator's own lateness in the last second, ms.
    pub lateness_p99_ms: f64,
    /// Mean time of connect() in the last second, us: flat to the last port, or the pool is wrong.
    pub connect_us: f64,
    /// Connections that the server itself reports, where it offers a gauge; 0 where it does not.
    pub server_gauge: u64,
    /// 1 when the generator was the limit in the last second.
    pub generator_limited: u64,
    /// 1 when nothing is sent any more and the last answers are awaited.
    pub settling: u64,
}

/// One second.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Point {
    /// Since the start of the run.
    pub at_s: f64,
    /// What the engine counted.
    pub traffic: Traffic,
    /// What the kernel said.
    pub system: SystemSample,
}

/// A column of the CSV: its name, how to read it from a point and how to write it into one.
pub struct Column {
    /// Heading.
    pub name: &'static str,
    read: fn(&Point) -> f64,
    write: fn(&mut Point, f64),
}

macro_rules! columns {
    ($($name:literal => $($field:ident).+;)*) => {
        /// Every column, in order. New ones are added at the end: a reader goes by name.
        pub const COLUMNS: &[Column] = &[$(Column {
            name: $name,
            read: |point| point.$($field).+ as f64,
            write: |point, value| point.$($field).+ = value as _,
        }),*];
    };
}

columns! {
    "at_s" => at_s;
    "requested" => traffic.requested;
    "connected" => traffic.connected;
    "upgraded" => traffic.upgraded;
    "proven_alive" => traffic.proven_alive;
    "connecting" => traffic.connecting;
    "failed" => traffic.failed;
    "sent" => traffic.sent;
    "received" => traffic.received;
    "lost" => traffic.lost;
    "errors" => traffic.errors;
    "response_p50_ms" => traffic.response_p50_ms;
    "response_p99_ms" => traffic.response_p99_ms;
    "response_max_ms" => traffic.response_max_ms;
    "lateness_p99_ms" => traffic.lateness_p99_ms;
    "connect_us" => traffic.connect_us;
    "server_gauge" => traffic.server_gauge;
    "generator_limited" => traffic.generator_limited;
    "server_rss_bytes" => system.server.rss_bytes;
    "server_page_table_bytes" => system.server.page_table_bytes;
    "server_user_ms" => system.server.user_ms;
    "server_system_ms" => system.server.system_ms;
    "server_threads" => system.server.threads;
    "server_descriptors" => system.server.descriptors;
    "generator_rss_bytes" => system.generator.rss_bytes;
    "generator_page_table_bytes" => system.generator.page_table_bytes;
    "generator_user_ms" => system.generator.user_ms;
    "generator_system_ms" => system.generator.system_ms;
    "generator_threads" => system.generator.threads;
    "generator_descriptors" => system.generator.descriptors;
    "tcp_in_use" => system.kernel.sockets.tcp_in_use;
    "tcp_orphans" => system.kernel.sockets.tcp_orphans;
    "tcp_time_wait" => system.kernel.sockets.tcp_time_wait;
    "tcp_allocated" => system.kernel.sockets.tcp_allocated;
    "tcp_memory_pages" => system.kernel.sockets.tcp_memory_pages;
    "slab_tcp_bytes" => system.kernel.slab.tcp_bytes;
    "slab_inode_bytes" => system.kernel.slab.inode_bytes;
    "slab_dentry_bytes" => system.kernel.slab.dentry_bytes;
    "slab_file_bytes" => system.kernel.slab.file_bytes;
    "slab_epoll_bytes" => system.kernel.slab.epoll_bytes;
    "slab_bind_bytes" => system.kernel.slab.bind_bytes;
    "slab_passing_bytes" => system.kernel.slab.passing_bytes;
    "slab_packet_bytes" => system.kernel.slab.packet_bytes;
    "memory_free_bytes" => system.kernel.memory.free_bytes;
    "memory_slab_bytes" => system.kernel.memory.slab_bytes;
    "memory_total_bytes" => system.kernel.memory.total_bytes;
    "listen_overflows" => system.kernel.tcp.listen_overflows;
    "listen_drops" => system.kernel.tcp.listen_drops;
    "retransmits" => system.kernel.tcp.retransmits;
    "syncookies" => system.kernel.tcp.syncookies;
    "time_wait_overflows" => system.kernel.tcp.time_wait_overflows;
    "memory_aborts" => system.kernel.tcp.memory_aborts;
    "resets" => system.kernel.tcp.resets;
    "softirq_net_rx" => system.kernel.softirq.net_rx;
    "softirq_net_tx" => system.kernel.softirq.net_tx;
    "softirq_backlog_drops" => system.kernel.softirq.backlog_drops;
    "softirq_squeezed" => system.kernel.softirq.squeezed;
    "cpu_busy_ms" => system.kernel.cpu.busy_ms;
    "cpu_softirq_ms" => system.kernel.cpu.softirq_ms;
    "cpu_steal_ms" => system.kernel.cpu.steal_ms;
    "cpu_idle_ms" => system.kernel.cpu.idle_ms;
    "settling" => traffic.settling;
}

/// Writes `samples.csv`.
#[must_use]
pub fn to_csv(points: &[Point]) -> String {
    let names: Vec<&str> = COLUMNS.iter().map(|column| column.name).collect();
    let mut text = names.join(",");
    text.push('\n');
    for point in points {
        for (at, column) in COLUMNS.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            let value = (column.read)(point);
            write!(text, "{comma}{value}").expect("a String takes whatever is written");
        }
        text.push('\n');
    }
    text
}

/// Reads `samples.csv`, also one with other columns: what is not there stays 0. `None` when a cell is no
/// number or the file is longer than any run.
#[must_use]
pub fn from_csv(text: &str) -> Option<Vec<Point>> {
    let mut lines = text.lines();
    let names: Vec<&str> = lines.next()?.split(',').collect();
    let columns: Vec<Option<&Column>> = names
        .iter()
        .map(|name| COLUMNS.iter().find(|column| column.name == *name))
        .collect();
    let mut points = Vec::new();
    for line in lines {
        let mut point = Point::default();
        for (cell, column) in line.split(',').zip(&columns) {
            let value: f64 = cell.parse().ok()?;
            if let Some(column) = column {
                (column.write)(&mut point, value);
            }
        }
        points.push(point);
        if points.len() > POINTS_MAX {
            return None;
        }
    }
    Some(points)
}

/// Each point with the time at which its interval began.
pub fn intervals(points: &[Point]) -> impl DoubleEndedIterator<Item = (f64, &Point)> {
    let begin_s = |at: usize| match at {
        0 => 0.0,
        at => points[at - 1].at_s,
    };
    points
        .iter()
        .enumerate()
        .map(move |(at, point)| (begin_s(at), point))
}

/// How much a counter grew over a stretch of time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    /// Seconds since the start of the run.
    pub from_s: f64,
    /// Its end.
    pub to_s: f64,
    /// The growth.
    pub grown: u64,
}

impl Step {
    /// How long it was.
    #[must_use]
    pub fn length_s(&self) -> f64 {
        self.to_s - self.from_s
    }

    /// The growth per second.
    #[must_use]
    pub fn per_s(&self) -> f64 {
        self.grown as f64 / self.length_s().max(1e-3)
    }

    fn join(&mut self, later: &Self) {
        self.to_s = later.to_s;
        self.grown += later.grown;
    }
}

/// The growth of a counter from point to point, in steps of at least this length. A counter that went back
/// (a restarted process) gives 0 and not a negative spike.
#[must_use]
pub fn steps(points: &[Point], least_s: f64, counter: impl Fn(&Point) -> u64) -> Vec<Step> {
    let step = |pair: &[Point]| Step {
        from_s: pair[0].at_s,
        to_s: pair[1].at_s,
        grown: counter(&pair[1]).saturating_sub(counter(&pair[0])),
    };
    join_until(
        points.windows(2).map(step),
        |step| step.length_s() >= least_s,
        Step::join,
    )
}

/// How long connections were being opened, until nearly all stood: without the phases in which all those that
/// were wanted so far stood, too.
#[must_use]
pub fn ramp_s(points: &[Point]) -> f64 {
    let nearly = |count: u64, of: u64| count * 1000 >= of * 995;
    let most = points.iter().map(|point| point.traffic.connected).max();
    let (mut stood, mut length_s) = (0, 0.0);
    for (from_s, point) in intervals(points) {
        if nearly(stood, most.unwrap_or_default()) {
            break;
        }
        if !nearly(stood, point.traffic.requested) {
            length_s += point.at_s - from_s;
        }
        stood = point.traffic.connected;
    }
    length_s
}

/// How long messages were sent: without the ramp before and the last answers after.
#[must_use]
pub fn traffic_s(points: &[Point]) -> Option<f64> {
    let mut sent_before = 0;
    let mut sending = None;
    for (from_s, point) in intervals(points) {
        let sent = std::mem::replace(&mut sent_before, point.traffic.sent);
        if point.traffic.sent > sent && point.traffic.settling == 0 {
            let (began_s, _) = sending.unwrap_or((from_s, 0.0));
            sending = Some((began_s, point.at_s));
        }
    }
    sending
        .map(|(began_s, ended_s)| ended_s - began_s)
        .filter(|&length_s| length_s > 0.0)
}

/// A week of seconds.
const POINTS_MAX: usize = 604_800;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ramp_is_as_long_as_somebody_was_missing() {
        let point = |at_s: f64, connected, requested| {
            let mut point = Point {
                at_s,
                ..Point::default()
            };
            (point.traffic.connected, point.traffic.requested) = (connected, requested);
            point
        };
        // A second for the first ten, three seconds of only them, two for the others, and a hold.
        let mut points = vec![point(1.0, 10, 10), point(4.0, 10, 10)];
        points.extend([point(5.0, 500, 1000), point(6.0, 999, 1000)]);
        points.push(point(60.0, 1000, 1000));
        assert_eq!(ramp_s(&points), 3.0);
        assert_eq!(ramp_s(&points[..2]), 1.0);
        assert_eq!(ramp_s(&[]), 0.0);
    }

    #[test]
    fn every_column_survives_the_file() {
        let mut point = Point::default();
        for (n, column) in COLUMNS.iter().enumerate() {
            (column.write)(&mut point, (n * 1_000_003 + 7) as f64);
        }
        for (n, column) in COLUMNS.iter().enumerate() {
            assert_eq!(
                (column.read)(&point),
                (n * 1_000_003 + 7) as f64,
                "{} shares its field",
                column.name
            );
        }
        point.traffic.response_p99_ms = 0.125;
        let points = vec![Point::default(), point];
        assert_eq!(from_csv(&to_csv(&points)).unwrap(), points);
    }

    #[test]
    fn a_reader_goes_by_name() {
        let points = from_csv("later,connected,at_s\n9,5,1.5\n").unwrap();
        assert_eq!((points[0].at_s, points[0].traffic.connected), (1.5, 5));
        assert!(from_csv("at_s\nsoon\n").is_none());
        assert!(from_csv("").is_none());
    }

    fn sent(at_s: f64, sent: u64) -> Point {
        Point {
            at_s,
            traffic: Traffic {
                sent,
                ..Traffic::default()
            },
            ..Point::default()
        }
    }

    #[test]
    fn steps_are_differences_over_their_own_length() {
        let points = [sent(0.0, 0), sent(1.0, 100), sent(3.0, 500), sent(4.0, 30)];
        let found = steps(&points, 0.0, |point| point.traffic.sent);
        let rates: Vec<_> = found.iter().map(|step| (step.to_s, step.per_s())).collect();
        assert_eq!(rates, [(1.0, 100.0), (3.0, 200.0), (4.0, 0.0)]);
    }

    /// A steady 100/s is one height, however the reports fell.
    #[test]
    fn short_intervals_are_joined_and_the_rate_stays() {
        let moments = [0.0, 0.25, 0.5, 0.75, 1.0, 2.0, 3.0, 3.02];
        let points = moments.map(|at_s| sent(at_s, (at_s * 100.0) as u64));
        let found = steps(&points, 0.95, |point| point.traffic.sent);
        let spans: Vec<_> = found.iter().map(|step| (step.from_s, step.to_s)).collect();
        assert_eq!(spans, [(0.0, 1.0), (1.0, 2.0), (2.0, 3.02)]);
        assert!(found.iter().all(|step| (step.per_s() - 100.0).abs() < 1e-9));
    }

    #[test]
    fn traffic_ends_where_settling_begins() {
        let mut points = [
            sent(0.25, 0),
            sent(0.5, 0),
            sent(1.5, 100),
            sent(2.5, 200),
            sent(2.7, 203),
        ];
        points[4].traffic.settling = 1;
        assert_eq!(traffic_s(&points), Some(2.0));
        assert_eq!(traffic_s(&points[1..]), Some(2.0));
        assert_eq!(
            traffic_s(&points[2..]),
            Some(2.5),
            "from the first report on"
        );
        assert_eq!(traffic_s(&points[..2]), None);
    }
}
