//! Broadcasts: one connection publishes, all others of the cohort receive.
//!
//! Threads share one thing here, the [`Publications`]: how many there are and when each was meant and sent.
//! Whoever receives one needs nothing else, and a receiver's memory is the twelve bytes of its `Sequence`.
//! Each thread keeps, of every publication, when its first and its last receiver had it and a small
//! histogram in between; the conductor adds the threads' parts up, so that "the median receiver" means the
//! median of all.
//!
//! The books count deliveries: a publication is expected once by every receiver that was open when it was
//! published.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use hdrhistogram::Histogram;

use super::books::Books;
use crate::failures::Failure;
use crate::histograms::{new_histogram, quantiles_ms};
use crate::sequence::{Arrival, Sequence};
use crate::summary;

/// What the threads know of a cohort's publications.
#[derive(Debug)]
pub struct Publications {
    next: AtomicU32,
    times: Box<[Times]>,
}

#[derive(Debug, Default)]
struct Times {
    /// One more than the number, so that 0 is nobody's.
    holder: AtomicU32,
    intended_ns: AtomicU64,
    sent_ns: AtomicU64,
}

/// One thread's side of a broadcast.
#[derive(Debug)]
pub struct Fanout {
    shared: Arc<Publications>,
    /// Connections that publish, in turn.
    publishers: Vec<u32>,
    turn: usize,
    /// How many connections of the cohort publish, on all threads.
    publishers_wanted: u64,
    /// Receivers open here.
    receivers: u64,
    /// Publications that the books know of.
    noted: u32,
    parts: BTreeMap<u32, Part>,
}

/// What one thread, or all, saw of one publication.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    first_ns: u64,
    last_ns: u64,
    receivers: u64,
    buckets: [u32; BUCKETS],
}

/// Every publication of a run: when its first, its median and its last receiver had it.
#[derive(Debug)]
pub struct Skew {
    open: BTreeMap<u32, Part>,
    publications: u64,
    receivers_max: u64,
    first: Histogram<u64>,
    median: Histogram<u64>,
    last: Histogram<u64>,
}

impl Publications {
    /// None yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            next: AtomicU32::new(0),
            times: (0..REMEMBERED).map(|_| Times::default()).collect(),
        }
    }

    fn count(&self) -> u32 {
        self.next.load(Ordering::Acquire)
    }

    /// Numbers a publication and remembers its times.
    fn add(&self, intended_ns: u64, sent_ns: u64) -> u32 {
        let number = self.next.fetch_add(1, Ordering::AcqRel);
        let times = &self.times[number as usize % REMEMBERED];
        times.intended_ns.store(intended_ns, Ordering::Relaxed);
        times.sent_ns.store(sent_ns, Ordering::Relaxed);
        times
            .holder
            .store(number.wrapping_add(1), Ordering::Release);
        number
    }

    /// When a publication was meant and sent; `None` when later ones have taken its place.
    fn times(&self, number: u32) -> Option<(u64, u64)> {
        let times = &self.times[number as usize % REMEMBERED];
        let is_held = || times.holder.load(Ordering::Acquire) == number.wrapping_add(1);
        let found = is_held().then(|| {
            (
                times.intended_ns.load(Ordering::Relaxed),
                times.sent_ns.load(Ordering::Relaxed),
            )
        });
        // Again: it may have been overwritten in between.
        found.filter(|_| is_held())
    }
}

impl Default for Publications {
    fn default() -> Self {
        Self::new()
    }
}

impl Fanout {
    /// Nobody is open yet.
    #[must_use]
    pub const fn new(shared: Arc<Publications>, publishers_wanted: u64) -> Self {
        Self {
            shared,
            publishers: Vec::new(),
            turn: 0,
            publishers_wanted,
            receivers: 0,
            noted: 0,
            parts: BTreeMap::new(),
        }
    }

    /// Whether the n-th connection of the cohort publishes.
    #[must_use]
    pub const fn publishes(&self, nth: u64) -> bool {
        nth < self.publishers_wanted
    }

    /// A publisher has opened.
    pub fn add_publisher(&mut self, index: u32) {
        self.publishers.push(index);
    }

    /// A publisher is gone.
    pub fn remove_publisher(&mut self, index: u32) {
        self.publishers.retain(|publisher| *publisher != index);
    }

    /// A receiver has opened: what was published before is not expected of it.
    pub fn add_receiver(&mut self, books: &mut Books) -> Sequence {
        self.note(books);
        self.receivers += 1;
        Sequence::starting_at(self.noted)
    }

    /// A receiver is gone, and what it has not got is lost.
    pub fn remove_receiver(&mut self, seen: Sequence, why: Failure, books: &mut Books) {
        self.note(books);
        self.receivers -= 1;
        books.lose(why, self.missing(seen));
    }

    /// What a receiver has not got yet.
    #[must_use]
    pub fn missing(&self, seen: Sequence) -> u64 {
        u64::from(self.noted.wrapping_sub(seen.next())) + u64::from(seen.missing())
    }

