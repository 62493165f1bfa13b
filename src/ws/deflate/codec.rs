//! The machinery of a worker: everything that compresses and inflates, shared by its connections.

use std::fmt;
use std::sync::Arc;

use zlib_rs::{Deflate, DeflateConfig as Parameters, DeflateFlush, Inflate};

use super::inflating::{INFLATER_BYTES, Inflating, Limits, OUTPUT_STEP_BYTES, Progress};
use super::{Compression, DeflateConfig, Half, TAIL};
use crate::ws::close::Violation;

/// What all connections of a worker share to compress and inflate.
pub struct Codec {
    config: DeflateConfig,
    /// By window bits, from [`ENGINE_BITS_MIN`]; made when first needed. What peers can make us
    /// allocate by asking for different windows ends here.
    deflaters: [Option<Deflate>; 7],
    /// The output of the last [`Codec::compress`].
    squeezed: Vec<u8>,
    /// Inflaters at rest.
    inflaters: Vec<Inflate>,
    /// Cloned into every [`Inflating`]: the count is right also when a connection dies with one.
    lease: Arc<()>,
    /// Where text is inflated to, before it is known how much it is.
    inflated: Vec<u8>,
    /// What is left of this turn's share.
    allowance: usize,
    /// The same for compressing; without bound until the first `refill`.
    squeeze_allowance: usize,
    /// Leases of inflaters that were held for more than a turn. They end with this turn: whoever
    /// gave one back may not take it again before those who have been waiting for it.
    resting: Vec<Arc<()>>,
}

impl Codec {
    /// The machinery for connections negotiated with `config`. Nothing big is allocated until used.
    pub fn new(config: &DeflateConfig) -> Self {
        Self {
            config: *config,
            deflaters: [const { None }; 7],
            squeezed: Vec::new(),
            inflaters: Vec::new(),
            lease: Arc::new(()),
            inflated: Vec::new(),
            allowance: 0,
            squeeze_allowance: usize::MAX,
            resting: Vec::new(),
        }
    }

    /// What it was made with, and what connections are to be negotiated with.
    pub fn config(&self) -> &DeflateConfig {
        &self.config
    }

    /// Memory of the machinery, lent inflaters included.
    pub fn held_bytes(&self) -> usize {
        let bits = (ENGINE_BITS_MIN..).zip(&self.deflaters);
        let made = bits.filter(|(_, deflater)| deflater.is_some());
        let inflaters = self.inflaters.len() + Arc::strong_count(&self.lease) - 1;
        made.map(|(bits, _)| deflater_bytes(bits)).sum::<usize>()
            + inflaters * INFLATER_BYTES
            + self.squeezed.capacity()
            + self.inflated.capacity()
    }

    /// Sets the share of a turn: how many bytes may be inflated until the next call, counted in
    /// output (input and block headers have their price in the same unit).
    pub fn refill(&mut self, bytes: usize) {
        self.allowance = bytes;
        self.squeeze_allowance = bytes;
        self.resting.clear();
    }

    /// Whether a payload of this length should be compressed for this connection.
    #[inline]
    pub fn worth_compressing(&self, link: &Compression, payload_len: usize) -> bool {
        link.agreed.is_some() && payload_len >= self.config.min_bytes
    }

    /// Compresses a message's payload for this connection. The bytes are what a frame with RSV1
    /// carries, and are ours until the next call.
    ///
    /// `None`: it would not get smaller, the turn's share is spent, or nothing is agreed; send it as
    /// it is.
    pub fn compress(&mut self, link: &mut Compression, payload: &[u8]) -> Option<&[u8]> {
        let ours = link.agreed?.ours;
        // Who sends thousands of tiny messages would have the worker reset a deflater for each:
        // past the turn's share they are answered plain, which is as good an answer.
        self.squeeze_allowance = self
            .squeeze_allowance
            .checked_sub(payload.len() + DEFLATER_RESET_BYTES)?;
        if !ours.keeps_context() {
            return self.compress_alone(ours, payload);
        }
        let history = link.sent();
        let length = self.squeeze(ours, history.text(), payload)?;
        history.remember(payload, ours.window_bytes());
        Some(&self.squeezed[..length])
    }

