//! Requests as bytes, responses as a table, and both halves against each other.

use proptest::prelude::*;

use super::*;
use crate::http1::parse_head;
use crate::ws::deflate::Mode;
use crate::ws::extension::negotiate;
use crate::ws::handshake::{Upgrade, append_accept, fuzzing};

const OFF: DeflateConfig = config(Mode::Off);
const ON: DeflateConfig = config(Mode::Shared);

const fn config(mode: Mode) -> DeflateConfig {
    DeflateConfig {
        mode,
        window_bits: 12,
        level: 1,
        min_bytes: 64,
        inflaters_max: 1,
    }
}

/// The key of RFC 6455 1.3.
const PLAIN: ClientRequest<'static> = ClientRequest {
    host: "server.example.com",
    target: "/chat",
    key: *b"the sample nonce",
    origin: None,
    protocols: &[],
    deflate: &OFF,
    headers: &[],
};

const RICH: ClientRequest<'static> = ClientRequest {
    origin: Some("http://example.com"),
    protocols: &["chat", "superchat"],
    deflate: &ON,
    headers: &[("Cookie", "a=b")],
    ..PLAIN
};

fn response(lines: &[&str]) -> String {
    format!(
        "HTTP/1.1 101 Switching Protocols\r\n{}\r\n\r\n",
        lines.join("\r\n")
    )
}

const UPGRADE: &str = "Upgrade: websocket";
const CONNECTION: &str = "Connection: Upgrade";
const ACCEPT: &str = "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

#[test]
fn requests_as_bytes() {
    let mut out = b"before".to_vec();
    append_request(&mut out, &PLAIN).unwrap();
    assert_eq!(
        String::from_utf8(out).unwrap(),
        "beforeGET /chat HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\n\
         Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         Sec-WebSocket-Version: 13\r\n\r\n"
    );
    let mut out = Vec::new();
    append_request(&mut out, &RICH).unwrap();
    let text = String::from_utf8(out).unwrap();
    let further = "Sec-WebSocket-Version: 13\r\nOrigin: http://example.com\r\n\
                   Sec-WebSocket-Protocol: chat, superchat\r\n\
                   Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; \
                   client_no_context_takeover; client_max_window_bits\r\nCookie: a=b\r\n\r\n";
    assert!(text.ends_with(further), "{text}");
}

#[test]
fn requests_that_would_break_apart() {
    let wrong = [
        ClientRequest { host: "", ..PLAIN },
        ClientRequest {
            host: "a b",
            ..PLAIN
        },
        ClientRequest {
            host: "h\r\nX: y",
            ..PLAIN
        },
        ClientRequest {
            target: "",
            ..PLAIN
        },
        ClientRequest {
            target: "chat",
            ..PLAIN
        },
        ClientRequest {
            target: "/a b",
            ..PLAIN
        },
        ClientRequest {
            target: "/a\r\n",
            ..PLAIN
        },
        ClientRequest {
            target: "/#a",
            ..PLAIN
        },
        ClientRequest {
            target: "http://h/",
            ..PLAIN
        },
        ClientRequest {
            origin: Some("a\nb"),
            ..PLAIN
        },
        ClientRequest {
            protocols: &["a", "b c"],
            ..PLAIN
        },
        ClientRequest {
            protocols: &[""],
            ..PLAIN
        },
        ClientRequest {
            headers: &[("A", "b\r\nC: d")],
            ..PLAIN
        },
        ClientRequest {
            headers: &[("A:", "b")],
            ..PLAIN
        },
    ];
    for request in wrong {
        let mut out = b"before".to_vec();
        assert_eq!(
            append_request(&mut out, &request),
            Err(InvalidHeader),
            "{request:?}"
        );
        assert_eq!(out, b"before");
    }
}

#[test]
fn accepted_responses() {
    let deflate = "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover";
    for (request, lines, protocol, is_compressed) in [
        (PLAIN, &[UPGRADE, CONNECTION, ACCEPT][..], None, false),
        (
            PLAIN,
            &[
                ACCEPT,
                "connection: keep-alive, upgrade",
                "upgrade: WebSocket",
            ],
            None,
            false,
        ),
        (RICH, &[UPGRADE, CONNECTION, ACCEPT], None, false),
        (
            RICH,
            &[
                UPGRADE,
                CONNECTION,
                ACCEPT,
                "Sec-WebSocket-Protocol: superchat",
                deflate,
            ],
            Some("superchat"),
            true,
        ),
    ] {
        let text = response(lines) + "\u{1}frame";
        let (accepted, length) = check_response(text.as_bytes(), &mut 0, &request)
            .unwrap()
            .expect("complete");
        assert_eq!(accepted.protocol, protocol, "{lines:?}");
        assert_eq!(accepted.agreed.is_some(), is_compressed, "{lines:?}");
        assert_eq!(&text[length..], "\u{1}frame");
    }
}

