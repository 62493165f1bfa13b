//! permessage-deflate (RFC 7692): what was agreed, what a connection keeps, what a worker lends.
//!
//! ```text
//!   worker: Codec                                     connection: Compression
//!   deflaters, one per window size in use             agreed parameters              2 bytes
//!   inflaters, <= inflaters_max                       the last text of either way,   0 bytes, or
//!   the turn's inflate allowance                      if context takeover is agreed  <= 2 windows
//! ```
//!
//! The expensive part of zlib is not the window but the machinery around it: 251 to 380 KB for a
//! deflater, 48 KB for an inflater. A context that lives between two messages is only the *text* in
//! its window. So the machinery is always the worker's, and a connection with context takeover
//! keeps that text alone and hands it in as a preset dictionary: 8 KB for two 12-bit windows, where
//! contexts of its own would take 313 KB. The price is reading it once more per message:
//! about 2.5 ns per byte of window to compress (10 us for 12 bits, 85 us for 15), 0.05 to inflate.
//! (It is also plain data, which a context is not: it can be handed to another process.)
//!
//! | mode | an idle connection | a connection that has sent and received |
//! |---|---|---|
//! | [`Mode::Shared`] | 0 bytes | 0 bytes |
//! | [`Mode::Dedicated`] | 0 bytes | 48 + 2^(our window bits) + 2^(their window bits) bytes |
//!
//! Compressing a secret together with text an attacker chooses lets the attacker guess the secret
//! from the length (CRIME, BREACH); with context takeover that holds across messages.

use std::num::NonZeroU8;

mod codec;
#[doc(hidden)]
pub mod fuzzing;
mod history;
mod inflating;

pub use codec::{Codec, deflater_bytes};
pub use history::{Compression, Histories};
pub use inflating::{INFLATER_BYTES, Inflating, Progress};

/// How much compression, and what it may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeflateConfig {
    /// Whether to negotiate at all, and what a connection may keep.
    pub mode: Mode,
    /// The largest window we compress with, 8 to 15: 2^bits bytes. With [`Mode::Dedicated`] also the
    /// largest window we keep for the peer.
    pub window_bits: u8,
    /// 1 (fast) to 9 (small).
    pub level: u8,
    /// The smallest payload worth compressing.
    pub min_bytes: usize,
    /// How many messages of a worker may be partly inflated at a time.
    pub inflaters_max: usize,
}

impl Default for DeflateConfig {
    fn default() -> Self {
        Self {
            // Compression costs more CPU than everything else done with a message.
            mode: Mode::Off,
            // 4 KB: most of what a bigger window gains on chat-sized messages, at an eighth of the
            // memory when it is kept.
            window_bits: 12,
            level: 1,
            // Below this, the header of a block eats what the block saves.
            min_bytes: 64,
            // 16 x 48 KB; a message needs a second turn only beyond the allowance of one.
            inflaters_max: 16,
        }
    }
}

impl DeflateConfig {
    /// The window of our side, whatever was configured.
    pub(crate) fn window_bits(&self) -> u8 {
        self.window_bits
            .clamp(*WINDOW_BITS.start(), *WINDOW_BITS.end())
    }
}

/// What a connection may keep between messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Mode {
    /// permessage-deflate is not negotiated.
    #[default]
    Off,
    /// No context takeover in either direction: nothing.
    Shared,
    /// Context takeover where the peer agrees: the text in both windows.
    Dedicated,
}

/// The agreed parameters, seen from our end: which of them is the server's is known to the
/// negotiation and to nobody else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Agreed {
    /// How we compress. Connections that agree on this without context take the same bytes.
    pub ours: Half,
    /// How the peer compresses.
    pub theirs: Half,
}

const _: () = assert!(size_of::<Option<Agreed>>() == 2);

/// The parameters of one direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Half(NonZeroU8);

impl Half {
    /// # Panics
    ///
    /// If `window_bits` is not in [`WINDOW_BITS`].
    pub const fn new(window_bits: u8, keeps_context: bool) -> Self {
        assert!(window_bits >= *WINDOW_BITS.start() && window_bits <= *WINDOW_BITS.end());
        let flag = if keeps_context { KEEPS_CONTEXT } else { 0 };
        Self(NonZeroU8::new(window_bits | flag).expect("window bits are not 0"))
    }

    /// 8 to 15.
    pub const fn window_bits(self) -> u8 {
        self.0.get() & !KEEPS_CONTEXT
    }

    /// 256 to 32768.
    pub const fn window_bytes(self) -> usize {
        1 << self.window_bits()
    }

    /// Whether a message may refer to the text of earlier ones.
    pub const fn keeps_context(self) -> bool {
        self.0.get() & KEEPS_CONTEXT != 0
    }
}

/// The window sizes RFC 7692 7.1.2 knows.
pub const WINDOW_BITS: std::ops::RangeInclusive<u8> = 8..=15;

const KEEPS_CONTEXT: u8 = 0x80;

/// What a sync flush ends with. It is the same for every message, so it does not travel.
const TAIL: [u8; 4] = [0x00, 0x00, 0xff, 0xff];

#[cfg(test)]
mod naive;
#[cfg(test)]
mod tests;
