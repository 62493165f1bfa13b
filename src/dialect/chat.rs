//! The small dialect that people write by hand: one JSON object per text frame.
//!
//! ```text
//!  client                                                   server
//!    <- {"type":"connected","userId":"alice","status":"connected"}
//!    -> {"type":"message","to":"bob","text":"Hello!","id":"m1"}
//!    <- {"type":"ack","messageId":"m1","status":"delivered"}        or "sent"
//!    -> {"type":"join","room":"lobby","since":41}                   missed what followed 41
//!    <- {"type":"joined","room":"lobby","seq":43,"epoch":"..","recovered":true}
//!    <- {"type":"message","room":"lobby","from":"bob","text":"..","id":"..","timestamp":..,"seq":42}
//!    -> {"type":"leave","room":"lobby"}
//!    <- {"type":"left","room":"lobby"}
//!    <- {"type":"gap","room":"lobby","missed":149,"first":812,"last":960}   too slow for these
//!    -> what is none of these
//!    <- {"type":"error","message":"Invalid message format"}         and the connection lives on
//! ```
//!
//! A room is the channel of that name, a user the personal channel `#user` ([`Target::channel`]), so
//! all dialects meet there. `seq` is the offset in that channel: without gaps, if it has a history.
//! A `gap` tells how many messages were left out for somebody who reads too slowly, and which, if they
//! are numbered.
//!
//! How to serve a connection: for each text frame [`Request::parse`]; for an error,
//! [`Reply::Error`]. A message becomes a payload ([`Outgoing::append_payload`]) that is published
//! with the sender as its publisher; then [`Reply::Ack`] with the same `id`, `delivered` if somebody
//! of that user was subscribed to the personal channel, or the room had other subscribers. Events
//! are appended once per channel ([`append_event`]) and shared. Whose message it is says the
//! publisher, never the payload, so nobody speaks in another's name.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::json::{Object, object};
use crate::hub::{
    ChannelName, Epoch, Event, Payload, PayloadKind, Position, Publication, Refusal, Subscribed,
};

/// Bytes an `id` or a `timestamp` of a client's may have, as JSON.
pub const MARK_BYTES_MAX: usize = 128;

/// What a client asks for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Request<'f> {
    /// Something to be passed on.
    Message(Outgoing<'f>),
    /// Into a room.
    Join {
        /// Which.
        room: Cow<'f, str>,
        /// Where it was, if it wants to have what it missed.
        since: Option<Since>,
    },
    /// Out of a room.
    Leave {
        /// Which.
        room: Cow<'f, str>,
    },
}

/// Something to be passed on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Outgoing<'f> {
    /// To whom.
    pub target: Target<'f>,
    /// What.
    pub text: Cow<'f, str>,
    /// The sender's name for it.
    pub id: Option<Mark<'f>>,
    /// The sender's time.
    pub timestamp: Option<Mark<'f>>,
}

/// To whom.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Target<'f> {
    /// All connections of a user.
    User(Cow<'f, str>),
    /// Everybody in a room.
    Room(Cow<'f, str>),
}

/// Where a client was in a room.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Since {
    /// The last `seq` it saw.
    pub offset: u64,
    /// The epoch it saw it in; `None` if it keeps no epochs, and takes its chances.
    pub epoch: Option<Epoch>,
}

/// A value that is handed back as it came: a JSON string or number of at most [`MARK_BYTES_MAX`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Mark<'f>(&'f str);

/// It was no message of this dialect.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Invalid;

impl<'f> Mark<'f> {
    /// Takes a value that was handed out as [`json`](Self::json).
    pub fn of(json: &'f str) -> Self {
        Self(json)
    }

    /// The value, as JSON.
    pub fn json(self) -> &'f str {
        self.0
    }

    fn new(json: &'f RawValue) -> Result<Self, Invalid> {
        let json = json.get();
        let is_plain = json.starts_with(|first: char| "\"-0123456789".contains(first));
        match is_plain && json.len() <= MARK_BYTES_MAX {
            true => Ok(Self(json)),
            false => Err(Invalid),
        }
    }
}

impl Target<'_> {
    /// The channel it is.
    pub fn channel(&self) -> Cow<'_, str> {
        match self {
            Self::User(user) => format!("#{user}").into(),
            Self::Room(room) => Cow::Borrowed(room),
        }
    }
}

