//! How many connections were heard from lately, without asking each of them.
//!
//! A connection remembers the second in which it was heard last; here is how many share each second. Hearing
//! one moves it from its old second to the present one, so a million connections cost two additions per
//! message and nothing per second. Seconds are whole and the current one counts as begun: what is counted
//! was heard within the window, what is not may have been a second within it. The claim errs to one side.

/// Counts by the second of the last sign of life.
#[derive(Debug)]
pub struct Liveness {
    /// How many were last heard in second `s`: `heard[s % len]`.
    heard: Vec<u32>,
    now_s: u32,
    window_s: u32,
}

impl Liveness {
    /// A window of this many seconds.
    #[must_use]
    pub fn new(window_s: u32) -> Self {
        let window_s = window_s.clamp(1, WINDOW_S_MAX);
        Self {
            heard: vec![0; window_s as usize],
            now_s: 0,
            window_s,
        }
    }

    /// The present second.
    #[must_use]
    pub const fn now_s(&self) -> u32 {
        self.now_s
    }

    /// Time goes on: who was heard longer ago than the window is no longer counted.
    pub fn advance(&mut self, now_s: u32) {
        let steps = now_s.saturating_sub(self.now_s).min(self.window_s);
        for step in 0..steps {
            let second = now_s - step;
            *self.slot(second) = 0;
        }
        self.now_s = self.now_s.max(now_s);
    }

    /// A new connection showed life; returns the second to remember.
    pub fn welcome(&mut self) -> u32 {
        *self.slot(self.now_s) += 1;
        self.now_s
    }

    /// A connection last heard in `before` showed life; returns the second to remember.
    pub fn heard(&mut self, before: u32) -> u32 {
        if before != self.now_s {
            self.forget(before);
            self.welcome();
        }
        self.now_s
    }

    /// A connection last heard in `before` is gone.
    pub fn forget(&mut self, before: u32) {
        if self.is_within(before) {
            *self.slot(before) -= 1;
        }
    }

    /// How many were heard within the window.
    #[must_use]
    pub fn proven_alive(&self) -> u64 {
        self.heard.iter().map(|&count| u64::from(count)).sum()
    }

    const fn is_within(&self, second: u32) -> bool {
        self.now_s - second < self.window_s
    }

    fn slot(&mut self, second: u32) -> &mut u32 {
        &mut self.heard[second as usize % self.window_s as usize]
    }
}

/// An hour.
const WINDOW_S_MAX: u32 = 3600;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn silence_ends_a_claim() {
        let mut liveness = Liveness::new(5);
        let one = liveness.welcome();
        let two = liveness.welcome();
        liveness.advance(4);
        let one = liveness.heard(one);
        assert_eq!(liveness.proven_alive(), 2);
        liveness.advance(5);
        assert_eq!(liveness.proven_alive(), 1, "the second was heard 5 s ago");
        liveness.forget(two);
        liveness.forget(one);
        assert_eq!(liveness.proven_alive(), 0);
        liveness.advance(1000);
        assert_eq!(liveness.welcome(), 1000);
        assert_eq!(liveness.proven_alive(), 1);
    }

    proptest! {
        #[test]
        fn as_good_as_asking_everybody(window in 1u32..9, steps in prop::collection::vec((0usize..5, 0u32..4, any::<bool>()), 1..200)) {
            let mut liveness = Liveness::new(window);
            let mut last: [Option<u32>; 5] = [None; 5];
            let mut now_s = 0;
            for (who, wait, leaves) in steps {
                now_s += wait;
                liveness.advance(now_s);
                last[who] = match last[who] {
                    Some(before) if leaves => { liveness.forget(before); None }
                    Some(before) => Some(liveness.heard(before)),
                    None => Some(liveness.welcome()),
                };
                let expected = last.iter().flatten().filter(|&&second| now_s - second < window).count();
                prop_assert_eq!(liveness.proven_alive(), expected as u64);
            }
        }
    }
}
