//! Workers of one core take turns at telling crowds.
//!
//! Where a worker has a core to itself it asks nobody. But a core that many workers share, because a
//! descriptor table holds so many connections and no more, would have all of them run at once for as
//! long as a broadcast takes, and each of their other connections wait until the scheduler has been
//! through the rest. With one speaker at a time the others sleep, and are there for whoever calls.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

/// Turns of its loop that a speaker may take while others wait.
const TURNS: u32 = 64;

/// Who of them speaks, and who wants to.
#[derive(Debug, Default)]
pub(super) struct Podium(Mutex<Queue>);

#[derive(Debug, Default)]
struct Queue {
    speaker: Option<usize>,
    turns: u32,
    /// Each worker at most once.
    waiting: VecDeque<usize>,
}

impl Podium {
    /// Whether that worker may speak now. If not, it is woken when it may.
    pub(super) fn claim(&self, worker: usize) -> bool {
        let mut queue = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let speaker = *queue.speaker.get_or_insert(worker);
        if speaker != worker && !queue.waiting.contains(&worker) {
            queue.waiting.push_back(worker);
        }
        speaker == worker
    }

    /// The speaker has taken a turn. If it is done, or others have waited long enough, the next is the
    /// speaker, who has to be woken.
    pub(super) fn spoken(&self, worker: usize, is_done: bool) -> Option<usize> {
        let mut queue = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        debug_assert_eq!(queue.speaker, Some(worker));
        queue.turns += 1;
        if !is_done && (queue.turns < TURNS || queue.waiting.is_empty()) {
            return None;
        }
        queue.turns = 0;
        queue.speaker = queue.waiting.pop_front();
        queue.speaker
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_speaks_until_it_is_done_and_the_next_is_named_once() {
        let podium = Podium::default();
        assert!(podium.claim(1) && podium.claim(1));
        assert!(!podium.claim(2) && !podium.claim(3) && !podium.claim(2));
        assert_eq!(podium.spoken(1, false), None);
        assert_eq!(podium.spoken(1, true), Some(2));
        assert!(!podium.claim(1), "it is behind the others now");
        assert!(podium.claim(2));
        assert_eq!(podium.spoken(2, true), Some(3));
        assert_eq!(podium.spoken(3, true), Some(1));
        assert_eq!(podium.spoken(1, true), None);
        assert!(podium.claim(7), "nobody is there");
    }

    #[test]
    fn a_long_speech_is_interrupted_only_for_others() {
        let podium = Podium::default();
        assert!(podium.claim(1));
        for _ in 0..10 * TURNS {
            assert_eq!(podium.spoken(1, false), None, "nobody else wants to");
        }
        assert!(!podium.claim(2));
        assert_eq!(podium.spoken(1, false), Some(2));
        assert!(!podium.claim(1) && podium.claim(2));
        let turns = (1..).find(|_| podium.spoken(2, false).is_some());
        assert_eq!(turns, Some(TURNS));
    }
}
