//! Why a handshake came to nothing.

use std::fmt;

use rustls::{CertificateError, Error, InvalidMessage, PeerIncompatible};

use crate::tls::fault::alert_name;

/// Why a handshake (or a connection rustls keeps) came to nothing. The alert, if one is due, is
/// written already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Refusal {
    /// A request in the clear, on the port for TLS.
    PlainHttp,
    /// What came is no TLS at all.
    NotTls,
    /// The peer speaks no version that is allowed here.
    Version,
    /// No cipher suite, key exchange or signature scheme in common.
    NothingInCommon,
    /// The peer wants to speak something else inside.
    Protocol,
    /// The peer shows no certificate, and has to.
    CertificateMissing,
    /// Today is not within the time of the peer's certificate.
    CertificateExpired,
    /// The peer's certificate is of an authority that is not believed.
    CertificateUntrusted,
    /// The peer's certificate is for another name.
    CertificateName,
    /// The peer's certificate does not hold for another reason.
    CertificateInvalid,
    /// A message longer than any honest one.
    TooLong,
    /// The peer's alert, with this description.
    PeerAlert(u8),
    /// A record that was forged or damaged on the way.
    BadMac,
    /// The peer broke the protocol in some other way.
    Misbehaved,
    /// Our fault.
    Internal,
}

impl Refusal {
    /// Sorts an error of rustls. `first` is the first byte the peer ever sent, if this was about it.
    pub(super) fn from_error(error: &Error, first: Option<u8>) -> Self {
        match error {
            Error::InvalidMessage(InvalidMessage::InvalidContentType) => match first {
                // GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS, CONNECT
                Some(b'G' | b'H' | b'P' | b'D' | b'O' | b'C') => Self::PlainHttp,
                Some(_) => Self::NotTls,
                None => Self::Misbehaved,
            },
            Error::InvalidMessage(InvalidMessage::UnknownProtocolVersion) if first.is_some() => {
                Self::NotTls
            }
            Error::InvalidMessage(
                InvalidMessage::HandshakePayloadTooLarge | InvalidMessage::MessageTooLarge,
            )
            | Error::PeerSentOversizedRecord => Self::TooLong,
            Error::PeerIncompatible(what) => Self::incompatible(what),
            Error::NoApplicationProtocol => Self::Protocol,
            Error::NoCertificatesPresented => Self::CertificateMissing,
            Error::InvalidCertificate(flaw) => Self::flawed(flaw),
            Error::AlertReceived(description) => Self::PeerAlert(u8::from(*description)),
            Error::DecryptError => Self::BadMac,
            Error::General(_)
            | Error::FailedToGetCurrentTime
            | Error::FailedToGetRandomBytes
            | Error::HandshakeNotComplete
            | Error::EncryptError => Self::Internal,
            _ => Self::Misbehaved,
        }
    }

    fn flawed(flaw: &CertificateError) -> Self {
        use CertificateError as Flaw;
        match flaw {
            Flaw::Expired
            | Flaw::ExpiredContext { .. }
            | Flaw::NotValidYet
            | Flaw::NotValidYetContext { .. } => Self::CertificateExpired,
            Flaw::UnknownIssuer | Flaw::BadSignature => Self::CertificateUntrusted,
            Flaw::NotValidForName | Flaw::NotValidForNameContext { .. } => Self::CertificateName,
            _ => Self::CertificateInvalid,
        }
    }

    fn incompatible(what: &PeerIncompatible) -> Self {
        use PeerIncompatible as Lacks;
        match what {
            Lacks::Tls12NotOffered
            | Lacks::Tls12NotOfferedOrEnabled
            | Lacks::ServerDoesNotSupportTls12Or13
            | Lacks::ServerTlsVersionIsDisabledByOurConfig
            | Lacks::SupportedVersionsExtensionRequired => Self::Version,
            _ => Self::NothingInCommon,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PlainHttp => "plain HTTP on the TLS port",
            Self::NotTls => "not TLS",
            Self::Version => "no TLS version in common",
            Self::NothingInCommon => "no cipher suite, key exchange or signature in common",
            Self::Protocol => "the peer asks for another protocol than http/1.1",
            Self::CertificateMissing => "the peer shows no certificate",
            Self::CertificateExpired => "the peer's certificate has expired, or does not hold yet",
            Self::CertificateUntrusted => "the peer's certificate is of an unknown authority",
            Self::CertificateName => "the peer's certificate is for another name",
            Self::CertificateInvalid => "the peer's certificate does not hold",
            Self::TooLong => "a handshake message that is too long",
            Self::PeerAlert(description) => {
                return write!(f, "the peer's alert: {}", alert_name(*description));
            }
            Self::BadMac => "a record that was forged or damaged on the way",
            Self::Misbehaved => "the peer broke the protocol",
            Self::Internal => "a fault of ours",
        })
    }
}

impl std::error::Error for Refusal {}
