//! TLS in scripted worlds: the other end is the same pure core in its client's role.

use super::script::TLS_LISTENER;
use super::*;
use crate::tls::certificates::certificates;
use crate::tls::dev_cert::{DevCertificate, DevRequest};
use crate::tls::fuzzing::{Endpoint as End, certificate, server_options};
use crate::tls::sessions::{Ending as TlsEnding, SessionLimits, Trouble};
use crate::tls::{
    Choices, ClientAuth, ClientOptions, ClientTls, Fault, Mode, Refusal, ServerOptions, ServerTls,
    Trust,
};

/// What a fatal alert in the clear looks like.
const ALERT: u8 = 21;

pub(super) fn tls_config() -> TlsConfig {
    TlsConfig {
        server: ServerTls::new(&server_options()).expect("our own certificate"),
        limits: SessionLimits::default(),
        to_kernel: false,
    }
}

pub(super) fn worker_config(tls: TlsConfig) -> WorkerConfig {
    WorkerConfig {
        tls: Some(tls),
        connections_expected: 1000,
        house: House::new(1000),
        board: Board::new(1),
        ..WorkerConfig::default()
    }
}

fn world() -> World {
    World::made_of(&worker_config(tls_config()))
}

pub(super) fn client_options() -> ClientOptions {
    ClientOptions::default()
}

fn client(options: &ClientOptions) -> ClientTls {
    ClientTls::new(options, "localhost").expect("sound options")
}

/// A client that speaks TLS to the worker.
pub(super) struct Peer {
    pub(super) end: End,
    pub(super) script: Script,
    pub(super) id: ConnId,
}

impl Peer {
    /// Connects, and says nothing yet.
    fn connect(world: &mut World, options: &ClientOptions) -> Self {
        Self::connect_from(world, options, "192.0.2.1:1")
    }

    /// The same from that address.
    pub(super) fn connect_from(world: &mut World, options: &ClientOptions, address: &str) -> Self {
        let script = world.host.connect_tls();
        script.comes_from(address);
        world.settle(&[Event::Listener(TLS_LISTENER)]);
        Self {
            end: End::client(&client(options)),
            script,
            id: *world.host.registered().last().expect("accepted"),
        }
    }

    /// Sends what it has to send, and hears the answers, until nobody has anything to say.
    pub(super) fn exchange(&mut self, world: &mut World) {
        for _ in 0..20 {
            let flight = std::mem::take(&mut self.end.out);
            if !flight.is_empty() {
                world.say(&self.script, self.id, &flight);
            }
            let answer = self.script.take_sent();
            if flight.is_empty() && answer.is_empty() {
                return;
            }
            for piece in answer.chunks(60_000) {
                self.end.receive(piece);
            }
        }
        panic!("they never stop talking");
    }

    pub(super) fn say(&mut self, world: &mut World, plaintext: &[u8]) {
        assert!(self.end.say(&[plaintext]));
        self.exchange(world);
    }

    /// Sends what it has to send, behind what nobody has read yet.
    fn send_behind(&mut self, world: &mut World) {
        self.script
            .arrive_behind(&std::mem::take(&mut self.end.out));
        world.settle(&[readable(self.id)]);
    }

    /// What was heard since the last call.
    pub(super) fn heard(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.end.heard)
    }

    /// Shakes hands and upgrades.
    pub(super) fn open(world: &mut World) -> Self {
        let mut peer = Self::connect(world, &client_options());
        peer.exchange(world);
        peer.say(world, REQUEST);
        assert!(peer.heard().starts_with(b"HTTP/1.1 101 "));
        peer
    }

    pub(super) fn hang_up(&self, world: &mut World) {
        self.script.arrive_eof();
        world.settle(&[hung_up(self.id)]);
    }
}

fn sessions(world: &World) -> usize {
    let tls = world.worker.desk.tls.as_ref();
    tls.expect("a world with TLS").sessions.len()
}

#[test]
fn an_echo_over_tls_costs_one_recv_and_one_send() {
    let mut world = world();
    let mut peer = Peer::open(&mut world);
    let before = peer.script.calls();
    peer.say(&mut world, &masked(Opcode::Text, b"hello"));
    assert_eq!(peer.heard(), plain(Opcode::Text, b"hello"));
    let after = peer.script.calls();
    assert_eq!((after.0 - before.0, after.1 - before.1), (1, 1));
    let counters = world.worker.counters();
    let counted = (
        counters.tls_handshakes,
        counters.tls_12,
        counters.tls_broken,
    );
    assert_eq!(counted, (1, 0, 0));
}