    /// Compresses a payload so that it stands for itself: the result is right for every connection
    /// whose [`Agreed::ours`](super::Agreed::ours) is `ours`, so a publication pays for it once.
    pub fn compress_alone(&mut self, ours: Half, payload: &[u8]) -> Option<&[u8]> {
        let length = self.squeeze(ours, &[], payload)?;
        Some(&self.squeezed[..length])
    }

    /// Inflates a message whose compressed payload is complete: `input`, the same at every call.
    /// The text is appended to `out`.
    ///
    /// [`Progress::Yield`] means that the turn's allowance is spent, or that no inflater is free:
    /// call again with the same arguments next turn. `ongoing` holds an inflater in between; drop it
    /// to give the message up.
    ///
    /// # Errors
    ///
    /// [`Violation::InflatedTooBig`] as soon as the text exceeds `message_bytes_max`,
    /// [`Violation::DeflateCorrupt`] if this is no DEFLATE stream or not a whole one.
    pub fn inflate(
        &mut self,
        link: &mut Compression,
        ongoing: &mut Option<Inflating>,
        input: &[u8],
        out: &mut Vec<u8>,
        message_bytes_max: usize,
    ) -> Result<Progress, Violation> {
        let agreed = link.agreed.ok_or(Violation::Rsv1WithoutExtension)?;
        let theirs = agreed.theirs;
        // Nothing is kept for a peer that promised to refer to nothing.
        let mut no_history = super::history::History::default();
        let history = if theirs.keeps_context() {
            link.received()
        } else {
            &mut no_history
        };
        if self.allowance == 0 {
            return Ok(Progress::Yield);
        }
        let resumed = ongoing.is_some();
        let Some(mut current) = ongoing
            .take()
            .or_else(|| self.begin(history.text(), out.len()))
        else {
            return Ok(Progress::Yield);
        };
        self.inflated.resize(OUTPUT_STEP_BYTES, 0);
        let limits = Limits {
            message_bytes_max,
            window_bytes: theirs.window_bytes(),
        };
        let (room, allowance) = (&mut self.inflated, &mut self.allowance);
        let progress = current.advance(&limits, history.text(), input, out, room, allowance);
        match progress {
            Ok(Progress::Yield) => *ongoing = Some(current),
            Ok(Progress::Done) => {
                if theirs.keeps_context() {
                    history.remember(current.text(out), theirs.window_bytes());
                }
                let (inflater, lease) = current.into_parts();
                self.inflaters.push(inflater);
                if resumed {
                    self.resting.push(lease);
                }
            }
            Err(_) => self.inflaters.push(current.into_parts().0),
        }
        progress
    }

    /// Lends an inflater, if one of [`DeflateConfig::inflaters_max`] is free.
    fn begin(&mut self, history: &[u8], text_at: usize) -> Option<Inflating> {
        if !self.has_inflater() {
            return None;
        }
        let inflater = self.inflaters.pop();
        Some(Inflating::begin(
            inflater,
            self.lease.clone(),
            history,
            text_at,
        ))
    }

    fn has_inflater(&self) -> bool {
        Arc::strong_count(&self.lease) - 1 < self.config.inflaters_max.max(1)
    }

    /// Whether [`Codec::inflate`] would yield at once, to one that has an inflater already or not.
    pub(in crate::ws) fn would_yield(&self, has_inflater: bool) -> bool {
        self.allowance == 0 || !(has_inflater || self.has_inflater())
    }

