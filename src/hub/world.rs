//! What the hub needs of the world outside, and what it has counted.

use std::sync::Arc;

use super::letter::{Answer, Letter, Request};
use super::session::{Dialect, Session};
use super::types::{Disconnect, Event, Gap, Publication, Unsubscribed};

/// Everything the hub cannot do itself. Its effects happen through these calls, in the order of
/// the calls.
pub trait World {
    /// A message framed for the wire, cheap to clone.
    type Frame: Clone;

    /// Whether `dialect` has words for such an event in that channel. Nothing is done for an event that none of
    /// a channel's dialects has words for.
    fn has_words(&self, dialect: Dialect, channel: &str, event: &Event) -> bool;

    /// Frames an event for all who speak `dialect`; `None` if it [has no words](Self::has_words) for it.
    fn encode(&mut self, dialect: Dialect, channel: &str, event: &Event) -> Option<Self::Frame>;

    /// Frames the first publication behind a gap, for one who speaks a dialect that has no frame for the
    /// gap itself.
    fn encode_behind(
        &mut self,
        dialect: Dialect,
        channel: &str,
        gap: &Gap,
        publication: &Arc<Publication>,
    ) -> Option<Self::Frame>;

    /// Sends frames to a connection of this worker, in order and in one write. Returns the bytes
    /// that are queued for it then. Called only from [`fan_out`](super::Hub::fan_out).
    fn deliver(&mut self, conn: u64, frames: &[Self::Frame]) -> usize;

    /// Puts a letter into another worker's mailbox; one that does not fit comes back.
    #[expect(
        clippy::result_large_err,
        reason = "the letter comes back to be kept, not boxed"
    )]
    fn post(&mut self, worker: usize, letter: Letter) -> Result<(), Letter>;

    /// How many workers have joined so far.
    fn workers(&self) -> usize;

    /// How many events wait at a worker for their fan-out, as it last said; large ones count as several.
    fn events_waiting(&self, worker: usize) -> usize;

    /// Tells a connection what came of its request.
    fn answer(&mut self, to: &Session, request: &Request, channel: &str, answer: &Answer);

    /// Tells a connection that it is no longer subscribed.
    fn unsubscribed(&mut self, to: &Session, channel: &str, why: Unsubscribed);

    /// Ends a connection. [`close`](super::Hub::close) follows when it is over.
    fn disconnect(&mut self, to: &Session, why: Disconnect);
}

/// What a hub has counted.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Tally {
    /// Publications this worker has taken as their home.
    pub published: u64,
    /// Frames handed to connections.
    pub delivered: u64,
    /// Publications refused because a worker had no room for them.
    pub busy: u64,
    /// Subscribers that asked for what they had missed, and got all of it.
    pub recovered: u64,
    /// Those that did not.
    pub not_recovered: u64,
    /// Slow subscribers disconnected.
    pub slow_disconnected: u64,
    /// Slow subscribers held back for a while (drop-oldest, conflate, resume).
    pub slow_held: u64,
    /// Events that slow subscribers lost.
    pub slow_lost: u64,
    /// Subscriptions beyond the limit per connection.
    pub channel_limit: u64,
    /// Connections beyond the limit per user.
    pub user_limit: u64,
    /// Names beyond the limit of their length.
    pub name_limit: u64,
    /// Messages beyond the limit per second.
    pub message_rate: u64,
    /// Messages beyond the limit of bytes per second.
    pub byte_rate: u64,
    /// Publications beyond the limit of their size.
    pub publication_limit: u64,
    /// Publications that went before their time because all histories together were too large.
    pub history_evicted: u64,
}

impl std::ops::Add<&Self> for Tally {
    type Output = Self;

    fn add(self, other: &Self) -> Self {
        Self {
            published: self.published + other.published,
            delivered: self.delivered + other.delivered,
            busy: self.busy + other.busy,
            recovered: self.recovered + other.recovered,
            not_recovered: self.not_recovered + other.not_recovered,
            slow_disconnected: self.slow_disconnected + other.slow_disconnected,
            slow_held: self.slow_held + other.slow_held,
            slow_lost: self.slow_lost + other.slow_lost,
            channel_limit: self.channel_limit + other.channel_limit,
            user_limit: self.user_limit + other.user_limit,
            name_limit: self.name_limit + other.name_limit,
            message_rate: self.message_rate + other.message_rate,
            byte_rate: self.byte_rate + other.byte_rate,
            publication_limit: self.publication_limit + other.publication_limit,
            history_evicted: self.history_evicted + other.history_evicted,
        }
    }
}
