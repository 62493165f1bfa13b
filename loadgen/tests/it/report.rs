//! Does the bundle hold? A browser opens the page, another implementation reads the logs, `diff` tells a
//! difference from none.

mod browser;

use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;
use std::thread;
use std::time::Duration;

use crate::harness::{Ended, Generator, Scratch, Server, delayed, python};
use browser::{DRAWN, Page};

/// A run that several tests look at, with an answer after 20 ms.
fn bundle() -> &'static (Ended, Scratch) {
    static BUNDLE: OnceLock<(Ended, Scratch)> = OnceLock::new();
    BUNDLE.get_or_init(|| {
        let scratch = Scratch::new("bundle");
        let server = Server::start(|wire, _| delayed(wire, DELAY).map(drop));
        let words = "--connections 20 --rate 400/s --duration 4s --fail-if p50>10s";
        let ended = Generator::report(&server.url(), words, scratch.at("run")).end();
        ended.assert_code(0);
        (ended, scratch)
    })
}

const DELAY: Duration = Duration::from_millis(20);

#[test]
fn a_browser_opens_the_page_of_a_run() {
    let (_, scratch) = bundle();
    if let Some(page) = Page::open(&scratch.at("run/report.html")) {
        // All but what a connection costs: a ramp of a moment has no slope.
        page.assert_drawn(6);
    }
}

#[test]
fn a_browser_opens_the_page_of_a_million_connections() {
    let scratch = Scratch::new("browser-demo");
    loadgen(&["demo".as_ref(), &scratch.at("demo")]);
    if let Some(page) = Page::open(&scratch.at("demo/report.html")) {
        page.assert_drawn(7);
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
        assert!(count > 1000, "{series}: {count} samples only");
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

/// Two runs side by side differ in nothing but chance; a third gets its answers 2 ms later.
#[test]
fn diff_finds_two_milliseconds_and_not_none() {
    let strict = |scratch: &Scratch, a: &str, b: &str| {
        let (a, b) = (scratch.at(a), scratch.at(b));
        loadgen(&["diff".as_ref(), "--strict".as_ref(), &a, &b])
    };
    // Chance finds something in one pair of twenty; what is there is found every time.
    let says_no_difference = (0..ROUNDS).any(|round| {
        let scratch = Scratch::new(&format!("diff-{round}"));
        if !three_at_once(&scratch) {
            return false;
        }
        let (code, text) = strict(&scratch, "a", "later");
        let p50_ms = text.split("verdict: p50 +").nth(1);
        let p50_ms: f64 = p50_ms
            .and_then(|rest| rest.split(' ').next()?.parse().ok())
            .unwrap_or_else(|| panic!("2 ms were not found: {text}"));
        assert!((1.5..3.0).contains(&p50_ms), "{text}");
        assert_eq!(code, Some(1), "{text}");
        let (code, text) = strict(&scratch, "a", "b");
        text.contains("verdict: no difference") && code == Some(0)
    });
    assert!(
        says_no_difference,
        "{ROUNDS} times a difference that is none"
    );
}

const ROUNDS: u32 = 5;

/// Bundles `a`, `b` and `later`, made at the same time: what the machine does meanwhile is common to them.
/// Whether each of the three got the time it needs for a statement.
fn three_at_once(scratch: &Scratch) -> bool {
    let run = |name: &str, delay: Duration| {
        let server = Server::start(move |wire, _| delayed(wire, delay).map(drop));
        let words = "--connections 5 --rate 200/s --duration 4s --threads 1 --seed 1";
        let ended = Generator::report(&server.url(), words, scratch.at(name)).end();
        ended.assert_code(0);
        !ended.is_starved()
    };
    thread::scope(|scope| {
        let others = [
            scope.spawn(|| run("b", DELAY)),
            scope.spawn(|| run("later", DELAY + Duration::from_millis(2))),
        ];
        let mine = run("a", DELAY);
        others.into_iter().all(|other| other.join().unwrap()) && mine
    })
}

/// Runs one of the commands that only read and write files: exit code and output.
fn loadgen(words: &[&Path]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_loadgen"));
    let output = command.args(words).output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (
        output.status.code(),
        String::from_utf8_lossy(&text).into_owned(),
    )
}
