//! Results as they go out.
//!
//! What is zero or absent is left out, as the originals of these shapes do.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use super::super::Vitals;
use super::super::backend::{Connected, Reply, Totals};
use super::{ApiError, Outcome};
use crate::hub::{ClientInfo, HistoryPage, PayloadKind, Publication};

/// `{"result":..}`
pub(super) fn done(result: &RawValue) -> Vec<u8> {
    line(&Response::Result(result))
}

/// `{"error":{"code":..,"message":..}}`
pub(super) fn failed(error: &ApiError) -> Vec<u8> {
    line(&Response::<()>::from(error))
}

/// The results of a broadcast, one per channel.
pub(super) fn responses(outcomes: impl Iterator<Item = Outcome>) -> Box<RawValue> {
    #[derive(Serialize)]
    struct Responses {
        responses: Vec<Box<RawValue>>,
    }
    let response = |outcome: Outcome| match outcome {
        Ok(result) => raw(&Response::Result(&result)),
        Err(error) => raw(&Response::<()>::from(&error)),
    };
    let responses = outcomes.map(response).collect();
    raw(&Responses { responses })
}

/// The results of a batch: each under the name of its method.
pub(super) fn replies(
    outcomes: impl Iterator<Item = Result<(&'static str, Box<RawValue>), ApiError>>,
) -> Box<RawValue> {
    #[derive(Serialize)]
    struct Replies {
        replies: Vec<Box<RawValue>>,
    }
    let reply = |outcome| match outcome {
        Ok((method, result)) => raw(&BTreeMap::from([(method, result)])),
        Err(error) => raw(&Response::<()>::from(&error)),
    };
    let replies = outcomes.map(reply).collect();
    raw(&Replies { replies })
}

/// What a backend replied. (Sums are told by [`node`].)
pub(super) fn result(reply: Reply) -> Box<RawValue> {
    match reply {
        Reply::Done | Reply::Totals(_) => raw(&Nothing {}),
        Reply::Published(position) => raw(&Published {
            offset: position.map_or(0, |position| position.offset),
            epoch: position.map(|position| position.epoch.to_string()),
        }),
        Reply::Presence(presence) => {
            let clients = presence.clients.iter();
            let entries = clients.map(|who| (who.client.to_string(), client(who)));
            raw(&Shape::Presence(entries.collect()))
        }
        Reply::PresenceStats(stats) => raw(&PresenceStats {
            num_clients: stats.clients,
            num_users: stats.users,
        }),
        Reply::History(page) => raw(&history(&page)),
        Reply::Channels(channels) => {
            let entry = |(name, num_clients)| (name, Channel { num_clients });
            raw(&Shape::Channels(channels.into_iter().map(entry).collect()))
        }
        Reply::Connections(connections) => {
            let entries = connections.iter();
            let entries = entries.map(|each| (each.client.to_string(), connection(each)));
            raw(&Shape::Connections(entries.collect()))
        }
    }
}

/// This server as the one node there is.
pub(super) fn node(uid: &str, vitals: &Vitals, totals: &Totals) -> Box<RawValue> {
    #[derive(Serialize)]
    struct Nodes<'n> {
        nodes: [Node<'n>; 1],
    }
    #[derive(Serialize)]
    struct Node<'n> {
        uid: &'n str,
        name: &'static str,
        version: &'static str,
        num_clients: u64,
        num_users: u64,
        num_channels: u64,
        num_subs: u64,
        uptime: u64,
        process: Process,
    }
    #[derive(Serialize)]
    struct Process {
        rss: u64,
    }
    raw(&Nodes {
        nodes: [Node {
            uid,
            name: "throng",
            version: env!("CARGO_PKG_VERSION"),
            num_clients: totals.clients,
            num_users: totals.users,
            num_channels: totals.channels,
            num_subs: totals.subscriptions,
            uptime: vitals.uptime_ms / 1_000,
            process: Process {
                rss: vitals.rss_bytes.unwrap_or(0),
            },
        }],
    })
}

#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum Response<'r, T> {
    Result(T),
    Error { code: u16, message: &'r str },
}

