//! How fast one connection may talk: messages and bytes per second.
//!
//! Kept as in the generic cell rate algorithm: a bucket is one number, the time at which it will be
//! full again. It holds a second's worth, so that much may come at once.

use super::options::{Limit, Limits};
use super::shard::Hub;
use super::world::Tally;

/// What one connection has used up of its rates.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Allowance {
    /// When the bucket of messages is full again, in nanoseconds.
    messages_full_ns: u64,
    /// The same of bytes.
    bytes_full_ns: u64,
}

const _: () = assert!(size_of::<Allowance>() <= 16);

const SECOND_NS: u64 = 1_000_000_000;
const MS_NS: u64 = 1_000_000;

impl Allowance {
    /// Whether a message of so many bytes may come at `now_ms` of a clock that does not go back.
    /// What is refused costs nothing: whoever is at its limit gets its limit.
    pub(crate) fn admits(
        &mut self,
        limits: &Limits,
        bytes: usize,
        now_ms: u64,
        tally: &mut Tally,
    ) -> bool {
        let now_ns = now_ms.saturating_mul(MS_NS);
        let charge = |full_ns: &mut u64, limit: Limit, amount: usize, beyond: &mut u64| {
            if limit.max == 0 {
                return true;
            }
            let cost_ns = (amount as u64).saturating_mul(SECOND_NS) / u64::from(limit.max);
            let from_ns = (*full_ns).max(now_ns);
            let is_full = from_ns == now_ns;
            // One message may be more than there is in a full bucket; the next ones pay for it.
            if is_full || (from_ns - now_ns).saturating_add(cost_ns) <= SECOND_NS {
                *full_ns = from_ns.saturating_add(cost_ns);
                return true;
            }
            *beyond += 1;
            limit.is_dry_run
        };
        charge(
            &mut self.messages_full_ns,
            limits.message_rate,
            1,
            &mut tally.message_rate,
        ) && charge(
            &mut self.bytes_full_ns,
            limits.byte_rate,
            bytes,
            &mut tally.byte_rate,
        )
    }
}

impl<F: Clone> Hub<F> {
    /// Whether there are any rates to keep to.
    pub fn has_rates(&self) -> bool {
        self.limits.message_rate.max > 0 || self.limits.byte_rate.max > 0
    }

    /// Whether a message of so many bytes may come, before anybody looks into it. If not, the
    /// connection is told [`TooMany`](super::Disconnect::TooMany).
    pub fn admits(&mut self, allowance: &mut Allowance, bytes: usize, now_ms: u64) -> bool {
        allowance.admits(&self.limits, bytes, now_ms, &mut self.tally)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(messages: u32, bytes: u32) -> Limits {
        Limits {
            message_rate: Limit::new(messages),
            byte_rate: Limit::new(bytes),
            ..Limits::default()
        }
    }

    /// How many of a message per millisecond get through, in each of three seconds.
    fn through(limits: &Limits, bytes: usize) -> [usize; 3] {
        let (mut allowance, mut tally) = (Allowance::default(), Tally::default());
        let mut second = |from: u64| {
            let mut ms = from..from + 1000;
            ms.by_ref()
                .filter(|ms| allowance.admits(limits, bytes, *ms, &mut tally))
                .count()
        };
        let counts = [1_000_000, 1_001_000, 1_002_000].map(&mut second);
        let all: usize = counts.iter().sum();
        assert_eq!(3000 - all as u64, tally.message_rate + tally.byte_rate);
        counts
    }

    #[test]
    fn a_second_at_once_and_the_rate_from_then_on() {
        assert_eq!(through(&limits(100, 0), 5), [199, 100, 100]);
        assert_eq!(through(&limits(0, 10_000), 100), [199, 100, 100]);
        assert_eq!(through(&limits(0, 0), usize::MAX), [1000; 3]);
        // The stricter of both counts.
        assert_eq!(through(&limits(50, 10_000), 100), [99, 50, 50]);
    }

    #[test]
    fn a_message_larger_than_a_second_is_paid_for() {
        let counts = through(&limits(0, 1000), 2500);
        assert_eq!(counts, [1, 0, 1], "the next one 2.5 s later");
    }

    #[test]
    fn a_dry_run_counts_only() {
        let mut limits = limits(10, 0);
        limits.message_rate.is_dry_run = true;
        let (mut allowance, mut tally) = (Allowance::default(), Tally::default());
        for _ in 0..100 {
            assert!(allowance.admits(&limits, 1, 5, &mut tally));
        }
        assert_eq!(tally.message_rate, 90);
    }

    #[test]
    fn no_numbers_overflow() {
        let (mut allowance, mut tally) = (Allowance::default(), Tally::default());
        for now_ms in [0, 1, u64::MAX / 2, u64::MAX] {
            for bytes in [0, 1, usize::MAX] {
                allowance.admits(&limits(1, 1), bytes, now_ms, &mut tally);
            }
        }
    }
}
