//! What time does to a connection: patience ends, hearts beat, lives are over, beasts misbehave.
//!
//! A heart beats first a whole period after its connection opened, as those of real clients do, so that a
//! ramp longer than a period spreads them by itself. A shorter one would make a burst of pings of them every
//! 25 s for ever: then they come earlier, each by a share of the difference that depends on its number.
//! Who was heard within the last second needs none.

use throng::ws::frame::{Opcode, append_frame};

use super::brief::{TICKS_PER_S, ticks};
use super::connection::{Flags, Phase};
use super::fleet::{Fleet, Stage};
use super::net::Net;
use super::parting::End;
use crate::failures::Failure;
use crate::random::mix;
use crate::scenario::{Beast, Kind};

impl<N: Net> Fleet<N> {
    /// (Re)sets a connection's timer.
    pub(super) fn set_timer(&mut self, index: u32, tick: u32) {
        self.wheel.schedule(&mut self.entries, index, tick);
    }

    /// Fires what is due, as many as a turn allows; the rest is found by the next.
    pub(super) fn expire_timers(&mut self, now_ns: u64) {
        let tick = self.ticks.at(now_ns);
        for _ in 0..TIMERS_PER_TURN {
            let Some(index) = self.wheel.expire(&mut self.entries, tick) else {
                return;
            };
            self.on_timer(index, tick);
        }
    }

    /// Gives up messages that were not answered in time.
    pub(super) fn expire_answers(&mut self, now_ns: u64) {
        while let Some(oldest) = self.flights.oldest()
            && oldest.sent_ns + self.brief.answer_timeout_ns <= now_ns
        {
            let connection = &mut self.entries.0[oldest.owner as usize];
            self.flights.pop(&mut connection.order);
            connection.flags.set(Flags::HAS_LATE);
            let troop = &mut self.troops[usize::from(connection.cohort)];
            troop.books.lose(Failure::AnswerTimeout, 1);
            // A closed loop goes on with the next.
            self.top_up(oldest.owner);
        }
        let is_late = |since_ns: u64| since_ns + self.brief.answer_timeout_ns <= now_ns;
        if self.settling_since_ns.is_some_and(is_late) {
            self.settling_since_ns = None;
            self.give_up_deliveries();
        }
    }

    /// Nothing was published for as long as an answer may take: what has not arrived is lost.
    fn give_up_deliveries(&mut self) {
        for (_, connection) in &mut self.entries.0 {
            let troop = &mut self.troops[usize::from(connection.cohort)];
            if let Some(rooms) = troop
                .rooms
                .as_ref()
                .filter(|_| connection.flags.has(Flags::MEMBER))
            {
                let room = rooms.room_of(u64::from(connection.number) - troop.first_number);
                let lost = rooms.give_up(room, &mut connection.seen);
                troop.books.lose(Failure::AnswerTimeout, lost);
            }
            let is_receiver =
                connection.phase == Phase::Open && !troop.is_publisher(connection.number);
            if let (true, Some(fanout)) = (is_receiver, &mut troop.fanout) {
                fanout.note(&mut troop.books);
                troop
                    .books
                    .lose(Failure::AnswerTimeout, fanout.missing(connection.seen));
                connection.seen = fanout.up_to_date();
            }
        }
    }

    fn on_timer(&mut self, index: u32, tick: u32) {
        let connection = self.connection(index);
        let end_tick = connection.end_tick;
        let is_over = end_tick.wrapping_sub(tick).cast_signed() <= 0;
        match connection.phase {
            Phase::Dead => {}
            Phase::Open => self.on_beat(index, tick),
            // The wheel reaches 102 s; what is further away fires early.
            Phase::Waiting | Phase::Dialing | Phase::Upgrading | Phase::Leaving if !is_over => {
                self.dribble(index);
                let next = if self.is_dribbling(index) {
                    tick + 1
                } else {
                    end_tick
                };
                if !self.is(index, Phase::Dead) && !self.is(index, Phase::Open) {
                    self.set_timer(index, next);
                }
            }
            Phase::Waiting => self.redial(index),
            Phase::Dialing => self.doom(index, End::Failed(Failure::ConnectTimeout)),
            Phase::Upgrading => self.doom(index, End::Failed(Failure::HandshakeTimeout)),
            Phase::Leaving => self.doom(index, End::Dropped),
        }
    }

