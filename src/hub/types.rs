//! The nouns that hub, dialects and API share.

use std::fmt::{self, Write};
use std::sync::Arc;

/// The longest channel name there may be, whatever is configured: it is kept in a byte.
pub const CHANNEL_BYTES_MAX: usize = 255;

/// A channel's name of good shape: `room1`, or `chat:room1` in the namespace `chat`.
///
/// Not empty, at most [`CHANNEL_BYTES_MAX`] bytes, and nothing that could forge a line of a log: no
/// control characters and no spaces. A name that begins with `#` is a user's personal channel.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ChannelName<'a>(&'a str);

impl<'a> ChannelName<'a> {
    /// Checks the shape.
    pub fn new(name: &'a str) -> Result<Self, BadName> {
        let is_bad = |letter: char| letter.is_control() || letter.is_whitespace();
        if name.is_empty() {
            Err(BadName::Empty)
        } else if name.len() > CHANNEL_BYTES_MAX {
            Err(BadName::TooLong)
        } else if name.contains(is_bad) {
            Err(BadName::Unprintable)
        } else {
            Ok(Self(name))
        }
    }

    /// The whole name.
    pub fn as_str(self) -> &'a str {
        self.0
    }

    /// What stands before the first `:`; empty if there is none.
    pub fn namespace(self) -> &'a str {
        self.0
            .split_once(':')
            .map_or("", |(namespace, _)| namespace)
    }

    /// The user whose personal channel this is.
    pub fn personal_to(self) -> Option<&'a str> {
        self.0.strip_prefix('#')
    }
}

impl fmt::Display for ChannelName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// What is wrong with a channel's name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BadName {
    /// It is empty.
    Empty,
    /// It has more than [`CHANNEL_BYTES_MAX`] bytes.
    TooLong,
    /// It has spaces or control characters.
    Unprintable,
}

impl fmt::Display for BadName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "a channel name may not be empty",
            Self::TooLong => "a channel name may have 255 bytes",
            Self::Unprintable => "a channel name may hold no spaces and no control characters",
        })
    }
}

/// One life of a channel's history. When the history is lost, the epoch changes with it, and a
/// position in the old one can no longer be mistaken for one in the new.
///
/// On the wire it is eight hexadecimal digits. 0 is nobody's.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub struct Epoch(u32);

impl Epoch {
    /// The epoch with that number.
    pub const fn new(number: u32) -> Self {
        Self(number)
    }

    /// Its number.
    pub const fn number(self) -> u32 {
        self.0
    }

    /// Reads what `Display` wrote. Foreign text is an epoch we never had, not an error of the
    /// client's: it recovers nothing, and says so.
    pub fn parse(text: &str) -> Option<Self> {
        let is_ours = text.len() == 8 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_ours.then(|| u32::from_str_radix(text, 16).ok().map(Self))?
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

/// A place in a channel's stream: behind the publication `offset` of `epoch`.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Position {
    /// The number of the last publication seen; the first has 1.
    pub offset: u64,
    /// The life of the history that it counts in.
    pub epoch: Epoch,
}

/// A position that is not one of this channel's history: another epoch, or not there yet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BadPosition;

/// What is in a publication's bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum PayloadKind {
    /// One JSON value, checked.
    Json,
    /// UTF-8, and not JSON.
    Text,
    /// Bytes.
    Binary,
}

/// What is published.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Payload {
    /// What the bytes are; whoever makes a payload has checked that they are.
    pub kind: PayloadKind,
    /// The bytes.
    pub bytes: Box<[u8]>,
}

impl Payload {
    /// The text of JSON and of text; `None` for bytes.
    pub fn text(&self) -> Option<&str> {
        match self.kind {
            PayloadKind::Json | PayloadKind::Text => std::str::from_utf8(&self.bytes).ok(),
            PayloadKind::Binary => None,
        }
    }
}

