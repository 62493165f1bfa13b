//! The same world behind TLS: the library's own server end, and everything that can go wrong with it.

use std::collections::BTreeMap;
use std::sync::Arc;

use throng::tls::certificates::{Certificate, certificates, private_key};
use throng::tls::dev_cert::{DevCertificate, DevRequest};
use throng::tls::sessions::{Ending, SessionId, SessionLimits, Sessions};
use throng::tls::{
    Choices, ClientOptions, ClientTls, Refusal, Role, ServerOptions, ServerTls, Tickets, Trust,
};
use throng::ws::frame::Opcode;

use super::wire::Wire;
use super::world::{CLOSED, SECOND, Said, World, answer, brief, cohort, frame, understand};
use crate::engine::orders::Command;
use crate::failures::Failure;
use crate::failures::tls::TlsFailure;
use crate::histograms::Interval;
use crate::scenario::{Beast, Kind};

/// The server's end of all connections.
pub(super) struct TlsServer {
    tls: ServerTls,
    sessions: Sessions,
    lines: BTreeMap<u64, Line>,
}

#[derive(Default)]
struct Line {
    id: Option<SessionId>,
    /// Understood so far, and no whole frame.
    plain: Vec<u8>,
    /// The client said close_notify.
    is_closed: bool,
}

impl TlsServer {
    fn new(options: &ServerOptions) -> Self {
        Self {
            tls: ServerTls::new(options).expect("our own certificate"),
            sessions: Sessions::new(Role::Server, SessionLimits::default()),
            lines: BTreeMap::new(),
        }
    }

    /// An echo server with nothing wrong about it.
    pub(super) fn serve(&mut self, wire: &Wire) {
        for said in self.hear(wire) {
            let (bytes, closes) = answer(&said);
            self.say(wire, &bytes);
            if closes {
                self.close(wire);
            }
        }
    }

    fn hear(&mut self, wire: &Wire) -> Vec<Said> {
        let key = wire.0.borrow().id.as_u64();
        let line = self.lines.entry(key).or_default();
        let sent = wire.take_sent();
        if sent.is_empty() {
            return Vec::new();
        }
        let id = *line.id.get_or_insert_with(|| {
            let id = self.sessions.accept(&self.tls);
            id.expect("there is room")
        });
        let from = self.sessions.pending_len(id);
        let mut buffer = vec![0; from];
        buffer.extend_from_slice(&sent);
        let (mut owed, end) = (Vec::new(), buffer.len());
        let received = self.sessions.receive(id, &mut buffer, from..end, &mut owed);
        wire.arrive(&owed);
        if let Some(established) = received.established {
            line.id = Some(established.id);
        }
        line.is_closed |= received.ending == Ending::Closed;
        line.plain.extend_from_slice(&buffer[received.plaintext]);
        understand(wire, &mut line.plain)
    }

    fn say(&mut self, wire: &Wire, plain: &[u8]) {
        let id = self.id_of(wire);
        let mut out = vec![0; plain.len() + 4096];
        let sealed = self.sessions.seal(id, [plain], &mut out);
        assert_eq!(sealed.plaintext, plain.len());
        wire.arrive(&out[..sealed.ciphertext]);
    }

    /// Says close_notify, and closes.
    fn close(&mut self, wire: &Wire) {
        let id = self.id_of(wire);
        let mut out = [0; 256];
        let length = self.sessions.close(id, &mut out);
        wire.arrive(&out[..length]);
        wire.arrive_eof();
    }

    fn id_of(&self, wire: &Wire) -> SessionId {
        let line = &self.lines[&wire.0.borrow().id.as_u64()];
        line.id.expect("it has spoken")
    }
}

fn dev(names: &[&str]) -> DevCertificate {
    let request = DevRequest {
        names: names.iter().map(|&name| name.to_owned()).collect(),
        days: 20_000,
    };
    DevCertificate::new(&request, 1_700_000_000).expect("names")
}

