//! A fleet in a scripted world: the test is the server, the kernel and the clock.

use std::cell::RefCell;
use std::collections::{HashSet, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use throng::reactor::{ConnId, Ready};
use throng::ws::close::CloseCode;
use throng::ws::frame::{Opcode, Role, append_frame, parse_header};
use throng::ws::handshake::accept_key;
use throng::ws::mask::unmask;

use super::rooms::Hub;
use super::secured::TlsServer;
use super::wire::{Kernel, ScriptNet, Wire};
use crate::engine::brief::{Brief, Place, publications_of};
use crate::engine::connection::{Connection, Phase};
use crate::engine::fleet::Fleet;
use crate::engine::gate::Gate;
use crate::failures::{Failure, FailureCounts};
use crate::pool::SourcePool;
use crate::ports::PortSet;
use crate::scenario::{Cohort, Handshake, Kind, MessageShape, Pace, Scenario};
use crate::schedule::Arrivals;
use crate::tuples::TupleSpace;

pub(super) const MS: u64 = 1_000_000;
pub(super) const SECOND: u64 = 1000 * MS;

/// A fleet and everything around it.
pub(super) struct World {
    pub(super) fleet: Fleet<ScriptNet>,
    pub(super) kernel: Rc<RefCell<Kernel>>,
    pub(super) brief: Arc<Brief>,
    /// When the fleet wants to be turned again.
    pub(super) due_ns: u64,
    /// Events of the past, to be told once more.
    pub(super) stale: Vec<(ConnId, Ready)>,
    answers: bool,
    /// Where the server speaks TLS.
    pub(super) tls: Option<TlsServer>,
    /// Where the server has rooms.
    pub(super) hub: Option<Hub>,
}

/// What a client said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Said {
    Request(Vec<u8>),
    Frame(Opcode, Vec<u8>),
}

pub(super) const CLOSED: Kind = Kind::Echo {
    pace: Pace::Closed { in_flight: 1 },
};

pub(super) const fn open_loop(rate_per_s: f64) -> Kind {
    Kind::Echo {
        pace: Pace::Open {
            rate_per_s,
            arrivals: Arrivals::Even,
        },
    }
}

pub(super) fn cohort(kind: Kind, connections: u64) -> Cohort {
    Cohort {
        name: "cohort".into(),
        kind,
        connections,
        messages: MessageShape::default(),
        handshake: Handshake {
            heartbeat: Duration::from_secs(25),
            ..Handshake::default()
        },
    }
}

/// A brief without surprises, for a test to change.
pub(super) fn brief(cohorts: Vec<Cohort>) -> Brief {
    let place = |n: u16| Place {
        address: ([10, 0, 0, 1], 9000 + n).into(),
        authority: "server".into(),
        path: "/echo".into(),
        tls: None,
    };
    let scenario = Scenario {
        name: "test".into(),
        targets: Vec::new(),
        duration: Duration::from_secs(60),
        ramp_per_s: 0.0,
        seed: None,
        cohorts,
        phases: Vec::new(),
        thresholds: Vec::new(),
    };
    Brief {
        publications: publications_of(&scenario),
        scenario: Arc::new(scenario),
        places: vec![place(0), place(1)],
        threads: 1,
        seed: 7,
        origin_ns: SECOND,
        abreast: 1,
        gate: Gate::new(512),
        retries_max: 3,
        connect_timeout_ns: 10 * SECOND,
        answer_timeout_ns: 10 * SECOND,
        alive_window_s: 30,
        message_bytes_max: 1 << 20,
    }
}

impl World {
    pub(super) fn of(kind: Kind, connections: u64) -> Self {
        Self::new(brief(vec![cohort(kind, connections)]))
    }

    pub(super) fn new(brief: Brief) -> Self {
        let brief = Arc::new(brief);
        let kernel = Rc::new(RefCell::new(Kernel {
            now_ns: brief.origin_ns,
            wires: Vec::new(),
            dial_errors: VecDeque::new(),
            accepts: true,
            may_vanish: true,
            per_call: 0,
            dials: 0,
        }));
        let listeners = brief.places.iter().map(|place| place.address).collect();
        let pool = SourcePool::parse("10.0.0.2").expect("an address");
        let ports = PortSet::new(2000..=2099, &[]);
        let space = TupleSpace::new(pool, ports, listeners, 1).expect("neither part is empty");
        let tuples = Arc::new(space).slices(1).remove(0);
        let net = ScriptNet(Rc::clone(&kernel));
        Self {
            fleet: Fleet::new(Arc::clone(&brief), net, tuples, 0),
            due_ns: brief.origin_ns,
            kernel,
            brief,
            stale: Vec::new(),
            answers: true,
            tls: None,
            hub: None,
        }
    }

    pub(super) fn now_ns(&self) -> u64 {
        self.kernel.borrow().now_ns
    }

    /// Time passes, and nobody does anything.
    pub(super) fn pass(&self, span_ns: u64) {
        self.kernel.borrow_mut().now_ns += span_ns;
    }

