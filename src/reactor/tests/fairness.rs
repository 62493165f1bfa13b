//! One peer's work may not hold up another's.

use super::*;
use crate::ws::deflate::{Agreed, Codec, Half, Mode};

const DEFLATE: DeflateConfig = DeflateConfig {
    mode: Mode::Shared,
    window_bits: 12,
    level: 1,
    min_bytes: 64,
    inflaters_max: 1,
};

fn open(world: &mut World) -> (Script, ConnId) {
    let (script, id) = world.connect();
    let request = String::from_utf8_lossy(REQUEST).replace(
        "Sec-WebSocket-Version",
        "Sec-WebSocket-Extensions: permessage-deflate\r\nSec-WebSocket-Version",
    );
    world.say(&script, id, request.as_bytes());
    assert!(String::from_utf8_lossy(&script.take_sent()).contains("permessage-deflate"));
    (script, id)
}

/// A compressed message.
fn squeezed(payload: &[u8]) -> Vec<u8> {
    let mut codec = Codec::new(&DEFLATE);
    let bytes = codec.compress_alone(Half::new(12, false), payload);
    let mut out = Vec::new();
    let bytes = bytes.expect("it gets smaller");
    append_frame(&mut out, Opcode::Binary, true, Some(KEY), bytes);
    out
}

/// What inflates to a whole megabyte, more than a turn's share with its price.
fn bomb() -> Vec<u8> {
    squeezed(&vec![0; 1 << 20])
}

const SMALL: [u8; 60] = [b'a'; 60];

#[test]
fn a_flood_of_bombs_starves_nobody() {
    for inflaters_max in [1, 2, 16] {
        let deflate = DeflateConfig {
            inflaters_max,
            ..DEFLATE
        };
        let mut world = World::compressing(Limits::default(), 10, deflate);
        let (flooder, flooder_id) = open(&mut world);
        let (quiet, quiet_id) = open(&mut world);
        flooder.arrive(&bomb().repeat(40));
        quiet.arrive(&squeezed(&SMALL));
        world.turn(&[readable(flooder_id), readable(quiet_id)]);
        for _ in 0..5 {
            world.turn(&[]);
        }
        assert_eq!(
            quiet.sent(),
            plain(Opcode::Binary, &SMALL),
            "{inflaters_max} inflaters"
        );
        assert_eq!(world.last, Turn::Wait(0), "the flood was not over");
    }
}

#[test]
fn who_does_not_read_holds_no_inflater() {
    let mut world = World::compressing(Limits::default(), 10, DEFLATE);
    let (stuck, stuck_id) = open(&mut world);
    let (quiet, quiet_id) = open(&mut world);
    stuck.block_after(0);
    let noise = transcripts::noise(100_000);
    stuck.arrive(&[masked(Opcode::Binary, &noise), bomb(), bomb()].concat());
    world.settle(&[readable(stuck_id)]);
    quiet.arrive(&squeezed(&SMALL));
    world.settle(&[readable(quiet_id)]);
    assert_eq!(quiet.sent(), plain(Opcode::Binary, &SMALL));
    // And what it said is not lost.
    stuck.unblock();
    world.settle(&[writable(stuck_id)]);
    assert_eq!(world.worker.counters().messages_in, 4);
    let alone = Agreed {
        ours: Half::new(12, false),
        theirs: Half::new(12, false),
    };
    let heard = transcripts::decode(Some(alone), &stuck.sent());
    let lengths: Vec<_> = heard.iter().map(transcripts::Heard::len).collect();
    assert_eq!(lengths, [100_000, 1 << 20, 1 << 20]);
}

#[test]
fn a_publication_to_many_is_written_in_slices() {
    let mut world = World::with(Limits::default(), 3000);
    let peers: Vec<_> = (0..3000).map(|_| world.open()).collect();
    let told = || peers.iter().filter(|(peer, _)| !peer.sent().is_empty());
    let (first, first_id) = &peers[0];
    first.arrive(&masked(Opcode::Text, b"all"));
    world.turn(&[readable(*first_id)]);
    assert!((1..=1024).contains(&told().count()), "{}", told().count());
    assert_eq!(world.last, Turn::Wait(0));
    // Whoever waits for its slice can still be spoken to, in order.
    let (last, last_id) = &peers[2999];
    last.arrive(&masked(Opcode::Text, b"mine"));
    world.settle(&[readable(*last_id)]);
    let expected = [plain(Opcode::Text, b"hello"), plain(Opcode::Text, b"mine")];
    assert_eq!(last.sent(), expected.concat());
    assert_eq!(told().count(), 3000);
}
