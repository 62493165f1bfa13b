//! Connections that are no sessions yet, or never will be.

use std::collections::VecDeque;

use slab::Slab;

use crate::auth::{Ticket, Visitor};
use crate::hub::Position;
use crate::reactor::ConnId;

/// A connection without a session.
pub(super) struct Stranger {
    pub(super) ticket: Ticket,
    pub(super) plan: Plan,
    pub(super) visitor: Visitor,
    stamp: u32,
    conn: Option<ConnId>,
}

/// What it has come for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Plan {
    /// To hear itself.
    Echo,
    /// To log in with a command.
    Centrifuge,
    /// To chat; what it missed in its personal channel is wanted from there on.
    Chat { since: Option<Position> },
    /// To be in one channel.
    Raw { channel: Box<str> },
}

/// All of a worker's.
#[derive(Default)]
pub(super) struct Strangers {
    // In boxes: a storm of handshakes leaves eight bytes for each, and not all they were.
    slab: Slab<Box<Stranger>>,
    last_stamp: u32,
    /// Those who are to log in, and until when: a time that is the same for all, so the first in
    /// line is the first that is due.
    line: VecDeque<(u64, u32, u32)>,
}

impl Strangers {
    /// A handshake is about to succeed.
    pub(super) fn insert(&mut self, ticket: Ticket, plan: Plan, visitor: Visitor) -> u32 {
        self.last_stamp = self.last_stamp.wrapping_add(1);
        let stranger = Stranger {
            ticket,
            plan,
            visitor,
            stamp: self.last_stamp,
            conn: None,
        };
        self.slab.insert(Box::new(stranger)) as u32
    }

    pub(super) fn at(&self, key: u32) -> Option<&Stranger> {
        self.slab.get(key as usize).map(|stranger| &**stranger)
    }

    /// It has until then to log in.
    pub(super) fn expect_login(&mut self, key: u32, conn: ConnId, until_ms: u64) {
        if let Some(stranger) = self.slab.get_mut(key as usize) {
            stranger.conn = Some(conn);
            self.line.push_back((until_ms, key, stranger.stamp));
        }
    }

    pub(super) fn remove(&mut self, key: u32) -> Option<Stranger> {
        let stranger = self.slab.try_remove(key as usize)?;
        if self.slab.is_empty() {
            self.slab = Slab::new();
        }
        Some(*stranger)
    }

    /// Somebody who has not logged in in time.
    pub(super) fn take_stale(&mut self, now_ms: u64) -> Option<ConnId> {
        while let Some((until_ms, key, stamp)) = self.line.front().copied() {
            let stranger = self.slab.get(key as usize);
            let waiting = stranger.filter(|stranger| stranger.stamp == stamp);
            if waiting.is_some() && until_ms > now_ms {
                return None;
            }
            self.line.pop_front();
            if let Some(conn) = waiting.and_then(|stranger| stranger.conn) {
                return Some(conn);
            }
        }
        self.line = VecDeque::new();
        None
    }

    /// When the next one is due.
    pub(super) fn next_ms(&self) -> Option<u64> {
        self.line.front().map(|(until_ms, ..)| *until_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNKNOWN: Visitor = Visitor::Unknown { may_stay: true };

    #[test]
    fn who_logs_in_in_time_is_left_alone() {
        let mut strangers = Strangers::default();
        let come = |strangers: &mut Strangers, number: u32, until_ms| {
            let key = strangers.insert(Ticket::default(), Plan::Centrifuge, UNKNOWN);
            strangers.expect_login(key, ConnId::new(1, number), until_ms);
            key
        };
        let first = come(&mut strangers, 1, 100);
        come(&mut strangers, 2, 110);
        assert_eq!(strangers.take_stale(99), None);
        assert_eq!(strangers.next_ms(), Some(100));
        strangers.remove(first);
        let reborn = come(&mut strangers, 3, 120);
        assert_eq!(reborn, first, "the slot of one who is gone");
        assert_eq!(strangers.take_stale(109), None);
        assert_eq!(strangers.take_stale(110), Some(ConnId::new(1, 2)));
        assert_eq!(strangers.take_stale(119), None);
        assert_eq!(strangers.take_stale(120), Some(ConnId::new(1, 3)));
        assert_eq!(strangers.take_stale(u64::MAX), None);
        assert_eq!(strangers.next_ms(), None);
    }
}
