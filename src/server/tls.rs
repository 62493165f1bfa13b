//! The server's side of TLS: wired in at the start, looked after while we serve.

use std::path::PathBuf;
use std::sync::Arc;

use super::expiry::{self, Warnings};
use super::keychain::Keychain;
use super::stats::Stats;
use super::watch::say;
use crate::config::tls::TlsMode;
use crate::config::{Config, Tls};
use crate::reactor::{Crew, TlsConfig};
use crate::sys::{clock, keep_memory_out_of_dumps, ktls};
use crate::tls::sessions::SessionLimits;

/// How often files are looked at. A certificate is read in a fraction of a millisecond; a minute is
/// sooner than whoever renewed it will look.
const LOOK_EVERY_MS: u64 = 60_000;

/// What the main thread does for TLS, if there is a listener for it.
pub(super) struct TlsCare {
    keychain: Keychain,
    /// What it was made of.
    config: Tls,
    warnings: Warnings,
    looked_ms: u64,
    /// What was wrong the last time, so that it is said once.
    complaint: Option<String>,
    stats: Arc<Stats>,
}

impl TlsCare {
    /// Reads the files; whatever is wrong with one ends the start.
    pub(super) fn begin(config: &Config, stats: Arc<Stats>) -> anyhow::Result<Self> {
        let mut care = Self {
            keychain: Keychain::load(&config.tls, None)?,
            config: config.tls.clone(),
            warnings: Warnings::default(),
            looked_ms: clock::monotonic_ms(),
            complaint: None,
            stats,
        };
        care.tell();
        if let Err(error) = keep_memory_out_of_dumps() {
            say(&format!(
                "a core dump of this process would hold keys ({error}): LimitCORE=0, or ulimit -c 0"
            ));
        }
        Ok(care)
    }

    /// How workers are to speak it.
    pub(super) fn for_workers(&self) -> TlsConfig {
        let to_kernel = self.config.mode == TlsMode::Ktls;
        let missing = to_kernel.then(ktls::check_available).and_then(Result::err);
        if let Some(error) = &missing {
            say(&format!(
                "this kernel keeps no TLS records ({error}; CONFIG_TLS, modprobe tls): going on as \
                 with --tls-mode compact"
            ));
        }
        TlsConfig {
            server: self.keychain.server.clone(),
            limits: SessionLimits::default(),
            to_kernel: to_kernel && missing.is_none(),
        }
    }

    /// One line for the start-up report.
    pub(super) fn summary(&self) -> String {
        expiry::summary(&self.keychain.shown, clock::unix_s())
    }

    /// Once a minute: other files, another epoch of tickets, days that have passed.
    pub(super) fn look<L: Send + 'static>(&mut self, crew: &mut Crew<L>) {
        let now_ms = clock::monotonic_ms();
        if now_ms.saturating_sub(self.looked_ms) < LOOK_EVERY_MS {
            return;
        }
        self.looked_ms = now_ms;
        match Keychain::load(&self.config, Some(&self.keychain)) {
            Ok(new) => {
                self.complaint = None;
                if self.take(new, crew) {
                    say("new certificates: the files have changed");
                }
            }
            // Somebody may be half-way through replacing two files.
            Err(error) => {
                let complaint = format!("{error:#}; the certificates that are in use stay");
                if self.complaint.as_ref() != Some(&complaint) {
                    say(&complaint);
                    self.complaint = Some(complaint);
                }
            }
        }
        self.keychain.set_now(clock::unix_s());
        self.tell();
    }

    /// Reads the files as another configuration names them, for [`accept`](Self::accept).
    pub(super) fn reread(&self, config: &Config) -> anyhow::Result<Keychain> {
        Keychain::load(&self.effective(config), Some(&self.keychain))
    }

    /// A configuration without what only a restart changes.
    fn effective(&self, config: &Config) -> Tls {
        Tls {
            mode: self.config.mode,
            listen: self.config.listen.clone(),
            ..config.tls.clone()
        }
    }

    /// Takes over what was reread. `true`: handshakes are different from now on.
    pub(super) fn accept<L: Send + 'static>(
        &mut self,
        (config, new): (&Config, Keychain),
        crew: &mut Crew<L>,
    ) -> bool {
        let config = self.effective(config);
        let is_other = config != self.config;
        self.config = config;
        let has_changed = match is_other {
            true => {
                crew.set_tls(new.server.clone());
                self.keychain = new;
                true
            }
            false => self.take(new, crew),
        };
        self.tell();
        has_changed
    }

    fn take<L: Send + 'static>(&mut self, new: Keychain, crew: &mut Crew<L>) -> bool {
        let has_changed = new.differs_from(&self.keychain);
        if has_changed {
            crew.set_tls(new.server.clone());
            self.keychain = new;
        }
        has_changed
    }

    /// Says what has to be said about the files, and shows it to whoever reads figures.
    fn tell(&mut self) {
        let now_s = clock::unix_s();
        for path in &self.keychain.open_keys {
            let name = path.display();
            if self.warnings.is_news(path, "open", now_s) {
                say(&format!("everybody can read {name}: chmod 640 {name}"));
            }
        }
        let shown = &self.keychain.shown;
        for line in self.warnings.due(shown, now_s) {
            say(&line);
        }
        let ends = shown.iter().map(|(path, facts)| CertificateEnd {
            path: path.clone(),
            not_after_s: facts.not_after_s,
        });
        self.stats.set_certificates(ends.collect());
    }
}

/// A certificate, and when it ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CertificateEnd {
    pub(super) path: PathBuf,
    pub(super) not_after_s: u64,
}
