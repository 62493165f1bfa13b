//! One cohort on one thread: how its connections open, when they send, who is open.

use throng::ws::deflate::{DeflateConfig, Mode};
use throng::ws::handshake::ClientRequest;

use super::books::Books;
use super::brief::{Brief, Place};
use super::fanout::Fanout;
use super::payload::Payloads;
use super::ramp::share;
use super::rooms::Rooms;
use super::roster::Roster;
use crate::failures::Failure;
use crate::identity::NUMBER;
use crate::random::Random;
use crate::scenario::{Cohort, Kind, Pace};
use crate::schedule::OpenLoop;
use crate::sequence::Sequence;

/// A cohort's part on one thread.
pub struct Troop {
    /// As the scenario has it.
    pub cohort: Cohort,
    /// What it sends.
    pub payloads: Payloads,
    /// Connections that were dialled and are not gone for good.
    pub entries: u64,
    /// Open connections.
    pub roster: Roster,
    /// Its books.
    pub books: Books,
    /// The broadcast, if that is what it does.
    pub fanout: Option<Fanout>,
    /// The rooms, if it sits in some.
    pub rooms: Option<Rooms>,
    /// Number of the cohort's first connection.
    pub first_number: u64,
    /// Keeps still in this phase.
    pub is_silent: bool,
    /// Is not dialled in this phase.
    pub is_absent: bool,
    schedule: Option<OpenLoop>,
    thread: (u32, u32),
    seed: u64,
    /// This thread's part of the cohort's connections.
    part: f64,
    /// The phase's factor on every rate, and the search's.
    rate_factor: f64,
    deflate: DeflateConfig,
}

impl Troop {
    /// A cohort that has not begun.
    #[must_use]
    pub fn new(brief: &Brief, cohort: usize, thread: u32) -> Self {
        let first_number = brief.scenario.cohorts[..cohort]
            .iter()
            .map(|cohort| cohort.connections)
            .sum();
        let publications = brief.publications[cohort].clone();
        let seed = brief.seed ^ (cohort as u64 + 1).wrapping_mul(0xc0_4047);
        let cohort = brief.scenario.cohorts[cohort].clone();
        let mine = share(cohort.connections, thread, brief.threads);
        // Those who send: all, or the publishers, which are the first of the cohort.
        let senders = match cohort.kind {
            Kind::Broadcast { publishers, .. } => publishers.min(cohort.connections),
            _ => cohort.connections,
        };
        let rooms = match cohort.kind {
            Kind::Rooms { floor, .. } => Some(Rooms::new(floor, mine, (thread, brief.threads))),
            _ => None,
        };
        let part = share(senders, thread, brief.threads) as f64 / senders.max(1) as f64;
        Self {
            payloads: Payloads::new(cohort.messages.text),
            entries: 0,
            roster: Roster::with_capacity(mine as usize),
            books: Books::default(),
            is_silent: false,
            is_absent: false,
            schedule: None,
            thread: (thread, brief.threads),
            seed,
            part,
            fanout: publications.map(|shared| Fanout::new(shared, senders)),
            rooms,
            first_number,
            rate_factor: 1.0,
            deflate: DeflateConfig {
                mode: if cohort.messages.deflate {
                    Mode::Shared
                } else {
                    Mode::Off
                },
                ..DeflateConfig::default()
            },
            cohort,
        }
    }

    /// Messages per second of this thread's part; `None` in a closed loop.
    fn rate_per_s(&self) -> Option<f64> {
        match self.pace()? {
            Pace::Open { rate_per_s, .. } if self.is_silent => Some(rate_per_s * 0.0),
            Pace::Open { rate_per_s, .. } => Some(rate_per_s * self.part * self.rate_factor),
            Pace::Closed { .. } => None,
        }
    }

    /// When this cohort sends, if it does.
    #[must_use]
    pub const fn pace(&self) -> Option<Pace> {
        self.cohort.kind.pace()
    }

    /// Which of its cohort a connection is, from 0.
    #[must_use]
    pub fn nth(&self, number: u32) -> u64 {
        u64::from(number) - self.first_number
    }

    /// Connections that are in their rooms.
    #[must_use]
    pub fn joined(&self) -> u64 {
        self.rooms.as_ref().map_or(0, |rooms| rooms.counts.joined)
    }

    /// The number of a connection's room in the run; 0 where there are none.
    #[must_use]
    pub fn room_number(&self, number: u32) -> u32 {
        let rooms = self.rooms.as_ref();
        rooms.map_or(0, |rooms| rooms.number_of(rooms.room_of(self.nth(number))))
    }

    /// The name of a room.
    #[must_use]
    pub fn channel(&self, room_number: u32) -> String {
        let template = match self.cohort.handshake.channel.as_str() {
            "" => CHANNEL,
            given => given,
        };
        template.replace(ROOM, &room_number.to_string())
    }