fn server(made: &DevCertificate) -> ServerOptions {
    ServerOptions {
        certificates: vec![Certificate {
            chain: certificates(made.certificate.as_bytes()).expect("our own PEM"),
            key: private_key(made.key.as_bytes()).expect("our own PEM"),
            ocsp: None,
            facts: Default::default(),
        }],
        tickets: Some(Arc::new(Tickets::for_this_process())),
        ..ServerOptions::default()
    }
}

fn believing(made: &DevCertificate, resumes: bool) -> ClientOptions {
    ClientOptions {
        trust: Trust::Authorities(certificates(made.authority.as_bytes()).expect("our own PEM")),
        resumes,
        choices: Choices {
            tls12: true,
            ..Choices::default()
        },
        certificate: None,
    }
}

/// A world whose server speaks TLS.
fn world(kind: Kind, connections: u64, options: &ServerOptions, client: &ClientOptions) -> World {
    let mut brief = brief(vec![cohort(kind, connections)]);
    brief.retries_max = 0;
    let tls = ClientTls::new(client, "localhost").expect("a name");
    for place in &mut brief.places {
        place.tls = Some(tls.clone());
    }
    let mut world = World::new(brief);
    world.tls = Some(TlsServer::new(options));
    world
}

fn honest(kind: Kind, connections: u64) -> World {
    let made = dev(&["localhost"]);
    world(kind, connections, &server(&made), &believing(&made, false))
}

#[test]
fn messages_go_through_in_any_pieces() {
    for per_call in [0, 1, 2, 3, 7, 64] {
        let mut world = honest(CLOSED, 5);
        world.kernel.borrow_mut().per_call = per_call;
        // A turn takes a millisecond, and a hello has more than a thousand bytes.
        world.run(8 * SECOND);
        assert_eq!(world.fleet.counts.upgraded, 5, "{per_call}");
        let tls = world.fleet.tls.as_ref().expect("it speaks TLS");
        assert_eq!(
            (tls.sessions.handshakes(), tls.sessions.kept_by_rustls()),
            (0, 0)
        );
        world.fleet.obey(&Command::Start);
        world.run(SECOND);
        let books = &world.fleet.troops[0].books;
        assert!(books.received > 5, "{per_call}: {books:?}");
        assert_eq!(books.errors.total(), 0);
        world.fleet.obey(&Command::Settle);
        world.run(SECOND);
        let wires = world.live();
        world.fleet.obey(&Command::Part);
        world.run(3 * SECOND);
        assert!(world.fleet.dispatch().is_empty);
        assert_eq!(world.fleet.failed.total(), 0);
        let mut server = world.tls.expect("it is still there");
        wires.iter().for_each(|wire| drop(server.hear(wire)));
        let lines = &server.lines;
        assert!(
            lines.values().all(|line| line.is_closed),
            "in form: {per_call}"
        );
    }
}

#[test]
fn a_full_socket_keeps_the_order_of_records() {
    let mut world = honest(CLOSED, 1);
    world.run(SECOND);
    world.fleet.obey(&Command::Start);
    world.run(SECOND);
    let wire = world.live().remove(0);
    for round in 0..50 {
        wire.block_after(round * 7 % 97);
        world.run(SECOND / 50);
        wire.unblock();
        world.run(SECOND / 50);
    }
    let books = &world.fleet.troops[0].books;
    assert!(books.received > 50, "{books:?}");
    assert_eq!((books.errors.total(), world.fleet.failed.total()), (0, 0));
}

#[test]
fn handshakes_are_counted_full_or_resumed() {
    let made = dev(&["localhost"]);
    for (resumes, resumed) in [(false, 0), (true, 30)] {
        let mut world = world(CLOSED, 40, &server(&made), &believing(&made, resumes));
        // The first ten bring as many tickets; whoever uses one up brings another.
        for share in [0.25, 0.5, 0.75, 1.0] {
            world.fleet.obey(&Command::Hold(share));
            world.run(SECOND);
        }
        assert_eq!(world.fleet.counts.upgraded, 40);
        let mut interval = Interval::new(1);
        world.fleet.dispatch().recorded.add_to(&mut interval);
        let counted = [false, true].map(|kind| interval.secured(kind).len());
        assert_eq!(counted, [40 - resumed, resumed]);
    }
}

