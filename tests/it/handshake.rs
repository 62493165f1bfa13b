//! The opening handshake over a real socket: one answer, the right one, and then the end.

use crate::harness::{Server, Wire, op, upgrade_request};

/// A valid request with one line changed (`from` must occur) or added (`from` empty).
fn request(from: &str, to: &str) -> String {
    let valid = upgrade_request("");
    if from.is_empty() {
        return upgrade_request(to);
    }
    assert!(valid.contains(from), "{from}");
    valid.replacen(from, to, 1)
}

/// Sends `bytes`, reads until the server hangs up, gives all it said. One answer, not two.
fn answer(server: &Server, bytes: &[u8]) -> String {
    let mut wire = Wire::connect(server.addr());
    wire.send(bytes);
    let text = String::from_utf8_lossy(&wire.read_to_end()).into_owned();
    let status_lines = text.lines().filter(|line| line.starts_with("HTTP/1.1 "));
    let answers = status_lines.filter(|line| {
        line.as_bytes()[9..]
            .first_chunk::<3>()
            .is_some_and(|code| code.iter().all(u8::is_ascii_digit))
    });
    assert_eq!(answers.count(), 1, "{text}");
    text
}

fn status(answer: &str) -> u16 {
    let code = answer.split(' ').nth(1).unwrap_or_default();
    code.parse()
        .unwrap_or_else(|_| panic!("no status: {answer}"))
}

/// Any of the statuses of a row will do: the RFCs leave the choice.
fn check(table: &[(&str, String, &[u16])]) {
    let server = Server::start();
    for (name, request, allowed) in table {
        let answer = answer(&server, request.as_bytes());
        assert!(allowed.contains(&status(&answer)), "{name}: {answer}");
        assert!(!answer.contains("Sec-WebSocket-Accept"), "{name}: {answer}");
    }
    // Whatever it was sent, it still works.
    Wire::open(server.addr()).echo(op::TEXT, b"alive");
}

const KEY_LINE: &str = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

#[test]
fn the_example_of_the_rfc_gets_its_accept_key() {
    let server = Server::start();
    for request in [
        request("", ""),
        request("Upgrade: websocket", "upgrade:   WebSocket  "),
        request("Connection: Upgrade", "CONNECTION: keep-alive, upgrade"),
        request(
            "Connection: Upgrade",
            "Connection: keep-alive\r\nConnection: Upgrade",
        ),
        request("Upgrade: websocket", "Upgrade: h2c, websocket"),
        request("GET /echo ", "GET /echo?token=a&b=%20 "),
        request("", "Origin: https://example.test\r\nCookie: a=b\r\n"),
        request("", "Sec-WebSocket-Extensions: x-unknown; y=\"1,2\"\r\n"),
    ] {
        let mut wire = Wire::connect(server.addr());
        wire.send(request.as_bytes());
        let head = wire.read_head().unwrap();
        assert!(head.starts_with("HTTP/1.1 101 "), "{request}{head}");
        let lower = head.to_ascii_lowercase();
        assert!(lower.contains("upgrade: websocket\r\n"), "{head}");
        assert!(lower.contains("connection: upgrade\r\n"), "{head}");
        assert!(
            head.contains(": s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"),
            "{head}"
        );
        assert!(!lower.contains("sec-websocket-extensions"), "{head}");
        assert!(!lower.contains("sec-websocket-protocol"), "{head}");
        wire.echo(op::TEXT, b"in");
    }
}

