//! What a publication says: which of which room it is, and when it was meant and sent.
//!
//! Its times travel in it, so that no receiver and no thread has to remember them: whoever gets one knows how
//! long it took, however late. The text behind the head depends on the head, and the head carries a check of
//! itself, so that a damaged one is not taken for another.
//!
//! ```text
//!  |room: 8 hex digits|seq: 8|meant, ns since the start: 14|sent, us later: 8|check: 8|window into the pattern ...|
//! ```

use super::payload::{Payloads, Stamp};
use crate::random::mix;

/// One publication.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parcel {
    /// The room, by its number in the run.
    pub room: u32,
    /// Its number in the room.
    pub seq: u32,
    /// When it was meant to be sent, in nanoseconds since the run began.
    pub intended_ns: u64,
    /// How much later it was sent, in microseconds.
    pub late_us: u32,
}

impl Parcel {
    /// Appends it as a text of about `length` bytes.
    pub fn append(&self, payloads: &Payloads, out: &mut Vec<u8>, length: usize) {
        let length = length.max(PARCEL_BYTES);
        self.append_head(out, length);
        payloads.append_text(out, self.stamp(), length - PARCEL_BYTES);
    }

    fn append_head(&self, out: &mut Vec<u8>, length: usize) {
        let fields = [
            (u64::from(self.room), 8),
            (u64::from(self.seq), 8),
            (self.intended_ns & INTENDED_MAX, INTENDED_DIGITS),
            (u64::from(self.late_us), 8),
            (u64::from(self.check(length)), 8),
        ];
        for (value, digits) in fields {
            for at in (0..digits).rev() {
                out.push(b"0123456789abcdef"[(value >> (4 * at)) as usize & 15]);
            }
        }
    }

    /// Reads one; `None` if it is none of ours, or damaged. `room` lends its memory.
    #[must_use]
    pub fn read(payloads: &Payloads, text: &[u8], room: &mut Vec<u8>) -> Option<Self> {
        let (head, rest) = text.split_at_checked(PARCEL_BYTES)?;
        let mut at = 0;
        let mut next = |digits: usize| {
            let field = str::from_utf8(&head[at..at + digits]).ok()?;
            at += digits;
            u64::from_str_radix(field, 16).ok()
        };
        let parcel = Self {
            room: next(8)? as u32,
            seq: next(8)? as u32,
            intended_ns: next(INTENDED_DIGITS)?,
            late_us: next(8)? as u32,
        };
        // Written again it has to be the same: a number can be read from more than one text.
        room.clear();
        parcel.append_head(room, text.len());
        let is_it = room == head && payloads.is_text(rest, parcel.stamp());
        is_it.then_some(parcel)
    }

    /// When it was sent, in nanoseconds since the run began.
    #[must_use]
    pub const fn sent_ns(&self) -> u64 {
        self.intended_ns + self.late_us as u64 * 1000
    }

    const fn stamp(&self) -> Stamp {
        Stamp {
            number: self.room,
            seq: self.seq,
        }
    }

    /// A name for all of it, the length included.
    fn check(&self, length: usize) -> u32 {
        let name = u64::from(self.room) << 32 | u64::from(self.seq);
        let times = mix(self.intended_ns & INTENDED_MAX) ^ u64::from(self.late_us);
        mix(name ^ mix(times ^ (length as u64) << 40)) as u32
    }
}

/// 2^56 ns: two years.
const INTENDED_DIGITS: usize = 14;
const INTENDED_MAX: u64 = (1 << (4 * INTENDED_DIGITS)) - 1;
/// Without any text.
pub const PARCEL_BYTES: usize = 8 + 8 + INTENDED_DIGITS + 8 + 8;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_parcel_is_read_back_and_no_damaged_one_is(
            room: u32, seq: u32, intended_ns in 0..=INTENDED_MAX, late_us: u32,
            length in 0usize..20_000, at: prop::sample::Index, flip in 1u8..128,
        ) {
            let payloads = Payloads::new(true);
            let parcel = Parcel { room, seq, intended_ns, late_us };
            let (mut out, mut room) = (Vec::new(), Vec::new());
            parcel.append(&payloads, &mut out, length);
            prop_assert_eq!(out.len(), length.max(PARCEL_BYTES));
            prop_assert_eq!(Parcel::read(&payloads, &out, &mut room), Some(parcel));
            let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b' ';
            prop_assert!(out.iter().all(is_plain), "it needs no escaping");
            let at = at.index(out.len());
            prop_assert_eq!(Parcel::read(&payloads, &out[..at], &mut room), None);
            out[at] ^= flip;
            prop_assert_eq!(Parcel::read(&payloads, &out, &mut room), None);
        }
    }
}