    /// The memory of a receiver of whom nothing more is expected.
    #[must_use]
    pub const fn up_to_date(&self) -> Sequence {
        Sequence::starting_at(self.noted)
    }

    /// Whose turn it is to publish.
    pub fn next_publisher(&mut self) -> Option<u32> {
        self.turn = (self.turn + 1) % self.publishers.len().max(1);
        self.publishers.get(self.turn).copied()
    }

    /// A publication is about to be sent; returns its number.
    pub fn publish(&mut self, intended_ns: u64, sent_ns: u64) -> u32 {
        self.shared.add(intended_ns, sent_ns)
    }

    /// Enters what was published lately into the books.
    pub fn note(&mut self, books: &mut Books) {
        let count = self.shared.count();
        books.sent += u64::from(count.wrapping_sub(self.noted)) * self.receivers;
        self.noted = count;
    }

    /// A receiver got a publication. Its times, if they are still known and it counts.
    pub fn receive(
        &mut self,
        seen: &mut Sequence,
        number: u32,
        now_ns: u64,
        books: &mut Books,
    ) -> Option<(u64, u64)> {
        self.note(books);
        if number.wrapping_sub(self.noted).cast_signed() >= 0 {
            // Nobody has published it.
            books.errors.count(Failure::WrongEcho);
            return None;
        }
        match seen.take(number) {
            Arrival::New { lost } => {
                books.lose(Failure::Gap, u64::from(lost));
                books.errors.count_many(Failure::Gap, u64::from(lost));
            }
            // Two publishers have no order between them; one has.
            Arrival::Late if self.publishers_wanted > 1 => {}
            Arrival::Late => books.errors.count(Failure::OutOfOrder),
            Arrival::Duplicate => {
                books.errors.count(Failure::Duplicate);
                return None;
            }
            Arrival::TooOld => {
                books.errors.count(Failure::LateAnswer);
                return None;
            }
        }
        books.received += 1;
        let times = self.shared.times(number)?;
        if self.parts.len() < PARTS_MAX || self.parts.contains_key(&number) {
            let part = self.parts.entry(number).or_insert_with(Part::new);
            part.add(now_ns.saturating_sub(times.1));
        }
        Some(times)
    }

    /// The parts since the last call.
    pub fn take_parts(&mut self) -> BTreeMap<u32, Part> {
        std::mem::take(&mut self.parts)
    }
}

impl Part {
    const fn new() -> Self {
        Self {
            first_ns: u64::MAX,
            last_ns: 0,
            receivers: 0,
            buckets: [0; BUCKETS],
        }
    }

    fn add(&mut self, after_ns: u64) {
        self.first_ns = self.first_ns.min(after_ns);
        self.last_ns = self.last_ns.max(after_ns);
        self.receivers += 1;
        self.buckets[bucket_of(after_ns)] += 1;
    }

    fn merge(&mut self, other: &Self) {
        self.first_ns = self.first_ns.min(other.first_ns);
        self.last_ns = self.last_ns.max(other.last_ns);
        self.receivers += other.receivers;
        for (mine, theirs) in self.buckets.iter_mut().zip(&other.buckets) {
            *mine += theirs;
        }
    }

    /// The median receiver, within a sixteenth.
    fn median_ns(&self) -> u64 {
        let half = self.receivers.div_ceil(2);
        let mut seen = 0;
        let bucket = self.buckets.iter().position(|&count| {
            seen += u64::from(count);
            seen >= half
        });
        middle_of(bucket.unwrap_or_default()).clamp(self.first_ns.min(self.last_ns), self.last_ns)
    }
}

impl Skew {
    /// Nothing was published.
    #[must_use]
    pub fn new() -> Self {
        Self {
            open: BTreeMap::new(),
            publications: 0,
            receivers_max: 0,
            first: new_histogram(),
            median: new_histogram(),
            last: new_histogram(),
        }
    }

    /// Takes a thread's parts.
    pub fn add(&mut self, parts: BTreeMap<u32, Part>) {
        for (number, part) in parts {
            let sum = self.open.entry(number).or_insert_with(Part::new);
            sum.merge(&part);
        }
        while self.open.len() > PARTS_MAX {
            self.close_oldest();
        }
    }

    /// The end: in numbers, if anything was published.
    #[must_use]
    pub fn finish(mut self) -> Option<summary::Fanout> {
        while !self.open.is_empty() {
            self.close_oldest();
        }
        (self.publications > 0).then(|| summary::Fanout {
            publications: self.publications,
            receivers: self.receivers_max,
            first: quantiles_ms(&self.first),
            median: quantiles_ms(&self.median),
            last: quantiles_ms(&self.last),
        })
    }

    fn close_oldest(&mut self) {
        let Some((_, part)) = self.open.pop_first() else {
            return;
        };
        self.publications += 1;
        self.receivers_max = self.receivers_max.max(part.receivers);
        self.first.saturating_record(part.first_ns);
        self.median.saturating_record(part.median_ns());
        self.last.saturating_record(part.last_ns);
    }
}

