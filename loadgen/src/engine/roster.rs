//! The open connections of a cohort, to take turns: any can leave at once, none is asked twice in a round.
//!
//! A connection keeps its own place, so leaving is O(1): the last moves into the gap. It may then be asked
//! a little early or late; over a run everyone is asked equally often.

/// Who takes turns.
#[derive(Debug, Default)]
pub struct Roster {
    members: Vec<u32>,
    turn: usize,
}

impl Roster {
    /// Room for this many; the pages are touched only when used.
    #[must_use]
    pub fn with_capacity(count: usize) -> Self {
        Self {
            members: Vec::with_capacity(count),
            turn: 0,
        }
    }

    /// Adds a connection; returns its place.
    pub fn join(&mut self, index: u32) -> u32 {
        self.members.push(index);
        self.members.len() as u32 - 1
    }

    /// Removes who has this place; returns who has it now, if anybody.
    pub fn leave(&mut self, place: u32) -> Option<u32> {
        self.members.swap_remove(place as usize);
        self.members.get(place as usize).copied()
    }

    /// Whose turn it is.
    pub fn next_turn(&mut self) -> Option<u32> {
        if self.turn >= self.members.len() {
            self.turn = 0;
        }
        let member = self.members.get(self.turn).copied()?;
        self.turn += 1;
        Some(member)
    }

    /// Everyone.
    #[must_use]
    pub fn members(&self) -> &[u32] {
        &self.members
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everyone_has_a_turn_and_leavers_have_none() {
        let mut roster = Roster::with_capacity(4);
        assert_eq!(roster.next_turn(), None);
        let places: Vec<u32> = (10..14).map(|index| roster.join(index)).collect();
        assert_eq!(places, [0, 1, 2, 3]);
        let round: Vec<_> = (0..5).filter_map(|_| roster.next_turn()).collect();
        assert_eq!(round, [10, 11, 12, 13, 10]);
        assert_eq!(roster.leave(1), Some(13), "the last takes the place");
        assert_eq!(roster.leave(2), None, "the last leaves nobody to move");
        assert_eq!(roster.members(), [10, 13]);
        let round: Vec<_> = (0..3).filter_map(|_| roster.next_turn()).collect();
        assert_eq!(round, [13, 10, 13]);
    }
}
