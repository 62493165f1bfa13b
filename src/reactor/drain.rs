//! Going down in good order: every connection is told 1001, evenly over the drain window, so
//! that a million clients do not come back elsewhere in the same second.

use std::ops::Range;

/// The progress of a drain.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Drain {
    began_tick: u32,
    window_ticks: u32,
    /// After the window, peers get the close timeout to answer; then they are cut.
    grace_ticks: u32,
    /// Slots to go through in all.
    slots: usize,
    /// The next slot to visit.
    cursor: usize,
}

impl Drain {
    pub(crate) fn new(now: u32, window_ticks: u32, grace_ticks: u32, slots: usize) -> Self {
        Self {
            began_tick: now,
            window_ticks,
            grace_ticks,
            slots,
            cursor: 0,
        }
    }

    /// The slots whose turn it is at `now`, at most so many of them.
    pub(crate) fn take_due(&mut self, now: u32, most: usize) -> Range<usize> {
        let until = self.due_until(now).min(self.cursor.saturating_add(most));
        let due = self.cursor..until.max(self.cursor);
        self.cursor = due.end;
        due
    }

    /// There were more slots due than could be visited.
    pub(crate) fn is_behind(&self, now: u32) -> bool {
        self.cursor < self.due_until(now)
    }

    fn due_until(&self, now: u32) -> usize {
        let elapsed = u64::from(now.wrapping_sub(self.began_tick));
        let window = u64::from(self.window_ticks);
        if elapsed >= window {
            self.slots
        } else {
            // The tick that has begun counts: the last slots are told within the window.
            (self.slots as u64 * (elapsed + 1) / (window + 1)) as usize
        }
    }

    /// Whoever is still here at `now` has had its time.
    pub(crate) fn is_over(&self, now: u32) -> bool {
        now.wrapping_sub(self.began_tick) >= self.window_ticks + self.grace_ticks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_slot_is_visited_once_and_evenly() {
        for (window, slots) in [(0, 10), (10, 3), (10, 1000), (50, 7), (1, 1)] {
            let began = u32::MAX - 3;
            let mut drain = Drain::new(began, window, 5, slots);
            let mut visited = 0;
            for elapsed in 0..=window {
                let due = drain.take_due(began.wrapping_add(elapsed), usize::MAX);
                assert_eq!(due.start, visited, "window {window}, {slots} slots");
                assert!(due.len() <= slots / (window as usize + 1) + 1);
                visited = due.end;
            }
            assert_eq!(visited, slots);
            assert!(!drain.is_over(began.wrapping_add(window + 4)));
            assert!(drain.is_over(began.wrapping_add(window + 5)));
        }
    }
}
