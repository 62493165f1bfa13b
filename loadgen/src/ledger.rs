//! The byte ledger: what one more connection costs, by owner.
//!
//! Each line is the slope of one quantity over the connections of the ramp. Kernel classes are counted for
//! the whole machine; when both ends are here, a connection is two sockets and the line says so.

use crate::regression::Line;
use crate::series::Point;
use crate::summary::LedgerLine;

/// Fits every line of the ledger over the ramp. Lines without growth or without samples are left out.
#[must_use]
pub fn lines(points: &[Point]) -> Vec<LedgerLine> {
    let ramp = ramp_of(points);
    ROWS.iter().filter_map(|row| line(row, ramp)).collect()
}

/// The slope of one quantity over the ramp, in bytes per connection.
#[must_use]
pub fn bytes_per_connection(points: &[Point], quantity: impl Fn(&Point) -> u64) -> Option<Line> {
    let pairs: Vec<(f64, f64)> = ramp_of(points)
        .iter()
        .map(|point| (point.traffic.connected as f64, quantity(point) as f64))
        .collect();
    Line::fit(&pairs)
}

/// The points up to the first that reaches 99.5 % of the most connections: behind it only noise is added.
pub(crate) fn ramp_of(points: &[Point]) -> &[Point] {
    let most = points
        .iter()
        .map(|point| point.traffic.connected)
        .max()
        .unwrap_or_default();
    let end = points
        .iter()
        .position(|point| point.traffic.connected * 1000 >= most * 995);
    &points[..end.map_or(0, |end| end + 1)]
}

fn line(row: &Row, ramp: &[Point]) -> Option<LedgerLine> {
    let pairs: Vec<(f64, f64)> = ramp
        .iter()
        .map(|point| (point.traffic.connected as f64, (row.quantity)(point) as f64))
        .collect();
    let line = Line::fit(&pairs).filter(|line| line.slope.abs() >= 0.5)?;
    let (low, high) = line.interval();
    Some(LedgerLine {
        what: row.what.to_owned(),
        bytes_per_connection: line.slope,
        low,
        high,
    })
}

struct Row {
    what: &'static str,
    quantity: fn(&Point) -> u64,
}

/// Owners in the order of the report. The words before the colon group the lines.
const ROWS: &[Row] = &[
    Row {
        what: "server: resident memory",
        quantity: |point| point.system.server.rss_bytes,
    },
    Row {
        what: "server: page tables",
        quantity: |point| point.system.server.page_table_bytes,
    },
    Row {
        what: "generator: resident memory",
        quantity: |point| point.system.generator.rss_bytes,
    },
    Row {
        what: "generator: page tables",
        quantity: |point| point.system.generator.page_table_bytes,
    },
    Row {
        what: "kernel: TCP sockets",
        quantity: |point| point.system.kernel.slab.tcp_bytes,
    },
    Row {
        what: "kernel: socket inodes",
        quantity: |point| point.system.kernel.slab.inode_bytes,
    },
    Row {
        what: "kernel: dentries",
        quantity: |point| point.system.kernel.slab.dentry_bytes,
    },
    Row {
        what: "kernel: files",
        quantity: |point| point.system.kernel.slab.file_bytes,
    },
    Row {
        what: "kernel: epoll items",
        quantity: |point| point.system.kernel.slab.epoll_bytes,
    },
    Row {
        what: "kernel: port bindings",
        quantity: |point| point.system.kernel.slab.bind_bytes,
    },
    Row {
        what: "kernel: packets",
        quantity: |point| point.system.kernel.slab.packet_bytes,
    },
    Row {
        what: "kernel: tcp_mem pages",
        quantity: |point| point.system.kernel.sockets.tcp_memory_pages * 4096,
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    fn ramp(connections: impl Iterator<Item = u64>) -> Vec<Point> {
        let point = |(second, connected): (usize, u64)| {
            let mut point = Point {
                at_s: second as f64,
                ..Point::default()
            };
            point.traffic.connected = connected;
            point.system.server.rss_bytes = 5_000_000 + connected * 64;
            point.system.kernel.slab.tcp_bytes = 400_000 + connected * 2 * 2368;
            point
        };
        connections.enumerate().map(point).collect()
    }

    #[test]
    fn the_slope_is_the_cost_and_the_base_is_not_charged() {
        let lines = lines(&ramp((0..=10).map(|n| n * 10_000)));
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0].what, "server: resident memory");
        assert!((lines[0].bytes_per_connection - 64.0).abs() < 1e-6);
        assert!((lines[1].bytes_per_connection - 4736.0).abs() < 1e-6);
        assert!(lines[1].low <= 4736.0 && lines[1].high >= 4736.0 - 1e-6);
    }

    #[test]
    fn what_happens_after_the_ramp_does_not_count() {
        let mut points = ramp(
            (0..=10)
                .map(|n| n * 1000)
                .chain(std::iter::repeat_n(10_000, 50)),
        );
        for point in &mut points[12..] {
            point.system.server.rss_bytes += 900_000_000;
        }
        let line = bytes_per_connection(&points, |point| point.system.server.rss_bytes).unwrap();
        assert!((line.slope - 64.0).abs() < 1e-6);
    }

    #[test]
    fn no_ramp_no_ledger() {
        assert!(lines(&[]).is_empty());
        assert!(lines(&ramp(std::iter::repeat_n(0, 9))).is_empty());
    }
}
