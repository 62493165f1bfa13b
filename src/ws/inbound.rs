//! The receiving half of a connection: bytes in, steps out.
//!
//! ```text
//!                       whole frame, nothing unfinished: unmasked where it lies
//!   receive buffer ---+----------------------------------------------------> Step (borrows it)
//!   (the worker's)    |
//!                     +--> spill: half a header, half a control frame -----> Step (borrows spill)
//!                     |
//!                     +--> message: payload of fragments, of half a frame -> Step (moved out)
//!                             |  compressed                                    ^
//!                             +-----------------> inflated --------------------+
//! ```
//!
//! Between messages an [`Inbound`] is one null pointer. What it owns in between is in
//! `Unfinished`; how much that may be is bounded by [`Rules`] and by what has arrived.

use super::close::{CloseCode, Violation, parse_close};
use super::deflate::{Codec, Compression};
use super::frame::{Header, Kind, Opcode, Role, parse_header};
use super::mask::{unmask, unmask_ascii};
use super::message::Message;
use super::unfinished::Unfinished;
use super::utf8::Utf8Stream;
pub use super::whole::Whole;

/// What a worker asks of all its peers.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// Which end we are.
    pub role: Role,
    /// The largest message, after reassembly and inflating.
    pub message_bytes_max: usize,
    /// How many fragments of one message may be empty. Others are bounded by their bytes; these
    /// would cost a header each forever.
    pub empty_fragments_max: u32,
}

/// The receiving state of one connection.
#[derive(Debug, Default)]
pub struct Inbound {
    unfinished: Option<Box<Unfinished>>,
}

const _: () = assert!(size_of::<Inbound>() == 8);

