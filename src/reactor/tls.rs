//! What one worker has for TLS, and lends to whichever connection is running.
//!
//! ```text
//!  recv ──Sessions::receive──> plaintext where it lay     `out`: what TLS itself has to say
//!  pieces of the cork, chunks of the queue ──Sealer──> `scratch` ──one send──> kernel
//! ```

use super::app::Ending;
use super::connection::Connection;
use crate::metrics::Counters;
use crate::tls::record::Sealed;
use crate::tls::sessions::{SessionId, SessionLimits, Sessions};
use crate::tls::{Refusal, Role, ServerTls};

/// Handshakes that go a step further per turn, together: a full one is about 100 us, so established
/// peers wait less than a millisecond for them.
pub(super) const HANDSHAKES_PER_TURN: usize = 8;
/// Records sealed at once. What the kernel does not take of them is kept as they are, so this also
/// bounds how much of a shared publication a slow reader has a copy of.
const SCRATCH_BYTES: usize = 64 << 10;

/// How a worker speaks TLS.
#[derive(Clone, Debug)]
pub struct TlsConfig {
    /// Certificates and choices.
    pub server: ServerTls,
    /// What may be under way at once.
    pub limits: SessionLimits,
    /// Whether the kernel is asked to go on after the handshake (kTLS).
    pub to_kernel: bool,
}

/// The worker's TLS.
#[derive(Debug)]
pub(crate) struct TlsDesk {
    server: ServerTls,
    pub(super) sessions: Sessions,
    handshakes_max: usize,
    /// Steps of handshakes left in this turn.
    allowance: usize,
    pub(super) to_kernel: bool,
    /// Said by TLS itself during one call; empty between calls.
    pub(super) out: Vec<u8>,
    scratch: Box<[u8]>,
}

impl TlsDesk {
    pub(super) fn new(config: &TlsConfig) -> Self {
        Self {
            server: config.server.clone(),
            sessions: Sessions::new(Role::Server, config.limits),
            handshakes_max: config.limits.handshakes_max,
            allowance: HANDSHAKES_PER_TURN,
            to_kernel: config.to_kernel,
            out: Vec::new(),
            scratch: vec![0; SCRATCH_BYTES].into_boxed_slice(),
        }
    }

    /// Other certificates and choices for those who come from now on.
    pub(super) fn set_server(&mut self, server: ServerTls) {
        self.server = server;
    }

    /// A new turn.
    pub(super) fn begin_turn(&mut self) {
        self.allowance = HANDSHAKES_PER_TURN;
    }

    /// Whether another handshake may begin now.
    pub(super) fn may_begin(&self) -> bool {
        self.allowance > 0 && self.has_room()
    }

    /// Whether another handshake may begin in some turn soon, rather than when one has ended.
    pub(super) fn has_room(&self) -> bool {
        self.sessions.handshakes() < self.handshakes_max
    }

    /// Whether one that is under way may go on now.
    pub(super) fn may_go_on(&self) -> bool {
        self.allowance > 0
    }

    /// One step of a handshake is about to be taken.
    pub(super) fn take_allowance(&mut self) {
        self.allowance = self.allowance.saturating_sub(1);
    }

    /// Begins a handshake.
    pub(super) fn begin(&mut self) -> Option<SessionId> {
        self.sessions.accept(&self.server)
    }

    /// Somewhere to seal what that session says.
    pub(super) fn sealer(&mut self, id: SessionId) -> Sealer<'_> {
        Sealer {
            id,
            sessions: &mut self.sessions,
            scratch: &mut self.scratch,
        }
    }

    /// Forgets the session of a connection, if it has one.
    pub(super) fn forget<S, C>(&mut self, conn: &mut Connection<S, C>) {
        if let Some(id) = conn.tls.take() {
            self.sessions.remove(id);
        }
    }

    /// A connection is over. If its handshake was not, it has failed, and nobody has counted it yet.
    pub(super) fn count_end<S, C>(
        &self,
        conn: &Connection<S, C>,
        ending: Ending,
        counters: &mut Counters,
    ) {
        if !conn.tls.is_some_and(|id| self.sessions.is_handshaking(id)) {
            return;
        }
        match ending {
            Ending::TooSlow => counters.tls_failed_timeout += 1,
            Ending::HungUp | Ending::Truncated | Ending::Reset => counters.tls_failed_hung_up += 1,
            // Refusals were counted when they were said; the others are no fault of the handshake's.
            _ => {}
        }
    }

    /// Memory that is there whatever connections there are.
    pub(super) fn held_bytes(&self) -> usize {
        self.scratch.len() + self.out.capacity()
    }
}

/// Counts a handshake that came to nothing, and why.
pub(super) fn count_refusal(counters: &mut Counters, refusal: Refusal) {
    counters.tls_refused += 1;
    let reason = match refusal {
        Refusal::PlainHttp => &mut counters.tls_failed_plain_http,
        Refusal::NotTls => &mut counters.tls_failed_not_tls,
        Refusal::Version => &mut counters.tls_failed_version,
        Refusal::NothingInCommon => &mut counters.tls_failed_nothing_in_common,
        Refusal::Protocol => &mut counters.tls_failed_protocol,
        Refusal::CertificateMissing
        | Refusal::CertificateInvalid
        | Refusal::CertificateExpired
        | Refusal::CertificateUntrusted
        | Refusal::CertificateName => &mut counters.tls_failed_certificate,
        Refusal::PeerAlert(_) => &mut counters.tls_failed_alert,
        Refusal::TooLong | Refusal::BadMac | Refusal::Misbehaved => {
            &mut counters.tls_failed_misbehaved
        }
        Refusal::Internal => &mut counters.tls_failed_internal,
    };
    *reason += 1;
}

/// One session's way out.
pub(crate) struct Sealer<'a> {
    id: SessionId,
    sessions: &'a mut Sessions,
    scratch: &'a mut [u8],
}

impl Sealer<'_> {
    /// Seals as much of `pieces` as fits, in as few records as possible: how many bytes of them, and
    /// the records. Without records nothing can be said any more.
    pub(super) fn seal<'p>(
        &mut self,
        pieces: impl IntoIterator<Item = &'p [u8]>,
    ) -> (usize, &[u8]) {
        let Sealed {
            plaintext,
            ciphertext,
        } = self.sessions.seal(self.id, pieces, self.scratch);
        (plaintext, &self.scratch[..ciphertext])
    }

    /// close_notify; nothing the second time.
    pub(super) fn close(&mut self) -> &[u8] {
        let length = self.sessions.close(self.id, self.scratch);
        &self.scratch[..length]
    }
}
