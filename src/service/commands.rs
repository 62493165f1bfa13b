//! A connection that speaks Centrifuge's dialect: its commands, one after the other.

use std::ops::ControlFlow;

use super::app::{Conn, Service};
use super::desk::Desk;
use super::floor::Floor;
use super::greeting::Hello;
use super::replies::STRICT;
use crate::auth::{Denied, Grant, Identity, Visitor};
use crate::dialect::centrifuge::{
    COMMANDS_MAX, Command, Commands, Connect, ErrorCode, Publish, Reply, Request, SubRefresh,
    Subscribe,
};
use crate::hub::{
    self, Dialect, Disconnect, Draft, Hub, Payload, PayloadKind, Question, Session, SessionId,
};
use crate::reactor::{Outbox, SharedFrame};

/// What came of a command: its answer is on its way, or it is this.
type Outcome = Result<(), ErrorCode>;

impl Service {
    /// A text frame of commands.
    pub(super) fn hear_commands(
        &mut self,
        conn: &mut Conn,
        text: &str,
        out: &mut Outbox<'_, Self>,
    ) {
        self.desk.own = Some(out.id().as_u64());
        let mut is_pong = false;
        for command in Commands::new(text, COMMANDS_MAX) {
            let Ok(command) = command else {
                self.part_with_own(Dialect::Centrifuge, Disconnect::BadRequest, out);
                break;
            };
            is_pong |= command.request == Request::Pong;
            if self.obey(conn, &command, out).is_break() || out.is_closing() {
                break;
            }
        }
        if let Some(id) = self.session_of(*conn)
            && self.desk.needs_ping(id, is_pong)
            && self.desk.greetings.is_empty()
        {
            self.desk.batch.ping();
        }
        Floor::new(&mut self.desk, out).flush();
        self.desk.batch.clear();
        self.desk.own = None;
    }

    fn obey(
        &mut self,
        conn: &mut Conn,
        command: &Command<'_>,
        out: &mut Outbox<'_, Self>,
    ) -> ControlFlow<()> {
        let id = self.session_of(*conn);
        match (&command.request, id) {
            (Request::Pong, _) => {}
            (Request::Connect(connect), None) => {
                return self.connect(conn, command.id, connect, out);
            }
            // The first one is Connect, and there is no other.
            (Request::Connect(_), Some(_)) | (_, None) => {
                self.part_with_own(Dialect::Centrifuge, Disconnect::BadRequest, out);
                return ControlFlow::Break(());
            }
            (Request::Refresh { token }, Some(id)) => {
                return self.refresh(id, command.id, token, out);
            }
            (request, Some(id)) => {
                if let Err(code) = self.serve(id, command.id, request, out)
                    && let Some(session) = self.hub.session(id)
                {
                    let mut floor = Floor::new(&mut self.desk, out);
                    floor.reply(session, command.id, &Reply::Error(code));
                }
            }
        }
        ControlFlow::Continue(())
    }

    /// The login.
    fn connect(
        &mut self,
        conn: &mut Conn,
        number: u32,
        connect: &Connect<'_>,
        out: &mut Outbox<'_, Self>,
    ) -> ControlFlow<()> {
        let identity = match self.identify(*conn, &connect.token) {
            Ok(identity) => identity,
            Err(denied) => {
                self.desk.door.unauthorized += 1;
                self.turn_away(denied, number, out);
                return ControlFlow::Break(());
            }
        };
        let id = self.log_in(conn, Dialect::Centrifuge, identity.as_ref(), out);
        let Some(id) = id else {
            return ControlFlow::Break(());
        };
        let expires_at_s = identity.as_ref().and_then(|identity| identity.expires_at_s);
        let ttl_s = self.desk.ttl_s(expires_at_s);
        let subs = identity.map_or_else(Vec::new, |identity| identity.subs);
        let Self { hub, desk, .. } = self;
        let Some(session) = hub.session(id) else {
            return ControlFlow::Break(());
        };
        let mut floor = Floor::new(desk, out);
        if subs.is_empty() {
            floor.welcome(session, number, ttl_s, &[]);
            return ControlFlow::Continue(());
        }
        floor.begin_greeting(session, Hello::Centrifuge { number, ttl_s }, subs.len());
        for sub in &subs {
            let known = connect.subs.iter().find(|(name, _)| **name == *sub.channel);
            let how = hub::Subscribe {
                recover: known.and_then(|(_, position)| *position),
                chan_info: sub.chan_info.as_deref(),
                is_entitled: true,
                ..hub::Subscribe::default()
            };
            let asked = hub.subscribe(&mut floor, id, &sub.channel, how, hub::Request::default());
            if asked.is_err()
                && let Some(session) = hub.session(id)
            {
                floor.note_greeting(session, None);
            }
        }
        ControlFlow::Continue(())
    }

