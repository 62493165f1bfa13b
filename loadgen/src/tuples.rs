//! The allocator of 4-tuples: which source address and port the next connection binds, and which
//! listener it connects to.
//!
//! The kernel's own search for a free port costs 16 us up to half occupancy and then 23 times as much;
//! an explicit bind is flat (10 to 12 us) to the last port, provided that nobody asks for a port twice.
//! So the whole space {address x port x listener} is numbered, and a seeded permutation of the numbers is
//! cut into one run per thread:
//!
//! ```text
//! position  0 .............................................. capacity     (threads own runs of it)
//!           | thread 0 .... | thread 1 .... | thread 2 .... |
//! position p -> listener p mod L;  permute(p div L) -> address, port
//! ```
//!
//! Neighbouring positions go to different listeners, and to ports that have nothing in common. A
//! permutation cannot repeat itself, so there is no table of ports in use and nothing to lock: a
//! million tuples cost as much memory as one.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use crate::pool::SourcePool;
use crate::ports::PortSet;
use crate::random::mix;

/// All tuples of a run: immutable, shared by the threads.
#[derive(Debug)]
pub struct TupleSpace {
    pool: SourcePool,
    ports: PortSet,
    listeners: Vec<SocketAddr>,
    endpoints: Permutation,
}

/// One tuple's number in its space: what a connection keeps (8 bytes) to give the tuple back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TupleId(u64);

/// What to bind and where to connect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Tuple {
    /// Local address and port to bind. Set SO_REUSEADDR first when there are several listeners.
    pub source: SocketAddr,
    /// Index into the listeners of the space.
    pub listener: u32,
}

/// Nothing to hand out now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exhausted {
    /// When the first tuple in TIME_WAIT may be used again; `None` when none is coming back.
    pub rested_at_ms: Option<u64>,
}

/// What became of a thread's tuples.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TupleCounts {
    /// Handed out and not given back.
    pub in_use: u64,
    /// Skipped because somebody else holds the port.
    pub taken: u64,
    /// Given out a second time or more.
    pub reused: u64,
}

/// One thread's run of the space.
#[derive(Debug)]
pub struct TupleSlice {
    space: Arc<TupleSpace>,
    next: u64,
    end: u64,
    /// Free at once, and free after TIME_WAIT (oldest first). Both are bounded by the run: they hold
    /// only tuples that were handed out.
    free: VecDeque<TupleId>,
    resting: VecDeque<(TupleId, u64)>,
    counts: TupleCounts,
}

impl TupleSpace {
    /// The space of these addresses, ports and listeners; `None` when one of them is empty.
    #[must_use]
    pub fn new(
        pool: SourcePool,
        ports: PortSet,
        listeners: Vec<SocketAddr>,
        seed: u64,
    ) -> Option<Self> {
        if ports.is_empty() || listeners.is_empty() {
            return None;
        }
        let endpoints = pool.address_count().checked_mul(u64::from(ports.len()))?;
        endpoints.checked_mul(listeners.len() as u64)?;
        Some(Self {
            pool,
            ports,
            listeners,
            endpoints: Permutation::new(endpoints, seed),
        })
    }

    /// How many connections the space can hold.
    #[must_use]
    pub fn capacity(&self) -> u64 {
        self.endpoints.len * self.listeners.len() as u64
    }

    /// How many of them end at one listener: the number that says how much of a claim the listeners carry.
    #[must_use]
    pub const fn capacity_per_listener(&self) -> u64 {
        self.endpoints.len
    }

    /// The listeners, in the order of [`Tuple::listener`].
    #[must_use]
    pub fn listeners(&self) -> &[SocketAddr] {
        &self.listeners
    }

    /// The n-th source address of the pool.
    #[must_use]
    pub fn source_ip(&self, n: u64) -> IpAddr {
        self.pool.nth(n)
    }

    /// The tuple behind a number.
    #[must_use]
    pub fn tuple(&self, id: TupleId) -> Tuple {
        let listeners = self.listeners.len() as u64;
        let endpoint = self.endpoints.at((id.0 / listeners) % self.endpoints.len);
        let ports = u64::from(self.ports.len());
        let port = self
            .ports
            .nth((endpoint % ports) as u32)
            .expect("a remainder is below the number of ports");
        Tuple {
            source: SocketAddr::new(self.pool.nth(endpoint / ports), port),
            listener: (id.0 % listeners) as u32,
        }
    }