    /// Messages a connection of a closed loop keeps under way; 0 while it keeps still or in an open loop.
    #[must_use]
    pub const fn in_flight(&self) -> u32 {
        match self.pace() {
            Some(Pace::Closed { in_flight }) if !self.is_silent => in_flight,
            _ => 0,
        }
    }

    /// Whether this connection publishes.
    #[must_use]
    pub fn is_publisher(&self, number: u32) -> bool {
        let nth = self.nth(number);
        self.fanout
            .as_ref()
            .is_some_and(|fanout| fanout.publishes(nth))
    }

    /// Traffic begins.
    pub fn start(&mut self, now_ns: u64) {
        let (Some(Pace::Open { arrivals, .. }), Some(rate)) = (self.pace(), self.rate_per_s())
        else {
            return;
        };
        self.schedule = Some(OpenLoop::new(
            arrivals,
            rate,
            now_ns,
            self.thread,
            self.seed,
        ));
    }

    /// The phase or the search changes the rate.
    pub fn set_rate(&mut self, now_ns: u64, factor: f64, is_silent: bool) {
        (self.rate_factor, self.is_silent) = (factor, is_silent);
        if let (Some(rate), Some(schedule)) = (self.rate_per_s(), &mut self.schedule) {
            schedule.set_rate(now_ns, rate);
        }
    }

    /// The next intended time that is due.
    pub fn pop_due(&mut self, now_ns: u64) -> Option<u64> {
        self.schedule.as_mut()?.pop_due(now_ns)
    }

    /// When the next is due.
    #[must_use]
    pub fn next_ns(&self) -> Option<u64> {
        self.schedule.as_ref()?.next_ns()
    }

    /// A size from the cohort's range.
    pub fn draw_size(&self, random: &mut Random) -> u32 {
        let (low, high) = self.cohort.messages.bytes;
        // A publication must carry its number.
        let low = if self.fanout.is_some() {
            low.max(PUBLICATION_BYTES_MIN)
        } else {
            low
        };
        let size = low + random.below(high.saturating_sub(low) + 1);
        u32::try_from(size).unwrap_or(u32::MAX)
    }

    /// A receiver got a message; the publication's times, if it counts.
    pub fn deliver(
        &mut self,
        seen: &mut Sequence,
        payload: &[u8],
        now_ns: u64,
    ) -> Option<(u64, u64)> {
        let fanout = self.fanout.as_mut()?;
        let Some(stamp) = self.payloads.read(payload) else {
            self.books.errors.count(Failure::WrongEcho);
            return None;
        };
        fanout.receive(seen, stamp.seq, now_ns, &mut self.books)
    }

    /// Hands the request of one connection to `use_it`: it borrows from all over the place. Templates are
    /// filled only where that is seen: checking an answer needs none of it.
    pub fn with_request<T>(
        &self,
        place: &Place,
        number: u32,
        nonce: [u8; 16],
        is_sent: bool,
        use_it: impl FnOnce(&ClientRequest<'_>) -> T,
    ) -> T {
        let handshake = &self.cohort.handshake;
        let protocol: Option<&str> = handshake.subprotocol.as_deref();
        let fill = |text: &str| match is_sent && text.contains('{') {
            true => Some(self.fill(text, number)),
            false => None,
        };
        let path = fill(&place.path);
        let filled: Vec<Option<String>> = handshake
            .headers
            .iter()
            .map(|(_, value)| fill(value))
            .collect();
        let headers: Vec<(&str, &str)> = handshake
            .headers
            .iter()
            .zip(&filled)
            .map(|((name, value), filled)| {
                (name.as_str(), filled.as_deref().unwrap_or(value.as_str()))
            })
            .collect();
        use_it(&ClientRequest {
            host: &place.authority,
            target: path.as_deref().unwrap_or(&place.path),
            key: nonce,
            origin: None,
            protocols: protocol.as_slice(),
            deflate: &self.deflate,
            headers: &headers,
        })
    }

    /// A template with what it stands for.
    fn fill(&self, template: &str, number: u32) -> String {
        let identity = &self.cohort.handshake.identity;
        let mut text = template.replace(NUMBER, &number.to_string());
        if text.contains(TOKEN) {
            text = text.replace(TOKEN, &identity.token(number).unwrap_or_default());
        }
        if text.contains(USER) {
            text = text.replace(USER, &identity.user(number));
        }
        if text.contains(ROOM) {
            text = text.replace(ROOM, &self.room_number(number).to_string());
        }
        text
    }
}

/// A text stamp.
const PUBLICATION_BYTES_MIN: u64 = 16;
/// Stand for what a connection is, in a header's value and in a path.
const TOKEN: &str = "{token}";
const USER: &str = "{user}";
const ROOM: &str = "{room}";
/// Rooms, unless they are named.
const CHANNEL: &str = "room{room}";
