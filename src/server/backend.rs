//! The API's requests, carried to the workers and back.
//!
//! A call runs on a thread of the admin port. It leaves an errand in a worker's mailbox and waits for what
//! comes of it, no longer than a call may take; a mailbox that is full is said to be busy at once. What
//! concerns many sessions is done in slices, an errand each, so that no worker's turn notices.

use std::sync::Arc;
use std::sync::mpsc::{self, SyncSender};
use std::time::Duration;

use super::hub_figures;
use crate::admin::{
    Backend, CALL_MS_MAX, Connected, Exposition, Failure, Publish, Reply, Request, Subscribe,
    Totals, Whom,
};
use crate::hub::{
    self, Answer, Dialect, Disconnect, Draft, Position, Question, Refusal, ReplyTo, SessionId,
    Unsubscribed,
};
use crate::journal::Journal;
use crate::service::{Exchange, Visitor};
use crate::sys::clock;

/// Slots of sessions or channels that one errand looks at: some tens of microseconds.
const SLOTS_PER_ERRAND: u32 = 1024;

/// The channels and their people, behind the workers' mailboxes.
#[derive(Debug)]
pub(super) struct HubBackend {
    exchange: Exchange,
    journal: Option<Arc<Journal>>,
}

impl HubBackend {
    pub(super) fn new(exchange: Exchange, journal: Option<Arc<Journal>>) -> Self {
        Self { exchange, journal }
    }
}

impl Backend for HubBackend {
    fn call(&self, request: Request) -> Result<Reply, Failure> {
        let call = Call {
            exchange: &self.exchange,
            until_ms: clock::monotonic_ms() + CALL_MS_MAX,
        };
        match request {
            Request::Publish(publish) => call.publish(publish),
            Request::Subscribe(subscribe) => call.subscribe(subscribe),
            Request::Unsubscribe { whom, channel } => call.unsubscribe(&whom, channel),
            Request::Disconnect {
                whom,
                except,
                farewell,
            } => call.disconnect(&whom, except, farewell),
            Request::Refresh {
                whom,
                expired,
                expire_at_s,
            } => call.refresh(&whom, expired, expire_at_s),
            Request::Presence(channel) => call.ask(channel, Question::Presence),
            Request::PresenceStats(channel) => call.ask(channel, Question::PresenceStats),
            Request::History { channel, query } => call.ask(channel, Question::History(query)),
            Request::HistoryRemove(channel) => call.ask(channel, Question::ForgetHistory),
            Request::Channels { pattern, count_max } => call.channels(pattern, count_max),
            Request::Connections { user, count_max } => call.connections(user, count_max),
            Request::Totals => Ok(Reply::Totals(self.totals())),
        }
    }

    fn expose(&self, page: &mut Exposition) {
        hub_figures::expose(&self.exchange, page);
        if let Some(journal) = &self.journal {
            hub_figures::expose_journal(&journal.figures(), page);
        }
    }
}

impl HubBackend {
    /// From what the workers last said of themselves.
    fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        for snapshot in self.exchange.snapshots() {
            totals.clients += snapshot.sessions as u64;
            totals.users += snapshot.users as u64;
            totals.channels += snapshot.channels as u64;
            totals.subscriptions += snapshot.subscriptions as u64;
        }
        totals
    }
}

/// One call, and the time it has left.
struct Call<'a> {
    exchange: &'a Exchange,
    until_ms: u64,
}

/// Whose sessions are meant.
enum Whose {
    Named(Box<str>),
    /// Those without a name.
    Nameless,
    Everybody,
}

