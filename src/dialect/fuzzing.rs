//! The properties that the fuzz targets check, and that their seeds check in `cargo test`.

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::Value;

use super::centrifuge::{self, Command, Commands, Malformed, Push, Request};
use super::{chat, raw};
use crate::hub::{ChannelName, Event, Payload, PayloadKind, Publication};

/// A frame of the Centrifuge dialect, whatever it holds: never more commands than allowed, the same
/// ones when its lines come one per frame, and every payload in it fits on a line of a push.
pub fn centrifuge_commands(bytes: &[u8]) {
    let frame = String::from_utf8_lossy(bytes);
    const COMMANDS_MAX: usize = 16;
    let whole: Vec<_> = Commands::new(&frame, COMMANDS_MAX).collect();
    assert!(whole.len() <= COMMANDS_MAX + 1);
    let errors = whole.iter().filter(|command| command.is_err()).count();
    assert!(errors <= 1 && (errors == 0 || whole.last().is_some_and(Result::is_err)));
    assert_eq!(whole, line_by_line(&frame, COMMANDS_MAX));
    for command in whole.into_iter().flatten() {
        round(command);
    }
}

fn line_by_line(frame: &str, commands_max: usize) -> Vec<Result<Command<'_>, Malformed>> {
    let mut commands = Vec::new();
    for line in frame.split('\n') {
        for command in Commands::new(line, 1) {
            let is_over = commands.len() == commands_max;
            let command = if is_over {
                Err(Malformed::TooMany)
            } else {
                command
            };
            let is_end = command.is_err();
            commands.push(command);
            if is_end {
                return commands;
            }
        }
    }
    commands
}

fn round(command: Command<'_>) {
    assert_eq!(
        command.id == 0,
        matches!(command.request, Request::Pong | Request::Send { .. })
    );
    let payload = match &command.request {
        Request::Publish(publish) => publish.payload,
        Request::Rpc { payload, .. } | Request::Send { payload } => payload,
        _ => return,
    };
    let publication = publication(json(payload));
    let mut out = Vec::new();
    centrifuge::append_push(&mut out, "a\nb", &Push::Publication(&publication));
    assert!(!out.contains(&b'\n'), "a push is one line");
    // What is nested deeper than a parser likes is passed on nevertheless: it was checked flat.
    if let (Ok(sent), Ok(push)) = (
        serde_json::from_str::<Value>(payload),
        serde_json::from_slice::<Value>(&out),
    ) {
        assert_eq!(push["push"]["pub"]["data"], sent);
    }
}

/// A frame of the chat dialect: what is understood comes out as it was meant, in both dialects.
pub fn chat_request(bytes: &[u8]) {
    let frame = String::from_utf8_lossy(bytes);
    let Ok(request) = chat::Request::parse(&frame) else {
        return;
    };
    let chat::Request::Message(message) = request else {
        return;
    };
    let mut payload = Vec::new();
    message.append_payload(&mut payload, "eve\"", "f", 7);
    let payload = String::from_utf8(payload).expect("it is made of strings");
    let publication = publication(json(&payload));
    let mut out = Vec::new();
    let channel = ChannelName::new("room").expect("it is one");
    chat::append_event(
        &mut out,
        channel,
        &Event::Publication(Arc::new(publication)),
    );
    let event: Value = serde_json::from_slice(&out).expect("it is JSON");
    assert_eq!(event["text"], *message.text);
    assert_eq!(event["from"], "eve\"");
    let id = message.id.map_or("\"f\"", chat::Mark::json);
    assert_eq!(
        event["id"],
        serde_json::from_str::<Value>(id).expect("it is JSON")
    );
}

/// A path of the raw dialect: escaping what it names names it again.
pub fn raw_path(bytes: &[u8]) {
    let path = String::from_utf8_lossy(bytes);
    let Some(name) = raw::channel_of(&path) else {
        return;
    };
    let escaped: String = name.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let path = format!("{}{escaped}", raw::PATH_PREFIX);
    assert_eq!(raw::channel_of(&path), Some(Cow::Borrowed(&*name)));
}

fn json(text: &str) -> Payload {
    Payload {
        kind: PayloadKind::Json,
        bytes: text.as_bytes().into(),
    }
}

fn publication(payload: Payload) -> Publication {
    Publication {
        offset: 3,
        unix_ms: 5,
        payload,
        publisher: None,
        key: None,
        tags: Box::default(),
    }
}