    /// Who it is: as its token says, or as was seen when it came. `None`: nobody in particular.
    fn identify(&self, conn: Conn, token: &str) -> Result<Option<Identity>, Denied> {
        if !token.is_empty() {
            let guard = &self.desk.settings.guard;
            return guard.connection(token, self.desk.now_s()).map(Some);
        }
        let Conn::Stranger(key) = conn else {
            return Err(Denied::Invalid);
        };
        match self
            .desk
            .strangers
            .at(key)
            .map(|stranger| &stranger.visitor)
        {
            Some(Visitor::Known(identity)) => Ok(Some(identity.clone())),
            Some(Visitor::Unknown { may_stay: true }) => Ok(None),
            _ => Err(Denied::Invalid),
        }
    }

    /// A token that was good once is worth another try, and the client is told so.
    fn turn_away(&mut self, denied: Denied, number: u32, out: &mut Outbox<'_, Self>) {
        let why = match denied {
            Denied::Expired => {
                let error = Reply::Error(ErrorCode::TokenExpired);
                self.desk.batch.reply(number, &error);
                Disconnect::Expired
            }
            Denied::Invalid => Disconnect::InvalidToken,
        };
        self.part_with_own(Dialect::Centrifuge, why, out);
    }

    /// A new token for the connection; it has to be the same user's.
    fn refresh(
        &mut self,
        id: SessionId,
        number: u32,
        token: &str,
        out: &mut Outbox<'_, Self>,
    ) -> ControlFlow<()> {
        let guard = &self.desk.settings.guard;
        let identity = guard.connection(token, self.desk.now_s());
        let Some(session) = self.hub.session(id) else {
            return ControlFlow::Break(());
        };
        let identity = identity.and_then(|identity| match identity.user == session.user {
            true => Ok(identity),
            false => Err(Denied::Invalid),
        });
        match identity {
            Ok(identity) => {
                self.desk.note_expiry(id, identity.expires_at_s);
                let reply = Reply::Refresh {
                    client: self.desk.client_id(session.conn),
                    version: env!("CARGO_PKG_VERSION"),
                    ttl_s: self.desk.ttl_s(identity.expires_at_s),
                };
                Floor::new(&mut self.desk, out).reply(session, number, &reply);
                ControlFlow::Continue(())
            }
            Err(Denied::Expired) => {
                let error = Reply::Error(ErrorCode::TokenExpired);
                Floor::new(&mut self.desk, out).reply(session, number, &error);
                ControlFlow::Continue(())
            }
            Err(Denied::Invalid) => {
                self.part_with_own(Dialect::Centrifuge, Disconnect::InvalidToken, out);
                ControlFlow::Break(())
            }
        }
    }

    /// Every other command.
    fn serve(
        &mut self,
        id: SessionId,
        number: u32,
        request: &Request<'_>,
        out: &mut Outbox<'_, Self>,
    ) -> Outcome {
        let Self { hub, desk, .. } = self;
        let floor = &mut Floor::new(desk, out);
        let read = |hub: &mut Hub<SharedFrame>, floor: &mut Floor<'_>, channel: &str, question| {
            hub.read(floor, id, channel, question, numbered(number))
                .map_err(ErrorCode::from)
        };
        match request {
            Request::Subscribe(wanted) => subscribe(hub, floor, id, number, wanted),
            Request::Unsubscribe { channel } => {
                // Whoever is not in it is out of it.
                let _ = hub.unsubscribe(floor, id, channel);
                say(
                    hub,
                    floor,
                    id,
                    number,
                    &Reply::Unsubscribe,
                    |desk, session| {
                        desk.forget_grant(session.conn, channel);
                    },
                )
            }
            Request::Publish(publish) => send(hub, floor, id, number, publish),
            Request::Presence { channel } => read(hub, floor, channel, Question::Presence),
            Request::PresenceStats { channel } => {
                read(hub, floor, channel, Question::PresenceStats)
            }
            Request::History { channel, query } => {
                read(hub, floor, channel, Question::History(*query))
            }
            Request::Ping => say(hub, floor, id, number, &Reply::Ping, |_, _| {}),
            Request::SubRefresh(wanted) => prolong(hub, floor, id, number, wanted),
            Request::Send { .. } => Ok(()),
            Request::Rpc { .. } => Err(ErrorCode::NotAvailable),
            Request::Unknown => Err(ErrorCode::MethodNotFound),
            // Dealt with before.
            Request::Pong | Request::Connect(_) | Request::Refresh { .. } => Ok(()),
        }
    }
}