#[test]
fn refused_responses() {
    let head = |text: &str| format!("{text}\r\n\r\n");
    let rich = |line: &str| response(&[UPGRADE, CONNECTION, ACCEPT, line]);
    for (text, refusal) in [
        (head("HTTP/1.1 200 OK"), ClientRefusal::Status(200)),
        (
            head("HTTP/1.1 503 Busy\r\nRetry-After: 1"),
            ClientRefusal::Status(503),
        ),
        (
            head("HTTP/1.1 302 Found\r\nLocation: /"),
            ClientRefusal::Status(302),
        ),
        (
            head("HTTP/1.1 ok"),
            ClientRefusal::Head(HeadError::StartLine),
        ),
        (
            head("HTTP/1.1 101 x\nA: b"),
            ClientRefusal::Head(HeadError::BareLineFeed),
        ),
        (response(&[CONNECTION, ACCEPT]), ClientRefusal::Upgrade),
        (
            response(&["Upgrade: h2c", CONNECTION, ACCEPT]),
            ClientRefusal::Upgrade,
        ),
        (response(&[UPGRADE, ACCEPT]), ClientRefusal::Connection),
        (
            response(&[UPGRADE, "Connection: close", ACCEPT]),
            ClientRefusal::Connection,
        ),
        (response(&[UPGRADE, CONNECTION]), ClientRefusal::Accept),
        (
            response(&[UPGRADE, CONNECTION, ACCEPT, ACCEPT]),
            ClientRefusal::Accept,
        ),
        (
            response(&[
                UPGRADE,
                CONNECTION,
                "Sec-WebSocket-Accept: s3pplmbitxaq9kygzzhzrbk+xoo=",
            ]),
            ClientRefusal::Accept,
        ),
        (
            rich("Sec-WebSocket-Protocol: other"),
            ClientRefusal::Protocol,
        ),
        (
            rich("Sec-WebSocket-Protocol: chat, superchat"),
            ClientRefusal::Protocol,
        ),
        (
            rich("Sec-WebSocket-Protocol: chat\r\nSec-WebSocket-Protocol: chat"),
            ClientRefusal::Protocol,
        ),
        (rich("Sec-WebSocket-Protocol:"), ClientRefusal::Protocol),
        (
            rich("Sec-WebSocket-Extensions: x"),
            ClientRefusal::Extensions,
        ),
        (
            rich("Sec-WebSocket-Extensions: permessage-deflate"),
            ClientRefusal::Extensions,
        ),
    ] {
        let found = check_response(text.as_bytes(), &mut 0, &RICH).map(|_| ());
        assert_eq!(found, Err(refusal), "{text}");
    }
    let uninvited = rich("Sec-WebSocket-Protocol: chat");
    let found = check_response(uninvited.as_bytes(), &mut 0, &PLAIN).map(|_| ());
    assert_eq!(found, Err(ClientRefusal::Protocol));
    let endless = response(&["A: ", &"a".repeat(RESPONSE_BYTES_MAX)]);
    let found = check_response(endless.as_bytes(), &mut 0, &PLAIN).map(|_| ());
    assert_eq!(found, Err(ClientRefusal::Head(HeadError::HeadTooLong)));
}

proptest! {
    /// What our client asks for, our server understands; what it answers, our client accepts.
    #[test]
    fn both_halves_agree(
        key: [u8; 16],
        target in "/[!-\"$-~]{0,40}",
        origin in prop::option::of("[ -~]{1,40}"),
        protocols in prop::collection::vec("[a-z0-9.!~-]{1,12}", 0..4),
        chosen: prop::sample::Index,
        client_mode in prop::sample::select(vec![Mode::Off, Mode::Shared, Mode::Dedicated]),
        server_mode in prop::sample::select(vec![Mode::Off, Mode::Shared, Mode::Dedicated]),
    ) {
        let protocols: Vec<&str> = protocols.iter().map(String::as_str).collect();
        let origin = origin.as_deref().map(str::trim);
        let (client, server) = (config(client_mode), config(server_mode));
        let request = ClientRequest {
            host: "h:1",
            target: &target,
            key,
            origin,
            protocols: &protocols,
            deflate: &client,
            headers: &[("X-Further", "1")],
        };
        let (mut sent, mut answered) = (Vec::new(), Vec::new());
        append_request(&mut sent, &request).unwrap();

        let (head, length) = parse_head(&sent, &mut 0, 16 << 10).unwrap().unwrap();
        prop_assert_eq!(length, sent.len());
        let upgrade = Upgrade::check(&head).unwrap();
        prop_assert_eq!(head.target, &*target);
        prop_assert_eq!(upgrade.origin, origin);
        prop_assert_eq!(upgrade.protocols().collect::<Vec<_>>(), &*protocols);
        let protocol = (!protocols.is_empty()).then(|| *chosen.get(&protocols));
        let negotiated = negotiate(&upgrade.extensions(), &server);
        let extensions = negotiated.as_ref().map(|(_, answer)| answer.as_str());
        append_accept(&mut answered, &upgrade, protocol, extensions);

        let (accepted, length) = check_response(&answered, &mut 0, &request).unwrap().unwrap();
        prop_assert_eq!(length, answered.len());
        prop_assert_eq!(accepted.protocol, protocol);
        prop_assert_eq!(accepted.agreed.is_some(), negotiated.is_some());
    }

    #[test]
    fn nearly_right_heads_keep_the_properties(pieces in prop::collection::vec(prop::sample::select(vec![
        "GET / HTTP/1.1\r\nHost: h\r\n", "HTTP/1.1 101 x\r\n", "Upgrade: websocket\r\n", "Connection: upgrade\r\n",
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n", "Sec-WebSocket-Version: 13\r\n",
        "Sec-WebSocket-Protocol: a, b\r\n", "Sec-WebSocket-Extensions: permessage-deflate\r\n",
        "Origin: o\r\n", "\r\n", "\r\n", "x", "Sec-WebSocket-Accept: ICX+Yqv66kxgM0FcWaLWlFLwTAI=\r\n",
    ]), 0..12)) {
        fuzzing::opening_request(pieces.concat().as_bytes());
        fuzzing::opening_response(pieces.concat().as_bytes());
    }

    #[test]
    fn right_requests_keep_the_properties(tail in "[a-zA-Z:,; \r\n-]{0,60}") {
        let mut bytes = Vec::new();
        append_request(&mut bytes, &RICH).unwrap();
        bytes.truncate(bytes.len() - 2);
        bytes.extend_from_slice(tail.as_bytes());
        bytes.extend_from_slice(b"\r\n\r\n");
        fuzzing::opening_request(&bytes);
    }
}
