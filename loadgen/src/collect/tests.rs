use super::*;
use crate::histograms::Recorder;

fn setup(thresholds: &[&str]) -> Setup {
    Setup {
        tags: vec![("echo".into(), false), ("zoo".into(), true)],
        threads: 1,
        thresholds: thresholds
            .iter()
            .map(|text| Threshold::parse(text).unwrap())
            .collect(),
        ..Setup::default()
    }
}

/// Four seconds: 1 ms everywhere, in the third 500 ms because the generator was 50 ms late; the zoo has 9 s.
fn run(setup: Setup, totals: &Totals) -> Summary {
    let mut collector = Collector::new(setup, None);
    for second in 1..=4u64 {
        let mut interval = Interval::new(2);
        let (ms, late_ms) = if second == 3 { (500, 50) } else { (1, 0) };
        for _ in 0..100 {
            interval.record(0, Series::Response, ms * 1_000_000);
            interval.record(0, Series::Lateness, late_ms * 1_000_000);
            interval.record(1, Series::Response, 9_000_000_000);
        }
        let mut point = Point {
            at_s: second as f64,
            ..Point::default()
        };
        point.traffic.connected = 10;
        let point = collector.second(point, 1.0, &interval).unwrap();
        assert_eq!(point.traffic.generator_limited, u64::from(second == 3));
    }
    collector.finish(totals).unwrap()
}

fn totals() -> Totals {
    let messages = |received, lost| Messages {
        sent: received + lost,
        received,
        lost,
        ..Messages::default()
    };
    let connections = Connections {
        requested: 10,
        connected: 10,
        upgraded: 10,
        proven_alive: 10,
        ..Connections::default()
    };
    Totals {
        connections,
        messages: vec![messages(400, 0), messages(400, 3)],
        cohort_connections: vec![8, 2],
        ..Totals::default()
    }
}

#[test]
fn the_generators_own_seconds_are_reported_and_not_judged() {
    let summary = run(setup(&["p99>100ms"]), &totals());
    assert!(
        (summary.latency_ms.response.max - 500.0).abs() < 1.0,
        "recorded"
    );
    assert_eq!(summary.verdict.outcome, Outcome::Pass, "not judged");
    assert_eq!(summary.generator.limited_s, 1);
    assert!(summary.verdict.warnings[0].contains("1 of 4 s"));
}

/// A pause that ends with an interval: what was sent late is answered in the next.
#[test]
fn late_messages_are_not_judged_when_their_answers_come_an_interval_later() {
    const MS: u64 = 1_000_000;
    let mut collector = Collector::new(setup(&["max>100ms"]), None);
    let mut recorder = Recorder::new(2);
    for second in 1..=3u64 {
        for n in 0..100 {
            let is_late = second == 2 && n == 0;
            let late_ns = if is_late { 500 * MS } else { 0 };
            recorder.answered(0, 0, late_ns, late_ns + MS);
            // A beast may be as late as it likes.
            recorder.answered(1, 0, 500 * MS, 501 * MS);
        }
        let mut interval = Interval::new(2);
        recorder.take().add_to(&mut interval);
        let point = Point {
            at_s: second as f64,
            ..Point::default()
        };
        let point = collector.second(point, 1.0, &interval).unwrap();
        assert_eq!(point.traffic.generator_limited, u64::from(second == 2));
    }
    let summary = collector.finish(&totals()).unwrap();
    assert_eq!(summary.verdict.outcome, Outcome::Pass);
}

/// The ramp is reported four times a second, and a second is still a second.
#[test]
fn limited_seconds_are_seconds_and_not_reports() {
    let mut collector = Collector::new(setup(&[]), None);
    for quarter in 1..=8u64 {
        let mut interval = Interval::new(2);
        if quarter <= 3 {
            interval.record(0, Series::Lateness, 50_000_000);
        }
        let point = Point {
            at_s: quarter as f64 / 4.0,
            ..Point::default()
        };
        collector.second(point, 0.25, &interval).unwrap();
    }
    let summary = collector.finish(&totals()).unwrap();
    assert_eq!(summary.generator.limited_s, 1);
    assert_eq!(summary.verdict.outcome, Outcome::Pass, "one second of two");
}

