//! Certificates and their keys: from PEM files, with errors that say which file and what to do.
//!
//! To see whether something changed, it is loaded anew and its fingerprint compared: a few kilobytes
//! a minute, and neither a renamed directory nor a coarse clock can fool it.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use aws_lc_rs::digest;
use rustls_pki_types::pem::{self, PemObject, SectionKind};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use x509_cert::Certificate as Parsed;
use x509_cert::der::Decode;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;
use zeroize::{Zeroize, Zeroizing};

/// What somebody shows of himself, and the key that proves it (overwritten when dropped).
#[derive(Debug)]
pub struct Certificate {
    /// The certificate itself first, then those that lead to a root.
    pub chain: Vec<CertificateDer<'static>>,
    /// The key of the first. Its `Debug` does not show it.
    pub key: PrivateKeyDer<'static>,
    /// A stapled OCSP response (DER), sent along as it is.
    pub ocsp: Option<Vec<u8>>,
    /// What the first says.
    pub facts: Facts,
}

/// What a certificate says, as far as anybody here asks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Whom it is for, as RFC 4514 writes it: `CN=device 7,O=Example`.
    pub subject: String,
    /// The host names (also `*.example.com`), addresses, mail addresses and URIs it is for.
    pub names: Vec<String>,
    /// From when it holds, in seconds since 1970.
    pub not_before_s: u64,
    /// Until when.
    pub not_after_s: u64,
}

/// How a certificate stands on a given day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It begins to hold in so many seconds: a clock is wrong, or somebody was early.
    NotYet(u64),
    /// It holds for so many seconds more.
    Valid(u64),
    /// It holds for so many seconds more, and should have been replaced by now.
    Expiring(u64),
    /// It has not held for so many seconds.
    Expired(u64),
}

/// A certificate is to be replaced this long before it ends, or when a tenth of its time is left
/// if that is shorter: those that live for days are made new every few of them.
const WARN_BEFORE_S: u64 = 14 * 24 * 3600;

impl Facts {
    /// Reads a certificate; `None` if it is not one.
    #[must_use]
    pub fn of(der: &[u8]) -> Option<Self> {
        let parsed = Parsed::from_der(der).ok()?;
        let tbs = parsed.tbs_certificate();
        let names = match tbs.get_extension::<SubjectAltName>() {
            Ok(Some((_, SubjectAltName(names)))) => names.iter().filter_map(name).collect(),
            _ => Vec::new(),
        };
        Some(Self {
            subject: tbs.subject().to_string(),
            names,
            not_before_s: tbs.validity().not_before.to_unix_duration().as_secs(),
            not_after_s: tbs.validity().not_after.to_unix_duration().as_secs(),
        })
    }

    /// How it stands at a time in seconds since 1970.
    #[must_use]
    pub fn standing(&self, now_s: u64) -> Standing {
        let lifetime_s = self.not_after_s.saturating_sub(self.not_before_s);
        let left_s = self.not_after_s.saturating_sub(now_s);
        if now_s < self.not_before_s {
            Standing::NotYet(self.not_before_s - now_s)
        } else if left_s == 0 {
            Standing::Expired(now_s - self.not_after_s)
        } else if left_s < WARN_BEFORE_S.min(lifetime_s / 10) {
            Standing::Expiring(left_s)
        } else {
            Standing::Valid(left_s)
        }
    }
}

fn name(name: &GeneralName) -> Option<String> {
    match name {
        GeneralName::DnsName(name) => Some(name.as_str().to_ascii_lowercase()),
        GeneralName::Rfc822Name(name) => Some(name.as_str().to_owned()),
        GeneralName::UniformResourceIdentifier(name) => Some(name.as_str().to_owned()),
        GeneralName::IpAddress(octets) => match *octets.as_bytes() {
            [a, b, c, d] => Some(format!("{a}.{b}.{c}.{d}")),
            _ => {
                let octets: [u8; 16] = octets.as_bytes().try_into().ok()?;
                Some(core::net::Ipv6Addr::from(octets).to_string())
            }
        },
        _ => None,
    }
}

