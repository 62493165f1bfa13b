//! How many connections and handshakes an address may have, and how many handshakes there may be.
//!
//! One gate for all workers: an address's connections land on any of them. Workers share nothing on
//! the way of a message; a handshake is a thousand times rarer, and costs a few atomic words here,
//! no lock. Memory is bounded: two tables of fixed size, made when a limit is first switched on. An
//! address that finds no room in them is let in and counted: a limit that cannot count does not
//! guess.
//!
//! Rates are kept as in the generic cell rate algorithm: one number per bucket, the time at which it
//! will be full again.

use core::net::{IpAddr, Ipv6Addr};
use std::hash::{BuildHasher, RandomState};
use std::num::NonZeroU64;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};

use crate::config::Admission;

/// The limits, and what is counted for them.
#[derive(Debug)]
pub struct Gate<S = RandomState> {
    hasher: S,
    ip_connections_max: AtomicU32,
    ip_handshakes_per_s: AtomicU32,
    handshakes_per_s: AtomicU32,
    is_dry_run: AtomicBool,
    /// Connections per address.
    connections: OnceLock<Table>,
    /// When an address's bucket is full again, in ticks.
    buckets: OnceLock<Table>,
    /// When everybody's bucket is full again, in microseconds.
    full_at_us: AtomicU64,
    over: [AtomicU64; 3],
    untracked: AtomicU64,
}

/// Which limit somebody is over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Over {
    /// Connections from this address.
    IpConnections,
    /// Handshakes from this address.
    IpHandshakes,
    /// Handshakes in all.
    Handshakes,
}

impl Over {
    /// For `Retry-After`: rates recover within a second, connections when others leave.
    pub fn retry_after_s(self) -> u32 {
        match self {
            Self::IpConnections => 10,
            Self::IpHandshakes | Self::Handshakes => 1,
        }
    }
}

/// What a connection gives back when it ends: eight bytes, and nothing to give back if none of it
/// was counted.
#[must_use = "the address stays charged until the ticket is given back to Gate::leave"]
#[derive(PartialEq, Eq, Debug, Default)]
pub struct Ticket(Option<NonZeroU64>);

/// What was counted, since the start.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct GateCounts {
    /// Handshakes over the limit of connections per address, let in or not.
    pub over_ip_connections: u64,
    /// Handshakes over the rate per address.
    pub over_ip_handshakes: u64,
    /// Handshakes over the rate of all.
    pub over_handshakes: u64,
    /// Handshakes that were let in because there was no room to count them.
    pub untracked: u64,
}

impl Gate {
    /// A gate with these limits.
    pub fn new(limits: &Admission) -> Self {
        Self::with_hasher(limits, RandomState::new())
    }
}

impl<S: BuildHasher> Gate<S> {
    /// The same with a hasher of one's own. Its key has to be a secret, or somebody chooses addresses
    /// that share a bucket.
    pub fn with_hasher(limits: &Admission, hasher: S) -> Self {
        let gate = Self {
            hasher,
            ip_connections_max: AtomicU32::default(),
            ip_handshakes_per_s: AtomicU32::default(),
            handshakes_per_s: AtomicU32::default(),
            is_dry_run: AtomicBool::default(),
            connections: OnceLock::new(),
            buckets: OnceLock::new(),
            full_at_us: AtomicU64::default(),
            over: Default::default(),
            untracked: AtomicU64::default(),
        };
        gate.set(limits);
        gate
    }

    /// Other limits from now on; whoever is in stays.
    pub fn set(&self, limits: &Admission) {
        self.ip_connections_max
            .store(limits.ip_connections_max, Relaxed);
        self.ip_handshakes_per_s
            .store(limits.ip_handshakes_per_s, Relaxed);
        self.handshakes_per_s
            .store(limits.handshakes_per_s, Relaxed);
        self.is_dry_run.store(limits.is_dry_run, Relaxed);
    }

    /// A handshake at `now_us` of a clock that never goes back; `None` has no address (a Unix
    /// socket) and counts for all only. The rates first: they are charged for refused handshakes,
    /// too, so that trying harder does not help.
    pub fn admit(&self, ip: Option<IpAddr>, now_us: u64) -> Result<Ticket, Over> {
        let key = ip.map(|ip| self.hasher.hash_one(network(ip)));
        if key.is_some_and(|key| !self.has_rate(key, now_us)) {
            self.count(Over::IpHandshakes)?;
        }
        if !self.has_rate_for_all(now_us) {
            self.count(Over::Handshakes)?;
        }
        match key {
            Some(key) => self.enter(key),
            None => Ok(Ticket(None)),
        }
    }

    /// A connection is over.
    pub fn leave(&self, ticket: Ticket) {
        if let (Some(key), Some(table)) = (ticket.0, self.connections.get()) {
            let _ = table.update(key.get(), |count| count == 0, |count| count.checked_sub(1));
        }
    }

    /// What was counted so far.
    pub fn counts(&self) -> GateCounts {
        let [over_ip_connections, over_ip_handshakes, over_handshakes] =
            [0, 1, 2].map(|index: usize| self.over[index].load(Relaxed));
        GateCounts {
            over_ip_connections,
            over_ip_handshakes,
            over_handshakes,
            untracked: self.untracked.load(Relaxed),
        }
    }

    /// One more over a limit, who is let in nevertheless in a dry run.
    fn count(&self, over: Over) -> Result<(), Over> {
        self.over[over as usize].fetch_add(1, Relaxed);
        match self.is_dry_run.load(Relaxed) {
            true => Ok(()),
            false => Err(over),
        }
    }

