//! What comes in: the answer to the upgrade, then frames. One buffer for all; nothing is assumed whole.

use std::io::ErrorKind;

use throng::reactor::{ConnId, Ready, Stream as _};
use throng::ws::deflate::Compression;
use throng::ws::frame::{HEADROOM, Opcode};
use throng::ws::handshake::check_response;
use throng::ws::inbound::Step;

use super::answers::Asked;
use super::brief::ticks;
use super::connection::{Flags, Phase};
use super::fleet::Fleet;
use super::net::Net;
use super::parting::End;
use super::rooms::{Member, Outcome};
use super::sending::opcode;
use crate::failures::Failure;
use crate::random::mix;
use crate::scenario::{Beast, Kind};

/// What a step over received bytes asks for, once nothing of them is borrowed any more.
enum Heard {
    /// Go on.
    Nothing,
    /// All was consumed.
    Everything,
    /// An answer came: a closed loop may send.
    Answer,
    /// It was about its room.
    Room(Outcome),
    /// Its payload, when that could be one of ours.
    Pong(Option<[u8; 8]>),
    Ping(Vec<u8>),
    Close(Option<u16>),
}

impl<N: Net> Fleet<N> {
    /// The kernel says that a connection is ready. A slot that has changed hands is somebody else's.
    pub(super) fn on_ready(&mut self, id: ConnId, ready: Ready) {
        let Some(index) = self.index_of(id) else {
            return;
        };
        if ready.hung_up {
            self.connection(index).flags.set(Flags::HUNG_UP);
        }
        if ready.writable {
            self.on_writable(index);
        }
        if (ready.readable || ready.hung_up) && !self.reads_by_timer(index) {
            self.read(index);
        }
    }

    /// Goes on with those that had more than one turn allows.
    pub(super) fn read_leftovers(&mut self) {
        for _ in 0..self.ready.len() {
            let Some(index) = self.ready.pop_front() else {
                return;
            };
            let Some(connection) = self.entries.0.get_mut(index as usize) else {
                continue;
            };
            // The slot may have a new tenant by now; it then has nothing to read, which harms nobody.
            connection.flags.clear(Flags::QUEUED);
            self.read(index);
        }
    }

    /// Comes back to a connection in this or the next turn.
    pub(super) fn queue_read(&mut self, index: u32) {
        let flags = &mut self.connection(index).flags;
        if !flags.has(Flags::QUEUED) {
            flags.set(Flags::QUEUED);
            self.ready.push_back(index);
        }
    }

    /// Reads until nothing is left, or the turn's share is.
    fn read(&mut self, index: u32) {
        for _ in 0..READS_PER_TURN {
            if !self.read_once(index, usize::MAX) {
                return;
            }
        }
        self.queue_read(index);
    }

    /// Reads once, at most so many bytes. Whether there may be more.
    pub(super) fn read_once(&mut self, index: u32, most: usize) -> bool {
        let mut buffer = std::mem::take(&mut self.buffer);
        let from = self.receive_at(index);
        let room = buffer.len().min(from.saturating_add(most));
        let connection = &mut self.entries.0[index as usize];
        let received = match &mut connection.stream {
            Some(stream) if connection.phase != Phase::Dead => stream.recv(&mut buffer[from..room]),
            _ => Err(ErrorKind::WouldBlock.into()),
        };
        let more = match received {
            Ok(0) => {
                self.ended_by_peer(index);
                false
            }
            Ok(length) => {
                let end = from + length;
                match self.connection(index).tls {
                    Some(id) => self.open_received(index, id, &mut buffer, from..end),
                    None => self.consume(index, &mut buffer[..end]),
                }
                let connection = self.connection(index);
                // Edge-triggered: a short read emptied the socket, unless the end is behind it.
                let emptied = end < room;
                let has_end =
                    connection.flags.has(Flags::HUNG_UP) || connection.flags.has(Flags::BROKEN);
                connection.phase != Phase::Dead && (!emptied || has_end)
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => true,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                if self.connection(index).flags.has(Flags::BROKEN) {
                    self.doom_broken(index, Failure::Reset);
                }
                false
            }
            Err(error) => {
                self.doom_broken(index, Failure::from_io(&error));
                false
            }
        };
        self.buffer = buffer;
        more
    }

