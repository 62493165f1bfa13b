//! All connections of one thread, and one turn of its loop.
//!
//! The fleet knows no poll and no descriptor: `worker` turns it on sockets and a clock, the tests on scripted
//! streams and a virtual one. Nothing is freed inside a handler: what ends is marked, and reaped at the end
//! of the turn.
//!
//! ```text
//!  events -> read, write ┐
//!  leftovers of the last turn ├-> timers -> answers overdue -> sends due -> dials -> reap -> when to come back
//! ```

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use hdrhistogram::Histogram;
use slab::Slab;
use throng::reactor::wheel::{Link, Links, Wheel};
use throng::reactor::{ConnId, Ready};
use throng::ws::deflate::{Codec, DeflateConfig, Mode};
use throng::ws::frame::{HEADROOM, Role};
use throng::ws::inbound::Rules;

use super::brief::{Brief, Ticks};
use super::connection::{Connection, Phase};
use super::dispatch::{Dispatch, handshake_histogram};
use super::fanout::{Fanout, Part};
use super::flights::Flights;
use super::keys::Keys;
use super::liveness::Liveness;
use super::net::Net;
use super::parting::End;
use super::ramp::Ramp;
use super::rooms::RoomCounts;
use super::tls::{HELD_BYTES_MAX, Tls};
use super::troop::Troop;
use crate::failures::FailureCounts;
use crate::histograms::Recorder;
use crate::random::Random;
use crate::tuples::TupleSlice;

/// The connections of one thread.
pub struct Fleet<N: Net> {
    pub(super) brief: Arc<Brief>,
    pub(super) net: N,
    pub(super) entries: Entries<N::Stream>,
    pub(super) wheel: Wheel,
    pub(super) ticks: Ticks,
    pub(super) troops: Vec<Troop>,
    pub(super) flights: Flights,
    pub(super) liveness: Liveness,
    pub(super) ramp: Ramp,
    pub(super) tuples: TupleSlice,
    pub(super) recorder: Recorder,
    pub(super) handshakes: Histogram<u64>,
    pub(super) codec: Codec,
    pub(super) rules: Rules,
    pub(super) keys: Keys,
    /// Where any target is `wss://`.
    pub(super) tls: Option<Tls>,
    pub(super) random: Random,
    pub(super) stage: Stage,
    /// When the last publication may have been made; deliveries have until then and the time to answer.
    pub(super) settling_since_ns: Option<u64>,
    pub(super) counts: Counts,
    pub(super) failed: FailureCounts,
    pub(super) recovery: Recovery,
    /// The one receive buffer, with room in front for a header, and for what is held back of a record.
    pub(super) buffer: Vec<u8>,
    /// Frames on their way to the socket.
    pub(super) scratch: Vec<u8>,
    /// A payload on its way into a frame.
    pub(super) payload: Vec<u8>,
    /// Connections with more to read than one turn allows.
    pub(super) ready: VecDeque<u32>,
    pub(super) doomed: Vec<(u32, End)>,
    /// Sockets of connections that were cut by silence: open, and nobody's any more.
    pub(super) mutes: Vec<N::Stream>,
    pub(super) last_generation: u32,
}

/// How far the run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Connections are opened; no messages yet.
    Ramping,
    /// Messages flow.
    Running,
    /// Nothing new is begun; answers are awaited.
    Settling,
    /// Connections are closed.
    Parting,
}

/// Numbers of this moment, and totals.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Connects under way, handshakes included.
    pub handshaking: u64,
    /// TCP connections that stand.
    pub connected: u64,
    /// Of them, open WebSockets.
    pub upgraded: u64,
    /// Attempts made again after a failure.
    pub retries: u64,
    /// Connections that will not come back.
    pub gone: u64,
    /// Time spent in dialling, and how often.
    pub dial_ns: u64,
    /// See `dial_ns`.
    pub dials: u64,
    /// Connections that should have vanished and were not allowed to.
    pub not_vanished: u64,
    /// TLS handshakes that ended in TLS 1.2: rustls keeps those, at 3.6 KB each.
    pub tls12: u64,
}

