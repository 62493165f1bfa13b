//! What a client asks for: the commands of a frame, as values that borrow it.

use std::borrow::Cow;
use std::fmt;
use std::str::Split;

use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::hub::{Epoch, HistoryQuery, Position};

/// Channels a connect command may want recovered.
pub const SUBS_MAX: usize = 512;

/// One command.
#[derive(Clone, PartialEq, Debug)]
pub struct Command<'f> {
    /// What its reply has to carry; 0 if there is none to be.
    pub id: u32,
    /// What is asked for.
    pub request: Request<'f>,
}

/// What is asked for.
#[derive(Clone, PartialEq, Debug)]
pub enum Request<'f> {
    /// The answer to our ping.
    Pong,
    /// The first command.
    Connect(Connect<'f>),
    /// Into a channel.
    Subscribe(Subscribe<'f>),
    /// Out of it.
    Unsubscribe {
        /// The channel.
        channel: Cow<'f, str>,
    },
    /// Something for everybody in a channel.
    Publish(Publish<'f>),
    /// Who is in a channel?
    Presence {
        /// The channel.
        channel: Cow<'f, str>,
    },
    /// How many are in a channel?
    PresenceStats {
        /// The channel.
        channel: Cow<'f, str>,
    },
    /// What was said in a channel?
    History {
        /// The channel.
        channel: Cow<'f, str>,
        /// Which part of it.
        query: HistoryQuery,
    },
    /// Are you there?
    Ping,
    /// Something for the server's own application, which wants no reply.
    Send {
        /// JSON.
        payload: &'f str,
    },
    /// Something for the server's own application.
    Rpc {
        /// What.
        method: Cow<'f, str>,
        /// JSON.
        payload: &'f str,
    },
    /// A new token for the connection.
    Refresh {
        /// The token.
        token: Cow<'f, str>,
    },
    /// A new token for a subscription.
    SubRefresh(SubRefresh<'f>),
    /// None of these.
    Unknown,
}

/// The first command.
#[derive(Clone, PartialEq, Debug)]
pub struct Connect<'f> {
    /// The token; empty if there is none.
    pub token: Cow<'f, str>,
    /// JSON for the application.
    pub payload: Option<&'f str>,
    /// What kind of client it calls itself.
    pub name: Cow<'f, str>,
    /// And which version of its application.
    pub version: Cow<'f, str>,
    /// Where it was in the channels that the server had subscribed it to.
    pub subs: Vec<(Cow<'f, str>, Option<Position>)>,
}

/// Into a channel.
#[derive(Clone, PartialEq, Debug)]
pub struct Subscribe<'f> {
    /// The channel.
    pub channel: Cow<'f, str>,
    /// A token for it; empty if there is none.
    pub token: Cow<'f, str>,
    /// JSON for the application.
    pub payload: Option<&'f str>,
    /// Where it was, if it wants to have what it missed.
    pub recover: Option<Position>,
    /// It would rather be refused (112) than be told that it could not be recovered.
    pub rejects_unrecovered: bool,
    /// It would like its position watched.
    pub positioned: bool,
    /// It would like to be able to recover.
    pub recoverable: bool,
    /// It would like to hear who comes and goes.
    pub join_leave: bool,
}

/// Something for everybody in a channel.
#[derive(Clone, PartialEq, Debug)]
pub struct Publish<'f> {
    /// The channel.
    pub channel: Cow<'f, str>,
    /// One JSON value, checked.
    pub payload: &'f str,
    /// Which of several values of the channel this is; empty if it has no such key.
    pub key: Cow<'f, str>,
}

/// A new token for a subscription.
#[derive(Clone, PartialEq, Debug)]
pub struct SubRefresh<'f> {
    /// The channel.
    pub channel: Cow<'f, str>,
    /// The token.
    pub token: Cow<'f, str>,
}

/// It did not speak this dialect.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Malformed {
    /// A line that is no JSON of a command's shape.
    Shape,
    /// A request without a number.
    NoId,
    /// More commands in a frame than there may be.
    TooMany,
}

/// The commands of a frame, in order. After an error there are no more.
#[derive(Clone, Debug)]
pub struct Commands<'f> {
    lines: Option<Split<'f, char>>,
    left: usize,
}

impl<'f> Commands<'f> {
    /// Reads a text frame that may hold so many commands.
    pub fn new(frame: &'f str, commands_max: usize) -> Self {
        Self {
            lines: Some(frame.split('\n')),
            left: commands_max,
        }
    }
}

impl<'f> Iterator for Commands<'f> {
    type Item = Result<Command<'f>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        let line = self.lines.as_mut()?.find(|line| !line.trim().is_empty())?;
        let command = match self.left.checked_sub(1) {
            Some(left) => {
                self.left = left;
                Command::parse(line)
            }
            None => Err(Malformed::TooMany),
        };
        if command.is_err() {
            self.lines = None;
        }
        Some(command)
    }
}

