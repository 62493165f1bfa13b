//! The loop in scripted worlds: no socket, no clock, no sleep.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::sync::Arc;

use super::mailbox::{Post, mailbox};
use super::script::{Script, ScriptHost};
use super::*;
use crate::http1::Head;
use crate::limits::Limits;
use crate::metrics::Board;
use crate::proxy::Trusted;
use crate::ws::close::{CloseCode, Violation};
use crate::ws::deflate::DeflateConfig;
use crate::ws::frame::{Kind, Opcode, append_frame};
use crate::ws::message::Message;

mod accepting;
mod fairness;
mod figures;
mod leaving;
mod panics;
mod pressure;
mod proxied;
mod quiet;
mod stage;
mod tls;
mod transcripts;

const KEY: [u8; 4] = [1, 2, 3, 4];
const REQUEST: &[u8] =
    b"GET /echo HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

/// Echoes; `panic`, `close`, `doom` (panics when told of the end), `to <id>`, `all`, `wave` (three
/// frames to each, one connection a turn), `part <id>` and `heart` (has a heartbeat of its own) are
/// commands, and two paths panic. Endings are written down.
#[derive(Default)]
struct Parrot {
    flock: Vec<ConnId>,
    endings: Rc<RefCell<Vec<(ConnId, Ending)>>>,
    /// Those the wave has yet to reach.
    wave: Vec<ConnId>,
    /// What was queued for those it reached; and who has read all since.
    reached: Rc<RefCell<Vec<(ConnId, usize)>>>,
    drained: Rc<RefCell<Vec<ConnId>>>,
}

impl App for Parrot {
    type Conn = Box<u32>;
    type Letter = (ConnId, &'static str);

    fn on_request(&mut self, head: &Head<'_>, peer: &Peer<'_>) -> Answer<Box<u32>> {
        match head.path() {
            "/who" => Answer::Respond {
                status: 200,
                content_type: "text/plain",
                body: format!(
                    "{:?} {:?} {:?}\n",
                    peer.is_tls(),
                    peer.server_name(),
                    peer.certificate().map(|facts| &facts.subject)
                )
                .into(),
            },
            "/where" => Answer::Respond {
                status: 200,
                content_type: "text/plain",
                body: format!("{:?}\n", peer.address()).into(),
            },
            "/panic" => panic!("as asked"),
            "/echo" | "/panic-open" => Answer::Upgrade {
                conn: Box::new(u32::from(head.path() != "/echo")),
                protocol: None,
            },
            _ => Answer::Respond {
                status: 404,
                content_type: "text/plain",
                body: "no\n".into(),
            },
        }
    }

    fn on_open(&mut self, conn: &mut Box<u32>, out: &mut Outbox<'_, Self>) {
        assert_eq!(**conn, 0, "as asked");
        self.flock.push(out.id());
    }

    fn on_message(
        &mut self,
        conn: &mut Box<u32>,
        message: Message<'_>,
        out: &mut Outbox<'_, Self>,
    ) {
        **conn += 1;
        match message.payload() {
            b"panic" => panic!("as told"),
            b"close" => out.close(CloseCode::NORMAL, "bye"),
            b"doom" => **conn = DOOMED,
            b"wave" => self.wave = self.flock.clone(),
            b"heart" => **conn = HEARTED,
            payload if payload.starts_with(b"part ") => {
                let text = std::str::from_utf8(&payload[5..]).expect("tests send text");
                let to = ConnId::from_u64(text.parse().expect("tests send ids"));
                out.others()
                    .close(to, CloseCode::new(4000).expect("it is one"), "so long");
            }
            b"all" => {
                let frame = SharedFrame::message(Kind::Text, b"hello");
                for &to in &self.flock {
                    out.others().deliver(to, &frame);
                }
            }
            payload if payload.starts_with(b"to ") => {
                let text = std::str::from_utf8(&payload[3..]).expect("tests send text");
                let to = ConnId::from_u64(text.parse().expect("tests send ids"));
                out.others()
                    .deliver(to, &SharedFrame::message(Kind::Text, b"hello"));
            }
            _ => out.reply(message),
        }
    }

    fn on_close(
        &mut self,
        id: ConnId,
        conn: Box<u32>,
        ending: Ending,
        _: &mut Outgoing<Self::Letter>,
    ) {
        self.endings.borrow_mut().push((id, ending));
        assert_ne!(*conn, DOOMED, "as told");
    }

    fn on_drained(&mut self, id: ConnId, _: &mut Box<u32>) {
        self.drained.borrow_mut().push(id);
    }

    fn heartbeat(&self, conn: &Box<u32>) -> Option<&'static str> {
        (HEARTED..DOOMED).contains(&**conn).then_some("{}")
    }

