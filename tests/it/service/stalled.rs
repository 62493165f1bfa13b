//! A subscriber that does not read, beside one that does, while far more is published than anybody
//! may keep: what becomes of it under each policy, that the other one misses nothing, and that memory
//! stays where the configuration puts it.
//!
//! The publisher is never further ahead of the healthy one than the healthy one may lag.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use serde_json::json;
use socket2::{Domain, Socket, Type};

use super::client::{Client, position_of};
use super::{CENTRIFUGE, Folder, Talk, knock};
use crate::harness::{PATIENCE, Server, Vitals, Wire, op};

const ROOM: &str = "feed:room";
const KEYS: u64 = 10;
const WORD_BYTES: usize = 16 << 10;
/// Words that the healthy one has not read yet: half of what makes one too slow.
const AHEAD_MAX: u64 = 32;
const HARD_BYTES: u64 = 1 << 20;
const HISTORY_BYTES: u64 = 32 << 20;
/// What is kept for one laggard while it misses something (`hub::lag`).
const KEPT_BYTES: u64 = 256 << 10;
/// Buffers, the publications under way, what an allocator keeps: measured 5 MiB, and a debug build's own.
const HOUSEHOLD_BYTES: u64 = 16 << 20;
/// What is published between two looks of the one that catches up: less than the history keeps.
const ROUND_BYTES: u64 = HISTORY_BYTES / 2;

/// What the test command publishes under each policy.
const USUAL_BYTES: u64 = 64 << 20;

#[test]
fn who_stalls_is_disconnected_and_told_why() {
    disconnect(USUAL_BYTES);
}

#[test]
fn who_stalls_loses_the_oldest_and_is_told_which() {
    drop_oldest(USUAL_BYTES);
}

#[test]
fn who_stalls_gets_the_latest_of_each_key() {
    conflate(USUAL_BYTES);
}

#[test]
fn who_stalls_resumes_from_the_history_or_is_told_that_it_cannot() {
    resume(USUAL_BYTES);
}

/// The size that the product was promised at, under each policy.
///
/// ```text
/// THRONG_TEST_BIN=target/release/throng cargo test --release --test it -- --ignored --nocapture two_gigabytes
/// ```
#[test]
#[ignore = "publishes 8 GB, which takes a minute or two of a release build"]
fn two_gigabytes_pass_a_stalled_subscriber_under_each_policy() {
    for policy in [disconnect, drop_oldest, conflate, resume] {
        policy(2 << 30);
    }
}

fn disconnect(bytes: u64) {
    let feed = Feed::new("disconnect");
    let mut stalled = feed.subscriber(Dialect::Centrifuge);
    thread::scope(|scope| {
        let (server, address) = (&feed.server, feed.server.addr());
        let hearing = scope.spawn(move || Healthy::new(address).publish(bytes).finish());
        server.wait_log("disconnected, it reads too slowly");
        let (words, told) = stalled.in_order(0);
        assert!(words > 0);
        assert_eq!(told, Told::Closed(Some(3008)));
        hearing.join().unwrap();
    });
    feed.check("disconnect", 1);
}

fn drop_oldest(bytes: u64) {
    let feed = Feed::new("drop-oldest");
    let mut chatting = feed.subscriber(Dialect::Chat);
    let mut numbered = feed.subscriber(Dialect::Centrifuge);
    let end = Healthy::new(feed.server.addr())
        .publish(bytes)
        .finish()
        .end();
    let (words, told) = chatting.in_order(0);
    let Told::Gap(gap) = told else {
        panic!("{told:?} behind {words} words");
    };
    assert_eq!(gap, Gap::between(words, gap.last + 1), "all of it is told");
    chatting.until(gap.last, end);
    // Where the dialect has no message for it, the next publication says it.
    let (words, told) = numbered.in_order(0);
    let Told::Word { offset, gap, .. } = told else {
        panic!("{told:?} behind {words} words");
    };
    assert!(offset > words + 1 && end - offset < KEPT_BYTES / WORD_BYTES as u64);
    let gap = gap.expect("the first word behind a gap tells of it");
    assert_eq!(gap, Gap::between(words, offset));
    numbered.until(offset, end);
    let received = words + 1 + end - offset;
    assert_eq!(received + gap.missed, end, "everything published");
    feed.check("drop-oldest", 2);
}

fn conflate(bytes: u64) {
    let feed = Feed::new("conflate");
    let mut stalled = feed.subscriber(Dialect::Centrifuge);
    let healthy = Healthy::new(feed.server.addr()).publish(bytes).finish();
    let (words, mut told) = stalled.in_order(0);
    let mut latest = BTreeMap::new();
    let mut before = words;
    loop {
        let Told::Word { offset, key, .. } = told else {
            panic!("{told:?} behind {before}");
        };
        assert!(offset > before, "in order");
        before = offset;
        assert_eq!(latest.insert(key, offset), None, "one of each key");
        if offset == healthy.end() {
            break;
        }
        told = stalled.told();
    }
    assert_eq!(latest, healthy.latest);
    feed.check("conflate", 1);
}

