//! The history on disk: an append-only log of what the hubs hand out, and the way back into them.
//!
//! ```text
//!  worker: hub ──records──> Scribe ──batch──> writer (one thread) ──write, sync──> 000017.log
//!            ^── written(n), a wake-up ───────────┘
//!  start:  *.log ──segment──> batches ──codec──> records ──replay──> channels ──> hubs
//! ```
//!
//! One writer for all workers, and not a file for each: nobody on a loop may wait for a disk, all who
//! publish meanwhile share one sync, and how many workers there are may change from one start to the
//! next. The log is cut into segments; when it has grown by what all histories may hold, the workers walk
//! through their channels and hand out what they keep, and the segments before that go away.
//!
//! `codec`, `segment` and `replay` are pure: bytes and records. `disk` knows files, `writer` the thread.

mod codec;
mod disk;
pub mod fuzzing;
mod replay;
mod scribe;
mod segment;
#[cfg(test)]
mod tests;
mod writer;

pub use disk::{OpenError, Opened, Settings, open};
pub use scribe::Scribe;
pub use writer::{Figures, Journal, Sync};
