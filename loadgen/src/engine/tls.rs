//! TLS of one thread: the library's sessions in the role of the client, and what they owe.
//!
//! After its handshake a connection keeps four bytes here and 128 in the sessions' slab, as in the server.

use throng::tls::sessions::{CLOSE_LEN_MAX, SessionId, SessionLimits, Sessions};
use throng::tls::{ClientTls, Role};

/// All TLS of one thread.
#[derive(Debug)]
pub struct Tls {
    /// The sessions.
    pub sessions: Sessions,
    /// What TLS itself has to say, on its way to a connection.
    pub owed: Vec<u8>,
    /// Records on their way to a socket.
    pub records: Vec<u8>,
}

impl Tls {
    /// None yet; so many handshakes at once, which the gate has counted already.
    #[must_use]
    pub fn new(handshakes_max: u64) -> Self {
        let limits = SessionLimits {
            handshakes_max: usize::try_from(handshakes_max).unwrap_or(usize::MAX),
            ..SessionLimits::default()
        };
        Self {
            sessions: Sessions::new(Role::Client, limits),
            owed: Vec::new(),
            records: Vec::new(),
        }
    }

    /// Begins a handshake; its first flight is appended to `out`.
    pub fn begin(&mut self, client: &ClientTls, out: &mut Vec<u8>) -> Option<SessionId> {
        self.sessions.connect(client, out)
    }

    /// Appends `plain`, sealed.
    pub fn seal(&mut self, id: SessionId, plain: &[u8], out: &mut Vec<u8>) {
        let mut rest = plain;
        while !rest.is_empty() {
            let start = out.len();
            let records = rest.len() / RECORD_BYTES + 1;
            out.resize(start + rest.len() + records * CLOSE_LEN_MAX, 0);
            let sealed = self.sessions.seal(id, [rest], &mut out[start..]);
            out.truncate(start + sealed.ciphertext);
            if sealed.plaintext == 0 {
                return; // we have said that we say nothing more
            }
            rest = &rest[sealed.plaintext..];
        }
    }

    /// Appends close_notify, the first time it is asked.
    pub fn close(&mut self, id: SessionId, out: &mut Vec<u8>) {
        let start = out.len();
        out.resize(start + CLOSE_LEN_MAX, 0);
        let written = self.sessions.close(id, &mut out[start..]);
        out.truncate(start + written);
    }
}

/// What a record holds at the most.
const RECORD_BYTES: usize = 16 << 10;
/// Room in front of what is received: a flight with certificates that is not all there. Rustls accepts a
/// message of 64 KiB, and 20 KiB behind it.
pub const HELD_BYTES_MAX: usize = 96 << 10;