fn numbered(number: u32) -> hub::Request {
    hub::Request { number, note: None }
}

/// Answers at once, after something was done at the desk.
fn say(
    hub: &Hub<SharedFrame>,
    floor: &mut Floor<'_>,
    id: SessionId,
    number: u32,
    reply: &Reply<'_>,
    first: impl FnOnce(&mut Desk, &Session),
) -> Outcome {
    if let Some(session) = hub.session(id) {
        first(floor.desk, session);
        floor.reply(session, number, reply);
    }
    Ok(())
}

fn subscribe(
    hub: &mut Hub<SharedFrame>,
    floor: &mut Floor<'_>,
    id: SessionId,
    number: u32,
    wanted: &Subscribe<'_>,
) -> Outcome {
    if hub.is_member(id, &wanted.channel) {
        return Err(ErrorCode::AlreadySubscribed);
    }
    let session = hub.session(id).ok_or(ErrorCode::Internal)?;
    let grant = match wanted.token.is_empty() {
        true => None,
        false => Some(allowed(
            floor.desk,
            session,
            &wanted.channel,
            &wanted.token,
        )?),
    };
    if let Some(at_s) = grant.as_ref().and_then(|grant| grant.expires_at_s) {
        floor.desk.note_grant(session, &wanted.channel, at_s);
    }
    let conn = session.conn;
    let how = hub::Subscribe {
        recover: wanted.recover,
        chan_info: grant.as_ref().and_then(|grant| grant.chan_info.as_deref()),
        is_entitled: grant.is_some(),
        is_aloof: !wanted.join_leave,
    };
    let request = hub::Request {
        number,
        note: wanted.rejects_unrecovered.then(|| STRICT.into()),
    };
    let asked = hub.subscribe(floor, id, &wanted.channel, how, request);
    if asked.is_err() {
        floor.desk.forget_grant(conn, &wanted.channel);
    }
    asked.map_err(ErrorCode::from)
}

/// What a subscription's token allows.
fn allowed(desk: &Desk, session: &Session, channel: &str, token: &str) -> Result<Grant, ErrorCode> {
    let client = desk.client_id(session.conn).to_string();
    let guard = &desk.settings.guard;
    let grant = guard.subscription(token, desk.now_s(), &session.user, channel, &client);
    grant.map_err(|denied| match denied {
        Denied::Expired => ErrorCode::TokenExpired,
        Denied::Invalid => ErrorCode::PermissionDenied,
    })
}

/// A new token for a subscription.
fn prolong(
    hub: &Hub<SharedFrame>,
    floor: &mut Floor<'_>,
    id: SessionId,
    number: u32,
    wanted: &SubRefresh<'_>,
) -> Outcome {
    if !hub.is_member(id, &wanted.channel) {
        return Err(ErrorCode::PermissionDenied);
    }
    let session = hub.session(id).ok_or(ErrorCode::Internal)?;
    let grant = allowed(floor.desk, session, &wanted.channel, &wanted.token)?;
    match grant.expires_at_s {
        Some(at_s) => floor.desk.note_grant(session, &wanted.channel, at_s),
        None => floor.desk.forget_grant(session.conn, &wanted.channel),
    }
    let ttl_s = floor.desk.ttl_s(grant.expires_at_s);
    floor.reply(session, number, &Reply::SubRefresh { ttl_s });
    Ok(())
}

fn send(
    hub: &mut Hub<SharedFrame>,
    floor: &mut Floor<'_>,
    id: SessionId,
    number: u32,
    publish: &Publish<'_>,
) -> Outcome {
    let payload = Payload {
        kind: PayloadKind::Json,
        bytes: publish.payload.as_bytes().into(),
    };
    let draft = Draft {
        key: (!publish.key.is_empty()).then(|| publish.key.as_ref().into()),
        ..Draft::new(payload)
    };
    let sent = hub.publish(floor, id, &publish.channel, draft, numbered(number));
    sent.map_err(ErrorCode::from)
}
