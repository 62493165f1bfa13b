//! Gaps and duplicates per receiver in 12 bytes: a million subscribers cannot have a list each.
//!
//! A receiver remembers the highest number it saw and a bitmap of the 64 below. A number that leaves the
//! bitmap unseen is a gap for good; one that comes twice inside it is a duplicate.

/// What a number turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// The next one, or a later one; `lost` numbers left the window unseen because of it.
    New {
        /// Numbers now known to be lost.
        lost: u32,
    },
    /// One that had been skipped came after all.
    Late,
    /// Seen before.
    Duplicate,
    /// So old that nobody can tell whether it was seen.
    TooOld,
}

/// One receiver's memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(C, packed(4))]
pub struct Sequence {
    /// Bit n: the number `next - 1 - n` was seen.
    seen: u64,
    /// The number expected next.
    next: u32,
}

impl Sequence {
    /// Begins at this number: what came before the subscription is nobody's loss.
    #[must_use]
    pub const fn starting_at(next: u32) -> Self {
        Self {
            seen: u64::MAX,
            next,
        }
    }

    /// The number expected next.
    #[must_use]
    pub const fn next(&self) -> u32 {
        self.next
    }

    /// Takes a number.
    pub const fn take(&mut self, number: u32) -> Arrival {
        let ahead = number.wrapping_sub(self.next);
        if ahead < 1 << 31 {
            return Arrival::New {
                lost: self.advance(ahead + 1),
            };
        }
        let behind = self.next.wrapping_sub(number) - 1;
        if behind >= 64 {
            return Arrival::TooOld;
        }
        let bit = 1 << behind;
        let seen = self.seen;
        self.seen = seen | bit;
        if seen & bit == 0 {
            Arrival::Late
        } else {
            Arrival::Duplicate
        }
    }

    /// Whether this number was seen, as far as that is remembered.
    #[must_use]
    pub const fn has(&self, number: u32) -> bool {
        let behind = self.next.wrapping_sub(number).wrapping_sub(1);
        let seen = self.seen;
        behind < 64 && seen >> behind & 1 == 1
    }

    /// The numbers still missing inside the window: lost if the run ends now.
    #[must_use]
    pub const fn missing(&self) -> u32 {
        let seen = self.seen;
        seen.count_zeros()
    }

    /// Moves the window on by `steps`; says how many unseen numbers fell out.
    const fn advance(&mut self, steps: u32) -> u32 {
        let seen = self.seen;
        self.next = self.next.wrapping_add(steps);
        if steps >= 64 {
            // The whole window falls out, and with it the skipped numbers that never entered it.
            self.seen = 1;
            return seen.count_zeros() + (steps - 64);
        }
        let fallen = seen >> (64 - steps);
        self.seen = (seen << steps) | 1;
        steps - fallen.count_ones()
    }
}

const _: () = assert!(size_of::<Sequence>() == 12);

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn order_gaps_and_duplicates() {
        let mut sequence = Sequence::starting_at(10);
        assert_eq!(sequence.take(10), Arrival::New { lost: 0 });
        assert_eq!(sequence.take(10), Arrival::Duplicate);
        assert_eq!(sequence.take(12), Arrival::New { lost: 0 });
        assert_eq!(sequence.missing(), 1);
        assert_eq!(
            [10, 11, 12, 13].map(|n| sequence.has(n)),
            [true, false, true, false]
        );
        assert_eq!(sequence.take(11), Arrival::Late);
        assert_eq!(sequence.missing(), 0);
        assert_eq!(sequence.take(13 + 200), Arrival::New { lost: 200 - 63 });
        assert_eq!(sequence.missing(), 63);
        assert_eq!(sequence.take(20), Arrival::TooOld);
        assert!(
            sequence.has(213) && !sequence.has(20),
            "too old to be remembered"
        );
    }

    #[test]
    fn numbers_wrap() {
        let mut sequence = Sequence::starting_at(u32::MAX);
        assert_eq!(sequence.take(u32::MAX), Arrival::New { lost: 0 });
        assert_eq!(sequence.take(1), Arrival::New { lost: 0 });
        assert_eq!(sequence.take(0), Arrival::Late);
    }

    proptest! {
        /// Against a set that remembers everything: same counts for any loss, duplication and light disorder.
        #[test]
        fn as_good_as_a_list(fates in proptest::collection::vec((0u8..10, 0u32..8), 1..600)) {
            let mut arrivals: Vec<(u32, u32)> = Vec::new();
            for (number, (fate, delay)) in (0u32..).zip(&fates) {
                match fate {
                    0 => {}
                    1 => arrivals.extend([(number + delay, number), (number + delay + 1, number)]),
                    _ => arrivals.push((number + delay, number)),
                }
            }
            arrivals.sort_by_key(|&(at, _)| at);
            let (mut sequence, mut seen) = (Sequence::starting_at(0), HashSet::new());
            let (mut lost, mut duplicates, mut highest) = (0u64, 0u64, None);
            for &(_, number) in &arrivals {
                match sequence.take(number) {
                    Arrival::New { lost: more } => lost += u64::from(more),
                    Arrival::Late => prop_assert!(!seen.contains(&number)),
                    Arrival::Duplicate => duplicates += 1,
                    Arrival::TooOld => prop_assert!(false, "disorder of 8 never leaves 64"),
                }
                seen.insert(number);
                highest = highest.max(Some(number));
            }
            let expected_lost = highest.map_or(0, |highest| u64::from(highest) + 1 - seen.len() as u64);
            prop_assert_eq!(lost + u64::from(sequence.missing()), expected_lost);
            prop_assert_eq!(duplicates, arrivals.len() as u64 - seen.len() as u64);
        }
    }
}
