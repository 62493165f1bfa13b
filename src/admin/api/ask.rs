//! The parameters of each command as they come in, and the request they make.
//!
//! Members that are absent and members that are `null` are the same: SDKs differ in which they send.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::super::Glob;
use super::super::backend::{Publish, Request, Subscribe, Whom};
use super::{ApiError, Method};
use crate::hub::{ChannelName, ClientId, Epoch, Payload, PayloadKind, Position};

/// Publications in one answer to `history`; the rest is asked for with `since`.
const HISTORY_COUNT_MAX: usize = 10_000;
/// Channels in one answer. Beyond it: a narrower pattern.
const CHANNELS_COUNT_MAX: usize = 100_000;
/// Connections in one answer.
const CONNECTIONS_COUNT_MAX: usize = 10_000;

/// Reads the parameters of a command, or those among them that `T` knows. What nobody knows is left
/// alone: SDKs send what their newest version knows.
pub(super) fn read<'p, T: Deserialize<'p>>(params: &'p RawValue) -> Result<T, ApiError> {
    serde_json::from_str(params.get()).map_err(|error| ApiError::malformed(&error))
}

/// The request that a command is, for those that are exactly one; `None` for the others.
pub(super) fn request(method: Method, params: &RawValue) -> Result<Option<Request>, ApiError> {
    Ok(Some(match method {
        Method::Subscribe => subscribe(params)?,
        Method::Unsubscribe => Request::Unsubscribe {
            whom: whom(params)?,
            channel: in_channel(params)?,
        },
        Method::Disconnect => disconnect(params)?,
        Method::Refresh => refresh(params)?,
        Method::Presence => Request::Presence(channel(params)?),
        Method::PresenceStats => Request::PresenceStats(channel(params)?),
        Method::HistoryRemove => Request::HistoryRemove(channel(params)?),
        Method::Channels => channels(params)?,
        Method::Connections => connections(params)?,
        Method::Info => Request::Totals,
        Method::Publish | Method::Broadcast | Method::History | Method::Batch => return Ok(None),
    }))
}

/// What `publish` and `broadcast` have in common.
#[derive(Deserialize)]
struct Message {
    #[serde(rename = "data")]
    json: Option<Box<RawValue>>,
    b64data: Option<String>,
    skip_history: Option<bool>,
    tags: Option<BTreeMap<Box<str>, Box<str>>>,
    idempotency_key: Option<Box<str>>,
    /// Ours: among publications with the same key only the last counts.
    key: Option<Box<str>>,
    version: Option<u64>,
}

/// A publication, and the key that makes it happen once.
type Once = (Publish, Option<Box<str>>);

/// What a `publish` publishes.
pub(super) fn publication(params: &RawValue) -> Result<Once, ApiError> {
    read::<Message>(params)?.publication(channel(params)?)
}

/// Where a `broadcast` goes, and what it publishes, without a channel.
pub(super) fn broadcast(params: &RawValue) -> Result<(Vec<String>, Once), ApiError> {
    #[derive(Deserialize)]
    struct Broadcast {
        channels: Option<Vec<String>>,
    }
    let channels = read::<Broadcast>(params)?.channels.unwrap_or_default();
    if channels.is_empty() {
        return Err(ApiError::bad("channels are missing"));
    }
    Ok((channels, read::<Message>(params)?.publication("".into())?))
}

impl Message {
    fn publication(self, channel: Box<str>) -> Result<Once, ApiError> {
        if self.version.is_some_and(|version| version != 0) {
            return Err(ApiError::unavailable("versions of publications"));
        }
        let once = self.idempotency_key.filter(|key| !key.is_empty());
        if once.as_ref().is_some_and(|key| key.len() > KEY_BYTES_MAX) {
            return Err(ApiError::bad("idempotency_key has 256 bytes at most"));
        }
        let publish = Publish {
            channel,
            payload: payload(self.json, self.b64data.as_deref())?,
            skip_history: self.skip_history.unwrap_or(false),
            tags: self.tags.unwrap_or_default().into_iter().collect(),
            key: self.key,
        };
        Ok((publish, once))
    }
}

/// `b64data` wins over `data`, and is whatever it turns out to be.
fn payload(json: Option<Box<RawValue>>, b64data: Option<&str>) -> Result<Payload, ApiError> {
    if let Some(encoded) = b64data.filter(|text| !text.is_empty()) {
        let bytes = STANDARD.decode(encoded);
        let bytes = bytes.map_err(|_| ApiError::bad("b64data is not base64"))?;
        let kind = match std::str::from_utf8(&bytes) {
            Ok(text) if serde_json::from_str::<&RawValue>(text).is_ok() => PayloadKind::Json,
            Ok(_) => PayloadKind::Text,
            Err(_) => PayloadKind::Binary,
        };
        return Ok(Payload {
            kind,
            bytes: bytes.into(),
        });
    }
    let json = json.ok_or_else(|| ApiError::bad("data is missing"))?;
    Ok(Payload {
        kind: PayloadKind::Json,
        bytes: Box::<str>::from(json).into_boxed_bytes(),
    })
}

