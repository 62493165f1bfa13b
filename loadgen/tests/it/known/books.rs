//! Counts: what the server did wrong is in the report, to the message, and nothing of it is throughput.

use std::collections::HashSet;
use std::io;
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex};

use crate::harness::{Ended, Frame, Generator, PATIENCE, Server, Wire, echo, op};

/// What becomes of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Right,
    /// Another payload, length or opcode.
    Wrong,
    /// Right, and once more.
    Twice,
    /// No answer.
    Dropped,
    /// Answered after the next one of its connection.
    Overtaken,
}

/// What the server did, by its own count.
#[derive(Debug, Default)]
struct Log {
    /// Messages read.
    messages: u64,
    wrong: u64,
    twice: u64,
    dropped: u64,
    overtaken: u64,
    /// Frames without a mask, or with a key seen before.
    bad_masks: u64,
    keys: HashSet<[u8; 4]>,
}

impl Log {
    fn note(&mut self, frame: &Frame, fate_of: fn(u64) -> Fate) -> (u64, Fate) {
        let number = self.messages;
        self.messages += 1;
        let is_new = frame.key.is_some_and(|key| self.keys.insert(key));
        self.bad_masks += u64::from(!is_new);
        (number, fate_of(number))
    }
}

/// Runs echo against a server that does this to the n-th message, until it has read [`MESSAGES`].
///
/// Nothing here depends on how fast that goes. The patience for an answer is one that no machine tries, and
/// it need not run out: the server is faithful in the end (see [`every_seventh`]), so that every connection
/// ends with an answer, and what is missing before it is found at once. The payloads are longer than
/// their stamp: a stamp alone, with one bit of it changed, is the stamp of another message, and rightly taken
/// for an answer to that one.
fn run(fate_of: fn(u64) -> Fate) -> (Ended, Log) {
    let log = Arc::new(Mutex::new(Log::default()));
    let kept = Arc::clone(&log);
    let (enough, has_enough) = mpsc::channel();
    let server = Server::start(move |wire, _| unreliable(wire, fate_of, &kept, &enough));
    let words = "--connections 4 --rate 400/s --size 48-200 --duration 10m --answer-timeout 60s";
    let generator = Generator::run(&server.url(), words);
    let waited = has_enough.recv_timeout(PATIENCE);
    waited.expect("the server reads as many messages as it wants");
    generator.signal("INT");
    let ended = generator.end();
    server.finish();
    let log = Arc::into_inner(log).expect("every story has ended");
    let log = log.into_inner().unwrap();
    ended.assert_balanced();
    assert_eq!(
        ended.count("/messages/sent"),
        log.messages,
        "{}",
        ended.story()
    );
    (ended, log)
}

/// This happens to every seventh of the first messages.
fn every_seventh(number: u64, fate: Fate) -> Fate {
    if number % 7 == 3 && number < TROUBLE {
        fate
    } else {
        Fate::Right
    }
}

/// Messages after which nothing happens to any.
const TROUBLE: u64 = 600;
/// Every seventh of them.
const EVERY_SEVENTH: u64 = 86;
/// Messages that are enough.
const MESSAGES: u64 = 1000;

fn unreliable(
    mut wire: Wire,
    fate_of: fn(u64) -> Fate,
    log: &Mutex<Log>,
    enough: &Sender<()>,
) -> io::Result<()> {
    wire.upgrade()?;
    let mut overtaken: Option<Frame> = None;
    loop {
        let message = wire.read_message().inspect_err(|_| {
            // Held back for a message that never came: nobody answered it.
            log.lock().unwrap().dropped += u64::from(overtaken.is_some());
        })?;
        let (number, fate) = log.lock().unwrap().note(&message, fate_of);
        if number == MESSAGES {
            enough.send(()).ok();
        }
        let first = op::FIN | message.opcode();
        let mut log = log.lock().unwrap();
        match fate {
            Fate::Right => wire.send_frame(first, &message.payload)?,
            Fate::Wrong => {
                let (first, payload) = spoilt(number, first, &message.payload);
                wire.send_frame(first, &payload)?;
                log.wrong += 1;
            }
            Fate::Twice => {
                wire.send_frame(first, &message.payload)?;
                wire.send_frame(first, &message.payload)?;
                log.twice += 1;
            }
            Fate::Dropped => log.dropped += 1,
            // At most one at a time: a second one would overtake the first.
            Fate::Overtaken if overtaken.is_none() => {
                overtaken = Some(message);
                continue;
            }
            Fate::Overtaken => wire.send_frame(first, &message.payload)?,
        }
        if let Some(late) = overtaken.take() {
            wire.send_frame(op::FIN | late.opcode(), &late.payload)?;
            log.overtaken += 1;
        }
    }
}

