//! The record layer of TLS 1.3 after the handshake (RFC 8446, 5), on keys that are plain data.
//!
//! ```text
//!  frames, shared or not ──gather──> out: [header|ciphertext|type+tag][..]  ──> one write
//!  receive buffer: [header|ciphertext|tag][header|cipher        opened where they lie:
//!                  [  5   |plaintext|plaintext of the next ..]  one run of plaintext, and a rest
//! ```
//!
//! `seal` and `open` work on a burst: the cipher is set up once for all records in it, and nothing
//! stays behind but the sequence number. KeyUpdates, alerts and the limits of the keys are
//! handled here; the caller hears of them only if it has to write or to close.
//!
//! Invariant: what is opened is authentic, or it is not handed on. The same bytes in any pieces
//! open to the same plaintext and the same end.

use std::ops::Range;

use super::keys::{
    BROKEN, HEARD_CLOSE, KeyId, KeyStore, Keys, OWES_ANSWER, OWES_REQUEST, SAID_CLOSE,
};
use super::suite::TAG_LEN;

mod open;
mod seal;
mod tail;

pub use open::{End, Opened};
pub(super) use seal::Gather;
pub use seal::Sealed;
pub use tail::{BudgetSpent, Tail, TailBudget};

impl KeyStore {
    /// Opens every whole record in `buffer[span]`, in place. `on_ticket` hears the session tickets
    /// a server sends (only a client is sent any).
    pub fn open(
        &mut self,
        id: KeyId,
        buffer: &mut [u8],
        span: Range<usize>,
        on_ticket: impl FnMut(&[u8]),
    ) -> Opened {
        let role = self.role;
        open::Opener::new(&mut self.keys(id), role, on_ticket).open(buffer, span)
    }

    /// Puts what `pieces` says into as few records as possible, for as long as `out` has room; before
    /// it what the record layer itself owes the peer. After [`KeyStore::alert`] nothing is sealed.
    pub fn seal<'p>(
        &mut self,
        id: KeyId,
        pieces: impl IntoIterator<Item = &'p [u8]>,
        out: &mut [u8],
    ) -> Sealed {
        seal::seal(&mut self.keys(id), pieces.into_iter(), out)
    }

    /// Says an alert, the last thing that is said; 0 is close_notify. The answer is how long its
    /// record is: 0 if one is out already, or if `out` has less than [`ALERT_RECORD_LEN`] bytes.
    pub fn alert(&mut self, id: KeyId, description: u8, out: &mut [u8]) -> usize {
        seal::seal_alert(&mut self.keys(id), description, out)
    }

    /// The keys, if the kernel could go on from here: nothing is owed to the peer, nothing is over.
    pub(super) fn exported(&mut self, id: KeyId) -> Option<Keys<'_>> {
        let keys = self.keys(id);
        let is_over = keys.read.word.has(HEARD_CLOSE | BROKEN);
        let is_owing = keys.write.word.has(OWES_ANSWER | OWES_REQUEST | SAID_CLOSE);
        (!is_over && !is_owing).then_some(keys)
    }

    /// Changes the keys of both directions with the next [`KeyStore::seal`].
    pub fn refresh(&mut self, id: KeyId) {
        self.keys(id).write.word.set(OWES_REQUEST);
    }

    /// Seals what no honest peer would say: any inner plaintext, type and padding included.
    pub(super) fn seal_inner(&mut self, id: KeyId, inner: &[u8], out: &mut [u8]) -> usize {
        seal::seal_inner(&mut self.keys(id), inner, out)
    }

    /// Whether the peer said that nothing follows. An end of the stream without it is a truncation:
    /// anybody on the way may have cut it.
    pub fn has_heard_close(&mut self, id: KeyId) -> bool {
        self.keys(id).read.word.has(HEARD_CLOSE)
    }

    /// Whether we said it, or that something is wrong.
    pub fn has_said_close(&mut self, id: KeyId) -> bool {
        self.keys(id).write.word.has(SAID_CLOSE)
    }
}

/// Bytes of plaintext one record may carry.
pub const PLAINTEXT_BYTES_MAX: usize = 1 << 14;
/// Bytes of a record's header.
pub const HEADER_LEN: usize = 5;
/// Bytes a record is longer than what it carries: header, type, tag.
pub const OVERHEAD: usize = HEADER_LEN + 1 + TAG_LEN;
/// Bytes of the record of an alert.
pub const ALERT_RECORD_LEN: usize = OVERHEAD + 2;
/// The longest record a peer may send: our plaintext limit, and 256 bytes the RFC allows on top.
pub const RECORD_BYTES_MAX: usize = HEADER_LEN + CIPHERTEXT_BYTES_MAX;

const CIPHERTEXT_BYTES_MAX: usize = PLAINTEXT_BYTES_MAX + 256;
/// The shortest: a type and a tag.
const CIPHERTEXT_BYTES_MIN: usize = 1 + TAG_LEN;

const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const APPLICATION: u8 = 23;

const NEW_SESSION_TICKET: u8 = 4;
const KEY_UPDATE: u8 = 24;

const CLOSE_NOTIFY: u8 = 0;
const USER_CANCELED: u8 = 90;

/// The header of a protected record around so many bytes of ciphertext, which is also what the AEAD
/// authenticates besides them.
fn header(ciphertext_len: usize) -> [u8; HEADER_LEN] {
    let [high, low] = (ciphertext_len as u16).to_be_bytes();
    [APPLICATION, 3, 3, high, low]
}

#[cfg(test)]
mod tests;
