//! Who is dialled next: the fresh ones, cohort by cohort in step, and those that try again.
//!
//! Threads dial their fresh ones in turns, a core's worth of threads abreast: sixty threads that share two
//! cores and dial a handful each before the next is scheduled cost a fifth more per connection. The turns
//! are a timetable from the rate, nothing is shared: if the rate is not reached, they overlap.

use std::collections::VecDeque;
use std::io;

use throng::reactor::ConnId;
use throng::sys::DialOptions;

use super::brief::{Brief, ticks};
use super::connection::{Connection, Flags, Opening, Pending, Phase};
use super::fleet::{Fleet, Stage};
use super::net::Net;
use super::parting::End;
use crate::failures::Failure;
use crate::failures::tls::TlsFailure;
use crate::scenario::{Beast, Kind};
use crate::schedule::TokenBucket;
use crate::tuples::{TupleId, TupleSlice};

/// The connections of one thread that are not open yet.
#[derive(Debug)]
pub struct Ramp {
    fresh: Vec<Fresh>,
    /// Entries that wait to be dialled again now.
    redial: VecDeque<u32>,
    bucket: Option<TokenBucket>,
    /// What paces this thread once all were dialled: its part of the rate.
    afterwards: Option<TokenBucket>,
    turns: Turns,
}

/// What the timetable is made from.
#[derive(Clone, Copy, Debug)]
struct Turns {
    rate_per_s: f64,
    thread: u32,
    threads: u32,
    /// Threads that dial at the same time.
    abreast: u32,
}

/// What is left of one cohort.
#[derive(Debug)]
struct Fresh {
    first: u64,
    step: u64,
    begun: u64,
    count: u64,
    /// A search may hold back some.
    ceiling: u64,
    /// Waits for its phase: nobody waits for it.
    is_held: bool,
}

impl Ramp {
    /// This thread's part of every cohort.
    #[must_use]
    pub fn new(brief: &Brief, thread: u32, now_ns: u64) -> Self {
        let mut first = 0;
        let opening = brief.scenario.phases.first();
        let is_absent = |name: &String| opening.is_some_and(|phase| phase.absent.contains(name));
        let fresh = brief.scenario.cohorts.iter().map(|cohort| {
            let count = share(cohort.connections, thread, brief.threads);
            let part = Fresh {
                first: first + u64::from(thread),
                step: u64::from(brief.threads),
                begun: 0,
                count,
                ceiling: count,
                is_held: matches!(cohort.kind, Kind::Zoo { .. }) || is_absent(&cohort.name),
            };
            first += cohort.connections;
            part
        });
        let mut ramp = Self {
            fresh: fresh.collect(),
            redial: VecDeque::new(),
            bucket: None,
            afterwards: None,
            turns: Turns {
                rate_per_s: brief.scenario.ramp_per_s,
                thread,
                threads: brief.threads,
                abreast: brief.abreast.clamp(1, brief.threads),
            },
        };
        ramp.set_timetable(now_ns);
        ramp
    }

    /// When this thread dials those that are fresh now.
    fn set_timetable(&mut self, now_ns: u64) {
        let Turns {
            rate_per_s,
            thread,
            threads,
            abreast,
        } = self.turns;
        if rate_per_s <= 0.0 {
            return;
        }
        // A hundredth of a second at once: a worker that was away for a moment catches up.
        let bucket = |threads: u32, from_ns| {
            let rate_per_s = rate_per_s / f64::from(threads);
            TokenBucket::new(rate_per_s, rate_per_s / 100.0, from_ns)
        };
        let mine: u64 = self.fresh.iter().map(Fresh::left).sum();
        let turn_s = mine as f64 * f64::from(abreast) / rate_per_s;
        let turns_before = f64::from(thread / abreast);
        let from_ns = now_ns + (turns_before * turn_s * 1e9) as u64;
        self.bucket = Some(bucket(abreast, from_ns));
        self.afterwards = Some(bucket(threads, now_ns));
    }

    /// Connections this thread will hold.
    #[must_use]
    pub fn expected(&self) -> usize {
        self.fresh.iter().map(|fresh| fresh.count as usize).sum()
    }

    /// Connections of a cohort that were never dialled.
    fn fresh_left(&self, cohort: usize) -> u64 {
        self.fresh[cohort].left()
    }

    /// Keeps a cohort back, or lets it go: then the threads take turns from here.
    pub fn set_held(&mut self, cohort: usize, is_held: bool, now_ns: u64) {
        let fresh = &mut self.fresh[cohort];
        let is_released = fresh.is_held && !is_held;
        fresh.is_held = is_held;
        if is_released && fresh.left() > 0 {
            self.set_timetable(now_ns);
        }
    }

    /// Nobody is dialled any more.
    pub fn give_up(&mut self) {
        self.fresh.iter_mut().for_each(|fresh| fresh.ceiling = 0);
        self.redial.clear();
    }