/// What one call of [`Inbound::step`] came to.
#[derive(Debug)]
pub enum Step<'b> {
    /// All input is consumed.
    Drained,
    /// This turn's share of inflating is spent: call again next turn with the same input.
    Yield,
    /// A whole message.
    Message(Message<'b>),
    /// Answer with a Pong that carries the same payload.
    Ping(&'b [u8]),
    /// An answer to our Ping, or unsolicited.
    Pong(&'b [u8]),
    /// The peer's last frame: whatever follows is not to be read.
    Close(Option<(CloseCode, &'b str)>),
}

impl Inbound {
    /// At a message boundary, nothing held.
    #[must_use]
    pub const fn new() -> Self {
        Self { unfinished: None }
    }

    /// Whether nothing is unfinished.
    #[inline]
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.unfinished.as_ref().is_none_or(|held| held.is_spent())
    }

    /// Whether the peer has begun a frame or message and not completed it: its time budget runs.
    ///
    /// A message that is all there and waits for us to inflate it is not counted.
    #[inline]
    #[must_use]
    pub fn is_mid_message(&self) -> bool {
        self.unfinished
            .as_ref()
            .is_some_and(|held| held.awaits_bytes())
    }

    /// When what [the peer owes us the rest of](Self::is_mid_message) began, as the caller
    /// [noted](Self::note_begun). `None` if it owes nothing, or it was not noted yet.
    #[inline]
    #[must_use]
    pub fn begun_tick(&self) -> Option<u32> {
        let held = self.unfinished.as_ref().filter(|held| held.awaits_bytes());
        held.and_then(|held| held.begun_tick)
    }

    /// Notes the time (the caller's, in whatever unit) at which what is unfinished began. The
    /// first note counts, until all is finished.
    #[inline]
    pub fn note_begun(&mut self, tick: u32) {
        if let Some(held) = &mut self.unfinished {
            held.begun_tick.get_or_insert(tick);
        }
    }

    /// Whether a step could only [yield](Step::Yield): a message waits to be inflated, and the
    /// turn's allowance is spent or every inflater is lent.
    #[must_use]
    pub fn must_wait(&self, codec: &Codec) -> bool {
        let held = self.unfinished.as_ref();
        held.is_some_and(|held| held.must_wait(codec))
    }

    /// Gives back the worker's inflater, if a message is being inflated. For a caller that will
    /// not take the next step soon: the inflaters are few. The message starts anew when it does.
    pub fn release_inflater(&mut self) {
        if let Some(held) = &mut self.unfinished {
            held.release_inflater();
        }
    }

    /// Bytes of memory this connection holds on to because of what is unfinished.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.unfinished.as_ref().map_or(0, |held| held.held_bytes())
    }

    /// The whole, plain message at the start of `bytes`, if that is what stands there and nothing
    /// is unfinished: the usual case, for callers that want it inlined. [`Whole::take`] it.
    #[inline(always)]
    pub fn whole(&self, rules: &Rules, bytes: &[u8]) -> Option<Whole> {
        match self.unfinished {
            None => Whole::find(rules, bytes),
            Some(_) => None,
        }
    }

    /// Takes one step over `input[*at..]` and advances `at`.
    ///
    /// Call it until it says [`Step::Drained`] (all is consumed; whatever is incomplete was copied
    /// into `self`) or [`Step::Yield`]. Fragments do not make steps, so one call may consume a lot
    /// of input, but never looks at a byte more than a fixed number of times. The bytes of a frame,
    /// header included, are ours to overwrite; those before it are not touched.
    ///
    /// After an error or a [`Step::Close`] the stream has no meaning any more: do not call again.
    ///
    /// # Errors
    ///
    /// Whatever the peer did wrong, as soon as the bytes that prove it are there.
    #[inline]
    pub fn step<'b>(
        &'b mut self,
        rules: &Rules,
        link: &mut Compression,
        codec: &mut Codec,
        input: &'b mut [u8],
        at: &mut usize,
    ) -> Result<Step<'b>, Violation> {
        if self.unfinished.is_none() {
            if let Some(header) = whole_frame(rules, &input[*at..]) {
                return match message_kind(&header) {
                    Some(kind) => take_message(&header, kind, input, at),
                    None => take_control(&header, input, at),
                };
            }
            if *at == input.len() {
                return Ok(Step::Drained);
            }
        }
        self.step_slowly(rules, link, codec, input, at)
    }

    /// Everything but a whole frame on a connection that holds nothing.
    #[inline(never)]
    fn step_slowly<'b>(
        &'b mut self,
        rules: &Rules,
        link: &mut Compression,
        codec: &mut Codec,
        input: &'b mut [u8],
        at: &mut usize,
    ) -> Result<Step<'b>, Violation> {
        self.forget_delivered();
        // Every turn of the loop consumes input or ends it.
        let found = loop {
            if let Some(found) = self.advance(rules, link, codec, input, at)? {
                break found;
            }
        };
        self.deliver(found, rules, input, at)
    }

    /// One frame, or what there is of one. `None`: nothing to tell yet, go on.
    fn advance(
        &mut self,
        rules: &Rules,
        link: &mut Compression,
        codec: &mut Codec,
        input: &mut [u8],
        at: &mut usize,
    ) -> Result<Option<Found>, Violation> {
        match &mut self.unfinished {
            Some(held) if held.has_begun() => held.resume(rules, link, codec, input, at),
            _ => self.begin_frame(rules, link, codec, input, at),
        }
    }

    /// A frame starts at `input[*at]`.
    fn begin_frame(
        &mut self,
        rules: &Rules,
        link: &mut Compression,
        codec: &mut Codec,
        input: &mut [u8],
        at: &mut usize,
    ) -> Result<Option<Found>, Violation> {
        let rest = &input[*at..];
        if rest.is_empty() {
            return Ok(Some(Found::Drained));
        }
        let Some(header) = parse_header(rest, rules.role)? else {
            return Ok(Some(self.spill(rest, at)));
        };
        let is_whole = is_whole(&header, rest);
        if header.opcode.is_control() {
            return Ok(Some(if is_whole {
                Found::Control(header)
            } else {
                self.spill(rest, at)
            }));
        }
        let held = self.unfinished.get_or_insert_default();
        held.check_data_frame(&header, rules, link)?;
        match message_kind(&header) {
            Some(kind) if is_whole && !header.rsv1 => return Ok(Some(Found::Whole(header, kind))),
            Some(kind) if is_whole => {
                let compressed = unmask_whole(&header, input, at);
                return held.inflate_whole(kind, compressed, rules, link, codec);
            }
            _ => {}
        }
        *at += usize::from(header.header_len);
        held.begin_data_frame(&header);
        Ok(None)
    }

    /// Keeps half a header or half a control frame.
    fn spill(&mut self, rest: &[u8], at: &mut usize) -> Found {
        *at += rest.len();
        self.unfinished.get_or_insert_default().spill(rest);
        Found::Drained
    }

    /// Makes the step of what was found; only here something is lent to the caller.
    fn deliver<'b>(
        &'b mut self,
        found: Found,
        rules: &Rules,
        input: &'b mut [u8],
        at: &mut usize,
    ) -> Result<Step<'b>, Violation> {
        match found {
            Found::Drained => {
                self.forget_delivered();
                Ok(Step::Drained)
            }
            Found::Yield => Ok(Step::Yield),
            Found::Whole(header, kind) => {
                self.forget_delivered();
                take_message(&header, kind, input, at)
            }
            Found::Assembled(kind, buffer) => {
                self.forget_delivered();
                Ok(Step::Message(Message::owned(kind, buffer)))
            }
            Found::Control(header) => take_control(&header, input, at),
            Found::SpilledControl => {
                let held = self
                    .unfinished
                    .as_mut()
                    .expect("a control frame is spilled");
                let (opcode, payload) = held.deliver_control(rules.role)?;
                control_step(opcode, payload)
            }
        }
    }

    /// Back to a null pointer once nothing is left in the box.
    fn forget_delivered(&mut self) {
        if let Some(held) = &mut self.unfinished {
            held.forget_delivered();
            if held.is_spent() {
                self.unfinished = None;
            }
        }
    }
}

