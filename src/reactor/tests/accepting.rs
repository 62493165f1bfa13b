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

/// A second worker in the same house, of which only the places matter.
fn beside(world: &World, places: usize) -> Arc<House> {
    let house = world.worker.house.clone();
    house.set_guests_max(100);
    house.open(1, places);
    house
}

#[test]
fn a_full_worker_hands_newcomers_to_one_with_room() {
    let mut world = World::with(Limits::default(), 1);
    let house = beside(&world, 1);
    let (kept, id) = world.open();
    let (second, third) = (world.host.connect(), world.host.connect());
    world.settle(&[Event::Listener(0)]);
    let handed = world.host.take_handed();
    assert_eq!(handed.len(), 1);
    assert_eq!((handed[0].0, second.calls()), (1, (0, 0)), "untouched");
    assert!(
        third.sent().starts_with(b"HTTP/1.1 503 "),
        "the house is full"
    );
    assert_eq!(house.guests(), 2);
    world.say(&kept, id, &masked(Opcode::Text, b"still here"));
    assert_eq!(kept.sent(), plain(Opcode::Text, b"still here"));
}

#[test]
fn one_who_was_handed_over_is_served_at_once() {
    let mut world = World::with(Limits::default(), 2);
    let house = beside(&world, 0);
    // Whoever hands over has taken the place already.
    assert!(house.enter_elsewhere(1).is_some());
    let peer = world.host.hand_in(false);
    peer.arrive(REQUEST);
    world.settle(&[Event::Newcomers]);
    assert!(peer.sent().starts_with(b"HTTP/1.1 101 "));
    assert_eq!((house.guests(), house.room()), (1, 1));
    peer.arrive_eof();
    let id = world.host.registered()[0];
    world.settle(&[readable(id)]);
    assert_eq!(
        (house.guests(), house.room()),
        (0, 2),
        "its place is given back"
    );
}

#[test]
fn while_the_others_are_behind_newcomers_wait_and_nobody_is_lost() {
    let mut world = World::with(Limits::default(), 0);
    beside(&world, 10);
    world.host.set_behind(true);
    let (first, second) = (world.host.connect(), world.host.connect());
    world.settle(&[Event::Listener(0)]);
    assert!(matches!(world.last, Turn::Wait(ms) if ms > 0), "no spin");
    assert!(!first.is_closed() && second.calls() == (0, 0));
    world.pass(400);
    assert!(!first.is_closed(), "still behind");
    world.host.set_behind(false);
    world.pass(400); // no event comes: it is our own descriptor that waits
    let handed = world.host.take_handed();
    assert_eq!(handed.len(), 2, "in the order in which they came");
    assert_eq!((first.sent(), second.sent()), (vec![], vec![]));
}

#[test]
fn who_is_stranded_when_we_go_down_is_told() {
    let mut world = World::with(Limits::default(), 0);
    let house = beside(&world, 10);
    world.host.set_behind(true);
    let peer = world.host.connect();
    world.settle(&[Event::Listener(0)]);
    let drain = Mail::Drain { window_ms: 0 };
    world.post.post(drain).expect("room in the mailbox");
    world.settle(&[Event::Mail]);
    assert!(peer.sent().starts_with(b"HTTP/1.1 503 ") && peer.is_closed());
    assert_eq!((house.guests(), house.room()), (0, 10));
}

#[test]
fn without_a_descriptor_newcomers_are_told_and_not_left_waiting() {
    let mut world = World::new();
    world.host.keep_spare();
    for _ in 0..3 {
        world.host.fail_accept(io::Error::from_raw_os_error(24)); // EMFILE
        world.host.connect().arrive(REQUEST);
    }
    world.host.fail_accept(io::Error::from_raw_os_error(24));
    let last = world.host.connect();
    world.settle(&[Event::Listener(0)]);
    assert!(last.sent().starts_with(b"HTTP/1.1 503 ") && last.is_closed());
    assert_eq!(world.worker.counters().turned_away, 4);
    assert!(world.host.registered().is_empty());
    // With room elsewhere they are passed on instead.
    beside(&world, 10);
    world.host.fail_accept(io::Error::from_raw_os_error(24));
    let passed_on = world.host.connect();
    world.settle(&[Event::Listener(0)]);
    assert_eq!(world.host.take_handed().len(), 1);
    assert!(passed_on.sent().is_empty());
}

#[test]
fn while_more_workers_are_to_join_newcomers_wait_for_them() {
    let mut world = World::with(Limits::default(), 0);
    let house = beside(&world, 0);
    house.set_growing(true);
    let peer = world.host.connect();
    world.settle(&[Event::Listener(0)]);
    assert!(!peer.is_closed() && peer.sent().is_empty());
    house.open(2, 5); // it joins
    world.pass(400);
    assert_eq!(world.host.take_handed()[0].0, 2);
}
