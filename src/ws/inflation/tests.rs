//! Compressed messages through the whole of `Inbound`.

use proptest::prelude::*;

use crate::ws::close::Violation;
use crate::ws::deflate::{Agreed, Codec, Compression, DeflateConfig, Half};
use crate::ws::frame::{HEADROOM, Kind, Opcode, append_frame};
use crate::ws::fuzzing::{OwnedStep, SMALL_RULES, Transcript, run};
use crate::ws::inbound::{Inbound, Step};

const RSV1: u8 = 0x40;

fn agreed(keeps_context: bool) -> Agreed {
    let half = Half::new(12, keeps_context);
    Agreed {
        ours: half,
        theirs: half,
    }
}

/// A masked frame with any first byte.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    append_frame(
        &mut bytes,
        Opcode::Binary,
        false,
        Some([1, 2, 3, 4]),
        payload,
    );
    bytes[0] = first;
    bytes
}

/// A peer that compresses all it says.
struct Peer(Compression, Codec);

impl Peer {
    fn new(agreed: Agreed) -> Self {
        Self(Compression::new(Some(agreed)), Codec::default())
    }

    fn compress(&mut self, text: &[u8]) -> Vec<u8> {
        let compressed = self.1.compress(&mut self.0, text);
        compressed.expect("it compresses").to_vec()
    }
}

/// Whole, in every two pieces and byte by byte.
fn run_split(stream: &[u8], agreed: Agreed) -> Transcript {
    let whole = run([stream], &SMALL_RULES, Some(agreed));
    for cut in 0..=stream.len() {
        let (left, right) = stream.split_at(cut);
        let cut_run = run([left, right], &SMALL_RULES, Some(agreed));
        assert_eq!(cut_run, whole, "cut at {cut}");
    }
    assert_eq!(run(stream.chunks(1), &SMALL_RULES, Some(agreed)), whole);
    whole
}

fn refuses(stream: &[u8], violation: Violation) {
    let transcript = run_split(stream, agreed(false));
    assert_eq!(transcript.violation, Some(violation));
    assert_eq!(transcript.steps, []);
}

fn text(payload: &str) -> OwnedStep {
    OwnedStep::Message(Kind::Text, payload.as_bytes().to_vec())
}

#[test]
fn messages_with_and_without_compression_alternate() {
    let long = "déjà vu, ".repeat(50);
    for keeps_context in [false, true] {
        let mut peer = Peer::new(agreed(keeps_context));
        let stream = [
            frame(0x81 | RSV1, &peer.compress(long.as_bytes())),
            frame(0x81, b"plain"),
            frame(0x82 | RSV1, &peer.compress(&[0xFF; 3000])),
            frame(0x81 | RSV1, &peer.compress(long.as_bytes())),
            frame(0x89, b"p"),
        ]
        .concat();
        let transcript = run_split(&stream, agreed(keeps_context));
        assert_eq!(transcript.violation, None);
        let expected = [
            text(&long),
            text("plain"),
            OwnedStep::Message(Kind::Binary, vec![0xFF; 3000]),
            text(&long),
            OwnedStep::Ping(b"p".to_vec()),
        ];
        assert_eq!(transcript.steps, expected);
        assert!(!transcript.is_mid_message);
    }
}

#[test]
fn fragments_are_inflated_together() {
    let long = "one two three ".repeat(20);
    let compressed = Peer::new(agreed(false)).compress(long.as_bytes());
    let (first, second) = compressed.split_at(compressed.len() / 2);
    let stream = [
        frame(0x01 | RSV1, first),
        frame(0x89, b"between"),
        frame(0x00, b""),
        frame(0x80, second),
    ]
    .concat();
    let transcript = run_split(&stream, agreed(false));
    let ping = OwnedStep::Ping(b"between".to_vec());
    assert_eq!(transcript.steps, [ping, text(&long)]);
}

#[test]
fn what_inflates_to_something_forbidden_is_refused() {
    let mut peer = Peer::new(agreed(false));
    let max = SMALL_RULES.message_bytes_max;
    let not_utf8 = peer.compress(&[&[b'a'; 300][..], b"\xED\xA0\x80"].concat());
    refuses(&frame(0x81 | RSV1, &not_utf8), Violation::TextNotUtf8);
    let cut_utf8 = peer.compress(&[&[b'a'; 300][..], b"\xC3"].concat());
    refuses(&frame(0x81 | RSV1, &cut_utf8), Violation::TextNotUtf8);
    let too_big = peer.compress(&vec![b'a'; max + 1]);
    refuses(&frame(0x82 | RSV1, &too_big), Violation::InflatedTooBig);
    refuses(&frame(0x82 | RSV1, b"\xFF\xFF"), Violation::DeflateCorrupt);
    let continued = [frame(0x02 | RSV1, b"\x00"), frame(0xC0, b"\x00")].concat();
    refuses(&continued, Violation::Rsv1OnContinuation);
    let whole = peer.compress(&vec![b'a'; max]);
    let transcript = run_split(&frame(0x82 | RSV1, &whole), agreed(false));
    assert_eq!(transcript.violation, None);
}