#[test]
fn replies_of_one_run_share_records_and_a_write() {
    let mut world = world();
    let mut peer = Peer::open(&mut world);
    let many: Vec<u8> = (0..200)
        .flat_map(|n| masked(Opcode::Binary, &[n; 100]))
        .collect();
    let (calls, end) = (peer.script.calls(), &mut peer.end);
    assert!(end.say(&[&many]));
    let flight = std::mem::take(&mut end.out);
    world.say(&peer.script, peer.id, &flight);
    assert_eq!(peer.script.calls().1 - calls.1, 1);
    let sent = peer.script.sent();
    assert!(
        sent.len() < 200 * 102 + 2 * 22 + 1,
        "two records: {}",
        sent.len()
    );
    peer.exchange(&mut world);
    let expected: Vec<u8> = (0..200)
        .flat_map(|n| plain(Opcode::Binary, &[n; 100]))
        .collect();
    assert_eq!(peer.heard(), expected);
}

#[test]
fn a_request_may_come_with_the_handshake_and_in_single_bytes() {
    for piece_bytes in [1, 7, 1 << 16] {
        let mut world = world();
        let mut peer = Peer::connect(&mut world, &client_options());
        let mut has_asked = false;
        for _ in 0..10 {
            let mut flight = std::mem::take(&mut peer.end.out);
            if peer.end.established.is_some() && !has_asked {
                has_asked = true;
                let frame = masked(Opcode::Text, b"early");
                assert!(peer.end.say(&[REQUEST, &frame]));
                flight.append(&mut peer.end.out);
            }
            for piece in flight.chunks(piece_bytes) {
                world.say(&peer.script, peer.id, piece);
            }
            for piece in peer.script.take_sent().chunks(piece_bytes) {
                peer.end.receive(piece);
            }
        }
        let heard = peer.heard();
        assert!(heard.starts_with(b"HTTP/1.1 101 "), "{piece_bytes}");
        assert!(heard.ends_with(&plain(Opcode::Text, b"early")));
    }
}

#[test]
fn both_sides_say_that_it_is_over() {
    let mut world = world();
    let mut peer = Peer::open(&mut world);
    peer.say(&mut world, &masked(Opcode::Close, &1000u16.to_be_bytes()));
    assert_eq!(peer.heard(), close_frame(1000, ""));
    assert_eq!(peer.end.ending, TlsEnding::Closed, "close_notify behind it");
    assert!(peer.script.fin_sent());
    assert!(
        !peer.script.is_closed(),
        "their close_notify must not be reset"
    );
    assert_eq!(
        sessions(&world),
        0,
        "the keys are gone before the socket is"
    );
    let normal = Ending::Closed(Some(CloseCode::NORMAL));
    assert_eq!(world.ending(peer.id), Some(normal));
    peer.hang_up(&mut world);
    assert!(peer.script.is_closed());
}

#[test]
fn a_fin_without_close_notify_is_a_truncation() {
    let mut world = world();
    let cut = Peer::open(&mut world);
    cut.hang_up(&mut world);
    assert_eq!(world.ending(cut.id), Some(Ending::Truncated));
    let mut polite = Peer::open(&mut world);
    polite.end.close();
    polite.exchange(&mut world);
    assert_eq!(world.ending(polite.id), Some(Ending::HungUp));
    assert_eq!(polite.end.ending, TlsEnding::Closed);
    polite.hang_up(&mut world);
    assert_eq!(world.worker.counters().tls_truncated, 1);
    assert_eq!((world.worker.connections(), sessions(&world)), (0, 0));
}

#[test]
fn words_before_close_notify_are_answered() {
    let mut world = world();
    let mut peer = Peer::open(&mut world);
    assert!(peer.end.say(&[&masked(Opcode::Text, b"and now good bye")]));
    peer.end.close();
    peer.exchange(&mut world);
    assert_eq!(peer.heard(), plain(Opcode::Text, b"and now good bye"));
    assert_eq!(peer.end.ending, TlsEnding::Closed);
}

