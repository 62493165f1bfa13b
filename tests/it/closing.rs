//! The close handshake: one Close each way, nothing after it, and the server hangs up.

use std::net::Shutdown;

use socket2::SockRef;

use crate::harness::{Launch, Server, Wire, frame, op};

#[test]
fn a_close_is_answered_with_its_own_code() {
    let server = Server::start();
    let legal = [
        1000u16, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 3000, 4999,
    ];
    for code in legal {
        for reason in ["", "bye", "größer als nötig"] {
            let mut wire = Wire::open(server.addr());
            let payload = [&code.to_be_bytes()[..], reason.as_bytes()].concat();
            wire.send_frame(op::FIN | op::CLOSE, &payload);
            let answer = wire.read_frame().unwrap();
            assert_eq!(answer.close_code(), Some(code), "{reason:?}");
            // The reason may be dropped; anything else in its place would be somebody's memory.
            let echoed = &answer.payload[2..];
            assert!(
                echoed.is_empty() || echoed == reason.as_bytes(),
                "{echoed:?}"
            );
            wire.expect_end();
        }
    }
}

#[test]
fn a_close_without_a_code_is_answered() {
    let server = Server::start();
    let mut wire = Wire::open(server.addr());
    wire.send_frame(op::FIN | op::CLOSE, &[]);
    let answer = wire.read_frame().unwrap();
    assert_eq!(answer.first, op::FIN | op::CLOSE);
    assert!(
        matches!(answer.close_code(), None | Some(1000)),
        "{answer:?}"
    );
    wire.expect_end();
}

#[test]
fn the_longest_reason_is_legal() {
    let server = Server::start();
    let mut wire = Wire::open(server.addr());
    wire.send_frame(
        op::FIN | op::CLOSE,
        &[&[0x0f, 0xa0][..], &[b'r'; 123]].concat(),
    );
    assert_eq!(wire.expect_close(), 4000);
    wire.expect_end();
}

#[test]
fn nothing_is_answered_after_a_close() {
    let server = Server::start();
    let after = [
        frame(op::FIN | op::TEXT, b"too late"),
        frame(op::FIN | op::PING, b"anyone?"),
        frame(op::FIN | op::CLOSE, &[0x03, 0xe9]),
        frame(op::FIN | 0x03, b"not even legal"),
    ]
    .concat();
    let close = frame(op::FIN | op::CLOSE, &[0x03, 0xe8]);
    let mut wire = Wire::open(server.addr());
    wire.send(&[frame(op::FIN | op::TEXT, b"in time"), close, after].concat());
    wire.expect(op::FIN | op::TEXT, b"in time");
    assert_eq!(wire.expect_close(), 1000);
    wire.expect_end();
}

#[test]
fn a_close_in_the_middle_of_a_message_ends_it() {
    let server = Server::start();
    let mut wire = Wire::open(server.addr());
    wire.send_frame(op::TEXT, b"never finish");
    wire.send_frame(op::FIN | op::CLOSE, &[0x03, 0xe8]);
    assert_eq!(wire.expect_close(), 1000);
    wire.expect_end();
}

#[test]
fn both_sides_close_at_once_a_thousand_times() {
    let server = Launch::new().flag("close-timeout", "1s").start();
    let mut watch = server.watch();
    let before = server.vitals();
    for _ in 0..1_000 {
        let mut wire = Wire::open(server.addr());
        // The first frame makes the server close; our own Close is on its way by then.
        let broken = frame(op::FIN | 0x03, b"");
        wire.send(&[broken, frame(op::FIN | op::CLOSE, &[0x03, 0xe8])].concat());
        assert_eq!(wire.expect_close(), 1002);
        wire.expect_end();
    }
    watch.until("every descriptor is back", |now| {
        now.descriptors <= before.descriptors
    });
}

/// How a client can leave without a Close.
#[derive(Clone, Copy, Debug)]
enum Departure {
    HalfClose,
    Drop,
    Reset,
}

#[test]
fn leaving_without_a_close_leaves_nothing_behind() {
    let server = Launch::new().flag("close-timeout", "1s").start();
    let mut watch = server.watch();
    let before = server.vitals();
    let unfinished = frame(op::FIN | op::BINARY, &[9; 1_000]);
    for sent in [
        &[][..],
        &unfinished[..1],
        &unfinished[..500],
        &frame(op::TEXT, b"half"),
    ] {
        for departure in [Departure::HalfClose, Departure::Drop, Departure::Reset] {
            let mut wire = Wire::open(server.addr());
            wire.echo(op::TEXT, b"here");
            wire.send(sent);
            match departure {
                Departure::HalfClose => {
                    wire.stream.shutdown(Shutdown::Write).unwrap();
                    // A Close for the peer that can still read it, or nothing; then the end.
                    wire.read_to_end();
                }
                Departure::Drop => drop(wire),
                Departure::Reset => SockRef::from(&wire.stream)
                    .set_linger(Some(std::time::Duration::ZERO))
                    .unwrap(),
            }
        }
    }
    watch.until("every descriptor is back", |now| {
        now.descriptors <= before.descriptors
    });
}

#[test]
fn a_peer_that_ignores_our_close_is_dropped() {
    let server = Launch::new().flag("close-timeout", "300ms").start();
    let mut watch = server.watch();
    let before = server.vitals();
    let stubborn: Vec<_> = (0..20)
        .map(|_| {
            let mut wire = Wire::open(server.addr());
            wire.send_frame(op::FIN | 0x03, b"");
            assert_eq!(wire.expect_close(), 1002);
            wire
        })
        .collect();
    watch.until("the peers are gone", |now| {
        now.descriptors <= before.descriptors
    });
    drop(stubborn);
}
