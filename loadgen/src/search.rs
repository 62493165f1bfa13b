//! The search for the highest load that holds: which value to try next, and when to believe the answer.
//!
//! A single passed trial near the edge is luck as often as not. Far from the edge one trial is enough (it is
//! only used to aim); the two values around the edge are tried until a sequential test (Wald) says with 95 %
//! that they hold, or do not. Pure: trials are run by somebody else, with the sockets kept open between them.

use std::collections::BTreeMap;

/// A search in progress.
#[derive(Debug, Clone)]
pub struct Search {
    from: u64,
    to: u64,
    trials: BTreeMap<u64, Trials>,
}

/// What was seen at one value.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Trials {
    /// Trials in which every threshold held.
    pub passed: u32,
    /// Trials in all.
    pub count: u32,
    /// Median over the trials of what was measured (p99 in ms), for the curve.
    pub observed_ms: f64,
}

/// How sure a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Belief {
    Holds,
    Fails,
    LeansToHold,
    LeansToFail,
}

/// The end of a search.
#[derive(Debug, Clone, PartialEq)]
pub struct Knee {
    /// Highest value that holds, with 95 % confidence when `settled`.
    pub holds: Option<u64>,
    /// Lowest value that does not.
    pub fails: Option<u64>,
    /// Whether both are believed, or the bound on trials ended the search.
    pub settled: bool,
    /// Every value tried, rising: the knee curve.
    pub curve: Vec<(u64, Trials)>,
}

impl Search {
    /// A search between two values.
    #[must_use]
    pub const fn new(from: u64, to: u64) -> Self {
        Self {
            from,
            to,
            trials: BTreeMap::new(),
        }
    }

    /// The value to try next; `None` when the knee is found or the bound on trials is reached.
    #[must_use]
    pub fn next_value(&self) -> Option<u64> {
        let count: u32 = self.trials.values().map(|trials| trials.count).sum();
        if count >= TRIALS_MAX {
            return None;
        }
        match self.bracket() {
            (None, None) => Some(self.from),
            (Some(holds), None) if holds < self.to => Some((holds * 2).min(self.to)),
            (Some(holds), Some(fails))
                if fails as f64 / holds as f64 > RESOLUTION && fails - holds > 1 =>
            {
                // The geometric middle: a knee is as far from 10 000 as from 20 000 at 14 142.
                let middle = (holds as f64 * fails as f64).sqrt() as u64;
                Some(middle.clamp(holds + 1, fails - 1))
            }
            (holds, fails) => holds
                .into_iter()
                .chain(fails)
                .find(|value| !self.is_settled(*value)),
        }
    }

    /// Takes the outcome of a trial.
    pub fn record(&mut self, value: u64, passed: bool, observed_ms: f64) {
        let trials = self.trials.entry(value).or_default();
        trials.passed += u32::from(passed);
        trials.count += 1;
        // A running mean of a handful of trials: the curve is for the eye, the verdict is not made of it.
        trials.observed_ms += (observed_ms - trials.observed_ms) / f64::from(trials.count);
    }

    /// What is known now.
    #[must_use]
    pub fn knee(&self) -> Knee {
        let (holds, fails) = self.bracket();
        let settled = holds
            .into_iter()
            .chain(fails)
            .all(|value| self.is_settled(value))
            && !self.trials.is_empty();
        Knee {
            holds,
            fails,
            settled,
            curve: self
                .trials
                .iter()
                .map(|(&value, &trials)| (value, trials))
                .collect(),
        }
    }

    /// The highest value that seems to hold below the lowest that seems not to.
    fn bracket(&self) -> (Option<u64>, Option<u64>) {
        let holding =
            |trials: &Trials| matches!(trials.belief(), Belief::Holds | Belief::LeansToHold);
        let fails = self
            .trials
            .iter()
            .find(|(_, trials)| !holding(trials))
            .map(|(&value, _)| value);
        let below = self.trials.range(..fails.unwrap_or(u64::MAX));
        (
            below
                .filter(|(_, trials)| holding(trials))
                .map(|(&value, _)| value)
                .next_back(),
            fails,
        )
    }

    fn is_settled(&self, value: u64) -> bool {
        self.trials
            .get(&value)
            .is_some_and(|trials| matches!(trials.belief(), Belief::Holds | Belief::Fails))
    }
}

impl Trials {
    /// Wald's test between "holds nine times of ten" and "holds four times of ten".
    fn belief(&self) -> Belief {
        let (passed, failed) = (f64::from(self.passed), f64::from(self.count - self.passed));
        let evidence = passed * (0.9f64 / 0.4).ln() + failed * (0.1f64 / 0.6).ln();
        match evidence {
            e if e >= EVIDENCE => Belief::Holds,
            e if e <= -EVIDENCE => Belief::Fails,
            e if e > 0.0 => Belief::LeansToHold,
            _ => Belief::LeansToFail,
        }
    }
}

/// The edge is known to 5 %: finer is noise on any machine that does something else as well.
const RESOLUTION: f64 = 1.05;
/// ln(0.95 / 0.05).
const EVIDENCE: f64 = 2.944;
/// With 10 s each about ten minutes.
const TRIALS_MAX: u32 = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    /// A server whose chance to hold falls smoothly around its edge.
    fn search(edge: f64, softness: f64, seed: u64) -> Knee {
        let (mut search, mut random) = (Search::new(1000, 1_000_000), Random::new(seed));
        while let Some(value) = search.next_value() {
            let chance = 1.0 / (1.0 + ((value as f64 / edge).ln() / softness).exp());
            search.record(value, random.unit() < chance, value as f64 / 1000.0);
        }
        search.knee()
    }

    #[test]
    fn a_sharp_edge_is_found_to_five_percent() {
        for edge in [1500.0, 54_321.0, 300_000.0, 990_000.0] {
            let knee = search(edge, 1e-6, 1);
            let (holds, fails) = (knee.holds.unwrap() as f64, knee.fails.unwrap() as f64);
            assert!(
                knee.settled && holds <= edge && fails >= edge && fails / holds <= 1.06,
                "{edge}: {knee:?}"
            );
        }
    }

    #[test]
    fn a_soft_edge_is_found_most_of_the_time() {
        let good = (0..100).filter(|&seed| {
            let knee = search(50_000.0, 0.03, seed);
            knee.holds
                .is_some_and(|holds| (40_000..=56_000).contains(&holds))
        });
        assert!(good.count() >= 90);
    }

    #[test]
    fn everything_holds_or_nothing_does() {
        let all = search(1e12, 1e-6, 1);
        assert_eq!(
            (all.holds, all.fails, all.settled),
            (Some(1_000_000), None, true)
        );
        let none = search(1.0, 1e-6, 1);
        assert_eq!(
            (none.holds, none.fails, none.settled),
            (None, Some(1000), true)
        );
        assert!(!Search::new(1, 2).knee().settled, "nothing was tried");
    }

    #[test]
    fn a_server_of_moods_ends_the_search_all_the_same() {
        for seed in 0..20 {
            let (mut search, mut random) = (Search::new(1, 1 << 40), Random::new(seed));
            let mut trials = 0;
            while let Some(value) = search.next_value() {
                search.record(value, random.unit() < 0.6, 1.0);
                trials += 1;
                assert!(trials <= TRIALS_MAX && value >= 1);
            }
            assert!(search.knee().curve.is_sorted_by_key(|(value, _)| *value));
        }
    }
}
