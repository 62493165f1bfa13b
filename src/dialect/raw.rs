//! No protocol at all: on `/raw/<channel>` every message is a publication, and every publication a
//! message. For devices, and for trying things out.
//!
//! Nothing else can be said: not who comes and goes, and not that something was lost (policy
//! `drop-oldest`).
//!
//! How to serve a connection: [`channel_of`] its path, subscribe it; each of its messages becomes a
//! [`text_payload`] or [`binary_payload`] and is published; each event of the channel that is a
//! [`Frame`] goes out as it is, framed once for all.

use std::borrow::Cow;

use serde::de::IgnoredAny;

use crate::hub::{Event, Payload, PayloadKind};

/// Where this dialect is spoken.
pub const PATH_PREFIX: &str = "/raw/";

/// The channel that a path stands for, `%` escapes undone. Its shape is still to be checked.
pub fn channel_of(path: &str) -> Option<Cow<'_, str>> {
    let name = path.strip_prefix(PATH_PREFIX)?;
    if !name.contains('%') {
        return Some(name.into());
    }
    let mut bytes = Vec::with_capacity(name.len());
    let mut rest = name.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        rest = tail;
        if first != b'%' {
            bytes.push(first);
            continue;
        }
        let (digits, tail) = rest.split_first_chunk::<2>()?;
        let nibble = |digit: u8| char::from(digit).to_digit(16);
        bytes.push((nibble(digits[0])? << 4 | nibble(digits[1])?) as u8);
        rest = tail;
    }
    String::from_utf8(bytes).ok().map(Cow::Owned)
}

/// A text message as a payload. Whether it is JSON is looked at once, here, so that the other
/// dialects need not.
pub fn text_payload(text: &str) -> Payload {
    let is_json = serde_json::from_str::<IgnoredAny>(text).is_ok();
    Payload {
        kind: match is_json {
            true => PayloadKind::Json,
            false => PayloadKind::Text,
        },
        bytes: text.as_bytes().into(),
    }
}

/// A binary message as a payload.
pub fn binary_payload(bytes: &[u8]) -> Payload {
    Payload {
        kind: PayloadKind::Binary,
        bytes: bytes.into(),
    }
}

/// A message of ours.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Frame<'p> {
    /// A text message.
    Text(&'p str),
    /// A binary message.
    Binary(&'p [u8]),
}

/// What a subscriber hears of an event. Only publications: there is no room for the rest.
pub fn frame(event: &Event) -> Option<Frame<'_>> {
    let Event::Publication(publication) = event else {
        return None;
    };
    let payload = &publication.payload;
    Some(match payload.text() {
        Some(text) => Frame::Text(text),
        None => Frame::Binary(&payload.bytes),
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::hub::{Gap, Publication};

    #[test]
    fn a_path_names_a_channel() {
        let table = [
            ("/raw/a", Some("a")),
            ("/raw/chat:room/1", Some("chat:room/1")),
            ("/raw/r%C3%A4ume%3A1", Some("räume:1")),
            ("/raw/", Some("")),
            ("/raw", None),
            ("/rawer/a", None),
            ("/raw/%", None),
            ("/raw/a%4", None),
            ("/raw/%+1", None),
            ("/raw/%g0", None),
            ("/raw/%ff", None),
        ];
        for (path, expected) in table {
            assert_eq!(channel_of(path).as_deref(), expected, "{path}");
        }
    }

    #[test]
    fn what_goes_in_comes_out() {
        let table = [
            (
                text_payload("hello"),
                PayloadKind::Text,
                Frame::Text("hello"),
            ),
            (
                text_payload(" {\"a\": 1}\n"),
                PayloadKind::Json,
                Frame::Text(" {\"a\": 1}\n"),
            ),
            (text_payload("1 2"), PayloadKind::Text, Frame::Text("1 2")),
            (text_payload(""), PayloadKind::Text, Frame::Text("")),
            (
                binary_payload(b"{}"),
                PayloadKind::Binary,
                Frame::Binary(b"{}"),
            ),
        ];
        for (payload, kind, expected) in table {
            assert_eq!(payload.kind, kind);
            let event = Event::Publication(Arc::new(Publication {
                offset: 0,
                unix_ms: 0,
                payload,
                publisher: None,
                key: None,
                tags: Box::default(),
            }));
            assert_eq!(frame(&event), Some(expected));
        }
        assert_eq!(frame(&Event::Gap(Gap::default())), None);
    }
}
