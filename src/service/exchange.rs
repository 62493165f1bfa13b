//! The way to the hubs for threads that are no workers.

use std::sync::Arc;

use super::common::{Common, Snapshot};
use super::letter::{Letter, Visitor};
use crate::reactor::Letterbox;

/// Puts errands into the workers' mailboxes, and reads what they have left on the board.
#[derive(Clone, Debug)]
pub struct Exchange {
    letterbox: Letterbox<Letter>,
    common: Arc<Common>,
}

/// The worker's mailbox is full: nothing was done, and it may be tried again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Busy;

impl Exchange {
    /// The way to these workers.
    pub fn new(letterbox: Letterbox<Letter>, common: Arc<Common>) -> Self {
        Self { letterbox, common }
    }

    /// How many workers have joined so far.
    pub fn workers(&self) -> usize {
        self.common.workers()
    }

    /// The worker that a channel or a user lives at.
    pub fn home(&self, name: &str) -> usize {
        self.common.home(name)
    }

    /// Has something done on a worker, soon.
    pub fn visit(
        &self,
        worker: usize,
        errand: impl FnOnce(&mut Visitor<'_>) + Send + 'static,
    ) -> Result<(), Busy> {
        let letter = Letter::Visit(Box::new(errand));
        self.letterbox.post(worker, letter).map_err(|_| Busy)
    }

    /// Has a worker take a turn.
    pub fn wake(&self, worker: usize) -> Result<(), Busy> {
        self.letterbox.post(worker, Letter::Wake).map_err(|_| Busy)
    }

    /// How each worker's hub was doing a moment ago.
    pub fn snapshots(&self) -> Vec<Snapshot> {
        self.common.snapshots()
    }

    /// What all workers share.
    pub fn common(&self) -> &Arc<Common> {
        &self.common
    }
}
