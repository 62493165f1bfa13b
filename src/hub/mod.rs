//! Channels, users, presence and history: what a publication goes through between two connections.
//!
//! Pure: calls in, effects out. Nobody here knows a socket, a thread, a clock or a wire format:
//! connections are numbers, time is an argument, and how a publication looks on the wire is asked
//! of whoever calls.

mod types;

pub use types::{
    BadName, BadPosition, CHANNEL_BYTES_MAX, ChannelName, ClientId, ClientInfo, Disconnect, Epoch,
    Event, HistoryPage, HistoryQuery, Payload, PayloadKind, Position, Presence, PresenceStats,
    Publication, Refusal, Subscribed, Unsubscribed,
};