/// Another message than the one that came, each time in another way; text stays text.
fn spoilt(number: u64, first: u8, payload: &[u8]) -> (u8, Vec<u8>) {
    let mut payload = payload.to_vec();
    match number % 5 {
        0 => return (first ^ 3, payload),
        1 => drop(payload.pop()),
        2 => payload.push(b'.'),
        _ => {
            let at = number as usize * 7 % payload.len();
            payload[at] ^= 1;
        }
    }
    (first, payload)
}

#[test]
fn a_faithful_echo_is_counted_to_the_message() {
    let (ended, log) = run(|_| Fate::Right);
    assert_eq!(ended.count("/messages/received"), log.messages);
    assert_eq!(ended.count("/messages/errors"), 0);
    ended.assert_code(0);
    for count in ["requested", "connected", "upgraded", "proven_alive"] {
        assert_eq!(ended.count(&format!("/connections/{count}")), 4, "{count}");
    }
    // Two equal keys among a thousand happen once in ten thousand runs; ten would be a pattern.
    assert!(
        log.bad_masks < 10,
        "{} masks are missing or repeat",
        log.bad_masks
    );
}

#[test]
fn wrong_echoes_are_errors_and_their_messages_lost() {
    let (ended, log) = run(|number| every_seventh(number, Fate::Wrong));
    assert_eq!(log.wrong, EVERY_SEVENTH);
    assert_eq!(
        ended.class("/messages/error_classes", "wrong_echo"),
        log.wrong,
        "{}",
        ended.story()
    );
    let errors = ended.count("/messages/errors");
    assert_eq!(errors, log.wrong, "{}", ended.story());
    assert_eq!(ended.count("/messages/received"), log.messages - log.wrong);
    assert_eq!(ended.count("/messages/lost"), log.wrong);
    ended.assert_code(1);
}

#[test]
fn duplicates_are_errors_and_nothing_else() {
    let (ended, log) = run(|number| every_seventh(number, Fate::Twice));
    assert_eq!(log.twice, EVERY_SEVENTH);
    assert_eq!(
        ended.class("/messages/error_classes", "duplicate"),
        log.twice,
        "{}",
        ended.story()
    );
    assert_eq!(ended.count("/messages/errors"), log.twice);
    assert_eq!(ended.count("/messages/received"), log.messages);
    assert_eq!(ended.count("/messages/lost"), 0);
    ended.assert_code(1);
}

#[test]
fn dropped_echoes_are_lost() {
    let (ended, log) = run(|number| every_seventh(number, Fate::Dropped));
    assert_eq!(log.dropped, EVERY_SEVENTH);
    assert_eq!(
        ended.count("/messages/lost"),
        log.dropped,
        "{}",
        ended.story()
    );
    assert_eq!(
        ended.count("/messages/received"),
        log.messages - log.dropped
    );
    assert_eq!(
        ended.count("/messages/in_flight"),
        0,
        "all had time to be found lost"
    );
    ended.assert_code(1);
}

#[test]
fn echoes_out_of_order_are_errors() {
    let (ended, log) = run(|number| every_seventh(number, Fate::Overtaken));
    assert!(log.overtaken > 20);
    assert_eq!(
        ended.class("/messages/error_classes", "out_of_order"),
        log.overtaken,
        "{}",
        ended.story()
    );
    // Two findings each: a message was skipped, and then it came after all. For a conversation that relies
    // on the order it was lost when the next one overtook it.
    assert_eq!(ended.class("/messages/error_classes", "gap"), log.overtaken);
    assert_eq!(ended.count("/messages/lost"), log.overtaken + log.dropped);
    assert_eq!(ended.count("/messages/errors"), 2 * log.overtaken);
    ended.assert_code(1);
}

/// A condition that the user states decides alone: who expects loss can say how much.
#[test]
fn thresholds_decide_alone() {
    let server = Server::start(|wire, _| echo(wire));
    let quick = "--connections 2 --rate 50/s --duration 1s";
    let held = Generator::run(&server.url(), &format!("{quick} --fail-if sent<1")).end();
    let crossed = Generator::run(&server.url(), &format!("{quick} --fail-if sent>1")).end();
    held.assert_code(0);
    crossed.assert_code(1);
    let outcome = crossed.value("/verdict/outcome");
    assert!(outcome == "fail" || crossed.is_starved(), "{outcome}");
}