/// One JSON value, as it is or as base64, which wins.
fn json_value(
    json: Option<Box<RawValue>>,
    encoded: Option<String>,
    name: &str,
) -> Result<Option<Box<str>>, ApiError> {
    let Some(encoded) = encoded.filter(|text| !text.is_empty()) else {
        return Ok(json.map(Box::from));
    };
    let bytes = STANDARD.decode(encoded).unwrap_or_default();
    let text = String::from_utf8(bytes).unwrap_or_default();
    match serde_json::from_str::<&RawValue>(&text) {
        Ok(_) => Ok(Some(text.into())),
        Err(_) => Err(ApiError::bad(&format!("{name} is not JSON in base64"))),
    }
}

/// The connections that a command is about.
fn whom(params: &RawValue) -> Result<Whom, ApiError> {
    #[derive(Deserialize)]
    struct Target {
        user: Option<Box<str>>,
        client: Option<String>,
        session: Option<String>,
    }
    let target: Target = read(params)?;
    if target.session.is_some_and(|session| !session.is_empty()) {
        return Err(ApiError::unavailable("session; name the client"));
    }
    let client = target.client.filter(|client| !client.is_empty());
    if target.user.is_none() && client.is_none() {
        // An empty user is everybody without a name. That has to be meant.
        return Err(ApiError::bad("user is missing"));
    }
    Ok(Whom {
        user: target.user.unwrap_or_default(),
        client: client.map(|client| client_id(&client)),
    })
}

fn subscribe(params: &RawValue) -> Result<Request, ApiError> {
    #[derive(Deserialize)]
    struct Options {
        #[serde(rename = "info")]
        chan_info: Option<Box<RawValue>>,
        b64info: Option<String>,
        #[serde(rename = "data")]
        greeting: Option<Box<RawValue>>,
        b64data: Option<String>,
        expire_at: Option<u64>,
        recover_since: Option<Place>,
        r#override: Option<Box<RawValue>>,
    }
    let options: Options = read(params)?;
    if options.r#override.is_some() {
        let what = "override; the namespace's options hold";
        return Err(ApiError::unavailable(what));
    }
    let recover_since = options.recover_since.as_ref().map(Place::position);
    Ok(Request::Subscribe(Subscribe {
        whom: whom(params)?,
        channel: channel(params)?,
        chan_info: json_value(options.chan_info, options.b64info, "b64info")?,
        greeting: json_value(options.greeting, options.b64data, "b64data")?,
        expire_at_s: options.expire_at.filter(|at_s| *at_s != 0),
        recover_since: recover_since.transpose()?,
    }))
}

fn disconnect(params: &RawValue) -> Result<Request, ApiError> {
    #[derive(Deserialize)]
    struct Options {
        whitelist: Option<Vec<String>>,
        disconnect: Option<Farewell>,
    }
    #[derive(Deserialize)]
    struct Farewell {
        code: Option<u16>,
        reason: Option<Box<str>>,
    }
    let options: Options = read(params)?;
    let except = options.whitelist.unwrap_or_default();
    let farewell = options.disconnect.map(|f| (f.code.unwrap_or(0), f.reason));
    let farewell = match farewell {
        None | Some((0, _)) => None,
        Some((code @ 3000..=4999, reason)) => {
            let reason = reason.unwrap_or_default();
            if reason.len() > REASON_BYTES_MAX {
                return Err(ApiError::bad("a reason has 123 bytes at most"));
            }
            Some((code, reason))
        }
        Some(_) => return Err(ApiError::bad("a close code is one from 3000 to 4999")),
    };
    Ok(Request::Disconnect {
        whom: whom(params)?,
        except: except.iter().map(|client| client_id(client)).collect(),
        farewell,
    })
}

fn refresh(params: &RawValue) -> Result<Request, ApiError> {
    #[derive(Deserialize)]
    struct Options {
        expired: Option<bool>,
        expire_at: Option<u64>,
        #[serde(rename = "info")]
        conn_info: Option<Box<RawValue>>,
    }
    let options: Options = read(params)?;
    if options.conn_info.is_some() {
        return Err(ApiError::unavailable("info; it comes with the token"));
    }
    Ok(Request::Refresh {
        whom: whom(params)?,
        expired: options.expired.unwrap_or(false),
        expire_at_s: options.expire_at.filter(|at_s| *at_s != 0),
    })
}

