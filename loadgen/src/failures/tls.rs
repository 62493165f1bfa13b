//! Every way TLS can fail, by a name of its own: an expired certificate is another finding than an alert.

use std::fmt;

use throng::tls::sessions::Trouble;
use throng::tls::{Fault, Refusal, alert_name};

/// One cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsFailure {
    /// The handshake came to nothing.
    Handshake(Refusal),
    /// The server broke the rules for records.
    Record(Fault),
    /// The stream ended without close_notify: anybody on the way may have cut it.
    Truncated,
    /// More unfinished records than this program keeps, or no memory for keys.
    NoRoom,
}

impl From<Trouble> for TlsFailure {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Record(fault) => Self::Record(fault),
            Trouble::Handshake(refusal) => Self::Handshake(refusal),
            Trouble::TooManyTails | Trouble::NoMemory => Self::NoRoom,
        }
    }
}

impl TlsFailure {
    /// What to look at.
    #[must_use]
    pub const fn hint(self) -> &'static str {
        match self {
            Self::Handshake(Refusal::CertificateExpired) => {
                "the server's certificate has expired, or does not hold yet; a clock may be wrong"
            }
            Self::Handshake(Refusal::CertificateUntrusted) => {
                "the server's certificate is of another authority than --ca names"
            }
            Self::Handshake(Refusal::CertificateName) => {
                "the server's certificate is for another name; see --server-name"
            }
            Self::Handshake(Refusal::CertificateInvalid | Refusal::CertificateMissing) => {
                "the server's certificate does not hold"
            }
            Self::Handshake(Refusal::NotTls | Refusal::PlainHttp) => {
                "whoever answered does not speak TLS: is this the port of ws://?"
            }
            Self::Handshake(Refusal::Version | Refusal::NothingInCommon | Refusal::Protocol) => {
                "the two ends have no version, cipher or protocol in common"
            }
            Self::Handshake(Refusal::PeerAlert(_)) | Self::Record(Fault::PeerAlert(_)) => {
                "the server's alert; its log may say more"
            }
            Self::Handshake(_) => "the server broke the TLS handshake in this way",
            Self::Record(_) => "a record that was damaged, forged, or against the rules",
            Self::Truncated => {
                "the stream ended without close_notify: the server, or somebody on the way, cut it"
            }
            Self::NoRoom => "this machine is the limit",
        }
    }

    /// Every cause whose name says nothing beyond the cause.
    pub(super) const NAMED: &[Self] = &[
        Self::Handshake(Refusal::CertificateExpired),
        Self::Handshake(Refusal::CertificateUntrusted),
        Self::Handshake(Refusal::CertificateName),
        Self::Handshake(Refusal::CertificateInvalid),
        Self::Handshake(Refusal::CertificateMissing),
        Self::Handshake(Refusal::NotTls),
        Self::Handshake(Refusal::PlainHttp),
        Self::Handshake(Refusal::Version),
        Self::Handshake(Refusal::NothingInCommon),
        Self::Handshake(Refusal::Protocol),
        Self::Handshake(Refusal::TooLong),
        Self::Handshake(Refusal::BadMac),
        Self::Handshake(Refusal::Misbehaved),
        Self::Handshake(Refusal::Internal),
        Self::Record(Fault::BadMac),
        Self::Record(Fault::RecordOverflow),
        Self::Record(Fault::NotProtected),
        Self::Record(Fault::InnerType),
        Self::Record(Fault::HandshakeMessage),
        Self::Record(Fault::KeyUpdateNotLast),
        Self::Record(Fault::KeyUpdateValue),
        Self::Record(Fault::Malformed),
        Self::Record(Fault::TooManyBarren),
        Self::Record(Fault::KeyWornOut),
        Self::Truncated,
        Self::NoRoom,
    ];
}

impl fmt::Display for TlsFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Handshake(Refusal::PeerAlert(description))
            | Self::Record(Fault::PeerAlert(description)) => return alert(*description, f),
            Self::Record(fault) => {
                return write!(f, "tls_record_{}", super::snake(&format!("{fault:?}")));
            }
            Self::Handshake(refusal) => handshake(*refusal),
            Self::Truncated => "tls_truncated",
            Self::NoRoom => "local_tls_memory",
        })
    }
}

fn alert(description: u8, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match alert_name(description) {
        "unknown alert" => write!(f, "tls_alert_{description}"),
        name => write!(f, "tls_alert_{name}"),
    }
}

const fn handshake(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::CertificateExpired => "tls_certificate_expired",
        Refusal::CertificateUntrusted => "tls_certificate_untrusted",
        Refusal::CertificateName => "tls_certificate_name",
        Refusal::CertificateInvalid => "tls_certificate_invalid",
        Refusal::CertificateMissing => "tls_certificate_missing",
        Refusal::NotTls => "tls_not_spoken",
        Refusal::PlainHttp => "tls_plain_http",
        Refusal::Version => "tls_version",
        Refusal::NothingInCommon => "tls_nothing_in_common",
        Refusal::Protocol => "tls_alpn",
        Refusal::TooLong => "tls_too_long",
        Refusal::BadMac => "tls_handshake_bad_mac",
        Refusal::Misbehaved => "tls_misbehaved",
        Refusal::Internal => "tls_internal",
        Refusal::PeerAlert(_) => "tls_alert",
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::failures::hint_for;

    #[test]
    fn every_cause_has_a_name_of_its_own_and_a_hint() {
        let names: HashSet<_> = TlsFailure::NAMED.iter().map(ToString::to_string).collect();
        assert_eq!(names.len(), TlsFailure::NAMED.len());
        assert!(names.iter().all(|name| !hint_for(name).is_empty()));
        let alert = TlsFailure::from(Trouble::Record(Fault::PeerAlert(48)));
        assert_eq!(alert.to_string(), "tls_alert_unknown_ca");
        assert_eq!(hint_for("tls_alert_unknown_ca"), alert.hint());
        let other = TlsFailure::Handshake(Refusal::PeerAlert(200));
        assert_eq!(other.to_string(), "tls_alert_200");
        assert_eq!(
            TlsFailure::Record(Fault::KeyUpdateNotLast).to_string(),
            "tls_record_key_update_not_last"
        );
    }
}
