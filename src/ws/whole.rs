//! The usual frame: one plain message, all of it there, nothing unfinished before it.
//!
//! Nine of ten frames are that, so they have a path of their own that a caller can inline: two
//! header bytes looked at together, the unmasking, and no state touched. Everything else, and
//! everything wrong, is answered with `None` and left to [`super::inbound::Inbound::step`], which
//! takes these frames too (a test holds the two against each other).

use super::close::Violation;
use super::frame::{Kind, Role};
use super::inbound::{Rules, validate};
use super::mask::{unmask, unmask_ascii};
use super::message::Message;

/// Where the message lies in the bytes it was found in.
#[derive(Clone, Copy, Debug)]
pub struct Whole {
    kind: Kind,
    header_len: usize,
    payload_len: usize,
    /// All zero (and not applied) if we are the client.
    key: [u8; 4],
}

impl Whole {
    /// The usual frame at the start of `bytes`, if it is one.
    #[inline(always)]
    pub(super) fn find(rules: &Rules, bytes: &[u8]) -> Option<Self> {
        let &[first, second, ..] = bytes else {
            return None;
        };
        let kind = match first {
            FIN_TEXT => Kind::Text,
            FIN_BINARY => Kind::Binary,
            _ => return None,
        };
        let expected_mask = if rules.role == Role::Server {
            MASKED
        } else {
            0
        };
        // With the right mask bit, what is left is the length; a wrong one leaves more than that.
        let (payload_len, length_end) = match second ^ expected_mask {
            short @ 0..=125 => (usize::from(short), 2),
            126 => match bytes {
                &[_, _, high, low, ..] if high > 0 || low > 125 => {
                    (usize::from(u16::from_be_bytes([high, low])), 4)
                }
                _ => return None,
            },
            _ => return None,
        };
        let (key, header_len) = match rules.role {
            Role::Server => (*bytes.get(length_end..)?.first_chunk()?, length_end + 4),
            Role::Client => ([0; 4], length_end),
        };
        let fits = header_len + payload_len <= bytes.len();
        (fits && payload_len <= rules.message_bytes_max).then_some(Self {
            kind,
            header_len,
            payload_len,
            key,
        })
    }

    /// Unmasks and validates it where it lies: at `input[*at]`, where it was found.
    ///
    /// # Errors
    ///
    /// [`Violation::TextNotUtf8`], the only thing that can still be wrong with it.
    #[inline(always)]
    pub fn take<'b>(self, input: &'b mut [u8], at: &mut usize) -> Result<Message<'b>, Violation> {
        let frame_start = *at;
        let start = frame_start + self.header_len;
        let end = start + self.payload_len;
        *at = end;
        let payload = &mut input[start..end];
        match self.kind {
            Kind::Binary => unmask(payload, self.key),
            Kind::Text if unmask_ascii(payload, self.key, 0) => {}
            Kind::Text => validate(payload)?,
        }
        Ok(Message::in_place(self.kind, input, frame_start, start, end))
    }
}

const FIN_TEXT: u8 = 0x81;
const FIN_BINARY: u8 = 0x82;
const MASKED: u8 = 0x80;