#[test]
fn requests_that_do_not_upgrade_are_told_why() {
    check(&[
        (
            "another path",
            request("GET /echo ", "GET /nowhere "),
            &[404],
        ),
        ("POST", request("GET ", "POST "), &[405]),
        ("OPTIONS", request("GET ", "OPTIONS "), &[405]),
        (
            "no Upgrade",
            request("Upgrade: websocket\r\n", ""),
            &[400, 426],
        ),
        (
            "Upgrade: h2c",
            request("Upgrade: websocket", "Upgrade: h2c"),
            &[400, 426],
        ),
        (
            "no Connection",
            request("Connection: Upgrade\r\n", ""),
            &[400, 426],
        ),
        (
            "Connection: close",
            request("Connection: Upgrade", "Connection: close"),
            &[400, 426],
        ),
        ("version 12", request("Version: 13", "Version: 12"), &[426]),
        ("version 14", request("Version: 13", "Version: 14"), &[426]),
        (
            "no version",
            request("Sec-WebSocket-Version: 13\r\n", ""),
            &[400, 426],
        ),
        ("no key", request(KEY_LINE, ""), &[400]),
        ("two keys", request("", KEY_LINE), &[400]),
        (
            "key of 15 bytes",
            request("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25j"),
            &[400],
        ),
        (
            "key not base64",
            request("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZ!=="),
            &[400],
        ),
        ("no Host", request("Host: throng.test\r\n", ""), &[400]),
        ("two Hosts", request("", "Host: other.test\r\n"), &[400]),
        (
            "HTTP/1.0",
            request("HTTP/1.1", "HTTP/1.0"),
            &[400, 426, 505],
        ),
        ("HTTP/2.0", request("HTTP/1.1", "HTTP/2.0"), &[400, 505]),
        (
            "HTTP/2 by prior knowledge",
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".into(),
            &[400, 405, 505],
        ),
    ]);
}

#[test]
fn malformed_heads_are_refused() {
    let shapes: [(&str, String, &[u16]); 19] = [
        ("blank before the colon", request("Host:", "Host :"), &[400]),
        ("folded line", request("", "X-Long: a\r\n b\r\n"), &[400]),
        ("folded first line", request("Host:", " Host:"), &[400]),
        ("no colon", request("", "nonsense\r\n"), &[400]),
        ("no name", request("", ": nameless\r\n"), &[400]),
        ("NUL in a value", request("", "X-Nul: a\0b\r\n"), &[400]),
        ("CR in a value", request("", "X-Cr: a\rb\r\n"), &[400]),
        (
            "control byte in a name",
            request("", "X\x01: a\r\n"),
            &[400],
        ),
        ("bare LF", request("", "X-Lf: a\nX-Lf2: b\r\n"), &[400]),
        (
            "two blanks in the request line",
            request("GET /echo", "GET  /echo"),
            &[400],
        ),
        ("no target", request("GET /echo ", "GET "), &[400]),
        (
            "blank in the target",
            request("GET /echo ", "GET /echo x "),
            &[400],
        ),
        (
            "target without a slash",
            request("GET /echo ", "GET echo "),
            &[400],
        ),
        (
            "lower-case version",
            request("HTTP/1.1", "http/1.1"),
            &[400],
        ),
        (
            "TLS on the plain port",
            "\x16\x03\x01\x02\0\x01\0\x01\u{fc}\x03\x03\r\n\r\n".into(),
            &[400],
        ),
        (
            "100 KB of target",
            request("GET /echo ", &format!("GET /{} ", "a".repeat(100_000))),
            &[414, 431],
        ),
        (
            "20 KB of one header",
            request("", &format!("X-Big: {}\r\n", "a".repeat(20_000))),
            &[431],
        ),
        (
            "500 headers",
            request("", &"X-Many: 1\r\n".repeat(500)),
            &[400, 431],
        ),
        (
            "5 000 headers",
            request("", &"X: 1\r\n".repeat(5_000)),
            &[431],
        ),
    ];
    check(&shapes);
}

#[test]
fn smuggled_requests_are_never_answered() {
    let inner = "GET /healthz HTTP/1.1\r\nHost: throng.test\r\n\r\n";
    let with = |lines: &str, body: &str| upgrade_request(lines) + body;
    let plain = |lines: &str, body: &str| {
        format!("GET /healthz HTTP/1.1\r\nHost: throng.test\r\n{lines}\r\n{body}")
    };
    check(&[
        (
            "upgrade with a length",
            with(&format!("Content-Length: {}\r\n", inner.len()), inner),
            &[400],
        ),
        (
            "upgrade with chunks",
            with(
                "Transfer-Encoding: chunked\r\n",
                &format!("0\r\n\r\n{inner}"),
            ),
            &[400, 501],
        ),
        (
            "chunks over HTTP/1.0",
            with("Transfer-Encoding: chunked\r\n", inner).replacen("1.1", "1.0", 1),
            &[400, 426, 501, 505],
        ),
        (
            "length and chunks",
            plain(
                "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
                &format!("0\r\n\r\n{inner}"),
            ),
            &[400, 501],
        ),
        (
            "two lengths",
            plain("Content-Length: 0\r\nContent-Length: 44\r\n", inner),
            &[400],
        ),
        (
            "signed length",
            plain("Content-Length: +44\r\n", inner),
            &[400],
        ),
        (
            "length beyond 64 bits",
            plain("Content-Length: 99999999999999999999999\r\n", inner),
            &[400, 413],
        ),
        (
            "chunk size beyond 64 bits",
            plain(
                "Transfer-Encoding: chunked\r\n",
                "fffffffffffffffff1\r\n\r\n",
            ),
            &[400, 501],
        ),
        (
            "refused upgrade, then a request",
            request("Version: 13", "Version: 8") + inner,
            &[426],
        ),
        (
            "not found, then a request",
            request("GET /echo", "GET /else") + inner,
            &[404],
        ),
    ]);
}