    /// Connections whose client end is open, oldest first.
    pub(super) fn live(&self) -> Vec<Wire> {
        let wires = &self.kernel.borrow().wires;
        wires
            .iter()
            .filter(|wire| wire.is_live())
            .cloned()
            .collect()
    }

    /// One turn with all events there are; every invariant is checked behind it.
    pub(super) fn turn(&mut self) {
        self.kernel.borrow_mut().wires.retain(Wire::is_live);
        let mut events = std::mem::take(&mut self.stale);
        events.extend(self.live().iter().filter_map(Wire::take_event));
        self.due_ns = self.fleet.turn(events.into_iter());
        self.check();
    }

    /// Lets the server answer or be silent from now on.
    pub(super) fn set_answering(&mut self, answers: bool) {
        self.answers = answers;
    }

    /// Time passes with a turn whenever one is due, and an echo server at the other end.
    pub(super) fn run(&mut self, span_ns: u64) {
        let until = self.now_ns() + span_ns;
        let mut spins = 0;
        loop {
            self.turn();
            if self.answers {
                for wire in self.live() {
                    match (&mut self.tls, &mut self.hub) {
                        (Some(server), _) => server.serve(&wire),
                        (None, Some(hub)) => hub.serve(&wire),
                        (None, None) => serve(&wire),
                    }
                }
            }
            let now_ns = self.now_ns();
            if now_ns >= until {
                return;
            }
            if self.live().iter().any(Wire::has_event) {
                // An answer takes its time, or a closed loop would stop the clock.
                self.pass(ROUND_TRIP_NS);
                continue;
            }
            if self.due_ns <= now_ns {
                spins += 1;
                assert!(
                    spins < SPINS_MAX,
                    "it spins at {now_ns}, due {}",
                    self.due_ns
                );
                continue;
            }
            spins = 0;
            self.kernel.borrow_mut().now_ns = self.due_ns.min(until);
        }
    }

    pub(super) fn failed(&self, why: Failure) -> u64 {
        count_of(&self.fleet.failed, why)
    }

    pub(super) fn lost(&self, why: Failure) -> u64 {
        let books = self.fleet.troops.iter().map(|troop| &troop.books);
        books.map(|books| count_of(&books.lost, why)).sum()
    }

    pub(super) fn errors(&self, why: Failure) -> u64 {
        let books = self.fleet.troops.iter().map(|troop| &troop.books);
        books.map(|books| count_of(&books.errors, why)).sum()
    }

    /// Everything that must be true between two turns.
    pub(super) fn check(&mut self) {
        let fleet = &mut self.fleet;
        fleet.wheel.check(&mut fleet.entries);
        assert!(fleet.doomed.is_empty(), "somebody ended and was not reaped");
        let in_phase = |phases: &[Phase]| {
            let entries = fleet.entries.0.iter();
            entries.filter(|(_, c)| phases.contains(&c.phase)).count() as u64
        };
        let counts = fleet.counts;
        assert_eq!(in_phase(&[Phase::Dead]), 0);
        let opening = in_phase(&[Phase::Dialing, Phase::Upgrading]);
        assert_eq!(counts.handshaking, opening, "handshaking");
        assert_eq!(self.brief.gate.under_way(), counts.handshaking);
        let standing = in_phase(&[Phase::Upgrading, Phase::Open, Phase::Leaving]);
        assert_eq!(counts.connected, standing, "connected");
        assert_eq!(counts.upgraded, in_phase(&[Phase::Open]), "upgraded");
        let (now_s, window_s) = (fleet.liveness.now_s(), self.brief.alive_window_s);
        let is_alive = |c: &Connection<_>| c.phase == Phase::Open && now_s - c.heard_s < window_s;
        let alive = fleet.entries.0.iter().filter(|(_, c)| is_alive(c)).count();
        assert_eq!(fleet.liveness.proven_alive(), alive as u64, "proven alive");
        self.check_entries();
        self.check_books();
        self.check_tuples();
        self.check_sessions();
    }

    /// Every session is somebody's.
    fn check_sessions(&self) {
        let entries = self.fleet.entries.0.iter();
        let owners = entries.filter(|(_, c)| c.tls.is_some()).count();
        let sessions = self.fleet.tls.as_ref().map_or(0, |tls| tls.sessions.len());
        assert_eq!(owners, sessions, "sessions leak");
    }

    /// Nobody is forgotten: everyone has a timer, or is about to be dialled.
    fn check_entries(&self) {
        let fleet = &self.fleet;
        for (index, connection) in &fleet.entries.0 {
            let is_linked = connection.timer.is_linked();
            let phase = connection.phase;
            assert!(
                is_linked || phase == Phase::Waiting,
                "{phase:?} without a timer"
            );
            assert_eq!(connection.stream.is_some(), phase != Phase::Waiting);
            if phase == Phase::Open {
                let roster = &fleet.troops[usize::from(connection.cohort)].roster;
                assert_eq!(roster.members()[connection.place as usize], index as u32);
            }
        }
        let rosters = fleet
            .troops
            .iter()
            .map(|troop| troop.roster.members().len());
        assert_eq!(rosters.sum::<usize>() as u64, fleet.counts.upgraded);
        let entries: u64 = fleet.troops.iter().map(|troop| troop.entries).sum();
        assert_eq!(entries, fleet.entries.0.len() as u64);
    }

