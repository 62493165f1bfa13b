use super::*;

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
