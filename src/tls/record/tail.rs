//! The beginning of a record whose end has not arrived.
//!
//! ```text
//!  recv into: [ headroom | room for the tail | new bytes ... ]
//!   the record is still not whole: the new bytes go behind the tail      (each byte copied once)
//!   it is whole: the tail goes in front of them, and all is opened there (once more)
//! ```
//!
//! So a record costs two copies however small its pieces are, and never one per piece. What is kept
//! is counted against a budget all connections of a worker share: a million records cut short
//! would otherwise be 16 GB.

use std::ops::Range;

use super::open::record_len;
use super::{HEADER_LEN, RECORD_BYTES_MAX};

/// Bytes of records that are not whole, and how many all connections of a worker may keep.
#[derive(Debug)]
pub struct TailBudget {
    bytes_max: usize,
    bytes: usize,
}

impl TailBudget {
    /// Up to `bytes_max` bytes in all.
    #[must_use]
    pub fn new(bytes_max: usize) -> Self {
        Self {
            bytes_max,
            bytes: 0,
        }
    }

    /// Bytes kept at present.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

/// The budget is spent: the connection that asked last is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BudgetSpent;

/// The front part of one record; nothing at all between records.
///
/// Give it back with [`Tail::clear`] when the connection ends, or the budget never learns.
#[derive(Debug, Default)]
pub struct Tail {
    bytes: Vec<u8>,
}

const _: () = assert!(size_of::<Tail>() == 24);

impl Tail {
    /// Bytes kept. Receive so far behind the place where records are to be opened.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether nothing is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Takes note of bytes received at `buffer[fresh]`, with room for the tail in front of them.
    /// Returns what can be opened: a span that begins with the tail, or an empty one.
    pub fn join(
        &mut self,
        buffer: &mut [u8],
        fresh: Range<usize>,
        budget: &mut TailBudget,
    ) -> Result<Range<usize>, BudgetSpent> {
        if self.is_empty() {
            return Ok(fresh);
        }
        if self.needs() > fresh.len() {
            self.keep(&buffer[fresh.clone()], budget)?;
            return Ok(fresh.end..fresh.end);
        }
        let start = fresh.start - self.len();
        buffer[start..fresh.start].copy_from_slice(&self.bytes);
        self.clear(budget);
        Ok(start..fresh.end)
    }

    /// Keeps what `open` left over.
    pub fn keep(&mut self, bytes: &[u8], budget: &mut TailBudget) -> Result<(), BudgetSpent> {
        if bytes.is_empty() {
            return Ok(());
        }
        let before = self.bytes.capacity();
        // Doubling, but never beyond a record.
        let wanted = self.len() + bytes.len();
        if wanted > before {
            let capacity = wanted.max(2 * before).min(wanted.max(RECORD_BYTES_MAX));
            self.bytes.reserve_exact(capacity - self.len());
        }
        self.bytes.extend_from_slice(bytes);
        budget.bytes += self.bytes.capacity() - before;
        if budget.bytes > budget.bytes_max {
            return Err(BudgetSpent);
        }
        Ok(())
    }

    /// Forgets what is kept, and frees it.
    pub fn clear(&mut self, budget: &mut TailBudget) {
        budget.bytes -= self.bytes.capacity();
        self.bytes = Vec::new();
    }

    /// Bytes missing before anything can be opened: of the header first, then of the record. A header
    /// that is wrong needs nothing more: opening it says what is wrong.
    fn needs(&self) -> usize {
        match record_len(&self.bytes) {
            Ok(Some(length)) => length - self.len(),
            Ok(None) => HEADER_LEN - self.len(),
            Err(_) => 0,
        }
    }
}