/// A collector that has seen reports of these lengths, those of more than a second limited.
fn reported(lengths_s: &[f64]) -> Collector {
    let mut collector = Collector::new(setup(&[]), None);
    collector.mark();
    let mut at_s = 0.0;
    for &length_s in lengths_s {
        at_s += length_s;
        let mut interval = Interval::new(2);
        let late_ns = if length_s > 1.0 { 50_000_000 } else { 0 };
        interval.record(0, Series::Lateness, late_ns);
        let point = Point {
            at_s,
            ..Point::default()
        };
        collector.second(point, length_s, &interval).unwrap();
    }
    collector
}

/// Who is stuck reports seldom: six seconds in one report are six seconds.
#[test]
fn a_step_is_limited_by_its_seconds_and_not_by_its_reports() {
    let stuck = reported(&[1.0, 1.0, 6.0, 1.0, 1.0]);
    assert!(stuck.since_mark().is_limited, "6 of 10 s, 1 of 5 reports");
    let quick = reported(&[0.1, 1.2, 0.1, 1.0, 1.0, 1.0]);
    assert!(!quick.since_mark().is_limited, "1.2 of 4.4 s");
    let mut marked = reported(&[6.0]);
    marked.mark();
    assert!(!marked.since_mark().is_limited, "before the mark");
}

/// A quarter of a second in which the generator was the limit does not spoil a run of a second and a half.
#[test]
fn a_part_of_a_second_is_not_rounded_up_for_the_verdict() {
    let mut collector = Collector::new(setup(&[]), None);
    for quarter in 1..=6u64 {
        let mut interval = Interval::new(2);
        let late_ns = if quarter == 1 { 50_000_000 } else { 0 };
        interval.record(0, Series::Lateness, late_ns);
        let point = Point {
            at_s: quarter as f64 / 4.0,
            ..Point::default()
        };
        collector.second(point, 0.25, &interval).unwrap();
    }
    let summary = collector.finish(&totals()).unwrap();
    assert_eq!(summary.generator.limited_s, 1, "said generously");
    assert_eq!(summary.verdict.outcome, Outcome::Pass, "judged exactly");
}

/// The last answers are no traffic: what follows the order to settle is marked.
#[test]
fn what_is_reported_after_the_end_says_so() {
    let mut collector = Collector::new(setup(&[]), None);
    let mut point = Point::default();
    for (at_s, sent) in [(1.0, 100), (2.0, 200), (2.2, 201)] {
        (point.at_s, point.traffic.sent) = (at_s, sent);
        if at_s > 2.0 {
            collector.settle();
        }
        let reported = collector.second(point, 1.0, &Interval::new(2)).unwrap();
        assert_eq!(reported.traffic.settling, u64::from(at_s > 2.0));
    }
    let mut totals = totals();
    (totals.messages[0].sent, totals.messages[0].received) = (200, 200);
    totals.messages[1] = Messages::default();
    assert_eq!(collector.finish(&totals).unwrap().rates.sent_per_s, 100.0);
}

#[test]
fn a_crossed_threshold_fails_the_run() {
    let summary = run(setup(&["p50>100us", "lost>10"]), &totals());
    assert_eq!(summary.verdict.outcome, Outcome::Fail);
    let passed: Vec<bool> = summary
        .verdict
        .thresholds
        .iter()
        .map(|judged| judged.passed)
        .collect();
    assert_eq!(passed, [false, true]);
}

#[test]
fn cohorts_that_misbehave_are_beside_the_total() {
    let summary = run(setup(&[]), &totals());
    assert_eq!(summary.latency_ms.response.count, 400);
    assert_eq!(summary.cohorts["zoo"].latency_ms.response.count, 400);
    assert!((summary.cohorts["zoo"].latency_ms.response.p50 - 9000.0).abs() < 10.0);
    assert_eq!((summary.messages.sent, summary.messages.lost), (803, 3));
    assert_eq!(summary.cohorts["echo"].connections, 8);
}

