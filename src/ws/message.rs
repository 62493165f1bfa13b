//! A received message, and the frame that can be made of it without copying it.
//!
//! A payload lies where it was unmasked: in the caller's receive buffer, or in a vector of its own
//! if it arrived in pieces or was inflated. Both have room in front of it, so the header of a reply
//! that carries the same payload goes right there and the reply is one contiguous piece.

use super::frame::{self, HEADROOM, Kind, Opcode};
use super::mask;

/// A whole data message.
#[derive(Debug)]
pub struct Message<'b> {
    kind: Kind,
    body: Body<'b>,
}

/// A finished frame, ready to be sent.
#[derive(Debug, PartialEq, Eq)]
pub enum Framed {
    /// It lies in the buffer that was given to [`super::inbound::Inbound::step`].
    InPlace {
        /// Where it begins in that buffer.
        start: usize,
        /// Where it ends in that buffer.
        end: usize,
    },
    /// It has a buffer of its own.
    Owned {
        /// The frame is `buffer[start..]`.
        buffer: Vec<u8>,
        /// See `buffer`.
        start: usize,
    },
}

#[derive(Debug)]
enum Body<'b> {
    /// `input[start..end]`, its received header at `input[frame_start..start]`.
    InPlace {
        input: &'b mut [u8],
        frame_start: usize,
        start: usize,
        end: usize,
    },
    /// `buffer[HEADROOM..]`.
    Owned(Vec<u8>),
}

impl<'b> Message<'b> {
    #[inline]
    pub(super) const fn in_place(
        kind: Kind,
        input: &'b mut [u8],
        frame_start: usize,
        start: usize,
        end: usize,
    ) -> Self {
        let body = Body::InPlace {
            input,
            frame_start,
            start,
            end,
        };
        Self { kind, body }
    }

    /// The payload is what `buffer` holds after its first [`HEADROOM`] bytes.
    pub(super) fn owned(kind: Kind, buffer: Vec<u8>) -> Self {
        debug_assert!(buffer.len() >= HEADROOM);
        let body = Body::Owned(buffer);
        Self { kind, body }
    }

    /// The payload of a text message. Looked at again, because a promise that text is UTF-8 would be
    /// kept by `unsafe` only; that is a fraction of a nanosecond per byte.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match self.kind {
            Kind::Text => simdutf8::basic::from_utf8(self.payload()).ok(),
            Kind::Binary => None,
        }
    }

    /// Text or binary.
    #[inline]
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// The payload; valid UTF-8 if the message is text.
    #[inline]
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        match &self.body {
            Body::InPlace {
                input, start, end, ..
            } => &input[*start..*end],
            Body::Owned(buffer) => &buffer[HEADROOM..],
        }
    }

    /// Bytes of payload.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        match &self.body {
            Body::InPlace { start, end, .. } => end - start,
            Body::Owned(buffer) => buffer.len() - HEADROOM,
        }
    }

    /// Whether the payload is empty.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Makes one uncompressed frame of the message: same kind, same payload, masked if a key is
    /// given.
    ///
    /// A frame in place never reaches below the header it arrived with, because the bytes before
    /// may be the reply to the previous message, not sent yet. An unmasked header is always shorter
    /// than the masked one it replaces, so a server copies nothing. A client that sends back what
    /// it received needs four bytes more than there are, and gets a copy.
    #[inline(always)]
    #[must_use]
    pub fn into_frame(self, key: Option<[u8; 4]>) -> Framed {
        let header_len = frame::header_len(self.len(), key.is_some());
        let opcode = Opcode::from(self.kind);
        match self.body {
            Body::InPlace {
                input,
                frame_start,
                start,
                end,
            } if start - frame_start >= header_len => {
                let frame_start = start - header_len;
                finish(&mut input[frame_start..end], header_len, opcode, key);
                Framed::InPlace {
                    start: frame_start,
                    end,
                }
            }
            Body::InPlace {
                input, start, end, ..
            } => copy_framed(&input[start..end], opcode, key),
            Body::Owned(mut buffer) => {
                let start = HEADROOM - header_len;
                finish(&mut buffer[start..], header_len, opcode, key);
                Framed::Owned { buffer, start }
            }
        }
    }
}

/// Writes the header in front of the payload that already stands in `frame`, and masks it.
#[inline]
fn finish(frame: &mut [u8], header_len: usize, opcode: Opcode, key: Option<[u8; 4]>) {
    let payload_len = frame.len() - header_len;
    frame::write_header(frame, true, false, opcode, key, payload_len);
    if let Some(key) = key {
        mask::unmask(&mut frame[header_len..], key);
    }
}

#[cold]
fn copy_framed(payload: &[u8], opcode: Opcode, key: Option<[u8; 4]>) -> Framed {
    let mut buffer = Vec::new();
    frame::append_frame(&mut buffer, opcode, false, key, payload);
    Framed::Owned { buffer, start: 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_replies_where_the_message_lies() {
        // A masked header is 6 bytes, the reply's is 2: the 4 between stay as they were.
        let mut input = *b"earlier!MASKEDhello";
        let message = Message::in_place(Kind::Text, &mut input, 8, 14, 19);
        assert_eq!((message.len(), message.payload()), (5, &b"hello"[..]));
        let framed = message.into_frame(None);
        assert_eq!(framed, Framed::InPlace { start: 12, end: 19 });
        assert_eq!(input, *b"earlier!MASK\x81\x05hello");
    }

    #[test]
    fn a_client_does_not_reach_into_the_frame_before() {
        let mut input = *b"earlier!..hello";
        let message = Message::in_place(Kind::Binary, &mut input, 8, 10, 15);
        let Framed::Owned { buffer, start } = message.into_frame(Some([0; 4])) else {
            panic!("there is no room in place");
        };
        assert_eq!(buffer[start..], *b"\x82\x85\0\0\0\0hello");
        assert_eq!(input, *b"earlier!..hello");
    }

    #[test]
    fn what_was_assembled_has_room_for_any_header() {
        for (payload_len, key) in [(0, None), (70_000, None), (70_000, Some([0; 4]))] {
            let buffer = vec![7; HEADROOM + payload_len];
            let Framed::Owned { buffer, start } =
                Message::owned(Kind::Binary, buffer).into_frame(key)
            else {
                panic!("it has a buffer of its own");
            };
            let header_len = frame::header_len(payload_len, key.is_some());
            assert_eq!(start, HEADROOM - header_len);
            assert_eq!(buffer.len() - start, header_len + payload_len);
        }
    }
}
