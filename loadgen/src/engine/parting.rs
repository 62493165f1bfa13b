//! How connections end, and which of them come back.
//!
//! `doom` marks and does the books; `reap`, at the end of the turn, closes the socket, gives the port back
//! and decides about the future. Who closes first matters for the port: the side that sends the first FIN
//! keeps it in TIME_WAIT for a minute, so whatever we end ourselves we end with a reset, unless a FIN is
//! what was asked for.

use throng::ws::close::{CloseCode, append_close_payload};
use throng::ws::frame::Opcode;

use super::brief::{TICK_NS, ticks};
use super::connection::{Connection, Flags, Phase};
use super::fleet::{Fleet, Stage};
use super::net::Net;
use crate::backoff::Backoff;
use crate::failures::Failure;
use crate::failures::tls::TlsFailure;
use crate::scenario::{CutBy, Kind};

/// How a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Something went wrong; it is counted.
    Failed(Failure),
    /// The peer said Close, which is counted already.
    Told,
    /// As intended, and the peer closed the socket first.
    Over,
    /// As intended, and we are the first.
    Dropped,
    /// Cut, as a storm does.
    Cut(CutBy),
    /// Gone without a word; its port is not to be used while the peer may believe in it.
    Vanished,
}

impl<N: Net> Fleet<N> {
    /// Ends a connection. It stays in its slot, dead, until the turn is over.
    pub(super) fn doom(&mut self, index: u32, end: End) {
        let was = self.connection(index).phase;
        let end = match (was, end) {
            (Phase::Dead, _) => return,
            (Phase::Dialing | Phase::Upgrading, End::Failed(why)) => {
                End::Failed(why.before_upgrade())
            }
            (_, end) => end,
        };
        match was {
            Phase::Open => self.cease(index, reason_of(end)),
            Phase::Dialing | Phase::Upgrading => {
                self.counts.handshaking -= 1;
                self.brief.gate.leave(1);
            }
            Phase::Waiting | Phase::Leaving | Phase::Dead => {}
        }
        if matches!(was, Phase::Upgrading | Phase::Open | Phase::Leaving) {
            self.counts.connected -= 1;
        }
        if let End::Failed(why) = end {
            self.failed.count(why);
        }
        let connection = self.connection(index);
        connection.phase = Phase::Dead;
        let was_open = matches!(was, Phase::Open | Phase::Leaving);
        self.doomed.push((index, end));
        if was_open {
            // Attempts are counted anew from here.
            self.connection(index).attempts = 0;
        }
    }

    /// An open connection is no longer one: it takes no more turns, and what it was asked stays unanswered.
    pub(super) fn cease(&mut self, index: u32, why: Failure) {
        let connection = &mut self.entries.0[index as usize];
        let troop = &mut self.troops[usize::from(connection.cohort)];
        let mut lost = 0;
        while self.flights.pop(&mut connection.order).is_some() {
            lost += 1;
        }
        troop.books.lose(why, lost);
        if let Some(rooms) = &mut troop.rooms {
            let room = rooms.room_of(u64::from(connection.number) - troop.first_number);
            rooms.leave(index, &mut connection.flags, room);
        }
        let is_publisher = troop.is_publisher(connection.number);
        match &mut troop.fanout {
            Some(fanout) if is_publisher => fanout.remove_publisher(index),
            Some(fanout) => fanout.remove_receiver(connection.seen, why, &mut troop.books),
            None => {}
        }
        self.liveness.forget(connection.heard_s);
        self.counts.upgraded -= 1;
        let place = connection.place;
        if let Some(moved) = troop.roster.leave(place) {
            self.connection(moved).place = place;
        }
    }

    /// Says goodbye in form: our Close, then their end.
    pub(super) fn leave(&mut self, index: u32) {
        self.cease(index, Failure::Cut);
        let end_tick = self.ticks.at(self.net.now_ns()) + ticks(FAREWELL_NS);
        let connection = self.connection(index);
        connection.phase = Phase::Leaving;
        connection.end_tick = end_tick;
        let mut payload = Vec::new();
        append_close_payload(&mut payload, CloseCode::NORMAL, "");
        self.send_control(index, Opcode::Close, &payload);
        self.set_timer(index, end_tick);
    }

