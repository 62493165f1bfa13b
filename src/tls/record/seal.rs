//! Plaintext to records.

use super::{
    ALERT, APPLICATION, CLOSE_NOTIFY, HANDSHAKE, HEADER_LEN, KEY_UPDATE, OVERHEAD,
    PLAINTEXT_BYTES_MAX, header,
};
use crate::tls::keys::{Keys, Lane, OWES_ANSWER, OWES_REQUEST, SAID_CLOSE, SEQUENCE_END};
use crate::tls::suite::{Crypter, Suite, TAG_LEN};

/// What a call of `seal` has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sealed {
    /// Bytes of plaintext that are in records now.
    pub plaintext: usize,
    /// Bytes of `out` to send. Their sequence numbers are spent: what the kernel does not take has
    /// to be kept, it cannot be sealed again.
    pub ciphertext: usize,
}

/// See [`KeyStore::seal`](crate::tls::KeyStore::seal).
///
/// A piece that fills a record alone, or is all there is, is encrypted straight from where it lies;
/// smaller ones are gathered in `out`, so that frames of many bytes do not cost 22 bytes each.
pub(super) fn seal<'p>(
    keys: &mut Keys<'_>,
    pieces: impl Iterator<Item = &'p [u8]>,
    out: &mut [u8],
) -> Sealed {
    if keys.write.word.has(SAID_CLOSE) {
        return Sealed::default();
    }
    let mut sealer = Sealer::new(keys, out);
    let mut pieces = Gather::new(pieces);
    let mut plaintext = 0;
    while sealer.settle() && !pieces.is_empty() && sealer.room() > 0 {
        plaintext += sealer.application(&mut pieces);
    }
    Sealed {
        plaintext,
        ciphertext: sealer.filled,
    }
}

/// See [`KeyStore::alert`](crate::tls::KeyStore::alert).
pub(super) fn seal_alert(keys: &mut Keys<'_>, description: u8, out: &mut [u8]) -> usize {
    const WARNING: u8 = 1;
    const FATAL: u8 = 2;
    if keys.write.word.has(SAID_CLOSE) {
        return 0;
    }
    let level = if description == CLOSE_NOTIFY {
        WARNING
    } else {
        FATAL
    };
    let mut sealer = Sealer::new(keys, out);
    if sealer.room() < 2 {
        return 0;
    }
    sealer.record(&[level, description], ALERT);
    sealer.lane.word.set(SAID_CLOSE);
    sealer.filled
}

/// See [`KeyStore::seal_inner`](crate::tls::KeyStore::seal_inner).
pub(super) fn seal_inner(keys: &mut Keys<'_>, inner: &[u8], out: &mut [u8]) -> usize {
    let mut sealer = Sealer::new(keys, out);
    if let Some((kind, plain)) = inner.split_last() {
        sealer.record(plain, *kind);
    }
    sealer.filled
}

/// The write side of one connection during one burst.
struct Sealer<'a, 'k, 'o> {
    suite: Suite,
    lane: &'a mut Lane<'k>,
    /// Set up with the first record.
    crypter: Option<Crypter>,
    out: &'o mut [u8],
    filled: usize,
}

impl<'a, 'k, 'o> Sealer<'a, 'k, 'o> {
    fn new(keys: &'a mut Keys<'k>, out: &'o mut [u8]) -> Self {
        Self {
            suite: keys.suite,
            lane: &mut keys.write,
            crypter: None,
            out,
            filled: 0,
        }
    }

    /// Bytes of plaintext the next record could carry.
    fn room(&self) -> usize {
        let room = (self.out.len() - self.filled).saturating_sub(OVERHEAD);
        room.min(PLAINTEXT_BYTES_MAX)
    }

    /// Sends the KeyUpdate that is due, if one is; whether application records may follow.
    ///
    /// One KeyUpdate answers any number of requests (RFC 8446, 4.6.3).
    fn settle(&mut self) -> bool {
        const NOT_REQUESTED: u8 = 0;
        const REQUESTED: u8 = 1;
        let word = *self.lane.word;
        let is_worn = word.sequence() >= SEQUENCE_END - RECORDS_SPARE;
        if !is_worn && !word.has(OWES_ANSWER | OWES_REQUEST) {
            return true;
        }
        let request = if word.has(OWES_REQUEST) {
            REQUESTED
        } else {
            NOT_REQUESTED
        };
        if self.room() < KEY_UPDATE_LEN {
            return false;
        }
        self.record(&[KEY_UPDATE, 0, 0, 1, request], HANDSHAKE);
        // The message was the last one with the old key.
        self.lane.update(self.suite);
        self.lane.word.clear(OWES_ANSWER | OWES_REQUEST);
        self.crypter = None;
        true
    }

    /// One record of application bytes; how many went into it.
    fn application<'p>(
        &mut self,
        pieces: &mut Gather<'p, impl Iterator<Item = &'p [u8]>>,
    ) -> usize {
        let room = self.room();
        let first = pieces.take(room);
        if first.len() == room || pieces.is_empty() {
            self.record(first, APPLICATION);
            return first.len();
        }
        let start = self.filled + HEADER_LEN;
        let body = &mut self.out[start..start + room];
        body[..first.len()].copy_from_slice(first);
        let mut length = first.len();
        while length < room && !pieces.is_empty() {
            let piece = pieces.take(room - length);
            body[length..length + piece.len()].copy_from_slice(piece);
            length += piece.len();
        }
        self.protect(length, None, APPLICATION);
        length
    }

    fn record(&mut self, plain: &[u8], kind: u8) {
        self.protect(plain.len(), Some(plain), kind);
    }

    /// Makes a record of `plain`, or of the `length` bytes that lie where its ciphertext belongs.
    fn protect(&mut self, length: usize, plain: Option<&[u8]>, kind: u8) {
        let nonce = self.lane.take_nonce();
        let crypter = self
            .crypter
            .get_or_insert_with(|| self.lane.crypter(self.suite));
        let header = header(length + 1 + TAG_LEN);
        let record = &mut self.out[self.filled..self.filled + length + OVERHEAD];
        let (head, body) = record.split_at_mut(HEADER_LEN);
        let (body, trailer) = body.split_at_mut(length);
        head.copy_from_slice(&header);
        match plain {
            Some(plain) => crypter.seal(nonce, header, plain, kind, body, trailer),
            None => crypter.seal_in_place(nonce, header, kind, body, trailer),
        }
        self.filled += length + OVERHEAD;
    }
}

/// Slices one after another, as if they were one: what is taken never spans two.
pub(in crate::tls) struct Gather<'p, I> {
    pieces: I,
    /// What is left of the piece at hand; empty only after the last one.
    rest: &'p [u8],
}

impl<'p, I: Iterator<Item = &'p [u8]>> Gather<'p, I> {
    pub(in crate::tls) fn new(pieces: I) -> Self {
        let mut gather = Self { pieces, rest: &[] };
        gather.refill();
        gather
    }

    pub(in crate::tls) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Up to `length` bytes of the piece at hand.
    pub(in crate::tls) fn take(&mut self, length: usize) -> &'p [u8] {
        let (taken, rest) = self.rest.split_at(length.min(self.rest.len()));
        self.rest = rest;
        self.refill();
        taken
    }

    fn refill(&mut self) {
        while self.rest.is_empty() {
            let Some(piece) = self.pieces.next() else {
                return;
            };
            self.rest = piece;
        }
    }
}

/// Type, length of three bytes, the request.
const KEY_UPDATE_LEN: usize = 5;
/// Records left to a write key when it is replaced: the KeyUpdate itself, and an alert.
const RECORDS_SPARE: u32 = 16;
