//! What TLS is made of: certificates, keys, authorities and secrets of tickets, as their files have
//! it now.
//!
//! ```text
//!  Config, credentials --paths--> files --load--> Keychain { ServerTls, facts, mark }
//!                                    ^                          │ once a minute, and at SIGHUP
//!                                    └── the same mark? nothing <┘  another: a new ServerTls for all
//! ```

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;

use crate::admin::is_open_to_all;
use crate::config::tls::{self as wanted, CertificateFiles};
use crate::sys::clock;
use crate::tls::certificates::{
    Cause, Certificate, CertificateError, Facts, fingerprint, load_authorities,
};
use crate::tls::{Choices, ClientAuth, Mode, OptionError, ServerOptions, ServerTls, Tickets};

/// Everything that was read, ready for handshakes.
#[derive(Debug)]
pub(super) struct Keychain {
    /// What workers shake hands with.
    pub(super) server: ServerTls,
    /// What each certificate says, and the file it is in.
    pub(super) shown: Vec<(PathBuf, Facts)>,
    /// Keys that everybody on this machine can read.
    pub(super) open_keys: Vec<PathBuf>,
    tickets: Option<Arc<Tickets>>,
    /// Tells what was read from anything else.
    mark: [u8; 32],
}

/// Where everything is.
struct Paths {
    certificates: Vec<CertificatePaths>,
    client_ca: Option<PathBuf>,
    ticket_keys: Option<PathBuf>,
}

struct CertificatePaths {
    cert: PathBuf,
    key: PathBuf,
    ocsp: Option<PathBuf>,
}

impl Keychain {
    /// Reads everything. A secret that this process made for its tickets is taken over from `before`.
    pub(super) fn load(tls: &wanted::Tls, before: Option<&Self>) -> anyhow::Result<Self> {
        let credentials = std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from);
        Self::load_from(tls, before, credentials.as_deref())
    }

    fn load_from(
        tls: &wanted::Tls,
        before: Option<&Self>,
        credentials: Option<&Path>,
    ) -> anyhow::Result<Self> {
        let paths = Paths::find(tls, credentials)?;
        let mut certificates = Vec::with_capacity(paths.certificates.len());
        for at in &paths.certificates {
            let loaded = Certificate::load(&at.cert, &at.key, at.ocsp.as_deref());
            certificates.push(loaded.map_err(explained)?);
        }
        let mut marks: Vec<Vec<u8>> = certificates
            .iter()
            .map(|certificate| certificate.fingerprint().to_vec())
            .collect();
        let authorities = match &paths.client_ca {
            Some(path) => load_authorities(path).map_err(explained)?,
            None => Vec::new(),
        };
        marks.extend(authorities.iter().map(|der| der.to_vec()));
        let tickets = read_tickets(tls, &paths, before, &mut marks)?;
        let shown = paths.certificates.iter().map(|at| at.cert.clone());
        let facts = certificates.iter().map(|one| one.facts.clone());
        let shown = shown.zip(facts).collect();
        let options = ServerOptions {
            choices: choices(tls),
            certificates,
            client_auth: match tls.client_certs {
                wanted::ClientCerts::Off => ClientAuth::Off,
                wanted::ClientCerts::Optional => ClientAuth::Optional(authorities),
                wanted::ClientCerts::Required => ClientAuth::Required(authorities),
            },
            tickets: tickets.clone(),
        };
        let server = ServerTls::new(&options).map_err(|error| paths.blame(error))?;
        let keys = paths.certificates.iter().map(|at| &at.key);
        let secrets = keys.chain(&paths.ticket_keys);
        Ok(Self {
            server,
            shown,
            open_keys: secrets
                .filter(|path| is_open_to_all(path))
                .cloned()
                .collect(),
            tickets,
            mark: fingerprint(marks.iter().map(Vec::as_slice)),
        })
    }

    /// Whether the files say something else than they did for `other`.
    pub(super) fn differs_from(&self, other: &Self) -> bool {
        self.mark != other.mark
    }

    /// Tickets change their keys by the clock.
    pub(super) fn set_now(&self, now_s: u64) {
        if let Some(tickets) = &self.tickets {
            tickets.set_now(now_s);
        }
    }
}