impl<'r, T> From<&'r ApiError> for Response<'r, T> {
    fn from(error: &'r ApiError) -> Self {
        Self::Error {
            code: error.code,
            message: &error.message,
        }
    }
}

#[derive(Serialize)]
struct Nothing {}

/// Objects with one member that is a map.
#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum Shape<'s> {
    Presence(BTreeMap<String, Client<'s>>),
    Channels(BTreeMap<Box<str>, Channel>),
    Connections(BTreeMap<String, Connection<'s>>),
}

#[derive(Serialize)]
struct Published {
    #[serde(skip_serializing_if = "is_zero")]
    offset: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    epoch: Option<String>,
}

#[derive(Serialize)]
struct PresenceStats {
    num_clients: usize,
    num_users: usize,
}

#[derive(Serialize)]
struct Channel {
    num_clients: u64,
}

#[derive(Serialize)]
struct Client<'c> {
    user: &'c str,
    client: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    conn_info: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    chan_info: Option<Box<RawValue>>,
}

fn client(who: &ClientInfo) -> Client<'_> {
    let json = |text: &Option<Box<str>>| text.as_deref().map(as_json);
    Client {
        user: &who.user,
        client: who.client.to_string(),
        conn_info: json(&who.conn_info),
        chan_info: json(&who.chan_info),
    }
}

#[derive(Serialize)]
struct History<'h> {
    publications: Vec<Told<'h>>,
    offset: u64,
    epoch: String,
}

/// A publication. Text that is no JSON becomes a string; bytes, which have no place in JSON, stand
/// beside it in base64, as they may have come in.
#[derive(Serialize)]
struct Told<'h> {
    #[serde(rename = "data")]
    json: Box<RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    b64data: Option<String>,
    #[serde(rename = "info", skip_serializing_if = "Option::is_none")]
    publisher: Option<Client<'h>>,
    #[serde(skip_serializing_if = "is_zero")]
    offset: u64,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    tags: BTreeMap<&'h str, &'h str>,
}

fn history(page: &HistoryPage) -> History<'_> {
    let publications = page.publications.iter();
    History {
        publications: publications.map(|each| publication(each)).collect(),
        offset: page.position.offset,
        epoch: page.position.epoch.to_string(),
    }
}

fn publication(publication: &Publication) -> Told<'_> {
    let payload = &publication.payload;
    let (json, b64data) = match (payload.kind, payload.text()) {
        (PayloadKind::Json, Some(text)) => (as_json(text), None),
        (_, Some(text)) => (raw(&text), None),
        (_, None) => (raw(&()), Some(STANDARD.encode(&payload.bytes))),
    };
    let tags = publication.tags.iter();
    Told {
        json,
        b64data,
        publisher: publication.publisher.as_deref().map(client),
        offset: publication.offset,
        tags: tags.map(|(name, value)| (&**name, &**value)).collect(),
    }
}

/// In the shape of Centrifugo PRO's `connections`, and how many bytes wait for it.
#[derive(Serialize)]
struct Connection<'c> {
    transport: &'static str,
    protocol: &'static str,
    user: &'c str,
    state: State<'c>,
    queued_bytes: u64,
}

#[derive(Serialize)]
struct State<'c> {
    channels: BTreeMap<&'c str, Nothing>,
}

fn connection(each: &Connected) -> Connection<'_> {
    let channels = each.channels.iter();
    Connection {
        transport: each.transport,
        protocol: each.protocol,
        user: &each.user,
        state: State {
            channels: channels.map(|name| (&**name, Nothing {})).collect(),
        },
        queued_bytes: each.queued_bytes,
    }
}

/// What is said to be JSON; a string, should it not be.
fn as_json(text: &str) -> Box<RawValue> {
    RawValue::from_string(text.to_owned()).unwrap_or_else(|_| raw(&text))
}

fn raw(value: &impl Serialize) -> Box<RawValue> {
    to_raw_value(value).expect("strings, numbers and maps with string keys have a place in JSON")
}

fn line(value: &impl Serialize) -> Vec<u8> {
    let mut line = serde_json::to_vec(value)
        .expect("strings, numbers and maps with string keys have a place in JSON");
    line.push(b'\n');
    line
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}
