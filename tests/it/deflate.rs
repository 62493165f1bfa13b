//! permessage-deflate over a real socket, against an inflater that is not ours (miniz).

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};

use crate::harness::{Launch, Server, Wire, frame, op};

/// A connection with the extension agreed on, and the client's two windows.
struct Deflated {
    wire: Wire,
    agreed: String,
    deflater: Compress,
    inflater: Decompress,
}

impl Deflated {
    fn open(server: &Server, offer: &str) -> Self {
        let mut wire = Wire::connect(server.addr());
        let head = wire.upgrade(&format!("Sec-WebSocket-Extensions: {offer}\r\n"));
        let agreed = agreed_in(&head).unwrap_or_else(|| panic!("{offer} was declined: {head}"));
        Self {
            wire,
            agreed,
            deflater: Compress::new(Compression::default(), false),
            inflater: Decompress::new(false),
        }
    }

    /// The RFC 7692 payload of `message`, with or without memory of the ones before.
    fn deflate(&mut self, message: &[u8]) -> Vec<u8> {
        if self.agreed.contains("client_no_context_takeover") {
            self.deflater.reset();
        }
        let mut out = Vec::with_capacity(message.len() + message.len() / 8 + 64);
        self.deflater
            .compress_vec(message, &mut out, FlushCompress::Sync)
            .unwrap();
        assert!(out.ends_with(TAIL));
        out.truncate(out.len() - TAIL.len());
        out
    }

    fn inflate(&mut self, payload: &[u8], len_max: usize) -> Vec<u8> {
        if self.agreed.contains("server_no_context_takeover") {
            self.inflater.reset(false);
        }
        let mut out = Vec::with_capacity(len_max + 64);
        let whole = [payload, TAIL].concat();
        self.inflater
            .decompress_vec(&whole, &mut out, FlushDecompress::Sync)
            .unwrap();
        out
    }

    fn send(&mut self, opcode: u8, message: &[u8]) {
        let payload = self.deflate(message);
        self.wire.send_frame(op::FIN | op::RSV1 | opcode, &payload);
    }

    /// The next message must be this one, compressed or not.
    fn expect(&mut self, opcode: u8, message: &[u8]) {
        let got = self.wire.read_frame().expect("a message");
        let payload = match got.first & op::RSV1 {
            0 => got.payload,
            _ => self.inflate(&got.payload, message.len()),
        };
        assert_eq!(got.first & !op::RSV1, op::FIN | opcode);
        assert!(
            payload == message,
            "{} bytes for {}",
            payload.len(),
            message.len()
        );
    }
}

/// What the flush adds and RFC 7692 takes away.
const TAIL: &[u8] = &[0, 0, 0xff, 0xff];

fn agreed_in(head: &str) -> Option<String> {
    let line = head.lines().find(|line| {
        let name = line.split(':').next().unwrap_or_default();
        name.eq_ignore_ascii_case("Sec-WebSocket-Extensions")
    })?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn server_with(mode: &str) -> Server {
    Launch::new().flag("deflate", mode).start()
}

fn sentence(number: usize) -> String {
    format!("Message {number}: the quick brown fox jumps over the lazy dog, again and again. ")
        .repeat(number % 50 + 1)
}

#[test]
fn compressed_messages_come_back_in_every_mode() {
    // None lets the server choose the client's window: this client's deflater always uses 15 bits.
    let offers = [
        "permessage-deflate",
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
        "permessage-deflate; server_max_window_bits=10",
    ];
    for (mode, window) in [("shared", 15), ("dedicated", 12), ("dedicated", 15)] {
        let server = Launch::new()
            .flag("deflate", mode)
            .flag("deflate-window", window)
            .start();
        for offer in offers {
            let mut client = Deflated::open(&server, offer);
            for number in 0..100 {
                client.send(op::TEXT, sentence(number).as_bytes());
                client.expect(op::TEXT, sentence(number).as_bytes());
            }
            let noise: Vec<u8> = (0..100_000u32)
                .map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8)
                .collect();
            client.send(op::BINARY, &noise);
            client.expect(op::BINARY, &noise);
            client.send(op::TEXT, b"");
            client.expect(op::TEXT, b"");
        }
    }
}