    /// Deflates into `squeezed`; says how many bytes if that is fewer than `payload` has.
    fn squeeze(&mut self, ours: Half, history: &[u8], payload: &[u8]) -> Option<usize> {
        let room_len = squeezed_bytes_max(payload.len());
        if self.squeezed.len() < room_len || self.squeezed.len() > SQUEEZED_KEPT_BYTES_MAX {
            self.squeezed.truncate(SQUEEZED_KEPT_BYTES_MAX);
            self.squeezed.shrink_to_fit();
            self.squeezed.resize(room_len.max(self.squeezed.len()), 0);
        }
        let room = &mut self.squeezed[..room_len];
        let bits = engine_bits(ours.window_bits());
        let slot = &mut self.deflaters[usize::from(bits - ENGINE_BITS_MIN)];
        let level = self.config.level;
        // Out of its slot while it works: neither an error nor a panic leaves a half-used one there.
        let mut deflater = slot.take().unwrap_or_else(|| new_deflater(bits, level));
        deflater.reset();
        if !history.is_empty() {
            deflater.set_dictionary(history).ok()?;
        }
        deflater
            .compress(payload, room, DeflateFlush::SyncFlush)
            .ok()?;
        let written = deflater.total_out() as usize;
        if deflater.total_in() < payload.len() as u64 || written == room_len {
            // Out of room after all: not to be reused (see `squeezed_bytes_max`).
            return None;
        }
        *slot = Some(deflater);
        let length = room[..written].strip_suffix(&TAIL)?.len();
        (length < payload.len()).then_some(length)
    }
}

/// Room in which any payload's stream ends: a literal costs at most 9 bits, a stored block 5 bytes
/// per 16 KiB, the flush 6 bytes.
///
/// Less would do to find out that nothing is gained, but `zlib-rs` 0.6 does not forget output it
/// had no room for: `reset` leaves its read position in the pending buffer, and the next long
/// message runs over the end of that buffer and panics.
const fn squeezed_bytes_max(payload_len: usize) -> usize {
    payload_len + payload_len / 8 + 64
}

impl Default for Codec {
    fn default() -> Self {
        Self::new(&DeflateConfig::default())
    }
}

impl fmt::Debug for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Codec")
            .field("config", &self.config)
            .field("deflaters", &self.deflaters.iter().flatten().count())
            .field("inflaters", &self.inflaters.len())
            .field("lent", &(Arc::strong_count(&self.lease) - 1))
            .field("allowance", &self.allowance)
            .finish_non_exhaustive()
    }
}

/// Bytes of one deflater with this window, as `zlib-rs` allocates it: state, two windows of text,
/// a window of 16-bit links, 64 Ki 16-bit heads, 7 x 16 Ki for symbols and output.
pub const fn deflater_bytes(window_bits: u8) -> usize {
    DEFLATER_FIXED_BYTES + (4 << engine_bits(window_bits))
}

/// What starting a deflater over costs, in bytes compressed: about 10 us against 1 GB/s.
const DEFLATER_RESET_BYTES: usize = 8 << 10;

fn new_deflater(bits: u8, level: u8) -> Deflate {
    Deflate::new_with_config(Parameters {
        level: i32::from(level.clamp(1, 9)),
        window_bits: -i32::from(bits), // negative: no zlib header around it
        ..Parameters::default()
    })
}

/// The window the engine is made with.
///
/// A raw stream with an 8-bit window is refused by zlib (its own 256-byte window is broken). But an
/// engine with a window of W never refers back further than W - 262, the longest match and its
/// lookahead: with 9 bits that is 250 bytes, so a 256-byte window inflates it. Tested against an
/// inflater that refuses longer distances.
const fn engine_bits(window_bits: u8) -> u8 {
    if window_bits < ENGINE_BITS_MIN {
        ENGINE_BITS_MIN
    } else {
        window_bits
    }
}

const ENGINE_BITS_MIN: u8 = 9;

/// 128 KiB of heads, 112 KiB of symbols and output, and the state.
const DEFLATER_FIXED_BYTES: usize = (128 << 10) + (112 << 10) + 3200;

/// A bigger output buffer than this is not kept for the next message.
const SQUEEZED_KEPT_BYTES_MAX: usize = 64 << 10;