#[test]
fn a_forged_record_is_answered_with_an_alert_behind_what_was_genuine() {
    let mut world = world();
    let mut peer = Peer::open(&mut world);
    assert!(peer.end.say(&[&masked(Opcode::Text, b"genuine")]));
    let genuine = peer.end.out.len();
    assert!(peer.end.say(&[&masked(Opcode::Text, b"forged")]));
    peer.end.out[genuine + 9] ^= 1;
    peer.exchange(&mut world);
    let trouble = Ending::Tls(Trouble::Record(Fault::BadMac));
    assert_eq!(world.ending(peer.id), Some(trouble));
    let bad_record_mac = Trouble::Record(Fault::PeerAlert(20));
    assert_eq!(peer.end.ending, TlsEnding::Broken(bad_record_mac));
    assert!(peer.script.fin_sent());
    assert_eq!(world.worker.counters().tls_broken, 1);
    peer.hang_up(&mut world);
    assert_eq!((world.worker.connections(), sessions(&world)), (0, 0));
}

#[test]
fn plain_http_is_answered_in_words_and_anything_else_with_an_alert() {
    let mut world = world();
    let peer = Peer::connect(&mut world, &client_options());
    world.say(&peer.script, peer.id, REQUEST);
    let sent = peer.script.take_sent();
    assert!(sent.starts_with(b"HTTP/1.1 400 ") && sent.ends_with(b"wss://\n"));
    assert!(peer.script.fin_sent());
    peer.hang_up(&mut world);
    let peer = Peer::connect(&mut world, &client_options());
    world.say(&peer.script, peer.id, b"\x00\x01\x02\x03 what is this?");
    assert_eq!(peer.script.take_sent()[0], ALERT);
    peer.hang_up(&mut world);
    let counters = world.worker.counters();
    let failed = (counters.tls_failed_plain_http, counters.tls_failed_not_tls);
    assert_eq!((counters.tls_refused, failed), (2, (1, 1)));
    assert_eq!((world.worker.connections(), sessions(&world)), (0, 0));
}

#[test]
fn a_handshake_has_its_time() {
    let mut world = world();
    let _silent = Peer::connect(&mut world, &client_options());
    assert_eq!(sessions(&world), 0, "silence costs no memory of rustls'");
    let half = Peer::connect(&mut world, &client_options());
    world.say(&half.script, half.id, &half.end.out[..100]);
    let mut waits = Peer::connect(&mut world, &client_options());
    let hello = std::mem::take(&mut waits.end.out);
    world.say(&waits.script, waits.id, &hello);
    let mut mute = Peer::connect(&mut world, &client_options());
    mute.exchange(&mut world);
    assert_eq!(sessions(&world), 3);
    for n in 0..90 {
        world.say(&half.script, half.id, &half.end.out[100 + n..101 + n]);
        world.pass(100);
    }
    assert_eq!(world.worker.connections(), 4);
    world.pass(1_500);
    assert_eq!((world.worker.connections(), sessions(&world)), (0, 0));
    let counters = world.worker.counters();
    assert_eq!((counters.timed_out, counters.tls_failed_timeout), (4, 2));
}

#[test]
fn handshakes_take_turns_and_hold_nobody_up() {
    let mut world = world();
    let mut old = Peer::open(&mut world);
    let mut newcomers: Vec<_> = (0..30)
        .map(|_| Peer::connect(&mut world, &client_options()))
        .collect();
    for peer in &mut newcomers {
        peer.script.arrive(&std::mem::take(&mut peer.end.out));
    }
    assert!(old.end.say(&[&masked(Opcode::Text, b"quick")]));
    old.script.arrive(&std::mem::take(&mut old.end.out));
    let events: Vec<_> = newcomers.iter().map(|peer| readable(peer.id)).collect();
    world.turn(&[&events[..], &[readable(old.id)]].concat());
    let answered = |newcomers: &[Peer]| {
        let is_answered = |peer: &&Peer| !peer.script.sent().is_empty();
        newcomers.iter().filter(is_answered).count()
    };
    assert_eq!(answered(&newcomers), 8);
    world.settle(&[]);
    old.exchange(&mut world);
    assert_eq!(old.heard(), plain(Opcode::Text, b"quick"));
    assert_eq!(answered(&newcomers), 30);
}

