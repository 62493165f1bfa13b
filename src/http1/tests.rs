//! Tables first; then the properties that hold for any bytes.

use proptest::prelude::*;

use super::*;

const LIMIT: usize = 16 << 10;

fn request(text: &str) -> Result<Option<(Head<'_>, usize)>, HeadError> {
    parse_head(text.as_bytes(), &mut 0, LIMIT)
}

fn accepted(text: &str) -> Head<'_> {
    request(text).unwrap().expect("complete").0
}

#[test]
fn a_browser_like_head_is_read() {
    let text = "GET /chat/42?token=a%20b?c HTTP/1.1\r\nHost: example.com:8080\r\nX-Empty:\r\n\
                X-Padded: \t v w \t\r\nCookie: naïve=é\r\n\r\n\x01early";
    let (head, length) = request(text).unwrap().unwrap();
    assert_eq!(&text[length..], "\x01early");
    assert_eq!(
        (head.method, head.target, head.version_minor),
        ("GET", "/chat/42?token=a%20b?c", 1)
    );
    assert_eq!(
        (head.path(), head.query()),
        ("/chat/42", Some("token=a%20b?c"))
    );
    assert_eq!(head.header("HOST"), Some("example.com:8080"));
    assert_eq!(head.header("x-empty"), Some(""));
    assert_eq!(head.header("x-padded"), Some("v w"));
    assert_eq!(head.header("cookie"), Some("naïve=é"));
    assert_eq!(head.header("x-absent"), None);
    assert_eq!(head.headers().count(), 4);
}

#[test]
fn a_repeated_header_has_no_single_value() {
    let head = accepted("GET / HTTP/1.1\r\nHost: h\r\nA: 1\r\nB: 2\r\na: 3\r\n\r\n");
    assert_eq!(head.header("a"), None);
    assert_eq!(head.header_all("A").collect::<Vec<_>>(), ["1", "3"]);
}

#[test]
fn targets() {
    let table = [
        ("GET", "/", Ok(("/", None))),
        ("GET", "/?", Ok(("/", Some("")))),
        ("GET", "//h/x", Ok(("//h/x", None))),
        ("GET", "/a|b{c}?d^", Ok(("/a|b{c}", Some("d^")))),
        ("GET", "http://h/p?q", Ok(("/p", Some("q")))),
        ("GET", "WS://H?q=/", Ok(("/", Some("q=/")))),
        ("GET", "wss://h", Ok(("/", None))),
        ("OPTIONS", "*", Ok(("*", None))),
        ("GET", "*", Err(HeadError::Target)),
        ("GET", "chat", Err(HeadError::Target)),
        ("GET", "h:80", Err(HeadError::Target)),
        ("CONNECT", "h:80", Err(HeadError::Target)),
        ("GET", "ftp://h/", Err(HeadError::Target)),
        ("GET", "http:///p", Err(HeadError::Target)),
        ("GET", "http://user@h/p", Err(HeadError::Target)),
        ("GET", "http://other/p", Err(HeadError::Host)),
        ("GET", "http://h:80/p", Err(HeadError::Host)),
        ("GET", "/a#b", Err(HeadError::Target)),
        ("GET", "/é", Err(HeadError::Target)),
        ("GET", "", Err(HeadError::StartLine)),
    ];
    for (method, target, expected) in table {
        let text = format!("{method} {target} HTTP/1.1\r\nHost: h\r\n\r\n");
        let found = request(&text).map(|found| {
            let head = found.expect("complete").0;
            (head.path().to_owned(), head.query().map(str::to_owned))
        });
        let expected = expected.map(|(p, q): (&str, Option<&str>)| (p.into(), q.map(Into::into)));
        assert_eq!(found, expected, "{method} {target:?}");
    }
}

/// Each of these is refused for that reason, and with 400.
fn refused(table: &[(&[u8], HeadError)]) {
    for &(bytes, error) in table {
        let shown = bytes.escape_ascii();
        let found = parse_head(bytes, &mut 0, LIMIT).map(|_| ());
        assert_eq!(found, Err(error), "{shown}");
        assert_eq!(error.status(), 400, "{shown}");
    }
}

