//! What messages say: a stamp that names them, then a text that only this message has.
//!
//! An echo is checked byte for byte without keeping a copy: the text is a window into a fixed pattern,
//! and the stamp (which connection, which message) says where the window begins.
//!
//! ```text
//!  text    |number: 8 hex digits|seq: 8 hex digits|window into the pattern ...|
//!  binary  |number: 4 bytes     |seq: 4 bytes     |window into the pattern ...|
//! ```
//!
//! A payload shorter than its stamp carries the stamp's last bytes, so that neighbours still differ. One that is
//! no longer than its stamp says nothing else, so a changed bit may make it another message's: the answer is
//! an error all the same, a duplicate or a made-up one instead of a wrong one.

use crate::random::{Random, mix};

/// Names one message of one connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// Which connection.
    pub number: u32,
    /// Which of its messages.
    pub seq: u32,
}

/// Writes and recognises payloads of one kind.
#[derive(Debug)]
pub struct Payloads {
    is_text: bool,
    /// One period, and one more, so that a piece of a period never wraps.
    pattern: Vec<u8>,
}

impl Payloads {
    /// Payloads of text (printable, compressible) or of bytes (neither).
    #[must_use]
    pub fn new(is_text: bool) -> Self {
        let mut random = Random::new(PATTERN_SEED);
        let mut pattern: Vec<u8> = (0..PERIOD)
            .map(|_| {
                if is_text {
                    LETTERS[random.below(LETTERS.len() as u64) as usize]
                } else {
                    random.next_u64() as u8
                }
            })
            .collect();
        pattern.extend_from_within(..);
        Self { is_text, pattern }
    }

    /// Appends the payload of a message.
    pub fn append(&self, out: &mut Vec<u8>, stamp: Stamp, length: usize) {
        let mut room = [0; TEXT_STAMP_BYTES];
        let head = self.head(stamp, &mut room);
        if length < head.len() {
            out.extend_from_slice(&head[head.len() - length..]);
            return;
        }
        out.extend_from_slice(head);
        self.append_text(out, stamp, length - head.len());
    }

    /// Appends the text that only this message has.
    pub fn append_text(&self, out: &mut Vec<u8>, stamp: Stamp, length: usize) {
        let mut left = length;
        let mut from = start_of(stamp);
        while left > 0 {
            let piece = left.min(PERIOD);
            out.extend_from_slice(&self.pattern[from..from + piece]);
            from = (from + piece) % PERIOD;
            left -= piece;
        }
    }

    /// Whether `payload` is this message, whole and unchanged.
    #[must_use]
    pub fn is(&self, payload: &[u8], stamp: Stamp, length: usize) -> bool {
        payload.len() == length && self.matches(payload, stamp)
    }

    /// Which message this is; `None` when it is none of ours, damaged, or too short to carry a stamp.
    #[must_use]
    pub fn read(&self, payload: &[u8]) -> Option<Stamp> {
        let stamp = if self.is_text {
            let head = str::from_utf8(payload.get(..TEXT_STAMP_BYTES)?).ok()?;
            let half = |digits: &str| u32::from_str_radix(digits, 16).ok();
            Stamp {
                number: half(head.get(..8)?)?,
                seq: half(head.get(8..)?)?,
            }
        } else {
            let (number, rest) = payload.split_first_chunk()?;
            Stamp {
                number: u32::from_be_bytes(*number),
                seq: u32::from_be_bytes(*rest.first_chunk()?),
            }
        };
        self.matches(payload, stamp).then_some(stamp)
    }

    fn matches(&self, payload: &[u8], stamp: Stamp) -> bool {
        let mut room = [0; TEXT_STAMP_BYTES];
        let head = self.head(stamp, &mut room);
        if payload.len() < head.len() {
            return payload == &head[head.len() - payload.len()..];
        }
        let (front, text) = payload.split_at(head.len());
        front == head && self.is_text(text, stamp)
    }

    /// Whether this is the text that only this message has.
    #[must_use]
    pub fn is_text(&self, text: &[u8], stamp: Stamp) -> bool {
        let mut from = start_of(stamp);
        text.chunks(PERIOD).all(|piece| {
            let expected = &self.pattern[from..from + piece.len()];
            from = (from + piece.len()) % PERIOD;
            piece == expected
        })
    }

    fn head<'r>(&self, stamp: Stamp, room: &'r mut [u8; TEXT_STAMP_BYTES]) -> &'r [u8] {
        let both = u64::from(stamp.number) << 32 | u64::from(stamp.seq);
        if !self.is_text {
            room[..8].copy_from_slice(&both.to_be_bytes());
            return &room[..8];
        }
        for (at, digit) in room.iter_mut().enumerate() {
            *digit = b"0123456789abcdef"[(both >> (60 - 4 * at)) as usize & 15];
        }
        room
    }
}

fn start_of(stamp: Stamp) -> usize {
    (mix(u64::from(stamp.number) << 32 | u64::from(stamp.seq)) % PERIOD as u64) as usize
}

const TEXT_STAMP_BYTES: usize = 16;
/// A prime, so that no power of two of bytes lost or repeated fits into it.
const PERIOD: usize = 8191;
/// The pattern is the same in every run: two hosts of one experiment must agree on it.
const PATTERN_SEED: u64 = 0x7468_726f_6e67;
/// As often as people use them, roughly: what compresses like text compresses.
const LETTERS: &[u8] = b"eeeeeeetttttaaaaooooiiinnnssshhrrddlcumwfgypbvkjxqz      ";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn short_payloads_carry_the_end_of_the_stamp() {
        let payloads = Payloads::new(true);
        let mut out = Vec::new();
        let stamp = Stamp {
            number: 0xabc,
            seq: 0x1234,
        };
        payloads.append(&mut out, stamp, 4);
        assert_eq!(out, b"1234");
        assert!(payloads.is(&out, stamp, 4));
        assert_eq!(payloads.read(&out), None);
        assert!(payloads.is(b"", stamp, 0));
    }

    proptest! {
        #[test]
        fn a_payload_is_recognised_and_nothing_else_is(
            is_text: bool, number: u32, seq: u32, length in 16usize..40_000, at: prop::sample::Index, flip in 1u8..=255,
        ) {
            let payloads = Payloads::new(is_text);
            let stamp = Stamp { number, seq };
            let mut out = vec![7];
            payloads.append(&mut out, stamp, length);
            let payload = &mut out[1..];
            prop_assert_eq!(payload.len(), length);
            prop_assert!(!is_text || payload.is_ascii());
            prop_assert_eq!(payloads.read(payload), Some(stamp));
            prop_assert!(payloads.is(payload, stamp, length));
            let neighbour = Stamp { seq: seq ^ 1, number };
            prop_assert!(!payloads.is(payload, neighbour, length));
            prop_assert!(!payloads.is(&payload[1..], stamp, length));
            let at = at.index(length);
            payload[at] ^= flip;
            prop_assert!(!payloads.is(payload, stamp, length));
            prop_assert_ne!(payloads.read(payload), Some(stamp));
        }
    }
}
