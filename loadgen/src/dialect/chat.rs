//! The small chat protocol: one JSON object per message.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Entry, Heard, Position, Unintelligible, append, append_text, plain_text};

pub(super) fn append_entry(out: &mut Vec<u8>, entry: &Entry<'_>) {
    append(out, &["{\"type\":\"join\",\"room\":"]);
    append_text(out, entry.room);
    if let Some(since) = entry.since {
        let offset = since.offset.to_string();
        append(out, &[",\"since\":", &offset, ",\"epoch\":"]);
        append_text(out, since.epoch);
    }
    append(out, &["}"]);
}

pub(super) fn append_publish(out: &mut Vec<u8>, room: &str, text: &str, number: u32) {
    append(out, &["{\"type\":\"message\",\"room\":"]);
    append_text(out, room);
    let id = number.to_string();
    append(out, &[",\"id\":\"", &id, "\",\"text\":\"", text, "\"}"]);
}

pub(super) fn hear(text: &str, on: &mut dyn FnMut(Heard<'_>)) -> Result<(), Unintelligible> {
    let line: Line<'_> = serde_json::from_str(text).map_err(|_| Unintelligible)?;
    match line.kind {
        "joined" => {
            let position = line.epoch.map(|epoch| Position {
                offset: line.seq,
                epoch,
            });
            on(Heard::Joined {
                position,
                recovered: line.recovered,
            });
        }
        "message" => on(match line.text.and_then(plain_text) {
            Some(text) => Heard::Publication {
                text,
                offset: line.seq,
            },
            None => Heard::Foreign,
        }),
        // It has no codes, and the only thing that is refused before a message is said is the way in.
        "error" => on(Heard::Refused(0)),
        _ => {}
    }
    Ok(())
}

/// Strings that are borrowed hold no escapes; ours have none.
#[derive(Deserialize)]
struct Line<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    #[serde(borrow)]
    text: Option<&'a RawValue>,
    #[serde(default)]
    seq: u64,
    epoch: Option<&'a str>,
    #[serde(default)]
    recovered: bool,
}