/// How those that were cut come back.
#[derive(Debug)]
pub struct Recovery {
    /// When they were cut.
    pub cut_at_ns: u64,
    /// How many.
    pub cut: u64,
    /// Attempts they made.
    pub attempts: u64,
    /// Milliseconds from the cut to the return.
    pub back_after_ms: Histogram<u64>,
}

/// The slab, and the wheel's way into it.
pub(super) struct Entries<S>(pub(super) Slab<Connection<S>>);

impl<S> Links for Entries<S> {
    fn link(&mut self, index: u32) -> &mut Link {
        &mut self.0[index as usize].timer
    }
}

impl<N: Net> Fleet<N> {
    /// A fleet with nothing open.
    pub fn new(brief: Arc<Brief>, net: N, tuples: TupleSlice, thread: u32) -> Self {
        let seed = brief.seed ^ u64::from(thread + 1).wrapping_mul(0x9e37_79b9);
        let now_ns = net.now_ns();
        let ticks = brief.ticks_of(thread);
        let ramp = Ramp::new(&brief, thread, now_ns);
        let expected = ramp.expected();
        let troops: Vec<Troop> = (0..brief.scenario.cohorts.len())
            .map(|cohort| Troop::new(&brief, cohort, thread))
            .collect();
        let has_tls = brief.places.iter().any(|place| place.tls.is_some());
        let tls = has_tls.then(|| Tls::new(brief.gate.most()));
        let held_bytes = if has_tls { HELD_BYTES_MAX } else { 0 };
        let deflate = DeflateConfig {
            // Nothing is kept per connection: a million of them would keep gigabytes.
            mode: Mode::Shared,
            ..DeflateConfig::default()
        };
        Self {
            net,
            entries: Entries(Slab::with_capacity(expected)),
            wheel: Wheel::new(ticks.at(now_ns)),
            ticks,
            flights: Flights::new(),
            liveness: Liveness::new(brief.alive_window_s),
            ramp,
            tuples,
            recorder: Recorder::new(troops.len()),
            handshakes: handshake_histogram(),
            codec: Codec::new(&deflate),
            rules: Rules {
                role: Role::Client,
                message_bytes_max: brief.message_bytes_max,
                empty_fragments_max: EMPTY_FRAGMENTS_MAX,
            },
            keys: Keys::new(),
            tls,
            random: Random::new(seed),
            stage: Stage::Ramping,
            settling_since_ns: None,
            counts: Counts::default(),
            failed: FailureCounts::default(),
            recovery: Recovery::new(),
            buffer: vec![0; HEADROOM + held_bytes + READ_BYTES],
            scratch: Vec::new(),
            payload: Vec::new(),
            ready: VecDeque::new(),
            doomed: Vec::new(),
            mutes: Vec::new(),
            last_generation: 0,
            troops,
            brief,
        }
    }

    /// One turn: takes what the kernel reported, does what is due, and says when to come back.
    pub fn turn(&mut self, events: impl Iterator<Item = (ConnId, Ready)>) -> u64 {
        let now_ns = self.net.now_ns();
        self.liveness.advance(self.brief.second(now_ns));
        self.codec.refill(INFLATE_BYTES_PER_TURN);
        for (id, ready) in events {
            self.on_ready(id, ready);
        }
        self.read_leftovers();
        self.expire_timers(now_ns);
        self.expire_answers(now_ns);
        self.send_due();
        self.dial_some();
        self.reap();
        self.come_back_at(self.net.now_ns())
    }

