//! A handler that panics costs its connection, which is told once and in its own protocol.

use super::*;

#[test]
fn a_panic_costs_one_connection() {
    let mut world = World::new();
    let (victim, victim_id) = world.open();
    let (other, other_id) = world.open();
    world.say(
        &victim,
        victim_id,
        &[
            masked(Opcode::Text, b"lost"),
            masked(Opcode::Text, b"panic"),
        ]
        .concat(),
    );
    assert_eq!(victim.sent(), close_frame(1011, ""));
    assert!(victim.is_closed());
    assert_eq!(world.ending(victim_id), Some(Ending::Panicked));
    world.say(&other, other_id, &masked(Opcode::Text, b"fine"));
    assert_eq!(other.sent(), plain(Opcode::Text, b"fine"));
}

#[test]
fn a_panic_before_the_101_is_a_500() {
    for path in ["/panic", "/panic-open"] {
        let mut world = World::new();
        let (script, id) = world.connect();
        let request = String::from_utf8_lossy(REQUEST).replace("/echo", path);
        world.say(&script, id, request.as_bytes());
        let sent = String::from_utf8(script.sent()).expect("HTTP, not frames");
        assert!(sent.starts_with("HTTP/1.1 500 "), "{path}: {sent}");
        assert!(script.is_closed());
        let (other, other_id) = world.open();
        world.say(&other, other_id, &masked(Opcode::Text, b"fine"));
        assert_eq!(other.sent(), plain(Opcode::Text, b"fine"));
    }
}

#[test]
fn a_panic_at_the_end_says_no_second_close() {
    let mut world = World::new();
    let (script, id) = world.open();
    let said = [
        masked(Opcode::Text, b"doom"),
        plain(Opcode::Text, b"unmasked"),
    ];
    world.say(&script, id, &said.concat());
    let sent = script.sent();
    assert_eq!(sent[2..4], 1002_u16.to_be_bytes());
    assert_eq!(sent.len(), 2 + usize::from(sent[1]), "one Close");
    assert!(script.is_closed());
    assert_eq!(world.endings.borrow().len(), 1);
}
