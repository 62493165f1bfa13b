use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::hub::{
    ClientId, ClientInfo, Disconnect, Epoch, Gap, HistoryPage, HistoryQuery, Payload, PayloadKind,
    Position, Presence, PresenceStats, Publication, Refusal, Subscribed, Unsubscribed,
};

mod golden;

fn one(line: &str) -> Result<Command<'_>, Malformed> {
    Command::parse(line)
}

fn at(offset: u64, epoch: u32) -> Position {
    Position {
        offset,
        epoch: Epoch::new(epoch),
    }
}

fn client(user: &str) -> Arc<ClientInfo> {
    Arc::new(ClientInfo {
        user: user.into(),
        client: ClientId(0xab),
        conn_info: Some("{\"n\":\n1}".into()),
        chan_info: None,
    })
}

fn publication(offset: u64) -> Arc<Publication> {
    Arc::new(Publication {
        offset,
        unix_ms: 7,
        payload: Payload {
            kind: PayloadKind::Json,
            bytes: b"{\"text\":\n\"hi\"}"[..].into(),
        },
        publisher: Some(client("bob")),
        key: None,
        tags: Box::new([("a".into(), "\"b\"".into())]),
    })
}

#[test]
fn requests_are_read() {
    let table: &[(&str, Request<'_>)] = &[
        ("{}", Request::Pong),
        (r#"{"id":1,"ping":{}}"#, Request::Ping),
        (
            r#"{"id":1,"unsubscribe":{"channel":"r\u00e4um"}}"#,
            Request::Unsubscribe {
                channel: "räum".into(),
            },
        ),
        (
            r#"{"id":1,"publish":{"channel":"a","data":{"x": [1, "\n"]}}}"#,
            Request::Publish(Publish {
                channel: "a".into(),
                payload: r#"{"x": [1, "\n"]}"#,
                key: "".into(),
            }),
        ),
        (
            r#"{"publish":{"data":null,"channel":"a"},"id":1}"#,
            Request::Publish(Publish {
                channel: "a".into(),
                payload: "null",
                key: "".into(),
            }),
        ),
        (
            r#"{"id":1,"presence":{"channel":"a"}}"#,
            Request::Presence {
                channel: "a".into(),
            },
        ),
        (
            r#"{"id":1,"presence_stats":{"channel":"a"}}"#,
            Request::PresenceStats {
                channel: "a".into(),
            },
        ),
        (
            r#"{"id":1,"rpc":{"method":"m","data":[1]}}"#,
            Request::Rpc {
                method: "m".into(),
                payload: "[1]",
            },
        ),
        (r#"{"send":{"data":1}}"#, Request::Send { payload: "1" }),
        (
            r#"{"id":1,"refresh":{"token":"t"}}"#,
            Request::Refresh { token: "t".into() },
        ),
        (
            r#"{"id":1,"sub_refresh":{"channel":"a","token":"t"}}"#,
            Request::SubRefresh(SubRefresh {
                channel: "a".into(),
                token: "t".into(),
            }),
        ),
        (r#"{"id":1,"invented":{}}"#, Request::Unknown),
        (r#"{"id":1,"subscribe":null,"ping":{}}"#, Request::Ping),
    ];
    for (line, expected) in table {
        assert_eq!(
            one(line).map(|command| command.request),
            Ok(expected.clone()),
            "{line}"
        );
    }
}

#[test]
fn a_connect_brings_token_and_positions() {
    let line = r#"{"id":7,"connect":{"token":"a.b.c","name":"js","version":"2","data":{"x":1},
        "headers":{"h":"v"},"flag":1,"subs":{"a":{"recover":true,"offset":3,"epoch":"000000ff"},
        "b\n":{},"c":{"recover":true,"epoch":"theirs"}}}}"#;
    let line = line.replace('\n', " ");
    let Request::Connect(connect) = one(&line).unwrap().request else {
        panic!("{line}");
    };
    assert_eq!(&*connect.token, "a.b.c");
    assert_eq!((&*connect.name, &*connect.version), ("js", "2"));
    assert_eq!(connect.payload, Some(r#"{"x":1}"#));
    let expected = [
        ("a".into(), Some(at(3, 0xff))),
        ("b\n".into(), None),
        ("c".into(), Some(at(0, 0))),
    ];
    assert_eq!(connect.subs, expected);
}

#[test]
fn a_subscribe_says_how() {
    let subscribe = |line| match one(line).unwrap().request {
        Request::Subscribe(subscribe) => subscribe,
        other => panic!("{other:?}"),
    };
    let bare = subscribe(r#"{"id":1,"subscribe":{"channel":"a","flag":1}}"#);
    let expected = Subscribe {
        channel: "a".into(),
        token: "".into(),
        payload: None,
        recover: None,
        rejects_unrecovered: false,
        positioned: false,
        recoverable: false,
        join_leave: false,
    };
    assert_eq!(bare, expected);
    let full = subscribe(
        r#"{"id":1,"subscribe":{"channel":"a","token":"t","data":[],"recover":true,"offset":9,"epoch":"0000000a","flag":3,"positioned":true,"recoverable":true,"join_leave":true,"delta":"fossil","tf":{"op":"and"}}}"#,
    );
    let expected = Subscribe {
        channel: "a".into(),
        token: "t".into(),
        payload: Some("[]"),
        recover: Some(at(9, 10)),
        rejects_unrecovered: true,
        positioned: true,
        recoverable: true,
        join_leave: true,
    };
    assert_eq!(full, expected);
}

#[test]
fn a_history_query_has_three_limits() {
    let query = |wanted: &str| {
        let line = format!(r#"{{"id":1,"history":{{"channel":"a"{wanted}}}}}"#);
        match one(&line).unwrap().request {
            Request::History { query, .. } => query,
            other => panic!("{other:?}"),
        }
    };
    let limit = |limit| HistoryQuery {
        limit,
        ..HistoryQuery::default()
    };
    assert_eq!(query(""), limit(Some(0)));
    assert_eq!(query(r#","limit":5"#), limit(Some(5)));
    assert_eq!(query(r#","limit":-1"#), limit(None));
    let since = query(r#","limit":1,"reverse":true,"since":{"offset":4,"epoch":"00000002"}"#);
    assert_eq!((since.since, since.reverse), (Some(at(4, 2)), true));
}

#[test]
fn what_is_no_command_is_refused() {
    let table = [
        ("", Malformed::Shape),
        ("[]", Malformed::Shape),
        ("{", Malformed::Shape),
        ("{} {}", Malformed::Shape),
        (r#"{"id":-1,"ping":{}}"#, Malformed::Shape),
        (r#"{"id":4294967296,"ping":{}}"#, Malformed::Shape),
        (r#"{"id":"1","ping":{}}"#, Malformed::Shape),
        (r#"{"id":1,"id":2,"ping":{}}"#, Malformed::Shape),
        (r#"{"id":1,"subscribe":{}}"#, Malformed::Shape),
        (r#"{"id":1,"subscribe":{"channel":1}}"#, Malformed::Shape),
        (
            r#"{"id":1,"subscribe":{"channel":"a","offset":-1}}"#,
            Malformed::Shape,
        ),
        (
            r#"{"id":1,"publish":{"channel":"a","data":{}}"#,
            Malformed::Shape,
        ),
        (
            r#"{"id":1,"publish":{"channel":"a","data":{x}}}"#,
            Malformed::Shape,
        ),
        (r#"{"ping":{}}"#, Malformed::NoId),
        (r#"{"connect":{}}"#, Malformed::NoId),
        (r#"{"publish":{"channel":"a","data":1}}"#, Malformed::NoId),
    ];
    for (line, expected) in table {
        assert_eq!(one(line), Err(expected), "{line}");
    }
}

#[test]
fn nesting_is_not_recursion() {
    let deep = "[".repeat(200_000) + &"]".repeat(200_000);
    let line = format!(r#"{{"id":1,"publish":{{"channel":"a","data":{deep}}}}}"#);
    assert!(
        matches!(one(&line).unwrap().request, Request::Publish(publish) if publish.payload == deep)
    );
}

#[test]
fn a_connect_may_not_bring_the_whole_world() {
    let subs = |count: usize| {
        let subs: Vec<_> = (0..count).map(|n| format!(r#""c{n}":{{}}"#)).collect();
        format!(r#"{{"id":1,"connect":{{"subs":{{{}}}}}}}"#, subs.join(","))
    };
    assert!(one(&subs(SUBS_MAX)).is_ok());
    assert_eq!(one(&subs(SUBS_MAX + 1)), Err(Malformed::Shape));
}

#[test]
fn strings_are_borrowed_unless_escaped() {
    let is_borrowed = |line: &str| match one(line).unwrap().request {
        Request::Presence { channel } => matches!(channel, std::borrow::Cow::Borrowed(_)),
        Request::Connect(connect) => {
            matches!(connect.subs[0].0, std::borrow::Cow::Borrowed(_))
        }
        other => panic!("{other:?}"),
    };
    assert!(is_borrowed(r#"{"id":1,"presence":{"channel":"a"}}"#));
    assert!(is_borrowed(r#"{"id":1,"connect":{"subs":{"a":{}}}}"#));
    assert!(!is_borrowed(r#"{"id":1,"presence":{"channel":"\n"}}"#));
}

#[test]
fn a_frame_has_so_many_commands_and_nothing_behind_an_error() {
    let ids = |frame: &str, commands_max| -> Vec<_> {
        Commands::new(frame, commands_max)
            .map(|command| command.map(|command| command.id))
            .collect()
    };
    let ping = |id: u32| format!(r#"{{"id":{id},"ping":{{}}}}"#);
    let three = [ping(1), ping(2), ping(3)].join("\n");
    assert_eq!(ids(&three, 3), [Ok(1), Ok(2), Ok(3)]);
    assert_eq!(ids(&three, 2), [Ok(1), Ok(2), Err(Malformed::TooMany)]);
    assert_eq!(ids(&format!("\n \n{}\r\n\n", ping(4)), 1), [Ok(4)]);
    assert_eq!(ids("", 1), []);
    let broken = [&ping(1), "x", &ping(2)].join("\n");
    assert_eq!(ids(&broken, 9), [Ok(1), Err(Malformed::Shape)]);
}

fn check_replies<const N: usize>(table: [(Reply<'_>, Value); N]) {
    for (reply, mut expected) in table {
        let mut out = Vec::new();
        append_reply(&mut out, 8, &reply);
        assert!(!out.contains(&b'\n'));
        expected["id"] = json!(8);
        assert_eq!(serde_json::from_slice::<Value>(&out).unwrap(), expected);
    }
}

/// The publication as its readers see it.
fn said(offset: u64) -> Value {
    json!({"data": {"text": "hi"}, "info": who(), "offset": offset, "tags": {"a": "\"b\""}})
}

/// The client as others see it.
fn who() -> Value {
    json!({"user": "bob", "client": "000000000000000000000000000000ab", "conn_info": {"n": 1}})
}

#[test]
fn welcomes_have_the_shapes_clients_read() {
    let subscribed = Subscribed {
        position: Some(at(4, 0xc0ffee)),
        recoverable: true,
        was_recovering: true,
        recovered: true,
        publications: vec![publication(3), publication(4)],
    };
    let connected = Connected {
        client: ClientId(0xab),
        version: "1",
        ttl_s: Some(60),
        ping_s: 25,
        payload: Some("[1]"),
        subs: &[("#bob", Subscribed::default())],
    };
    let bare = Connected {
        ttl_s: None,
        ping_s: 0,
        payload: None,
        subs: &[],
        ..connected.clone()
    };
    let none = Subscribed::default();
    let subscribe = |subscribed, ttl_s| Reply::Subscribe { subscribed, ttl_s };
    check_replies([
        (
            Reply::Connect(&connected),
            json!({"connect": {"client": who()["client"], "version": "1", "expires": true, "ttl": 60,
                "data": [1], "subs": {"#bob": {}}, "ping": 25, "pong": true}}),
        ),
        (
            Reply::Connect(&bare),
            json!({"connect": {"client": who()["client"], "version": "1"}}),
        ),
        (
            subscribe(&subscribed, Some(9)),
            json!({"subscribe": {"expires": true, "ttl": 9, "recoverable": true, "positioned": true,
                "epoch": "00c0ffee", "offset": 4, "publications": [said(3), said(4)],
                "recovered": true, "was_recovering": true}}),
        ),
        (subscribe(&none, None), json!({"subscribe": {}})),
    ]);
}

#[test]
fn replies_have_the_shapes_clients_read() {
    let presence = Presence {
        clients: vec![client("bob")],
    };
    let page = HistoryPage {
        publications: vec![publication(3)],
        position: at(4, 0xc0ffee),
    };
    let name = "000000000000000000000000000000ab";
    let refresh = Reply::Refresh {
        client: ClientId(0xab),
        version: "",
        ttl_s: Some(5),
    };
    let stats = PresenceStats {
        clients: 3,
        users: 0,
    };
    check_replies([
        (Reply::Unsubscribe, json!({"unsubscribe": {}})),
        (Reply::Publish, json!({"publish": {}})),
        (Reply::Ping, json!({"ping": {}})),
        (
            Reply::Presence(&presence),
            json!({"presence": {"presence": {name: who()}}}),
        ),
        (
            Reply::PresenceStats(stats),
            json!({"presence_stats": {"num_clients": 3, "num_users": 0}}),
        ),
        (
            Reply::History(&page),
            json!({"history": {"publications": [said(3)], "epoch": "00c0ffee", "offset": 4}}),
        ),
        (
            refresh,
            json!({"refresh": {"client": name, "expires": true, "ttl": 5}}),
        ),
        (
            Reply::SubRefresh { ttl_s: None },
            json!({"sub_refresh": {}}),
        ),
        (
            Reply::Error(ErrorCode::TokenExpired),
            json!({"error": {"code": 109, "message": "token expired"}}),
        ),
        (
            Reply::Error(ErrorCode::TooManyRequests),
            json!({"error": {"code": 111, "message": "too many requests", "temporary": true}}),
        ),
    ]);
}

/// A tag of ours is there once, whatever the publisher called its own.
#[test]
fn a_publishers_tags_do_not_pass_for_ours() {
    let mut publication = Publication::clone(&publication(3));
    publication.tags = [MISSED, "b", MISSED_OFFSETS]
        .map(|name| (name.into(), "x".into()))
        .into();
    let gap = Gap {
        publications: 1,
        offsets: None,
    };
    let mut out = Vec::new();
    append_push(&mut out, "a", &Push::PublicationBehind(&gap, &publication));
    let text = String::from_utf8(out).unwrap();
    assert!(text.contains(r#""tags":{"b":"x","missed":"1"}"#), "{text}");
}

#[test]
fn pushes_have_the_shapes_clients_read() {
    let bob = client("bob");
    let payload = Payload {
        kind: PayloadKind::Text,
        bytes: b"x"[..].into(),
    };
    let publication = publication(3);
    let counted = Gap {
        publications: 149,
        offsets: None,
    };
    let numbered = Gap {
        offsets: Some((812, 960)),
        ..counted
    };
    let behind = |tags: Value| {
        let mut said = said(3);
        said["tags"] = tags;
        json!({"pub": said})
    };
    let table = [
        (Push::Publication(&publication), json!({"pub": said(3)})),
        (
            Push::PublicationBehind(&counted, &publication),
            behind(json!({"a": "\"b\"", "missed": "149"})),
        ),
        (
            Push::PublicationBehind(&numbered, &publication),
            behind(json!({"a": "\"b\"", "missed": "149", "missed_offsets": "812-960"})),
        ),
        (Push::Join(&bob), json!({"join": {"info": who()}})),
        (Push::Leave(&bob), json!({"leave": {"info": who()}})),
        (
            Push::Unsubscribe(Unsubscribed::InsufficientState),
            json!({"unsubscribe": {"code": 2500, "reason": "insufficient state"}}),
        ),
        (
            Push::Subscribe {
                position: Some(at(1, 2)),
                recoverable: true,
                payload: None,
            },
            json!({"subscribe": {"recoverable": true, "positioned": true, "epoch": "00000002", "offset": 1}}),
        ),
        (
            Push::Subscribe {
                position: None,
                recoverable: false,
                payload: Some("[1,\n2]"),
            },
            json!({"subscribe": {"data": [1, 2]}}),
        ),
        (Push::Message(&payload), json!({"message": {"data": "x"}})),
        (
            Push::Disconnect(Disconnect::Expired),
            json!({"disconnect": {"code": 3005, "reason": "connection expired"}}),
        ),
        (
            Push::Refresh { ttl_s: Some(3) },
            json!({"refresh": {"expires": true, "ttl": 3}}),
        ),
    ];
    for (push, mut expected) in table {
        for channel in ["a\n\"b", ""] {
            let mut out = Vec::new();
            append_push(&mut out, channel, &push);
            assert!(!out.contains(&b'\n'));
            match channel {
                "" => drop(expected.as_object_mut().unwrap().remove("channel")),
                channel => expected["channel"] = json!(channel),
            }
            let value: Value = serde_json::from_slice(&out).unwrap();
            assert_eq!(value, json!({"push": expected}));
        }
    }
}

#[test]
fn a_batch_is_a_frame_of_lines() {
    let mut batch = Batch::default();
    assert!(batch.is_empty() && !batch.is_full());
    batch.reply(1, &Reply::Ping);
    batch.push("a", &Push::Message(&publication(1).payload));
    batch.reply(2, &Reply::Publish);
    let lines: Vec<Value> = batch
        .bytes()
        .split(|byte| *byte == b'\n')
        .map(|line| serde_json::from_slice(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 3);
    assert_eq!((&lines[0]["id"], &lines[2]["id"]), (&json!(1), &json!(2)));
    while !batch.is_full() {
        batch.reply(3, &Reply::Ping);
    }
    let count = batch.bytes().split(|byte| *byte == b'\n').count();
    assert_eq!(count, BATCH_REPLIES_MAX);
    batch.clear();
    assert!(batch.is_empty() && batch.bytes().is_empty());

    let page = HistoryPage {
        publications: vec![publication(1); 2 * BATCH_BYTES_MAX / 80],
        position: at(1, 1),
    };
    batch.reply(1, &Reply::History(&page));
    assert!(batch.is_full(), "{} bytes", batch.bytes().len());
}

#[test]
fn error_numbers_are_all_different() {
    let mut numbers: Vec<_> = ErrorCode::ALL.map(ErrorCode::number).into();
    numbers.dedup();
    assert_eq!(numbers.len(), ErrorCode::ALL.len());
    assert!(numbers.is_sorted());
    assert_eq!(ErrorCode::from(Refusal::Busy).number(), 100);
    assert!(ErrorCode::from(Refusal::Busy).is_temporary());
}

#[test]
fn who_may_come_back_is_said_by_the_code() {
    let back = [
        Disconnect::Shutdown,
        Disconnect::Slow,
        Disconnect::NoPong,
        Disconnect::Internal,
        Disconnect::Expired,
        Disconnect::InsufficientState,
        Disconnect::TooMany,
    ];
    let gone = [
        Disconnect::InvalidToken,
        Disconnect::BadRequest,
        Disconnect::ByServer,
        Disconnect::UserLimit,
        Disconnect::ChannelLimit,
        Disconnect::PermissionDenied,
    ];
    for why in back {
        assert!(reconnects(close(why).0), "{why:?}");
    }
    for why in gone {
        assert!(!reconnects(close(why).0), "{why:?}");
    }
    for (code, expected) in [(1000, true), (3499, true), (3500, false), (3999, false)] {
        assert_eq!(reconnects(code), expected);
    }
    for (code, expected) in [(4000, true), (4499, true), (4500, false), (4999, false)] {
        assert_eq!(reconnects(code), expected);
    }
    assert!(unsubscribe_code(Unsubscribed::ByServer).0 < 2500);
    assert!(unsubscribe_code(Unsubscribed::Expired).0 >= 2500);
}

/// Pieces that are likely to mean something, in any order.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "{",
        "}",
        "[",
        "]",
        "\"",
        ":",
        ",",
        "\n",
        "\\",
        "null",
        "true",
        "1",
        "-1",
        "1e9",
        " ",
        "\"id\":1",
        "\"id\":0",
        "\"ping\":{}",
        "\"channel\":\"a\"",
        "\"connect\":{",
        "\"subscribe\":{",
        "\"publish\":{",
        "\"data\":",
        "\"subs\":{",
        "\"recover\":true",
        "\"send\":{",
        "\"é\\u0000\"",
    ]);
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn no_text_is_too_strange(frame in pieces()) {
        crate::dialect::fuzzing::centrifuge_commands(frame.as_bytes());
    }

    #[test]
    fn no_bytes_are_too_strange(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        crate::dialect::fuzzing::centrifuge_commands(&bytes);
    }

    #[test]
    fn a_publish_comes_through(channel in "\\PC{1,20}", text in any::<String>(), id in 1..u32::MAX) {
        let payload = json!({"text": text}).to_string();
        let channel_json = json!(channel);
        let line = format!(r#"{{"id":{id},"publish":{{"channel":{channel_json},"data":{payload}}}}}"#);
        let expected = Command {
            id,
            request: Request::Publish(Publish {
                channel: channel.into(),
                payload: &payload,
                key: "".into(),
            }),
        };
        prop_assert_eq!(Command::parse(&line), Ok(expected));
    }
}
