//! The bound that holds for all workers together.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How many connections all workers have together. Touched when a connection comes and when it
/// goes, never by a message.
#[derive(Debug)]
pub struct House {
    guests: AtomicUsize,
    guests_max: usize,
}

impl House {
    /// An empty house with so many places.
    pub fn new(guests_max: usize) -> Arc<Self> {
        Arc::new(Self {
            guests: AtomicUsize::new(0),
            guests_max,
        })
    }

    /// How many connections there are.
    pub fn guests(&self) -> usize {
        self.guests.load(Ordering::Relaxed)
    }

    /// Takes a place, if there is one.
    pub(super) fn enter(&self) -> bool {
        let entered = self.guests.fetch_add(1, Ordering::Relaxed) < self.guests_max;
        if !entered {
            self.leave();
        }
        entered
    }

    pub(super) fn leave(&self) {
        self.guests.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_house_lets_nobody_in_until_somebody_leaves() {
        let house = House::new(2);
        assert!(house.enter() && house.enter());
        assert!(!house.enter() && !house.enter());
        assert_eq!(house.guests(), 2, "the refused do not count");
        house.leave();
        assert!(house.enter());
    }
}
