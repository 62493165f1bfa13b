//! A worker's end of the log: takes what its hub hands out, and tells it what is safe.

use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Relaxed};
use std::sync::mpsc::Sender;

use super::codec;
use super::segment::BATCH_HEAD_BYTES;
use super::writer::{Batch, Shared};
use crate::hub::{Hub, World};

/// One worker's. Nothing of it waits for a disk.
#[derive(Debug)]
pub struct Scribe {
    worker: u16,
    shared: Arc<Shared>,
    sender: Sender<Batch>,
    /// The last walk that was begun.
    round: u64,
    /// The last count of safe records that the hub was told.
    told: u64,
}

/// Records of a walk per turn: some tens of microseconds.
const WALKED_AT_ONCE: usize = 64;

impl Scribe {
    pub(super) fn new(worker: u16, shared: Arc<Shared>, sender: Sender<Batch>) -> Self {
        Self {
            worker,
            shared,
            sender,
            round: 0,
            told: 0,
        }
    }

    /// Once a turn, when letters and messages have been served and before the fan-out: what has become
    /// safe goes on, and what is new goes to the writer.
    ///
    /// The way there has no bound of its own: what may be under way is bounded by the hub, which refuses
    /// publications and rests its walks while too much of it is not safe yet.
    ///
    /// `true`: there is more to do, at once. Otherwise the writer wakes the worker when there is.
    pub fn turn<F: Clone>(&mut self, hub: &mut Hub<F>, world: &mut impl World<Frame = F>) -> bool {
        let desk = &self.shared.desks[usize::from(self.worker)];
        let written = desk.written.load(Acquire);
        if written != self.told {
            self.told = written;
            hub.written(world, written);
        }
        let round = self.shared.round.load(Acquire);
        if round != self.round {
            self.round = round;
            hub.begin_walk();
        }
        let has_walked = hub.walk(WALKED_AT_ONCE);
        desk.waiting
            .store(hub.waiting_for_journal() as u64, Relaxed);
        let records = hub.take_records();
        if records.is_empty() && !has_walked {
            return hub.can_walk();
        }
        let mut bytes = vec![0; BATCH_HEAD_BYTES];
        for record in &records {
            codec::append(&mut bytes, record);
        }
        // A writer that is gone has panicked; nothing is acknowledged any more, and readiness says so.
        let _ = self.sender.send(Batch {
            worker: self.worker,
            upto: hub.records_handed_out(),
            bytes,
            walked: has_walked.then_some(self.round),
        });
        hub.can_walk()
    }
}
