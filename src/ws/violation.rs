//! Every way a peer can break RFC 6455, RFC 7692 or our limits, one variant each.
//!
//! A variant is a sentence about what *the peer* did; it knows the close code that answers it and a
//! short reason that is sent along, so that whoever debugs the other end reads the cause in their
//! own log. Nothing here is our fault or the host's: those are other types in other layers.

use std::fmt;

use super::close::CloseCode;

/// What the peer did wrong.
///
/// | violation | RFC | close code |
/// |---|---|---|
/// | `ReservedBits`, `Rsv1WithoutExtension`, `Rsv1OnControl`, `Rsv1OnContinuation` | 6455 5.2, 7692 6 | 1002 |
/// | `ReservedOpcode` | 6455 5.2 | 1002 |
/// | `MaskMissing`, `MaskForbidden` | 6455 5.1 | 1002 |
/// | `LengthNotMinimal`, `LengthOverflow` | 6455 5.2 | 1002 |
/// | `ControlTooLong`, `ControlFragmented` | 6455 5.5 | 1002 |
/// | `ContinuationWithoutStart`, `MessageInsideMessage` | 6455 5.4 | 1002 |
/// | `ClosePayloadOfOneByte`, `CloseCodeForbidden` | 6455 5.5.1, 7.4 | 1002 |
/// | `TextNotUtf8`, `CloseReasonNotUtf8` | 6455 8.1, 5.5.1 | 1007 |
/// | `DeflateCorrupt` | 7692 7.2.2 | 1007 |
/// | `MessageTooBig`, `InflatedTooBig` | 6455 10.4 | 1009 |
/// | `TooManyEmptyFragments`, `MessageTooSlow` | 6455 10.4 | 1008 |
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Violation {
    /// RSV2 or RSV3 is set: no extension of ours uses them.
    ReservedBits,
    /// RSV1 is set, but permessage-deflate was not negotiated.
    Rsv1WithoutExtension,
    /// RSV1 on a control frame: those are never compressed.
    Rsv1OnControl,
    /// RSV1 on a continuation: only the first frame of a message says whether it is compressed.
    Rsv1OnContinuation,
    /// Opcodes 3-7 and 11-15.
    ReservedOpcode,
    /// A client must mask.
    MaskMissing,
    /// A server must not mask.
    MaskForbidden,
    /// The length was written in a longer form than it needs.
    LengthNotMinimal,
    /// The top bit of a 64-bit length is set.
    LengthOverflow,
    /// A control frame with more than 125 bytes.
    ControlTooLong,
    /// A control frame without FIN.
    ControlFragmented,
    /// A continuation while no message is open.
    ContinuationWithoutStart,
    /// A new message inside an unfinished one.
    MessageInsideMessage,
    /// A Close whose payload is half a code.
    ClosePayloadOfOneByte,
    /// A close code that may not travel on the wire.
    CloseCodeForbidden,
    /// A Close whose reason is not UTF-8.
    CloseReasonNotUtf8,
    /// A text message that is not UTF-8, or can no longer become it.
    TextNotUtf8,
    /// A compressed payload that is not a DEFLATE stream.
    DeflateCorrupt,
    /// A message that grows beyond the limit, told by its headers.
    MessageTooBig,
    /// A message that grows beyond the limit while it is inflated.
    InflatedTooBig,
    /// More empty fragments in one message than anybody has a reason to send.
    TooManyEmptyFragments,
    /// A message that stays unfinished longer than its time budget (found by who has the clock).
    MessageTooSlow,
}

impl Violation {
    /// The code our Close carries. Total: a new variant does not compile until it has one.
    #[must_use]
    pub const fn close_code(self) -> CloseCode {
        match self {
            Self::ReservedBits
            | Self::Rsv1WithoutExtension
            | Self::Rsv1OnControl
            | Self::Rsv1OnContinuation
            | Self::ReservedOpcode
            | Self::MaskMissing
            | Self::MaskForbidden
            | Self::LengthNotMinimal
            | Self::LengthOverflow
            | Self::ControlTooLong
            | Self::ControlFragmented
            | Self::ContinuationWithoutStart
            | Self::MessageInsideMessage
            | Self::ClosePayloadOfOneByte
            | Self::CloseCodeForbidden => CloseCode::PROTOCOL,
            Self::CloseReasonNotUtf8 | Self::TextNotUtf8 | Self::DeflateCorrupt => {
                CloseCode::INVALID_PAYLOAD
            }
            Self::MessageTooBig | Self::InflatedTooBig => CloseCode::TOO_BIG,
            Self::TooManyEmptyFragments | Self::MessageTooSlow => CloseCode::POLICY,
        }
    }

    /// What our Close says in its reason: a cause that the peer's developer can act upon.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::ReservedBits => "reserved bits are set",
            Self::Rsv1WithoutExtension => "RSV1 without a negotiated extension",
            Self::Rsv1OnControl => "RSV1 on a control frame",
            Self::Rsv1OnContinuation => "RSV1 on a continuation frame",
            Self::ReservedOpcode => "reserved opcode",
            Self::MaskMissing => "client frames must be masked",
            Self::MaskForbidden => "server frames must not be masked",
            Self::LengthNotMinimal => "payload length is not in its shortest form",
            Self::LengthOverflow => "payload length exceeds 63 bits",
            Self::ControlTooLong => "control frame longer than 125 bytes",
            Self::ControlFragmented => "fragmented control frame",
            Self::ContinuationWithoutStart => "continuation without a message",
            Self::MessageInsideMessage => "new message inside an unfinished one",
            Self::ClosePayloadOfOneByte => "close payload of one byte",
            Self::CloseCodeForbidden => "close code must not be sent",
            Self::CloseReasonNotUtf8 => "close reason is not UTF-8",
            Self::TextNotUtf8 => "text is not UTF-8",
            Self::DeflateCorrupt => "compressed payload is corrupt",
            Self::MessageTooBig => "message too big",
            Self::InflatedTooBig => "message too big after inflating",
            Self::TooManyEmptyFragments => "too many empty fragments",
            Self::MessageTooSlow => "message unfinished for too long",
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason())
    }
}

impl std::error::Error for Violation {}
