//! Does the bundle hold? A browser opens the page, another implementation reads the logs.

mod browser;

use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use ::loadgen::histograms::Series;
use ::loadgen::report::bundle::Bundle;

use crate::harness::{DelayedServer, Ended, Generator, Scratch, Server, echo, loadgen, python};
use browser::{DRAWN, Page};

/// A run that several tests look at, with an answer after 20 ms.
fn bundle() -> &'static (Ended, Scratch) {
    static BUNDLE: OnceLock<(Ended, Scratch)> = OnceLock::new();
    BUNDLE.get_or_init(|| {
        let scratch = Scratch::new("bundle");
        let server = DelayedServer::start(DELAY);
        let words = "--connections 20 --rate 400/s --duration 4s --fail-if p50>10s";
        let ended = Generator::report(&server.url(), words, scratch.at("run")).end();
        ended.assert_code(0);
        (ended, scratch)
    })
}

const DELAY: Duration = Duration::from_millis(20);

/// Charts of every run. What a connection costs, in bytes and in time, needs a ramp longer than a moment.
const CHARTS_MIN: usize = 6;

#[test]
fn a_browser_opens_the_page_of_a_run() {
    let (_, scratch) = bundle();
    if let Some(page) = Page::open(&scratch.at("run/report.html")) {
        page.assert_drawn(CHARTS_MIN);
    }
}

#[test]
fn a_browser_opens_the_page_of_a_million_connections() {
    let scratch = Scratch::new("browser-demo");
    loadgen(&["demo".as_ref(), &scratch.at("demo")]);
    if let Some(page) = Page::open(&scratch.at("demo/report.html")) {
        page.assert_drawn(CHARTS_MIN + 2);
    }
}

/// Whoever has seen enough presses Ctrl-C, and has the report all the same.
#[test]
fn an_interrupted_run_leaves_a_whole_report() {
    let scratch = Scratch::new("interrupted");
    let server = Server::start(|wire, _| echo(wire));
    let words = "--connections 5 --rate 50/s --duration 10m --answer-timeout 60s";
    let generator = Generator::told(&server.url(), words, scratch.at("run"));
    generator.wait_until_told("proven alive 5 of 5", 2);
    generator.signal("INT");
    let ended = generator.end();
    ended.assert_code(0);
    ended.assert_balanced();
    assert!(
        ended.warnings().contains("interrupted"),
        "{}",
        ended.story()
    );
    assert_eq!(ended.count("/messages/in_flight"), 0);
    let bundle = Bundle::read(&scratch.at("run")).expect("the bundle is whole");
    assert_eq!(
        bundle.total(Series::Response).len(),
        ended.count("/messages/received")
    );
    for file in ["report.html", "headline.png"] {
        let length = std::fs::metadata(scratch.at("run").join(file))
            .unwrap()
            .len();
        assert!(length > 1000, "{file}: {length} bytes");
    }
}

/// The control: with a page that is broken, the look at it fails.
#[test]
fn a_broken_page_is_seen_to_be_broken() {
    let scratch = Scratch::new("broken-page");
    let broken = "<!doctype html><body><svg></svg><script>nobody.wrote(this)</script></body>";
    let Some(page) = Page::open(&scratch.file("broken.html", broken)) else {
        return;
    };
    assert!(
        page.complaints[0].contains("nobody is not defined"),
        "{:?}",
        page.complaints
    );
    assert_eq!(page.dom.matches(DRAWN).count(), 0);
}

/// Counts and percentiles of every series, read by the package from PyPI.
#[test]
fn another_reader_agrees_about_the_logs_of_a_run() {
    const READER: &str = "
import sys
from hdrh.log import HistogramLogReader
from hdrh.histogram import HdrHistogram
total = HdrHistogram(1000, 3600000000000, 3)
reader = HistogramLogReader(sys.argv[1], total)
while True:
    histogram = reader.get_next_interval_histogram()
    if histogram is None: break
    total.add(histogram)
for step in total.get_recorded_iterator():
    print(step.value_iterated_to / 1e6, step.count_added_in_this_iter_step)
";
    let Some(python) = python() else { return };
    let (ended, scratch) = bundle();
    for series in ["response", "service", "lateness"] {
        let log = scratch.at(format!("run/echo.{series}.hlog"));
        let output = Command::new(python)
            .args(["-c", READER])
            .arg(&log)
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        let pair = |line: &str| {
            let (value_ms, count) = line.split_once(' ')?;
            Some((value_ms.parse().ok()?, count.parse().ok()?))
        };
        let theirs: Vec<(f64, u64)> = text.lines().filter_map(pair).collect();
        let count: u64 = theirs.iter().map(|&(_, count)| count).sum();
        let ours = |name: &str| ended.number(&format!("/latency_ms/{series}/{name}"));
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(count as f64, ours("count"), "{series}: {stderr}");
        assert!(count > 100, "{series}: {count} samples only");
        for (name, share) in [
            ("p50", 0.5),
            ("p90", 0.9),
            ("p99", 0.99),
            ("p999", 0.999),
            ("max", 1.0),
        ] {
            let (theirs, ours) = (quantile_ms(&theirs, share), ours(name));
            // Three digits from 1 us on: a bucket is a thousandth wide, or a microsecond.
            assert!(
                (theirs - ours).abs() <= (ours * 0.001).max(0.001),
                "{series} {name}: {theirs} against {ours}"
            );
        }
    }
}

/// By definition: the smallest value that this share of all samples does not exceed.
fn quantile_ms(counts: &[(f64, u64)], share: f64) -> f64 {
    let total: u64 = counts.iter().map(|&(_, count)| count).sum();
    let rank = (share * total as f64).ceil() as u64;
    let mut below = 0;
    let found = counts.iter().find(|&&(_, count)| {
        below += count;
        below >= rank
    });
    found.expect("the last sample has every rank").0
}
