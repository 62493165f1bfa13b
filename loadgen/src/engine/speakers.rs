//! Who said which of a room's last publications: what one says keeps its order, what two say need not.
//!
//! A receiver remembers which of the last 64 numbers it has, and not whose they are. That is known here, once for
//! all members of a room: two bytes a publication, and only as many as can still be asked about.

use std::collections::VecDeque;

use crate::sequence::Sequence;

/// The speakers of a room's last publications.
#[derive(Debug, Default)]
pub struct Speakers {
    /// Each one's place among the members, the last publication last. Places that two bytes cannot tell apart
    /// are 65 536 turns from each other, and no two of them are remembered at once.
    recent: VecDeque<u16>,
}

/// Publications whose speakers are remembered: the receiver's 64, and those that are still on their way to it.
/// A receiver that is further behind is not told apart from one that heard two speakers.
const REMEMBERED: usize = 256;

impl Speakers {
    /// The member at this place has said the next publication.
    pub fn note(&mut self, place: u64) {
        if self.recent.len() == REMEMBERED {
            self.recent.pop_front();
        }
        self.recent.push_back(place as u16);
    }

    /// Whether the speaker of the publication `seq` has said something later that was seen already. `next` is
    /// the number of the next publication in the room.
    #[must_use]
    pub fn overtook(&self, seq: u32, next: u32, seen: &Sequence) -> bool {
        let Some(speaker) = self.of(seq, next) else {
            return false;
        };
        (1..seen.next().wrapping_sub(seq)).any(|steps| {
            let later = seq.wrapping_add(steps);
            seen.has(later) && self.of(later, next) == Some(speaker)
        })
    }

    fn of(&self, seq: u32, next: u32) -> Option<u16> {
        let back = next.wrapping_sub(seq) as usize;
        let at = self.recent.len().checked_sub(back)?;
        self.recent.get(at).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A room in which so many have said so much in turn, the first publication being this one.
    fn room(first: u32, said: u32, speakers: u32) -> (Speakers, u32) {
        let mut room = Speakers::default();
        (0..said).for_each(|n| room.note(u64::from(n % speakers)));
        (room, first.wrapping_add(said))
    }

    /// Somebody who has all but this one, and then gets it.
    fn late(seq: u32, first: u32, next: u32) -> Sequence {
        let mut seen = Sequence::starting_at(first);
        let others = (0..next.wrapping_sub(first)).map(|n| first.wrapping_add(n));
        others.filter(|other| *other != seq).for_each(|other| {
            seen.take(other);
        });
        seen.take(seq);
        seen
    }

    #[test]
    fn only_the_same_speaker_overtakes_itself() {
        for first in [0, u32::MAX - 3] {
            for said in 1..12 {
                let (room, next) = room(first, said, 4);
                for at in 0..said {
                    let seq = first.wrapping_add(at);
                    let seen = late(seq, first, next);
                    assert_eq!(
                        room.overtook(seq, next, &seen),
                        at + 4 < said,
                        "{at} of {said}"
                    );
                }
            }
        }
    }

    #[test]
    fn what_was_not_seen_overtakes_nothing() {
        let (room, next) = room(0, 8, 4);
        let mut seen = Sequence::starting_at(0);
        for seq in [0, 2, 3, 4, 6, 1] {
            seen.take(seq);
        }
        assert!(!room.overtook(1, next, &seen), "5 is still on its way");
        seen.take(5);
        assert!(room.overtook(1, next, &seen));
    }

    #[test]
    fn memory_is_bounded_and_what_is_forgotten_is_not_judged() {
        let (room, next) = room(0, 100_000, 1);
        assert_eq!(room.recent.len(), REMEMBERED);
        assert!(room.recent.capacity() <= REMEMBERED, "512 bytes");
        let behind = |back: u32| {
            let seq = next - back;
            let mut seen = Sequence::starting_at(seq);
            seen.take(seq + 1);
            seen.take(seq);
            room.overtook(seq, next, &seen)
        };
        assert!(behind(REMEMBERED as u32));
        assert!(!behind(REMEMBERED as u32 + 1));
    }
}