    /// The connection broke: a failure, unless it was over anyway.
    pub(super) fn doom_broken(&mut self, index: u32, why: Failure) {
        let connection = self.connection(index);
        let end = match connection.phase {
            Phase::Leaving if connection.flags.has(Flags::TOLD) => End::Told,
            Phase::Leaving => End::Over,
            _ => End::Failed(why),
        };
        self.doom(index, end);
    }

    /// Understands what was read; `input` begins with headroom.
    pub(super) fn consume(&mut self, index: u32, input: &mut [u8]) {
        match self.connection(index).phase {
            Phase::Upgrading | Phase::Dialing => self.consume_response(index, input),
            Phase::Open | Phase::Leaving => self.consume_frames(index, input, HEADROOM),
            Phase::Waiting | Phase::Dead => {}
        }
    }

    /// The answer to the upgrade, or a piece of it.
    fn consume_response(&mut self, index: u32, input: &mut [u8]) {
        let connection = &mut self.entries.0[index as usize];
        let place = Self::place_of(&self.tuples, connection.tuple);
        let place = &self.brief.places[place];
        let troop = &self.troops[usize::from(connection.cohort)];
        let Some(opening) = connection
            .pending
            .as_mut()
            .and_then(|pending| pending.opening.as_mut())
        else {
            return self.doom(index, End::Failed(Failure::BadHttp));
        };
        let in_pieces = !opening.received.is_empty();
        if in_pieces {
            opening.received.extend_from_slice(&input[HEADROOM..]);
        }
        let response = if in_pieces {
            &opening.received[..]
        } else {
            &input[HEADROOM..]
        };
        let scanned = &mut opening.scanned;
        let checked =
            troop.with_request(place, connection.number, opening.nonce, false, |request| {
                let accepted = check_response(response, scanned, request);
                accepted.map(|found| found.map(|(accepted, length)| (accepted.agreed, length)))
            });
        match checked {
            Ok(None) if in_pieces => {}
            Ok(None) => opening.received = input[HEADROOM..].to_vec(),
            Ok(Some((agreed, length))) => {
                connection.compression = Compression::new(agreed);
                let frames = if in_pieces {
                    // What follows the head was copied with it; it needs headroom like all else.
                    let mut frames = vec![0; HEADROOM];
                    frames.extend_from_slice(&opening.received[length..]);
                    Some(frames)
                } else {
                    None
                };
                self.on_open(index);
                match frames {
                    Some(mut frames) => self.consume_frames(index, &mut frames, HEADROOM),
                    None => self.consume_frames(index, input, HEADROOM + length),
                }
            }
            Err(refusal) => self.doom(index, End::Failed(Failure::from_refusal(refusal))),
        }
    }

    /// The connection is a WebSocket.
    fn on_open(&mut self, index: u32) {
        let now_ns = self.net.now_ns();
        let tick = self.ticks.at(now_ns);
        let heard_s = self.liveness.welcome();
        self.counts.handshaking -= 1;
        self.brief.gate.leave(1);
        self.counts.upgraded += 1;
        let connection = &mut self.entries.0[index as usize];
        let troop = &mut self.troops[usize::from(connection.cohort)];
        connection.phase = Phase::Open;
        connection.attempts = 0;
        connection.heard_s = heard_s;
        connection.place = troop.roster.join(index);
        let is_publisher = troop.is_publisher(connection.number);
        match &mut troop.fanout {
            Some(fanout) if is_publisher => fanout.add_publisher(index),
            Some(fanout) => connection.seen = fanout.add_receiver(&mut troop.books),
            None => {}
        }
        let opening = connection.pending.as_mut();
        if let Some(opening) = opening.and_then(|pending| pending.opening.take()) {
            let took_ns = now_ns.saturating_sub(opening.began_ns);
            self.handshakes.saturating_record(took_ns);
        }
        connection.drop_empty_pending();
        if let Kind::Churn { life } = troop.cohort.kind {
            let life_ns = crate::schedule::jittered_ns(life.as_nanos() as u64, &mut self.random);
            connection.end_tick = tick + ticks(life_ns);
        }
        self.set_first_beat(index, tick);
        let cohort = usize::from(self.connection(index).cohort);
        match self.troops[cohort].rooms {
            Some(_) => self.enter_room(index, now_ns),
            None => self.came_back(index, now_ns),
        }
        self.top_up(index);
    }

