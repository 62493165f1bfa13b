//! What a connection holds while something of its stream is incomplete.
//!
//! Three things can be: a few bytes that are no whole header or control frame yet (the spill), the
//! payload of a data frame, and the message it belongs to. Control frames may come between the
//! fragments of a message, so spill and message can both be there; spill and open frame cannot.

use super::close::Violation;
use super::deflate::Compression;
use super::frame::{
    CONTROL_PAYLOAD_MAX, HEADROOM, Header, Kind, Opcode, Role, header_bytes_wanted, parse_header,
};
use super::inbound::{Found, Rules};
use super::mask::{unmask, unmask_ascii};
use super::utf8::Utf8Stream;

/// The state behind an [`super::inbound::Inbound`] that is not at a message boundary.
#[derive(Debug, Default)]
pub(super) struct Unfinished {
    /// A message whose last frame is not complete.
    message: Option<Assembly>,
    /// A data frame whose payload is not complete. `Some` implies that `message` is.
    frame: Option<OpenFrame>,
    /// Empty while `frame` is there.
    spill: Spill,
}

impl Unfinished {
    /// Whether nothing is left in here that anybody needs.
    pub(super) fn is_spent(&self) -> bool {
        self.message.is_none() && (self.spill.len == 0 || self.spill.delivered)
    }

    /// Whether the next byte belongs to a frame that has begun.
    pub(super) fn is_mid_frame(&self) -> bool {
        self.frame.is_some() || self.spill.len > 0
    }

    pub(super) fn held_bytes(&self) -> usize {
        let message = self.message.as_ref();
        size_of::<Self>() + message.map_or(0, |message| message.bytes.capacity())
    }

    /// Goes on with the frame that has begun.
    pub(super) fn resume(
        &mut self,
        rules: &Rules,
        link: &Compression,
        input: &mut [u8],
        at: &mut usize,
    ) -> Result<Option<Found>, Violation> {
        if self.spill.len > 0 {
            self.resume_spill(rules, link, input, at)
        } else {
            self.resume_payload(input, at)
        }
    }

    /// The rules that need to know what came before, for a data frame that is about to begin.
    pub(super) fn check_data_frame(
        &self,
        header: &Header,
        rules: &Rules,
        link: &Compression,
    ) -> Result<(), Violation> {
        let is_first = header.opcode != Opcode::Continuation;
        match &self.message {
            None if !is_first => return Err(Violation::ContinuationWithoutStart),
            Some(_) if is_first => return Err(Violation::MessageInsideMessage),
            Some(_) if header.rsv1 => return Err(Violation::Rsv1OnContinuation),
            None if header.rsv1 && link.agreed.is_none() => {
                return Err(Violation::Rsv1WithoutExtension);
            }
            _ => {}
        }
        let assembled = self.message.as_ref().map_or(0, Assembly::payload_len);
        let room = rules.message_bytes_max.saturating_sub(assembled);
        if header.payload_len > room as u64 {
            return Err(Violation::MessageTooBig);
        }
        if let Some(message) = &self.message
            && header.payload_len == 0
            && !header.fin
            && message.empty_fragments >= rules.empty_fragments_max
        {
            return Err(Violation::TooManyEmptyFragments);
        }
        Ok(())
    }

    /// A data frame that [passed](Self::check_data_frame) begins; its payload is next.
    pub(super) fn begin_data_frame(&mut self, header: &Header) {
        let message = self
            .message
            .get_or_insert_with(|| Assembly::new(header.opcode, header.rsv1));
        if header.payload_len == 0 {
            message.empty_fragments += 1;
        }
        self.frame = Some(OpenFrame {
            fin: header.fin,
            key: header.key,
            payload_len: header.payload_len as usize,
            received: 0,
        });
    }

    /// Keeps the beginning of a frame: less than a header, or less than a control frame.
    pub(super) fn spill(&mut self, bytes: &[u8]) {
        self.spill = Spill::default();
        self.spill.push(bytes);
    }

    /// Unmasks the spilled control frame and lends its payload until the next step.
    pub(super) fn deliver_control(&mut self, role: Role) -> Result<(Opcode, &[u8]), Violation> {
        let header = parse_header(self.spill.bytes(), role)?.expect("the spilled frame is whole");
        self.spill.delivered = true;
        let payload = &mut self.spill.bytes[usize::from(header.header_len)..self.spill.len];
        if let Some(key) = header.key {
            unmask(payload, key);
        }
        Ok((header.opcode, payload))
    }

    /// Drops the control frame that the previous step lent.
    pub(super) fn forget_delivered(&mut self) {
        if self.spill.delivered {
            self.spill = Spill::default();
        }
    }