#[test]
fn when_the_places_are_taken_newcomers_wait_without_spinning() {
    let limits = SessionLimits {
        handshakes_max: 2,
        ..SessionLimits::default()
    };
    let tls = TlsConfig {
        limits,
        ..tls_config()
    };
    let mut world = World::made_of(&worker_config(tls));
    let mut dawdlers: Vec<_> = (0..2)
        .map(|_| Peer::connect(&mut world, &client_options()))
        .collect();
    for peer in &mut dawdlers {
        let hello = std::mem::take(&mut peer.end.out);
        world.say(&peer.script, peer.id, &hello);
    }
    let mut waits = Peer::connect(&mut world, &client_options());
    let hello = std::mem::take(&mut waits.end.out);
    world.say(&waits.script, waits.id, &hello);
    assert!(waits.script.has_unread(), "its bytes wait in the kernel");
    assert!(matches!(world.last, Turn::Wait(1..)), "{:?}", world.last);
    // One finishes: the place is free.
    dawdlers[0].exchange(&mut world);
    waits.exchange(&mut world);
    waits.say(&mut world, REQUEST);
    assert!(waits.heard().starts_with(b"HTTP/1.1 101 "));
    // The other never does: its time is over, and the place is free again.
    let mut last = Peer::connect(&mut world, &client_options());
    world.pass(11_000);
    assert_eq!(dawdlers[1].script.take_sent()[0], 22, "its flight was sent");
    assert!(dawdlers[1].script.is_closed() && last.script.is_closed());
    last = Peer::open(&mut world);
    last.say(&mut world, &masked(Opcode::Text, b"in"));
    assert_eq!(last.heard(), plain(Opcode::Text, b"in"));
}

#[test]
fn half_a_record_is_no_sign_of_life() {
    let limits = Limits {
        ping_interval_ms: 0,
        message_time_ms: 5_000,
        ..Limits::default()
    };
    let mut config = worker_config(tls_config());
    config.limits = limits;
    let mut world = World::made_of(&config);
    let mut peer = Peer::open(&mut world);
    world.pass(60_000);
    assert!(peer.end.say(&[&masked(Opcode::Binary, &[1; 300])]));
    let record = std::mem::take(&mut peer.end.out);
    for byte in &record[..45] {
        world.say(&peer.script, peer.id, &[*byte]);
        world.pass(100);
    }
    assert_eq!(world.ending(peer.id), None);
    world.pass(1_000);
    assert_eq!(world.ending(peer.id), Some(Ending::TooSlow));
    let other = Peer::open(&mut world);
    world.pass(60_000);
    world.say(&other.script, other.id, &[23, 3]);
    world.pass(3_000);
    other.hang_up(&mut world);
    assert_eq!(world.ending(other.id), Some(Ending::Truncated));
    assert_eq!(sessions(&world), 0);
}

#[test]
fn a_slow_reader_gets_all_in_order_and_is_not_read_from_meanwhile() {
    let limits = Limits {
        queue_bytes_high: 30_000,
        ..Limits::default()
    };
    let mut config = worker_config(tls_config());
    config.limits = limits;
    let mut world = World::made_of(&config);
    let mut peer = Peer::open(&mut world);
    peer.script.block_after(10_000);
    let mut expected = Vec::new();
    for n in 0..20_u8 {
        let message = vec![n; 5_000];
        expected.extend(plain(Opcode::Binary, &message));
        assert!(peer.end.say(&[&masked(Opcode::Binary, &message)]));
        peer.send_behind(&mut world);
    }
    assert!(peer.script.has_unread());
    // What others say to it meanwhile is queued behind, sealed when its time comes.
    let mut other = Peer::open(&mut world);
    other.say(&mut world, &masked(Opcode::Text, b"all"));
    assert_eq!(other.heard(), plain(Opcode::Text, b"hello"));
    let mut heard = Vec::new();
    for room in [1, 2_000, 7, 50_000, 1_000_000] {
        peer.script.block_after(room);
        world.settle(&[writable(peer.id)]);
        peer.exchange(&mut world);
        heard.extend(peer.heard());
    }
    assert_eq!(peer.end.ending, TlsEnding::Open);
    let hello = plain(Opcode::Text, b"hello");
    let at = heard
        .windows(hello.len())
        .position(|window| window == hello)
        .expect("delivered");
    heard.drain(at..at + hello.len());
    assert!(heard == expected, "{} of {}", heard.len(), expected.len());
    let (opened, lost) = (world.ledger(7), world.worker.counters().closed);
    assert_eq!((opened.queues, lost), (0, 0));
}

