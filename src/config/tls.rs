//! TLS as it is configured: where, with which certificates, and for whom.

use std::path::PathBuf;

use super::Endpoint;

/// Everything about TLS. Files that are not named are looked for among systemd's credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// Where to accept connections that speak TLS; empty for nowhere.
    pub listen: Vec<Endpoint>,
    /// The certificate for everybody whom no other one is for.
    pub certificate: CertificateFiles,
    /// `[[tls.certificates]]`: more of them, chosen by the name a client asks for.
    pub more: Vec<CertificateFiles>,
    /// Who keeps a connection after its handshake.
    pub mode: TlsMode,
    /// The oldest version that is spoken.
    pub min_version: TlsVersion,
    /// Whether key exchange is proof against the computers of tomorrow, where the client's is.
    pub post_quantum: bool,
    /// Whether clients show certificates.
    pub client_certs: ClientCerts,
    /// Whose certificates clients may show.
    pub client_ca: Option<PathBuf>,
    /// Whether clients may resume sessions.
    pub tickets: bool,
    /// Secrets of tickets that several nodes share; `None` is one of this process alone.
    pub ticket_keys: Option<PathBuf>,
}

/// Where a certificate is, and what belongs to it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The chain, as PEM.
    pub cert: Option<PathBuf>,
    /// The key, as PEM; `None` if it is in the file of the chain.
    pub key: Option<PathBuf>,
    /// A response of the authority (OCSP) that is sent along.
    pub ocsp: Option<PathBuf>,
}

/// Who keeps a connection after its handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsMode {
    /// Ours: 128 bytes of keys each.
    Compact,
    /// rustls, kilobytes each.
    Rustls,
    /// The kernel, where it can.
    Ktls,
}

/// Versions of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsVersion {
    /// 1.2, of 2008.
    V1_2,
    /// 1.3, of 2018.
    V1_3,
}

/// Whether clients show certificates (mTLS).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientCerts {
    /// They are not asked.
    Off,
    /// They may.
    Optional,
    /// They have to.
    Required,
}

impl Default for Tls {
    fn default() -> Self {
        Self {
            listen: Vec::new(),
            certificate: CertificateFiles::default(),
            more: Vec::new(),
            mode: TlsMode::Compact,
            // Every browser and library of the last years speaks 1.3; whoever does not costs
            // kilobytes, so the operator decides.
            min_version: TlsVersion::V1_3,
            post_quantum: true,
            client_certs: ClientCerts::Off,
            client_ca: None,
            tickets: true,
            ticket_keys: None,
        }
    }
}
