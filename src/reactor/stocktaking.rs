//! Where the bytes of a worker's connections are: asked for now and then, counted in slices.
//!
//! Nothing is counted while connections allocate and free; that would be an addition on every path,
//! and a sum that drifts with the first one forgotten. Instead, whoever wants to know has the slab
//! walked, some thousand entries a turn, so that a million of them hold nobody up.

use super::connection::{Connection, Phase};
use super::entries::Entries;
use super::{App, Stream};
use crate::metrics::Ledger;

/// Entries looked at per turn: each is a cache line that is read in order, some 100 us in all.
const ENTRIES_PER_TURN: usize = 8192;

/// A ledger in the making.
#[derive(Debug, Default)]
pub(super) struct Stocktaking {
    /// The next slot to look at.
    cursor: usize,
    ledger: Ledger,
    /// Who asked.
    pub(super) round: u64,
}

impl Stocktaking {
    /// Begins with what a worker holds whatever connections it has, and what is counted already.
    pub(super) fn new(round: u64, worker_bytes: usize, tls_bytes: usize) -> Self {
        Self {
            round,
            cursor: 0,
            ledger: Ledger {
                workers: worker_bytes as u64,
                tls: tls_bytes as u64,
                ..Ledger::default()
            },
        }
    }

    /// One turn's part of it; the ledger once it is complete.
    pub(super) fn step<S: Stream, A: App>(
        &mut self,
        app: &A,
        entries: &Entries<S, A::Conn>,
    ) -> Option<&Ledger> {
        let end = (self.cursor + ENTRIES_PER_TURN).min(entries.slots());
        for index in self.cursor..end {
            let line = size_of::<Connection<S, A::Conn>>() as u64;
            match entries.at(index as u32) {
                None => self.ledger.vacant += line,
                Some(conn) => {
                    self.ledger.entries += line;
                    self.count(app, conn);
                }
            }
        }
        self.cursor = end;
        (end == entries.slots()).then_some(&self.ledger)
    }

    fn count<S: Stream, A: App>(&mut self, app: &A, conn: &Connection<S, A::Conn>) {
        let ledger = &mut self.ledger;
        ledger.partial += conn.inbound.held_bytes() as u64;
        ledger.deflate += conn.compression_bytes() as u64;
        if let Some(backlog) = &conn.backlog {
            let unread = backlog.unread_bytes() as u64;
            match conn.phase {
                Phase::Opening => ledger.handshakes += unread,
                _ => ledger.partial += unread,
            }
            ledger.queues += backlog.held_bytes() as u64 - unread;
        }
        if let Some(state) = &conn.app {
            ledger.sessions += app.held_bytes(state) as u64;
        }
    }
}
