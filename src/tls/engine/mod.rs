//! Everything that names rustls, and nothing else: handshakes, and whole connections for those who
//! want rustls to keep them.
//!
//! It is one folder because the interface it stands on will change: rustls 0.24 has no unbuffered
//! connections any more. `Cargo.toml` pins the 0.23 line; whoever moves on finds all of it here.

mod client;
mod drive;
mod handover;
mod link;
mod refusal;
mod server;

pub use client::{ClientOptions, ClientTls, Trust};
pub(super) use handover::TicketSink;
pub use link::Introduction;
pub(super) use link::{KEPT_OVERHEAD_MAX, Link, Stage};
pub use refusal::Refusal;
pub use server::{ClientAuth, OptionError, ServerOptions, ServerTls};

use rustls::crypto::aws_lc_rs::{self, cipher_suite, kx_group};
use rustls::crypto::{CryptoProvider, SupportedKxGroup};
use rustls::{SupportedCipherSuite, SupportedProtocolVersion, version};
use std::sync::Arc;

use super::Suite;

/// What is done with a connection after its handshake.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Mode {
    /// TLS 1.3: 128 bytes of keys and our own record layer.
    #[default]
    Compact,
    /// rustls keeps it: 3.4 KB and more, and everything rustls offers.
    Rustls,
}

/// What both ends of a connection may choose.
#[derive(Clone, Debug)]
pub struct Choices {
    /// What is done after the handshake. TLS 1.2 connections are kept by rustls in any mode.
    pub mode: Mode,
    /// Whether TLS 1.2 is spoken to those who know nothing newer; otherwise they are refused.
    pub tls12: bool,
    /// The cipher suites of TLS 1.3, best first. The server's order counts: with the narrow one
    /// first, nearly every peer gets the narrow line.
    pub suites: Vec<Suite>,
    /// Whether X25519MLKEM768 is offered, first: what is recorded today stays closed to the
    /// computers of tomorrow.
    pub post_quantum: bool,
}

impl Default for Choices {
    fn default() -> Self {
        Self {
            mode: Mode::Compact,
            tls12: false,
            suites: Suite::ALL.to_vec(),
            post_quantum: true,
        }
    }
}

impl Choices {
    fn provider(&self) -> Arc<CryptoProvider> {
        let mut provider = aws_lc_rs::default_provider();
        let older = provider.cipher_suites.into_iter();
        let older = older.filter(|suite| self.tls12 && suite.tls13().is_none());
        provider.cipher_suites = self
            .suites
            .iter()
            .copied()
            .map(named)
            .chain(older)
            .collect();
        let hybrid = self.post_quantum.then_some(kx_group::X25519MLKEM768);
        let classic: [&dyn SupportedKxGroup; 3] =
            [kx_group::X25519, kx_group::SECP256R1, kx_group::SECP384R1];
        provider.kx_groups = hybrid.into_iter().chain(classic).collect();
        Arc::new(provider)
    }

    fn versions(&self) -> &'static [&'static SupportedProtocolVersion] {
        static VERSIONS: [&SupportedProtocolVersion; 2] = [&version::TLS13, &version::TLS12];
        if self.tls12 {
            &VERSIONS
        } else {
            &VERSIONS[..1]
        }
    }

    fn is_compact(&self) -> bool {
        self.mode == Mode::Compact
    }
}

fn named(suite: Suite) -> SupportedCipherSuite {
    match suite {
        Suite::Aes128Gcm => cipher_suite::TLS13_AES_128_GCM_SHA256,
        Suite::Aes256Gcm => cipher_suite::TLS13_AES_256_GCM_SHA384,
        Suite::Chacha20Poly1305 => cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
    }
}

/// What is spoken inside: RFC 6455 opens with HTTP/1.1. A peer that offers only others is refused
/// with `no_application_protocol`; one that offers none means this.
const ALPN: &[u8] = b"http/1.1";
