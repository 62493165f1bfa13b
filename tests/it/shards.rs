//! More connections than one worker's descriptors: workers join, and nobody is lost on the way.

use throng::sys::rlimit::raise_nofile;

use crate::harness::{Launch, Wire, op};

/// Room for fewer than 200 connections per worker.
const DESCRIPTORS: u32 = 256;

#[test]
fn workers_join_and_every_connection_is_served() {
    raise_nofile().expect("the usual hard limit is far above what is needed here");
    let mut server = Launch::new()
        .descriptors_max(DESCRIPTORS)
        .flag("max-connections", 1000)
        .flag("drain-secs", "0")
        .start();
    let mut wires: Vec<_> = (0..1000).map(|_| Wire::open(server.addr())).collect();
    for wire in &mut wires {
        wire.echo(op::TEXT, b"wherever I am");
    }
    let late = {
        let mut wire = Wire::connect(server.addr());
        wire.upgrade("")
    };
    assert!(
        late.starts_with("HTTP/1.1 503 "),
        "the house is full: {late}"
    );
    let vitals = server.vitals();
    assert!(vitals.descriptors > 1000 && vitals.descriptors_max <= DESCRIPTORS as usize);
    server.wait_log("more workers");
    let text = server.output();
    assert!(
        text.contains("1 on core") && text.contains("5 more join as these fill"),
        "{text}"
    );

    // Half of them go, and as many come: places are found wherever they were given back.
    wires.truncate(500);
    let again: Vec<_> = (0..500).map(|_| reopened(&server)).collect();
    wires.extend(again);
    server.signal("TERM");
    for wire in &mut wires {
        assert_eq!(wire.expect_close(), 1001);
        wire.send_frame(op::FIN | op::CLOSE, &[0x03, 0xe9]);
        wire.expect_end();
    }
    assert_eq!(server.wait_exit().code(), Some(0), "{}", server.output());
}

/// Opens one more. Those who left are reaped when their FIN is read: until then the house is full.
fn reopened(server: &crate::harness::Server) -> Wire {
    for _ in 0..10_000 {
        let mut wire = Wire::connect(server.addr());
        if wire.upgrade("").starts_with("HTTP/1.1 101 ") {
            return wire;
        }
    }
    panic!("no room again: {}", server.output());
}
