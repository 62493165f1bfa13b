//! Times: a delay is reported as it is, and a stall in full, although nobody was there to answer.

use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use crate::harness::{DelayedServer, Generator, Server, hold_until, now, op};

const DELAY: Duration = Duration::from_millis(20);

#[test]
fn twenty_milliseconds_are_reported_as_twenty() {
    let server = DelayedServer::start(DELAY);
    let words = "--connections 4 --rate 200/s --duration 4s";
    let ended = Generator::run(&server.url(), words).end();
    let holding = server.finish();
    ended.assert_balanced();
    assert!(holding.count() > 100, "{}", ended.story());
    let truth_ms = holding.median_ms();
    // A round trip has three more wake-ups than what the server measured: the generator's to send, the
    // server's to read, the generator's to read. Nine in ten took no longer than `wake_ms`, so that at least
    // seven in ten of the sums, and with them the median, stay below three.
    let wake_ms = holding.wake_ms(&ended);
    for series in ["service", "response"] {
        let p50_ms = ended.number(&format!("/latency_ms/{series}/p50"));
        // Histograms have three digits: 0.02 ms here.
        assert!(
            p50_ms >= truth_ms - 0.05 && p50_ms <= truth_ms + 1.0 + 3.0 * wake_ms,
            "{series} p50 {p50_ms} ms, held for {truth_ms} ms, wake-ups {wake_ms} ms"
        );
    }
}

/// Freezes for a second of every ten, beginning three seconds after the first message.
struct Freezer {
    first: OnceLock<Instant>,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    /// The longest time a message found at the door waited.
    longest: Duration,
    /// From the first message to the last.
    span: Duration,
}

impl Freezer {
    fn pass(&self) {
        let since_first = self.first.get_or_init(now).elapsed();
        let in_period = Duration::from_secs_f64(since_first.as_secs_f64() % 10.0);
        if (FREEZE_AT..FREEZE_AT + FREEZE).contains(&in_period) {
            hold_until(now() + FREEZE_AT + FREEZE - in_period);
            let thawed = self.first.get().expect("set above").elapsed();
            let waited = thawed.saturating_sub(since_first);
            let mut seen = self.seen.lock().unwrap();
            seen.longest = waited.max(seen.longest);
        }
        let mut seen = self.seen.lock().unwrap();
        seen.span = since_first.max(seen.span);
    }
}

const FREEZE_AT: Duration = Duration::from_secs(3);
const FREEZE: Duration = Duration::from_secs(1);
const RATE_PER_S: f64 = 300.0;

#[test]
fn a_frozen_second_is_seen_by_those_who_would_have_asked_in_it() {
    let freezer = Arc::new(Freezer {
        first: OnceLock::new(),
        seen: Mutex::default(),
    });
    let door = Arc::clone(&freezer);
    let server = Server::start(move |mut wire, _| {
        wire.upgrade()?;
        loop {
            let message = wire.read_message()?;
            door.pass();
            wire.send_frame(op::FIN | message.opcode(), &message.payload)?;
        }
    });
    let words = format!("--connections 5 --rate {RATE_PER_S}/s --duration 10s");
    let ended = Generator::run(&server.url(), &words).end();
    server.finish();
    ended.assert_balanced();
    let seen = freezer.seen.lock().unwrap();
    let frozen_ms = seen.longest.as_secs_f64() * 1e3;
    assert!(
        frozen_ms > 900.0,
        "the server froze for {frozen_ms} ms only"
    );
    let response = |quantile: &str| ended.number(&format!("/latency_ms/response/{quantile}"));
    // A tenth of the messages were meant to be sent in the frozen second and waited for what was left of
    // it: the slowest thousandth nearly all of it. A closed loop would have asked five times in that
    // second, 0.2 % of its messages, and have seen nothing at its p99.
    let p999_ms = response("p999");
    let own_ms = ended.number("/latency_ms/lateness/max");
    assert!(
        p999_ms > 0.9 * frozen_ms && p999_ms < 1.5 * frozen_ms + own_ms,
        "p99.9 {p999_ms} of {frozen_ms} ms, the generator was {own_ms} ms late"
    );
    assert!(
        response("p99") > 0.7 * frozen_ms,
        "p99 {} of {frozen_ms} ms",
        response("p99")
    );
    let service_p50_ms = ended.number("/latency_ms/service/p50");
    assert!(
        service_p50_ms < 0.1 * frozen_ms,
        "service p50 {service_p50_ms} ms"
    );
    // The rate was held: the freeze cost no message.
    let sent = ended.count("/messages/sent") as f64;
    let meant = RATE_PER_S * seen.span.as_secs_f64();
    assert!(
        sent > 0.9 * meant,
        "{sent} sent in {:?}, {meant} were meant to be",
        seen.span
    );
    assert_eq!(ended.count("/messages/lost"), 0);
}