    fn check_books(&self) {
        let fleet = &self.fleet;
        for (cohort, troop) in fleet.troops.iter().enumerate() {
            let mine = fleet.entries.0.iter();
            let mine = mine.filter(|(_, c)| usize::from(c.cohort) == cohort);
            let under_way: u64 = mine.map(|(_, c)| u64::from(c.order.len())).sum();
            let books = &troop.books;
            let settled = books.received + books.lost.total();
            if troop.fanout.is_some() || troop.rooms.is_some() {
                // Deliveries under way are known to no connection.
                assert!(settled <= books.sent, "cohort {cohort}: {books:?}");
            } else {
                assert_eq!(
                    books.sent,
                    settled + under_way,
                    "cohort {cohort}: {books:?}"
                );
            }
        }
    }

    /// Ports in use are those of sockets; nobody shares one.
    fn check_tuples(&self) {
        let live = self.live();
        let tuples: HashSet<_> = live.iter().map(|wire| wire.0.borrow().tuple).collect();
        assert_eq!(tuples.len(), live.len());
        let entries = self.fleet.entries.0.iter();
        let sockets = entries.filter(|(_, c)| c.stream.is_some()).count();
        assert_eq!(live.len(), sockets + self.fleet.mutes.len(), "sockets leak");
        if !self.fleet.mutes.is_empty() || self.fleet.stage < crate::engine::fleet::Stage::Parting {
            let in_use = self.fleet.tuples.counts().in_use;
            assert_eq!(in_use, live.len() as u64, "ports leak");
        }
    }
}

fn count_of(counts: &FailureCounts, why: Failure) -> u64 {
    let counts = counts.by_class();
    counts.get(&why.to_string()).copied().unwrap_or_default()
}

/// What the client said since the last time.
pub(super) fn hear(wire: &Wire) -> Vec<Said> {
    let mut bytes = wire.take_sent();
    let said = understand(wire, &mut bytes);
    wire.untake(&bytes);
    said
}

/// What these bytes of a client say; those that are no whole frame yet stay.
pub(super) fn understand(wire: &Wire, bytes: &mut Vec<u8>) -> Vec<Said> {
    let mut said = Vec::new();
    let mut at = 0;
    if !wire.0.borrow().upgraded {
        let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
            return said;
        };
        at = end + 4;
        said.push(Said::Request(bytes[..at].to_vec()));
        wire.0.borrow_mut().upgraded = true;
    }
    while let Some(header) = parse_header(&bytes[at..], Role::Server).expect("a right client") {
        let begin = at + usize::from(header.header_len);
        let end = begin + header.payload_len as usize;
        if end > bytes.len() {
            break;
        }
        unmask(&mut bytes[begin..end], header.key.expect("clients mask"));
        said.push(Said::Frame(header.opcode, bytes[begin..end].to_vec()));
        at = end;
    }
    bytes.drain(..at);
    said
}

/// The 101 that answers a request.
pub(super) fn acceptance(request: &[u8]) -> Vec<u8> {
    let request = str::from_utf8(request).expect("requests are text");
    let key = request.split_once("Sec-WebSocket-Key: ").expect("a key").1;
    let key = accept_key(key.as_bytes().first_chunk().expect("24 characters"));
    let key = str::from_utf8(&key).expect("base64");
    format!("HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {key}\r\n\r\n").into_bytes()
}

pub(super) fn frame(opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    append_frame(&mut out, opcode, false, None, payload);
    out
}

pub(super) fn close_frame(code: CloseCode) -> Vec<u8> {
    frame(Opcode::Close, &code.as_u16().to_be_bytes())
}

/// What a right server answers; and whether it then closes.
pub(super) fn answer(said: &Said) -> (Vec<u8>, bool) {
    match said {
        Said::Request(request) => (acceptance(request), false),
        Said::Frame(Opcode::Ping, payload) => (frame(Opcode::Pong, payload), false),
        Said::Frame(Opcode::Pong | Opcode::Continuation, _) => (Vec::new(), false),
        Said::Frame(Opcode::Close, payload) => (frame(Opcode::Close, payload), true),
        Said::Frame(opcode, payload) => (frame(*opcode, payload), false),
    }
}

/// An echo server with nothing wrong about it.
pub(super) fn serve(wire: &Wire) {
    for said in hear(wire) {
        let (bytes, closes) = answer(&said);
        wire.arrive(&bytes);
        if closes {
            wire.arrive_eof();
        }
    }
}

const ROUND_TRIP_NS: u64 = MS;
/// Far more turns than anything here needs at one moment.
const SPINS_MAX: u32 = 20_000;
