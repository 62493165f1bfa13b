//! The server behind a proxy that cuts the stream into pieces of 1 to 7 bytes.

use std::net::{SocketAddr, TcpListener};
use std::thread;

use crate::harness::{Server, Wire, op};

#[path = "../support/rechunk.rs"]
mod proxy;

/// A proxy in front of `target`, on a port of its own; it lives as long as the test binary.
fn proxy_to(target: SocketAddr, seed: u64) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || proxy::serve(&listener, target, seed));
    address
}

#[test]
fn sizes_stay_within_one_to_seven_and_use_them_all() {
    let mut sizes = proxy::Sizes::new(7);
    let mut seen = [0; 8];
    for _ in 0..7_000 {
        seen[sizes.next()] += 1;
    }
    assert_eq!(seen[0], 0);
    assert!(seen[1..].iter().all(|&count| count > 500), "{seen:?}");
}

#[test]
fn echo_survives_rechunking() {
    let server = Server::start();
    for seed in 1..=4 {
        let mut wire = Wire::open(proxy_to(server.addr(), seed));
        for len in [0, 1, 125, 126, 127, 1_000, 65_535, 65_536] {
            let bytes: Vec<u8> = (0..len).map(|at| (at * 31 + 7) as u8).collect();
            wire.echo(op::BINARY, &bytes);
            wire.echo(op::TEXT, "κόσμε🙂".repeat(len / 14).as_bytes());
        }
        wire.send_frame(op::FIN | op::CLOSE, &[0x03, 0xe8]);
        assert_eq!(wire.expect_close(), 1000);
        wire.expect_end();
    }
}