impl<'f> Command<'f> {
    /// Reads one line.
    pub fn parse(line: &'f str) -> Result<Self, Malformed> {
        let wire: Wire<'f> = serde_json::from_str(line).map_err(|_| Malformed::Shape)?;
        let id = wire.id;
        let request = wire.request();
        match &request {
            Request::Unknown if id == 0 => Ok(Self {
                id,
                request: Request::Pong,
            }),
            Request::Send { .. } => Ok(Self { id: 0, request }),
            _ if id == 0 => Err(Malformed::NoId),
            _ => Ok(Self { id, request }),
        }
    }
}

/// A command as it is on the wire: of the requests one is there.
#[derive(Deserialize)]
struct Wire<'f> {
    #[serde(default)]
    id: u32,
    #[serde(borrow)]
    connect: Option<ConnectWire<'f>>,
    #[serde(borrow)]
    subscribe: Option<SubscribeWire<'f>>,
    #[serde(borrow)]
    unsubscribe: Option<ChannelWire<'f>>,
    #[serde(borrow)]
    publish: Option<PublishWire<'f>>,
    #[serde(borrow)]
    presence: Option<ChannelWire<'f>>,
    #[serde(borrow)]
    presence_stats: Option<ChannelWire<'f>>,
    #[serde(borrow)]
    history: Option<HistoryWire<'f>>,
    ping: Option<Nothing>,
    #[serde(borrow)]
    send: Option<SendWire<'f>>,
    #[serde(borrow)]
    rpc: Option<RpcWire<'f>>,
    #[serde(borrow)]
    refresh: Option<RefreshWire<'f>>,
    #[serde(borrow)]
    sub_refresh: Option<SubRefreshWire<'f>>,
}

impl<'f> Wire<'f> {
    /// The first one that is there, as the protocol has it.
    fn request(self) -> Request<'f> {
        if let Some(connect) = self.connect {
            Request::Connect(connect.into())
        } else if let Some(subscribe) = self.subscribe {
            Request::Subscribe(subscribe.into())
        } else if let Some(ChannelWire { channel }) = self.unsubscribe {
            Request::Unsubscribe { channel }
        } else if let Some(publish) = self.publish {
            Request::Publish(Publish {
                channel: publish.channel,
                payload: json_or_null(publish.payload),
                key: publish.key,
            })
        } else if let Some(ChannelWire { channel }) = self.presence {
            Request::Presence { channel }
        } else if let Some(ChannelWire { channel }) = self.presence_stats {
            Request::PresenceStats { channel }
        } else if let Some(history) = self.history {
            Request::History {
                query: history.query(),
                channel: history.channel,
            }
        } else if self.ping.is_some() {
            Request::Ping
        } else if let Some(SendWire { payload }) = self.send {
            Request::Send {
                payload: json_or_null(payload),
            }
        } else if let Some(rpc) = self.rpc {
            Request::Rpc {
                method: rpc.method,
                payload: json_or_null(rpc.payload),
            }
        } else if let Some(RefreshWire { token }) = self.refresh {
            Request::Refresh { token }
        } else if let Some(SubRefreshWire { channel, token }) = self.sub_refresh {
            Request::SubRefresh(SubRefresh { channel, token })
        } else {
            Request::Unknown
        }
    }
}

#[derive(Deserialize)]
struct Nothing {}

#[derive(Deserialize)]
struct ChannelWire<'f> {
    #[serde(borrow)]
    channel: Cow<'f, str>,
}

#[derive(Deserialize)]
struct ConnectWire<'f> {
    #[serde(borrow, default)]
    token: Cow<'f, str>,
    #[serde(borrow, rename = "data")]
    payload: Option<&'f RawValue>,
    #[serde(borrow, default)]
    name: Cow<'f, str>,
    #[serde(borrow, default)]
    version: Cow<'f, str>,
    #[serde(borrow, default)]
    subs: Subs<'f>,
}

impl<'f> From<ConnectWire<'f>> for Connect<'f> {
    fn from(wire: ConnectWire<'f>) -> Self {
        Self {
            token: wire.token,
            payload: wire.payload.map(RawValue::get),
            name: wire.name,
            version: wire.version,
            subs: wire.subs.0,
        }
    }
}

#[derive(Deserialize)]
struct SubscribeWire<'f> {
    #[serde(borrow)]
    channel: Cow<'f, str>,
    #[serde(borrow, default)]
    token: Cow<'f, str>,
    #[serde(borrow, rename = "data")]
    payload: Option<&'f RawValue>,
    #[serde(default)]
    recover: bool,
    #[serde(borrow, default)]
    epoch: Cow<'f, str>,
    #[serde(default)]
    offset: u64,
    #[serde(default)]
    flag: i64,
    #[serde(default)]
    positioned: bool,
    #[serde(default)]
    recoverable: bool,
    #[serde(default)]
    join_leave: bool,
}

