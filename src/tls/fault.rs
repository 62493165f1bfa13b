//! Every way a peer can break TLS after the handshake, and the alert that answers it.

use std::fmt;

/// What the peer did wrong, one variant each.
///
/// | fault | RFC 8446 | alert |
/// |---|---|---|
/// | `BadMac` | 5.2 | bad_record_mac (20) |
/// | `RecordOverflow` | 5.1, 5.2 | record_overflow (22) |
/// | `NotProtected`, `InnerType`, `HandshakeMessage`, `KeyUpdateNotLast`, `TooManyBarren` | 5, 5.1, 4.6 | unexpected_message (10) |
/// | `KeyUpdateValue` | 4.6.3 | illegal_parameter (47) |
/// | `Malformed` | 6.2 | decode_error (50) |
/// | `KeyWornOut` | 5.5 | internal_error (80) |
/// | `PeerAlert` | 6.2 | none: theirs ended it |
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// A record that was not made with the key, the sequence number and the header it came with.
    BadMac,
    /// A record longer than any may be.
    RecordOverflow,
    /// A record in the clear, or a renegotiation: everything is protected after the handshake.
    NotProtected,
    /// A protected record of a type that does not belong here, or of none: only padding.
    InnerType,
    /// A handshake message that has no business after the handshake, or one in pieces.
    HandshakeMessage,
    /// Something followed a KeyUpdate in its own record.
    KeyUpdateNotLast,
    /// A KeyUpdate that neither asks for an answer nor does without.
    KeyUpdateValue,
    /// An alert or a handshake message that does not parse.
    Malformed,
    /// Records in a row that carry nothing: that is only ever an attack.
    TooManyBarren,
    /// The peer was asked for new keys before the old ones were worn out, and gave none.
    KeyWornOut,
    /// The peer sent a fatal alert, with this description.
    PeerAlert(u8),
}

impl Fault {
    /// The alert to send, if any. Total: a new variant does not compile until it has one.
    #[must_use]
    pub const fn alert(self) -> Option<u8> {
        Some(match self {
            Self::BadMac => 20,
            Self::RecordOverflow => 22,
            Self::NotProtected
            | Self::InnerType
            | Self::HandshakeMessage
            | Self::KeyUpdateNotLast
            | Self::TooManyBarren => 10,
            Self::KeyUpdateValue => 47,
            Self::Malformed => 50,
            Self::KeyWornOut => 80,
            Self::PeerAlert(_) => return None,
        })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::BadMac => "a record that was forged or damaged on the way",
            Self::RecordOverflow => "a record longer than TLS allows",
            Self::NotProtected => "a record in the clear after the handshake",
            Self::InnerType => "a protected record of no known type",
            Self::HandshakeMessage => "a handshake message after the handshake",
            Self::KeyUpdateNotLast => "something behind a KeyUpdate in its record",
            Self::KeyUpdateValue => "a KeyUpdate with an unknown value",
            Self::Malformed => "an alert or handshake message that does not parse",
            Self::TooManyBarren => "too many records that carry nothing",
            Self::KeyWornOut => "more records with one key than are safe",
            Self::PeerAlert(description) => {
                return write!(f, "the peer's alert: {}", alert_name(*description));
            }
        };
        f.write_str(text)
    }
}

impl std::error::Error for Fault {}

/// The name of an alert (RFC 8446, 6), for logs.
#[must_use]
pub fn alert_name(description: u8) -> &'static str {
    let at = ALERT_NAMES.binary_search_by_key(&description, |(number, _)| *number);
    at.map_or("unknown alert", |at| ALERT_NAMES[at].1)
}

const ALERT_NAMES: &[(u8, &str)] = &[
    (0, "close_notify"),
    (10, "unexpected_message"),
    (20, "bad_record_mac"),
    (22, "record_overflow"),
    (40, "handshake_failure"),
    (42, "bad_certificate"),
    (43, "unsupported_certificate"),
    (44, "certificate_revoked"),
    (45, "certificate_expired"),
    (46, "certificate_unknown"),
    (47, "illegal_parameter"),
    (48, "unknown_ca"),
    (49, "access_denied"),
    (50, "decode_error"),
    (51, "decrypt_error"),
    (70, "protocol_version"),
    (71, "insufficient_security"),
    (80, "internal_error"),
    (86, "inappropriate_fallback"),
    (90, "user_canceled"),
    (109, "missing_extension"),
    (110, "unsupported_extension"),
    (112, "unrecognized_name"),
    (113, "bad_certificate_status_response"),
    (115, "unknown_psk_identity"),
    (116, "certificate_required"),
    (120, "no_application_protocol"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alerts_are_found_by_number() {
        assert!(ALERT_NAMES.is_sorted_by(|a, b| a.0 < b.0));
        assert_eq!(alert_name(20), "bad_record_mac");
        assert_eq!(alert_name(21), "unknown alert");
        assert_eq!(
            Fault::PeerAlert(42).to_string(),
            "the peer's alert: bad_certificate"
        );
    }
}
