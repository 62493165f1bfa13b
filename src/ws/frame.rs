//! The frame header (RFC 6455 section 5.2), read and written.
//!
//! ```text
//!   byte 0              byte 1             2 or 8 more     4 more
//!  +-+---+------+      +-+---------+      +--------+      +-----+
//!  |F|RSV|opcode|      |M| 0..=125 |      |        |      |     |
//!  |I|123| 4 bit|      |A| 126 ----|----> | length |      | key | if masked
//!  |N|   |      |      |S| 127 ----|----> | 16, 64 |      |     |
//!  +-+---+------+      +K+---------+      +--------+      +-----+
//! ```
//!
//! Reading refuses everything that can be refused without knowing the connection; what depends on
//! it (is a message open? was deflate agreed? how long may a message be?) is `inbound`'s business.

use super::close::Violation;

/// Which end of the connection *we* are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// We expect masked frames and send unmasked ones.
    Server,
    /// We expect unmasked frames and send masked ones.
    Client,
}

/// The six opcodes that exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opcode {
    /// Another piece of the open message.
    Continuation = 0,
    /// A text message, or its first piece.
    Text = 1,
    /// A binary message, or its first piece.
    Binary = 2,
    /// The end of the conversation.
    Close = 8,
    /// Asks for a Pong with the same payload.
    Ping = 9,
    /// Answers a Ping, or nothing.
    Pong = 10,
}

impl Opcode {
    /// Close, Ping and Pong: short, never fragmented, allowed inside another message.
    #[must_use]
    pub const fn is_control(self) -> bool {
        self as u8 >= 8
    }

    const fn from_bits(bits: u8) -> Option<Self> {
        Some(match bits {
            0 => Self::Continuation,
            1 => Self::Text,
            2 => Self::Binary,
            8 => Self::Close,
            9 => Self::Ping,
            10 => Self::Pong,
            _ => return None,
        })
    }
}

/// The kind of a data message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// UTF-8, validated.
    Text,
    /// Bytes.
    Binary,
}

impl From<Kind> for Opcode {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Text => Self::Text,
            Kind::Binary => Self::Binary,
        }
    }
}

/// A frame header, as far as it can be judged alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The last frame of its message.
    pub fin: bool,
    /// The message is compressed (only on its first frame).
    pub rsv1: bool,
    /// What the frame is.
    pub opcode: Opcode,
    /// The mask, if there is one.
    pub key: Option<[u8; 4]>,
    /// Bytes after the header; at most 2^63 - 1, at most 125 in a control frame.
    pub payload_len: u64,
    /// Bytes of the header itself; 2..=14.
    pub header_len: u8,
}

/// The room a message always has in front of its payload: enough for any header.
pub const HEADROOM: usize = 16;

/// The longest header: two bytes, a 64-bit length, a key.
pub const HEADER_BYTES_MAX: usize = 14;

/// The longest payload of a control frame.
pub const CONTROL_PAYLOAD_MAX: usize = 125;

const _: () = assert!(HEADER_BYTES_MAX <= HEADROOM);

/// Reads the header at the start of `bytes`; `None` means that it is not all there yet.
///
/// What the first two bytes tell is refused as soon as they are there, whatever follows.
///
/// # Errors
///
/// RSV2 or RSV3, RSV1 on a control frame, a reserved opcode, a mask bit that does not fit `role`,
/// a control frame that is long or fragmented, a length that is not minimal or has its top bit set.
#[inline]
pub fn parse_header(bytes: &[u8], role: Role) -> Result<Option<Header>, Violation> {
    let &[first, second, ..] = bytes else {
        return Ok(None);
    };
    let opcode = check_first_two(first, second, role)?;
    let masked = second & MASKED != 0;
    let Some((payload_len, length_end)) = parse_length(bytes, second & LENGTH_BITS)? else {
        return Ok(None);
    };
    let (key, header_len) = if masked {
        let Some(key) = bytes[length_end..].first_chunk::<4>() else {
            return Ok(None);
        };
        (Some(*key), length_end + 4)
    } else {
        (None, length_end)
    };
    Ok(Some(Header {
        fin: first & FIN != 0,
        rsv1: first & RSV1 != 0,
        opcode,
        key,
        payload_len,
        header_len: header_len as u8,
    }))
}

/// How many bytes of a header must be there before it says more than it does now.
///
/// Meaningful for bytes that [`parse_header`] did not refuse.
#[must_use]
pub fn header_bytes_wanted(bytes: &[u8]) -> usize {
    let Some(second) = bytes.get(1) else {
        return 2;
    };
    let extended = match second & LENGTH_BITS {
        126 => 2,
        127 => 8,
        _ => 0,
    };
    2 + extended + if second & MASKED != 0 { 4 } else { 0 }
}