    fn has_next(&self) -> bool {
        !self.redial.is_empty() || self.has_fresh()
    }

    fn has_fresh(&self) -> bool {
        self.fresh.iter().any(|fresh| fresh.left() > 0)
    }

    /// The next fresh number: of the cohort that is furthest behind, so that all grow in step.
    fn next_fresh(&mut self) -> Option<(u8, u32)> {
        let behind = |fresh: &Fresh| fresh.begun as f64 / fresh.count.max(1) as f64;
        let candidates = self.fresh.iter_mut().enumerate();
        let (cohort, fresh) = candidates
            .filter(|(_, fresh)| fresh.left() > 0)
            .min_by(|(_, a), (_, b)| behind(a).total_cmp(&behind(b)))?;
        let number = fresh.number(fresh.begun);
        fresh.begun += 1;
        Some((cohort as u8, number as u32))
    }
}

impl Fresh {
    const fn left(&self) -> u64 {
        if self.is_held {
            return 0;
        }
        self.ceiling.saturating_sub(self.begun)
    }

    /// The number of the n-th.
    const fn number(&self, n: u64) -> u64 {
        self.first + n * self.step
    }
}

/// This thread's part of a number: the threads' parts differ by one at the most.
#[must_use]
pub const fn share(count: u64, thread: u32, threads: u32) -> u64 {
    let (thread, threads) = (thread as u64, threads as u64);
    (count + threads - 1 - thread) / threads
}

impl<N: Net> Fleet<N> {
    /// Connections that the run must wait for before it can begin. Those that come and go on purpose are
    /// waited for once, or a run with a zoo would never begin.
    pub(super) fn awaited(&self) -> u64 {
        let troops = self.troops.iter().enumerate();
        let awaited = troops.map(|(cohort, troop)| {
            let to_open = match troop.cohort.kind {
                Kind::Churn { .. } | Kind::Zoo { .. } => 0,
                Kind::Rooms { .. } => troop.entries - troop.joined(),
                _ => troop.entries - troop.roster.members().len() as u64,
            };
            self.ramp.fresh_left(cohort) + to_open
        });
        awaited.sum()
    }

    /// Holds this share of the connections: of the others, the fresh ones stay away and the open ones go.
    pub(super) fn hold(&mut self, share: f64) {
        for fresh in &mut self.ramp.fresh {
            fresh.ceiling = ((fresh.count as f64 * share).round() as u64).min(fresh.count);
        }
        let fresh = &self.ramp.fresh;
        let is_above = |connection: &Connection<N::Stream>| {
            let fresh = &fresh[usize::from(connection.cohort)];
            u64::from(connection.number) >= fresh.number(fresh.ceiling)
        };
        let entries = self.entries.0.iter();
        let surplus = entries.filter(|(_, connection)| is_above(connection));
        let surplus: Vec<u32> = surplus.map(|(index, _)| index as u32).collect();
        for index in surplus {
            self.doom(index, End::Dropped);
        }
        let entries = &self.entries.0;
        let waits = |index: &u32| entries[*index as usize].phase == Phase::Waiting;
        self.ramp.redial.retain(waits);
        for fresh in &mut self.ramp.fresh {
            fresh.begun = fresh.begun.min(fresh.ceiling);
        }
        self.reap();
    }

    /// Puts an entry among those that are dialled as soon as the ramp allows.
    pub(super) fn redial(&mut self, index: u32) {
        self.ramp.redial.push_back(index);
    }

    /// When the ramp wants to go on; `None` when it has nothing to do or waits for answers.
    pub(super) fn next_dial_ns(&self) -> Option<u64> {
        if self.stage >= Stage::Settling || !self.ramp.has_next() {
            return None;
        }
        if self.brief.gate.is_full() {
            // One of ours that gets through wakes us; of those of others nobody tells us.
            let is_waiting_for_others = self.counts.handshaking == 0;
            return is_waiting_for_others.then(|| self.net.now_ns() + FULL_GATE_NS);
        }
        match &self.ramp.bucket {
            Some(bucket) => bucket.next_ns(),
            None => Some(0),
        }
    }

    /// Dials as many as the rate, the bound on handshakes and a turn allow.
    pub(super) fn dial_some(&mut self) {
        if self.stage >= Stage::Settling || !self.ramp.has_next() {
            return;
        }
        let room = self.brief.gate.enter(DIALS_PER_TURN);
        let now_ns = self.net.now_ns();
        let allowed = match &mut self.ramp.bucket {
            Some(bucket) => bucket.take(now_ns, room),
            None => room,
        };
        self.brief.gate.leave(room - allowed);
        for dialled in 0..allowed {
            let Some(index) = self.next_to_dial() else {
                if let Some(bucket) = &mut self.ramp.bucket {
                    bucket.give_back(allowed - dialled);
                }
                self.brief.gate.leave(allowed - dialled);
                break;
            };
            self.dial(index);
        }
        if !self.ramp.has_fresh() && self.ramp.afterwards.is_some() {
            self.ramp.bucket = self.ramp.afterwards.take();
        }
    }