    /// The peer said goodbye first.
    pub(super) fn told(&mut self, index: u32, code: Option<u16>) {
        let flags = &mut self.connection(index).flags;
        flags.set(Flags::TOLD);
        if self.is(index, Phase::Leaving) {
            // The answer to ours. The end follows.
            return;
        }
        let why = Failure::Closed(code.unwrap_or(NO_CODE));
        self.failed.count(why);
        self.cease(index, why);
        let end_tick = self.ticks.at(self.net.now_ns()) + ticks(FAREWELL_NS);
        let connection = self.connection(index);
        connection.phase = Phase::Leaving;
        connection.end_tick = end_tick;
        let echo = code.map_or_else(Vec::new, |code| code.to_be_bytes().to_vec());
        self.send_control(index, Opcode::Close, &echo);
        self.close_session(index);
        self.set_timer(index, end_tick);
    }

    /// The peer's end of the stream.
    pub(super) fn ended_by_peer(&mut self, index: u32) {
        let is_truncated = self.is_truncated(index);
        let connection = self.connection(index);
        let end = match connection.phase {
            Phase::Leaving if connection.flags.has(Flags::TOLD) => End::Told,
            Phase::Leaving => End::Over,
            _ if is_truncated => End::Failed(Failure::Tls(TlsFailure::Truncated)),
            _ => End::Failed(Failure::ClosedWithoutFrame),
        };
        self.doom(index, end);
    }

    /// Clears away what ended in this turn.
    pub(super) fn reap(&mut self) {
        for at in 0..self.doomed.len() {
            let (index, end) = self.doomed[at];
            self.wheel.cancel(&mut self.entries, index);
            self.dispose(index, end);
            match self.comes_back_after_ms(index, end) {
                Some(delay_ms) => self.wait(index, end, delay_ms),
                None => {
                    let gone = self.entries.0.remove(index as usize);
                    let troop = &mut self.troops[usize::from(gone.cohort)];
                    troop.entries -= 1;
                    if let Some(rooms) = troop
                        .rooms
                        .as_mut()
                        .filter(|_| gone.flags.has(Flags::MEMBER))
                    {
                        let room = rooms.room_of(u64::from(gone.number) - troop.first_number);
                        rooms.remove(room, gone.seen, reason_of(end), &mut troop.books);
                    }
                    self.counts.gone += 1;
                }
            }
        }
        self.doomed.clear();
    }

    fn dispose(&mut self, index: u32, end: End) {
        let now_ms = self.net.now_ns() / 1_000_000;
        self.forget_session(index);
        let connection = self.connection(index);
        let tuple = connection.tuple;
        let stream = connection.stream.take();
        if end == End::Vanished {
            self.tuples.give_back_after_time_wait(tuple, now_ms);
        }
        let Some(stream) = stream else { return };
        match end {
            End::Cut(CutBy::Silence) => self.mutes.push(stream),
            End::Cut(CutBy::Fin) => {
                drop(stream);
                self.tuples.give_back_after_time_wait(tuple, now_ms);
            }
            End::Over | End::Told => {
                drop(stream);
                self.tuples.give_back(tuple);
            }
            _ => {
                self.net.reset(stream);
                self.tuples.give_back(tuple);
            }
        }
    }

    /// Whether a connection is tried again, and when.
    fn comes_back_after_ms(&mut self, index: u32, end: End) -> Option<u64> {
        if self.stage >= Stage::Settling {
            return None;
        }
        let connection = &self.entries.0[index as usize];
        let kind = self.troops[usize::from(connection.cohort)].cohort.kind;
        let attempts = u32::from(connection.attempts);
        let is_attempt = connection.is_new();
        match (kind.backoff(), end) {
            (Some(backoff), End::Cut(_)) => backoff.delay_ms(0, &mut self.random),
            (None, End::Cut(_)) => None,
            (Some(backoff), _) if connection.flags.has(Flags::RETURNING) || !is_attempt => {
                backoff.delay_ms(attempts, &mut self.random)
            }
            // What it does, it does on purpose: being thrown out is no reason to give up.
            _ if matches!(kind, Kind::Zoo { .. }) => Some(ZOO_PAUSE_MS),
            (_, End::Failed(_)) if is_attempt => {
                // They are counted in a byte.
                let most = self.brief.retries_max.min(u64::from(u8::MAX));
                let may_retry = u64::from(attempts) < most;
                may_retry.then(|| Backoff::FullJitter.delay_ms(attempts, &mut self.random))?
            }
            _ if matches!(kind, Kind::Churn { .. }) => Some(0),
            _ => None,
        }
    }

