//! What `/echo` promises: the same opcode, the whole message, in order.

use std::net::TcpStream;

use tungstenite::{Message, WebSocket, client};

use crate::harness::{Launch, PATIENCE, Server, Wire, frame, op, upgrade_request};

/// Every form of length, and both sides of each border between them.
const LENGTHS: [usize; 13] = [
    0,
    1,
    124,
    125,
    126,
    127,
    128,
    4_096,
    65_535,
    65_536,
    65_537,
    300_000,
    1 << 20,
];

/// A client we did not write.
fn tungstenite_to(server: &Server) -> WebSocket<TcpStream> {
    let stream = TcpStream::connect(server.addr()).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    client(server.url(), stream).unwrap().0
}

/// Valid UTF-8 of exactly this many bytes, not all of it ASCII.
fn text_of(len: usize) -> String {
    let mut text = "Übergrößenträger · ".repeat(len / 19 + 1);
    while !text.is_char_boundary(len) {
        text.insert(0, '.');
    }
    text.truncate(len);
    text
}

fn bytes_of(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at * 31 + at / 251) as u8).collect()
}

#[test]
fn tungstenite_gets_every_length_back() {
    let server = Server::start();
    let mut socket = tungstenite_to(&server);
    for len in LENGTHS {
        for message in [Message::text(text_of(len)), Message::binary(bytes_of(len))] {
            socket.send(message.clone()).unwrap();
            assert!(socket.read().unwrap() == message, "{len} bytes");
        }
    }
    socket.close(None).unwrap();
    while socket.read().is_ok() {}
    assert!(!socket.can_read());
}

#[test]
fn a_client_of_our_own_gets_every_length_back() {
    let server = Server::start();
    let mut wire = Wire::open(server.addr());
    for len in LENGTHS {
        wire.echo(op::TEXT, text_of(len).as_bytes());
        wire.echo(op::BINARY, &bytes_of(len));
    }
}

#[test]
fn many_frames_in_one_write_come_back_in_order() {
    let server = Server::start();
    let mut wire = Wire::open(server.addr());
    let message = |number: usize| format!("{number}:{}", text_of(number % 200));
    let burst: Vec<u8> = (0..2_000)
        .flat_map(|number| frame(op::FIN | op::TEXT, message(number).as_bytes()))
        .collect();
    wire.send(&burst);
    for number in 0..2_000 {
        wire.expect(op::FIN | op::TEXT, message(number).as_bytes());
    }
}

#[test]
fn every_cut_of_two_frames_makes_no_difference() {
    let server = Server::start();
    let mut wire = Wire::open(server.addr());
    let long = text_of(150);
    let stream = [
        frame(op::FIN | op::TEXT, "grün".as_bytes()),
        frame(op::FIN | op::TEXT, long.as_bytes()),
    ]
    .concat();
    for cut in 1..stream.len() {
        // Without Nagle each piece is a segment of its own; the reply to the first frame, where
        // there is one, is awaited before the rest is sent, so the server did see the cut.
        let (first, rest) = stream.split_at(cut);
        wire.send(first);
        if cut >= 11 {
            wire.expect(op::FIN | op::TEXT, "grün".as_bytes());
        }
        wire.send(rest);
        if cut < 11 {
            wire.expect(op::FIN | op::TEXT, "grün".as_bytes());
        }
        wire.expect(op::FIN | op::TEXT, long.as_bytes());
    }
}

#[test]
fn fragments_come_back_as_one_message() {
    let server = Server::start();
    let mut wire = Wire::open(server.addr());
    // A code point cut by the border between fragments is none of the server's business.
    let text = "aß€🙂".as_bytes();
    for cut in 0..=text.len() {
        wire.send_frame(op::TEXT, &text[..cut]);
        wire.send_frame(op::FIN | op::CONTINUATION, &text[cut..]);
        wire.expect(op::FIN | op::TEXT, text);
    }
    wire.send_frame(op::BINARY, &[]);
    wire.send_frame(op::CONTINUATION, &[]);
    wire.send_frame(op::FIN | op::CONTINUATION, &[]);
    wire.expect(op::FIN | op::BINARY, &[]);
}

#[test]
fn as_many_fragments_as_autobahn_sends() {
    let server = Launch::new().flag("max-message", 4 << 20).start();
    let mut wire = Wire::open(server.addr());
    let bytes = bytes_of(4 << 20);
    let pieces = bytes.chunks(64);
    let last = pieces.len() - 1;
    assert_eq!(last, 65_535);
    let stream: Vec<u8> = pieces
        .enumerate()
        .flat_map(|(at, piece)| {
            let opcode = if at == 0 {
                op::BINARY
            } else {
                op::CONTINUATION
            };
            let fin = if at == last { op::FIN } else { 0 };
            frame(fin | opcode, piece)
        })
        .collect();
    wire.send(&stream);
    wire.expect(op::FIN | op::BINARY, &bytes);
}

#[test]
fn a_ping_between_fragments_is_answered_at_once() {
    let server = Server::start();
    let mut wire = Wire::open(server.addr());
    wire.send_frame(op::TEXT, b"first half, ");
    wire.send_frame(op::FIN | op::PING, b"still there?");
    wire.expect(op::FIN | op::PONG, b"still there?");
    wire.send_frame(op::FIN | op::CONTINUATION, b"second half");
    wire.expect(op::FIN | op::TEXT, b"first half, second half");
}

#[test]
fn pings_carry_up_to_125_bytes_and_pongs_are_not_answered() {
    let server = Server::start();
    let mut wire = Wire::open(server.addr());
    for len in [0, 1, 124, 125] {
        wire.send_frame(op::FIN | op::PONG, &bytes_of(len));
        wire.send_frame(op::FIN | op::PING, &bytes_of(len));
        wire.expect(op::FIN | op::PONG, &bytes_of(len));
    }
}

#[test]
fn frames_behind_the_request_are_not_lost() {
    let server = Server::start();
    let mut wire = Wire::connect(server.addr());
    let mut stream = upgrade_request("").into_bytes();
    stream.extend(frame(op::FIN | op::TEXT, b"early"));
    stream.extend(frame(op::FIN | op::PING, b"bird"));
    wire.send(&stream);
    let head = wire.read_head().unwrap();
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    wire.expect(op::FIN | op::TEXT, b"early");
    wire.expect(op::FIN | op::PONG, b"bird");
}

#[test]
fn connections_do_not_mix_on_two_workers() {
    let server = Launch::new().workers(2).start();
    let mut wires: Vec<_> = (0..64).map(|_| Wire::open(server.addr())).collect();
    for round in 0..20 {
        let message = |at: usize| format!("connection {at} round {round}");
        for (at, wire) in wires.iter_mut().enumerate() {
            wire.send_frame(op::FIN | op::TEXT, message(at).as_bytes());
        }
        for (at, wire) in wires.iter_mut().enumerate().rev() {
            wire.expect(op::FIN | op::TEXT, message(at).as_bytes());
        }
    }
}