#[test]
fn a_message_of_the_limit_passes_although_it_does_not_compress() {
    let max = SMALL_RULES.message_bytes_max;
    // Stored blocks of 1 KiB: more bytes on the wire than the limit allows as text.
    let mut stored = Vec::new();
    for block in vec![0xA5; max].chunks(1024) {
        stored.push(0);
        stored.extend((block.len() as u16).to_le_bytes());
        stored.extend((!(block.len() as u16)).to_le_bytes());
        stored.extend(block);
    }
    stored.push(0);
    assert!(stored.len() > max);
    let transcript = run(
        [&frame(0x82 | RSV1, &stored)[..]],
        &SMALL_RULES,
        Some(agreed(false)),
    );
    assert_eq!(
        transcript.steps,
        [OwnedStep::Message(Kind::Binary, vec![0xA5; max])]
    );
    // But there is an end to that, told by the header.
    stored.extend([0; 1024]);
    refuses(&frame(0x82 | RSV1, &stored), Violation::MessageTooBig);
}

proptest! {
    #[test]
    fn chunks_and_fragments_make_no_difference(
        texts in prop::collection::vec("[a-d\u{e9}]{80,400}", 1..5),
        fragment_bytes in 1..60_usize,
        chunk_bytes in 1..90_usize,
        keeps_context: bool,
    ) {
        let mut peer = Peer::new(agreed(keeps_context));
        let mut stream = Vec::new();
        for text in &texts {
            let compressed = peer.compress(text.as_bytes());
            let mut first = 0x01 | RSV1;
            for fragment in compressed.chunks(fragment_bytes) {
                stream.extend(frame(first, fragment));
                first = 0x00;
            }
            stream.extend(frame(0x80, b""));
        }
        let transcript = run(stream.chunks(chunk_bytes), &SMALL_RULES, Some(agreed(keeps_context)));
        let expected: Vec<_> = texts.iter().map(|payload| text(payload)).collect();
        prop_assert_eq!(transcript.violation, None);
        prop_assert_eq!(transcript.steps, expected);
    }
}

/// A worker's view of one connection.
struct Connection {
    inbound: Inbound,
    link: Compression,
    input: Vec<u8>,
    at: usize,
}

impl Connection {
    fn new(stream: &[u8]) -> Self {
        Self {
            inbound: Inbound::new(),
            link: Compression::new(Some(agreed(false))),
            input: [&[0; HEADROOM], stream].concat(),
            at: HEADROOM,
        }
    }

    fn step(&mut self, codec: &mut Codec) -> Step<'_> {
        let Self {
            inbound,
            link,
            input,
            at,
        } = self;
        inbound
            .step(&SMALL_RULES, link, codec, input, at)
            .expect("the stream is legal")
    }
}

#[test]
fn inflating_takes_as_many_turns_as_the_allowance_makes_it() {
    let long = vec![b'a'; 3000];
    let compressed = Peer::new(agreed(false)).compress(&long);
    let stream = [frame(0x82 | RSV1, &compressed), frame(0x81, b"next")].concat();
    let mut connection = Connection::new(&stream);
    let mut codec = Codec::default();
    assert!(matches!(connection.step(&mut codec), Step::Yield));
    assert!(!connection.inbound.is_idle());
    // Ours to finish, so no time of the peer's is running.
    assert!(!connection.inbound.is_mid_message());
    connection.inbound.note_begun(7);
    assert_eq!(connection.inbound.begun_tick(), None);
    codec.refill(1);
    assert!(matches!(connection.step(&mut codec), Step::Yield));
    assert!(connection.inbound.held_bytes() > compressed.len());
    codec.refill(10_000);
    let Step::Message(message) = connection.step(&mut codec) else {
        panic!("the allowance was enough");
    };
    assert_eq!(message.payload(), long);
    let Step::Message(message) = connection.step(&mut codec) else {
        panic!("what followed was not lost");
    };
    assert_eq!(message.payload(), b"next");
    assert!(matches!(connection.step(&mut codec), Step::Drained));
    assert_eq!(connection.inbound.held_bytes(), 0);
}

#[test]
fn an_inflater_that_is_not_free_is_waited_for() {
    let compressed = Peer::new(agreed(false)).compress(&[b'a'; 3000]);
    let stream = frame(0x82 | RSV1, &compressed);
    let (mut first, mut second) = (Connection::new(&stream), Connection::new(&stream));
    let mut codec = Codec::new(&DeflateConfig {
        inflaters_max: 1,
        ..DeflateConfig::default()
    });
    codec.refill(1);
    assert!(matches!(first.step(&mut codec), Step::Yield));
    codec.refill(10_000);
    assert!(matches!(second.step(&mut codec), Step::Yield));
    // A connection that dies with the inflater gives it back.
    drop(first);
    assert!(matches!(second.step(&mut codec), Step::Message(_)));
}
