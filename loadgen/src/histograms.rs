//! Latency as HdrHistograms: recorded per thread, merged per interval, never averaged.
//!
//! Values are nanoseconds between 1 us and 1 h with three digits; a value outside is clipped to the bound.
//! Nanoseconds, because the Java tools divide by 1e6 unless told otherwise and then print milliseconds.
//! One set of three series (response, service, lateness) costs about 560 KB per tag and thread, which is
//! why tags are cohorts and not connections.

use hdrhistogram::Histogram;

use crate::summary::Quantiles;

pub mod hlog;
mod sparse;

pub use sparse::SparseInterval;

/// What a latency is measured from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Series {
    /// From the moment the schedule meant to send: what a user waits.
    Response,
    /// From the moment it was sent: what the server took.
    Service,
    /// Between the two: the generator's own fault.
    Lateness,
}

/// The latencies of one interval (or of a whole run), by tag.
#[derive(Debug, Clone)]
pub struct Interval {
    tags: Vec<[Histogram<u64>; 3]>,
    /// TLS handshakes: full, resumed.
    secured: [Histogram<u64>; 2],
    /// By tag: answers to messages that were sent late.
    late_answers: Vec<u64>,
}

/// A thread's recorder: a short list of what was measured, and histograms once the list is full.
///
/// Histograms of one tag are 560 KB, and a run of a million connections has dozens of threads, most of which
/// measure a few hundred heartbeats a second: for those, the list is all there ever is.
#[derive(Debug)]
pub struct Recorder {
    tag_count: usize,
    current: Recorded,
}

/// What a thread recorded since it was asked last.
#[derive(Debug, Default)]
pub struct Recorded {
    /// `key << NANOS_BITS | nanoseconds`; for keys see [`Interval::record_as`].
    list: Vec<u64>,
    /// What did not fit into the list.
    histograms: Option<Box<Interval>>,
    /// By tag, once there are any: see [`Interval::late_answers`].
    late_answers: Vec<u64>,
}

impl Series {
    /// All of them, in the order they are stored.
    pub const ALL: [Self; 3] = [Self::Response, Self::Service, Self::Lateness];

    /// Name in file names, keys and legends.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Response => "response",
            Self::Service => "service",
            Self::Lateness => "lateness",
        }
    }
}

impl Interval {
    /// An empty interval for this many tags.
    #[must_use]
    pub fn new(tag_count: usize) -> Self {
        let tags = (0..tag_count)
            .map(|_| [new_histogram(), new_histogram(), new_histogram()])
            .collect();
        Self {
            tags,
            secured: [new_histogram(), new_histogram()],
            late_answers: vec![0; tag_count],
        }
    }

    /// From the TCP connection to the end of the TLS handshake, full or resumed.
    #[must_use]
    pub fn secured(&self, is_resumed: bool) -> &Histogram<u64> {
        &self.secured[usize::from(is_resumed)]
    }

    /// Answers to messages that had been sent [`LATE_NS`] late or more. They may come an interval after the
    /// lateness was recorded, and belong to the generator all the same.
    #[must_use]
    pub fn late_answers(&self, tag: usize) -> u64 {
        self.late_answers[tag]
    }

    /// One histogram.
    #[must_use]
    pub fn histogram(&self, tag: usize, series: Series) -> &Histogram<u64> {
        &self.tags[tag][series as usize]
    }

    /// Counts one latency.
    pub fn record(&mut self, tag: usize, series: Series, nanos: u64) {
        self.tags[tag][series as usize].saturating_record(nanos);
    }

    /// Counts by key: the series of all tags, then the two kinds of handshakes.
    fn record_as(&mut self, key: usize, nanos: u64) {
        let series = Series::ALL.len();
        let histogram = match self.tags.get_mut(key / series) {
            Some(tag) => &mut tag[key % series],
            None => &mut self.secured[key % series],
        };
        histogram.saturating_record(nanos);
    }

    /// Adds another interval with the same tags: exact, histograms have no rounding of their own.
    pub fn add(&mut self, other: &Self) {
        for (mine, theirs) in self.late_answers.iter_mut().zip(&other.late_answers) {
            *mine += theirs;
        }
        let mine = self.tags.iter_mut().flatten().chain(&mut self.secured);
        let theirs = other.tags.iter().flatten().chain(&other.secured);
        for (mine, theirs) in mine.zip(theirs) {
            mine.add(theirs)
                .expect("every histogram here has the same bounds");
        }
    }