    fn wait(&mut self, index: u32, end: End, delay_ms: u64) {
        if let End::Failed(_) = end {
            self.counts.retries += 1;
        }
        let is_storm = {
            let cohort = usize::from(self.connection(index).cohort);
            self.troops[cohort].cohort.kind.backoff().is_some()
        };
        let connection = self.connection(index);
        let returns =
            is_storm && (matches!(end, End::Cut(_)) || connection.flags.has(Flags::RETURNING));
        let attempts = connection.attempts.saturating_add(1);
        connection.renew();
        connection.attempts = attempts;
        // A socket that was left to itself (see `mutes`) may still have events; they are nobody's.
        connection.generation = 0;
        if returns {
            connection.flags.set(Flags::RETURNING);
        }
        if delay_ms == 0 {
            self.redial(index);
        } else {
            let delay = ticks(delay_ms * 1_000_000);
            let due = self.ticks.at(self.net.now_ns()) + delay;
            self.connection(index).end_tick = due;
            self.set_timer(index, due);
        }
    }

    /// Cuts a share of those that a storm may cut, at once.
    pub(super) fn cut(&mut self, share: f64, by: CutBy) {
        let storms = |kind: Kind| kind.backoff().is_some();
        let has_storm = self.troops.iter().any(|troop| storms(troop.cohort.kind));
        let mut victims = Vec::new();
        for troop in &self.troops {
            if has_storm && !storms(troop.cohort.kind) {
                continue;
            }
            let mut members = troop.roster.members().to_vec();
            self.random.shuffle(&mut members);
            members.truncate((members.len() as f64 * share).round() as usize);
            victims.extend(members);
        }
        self.recovery.cut_at_ns = self.net.now_ns();
        self.recovery.cut += victims.len() as u64;
        for index in victims {
            self.doom(index, End::Cut(by));
        }
        self.reap();
    }

    /// Everyone leaves; nobody new comes.
    pub(super) fn part_from_all(&mut self) {
        self.stage = Stage::Parting;
        self.ramp.give_up();
        self.mutes.clear();
        let all: Vec<u32> = self
            .entries
            .0
            .iter()
            .map(|(index, _)| index as u32)
            .collect();
        for index in all {
            match self.connection(index).phase {
                Phase::Open => self.leave(index),
                Phase::Waiting | Phase::Dialing | Phase::Upgrading => {
                    self.doom(index, End::Dropped);
                }
                Phase::Leaving | Phase::Dead => {}
            }
        }
        self.reap();
    }
}

impl<S> Connection<S> {
    /// Whether it was never open since it was dialled.
    pub(super) const fn is_new(&self) -> bool {
        self.heard_s == NEVER_HEARD
    }
}

/// What became of the messages of a connection that ended like this.
const fn reason_of(end: End) -> Failure {
    match end {
        End::Failed(why) => why,
        _ => Failure::Cut,
    }
}

/// `heard_s` of a connection that was never open.
pub(super) const NEVER_HEARD: u32 = u32::MAX;
/// RFC 6455 7.1.5: what stands for a Close without a code.
const NO_CODE: u16 = 1005;
/// Between our Close and the peer's end.
const FAREWELL_NS: u64 = 2_000_000_000;
/// Who was thrown out of the zoo comes back, but not at once.
const ZOO_PAUSE_MS: u64 = 1000;
const _: () = assert!(FAREWELL_NS > TICK_NS);
