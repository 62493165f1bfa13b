//! Centrifuge's JSON protocol: commands out, replies and pushes in, a line each.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Entry, Heard, Position, Unintelligible, append, append_text, plain_text};

/// Connect and subscribe at once: the server takes commands in order, and a ramp has one round trip less.
pub(super) fn append_entry(out: &mut Vec<u8>, entry: &Entry<'_>) {
    append(out, &["{\"id\":1,\"connect\":{"]);
    if let Some(token) = entry.token {
        append(out, &["\"token\":"]);
        append_text(out, token);
        append(out, &[","]);
    }
    append(
        out,
        &["\"name\":\"loadgen\"}}\n{\"id\":2,\"subscribe\":{\"channel\":"],
    );
    append_text(out, entry.room);
    if let Some(since) = entry.since {
        let offset = since.offset.to_string();
        append(
            out,
            &[",\"recover\":true,\"offset\":", &offset, ",\"epoch\":"],
        );
        append_text(out, since.epoch);
    }
    append(out, &["}}"]);
    if entry.presence {
        append(out, &["\n{\"id\":3,\"presence_stats\":{\"channel\":"]);
        append_text(out, entry.room);
        append(out, &["}}"]);
    }
}

pub(super) fn append_publish(out: &mut Vec<u8>, room: &str, text: &str, number: u32) {
    let id = FIRST_PUBLISH.wrapping_add(number).max(FIRST_PUBLISH);
    append(
        out,
        &["{\"id\":", &id.to_string(), ",\"publish\":{\"channel\":"],
    );
    append_text(out, room);
    append(out, &[",\"data\":\"", text, "\"}}"]);
}

pub(super) fn hear(text: &str, on: &mut dyn FnMut(Heard<'_>)) -> Result<(), Unintelligible> {
    for line in text.split('\n').filter(|line| !line.trim().is_empty()) {
        if line.trim() == "{}" {
            on(Heard::Ping("{}"));
            continue;
        }
        let line: Line<'_> = serde_json::from_str(line).map_err(|_| Unintelligible)?;
        match line {
            Line {
                push: Some(push), ..
            } => {
                if let Some(publication) = push.publication {
                    on(publication.heard());
                }
            }
            Line {
                error: Some(error), ..
            } if line.id >= PRESENCE => on(Heard::Refused(error.code)),
            Line {
                error: Some(error), ..
            } => on(Heard::Denied(error.code)),
            Line {
                subscribe: Some(result),
                ..
            } => {
                let position = result.epoch.map(|epoch| Position {
                    offset: result.offset,
                    epoch,
                });
                let recovered = result.recovered;
                on(Heard::Joined {
                    position,
                    recovered,
                });
                for publication in result.publications {
                    on(publication.heard());
                }
            }
            Line {
                presence_stats: Some(stats),
                ..
            } => on(Heard::Present(stats.num_clients)),
            _ => {}
        }
    }
    Ok(())
}

#[derive(Deserialize)]
struct Line<'a> {
    #[serde(default)]
    id: u32,
    error: Option<Error>,
    #[serde(borrow)]
    subscribe: Option<Subscribed<'a>>,
    presence_stats: Option<Stats>,
    #[serde(borrow)]
    push: Option<Push<'a>>,
}

#[derive(Deserialize)]
struct Error {
    code: u16,
}

#[derive(Deserialize)]
struct Stats {
    #[serde(default)]
    num_clients: u64,
}

#[derive(Deserialize)]
struct Subscribed<'a> {
    epoch: Option<&'a str>,
    #[serde(default)]
    offset: u64,
    #[serde(default)]
    recovered: bool,
    #[serde(borrow, default)]
    publications: Vec<Publication<'a>>,
}

#[derive(Deserialize)]
struct Push<'a> {
    #[serde(rename = "pub", borrow)]
    publication: Option<Publication<'a>>,
}

#[derive(Deserialize)]
struct Publication<'a> {
    #[serde(borrow, rename = "data")]
    payload: &'a RawValue,
    #[serde(default)]
    offset: u64,
}

impl<'a> Publication<'a> {
    fn heard(self) -> Heard<'a> {
        match plain_text(self.payload) {
            Some(text) => Heard::Publication {
                text,
                offset: self.offset,
            },
            None => Heard::Foreign,
        }
    }
}

/// Replies to what comes before are about getting in; from here on they are about messages.
const PRESENCE: u32 = 3;
const FIRST_PUBLISH: u32 = 4;
