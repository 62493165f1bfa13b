//! The watchdog is fed only if every worker turned since it was fed last.
//!
//! A thread that feeds it by the clock proves that one thread is alive. What has to be proven is that
//! no loop hangs: each worker publishes a heartbeat that changes with its tick, at least once a second
//! even without a single connection.

/// Whether it is time to feed the watchdog, and all are well.
#[derive(Debug)]
pub(super) struct Pulse {
    every_ms: u64,
    fed_ms: u64,
    /// Each worker's heartbeat when the watchdog was fed.
    then: Vec<u64>,
}

impl Pulse {
    /// For a watchdog that bites after `limit_ms`: fed three times as often, so that two may be lost.
    pub(super) fn new(limit_ms: u64, now_ms: u64) -> Self {
        Self {
            every_ms: limit_ms / 3,
            fed_ms: now_ms,
            then: Vec::new(),
        }
    }

    /// Whether the watchdog is to be fed now; `beats` are those of the workers that should be alive,
    /// in the same order each time.
    pub(super) fn is_due(&mut self, now_ms: u64, beats: impl Iterator<Item = u64>) -> bool {
        if now_ms.saturating_sub(self.fed_ms) < self.every_ms {
            return false;
        }
        let now: Vec<u64> = beats.collect();
        // Who has joined since has beaten by that.
        if now.iter().zip(&self.then).any(|(now, then)| now == then) {
            return false;
        }
        self.then = now;
        self.fed_ms = now_ms;
        true
    }
}

/// For how many looks each worker has shown no sign of life.
#[derive(Debug, Default)]
pub(super) struct Stalls {
    /// The last heartbeat, and how often it has been seen since it was new.
    seen: Vec<(u64, u32)>,
}

impl Stalls {
    /// Looks, and says how many looks ago the laziest one was seen to beat.
    pub(super) fn look(&mut self, beats: &[u64]) -> u32 {
        self.seen.resize(beats.len(), (0, 0));
        for ((then, looks), now) in self.seen.iter_mut().zip(beats) {
            *looks = if then == now {
                looks.saturating_add(1)
            } else {
                0
            };
            *then = *now;
        }
        let looks = self.seen.iter().map(|(_, looks)| *looks);
        looks.max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_laziest_worker_is_the_one_that_counts() {
        let mut stalls = Stalls::default();
        let looks = [
            (&[7, 7][..], 0),
            (&[8, 7], 1),
            (&[8, 7], 2),
            (&[9, 8, 1], 0),
            (&[9, 9, 1], 1),
        ];
        for (beats, stalled) in looks {
            assert_eq!(stalls.look(beats), stalled, "{beats:?}");
        }
    }

    #[test]
    fn one_worker_that_hangs_is_enough() {
        let mut pulse = Pulse::new(9_000, 0);
        let mut due = |now_ms: u64, beats: &[u64]| pulse.is_due(now_ms, beats.iter().copied());
        assert!(!due(2_900, &[1, 1]), "not yet");
        assert!(due(3_000, &[1, 1]));
        assert!(!due(5_900, &[2, 2]));
        assert!(!due(6_000, &[2, 1]), "the second hangs");
        assert!(!due(20_000, &[90, 1]));
        assert!(due(20_200, &[91, 2]), "it goes on");
        assert!(due(23_200, &[92, 3, 1]), "one has joined");
        assert!(!due(26_200, &[93, 4, 1]), "and hangs");
        assert!(due(26_400, &[93, 4, 2]));
    }
}