impl Certificate {
    /// Reads the chain from one PEM file, the key from another (or the same) and, if given, the OCSP
    /// response from a third, which is DER.
    pub fn load(chain: &Path, key: &Path, ocsp: Option<&Path>) -> Result<Self, CertificateError> {
        let chain_der = certificates(&read(chain)?).map_err(|cause| cause.of(chain))?;
        let facts = chain_der
            .first()
            .and_then(|der| Facts::of(der))
            .ok_or_else(|| Cause::BrokenCertificate(1).of(chain))?;
        Ok(Self {
            chain: chain_der,
            key: private_key(&Zeroizing::new(read(key)?)).map_err(|cause| cause.of(key))?,
            ocsp: ocsp.map(read).transpose()?,
            facts,
        })
    }

    /// Tells this certificate, key and response from any other.
    #[must_use]
    pub fn fingerprint(&self) -> [u8; 32] {
        let chain = self.chain.iter().map(|der| &der[..]);
        fingerprint(chain.chain([self.key.secret_der(), self.ocsp.as_deref().unwrap_or(&[])]))
    }
}

/// Tells a list of byte strings from any other.
#[must_use]
pub fn fingerprint<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> [u8; 32] {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in parts {
        context.update(&part.len().to_le_bytes());
        context.update(part);
    }
    let digest = context.finish();
    let bytes: &[u8] = digest.as_ref();
    bytes.try_into().expect("SHA-256 has 32 bytes")
}

impl Drop for Certificate {
    fn drop(&mut self) {
        self.key.zeroize();
    }
}

/// Reads the certificates of authorities from a PEM file.
pub fn load_authorities(path: &Path) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    certificates(&read(path)?).map_err(|cause| cause.of(path))
}

/// Every certificate in a PEM text, in order; at least one.
pub fn certificates(text: &[u8]) -> Result<Vec<CertificateDer<'static>>, Cause> {
    let mut found = Vec::new();
    for section in sections(text) {
        if let (SectionKind::Certificate, der) = section? {
            if Parsed::from_der(&der).is_err() {
                return Err(Cause::BrokenCertificate(found.len() + 1));
            }
            found.push(der.into());
        }
    }
    if found.is_empty() {
        return Err(Cause::NoCertificate(contents(text)));
    }
    Ok(found)
}

/// The one private key in a PEM text.
pub fn private_key(text: &[u8]) -> Result<PrivateKeyDer<'static>, Cause> {
    let mut found = None;
    for section in sections(text) {
        let (kind, der) = section?;
        let Some(key) = PrivateKeyDer::from_pem(kind, der) else {
            continue;
        };
        if found.replace(key).is_some() {
            return Err(Cause::SeveralKeys);
        }
    }
    match found {
        Some(key) => Ok(key),
        None if has_encrypted_key(text) => Err(Cause::EncryptedKey),
        None => Err(Cause::NoKey(contents(text))),
    }
}

type Section = (SectionKind, Vec<u8>);

fn sections(text: &[u8]) -> impl Iterator<Item = Result<Section, Cause>> {
    Section::pem_slice_iter(text).map(|section| section.map_err(Cause::broken))
}

fn has_encrypted_key(text: &[u8]) -> bool {
    const MARKS: [&[u8]; 2] = [b"BEGIN ENCRYPTED PRIVATE KEY", b"Proc-Type: 4,ENCRYPTED"];
    let has = |mark: &&[u8]| text.windows(mark.len()).any(|window| window == *mark);
    MARKS.iter().any(has)
}

/// What a file that lacks the right thing holds instead.
fn contents(text: &[u8]) -> Contents {
    let mut kinds = sections(text).filter_map(Result::ok).map(|(kind, _)| kind);
    match kinds.next() {
        Some(SectionKind::Certificate) => Contents::Certificate,
        Some(SectionKind::Csr) => Contents::Request,
        Some(SectionKind::PublicKey) => Contents::PublicKey,
        Some(_) => Contents::PrivateKey,
        None if text.first() == Some(&0x30) => Contents::Der,
        None => Contents::Nothing,
    }
}

