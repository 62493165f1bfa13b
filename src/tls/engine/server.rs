//! The server's side: which certificate for whom, who may resume, who has to show a certificate.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{ClientHello, NoServerSessionStorage, ProducesTickets, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys, RootCertStore, ServerConfig};
use rustls_pki_types::CertificateDer;

use super::handover::Catch;
use super::{ALPN, Choices};
use crate::tls::certificates::{Cause, Certificate};
use crate::tls::tickets::{LIFETIME_S, Tickets};

/// Everything a server can be told about TLS.
#[derive(Debug, Default)]
pub struct ServerOptions {
    /// What both ends may choose.
    pub choices: Choices,
    /// Certificates. The first is for those who ask for no name, or for one that nobody has.
    pub certificates: Vec<Certificate>,
    /// Who has to show a certificate, signed by whom.
    pub client_auth: ClientAuth,
    /// The keys of session tickets; without them nothing is resumed.
    pub tickets: Option<Arc<Tickets>>,
}

/// Whether clients show certificates (mTLS).
#[derive(Clone, Debug, Default)]
pub enum ClientAuth {
    /// They are not asked.
    #[default]
    Off,
    /// They may show one of these authorities.
    Optional(Vec<CertificateDer<'static>>),
    /// They have to.
    Required(Vec<CertificateDer<'static>>),
}

/// A server's configuration, checked and ready; cheap to clone. To change something, make a new one:
/// connections that live do not notice.
#[derive(Clone, Debug)]
pub struct ServerTls {
    pub(super) config: Arc<ServerConfig>,
    pub(super) is_compact: bool,
    /// Whether clients may send more than a hello before they are known.
    pub(super) asks_for_certificates: bool,
}

/// What is wrong with the options.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OptionError {
    /// A server has to have a certificate.
    NoCertificate,
    /// The certificate of this number (from 0) has this problem.
    Certificate(usize, Cause),
    /// The authorities have this problem.
    Authorities(Cause),
    /// What may be chosen leaves nothing to speak.
    NothingToSpeak,
    /// This is neither a host name nor an address.
    Name,
}

impl ServerTls {
    /// Checks the options, keys against certificates among them.
    pub fn new(options: &ServerOptions) -> Result<Self, OptionError> {
        let choices = &options.choices;
        let provider = choices.provider();
        let chooser = Chooser::new(&options.certificates, &provider)?;
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(choices.versions())
            .map_err(|_| OptionError::NothingToSpeak)?;
        let builder = match client_verifier(&options.client_auth, &provider)? {
            Some(verifier) => builder.with_client_cert_verifier(verifier),
            None => builder.with_no_client_auth(),
        };
        let mut config = builder.with_cert_resolver(Arc::new(chooser));
        config.alpn_protocols = vec![ALPN.to_vec()];
        config.ignore_client_order = true;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        if let Some(tickets) = &options.tickets {
            config.send_tls13_tickets = TICKETS_PER_HANDSHAKE;
            config.ticketer = Arc::new(Ticketer(Arc::clone(tickets)));
        }
        config.enable_secret_extraction = choices.is_compact();
        config.key_log = Arc::new(Catch);
        Ok(Self {
            config: Arc::new(config),
            is_compact: choices.is_compact(),
            asks_for_certificates: !matches!(options.client_auth, ClientAuth::Off),
        })
    }
}

/// A client uses a ticket once, and gets the next with the connection it made of it.
const TICKETS_PER_HANDSHAKE: usize = 1;

fn client_verifier(
    auth: &ClientAuth,
    provider: &Arc<CryptoProvider>,
) -> Result<Option<Arc<dyn ClientCertVerifier>>, OptionError> {
    let (authorities, is_optional) = match auth {
        ClientAuth::Off => return Ok(None),
        ClientAuth::Optional(authorities) => (authorities, true),
        ClientAuth::Required(authorities) => (authorities, false),
    };
    let roots = Arc::new(roots(authorities)?);
    let mut builder = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(provider));
    if is_optional {
        builder = builder.allow_unauthenticated();
    }
    let verifier = builder.build();
    verifier
        .map(Some)
        .map_err(|_| OptionError::Authorities(Cause::BadAuthority(1)))
}