#[test]
fn refusals_help() {
    let server = Server::start();
    let wrong_version = answer(&server, request("Version: 13", "Version: 25").as_bytes());
    assert!(
        wrong_version.contains("Sec-WebSocket-Version: 13\r\n"),
        "{wrong_version}"
    );
    let post = answer(&server, request("GET ", "POST ").as_bytes());
    assert!(post.contains("Allow: GET"), "{post}");

    let get = |path: &str| {
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: throng.test\r\nConnection: close\r\n\r\n");
        answer(&server, request.as_bytes())
    };
    let plain = get("/echo");
    assert_eq!(status(&plain), 426, "{plain}");
    assert!(plain.contains("Upgrade: websocket\r\n"), "{plain}");
    assert!(plain.contains("ws://"), "says what to do instead: {plain}");
    let root = get("/");
    assert!([404, 426].contains(&status(&root)), "{root}");
    assert!(root.contains("/echo"), "says where to go: {root}");
}

#[test]
fn healthz_answers_load_balancers() {
    let server = Server::start();
    for request in [
        "GET /healthz HTTP/1.1\r\nHost: throng.test\r\n\r\n",
        "GET /healthz HTTP/1.1\r\nHost: throng.test\r\nConnection: close\r\n\r\n",
        "GET /healthz?from=lb HTTP/1.1\r\nHost: throng.test\r\nUser-Agent: probe\r\n\r\n",
    ] {
        let answer = answer(&server, request.as_bytes());
        assert_eq!(status(&answer), 200, "{request}{answer}");
        assert!(answer.contains("Content-Length: "), "{answer}");
    }
}

#[test]
fn nothing_a_client_sends_becomes_a_header() {
    let server = Server::start();
    for request in [
        request("GET /echo ", "GET /%0d%0aX-Injected:%201 "),
        request("", "Sec-WebSocket-Protocol: a%0d%0aX-Injected: 1\r\n"),
        request("", "Sec-WebSocket-Protocol: \u{e9}\x7f\r\n"),
        request(
            "",
            "Sec-WebSocket-Extensions: permessage-deflate; X-Injected: 1\r\n",
        ),
        request("", "Origin: http://x\x0bX-Injected: 1\r\n"),
    ] {
        let mut wire = Wire::connect(server.addr());
        wire.send(request.as_bytes());
        wire.stream.shutdown(std::net::Shutdown::Write).unwrap();
        let answer = wire.read_to_end();
        let text = String::from_utf8_lossy(&answer);
        let head = text.split("\r\n\r\n").next().unwrap();
        assert!(!head.contains("\r\nX-Injected"), "{request}{text}");
        let control = head
            .bytes()
            .find(|&byte| byte < b' ' && !b"\r\n".contains(&byte));
        assert_eq!(control, None, "{request}{text}");
    }
}

#[test]
fn head_is_answered_like_get_without_the_body() {
    let server = Server::start();
    let answer = |method: &str| {
        let mut wire = Wire::connect(server.addr());
        wire.send(format!("{method} /healthz HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes());
        String::from_utf8(wire.read_to_end()).unwrap()
    };
    let (get, head) = (answer("GET"), answer("HEAD"));
    assert_eq!(get.strip_suffix("ok\n"), Some(&head[..]));
}