    fn next_to_dial(&mut self) -> Option<u32> {
        if let Some(index) = self.ramp.redial.pop_front() {
            return Some(index);
        }
        let (cohort, number) = self.ramp.next_fresh()?;
        self.troops[usize::from(cohort)].entries += 1;
        let connection = Connection::new(number, cohort, TupleId::default());
        Some(self.entries.0.insert(connection) as u32)
    }

    fn dial(&mut self, index: u32) {
        self.last_generation = self.last_generation.wrapping_add(1).max(1);
        let id = ConnId::new(self.last_generation, index);
        let connection = self.connection(index);
        connection.generation = id.generation();
        let cohort = usize::from(connection.cohort);
        if self.connection(index).flags.has(Flags::RETURNING) {
            self.recovery.attempts += 1;
        }
        let options = dial_options(&self.troops[cohort].cohort.kind);
        let (tuple, stream) = match self.claim(id, options) {
            Ok(claimed) => claimed,
            Err(failure) => {
                self.brief.gate.leave(1);
                return self.doom(index, End::Failed(failure));
            }
        };
        let nonce = self.keys.nonce();
        let now_ns = self.net.now_ns();
        let end_tick = self.ticks.at(now_ns) + ticks(self.brief.connect_timeout_ns);
        let connection = self.connection(index);
        connection.stream = Some(stream);
        connection.tuple = tuple;
        connection.phase = Phase::Dialing;
        connection.end_tick = end_tick;
        connection.pending = Some(Box::new(Pending {
            opening: Some(Opening {
                began_ns: now_ns,
                nonce,
                ..Opening::default()
            }),
            ..Pending::default()
        }));
        self.counts.handshaking += 1;
        self.set_timer(index, end_tick);
        let Some(words) = self.first_words(index) else {
            return self.doom(index, End::Failed(Failure::Tls(TlsFailure::NoRoom)));
        };
        if let Some(pending) = &mut self.connection(index).pending {
            pending.unsent = words;
        }
        // On loopback the connection stands already, and this saves waiting for an event to say so.
        self.on_writable(index);
    }

    /// Finds a free tuple and dials it.
    fn claim(&mut self, id: ConnId, options: DialOptions) -> Result<(TupleId, N::Stream), Failure> {
        for _ in 0..TAKEN_TRIES_MAX {
            let began_ns = self.net.now_ns();
            let taken = self.tuples.take(began_ns / 1_000_000);
            let (tuple_id, tuple) = taken.map_err(|_| Failure::LocalPorts)?;
            let place = tuple.listener as usize;
            let to = self.brief.places[place].address;
            let dialled = self.net.dial(id, tuple.source, to, options);
            self.counts.dial_ns += self.net.now_ns() - began_ns;
            self.counts.dials += 1;
            match dialled {
                Ok(stream) => return Ok((tuple_id, stream)),
                Err(error) if is_taken(&error) => self.tuples.skip_taken(tuple_id),
                Err(error) => {
                    self.tuples.give_back(tuple_id);
                    return Err(Failure::from_io(&error));
                }
            }
        }
        Err(Failure::LocalPorts)
    }

    /// The listener of a connection.
    pub(super) fn place_of(tuples: &TupleSlice, tuple: TupleId) -> usize {
        tuples.space().tuple(tuple).listener as usize
    }
}

/// Who sends several messages without waiting must not be held back; who reads slowly has a small buffer.
const fn dial_options(kind: &Kind) -> DialOptions {
    let recv_buffer_bytes = match kind {
        Kind::Slow { .. }
        | Kind::Zoo {
            beast: Beast::NeverRead,
        } => Some(SLOW_BUFFER_BYTES),
        _ => None,
    };
    DialOptions {
        no_delay: !matches!(kind, Kind::Idle),
        recv_buffer_bytes,
    }
}

fn is_taken(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::AddrInUse | io::ErrorKind::AddrNotAvailable
    )
}

/// Between two looks at what the kernel reports: 64 dials take about 2 ms.
const DIALS_PER_TURN: u64 = 64;
/// Until the next look at a gate that others keep full.
const FULL_GATE_NS: u64 = 5_000_000;
/// Ports in a row that somebody else holds, before the attempt is called a failure.
const TAKEN_TRIES_MAX: usize = 64;
/// Small enough that the peer's queue, and not ours, is what fills.
const SLOW_BUFFER_BYTES: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_add_up() {
        for (count, threads) in [(10, 3), (2, 5), (0, 4), (1_000_000, 53)] {
            let parts: Vec<u64> = (0..threads).map(|t| share(count, t, threads)).collect();
            assert_eq!(parts.iter().sum::<u64>(), count);
            assert!(parts.iter().max().unwrap() - parts.iter().min().unwrap() <= 1);
        }
    }
}
