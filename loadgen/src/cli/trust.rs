//! Whom a run believes: authorities from a file, the system's, or anybody.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use throng::tls::certificates::load_authorities;
use throng::tls::{Choices, ClientOptions, ClientTls, Trust};

use super::RunOptions;
use crate::summary;
use crate::target::Target;

/// Whom to believe, and how that is said in the report.
pub(super) struct Belief {
    options: ClientOptions,
    server_name: Option<String>,
    words: String,
}

impl Belief {
    /// From the flags.
    pub(super) fn of(options: &RunOptions) -> anyhow::Result<Self> {
        let (trust, words) = match (&options.ca, options.insecure) {
            (Some(_), true) => {
                bail!("--ca says whom to trust, --insecure trusts anybody: not both")
            }
            (None, true) => (Trust::Anybody, NOBODY_CHECKED.to_owned()),
            (Some(file), false) => (authorities(file)?, file.display().to_string()),
            (None, false) => {
                let file = system_store().context(
                    "this system has no file of authorities: --ca FILE names one, --insecure trusts anybody",
                )?;
                (authorities(&file)?, file.display().to_string())
            }
        };
        Ok(Self {
            options: ClientOptions {
                // Any server will do, the old ones, too: rustls keeps those connections.
                choices: Choices {
                    tls12: true,
                    ..Choices::default()
                },
                trust,
                certificate: None,
                resumes: options.tls_resume,
            },
            server_name: options.server_name.clone(),
            words,
        })
    }

    /// For one target: all of its connections share their tickets.
    pub(super) fn client(&self, target: &Target) -> anyhow::Result<ClientTls> {
        let name = self.server_name.as_deref().unwrap_or(&target.host);
        ClientTls::new(&self.options, name).with_context(|| format!("TLS to `{name}`"))
    }

    /// As the report says it.
    pub(super) fn in_report(&self) -> summary::Tls {
        summary::Tls {
            trust: self.words.clone(),
            is_insecure: matches!(self.options.trust, Trust::Anybody),
            server_name: self.server_name.clone(),
            resumption: self.options.resumes,
            ..summary::Tls::default()
        }
    }
}

fn authorities(file: &Path) -> anyhow::Result<Trust> {
    let found = load_authorities(file).context("--ca")?;
    Ok(Trust::Authorities(found))
}

/// Where distributions keep the authorities that everybody trusts.
fn system_store() -> Option<PathBuf> {
    let named = std::env::var_os("SSL_CERT_FILE").map(PathBuf::from);
    let usual = STORES.iter().map(PathBuf::from);
    named.into_iter().chain(usual).find(|file| file.exists())
}

const STORES: [&str; 3] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
];
const NOBODY_CHECKED: &str = "NOBODY: --insecure, certificates were not checked";