#[test]
fn every_certificate_that_does_not_hold_is_a_failure_of_its_own() {
    let (right, other, elsewhere) = (
        dev(&["localhost"]),
        dev(&["localhost"]),
        dev(&["elsewhere.test"]),
    );
    let request = DevRequest {
        names: vec!["localhost".into()],
        days: 1,
    };
    let old = DevCertificate::new(&request, 1_700_000_000).expect("a name");
    for (shown, believed, why) in [
        (&right, &other, Refusal::CertificateUntrusted),
        (&elsewhere, &elsewhere, Refusal::CertificateName),
        (&old, &old, Refusal::CertificateExpired),
    ] {
        let mut world = world(CLOSED, 2, &server(shown), &believing(believed, false));
        world.run(SECOND);
        let class = Failure::Tls(TlsFailure::Handshake(why));
        assert_eq!(world.failed(class), 2, "{why}");
        assert_eq!(world.fleet.dispatch().counts.gone, 2);
    }
    // Who believes anybody finds all of them good.
    let mut world = world(CLOSED, 2, &server(&old), &ClientOptions::default());
    world.run(SECOND);
    assert_eq!(world.fleet.counts.upgraded, 2);
}

#[test]
fn an_end_without_close_notify_is_a_truncation() {
    let mut world = honest(Kind::Idle, 3);
    world.run(SECOND);
    let wires = world.live();
    // Cut off, closed in form but without a word of the protocol inside, and damaged.
    wires[0].arrive_eof();
    let server = world.tls.as_mut().expect("it speaks TLS");
    server.close(&wires[1]);
    wires[2].arrive(&[
        23, 3, 3, 0, 20, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20,
    ]);
    world.turn();
    let damaged = Failure::Tls(TlsFailure::Record(throng::tls::Fault::BadMac));
    for why in [
        Failure::Tls(TlsFailure::Truncated),
        Failure::ClosedWithoutFrame,
        damaged,
    ] {
        assert_eq!(world.failed(why), 1, "{why}");
    }
}

#[test]
fn whoever_speaks_no_tls_is_found_out() {
    for (words, why) in [
        (&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], Refusal::PlainHttp),
        (b"\x15\x03\x03\x00\x02\x02\x28", Refusal::PeerAlert(40)),
    ] {
        let mut world = honest(Kind::Idle, 1);
        world.set_answering(false);
        world.turn();
        world.live()[0].arrive(words);
        world.turn();
        let class = Failure::Tls(TlsFailure::Handshake(why));
        assert_eq!(world.failed(class), 1, "{why}: {:?}", world.fleet.failed);
    }
    let mut world = honest(Kind::Idle, 1);
    world.set_answering(false);
    world.turn();
    world.live()[0].arrive_eof();
    world.turn();
    assert_eq!(world.failed(Failure::ClosedBeforeUpgrade), 1);
}

/// A beast that dribbles dribbles its hello, too, and then its request.
#[test]
fn a_hello_may_dribble() {
    let beast = Beast::DribbleUpgrade;
    let mut world = honest(Kind::Zoo { beast }, 1);
    world.fleet.obey(&Command::Start);
    world.run(SECOND);
    assert!(world.live()[0].0.borrow().upgraded.eq(&false));
    // A hello with a post-quantum key share has more than a thousand bytes, ten a second.
    world.run(119 * SECOND);
    assert_eq!(world.failed(Failure::HandshakeTimeout), 1);
}

#[test]
fn a_flood_of_plaintext_in_one_record_is_understood() {
    let mut world = honest(Kind::Idle, 1);
    world.run(SECOND);
    let wire = world.live().remove(0);
    let pings: Vec<u8> = (0..300)
        .flat_map(|n: u16| frame(Opcode::Ping, &n.to_be_bytes()))
        .collect();
    let server = world.tls.as_mut().expect("it speaks TLS");
    server.say(&wire, &pings);
    world.turn();
    let server = world.tls.as_mut().expect("it speaks TLS");
    let pongs = server.hear(&wire);
    assert_eq!(pongs.len(), 300);
    assert_eq!(pongs[299], Said::Frame(Opcode::Pong, vec![1, 43]));
}