    /// Of those that were cut, one is back.
    pub(super) fn came_back(&mut self, index: u32, now_ns: u64) {
        let flags = &mut self.connection(index).flags;
        if flags.has(Flags::RETURNING) {
            flags.clear(Flags::RETURNING);
            let after_ms = now_ns.saturating_sub(self.recovery.cut_at_ns) / 1_000_000;
            self.recovery.back_after_ms.saturating_record(after_ms);
        }
    }

    /// Frames, whole or in part.
    fn consume_frames(&mut self, index: u32, input: &mut [u8], mut at: usize) {
        let now_ns = self.net.now_ns();
        if self.connection(index).flags.has(Flags::TOLD) {
            // Behind a Close nothing has a meaning any more.
            return;
        }
        if self.is(index, Phase::Open) {
            self.on_heard(index, now_ns);
        }
        let mut has_answer = false;
        while !self.is(index, Phase::Dead) {
            match self.step(index, input, &mut at, now_ns) {
                Ok(Heard::Nothing) => {}
                Ok(Heard::Everything) => break,
                Ok(Heard::Answer) => has_answer = true,
                Ok(Heard::Room(outcome)) => self.on_room(index, outcome, now_ns),
                Ok(Heard::Pong(payload)) => self.on_pong(index, payload, now_ns),
                Ok(Heard::Ping(payload)) => self.on_ping(index, &payload),
                Ok(Heard::Close(code)) => {
                    self.told(index, code);
                    break;
                }
                Err(failure) => {
                    self.doom(index, End::Failed(failure));
                    return;
                }
            }
        }
        if has_answer {
            self.top_up(index);
        }
    }

    /// A sign of life.
    fn on_heard(&mut self, index: u32, now_ns: u64) {
        let connection = &mut self.entries.0[index as usize];
        connection.heard_s = self.liveness.heard(connection.heard_s);
        if connection.flags.has(Flags::PINGED) {
            connection.flags.clear(Flags::PINGED);
            // It was due for the answer; now it is for the next beat. Its timer fires early, once.
            let beat = connection.due_tick - ticks(self.brief.answer_timeout_ns);
            let next = self.beat_after(index, beat, self.ticks.at(now_ns));
            self.connection(index).due_tick = next;
        }
    }

    /// One step over the input. What it borrows ends here; what it asks for is the caller's.
    fn step(
        &mut self,
        index: u32,
        input: &mut [u8],
        at: &mut usize,
        now_ns: u64,
    ) -> Result<Heard, Failure> {
        let connection = &mut self.entries.0[index as usize];
        let tag = usize::from(connection.cohort);
        let step = connection.inbound.step(
            &self.rules,
            &mut connection.compression,
            &mut self.codec,
            input,
            at,
        );
        let message = match step.map_err(Failure::Protocol)? {
            Step::Drained => return Ok(Heard::Everything),
            Step::Yield => {
                self.codec.refill(INFLATE_BYTES);
                return Ok(Heard::Nothing);
            }
            Step::Ping(payload) => return Ok(Heard::Ping(payload.to_vec())),
            Step::Pong(payload) => return Ok(Heard::Pong(payload.try_into().ok())),
            Step::Close(close) => return Ok(Heard::Close(close.map(|(code, _)| code.as_u16()))),
            Step::Message(message) => message,
        };
        let troop = &mut self.troops[tag];
        if connection.phase != Phase::Open || troop.pace().is_none() {
            return Ok(Heard::Nothing);
        }
        if let Some(rooms) = &mut troop.rooms {
            let room = rooms.room_of(u64::from(connection.number) - troop.first_number);
            let Ok(text) = str::from_utf8(message.payload()) else {
                return Err(Failure::Unintelligible);
            };
            let member = Member {
                seen: &mut connection.seen,
                offset: &mut connection.next_seq,
                flags: &mut connection.flags,
                joined_tick: &mut connection.end_tick,
                room,
            };
            let clock = (self.brief.origin_ns, self.ticks.at(now_ns));
            let books = &mut troop.books;
            let outcome = rooms.hear(member, index, text, clock, &troop.payloads, books);
            return Ok(Heard::Room(outcome));
        }
        if troop.fanout.is_some() {
            if !troop.is_publisher(connection.number)
                && let Some((intended_ns, sent_ns)) =
                    troop.deliver(&mut connection.seen, message.payload(), now_ns)
            {
                self.recorder.answered(tag, intended_ns, sent_ns, now_ns);
            }
            return Ok(Heard::Nothing);
        }
        let mut asked = Asked {
            flights: &mut self.flights,
            order: &mut connection.order,
            seen: &mut connection.seen,
            number: connection.number,
            next_seq: connection.next_seq,
            has_late: connection.flags.has(Flags::HAS_LATE),
        };
        let finding = if Opcode::from(message.kind()) == opcode(troop) {
            asked.take(&troop.payloads, message.payload())
        } else {
            asked.wrong()
        };
        if let Some(error) = finding.error {
            let count = if error == Failure::Gap {
                finding.skipped
            } else {
                1
            };
            troop.books.errors.count_many(error, u64::from(count));
            troop.books.lose(error, u64::from(finding.skipped));
        }
        if let Some(flight) = finding.answered {
            troop.books.received += 1;
            self.recorder
                .answered(tag, flight.intended_ns, flight.sent_ns, now_ns);
        }
        Ok(Heard::Answer)
    }