#[test]
fn a_long_compressible_message_is_answered_compressed() {
    let server = Server::start();
    let mut client = Deflated::open(&server, "permessage-deflate");
    let text = sentence(49).into_bytes();
    client.send(op::TEXT, &text);
    let got = client.wire.read_frame().unwrap();
    assert_eq!(got.first, op::FIN | op::RSV1 | op::TEXT);
    assert!(got.payload.len() < text.len() / 4, "{}", got.payload.len());
    assert!(client.inflate(&got.payload, text.len()) == text);
}

#[test]
fn the_examples_of_rfc_7692_decode() {
    let server = Server::start();
    for (name, payload) in [
        ("one block", &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00][..]),
        (
            "a stored block",
            &[
                0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00,
            ],
        ),
        ("BFINAL", &[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00]),
        (
            "two blocks",
            &[
                0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00,
            ],
        ),
    ] {
        let mut client = Deflated::open(&server, "permessage-deflate");
        client
            .wire
            .send_frame(op::FIN | op::RSV1 | op::TEXT, payload);
        client.expect(op::TEXT, b"Hello");
        // In fragments; only the first one carries RSV1.
        for cut in 0..=payload.len() {
            let mut client = Deflated::open(&server, "permessage-deflate");
            client.wire.send_frame(op::RSV1 | op::TEXT, &payload[..cut]);
            client.wire.send_frame(op::FIN | op::PING, name.as_bytes());
            client.wire.expect(op::FIN | op::PONG, name.as_bytes());
            client
                .wire
                .send_frame(op::FIN | op::CONTINUATION, &payload[cut..]);
            client.expect(op::TEXT, b"Hello");
        }
    }
}

#[test]
fn takeover_remembers_the_message_before() {
    // A smaller window than the client's could not be kept for it.
    let server = Launch::new()
        .flag("deflate", "dedicated")
        .flag("deflate-window", 15)
        .start();
    let mut client = Deflated::open(&server, "permessage-deflate");
    assert!(
        !client.agreed.contains("client_no_context_takeover"),
        "{}",
        client.agreed
    );
    client.wire.send_frame(
        op::FIN | op::RSV1 | op::TEXT,
        &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00],
    );
    client.expect(op::TEXT, b"Hello");
    // The second Hello of RFC 7692, 7.2.3.2: nothing but a reference to the first.
    client.wire.send_frame(
        op::FIN | op::RSV1 | op::TEXT,
        &[0xf2, 0x00, 0x11, 0x00, 0x00],
    );
    client.expect(op::TEXT, b"Hello");
}

#[test]
fn uncompressed_messages_are_still_welcome() {
    let server = Server::start();
    let mut client = Deflated::open(&server, "permessage-deflate");
    for number in 0..10 {
        client
            .wire
            .send_frame(op::FIN | op::TEXT, sentence(number).as_bytes());
        client.expect(op::TEXT, sentence(number).as_bytes());
        client.send(op::TEXT, sentence(number).as_bytes());
        client.expect(op::TEXT, sentence(number).as_bytes());
    }
}

#[test]
fn offers_that_cannot_be_met_are_declined() {
    let server = server_with("dedicated");
    for offer in [
        "permessage-deflate; server_max_window_bits=7",
        "permessage-deflate; server_max_window_bits=16",
        "permessage-deflate; server_max_window_bits=1000",
        "permessage-deflate; server_max_window_bits=08",
        "permessage-deflate; server_max_window_bits",
        "permessage-deflate; client_max_window_bits=99999999999999999999",
        "permessage-deflate; server_no_context_takeover=1",
        "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
        "permessage-deflate; unknown",
        "permessage-bzip2",
        "x-webkit-deflate-frame",
    ] {
        let mut wire = Wire::connect(server.addr());
        let head = wire.upgrade(&format!("Sec-WebSocket-Extensions: {offer}\r\n"));
        if head.starts_with("HTTP/1.1 101 ") {
            assert_eq!(agreed_in(&head), None, "{offer}: {head}");
            wire.echo(op::TEXT, b"without it");
        } else {
            assert!(head.starts_with("HTTP/1.1 400 "), "{offer}: {head}");
        }
    }
    // A good offer behind a bad one is taken.
    let two = "permessage-deflate; server_max_window_bits=77, permessage-deflate";
    let mut client = Deflated::open(&server, two);
    client.send(op::TEXT, b"with it");
    client.expect(op::TEXT, b"with it");
}

