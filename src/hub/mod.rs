//! Channels, users, presence and history: what a publication goes through between two connections.
//!
//! Pure: calls in, effects out. Nobody here knows a socket, a thread, a clock or a wire format:
//! connections are numbers, time is an argument, and how a publication looks on the wire is asked
//! of whoever calls.
//!
//! A channel lives at one worker, its *home*: there it gets its numbers, its history and its
//! presence. A worker with subscribers has a *topic* for it, which knows them and nothing else. Between
//! the two go letters, in order, and so everything that has to be exact is: a subscriber's
//! position, a recovered gap, the order of a publisher's messages.

mod allowance;
mod asking;
mod channel;
mod ear;
mod fanout;
mod history;
mod home;
mod journaling;
mod lag;
mod letter;
mod logins;
mod options;
mod outbound;
mod registry;
mod session;
mod shard;
#[cfg(test)]
mod tests;
mod topic;
mod types;
mod users;
mod world;

pub use allowance::Allowance;
pub use asking::Subscribe;
pub use fanout::Left;
pub use journaling::{Kept, Record};
pub use letter::{Answer, Draft, Letter, Question, ReplyTo, Request, UserOrder};
pub use options::{Limit, Limits, Namespaces, Options, Policy, Recovery, Right, Tiers};
pub use registry::NameHash;
pub use session::{Dialect, Session, SessionId};
pub use shard::{Hub, HubConfig};
pub use types::{
    BadName, BadPosition, CHANNEL_BYTES_MAX, ChannelName, ClientId, ClientInfo, Disconnect, Epoch,
    Event, Gap, HistoryPage, HistoryQuery, Payload, PayloadKind, Position, Presence, PresenceStats,
    Publication, Refusal, Subscribed, Unsubscribed,
};
pub use world::{Tally, World};
