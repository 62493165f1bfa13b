//! What a connection holds while something of its stream is incomplete.
//!
//! Four things can be: a few bytes that are no whole header or control frame yet (the spill), the
//! payload of a data frame, the message it belongs to, and a compressed message that is all there
//! but not inflated. Control frames may come between the fragments of a message, so spill and
//! message can both be there; nothing else can be there together with what must end before it.

use super::assembly::{Assembly, OpenFrame};
use super::close::Violation;
use super::deflate::{Codec, Compression};
use super::frame::{Header, Kind, Opcode, Role, header_bytes_wanted, parse_header};
use super::inbound::{Found, Rules};
use super::inflation::Inflation;
use super::spill::Spill;

/// The state behind an [`super::inbound::Inbound`] that is not at a message boundary.
#[derive(Debug, Default)]
pub(super) struct Unfinished {
    /// A message whose last frame is not complete.
    message: Option<Assembly>,
    /// A data frame whose payload is not complete. `Some` implies that `message` is.
    frame: Option<OpenFrame>,
    /// Empty while `frame` is there.
    spill: Spill,
    /// A complete compressed message; while it is there, nothing else is. Boxed: few connections
    /// ever have one, and all that hold half a header would pay for it.
    inflation: Option<Box<Inflation>>,
    /// The caller's time at which it all began; no more than a number here.
    pub(super) begun_tick: Option<u32>,
}

// What a peer can make us hold by sending half a header.
const _: () = assert!(size_of::<Unfinished>() <= 224);

impl Unfinished {
    /// Whether nothing is left in here that anybody needs.
    pub(super) fn is_spent(&self) -> bool {
        !self.awaits_bytes() && self.inflation.is_none()
    }

    /// Whether the peer owes us the rest of something.
    pub(super) fn awaits_bytes(&self) -> bool {
        self.message.is_some() || !self.spill.is_spent()
    }

    /// Whether there is something to [resume](Self::resume) before a new frame can begin.
    pub(super) fn has_begun(&self) -> bool {
        self.frame.is_some() || !self.spill.is_empty() || self.inflation.is_some()
    }

    /// See [`super::inbound::Inbound::must_wait`].
    pub(super) fn must_wait(&self, codec: &Codec) -> bool {
        let inflation = self.inflation.as_ref();
        inflation.is_some_and(|inflation| inflation.must_wait(codec))
    }

    /// See [`super::inbound::Inbound::release_inflater`].
    pub(super) fn release_inflater(&mut self) {
        if let Some(inflation) = &mut self.inflation {
            inflation.release();
        }
    }

    pub(super) fn held_bytes(&self) -> usize {
        let message = self.message.as_ref();
        let inflation = self.inflation.as_ref();
        size_of::<Self>()
            + message.map_or(0, Assembly::held_bytes)
            + inflation.map_or(0, |inflation| inflation.held_bytes())
    }

    /// Goes on with what has begun.
    pub(super) fn resume(
        &mut self,
        rules: &Rules,
        link: &mut Compression,
        codec: &mut Codec,
        input: &mut [u8],
        at: &mut usize,
    ) -> Result<Option<Found>, Violation> {
        if let Some(inflation) = &mut self.inflation {
            let found = inflation.resume(rules, link, codec)?;
            if matches!(found, Found::Assembled(..)) {
                self.inflation = None;
            }
            Ok(Some(found))
        } else if !self.spill.is_empty() {
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
        let open = self.message.as_ref();
        let payload_max = if open.map_or(header.rsv1, Assembly::is_compressed) {
            compressed_bytes_max(rules.message_bytes_max)
        } else {
            rules.message_bytes_max
        };
        let room = payload_max.saturating_sub(open.map_or(0, Assembly::payload_len));
        if header.payload_len > room as u64 {
            return Err(Violation::MessageTooBig);
        }
        if let Some(message) = open
            && header.payload_len == 0
            && !header.fin
            && message.empty_fragments() >= rules.empty_fragments_max
        {
            return Err(Violation::TooManyEmptyFragments);
        }
        Ok(())
    }

    /// A data frame that [passed](Self::check_data_frame) begins; its payload is next.
    pub(super) fn begin_data_frame(&mut self, header: &Header) {
        self.message
            .get_or_insert_with(|| Assembly::new(header.opcode, header.rsv1))
            .begin_fragment(header);
        self.frame = Some(OpenFrame::new(header));
    }

    /// A compressed message that lies whole in the receive buffer: copied only if it cannot be
    /// inflated within this turn.
    pub(super) fn inflate_whole(
        &mut self,
        kind: Kind,
        compressed: &[u8],
        rules: &Rules,
        link: &mut Compression,
        codec: &mut Codec,
    ) -> Result<Option<Found>, Violation> {
        let mut inflation = Inflation::new(kind);
        let found = inflation.advance(compressed, rules, link, codec)?;
        if matches!(found, Found::Yield) {
            inflation.keep(compressed);
            self.inflation = Some(Box::new(inflation));
        }
        Ok(Some(found))
    }

    /// Keeps the beginning of a frame: less than a header, or less than a control frame.
    pub(super) fn spill(&mut self, bytes: &[u8]) {
        self.spill = Spill::default();
        self.spill.push(bytes);
    }

    /// Unmasks the spilled control frame and lends its payload until the next step.
    pub(super) fn deliver_control(&mut self, role: Role) -> Result<(Opcode, &[u8]), Violation> {
        self.spill.deliver_control(role)
    }

    /// Drops the control frame that the previous step lent.
    pub(super) fn forget_delivered(&mut self) {
        if self.spill.is_delivered() {
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
            if self.spill.len() == wanted {
                return Ok(Some(Found::SpilledControl));
            }
            if !self.spill.top_up(wanted, input, at) {
                // A length can be refused before the key behind it is there, and then it is: the
                // verdict must not depend on where the stream was cut.
                parse_header(self.spill.bytes(), rules.role)?;
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
        let taken = rest.len().min(frame.missing());
        *at += taken;
        message.take_chunk(&mut rest[..taken], frame)?;
        if frame.missing() > 0 {
            return Ok(Some(Found::Drained));
        }
        let fin = frame.fin;
        self.frame = None;
        if fin { self.finish_message() } else { Ok(None) }
    }

    /// The last frame is complete.
    fn finish_message(&mut self) -> Result<Option<Found>, Violation> {
        let message = self.message.take().expect("a message is open");
        let is_compressed = message.is_compressed();
        let (kind, bytes) = message.finish()?;
        if is_compressed {
            self.inflation = Some(Box::new(Inflation::of(kind, bytes)));
            return Ok(None);
        }
        Ok(Some(Found::Assembled(kind, bytes)))
    }
}

/// How long a message within the limit can be while it is compressed: bytes that do not compress
/// are stored with five more per block, and a block may be as small as a kilobyte.
const fn compressed_bytes_max(message_bytes_max: usize) -> usize {
    message_bytes_max.saturating_add(message_bytes_max / 128 + 64)
}