    /// Cuts the space into one run per thread. The runs differ by at most one tuple.
    #[must_use]
    pub fn slices(self: &Arc<Self>, threads: usize) -> Vec<TupleSlice> {
        let bound =
            |n: usize| (u128::from(self.capacity()) * n as u128 / threads.max(1) as u128) as u64;
        (0..threads.max(1))
            .map(|n| TupleSlice::new(Arc::clone(self), bound(n), bound(n + 1)))
            .collect()
    }
}

impl TupleSlice {
    const fn new(space: Arc<TupleSpace>, next: u64, end: u64) -> Self {
        let counts = TupleCounts {
            in_use: 0,
            taken: 0,
            reused: 0,
        };
        Self {
            space,
            next,
            end,
            free: VecDeque::new(),
            resting: VecDeque::new(),
            counts,
        }
    }

    /// The next tuple: a fresh one while there is one, then one given back, then one whose TIME_WAIT is
    /// over. Never one that is in use.
    pub fn take(&mut self, now_ms: u64) -> Result<(TupleId, Tuple), Exhausted> {
        let id = if self.next < self.end {
            self.next += 1;
            TupleId(self.next - 1)
        } else {
            self.counts.reused += 1;
            self.recycled(now_ms)
                .inspect_err(|_| self.counts.reused -= 1)?
        };
        self.counts.in_use += 1;
        Ok((id, self.space.tuple(id)))
    }

    /// Gives a tuple back that the peer or a reset closed: its port is free at once.
    pub fn give_back(&mut self, id: TupleId) {
        self.counts.in_use = self.counts.in_use.saturating_sub(1);
        self.free.push_back(id);
    }

    /// Gives a tuple back that we closed first: its port stays in TIME_WAIT for a minute.
    pub fn give_back_after_time_wait(&mut self, id: TupleId, now_ms: u64) {
        self.counts.in_use = self.counts.in_use.saturating_sub(1);
        self.resting.push_back((id, now_ms + TIME_WAIT_MS));
    }

    /// `bind` said EADDRINUSE: somebody else holds the port. It is counted and not tried again, so that
    /// a foreign range costs one failed call a port and not one a round.
    pub fn skip_taken(&mut self, _id: TupleId) {
        self.counts.in_use = self.counts.in_use.saturating_sub(1);
        self.counts.taken += 1;
    }

    /// What became of the tuples so far.
    #[must_use]
    pub const fn counts(&self) -> TupleCounts {
        self.counts
    }

    /// The space this run belongs to.
    #[must_use]
    pub fn space(&self) -> &TupleSpace {
        &self.space
    }

    fn recycled(&mut self, now_ms: u64) -> Result<TupleId, Exhausted> {
        if let Some(id) = self.free.pop_front() {
            return Ok(id);
        }
        match self.resting.front() {
            Some(&(id, rested_at_ms)) if rested_at_ms <= now_ms => {
                self.resting.pop_front();
                Ok(id)
            }
            first => Err(Exhausted {
                rested_at_ms: first.map(|&(_, at)| at),
            }),
        }
    }
}

/// A seeded bijection of `0..len`: four Feistel rounds on the next even power of two, walked on until the
/// result falls inside. The power is below 4 x len, so fewer than four walks are expected.
#[derive(Debug)]
struct Permutation {
    len: u64,
    half_bits: u32,
    keys: [u64; 4],
}

impl Permutation {
    fn new(len: u64, seed: u64) -> Self {
        let bits = 64 - len.saturating_sub(1).leading_zeros();
        let half_bits = bits.div_ceil(2).max(1);
        Self {
            len,
            half_bits,
            keys: [1, 2, 3, 4].map(|round| mix(seed ^ mix(round))),
        }
    }

    fn at(&self, n: u64) -> u64 {
        debug_assert!(n < self.len, "a position outside would walk forever");
        let mut value = self.scrambled(n);
        while value >= self.len {
            value = self.scrambled(value);
        }
        value
    }

    fn scrambled(&self, value: u64) -> u64 {
        let mask = (1u64 << self.half_bits) - 1;
        let (mut left, mut right) = (value >> self.half_bits, value & mask);
        for key in self.keys {
            (left, right) = (right, left ^ (mix(right ^ key) & mask));
        }
        (left << self.half_bits) | right
    }
}

/// TCP_TIMEWAIT_LEN, a constant of the kernel: no sysctl shortens it.
pub const TIME_WAIT_MS: u64 = 60_000;

#[cfg(test)]
mod tests;