    fn on_turn(&mut self, stage: &mut dyn Stage<Self::Letter>) -> Wish {
        let Some(to) = self.wave.pop() else {
            return Wish::Sleep;
        };
        let frames = [1, 2, 3].map(|n| SharedFrame::message(Kind::Binary, &[n; 1000]));
        let queued = stage.deliver(to, &frames);
        self.reached.borrow_mut().push((to, queued));
        match self.wave.is_empty() {
            true => Wish::WithinMs(500),
            false => Wish::Again,
        }
    }

    fn held_bytes(&self, _: &Box<u32>) -> usize {
        SESSION_BYTES
    }

    fn on_letter(&mut self, (to, text): (ConnId, &'static str), out: &mut Outgoing<Self::Letter>) {
        out.deliver(to, &SharedFrame::message(Kind::Text, text.as_bytes()));
    }
}

const DOOMED: u32 = u32::MAX;
const HEARTED: u32 = u32::MAX / 2;
/// What a `Box<u32>` holds.
const SESSION_BYTES: usize = 4;

/// A worker, its host, and time.
struct World {
    worker: Worker<Parrot, ScriptHost>,
    host: ScriptHost,
    post: Post<Mail<(ConnId, &'static str)>>,
    endings: Rc<RefCell<Vec<(ConnId, Ending)>>>,
    reached: Rc<RefCell<Vec<(ConnId, usize)>>>,
    drained: Rc<RefCell<Vec<ConnId>>>,
    now_ms: u64,
    last: Turn,
}

impl World {
    fn new() -> Self {
        Self::with(Limits::default(), 1000)
    }

    fn with(limits: Limits, connections_max: usize) -> Self {
        Self::compressing(limits, connections_max, DeflateConfig::default())
    }

    fn compressing(limits: Limits, connections_max: usize, deflate: DeflateConfig) -> Self {
        Self::made_of(&WorkerConfig {
            limits,
            deflate,
            tls: None,
            proxy_from: Trusted::default(),
            connections_max,
            connections_expected: connections_max,
            house: House::new(connections_max),
            board: Board::new(1),
        })
    }

    fn made_of(config: &WorkerConfig) -> Self {
        let (host, app) = (ScriptHost::new(), Parrot::default());
        let endings = app.endings.clone();
        let (reached, drained) = (app.reached.clone(), app.drained.clone());
        let (post, mailbox) = mailbox(Arc::new(fuzzing::waker()), 64);
        let worker = Worker::new(app, host.clone(), mailbox, vec![post.clone()], config);
        Self {
            worker,
            host,
            post,
            endings,
            reached,
            drained,
            now_ms: 0,
            last: Turn::Wait(0),
        }
    }

    fn turn(&mut self, events: &[Event]) {
        self.last = self.worker.turn(self.now_ms, 0, events.iter().copied());
    }

    /// Turns until the worker would sleep; the bound shows a loop that never rests.
    fn settle(&mut self, events: &[Event]) {
        self.turn(events);
        for _ in 0..1000 {
            match self.last {
                Turn::Wait(0) => self.turn(&[]),
                _ => return,
            }
        }
        panic!("the worker never comes to rest");
    }

    /// Time passes in attended steps, each of them turned over.
    fn pass(&mut self, ms: u64) {
        for _ in 0..ms / 100 {
            self.now_ms += 100;
            self.settle(&[]);
        }
    }