impl<'f> Request<'f> {
    /// Reads a text frame.
    pub fn parse(frame: &'f str) -> Result<Self, Invalid> {
        let wire: Wire<'f> = serde_json::from_str(frame).map_err(|_| Invalid)?;
        let target = match (wire.to, wire.room) {
            (Some(Text(user)), None) => Target::User(user),
            (None, Some(Text(room))) => Target::Room(room),
            _ => return Err(Invalid),
        };
        match (&*wire.kind, target) {
            ("message", target) => Ok(Self::Message(Outgoing {
                target,
                text: wire.text.ok_or(Invalid)?.0,
                id: wire.id.map(Mark::new).transpose()?,
                timestamp: wire.timestamp.map(Mark::new).transpose()?,
            })),
            ("join", Target::Room(room)) => Ok(Self::Join {
                room,
                since: wire.since.map(|offset| Since {
                    offset,
                    // An epoch that is none of ours recovers nothing.
                    epoch: wire
                        .epoch
                        .map(|Text(epoch)| Epoch::parse(&epoch).unwrap_or_default()),
                }),
            }),
            ("leave", Target::Room(room)) => Ok(Self::Leave { room }),
            _ => Err(Invalid),
        }
    }
}

#[derive(Deserialize)]
struct Wire<'f> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'f, str>,
    #[serde(borrow)]
    to: Option<Text<'f>>,
    #[serde(borrow)]
    room: Option<Text<'f>>,
    #[serde(borrow)]
    text: Option<Text<'f>>,
    #[serde(borrow)]
    id: Option<&'f RawValue>,
    #[serde(borrow)]
    timestamp: Option<&'f RawValue>,
    since: Option<u64>,
    #[serde(borrow)]
    epoch: Option<Text<'f>>,
}

/// A string that borrows if it can; a bare `Cow` in an `Option` never does.
#[derive(Deserialize)]
struct Text<'f>(#[serde(borrow)] Cow<'f, str>);

impl Outgoing<'_> {
    /// Appends the payload to publish, one JSON value. `fallback_id` and `unix_ms` stand in for what
    /// the sender left out.
    pub fn append_payload(&self, out: &mut Vec<u8>, from: &str, fallback_id: &str, unix_ms: u64) {
        object(out, |message| {
            message.text("type", "message");
            message.text("from", from);
            message.text("text", &self.text);
            match self.id {
                Some(id) => message.json("id", id.json()),
                None => message.text("id", fallback_id),
            }
            match self.timestamp {
                Some(timestamp) => message.json("timestamp", timestamp.json()),
                None => message.number("timestamp", unix_ms),
            }
        });
    }
}

/// An answer to one connection.
#[derive(Clone, Copy, Debug)]
pub enum Reply<'a> {
    /// Welcome.
    Connected {
        /// Who the token says it is; empty if nobody in particular.
        user: &'a str,
        /// Where it stands in its personal channel, if that has a history.
        position: Option<Position>,
    },
    /// The message is on its way.
    Ack {
        /// The sender's name for it, or the one it was given.
        id: Mark<'a>,
        /// How far it has come.
        progress: Progress,
    },
    /// It is in the room.
    Joined {
        /// Which.
        room: &'a str,
        /// Where it stands; what it missed is sent behind this, as events.
        subscribed: &'a Subscribed,
        /// JSON of the application's, if that has put it there.
        payload: Option<&'a str>,
    },
    /// It is out of the room.
    Left {
        /// Which.
        room: &'a str,
    },
    /// No.
    Error(Complaint),
}

/// How far a message has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Progress {
    /// On its way to at least one connection.
    Delivered,
    /// Kept until they return, or passed on to other machines.
    Sent,
}

/// What is wrong with a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Complaint {
    /// It is not of this dialect.
    Invalid,
    /// It may not be done.
    Refused(Refusal),
}

impl From<Invalid> for Complaint {
    fn from(_: Invalid) -> Self {
        Self::Invalid
    }
}

impl Complaint {
    /// What is said about it.
    pub fn message(self) -> &'static str {
        match self {
            Self::Invalid => "Invalid message format",
            Self::Refused(refusal) => match refusal {
                Refusal::UnknownChannel => "Unknown room or user",
                Refusal::PermissionDenied => "Permission denied",
                Refusal::AlreadySubscribed => "Already joined",
                Refusal::NotSubscribed => "Not joined",
                Refusal::LimitExceeded => "Limit exceeded",
                Refusal::TooMany => "Too many messages",
                Refusal::NotAvailable => "Not available",
                Refusal::BadPosition => "Unknown position",
                Refusal::Busy => "Busy, try again",
            },
        }
    }
}

