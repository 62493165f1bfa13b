//! Is the difference of two quantiles real? Answered by resampling, not by looking at two numbers.
//!
//! Latencies of one second resemble each other (one pause delays thousands of messages), so single samples
//! must not be drawn as if they were independent: whole seconds are drawn, with replacement. Reports that
//! came more often are joined to seconds first: the quarters of a second are no four witnesses. A longer
//! piece weighs more because it brings more samples, and is drawn no more often. Runs with too few seconds
//! fall back to single counts, and the result says so.

use std::collections::BTreeSet;

use crate::histograms::SparseInterval;
use crate::joining::{SECOND_S, join_until};
use crate::random::Random;

/// A run in the form that resampling needs: the buckets that occur, and each interval's counts in them.
#[derive(Debug, Clone)]
pub struct Sampled {
    /// Values in milliseconds, rising.
    values_ms: Vec<f64>,
    /// Per interval: (index into the values, count).
    intervals: Vec<Vec<(u32, u64)>>,
}

/// How the resampling was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Whole intervals were drawn.
    Intervals,
    /// Single counts were drawn; the interval is too narrow if the samples hang together.
    Counts,
}

/// The difference of one quantile between two runs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Difference {
    /// The quantile, 0 to 1.
    pub quantile: f64,
    /// In the first run.
    pub a_ms: f64,
    /// In the second.
    pub b_ms: f64,
    /// Second minus first.
    pub delta_ms: f64,
    /// Lower end of the 99 % interval of the difference.
    pub low_ms: f64,
    /// Upper end.
    pub high_ms: f64,
    /// How it was found.
    pub method: Method,
    /// Whether both runs have enough samples beyond the quantile to speak about it at all.
    pub supported: bool,
}

impl Sampled {
    /// Takes the intervals of a run, of any length.
    #[must_use]
    pub fn new(intervals: &[SparseInterval]) -> Self {
        let intervals = join_until(
            intervals.iter().cloned(),
            |interval| interval.length_s >= SECOND_S,
            SparseInterval::join,
        );
        let values: BTreeSet<u64> = intervals
            .iter()
            .flat_map(|i| &i.counts)
            .map(|&(value, _)| value)
            .collect();
        let values: Vec<u64> = values.into_iter().collect();
        let index = |value: u64| values.partition_point(|&other| other < value) as u32;
        let indexed = |interval: &SparseInterval| -> Vec<(u32, u64)> {
            interval
                .counts
                .iter()
                .map(|&(value, count)| (index(value), count))
                .collect()
        };
        let intervals = intervals
            .iter()
            .map(indexed)
            .filter(|counts| !counts.is_empty())
            .collect();
        Self {
            values_ms: values.iter().map(|&nanos| nanos as f64 / 1e6).collect(),
            intervals,
        }
    }

    /// Samples in all.
    #[must_use]
    pub fn sample_count(&self) -> u64 {
        self.intervals
            .iter()
            .flatten()
            .map(|&(_, count)| count)
            .sum()
    }

    /// The quantile of the run as it was.
    #[must_use]
    pub fn quantile_ms(&self, quantile: f64) -> f64 {
        let mut counts = vec![0; self.values_ms.len()];
        self.intervals
            .iter()
            .flatten()
            .for_each(|&(at, count)| counts[at as usize] += count);
        self.quantile_of(&counts, quantile)
    }

    const fn can_draw_intervals(&self) -> bool {
        self.intervals.len() >= INTERVALS_MIN
    }

    /// One resample of the whole run, as counts per value.
    fn resample(&self, by_interval: bool, random: &mut Random, counts: &mut Vec<u64>) {
        counts.clear();
        counts.resize(self.values_ms.len(), 0);
        if by_interval {
            for _ in 0..self.intervals.len() {
                let drawn = &self.intervals[random.below(self.intervals.len() as u64) as usize];
                drawn
                    .iter()
                    .for_each(|&(at, count)| counts[at as usize] += count);
            }
        } else {
            for &(at, count) in self.intervals.iter().flatten() {
                counts[at as usize] += random.poisson(count as f64);
            }
        }
    }

    fn quantile_of(&self, counts: &[u64], quantile: f64) -> f64 {
        let total: u64 = counts.iter().sum();
        let rank = ((total as f64 * quantile).ceil() as u64).max(1);
        let mut seen = 0;
        let at = counts.iter().position(|&count| {
            seen += count;
            seen >= rank
        });
        at.or_else(|| counts.len().checked_sub(1))
            .map_or(0.0, |at| self.values_ms[at])
    }
}

