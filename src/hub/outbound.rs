//! Letters that wait for room in another worker's mailbox.

use std::collections::VecDeque;

use super::letter::Letter;

/// What waits for one worker, in the order in which it was to be sent.
#[derive(Default)]
pub(crate) struct Outbound {
    letters: VecDeque<Letter>,
    /// Of all of them.
    weight: usize,
}

/// What may wait for one worker before publications are refused, by weight: so many small letters, or 16 MiB of
/// large ones.
const WEIGHT_MAX: usize = 4096;

impl Outbound {
    pub(crate) fn len(&self) -> usize {
        self.letters.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.letters.is_empty()
    }

    /// Whether there is room for one more publication.
    pub(crate) fn has_room(&self) -> bool {
        self.weight < WEIGHT_MAX
    }

    pub(crate) fn push(&mut self, letter: Letter) {
        self.weight += letter.weight();
        self.letters.push_back(letter);
    }

    /// Posts as many as there is room for: `post` gives back what does not fit. `true`: that was all.
    pub(crate) fn empty_into(
        &mut self,
        mut post: impl FnMut(Letter) -> Result<(), Letter>,
    ) -> bool {
        while let Some(letter) = self.letters.pop_front() {
            let weight = letter.weight();
            if let Err(letter) = post(letter) {
                self.letters.push_front(letter);
                return false;
            }
            self.weight -= weight;
        }
        // A jam must not cost memory after it is over.
        self.letters = VecDeque::new();
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hub::letter::{Draft, Question, ReplyTo};
    use crate::hub::types::{Payload, PayloadKind};

    fn publication(bytes: usize) -> Letter {
        let payload = Payload {
            kind: PayloadKind::Binary,
            bytes: vec![0; bytes].into(),
        };
        Letter::Ask {
            channel: "room".into(),
            question: Question::Publish(Draft::new(payload)),
            reply_to: ReplyTo::Nobody,
        }
    }

    #[expect(
        clippy::result_large_err,
        reason = "the letter comes back to be kept, not boxed"
    )]
    #[test]
    fn the_weight_is_that_of_what_waits() {
        let mut outbound = Outbound::default();
        for round in 0..100 {
            for bytes in [0, 100, 4 << 10, 1 << 20] {
                outbound.push(publication(bytes * (round % 3)));
            }
            // Now and then nothing fits.
            let mut room = [5, 0, 4][round % 3];
            outbound.empty_into(|letter| match room {
                0 => Err(letter),
                _ => {
                    room -= 1;
                    Ok(())
                }
            });
            let weight: usize = outbound.letters.iter().map(Letter::weight).sum();
            assert_eq!(outbound.weight, weight);
        }
        assert!(!outbound.is_empty());
        assert!(outbound.empty_into(|_| Ok(())));
        assert_eq!((outbound.len(), outbound.weight), (0, 0));
        assert_eq!(outbound.letters.capacity(), 0);
    }

    #[test]
    fn room_is_for_so_many_small_ones_or_so_many_bytes() {
        for (bytes, most) in [(10, WEIGHT_MAX), (1 << 20, 16), (64 << 20, 1)] {
            let mut outbound = Outbound::default();
            let mut count = 0;
            while outbound.has_room() {
                outbound.push(publication(bytes));
                count += 1;
            }
            assert_eq!(count, most, "of {bytes} bytes");
        }
    }
}
