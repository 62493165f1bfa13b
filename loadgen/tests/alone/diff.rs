//! `diff` of real runs: equal ones, and one with 2 ms added.

use std::thread;
use std::time::Duration;

use crate::alone;
use crate::harness::{DelayedServer, Generator, Scratch, loadgen, skipped};

/// Two runs side by side differ in nothing but chance; a third gets its answers 2 ms later.
///
/// Only what a quiet moment says counts, and the runs themselves say what was one: where wake-ups come late,
/// 2 ms are lost among them, and equal runs are not equal. What `diff` finds in invented runs is in `bundles`,
/// and does not depend on any machine.
#[test]
fn diff_finds_two_milliseconds_and_not_none() {
    let _alone = alone();
    let strict = |scratch: &Scratch, a: &str, b: &str| {
        let (a, b) = (scratch.at(a), scratch.at(b));
        loadgen(&["diff".as_ref(), "--strict".as_ref(), &a, &b])
    };
    let mut quiet = 0;
    for round in 0..ROUNDS {
        let scratch = Scratch::new(&format!("diff-{round}"));
        let Some(added_ms) = three_at_once(&scratch) else {
            continue;
        };
        quiet += 1;
        let (code, text) = strict(&scratch, "a", "later");
        let p50_ms = text.split("verdict: p50 +").nth(1);
        let p50_ms: f64 = p50_ms
            .and_then(|rest| rest.split(' ').next()?.parse().ok())
            .unwrap_or_else(|| panic!("{added_ms} ms were not found: {text}"));
        assert!(
            (p50_ms - added_ms).abs() < 3.0 * QUIET_MS,
            "{added_ms}: {text}"
        );
        assert_eq!(code, Some(1), "{text}");
        let (code, text) = strict(&scratch, "a", "b");
        if text.contains("verdict: no difference") {
            assert_eq!(code, Some(0), "{text}");
            return;
        }
        // Chance finds something in one pair of twenty; what is there is found every time.
        assert!(quiet < 4, "four times a difference that is none: {text}");
    }
    skipped("it needs a machine that has nothing else to do for four seconds");
}

const ROUNDS: u32 = 6;
/// Nine in ten wake-ups came earlier than this, in all three servers and generators.
const QUIET_MS: f64 = 0.3;

/// Bundles `a`, `b` and `later`, made at the same time: what the machine does meanwhile is common to them.
/// What the servers' own clocks say was added to `later`, if it was quiet enough to see.
fn three_at_once(scratch: &Scratch) -> Option<f64> {
    let run = |name: &str, delay: Duration| {
        let server = DelayedServer::start(delay);
        let words = "--connections 5 --rate 200/s --duration 4s --threads 1 --seed 1";
        let ended = Generator::report(&server.url(), words, scratch.at(name)).end();
        ended.assert_code(0);
        let holding = server.finish();
        let is_quiet = !ended.is_starved() && holding.wake_ms(&ended) < QUIET_MS;
        is_quiet.then(|| holding.median_ms())
    };
    thread::scope(|scope| {
        let b = scope.spawn(|| run("b", DELAY));
        let later = scope.spawn(|| run("later", DELAY + Duration::from_millis(2)));
        let a = run("a", DELAY);
        let (b, later) = (b.join().unwrap(), later.join().unwrap());
        b.and(Some(later? - a?))
    })
}

const DELAY: Duration = Duration::from_millis(20);