#[test]
fn refused_bytes() {
    use HeadError::*;
    refused(&[
        (b"GET / HTTP/1.1\nHost: h\r\n\r\n", BareLineFeed),
        (b"GET / HTTP/1.1\r\nHost: h\n\r\n", BareLineFeed),
        (b"GET / HTTP/1.1\r\nHost: h\r\n\n", BareLineFeed),
        (b"\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", BareLineFeed),
        (b"GET / HTTP/1.1\rHost: h\r\n\r\n", BareCarriageReturn),
        (
            b"GET / HTTP/1.1\r\nHost: h\r\nA: b\rc\r\n\r\n",
            BareCarriageReturn,
        ),
        (b"GET / HTTP/1.1\r\r\n", BareCarriageReturn),
        (b"GET /\0 HTTP/1.1\r\nHost: h\r\n\r\n", ControlByte),
        (b"GET / HTTP/1.1\r\nHost: h\r\nA: \0\r\n\r\n", ControlByte),
        (b"GET / HTTP/1.1\r\nHost: h\r\nA: \x7f\r\n\r\n", ControlByte),
        (b"GET / HTTP/1.1\r\nHost: h\r\nA\0: b\r\n\r\n", ControlByte),
        (b"\x16\x03\x01\x02\x00", ControlByte),
        (b"\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", EmptyLines),
        (b"GET / HTTP/1.1\r\nHost: h\r\nA: \xff\r\n\r\n", Encoding),
    ]);
}

