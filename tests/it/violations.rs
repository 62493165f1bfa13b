//! Every way to break RFC 6455 that a client can send, and the close code it must earn.

use crate::harness::{Launch, Server, Wire, frame, op, unmasked_frame};

/// Sends `stream` on a fresh connection; the answer must be one Close frame, then the end.
fn close_code_for(server: &Server, stream: &[u8]) -> u16 {
    let mut wire = Wire::open(server.addr());
    wire.send(stream);
    let code = wire.expect_close();
    wire.expect_end();
    code
}

fn check(server: &Server, code: u16, table: &[(&str, Vec<u8>)]) {
    for (name, stream) in table {
        assert_eq!(close_code_for(server, stream), code, "{name}");
        // What came before is answered first; what comes after is not answered at all.
        let before = frame(op::FIN | op::TEXT, b"before");
        let after = frame(op::FIN | op::TEXT, b"after");
        let mut wire = Wire::open(server.addr());
        wire.send(&[&before[..], stream, &after].concat());
        wire.expect(op::FIN | op::TEXT, b"before");
        assert_eq!(wire.expect_close(), code, "{name}, between two messages");
        wire.expect_end();
    }
}

fn named(name: &str, stream: Vec<u8>) -> (&str, Vec<u8>) {
    (name, stream)
}

#[test]
fn broken_frames_earn_1002() {
    let server = Server::start();
    let mut table = vec![
        named("no mask", unmasked_frame(op::FIN | op::TEXT, b"bare")),
        named("no mask, empty", unmasked_frame(op::FIN | op::TEXT, b"")),
        named("no mask on a ping", unmasked_frame(op::FIN | op::PING, b"")),
        named("RSV1 without an extension", frame(0xc1, b"x")),
        named("RSV2", frame(0xa1, b"x")),
        named("RSV3", frame(0x91, b"x")),
        named("RSV1 on a ping", frame(0xc9, b"x")),
        named("fragmented ping", frame(op::PING, b"")),
        named("fragmented pong", frame(op::PONG, b"")),
        named("fragmented close", frame(op::CLOSE, &[0x03, 0xe8])),
        named("ping of 126", frame(op::FIN | op::PING, &[b'x'; 126])),
        named("pong of 126", frame(op::FIN | op::PONG, &[b'x'; 126])),
        named("close of 126", frame(op::FIN | op::CLOSE, &[b'x'; 126])),
        named(
            "nothing to continue",
            frame(op::FIN | op::CONTINUATION, b"x"),
        ),
        named(
            "nothing to continue, not final",
            frame(op::CONTINUATION, b"x"),
        ),
        named(
            "a message within a message",
            [frame(op::TEXT, b"a"), frame(op::FIN | op::TEXT, b"b")].concat(),
        ),
        named(
            "a second first fragment",
            [frame(op::BINARY, b"a"), frame(op::BINARY, b"b")].concat(),
        ),
        named(
            "125 in the 16-bit form",
            vec![0x82, 0xfe, 0, 125, 1, 2, 3, 4],
        ),
        named("0 in the 16-bit form", vec![0x82, 0xfe, 0, 0, 1, 2, 3, 4]),
        named(
            "65 535 in the 64-bit form",
            vec![0x82, 0xff, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 1, 2, 3, 4],
        ),
        named(
            "a ping in the 16-bit form",
            vec![0x89, 0xfe, 0, 4, 1, 2, 3, 4, 5, 6, 7, 8],
        ),
    ];
    for opcode in (3..=7).chain(11..=15) {
        table.push(("a reserved opcode", frame(op::FIN | opcode, b"x")));
    }
    check(&server, 1002, &table);
}

#[test]
fn broken_close_payloads_earn_1002() {
    let server = Server::start();
    let close = |payload: &[u8]| named("", frame(op::FIN | op::CLOSE, payload));
    let mut table = vec![close(&[3])];
    for code in [
        0u16, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535,
    ] {
        table.push(close(&code.to_be_bytes()));
        table.push(close(&[&code.to_be_bytes()[..], b"because"].concat()));
    }
    check(&server, 1002, &table);
}