    /// The first beat of a connection that has just opened.
    pub(super) fn set_first_beat(&mut self, index: u32, tick: u32) {
        let period = self.beat_period(index);
        let spread = period
            .saturating_sub(self.brief.ramp_ticks())
            .min(period - 1);
        let connection = self.connection(index);
        let early = mix(u64::from(connection.number)) % u64::from(spread + 1);
        connection.due_tick = tick + period - early as u32;
        self.arm(index, tick);
    }

    /// The beat after the one at `beat`; never in the past, however late the answer.
    pub(super) fn beat_after(&self, index: u32, beat: u32, tick: u32) -> u32 {
        (beat + self.beat_period(index)).max(tick + 1)
    }

    fn beat_period(&self, index: u32) -> u32 {
        let cohort = usize::from(self.entries.0[index as usize].cohort);
        ticks(self.troops[cohort].cohort.handshake.heartbeat.as_nanos() as u64)
    }

    /// Sets the timer of an open connection to the first of all that is due.
    fn arm(&mut self, index: u32, tick: u32) {
        let connection = &self.entries.0[index as usize];
        let next = match self.troops[usize::from(connection.cohort)].cohort.kind {
            Kind::Churn { .. } if self.stage <= Stage::Running => {
                connection.due_tick.min(connection.end_tick)
            }
            Kind::Slow { .. } | Kind::Zoo { .. } => tick + 1,
            _ => {
                let entry_tick = self.entry_tick(index).unwrap_or(u32::MAX);
                connection.due_tick.min(entry_tick)
            }
        };
        self.set_timer(index, next);
    }

    fn on_beat(&mut self, index: u32, tick: u32) {
        if self
            .entry_tick(index)
            .is_some_and(|end_tick| tick >= end_tick)
        {
            return self.doom(index, End::Failed(Failure::NotJoined));
        }
        let connection = &self.entries.0[index as usize];
        let (due_tick, end_tick) = (connection.due_tick, connection.end_tick);
        match self.troops[usize::from(connection.cohort)].cohort.kind {
            // Once the run settles, those who are there stay to be counted.
            Kind::Churn { .. } if tick >= end_tick && self.stage <= Stage::Running => {
                return self.leave(index);
            }
            Kind::Slow { bytes_per_s, .. } => self.read_slowly(index, bytes_per_s, tick),
            Kind::Zoo { beast } => self.misbehave(index, beast, tick),
            _ => {}
        }
        if self.is(index, Phase::Open) && tick >= due_tick {
            self.beat(index, tick);
        }
        if self.is(index, Phase::Open) {
            self.arm(index, tick);
        }
    }

    /// Asks for a sign of life, or finds that the last question was not answered.
    fn beat(&mut self, index: u32, tick: u32) {
        let now_ns = self.net.now_ns();
        let answer_ticks = ticks(self.brief.answer_timeout_ns);
        let connection = self.connection(index);
        if connection.flags.has(Flags::PINGED) {
            return self.doom(index, End::Failed(Failure::Silent));
        }
        let quiet_s = (tick / TICKS_PER_S).saturating_sub(connection.heard_s);
        let due_tick = connection.due_tick;
        let next = self.beat_after(index, due_tick, tick);
        // Whoever does not read hears no pong, and must not blame the server for that.
        let never_listens = self.never_listens(index);
        let connection = self.connection(index);
        if quiet_s <= 1 || never_listens {
            connection.due_tick = next;
            return;
        }
        connection.flags.set(Flags::PINGED);
        connection.due_tick = tick + answer_ticks;
        let payload = self.ping_payload(now_ns);
        self.send_control(index, Opcode::Ping, &payload);
    }

    /// A tenth of a second's worth of reading.
    fn read_slowly(&mut self, index: u32, bytes_per_s: u64, tick: u32) {
        // Whole bytes only: below ten per second, some ticks read nothing.
        let upto = |ticks: u64| bytes_per_s * ticks / u64::from(TICKS_PER_S);
        let most = upto(u64::from(tick)) - upto(u64::from(tick) - 1);
        if most > 0 {
            self.read_once(index, most as usize);
        }
    }

