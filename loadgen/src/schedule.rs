//! When to connect and when to send: pure arithmetic on nanoseconds, the clock is an argument.
//!
//! An open loop sends at the times it *meant* to, however late it is called: a server that stalls is then
//! asked as often as before, and the wait shows in the response time instead of vanishing (coordinated
//! omission). Intended times are computed from the count and never accumulated: a day of additions of
//! 1/30000 s would drift.

use crate::random::Random;

/// Paces connects: so many per second, with a small burst.
#[derive(Debug, Clone)]
pub struct TokenBucket {
    rate_per_s: f64,
    burst: f64,
    tokens: f64,
    filled_ns: u64,
}

impl TokenBucket {
    /// An empty bucket: a ramp that begins with its burst would begin with a lie.
    #[must_use]
    pub const fn new(rate_per_s: f64, burst: f64, now_ns: u64) -> Self {
        Self {
            rate_per_s,
            burst: if burst < 1.0 { 1.0 } else { burst },
            tokens: 0.0,
            filled_ns: now_ns,
        }
    }

    /// How many of `wanted` may begin now.
    pub fn take(&mut self, now_ns: u64, wanted: u64) -> u64 {
        let elapsed_s = now_ns.saturating_sub(self.filled_ns) as f64 / 1e9;
        self.filled_ns = self.filled_ns.max(now_ns);
        self.tokens = (self.tokens + elapsed_s * self.rate_per_s).min(self.burst);
        // A hair below a whole token is rounding, not a token too early.
        let taken = ((self.tokens + 1e-6).floor() as u64).min(wanted);
        self.tokens = (self.tokens - taken as f64).max(0.0);
        taken
    }

    /// Gives tokens back that could not be used (the bound on handshakes was reached).
    pub fn give_back(&mut self, count: u64) {
        self.tokens = (self.tokens + count as f64).min(self.burst);
    }

    /// When the next token is there; `None` for a rate of 0.
    #[must_use]
    pub fn next_ns(&self) -> Option<u64> {
        let missing = (1.0 - self.tokens).max(0.0);
        (self.rate_per_s > 0.0)
            .then(|| self.filled_ns + (missing / self.rate_per_s * 1e9).ceil() as u64)
    }
}

/// How sends are spread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrivals {
    /// Evenly: the same gap each time.
    Even,
    /// As many independent users would: exponential gaps.
    Poisson,
}

/// An open-loop schedule: an endless list of intended send times, taken as they fall due.
#[derive(Debug, Clone)]
pub struct OpenLoop {
    arrivals: Arrivals,
    random: Random,
    /// Where the count begins: the start, or the last change of the rate.
    origin_ns: u64,
    gap_ns: f64,
    count: u64,
    next_ns: u64,
}

impl OpenLoop {
    /// A schedule of this rate. Thread `index` of `threads` is shifted by its part of a gap, so that all
    /// together are as even as one.
    #[must_use]
    pub fn new(
        arrivals: Arrivals,
        rate_per_s: f64,
        start_ns: u64,
        thread: (u32, u32),
        seed: u64,
    ) -> Self {
        let (index, threads) = (f64::from(thread.0), f64::from(thread.1.max(1)));
        let mut schedule = Self {
            arrivals,
            random: Random::new(seed ^ u64::from(thread.0).wrapping_mul(0x51_7c_c1_b7)),
            origin_ns: start_ns,
            gap_ns: gap_of(rate_per_s),
            count: 0,
            next_ns: start_ns,
        };
        if schedule.gap_ns.is_finite() {
            schedule.origin_ns += (schedule.gap_ns * index / threads) as u64;
        }
        schedule.next_ns = schedule.origin_ns;
        schedule.after_change();
        schedule
    }

    /// The next intended time that is due, or nothing. Call until nothing: what is late is sent late and
    /// measured, never left out.
    pub fn pop_due(&mut self, now_ns: u64) -> Option<u64> {
        let due_ns = self.next_ns;
        if due_ns > now_ns {
            return None;
        }
        self.count += 1;
        self.next_ns = match self.arrivals {
            _ if !self.gap_ns.is_finite() => u64::MAX,
            Arrivals::Even => self.origin_ns + (self.count as f64 * self.gap_ns) as u64,
            Arrivals::Poisson => due_ns + self.random.exponential(self.gap_ns) as u64,
        };
        Some(due_ns)
    }

    /// When to come back; `None` while the rate is 0.
    #[must_use]
    pub const fn next_ns(&self) -> Option<u64> {
        if self.next_ns == u64::MAX {
            None
        } else {
            Some(self.next_ns)
        }
    }

    /// Changes the rate at this moment (a phase begins). What was due before stays due.
    pub fn set_rate(&mut self, now_ns: u64, rate_per_s: f64) {
        self.gap_ns = gap_of(rate_per_s);
        self.origin_ns = now_ns;
        self.count = 0;
        if self.next_ns > now_ns {
            self.next_ns = now_ns;
            self.after_change();
        }
    }

    /// The first send of a Poisson stream is a random gap away; of an even one, at once.
    fn after_change(&mut self) {
        if !self.gap_ns.is_finite() {
            self.next_ns = u64::MAX;
        } else if self.arrivals == Arrivals::Poisson {
            self.next_ns = self.origin_ns + self.random.exponential(self.gap_ns) as u64;
        }
    }
}

