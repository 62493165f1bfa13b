//! The client's side of the wire protocols that rooms are served in: what to say, and what an answer means.
//!
//! ```text
//!  after the upgrade   Dialect::append_entry    -> connect and subscribe, in one message
//!  a publication       Dialect::append_publish  -> one message
//!  what is received    Dialect::hear            -> Heard, one or several of a message
//! ```
//!
//! The encoders are written by hand; the parsers take what they need and ignore the rest, so that other servers
//! of the same protocol can be measured, too. Nothing here knows a connection.

use std::fmt;

use serde_json::value::RawValue;

mod centrifuge;
mod chat;

/// A wire protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Dialect {
    /// Centrifuge's JSON protocol, version 2.
    #[default]
    Centrifuge,
    /// One JSON object per message: `join`, `message`, `ack`.
    Chat,
    /// Every message is a publication; the path names the room.
    Raw,
}

/// How a connection gets into its room.
#[derive(Debug, Clone, Copy, Default)]
pub struct Entry<'a> {
    /// The room.
    pub room: &'a str,
    /// Shown with the first command, where the dialect does that.
    pub token: Option<&'a str>,
    /// Where it was before it was cut: it wants what it missed.
    pub since: Option<Position<'a>>,
    /// Ask how many are in the room.
    pub presence: bool,
}

/// A place in a room's history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position<'a> {
    /// The last publication seen.
    pub offset: u64,
    /// Of this life of the room.
    pub epoch: &'a str,
}

/// What a server said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard<'a> {
    /// It is in the room.
    Joined {
        /// Where the room stands, if it has a history.
        position: Option<Position<'a>>,
        /// What was missed is here, or follows.
        recovered: bool,
    },
    /// A publication in the room.
    Publication {
        /// What was published.
        text: &'a str,
        /// Its number in the room's history, if it has one.
        offset: u64,
    },
    /// Something published that none of ours can be: no text.
    Foreign,
    /// So many are in the room.
    Present(u64),
    /// It asks whether we are there, and wants this for an answer.
    Ping(&'static str),
    /// It does not let us in; a code, where the dialect has codes.
    Denied(u16),
    /// It does not pass a message on.
    Refused(u16),
}

/// It is none of this dialect's messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unintelligible;

impl Dialect {
    /// Every dialect with its name.
    pub const ALL: &[(&str, Self)] = &[
        ("centrifuge", Self::Centrifuge),
        ("chat", Self::Chat),
        ("raw", Self::Raw),
    ];

    /// Appends what is said first; nothing where being connected is being in the room.
    pub fn append_entry(self, out: &mut Vec<u8>, entry: &Entry<'_>) {
        match self {
            Self::Centrifuge => centrifuge::append_entry(out, entry),
            Self::Chat => chat::append_entry(out, entry),
            Self::Raw => {}
        }
    }

    /// Appends a publication. `text` needs no escaping in JSON; `number` tells it from others of the sender.
    pub fn append_publish(self, out: &mut Vec<u8>, room: &str, text: &str, number: u32) {
        match self {
            Self::Centrifuge => centrifuge::append_publish(out, room, text, number),
            Self::Chat => chat::append_publish(out, room, text, number),
            Self::Raw => out.extend_from_slice(text.as_bytes()),
        }
    }

    /// Hands over what a text message says, in order.
    pub fn hear(self, text: &str, mut on: impl FnMut(Heard<'_>)) -> Result<(), Unintelligible> {
        match self {
            Self::Centrifuge => centrifuge::hear(text, &mut on),
            Self::Chat => chat::hear(text, &mut on),
            Self::Raw => {
                on(Heard::Publication { text, offset: 0 });
                Ok(())
            }
        }
    }

    /// Whether being connected is being in the room.
    #[must_use]
    pub const fn joins_by_connecting(self) -> bool {
        matches!(self, Self::Raw)
    }
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Self::ALL.iter().find(|(_, dialect)| dialect == self);
        f.write_str(name.map_or("", |(name, _)| name))
    }
}

/// The text of a JSON string. Ours need no escaping, so it is what is between the quotes; nothing, if it is none.
fn plain_text(json: &RawValue) -> Option<&str> {
    json.get().strip_prefix('"')?.strip_suffix('"')
}

/// Appends a JSON string.
fn append_text(out: &mut Vec<u8>, text: &str) {
    serde_json::to_writer(out, text).expect("a Vec takes whatever is written");
}

/// Appends pieces as they are.
fn append(out: &mut Vec<u8>, pieces: &[&str]) {
    for piece in pieces {
        out.extend_from_slice(piece.as_bytes());
    }
}

#[cfg(test)]
mod tests;
