//! Close codes and the payload of a Close frame (RFC 6455 sections 5.5.1 and 7.4).

use std::fmt;

use super::frame::CONTROL_PAYLOAD_MAX;
pub use super::violation::Violation;

/// A status code as it stands in a Close frame.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CloseCode(u16);

impl CloseCode {
    /// The conversation is complete.
    pub const NORMAL: Self = Self(1000);
    /// This end goes away: a server stops, a page is left.
    pub const GOING_AWAY: Self = Self(1001);
    /// The other end broke the protocol.
    pub const PROTOCOL: Self = Self(1002);
    /// A kind of message this end does not take.
    pub const UNSUPPORTED: Self = Self(1003);
    /// A payload that contradicts its kind: text that is not UTF-8, DEFLATE that does not inflate.
    pub const INVALID_PAYLOAD: Self = Self(1007);
    /// Refused by policy; no better code fits.
    pub const POLICY: Self = Self(1008);
    /// A message beyond the limit.
    pub const TOO_BIG: Self = Self(1009);
    /// This end failed.
    pub const INTERNAL: Self = Self(1011);
    /// The server restarts; come back after a random delay.
    pub const RESTART: Self = Self(1012);
    /// The server is overloaded; come back later.
    pub const TRY_AGAIN: Self = Self(1013);

    /// The code, if it may travel on the wire.
    #[must_use]
    pub const fn new(code: u16) -> Option<Self> {
        if Self::may_be_sent(code) {
            Some(Self(code))
        } else {
            None
        }
    }

    /// The number.
    #[must_use]
    pub const fn as_u16(self) -> u16 {
        self.0
    }

    /// Whether `code` may stand in a Close frame.
    ///
    /// 1004 is undefined; 1005, 1006 and 1015 are for APIs only ("no code", "no Close", "TLS
    /// failed"); 1012-1014 came later through the IANA registry; 3000-3999 belong to libraries,
    /// 4000-4999 to applications. All else is reserved, so a peer that sends it is broken.
    #[must_use]
    pub const fn may_be_sent(code: u16) -> bool {
        matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
    }
}

impl fmt::Debug for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CloseCode({})", self.0)
    }
}

impl fmt::Display for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Reads the (unmasked) payload of a Close frame; an empty one carries no code.
///
/// # Errors
///
/// Half a code, a code that may not be sent, a reason that is not UTF-8.
pub fn parse_close(payload: &[u8]) -> Result<Option<(CloseCode, &str)>, Violation> {
    let [high, low, reason @ ..] = payload else {
        return match payload {
            [] => Ok(None),
            _ => Err(Violation::ClosePayloadOfOneByte),
        };
    };
    let code = u16::from_be_bytes([*high, *low]);
    let code = CloseCode::new(code).ok_or(Violation::CloseCodeForbidden)?;
    let reason = str::from_utf8(reason).map_err(|_| Violation::CloseReasonNotUtf8)?;
    Ok(Some((code, reason)))
}

/// Appends code and reason, the reason cut at a character boundary so that the frame stays legal.
pub fn append_close_payload(out: &mut Vec<u8>, code: CloseCode, reason: &str) {
    let mut cut = reason.len().min(CLOSE_REASON_BYTES_MAX);
    while !reason.is_char_boundary(cut) {
        cut -= 1;
    }
    out.extend_from_slice(&code.0.to_be_bytes());
    out.extend_from_slice(&reason.as_bytes()[..cut]);
}

/// What is left of a control frame's payload after the two bytes of the code.
pub const CLOSE_REASON_BYTES_MAX: usize = CONTROL_PAYLOAD_MAX - 2;

#[cfg(test)]
mod tests;
