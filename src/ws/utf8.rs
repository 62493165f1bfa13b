//! UTF-8 (RFC 3629) over a stream that may be cut anywhere.
//!
//! The state between two chunks is the beginning of one code point: at most three bytes. A chunk
//! is taken in three pieces: what completes the cut code point (checked byte by byte, so that the
//! first impossible byte is refused), the bulk (vectorised), and the cut code point at its end.

use super::close::Violation;

/// The state of a validation: the bytes of a code point that a chunk ended in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Utf8Stream {
    /// The first `held` are the begun code point; the others are zero.
    begun: [u8; 3],
    held: u8,
}

const _: () = assert!(size_of::<Utf8Stream>() <= 8);

impl Utf8Stream {
    /// Nothing read yet.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            begun: [0; 3],
            held: 0,
        }
    }

    /// Whether the last byte completed a code point; ASCII that follows needs no check then.
    #[inline]
    #[must_use]
    pub const fn is_at_boundary(self) -> bool {
        self.held == 0
    }

    /// Validates the next chunk.
    ///
    /// # Errors
    ///
    /// When a byte was read after which no continuation can be valid: overlong forms, surrogates
    /// and code points above U+10FFFF are refused at their second byte, not at their last.
    pub fn feed(&mut self, mut chunk: &[u8]) -> Result<(), Violation> {
        while self.held > 0 {
            let Some((&byte, rest)) = chunk.split_first() else {
                return Ok(());
            };
            self.complete(byte)?;
            chunk = rest;
        }
        let (whole, begun) = chunk.split_at(chunk.len() - begun_at_end(chunk));
        simdutf8::basic::from_utf8(whole).map_err(|_| Violation::TextNotUtf8)?;
        self.begin(begun)
    }

    /// Whether the text may end here.
    ///
    /// # Errors
    ///
    /// When it ends inside a code point.
    pub const fn finish(self) -> Result<(), Violation> {
        if self.held == 0 {
            Ok(())
        } else {
            Err(Violation::TextNotUtf8)
        }
    }

    /// One more byte of the code point that was cut.
    fn complete(&mut self, byte: u8) -> Result<(), Violation> {
        let held = usize::from(self.held);
        let allowed = if held == 1 {
            second_bytes(self.begun[0])
        } else {
            0x80..=0xBF
        };
        if !allowed.contains(&byte) {
            return Err(Violation::TextNotUtf8);
        }
        if held + 1 == code_point_len(self.begun[0]) {
            *self = Self::new();
        } else {
            self.begun[held] = byte;
            self.held += 1;
        }
        Ok(())
    }

    /// Keeps the code point that the chunk ended in, if it did.
    fn begin(&mut self, begun: &[u8]) -> Result<(), Violation> {
        let [lead, rest @ ..] = begun else {
            return Ok(());
        };
        self.begun[0] = *lead;
        self.held = 1;
        rest.iter().try_for_each(|byte| self.complete(*byte))
    }
}

/// How many of the last three bytes belong to a code point that needs more than is there.
fn begun_at_end(chunk: &[u8]) -> usize {
    let longest = chunk.len().min(3);
    (1..=longest)
        .find(|&back| code_point_len(chunk[chunk.len() - back]) > back)
        .unwrap_or(0)
}

/// The length that a lead byte announces; 1 for ASCII, 0 for what cannot lead.
const fn code_point_len(lead: u8) -> usize {
    match lead {
        0x00..=0x7F => 1,
        0xC2..=0xDF => 2,
        0xE0..=0xEF => 3,
        0xF0..=0xF4 => 4,
        _ => 0,
    }
}

/// What may follow a lead byte: this is where overlong forms, surrogates and too high code points
/// differ from the rest (RFC 3629 section 4).
const fn second_bytes(lead: u8) -> std::ops::RangeInclusive<u8> {
    match lead {
        0xE0 => 0xA0..=0xBF,
        0xED => 0x80..=0x9F,
        0xF0 => 0x90..=0xBF,
        0xF4 => 0x80..=0x8F,
        _ => 0x80..=0xBF,
    }
}

#[cfg(test)]
mod tests;
