//! The client's side, for the load generator: whom to trust, and whether to resume.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{
    ClientSessionStore, Resumption, Tls12ClientSessionValue, Tls13ClientSessionValue,
};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
};
use rustls::{ClientConfig, DigitallySignedStruct, Error, NamedGroup, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use super::handover::Catch;
use super::server::{certified, roots};
use super::{ALPN, Choices, OptionError};
use crate::tls::certificates::Certificate;

/// Everything a client can be told about TLS.
#[derive(Debug, Default)]
pub struct ClientOptions {
    /// What both ends may choose.
    pub choices: Choices,
    /// Which servers are believed.
    pub trust: Trust,
    /// Shown to servers that ask (mTLS).
    pub certificate: Option<Certificate>,
    /// Whether tickets are kept and used for the next connection.
    pub resumes: bool,
}

/// Which servers a client believes.
#[derive(Clone, Debug, Default)]
pub enum Trust {
    /// Any that holds the key of the certificate it shows, whatever that says. For measurements.
    #[default]
    Anybody,
    /// Those with a certificate of one of these authorities, for their name and time.
    Authorities(Vec<CertificateDer<'static>>),
}

/// A client's configuration for one server, checked and ready; cheap to clone.
#[derive(Clone, Debug)]
pub struct ClientTls {
    pub(super) config: Arc<ClientConfig>,
    pub(super) name: ServerName<'static>,
    pub(super) is_compact: bool,
    pub(super) wants_tickets: bool,
}

impl ClientTls {
    /// Checks the options. `name` is the host name or address of the server, as a URL has it.
    pub fn new(options: &ClientOptions, name: &str) -> Result<Self, OptionError> {
        let choices = &options.choices;
        let provider = choices.provider();
        let name = name.trim_start_matches('[').trim_end_matches(']');
        let name = ServerName::try_from(name.to_owned()).map_err(|_| OptionError::Name)?;
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(choices.versions())
            .map_err(|_| OptionError::NothingToSpeak)?;
        let builder = match &options.trust {
            Trust::Authorities(authorities) => builder.with_root_certificates(roots(authorities)?),
            Trust::Anybody => builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(Anybody::new(&provider))),
        };
        let mut config = builder.with_no_client_auth();
        if let Some(certificate) = &options.certificate {
            let certified = certified(certificate, &provider);
            let certified = certified.map_err(|cause| OptionError::Certificate(0, cause))?;
            config.client_auth_cert_resolver =
                Arc::new(rustls::sign::SingleCertAndKey::from(certified));
        }
        config.alpn_protocols = vec![ALPN.to_vec()];
        config.resumption = match options.resumes {
            true => Resumption::store(Arc::new(Wallet::default())),
            false => Resumption::disabled(),
        };
        config.enable_secret_extraction = choices.is_compact();
        config.key_log = Arc::new(Catch);
        Ok(Self {
            config: Arc::new(config),
            name,
            is_compact: choices.is_compact(),
            wants_tickets: options.resumes,
        })
    }
}

/// The tickets of one server. rustls' own store keeps eight of a server; who opens hundreds of connections
/// at a time would resume eight of them.
#[derive(Default)]
struct Wallet(Mutex<Contents>);

#[derive(Default)]
struct Contents {
    tickets: VecDeque<Tls13ClientSessionValue>,
    older: Option<Tls12ClientSessionValue>,
    group: Option<NamedGroup>,
}

impl Wallet {
    /// What is in it. Nobody can leave it half changed, so a panic of another thread means nothing here.
    fn contents(&self) -> MutexGuard<'_, Contents> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Wallet {
    /// Without the secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Wallet({})", self.contents().tickets.len())
    }
}

/// A configuration is for one server, so the names say nothing new.
impl ClientSessionStore for Wallet {
    fn set_kx_hint(&self, _: ServerName<'static>, group: NamedGroup) {
        self.contents().group = Some(group);
    }

    fn kx_hint(&self, _: &ServerName<'_>) -> Option<NamedGroup> {
        self.contents().group
    }

    fn set_tls12_session(&self, _: ServerName<'static>, session: Tls12ClientSessionValue) {
        self.contents().older = Some(session);
    }

    fn tls12_session(&self, _: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        self.contents().older.clone()
    }

    fn remove_tls12_session(&self, _: &ServerName<'static>) {
        self.contents().older = None;
    }

    fn insert_tls13_ticket(&self, _: ServerName<'static>, ticket: Tls13ClientSessionValue) {
        let tickets = &mut self.contents().tickets;
        if tickets.len() >= TICKETS_MAX {
            tickets.pop_front(); // the oldest is the first to be useless
        }
        tickets.push_back(ticket);
    }

    fn take_tls13_ticket(&self, _: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        self.contents().tickets.pop_back()
    }
}

/// As many as handshakes that a generator has under way; each is about a kilobyte.
const TICKETS_MAX: usize = 1024;

/// Believes every certificate, and checks only that the server has its key.
#[derive(Debug)]
struct Anybody(WebPkiSupportedAlgorithms);

impl Anybody {
    fn new(provider: &CryptoProvider) -> Self {
        Self(provider.signature_verification_algorithms)
    }
}

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}