/// Spreads something over a period: pings of a million connections, so that they do not come at once.
#[must_use]
pub fn jittered_ns(period_ns: u64, random: &mut Random) -> u64 {
    // Half to one and a half: on average the period itself.
    period_ns / 2 + random.below(period_ns.max(1))
}

fn gap_of(rate_per_s: f64) -> f64 {
    if rate_per_s > 0.0 {
        1e9 / rate_per_s
    } else {
        f64::INFINITY
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn due(schedule: &mut OpenLoop, now_ns: u64) -> Vec<u64> {
        std::iter::from_fn(|| schedule.pop_due(now_ns)).collect()
    }

    #[test]
    fn a_bucket_keeps_its_rate_however_often_it_is_asked() {
        for polls_per_s in [1u64, 7, 1000, 100_000] {
            let mut bucket = TokenBucket::new(40_000.0, 50_000.0, 0);
            let taken: u64 = (1..=polls_per_s * 5)
                .map(|n| bucket.take(n * SECOND / polls_per_s, u64::MAX))
                .sum();
            assert!(
                (199_999..=200_000).contains(&taken),
                "{polls_per_s} polls/s: {taken}"
            );
        }
    }

    #[test]
    fn a_bucket_starts_empty_and_never_overflows() {
        let mut bucket = TokenBucket::new(1000.0, 10.0, 5 * SECOND);
        assert_eq!(bucket.take(5 * SECOND, 99), 0);
        assert_eq!(bucket.next_ns(), Some(5 * SECOND + 1_000_000));
        assert_eq!(bucket.take(9 * SECOND, 99), 10);
        bucket.give_back(500);
        assert_eq!(bucket.take(9 * SECOND, 99), 10);
        assert_eq!(
            bucket.take(8 * SECOND, 99),
            0,
            "a clock that goes back gives nothing"
        );
        assert_eq!(TokenBucket::new(0.0, 1.0, 0).next_ns(), None);
    }

    #[test]
    fn what_is_late_is_sent_with_the_time_it_was_meant_for() {
        let mut schedule = OpenLoop::new(Arrivals::Even, 1000.0, SECOND, (0, 1), 1);
        assert_eq!(
            due(&mut schedule, SECOND + 1_500_000),
            [SECOND, SECOND + 1_000_000]
        );
        // Nobody asked for a whole second: a thousand sends are due, each at its own time.
        let late = due(&mut schedule, 2 * SECOND);
        assert_eq!(
            (late.len(), late[0], late[998]),
            (999, SECOND + 2_000_000, 2 * SECOND)
        );
    }

    #[test]
    fn threads_together_are_one_schedule() {
        let one: Vec<u64> = due(
            &mut OpenLoop::new(Arrivals::Even, 1000.0, 0, (0, 1), 1),
            SECOND / 10,
        );
        let mut all: Vec<u64> = (0..4)
            .flat_map(|n| {
                due(
                    &mut OpenLoop::new(Arrivals::Even, 250.0, 0, (n, 4), 1),
                    SECOND / 10,
                )
            })
            .collect();
        all.sort_unstable();
        assert_eq!(all, one);
    }

    #[test]
    fn a_poisson_stream_has_its_rate_and_its_seed() {
        let times = |seed| {
            due(
                &mut OpenLoop::new(Arrivals::Poisson, 10_000.0, 0, (0, 1), seed),
                2 * SECOND,
            )
        };
        assert!(
            (19_500..20_500).contains(&times(3).len()),
            "{}",
            times(3).len()
        );
        assert_eq!(times(3), times(3));
        assert_ne!(times(3), times(4));
        assert!(times(3).is_sorted());
    }

    #[test]
    fn the_rate_can_change_and_stop() {
        let mut schedule = OpenLoop::new(Arrivals::Even, 10.0, 0, (0, 1), 1);
        assert_eq!(due(&mut schedule, SECOND - 1).len(), 10);
        schedule.set_rate(SECOND / 2 * 2, 0.0);
        due(&mut schedule, SECOND);
        assert_eq!(
            (due(&mut schedule, 9 * SECOND).len(), schedule.next_ns()),
            (0, None)
        );
        schedule.set_rate(9 * SECOND, 100.0);
        assert_eq!(due(&mut schedule, 10 * SECOND - 1).len(), 100);
    }

    proptest! {
        /// However the polls fall, the same times are sent: the schedule does not depend on the caller.
        #[test]
        fn polling_does_not_change_the_schedule(polls in proptest::collection::vec(1u64..50_000_000, 1..80), poisson: bool) {
            let arrivals = if poisson { Arrivals::Poisson } else { Arrivals::Even };
            let mut now_ns = 0;
            let (mut often, mut once) = (OpenLoop::new(arrivals, 777.0, 0, (0, 1), 9), OpenLoop::new(arrivals, 777.0, 0, (0, 1), 9));
            let mut seen = Vec::new();
            for step in polls {
                now_ns += step;
                seen.extend(due(&mut often, now_ns));
            }
            prop_assert_eq!(seen, due(&mut once, now_ns));
        }
    }
}