/// Compares quantiles of two runs; the seed makes the answer repeatable.
#[must_use]
pub fn differences(a: &Sampled, b: &Sampled, quantiles: &[f64], seed: u64) -> Vec<Difference> {
    let by_interval = a.can_draw_intervals() && b.can_draw_intervals();
    let mut random = Random::new(seed);
    let mut deltas = vec![Vec::with_capacity(ROUNDS); quantiles.len()];
    let (mut counts_a, mut counts_b) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        a.resample(by_interval, &mut random, &mut counts_a);
        b.resample(by_interval, &mut random, &mut counts_b);
        for (slot, &quantile) in deltas.iter_mut().zip(quantiles) {
            slot.push(b.quantile_of(&counts_b, quantile) - a.quantile_of(&counts_a, quantile));
        }
    }
    let method = if by_interval {
        Method::Intervals
    } else {
        Method::Counts
    };
    let of = |(&quantile, mut deltas): (&f64, Vec<f64>)| {
        deltas.sort_by(f64::total_cmp);
        let (a_ms, b_ms) = (a.quantile_ms(quantile), b.quantile_ms(quantile));
        let beyond = a.sample_count().min(b.sample_count()) as f64 * (1.0 - quantile);
        Difference {
            quantile,
            a_ms,
            b_ms,
            delta_ms: b_ms - a_ms,
            low_ms: deltas[ROUNDS / 200],
            high_ms: deltas[ROUNDS - 1 - ROUNDS / 200],
            method,
            supported: beyond >= BEYOND_MIN,
        }
    };
    quantiles.iter().zip(deltas).map(of).collect()
}

/// What can be said about a difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finding {
    /// There is one.
    Different,
    /// There is none worth a word.
    Same,
    /// Too few samples, or an interval so wide that it would hide one.
    Undecided,
}

impl Difference {
    /// What can be said.
    #[must_use]
    pub fn finding(&self) -> Finding {
        // An interval wider than half the quantile itself hides a difference of that size.
        let hidden_ms = (self.high_ms - self.low_ms) / 2.0;
        if self.is_real() {
            Finding::Different
        } else if !self.supported || hidden_ms > FLOOR_MS.max(self.a_ms.min(self.b_ms) / 2.0) {
            Finding::Undecided
        } else {
            Finding::Same
        }
    }

    /// Whether the difference is there *and* worth a word: the interval leaves out zero, and what it
    /// leaves is more than both the resolution of the histograms and what two runs of the same thing
    /// differ by on a machine that does anything else.
    #[must_use]
    pub fn is_real(&self) -> bool {
        let excludes_zero = self.low_ms > 0.0 || self.high_ms < 0.0;
        let floor_ms = FLOOR_MS.max(FLOOR_SHARE * self.a_ms.min(self.b_ms));
        self.supported && excludes_zero && self.delta_ms.abs() > floor_ms
    }
}