fn resume(bytes: u64) {
    let feed = Feed::new("resume");
    let mut catching_up = feed.subscriber(Dialect::Centrifuge);
    let mut chatting = feed.subscriber(Dialect::Chat);
    let mut asleep = feed.subscriber(Dialect::Centrifuge);
    let mut healthy = Healthy::new(feed.server.addr());
    let mut heard = 0;
    for _ in 0..bytes / ROUND_BYTES {
        healthy = healthy.publish(ROUND_BYTES);
        catching_up.until(heard, healthy.said);
        heard = healthy.said;
    }
    let end = healthy.finish().end();
    catching_up.until(heard, end);
    // What the history has let go of meanwhile cannot be resumed, and that is said.
    let (words, told) = chatting.in_order(0);
    let Told::Gap(gap) = told else {
        panic!("{told:?} behind {words} words");
    };
    assert_eq!(gap, Gap::between(words, gap.last + 1));
    chatting.until(gap.last, end);
    let (words, told) = asleep.in_order(0);
    assert!(words > 0);
    assert_eq!(told, Told::Out(2500));
    feed.check("resume", 3);
}

/// A server with one namespace of that policy.
struct Feed {
    server: Server,
    start: Vitals,
    _folder: Folder,
}

impl Feed {
    fn new(policy: &str) -> Self {
        let folder = Folder::new(&format!("stalled-{policy}"));
        let config = format!(
            r#"
            [auth]
            anonymous = "on"
            [[namespaces]]
            name = "feed"
            history_size = 1000000
            subscribe = "anyone"
            publish = "anyone"
            read = "anyone"
            slow = "{policy}"
            "#
        );
        let server = folder
            .closed(&config)
            .flag("history-memory", HISTORY_BYTES)
            .flag("slow-hard", HARD_BYTES)
            .flag("slow-soft-time", "1h")
            // Nobody who stalls answers pings, or a Close, or takes a byte for as long as the kernel waits.
            .flag("ping-interval", 0)
            .flag("close-timeout", "1h")
            .flag("user-timeout", 0)
            .start();
        let start = server.vitals();
        Self {
            server,
            start,
            _folder: folder,
        }
    }

    fn subscriber(&self, dialect: Dialect) -> Subscriber {
        let mut wire = small_wire(self.server.addr());
        let target = match dialect {
            Dialect::Centrifuge => CENTRIFUGE,
            Dialect::Chat => "/ws/chat",
        };
        let head = knock(&mut wire, target, "");
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        match dialect {
            Dialect::Centrifuge => {
                let mut client = Client::log_in(wire, "");
                client.subscribe(ROOM, None);
                wire = client.wire;
            }
            Dialect::Chat => {
                wire.say(&json!({ "type": "join", "room": ROOM }).to_string());
                wire.hear_of(r#""type":"joined""#);
            }
        }
        Subscriber { wire, dialect }
    }

    /// Nothing has ever taken more than it may, however much went through.
    #[allow(clippy::print_stdout, reason = "the figures of the large version")]
    fn check(&self, policy: &str, laggards: u64) {
        let peak = Vitals::peak_rss_bytes(self.server.pid());
        let growth = peak.saturating_sub(self.start.rss_bytes);
        let budget = HISTORY_BYTES + laggards * (HARD_BYTES + KEPT_BYTES) + HOUSEHOLD_BYTES;
        println!(
            "{policy}: {} KiB at the most, of {} KiB",
            growth >> 10,
            budget >> 10
        );
        assert!(growth <= budget, "{policy}: {growth} bytes of {budget}");
    }
}

/// One whose kernel holds little, so that it is soon felt that it does not read.
fn small_wire(address: SocketAddr) -> Wire {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(64 << 10).unwrap();
    socket.connect(&address.into()).unwrap();
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    Wire::over(stream)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Dialect {
    Centrifuge,
    Chat,
}

/// What a subscriber is told.
#[derive(PartialEq, Eq, Debug)]
enum Told {
    Word {
        offset: u64,
        key: String,
        /// What was left out before it.
        gap: Option<Gap>,
    },
    Gap(Gap),
    Out(u64),
    Closed(Option<u16>),
}

/// What was left out, by its own count.
#[derive(PartialEq, Eq, Debug)]
struct Gap {
    missed: u64,
    first: u64,
    last: u64,
}

impl Gap {
    /// What lies between two words that were heard.
    fn between(before: u64, behind: u64) -> Self {
        Self {
            missed: behind - before - 1,
            first: before + 1,
            last: behind - 1,
        }
    }

    /// From a publication's tags.
    fn of(text: &str) -> Option<Self> {
        let (first, last) = value_of(text, "missed_offsets")?.split_once('-')?;
        Some(Self {
            missed: value_of(text, "missed")?.parse().ok()?,
            first: first.parse().ok()?,
            last: last.parse().ok()?,
        })
    }
}

/// The string that a member of this name has.
fn value_of<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    let (_, rest) = text.split_once(&format!("\"{name}\":\""))?;
    rest.split('"').next()
}

struct Subscriber {
    wire: Wire,
    dialect: Dialect,
}

impl Subscriber {
    fn told(&mut self) -> Told {
        let Some(frame) = self.wire.read_frame() else {
            return Told::Closed(None);
        };
        if frame.first != op::FIN | op::TEXT {
            return Told::Closed(frame.close_code());
        }
        let text = String::from_utf8(frame.payload).unwrap();
        let name = match self.dialect {
            Dialect::Centrifuge => "\"offset\":",
            Dialect::Chat => "\"seq\":",
        };
        // By hand: the rest of a word is long, and says nothing.
        if let Some((_, rest)) = text.rsplit_once(name) {
            let digits = rest.split(|letter: char| !letter.is_ascii_digit()).next();
            return Told::Word {
                offset: digits.unwrap().parse().unwrap(),
                key: value_of(rest, "key").unwrap_or_default().to_owned(),
                gap: Gap::of(rest),
            };
        }
        let line: serde_json::Value = serde_json::from_str(&text).unwrap();
        if line["type"] == "gap" {
            let number = |name: &str| line[name].as_u64().unwrap();
            return Told::Gap(Gap {
                missed: number("missed"),
                first: number("first"),
                last: number("last"),
            });
        }
        let code = line["push"]["unsubscribe"]["code"].as_u64();
        Told::Out(code.unwrap_or_else(|| panic!("{text}")))
    }

