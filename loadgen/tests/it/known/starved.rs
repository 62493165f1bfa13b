//! A generator that gets no processor says so, and does not blame the server.

use std::sync::mpsc;
use std::time::Duration;

use crate::harness::{Generator, PATIENCE, Server, echo, hold_until, now, op};

/// A faithful echo that tells when the first message came.
fn announcing() -> (Server, mpsc::Receiver<()>) {
    let (first, came) = mpsc::channel();
    let server = Server::start(move |mut wire, _| {
        wire.upgrade()?;
        loop {
            let message = wire.read_message()?;
            first.send(()).ok();
            wire.send_frame(op::FIN | message.opcode(), &message.payload)?;
        }
    });
    (server, came)
}

/// Stops the generator like a busy machine would, only on purpose.
fn pulse(generator: &Generator, length: Duration) {
    generator.signal("STOP");
    hold_until(now() + length);
    generator.signal("CONT");
}

#[test]
fn a_starved_second_is_marked_and_not_judged() {
    let (server, first) = announcing();
    // The stopped two seconds are a third of the run: judged with them, its p99 would be near 2 s. Between
    // that and the condition is more than a busy machine takes from anybody by itself.
    let words = "--connections 4 --rate 400/s --duration 6s --fail-if p99>1s";
    let generator = Generator::run(&server.url(), words);
    first
        .recv_timeout(PATIENCE)
        .expect("the first message came");
    hold_until(now() + Duration::from_millis(1200));
    pulse(&generator, Duration::from_secs(2));
    let ended = generator.end();
    ended.assert_balanced();
    assert!(ended.count("/generator/limited_s") > 0, "{}", ended.story());
    let warnings = ended.warnings();
    assert!(
        warnings.contains("the generator itself was the limit"),
        "{warnings}"
    );
    assert!(
        ended.number("/latency_ms/lateness/p99") > 1000.0,
        "lateness has its histogram"
    );
    assert!(
        ended.number("/latency_ms/response/p99") > 1000.0,
        "recorded like all others"
    );
    ended.assert_code(0);
    // Nothing at all is judged where other programs made every second a late one.
    let judged = ended.value("/verdict/thresholds/0/observed").as_f64();
    assert!(
        judged.map_or(ended.is_starved(), |ms| ms < 1000.0),
        "judged with the starved second: {judged:?} ms; {}",
        ended.story()
    );
}

#[test]
fn a_generator_starved_throughout_allows_no_statement() {
    let (server, first) = announcing();
    let words = "--connections 4 --rate 400/s --duration 4s --fail-if p99>10s";
    let generator = Generator::run(&server.url(), words);
    first
        .recv_timeout(PATIENCE)
        .expect("the first message came");
    // To the end, however long the machine makes that, and stopped most of the time.
    for _ in 0..100 {
        pulse(&generator, Duration::from_millis(400));
        if generator.ends_within(Duration::from_millis(200)) {
            break;
        }
    }
    let ended = generator.end();
    ended.assert_balanced();
    assert_eq!(
        ended.value("/verdict/outcome"),
        "invalid",
        "{}",
        ended.story()
    );
    assert_eq!(ended.code, Some(3), "{}", ended.story());
}

/// The control: left alone, the same run is judged in full. Where other programs take the processor away,
/// the mark is right, and the late seconds must be there to prove it.
#[test]
fn a_generator_left_alone_has_nothing_to_mark() {
    let server = Server::start(|wire, _| echo(wire));
    let words = "--connections 4 --rate 100/s --duration 3s";
    let ended = Generator::run(&server.url(), words).end();
    let limited_s = ended.count("/generator/limited_s");
    let late = ended.number("/latency_ms/lateness/max") >= 10.0;
    assert!(
        limited_s == 0 || late,
        "marked without a reason: {}",
        ended.story()
    );
}
