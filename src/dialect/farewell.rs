//! Close codes for the dialects that have none of their own.

use crate::hub::Disconnect;

/// The code and the reason of the Close frame, for [`chat`](super::chat) and [`raw`](super::raw).
///
/// Codes of the IANA registry, which libraries have names for: 1001 and 1013 to be tried again,
/// 3000 with another token, 1008 and 3003 not at all.
pub fn close(why: Disconnect) -> (u16, &'static str) {
    match why {
        Disconnect::Shutdown => (1001, "shutdown"),
        Disconnect::NoPong => (1001, "no pong"),
        Disconnect::Slow => (1013, "too slow"),
        Disconnect::InsufficientState => (1013, "messages were lost"),
        Disconnect::TooMany => (1013, "too many messages"),
        Disconnect::Internal => (1011, "internal server error"),
        Disconnect::BadRequest => (1008, "bad request"),
        Disconnect::Stale => (1008, "no login in time"),
        Disconnect::UserLimit => (1008, "connection limit"),
        Disconnect::ChannelLimit => (1008, "channel limit"),
        Disconnect::InvalidToken => (3000, "invalid token"),
        Disconnect::Expired => (3000, "token expired"),
        Disconnect::PermissionDenied => (3003, "permission denied"),
        Disconnect::ByServer => (3003, "disconnected by the server"),
    }
}
