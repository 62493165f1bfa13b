//! Handshakes under way at once, of all threads together.

use std::sync::atomic::{AtomicU64, Ordering};

/// So many may be under way. What the threads share of it is one counter: it orders nothing else.
#[derive(Debug)]
pub struct Gate {
    under_way: AtomicU64,
    most: u64,
}

impl Gate {
    /// Room for so many, at least one.
    #[must_use]
    pub fn new(most: u64) -> Self {
        Self {
            under_way: AtomicU64::new(0),
            most: most.max(1),
        }
    }

    /// Lets in as many of `wanted` as there is room for.
    pub fn enter(&self, wanted: u64) -> u64 {
        let admit = |under_way: u64| Some(under_way + wanted.min(self.most - under_way));
        // `admit` refuses nothing, so both arms hold the count before.
        let (Ok(before) | Err(before)) =
            self.under_way
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, admit);
        wanted.min(self.most - before)
    }

    /// So many are through, or will not come.
    pub fn leave(&self, count: u64) {
        let before = self.under_way.fetch_sub(count, Ordering::Relaxed);
        debug_assert!(before >= count, "more left than came");
    }

    /// Whether nobody else may begin now.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.under_way() >= self.most
    }

    /// How many may be under way.
    #[must_use]
    pub const fn most(&self) -> u64 {
        self.most
    }

    /// How many are under way.
    #[must_use]
    pub fn under_way(&self) -> u64 {
        self.under_way.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_are_let_in_than_there_is_room() {
        let gate = Gate::new(10);
        assert_eq!((gate.enter(7), gate.enter(7), gate.enter(7)), (7, 3, 0));
        assert!(gate.is_full());
        gate.leave(4);
        assert_eq!((gate.enter(3), gate.enter(3), gate.under_way()), (3, 1, 10));
    }

    #[test]
    fn threads_together_keep_the_bound() {
        let gate = Gate::new(5);
        std::thread::scope(|scope| {
            for wanted in 1..=4 {
                let gate = &gate;
                scope.spawn(move || {
                    for _ in 0..10_000 {
                        let entered = gate.enter(wanted);
                        assert!(gate.under_way() <= 5);
                        gate.leave(entered);
                    }
                });
            }
        });
        assert_eq!(gate.under_way(), 0);
    }
}
