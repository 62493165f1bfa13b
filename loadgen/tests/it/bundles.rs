//! Whole bundles of invented runs: written, read, drawn, compared, merged.

use std::fs;
use std::path::Path;

use loadgen::diff::Comparison;
use loadgen::histograms::Series;
use loadgen::merge::{MergeError, merge};
use loadgen::report::bundle::Bundle;
use loadgen::report::comparison_page;
use loadgen::summary::{Outcome, Summary};
use loadgen::synthetic::{Invention, write};
use loadgen::thresholds::Threshold;

use crate::harness::Scratch;

/// Twenty quiet seconds.
fn short(seed: u64, added_ms: f64) -> Invention {
    Invention {
        connections: 10_000,
        ramp_per_s: 2000,
        seconds: 20,
        rate_per_s: 3000,
        added_ms,
        frozen_at_s: None,
        late_at_s: None,
        seed,
        ..Invention::default()
    }
}

fn bundle(dir: &Path, invention: &Invention) -> Bundle {
    write(dir, invention).expect("a scratch directory is writable");
    Bundle::read(dir).expect("what was written is read")
}

#[test]
fn a_bundle_holds_everything_and_is_read_back() {
    let scratch = Scratch::new("whole");
    let invention = Invention {
        frozen_at_s: Some(15),
        late_at_s: Some(18),
        thresholds: vec![
            Threshold::parse("p50>50ms").unwrap(),
            Threshold::parse("max>500ms").unwrap(),
        ],
        ..short(1, 0.0)
    };
    let summary = write(&scratch.at("a"), &invention).unwrap();
    let bundle = Bundle::read(&scratch.at("a")).unwrap();
    assert_eq!(bundle.summary, summary);
    // Five seconds of ramp by quarters, fifteen more, and the last answers.
    assert_eq!((bundle.points.len(), bundle.tags.len()), (36, 1));
    assert_eq!(bundle.points[35].traffic.settling, 1);
    assert_eq!(
        bundle.total(Series::Response).len(),
        summary.latency_ms.response.count
    );
    assert_eq!(
        summary.verdict.outcome,
        Outcome::Fail,
        "a second's freeze crosses max>500ms"
    );
    assert_eq!(summary.generator.limited_s, 1);
    let server = summary.server.unwrap();
    assert!(
        (server.rss_bytes_per_connection - 66.0).abs() < 4.0,
        "{server:?}"
    );
    assert!(
        write(&scratch.at("a"), &invention).is_err(),
        "a report is never overwritten"
    );
}

#[test]
fn the_page_needs_nothing_from_outside_and_trusts_no_text() {
    let scratch = Scratch::new("page");
    write(&scratch.at("a"), &short(1, 0.0)).unwrap();
    let hostile = "</script><script>alert(1)</script><img src=x onerror=alert(2)>";
    let mut summary =
        Summary::parse(&fs::read_to_string(scratch.at("a").join("summary.json")).unwrap()).unwrap();
    summary.scenario = hostile.into();
    summary.verdict.warnings.push(hostile.into());
    summary.connections.failed.insert(hostile.into(), 5);
    fs::write(scratch.at("a").join("summary.json"), summary.to_json()).unwrap();
    loadgen::report::draw(&scratch.at("a")).unwrap();
    let html = fs::read_to_string(scratch.at("a").join("report.html")).unwrap();
    assert!(!html.contains("<img") && !html.contains("<script>alert"));
    let outside = html.replace("http://www.w3.org/2000/svg", "");
    assert!(
        !outside.contains("http://")
            && !outside.contains("https://")
            && !outside.contains("@import")
    );
    assert_eq!(html.matches("<svg ").count(), 8, "every chart is drawn");
    assert!(html.contains("SYNTHETIC"));
    assert!(!html.contains("NaN") && !html.contains("inf\""));
    let png = fs::read(scratch.at("a").join("headline.png")).unwrap();
    assert!(png.starts_with(b"\x89PNG\r\n\x1a\n") && png.len() > 10_000);
}

#[test]
fn equal_runs_show_no_difference_and_two_milliseconds_do() {
    let scratch = Scratch::new("diff");
    let a = bundle(&scratch.at("a"), &short(1, 0.0));
    let same = bundle(&scratch.at("same"), &short(2, 0.0));
    let slower = bundle(&scratch.at("slower"), &short(3, 2.0));
    let comparison = Comparison::new(&a, &same, 7);
    assert_eq!(comparison.verdict(), "no difference", "{comparison}");
    assert!(comparison.environment.is_empty());
    let comparison = Comparison::new(&a, &slower, 7);
    assert!(comparison.verdict().starts_with("p50 +2.0"), "{comparison}");
    let page = comparison_page(&comparison, &a, &slower);
    assert!(page.contains("p50 +2.0") && page.contains("nothing differs around the runs"));
}

#[test]
fn the_environment_comes_before_the_numbers() {
    let scratch = Scratch::new("environment");
    let a = bundle(&scratch.at("a"), &short(1, 0.0));
    let mut b = bundle(&scratch.at("b"), &short(1, 2.0));
    b.environment.kernel = "5.4.0".into();
    b.summary.target = "ws://elsewhere/".into();
    let text = Comparison::new(&a, &b, 7).to_string();
    let at = |what: &str| text.find(what).unwrap_or_else(|| panic!("{what}: {text}"));
    assert!(
        at("target") < at("kernel")
            && at("kernel") < at("response p50")
            && at("response p50") < at("verdict")
    );
}

#[test]
fn merging_adds_histograms_and_books() {
    let scratch = Scratch::new("merge");
    let dirs = [scratch.at("a"), scratch.at("b")];
    let a = bundle(&dirs[0], &short(1, 0.0));
    let b = bundle(
        &dirs[1],
        &Invention {
            seconds: 23,
            ..short(2, 5.0)
        },
    );
    let summary = merge(&dirs, &scratch.at("both")).unwrap();
    let both = Bundle::read(&scratch.at("both")).unwrap();
    let mut expected = a.total(Series::Response);
    expected.add(b.total(Series::Response)).unwrap();
    assert!(
        both.total(Series::Response)
            .iter_recorded()
            .eq(expected.iter_recorded())
    );
    assert_eq!(
        summary.messages.sent,
        a.summary.messages.sent + b.summary.messages.sent
    );
    assert_eq!(summary.connections.proven_alive, 20_000);
    assert!(summary.imbalances().is_empty());
    // Seconds, and the last answers; the report ends with the longer host.
    assert_eq!((both.points.len(), both.summary.merged_from.len()), (24, 2));
    let sent: Vec<u64> = both.points.iter().map(|point| point.traffic.sent).collect();
    assert!(sent.is_sorted() && sent[23] == summary.messages.sent);
    let steady = &both.points[6..20];
    for step in loadgen::series::steps(steady, 0.0, |point| point.traffic.sent) {
        assert!((step.per_s() - 6000.0).abs() < 300.0, "{step:?}");
    }
    assert!(
        (summary.rates.sent_per_s - 5400.0).abs() < 600.0,
        "{:?}",
        summary.rates
    );
    assert!(scratch.at("both").join("report.html").exists());
    assert!(matches!(
        merge(&dirs[..1], &scratch.at("none")),
        Err(MergeError::TooFew)
    ));
    assert!(matches!(
        merge(&dirs, &scratch.at("both")),
        Err(MergeError::Io(_))
    ));
}