#[test]
fn a_reset_in_the_middle_leaves_nothing() {
    let mut world = world();
    for cut in 0..3 {
        let mut peer = match cut {
            0 => Peer::connect(&mut world, &client_options()),
            _ => Peer::open(&mut world),
        };
        if cut == 0 {
            let hello = std::mem::take(&mut peer.end.out);
            world.say(&peer.script, peer.id, &hello);
        } else if cut == 1 {
            world.say(&peer.script, peer.id, &[23, 3, 3, 1, 0, 7]);
        }
        peer.script.arrive_reset();
        world.settle(&[hung_up(peer.id)]);
        assert!(peer.script.is_closed());
        assert_eq!((world.worker.connections(), sessions(&world)), (0, 0));
    }
    let ledger = world.ledger(1);
    assert!(ledger.tls < 200_000, "pages and a scratch: {ledger:?}");
}

#[test]
fn new_keys_are_answered_with_new_keys() {
    let mut world = world();
    let mut peer = Peer::open(&mut world);
    for n in 0..3 {
        let id = peer.end.id.expect("established");
        peer.end.sessions.refresh(id);
        peer.say(&mut world, &masked(Opcode::Binary, &[n; 9]));
        assert_eq!(peer.heard(), plain(Opcode::Binary, &[n; 9]));
    }
    // Of a peer that asks and asks and reads nothing, what is kept has its bound.
    let ask = |world: &mut World, peer: &mut Peer, times: usize| {
        for _ in 0..times {
            let id = peer.end.id.expect("established");
            peer.end.sessions.refresh(id);
            assert!(peer.end.say(&[&masked(Opcode::Binary, &[7])]));
            peer.send_behind(world);
        }
    };
    peer.script.block_after(0);
    ask(&mut world, &mut peer, 20);
    peer.script.unblock();
    world.settle(&[writable(peer.id)]);
    peer.exchange(&mut world);
    assert_eq!(peer.heard(), plain(Opcode::Binary, &[7]).repeat(20));
    peer.script.block_after(0);
    ask(&mut world, &mut peer, 10_000);
    let ledger = world.ledger(1);
    assert!((64_000..300_000).contains(&ledger.queues), "{ledger:?}");
    assert!(peer.script.has_unread(), "nor is it read from any more");
}

