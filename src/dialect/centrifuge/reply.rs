//! Answers to commands, several of them in one frame.

use std::sync::Arc;

use super::code::ErrorCode;
use super::push::{self, Push};
use crate::dialect::json::{Object, object};
use crate::hub::{ClientId, HistoryPage, Presence, PresenceStats, Publication, Subscribed};

/// The answer to a command.
#[derive(Clone, Copy, Debug)]
pub enum Reply<'a> {
    /// Welcome.
    Connect(&'a Connected<'a>),
    /// It is in the channel.
    Subscribe {
        /// Where it stands, and what it missed.
        subscribed: &'a Subscribed,
        /// When it needs a new token, in seconds.
        ttl_s: Option<u32>,
    },
    /// It is out of the channel.
    Unsubscribe,
    /// It is published.
    Publish,
    /// Who is there.
    Presence(&'a Presence),
    /// How many are there.
    PresenceStats(PresenceStats),
    /// What was said.
    History(&'a HistoryPage),
    /// Yes.
    Ping,
    /// The new token is taken.
    Refresh {
        /// The connection.
        client: ClientId,
        /// The server's version.
        version: &'a str,
        /// When it needs another, in seconds.
        ttl_s: Option<u32>,
    },
    /// The new token is taken.
    SubRefresh {
        /// When it needs another, in seconds.
        ttl_s: Option<u32>,
    },
    /// No.
    Error(ErrorCode),
}

/// What a client is welcomed with.
#[derive(Clone, Debug)]
pub struct Connected<'a> {
    /// Its name from now on.
    pub client: ClientId,
    /// The server's version.
    pub version: &'a str,
    /// When it needs a new token, in seconds; `None` if never.
    pub ttl_s: Option<u32>,
    /// How often it will be pinged, in seconds; 0 is not at all.
    pub ping_s: u32,
    /// JSON of the application's.
    pub payload: Option<&'a str>,
    /// The channels the server has put it into.
    pub subs: &'a [(&'a str, Subscribed)],
}

/// Appends one reply, without a line's end.
pub fn append_reply(out: &mut Vec<u8>, id: u32, reply: &Reply<'_>) {
    object(out, |line| {
        line.number("id", id.into());
        let nothing = |_: &mut Object<'_>| {};
        match reply {
            Reply::Connect(connected) => line.object("connect", |result| connected.fill(result)),
            Reply::Subscribe { subscribed, ttl_s } => line.object("subscribe", |result| {
                expiry(result, *ttl_s);
                fill_subscribed(result, subscribed);
            }),
            Reply::Unsubscribe => line.object("unsubscribe", nothing),
            Reply::Publish => line.object("publish", nothing),
            Reply::Presence(presence) => line.object("presence", |result| {
                result.object("presence", |clients| {
                    for client in &presence.clients {
                        clients.object(&client.client.to_string(), |entry| {
                            push::fill_client(entry, client);
                        });
                    }
                });
            }),
            Reply::PresenceStats(stats) => line.object("presence_stats", |result| {
                result.number("num_clients", stats.clients as u64);
                result.number("num_users", stats.users as u64);
            }),
            Reply::History(page) => line.object("history", |result| {
                fill_publications(result, &page.publications);
                result.text("epoch", &page.position.epoch.to_string());
                result.number("offset", page.position.offset);
            }),
            Reply::Ping => line.object("ping", nothing),
            Reply::Refresh {
                client,
                version,
                ttl_s,
            } => line.object("refresh", |result| {
                result.text("client", &client.to_string());
                result.text_if_any("version", version);
                expiry(result, *ttl_s);
            }),
            Reply::SubRefresh { ttl_s } => {
                line.object("sub_refresh", |result| expiry(result, *ttl_s));
            }
            Reply::Error(code) => line.object("error", |error| {
                error.number("code", code.number().into());
                error.text("message", code.message());
                error.flag("temporary", code.is_temporary());
            }),
        }
    });
}

impl Connected<'_> {
    fn fill(&self, result: &mut Object<'_>) {
        result.text("client", &self.client.to_string());
        result.text_if_any("version", self.version);
        expiry(result, self.ttl_s);
        result.json_if_any("data", self.payload);
        if !self.subs.is_empty() {
            result.object("subs", |subs| {
                for (channel, subscribed) in self.subs {
                    subs.object(channel, |sub| fill_subscribed(sub, subscribed));
                }
            });
        }
        result.number_if_any("ping", self.ping_s.into());
        result.flag("pong", self.ping_s > 0);
    }
}

fn expiry(result: &mut Object<'_>, ttl_s: Option<u32>) {
    result.flag("expires", ttl_s.is_some());
    result.number_if_any("ttl", ttl_s.unwrap_or(0).into());
}

fn fill_subscribed(result: &mut Object<'_>, subscribed: &Subscribed) {
    result.flag("recoverable", subscribed.recoverable);
    if let Some(position) = subscribed.position {
        result.text("epoch", &position.epoch.to_string());
        result.number_if_any("offset", position.offset);
        result.flag("positioned", true);
    }
    if !subscribed.publications.is_empty() {
        fill_publications(result, &subscribed.publications);
    }
    result.flag("recovered", subscribed.recovered);
    result.flag("was_recovering", subscribed.was_recovering);
}

fn fill_publications(result: &mut Object<'_>, publications: &[Arc<Publication>]) {
    result.objects("publications", publications, |entry, publication| {
        push::fill_publication(entry, publication, None);
    });
}

/// Replies on their way into one frame. One per worker will do: it is empty between two frames.
#[derive(Debug, Default)]
pub struct Batch {
    bytes: Vec<u8>,
    lines: usize,
}

/// Replies in a frame: clients handle a frame's replies in one go, so it should stay small.
pub const BATCH_REPLIES_MAX: usize = 64;
/// Bytes after which a frame of replies is not added to: what the kernel takes at once, about.
pub const BATCH_BYTES_MAX: usize = 64 << 10;

impl Batch {
    /// Adds a reply.
    pub fn reply(&mut self, id: u32, reply: &Reply<'_>) {
        append_reply(self.line(), id, reply);
    }

    /// Adds a push, which then stands behind the replies before it.
    pub fn push(&mut self, channel: &str, push: &Push<'_>) {
        push::append_push(self.line(), channel, push);
    }

    /// Adds a ping.
    pub fn ping(&mut self) {
        self.line().extend_from_slice(super::PING.as_bytes());
    }

    /// Whether it is time to send it.
    pub fn is_full(&self) -> bool {
        self.lines >= BATCH_REPLIES_MAX || self.bytes.len() >= BATCH_BYTES_MAX
    }

    /// Whether there is nothing to send.
    pub fn is_empty(&self) -> bool {
        self.lines == 0
    }

    /// The payload of the text frame.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Starts anew. A buffer that a large history blew up is given back.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.bytes.shrink_to(BATCH_BYTES_MAX);
        self.lines = 0;
    }

    fn line(&mut self) -> &mut Vec<u8> {
        if self.lines > 0 {
            self.bytes.push(b'\n');
        }
        self.lines += 1;
        &mut self.bytes
    }
}
