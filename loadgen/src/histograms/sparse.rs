//! One interval as it is read back: the buckets that occur, instead of all 23 000.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;

/// One interval of one series, by the buckets that occur: a few hundred numbers.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SparseInterval {
    /// Seconds since the start of the run.
    pub start_s: f64,
    /// Length.
    pub length_s: f64,
    /// (value in nanoseconds, count), rising.
    pub counts: Vec<(u64, u64)>,
}

impl SparseInterval {
    /// Keeps what a histogram holds.
    #[must_use]
    pub fn new(start_s: f64, length_s: f64, histogram: &Histogram<u64>) -> Self {
        // The middle of a bucket falls into the same bucket when it is recorded again.
        let counts = histogram.iter_recorded().map(|step| {
            (
                histogram.median_equivalent(step.value_iterated_to()),
                step.count_at_value(),
            )
        });
        Self {
            start_s,
            length_s,
            counts: counts.collect(),
        }
    }

    /// When it ended, in seconds since the start of the run.
    #[must_use]
    pub fn end_s(&self) -> f64 {
        self.start_s + self.length_s
    }

    /// Adds the counts of another.
    pub fn add(&mut self, other: &Self) {
        if self.counts.is_empty() {
            self.counts.clone_from(&other.counts);
            return;
        }
        let mut sum: BTreeMap<u64, u64> = self.counts.iter().copied().collect();
        for &(nanos, count) in &other.counts {
            *sum.entry(nanos).or_default() += count;
        }
        self.counts = sum.into_iter().collect();
    }

    /// Takes in a later one: from the start of this to the end of that.
    pub fn join(&mut self, later: &Self) {
        self.add(later);
        self.length_s = later.end_s() - self.start_s;
    }

    /// Adds it to a histogram.
    pub fn add_to(&self, histogram: &mut Histogram<u64>) {
        self.counts
            .iter()
            .for_each(|&(nanos, count)| histogram.saturating_record_n(nanos, count));
    }

    /// Samples in it.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().map(|&(_, count)| count).sum()
    }

    /// One quantile in milliseconds; `None` when it is empty.
    #[must_use]
    pub fn quantile_ms(&self, quantile: f64) -> Option<f64> {
        let rank = ((self.count() as f64 * quantile).ceil() as u64).max(1);
        let mut seen = 0;
        let found = self.counts.iter().find(|&&(_, count)| {
            seen += count;
            seen >= rank
        });
        found.map(|&(nanos, _)| nanos as f64 / 1e6)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::histograms::{new_histogram, quantile_ms};

    #[test]
    fn a_sparse_interval_loses_nothing() {
        let mut histogram = new_histogram();
        for n in 0..5000u64 {
            histogram.record(1 + n * n * 977).unwrap();
        }
        let sparse = SparseInterval::new(0.0, 1.0, &histogram);
        let mut again = new_histogram();
        sparse.add_to(&mut again);
        assert_eq!(sparse.count(), 5000);
        assert!(histogram.iter_recorded().eq(again.iter_recorded()));
        for quantile in [0.0, 0.5, 0.99, 1.0] {
            let expected = quantile_ms(&histogram, quantile).unwrap();
            assert!(
                (sparse.quantile_ms(quantile).unwrap() - expected).abs() <= expected * 0.001,
                "{quantile}"
            );
        }
        assert_eq!(SparseInterval::default().quantile_ms(0.5), None);
    }

    #[test]
    fn joined_intervals_reach_from_the_first_to_the_last() {
        let interval = |start_s, length_s, counts: &[(u64, u64)]| SparseInterval {
            start_s,
            length_s,
            counts: counts.to_vec(),
        };
        let mut joined = interval(1.0, 0.25, &[]);
        joined.join(&interval(1.25, 0.25, &[(5, 1), (9, 2)]));
        joined.join(&interval(1.5, 1.0, &[(2, 4), (9, 1)]));
        assert_eq!(joined, interval(1.0, 1.5, &[(2, 4), (5, 1), (9, 3)]));
    }
}