/// A publication, as it is kept and as it travels between workers: behind an `Arc`, never changed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Publication {
    /// Its number in the channel's history; 0 if the channel keeps none.
    pub offset: u64,
    /// When the channel's home took it, in milliseconds since 1970.
    pub unix_ms: u64,
    /// What it says.
    pub payload: Payload,
    /// The client that published it; `None` if it came through the API.
    pub publisher: Option<Arc<ClientInfo>>,
    /// Among publications with the same key only the last counts (policy `conflate`).
    pub key: Option<Box<str>>,
    /// Labels of the publisher's own choice.
    pub tags: Box<[(Box<str>, Box<str>)]>,
}

/// A connection's name to the outside, for ever its own.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Debug)]
pub struct ClientId(pub u128);

impl ClientId {
    /// The name of a worker's connection. `seed` is this process's own.
    pub fn new(seed: u32, worker: u16, conn: u64) -> Self {
        Self(u128::from(seed) << 96 | u128::from(worker) << 64 | u128::from(conn))
    }

    /// Reads what `Display` wrote.
    pub fn parse(text: &str) -> Option<Self> {
        let is_ours = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_ours.then(|| u128::from_str_radix(text, 16).ok().map(Self))?
    }
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// Who a client is, as others may see it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ClientInfo {
    /// The user; empty if anonymous.
    pub user: Box<str>,
    /// The connection.
    pub client: ClientId,
    /// What the connection's token says about it: one JSON value.
    pub conn_info: Option<Box<str>>,
    /// What the subscription's token says about it: one JSON value.
    pub chan_info: Option<Box<str>>,
}

/// Who is in a channel, one entry per connection.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Presence {
    /// The clients, in no order.
    pub clients: Vec<Arc<ClientInfo>>,
}

/// How many are in a channel.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct PresenceStats {
    /// Connections.
    pub clients: usize,
    /// Different users among them.
    pub users: usize,
}

/// Which part of a channel's history is wanted.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct HistoryQuery {
    /// How many publications at most; 0 asks for the position only, `None` for all there are.
    pub limit: Option<usize>,
    /// Only those behind it (in front of it, if `reverse`).
    pub since: Option<Position>,
    /// The newest first.
    pub reverse: bool,
}

/// A part of a channel's history, and where the channel stands.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct HistoryPage {
    /// In the order that was asked for.
    pub publications: Vec<Arc<Publication>>,
    /// The channel's newest position.
    pub position: Position,
}

/// The answer to a subscriber.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Subscribed {
    /// Where the live publications begin; `None` if the channel keeps no history.
    pub position: Option<Position>,
    /// Whether a subscriber that comes back with its position may hope to miss nothing.
    pub recoverable: bool,
    /// Whether it asked to recover.
    pub was_recovering: bool,
    /// Whether `publications` is everything it missed.
    pub recovered: bool,
    /// What it missed, oldest first; in cache mode the latest one only.
    pub publications: Vec<Arc<Publication>>,
}

/// What happens in a channel, as its subscribers are told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// Somebody published.
    Publication(Arc<Publication>),
    /// A client subscribed.
    Join(Arc<ClientInfo>),
    /// A client is gone from it.
    Leave(Arc<ClientInfo>),
    /// This subscriber was too slow for what came here.
    Gap(Gap),
}

/// Publications that a subscriber was too slow for, and was not told.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Gap {
    /// How many.
    pub publications: u64,
    /// The first and the last of their offsets; `None` if the channel keeps no history.
    pub offsets: Option<(u64, u64)>,
}

/// Why a request was refused. A dialect has a number and a sentence for each.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Refusal {
    /// The channel's name has no good shape, or its namespace is not configured.
    UnknownChannel,
    /// This client may not do this here.
    PermissionDenied,
    /// It is subscribed already.
    AlreadySubscribed,
    /// It is not subscribed.
    NotSubscribed,
    /// One of the limits: channels per connection, message size.
    LimitExceeded,
    /// Too many requests in too short a time.
    TooMany,
    /// The namespace has this switched off.
    NotAvailable,
    /// The position is not one of this history.
    BadPosition,
    /// Nothing was done, for want of room; it may be tried again.
    Busy,
}