impl<'f> From<SubscribeWire<'f>> for Subscribe<'f> {
    fn from(wire: SubscribeWire<'f>) -> Self {
        Self {
            recover: wire.recover.then(|| position(wire.offset, &wire.epoch)),
            channel: wire.channel,
            token: wire.token,
            payload: wire.payload.map(RawValue::get),
            rejects_unrecovered: wire.flag & FLAG_REJECT_UNRECOVERED != 0,
            positioned: wire.positioned,
            recoverable: wire.recoverable,
            join_leave: wire.join_leave,
        }
    }
}

/// A bit of a subscription's `flag`. (Bit 1 offers numbers instead of names of channels; ours are
/// encoded once for everybody, and a number would be one subscriber's own.)
const FLAG_REJECT_UNRECOVERED: i64 = 2;

#[derive(Deserialize)]
struct PublishWire<'f> {
    #[serde(borrow)]
    channel: Cow<'f, str>,
    #[serde(borrow, rename = "data")]
    payload: Option<&'f RawValue>,
    #[serde(borrow, default)]
    key: Cow<'f, str>,
}

#[derive(Deserialize)]
struct HistoryWire<'f> {
    #[serde(borrow)]
    channel: Cow<'f, str>,
    #[serde(default)]
    limit: i64,
    #[serde(borrow)]
    since: Option<SinceWire<'f>>,
    #[serde(default)]
    reverse: bool,
}

impl HistoryWire<'_> {
    /// No limit asks for the position only, and a negative one for all there is.
    fn query(&self) -> HistoryQuery {
        let since = self.since.as_ref();
        HistoryQuery {
            limit: usize::try_from(self.limit).ok(),
            since: since.map(|since| position(since.offset, &since.epoch)),
            reverse: self.reverse,
        }
    }
}

#[derive(Deserialize)]
struct SinceWire<'f> {
    #[serde(default)]
    offset: u64,
    #[serde(borrow, default)]
    epoch: Cow<'f, str>,
}

#[derive(Deserialize)]
struct SendWire<'f> {
    #[serde(borrow, rename = "data")]
    payload: Option<&'f RawValue>,
}

#[derive(Deserialize)]
struct RpcWire<'f> {
    #[serde(borrow, default)]
    method: Cow<'f, str>,
    #[serde(borrow, rename = "data")]
    payload: Option<&'f RawValue>,
}

#[derive(Deserialize)]
struct RefreshWire<'f> {
    #[serde(borrow, default)]
    token: Cow<'f, str>,
}

#[derive(Deserialize)]
struct SubRefreshWire<'f> {
    #[serde(borrow)]
    channel: Cow<'f, str>,
    #[serde(borrow, default)]
    token: Cow<'f, str>,
}

/// The map of `connect.subs`, at most [`SUBS_MAX`] of it.
#[derive(Default)]
struct Subs<'f>(Vec<(Cow<'f, str>, Option<Position>)>);

/// A name that borrows if it can; a bare `Cow` as the key of a map never does.
#[derive(Deserialize)]
struct Name<'f>(#[serde(borrow)] Cow<'f, str>);

#[derive(Deserialize)]
struct SubWire<'f> {
    #[serde(default)]
    recover: bool,
    #[serde(default)]
    offset: u64,
    #[serde(borrow, default)]
    epoch: Cow<'f, str>,
}

impl<'de: 'f, 'f> Deserialize<'de> for Subs<'f> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(SubsVisitor)
    }
}

struct SubsVisitor;

impl<'de> Visitor<'de> for SubsVisitor {
    type Value = Subs<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("channels and positions")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Subs<'de>, A::Error> {
        let mut subs = Vec::new();
        while let Some((Name(channel), sub)) = map.next_entry::<Name<'de>, SubWire<'de>>()? {
            if subs.len() == SUBS_MAX {
                return Err(A::Error::custom("too many channels"));
            }
            let recover = sub.recover.then(|| position(sub.offset, &sub.epoch));
            subs.push((channel, recover));
        }
        Ok(Subs(subs))
    }
}

/// An epoch that is none of ours is nobody's: it recovers nothing, and the client is told so.
fn position(offset: u64, epoch: &str) -> Position {
    Position {
        offset,
        epoch: Epoch::parse(epoch).unwrap_or_default(),
    }
}

/// `null` and nothing are the same to the parser, and publishing `null` is allowed.
fn json_or_null(json: Option<&RawValue>) -> &str {
    json.map_or("null", RawValue::get)
}
