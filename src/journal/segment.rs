//! One file of the log: a header, and batches of records with their checksums.
//!
//! ```text
//!  header  "ThrongJ1" | life u64 | salt u32 | sync u8 | secret u64 | boot 16 B | crc32 of all that
//!  batch   salt u32 | length u32 | crc32 of salt, length and records | records
//! ```
//!
//! A killed process leaves a torn batch at the end: what is valid ends there, and nothing valid comes
//! behind it. If something does, bytes have changed since they were written. To tell the two apart,
//! every batch is marked with the *salt* of its process, a number that nobody else knows: or a client
//! could publish what looks like a batch.

use zlib_rs::crc32::crc32;

/// What a process says of itself at the head of each of its segments.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Header {
    /// The process; chosen at its start.
    pub(crate) life: u64,
    /// What marks its batches.
    pub(crate) salt: u32,
    /// Whether what it acknowledged was on the disk.
    pub(crate) is_synced: bool,
    /// The secret that names of channels were hashed with.
    pub(crate) secret: u64,
    /// The boot of the machine it ran in.
    pub(crate) boot: [u8; 16],
}

pub(crate) const HEADER_BYTES: usize = 49;
pub(crate) const BATCH_HEAD_BYTES: usize = 12;
const MAGIC: &[u8; 8] = b"ThrongJ1";

impl Header {
    pub(crate) fn to_bytes(self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        let parts: [&[u8]; 6] = [
            MAGIC,
            &self.life.to_le_bytes(),
            &self.salt.to_le_bytes(),
            &[self.is_synced.into()],
            &self.secret.to_le_bytes(),
            &self.boot,
        ];
        let head = parts.concat();
        bytes[..head.len()].copy_from_slice(&head);
        bytes[head.len()..].copy_from_slice(&crc32(0, &head).to_le_bytes());
        bytes
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (head, sum) = bytes.get(..HEADER_BYTES)?.split_last_chunk::<4>()?;
        if !head.starts_with(MAGIC) || crc32(0, head) != u32::from_le_bytes(*sum) {
            return None;
        }
        Some(Self {
            life: u64::from_le_bytes(*head[8..].first_chunk()?),
            salt: u32::from_le_bytes(*head[16..].first_chunk()?),
            is_synced: head[20] != 0,
            secret: u64::from_le_bytes(*head[21..].first_chunk()?),
            boot: *head[29..].first_chunk()?,
        })
    }
}

/// Fills in the first [`BATCH_HEAD_BYTES`] of a batch, which its records follow.
pub(crate) fn seal(batch: &mut [u8], salt: u32) {
    let length = (batch.len() - BATCH_HEAD_BYTES) as u32;
    batch[..4].copy_from_slice(&salt.to_le_bytes());
    batch[4..8].copy_from_slice(&length.to_le_bytes());
    let sum = sum(batch).to_le_bytes();
    batch[8..12].copy_from_slice(&sum);
}

/// The checksum of salt, length and records. A batch of zeros is none.
fn sum(batch: &[u8]) -> u32 {
    crc32(crc32(0, &batch[..8]), &batch[BATCH_HEAD_BYTES..])
}

/// How the bytes of a segment end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum End {
    /// With a whole batch.
    Whole,
    /// Nothing valid comes from there on.
    Torn {
        /// Where.
        at: usize,
    },
    /// Something invalid comes from `at` on, and something valid behind it.
    Damaged {
        /// Where.
        at: usize,
        /// Where the next valid batch begins.
        next: usize,
    },
}

/// Reads a segment batch by batch.
#[derive(Debug)]
pub(crate) struct Segment<'a> {
    bytes: &'a [u8],
    at: usize,
    header: Header,
}

impl<'a> Segment<'a> {
    /// `None`: it has no header, because the process died before it was written, or because it is none
    /// of ours.
    pub(crate) fn new(bytes: &'a [u8]) -> Option<Self> {
        Some(Self {
            bytes,
            at: HEADER_BYTES,
            header: Header::read(bytes)?,
        })
    }

    pub(crate) fn header(&self) -> &Header {
        &self.header
    }

    /// The records of the next batch, or how the valid part ends.
    pub(crate) fn next_batch(&mut self) -> Result<&'a [u8], End> {
        if self.at == self.bytes.len() {
            return Err(End::Whole);
        }
        if let Some(length) = self.valid_at(self.at) {
            let records = self.at + BATCH_HEAD_BYTES..self.at + length;
            self.at += length;
            return Ok(&self.bytes[records]);
        }
        let at = self.at;
        Err(match self.valid_after(at + 1) {
            Some(next) => End::Damaged { at, next },
            None => End::Torn { at },
        })
    }

    /// Goes on at a batch that was found behind damage.
    pub(crate) fn go_on_at(&mut self, next: usize) {
        self.at = next;
    }

    /// The length of the batch that begins there, if one does.
    fn valid_at(&self, at: usize) -> Option<usize> {
        let rest = &self.bytes[at..];
        let head = rest.first_chunk::<BATCH_HEAD_BYTES>()?;
        let number = |from: usize| head[from..].first_chunk().copied().map(u32::from_le_bytes);
        if number(0)? != self.header.salt {
            return None;
        }
        let length = number(4)? as usize + BATCH_HEAD_BYTES;
        let batch = rest.get(..length)?;
        (length > BATCH_HEAD_BYTES && sum(batch) == number(8)?).then_some(length)
    }

    /// The first batch that begins there or later. Salts stand in front of batches and, one time in four
    /// thousand million, elsewhere: the way through the bytes is straight.
    fn valid_after(&self, from: usize) -> Option<usize> {
        let salt = self.header.salt.to_le_bytes();
        let places = self.bytes.get(from..)?.windows(4).enumerate();
        let mut marked = places.filter(|(_, four)| *four == salt);
        marked
            .by_ref()
            .take(MARKS_MAX)
            .map(|(index, _)| from + index)
            .find(|at| self.valid_at(*at).is_some())
    }
}

/// Marks that are looked at behind an invalid batch before the rest is given up: each may cost a checksum
/// over the rest of the file.
const MARKS_MAX: usize = 1000;