    /// Words without a gap behind that offset: the last of them, and what came instead of the next.
    fn in_order(&mut self, mut heard: u64) -> (u64, Told) {
        loop {
            match self.told() {
                Told::Word { offset, .. } if offset == heard + 1 => heard = offset,
                other => return (heard, other),
            }
        }
    }

    /// Every word behind that offset, up to that one.
    fn until(&mut self, heard: u64, end: u64) {
        for wanted in heard + 1..=end {
            match self.told() {
                Told::Word { offset, .. } => assert_eq!(offset, wanted),
                other => panic!("{other:?} instead of {wanted}"),
            }
        }
    }
}

/// Who publishes, and one who reads it at once.
struct Healthy {
    publisher: Client,
    said: u64,
    filler: String,
    offsets: Receiver<u64>,
    read: u64,
    hearing: thread::JoinHandle<BTreeMap<String, u64>>,
}

/// What the healthy one has heard: everything, and the last of each key.
struct HeardAll {
    latest: BTreeMap<String, u64>,
}

impl HeardAll {
    fn end(&self) -> u64 {
        self.latest["end"]
    }
}

impl Healthy {
    fn new(address: SocketAddr) -> Self {
        let mut client = Client::connect(address, "");
        let start = position_of(&client.subscribe(ROOM, None));
        assert_eq!(start.offset, 0);
        let subscriber = Subscriber {
            wire: client.wire,
            dialect: Dialect::Centrifuge,
        };
        let (tell, offsets) = channel();
        Self {
            publisher: Client::connect(address, ""),
            said: 0,
            filler: "x".repeat(WORD_BYTES),
            offsets,
            read: 0,
            hearing: thread::spawn(move || hear(subscriber, &tell)),
        }
    }

    fn publish(mut self, bytes: u64) -> Self {
        for _ in 0..bytes / WORD_BYTES as u64 {
            let key = format!("k{}", self.said % KEYS);
            self.say(&key);
        }
        self.wait_until_read(self.said);
        self
    }

    fn say(&mut self, key: &str) {
        let Self {
            said,
            filler,
            publisher,
            ..
        } = self;
        *said += 1;
        publisher.wire.say(&format!(
            r#"{{"id":{said},"publish":{{"channel":"{ROOM}","data":"{filler}","key":"{key}"}}}}"#
        ));
        let answer = publisher.next().unwrap();
        assert!(answer["publish"].is_object(), "{answer}");
        self.wait_until_read(self.said.saturating_sub(AHEAD_MAX));
    }

    fn wait_until_read(&mut self, offset: u64) {
        while self.read < offset {
            let read = self.offsets.recv_timeout(PATIENCE);
            self.read = read.expect("the healthy one reads");
        }
    }

    fn finish(mut self) -> HeardAll {
        self.say("end");
        HeardAll {
            latest: self.hearing.join().unwrap(),
        }
    }
}

/// Hears everything up to the end, without a gap.
fn hear(mut subscriber: Subscriber, tell: &Sender<u64>) -> BTreeMap<String, u64> {
    let mut latest = BTreeMap::new();
    for wanted in 1.. {
        let Told::Word { offset, key, gap } = subscriber.told() else {
            panic!("the healthy one is told something else");
        };
        assert_eq!(
            (offset, gap),
            (wanted, None),
            "the healthy one misses something"
        );
        let is_end = key == "end";
        latest.insert(key, offset);
        // Whoever published does not care any more, in the end.
        let _ = tell.send(offset);
        if is_end {
            break;
        }
    }
    latest
}