    fn misbehave(&mut self, index: u32, beast: Beast, tick: u32) {
        let cohort = usize::from(self.connection(index).cohort);
        let is_mute = self.connection(index).flags.has(Flags::MUTE);
        if self.troops[cohort].is_silent || is_mute {
            return;
        }
        let every_second = (tick + index).is_multiple_of(TICKS_PER_S);
        match beast {
            Beast::Vanish
                if tick >= self.connection(index).heard_s * TICKS_PER_S + VANISH_TICKS =>
            {
                self.vanish(index);
            }
            Beast::TinyFragments if every_second => {
                let frames = self.crumbs();
                self.send_raw(index, &frames);
            }
            // It got in after all; it goes and tries again.
            Beast::DribbleUpgrade => self.leave(index),
            Beast::NeverRead => {
                let mask = self.keys.mask();
                let mut frame = Vec::new();
                append_frame(
                    &mut frame,
                    Opcode::Binary,
                    false,
                    Some(mask),
                    &[0; NEVER_READ_BYTES],
                );
                self.send_raw(index, &frame);
            }
            Beast::PingFlood => {
                let mut frames = Vec::new();
                for _ in 0..PINGS_PER_TICK {
                    let mask = self.keys.mask();
                    append_frame(&mut frames, Opcode::Ping, false, Some(mask), b"flood");
                }
                self.send_raw(index, &frames);
            }
            _ => {}
        }
    }

    /// One message in fragments of a byte.
    fn crumbs(&mut self) -> Vec<u8> {
        let mut frames = Vec::new();
        for at in 0..CRUMBS {
            let opcode = if at == 0 {
                Opcode::Text
            } else {
                Opcode::Continuation
            };
            let begin = frames.len();
            let mask = self.keys.mask();
            append_frame(&mut frames, opcode, false, Some(mask), b"x");
            if at + 1 < CRUMBS {
                // Not the last: FIN is the top bit of the frame.
                frames[begin] &= 0x7F;
            }
        }
        frames
    }

    fn vanish(&mut self, index: u32) {
        let Some(stream) = self.connection(index).stream.take() else {
            return;
        };
        match self.net.vanish(stream) {
            Ok(()) => self.doom(index, End::Vanished),
            Err(stream) => {
                let connection = self.connection(index);
                connection.stream = Some(stream);
                connection.flags.set(Flags::MUTE);
                self.counts.not_vanished += 1;
            }
        }
    }

    /// One more byte of the request, for those who send it like that.
    pub(super) fn dribble(&mut self, index: u32) {
        if self.is_dribbling(index) {
            self.flush_some(index, 1);
        }
    }

    fn is_dribbling(&self, index: u32) -> bool {
        let connection = &self.entries.0[index as usize];
        let kind = self.troops[usize::from(connection.cohort)].cohort.kind;
        let dribbler = Kind::Zoo {
            beast: Beast::DribbleUpgrade,
        };
        matches!(connection.phase, Phase::Dialing | Phase::Upgrading)
            && kind == dribbler
            && connection.is_blocked()
    }

    /// The TCP connection stands: patience for the upgrade begins.
    pub(super) fn on_connected(&mut self, index: u32) {
        let now_ns = self.net.now_ns();
        let tick = self.ticks.at(now_ns);
        let mut patience_ns = self.brief.connect_timeout_ns;
        self.counts.connected += 1;
        let connection = self.connection(index);
        connection.phase = Phase::Upgrading;
        let opening = connection.pending.as_mut();
        if let Some(opening) = opening.and_then(|pending| pending.opening.as_mut()) {
            opening.stood_ns = now_ns;
        }
        let is_dribbling = self.is_dribbling(index);
        if is_dribbling {
            // It is the server's patience that is tried.
            patience_ns = DRIBBLE_NS_MAX;
        }
        let end_tick = tick + ticks(patience_ns);
        self.connection(index).end_tick = end_tick;
        self.set_timer(index, if is_dribbling { tick + 1 } else { end_tick });
    }
}

/// Between two looks at the sockets. A million heartbeats in 25 s are 4 000 a tick.
const TIMERS_PER_TURN: usize = 4096;
/// A request of 200 bytes at ten a second, and the server's patience on top.
const DRIBBLE_NS_MAX: u64 = 120_000_000_000;
/// How long a beast that vanishes is there first.
const VANISH_TICKS: u32 = 2 * TICKS_PER_S;
const NEVER_READ_BYTES: usize = 1024;
const PINGS_PER_TICK: usize = 100;
const CRUMBS: usize = 64;
