//! What is counted, and where others can read it (leaf module).
//!
//! A worker counts in plain integers of its own: no lock and no atomic on the path of a message. Now
//! and then, between turns, it copies them to its line of the [`Board`], with plain stores that
//! nobody waits for. Whoever wants to know (the log, `/stats`) reads the board and asks no worker.
//!
//! ```text
//!  worker: Counters, Ledger --publish--> Board line 0, 1, 2 .. <--read-- anybody, any time
//! ```

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A struct of `u64` with names, sums and values in one order.
macro_rules! figures {
    ($(#[$outer:meta])* $name:ident { $($(#[doc = $doc:literal])+ $field:ident),+ $(,)? }) => {
        $(#[$outer])*
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub struct $name {
            $($(#[doc = $doc])+ pub $field: u64,)+
        }

        impl $name {
            /// The names of the figures, in the order of [`values`](Self::values).
            pub const NAMES: &[&str] = &[$(stringify!($field)),+];

            /// What each of them counts, in the same order: the sentence that documents it.
            pub const MEANINGS: &[&str] = &[$(concat!($($doc),+)),+];

            /// All figures, in one order.
            pub fn values(&self) -> [u64; Self::NAMES.len()] {
                [$(self.$field),+]
            }

            /// The figures back from their values.
            pub fn from_values(values: [u64; Self::NAMES.len()]) -> Self {
                let [$($field),+] = values;
                Self { $($field),+ }
            }

            /// Adds another worker's figures.
            pub fn add(&mut self, other: &Self) {
                $(self.$field += other.$field;)+
            }
        }
    };
}

figures! {
    /// What one worker counted since it started.
    Counters {
        /// Connections taken off the listeners.
        accepted,
        /// Connections that became WebSockets.
        upgraded,
        /// WebSockets that are over: the application has been told.
        ended,
        /// Requests answered with an error.
        refused,
        /// Newcomers answered 503 because there was no room, or no memory.
        turned_away,
        /// Newcomers given to another worker because this one was full.
        handed_over,
        /// Connections that ended, in whatever way and at whatever stage.
        closed,
        /// Messages received.
        messages_in,
        /// Pings sent.
        pings,
        /// Connections ended by a timer.
        timed_out,
        /// Connections ended because they did not read.
        overflowed,
        /// Connections ended for breaking the protocol or a limit.
        violations,
        /// TLS handshakes that succeeded.
        tls_handshakes,
        /// Those of them that resumed an earlier session.
        tls_resumed,
        /// Those of them that spoke TLS 1.2, which rustls keeps at kilobytes each.
        tls_12,
        /// Those of them whose records the kernel keeps (kTLS).
        tls_in_kernel,
        /// TLS handshakes that came to nothing.
        tls_refused,
        /// Handshakes that failed because plain HTTP came to the TLS port.
        tls_failed_plain_http,
        /// Handshakes that failed because what came was no TLS at all.
        tls_failed_not_tls,
        /// Handshakes that failed for want of a version in common.
        tls_failed_version,
        /// Handshakes that failed for want of a cipher suite, key exchange or signature in common.
        tls_failed_nothing_in_common,
        /// Handshakes that failed because the client wanted another protocol inside (ALPN).
        tls_failed_protocol,
        /// Handshakes that failed because the client's certificate was missing or no good.
        tls_failed_certificate,
        /// Handshakes that failed by the client's alert: it does not like ours, for example.
        tls_failed_alert,
        /// Handshakes that failed because the client broke the protocol.
        tls_failed_misbehaved,
        /// Handshakes that failed through a fault of ours.
        tls_failed_internal,
        /// Handshakes that were begun and took too long.
        tls_failed_timeout,
        /// Handshakes that were begun and broken off.
        tls_failed_hung_up,
        /// TLS connections ended for a forged record, a broken rule or a spent budget.
        tls_broken,
        /// TLS connections cut off without close_notify.
        tls_truncated,
        /// Connections for which a load balancer said who the client is (PROXY protocol).
        proxied,
        /// Connections of a load balancer that were refused because it did not say so, or said it wrong.
        proxy_refused,
        /// Handlers that panicked.
        panics,
        /// Events for connections that were already gone.
        stale_events,
        /// Times the host refused a descriptor or a registration.
        exhausted,
    }
}

figures! {
    /// Where the bytes of one worker's connections are.
    Ledger {
        /// The slab's lines that are in use.
        entries,
        /// Those that have been; they stay with us for the next ones.
        vacant,
        /// Request heads that are not complete.
        handshakes,
        /// Messages that are not complete, and input that waits for its turn.
        partial,
        /// What slow readers have not read yet. A frame shared by many is not counted.
        queues,
        /// Windows kept between compressed messages.
        deflate,
        /// Keys, handshakes under way and unfinished records of TLS.
        tls,
        /// What the application keeps for its connections beside their entries.
        sessions,
        /// What there is once per worker: receive buffer, output buffer, compressors.
        workers,
    }
}

impl Ledger {
    /// All of it.
    pub fn total(&self) -> u64 {
        self.values().iter().sum()
    }
}

/// The figures of all workers, for everybody to read.
///
/// Each figure is right in itself. Two of them may be from turns that follow each other.
#[derive(Debug)]
pub struct Board {
    lines: Box<[Line]>,
}

/// One worker's figures; written by that worker only.
#[derive(Debug)]
#[repr(align(128))]
struct Line {
    heartbeat: AtomicU64,
    sockets: AtomicU64,
    counters: [AtomicU64; Counters::NAMES.len()],
    ledger: [AtomicU64; Ledger::NAMES.len()],
    /// For which round of stocktaking the ledger was made.
    round: AtomicU64,
}

impl Default for Line {
    /// All 0. (Derived, there could be 32 counters at most.)
    fn default() -> Self {
        Self {
            heartbeat: AtomicU64::default(),
            sockets: AtomicU64::default(),
            counters: std::array::from_fn(|_| AtomicU64::default()),
            ledger: std::array::from_fn(|_| AtomicU64::default()),
            round: AtomicU64::default(),
        }
    }
}

impl Board {
    /// A board with so many lines, all 0.
    pub fn new(workers: usize) -> Arc<Self> {
        Arc::new(Self {
            lines: (0..workers).map(|_| Line::default()).collect(),
        })
    }

    /// What `worker` has counted, how many connections it has, and a number that changes at least
    /// once a second while it is well. For its own thread only.
    pub fn publish(&self, worker: usize, counters: &Counters, sockets: usize, heartbeat: u64) {
        let Some(line) = self.lines.get(worker) else {
            return;
        };
        store(&line.counters, &counters.values());
        line.sockets.store(sockets as u64, Ordering::Relaxed);
        line.heartbeat.store(heartbeat, Ordering::Relaxed);
    }

    /// A complete ledger of `worker`, as `round` asked for it. For its own thread only.
    pub fn publish_ledger(&self, worker: usize, ledger: &Ledger, round: u64) {
        if let Some(line) = self.lines.get(worker) {
            store(&line.ledger, &ledger.values());
            line.round.store(round, Ordering::Release);
        }
    }

    /// The sum of all workers' counters.
    pub fn counters(&self) -> Counters {
        let mut sum = Counters::default();
        for line in &self.lines {
            sum.add(&Counters::from_values(load(&line.counters)));
        }
        sum
    }

    /// The sum of the last ledgers of the first `workers`, and the round all of them have finished.
    pub fn ledger(&self, workers: usize) -> (Ledger, u64) {
        let mut sum = Ledger::default();
        let mut finished = u64::MAX;
        for line in self.lines.iter().take(workers) {
            finished = finished.min(line.round.load(Ordering::Acquire));
            sum.add(&Ledger::from_values(load(&line.ledger)));
        }
        (sum, finished)
    }

    /// How many connections each worker has.
    pub fn sockets(&self) -> impl Iterator<Item = u64> {
        let sockets = |line: &Line| line.sockets.load(Ordering::Relaxed);
        self.lines.iter().map(sockets)
    }

    /// Each worker's heartbeat.
    pub fn heartbeats(&self) -> impl Iterator<Item = u64> {
        let heartbeat = |line: &Line| line.heartbeat.load(Ordering::Relaxed);
        self.lines.iter().map(heartbeat)
    }
}

fn store<const N: usize>(line: &[AtomicU64; N], values: &[u64; N]) {
    for (figure, value) in line.iter().zip(values) {
        figure.store(*value, Ordering::Relaxed);
    }
}

fn load<const N: usize>(line: &[AtomicU64; N]) -> [u64; N] {
    std::array::from_fn(|index| line[index].load(Ordering::Relaxed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_published_is_what_is_read() {
        let board = Board::new(2);
        let counters = |base: u64| {
            let mut next = base;
            Counters::from_values(std::array::from_fn(|_| {
                next += 1;
                next
            }))
        };
        let (first, second) = (counters(0), counters(100));
        assert_eq!(first.values()[..3], [1, 2, 3]);
        board.publish(0, &first, 7, 1);
        board.publish(1, &second, 8, 2);
        board.publish(2, &second, 9, 3); // no such line
        let mut sum = first;
        sum.add(&second);
        assert_eq!(board.counters(), sum);
        assert_eq!(sum.accepted, 102);
        assert_eq!(board.sockets().collect::<Vec<_>>(), [7, 8]);
        assert_eq!(board.heartbeats().collect::<Vec<_>>(), [1, 2]);
    }

    #[test]
    fn a_ledger_is_complete_when_every_worker_has_made_one() {
        let board = Board::new(3);
        let ledger = Ledger {
            entries: 640,
            queues: 60,
            ..Ledger::default()
        };
        board.publish_ledger(0, &ledger, 1);
        assert_eq!(board.ledger(2).1, 0);
        board.publish_ledger(1, &ledger, 1);
        board.publish_ledger(0, &ledger, 2);
        let (sum, finished) = board.ledger(2);
        assert_eq!((sum.total(), sum.queues, finished), (1400, 120, 1));
    }
}
