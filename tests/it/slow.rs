//! Peers that take their time: what is slow is served, what is stuck is dropped.

use crate::harness::{Launch, Server, Wire, frame, op, upgrade_request};

/// CPU the server spent on `bytes` sent one at a time, in ticks of 10 ms, and its answer.
fn byte_by_byte(server: &Server, bytes: &[u8]) -> (u64, String) {
    use std::io::Write;
    let before = server.vitals().cpu_ticks;
    let mut wire = Wire::connect(server.addr());
    for byte in bytes {
        // A head that is refused is refused before its end.
        if wire.stream.write_all(&[*byte]).is_err() {
            break;
        }
    }
    let head = wire.read_head().unwrap_or_default();
    (server.vitals().cpu_ticks - before, head)
}

#[test]
fn a_head_sent_byte_by_byte_costs_no_more_than_its_bytes() {
    let server = Server::start();
    let long = upgrade_request(&format!("X-Long: {}\r\n", "a".repeat(14_000)));
    let (ticks, head) = byte_by_byte(&server, long.as_bytes());
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    assert!(ticks < 100, "{ticks} ticks for 14 KB");

    let too_long = upgrade_request(&format!("X-Long: {}\r\n", "a".repeat(20_000)));
    let (ticks, head) = byte_by_byte(&server, too_long.as_bytes());
    assert!(
        head.is_empty() || head.starts_with("HTTP/1.1 431 "),
        "{head}"
    );
    assert!(ticks < 100, "{ticks} ticks for 20 KB");
}

#[test]
fn an_endless_head_is_cut_at_the_limit() {
    use std::io::Write;
    let server = Launch::new().flag("close-timeout", "300ms").start();
    let before = server.vitals();
    let mut wire = Wire::connect(server.addr());
    wire.send(b"GET /echo HTTP/1.1\r\nX-Endless: ");
    let refused = (0..100_000).any(|_| wire.stream.write_all(&[b'a'; 4_096]).is_err());
    assert!(refused, "400 MB of header were taken");
    let growth = server.vitals().rss_growth(&before);
    assert!(growth < 4 << 20, "{growth} bytes");
}

#[test]
fn silent_connections_are_dropped_at_the_handshake_timeout() {
    let server = Launch::new().flag("handshake-timeout", "500ms").start();
    let mut watch = server.watch();
    let before = server.vitals();
    let mut silent = Wire::connect(server.addr());
    let mut half = Wire::connect(server.addr());
    half.send(b"GET /echo HTTP/1.1\r\nHost: thr");
    let mut dripping = Wire::connect(server.addr());
    // One more byte with each turn does not buy more time.
    while watch_says_open(&mut watch, &mut dripping) {}
    for wire in [&mut silent, &mut half] {
        let said = String::from_utf8(wire.read_to_end()).unwrap();
        assert!(
            said.is_empty() || said.starts_with("HTTP/1.1 408 "),
            "{said}"
        );
    }
    watch.until("the descriptors are back", |now| {
        now.descriptors <= before.descriptors
    });
}

/// Sends one more byte of a header; false once the server has hung up.
fn watch_says_open(watch: &mut crate::harness::Watch, wire: &mut Wire) -> bool {
    use std::io::Write;
    watch.until("a turn", |_| true);
    wire.stream.write_all(b"G").is_ok()
}

#[test]
fn an_unfinished_message_is_given_up_with_1008() {
    let server = Launch::new().flag("message-timeout", "500ms").start();
    let unfinished = [
        frame(op::TEXT, b"to be continued"),
        frame(op::FIN | op::BINARY, &[1; 300])[..200].to_vec(),
        vec![0x82, 0xfe, 1],
    ];
    for (at, begun) in unfinished.iter().enumerate() {
        let mut wire = Wire::open(server.addr());
        wire.echo(op::TEXT, b"complete");
        wire.send(begun);
        assert_eq!(wire.expect_close(), 1008, "{at}");
        wire.expect_end();
    }
}

#[test]
fn pings_within_an_unfinished_message_do_not_prolong_it() {
    let server = Launch::new().flag("message-timeout", "500ms").start();
    let mut wire = Wire::open(server.addr());
    wire.send_frame(op::TEXT, b"to be continued");
    let code = loop {
        wire.send_frame(op::FIN | op::PING, b"");
        let got = wire.read_frame().unwrap();
        if let Some(code) = got.close_code() {
            break code;
        }
        assert_eq!(got.first, op::FIN | op::PONG);
    };
    assert_eq!(code, 1008);
}

#[test]
fn silence_is_pinged_and_a_pong_keeps_the_connection() {
    // An answer may take this test three seconds: a busy machine keeps it waiting, too.
    let server = Launch::new()
        .flag("ping-interval", "300ms")
        .flag("pong-timeout", "3s")
        .start();
    let mut answering = Wire::open(server.addr());
    let mut mute = Wire::open(server.addr());
    for _ in 0..6 {
        let ping = answering.read_frame().unwrap();
        assert_eq!(ping.first, op::FIN | op::PING);
        answering.send_frame(op::FIN | op::PONG, &ping.payload);
    }
    answering.echo(op::TEXT, b"still here");
    // By now the other one has been silent for six intervals, and it stays so.
    let ping = mute.read_frame().unwrap();
    assert_eq!(ping.first, op::FIN | op::PING);
    let rest = mute.read_to_end();
    assert!(rest.len() <= 2 + 125, "a Close at most: {rest:?}");
}

#[test]
fn a_server_that_stood_still_does_not_blame_its_peers() {
    let server = Launch::new()
        .flag("ping-interval", "500ms")
        .flag("pong-timeout", "3s")
        .start();
    let mut wires: Vec<_> = (0..20).map(|_| Wire::open(server.addr())).collect();
    server.signal("STOP");
    // Longer than both timeouts together; a wait for nobody is the only clock in here. (Not a read: on a busy
    // machine some were pinged before the server was stopped.)
    let (_never, nobody) = std::sync::mpsc::channel::<()>();
    let waited = nobody.recv_timeout(std::time::Duration::from_secs(4));
    assert!(waited.is_err());
    server.signal("CONT");
    for wire in &mut wires {
        let ping = wire.read_frame().unwrap();
        assert_eq!(ping.first, op::FIN | op::PING, "{ping:?}");
        wire.send_frame(op::FIN | op::PONG, &ping.payload);
    }
    for wire in &mut wires {
        wire.send_frame(op::FIN | op::TEXT, b"all here");
        let echoed =
            std::iter::from_fn(|| wire.read_frame()).find(|got| got.first == op::FIN | op::TEXT);
        assert!(echoed.is_some_and(|got| got.payload == b"all here"));
    }
}
