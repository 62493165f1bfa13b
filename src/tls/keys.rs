//! What TLS keeps of a connection after the handshake: 128 bytes of plain data.
//!
//! ```text
//!  AES-128-GCM          64 bytes, touched by every burst       64 bytes, touched by KeyUpdate
//!   ┌──────────────────────────────────┬──────────────────────────────────┬──────────────────┐
//!   │ read:  key 16, iv 12, word 4     │ write: key 16, iv 12, word 4     │ two secrets of 32│
//!   └──────────────────────────────────┴──────────────────────────────────┴──────────────────┘
//!  the others: the same with keys of 32 and secrets of 48 bytes, 192 in all
//! ```
//!
//! The pairs lie in slabs that never move, on pages no core dump contains. A vacant pair is
//! overwritten at once and holds nothing but the number of the next vacant one.

use std::io;
use std::num::NonZeroU32;

use zeroize::Zeroize;

use super::suite::{Crypter, IV_LEN, SECRET_LEN_MAX, Suite};
use crate::sys::{Pages, ktls};

/// One direction of a connection, as the handshake left it.
pub struct Half<'a> {
    /// The traffic secret the keys are derived from.
    pub secret: &'a [u8],
    /// How many records it has protected already.
    pub sequence: u64,
}

/// Where the keys of a connection are: 4 bytes, and `Option` of it is 4 bytes, too.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct KeyId(NonZeroU32);

impl KeyId {
    fn new(suite: Suite, slot: u32) -> Self {
        let word = (slot + 1) << SUITE_BITS | suite as u32;
        Self(word.try_into().expect("one more than a slot is not zero"))
    }

    /// The suite the keys are for.
    #[must_use]
    pub fn suite(self) -> Suite {
        Suite::ALL[(self.0.get() & SUITE_MASK) as usize]
    }

    fn slot(self) -> u32 {
        (self.0.get() >> SUITE_BITS) - 1
    }

    /// The four bytes of it.
    pub(super) fn word(self) -> NonZeroU32 {
        self.0
    }

    /// A word that is no id, for a slot of something else.
    pub(super) fn foreign_word(slot: u32) -> NonZeroU32 {
        let word = (slot + 1) << SUITE_BITS | SUITE_MASK;
        NonZeroU32::new(word).expect("the mask is not zero")
    }

    /// The id that has this word, or the slot of something else.
    pub(super) fn from_word(word: NonZeroU32) -> Result<Self, u32> {
        match word.get() & SUITE_MASK {
            SUITE_MASK => Err(Self(word).slot()),
            _ => Ok(Self(word)),
        }
    }
}

const SUITE_BITS: u32 = 2;
const SUITE_MASK: u32 = (1 << SUITE_BITS) - 1;
/// Slots a [`KeyId`] can name.
const SLOTS_MAX: u32 = (1 << (32 - SUITE_BITS)) - 2;

const _: () = assert!(size_of::<Option<KeyId>>() == 4);
const _: () = assert!(
    Suite::ALL.len() <= SUITE_MASK as usize,
    "one is for foreign words"
);

/// Which end of its connections a worker is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// They came to us.
    Server,
    /// We made them.
    Client,
}

/// The keys of all connections of one worker. How they are used: [`record`](super::record).
#[derive(Debug)]
pub struct KeyStore {
    pub(super) role: Role,
    /// AES-128-GCM.
    narrow: Slab<16, 32>,
    /// The other suites.
    wide: Slab<32, 48>,
}

impl KeyStore {
    /// An empty one.
    #[must_use]
    pub fn new(role: Role) -> Self {
        Self {
            role,
            narrow: Slab::default(),
            wide: Slab::default(),
        }
    }

    /// Keeps the keys of a connection. Fails if memory does, or if a sequence is beyond what a key
    /// may protect.
    pub fn insert(&mut self, suite: Suite, read: &Half<'_>, write: &Half<'_>) -> io::Result<KeyId> {
        if read.sequence.max(write.sequence) >= SEQUENCE_END.into() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let slot = match suite {
            Suite::Aes128Gcm => self.narrow.take_slot()?,
            Suite::Aes256Gcm | Suite::Chacha20Poly1305 => self.wide.take_slot()?,
        };
        let id = KeyId::new(suite, slot);
        let keys = self.keys(id);
        keys.read.install(suite, read);
        keys.write.install(suite, write);
        Ok(id)
    }

    /// Forgets the keys: nothing of them stays in memory.
    pub fn remove(&mut self, id: KeyId) {
        match id.suite() {
            Suite::Aes128Gcm => self.narrow.free_slot(id.slot()),
            Suite::Aes256Gcm | Suite::Chacha20Poly1305 => self.wide.free_slot(id.slot()),
        }
    }

    /// How many connections have keys here.
    #[must_use]
    pub fn len(&self) -> usize {
        self.narrow.taken + self.wide.taken
    }

