//! The server's half against tables, and the 101 as bytes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use sha1::{Digest as _, Sha1};

use super::*;
use crate::http1::{HeadError, parse_head};

const GOOD: &[&str] = &[
    "Host: example.com",
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version: 13",
];

fn head_text(request_line: &str, lines: &[&str]) -> String {
    format!("{request_line}\r\n{}\r\n\r\n", lines.join("\r\n"))
}

fn check_head(text: &str) -> Result<Upgrade<'_>, Refusal> {
    let (head, _) = parse_head(text.as_bytes(), &mut 0, 16 << 10)?.expect("complete");
    Upgrade::check(&head)
}

/// The good request with the lines of the same names replaced (or removed by `Name` alone) or added.
fn changed(changes: &[&str]) -> String {
    let name = |line: &str| line.split(':').next().unwrap().to_ascii_lowercase();
    let kept = GOOD
        .iter()
        .filter(|good| !changes.iter().any(|c| name(c) == name(good)));
    let added = changes.iter().filter(|change| change.contains(':'));
    let lines: Vec<&str> = kept.chain(added).copied().collect();
    head_text("GET / HTTP/1.1", &lines)
}

#[test]
fn the_example_of_the_rfc() {
    assert_eq!(
        &accept_key(b"dGhlIHNhbXBsZSBub25jZQ=="),
        b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    );
    let text = changed(&[
        "Origin: http://example.com",
        "Sec-WebSocket-Protocol: chat, superchat",
    ]);
    let upgrade = check_head(&text).unwrap();
    assert_eq!(upgrade.key, b"dGhlIHNhbXBsZSBub25jZQ==");
    assert_eq!(upgrade.origin, Some("http://example.com"));
    assert_eq!(
        upgrade.protocols().collect::<Vec<_>>(),
        ["chat", "superchat"]
    );
    assert_eq!(upgrade.extensions(), "");
    let mut out = b"before".to_vec();
    append_accept(&mut out, &upgrade, Some("chat"), Some("permessage-deflate"));
    assert_eq!(
        String::from_utf8(out).unwrap(),
        "beforeHTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: chat\r\n\
         Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n"
    );
    let mut bare = Vec::new();
    append_accept(&mut bare, &upgrade, None, None);
    assert!(bare.ends_with(b"xOo=\r\n\r\n"));
}

#[test]
#[should_panic(expected = "the client offered")]
fn a_protocol_that_was_not_offered_is_not_answered() {
    let text = changed(&["Sec-WebSocket-Protocol: chat"]);
    append_accept(
        &mut Vec::new(),
        &check_head(&text).unwrap(),
        Some("cha"),
        None,
    );
}

#[test]
fn accepted_variants() {
    for changes in [
        &[][..],
        &["Upgrade: WebSocket"],
        &["Upgrade: h2c, websocket"],
        &["Upgrade: h2c", "Upgrade: WEBSOCKET"],
        &["Connection: keep-alive, Upgrade"],
        &["Connection: keep-alive", "Connection: upgrade"],
        &["Connection: ,upgrade,"],
        &["Content-Length: 0"],
        &["Sec-WebSocket-Key: +/3456789012345678901z=="],
        &["sec-websocket-version:13"],
        &["Sec-WebSocket-Protocol: a,,b ,c"],
    ] {
        let text = changed(changes);
        assert!(check_head(&text).is_ok(), "{changes:?}");
    }
}