fn read(path: &Path) -> Result<Vec<u8>, CertificateError> {
    let unreadable = |error: io::Error| Cause::Unreadable(error.kind()).of(path);
    let length = fs::metadata(path).map_err(unreadable)?.len();
    if length > FILE_BYTES_MAX {
        return Err(Cause::TooLong.of(path));
    }
    fs::read(path).map_err(unreadable)
}

/// A bundle of every public authority is a quarter of this.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// What is wrong with a file, and with which.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong.
    pub cause: Cause,
}

/// What is wrong with a certificate or a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// It cannot be opened or read.
    Unreadable(io::ErrorKind),
    /// It is longer than any such file.
    TooLong,
    /// A `BEGIN` line without its `END`.
    NoEnd,
    /// What stands between the lines is not base64.
    NotBase64,
    /// There is no certificate in it, but this.
    NoCertificate(Contents),
    /// The certificate of this number does not parse.
    BrokenCertificate(usize),
    /// There is no private key in it, but this.
    NoKey(Contents),
    /// The key is protected by a passphrase.
    EncryptedKey,
    /// There is more than one key in it.
    SeveralKeys,
    /// The key is of a kind that TLS here has no use for.
    UnusableKey,
    /// The key belongs to none of the certificates.
    KeyMismatch,
    /// The key belongs to the certificate of this number, not to the first.
    WrongOrder(usize),
    /// An authority that cannot be one.
    BadAuthority(usize),
}

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contents {
    /// Nothing that is PEM.
    Nothing,
    /// Bytes without base64 around them.
    Der,
    /// A certificate.
    Certificate,
    /// A request for one.
    Request,
    /// A private key.
    PrivateKey,
    /// A public key.
    PublicKey,
}

impl Cause {
    /// Names the file it was found in.
    #[must_use]
    pub fn of(self, path: &Path) -> CertificateError {
        CertificateError {
            path: path.to_owned(),
            cause: self,
        }
    }

    fn broken(error: pem::Error) -> Self {
        match error {
            pem::Error::MissingSectionEnd { .. } => Self::NoEnd,
            _ => Self::NotBase64,
        }
    }
}

impl fmt::Display for Contents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nothing => "nothing in PEM form",
            Self::Der => "DER, not PEM (openssl x509 -inform der -in FILE converts it)",
            Self::Certificate => "a certificate",
            Self::Request => "a request for a certificate",
            Self::PrivateKey => "a private key",
            Self::PublicKey => "a public key",
        })
    }
}

impl fmt::Display for CertificateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.cause)
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Unreadable(io::ErrorKind::PermissionDenied) => {
                f.write_str("may not be read; give it to the user that Throng runs as")
            }
            Self::Unreadable(kind) => write!(f, "cannot be read ({kind})"),
            Self::TooLong => f.write_str("is longer than 1 MiB, which no such file is"),
            Self::NoEnd => f.write_str("is cut off: a BEGIN line has no END line"),
            Self::NotBase64 => f.write_str("is damaged: what is in it is not base64"),
            Self::NoCertificate(contents) => {
                write!(f, "holds no certificate, but {contents}")
            }
            Self::BrokenCertificate(number) => {
                write!(f, "certificate {number} is damaged: it does not parse")
            }
            Self::NoKey(contents) => write!(f, "holds no private key, but {contents}"),
            Self::EncryptedKey => f.write_str(
                "the key needs a passphrase; openssl pkey -in FILE -out OTHER writes it without",
            ),
            Self::SeveralKeys => f.write_str("holds several keys; leave the one that is meant"),
            Self::UnusableKey => f.write_str(
                "the key is none of RSA (2048 to 8192 bits), ECDSA (P-256, P-384, P-521) and Ed25519",
            ),
            Self::KeyMismatch => f.write_str("the key belongs to no certificate of the chain"),
            Self::WrongOrder(number) => write!(
                f,
                "the key belongs to certificate {number} of the chain; that one has to come first"
            ),
            Self::BadAuthority(number) => {
                write!(f, "certificate {number} cannot be an authority")
            }
        }
    }
}

impl std::error::Error for CertificateError {}
impl std::error::Error for Cause {}

#[cfg(test)]
mod tests;