    /// Empties it for reuse, without giving memory back.
    pub fn clear(&mut self) {
        let all = self.tags.iter_mut().flatten().chain(&mut self.secured);
        all.for_each(Histogram::reset);
        self.late_answers.fill(0);
    }

    /// How many tags.
    #[must_use]
    pub fn tag_count(&self) -> usize {
        self.tags.len()
    }
}

impl Recorder {
    /// A recorder for this many tags.
    #[must_use]
    pub fn new(tag_count: usize) -> Self {
        Self {
            tag_count,
            current: Recorded::default(),
        }
    }

    /// Counts an answer: both latencies at once, so that the two series always have the same count.
    pub fn answered(&mut self, tag: usize, intended_ns: u64, sent_ns: u64, received_ns: u64) {
        let response_ns = received_ns.saturating_sub(intended_ns);
        self.record(tag, Series::Response, response_ns);
        let service_ns = received_ns.saturating_sub(sent_ns);
        self.record(tag, Series::Service, service_ns);
        if sent_ns.saturating_sub(intended_ns) >= LATE_NS {
            let late_answers = &mut self.current.late_answers;
            late_answers.resize(self.tag_count, 0);
            late_answers[tag] += 1;
        }
    }

    /// Counts how late a message was sent.
    pub fn sent(&mut self, tag: usize, intended_ns: u64, sent_ns: u64) {
        let late_ns = sent_ns.saturating_sub(intended_ns);
        self.record(tag, Series::Lateness, late_ns);
    }

    /// Counts a TLS handshake.
    pub fn secured(&mut self, is_resumed: bool, nanos: u64) {
        self.record_as(
            self.tag_count * Series::ALL.len() + usize::from(is_resumed),
            nanos,
        );
    }

    /// Hands out what was recorded since the last call.
    #[must_use]
    pub fn take(&mut self) -> Recorded {
        std::mem::take(&mut self.current)
    }

    fn record(&mut self, tag: usize, series: Series, nanos: u64) {
        self.record_as(tag * Series::ALL.len() + series as usize, nanos);
    }

    fn record_as(&mut self, key: usize, nanos: u64) {
        let Recorded {
            list, histograms, ..
        } = &mut self.current;
        if list.len() < LIST_MAX {
            list.push((key as u64) << NANOS_BITS | nanos.min(NANOS_MAX));
        } else {
            let tags = self.tag_count;
            let histograms = histograms.get_or_insert_with(|| Box::new(Interval::new(tags)));
            histograms.record_as(key, nanos);
        }
    }
}

impl Recorded {
    /// Adds it to an interval with the same tags.
    pub fn add_to(&self, interval: &mut Interval) {
        for entry in &self.list {
            interval.record_as((entry >> NANOS_BITS) as usize, entry & NANOS_MAX);
        }
        if let Some(histograms) = &self.histograms {
            interval.add(histograms);
        }
        for (mine, late) in interval.late_answers.iter_mut().zip(&self.late_answers) {
            *mine += late;
        }
    }
}

/// A message sent this late says more about the generator than about the server. Below it, the two latencies
/// side by side are enough.
pub const LATE_NS: u64 = 10_000_000;

/// An empty histogram with the bounds that all of them share.
#[must_use]
pub fn new_histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(LOWEST_NS, HIGHEST_NS, SIGNIFICANT_DIGITS)
        .expect("the bounds are constants that fit")
}

/// The quantiles of a histogram in milliseconds.
#[must_use]
pub fn quantiles_ms(histogram: &Histogram<u64>) -> Quantiles {
    let at = |quantile: f64| quantile_ms(histogram, quantile).unwrap_or_default();
    Quantiles {
        count: histogram.len(),
        mean: if histogram.is_empty() {
            0.0
        } else {
            histogram.mean() / 1e6
        },
        p50: at(0.50),
        p90: at(0.90),
        p99: at(0.99),
        p999: at(0.999),
        max: at(1.0),
    }
}

