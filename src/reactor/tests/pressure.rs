//! Peers that read slowly, not at all, or not any more.

use super::*;

#[test]
fn a_peer_that_does_not_read_is_not_read_from() {
    let mut world = World::new();
    let (script, id) = world.open();
    script.block_after(100);
    let message = masked(Opcode::Binary, &[9; 1000]);
    let all = message.repeat(2000);
    world.say(&script, id, &all);
    let queued_max = Limits::default().queue_bytes_high + (256 << 10);
    assert!(script.calls().0 < 10, "reading must stop");
    script.unblock();
    world.settle(&[writable(id)]);
    assert_eq!(
        script.sent(),
        plain(Opcode::Binary, &[9; 1000]).repeat(2000),
        "and lose nothing"
    );
    assert!(queued_max < all.len());
}

#[test]
fn short_writes_keep_order_for_large_and_small_replies() {
    for per_send in [1, 7, 1000, 4096] {
        let mut world = World::new();
        let (script, id) = world.open();
        script.take_per_send(per_send);
        let mut said = Vec::new();
        let mut expected = Vec::new();
        for size in [3, 5000, 0, 2047, 2048, 9000, 125, 126] {
            said.extend(masked(Opcode::Binary, &vec![size as u8; size]));
            expected.extend(plain(Opcode::Binary, &vec![size as u8; size]));
        }
        world.say(&script, id, &said);
        assert_eq!(script.sent(), expected, "{per_send} bytes per send");
    }
}

#[test]
fn a_half_closed_peer_that_does_not_read_costs_no_turns() {
    let mut world = World::new();
    let (script, id) = world.open();
    script.block_after(0);
    script.arrive(&masked(Opcode::Binary, &[1; 1000]));
    script.arrive_eof();
    world.settle(&[hung_up(id)]);
    assert!(matches!(world.last, Turn::Wait(ms) if ms > 0));
    script.unblock();
    world.settle(&[writable(id)]);
    assert_eq!(
        script.sent(),
        plain(Opcode::Binary, &[1; 1000]),
        "it closed only its half"
    );
    assert!(script.is_closed());
}

#[test]
fn eof_and_reset_end_it_without_a_spin() {
    let mut world = World::new();
    let (eof, eof_id) = world.open();
    let (reset, reset_id) = world.open();
    eof.arrive_eof();
    reset.arrive_reset();
    world.settle(&[hung_up(eof_id), hung_up(reset_id)]);
    world.settle(&[]);
    assert!(eof.is_closed() && reset.is_closed());
    assert_eq!(world.ending(eof_id), Some(Ending::HungUp));
    assert_eq!(world.ending(reset_id), Some(Ending::Reset));
}

#[test]
fn what_could_not_be_sent_is_not_sent_to_the_next() {
    for said in [
        masked(Opcode::Text, b"secret"),
        masked(Opcode::Ping, b"secret"),
        masked(Opcode::Binary, &[1; 5000]).repeat(3),
    ] {
        let mut world = World::new();
        let (broken, broken_id) = world.open();
        let (next, next_id) = world.open();
        broken.break_sends();
        broken.arrive(&said);
        next.arrive(&masked(Opcode::Text, b"mine"));
        world.settle(&[readable(broken_id), readable(next_id)]);
        assert_eq!(next.sent(), plain(Opcode::Text, b"mine"));
        assert!(broken.is_closed());
        assert_eq!(world.ending(broken_id), Some(Ending::Reset));
    }
}

#[test]
fn what_we_say_is_no_sign_of_the_peers_life() {
    let mut world = World::new();
    let (script, id) = world.open();
    for _ in 0..40 {
        world.post.post(Mail::App((id, "news"))).expect("room");
        world.settle(&[Event::Mail]);
        world.pass(1000);
    }
    assert_eq!(world.ending(id), Some(Ending::Silent));
    assert!(script.is_closed());
}

#[test]
fn a_slow_reader_gets_all_before_the_end() {
    let message = masked(Opcode::Binary, &[5; 60_000]);
    let echo = plain(Opcode::Binary, &[5; 60_000]);
    for eof in [true, false] {
        let mut world = World::new();
        let (script, id) = world.open();
        script.block_after(0);
        let mut expected = echo.clone();
        if eof {
            script.arrive(&message);
            script.arrive_eof();
            world.settle(&[hung_up(id)]);
        } else {
            let close = masked(Opcode::Text, b"close");
            world.say(&script, id, &[message.clone(), close].concat());
            expected.extend(close_frame(1000, "bye"));
        }
        for _ in 0..10 {
            world.pass(2000); // less than the close timeout, all together more
            script.block_after(7000);
            world.settle(&[writable(id)]);
        }
        assert!(script.sent() == expected, "{eof}: {}", script.sent().len());
        world.pass(4000);
        assert!(script.is_closed());
    }
}

#[test]
fn only_who_lags_overflows() {
    let news: &'static str = Box::leak("x".repeat(5000).into_boxed_str());
    let limits = Limits {
        queue_bytes_max: 4000,
        ..Limits::default()
    };
    let mut world = World::with(limits, 10);
    let (healthy, healthy_id) = world.open();
    let (stuck, stuck_id) = world.open();
    stuck.block_after(0);
    for _ in 0..3 {
        for id in [healthy_id, stuck_id] {
            world.post.post(Mail::App((id, news))).expect("room");
        }
    }
    world.settle(&[Event::Mail]);
    let frame = plain(Opcode::Text, news.as_bytes());
    assert!(healthy.take_sent() == frame.repeat(3), "all of it");
    for id in [healthy_id, stuck_id] {
        world.post.post(Mail::App((id, news))).expect("room");
    }
    world.settle(&[Event::Mail]);
    assert!(healthy.take_sent() == frame, "and all that follows");
    assert_eq!(world.ending(stuck_id), Some(Ending::Overflowed));
    assert_eq!(world.ending(healthy_id), None);
}