#[test]
fn books_that_do_not_balance_make_no_statement() {
    let mut totals = totals();
    totals.messages[0].received -= 1;
    let summary = run(setup(&[]), &totals);
    assert_eq!(summary.verdict.outcome, Outcome::Invalid);
    assert!(
        summary
            .verdict
            .warnings
            .iter()
            .any(|warning| warning.contains("accounted for"))
    );
}

#[test]
fn a_generator_at_its_limit_throughout_makes_no_statement() {
    let mut collector = Collector::new(setup(&[]), None);
    for second in 0..5u64 {
        let mut point = Point {
            at_s: second as f64,
            ..Point::default()
        };
        point.system.generator.user_ms = second * 990;
        collector.second(point, 1.0, &Interval::new(2)).unwrap();
    }
    let summary = collector.finish(&totals()).unwrap();
    assert_eq!(
        (summary.verdict.outcome, summary.generator.limited_s),
        (Outcome::Invalid, 4)
    );
}

#[test]
fn the_kernel_is_asked_too() {
    let mut setup = setup(&[]);
    setup.both_ends_here = true;
    let mut collector = Collector::new(setup, None);
    let mut point = Point::default();
    point.traffic.connected = 1000;
    point.system.kernel.sockets.tcp_in_use = 1500;
    collector.second(point, 1.0, &Interval::new(2)).unwrap();
    let summary = collector.finish(&totals()).unwrap();
    assert!(
        summary
            .verdict
            .warnings
            .iter()
            .any(|warning| warning.contains("1500 TCP sockets"))
    );
}

/// A run of three still seconds with 100 connections, of which the server counts so many.
fn counted_by_server(gauge: u64) -> Vec<String> {
    let mut collector = Collector::new(setup(&[]), None);
    for second in 1..=3 {
        let mut point = Point {
            at_s: f64::from(second),
            ..Point::default()
        };
        (point.traffic.upgraded, point.traffic.server_gauge) = (100, gauge);
        collector.second(point, 1.0, &Interval::new(2)).unwrap();
    }
    collector.finish(&totals()).unwrap().verdict.warnings
}

#[test]
fn a_server_that_counts_fewer_is_heard() {
    let said = |gauge| {
        let warnings = counted_by_server(gauge);
        warnings
            .iter()
            .any(|text| text.contains("the server counted"))
    };
    assert!(said(98));
    assert!(
        !said(99) && !said(120),
        "a percent is timing; others may be connected"
    );
    assert!(!said(0), "no gauge");
}

#[test]
fn phases_have_their_own_latency() {
    let mut collector = Collector::new(setup(&[]), None);
    for (phase, ms) in [("without", 1), ("with", 7)] {
        collector.enter_phase(phase, 0.0);
        let mut interval = Interval::new(2);
        interval.record(0, Series::Response, ms * 1_000_000);
        interval.record(1, Series::Response, 9_000_000_000);
        collector.second(Point::default(), 1.0, &interval).unwrap();
    }
    let phases = collector.finish(&totals()).unwrap().phases;
    let medians: Vec<_> = phases
        .iter()
        .map(|phase| (phase.name.as_str(), phase.latency_ms.response.p50.round()))
        .collect();
    assert_eq!(medians, [("without", 1.0), ("with", 7.0)]);
}

#[test]
fn rates_are_of_the_time_with_traffic() {
    let mut collector = Collector::new(setup(&[]), None);
    // Three seconds of ramp, two with 100 messages each, one to settle.
    for (second, sent) in [(1, 0), (2, 0), (3, 0), (4, 100), (5, 200), (6, 200)] {
        let mut point = Point {
            at_s: f64::from(second),
            ..Point::default()
        };
        point.traffic.sent = sent;
        collector.second(point, 1.0, &Interval::new(2)).unwrap();
    }
    let mut totals = totals();
    (totals.messages[0].sent, totals.messages[0].received) = (200, 200);
    totals.messages[1] = Messages::default();
    let rates = collector.finish(&totals).unwrap().rates;
    assert_eq!((rates.sent_per_s, rates.received_per_s), (100.0, 100.0));
}
