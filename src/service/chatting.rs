//! Connections that chat, and those that speak no protocol at all.

use super::app::{Conn, Service};
use super::floor::Floor;
use super::greeting::Hello;
use super::replies::{asked, complain, raw_farewell};
use crate::auth::Identity;
use crate::dialect::chat::{Complaint, Invalid, Outgoing, Reply, Request, Since, Target};
use crate::dialect::raw;
use crate::hub::{
    self, Dialect, Draft, Hub, Payload, PayloadKind, Position, Refusal, SessionId, Subscribe,
};
use crate::reactor::{Outbox, SharedFrame};

impl Service {
    /// Somebody has come to chat.
    pub(super) fn begin_chat(
        &mut self,
        conn: &mut Conn,
        identity: Option<&Identity>,
        since: Option<Position>,
        out: &mut Outbox<'_, Self>,
    ) {
        let Some(id) = self.log_in(conn, Dialect::Chat, identity, out) else {
            return;
        };
        let Self { hub, desk, .. } = self;
        let Some(session) = hub.session(id) else {
            return;
        };
        let mut floor = Floor::new(desk, out);
        if session.user.is_empty() {
            let connected = Reply::Connected {
                user: "",
                position: None,
            };
            return floor.chat(session, &connected);
        }
        let personal = format!("#{}", session.user);
        floor.begin_greeting(session, Hello::Chat, 1);
        let how = Subscribe {
            recover: since,
            is_entitled: true,
            ..Subscribe::default()
        };
        let request = hub::Request::default();
        let asked = hub.subscribe(&mut floor, id, &personal, how, request);
        if asked.is_err()
            && let Some(session) = hub.session(id)
        {
            floor.note_greeting(session, None);
        }
    }

    /// A message of somebody who chats.
    pub(super) fn hear_chat(&mut self, conn: Conn, text: Option<&str>, out: &mut Outbox<'_, Self>) {
        let Some(id) = self.session_of(conn) else {
            return;
        };
        let Self { hub, desk, .. } = self;
        let floor = &mut Floor::new(desk, out);
        let refused = match text.ok_or(Invalid).and_then(Request::parse) {
            Err(invalid) => {
                if let Some(session) = hub.session(id) {
                    floor.chat(session, &Reply::Error(Complaint::from(invalid)));
                }
                return;
            }
            Ok(Request::Message(message)) => pass_on(hub, floor, id, &message),
            Ok(Request::Join { room, since }) => join(hub, floor, id, &room, since),
            Ok(Request::Leave { room }) => hub.unsubscribe(floor, id, &room).map(|()| {
                if let Some(session) = hub.session(id) {
                    floor.chat(session, &Reply::Left { room: &room });
                }
            }),
        };
        if let (Err(refusal), Some(session)) = (refused, hub.session(id)) {
            complain(floor, session, refusal);
        }
    }

    /// Somebody has come for one channel.
    pub(super) fn begin_raw(
        &mut self,
        conn: &mut Conn,
        identity: Option<&Identity>,
        channel: &str,
        out: &mut Outbox<'_, Self>,
    ) {
        let Some(id) = self.log_in(conn, Dialect::Raw, identity, out) else {
            return;
        };
        let Self { hub, desk, .. } = self;
        let floor = &mut Floor::new(desk, out);
        let (how, request) = (Subscribe::default(), hub::Request::default());
        if let Err(refusal) = hub.subscribe(floor, id, channel, how, request) {
            self.part_with_own(Dialect::Raw, raw_farewell(refusal), out);
        }
    }

    /// A message that is a publication.
    pub(super) fn hear_raw(
        &mut self,
        conn: Conn,
        text: Option<&str>,
        bytes: &[u8],
        out: &mut Outbox<'_, Self>,
    ) {
        let Some(id) = self.session_of(conn) else {
            return;
        };
        let Self { hub, desk, .. } = self;
        // It has one channel; without it, it is on its way out.
        let Some(channel) = hub.channels_of(id).next().map(Box::<str>::from) else {
            return;
        };
        let payload = match text {
            Some(text) => raw::text_payload(text),
            None => raw::binary_payload(bytes),
        };
        let floor = &mut Floor::new(desk, out);
        let (draft, request) = (Draft::new(payload), hub::Request::default());
        if let Err(refusal) = hub.publish(floor, id, &channel, draft, request) {
            self.part_with_own(Dialect::Raw, raw_farewell(refusal), out);
        }
    }
}

fn pass_on(
    hub: &mut Hub<SharedFrame>,
    floor: &mut Floor<'_>,
    id: SessionId,
    message: &Outgoing<'_>,
) -> Result<(), Refusal> {
    let session = hub.session(id).ok_or(Refusal::NotAvailable)?;
    floor.desk.named += 1;
    // Its connection, and a number that counts up.
    let name = format!("{:x}-{:x}", session.conn, floor.desk.named);
    let mut bytes = Vec::new();
    message.append_payload(&mut bytes, &session.user, &name, floor.desk.now_ms);
    let draft = Draft::new(Payload {
        kind: PayloadKind::Json,
        bytes: bytes.into(),
    });
    let channel = message.target.channel();
    let number = match message.target {
        Target::User(_) => asked::TO_USER,
        Target::Room(_) if hub.is_member(id, &channel) => asked::FROM_INSIDE,
        Target::Room(_) => asked::FROM_OUTSIDE,
    };
    let id_of_message = match message.id {
        Some(mark) => mark.json().to_owned(),
        None => format!("\"{name}\""),
    };
    let request = hub::Request {
        number,
        note: Some(id_of_message.into()),
    };
    hub.publish(floor, id, &channel, draft, request)
}

fn join(
    hub: &mut Hub<SharedFrame>,
    floor: &mut Floor<'_>,
    id: SessionId,
    room: &str,
    since: Option<Since>,
) -> Result<(), Refusal> {
    let how = Subscribe {
        recover: since.map(|since| Position {
            offset: since.offset,
            epoch: since.epoch.unwrap_or_default(),
        }),
        ..Subscribe::default()
    };
    let request = hub::Request {
        number: asked::JOIN,
        note: None,
    };
    hub.subscribe(floor, id, room, how, request)
}

/// Where somebody was in its personal channel, as the query of its address says: `since=41&epoch=..`.
pub(super) fn since_of_query(query: Option<&str>) -> Option<Position> {
    let value = |name: &str| {
        let mut pairs = query?.split('&').filter_map(|pair| pair.split_once('='));
        pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
    };
    Some(Position {
        offset: value("since")?.parse().ok()?,
        epoch: value("epoch")
            .and_then(hub::Epoch::parse)
            .unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_may_say_where_one_was() {
        let at = |query| since_of_query(Some(query)).map(|at| (at.offset, at.epoch.number()));
        assert_eq!(at("token=x&since=41&epoch=0000002a"), Some((41, 42)));
        assert_eq!(at("since=41"), Some((41, 0)));
        assert_eq!(at("since=x&epoch=0000002a"), None);
        assert_eq!(at("token=since"), None);
        assert_eq!(since_of_query(None), None);
    }
}
