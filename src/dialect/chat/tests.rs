use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::hub::{ClientId, ClientInfo, Gap};

fn parse(frame: &str) -> Result<Request<'_>, Invalid> {
    Request::parse(frame)
}

fn payload(kind: PayloadKind, bytes: &[u8]) -> Payload {
    Payload {
        kind,
        bytes: bytes.into(),
    }
}

fn event(channel: &str, payload: Payload, publisher: Option<&str>) -> Value {
    let publisher = publisher.map(|user| {
        Arc::new(ClientInfo {
            user: user.into(),
            client: ClientId(1),
            conn_info: None,
            chan_info: None,
        })
    });
    let event = Event::Publication(Arc::new(Publication {
        offset: 42,
        unix_ms: 1_790_000_000_000,
        payload,
        publisher,
        key: None,
        tags: Box::default(),
    }));
    written(|out| append_event(out, ChannelName::new(channel).unwrap(), &event))
}

fn written(append: impl FnOnce(&mut Vec<u8>)) -> Value {
    let mut out = Vec::new();
    append(&mut out);
    serde_json::from_slice(&out).unwrap()
}

#[test]
fn requests_are_read() {
    let message = |target, id, timestamp| {
        Ok(Request::Message(Outgoing {
            target,
            text: "Hello!".into(),
            id,
            timestamp,
        }))
    };
    let bob = || Target::User("bob".into());
    let table = [
        (
            r#"{"type":"message","to":"bob","text":"Hello!","id":"m1","timestamp":1790000000000}"#,
            message(bob(), Some(Mark("\"m1\"")), Some(Mark("1790000000000"))),
        ),
        (
            r#"{"type":"message","to":"bob","text":"Hello!","id":7,"timestamp":"2026-11-21T00:00:00Z"}"#,
            message(
                bob(),
                Some(Mark("7")),
                Some(Mark("\"2026-11-21T00:00:00Z\"")),
            ),
        ),
        (
            "\n{ \"text\" : \"Hel\\u006co!\", \"to\":\"bob\", \"type\":\"message\", \"extra\":[] } ",
            message(bob(), None, None),
        ),
        (
            r#"{"type":"message","room":"r","text":"Hello!"}"#,
            message(Target::Room("r".into()), None, None),
        ),
        (
            r#"{"type":"join","room":"r"}"#,
            Ok(Request::Join {
                room: "r".into(),
                since: None,
            }),
        ),
        (
            r#"{"type":"join","room":"r","since":41,"epoch":"0000000a"}"#,
            Ok(Request::Join {
                room: "r".into(),
                since: Some(Since {
                    offset: 41,
                    epoch: Some(Epoch::new(10)),
                }),
            }),
        ),
        (
            r#"{"type":"join","room":"r","since":41}"#,
            Ok(Request::Join {
                room: "r".into(),
                since: Some(Since {
                    offset: 41,
                    epoch: None,
                }),
            }),
        ),
        (
            r#"{"type":"leave","room":"r"}"#,
            Ok(Request::Leave { room: "r".into() }),
        ),
    ];
    for (frame, expected) in table {
        assert_eq!(parse(frame), expected, "{frame}");
    }
}

#[test]
fn what_is_no_message_is_invalid() {
    let long = format!(
        r#"{{"type":"message","to":"b","text":"","id":"{}"}}"#,
        "x".repeat(MARK_BYTES_MAX)
    );
    let table = [
        "",
        "hello",
        "[]",
        "{}",
        r#"{"type":"message"}"#,
        r#"{"type":"message","to":"bob"}"#,
        r#"{"type":"message","text":"x"}"#,
        r#"{"type":"message","to":"bob","room":"r","text":"x"}"#,
        r#"{"type":"message","to":7,"text":"x"}"#,
        r#"{"type":"message","to":"bob","text":7}"#,
        r#"{"type":"message","to":"bob","text":"x","id":{}}"#,
        r#"{"type":"message","to":"bob","text":"x","id":true}"#,
        r#"{"type":"message","to":"bob","text":"x","timestamp":[1]}"#,
        r#"{"type":"message","to":"bob","text":"x"}{}"#,
        r#"{"type":"Message","to":"bob","text":"x"}"#,
        r#"{"type":"join","to":"bob"}"#,
        r#"{"type":"join"}"#,
        r#"{"type":"join","room":"r","since":-1}"#,
        r#"{"type":"leave","to":"bob"}"#,
        r#"{"type":"ack","messageId":"x","room":"r"}"#,
        &long,
    ];
    for frame in table {
        assert_eq!(parse(frame), Err(Invalid), "{frame}");
    }
}