/// One quantile in milliseconds; `None` for an empty histogram.
#[must_use]
pub fn quantile_ms(histogram: &Histogram<u64>, quantile: f64) -> Option<f64> {
    // The middle of the bucket: half its width (0.05 %) is the error either way.
    let middle = |nanos: u64| histogram.median_equivalent(nanos).min(histogram.max());
    (!histogram.is_empty()).then(|| middle(histogram.value_at_quantile(quantile)) as f64 / 1e6)
}

const LOWEST_NS: u64 = 1_000;
const HIGHEST_NS: u64 = 3_600_000_000_000;
const SIGNIFICANT_DIGITS: u8 = 3;

/// 64 KB: what a thread of an ordinary run measures in a tenth of a second, and of an idle one in ten.
const LIST_MAX: usize = 8192;
/// 52 days; the bits above name one of 4096 series.
const NANOS_BITS: u32 = 52;
const NANOS_MAX: u64 = (1 << NANOS_BITS) - 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn response_counts_from_the_intention_and_service_from_the_sending() {
        let mut recorder = Recorder::new(2);
        recorder.sent(1, 1_000_000, 4_000_000);
        recorder.answered(1, 1_000_000, 4_000_000, 24_000_000);
        let mut interval = Interval::new(2);
        recorder.take().add_to(&mut interval);
        for (series, expected_ms) in [
            (Series::Response, 23.0),
            (Series::Service, 20.0),
            (Series::Lateness, 3.0),
        ] {
            let ms = quantile_ms(interval.histogram(1, series), 0.5).unwrap();
            assert!(
                (ms - expected_ms).abs() < expected_ms * 0.001,
                "{series:?} {ms}"
            );
            assert!(interval.histogram(0, series).is_empty());
        }
        interval.clear();
        recorder.take().add_to(&mut interval);
        assert!(interval.histogram(1, Series::Service).is_empty());
    }

    #[test]
    fn what_is_out_of_bounds_is_clipped_and_counted() {
        let mut interval = Interval::new(1);
        for nanos in [0, 1, u64::MAX] {
            interval.record(0, Series::Response, nanos);
        }
        assert_eq!(interval.histogram(0, Series::Response).len(), 3);
        let max = quantile_ms(interval.histogram(0, Series::Response), 1.0).unwrap();
        assert!((max / 3_600_000.0 - 1.0).abs() < 0.3, "{max}");
    }

    #[test]
    fn a_recorder_loses_nothing_beyond_its_list() {
        let (mut recorder, mut plain) = (Recorder::new(2), Interval::new(2));
        let count = LIST_MAX as u64;
        for n in 0..count {
            let tag = (n % 2) as usize;
            let (intended_ns, sent_ns, received_ns) = (n, n + 50_000, n * 3001 + 60_000);
            recorder.sent(tag, intended_ns, sent_ns);
            recorder.answered(tag, intended_ns, sent_ns, received_ns);
            plain.record(tag, Series::Lateness, 50_000);
            plain.record(tag, Series::Response, received_ns - intended_ns);
            plain.record(tag, Series::Service, received_ns - sent_ns);
        }
        let mut sum = Interval::new(2);
        recorder.take().add_to(&mut sum);
        recorder.take().add_to(&mut sum);
        for tag in 0..2 {
            for series in Series::ALL {
                assert_eq!(sum.histogram(tag, series), plain.histogram(tag, series));
                assert_eq!(sum.histogram(tag, series).len(), count / 2);
            }
        }
    }

    #[test]
    fn merging_is_exact() {
        let (mut whole, mut sum) = (Interval::new(1), Interval::new(1));
        for part in 0..4u64 {
            let mut piece = Interval::new(1);
            for n in 0..500 {
                let nanos = (n * 7919 + part * 104_729) * 1000;
                piece.record(0, Series::Service, nanos);
                whole.record(0, Series::Service, nanos);
            }
            sum.add(&piece);
        }
        assert_eq!(
            sum.histogram(0, Series::Service),
            whole.histogram(0, Series::Service)
        );
        sum.clear();
        assert!(sum.histogram(0, Series::Service).is_empty());
    }

    #[test]
    fn an_empty_histogram_has_no_quantile() {
        assert_eq!(quantile_ms(&new_histogram(), 0.99), None);
        assert_eq!(quantiles_ms(&new_histogram()), Quantiles::default());
    }
}
