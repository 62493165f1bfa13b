//! Newcomers: the house is full, or the host has run dry.

use super::*;

#[test]
fn running_out_of_descriptors_pauses_accepting_and_nothing_else() {
    let mut world = World::new();
    let (script, id) = world.open();
    world.host.fail_accept(io::Error::from_raw_os_error(24)); // EMFILE
    let waiting = world.host.connect();
    world.settle(&[Event::Listener(0)]);
    assert!(world.worker.take_complaint().is_some());
    assert!(matches!(world.last, Turn::Wait(ms) if ms > 0), "no spin");
    world.say(&script, id, &masked(Opcode::Text, b"unharmed"));
    assert_eq!(script.sent(), plain(Opcode::Text, b"unharmed"));
    world.pass(400); // edge-triggered: no second event comes, the timer must do it
    waiting.arrive(REQUEST);
    let id = *world.host.registered().last().expect("accepted by timer");
    world.settle(&[readable(id)]);
    assert!(waiting.sent().starts_with(b"HTTP/1.1 101 "));
}

#[test]
fn a_peer_gone_before_accept_hides_nobody_behind_it() {
    let mut world = World::new();
    world.host.fail_accept(io::Error::from_raw_os_error(103)); // ECONNABORTED
    let next = world.host.connect();
    world.settle(&[Event::Listener(0)]);
    assert_eq!(world.host.registered().len(), 1);
    assert!(!next.is_closed());
}

#[test]
fn a_full_house_says_503() {
    let mut world = World::with(Limits::default(), 1);
    let (_kept, _) = world.open();
    let late = world.host.connect();
    world.settle(&[Event::Listener(0)]);
    assert!(late.sent().starts_with(b"HTTP/1.1 503 ") && late.is_closed());
}

#[test]
fn the_503_is_not_overtaken_by_a_reset() {
    let mut world = World::with(Limits::default(), 0);
    let late = world.host.connect();
    late.arrive(REQUEST);
    world.settle(&[Event::Listener(0)]);
    assert!(late.sent().starts_with(b"HTTP/1.1 503 ") && late.is_closed());
    assert!(!late.has_unread(), "closing over unread bytes is a reset");
}
