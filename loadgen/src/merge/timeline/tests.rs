//! Hosts whose reports never fall together.

use super::*;
use crate::environment::Environment;
use crate::report::bundle::{SeriesLog, TagLog};
use crate::summary::Summary;

/// A host that reports at these moments: 100 messages a second, 10 connections, and in every interval one
/// sample per hundredth of a second, whose value is the moment itself.
fn host(ends_s: &[f64]) -> Bundle {
    let point = |&at_s: &f64| {
        let mut point = Point {
            at_s,
            ..Point::default()
        };
        point.traffic.sent = (at_s * 100.0).round() as u64;
        (point.traffic.connected, point.traffic.requested) = (10, 10);
        point
    };
    let points: Vec<Point> = ends_s.iter().map(point).collect();
    let log = series::intervals(&points).map(|(from_s, point)| {
        let hundredths = (from_s * 100.0).round() as u64..(point.at_s * 100.0).round() as u64;
        SparseInterval {
            start_s: from_s,
            length_s: point.at_s - from_s,
            counts: hundredths.map(|at| (at, 1)).collect(),
        }
    });
    let log = SeriesLog {
        intervals: log.collect(),
    };
    Bundle {
        summary: Summary::default(),
        environment: Environment::default(),
        tags: vec![TagLog {
            name: "echo".into(),
            series: [log, SeriesLog::default(), SeriesLog::default()],
        }],
        points,
        tls: Default::default(),
    }
}

/// Two seconds of ramp, then seconds, then a rest.
fn slow_ramp() -> Bundle {
    host(&[
        0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0, 3.0, 4.0, 5.0, 6.0, 6.2,
    ])
}

/// The same with a ramp of half a second: its seconds end between those of the other.
fn quick_ramp() -> Bundle {
    host(&[0.25, 0.5, 1.5, 2.5, 3.5, 4.5, 5.5, 6.5, 7.5, 8.5, 8.7])
}

fn merged(hosts: &[Bundle]) -> (Timeline, Vec<Point>, Vec<SparseInterval>) {
    let timeline = Timeline::of(hosts);
    let mut sum = timeline.intervals();
    for host in hosts {
        timeline.add(&mut sum, &host.tags[0].series[0].intervals);
    }
    let points = timeline.points(hosts);
    (timeline, points, sum)
}

#[test]
fn the_seconds_are_the_first_hosts_then_the_longer_ones() {
    let (timeline, ..) = merged(&[slow_ramp(), quick_ramp()]);
    let expected = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.5, 8.5, 8.7];
    assert_eq!(timeline.ends_s, expected);
    assert_eq!(Timeline::of(&[]).ends_s, [0.0; 0]);
}

#[test]
fn two_steady_rates_are_one_steady_rate() {
    let (_, points, _) = merged(&[slow_ramp(), quick_ramp()]);
    for step in series::steps(&points, 0.0, |point| point.traffic.sent) {
        // The first host ends at 6.2 s, within the step to 7.5.
        let expected = match step.to_s {
            to_s if to_s <= 6.0 => 200.0,
            7.5 => (150.0 + 20.0) / 1.5,
            _ => 100.0,
        };
        assert!((step.per_s() - expected).abs() < 1e-6, "{step:?}");
    }
    let last = points[points.len() - 1];
    assert_eq!(last.traffic.sent, 620 + 870);
}

#[test]
fn no_sample_is_lost_or_moved_by_more_than_half_an_interval() {
    let (timeline, _, sum) = merged(&[slow_ramp(), quick_ramp()]);
    let count: u64 = sum.iter().map(SparseInterval::count).sum();
    assert_eq!(count, 620 + 870);
    for (interval, (from_s, to_s)) in sum.iter().zip(timeline.spans()) {
        for &(hundredths, _) in &interval.counts {
            let at_s = hundredths as f64 / 100.0;
            let moved_s = (from_s - at_s).max(at_s - to_s);
            assert!(moved_s <= 0.5 + 1e-9, "{at_s} is in {from_s} to {to_s}");
        }
    }
}

#[test]
fn connections_of_a_host_that_ended_are_gone() {
    let (_, points, _) = merged(&[slow_ramp(), quick_ramp()]);
    let connected: Vec<_> = points.iter().map(|point| point.traffic.connected).collect();
    assert_eq!(connected, [20, 20, 20, 20, 20, 20, 10, 10, 10]);
    assert!(points.iter().all(|point| point.traffic.requested == 20));
}

#[test]
fn a_second_is_limited_if_any_part_of_it_was_and_over_when_all_are() {
    let (mut a, mut b) = (slow_ramp(), quick_ramp());
    a.points[5].traffic.generator_limited = 1;
    b.points[4].traffic.generator_limited = 1;
    b.points[4].traffic.lateness_p99_ms = 12.0;
    a.points[12].traffic.settling = 1;
    b.points[10].traffic.settling = 1;
    let (_, points, _) = merged(&[a, b]);
    let flags = |flag: fn(&Traffic) -> u64| -> Vec<u64> {
        points.iter().map(|point| flag(&point.traffic)).collect()
    };
    // 1.25 to 1.5 s of the one, 2.5 to 3.5 s of the other.
    let limited = flags(|traffic| traffic.generator_limited);
    assert_eq!(limited, [0, 1, 1, 0, 0, 0, 0, 0, 0]);
    assert_eq!(points[2].traffic.lateness_p99_ms, 12.0);
    let settling = flags(|traffic| traffic.settling);
    assert_eq!(settling, [0, 0, 0, 0, 0, 0, 0, 0, 1]);
}
