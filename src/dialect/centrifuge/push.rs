//! What a client is told without asking. Appended once, framed once, shared by all who hear it.

use super::code::{close, unsubscribe_code};
use crate::dialect::json::{Object, object};
use crate::hub::{ClientInfo, Disconnect, Gap, Payload, Position, Publication, Unsubscribed};

/// What a client is told without asking.
#[derive(Clone, Copy, Debug)]
pub enum Push<'a> {
    /// Somebody published.
    Publication(&'a Publication),
    /// Somebody published, and this client was too slow for what was published before.
    PublicationBehind(&'a Gap, &'a Publication),
    /// Somebody came.
    Join(&'a ClientInfo),
    /// Somebody is gone.
    Leave(&'a ClientInfo),
    /// It is not in the channel any more.
    Unsubscribe(Unsubscribed),
    /// The server has put it into the channel.
    Subscribe {
        /// Where it stands, if the channel has a history.
        position: Option<Position>,
        /// Whether it may recover.
        recoverable: bool,
        /// JSON of the application's.
        payload: Option<&'a str>,
    },
    /// Something for this connection only; its channel is empty.
    Message(&'a Payload),
    /// Good-bye, for transports without a Close frame; its channel is empty.
    Disconnect(Disconnect),
    /// The server has prolonged the connection; its channel is empty.
    Refresh {
        /// For so many seconds; `None` is for ever.
        ttl_s: Option<u32>,
    },
}

/// Appends a push about a channel, without a line's end.
pub fn append_push(out: &mut Vec<u8>, channel: &str, push: &Push<'_>) {
    object(out, |line| {
        line.object("push", |line| {
            line.text_if_any("channel", channel);
            fill(line, push);
        });
    });
}

fn fill(line: &mut Object<'_>, push: &Push<'_>) {
    match push {
        Push::Publication(publication) => {
            line.object("pub", |entry| fill_publication(entry, publication, None));
        }
        Push::PublicationBehind(gap, publication) => {
            line.object("pub", |entry| {
                fill_publication(entry, publication, Some(gap))
            });
        }
        Push::Join(client) => line.object("join", |entry| {
            entry.object("info", |entry| fill_client(entry, client));
        }),
        Push::Leave(client) => line.object("leave", |entry| {
            entry.object("info", |entry| fill_client(entry, client));
        }),
        Push::Unsubscribe(why) => line.object("unsubscribe", |entry| {
            fill_code(entry, unsubscribe_code(*why));
        }),
        Push::Subscribe {
            position,
            recoverable,
            payload,
        } => line.object("subscribe", |entry| {
            entry.flag("recoverable", *recoverable);
            if let Some(position) = position {
                entry.text("epoch", &position.epoch.to_string());
                entry.number_if_any("offset", position.offset);
                entry.flag("positioned", true);
            }
            entry.json_if_any("data", *payload);
        }),
        Push::Message(payload) => line.object("message", |entry| entry.payload("data", payload)),
        Push::Disconnect(why) => line.object("disconnect", |entry| fill_code(entry, close(*why))),
        Push::Refresh { ttl_s } => line.object("refresh", |entry| {
            entry.flag("expires", ttl_s.is_some());
            entry.number_if_any("ttl", ttl_s.unwrap_or(0).into());
        }),
    }
}

fn fill_code(entry: &mut Object<'_>, (code, reason): (u16, &str)) {
    entry.number("code", code.into());
    entry.text("reason", reason);
}

/// How many publications a client was too slow for, as a tag of the first one behind them.
pub const MISSED: &str = "missed";
/// The offsets of those, as in `812-960`, if the channel keeps a history.
pub const MISSED_OFFSETS: &str = "missed_offsets";

pub(super) fn fill_publication(
    entry: &mut Object<'_>,
    publication: &Publication,
    gap: Option<&Gap>,
) {
    entry.payload("data", &publication.payload);
    if let Some(publisher) = &publication.publisher {
        entry.object("info", |entry| fill_client(entry, publisher));
    }
    entry.number_if_any("offset", publication.offset);
    if gap.is_some() || !publication.tags.is_empty() {
        entry.object("tags", |tags| fill_tags(tags, publication, gap));
    }
    entry.text_if_any("key", publication.key.as_deref().unwrap_or(""));
}

/// The publisher's tags, and ours, before which the publisher's of the same names give way.
fn fill_tags(tags: &mut Object<'_>, publication: &Publication, gap: Option<&Gap>) {
    let is_ours = |name: &str| gap.is_some() && [MISSED, MISSED_OFFSETS].contains(&name);
    for (name, value) in publication.tags.iter().filter(|(name, _)| !is_ours(name)) {
        tags.text(name, value);
    }
    if let Some(gap) = gap {
        tags.text(MISSED, &gap.publications.to_string());
        if let Some((first, last)) = gap.offsets {
            tags.text(MISSED_OFFSETS, &format!("{first}-{last}"));
        }
    }
}

pub(super) fn fill_client(entry: &mut Object<'_>, client: &ClientInfo) {
    entry.text("user", &client.user);
    entry.text("client", &client.client.to_string());
    entry.json_if_any("conn_info", client.conn_info.as_deref());
    entry.json_if_any("chan_info", client.chan_info.as_deref());
}