#[test]
fn the_application_hears_who_asks() {
    let dialogue = |options: &ServerOptions, client: &ClientOptions| {
        let server = ServerTls::new(options).expect("sound options");
        let tls = TlsConfig {
            server,
            ..tls_config()
        };
        let mut world = World::made_of(&worker_config(tls));
        let mut peer = Peer::connect(&mut world, client);
        peer.exchange(&mut world);
        if peer.end.established.is_some() && peer.end.ending == TlsEnding::Open {
            peer.say(&mut world, b"GET /who HTTP/1.1\r\nHost: x\r\n\r\n");
        }
        let heard = String::from_utf8(peer.heard()).expect("text");
        let body = heard.split("\r\n\r\n").nth(1).unwrap_or_default();
        (body.to_owned(), world.worker.counters().tls_refused)
    };
    let plainly = dialogue(&server_options(), &client_options());
    assert_eq!(plainly.0, "true Some(\"localhost\") None\n");

    let request = DevRequest {
        names: vec!["device-7.test".to_owned()],
        days: 20_000,
    };
    let made = DevCertificate::new(&request, 1_700_000_000);
    let made = made.expect("localhost is a name");
    let authority = certificates(made.authority.as_bytes()).expect("our own PEM");
    let options = |auth| ServerOptions {
        client_auth: auth,
        ..server_options()
    };
    let required = options(ClientAuth::Required(authority.clone()));
    assert_eq!(dialogue(&required, &client_options()), (String::new(), 1));
    let known = ClientOptions {
        certificate: Some(certificate(&made)),
        ..ClientOptions::default()
    };
    let subject = certificate(&made).facts.subject.clone();
    let (told, refused) = dialogue(&required, &known);
    assert_eq!(
        told,
        format!("true Some(\"localhost\") Some({subject:?})\n")
    );
    assert_eq!((subject.is_empty(), refused), (false, 0));
    let optional = options(ClientAuth::Optional(authority));
    assert_eq!(dialogue(&optional, &client_options()).0, plainly.0);
    let mut world = World::new();
    let (script, id) = world.connect();
    world.say(&script, id, b"GET /who HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(script.sent().ends_with(b"false None None\n"));
}

#[test]
fn other_certificates_are_for_newcomers() {
    let mut world = world();
    let mut old = Peer::open(&mut world);
    let made = DevCertificate::new(&DevRequest::default(), 1_700_000_000);
    let made = made.expect("localhost is a name");
    let options = ServerOptions {
        certificates: vec![certificate(&made)],
        ..ServerOptions::default()
    };
    let server = ServerTls::new(&options).expect("our own certificate");
    world.post.post(Mail::Tls(server)).expect("room");
    world.settle(&[Event::Mail]);
    old.say(&mut world, &masked(Opcode::Text, b"still here"));
    assert_eq!(old.heard(), plain(Opcode::Text, b"still here"));
    let authority = certificates(made.authority.as_bytes());
    let picky = ClientOptions {
        trust: Trust::Authorities(authority.expect("our own PEM")),
        ..ClientOptions::default()
    };
    // It does not hold: made for a year that is over. But it is that one.
    let mut new = Peer::connect(&mut world, &picky);
    new.exchange(&mut world);
    assert_eq!(
        new.end.ending,
        TlsEnding::Broken(Trouble::Handshake(Refusal::CertificateExpired))
    );
    assert_eq!(
        world.worker.counters().tls_refused,
        1,
        "their alert says why"
    );
}

#[test]
fn older_versions_are_kept_by_rustls_and_served_alike() {
    for mode in [Mode::Rustls, Mode::Compact] {
        let choices = Choices {
            mode,
            tls12: true,
            ..Choices::default()
        };
        let options = ServerOptions {
            choices: choices.clone(),
            ..server_options()
        };
        let tls = TlsConfig {
            server: ServerTls::new(&options).expect("sound options"),
            ..tls_config()
        };
        let mut world = World::made_of(&worker_config(tls));
        let mut peer = Peer::open(&mut world);
        for size in [0, 5, 200, 70_000] {
            let message = vec![9; size];
            peer.say(&mut world, &masked(Opcode::Binary, &message));
            assert!(peer.heard() == plain(Opcode::Binary, &message), "{size}");
        }
        peer.say(&mut world, &masked(Opcode::Text, b"close"));
        assert_eq!(peer.heard(), close_frame(1000, "bye"));
        peer.say(&mut world, &masked(Opcode::Close, &1000u16.to_be_bytes()));
        assert_eq!(peer.end.ending, TlsEnding::Closed, "{mode:?}");
        peer.hang_up(&mut world);
        assert_eq!((world.worker.connections(), sessions(&world)), (0, 0));
    }
}

#[test]
fn a_panic_is_told_to_its_connection_sealed() {
    let mut world = world();
    let mut peer = Peer::open(&mut world);
    let mut other = Peer::open(&mut world);
    peer.say(&mut world, &masked(Opcode::Text, b"panic"));
    assert_eq!(peer.heard(), close_frame(1011, ""));
    other.say(&mut world, &masked(Opcode::Text, b"fine"));
    assert_eq!(other.heard(), plain(Opcode::Text, b"fine"));
    assert_eq!(sessions(&world), 1);
}

#[test]
fn going_down_is_said_sealed_and_closed() {
    let mut world = world();
    let mut peer = Peer::open(&mut world);
    let half = Peer::connect(&mut world, &client_options());
    world.say(&half.script, half.id, &half.end.out[..50]);
    let drain = Mail::Drain { window_ms: 0 };
    world.post.post(drain).expect("room");
    world.settle(&[Event::Mail]);
    peer.exchange(&mut world);
    assert_eq!(peer.heard(), close_frame(1001, "server is going down"));
    peer.say(&mut world, &masked(Opcode::Close, &1001u16.to_be_bytes()));
    assert_eq!(peer.end.ending, TlsEnding::Closed);
    peer.hang_up(&mut world);
    world.pass(4_000);
    assert_eq!(world.last, Turn::Finished);
    assert_eq!((world.worker.connections(), sessions(&world)), (0, 0));
}

#[test]
fn it_is_known_of_a_newcomer_that_it_speaks_tls_wherever_it_is_served() {
    let mut world = world();
    let script = world.host.hand_in(true);
    world.settle(&[Event::Newcomers]);
    let id = *world.host.registered().last().expect("settled");
    let mut peer = Peer {
        end: End::client(&client(&client_options())),
        script,
        id,
    };
    peer.exchange(&mut world);
    peer.say(&mut world, REQUEST);
    assert!(peer.heard().starts_with(b"HTTP/1.1 101 "));

    let mut config = worker_config(tls_config());
    config.house = House::new(0);
    let mut world = World::made_of(&config);
    let script = world.host.connect_tls();
    world.settle(&[Event::Listener(TLS_LISTENER)]);
    assert_eq!(script.take_sent(), [21, 3, 3, 0, 2, 2, 80]);
    assert!(script.is_closed());
}
