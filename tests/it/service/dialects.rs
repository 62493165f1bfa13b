//! Three dialects, by hand.

use serde_json::json;

use super::client::Client;
use super::{CENTRIFUGE, Folder, Talk, enter, token};
use crate::harness::op;

#[test]
fn all_dialects_meet_on_a_channel_across_workers() {
    let folder = Folder::new("dialects");
    let server = folder.open().workers(3).start();
    let mut centrifuge = enter(server.addr(), CENTRIFUGE);
    centrifuge
        .say("{\"id\":1,\"connect\":{}}\n{\"id\":2,\"subscribe\":{\"channel\":\"chat:all\"}}");
    let welcome = centrifuge.hear();
    assert!(welcome.contains("\"connect\":{\"client\":"), "{welcome}");
    if !welcome.contains("\"id\":2") {
        centrifuge.hear_of("\"id\":2");
    }
    let mut chat = enter(server.addr(), "/ws/chat");
    let expected = r#"{"type":"connected","userId":"","status":"connected"}"#;
    assert_eq!(chat.hear(), expected);
    chat.say(r#"{"type":"join","room":"chat:all"}"#);
    chat.hear_of(r#""type":"joined""#);
    let mut raw = enter(server.addr(), "/raw/chat%3Aall");
    // It hears its own message, so it is in the channel then, like the two others.
    raw.say("hello");
    assert_eq!(raw.hear(), "hello");
    let push = centrifuge.hear_of(r#""pub""#);
    assert!(
        push.contains(r#""data":"hello""#) && push.contains(r#""offset":1"#),
        "{push}"
    );
    let message = chat.hear_of(r#""type":"message""#);
    assert!(
        message.contains(r#""text":"hello""#) && message.contains(r#""seq":1"#),
        "{message}"
    );

    centrifuge.say(r#"{"id":3,"publish":{"channel":"chat:all","data":{"text":"two"}}}"#);
    assert_eq!(raw.hear(), r#"{"text":"two"}"#);
    chat.hear_of(r#""text":"two""#);
    chat.say(r#"{"type":"message","room":"chat:all","text":"three","id":7,"timestamp":5}"#);
    let three = r#"{"type":"message","from":"","text":"three","id":7,"timestamp":5}"#;
    assert_eq!(raw.hear(), three);
    let ack = chat.hear_of(r#""type":"ack""#);
    assert_eq!(ack, r#"{"type":"ack","messageId":7,"status":"delivered"}"#);
    raw.send_frame(op::FIN | op::BINARY, &[0, 1, 2]);
    raw.expect(op::FIN | op::BINARY, &[0, 1, 2]);
    centrifuge.hear_of(r#""data":"AAEC""#);
}

#[test]
fn who_asks_is_told_who_comes_and_nobody_else() {
    let folder = Folder::new("comings");
    let server = folder.open().workers(2).start();
    let mut curious = Client::connect(server.addr(), "");
    let mut aloof = Client::connect(server.addr(), "");
    let wish = json!({ "channel": "room", "join_leave": true });
    assert!(curious.ask("subscribe", &wish)["subscribe"].is_object());
    aloof.subscribe("room", None);
    let mut raw = enter(server.addr(), "/raw/room");
    raw.say("1");
    let told = |client: &mut Client| {
        let mut comings = 0;
        loop {
            let push = &client.next().unwrap()["push"];
            comings += usize::from(push["join"].is_object());
            if push["pub"].is_object() {
                return comings;
            }
        }
    };
    assert_eq!(
        told(&mut curious),
        3,
        "itself, the other one and the raw one"
    );
    assert_eq!(told(&mut aloof), 0);
}

#[test]
fn who_chats_is_told_what_became_of_it_and_what_was_missed() {
    let folder = Folder::new("chat");
    let server = folder.open().workers(3).start();
    // An unconfigured server knows its own users: those with tokens of its development key.
    let key = std::fs::read_to_string(folder.0.join("throng/dev.key")).unwrap();
    let user = |name: &str| super::signed(key.trim(), name, 3600, None);
    let chat = |name: &str, rest: &str| {
        let target = format!("/ws/chat?token={}{rest}", user(name));
        enter(server.addr(), &target)
    };
    let mut alice = chat("alice", "");
    let welcome = alice.hear();
    let expected = r#"{"type":"connected","userId":"alice","status":"connected","seq":0,"#;
    assert!(welcome.starts_with(expected), "{welcome}");

    alice.say(r#"{"type":"message","to":"bob","text":"Are you there?","id":"m1"}"#);
    let ack = r#"{"type":"ack","messageId":"m1","status":"sent"}"#;
    assert_eq!(alice.hear_of("ack"), ack);
    let mut bob = chat("bob", "&since=0");
    let welcome = bob.hear();
    assert!(welcome.contains(r#""userId":"bob""#), "{welcome}");
    let epoch = welcome.split(r#""epoch":""#).nth(1).unwrap()[..8].to_owned();
    alice.say(r#"{"type":"message","to":"bob","text":"Hello!","id":"m2","timestamp":1}"#);
    let ack = r#"{"type":"ack","messageId":"m2","status":"delivered"}"#;
    assert_eq!(alice.hear_of("ack"), ack);
    let hello =
        r#"{"type":"message","from":"alice","text":"Hello!","id":"m2","timestamp":1,"seq":2}"#;
    assert_eq!(bob.hear_of("Hello!"), hello);

    // Two connections of a user are told alike, and one that comes back is told what it missed.
    let mut phone = chat("bob", &format!("&since=0&epoch={epoch}"));
    phone.hear_of("connected");
    assert!(phone.hear().contains("Are you there?"));
    assert_eq!(phone.hear(), hello);
    alice.say(r#"{"type":"message","to":"bob","text":"Both of you","id":"m3"}"#);
    for wire in [&mut bob, &mut phone] {
        wire.hear_of("Both of you");
    }

    for nonsense in ["nonsense", "{}", r#"{"type":"message","text":"to nobody"}"#] {
        bob.say(nonsense);
        let error = r#"{"type":"error","message":"Invalid message format"}"#;
        assert_eq!(bob.hear(), error);
    }
    bob.send_frame(op::FIN | op::BINARY, b"bytes");
    bob.hear_of("Invalid message format");
    bob.say(r#"{"type":"leave","room":"nowhere"}"#);
    assert_eq!(bob.hear(), r#"{"type":"error","message":"Not joined"}"#);
    bob.say(r#"{"type":"message","to":"alice","text":"Still here"}"#);
    let still = alice.hear_of("Still here");
    assert!(
        still.contains(r#""from":"bob""#),
        "nobody speaks in another's name: {still}"
    );
}

#[test]
fn who_does_not_speak_the_dialect_or_does_not_log_in_is_told_to_go() {
    let folder = Folder::new("stale");
    let server = folder.open().flag("handshake-timeout", "1s").start();
    let mut silent = enter(server.addr(), CENTRIFUGE);
    assert_eq!(silent.expect_close(), 3502);
    for nonsense in [
        "nonsense",
        r#"{"id":1,"subscribe":{"channel":"a"}}"#,
        r#"{"connect":{}}"#,
    ] {
        let mut wire = enter(server.addr(), CENTRIFUGE);
        wire.say(nonsense);
        assert_eq!(wire.expect_close(), 3501, "{nonsense}");
    }
    let mut twice = enter(server.addr(), CENTRIFUGE);
    twice.say("{\"id\":1,\"connect\":{}}\n{\"id\":2,\"connect\":{}}");
    twice.hear_of("\"client\"");
    assert_eq!(twice.expect_close(), 3501);
    let mut binary = enter(server.addr(), CENTRIFUGE);
    binary.send_frame(op::FIN | op::BINARY, b"{}");
    assert_eq!(binary.expect_close(), 3501);
}

#[test]
fn a_token_may_bring_its_channels_along() {
    let folder = Folder::new("claims");
    let server = folder.closed("").workers(3).start();
    let claims = serde_json::json!({
        "sub": "bob", "exp": super::unix_s() + 3600, "info": {"name": "Bob"},
        "channels": ["news", "weather", "bad name"],
        "subs": {"#bob": {"info": {"role": "owner"}}},
    });
    let key = jsonwebtoken::EncodingKey::from_secret(super::SECRET.as_bytes());
    let bearer = jsonwebtoken::encode(&jsonwebtoken::Header::default(), &claims, &key).unwrap();
    let mut wire = enter(server.addr(), &format!("{CENTRIFUGE}?token={bearer}"));
    wire.say("{\"id\":1,\"connect\":{}}\n{\"id\":2,\"ping\":{}}");
    let welcome = wire.hear();
    let first = welcome.lines().next().unwrap();
    assert!(
        first.starts_with(r#"{"id":1,"connect""#),
        "the welcome comes first: {welcome}"
    );
    for channel in ["news", "weather", "#bob"] {
        assert!(
            first.contains(&format!("\"{channel}\":{{")),
            "{channel}: {welcome}"
        );
    }
    assert!(
        !first.contains("bad name") && first.contains(r#""expires":true,"ttl":"#),
        "{welcome}"
    );
    if !welcome.contains(r#""id":2"#) {
        wire.hear_of(r#""id":2"#);
    }
}

#[test]
fn a_connection_whose_token_expires_is_closed() {
    let folder = Folder::new("expiry");
    let server = folder.closed("").start();
    let bearer = token("bob", 1, None);
    let mut centrifuge = enter(server.addr(), &format!("{CENTRIFUGE}?token={bearer}"));
    let mut chat = enter(server.addr(), &format!("/ws/chat?token={bearer}"));
    centrifuge.say(r#"{"id":1,"connect":{}}"#);
    assert!(centrifuge.hear().contains(r#""expires":true,"ttl":1"#));
    chat.hear_of("connected");
    assert_eq!(centrifuge.expect_close(), 3005);
    assert_eq!(chat.expect_close(), 3000);
}

#[test]
fn a_broadcast_is_deflated_for_those_who_can_read_it() {
    let folder = Folder::new("deflate");
    let server = folder.open().start();
    let mut plain = enter(server.addr(), "/raw/wide");
    let mut deflating = crate::harness::Wire::connect(server.addr());
    let head = super::knock(
        &mut deflating,
        "/raw/wide",
        "Sec-WebSocket-Extensions: permessage-deflate; client_no_context_takeover\r\n",
    );
    assert!(head.contains("permessage-deflate"), "{head}");
    // Whoever hears itself is in the channel.
    for wire in [&mut deflating, &mut plain] {
        wire.say("in");
        assert_eq!(wire.hear(), "in");
    }
    let long = "one sentence that everybody is told ".repeat(100);
    plain.say(&long);
    assert_eq!(plain.hear_of("one sentence"), long);
    deflating.hear_of("in");
    let squeezed = deflating.read_frame().unwrap();
    assert_eq!(squeezed.first, op::FIN | op::RSV1 | op::TEXT);
    assert!(
        squeezed.payload.len() < long.len() / 10,
        "{}",
        squeezed.payload.len()
    );
}