    /// What is known now.
    pub fn dispatch(&mut self) -> Dispatch {
        let handshakes = (!self.handshakes.is_empty())
            .then(|| std::mem::replace(&mut self.handshakes, handshake_histogram()));
        self.note_publications();
        Dispatch {
            counts: self.counts,
            awaited: self.awaited(),
            proven_alive: self.liveness.proven_alive(),
            failed: self.failed.clone(),
            books: self
                .troops
                .iter()
                .map(|troop| troop.books.clone())
                .collect(),
            open: self
                .troops
                .iter()
                .map(|troop| troop.roster.members().len() as u64)
                .collect(),
            tuples: self.tuples.counts(),
            recorded: self.recorder.take(),
            parts: self.take_parts(),
            handshakes,
            recovery: (self.recovery.cut > 0).then(|| self.recovery.clone()),
            rooms: self.room_counts(),
            is_empty: self.entries.0.is_empty(),
        }
    }

    /// What was published by other threads is expected here, too.
    fn note_publications(&mut self) {
        for troop in &mut self.troops {
            if let Some(fanout) = &mut troop.fanout {
                fanout.note(&mut troop.books);
            }
        }
    }

    fn room_counts(&self) -> Option<RoomCounts> {
        let rooms = self.troops.iter().filter_map(|troop| troop.rooms.as_ref());
        rooms.map(|rooms| rooms.counts).reduce(RoomCounts::plus)
    }

    fn take_parts(&mut self) -> BTreeMap<u32, Part> {
        // One broadcast per scenario is the rule; of several, the first is what the skew shows.
        let first = self
            .troops
            .iter_mut()
            .find_map(|troop| troop.fanout.as_mut());
        first.map(Fanout::take_parts).unwrap_or_default()
    }

    /// The connection that an event means, unless its slot has changed hands.
    pub(super) fn index_of(&self, id: ConnId) -> Option<u32> {
        let connection = self.entries.0.get(id.index() as usize)?;
        (connection.generation == id.generation()).then(|| id.index())
    }

    pub(super) fn connection(&mut self, index: u32) -> &mut Connection<N::Stream> {
        &mut self.entries.0[index as usize]
    }

    pub(super) fn is(&self, index: u32, phase: Phase) -> bool {
        self.entries.0[index as usize].phase == phase
    }

    /// The earliest moment at which something is due; the present one when something is now.
    fn come_back_at(&self, now_ns: u64) -> u64 {
        if !self.ready.is_empty() {
            return now_ns;
        }
        let tick = self.wheel.next_tick();
        let timer = tick.map(|tick| self.ticks.begin_ns(tick));
        let answer = self
            .flights
            .oldest()
            .map(|flight| flight.sent_ns + self.brief.answer_timeout_ns);
        let send = (self.stage == Stage::Running)
            .then(|| self.troops.iter().filter_map(Troop::next_ns).min())
            .flatten();
        let dial = self.next_dial_ns();
        let all = [timer, answer, send, dial];
        let first = all.into_iter().flatten().min();
        first.unwrap_or(u64::MAX).min(now_ns + WAIT_NS_MAX)
    }
}

impl Recovery {
    fn new() -> Self {
        let back_after_ms = Histogram::new_with_bounds(1, 3_600_000, 2);
        Self {
            cut_at_ns: 0,
            cut: 0,
            attempts: 0,
            back_after_ms: back_after_ms.expect("the bounds are in order"),
        }
    }
}

impl Clone for Recovery {
    fn clone(&self) -> Self {
        Self {
            back_after_ms: self.back_after_ms.clone(),
            ..*self
        }
    }
}

/// One read takes this much: sixteen messages of 4 KiB, or a thousand small ones.
const READ_BYTES: usize = 64 << 10;
/// Inflating is rationed; a turn of a generator may be longer than a server's.
const INFLATE_BYTES_PER_TURN: usize = 4 << 20;
const EMPTY_FRAGMENTS_MAX: u32 = 1000;
/// The longest sleep: an event wakes earlier, so this only bounds what a forgotten deadline would cost.
const WAIT_NS_MAX: u64 = 500_000_000;