/// Why a subscription ended without the client's asking.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Unsubscribed {
    /// Somebody said so through the API.
    ByServer,
    /// It missed something; subscribing again recovers.
    InsufficientState,
    /// Its token is too old.
    Expired,
}

/// Why the server ends a connection. A dialect has a close code for each, and the code says
/// whether to come back.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Disconnect {
    /// The server goes down; come back.
    Shutdown,
    /// It reads too slowly; come back.
    Slow,
    /// It was silent; come back.
    NoPong,
    /// Our fault; come back.
    Internal,
    /// The token has expired; come back with a new one.
    Expired,
    /// Publications were lost on the way to it; come back and recover.
    InsufficientState,
    /// Too many messages; come back later.
    TooMany,
    /// The token is no good; do not come back with it.
    InvalidToken,
    /// It did not speak the dialect; do not come back.
    BadRequest,
    /// It said nothing within the time to log in; come back.
    Stale,
    /// Somebody said so through the API; do not come back.
    ByServer,
    /// This user has as many connections as it may have; do not come back.
    UserLimit,
    /// As many channels as it may have; do not come back.
    ChannelLimit,
    /// It may not do what it did; do not come back.
    PermissionDenied,
}

impl ClientInfo {
    /// A log's view: user and client, nothing that could break a line.
    pub fn log_name(&self) -> String {
        let mut name = String::new();
        let _ = write!(name, "{:?} ({})", self.user, self.client);
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_a_shape() {
        let long = "x".repeat(CHANNEL_BYTES_MAX + 1);
        let bad = [
            ("", BadName::Empty),
            (&long, BadName::TooLong),
            ("a b", BadName::Unprintable),
            ("a\nb", BadName::Unprintable),
            ("a\u{85}b", BadName::Unprintable),
            ("a\u{2028}b", BadName::Unprintable),
            ("a\u{1b}[31m", BadName::Unprintable),
        ];
        for (name, why) in bad {
            assert_eq!(ChannelName::new(name), Err(why), "{name:?}");
        }
        for name in [&long[1..], "a", "chat:room1", "räume:größe", "#bob"] {
            assert_eq!(ChannelName::new(name).map(ChannelName::as_str), Ok(name));
        }
    }

    #[test]
    fn a_namespace_ends_at_the_first_colon() {
        let parts = |name| {
            let name = ChannelName::new(name).expect("a good name");
            (name.namespace(), name.personal_to())
        };
        assert_eq!(parts("room1"), ("", None));
        assert_eq!(parts("chat:room:1"), ("chat", None));
        assert_eq!(parts(":room"), ("", None));
        assert_eq!(parts("#bob"), ("", Some("bob")));
    }

    #[test]
    fn epochs_and_clients_are_read_as_they_are_written() {
        for number in [0, 1, 0xdead_beef, u32::MAX] {
            let epoch = Epoch::new(number);
            assert_eq!(Epoch::parse(&epoch.to_string()), Some(epoch));
            let client = ClientId(u128::from(number) << 64 | 7);
            assert_eq!(ClientId::parse(&client.to_string()), Some(client));
        }
        for foreign in ["", "abcd", "0000000g", "+0000001", "000000001"] {
            assert_eq!(Epoch::parse(foreign), None, "{foreign:?}");
            assert_eq!(ClientId::parse(foreign), None, "{foreign:?}");
        }
    }

    #[test]
    fn a_log_name_stays_on_its_line() {
        let forged = ClientInfo {
            user: "eve\nERROR all is lost".into(),
            client: ClientId(1),
            conn_info: None,
            chan_info: None,
        };
        assert!(!forged.log_name().contains('\n'));
    }
}
