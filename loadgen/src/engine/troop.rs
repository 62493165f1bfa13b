//! One cohort on one thread: how its connections open, when they send, who is open.

use throng::ws::deflate::{DeflateConfig, Mode};
use throng::ws::handshake::ClientRequest;

use super::books::Books;
use super::brief::{Brief, Place};
use super::fanout::Fanout;
use super::payload::Payloads;
use super::ramp::share;
use super::roster::Roster;
use crate::failures::Failure;
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
    /// Number of the cohort's first connection.
    first_number: u64,
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
    has_template: bool,
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
            has_template: cohort
                .handshake
                .headers
                .iter()
                .any(|(_, value)| value.contains(TEMPLATE)),
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
        match self.cohort.kind {
            Kind::Echo { pace } | Kind::Slow { pace, .. } | Kind::Broadcast { pace, .. } => {
                Some(pace)
            }
            _ => None,
        }
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
        let nth = u64::from(number) - self.first_number;
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

    /// Hands the request of one connection to `use_it`: it borrows from all over the place.
    pub fn with_request<T>(
        &self,
        place: &Place,
        number: u32,
        nonce: [u8; 16],
        use_it: impl FnOnce(&ClientRequest<'_>) -> T,
    ) -> T {
        let handshake = &self.cohort.handshake;
        let protocol: Option<&str> = handshake.subprotocol.as_deref();
        let headers = &handshake.headers;
        let filled: Vec<String> = if self.has_template {
            let number = number.to_string();
            headers
                .iter()
                .map(|(_, value)| value.replace(TEMPLATE, &number))
                .collect()
        } else {
            Vec::new()
        };
        let headers: Vec<(&str, &str)> = headers
            .iter()
            .enumerate()
            .map(|(at, (name, value))| (name.as_str(), filled.get(at).unwrap_or(value).as_str()))
            .collect();
        use_it(&ClientRequest {
            host: &place.authority,
            target: &place.path,
            key: nonce,
            origin: None,
            protocols: protocol.as_slice(),
            deflate: &self.deflate,
            headers: &headers,
        })
    }
}

/// A text stamp.
const PUBLICATION_BYTES_MIN: u64 = 16;
/// Stands for the connection's number in a header's value.
const TEMPLATE: &str = "{n}";
