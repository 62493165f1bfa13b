//! SIGTERM and SIGINT: everyone is told, nobody new is let in, and the process ends with 0.

use std::net::TcpStream;

use crate::harness::{Launch, Server, Wire, op};

/// Connections that have echoed once, so that no worker has any of them half-way.
fn established(server: &Server, count: usize) -> Vec<Wire> {
    let open = |_| {
        let mut wire = Wire::open(server.addr());
        wire.echo(op::TEXT, b"ready");
        wire
    };
    (0..count).map(open).collect()
}

#[test]
fn a_signal_closes_everyone_with_1001_and_exits_0() {
    for (signal, workers) in [("TERM", 1), ("INT", 2)] {
        let mut server = Launch::new()
            .workers(workers)
            .flag("drain-secs", "1s")
            .start();
        let mut wires = established(&server, 50);
        server.signal(signal);
        for wire in &mut wires {
            assert_eq!(wire.expect_close(), 1001, "{signal}");
            wire.send_frame(op::FIN | op::CLOSE, &[0x03, 0xe9]);
            wire.expect_end();
        }
        assert_eq!(
            server.wait_exit().code(),
            Some(0),
            "{signal}: {}",
            server.output()
        );
    }
}

#[test]
fn with_nobody_there_it_ends_at_once() {
    let mut server = Launch::new().flag("drain-secs", "1h").start();
    server.signal("TERM");
    assert_eq!(server.wait_exit().code(), Some(0), "{}", server.output());
}

#[test]
fn traffic_goes_on_until_the_close() {
    let mut server = Launch::new().flag("drain-secs", "1s").start();
    let mut wires = established(&server, 8);
    server.signal("TERM");
    for (at, wire) in wires.iter_mut().enumerate() {
        // Until its Close comes, each message is answered; none is taken and then forgotten.
        let mut sent = 0u32;
        let mut echoed = 0u32;
        loop {
            use std::io::Write;
            let message =
                crate::harness::frame(op::FIN | op::TEXT, &sent.to_be_bytes().map(|b| b & 0x7f));
            if wire.stream.write_all(&message).is_ok() {
                sent += 1;
            }
            let got = wire.read_frame().expect("a Close before the end");
            if let Some(code) = got.close_code() {
                assert_eq!(code, 1001, "{at}");
                break;
            }
            assert_eq!(got.payload, echoed.to_be_bytes().map(|b| b & 0x7f), "{at}");
            echoed += 1;
        }
        assert!(sent - echoed <= 1, "{at}: {sent} sent, {echoed} echoed");
    }
    drop(wires);
    assert_eq!(server.wait_exit().code(), Some(0), "{}", server.output());
}

#[test]
fn nobody_new_is_let_in_while_draining() {
    let mut server = Launch::new().flag("drain-secs", "2s").start();
    let mut wires = established(&server, 20);
    server.signal("TERM");
    // The first Close tells that draining has begun, hence that the listener is gone.
    let mut closed = wires.remove(0);
    assert_eq!(closed.expect_close(), 1001);
    assert!(
        TcpStream::connect(server.addr()).is_err(),
        "still listening"
    );
    drop((closed, wires));
    assert_eq!(server.wait_exit().code(), Some(0), "{}", server.output());
}

#[test]
fn peers_that_do_not_answer_cannot_hold_it_up() {
    let mut server = Launch::new()
        .flag("drain-secs", "300ms")
        .flag("close-timeout", "300ms")
        .start();
    let mut mute = established(&server, 10);
    let half_open = Wire::connect(server.addr());
    server.signal("TERM");
    assert_eq!(server.wait_exit().code(), Some(0), "{}", server.output());
    for wire in &mut mute {
        assert_eq!(wire.expect_close(), 1001);
    }
    drop(half_open);
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let mut server = Launch::new()
        .flag("drain-secs", "1s")
        .flag("close-timeout", "1h")
        .start();
    let mut wires = established(&server, 10);
    server.signal("TERM");
    // Two signals of a kind may be merged by the kernel: the first must have been seen. Nobody
    // answers its Close, so without the second one this would take an hour.
    for wire in &mut wires {
        assert_eq!(wire.expect_close(), 1001);
    }
    server.signal("TERM");
    server.wait_exit();
    drop(wires);
}