    fn has_rate(&self, key: u64, now_us: u64) -> bool {
        let per_s = self.ip_handshakes_per_s.load(Relaxed);
        if per_s == 0 {
            return true;
        }
        let (now, cost) = (now_us / TICK_US, TICKS_PER_S / u64::from(per_s));
        let table = self.buckets.get_or_init(Table::new);
        let outcome = table.update(
            key,
            |full_at| full_at <= now,
            |full_at| {
                let full_at = full_at.max(now) + cost.max(1);
                (full_at - now <= TICKS_PER_S).then_some(full_at)
            },
        );
        self.is_fit(outcome)
    }

    fn has_rate_for_all(&self, now_us: u64) -> bool {
        let per_s = self.handshakes_per_s.load(Relaxed);
        if per_s == 0 {
            return true;
        }
        let cost_us = (SECOND_US / u64::from(per_s)).max(1);
        let charge = |full_at_us: u64| {
            let full_at_us = full_at_us.max(now_us) + cost_us;
            (full_at_us - now_us <= SECOND_US).then_some(full_at_us)
        };
        self.full_at_us
            .fetch_update(Relaxed, Relaxed, charge)
            .is_ok()
    }

    fn enter(&self, key: u64) -> Result<Ticket, Over> {
        let max = u64::from(self.ip_connections_max.load(Relaxed));
        if max == 0 {
            return Ok(Ticket(None));
        }
        // In a dry run those above are counted as well: they are in, and will leave.
        let (max, is_dry_run) = (max, self.is_dry_run.load(Relaxed));
        let table = self.connections.get_or_init(Table::new);
        let mut is_over = false;
        let outcome = table.update(
            key,
            |count| count == 0,
            |count| {
                is_over = count >= max;
                (!is_over || is_dry_run).then_some(count + 1)
            },
        );
        if is_over {
            self.count(Over::IpConnections)?;
        }
        match outcome {
            Outcome::NoRoom => {
                self.untracked.fetch_add(1, Relaxed);
                Ok(Ticket(None))
            }
            _ => Ok(Ticket(NonZeroU64::new(key))),
        }
    }

    fn is_fit(&self, outcome: Outcome) -> bool {
        if outcome == Outcome::NoRoom {
            self.untracked.fetch_add(1, Relaxed);
        }
        outcome != Outcome::Refused
    }
}

/// What one customer has: an IPv4 address, or the first 64 bits of an IPv6 one. An IPv4 address that
/// a socket shows as IPv6 is itself.
fn network(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(ip) => IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() >> 64 << 64)),
        v4 => v4,
    }
}

const SECOND_US: u64 = 1_000_000;
/// Fine enough for the highest rate there may be (10 000 a second are ten of them), coarse enough
/// for five years of uptime in a slot.
const TICK_US: u64 = 10;
const TICKS_PER_S: u64 = SECOND_US / TICK_US;

/// Numbers by key, in a fixed number of slots: `mark:20 | number:44`.
///
/// Eight slots in a line of the cache are one bucket, and a key lives in any slot of its own. A slot
/// whose number is idle is anybody's. Two keys of one bucket share a mark once in a million times,
/// and then a limit. Two threads may give one key two slots; sums stay right, because each looks
/// for its mark in the same order, and an idle slot is passed over.
#[derive(Debug)]
struct Table(Box<[AtomicU64]>);

/// 512 KiB: 65 536 addresses at a time.
const SLOTS: usize = 1 << 16;
const WAYS: usize = 8;
const NUMBER_BITS: u32 = 44;
const NUMBER_MASK: u64 = (1 << NUMBER_BITS) - 1;
/// Collisions of threads in one slot before it is let go: each of them is another's success.
const TRIES_MAX: usize = 64;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Outcome {
    Changed,
    Refused,
    NoRoom,
}

impl Table {
    fn new() -> Self {
        Self((0..SLOTS).map(|_| AtomicU64::new(0)).collect())
    }

    /// Changes the number of `key`, or leaves it if `change` says `None`.
    fn update(
        &self,
        key: u64,
        is_idle: impl Fn(u64) -> bool,
        mut change: impl FnMut(u64) -> Option<u64>,
    ) -> Outcome {
        // Mark and bucket from different bits; a mark is never 0, which is an empty slot's.
        let mark = (key >> NUMBER_BITS).max(1) << NUMBER_BITS;
        let first = key as usize % (SLOTS / WAYS) * WAYS;
        let bucket = &self.0[first..first + WAYS];
        for _ in 0..TRIES_MAX {
            let is_live = |word: u64| !is_idle(word & NUMBER_MASK);
            let words = || bucket.iter().map(|slot| (slot, slot.load(Relaxed)));
            let is_mine = |word: u64| word & !NUMBER_MASK == mark;
            let mine = words().find(|(_, word)| is_mine(*word) && is_live(*word));
            let Some((slot, word)) = mine.or_else(|| words().find(|(_, word)| !is_live(*word)))
            else {
                return Outcome::NoRoom;
            };
            let number = if is_mine(word) { word & NUMBER_MASK } else { 0 };
            let Some(number) = change(number) else {
                return Outcome::Refused;
            };
            let new = mark | number & NUMBER_MASK;
            if slot.compare_exchange(word, new, Relaxed, Relaxed).is_ok() {
                return Outcome::Changed;
            }
        }
        Outcome::NoRoom
    }
}

#[cfg(test)]
mod tests;