#[test]
fn refused_requests() {
    let long = format!(
        "Sec-WebSocket-Extensions: {}",
        "a".repeat(EXTENSIONS_BYTES_MAX / 2 + 1)
    );
    let table: &[(&[&str], Refusal)] = &[
        (&["Upgrade", "Connection"], Refusal::NOT_AN_UPGRADE),
        (&["Upgrade"], Refusal::NOT_AN_UPGRADE),
        (&["Upgrade: h2c"], Refusal::NOT_AN_UPGRADE),
        (&["Upgrade: websockets"], Refusal::NOT_AN_UPGRADE),
        (&["Upgrade: web socket"], Refusal::NOT_AN_UPGRADE),
        (&["Connection"], Refusal::CONNECTION),
        (&["Connection: keep-alive"], Refusal::CONNECTION),
        (&["Connection: close upgrade"], Refusal::CONNECTION),
        (&["Content-Length: 5"], Refusal::BODY),
        (
            &["Transfer-Encoding: chunked"],
            HeadError::TransferEncoding.into(),
        ),
        (&["Host"], HeadError::Host.into()),
        (&["Host: a", "Host: b"], HeadError::Host.into()),
        (&["Sec-WebSocket-Version"], Refusal::VERSION),
        (&["Sec-WebSocket-Version: 8"], Refusal::VERSION),
        (&["Sec-WebSocket-Version: 013"], Refusal::VERSION),
        (&["Sec-WebSocket-Version: 13, 8"], Refusal::VERSION),
        (
            &["Sec-WebSocket-Version: 13", "Sec-WebSocket-Version: 13"],
            Refusal::VERSION,
        ),
        // A wrong version is told so even when its key is not one of ours.
        (
            &["Sec-WebSocket-Version: 8", "Sec-WebSocket-Key"],
            Refusal::VERSION,
        ),
        (&["Sec-WebSocket-Key"], Refusal::KEY),
        (&["Sec-WebSocket-Key:"], Refusal::KEY),
        (&["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ"], Refusal::KEY),
        (
            &["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ="],
            Refusal::KEY,
        ),
        (
            &["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQA="],
            Refusal::KEY,
        ),
        (
            &["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==="],
            Refusal::KEY,
        ),
        (
            &["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j*Q=="],
            Refusal::KEY,
        ),
        (
            &["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25 ZQ=="],
            Refusal::KEY,
        ),
        (
            &[
                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
            ],
            Refusal::KEY,
        ),
        (&["Sec-WebSocket-Protocol:"], Refusal::PROTOCOLS),
        (&["Sec-WebSocket-Protocol: ,"], Refusal::PROTOCOLS),
        (&["Sec-WebSocket-Protocol: a b"], Refusal::PROTOCOLS),
        (&["Sec-WebSocket-Protocol: chat, \"x\""], Refusal::PROTOCOLS),
        (
            &["Origin: http://a", "Origin: http://b"],
            Refusal::ORIGIN_TWICE,
        ),
        (&[&long, &long], Refusal::EXTENSIONS),
    ];
    for (changes, refusal) in table {
        let text = changed(changes);
        assert_eq!(check_head(&text).err(), Some(*refusal), "{changes:?}");
    }
}

#[test]
fn other_methods_and_versions() {
    for (line, refusal) in [
        ("POST / HTTP/1.1", Refusal::METHOD),
        ("get / HTTP/1.1", Refusal::METHOD),
        ("OPTIONS * HTTP/1.1", Refusal::METHOD),
        ("HEAD / HTTP/1.1", Refusal::METHOD_HEAD),
        ("GET / HTTP/1.0", Refusal::HTTP_1_0),
    ] {
        let text = head_text(line, GOOD);
        assert_eq!(check_head(&text).err(), Some(refusal), "{line}");
    }
    assert_eq!(
        check_head("GET / HTTP/1.0\r\n\r\n").err(),
        Some(Refusal::NOT_AN_UPGRADE)
    );
}

#[test]
fn offers_of_several_headers_are_joined() {
    let text = changed(&[
        "Sec-WebSocket-Extensions: a; b",
        "Sec-WebSocket-Extensions: c",
    ]);
    assert_eq!(check_head(&text).unwrap().extensions(), "a; b, c");
}

#[test]
fn every_refusal_is_a_complete_response() {
    let named = [
        Refusal::NOT_AN_UPGRADE,
        Refusal::METHOD,
        Refusal::METHOD_HEAD,
        Refusal::HTTP_1_0,
        Refusal::BODY,
        Refusal::CONNECTION,
        Refusal::VERSION,
        Refusal::KEY,
        Refusal::PROTOCOLS,
        Refusal::EXTENSIONS,
        Refusal::ORIGIN_TWICE,
        Refusal::ORIGIN,
        Refusal::NOT_FOUND,
        Refusal::TIMEOUT,
        HeadError::HeadTooLong.into(),
        HeadError::Version.into(),
    ];
    for refusal in named {
        let mut out = Vec::new();
        refusal.append_to(&mut out);
        let (head, length) = crate::http1::parse_response_head(&out, &mut 0, 16 << 10)
            .unwrap()
            .unwrap();
        assert_eq!(head.status, refusal.status);
        assert_ne!(crate::http1::reason(head.status), "", "{}", head.status);
        for &(name, value) in refusal.headers {
            assert_eq!(head.header(name), Some(value));
        }
        let connection = head.header("connection").unwrap();
        assert!(crate::http1::has_token([connection].into_iter(), "close"));
        assert_eq!(
            head.header("content-length"),
            Some(&*refusal.body.len().to_string())
        );
        assert_eq!(&out[length..], refusal.body.as_bytes());
        assert_eq!(
            refusal.status == 426,
            head.header("sec-websocket-version") == Some("13")
        );
        assert_eq!(refusal.status == 405, head.header("allow") == Some("GET"));
    }
}

proptest! {
    /// The padding written down equals the one computed.
    #[test]
    fn accept_keys_are_hashed_as_the_rfc_says(key in any::<[u8; KEY_BYTES]>()) {
        let text = [&key[..], b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"].concat();
        let expected = STANDARD.encode(Sha1::digest(&text));
        prop_assert_eq!(&accept_key(&key)[..], expected.as_bytes());
    }
}