    /// Whether nobody has.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of memory the pairs occupy, vacant ones included.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.narrow.held_bytes() + self.wide.held_bytes()
    }

    /// The keys of one connection, for a burst of records.
    pub(super) fn keys(&mut self, id: KeyId) -> Keys<'_> {
        let suite = id.suite();
        match suite {
            Suite::Aes128Gcm => self.narrow.pair(id.slot()).keys(suite),
            Suite::Aes256Gcm | Suite::Chacha20Poly1305 => self.wide.pair(id.slot()).keys(suite),
        }
    }
}

/// A connection's keys, borrowed; the width of the line behind them no longer matters.
pub(super) struct Keys<'a> {
    pub(super) suite: Suite,
    pub(super) read: Lane<'a>,
    pub(super) write: Lane<'a>,
}

/// One direction, borrowed.
pub(super) struct Lane<'a> {
    key: &'a mut [u8],
    iv: &'a mut [u8; IV_LEN],
    secret: &'a mut [u8],
    pub(super) word: &'a mut Word,
}

impl Lane<'_> {
    fn install(self, suite: Suite, half: &Half<'_>) {
        self.secret.copy_from_slice(half.secret);
        suite.derive_traffic_keys(self.secret, self.key, self.iv);
        *self.word = Word(half.sequence as u32);
    }

    /// For the kernel, if it is to go on with this direction.
    pub(super) fn exported(&self, suite: Suite) -> ktls::Keys<'_> {
        ktls::Keys {
            cipher: match suite {
                Suite::Aes128Gcm => ktls::Cipher::Aes128Gcm,
                Suite::Aes256Gcm => ktls::Cipher::Aes256Gcm,
                Suite::Chacha20Poly1305 => ktls::Cipher::Chacha20Poly1305,
            },
            key: self.key,
            iv: self.iv,
            sequence: self.word.sequence().into(),
        }
    }

    pub(super) fn crypter(&self, suite: Suite) -> Crypter {
        Crypter::new(suite, self.key)
    }

    /// The nonce of the next record, which it uses up. The caller has looked at the limit.
    pub(super) fn take_nonce(&mut self) -> [u8; IV_LEN] {
        let sequence = self.word.sequence();
        assert!(sequence < SEQUENCE_END, "a nonce is never used twice");
        let mut nonce = *self.iv;
        for (byte, counted) in nonce[IV_LEN - 4..].iter_mut().zip(sequence.to_be_bytes()) {
            *byte ^= counted;
        }
        self.word.0 += 1;
        nonce
    }

    /// The keys after a KeyUpdate; the marks stay.
    pub(super) fn update(&mut self, suite: Suite) {
        suite.advance_secret(self.secret);
        suite.derive_traffic_keys(self.secret, self.key, self.iv);
        self.word.0 &= !SEQUENCE_MASK;
    }
}

/// A sequence number of 24 bits, which is how many records a GCM key may protect (RFC 8446, 5.5),
/// and 8 marks: so the pair stays two lines.
#[derive(Clone, Copy, Default)]
pub(super) struct Word(u32);

impl Word {
    pub(super) fn sequence(self) -> u32 {
        self.0 & SEQUENCE_MASK
    }

    pub(super) fn has(self, mark: u32) -> bool {
        self.0 & mark != 0
    }

    pub(super) fn set(&mut self, mark: u32) {
        self.0 |= mark;
    }

    pub(super) fn clear(&mut self, mark: u32) {
        self.0 &= !mark;
    }

    /// Records in a row that carried nothing (read side only).
    pub(super) fn barren(self) -> u32 {
        (self.0 & BARREN_MASK) >> BARREN_SHIFT
    }

    pub(super) fn set_barren(&mut self, count: u32) {
        debug_assert!(count <= BARREN_MASK >> BARREN_SHIFT);
        self.0 = self.0 & !BARREN_MASK | count << BARREN_SHIFT;
    }

    #[cfg(test)]
    pub(super) fn set_sequence(&mut self, sequence: u32) {
        self.0 = self.0 & !SEQUENCE_MASK | sequence;
    }
}

const SEQUENCE_MASK: u32 = (1 << 24) - 1;
/// The first sequence number that is never used: one before the end, so that counting it up cannot
/// reach the marks.
pub(super) const SEQUENCE_END: u32 = SEQUENCE_MASK;
const BARREN_SHIFT: u32 = 24;
const BARREN_MASK: u32 = 0x3F << BARREN_SHIFT;
/// Read side: the peer's close_notify has come; what follows is ignored.
pub(super) const HEARD_CLOSE: u32 = 1 << 30;
/// Read side: the peer broke a rule; nothing more is opened.
pub(super) const BROKEN: u32 = 1 << 31;
/// Write side: the peer asked for a KeyUpdate.
pub(super) const OWES_ANSWER: u32 = 1 << 24;
/// Write side: the peer's key is nearly worn out, and it is to be asked for a new one.
pub(super) const OWES_REQUEST: u32 = 1 << 25;
/// Write side: our close_notify (or another alert) is out; nothing may follow.
pub(super) const SAID_CLOSE: u32 = 1 << 26;