/// 1000 resamples put five beyond each end of a 99 % interval; four quantiles are compared, so 95 % each
/// would call one of five equal pairs different.
const ROUNDS: usize = 1000;
/// Fewer seconds than this repeat themselves too often in a resample.
const INTERVALS_MIN: usize = 8;
/// A quantile with fewer samples beyond it is an anecdote.
const BEYOND_MIN: f64 = 50.0;
const FLOOR_MS: f64 = 0.1;
const FLOOR_SHARE: f64 = 0.05;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::histograms::new_histogram;

    /// Seconds of latencies around 2 ms, with a pause of 30 ms in every tenth.
    fn run(seconds: u64, added_ms: f64, seed: u64) -> Vec<SparseInterval> {
        let mut random = Random::new(seed);
        let second = |second: u64, random: &mut Random| {
            let mut histogram = new_histogram();
            let share_paused = if second % 10 == 3 { 0.05 } else { 0.0 };
            for _ in 0..2000 {
                let pause_ms = if random.unit() < share_paused {
                    30.0
                } else {
                    0.0
                };
                let ms = 1.5 + random.exponential(0.5) + pause_ms + added_ms;
                histogram.record((ms * 1e6) as u64).unwrap();
            }
            SparseInterval::new(second as f64, 1.0, &histogram)
        };
        (0..seconds).map(|n| second(n, &mut random)).collect()
    }

    fn compare(a: &[SparseInterval], b: &[SparseInterval]) -> Vec<Difference> {
        differences(
            &Sampled::new(a),
            &Sampled::new(b),
            &[0.5, 0.9, 0.99, 0.999],
            1,
        )
    }

    #[test]
    fn equal_runs_do_not_differ() {
        for seed in 0..10 {
            let found = compare(&run(30, 0.0, seed), &run(30, 0.0, seed + 100));
            assert_eq!(found[0].finding(), Finding::Same, "seed {seed}: {found:?}");
            assert!(
                found.iter().all(|difference| !difference.is_real()),
                "seed {seed}: {found:?}"
            );
        }
    }

    #[test]
    fn two_milliseconds_are_found_with_their_size() {
        let found = compare(&run(30, 0.0, 1), &run(30, 2.0, 2));
        for difference in &found[..3] {
            assert!(
                difference.is_real() || difference.quantile > 0.95,
                "{difference:?}"
            );
            assert!(
                difference.low_ms <= 2.0 + 0.1 && difference.high_ms >= 2.0 - 0.1,
                "{difference:?}"
            );
        }
        assert!((found[0].delta_ms - 2.0).abs() < 0.05);
        assert_eq!(found[0].method, Method::Intervals);
    }

    /// A run as the engine reports it: quarters of a second, then seconds, then a short rest.
    fn cut(seconds: &[SparseInterval]) -> Vec<SparseInterval> {
        let part = |second: &SparseInterval, part: usize, parts: usize| SparseInterval {
            start_s: second.start_s + part as f64 / parts as f64,
            length_s: 1.0 / parts as f64,
            counts: second
                .counts
                .iter()
                .copied()
                .skip(part)
                .step_by(parts)
                .collect(),
        };
        let parts = |second: &SparseInterval| if second.start_s < 12.0 { 4 } else { 1 };
        let all = seconds.iter().flat_map(|second| {
            let parts = parts(second);
            (0..parts).map(move |at| part(second, at, parts))
        });
        all.collect()
    }

    /// How often the engine reported is no evidence.
    #[test]
    fn quarters_of_a_second_are_no_witnesses_of_their_own() {
        let (a, b) = (run(30, 0.0, 1), run(30, 0.2, 2));
        assert!(cut(&a).len() > 60);
        assert_eq!(compare(&cut(&a), &cut(&b)), compare(&a, &b));
        // Three seconds remain three seconds.
        let found = compare(&cut(&run(3, 0.0, 1)), &cut(&run(3, 2.0, 2)));
        assert_eq!(found[0].method, Method::Counts);
    }

    /// The rest of a run, with a handful of samples, is no second of its own either.
    #[test]
    fn a_short_rest_joins_the_second_before() {
        let mut seconds = run(9, 0.0, 1);
        let whole = Sampled::new(&seconds);
        seconds.push(SparseInterval {
            start_s: 9.0,
            length_s: 0.2,
            counts: vec![(900_000_000, 3)],
        });
        let sampled = Sampled::new(&seconds);
        assert_eq!(sampled.intervals.len(), whole.intervals.len());
        assert_eq!(sampled.sample_count(), whole.sample_count() + 3);
    }

    #[test]
    fn the_seed_is_the_answer() {
        let (a, b) = (run(10, 0.0, 1), run(10, 0.2, 2));
        assert_eq!(compare(&a, &b), compare(&a, &b));
    }

    #[test]
    fn short_runs_say_that_they_are_short() {
        let found = compare(&run(3, 0.0, 1), &run(3, 2.0, 2));
        assert_eq!(found[0].method, Method::Counts);
        assert!(found[0].is_real());
        assert!(
            !found[3].supported,
            "6 samples beyond p99.9 are an anecdote"
        );
        assert_eq!(
            (found[0].finding(), found[3].finding()),
            (Finding::Different, Finding::Undecided)
        );
    }

    #[test]
    fn the_quantile_is_the_histograms() {
        let intervals = run(10, 0.0, 4);
        let mut whole = new_histogram();
        intervals
            .iter()
            .for_each(|interval| interval.add_to(&mut whole));
        let sampled = Sampled::new(&intervals);
        for quantile in [0.01, 0.5, 0.99, 0.999, 1.0] {
            let expected = whole.value_at_quantile(quantile) as f64 / 1e6;
            assert!(
                (sampled.quantile_ms(quantile) - expected).abs() <= expected * 0.002,
                "{quantile}"
            );
        }
        assert_eq!(Sampled::new(&[]).quantile_ms(0.5), 0.0);
        assert!(
            differences(&Sampled::new(&[]), &sampled, &[0.5], 1)[0]
                .high_ms
                .is_finite()
        );
    }
}