#[test]
fn answers_are_those_of_the_readme() {
    let position = Position {
        offset: 43,
        epoch: Epoch::new(10),
    };
    let subscribed = Subscribed {
        position: Some(position),
        recovered: true,
        ..Subscribed::default()
    };
    let table = [
        (
            Reply::Connected {
                user: "al\"ice",
                position: None,
            },
            json!({"type": "connected", "userId": "al\"ice", "status": "connected"}),
        ),
        (
            Reply::Connected {
                user: "a",
                position: Some(position),
            },
            json!({"type": "connected", "userId": "a", "status": "connected", "seq": 43, "epoch": "0000000a"}),
        ),
        (
            Reply::Ack {
                id: Mark("\"m1\""),
                progress: Progress::Delivered,
            },
            json!({"type": "ack", "messageId": "m1", "status": "delivered"}),
        ),
        (
            Reply::Ack {
                id: Mark("7"),
                progress: Progress::Sent,
            },
            json!({"type": "ack", "messageId": 7, "status": "sent"}),
        ),
        (
            Reply::Joined {
                room: "r",
                subscribed: &subscribed,
                payload: None,
            },
            json!({"type": "joined", "room": "r", "seq": 43, "epoch": "0000000a", "recovered": true}),
        ),
        (
            Reply::Joined {
                room: "r",
                subscribed: &Subscribed::default(),
                payload: Some("{\"hi\":1}"),
            },
            json!({"type": "joined", "room": "r", "data": {"hi": 1}}),
        ),
        (
            Reply::Left { room: "r" },
            json!({"type": "left", "room": "r"}),
        ),
        (
            Reply::Error(Invalid.into()),
            json!({"type": "error", "message": "Invalid message format"}),
        ),
        (
            Reply::Error(Complaint::Refused(Refusal::PermissionDenied)),
            json!({"type": "error", "message": "Permission denied"}),
        ),
    ];
    for (reply, expected) in table {
        assert_eq!(written(|out| append_reply(out, &reply)), expected);
    }
}

#[test]
fn a_message_arrives_as_it_was_meant() {
    let frame = r#"{"type":"message","to":"bob","text":"Hello!","id":"m1","timestamp":5}"#;
    let Ok(Request::Message(message)) = parse(frame) else {
        panic!("it is a message");
    };
    assert_eq!(message.target.channel(), "#bob");
    let mut bytes = Vec::new();
    message.append_payload(&mut bytes, "alice", "unused", 9);
    let expected = json!({"type": "message", "from": "alice", "text": "Hello!", "id": "m1", "timestamp": 5, "seq": 42});
    assert_eq!(
        event("#bob", payload(PayloadKind::Json, &bytes), Some("alice")),
        expected
    );
}

#[test]
fn nobody_speaks_in_anothers_name() {
    let forged = payload(
        PayloadKind::Json,
        br#"{"type":"message","from":"alice","text":"x"}"#,
    );
    assert_eq!(event("r", forged.clone(), Some("eve"))["from"], "eve");
    assert_eq!(
        event("r", forged.clone(), Some(""))["from"],
        "",
        "anonymous is not alice"
    );
    assert_eq!(
        event("r", forged, None)["from"],
        "alice",
        "the API may say who"
    );
}

#[test]
fn what_other_dialects_publish_is_a_message_too() {
    let message = |text: &str, from: &str| {
        json!({"type": "message", "room": "r", "from": from, "text": text, "id": "42",
            "timestamp": 1_790_000_000_000_u64, "seq": 42})
    };
    let table = [
        (PayloadKind::Json, &br#"{"text":"hi"}"#[..], "hi"),
        (PayloadKind::Json, br#""hi\n""#, "hi\n"),
        (
            PayloadKind::Json,
            br#"{"input": "hi"}"#,
            r#"{"input": "hi"}"#,
        ),
        (PayloadKind::Json, b"7", "7"),
        (PayloadKind::Text, b"plain", "plain"),
        (PayloadKind::Text, b"\"not json", "\"not json"),
        (PayloadKind::Binary, b"\xff\x00", "/wA="),
        // An id that no chat client could have sent is not passed on.
        (
            PayloadKind::Json,
            br#"{"text":"hi","id":{"a":1},"timestamp":[]}"#,
            "hi",
        ),
    ];
    for (kind, bytes, text) in table {
        assert_eq!(
            event("r", payload(kind, bytes), Some("c")),
            message(text, "c")
        );
    }
}

#[test]
fn comings_goings_and_gaps_are_told() {
    let bob = Arc::new(ClientInfo {
        user: "bob".into(),
        client: ClientId(1),
        conn_info: None,
        chan_info: None,
    });
    let table = [
        (
            Event::Join(bob.clone()),
            json!({"type": "join", "room": "r", "user": "bob"}),
        ),
        (
            Event::Leave(bob),
            json!({"type": "leave", "room": "r", "user": "bob"}),
        ),
        (
            Event::Gap(Gap {
                publications: 149,
                offsets: Some((812, 960)),
            }),
            json!({"type": "gap", "room": "r", "missed": 149, "first": 812, "last": 960}),
        ),
        (
            Event::Gap(Gap {
                publications: 149,
                offsets: None,
            }),
            json!({"type": "gap", "room": "r", "missed": 149}),
        ),
    ];
    for (event, expected) in table {
        let room = ChannelName::new("r").unwrap();
        assert_eq!(written(|out| append_event(out, room, &event)), expected);
    }
}

proptest! {
    #[test]
    fn no_bytes_are_too_strange(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        crate::dialect::fuzzing::chat_request(&bytes);
        crate::dialect::fuzzing::raw_path(&bytes);
    }

    #[test]
    fn any_text_comes_through(text in any::<String>(), to in "\\PC{1,9}", id in any::<Option<i64>>()) {
        let mut frame = json!({"type": "message", "to": to, "text": text});
        if let Some(id) = id {
            frame["id"] = json!(id);
        }
        crate::dialect::fuzzing::chat_request(frame.to_string().as_bytes());
        let frame = frame.to_string();
        let Ok(Request::Message(message)) = parse(&frame) else {
            panic!("{frame}");
        };
        prop_assert_eq!(&*message.text, &*text);
        prop_assert_eq!(message.target, Target::User(to.into()));
    }

    #[test]
    fn a_raw_path_is_undone(name in any::<String>()) {
        let escaped: String = name.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let path = format!("/raw/{escaped}");
        let channel = crate::dialect::raw::channel_of(&path);
        prop_assert_eq!(channel.as_deref(), Some(&*name));
    }
}