impl Default for Skew {
    fn default() -> Self {
        Self::new()
    }
}

/// Eight buckets per doubling, from 1 us on (below that, fewer).
fn bucket_of(after_ns: u64) -> usize {
    let units = (after_ns / UNIT_NS).max(1);
    let octave = units.ilog2();
    // The three bits after the leading one.
    let eighth = (units << 3 >> octave) & 7;
    ((octave as usize) * 8 + eighth as usize).min(BUCKETS - 1)
}

const fn middle_of(bucket: usize) -> u64 {
    let (octave, eighth) = (bucket as u64 / 8, bucket as u64 % 8);
    // Sixteenths: the middle between one eighth and the next.
    ((16 + 2 * eighth + 1) << octave) * UNIT_NS / 16
}

const UNIT_NS: u64 = 100;
/// 30 octaves of 100 ns: 107 s, many times what an answer may take.
const BUCKETS: usize = 240;
/// Publications whose times are remembered: 1.5 MB, a minute at 1 000 a second.
const REMEMBERED: usize = 1 << 16;
/// Publications that are kept apart at a time, of one thread and of all: 4 MB.
const PARTS_MAX: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    fn fanout(publishers: u64) -> Fanout {
        Fanout::new(Arc::new(Publications::new()), publishers)
    }

    #[test]
    fn every_delivery_is_in_the_books_once() {
        let (mut fanout, mut books) = (fanout(1), Books::default());
        let mut seen: Vec<Sequence> = (0..3).map(|_| fanout.add_receiver(&mut books)).collect();
        for at_ns in [1000, 2000, 3000] {
            fanout.publish(at_ns, at_ns);
        }
        for receiver in &mut seen[..2] {
            assert_eq!(
                fanout.receive(receiver, 0, 5000, &mut books),
                Some((1000, 1000))
            );
            assert!(fanout.receive(receiver, 2, 6000, &mut books).is_some());
        }
        assert_eq!((books.sent, books.received, books.in_flight()), (9, 4, 5));
        assert_eq!(fanout.missing(seen[0]), 1);
        assert_eq!(fanout.missing(seen[2]), 3);
        assert!(
            fanout.receive(&mut seen[0], 1, 7000, &mut books).is_some(),
            "late, but here"
        );
        assert!(fanout.receive(&mut seen[0], 1, 7000, &mut books).is_none());
        assert!(
            fanout.receive(&mut seen[0], 3, 7000, &mut books).is_none(),
            "never published"
        );
        fanout.remove_receiver(seen[2], Failure::Reset, &mut books);
        let errors: Vec<_> = books.errors.by_class().into_iter().collect();
        let expected = [("duplicate", 1), ("out_of_order", 1), ("wrong_echo", 1)];
        assert_eq!(
            errors,
            expected.map(|(class, count)| (class.to_owned(), count))
        );
        assert_eq!(
            (
                books.sent,
                books.received,
                books.lost.total(),
                books.in_flight()
            ),
            (9, 5, 3, 1)
        );
        let late = fanout.add_receiver(&mut books);
        assert_eq!(fanout.missing(late), 0, "what was before is not expected");
    }

    #[test]
    fn what_leaves_the_window_is_lost() {
        let (mut fanout, mut books) = (fanout(1), Books::default());
        let mut seen = fanout.add_receiver(&mut books);
        for _ in 0..200 {
            fanout.publish(1, 1);
        }
        fanout.receive(&mut seen, 199, 2, &mut books);
        assert_eq!((books.received, books.lost.total()), (1, 200 - 64));
        assert_eq!(books.in_flight(), fanout.missing(seen));
    }

    #[test]
    fn the_median_receiver_is_the_median_of_all_threads() {
        let mut skew = Skew::new();
        let part = |latencies: &[u64]| {
            let mut part = Part::new();
            latencies.iter().for_each(|&us| part.add(us * 1000));
            BTreeMap::from([(7, part)])
        };
        skew.add(part(&[100, 200, 300]));
        skew.add(part(&[400, 500, 9000, 10_000]));
        let fanout = skew.finish().unwrap();
        assert_eq!((fanout.publications, fanout.receivers), (1, 7));
        let close = |ms: f64, expected: f64| (ms / expected - 1.0).abs() < 0.07;
        assert!(close(fanout.first.p50, 0.1), "{fanout:?}");
        assert!(close(fanout.median.p50, 0.4), "{fanout:?}");
        assert!(close(fanout.last.p50, 10.0), "{fanout:?}");
    }

    #[test]
    fn buckets_hold_their_middle() {
        for bucket in 24..BUCKETS - 1 {
            assert_eq!(bucket_of(middle_of(bucket)), bucket);
        }
        assert_eq!(bucket_of(u64::MAX), BUCKETS - 1);
        assert_eq!(bucket_of(0), 0);
    }
}
