//! Where handshakes line up: those under way for their share of a turn, new ones also for a place
//! among those under way.

use std::collections::VecDeque;

use super::ConnId;
use super::tls::TlsDesk;

/// Two lines. One that is under way must never stand behind a new one that waits for a place: it is
/// the one that makes places.
#[derive(Debug, Default)]
pub(super) struct Line {
    under_way: VecDeque<ConnId>,
    waiting: VecDeque<ConnId>,
}

impl Line {
    /// Joins the end of a line. A connection is in it once (`QUEUED`).
    pub(super) fn join(&mut self, id: ConnId, is_under_way: bool) {
        match is_under_way {
            true => self.under_way.push_back(id),
            false => self.waiting.push_back(id),
        }
    }

    /// Whose turn it is.
    pub(super) fn next(&mut self, desk: &TlsDesk) -> Option<ConnId> {
        let next = match desk.may_go_on() {
            true => self.under_way.pop_front(),
            false => return None,
        };
        next.or_else(|| match desk.may_begin() {
            true => self.waiting.pop_front(),
            false => None,
        })
    }

    /// Whether somebody's turn will come without an event.
    pub(super) fn moves(&self, desk: &TlsDesk) -> bool {
        !self.under_way.is_empty() || !self.waiting.is_empty() && desk.has_room()
    }
}