fn channels(params: &RawValue) -> Result<Request, ApiError> {
    #[derive(Deserialize)]
    struct Options {
        pattern: Option<String>,
    }
    let pattern = read::<Options>(params)?.pattern;
    let pattern = pattern.filter(|pattern| !pattern.is_empty());
    let pattern = pattern.map(|pattern| Glob::new(&pattern)).transpose();
    let why = "a pattern has * and ? only, and \\ in front of what is meant literally";
    Ok(Request::Channels {
        pattern: pattern.map_err(|_| ApiError::bad(why))?,
        count_max: CHANNELS_COUNT_MAX,
    })
}

fn connections(params: &RawValue) -> Result<Request, ApiError> {
    #[derive(Deserialize)]
    struct Options {
        user: Option<Box<str>>,
        expression: Option<String>,
    }
    let options: Options = read(params)?;
    if options.expression.is_some_and(|text| !text.is_empty()) {
        return Err(ApiError::unavailable("expression; name the user"));
    }
    Ok(Request::Connections {
        user: options.user.filter(|user| !user.is_empty()),
        count_max: CONNECTIONS_COUNT_MAX,
    })
}

/// A page of history.
pub(super) struct History {
    pub(super) channel: Box<str>,
    pub(super) limit: usize,
    pub(super) since: Option<Since>,
    pub(super) reverse: bool,
}

/// Where a page of history begins.
#[derive(Clone, Copy)]
pub(super) enum Since {
    /// Behind this offset, whatever the epoch.
    Anytime(u64),
    /// Behind this position.
    Position(Position),
}

/// A position as it comes in.
#[derive(Deserialize)]
struct Place {
    offset: Option<u64>,
    epoch: Option<String>,
}

pub(super) fn history(params: &RawValue) -> Result<History, ApiError> {
    #[derive(Deserialize)]
    struct Options {
        limit: Option<i64>,
        since: Option<Place>,
        reverse: Option<bool>,
    }
    let options: Options = read(params)?;
    // 0 unless asked for, as elsewhere: then the position is all there is to tell. -1 is "all".
    let limit = usize::try_from(options.limit.unwrap_or(0));
    let since = options.since.map(|place| match place.epoch.as_deref() {
        None | Some("") => Ok(Since::Anytime(place.offset.unwrap_or(0))),
        Some(_) => place.position().map(Since::Position),
    });
    Ok(History {
        channel: channel(params)?,
        limit: limit.map_or(HISTORY_COUNT_MAX, |limit| limit.min(HISTORY_COUNT_MAX)),
        since: since.transpose()?,
        reverse: options.reverse.unwrap_or(false),
    })
}

impl Place {
    fn position(&self) -> Result<Position, ApiError> {
        let epoch = Epoch::parse(self.epoch.as_deref().unwrap_or_default());
        Ok(Position {
            offset: self.offset.unwrap_or(0),
            epoch: epoch.ok_or(ApiError::BAD_POSITION)?,
        })
    }
}

/// Several commands.
#[derive(Deserialize)]
pub(super) struct Batch<'b> {
    /// Each has one member, which is called like its method.
    #[serde(borrow)]
    pub(super) commands: Vec<BTreeMap<String, &'b RawValue>>,
}

fn channel(params: &RawValue) -> Result<Box<str>, ApiError> {
    in_channel(params)?.ok_or_else(|| ApiError::bad("channel is missing"))
}

fn in_channel(params: &RawValue) -> Result<Option<Box<str>>, ApiError> {
    #[derive(Deserialize)]
    struct Options {
        channel: Option<String>,
    }
    let name = read::<Options>(params)?.channel;
    let name = name.filter(|name| !name.is_empty());
    name.map(|name| channel_name(&name)).transpose()
}

/// The name of a channel, if it is one.
pub(super) fn channel_name(name: &str) -> Result<Box<str>, ApiError> {
    let name = ChannelName::new(name).map_err(|why| ApiError::bad(&why.to_string()))?;
    Ok(name.as_str().into())
}

/// The client of that name. One that cannot be ours is nobody, like one that has left.
fn client_id(text: &str) -> ClientId {
    ClientId::parse(text).unwrap_or(NOBODY)
}

/// No connection has it: ids are drawn at random from 2^128.
const NOBODY: ClientId = ClientId(0);
/// What fits into a Close frame behind its code.
const REASON_BYTES_MAX: usize = 123;
/// An idempotency key; keys are remembered for minutes.
const KEY_BYTES_MAX: usize = 256;
