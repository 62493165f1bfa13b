//! What finds its way into a worker: other hubs' letters, and other threads' errands.

use std::fmt;

use super::desk::Desk;
use super::floor::Floor;
use crate::hub::{self, Hub, SessionId};
use crate::reactor::{ConnId, Outgoing, SharedFrame};
use crate::ws::close::CloseCode;

/// A letter to a worker's service.
pub enum Letter {
    /// From another worker's hub.
    Hub(hub::Letter),
    /// From another thread: something to be done there.
    Visit(Visit),
    /// From another thread: look around.
    Wake,
}

/// Something to be done on a worker, between two of its events. It runs on the loop: it must not
/// block, and it sees one worker's shard of everything.
pub type Visit = Box<dyn FnOnce(&mut Visitor<'_>) + Send>;

impl fmt::Debug for Letter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hub(letter) => f.debug_tuple("Hub").field(letter).finish(),
            Self::Visit(_) => f.write_str("Visit"),
            Self::Wake => f.write_str("Wake"),
        }
    }
}

/// What a visit may touch.
pub struct Visitor<'a> {
    /// The worker's hub.
    pub hub: &'a mut Hub<SharedFrame>,
    desk: &'a mut Desk,
    out: &'a mut Outgoing<Letter>,
}

impl<'a> Visitor<'a> {
    pub(super) fn new(
        hub: &'a mut Hub<SharedFrame>,
        desk: &'a mut Desk,
        out: &'a mut Outgoing<Letter>,
    ) -> Self {
        Self { hub, desk, out }
    }

    /// Does something with the hub that has effects outside of it.
    pub fn with<R>(&mut self, act: impl FnOnce(&mut Hub<SharedFrame>, &mut Floor<'_>) -> R) -> R {
        act(self.hub, &mut Floor::new(self.desk, self.out))
    }

    /// Puts a session into a channel, as if it had asked; until `expires_at_s`, in seconds since 1970.
    /// `greeting` is one JSON value that it is told with it. `false`: it is there already, or in as many
    /// channels as it may be.
    pub fn put_into(
        &mut self,
        id: SessionId,
        channel: &str,
        how: hub::Subscribe<'_>,
        expires_at_s: Option<u64>,
        greeting: Option<&str>,
    ) -> bool {
        if let (Some(at_s), Some(session)) = (expires_at_s, self.hub.session(id)) {
            self.desk.note_grant(session, channel, at_s);
        }
        let subscribed = self.with(|hub, floor| {
            let request = hub::Request {
                number: 0,
                note: greeting.map(Into::into),
            };
            hub.subscribe(floor, id, channel, how, request)
        });
        subscribed.is_ok()
    }

    /// Ends a connection with words of the caller's. `false`: there is no such session, or the code may
    /// not be sent.
    pub fn part_with(&mut self, id: SessionId, code: u16, reason: &str) -> bool {
        let (Some(session), Some(code)) = (self.hub.session(id), CloseCode::new(code)) else {
            return false;
        };
        let conn = ConnId::from_u64(session.conn);
        self.out.close(conn, code, reason.to_owned());
        true
    }

    /// Says until when a connection may stay, in seconds since 1970; `None` is for good.
    pub fn prolong(&mut self, id: SessionId, expires_at_s: Option<u64>) {
        if let Some(session) = self.hub.session(id) {
            self.desk.note_expiry(id, expires_at_s);
            let mut floor = Floor::new(self.desk, self.out);
            floor.tell_prolonged(session, expires_at_s);
        }
    }
}