/// What [`Inbound::advance`] found, before anything is borrowed for the caller.
#[derive(Debug)]
pub(super) enum Found {
    Drained,
    Yield,
    /// A whole uncompressed message in one frame at `input[*at]`.
    Whole(Header, Kind),
    /// A whole control frame at `input[*at]`.
    Control(Header),
    /// A control frame was completed in the spill.
    SpilledControl,
    /// A message in a buffer of its own.
    Assembled(Kind, Vec<u8>),
}

/// The header of a frame that stands for itself, all there, plain and within the limit: a control
/// frame or a whole message.
///
/// Says no to everything else, broken frames included: the slow path then finds out why.
#[inline]
fn whole_frame(rules: &Rules, rest: &[u8]) -> Option<Header> {
    let header = parse_header(rest, rules.role).ok()??;
    let is_alone = header.fin && !header.rsv1 && header.opcode != Opcode::Continuation;
    let is_small = header.payload_len <= rules.message_bytes_max as u64;
    (is_alone && is_small && is_whole(&header, rest)).then_some(header)
}

/// The kind of the message if this one frame can be all of it, as far as the header tells.
#[inline]
fn message_kind(header: &Header) -> Option<Kind> {
    match header.opcode {
        Opcode::Text if header.fin => Some(Kind::Text),
        Opcode::Binary if header.fin => Some(Kind::Binary),
        _ => None,
    }
}

/// Whether the frame at the start of `rest` ends in it.
#[inline]
fn is_whole(header: &Header, rest: &[u8]) -> bool {
    header.payload_len <= (rest.len() - usize::from(header.header_len)) as u64
}

/// Unmasks and validates the frame at `input[*at]`, which [`is_whole`], where it lies.
#[inline]
fn take_message<'b>(
    header: &Header,
    kind: Kind,
    input: &'b mut [u8],
    at: &mut usize,
) -> Result<Step<'b>, Violation> {
    let frame_start = *at;
    let start = frame_start + usize::from(header.header_len);
    let end = start + header.payload_len as usize;
    *at = end;
    let payload = &mut input[start..end];
    match (kind, header.key) {
        (Kind::Binary, Some(key)) => unmask(payload, key),
        (Kind::Binary, None) => {}
        (Kind::Text, Some(key)) => {
            if !unmask_ascii(payload, key, 0) {
                validate(payload)?;
            }
        }
        (Kind::Text, None) => validate(payload)?,
    }
    let message = Message::in_place(kind, input, frame_start, start, end);
    Ok(Step::Message(message))
}

/// Unmasks the control frame at `input[*at]`, which [`is_whole`], where it lies.
fn take_control<'b>(
    header: &Header,
    input: &'b mut [u8],
    at: &mut usize,
) -> Result<Step<'b>, Violation> {
    let payload = unmask_whole(header, input, at);
    control_step(header.opcode, payload)
}

/// Unmasks the frame at `input[*at]`, which [`is_whole`], where it lies; its payload.
fn unmask_whole<'b>(header: &Header, input: &'b mut [u8], at: &mut usize) -> &'b [u8] {
    let start = *at + usize::from(header.header_len);
    let end = start + header.payload_len as usize;
    *at = end;
    let payload = &mut input[start..end];
    if let Some(key) = header.key {
        unmask(payload, key);
    }
    payload
}

fn control_step(opcode: Opcode, payload: &[u8]) -> Result<Step<'_>, Violation> {
    Ok(match opcode {
        Opcode::Ping => Step::Ping(payload),
        Opcode::Pong => Step::Pong(payload),
        _ => Step::Close(parse_close(payload)?),
    })
}

/// A whole text at once.
pub(super) fn validate(text: &[u8]) -> Result<(), Violation> {
    let mut utf8 = Utf8Stream::new();
    utf8.feed(text)?;
    utf8.finish()
}

#[cfg(test)]
mod tests;
