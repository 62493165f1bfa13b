//! The numbers of this dialect: errors of replies, ends of subscriptions, ends of connections.

use crate::hub::{Disconnect, Refusal, Unsubscribed};

/// Why a command was refused, as the client is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ErrorCode {
    /// Our fault; it may be tried again.
    Internal,
    /// Nobody in particular may do this.
    Unauthorized,
    /// There is no such channel.
    UnknownChannel,
    /// This user may not do this.
    PermissionDenied,
    /// There is no such request.
    MethodNotFound,
    /// It is subscribed already.
    AlreadySubscribed,
    /// One of the limits.
    LimitExceeded,
    /// The request makes no sense.
    BadRequest,
    /// It is switched off, or not offered at all.
    NotAvailable,
    /// The token was good; the client gets a new one and tries again.
    TokenExpired,
    /// Too often; it may be tried again.
    TooManyRequests,
    /// The history does not reach back to that position.
    UnrecoverablePosition,
}

impl ErrorCode {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Internal,
        Self::Unauthorized,
        Self::UnknownChannel,
        Self::PermissionDenied,
        Self::MethodNotFound,
        Self::AlreadySubscribed,
        Self::LimitExceeded,
        Self::BadRequest,
        Self::NotAvailable,
        Self::TokenExpired,
        Self::TooManyRequests,
        Self::UnrecoverablePosition,
    ];

    /// The number that clients know.
    pub fn number(self) -> u16 {
        self.terms().0
    }

    /// The sentence beside it.
    pub fn message(self) -> &'static str {
        self.terms().1
    }

    /// Whether the client should try again by itself.
    pub fn is_temporary(self) -> bool {
        matches!(self, Self::Internal | Self::TooManyRequests)
    }

    fn terms(self) -> (u16, &'static str) {
        match self {
            Self::Internal => (100, "internal server error"),
            Self::Unauthorized => (101, "unauthorized"),
            Self::UnknownChannel => (102, "unknown channel"),
            Self::PermissionDenied => (103, "permission denied"),
            Self::MethodNotFound => (104, "method not found"),
            Self::AlreadySubscribed => (105, "already subscribed"),
            Self::LimitExceeded => (106, "limit exceeded"),
            Self::BadRequest => (107, "bad request"),
            Self::NotAvailable => (108, "not available"),
            Self::TokenExpired => (109, "token expired"),
            Self::TooManyRequests => (111, "too many requests"),
            Self::UnrecoverablePosition => (112, "unrecoverable position"),
        }
    }
}

impl From<Refusal> for ErrorCode {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::UnknownChannel => Self::UnknownChannel,
            // The official server says the same of a channel one is not in.
            Refusal::PermissionDenied | Refusal::NotSubscribed => Self::PermissionDenied,
            Refusal::AlreadySubscribed => Self::AlreadySubscribed,
            Refusal::LimitExceeded => Self::LimitExceeded,
            Refusal::TooMany => Self::TooManyRequests,
            Refusal::NotAvailable => Self::NotAvailable,
            Refusal::BadPosition => Self::UnrecoverablePosition,
            Refusal::Busy => Self::Internal,
        }
    }
}

/// The code and the reason of the Close frame.
pub fn close(why: Disconnect) -> (u16, &'static str) {
    match why {
        Disconnect::Shutdown => (3001, "shutdown"),
        Disconnect::Internal => (3004, "internal server error"),
        Disconnect::Expired => (3005, "connection expired"),
        Disconnect::Slow => (3008, "slow"),
        Disconnect::InsufficientState => (3010, "insufficient state"),
        Disconnect::NoPong => (3012, "no pong"),
        Disconnect::TooMany => (3013, "too many requests"),
        Disconnect::InvalidToken => (3500, "invalid token"),
        Disconnect::BadRequest => (3501, "bad request"),
        Disconnect::Stale => (3502, "stale"),
        Disconnect::ByServer => (3503, "force disconnect"),
        Disconnect::UserLimit => (3504, "connection limit"),
        Disconnect::ChannelLimit => (3505, "channel limit"),
        Disconnect::PermissionDenied => (3507, "permission denied"),
    }
}

/// Whether a client comes back after a Close frame with this code.
///
/// The classes: below 3000 WebSocket's own, after which clients do; 3500 to 3999 and 4500 to 4999
/// are final; the others are not.
pub fn reconnects(code: u16) -> bool {
    !matches!(code, 3500..=3999 | 4500..=4999)
}

/// The code and the reason of the push that ends a subscription. From 2500 on the client
/// subscribes again by itself, and recovers.
pub fn unsubscribe_code(why: Unsubscribed) -> (u16, &'static str) {
    match why {
        Unsubscribed::ByServer => (2000, "server unsubscribe"),
        Unsubscribed::InsufficientState => (2500, "insufficient state"),
        Unsubscribed::Expired => (2501, "subscription expired"),
    }
}
