//! What workers write to each other, and the answers that come back.

use std::fmt;
use std::sync::Arc;

use super::session::SessionId;
use super::topic::{payload_weight, weight};
use super::types::{
    ClientId, ClientInfo, Disconnect, Event, HistoryPage, HistoryQuery, Payload, Position,
    Presence, PresenceStats, Refusal, Subscribed, Unsubscribed,
};

/// A letter from one worker's hub to another's.
///
/// Letters of one sender arrive in the order they were sent. Everything that has to be exact rests
/// on that: what a channel's home sent before its answer to a subscriber was published before the
/// subscriber's position, and what comes behind it was published after.
#[derive(Debug)]
pub enum Letter {
    /// To a channel's home.
    Ask {
        /// The channel.
        channel: Box<str>,
        /// What is asked of it.
        question: Question,
        /// Who waits for the answer.
        reply_to: ReplyTo,
    },
    /// To whoever asked.
    Answer {
        /// Who asked.
        reply_to: ReplyTo,
        /// What came of it.
        answer: Answer,
    },
    /// From a channel's home to each worker with subscribers.
    Event {
        /// The channel.
        channel: Arc<str>,
        /// What happened in it.
        event: Event,
    },
    /// To every worker, about the connections of one user.
    User {
        /// The user.
        user: Box<str>,
        /// What becomes of its connections.
        order: UserOrder,
    },
    /// To a user's home: one more connection. Where their number has no limit only the first of a worker is
    /// written about, which is enough to count users.
    LogIn {
        /// The hash of the user's name.
        user: u64,
        /// Where it is.
        worker: u16,
        /// The connection.
        session: SessionId,
    },
    /// To a user's home: one fewer of those that were written about.
    LogOut {
        /// The hash of the user's name.
        user: u64,
    },
    /// From a user's home: that connection is one too many.
    TurnAway {
        /// The connection.
        session: SessionId,
    },
}

impl Letter {
    /// What it counts for while it waits, as events do. What an answer carries is the history's, and bounded there.
    pub(crate) fn weight(&self) -> usize {
        match self {
            Self::Event { event, .. } => weight(event),
            Self::Ask {
                question: Question::Publish(draft),
                ..
            } => payload_weight(&draft.payload),
            _ => 1,
        }
    }
}

/// What is asked of a channel's home.
#[derive(Clone, Debug)]
pub enum Question {
    /// One more subscriber.
    Subscribe {
        /// Who.
        client: Arc<ClientInfo>,
        /// On that worker.
        worker: u16,
        /// Where it stopped last time, if it wants what it missed.
        recover: Option<Position>,
    },
    /// One fewer.
    Unsubscribe {
        /// Whose subscription it was.
        client: ClientId,
        /// On that worker.
        worker: u16,
    },
    /// Something to be told to all.
    Publish(Draft),
    /// What was published.
    History(HistoryQuery),
    /// Forget what was published.
    ForgetHistory,
    /// Who is there.
    Presence,
    /// How many are there.
    PresenceStats,
}

/// A publication before it has its number.
#[derive(Clone, Debug)]
pub struct Draft {
    /// What it says.
    pub payload: Payload,
    /// Who says it.
    pub publisher: Option<Arc<ClientInfo>>,
    /// Among publications with the same key only the last counts.
    pub key: Option<Box<str>>,
    /// Labels.
    pub tags: Box<[(Box<str>, Box<str>)]>,
    /// Told to those who are there, and not kept.
    pub is_fleeting: bool,
}

impl Draft {
    /// A publication with a payload and nothing else.
    pub fn new(payload: Payload) -> Self {
        Self {
            payload,
            publisher: None,
            key: None,
            tags: Box::default(),
            is_fleeting: false,
        }
    }
}

/// What becomes of a user's connections.
#[derive(Clone, Debug)]
pub enum UserOrder {
    /// They end; with a client, only that one.
    Disconnect {
        /// What they are told.
        why: Disconnect,
        /// Only this connection.
        client: Option<ClientId>,
    },
    /// They leave a channel.
    Unsubscribe {
        /// The channel.
        channel: Box<str>,
        /// What they are told.
        why: Unsubscribed,
        /// Only this connection.
        client: Option<ClientId>,
    },
    /// They enter one.
    Subscribe {
        /// The channel.
        channel: Box<str>,
        /// Only this connection.
        client: Option<ClientId>,
    },
}

/// Who waits for an answer.
pub enum ReplyTo {
    /// Nobody.
    Nobody,
    /// A connection.
    Session {
        /// On that worker.
        worker: u16,
        /// The connection.
        session: SessionId,
        /// What it asked.
        request: Request,
    },
    /// A connection that is about to be a subscriber.
    Subscriber {
        /// On that worker.
        worker: u16,
        /// The connection.
        session: SessionId,
        /// Of that channel.
        channel: Box<str>,
        /// Which of its attempts this is.
        ticket: u32,
        /// It has no wish to hear who comes and goes.
        is_aloof: bool,
        /// What it asked.
        request: Request,
    },
    /// A subscriber that was too slow and reads what it missed from the history.
    Straggler {
        /// On that worker.
        worker: u16,
        /// The connection.
        session: SessionId,
        /// In that channel.
        channel: Box<str>,
    },
    /// Another thread.
    Caller(Box<dyn FnOnce(Answer) + Send>),
}

impl fmt::Debug for ReplyTo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nobody => "Nobody",
            Self::Session { .. } => "Session",
            Self::Subscriber { .. } => "Subscriber",
            Self::Straggler { .. } => "Straggler",
            Self::Caller(_) => "Caller",
        })
    }
}

/// How a connection recognises the answer to what it asked.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Request {
    /// The number its command had; 0 if nobody counts.
    pub number: u32,
    /// What else its dialect needs to answer: a channel, the client's name for a message.
    pub note: Option<Box<str>>,
}

/// What came of a question.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer {
    /// A subscription.
    Subscribed(Subscribed),
    /// A publication was taken.
    Published {
        /// Its number, and the history's epoch; 0 if none is kept.
        position: Position,
        /// How many subscribers there were.
        receivers: u32,
    },
    /// A part of the history.
    History(HistoryPage),
    /// Who is there.
    Presence(Presence),
    /// How many are there.
    PresenceStats(PresenceStats),
    /// It is done.
    Done,
    /// It is not.
    Refused(Refusal),
}
