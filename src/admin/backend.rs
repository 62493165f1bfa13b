//! What the admin port needs of whoever holds the channels: one call, one answer.
//!
//! The application implements it, with letters to its workers or however it likes. The calls come from
//! the admin port's own threads, several at a time, and each of those serves one client only: a call
//! that takes long keeps that client waiting and nobody else. It may not take for ever, though.

use std::fmt::Debug;

use super::{Exposition, Glob};
use crate::hub::{
    ClientId, HistoryPage, HistoryQuery, Payload, Position, Presence, PresenceStats, Refusal,
};

/// How long a [`call`](Backend::call) may take before it has to give up with [`Failure::Late`]. Two
/// seconds are thousands of turns of a worker; SDKs give up after ten.
pub const CALL_MS_MAX: u64 = 2_000;

/// The channels and their people.
pub trait Backend: Debug + Send + Sync + 'static {
    /// Does what is asked, within [`CALL_MS_MAX`].
    fn call(&self, request: Request) -> Result<Reply, Failure>;

    /// Adds figures of its own to the page of metrics: what the workers' counters do not have.
    fn expose(&self, page: &mut Exposition) {
        let _ = page;
    }
}

/// What can be asked. Channel names are of good shape
/// ([`ChannelName`](crate::hub::ChannelName)); whether they exist is for the backend to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Publish: [`Reply::Published`].
    Publish(Publish),
    /// Subscribe connections of a user, as if they had asked: [`Reply::Done`].
    Subscribe(Subscribe),
    /// End such subscriptions: [`Reply::Done`].
    Unsubscribe {
        /// Whose.
        whom: Whom,
        /// Where; `None` everywhere.
        channel: Option<Box<str>>,
    },
    /// Close connections of a user: [`Reply::Done`].
    Disconnect {
        /// Whose.
        whom: Whom,
        /// Connections that stay.
        except: Vec<ClientId>,
        /// Code and reason to close with; by default
        /// [`Disconnect::ByServer`](crate::hub::Disconnect::ByServer).
        farewell: Option<(u16, Box<str>)>,
    },
    /// Say until when connections of a user may stay: [`Reply::Done`].
    Refresh {
        /// Whose.
        whom: Whom,
        /// Until now.
        expired: bool,
        /// Until then, in seconds since 1970; `None` for good.
        expire_at_s: Option<u64>,
    },
    /// Who is in a channel: [`Reply::Presence`].
    Presence(Box<str>),
    /// How many: [`Reply::PresenceStats`].
    PresenceStats(Box<str>),
    /// What was published: [`Reply::History`].
    History {
        /// Where.
        channel: Box<str>,
        /// Which part of it.
        query: HistoryQuery,
    },
    /// Forget what was published: [`Reply::Done`].
    HistoryRemove(Box<str>),
    /// Channels with subscribers: [`Reply::Channels`].
    Channels {
        /// Whose names match; `None` for all.
        pattern: Option<Glob>,
        /// How many at most; beyond that the answer is [`Refusal::LimitExceeded`] and not a part.
        count_max: usize,
    },
    /// Connections of a user: [`Reply::Connections`].
    Connections {
        /// Whose; empty for those without a name, `None` for all.
        user: Option<Box<str>>,
        /// As in [`Channels`](Self::Channels).
        count_max: usize,
    },
    /// Sums: [`Reply::Totals`].
    Totals,
}

/// A publication on its way in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publish {
    /// Where to.
    pub channel: Box<str>,
    /// What.
    pub payload: Payload,
    /// Deliver it, but keep it out of the history.
    pub skip_history: bool,
    /// Labels of the publisher's choice.
    pub tags: Box<[(Box<str>, Box<str>)]>,
    /// Among publications with the same key only the last counts (policy `conflate`).
    pub key: Option<Box<str>>,
}

/// A subscription by order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscribe {
    /// Whose connections.
    pub whom: Whom,
    /// Where to.
    pub channel: Box<str>,
    /// What others in the channel see of it: one JSON value.
    pub chan_info: Option<Box<str>>,
    /// What the client is told with it: one JSON value.
    pub greeting: Option<Box<str>>,
    /// When it ends, in seconds since 1970.
    pub expire_at_s: Option<u64>,
    /// Catch up from here.
    pub recover_since: Option<Position>,
}

/// Connections of one user: all of them, or one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Whom {
    /// The user; empty for those without a name.
    pub user: Box<str>,
    /// Only this connection.
    pub client: Option<ClientId>,
}

/// What comes back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// It is in the stream at this place; `None` if the channel keeps no history.
    Published(Option<Position>),
    /// It is done. That there was nobody to do it to is no error.
    Done,
    /// Who is there.
    Presence(Presence),
    /// How many are there.
    PresenceStats(PresenceStats),
    /// What was published.
    History(HistoryPage),
    /// Names, and how many connections have subscribed.
    Channels(Vec<(Box<str>, u64)>),
    /// Who is connected, and how.
    Connections(Vec<Connected>),
    /// Sums.
    Totals(Totals),
}

/// One connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connected {
    /// Its name to the outside.
    pub client: ClientId,
    /// Its user; empty if it has no name.
    pub user: Box<str>,
    /// How it came: `websocket`.
    pub transport: &'static str,
    /// What it speaks: `json` is Centrifuge's, `chat`, `raw`.
    pub protocol: &'static str,
    /// Where it has subscribed.
    pub channels: Vec<Box<str>>,
    /// Bytes that wait because it does not read.
    pub queued_bytes: u64,
}

/// Sums over all workers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Connections that have logged in.
    pub clients: u64,
    /// Different users among them.
    pub users: u64,
    /// Channels with subscribers or history.
    pub channels: u64,
    /// Subscriptions.
    pub subscriptions: u64,
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The channel or its rules say no.
    Refused(Refusal),
    /// This is not to be had here, and why.
    Unavailable(&'static str),
    /// A worker did not answer in time. What was asked may have happened.
    Late,
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// The backend of an application without channels: nothing is available.
#[derive(Clone, Copy, Debug, Default)]
pub struct Absent;

impl Backend for Absent {
    fn call(&self, _: Request) -> Result<Reply, Failure> {
        Err(Refusal::NotAvailable.into())
    }
}