    /// Tops the spill up to what its frame needs next: length, whole header, control payload.
    fn resume_spill(
        &mut self,
        rules: &Rules,
        link: &Compression,
        input: &[u8],
        at: &mut usize,
    ) -> Result<Option<Found>, Violation> {
        loop {
            let wanted = match parse_header(self.spill.bytes(), rules.role)? {
                None => header_bytes_wanted(self.spill.bytes()),
                Some(header) if header.opcode.is_control() => {
                    usize::from(header.header_len) + header.payload_len as usize
                }
                Some(header) => {
                    self.check_data_frame(&header, rules, link)?;
                    self.spill = Spill::default();
                    self.begin_data_frame(&header);
                    return Ok(None);
                }
            };
            let missing = wanted - self.spill.len;
            if missing == 0 {
                return Ok(Some(Found::SpilledControl));
            }
            let rest = &input[*at..];
            let taken = &rest[..missing.min(rest.len())];
            self.spill.push(taken);
            *at += taken.len();
            if taken.len() < missing {
                return Ok(Some(Found::Drained));
            }
        }
    }

    /// Takes what there is of the open frame's payload.
    fn resume_payload(
        &mut self,
        input: &mut [u8],
        at: &mut usize,
    ) -> Result<Option<Found>, Violation> {
        let (Some(frame), Some(message)) = (&mut self.frame, &mut self.message) else {
            unreachable!("a frame is open, so its message is");
        };
        let rest = &mut input[*at..];
        let taken = rest.len().min(frame.payload_len - frame.received);
        message.take_chunk(&mut rest[..taken], frame)?;
        *at += taken;
        frame.received += taken;
        if frame.received < frame.payload_len {
            return Ok(Some(Found::Drained));
        }
        let fin = frame.fin;
        self.frame = None;
        if fin { self.finish_message() } else { Ok(None) }
    }

    /// The last frame is complete.
    fn finish_message(&mut self) -> Result<Option<Found>, Violation> {
        let message = self.message.take().expect("a message is open");
        message.utf8.finish()?;
        Ok(Some(Found::Assembled(message.kind, message.bytes)))
    }
}

/// A message that is being put together.
#[derive(Debug)]
struct Assembly {
    kind: Kind,
    is_compressed: bool,
    /// Only of uncompressed text.
    utf8: Utf8Stream,
    empty_fragments: u32,
    /// [`HEADROOM`] bytes, then the payload so far: it leaves as a reply's buffer.
    bytes: Vec<u8>,
}

impl Assembly {
    fn new(opcode: Opcode, is_compressed: bool) -> Self {
        Self {
            kind: if opcode == Opcode::Text {
                Kind::Text
            } else {
                Kind::Binary
            },
            is_compressed,
            utf8: Utf8Stream::new(),
            empty_fragments: 0,
            bytes: vec![0; HEADROOM],
        }
    }

    fn payload_len(&self) -> usize {
        self.bytes.len() - HEADROOM
    }

    /// Unmasks, validates and appends the next piece of `frame`'s payload.
    fn take_chunk(&mut self, chunk: &mut [u8], frame: &OpenFrame) -> Result<(), Violation> {
        let is_ascii = match frame.key {
            Some(key) => unmask_ascii(chunk, key, frame.received),
            None => false,
        };
        let is_text = self.kind == Kind::Text && !self.is_compressed;
        if is_text && !(is_ascii && self.utf8.is_at_boundary()) {
            self.utf8.feed(chunk)?;
        }
        self.make_room(chunk.len(), frame);
        self.bytes.extend_from_slice(chunk);
        Ok(())
    }

    /// Allocates for what has arrived, at most twice over: a declared length is only a promise.
    fn make_room(&mut self, chunk_len: usize, frame: &OpenFrame) {
        let needed = self.bytes.len() + chunk_len;
        if needed <= self.bytes.capacity() {
            return;
        }
        let mut wanted = 2 * needed;
        if frame.fin {
            // The end is known: no byte beyond it will ever be needed.
            wanted = wanted.min(needed + frame.payload_len - frame.received - chunk_len);
        }
        self.bytes.reserve_exact(wanted - self.bytes.len());
    }
}

/// A data frame whose header is read and whose payload is not.
#[derive(Debug)]
struct OpenFrame {
    fin: bool,
    key: Option<[u8; 4]>,
    payload_len: usize,
    /// `received <= payload_len`; also the phase of the mask.
    received: usize,
}

/// The beginning of a frame, as received.
#[derive(Debug)]
struct Spill {
    bytes: [u8; SPILL_BYTES_MAX],
    /// `len <= SPILL_BYTES_MAX`
    len: usize,
    /// A whole control frame that the previous step lent to the caller.
    delivered: bool,
}

/// The longest control frame; every header is shorter.
const SPILL_BYTES_MAX: usize = 2 + 4 + CONTROL_PAYLOAD_MAX;

impl Default for Spill {
    fn default() -> Self {
        Self {
            bytes: [0; SPILL_BYTES_MAX],
            len: 0,
            delivered: false,
        }
    }
}

impl Spill {
    fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    fn push(&mut self, bytes: &[u8]) {
        self.bytes[self.len..self.len + bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len();
    }
}