impl Paths {
    fn find(tls: &wanted::Tls, credentials: Option<&Path>) -> anyhow::Result<Self> {
        let found = |named: &Option<PathBuf>, name: &str| {
            let credential = || {
                let path = credentials?.join(name);
                path.exists().then_some(path)
            };
            named.clone().or_else(credential)
        };
        let paths = |files: &CertificateFiles, [cert, key, ocsp]: [&str; 3]| {
            let cert = found(&files.cert, cert)?;
            let key = found(&files.key, key).unwrap_or_else(|| cert.clone());
            let ocsp = found(&files.ocsp, ocsp);
            Some(CertificatePaths { cert, key, ocsp })
        };
        let first = paths(&tls.certificate, ["tls.cert", "tls.key", "tls.ocsp"]);
        let named = |files: &CertificateFiles| {
            let cert = files.cert.clone()?;
            Some(CertificatePaths {
                key: files.key.clone().unwrap_or_else(|| cert.clone()),
                ocsp: files.ocsp.clone(),
                cert,
            })
        };
        let certificates: Vec<_> = first
            .into_iter()
            .chain(tls.more.iter().filter_map(named))
            .collect();
        anyhow::ensure!(
            !certificates.is_empty(),
            "TLS needs a certificate: --tls-cert FILE --tls-key FILE, or tls.cert and tls.key among \
             systemd's credentials; `throng dev-cert --out dev` makes one to try it with"
        );
        let asks = tls.client_certs != wanted::ClientCerts::Off;
        let client_ca = asks.then(|| found(&tls.client_ca, "tls.ca")).flatten();
        anyhow::ensure!(
            !asks || client_ca.is_some(),
            "clients are to show certificates, and nobody is said to sign them: --tls-client-ca FILE, \
             or tls.ca among systemd's credentials"
        );
        let ticket_keys = found(&tls.ticket_keys, "tls.tickets").filter(|_| tls.tickets);
        Ok(Self {
            certificates,
            client_ca,
            ticket_keys,
        })
    }

    /// Which file it is about.
    fn blame(&self, error: OptionError) -> anyhow::Error {
        match error {
            OptionError::Certificate(index, cause) => {
                let at = &self.certificates[index];
                match cause {
                    Cause::KeyMismatch => anyhow::anyhow!(
                        "{}: the key belongs to no certificate in {}",
                        at.key.display(),
                        at.cert.display()
                    ),
                    Cause::UnusableKey => explained(cause.of(&at.key)),
                    _ => explained(cause.of(&at.cert)),
                }
            }
            OptionError::Authorities(cause) => match &self.client_ca {
                Some(path) => explained(cause.of(path)),
                None => error.into(),
            },
            error => error.into(),
        }
    }
}

/// A file that is not there is the commonest mistake of all.
fn explained(error: CertificateError) -> anyhow::Error {
    match error.cause {
        Cause::Unreadable(io::ErrorKind::NotFound) => anyhow::anyhow!(
            "{}: there is no such file; `throng dev-cert --out dev` makes a certificate to try it with",
            error.path.display()
        ),
        _ => error.into(),
    }
}

fn read_tickets(
    tls: &wanted::Tls,
    paths: &Paths,
    before: Option<&Keychain>,
    marks: &mut Vec<Vec<u8>>,
) -> anyhow::Result<Option<Arc<Tickets>>> {
    if !tls.tickets {
        return Ok(None);
    }
    let tickets = match &paths.ticket_keys {
        Some(path) => {
            let name = path.display();
            let length = fs::metadata(path).with_context(|| format!("{name}"))?.len();
            anyhow::ensure!(
                length <= TICKET_BYTES_MAX,
                "{name}: is too long to hold secrets"
            );
            let text = fs::read(path).with_context(|| format!("{name}"))?;
            marks.push(fingerprint([&text[..]]).to_vec());
            let tickets = Tickets::from_shared_file(&text);
            Arc::new(tickets.with_context(|| format!("{name}"))?)
        }
        None => {
            let kept = before.and_then(|before| before.tickets.clone());
            kept.unwrap_or_else(|| Arc::new(Tickets::for_this_process()))
        }
    };
    tickets.set_now(clock::unix_s());
    Ok(Some(tickets))
}

/// The configuration in the words of `tls`.
fn choices(tls: &wanted::Tls) -> Choices {
    Choices {
        mode: match tls.mode {
            wanted::TlsMode::Compact | wanted::TlsMode::Ktls => Mode::Compact,
            wanted::TlsMode::Rustls => Mode::Rustls,
        },
        tls12: tls.min_version == wanted::TlsVersion::V1_2,
        post_quantum: tls.post_quantum,
        ..Choices::default()
    }
}

/// More lines than anybody rotates through.
const TICKET_BYTES_MAX: u64 = 64 << 10;

#[cfg(test)]
mod tests;