#[derive(Clone)]
#[repr(C)]
struct Direction<const KEY: usize> {
    key: [u8; KEY],
    iv: [u8; IV_LEN],
    word: Word,
}

#[repr(C, align(64))]
struct Pair<const KEY: usize, const SECRET: usize> {
    read: Direction<KEY>,
    write: Direction<KEY>,
    read_secret: [u8; SECRET],
    write_secret: [u8; SECRET],
}

const _: () = assert!(size_of::<Direction<16>>() == 32);
const _: () = assert!(size_of::<Pair<16, 32>>() == 128);
const _: () = assert!(size_of::<Pair<32, 48>>() == 192);
const _: () = assert!(SECRET_LEN_MAX == 48);

impl<const KEY: usize, const SECRET: usize> Pair<KEY, SECRET> {
    fn vacant() -> Self {
        let direction = Direction {
            key: [0; KEY],
            iv: [0; IV_LEN],
            word: Word(0),
        };
        Self {
            read: direction.clone(),
            write: direction,
            read_secret: [0; SECRET],
            write_secret: [0; SECRET],
        }
    }

    fn keys(&mut self, suite: Suite) -> Keys<'_> {
        let secret_len = suite.secret_len();
        Keys {
            suite,
            read: Lane {
                key: &mut self.read.key,
                iv: &mut self.read.iv,
                secret: &mut self.read_secret[..secret_len],
                word: &mut self.read.word,
            },
            write: Lane {
                key: &mut self.write.key,
                iv: &mut self.write.iv,
                secret: &mut self.write_secret[..secret_len],
                word: &mut self.write.word,
            },
        }
    }

    /// Overwrites everything, in a way the compiler may not leave out.
    fn wipe(&mut self) {
        for direction in [&mut self.read, &mut self.write] {
            direction.key.zeroize();
            direction.iv.zeroize();
            direction.word.0.zeroize();
        }
        self.read_secret.zeroize();
        self.write_secret.zeroize();
    }
}

/// Pairs of one width, in chunks that never move.
struct Slab<const KEY: usize, const SECRET: usize> {
    chunks: Vec<Pages<Pair<KEY, SECRET>>>,
    /// The vacant slot to use next; each names its successor in `read.word`. `END` after the last.
    vacant: u32,
    taken: usize,
}

/// Pairs per chunk: 64 KiB of the narrow ones. Adjacent mappings merge, so that a million
/// connections are not two thousand mappings for the kernel.
const CHUNK_SLOTS: usize = 512;
const END: u32 = u32::MAX;

impl<const KEY: usize, const SECRET: usize> Slab<KEY, SECRET> {
    fn pair(&mut self, slot: u32) -> &mut Pair<KEY, SECRET> {
        let slot = slot as usize;
        &mut self.chunks[slot / CHUNK_SLOTS][slot % CHUNK_SLOTS]
    }

    fn take_slot(&mut self) -> io::Result<u32> {
        if self.vacant == END {
            self.grow()?;
        }
        let slot = self.vacant;
        let pair = self.pair(slot);
        let next = std::mem::take(&mut pair.read.word.0);
        self.vacant = next;
        self.taken += 1;
        Ok(slot)
    }

    fn free_slot(&mut self, slot: u32) {
        let next = self.vacant;
        let pair = self.pair(slot);
        debug_assert_ne!(pair.read_secret, [0; SECRET], "freed twice");
        pair.wipe();
        pair.read.word.0 = next;
        self.vacant = slot;
        self.taken -= 1;
    }

    fn grow(&mut self) -> io::Result<()> {
        let first = (self.chunks.len() * CHUNK_SLOTS) as u32;
        let last = first + CHUNK_SLOTS as u32 - 1;
        if last > SLOTS_MAX {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        self.chunks.push(Pages::new(CHUNK_SLOTS, Pair::vacant)?);
        for slot in first..last {
            self.pair(slot).read.word.0 = slot + 1;
        }
        self.pair(last).read.word.0 = END;
        self.vacant = first;
        Ok(())
    }

    fn held_bytes(&self) -> usize {
        self.chunks.len() * CHUNK_SLOTS * size_of::<Pair<KEY, SECRET>>()
    }
}

impl<const KEY: usize, const SECRET: usize> Default for Slab<KEY, SECRET> {
    fn default() -> Self {
        Self {
            chunks: Vec::new(),
            vacant: END,
            taken: 0,
        }
    }
}

impl<const KEY: usize, const SECRET: usize> Drop for Slab<KEY, SECRET> {
    fn drop(&mut self) {
        for pair in self.chunks.iter_mut().flat_map(|chunk| chunk.iter_mut()) {
            pair.wipe();
        }
    }
}

impl<const KEY: usize, const SECRET: usize> std::fmt::Debug for Slab<KEY, SECRET> {
    /// How many, never which.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} of {} slots",
            self.taken,
            self.chunks.len() * CHUNK_SLOTS
        )
    }
}

#[cfg(test)]
pub(super) mod tests;
