//! Why a head was refused, and the status that says so.

use std::fmt;

/// Every way a head can be unacceptable. The connection is closed after each of them: once the
/// framing of a message is in doubt, nothing behind it can be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeadError {
    /// A line feed without its carriage return. Parsers disagree on it, which is how requests are smuggled.
    BareLineFeed,
    /// A carriage return that ends no line.
    BareCarriageReturn,
    /// NUL, DEL or another control byte: not HTTP at all (TLS sent to a plain port looks like this).
    ControlByte,
    /// More than the one empty line that may precede a request.
    EmptyLines,
    /// The HTTP/2 connection preface; only HTTP/1.1 is spoken here.
    Http2,
    /// The first line is not `method SP target SP version` (or `version SP status` in a response).
    StartLine,
    /// A request target in a form nobody can need here, or one that contradicts itself.
    Target,
    /// A header line that is no `name: value`: blanks around the name, folding, a byte out of place.
    HeaderLine,
    /// A value that is not UTF-8; handing it up mangled or hiding it would be worse.
    Encoding,
    /// HTTP/1.1 without exactly one usable `Host`, or one that contradicts the target.
    Host,
    /// `Content-Length` that is repeated or not a plain number.
    ContentLength,
    /// `Transfer-Encoding`: no request here may have a body of unknown length.
    TransferEncoding,
    /// The target alone is longer than [`TARGET_BYTES_MAX`](super::TARGET_BYTES_MAX).
    TargetTooLong,
    /// The head does not end within the limit.
    HeadTooLong,
    /// More header lines than [`HEADERS_MAX`](super::HEADERS_MAX).
    TooManyHeaders,
    /// A major version other than 1.
    Version,
}

impl HeadError {
    /// The status to answer with before closing.
    pub const fn status(self) -> u16 {
        match self {
            Self::TargetTooLong => 414,
            Self::HeadTooLong | Self::TooManyHeaders => 431,
            Self::Version => 505,
            _ => 400,
        }
    }

    /// One sentence for the person who reads the answer; it never repeats the peer's bytes.
    pub const fn explanation(self) -> &'static str {
        match self {
            Self::BareLineFeed => "A line ends in LF without CR.",
            Self::BareCarriageReturn => "A CR is not followed by LF.",
            Self::ControlByte => {
                "The head contains a control byte. Is this TLS sent to a plain-text port?"
            }
            Self::EmptyLines => "The request line is missing.",
            Self::Http2 => "This endpoint speaks HTTP/1.1, not HTTP/2.",
            Self::StartLine => "The first line is malformed.",
            Self::Target => "The request target is malformed.",
            Self::HeaderLine => "A header line is malformed.",
            Self::Encoding => "The head is not valid UTF-8.",
            Self::Host => "HTTP/1.1 needs exactly one Host header that agrees with the target.",
            Self::ContentLength => "Content-Length is malformed or repeated.",
            Self::TransferEncoding => "Transfer-Encoding is not accepted here.",
            Self::TargetTooLong => "The request target is too long.",
            Self::HeadTooLong => "The head is too long.",
            Self::TooManyHeaders => "There are too many headers.",
            Self::Version => "This endpoint speaks HTTP/1.1 only.",
        }
    }
}

impl fmt::Display for HeadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.explanation())
    }
}

impl std::error::Error for HeadError {}