impl Call<'_> {
    /// Has something done on a worker, and waits for what it sends.
    fn wait_for<T: Send + 'static>(
        &self,
        worker: usize,
        errand: impl FnOnce(&mut Visitor<'_>, SyncSender<T>) + Send + 'static,
    ) -> Result<T, Failure> {
        let (tell, told) = mpsc::sync_channel(1);
        self.exchange
            .visit(worker, move |visitor| errand(visitor, tell))
            .map_err(|_| Refusal::Busy)?;
        let left_ms = self.until_ms.saturating_sub(clock::monotonic_ms());
        told.recv_timeout(Duration::from_millis(left_ms))
            .map_err(|_| Failure::Late)
    }

    /// Asks a channel's home.
    fn ask(&self, channel: Box<str>, question: Question) -> Result<Reply, Failure> {
        let home = self.exchange.home(&channel);
        let answer = self.wait_for(home, move |visitor, tell| {
            let reply_to = ReplyTo::Caller(Box::new(move |answer| {
                // Whoever asked may have given up.
                let _ = tell.send(answer);
            }));
            visitor.with(|hub, floor| hub.ask_freely(floor, &channel, question, reply_to));
        })?;
        Ok(match answer {
            Answer::Published { position, .. } => {
                Reply::Published((position != Position::default()).then_some(position))
            }
            Answer::History(page) => Reply::History(page),
            Answer::Presence(presence) => Reply::Presence(presence),
            Answer::PresenceStats(stats) => Reply::PresenceStats(stats),
            Answer::Subscribed(_) | Answer::Done => Reply::Done,
            Answer::Refused(refusal) => return Err(refusal.into()),
        })
    }

    fn publish(&self, publish: Publish) -> Result<Reply, Failure> {
        let draft = Draft {
            key: publish.key,
            tags: publish.tags,
            is_fleeting: publish.skip_history,
            ..Draft::new(publish.payload)
        };
        self.ask(publish.channel, Question::Publish(draft))
    }

    /// Does something with each of these sessions, and gathers what comes of it.
    fn each<T: Send + 'static>(
        &self,
        whose: &Whose,
        count_max: usize,
        act: impl Fn(&mut Visitor<'_>, SessionId) -> Option<T> + Send + Sync + 'static,
    ) -> Result<Vec<T>, Failure> {
        let (act, mut all) = (Arc::new(act), Vec::new());
        for worker in 0..self.exchange.workers() {
            let mut from = Some(0);
            while let Some(first) = from {
                let (act, user) = (act.clone(), whose.user());
                let (found, next) = self.wait_for(worker, move |visitor, tell| {
                    let (ids, next) = slice(visitor.hub, user.as_deref(), first);
                    let found: Vec<T> = ids.iter().filter_map(|id| act(visitor, *id)).collect();
                    let _ = tell.send((found, next));
                })?;
                all.extend(found);
                if all.len() > count_max {
                    return Err(Refusal::LimitExceeded.into());
                }
                // A named user's sessions come all at once.
                from = next.filter(|_| !matches!(whose, Whose::Named(_)));
            }
        }
        Ok(all)
    }

    /// The same for connections of one user, or one of them.
    fn each_of(
        &self,
        whom: &Whom,
        act: impl Fn(&mut Visitor<'_>, SessionId) + Send + Sync + 'static,
    ) -> Result<Reply, Failure> {
        let client = whom.client;
        self.each(&Whose::of(&whom.user), usize::MAX, move |visitor, id| {
            if is_meant(visitor, id, client) {
                act(visitor, id);
            }
            None::<()>
        })?;
        Ok(Reply::Done)
    }

    /// Whether one of these connections speaks a dialect that has no words of ours.
    fn is_any_raw(&self, whom: &Whom) -> Result<bool, Failure> {
        let client = whom.client;
        let raw = self.each(&Whose::of(&whom.user), usize::MAX, move |visitor, id| {
            let is_raw = visitor.hub.session(id)?.dialect == Dialect::Raw;
            (is_raw && is_meant(visitor, id, client)).then_some(())
        })?;
        Ok(!raw.is_empty())
    }

    fn subscribe(&self, subscribe: Subscribe) -> Result<Reply, Failure> {
        let Subscribe {
            whom,
            channel,
            chan_info,
            greeting,
            expire_at_s,
            recover_since,
        } = subscribe;
        if greeting.is_some() && self.is_any_raw(&whom)? {
            // Better said than left out, and before anything is done.
            return Err(Failure::Unavailable(
                "data; a connection of this user is on /raw, which has no words for it",
            ));
        }
        self.each_of(&whom, move |visitor, id| {
            let how = hub::Subscribe {
                recover: recover_since,
                chan_info: chan_info.as_deref(),
                is_entitled: true,
                ..hub::Subscribe::default()
            };
            visitor.put_into(id, &channel, how, expire_at_s, greeting.as_deref());
        })
    }

    fn unsubscribe(&self, whom: &Whom, channel: Option<Box<str>>) -> Result<Reply, Failure> {
        self.each_of(whom, move |visitor, id| {
            let channels: Vec<Box<str>> = match &channel {
                Some(channel) => vec![channel.clone()],
                None => visitor.hub.channels_of(id).map(Into::into).collect(),
            };
            for channel in channels {
                visitor.with(|hub, floor| {
                    hub.unsubscribe_for(floor, id, &channel, Unsubscribed::ByServer);
                });
            }
        })
    }

    fn disconnect(
        &self,
        whom: &Whom,
        except: Vec<hub::ClientId>,
        farewell: Option<(u16, Box<str>)>,
    ) -> Result<Reply, Failure> {
        self.each_of(whom, move |visitor, id| {
            let conn = visitor.hub.session(id).map_or(0, |session| session.conn);
            if except.contains(&visitor.hub.client_id(conn)) {
                return;
            }
            if let Some((code, reason)) = &farewell
                && visitor.part_with(id, *code, reason)
            {
                return;
            }
            visitor.with(|hub, floor| hub.condemn(floor, id, Disconnect::ByServer));
        })
    }

    fn refresh(
        &self,
        whom: &Whom,
        expired: bool,
        expire_at_s: Option<u64>,
    ) -> Result<Reply, Failure> {
        self.each_of(whom, move |visitor, id| match expired {
            true => visitor.with(|hub, floor| hub.condemn(floor, id, Disconnect::Expired)),
            false => visitor.prolong(id, expire_at_s),
        })
    }

    fn channels(
        &self,
        pattern: Option<crate::admin::Glob>,
        count_max: usize,
    ) -> Result<Reply, Failure> {
        let (pattern, mut all) = (Arc::new(pattern), Vec::new());
        for worker in 0..self.exchange.workers() {
            let mut from = Some(0);
            while let Some(first) = from {
                let pattern = pattern.clone();
                let (found, next) = self.wait_for(worker, move |visitor, tell| {
                    let places = visitor.hub.channel_places();
                    let end = places.min(first + SLOTS_PER_ERRAND);
                    let occupied = (first..end).filter_map(|place| visitor.hub.occupied_at(place));
                    let is_meant = |(name, _): &(&str, u32)| {
                        pattern
                            .as_ref()
                            .as_ref()
                            .is_none_or(|glob| glob.matches(name))
                    };
                    let found = occupied.filter(is_meant);
                    let found: Vec<(Box<str>, u64)> = found
                        .map(|(name, subscribers)| (name.into(), subscribers.into()))
                        .collect();
                    let _ = tell.send((found, (end < places).then_some(end)));
                })?;
                all.extend(found);
                if all.len() > count_max {
                    return Err(Refusal::LimitExceeded.into());
                }
                from = next;
            }
        }
        Ok(Reply::Channels(all))
    }

    fn connections(&self, user: Option<Box<str>>, count_max: usize) -> Result<Reply, Failure> {
        let whose = user.map_or(Whose::Everybody, |user| Whose::of(&user));
        let all = self.each(&whose, count_max, |visitor, id| {
            let session = visitor.hub.session(id)?;
            Some(Connected {
                client: visitor.hub.client_id(session.conn),
                user: session.user.clone(),
                transport: "websocket",
                protocol: match session.dialect {
                    Dialect::Centrifuge => "json",
                    Dialect::Chat => "chat",
                    Dialect::Raw => "raw",
                },
                channels: visitor.hub.channels_of(id).map(Into::into).collect(),
                queued_bytes: session.lagging_bytes() as u64,
            })
        })?;
        Ok(Reply::Connections(all))
    }
}

