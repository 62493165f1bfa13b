//! Peers that a load balancer speaks for.

use super::tls::{Peer as TlsPeer, client_options, tls_config, worker_config};
use super::*;
use crate::proxy::Source;

const HEADER: &[u8] = b"PROXY TCP4 203.0.113.7 198.51.100.1 40000 443\r\n";
const ASK: &[u8] = b"GET /where HTTP/1.1\r\nHost: x\r\n\r\n";

fn world() -> World {
    let from: Source = "10.0.0.0/8".parse().expect("a network");
    World::made_of(&WorkerConfig {
        proxy_from: Trusted::new(&[from]),
        ..worker_config(tls_config())
    })
}

fn connect(world: &mut World, from: &str) -> (Script, ConnId) {
    let script = world.host.connect();
    script.comes_from(from);
    world.settle(&[Event::Listener(0)]);
    let id = *world.host.registered().last().expect("accepted");
    (script, id)
}

fn answer(script: &Script) -> String {
    String::from_utf8(script.take_sent()).expect("tests ask for text")
}

#[test]
fn the_client_is_who_the_balancer_says_in_whatever_pieces() {
    let whole = [HEADER, ASK].concat();
    for piece_bytes in [1, 7, HEADER.len(), HEADER.len() + 3, whole.len()] {
        let mut world = world();
        let (script, id) = connect(&mut world, "10.0.0.1:5");
        for piece in whole.chunks(piece_bytes) {
            world.say(&script, id, piece);
        }
        let said = answer(&script);
        assert!(said.ends_with("Some(203.0.113.7:40000)\n"), "{said}");
        assert_eq!(world.worker.counters().proxied, 1);
    }
}

#[test]
fn a_balancer_may_speak_for_itself_and_bring_extras() {
    let signature = b"\r\n\r\n\0\r\nQUIT\n";
    let local = [&signature[..], &[0x20, 0, 0, 0], ASK].concat();
    let extras = [4, 0x0F, 0xE0 - 12 - 3].iter().chain(&[0; 0xFE0 - 12 - 3]);
    let mut proxied = [
        &signature[..],
        &[0x21, 0x11, 0x0F, 0xE0],
        &[192, 0, 2, 9],
        &[0; 4],
    ]
    .concat();
    proxied.extend([0, 80, 0, 81].iter().chain(extras.take(0xFE0 - 12)));
    proxied.extend(ASK);
    for (bytes, expected) in [
        (local, "Some(10.0.0.1:5)\n"),
        (proxied, "Some(192.0.2.9:80)\n"),
    ] {
        let mut world = world();
        let (script, id) = connect(&mut world, "10.0.0.1:5");
        world.say(&script, id, &bytes);
        let said = answer(&script);
        assert!(said.ends_with(expected), "{said}");
    }
}

#[test]
fn who_is_trusted_has_to_say_and_nobody_else_may() {
    let mut world = world();
    for (from, bytes, why) in [
        ("10.0.0.1:5", ASK, "no PROXY protocol header"),
        (
            "10.0.0.1:5",
            b"PROXY TCP4 nonsense\r\n",
            "a malformed PROXY",
        ),
        ("192.0.2.1:5", HEADER, "address that is not trusted"),
        (
            "192.0.2.1:5",
            b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0",
            "address that is not trusted",
        ),
    ] {
        let (script, id) = connect(&mut world, from);
        world.say(&script, id, bytes);
        let said = answer(&script);
        assert!(
            said.starts_with("HTTP/1.1 400 ") && said.contains(why),
            "{said}"
        );
        assert!(script.fin_sent(), "{why}");
    }
    assert_eq!(
        (
            world.worker.counters().proxy_refused,
            world.worker.counters().proxied
        ),
        (2, 0)
    );
    let (script, id) = connect(&mut world, "192.0.2.1:5");
    world.say(&script, id, ASK);
    assert!(answer(&script).ends_with("Some(192.0.2.1:5)\n"));
}

#[test]
fn a_header_has_the_time_of_a_handshake() {
    let mut world = world();
    let (script, id) = connect(&mut world, "10.0.0.1:5");
    for byte in &HEADER[..40] {
        world.say(&script, id, &[*byte]);
        world.pass(200);
    }
    assert_eq!(world.worker.connections(), 1);
    world.pass(2_500);
    assert_eq!(world.worker.connections(), 0);
}

#[test]
fn the_header_comes_before_tls() {
    for piece_bytes in [1, 50, 1 << 16] {
        let mut world = world();
        let mut peer = TlsPeer::connect_from(&mut world, &client_options(), "10.0.0.1:5");
        let hello = std::mem::take(&mut peer.end.out);
        for piece in [HEADER, &hello].concat().chunks(piece_bytes) {
            world.say(&peer.script, peer.id, piece);
        }
        peer.exchange(&mut world);
        peer.say(&mut world, ASK);
        let said = String::from_utf8(peer.heard()).expect("text");
        assert!(said.ends_with("Some(203.0.113.7:40000)\n"), "{said}");
    }
}

#[test]
fn tls_without_the_header_is_refused_with_an_alert() {
    let mut world = world();
    let peer = TlsPeer::connect_from(&mut world, &client_options(), "10.0.0.1:5");
    world.say(&peer.script, peer.id, &peer.end.out.clone());
    assert_eq!(peer.script.take_sent(), [21, 3, 3, 0, 2, 2, 10]);
    assert!(peer.script.fin_sent());
    let peer = TlsPeer::connect_from(&mut world, &client_options(), "192.0.2.1:5");
    world.say(&peer.script, peer.id, HEADER);
    assert!(
        peer.script.take_sent().starts_with(b"HTTP/1.1 400 "),
        "that is no TLS"
    );
    peer.hang_up(&mut world);
    assert_eq!(world.worker.counters().tls_failed_plain_http, 1);
}
