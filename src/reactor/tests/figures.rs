//! Counters, ledgers and limits while connections come and go.

use super::*;
use crate::metrics::Ledger;
use crate::ws::deflate::Mode;

impl World {
    /// Asks for a ledger and turns until it is there.
    pub(super) fn ledger(&mut self, round: u64) -> Ledger {
        self.post
            .post(Mail::TakeStock { round })
            .expect("room in the mailbox");
        self.settle(&[Event::Mail]);
        let (ledger, finished) = self.worker.board.ledger(1);
        assert_eq!(finished, round);
        ledger
    }
}

#[test]
fn the_ledger_names_every_kind_and_forgets_what_is_gone() {
    let deflate = DeflateConfig {
        mode: Mode::Dedicated,
        ..DeflateConfig::default()
    };
    let mut world = World::compressing(Limits::default(), 1000, deflate);
    let empty = world.ledger(1);
    assert_eq!(empty.total(), empty.workers);
    assert!(empty.workers >= 128 << 10, "the receive buffer");

    let (_, _) = world.open();
    let (slow, slow_id) = world.open();
    slow.block_after(0);
    world.say(&slow, slow_id, &masked(Opcode::Binary, &[5; 9000]));
    let (half, half_id) = world.open();
    let message = masked(Opcode::Binary, &[6; 5000]);
    world.say(&half, half_id, &message[..4000]);
    let (opening, opening_id) = world.connect();
    world.say(&opening, opening_id, &REQUEST[..50]);
    let (squeezed, squeezed_id) = world.connect();
    let offer = "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n";
    let request = [&REQUEST[..REQUEST.len() - 2], offer.as_bytes()].concat();
    world.say(&squeezed, squeezed_id, &request);
    world.say(&squeezed, squeezed_id, &masked(Opcode::Text, &[b'a'; 300]));

    let full = world.ledger(2);
    assert_eq!(full.entries as usize % 5, 0, "five entries: {full:?}");
    assert!((9000..20_000).contains(&full.queues), "{full:?}");
    assert!((3900..12_000).contains(&full.partial), "{full:?}");
    assert!((50..200).contains(&full.handshakes), "{full:?}");
    assert!((300..10_000).contains(&full.deflate), "{full:?}");
    assert_eq!(
        full.sessions,
        4 * SESSION_BYTES as u64,
        "all but the one opening"
    );

    for (script, id) in [
        (&slow, slow_id),
        (&half, half_id),
        (&opening, opening_id),
        (&squeezed, squeezed_id),
    ] {
        script.arrive_reset();
        world.settle(&[hung_up(id)]);
    }
    let after = world.ledger(3);
    let idle = Ledger {
        entries: full.entries / 5,
        vacant: full.entries / 5 * 4,
        workers: after.workers,
        sessions: SESSION_BYTES as u64,
        ..Ledger::default()
    };
    assert_eq!(after, idle);
}

#[test]
fn taking_stock_of_many_holds_nobody_up() {
    let mut world = World::with(Limits::default(), 30_000);
    let (script, id) = world.open();
    for _ in 0..20_000 {
        world.host.connect();
    }
    world.settle(&[Event::Listener(0)]);
    assert_eq!(world.worker.connections(), 20_001);
    world
        .post
        .post(Mail::TakeStock { round: 1 })
        .expect("room in the mailbox");
    for turn in 1..=3 {
        assert_eq!(world.worker.board.ledger(1).1, 0, "before turn {turn}");
        script.arrive(&masked(Opcode::Text, b"meanwhile"));
        world.turn(&[Event::Mail, readable(id)]);
        assert_eq!(script.take_sent(), plain(Opcode::Text, b"meanwhile"));
    }
    assert_eq!(world.worker.board.ledger(1).1, 1, "8192 entries a turn");
}

#[test]
fn the_board_shows_what_was_counted() {
    let mut world = World::new();
    let (script, id) = world.open();
    let (other, other_id) = world.open();
    world.say(&script, id, &masked(Opcode::Text, b"one"));
    other.arrive_reset();
    world.settle(&[hung_up(other_id)]);
    let board = world.worker.board.clone();
    let counters = board.counters();
    assert_eq!(&counters, world.worker.counters());
    assert_eq!((counters.upgraded, counters.ended), (2, 1));
    assert_eq!(board.sockets().next(), Some(1));
    // Messages alone are published with the tick that changes the heartbeat.
    let beat = board.heartbeats().next();
    world.say(&script, id, &masked(Opcode::Text, b"two"));
    assert_eq!(board.counters().messages_in, 1);
    world.pass(100);
    assert_eq!(board.counters().messages_in, 2);
    assert!(board.heartbeats().next() > beat);
}

#[test]
fn other_limits_hold_from_now_on() {
    let mut world = World::new();
    let limits = Limits {
        handshake_timeout_ms: 1_000,
        message_bytes_max: 10,
        ..Limits::default()
    };
    let (script, id) = world.open();
    world.say(&script, id, &masked(Opcode::Text, &[b'x'; 11]));
    assert_eq!(script.take_sent(), plain(Opcode::Text, &[b'x'; 11]));
    world
        .post
        .post(Mail::Limits(Arc::new(limits)))
        .expect("room in the mailbox");
    world.settle(&[Event::Mail]);
    world.say(&script, id, &masked(Opcode::Text, &[b'x'; 11]));
    assert!(script.sent().starts_with(&[0x88]), "too big by now");
    let (silent, _) = world.connect();
    world.pass(1_300);
    assert!(silent.is_closed(), "the default is ten seconds");
}