    /// Time passes until something is said to `script`; how much did.
    fn pass_until_told(&mut self, script: &Script, most_ms: u64) -> u64 {
        let began_ms = self.now_ms;
        while script.sent().is_empty() && self.now_ms - began_ms < most_ms {
            self.pass(100);
        }
        self.now_ms - began_ms
    }

    fn connect(&mut self) -> (Script, ConnId) {
        let script = self.host.connect();
        self.settle(&[Event::Listener(0)]);
        let id = *self.host.registered().last().expect("accepted");
        (script, id)
    }

    fn open(&mut self) -> (Script, ConnId) {
        let (script, id) = self.connect();
        self.say(&script, id, REQUEST);
        assert!(script.take_sent().starts_with(b"HTTP/1.1 101 "));
        (script, id)
    }

    fn say(&mut self, script: &Script, id: ConnId, bytes: &[u8]) {
        script.arrive(bytes);
        self.settle(&[readable(id)]);
    }

    fn ending(&self, id: ConnId) -> Option<Ending> {
        self.endings
            .borrow()
            .iter()
            .find(|(who, _)| *who == id)
            .map(|(_, ending)| *ending)
    }
}

fn readable(id: ConnId) -> Event {
    Event::Stream {
        id,
        ready: Ready {
            readable: true,
            writable: false,
            hung_up: false,
        },
    }
}

fn writable(id: ConnId) -> Event {
    Event::Stream {
        id,
        ready: Ready {
            readable: false,
            writable: true,
            hung_up: false,
        },
    }
}

fn hung_up(id: ConnId) -> Event {
    Event::Stream {
        id,
        ready: Ready {
            readable: true,
            writable: true,
            hung_up: true,
        },
    }
}

fn masked(opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    append_frame(&mut out, opcode, false, Some(KEY), payload);
    out
}

fn plain(opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    append_frame(&mut out, opcode, false, None, payload);
    out
}

fn close_frame(code: u16, reason: &str) -> Vec<u8> {
    plain(
        Opcode::Close,
        &[&code.to_be_bytes(), reason.as_bytes()].concat(),
    )
}

#[test]
fn an_echo_costs_one_recv_and_one_send() {
    let mut world = World::new();
    let (script, id) = world.open();
    let before = script.calls();
    world.say(&script, id, &masked(Opcode::Text, b"hello"));
    assert_eq!(script.take_sent(), plain(Opcode::Text, b"hello"));
    let after = script.calls();
    assert_eq!((after.0 - before.0, after.1 - before.1), (1, 1));
}

#[test]
fn what_is_there_at_accept_is_answered_before_registering() {
    let mut world = World::new();
    let script = world.host.connect();
    let frames = masked(Opcode::Binary, b"early");
    script.arrive(&[REQUEST, &frames].concat());
    world.settle(&[Event::Listener(0)]);
    let sent = script.take_sent();
    assert!(sent.starts_with(b"HTTP/1.1 101 ") && sent.ends_with(&plain(Opcode::Binary, b"early")));
    assert_eq!(world.host.registered().len(), 1);
}

#[test]
fn a_head_may_come_in_any_two_pieces_with_frames_behind_it() {
    let stream = [
        REQUEST,
        &masked(Opcode::Text, b"one"),
        &masked(Opcode::Text, b"two"),
    ]
    .concat();
    for cut in 1..stream.len() {
        let mut world = World::new();
        let (script, id) = world.connect();
        world.say(&script, id, &stream[..cut]);
        world.say(&script, id, &stream[cut..]);
        let expected = [plain(Opcode::Text, b"one"), plain(Opcode::Text, b"two")].concat();
        assert!(script.sent().ends_with(&expected), "cut at {cut}");
    }
}

#[test]
fn a_head_byte_by_byte_is_answered_once() {
    let mut world = World::new();
    let (script, id) = world.connect();
    for byte in REQUEST {
        world.say(&script, id, &[*byte]);
    }
    let sent = script.take_sent();
    assert!(sent.starts_with(b"HTTP/1.1 101 ") && sent.ends_with(b"\r\n\r\n"));
}

#[test]
fn a_refused_request_is_answered_and_hung_up_on() {
    let mut world = World::new();
    let (script, id) = world.connect();
    world.say(&script, id, b"GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(script.sent().starts_with(b"HTTP/1.1 404 "));
    assert!(
        script.fin_sent() && !script.is_closed(),
        "our last words must reach the peer first"
    );
    script.arrive_eof();
    world.settle(&[hung_up(id)]);
    assert!(script.is_closed());
}

#[test]
fn both_closes_end_it_and_the_descriptor_is_freed() {
    let mut world = World::new();
    let (script, id) = world.open();
    world.say(&script, id, &masked(Opcode::Close, &1000u16.to_be_bytes()));
    assert_eq!(script.sent(), close_frame(1000, ""));
    assert!(script.is_closed());
    assert_eq!(
        world.ending(id),
        Some(Ending::Closed(Some(CloseCode::NORMAL)))
    );
    assert_eq!(world.worker.connections(), 0);
}

#[test]
fn our_close_is_said_once_and_nothing_behind_it() {
    let mut world = World::new();
    let (script, id) = world.open();
    let said = [
        masked(Opcode::Text, b"close"),
        masked(Opcode::Text, b"late"),
        masked(Opcode::Ping, b"x"),
    ];
    world.say(&script, id, &said.concat());
    assert_eq!(script.sent(), close_frame(1000, "bye"));
    world.say(&script, id, &masked(Opcode::Close, &1000u16.to_be_bytes()));
    assert_eq!(script.sent(), close_frame(1000, "bye"));
    assert!(script.is_closed());
}

#[test]
fn a_violation_is_named_and_what_follows_is_not_read() {
    let mut world = World::new();
    let (script, id) = world.open();
    let said = [
        masked(Opcode::Text, b"fine"),
        plain(Opcode::Text, b"unmasked"),
        masked(Opcode::Text, b"no"),
    ];
    world.say(&script, id, &said.concat());
    let sent = script.sent();
    let fine = plain(Opcode::Text, b"fine");
    assert!(sent.starts_with(&fine));
    assert_eq!(&sent[fine.len()..][..1], [0x88]);
    assert_eq!(&sent[fine.len() + 2..][..2], 1002u16.to_be_bytes());
    assert!(matches!(world.ending(id), Some(Ending::Violated(_))));
    world.say(&script, id, &masked(Opcode::Text, b"still talking"));
    assert_eq!(script.sent(), sent);
    world.pass(4000);
    assert!(
        script.is_closed(),
        "the close timeout ends what the peer does not"
    );
}

#[test]
fn silence_is_pinged_and_then_ended() {
    let mut world = World::new();
    let (script, id) = world.open();
    let silence_ms = world.pass_until_told(&script, 30_000);
    assert!((21_800..=25_200).contains(&silence_ms), "{silence_ms} ms");
    assert_eq!(script.take_sent(), plain(Opcode::Ping, b""));
    world.pass(9_900);
    world.say(&script, id, &masked(Opcode::Pong, b""));
    assert_eq!(
        world.pass_until_told(&script, 30_000),
        silence_ms,
        "silence starts anew"
    );
    assert_eq!(script.take_sent(), plain(Opcode::Ping, b""));
    world.pass(9_900);
    assert!(!script.is_closed());
    world.pass(400);
    assert!(script.is_closed());
    assert_eq!(world.ending(id), Some(Ending::Silent));
}

#[test]
fn time_the_worker_lost_is_not_held_against_its_peers() {
    let mut world = World::new();
    let (script, id) = world.open();
    world.now_ms += 60_000; // as if stopped and continued
    world.settle(&[]);
    assert_eq!(script.sent(), b"", "nobody was silent: nobody listened");
    assert!(!script.is_closed());
    world.say(&script, id, &masked(Opcode::Text, b"still here"));
    assert_eq!(script.sent(), plain(Opcode::Text, b"still here"));
}

#[test]
fn a_handshake_that_never_ends_is_ended() {
    let mut world = World::new();
    let (silent, _) = world.connect();
    let (dribble, id) = world.connect();
    for byte in &REQUEST[..90] {
        world.say(&dribble, id, &[*byte]);
        world.pass(100);
    }
    assert!(!dribble.is_closed());
    world.pass(1_500);
    assert!(silent.is_closed() && dribble.is_closed());
}

#[test]
fn a_message_trickled_for_ever_is_ended_with_a_reason() {
    let limits = Limits {
        message_time_ms: 5_000,
        ..Limits::default()
    };
    let mut world = World::with(limits, 10);
    let (script, id) = world.open();
    world.say(&script, id, &masked(Opcode::Binary, &[7; 200])[..20]);
    for _ in 0..50 {
        world.pass(100);
        world.say(&script, id, b"x");
    }
    world.pass(300);
    assert_eq!(
        script.sent(),
        close_frame(1008, Violation::MessageTooSlow.reason())
    );
    assert_eq!(world.ending(id), Some(Ending::TooSlow));
}

#[test]
fn a_recycled_slot_inherits_nothing() {
    let mut world = World::new();
    let (old, old_id) = world.open();
    let (sender, sender_id) = world.open();
    old.arrive_eof();
    world.settle(&[hung_up(old_id)]);
    let (new, new_id) = world.open();
    assert_eq!(new_id.index(), old_id.index(), "the slot is reused");
    assert_ne!(new_id, old_id);
    // The predecessor's events, messages and letters, all late:
    world.settle(&[hung_up(old_id), readable(old_id), writable(old_id)]);
    assert_eq!(world.worker.counters().stale_events, 3);
    let command = format!("to {}", old_id.as_u64());
    world.say(
        &sender,
        sender_id,
        &masked(Opcode::Text, command.as_bytes()),
    );
    world
        .post
        .post(Mail::App((old_id, "letter")))
        .expect("room");
    world.settle(&[Event::Mail]);
    assert_eq!(new.sent(), b"");
    assert!(!new.is_closed());
    // Its own still arrive.
    let command = format!("to {}", new_id.as_u64());
    world.say(
        &sender,
        sender_id,
        &masked(Opcode::Text, command.as_bytes()),
    );
    assert_eq!(new.take_sent(), plain(Opcode::Text, b"hello"));
    // And the predecessor's timer does not fire for it: its silence counts from its own start.
    world.pass(20_000);
    assert_eq!(new.sent(), b"");
}

#[test]
fn an_event_in_the_turn_of_the_close_reaches_nobody() {
    let mut world = World::new();
    let (old, old_id) = world.open();
    old.arrive_reset();
    let newcomer = world.host.connect();
    newcomer.arrive(REQUEST);
    // One batch: the old one dies, a new one is accepted, and an event for the old id follows.
    world.turn(&[
        readable(old_id),
        Event::Listener(0),
        writable(old_id),
        hung_up(old_id),
    ]);
    world.settle(&[readable(old_id)]);
    assert!(newcomer.sent().starts_with(b"HTTP/1.1 101 ") && !newcomer.is_closed());
}

#[test]
fn an_entry_is_one_cache_line() {
    use super::connection::Connection;
    type Entry = Connection<crate::sys::Socket, Box<u32>>;
    assert_eq!((size_of::<Entry>(), align_of::<Entry>()), (64, 64));
    // The slab keeps `Vacant(usize) | Occupied(T)`: the phase's niche pays for the tag.
    #[expect(dead_code, reason = "only its size is looked at")]
    enum Slot {
        Vacant(usize),
        Occupied(Entry),
    }
    assert_eq!(size_of::<Slot>(), 64);
}

proptest::proptest! {
    /// The fuzz target's property on random and on nearly valid streams.
    #[test]
    fn whatever_a_peer_sends_the_worker_rests_and_forgets_it(
        manners in 0..=255_u8,
        cut in 0..=255_u8,
        frames in proptest::collection::vec((0..16_u8, proptest::collection::vec(0..=255_u8, 0..300)), 0..8),
        noise in proptest::collection::vec(0..=255_u8, 0..40),
    ) {
        let mut bytes = vec![manners, cut];
        for (opcode, payload) in frames {
            let at = bytes.len();
            append_frame(&mut bytes, Opcode::Binary, false, Some(KEY), &payload);
            bytes[at] = 0x80 | opcode;
        }
        bytes.extend(noise);
        fuzzing::connection(&bytes);
    }
}