#[test]
fn refused_first_lines() {
    for line in [
        "GET / HTTP/1.2",
        "GET / HTTP/11",
        "GET / http/1.1",
        "GET /",
        "GET  / HTTP/1.1",
        "GET /  HTTP/1.1",
        "GET\t/ HTTP/1.1",
        "GET / x HTTP/1.1",
        "GET / HTTP/1.1 ",
        " GET / HTTP/1.1",
        "G@T / HTTP/1.1",
        "",
    ] {
        let text = format!("{line}\r\nHost: h\r\n\r\n");
        let found = request(&text).map(|_| ());
        assert_eq!(found, Err(HeadError::StartLine), "{line:?}");
    }
    refused(&[(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", HeadError::Http2)]);
    let other = request("GET / HTTP/2.0\r\nHost: h\r\n\r\n")
        .map(|_| ())
        .unwrap_err();
    assert_eq!((other, other.status()), (HeadError::Version, 505));
}

#[test]
fn refused_header_lines() {
    use HeadError::*;
    for (lines, error) in [
        ("Host : h", HeaderLine),
        (" Host: h", HeaderLine),
        ("Host: h\r\nA: b\r\n c", HeaderLine),
        ("Host: h\r\nA:\r\n\tc", HeaderLine),
        ("Host: h\r\n: b", HeaderLine),
        ("Host: h\r\nnothing", HeaderLine),
        ("Host: h\r\nA(b): c", HeaderLine),
        ("A: b", Host),
        ("Host:", Host),
        ("Host: h\r\nHost: h", Host),
        ("Host: a b", Host),
        ("Host: a/b", Host),
        ("Host: u@h", Host),
        ("Host: h\r\nContent-Length: x", ContentLength),
        ("Host: h\r\nContent-Length: +1", ContentLength),
        ("Host: h\r\nContent-Length: 1, 1", ContentLength),
        ("Host: h\r\nContent-Length:", ContentLength),
        (
            "Host: h\r\nContent-Length: 18446744073709551616",
            ContentLength,
        ),
        (
            "Host: h\r\nContent-Length: 0\r\ncontent-length: 0",
            ContentLength,
        ),
        ("Host: h\r\nTransfer-Encoding: chunked", TransferEncoding),
        ("Host: h\r\nTransfer-Encoding:", TransferEncoding),
    ] {
        for minor in [0, 1] {
            // HTTP/1.0 forgives one thing: a missing Host.
            let error = if (minor, lines) == (0, "A: b") {
                None
            } else {
                Some(error)
            };
            let text = format!("GET / HTTP/1.{minor}\r\n{lines}\r\n\r\n");
            assert_eq!(request(&text).err(), error, "{text:?}");
            assert!(error.is_none_or(|error| error.status() == 400));
        }
    }
}

#[test]
fn one_empty_line_may_come_first() {
    let text = "\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n";
    let (head, length) = request(text).unwrap().unwrap();
    assert_eq!((head.method, length), ("GET", text.len()));
    assert_eq!(request("\r\n").unwrap().map(|_| ()), None);
}

#[test]
fn http_1_0_needs_no_host() {
    let head = accepted("GET / HTTP/1.0\r\n\r\n");
    assert_eq!((head.version_minor, head.header("host")), (0, None));
}

#[test]
fn a_body_length_is_read_not_skipped() {
    let head = accepted("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 007\r\n\r\n");
    assert_eq!(head.content_length(), 7);
    assert_eq!(
        accepted("GET / HTTP/1.1\r\nHost: h\r\n\r\n").content_length(),
        0
    );
}

#[test]
fn too_many_headers() {
    let head = |lines: usize| {
        format!(
            "GET / HTTP/1.1\r\nHost: h\r\n{}\r\n",
            "a: b\r\n".repeat(lines)
        )
    };
    assert!(request(&head(HEADERS_MAX - 1)).unwrap().is_some());
    let refused = request(&head(HEADERS_MAX)).unwrap_err();
    assert_eq!(
        (refused, refused.status()),
        (HeadError::TooManyHeaders, 431)
    );
}

#[test]
fn too_long() {
    let fits = |target: usize| {
        format!(
            "GET /{} HTTP/1.1\r\nHost: h\r\n\r\n",
            "a".repeat(target - 1)
        )
    };
    assert!(request(&fits(TARGET_BYTES_MAX)).unwrap().is_some());
    assert_eq!(
        request(&fits(TARGET_BYTES_MAX + 1)).map(|_| ()),
        Err(HeadError::TargetTooLong)
    );
    assert_eq!(
        request(&fits(100_000)).map(|_| ()),
        Err(HeadError::TargetTooLong)
    );
    assert_eq!(HeadError::TargetTooLong.status(), 414);

    // Also when the whole head is there: the limit is about the head, not about the read.
    let wide = format!(
        "GET / HTTP/1.1\r\nHost: h\r\nA: {}\r\n\r\n",
        "a".repeat(LIMIT)
    );
    assert_eq!(request(&wide).map(|_| ()), Err(HeadError::HeadTooLong));
    assert_eq!(HeadError::HeadTooLong.status(), 431);
    let exact = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
    for (limit, expected) in [
        (exact.len(), Ok(true)),
        (exact.len() - 1, Err(HeadError::HeadTooLong)),
        (10, Err(HeadError::TargetTooLong)),
    ] {
        let found = parse_head(exact.as_bytes(), &mut 0, limit).map(|found| found.is_some());
        assert_eq!(found, expected, "limit {limit}");
    }
}

#[test]
fn a_head_that_arrives_byte_by_byte_is_scanned_once() {
    let text = format!("GET / HTTP/1.1\r\nHost: h\r\nA: {}", "a".repeat(LIMIT));
    let (mut scanned, mut looked_at) = (0, 0);
    for length in 0..text.len() {
        let before = scanned;
        match parse_head(&text.as_bytes()[..length], &mut scanned, LIMIT) {
            Ok(found) => assert!(found.is_none()),
            Err(error) => {
                assert_eq!((error, length), (HeadError::HeadTooLong, LIMIT));
                break;
            }
        }
        assert!(scanned + 1 >= length, "at most a CR waits for its LF");
        looked_at += length - before;
    }
    assert!(looked_at <= 2 * LIMIT, "looked at {looked_at} bytes");
}

#[test]
fn responses_are_read() {
    let text = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\nrest";
    let (head, length) = parse_response_head(text.as_bytes(), &mut 0, LIMIT)
        .unwrap()
        .unwrap();
    assert_eq!((head.status, head.version_minor), (101, 1));
    assert_eq!(
        (head.header("upgrade"), &text[length..]),
        (Some("websocket"), "rest")
    );
    for (text, error) in [
        ("HTTP/1.1 99 No\r\n\r\n", HeadError::StartLine),
        ("HTTP/1.1 012 No\r\n\r\n", HeadError::StartLine),
        ("HTTP/2.0 200 OK\r\n\r\n", HeadError::StartLine),
        ("\r\nHTTP/1.1 200 OK\r\n\r\n", HeadError::EmptyLines),
        ("HTTP/1.1 200 OK\r\nA : b\r\n\r\n", HeadError::HeaderLine),
    ] {
        let found = parse_response_head(text.as_bytes(), &mut 0, LIMIT).map(|_| ());
        assert_eq!(found, Err(error), "{text:?}");
    }
}

#[test]
fn responses_are_written() {
    let mut out = b"before".to_vec();
    append_response(&mut out, 426, &[("Upgrade", "websocket")], b"why").unwrap();
    assert_eq!(
        out,
        b"beforeHTTP/1.1 426 Upgrade Required\r\nUpgrade: websocket\r\nContent-Length: 3\r\n\r\nwhy"
    );
}

#[test]
fn responses_cannot_be_split() {
    for (name, value) in [
        ("A", "b\r\nSet-Cookie: c"),
        ("A", "b\n"),
        ("A", "b\0"),
        ("A", "\x7f"),
        ("A\r\nB", "c"),
        ("A:", "c"),
        ("", "c"),
    ] {
        let mut out = b"before".to_vec();
        let refused = append_response(&mut out, 200, &[("Fine", "yes"), (name, value)], b"");
        assert_eq!(refused, Err(InvalidHeader), "{name:?}: {value:?}");
        assert_eq!(out, b"before");
    }
}

#[test]
fn lists_of_tokens() {
    assert_eq!(list(" a ,, b\t,").collect::<Vec<_>>(), ["a", "b"]);
    assert!(has_token(["keep-alive, Upgrade"].into_iter(), "upgrade"));
    assert!(has_token(["x", "upgrade"].into_iter(), "upgrade"));
    assert!(!has_token(["upgrades", "x upgrade"].into_iter(), "upgrade"));
    assert!(is_token("permessage-deflate") && is_token("!#$%&'*+-.^_`|~09azAZ"));
    for no in ["", "a b", "a,b", "\"a\"", "a/b", "é", "a\0"] {
        assert!(!is_token(no), "{no:?}");
    }
}

/// Text that is nearly a head: pieces that parsers stumble over, in any order.
fn pieces() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop::sample::select(vec![
        "GET",
        " ",
        "/",
        "HTTP/1.1",
        "HTTP/1.0 200 OK",
        "HTTP/1.1 101",
        "\r\n",
        "\r\n",
        "\r",
        "\n",
        "Host: h",
        "Host",
        ":",
        "a",
        "A: b",
        "a: \tb ",
        "Content-Length: 3",
        "Upgrade: websocket",
        "upgrade: h2c",
        "UPGRADE:",
        "Sec-WebSocket-Key: k",
        "ws://h/",
        "?q",
        "\t",
        "é",
        "*",
        "OPTIONS",
        "\0",
        "GET / HTTP/1.1\r\nHost: h\r\n",
    ]);
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat().into_bytes())
}

proptest! {
    #[test]
    fn heads_keep_their_properties(bytes in pieces()) {
        fuzzing::request_head(&bytes);
        fuzzing::response_head(&bytes);
    }

    #[test]
    fn any_bytes_keep_the_properties(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        fuzzing::request_head(&bytes);
        fuzzing::response_head(&bytes);
    }

    #[test]
    fn heads_at_the_limit_keep_the_properties(padding in 900usize..1100, cut in 0usize..4) {
        let text = format!("GET / HTTP/1.1\r\nHost: h\r\nA: {}\r\n\r\n", "a".repeat(padding));
        fuzzing::request_head(&text.as_bytes()[..text.len() - cut]);
    }
}