/// Authorities, as rustls wants them.
pub(super) fn roots(authorities: &[CertificateDer<'static>]) -> Result<RootCertStore, OptionError> {
    let mut roots = RootCertStore::empty();
    for (number, der) in (1..).zip(authorities) {
        let added = roots.add(der.clone());
        added.map_err(|_| OptionError::Authorities(Cause::BadAuthority(number)))?;
    }
    Ok(roots)
}

/// A certificate as rustls wants it, if its key is usable and belongs to it.
pub(super) fn certified(
    certificate: &Certificate,
    provider: &CryptoProvider,
) -> Result<CertifiedKey, Cause> {
    let loaded = provider
        .key_provider
        .load_private_key(certificate.key.clone_key());
    let key = loaded.map_err(|_| Cause::UnusableKey)?;
    let mut certified = CertifiedKey::new(certificate.chain.clone(), key);
    certified.ocsp.clone_from(&certificate.ocsp);
    match certified.keys_match() {
        Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => Ok(certified),
        Err(Error::InconsistentKeys(_)) => Err(owner_of_key(certified)),
        Err(_) => Err(Cause::BrokenCertificate(1)),
    }
}

/// The first certificate is not that of the key. Which one is?
fn owner_of_key(mut certified: CertifiedKey) -> Cause {
    for number in 2..=certified.cert.len() {
        certified.cert.rotate_left(1);
        if certified.keys_match().is_ok() {
            return Cause::WrongOrder(number);
        }
    }
    Cause::KeyMismatch
}

/// Which certificate for whom.
#[derive(Debug)]
struct Chooser {
    by_name: BTreeMap<String, Vec<Arc<CertifiedKey>>>,
    /// In the order they were given, for everybody else.
    all: Vec<Arc<CertifiedKey>>,
}

impl Chooser {
    fn new(certificates: &[Certificate], provider: &CryptoProvider) -> Result<Self, OptionError> {
        let (mut by_name, mut all) = (BTreeMap::<_, Vec<_>>::new(), Vec::new());
        for (number, certificate) in certificates.iter().enumerate() {
            let certified = certified(certificate, provider);
            let certified = certified.map_err(|cause| OptionError::Certificate(number, cause))?;
            let certified = Arc::new(certified);
            for name in &certificate.facts.names {
                by_name
                    .entry(name.clone())
                    .or_default()
                    .push(Arc::clone(&certified));
            }
            all.push(certified);
        }
        if all.is_empty() {
            return Err(OptionError::NoCertificate);
        }
        Ok(Self { by_name, all })
    }

    /// Those for a name: exactly, then by a wildcard (one label, as RFC 6125 has it), then any.
    fn candidates(&self, name: Option<&str>) -> &[Arc<CertifiedKey>] {
        let Some(name) = name.map(str::to_ascii_lowercase) else {
            return &self.all;
        };
        let wildcard = name.split_once('.').map(|(_, rest)| format!("*.{rest}"));
        let exact = self.by_name.get(&name);
        let found = exact.or_else(|| self.by_name.get(&wildcard?));
        found.unwrap_or(&self.all)
    }
}

impl ResolvesServerCert for Chooser {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Catch::server_name(hello.server_name());
        let schemes = hello.signature_schemes();
        let can_sign =
            |certified: &&Arc<CertifiedKey>| certified.key.choose_scheme(schemes).is_some();
        let candidates = self.candidates(hello.server_name());
        // If none can sign for this client, rustls finds out why, and says it with the right alert.
        candidates
            .iter()
            .find(can_sign)
            .or(candidates.first())
            .cloned()
    }
}

#[derive(Debug)]
struct Ticketer(Arc<Tickets>);

impl ProducesTickets for Ticketer {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        LIFETIME_S
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        self.0.seal(plain)
    }

    fn decrypt(&self, cipher: &[u8]) -> Option<Vec<u8>> {
        self.0.open(cipher)
    }
}

impl fmt::Display for OptionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoCertificate => f.write_str("TLS needs a certificate and its key"),
            Self::Certificate(number, cause) => write!(f, "certificate {}: {cause}", number + 1),
            Self::Authorities(cause) => write!(f, "the authorities: {cause}"),
            Self::NothingToSpeak => f.write_str("no cipher suite is left"),
            Self::Name => f.write_str("neither a host name nor an address"),
        }
    }
}

impl std::error::Error for OptionError {}
