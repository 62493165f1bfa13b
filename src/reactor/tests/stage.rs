//! What an application says in its own turn, and to others.

use super::*;

#[test]
fn a_wave_reaches_everybody_a_slice_a_turn_and_in_one_write_each() {
    let mut world = World::new();
    let flock: Vec<_> = (0..5).map(|_| world.open()).collect();
    flock[1].0.block_after(1500);
    let before: Vec<_> = flock.iter().map(|(script, _)| script.calls().1).collect();
    let (asker, asker_id) = &flock[0];
    asker.arrive(&masked(Opcode::Text, b"wave"));
    world.turn(&[readable(*asker_id)]);
    assert_eq!(world.reached.borrow().len(), 1, "one slice");
    assert_eq!(world.last, Turn::Wait(0), "and more to come");
    let mut turns = 1;
    while world.last == Turn::Wait(0) {
        world.turn(&[]);
        turns += 1;
    }
    assert_eq!(turns, 5);
    assert!(
        matches!(world.last, Turn::Wait(1..=600)),
        "its wish is heard"
    );
    let frames: Vec<_> = [1, 2, 3]
        .iter()
        .flat_map(|n| plain(Opcode::Binary, &[*n; 1000]))
        .collect();
    for (at, (script, id)) in flock.iter().enumerate() {
        let reached = world.reached.borrow();
        let queued = reached.iter().find(|(who, _)| who == id).map(|told| told.1);
        if at == 1 {
            assert_eq!(queued, Some(frames.len() - 1500));
        } else {
            assert_eq!((queued, script.sent()), (Some(0), frames.clone()));
            assert_eq!(script.calls().1 - before[at], 1, "one write");
        }
    }
    assert!(world.drained.borrow().is_empty());
    let (slow, slow_id) = &flock[1];
    slow.unblock();
    world.settle(&[writable(*slow_id)]);
    assert_eq!(slow.sent(), frames);
    assert_eq!(*world.drained.borrow(), [*slow_id]);
}

#[test]
fn the_dead_and_the_broken_are_passed_over() {
    let mut world = World::new();
    let (script, id) = world.open();
    let (broken, broken_id) = world.open();
    let (_, gone) = world.open();
    world.settle(&[]);
    broken.break_sends();
    let (left, left_id) = world.open();
    left.arrive_eof();
    world.settle(&[hung_up(left_id)]);
    world.say(&script, id, &masked(Opcode::Text, b"wave"));
    let reached = world.reached.borrow().clone();
    assert_eq!(reached.len(), 4);
    assert!(reached.iter().all(|(_, queued)| *queued == 0));
    assert_eq!(world.ending(broken_id), Some(Ending::Reset));
    assert_eq!(world.ending(gone), None);
    assert_eq!(world.worker.connections(), 2);
}

#[test]
fn a_farewell_to_another_is_said_behind_what_it_was_told() {
    let mut world = World::new();
    let (script, id) = world.open();
    let (other, other_id) = world.open();
    let part = format!("part {}", other_id.as_u64());
    let mut said = masked(Opcode::Text, b"all");
    said.extend(masked(Opcode::Text, part.as_bytes()));
    world.say(&script, id, &said);
    let mut expected = plain(Opcode::Text, b"hello");
    expected.extend(plain(Opcode::Close, b"\x0f\xa0so long"));
    assert_eq!(other.sent(), expected);
    world.say(&other, other_id, &masked(Opcode::Close, b"\x0f\xa0"));
    assert!(matches!(world.ending(other_id), Some(Ending::Closed(_))));
}

#[test]
fn a_protocol_may_have_a_heartbeat_of_its_own() {
    let mut world = World::new();
    let (script, id) = world.open();
    world.say(&script, id, &masked(Opcode::Text, b"heart"));
    let interval_ms = u64::from(Limits::default().ping_interval_ms);
    world.pass_until_told(&script, interval_ms + 1000);
    assert_eq!(script.take_sent(), plain(Opcode::Text, b"{}"));
    world.say(&script, id, &masked(Opcode::Text, b"{}"));
    assert!(
        !script.take_sent().is_empty(),
        "it is a message like others"
    );
    world.pass_until_told(&script, interval_ms + 1000);
    assert_eq!(
        script.take_sent(),
        plain(Opcode::Text, b"{}"),
        "and a sign of life"
    );
    world.pass(u64::from(Limits::default().pong_timeout_ms) + 1000);
    assert_eq!(world.ending(id), Some(Ending::Silent));
}