#[test]
fn bytes_that_are_not_utf8_earn_1007() {
    let server = Server::start();
    let text = |bytes: &[u8]| named("text", frame(op::FIN | op::TEXT, bytes));
    let table = [
        text(b"\xff"),
        text(b"abc\x80"),
        text(b"\xc0\xaf"),
        text(b"\xe0\x80\xaf"),
        text(b"\xed\xa0\x80"),
        text(b"\xf0\x80\x80\xaf"),
        text(b"\xf4\x90\x80\x80"),
        text(b"\xf5\x80\x80\x80"),
        text(b"\xce\xba\xe1\xbd"),
        text(&[&[b'x'; 5_000][..], b"\xf8"].concat()),
        named("close", frame(op::FIN | op::CLOSE, b"\x03\xe8\xed\xbf\xbf")),
        named(
            "second fragment",
            [
                frame(op::TEXT, b"a"),
                frame(op::FIN | op::CONTINUATION, b"\xff"),
            ]
            .concat(),
        ),
        named(
            "cut at the end of the message",
            [
                frame(op::TEXT, b"\xe2\x82"),
                frame(op::FIN | op::CONTINUATION, b""),
            ]
            .concat(),
        ),
    ];
    check(&server, 1007, &table);
}

#[test]
fn bad_utf8_is_refused_before_its_message_is_complete() {
    let server = Server::start();
    // Never finished: a server that waits for FIN would wait for ever.
    assert_eq!(close_code_for(&server, &frame(op::TEXT, b"\xf4\x90")), 1007);
    // Nor is the frame: its header announces 1 000 bytes.
    let mut begun = frame(
        op::FIN | op::TEXT,
        &[&b"fine \xed\xa0"[..], &[b'x'; 993]].concat(),
    );
    begun.truncate(8 + 20);
    assert_eq!(close_code_for(&server, &begun), 1007);
}

#[test]
fn lengths_beyond_the_limit_are_refused_from_the_header() {
    let server = Launch::new().flag("max-message", 100_000).start();
    let before = server.vitals();
    for (len, code) in [
        (100_001, 1009),
        (1 << 31, 1009),
        ((1 << 32) + 5, 1009),
        (1 << 62, 1009),
        (i64::MAX as u64, 1009),
        (1 << 63, 1002),
        (u64::MAX, 1002),
    ] {
        for first in [op::FIN | op::BINARY, op::FIN | op::TEXT, op::BINARY] {
            let header = [&[first, 0xff][..], &len.to_be_bytes(), &[1, 2, 3, 4]].concat();
            assert_eq!(close_code_for(&server, &header), code, "{len}");
        }
    }
    let growth = server.vitals().rss_growth(&before);
    assert!(growth < 4 << 20, "{growth} bytes for headers alone");
}

#[test]
fn the_limit_counts_what_is_already_assembled() {
    let server = Launch::new().flag("max-message", 1_000).start();
    let mut wire = Wire::open(server.addr());
    wire.echo(op::BINARY, &[7; 1_000]);
    wire.send_frame(op::BINARY, &[7; 600]);
    wire.send_frame(op::FIN | op::CONTINUATION, &[7; 400]);
    wire.expect(op::FIN | op::BINARY, &[7; 1_000]);
    let table = [
        named("one byte more", frame(op::FIN | op::BINARY, &[7; 1_001])),
        named(
            "one byte more, in fragments",
            [
                frame(op::BINARY, &[7; 600]),
                frame(op::CONTINUATION, &[7; 401]),
            ]
            .concat(),
        ),
    ];
    check(&server, 1009, &table);
}

#[test]
fn empty_fragments_without_end_earn_1008() {
    let server = Server::start();
    let trickle = frame(op::CONTINUATION, b"").repeat(100_000);
    let stream = [frame(op::TEXT, b""), trickle].concat();
    assert_eq!(close_code_for(&server, &stream), 1008);
}