    fn on_ping(&mut self, index: u32, payload: &[u8]) {
        let cohort = usize::from(self.connection(index).cohort);
        let ignores = Kind::Zoo {
            beast: Beast::IgnorePings,
        };
        if self.troops[cohort].cohort.kind != ignores {
            self.send_control(index, Opcode::Pong, payload);
        }
    }

    /// Where a cohort sends no messages, its heartbeats are what is measured.
    fn on_pong(&mut self, index: u32, payload: Option<[u8; 8]>, now_ns: u64) {
        let tag = usize::from(self.connection(index).cohort);
        let sent_ns = payload.and_then(|payload| self.sent_ns_of(payload, now_ns));
        if let Some(sent_ns) = sent_ns.filter(|_| self.troops[tag].pace().is_none()) {
            self.recorder.answered(tag, sent_ns, sent_ns, now_ns);
        }
    }

    /// A ping's payload: the time, disguised, so that only an echo of it is taken for one.
    pub(super) fn ping_payload(&self, now_ns: u64) -> [u8; 8] {
        (now_ns ^ self.disguise()).to_be_bytes()
    }

    fn sent_ns_of(&self, payload: [u8; 8], now_ns: u64) -> Option<u64> {
        let sent_ns = u64::from_be_bytes(payload) ^ self.disguise();
        let age_ns = now_ns.checked_sub(sent_ns)?;
        (age_ns < AGE_NS_MAX).then_some(sent_ns)
    }

    fn disguise(&self) -> u64 {
        mix(self.brief.seed ^ self.brief.origin_ns)
    }

    /// Whether its timer reads, and not the events; or nobody does.
    pub(super) fn reads_by_timer(&self, index: u32) -> bool {
        let connection = &self.entries.0[index as usize];
        let kind = &self.troops[usize::from(connection.cohort)].cohort.kind;
        let is_slow = matches!(kind, Kind::Slow { .. }) && connection.phase == Phase::Open;
        is_slow || self.never_listens(index)
    }

    /// Whether it reads nothing at all, on purpose.
    pub(super) fn never_listens(&self, index: u32) -> bool {
        let connection = &self.entries.0[index as usize];
        let deaf = Kind::Zoo {
            beast: Beast::NeverRead,
        };
        let is_deaf = self.troops[usize::from(connection.cohort)].cohort.kind == deaf;
        connection.flags.has(Flags::MUTE) || (is_deaf && connection.phase == Phase::Open)
    }
}

/// A flood of one peer waits for the others after this many reads.
const READS_PER_TURN: usize = 8;
const INFLATE_BYTES: usize = 1 << 20;
/// A pong that claims to be older than this is none of ours.
const AGE_NS_MAX: u64 = 600_000_000_000;
