use super::*;
use crate::histograms::new_histogram;
use crate::summary::Server;

/// 1 000 answers of 1 to 1 000 ms, service a tenth of it, lateness unmeasured.
fn judged(text: &str) -> Judged {
    let (mut response, mut service, lateness) = (new_histogram(), new_histogram(), new_histogram());
    for ms in 1..=1000 {
        response.record(ms * 1_000_000).unwrap();
        service.record(ms * 100_000).unwrap();
    }
    let mut summary = Summary::new("echo", "ws://h/");
    summary.connections.requested = 200;
    summary.connections.proven_alive = 199;
    summary.messages.sent = 1000;
    summary.messages.lost = 5;
    summary.rates.connects_per_s = 31_000.0;
    summary.server = Some(Server {
        rss_bytes_per_connection: 66.5,
        ..Server::default()
    });
    let evidence = Evidence {
        summary: &summary,
        latency: [&response, &service, &lateness],
    };
    Threshold::parse(text).unwrap().judge(&evidence)
}

#[test]
fn conditions_are_judged() {
    for (text, passed) in [
        ("p99>50ms", false),
        ("p99 > 1s", true),
        ("p99>0.995s", true),
        ("p50>=499ms", false),
        ("service.p99>99.5ms", true),
        ("service.p99>98ms", false),
        ("response.max>2s", true),
        ("mean>500ms", false),
        ("p99.9>998ms", false),
        ("p999>998ms", false),
        ("lost>0", false),
        ("lost>0.5%", true),
        ("lost>0.4%", false),
        ("errors!=0", true),
        ("errors==0", false),
        ("proven_alive<100%", false),
        ("proven_alive<199", true),
        ("connects/s<30k", true),
        ("bytes_per_connection>64", false),
    ] {
        assert_eq!(judged(text).passed, passed, "{text}: {:?}", judged(text));
    }
}

#[test]
fn what_was_not_measured_fails() {
    let judged = judged("lateness.p99>10s");
    assert_eq!((judged.observed, judged.passed), (None, false));
    assert_eq!(judged.fail_if, "lateness.p99>10s");
    let (empty, summary) = (new_histogram(), Summary::new("idle", "ws://h/"));
    let evidence = Evidence {
        summary: &summary,
        latency: [&empty; 3],
    };
    assert!(
        !Threshold::parse("bytes_per_connection>1M")
            .unwrap()
            .judge(&evidence)
            .passed
    );
    assert!(!Threshold::parse("lost>1%").unwrap().judge(&evidence).passed);
}

#[test]
fn what_is_not_a_condition_is_refused() {
    for (text, error) in [
        ("p99", ThresholdError::Operator),
        ("p99=50ms", ThresholdError::Operator),
        ("", ThresholdError::Operator),
        ("p99>50", ThresholdError::Limit),
        ("p99>fast", ThresholdError::Limit),
        ("lost>many", ThresholdError::Limit),
        ("lost>nan", ThresholdError::Limit),
        ("speed>5", ThresholdError::Metric),
        ("px>5ms", ThresholdError::Metric),
        ("p101>5ms", ThresholdError::Percentile),
    ] {
        assert_eq!(Threshold::parse(text), Err(error), "{text}");
    }
}

#[test]
fn what_was_measured_is_said_in_the_units_of_the_condition() {
    for (condition, observed, expected) in [
        ("p99>50ms", 0.259, "0.259 ms"),
        ("lateness.max>1s", 1500.0, "1.50 s"),
        ("proven_alive<100%", 1.0, "100 %"),
        ("proven_alive<100%", 0.5, "50 %"),
        ("proven_alive<100%", 0.999_999, "99.9999 %"),
        ("lost>1%", 0.0, "0 %"),
        ("lost>1%", 0.000_01, "0.001 %"),
        ("lost>1%", 1.0 / 3.0, "33.3 %"),
        ("lost>0", 12_345.0, "12,345"),
        ("received/s<10k", 3934.2, "3,934/s"),
        ("bytes_per_connection>100", 64.4, "64.4 B"),
    ] {
        let threshold = Threshold::parse(condition).unwrap();
        assert_eq!(threshold.shown(observed), expected, "{condition}");
    }
}