/// Appends an answer.
pub fn append_reply(out: &mut Vec<u8>, reply: &Reply<'_>) {
    object(out, |line| match reply {
        Reply::Connected { user, position } => {
            line.text("type", "connected");
            line.text("userId", user);
            line.text("status", "connected");
            fill_position(line, *position);
        }
        Reply::Ack { id, progress } => {
            line.text("type", "ack");
            line.json("messageId", id.json());
            line.text("status", progress.word());
        }
        Reply::Joined {
            room,
            subscribed,
            payload,
        } => {
            line.text("type", "joined");
            line.text("room", room);
            fill_position(line, subscribed.position);
            line.flag("recovered", subscribed.recovered);
            line.json_if_any("data", *payload);
        }
        Reply::Left { room } => {
            line.text("type", "left");
            line.text("room", room);
        }
        Reply::Error(complaint) => {
            line.text("type", "error");
            line.text("message", complaint.message());
        }
    });
}

fn fill_position(line: &mut Object<'_>, position: Option<Position>) {
    if let Some(position) = position {
        line.number("seq", position.offset);
        line.text("epoch", &position.epoch.to_string());
    }
}

impl Progress {
    fn word(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Sent => "sent",
        }
    }
}

/// Appends what happened in a channel, for all its subscribers alike.
pub fn append_event(out: &mut Vec<u8>, channel: ChannelName<'_>, event: &Event) {
    object(out, |line| {
        line.text("type", kind_of(event));
        // Whoever reads a personal channel knows whose it is.
        if channel.personal_to().is_none() {
            line.text("room", channel.as_str());
        }
        match event {
            Event::Publication(publication) => fill_message(line, publication),
            Event::Join(client) | Event::Leave(client) => line.text("user", &client.user),
            Event::Gap(gap) => {
                line.number("missed", gap.publications);
                if let Some((first, last)) = gap.offsets {
                    line.number("first", first);
                    line.number("last", last);
                }
            }
        }
    });
}

fn kind_of(event: &Event) -> &'static str {
    match event {
        Event::Publication(_) => "message",
        Event::Join(_) => "join",
        Event::Leave(_) => "leave",
        Event::Gap(_) => "gap",
    }
}

/// A message, whichever dialect it was published in.
fn fill_message(line: &mut Object<'_>, publication: &Publication) {
    let kept = Kept::of(&publication.payload);
    let publisher = publication.publisher.as_deref();
    line.text("from", publisher.map_or(&kept.from, |client| &client.user));
    match &kept.text {
        Some(text) => line.text("text", text),
        None => line.text("text", &plain_text(&publication.payload)),
    }
    match kept.id {
        Some(id) => line.json("id", id.json()),
        None => line.text("id", &publication.offset.to_string()),
    }
    match kept.timestamp {
        Some(timestamp) => line.json("timestamp", timestamp.json()),
        None => line.number("timestamp", publication.unix_ms),
    }
    line.number_if_any("seq", publication.offset);
}

/// What can be read from a payload that looks like a message of this dialect.
#[derive(Default)]
struct Kept<'p> {
    from: Cow<'p, str>,
    text: Option<Cow<'p, str>>,
    id: Option<Mark<'p>>,
    timestamp: Option<Mark<'p>>,
}

impl<'p> Kept<'p> {
    fn of(payload: &'p Payload) -> Self {
        let text = payload.text().filter(|_| payload.kind == PayloadKind::Json);
        let kept = text.and_then(|json| serde_json::from_str::<KeptWire<'p>>(json).ok());
        kept.map_or_else(Self::default, |wire| Self {
            from: wire.from.map_or(Cow::Borrowed(""), |Text(from)| from),
            text: Some(wire.text.0),
            id: wire.id.and_then(|id| Mark::new(id).ok()),
            timestamp: wire.timestamp.and_then(|time| Mark::new(time).ok()),
        })
    }
}

#[derive(Deserialize)]
struct KeptWire<'p> {
    #[serde(borrow)]
    from: Option<Text<'p>>,
    #[serde(borrow)]
    text: Text<'p>,
    #[serde(borrow)]
    id: Option<&'p RawValue>,
    #[serde(borrow)]
    timestamp: Option<&'p RawValue>,
}

/// Any payload as text: a JSON string is what it says, bytes are base64.
fn plain_text(payload: &Payload) -> Cow<'_, str> {
    let Some(text) = payload.text() else {
        return super::json::base64(&payload.bytes).into();
    };
    match serde_json::from_str::<Text<'_>>(text) {
        Ok(Text(text)) if payload.kind == PayloadKind::Json => text,
        _ => text.into(),
    }
}

#[cfg(test)]
mod tests;