/// Everything the first two bytes can do wrong, in the order of their bits.
#[inline]
fn check_first_two(first: u8, second: u8, role: Role) -> Result<Opcode, Violation> {
    if first & (RSV2 | RSV3) != 0 {
        return Err(Violation::ReservedBits);
    }
    let Some(opcode) = Opcode::from_bits(first & OPCODE_BITS) else {
        return Err(Violation::ReservedOpcode);
    };
    if opcode.is_control() {
        check_control(first, second)?;
    }
    match (role, second & MASKED != 0) {
        (Role::Server, false) => Err(Violation::MaskMissing),
        (Role::Client, true) => Err(Violation::MaskForbidden),
        _ => Ok(opcode),
    }
}

/// Control frames may stand anywhere, so they must be short and whole.
fn check_control(first: u8, second: u8) -> Result<(), Violation> {
    if first & RSV1 != 0 {
        Err(Violation::Rsv1OnControl)
    } else if first & FIN == 0 {
        Err(Violation::ControlFragmented)
    } else if usize::from(second & LENGTH_BITS) > CONTROL_PAYLOAD_MAX {
        Err(Violation::ControlTooLong)
    } else {
        Ok(())
    }
}

/// The payload length and where the length field ends.
#[inline]
fn parse_length(bytes: &[u8], short: u8) -> Result<Option<(u64, usize)>, Violation> {
    match short {
        126 => {
            let Some(long) = bytes[2..].first_chunk::<2>() else {
                return Ok(None);
            };
            let len = u16::from_be_bytes(*long);
            if len < 126 {
                return Err(Violation::LengthNotMinimal);
            }
            Ok(Some((u64::from(len), 4)))
        }
        127 => {
            let Some(long) = bytes[2..].first_chunk::<8>() else {
                return Ok(None);
            };
            let len = u64::from_be_bytes(*long);
            if len > i64::MAX as u64 {
                return Err(Violation::LengthOverflow);
            }
            if len <= u64::from(u16::MAX) {
                return Err(Violation::LengthNotMinimal);
            }
            Ok(Some((len, 10)))
        }
        _ => Ok(Some((u64::from(short), 2))),
    }
}

/// How long the header of such a frame is.
#[inline]
#[must_use]
pub const fn header_len(payload_len: usize, masked: bool) -> usize {
    let length = match payload_len {
        0..=125 => 2,
        126..=0xFFFF => 4,
        _ => 10,
    };
    length + if masked { 4 } else { 0 }
}

/// Writes a header at the start of `into` and says how long it is.
///
/// # Panics
///
/// If `into` is shorter than [`header_len`]: the caller's room, never the peer's bytes.
#[inline]
pub fn write_header(
    into: &mut [u8],
    fin: bool,
    rsv1: bool,
    opcode: Opcode,
    key: Option<[u8; 4]>,
    payload_len: usize,
) -> usize {
    into[0] = opcode as u8 | if fin { FIN } else { 0 } | if rsv1 { RSV1 } else { 0 };
    let mask_bit = if key.is_some() { MASKED } else { 0 };
    let length_end = match payload_len {
        0..=125 => {
            into[1] = mask_bit | payload_len as u8;
            2
        }
        126..=0xFFFF => {
            into[1] = mask_bit | 126;
            into[2..4].copy_from_slice(&(payload_len as u16).to_be_bytes());
            4
        }
        _ => {
            into[1] = mask_bit | 127;
            into[2..10].copy_from_slice(&(payload_len as u64).to_be_bytes());
            10
        }
    };
    let Some(key) = key else {
        return length_end;
    };
    into[length_end..length_end + 4].copy_from_slice(&key);
    length_end + 4
}

/// Appends one whole, final frame; with a key the payload is masked on its way.
pub fn append_frame(
    out: &mut Vec<u8>,
    opcode: Opcode,
    rsv1: bool,
    key: Option<[u8; 4]>,
    payload: &[u8],
) {
    let mut header = [0; HEADER_BYTES_MAX];
    let header_len = write_header(&mut header, true, rsv1, opcode, key, payload.len());
    out.reserve(header_len + payload.len());
    out.extend_from_slice(&header[..header_len]);
    let payload_start = out.len();
    out.extend_from_slice(payload);
    if let Some(key) = key {
        super::mask::unmask(&mut out[payload_start..], key);
    }
}

const FIN: u8 = 0x80;
const RSV1: u8 = 0x40;
const RSV2: u8 = 0x20;
const RSV3: u8 = 0x10;
const OPCODE_BITS: u8 = 0x0F;
const MASKED: u8 = 0x80;
const LENGTH_BITS: u8 = 0x7F;

#[cfg(test)]
mod tests;