#[test]
fn broken_compressed_frames_are_refused() {
    let server = Server::start();
    let reserved_block = [0x07u8, 0xff, 0xff, 0xff];
    let hello = [0xf2u8, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
    let text = op::FIN | op::RSV1 | op::TEXT;
    let not_utf8 = Deflated::open(&server, "permessage-deflate").deflate(b"caf\xe9 au lait");
    let table = [
        ("not deflate", frame(text, &reserved_block), 1007),
        ("not UTF-8 inside", frame(text, &not_utf8), 1007),
        (
            "RSV1 on a ping",
            frame(op::FIN | op::RSV1 | op::PING, &hello),
            1002,
        ),
        (
            "RSV1 on a close",
            frame(op::FIN | op::RSV1 | op::CLOSE, &[0x03, 0xe8]),
            1002,
        ),
        (
            "RSV1 on a continuation",
            [
                frame(op::RSV1 | op::TEXT, &hello[..3]),
                frame(op::FIN | op::RSV1 | op::CONTINUATION, &hello[3..]),
            ]
            .concat(),
            1002,
        ),
    ];
    for (name, stream, code) in table {
        let mut client = Deflated::open(&server, "permessage-deflate");
        client.wire.send(&stream);
        assert_eq!(client.wire.expect_close(), code, "{name}");
        client.wire.expect_end();
    }
}

/// A compressed payload that inflates to `len` zeros: about a thousandth of it on the wire.
fn bomb(len: usize) -> Vec<u8> {
    let mut deflater = Compress::new(Compression::best(), false);
    let mut out = Vec::with_capacity(len / 500 + 64);
    deflater
        .compress_vec(&vec![0; len], &mut out, FlushCompress::Sync)
        .unwrap();
    out.truncate(out.len() - TAIL.len());
    out
}

#[test]
fn bombs_are_refused_while_they_inflate() {
    let limit = 1 << 20;
    let server = Launch::new().flag("max-message", limit).start();
    let bomb = bomb(256 << 20);
    assert!(
        bomb.len() < limit,
        "{}: refused for its size on the wire",
        bomb.len()
    );
    let before = server.vitals();
    let mut clients: Vec<_> = (0..20)
        .map(|_| Deflated::open(&server, "permessage-deflate"))
        .collect();
    let mut beside = Wire::open(server.addr());
    for client in &mut clients {
        client
            .wire
            .send_frame(op::FIN | op::RSV1 | op::BINARY, &bomb);
        beside.echo(op::TEXT, b"unharmed");
    }
    for client in &mut clients {
        assert_eq!(client.wire.expect_close(), 1009);
        client.wire.expect_end();
    }
    let growth = server.vitals().rss_growth(&before);
    assert!(growth < 20 * limit as u64 + (8 << 20), "{growth} bytes");
}

#[test]
fn the_limit_is_exact_after_inflating() {
    let server = Launch::new().flag("max-message", 100_000).start();
    let mut client = Deflated::open(&server, "permessage-deflate");
    client.send(op::BINARY, &vec![0; 100_000]);
    client.expect(op::BINARY, &vec![0; 100_000]);
    client.send(op::BINARY, &vec![0; 100_001]);
    assert_eq!(client.wire.expect_close(), 1009);
    client.wire.expect_end();
}

#[test]
fn idle_deflated_connections_hold_no_context() {
    let server = server_with("shared");
    let mut warm = Deflated::open(&server, "permessage-deflate");
    warm.send(op::TEXT, sentence(20).as_bytes());
    warm.expect(op::TEXT, sentence(20).as_bytes());
    let before = server.vitals();
    let clients: Vec<_> = (0..200)
        .map(|_| {
            let mut client = Deflated::open(&server, "permessage-deflate");
            client.send(op::TEXT, sentence(20).as_bytes());
            client.expect(op::TEXT, sentence(20).as_bytes());
            client
        })
        .collect();
    // One window each would be 6.5 MB.
    let growth = server.vitals().rss_growth(&before);
    assert!(growth < 1 << 20, "{growth} bytes for 200 connections");
    drop(clients);
}