/// Whether this is the connection that is meant, or all of the user's are.
fn is_meant(visitor: &Visitor<'_>, id: SessionId, client: Option<hub::ClientId>) -> bool {
    let session = visitor.hub.session(id);
    session.is_some_and(|session| {
        client.is_none_or(|client| client == visitor.hub.client_id(session.conn))
    })
}

impl Whose {
    fn of(user: &str) -> Self {
        match user {
            "" => Self::Nameless,
            user => Self::Named(user.into()),
        }
    }

    /// `None` is everybody, the empty name that of those without one.
    fn user(&self) -> Option<Box<str>> {
        match self {
            Self::Named(user) => Some(user.clone()),
            Self::Nameless => Some(Box::default()),
            Self::Everybody => None,
        }
    }
}

/// Some of the sessions that are meant, and where to go on.
fn slice<F: Clone>(
    hub: &hub::Hub<F>,
    user: Option<&str>,
    first: u32,
) -> (Vec<SessionId>, Option<u32>) {
    if let Some(user) = user.filter(|user| !user.is_empty()) {
        return (hub.sessions_of(user), None);
    }
    let slots = hub.session_slots();
    let end = slots.min(first + SLOTS_PER_ERRAND);
    let sessions = (first..end).filter_map(|index| hub.session_at(index));
    let meant = sessions.filter(|session| user.is_none() || session.user.is_empty());
    let ids = meant.map(hub::Session::id).collect();
    (ids, (end < slots).then_some(end))
}
