//! The examples of the RFC, the limits, and round trips under every agreement.

use proptest::prelude::*;

use super::fuzzing::inflate_all;
use super::*;
use crate::ws::close::Violation;

const LIMIT: usize = 1 << 20;

fn agreed(window_bits: u8, keeps_context: bool) -> Agreed {
    let half = Half::new(window_bits, keeps_context);
    Agreed {
        ours: half,
        theirs: half,
    }
}

fn codec(level: u8, inflaters_max: usize) -> Codec {
    Codec::new(&DeflateConfig {
        mode: Mode::Dedicated,
        level,
        inflaters_max,
        ..DeflateConfig::default()
    })
}

/// Inflates one message without rationing.
fn inflate(codec: &mut Codec, link: &mut Compression, input: &[u8]) -> Result<Vec<u8>, Violation> {
    let (mut out, mut ongoing) = (Vec::new(), None);
    codec.refill(usize::MAX);
    let progress = codec.inflate(link, &mut ongoing, input, &mut out, LIMIT)?;
    assert_eq!(progress, Progress::Done);
    Ok(out)
}

/// Text with the repetitions of a feed.
fn feed(messages: usize) -> Vec<u8> {
    let quote = |n: usize| {
        format!(
            "{{\"symbol\":\"THR{}\",\"price\":{}.25,\"at\":{}}}",
            n % 7,
            n * 31 % 997,
            n * 1009
        )
    };
    (0..messages).map(quote).collect::<String>().into_bytes()
}

#[test]
fn the_examples_of_the_rfc() {
    // RFC 7692 7.2.3.1 to 7.2.3.6.
    let table: &[(&[u8], &[u8])] = &[
        (&[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00], b"Hello"),
        (
            &[
                0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00,
            ],
            b"Hello",
        ),
        (&[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00], b"Hello"),
        (
            &[
                0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00,
            ],
            b"Hello",
        ),
        (&[0x00], b""),
        (&[0x02, 0x00], b""),
    ];
    for (input, text) in table {
        for allowance in [1, usize::MAX] {
            let inflated = inflate_all(agreed(15, false), &[input], allowance);
            assert_eq!(inflated.as_deref(), Ok(&[text.to_vec()][..]), "{input:x?}");
        }
        assert_eq!(
            naive::inflate(input, &[]).map(|n| n.text),
            Some(text.to_vec())
        );
    }
    // 7.2.3.4 as `Z_FINISH` writes it, without the byte behind the last block.
    let finished: &[u8] = &[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
    let inflated = inflate_all(agreed(15, false), &[finished], 1);
    assert_eq!(inflated, Ok(vec![b"Hello".to_vec()]));
    // 7.2.3.2: the second message refers to the first.
    let hellos: [&[u8]; 2] = [
        &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00],
        &[0xf2, 0x00, 0x11, 0x00, 0x00],
    ];
    let both = inflate_all(agreed(15, true), &hellos, 1);
    assert_eq!(both, Ok(vec![b"Hello".to_vec(); 2]));
    let alone = inflate_all(agreed(15, false), &hellos, 1);
    assert_eq!(alone, Err(Violation::DeflateCorrupt));
}

#[test]
fn corrupt_messages() {
    let table: &[&[u8]] = &[
        b"",                                   // not even the header of the last block
        &[0x06],                               // block type 3
        &[0xf2, 0x48, 0xcd, 0xc9, 0xc9],       // cut off
        &[0x00, 0x06, 0x00, 0xf9, 0xff, 0x48], // fewer stored bytes than announced
        &[
            0x00, 0x05, 0x00, 0xfa, 0xfe, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00,
        ],
        &[0x02, 0x11, 0x00, 0x00], // refers to text before the first
        b"Hello",
        &[0xff; 64],
    ];
    for input in table {
        for keeps_context in [false, true] {
            let found = inflate_all(agreed(15, keeps_context), &[input], usize::MAX);
            assert_eq!(found, Err(Violation::DeflateCorrupt), "{input:x?}");
        }
    }
}

#[test]
fn a_window_survives_a_last_block() {
    // "Hello" in a block that calls itself the last, then a reference to it, then the same between
    // two messages: to RFC 7692 there is one window, whatever the blocks say.
    let last = [0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
    let reference = [0xf2, 0x00, 0x11, 0x00, 0x00];
    let together = [&last[..], &reference[..]].concat();
    let inflated = inflate_all(agreed(15, false), &[&together], 1);
    assert_eq!(inflated, Ok(vec![b"HelloHello".to_vec()]));
    let apart = inflate_all(agreed(15, true), &[&last, &reference], 1);
    assert_eq!(apart, Ok(vec![b"Hello".to_vec(); 2]));
}

#[test]
fn nothing_agreed_is_refused() {
    let mut link = Compression::default();
    let refused = inflate(&mut codec(6, 1), &mut link, &[0x00]);
    assert_eq!(refused, Err(Violation::Rsv1WithoutExtension));
    assert_eq!(codec(6, 1).compress(&mut link, &feed(10)), None);
    assert!(!codec(6, 1).worth_compressing(&link, 1000));
}

#[test]
fn the_limit_holds_while_inflating() {
    let mut codec = codec(9, 1);
    let bomb = |codec: &mut Codec, length: usize| {
        let zeros = vec![0; length];
        codec
            .compress_alone(Half::new(15, false), &zeros)
            .unwrap()
            .to_vec()
    };
    let fits = bomb(&mut codec, LIMIT);
    assert!(fits.len() < 2048, "a bomb of {} bytes", fits.len());
    let exceeds = bomb(&mut codec, LIMIT + 1);
    let mut link = Compression::new(Some(agreed(15, true)));
    assert_eq!(inflate(&mut codec, &mut link, &fits), Ok(vec![0; LIMIT]));
    let (mut out, mut ongoing) = (Vec::new(), None);
    codec.refill(usize::MAX);
    let refused = codec.inflate(&mut link, &mut ongoing, &exceeds, &mut out, LIMIT);
    assert_eq!(refused, Err(Violation::InflatedTooBig));
    assert!(out.capacity() <= LIMIT, "held {} bytes", out.capacity());
    // A limit of nothing admits the empty message.
    codec.refill(usize::MAX);
    let empty = codec.inflate(&mut link, &mut None, &[0x00], &mut Vec::new(), 0);
    assert_eq!(empty, Ok(Progress::Done));
}

#[test]
fn a_turn_inflates_no_more_than_its_allowance() {
    let mut codec = codec(9, 1);
    let text = vec![b'a'; LIMIT];
    let bomb = codec
        .compress_alone(Half::new(15, false), &text)
        .unwrap()
        .to_vec();
    let mut link = Compression::new(Some(agreed(15, false)));
    let (mut out, mut ongoing, mut turns) = (Vec::new(), None, 0);
    const ALLOWANCE: usize = 64 << 10;
    loop {
        codec.refill(ALLOWANCE);
        let before = out.len();
        let progress = codec.inflate(&mut link, &mut ongoing, &bomb, &mut out, LIMIT);
        let produced = out.len() - before;
        assert!(produced <= ALLOWANCE + (16 << 10), "{produced} in one turn");
        turns += 1;
        if progress == Ok(Progress::Done) {
            break;
        }
        // The allowance is the worker's: nobody else inflates in this turn either.
        let mut other = Compression::new(Some(agreed(15, false)));
        let waits = codec.inflate(&mut other, &mut None, &[0x00], &mut Vec::new(), 1);
        assert_eq!(waits, Ok(Progress::Yield));
    }
    assert_eq!(out, text);
    assert!((13..=17).contains(&turns), "{turns} turns");
}

#[test]
fn input_without_output_spends_the_allowance_too() {
    // Empty last blocks: two bytes each, a restart each, no output.
    let input = [0x03, 0x00].repeat(100_000);
    let mut codec = codec(1, 1);
    let mut link = Compression::new(Some(agreed(15, true)));
    let (mut out, mut ongoing, mut turns) = (Vec::new(), None, 0);
    loop {
        codec.refill(1 << 20);
        turns += 1;
        if codec.inflate(&mut link, &mut ongoing, &input, &mut out, LIMIT) == Ok(Progress::Done) {
            break;
        }
    }
    assert!(out.is_empty());
    assert!(turns > 150, "{turns} turns for 100 000 restarts");
}

#[test]
fn inflaters_are_lent_and_come_back() {
    let mut codec = codec(9, 2);
    let bomb = codec
        .compress_alone(Half::new(15, false), &vec![7; LIMIT])
        .unwrap()
        .to_vec();
    let agreed = agreed(15, false);
    let mut links: Vec<_> = (0..3).map(|_| Compression::new(Some(agreed))).collect();
    let mut ongoing = [None, None, None];
    for (index, expected) in [(0, true), (1, true), (2, false)] {
        codec.refill(1);
        let (link, slot) = (&mut links[index], &mut ongoing[index]);
        let progress = codec.inflate(link, slot, &bomb, &mut Vec::new(), LIMIT);
        assert_eq!(progress, Ok(Progress::Yield));
        assert_eq!(ongoing[index].is_some(), expected, "{index}");
    }
    // A connection dies in the middle: its inflater is free for the third.
    ongoing[0] = None;
    codec.refill(usize::MAX);
    let progress = codec.inflate(
        &mut links[2],
        &mut ongoing[2],
        &bomb,
        &mut Vec::new(),
        LIMIT,
    );
    assert_eq!(progress, Ok(Progress::Done));
    // So does one whose message is corrupt, as often as it likes.
    for _ in 0..5 {
        codec.refill(usize::MAX);
        let refused = codec.inflate(&mut links[2], &mut None, b"\x06", &mut Vec::new(), LIMIT);
        assert_eq!(refused, Err(Violation::DeflateCorrupt));
    }
}

#[test]
fn every_level_keeps_a_256_byte_window() {
    // Matches at every distance around the edge, and a real feed.
    let mut texts = vec![feed(60)];
    for distance in [200, 249, 250, 251, 255, 256, 257, 258, 400, 505, 512, 520] {
        let noise: Vec<u8> = (0..distance)
            .map(|n: usize| (n * n * 31 / 7 + n) as u8)
            .collect();
        texts.push([&noise[..], &noise[..], &noise[..]].concat());
    }
    for level in 1..=9 {
        let mut codec = codec(level, 1);
        for keeps_context in [false, true] {
            let mut link = Compression::new(Some(agreed(8, keeps_context)));
            let mut history = Vec::new();
            for text in &texts {
                let Some(squeezed) = codec.compress(&mut link, text) else {
                    continue;
                };
                let inflated = naive::inflate(squeezed, &history).unwrap();
                assert!(&inflated.text == text, "level {level}");
                assert!(
                    inflated.distance_max <= 256,
                    "{} at level {level}",
                    inflated.distance_max
                );
                if keeps_context {
                    history.extend_from_slice(text);
                }
            }
        }
    }
}

#[test]
fn context_makes_repeated_messages_small() {
    let text = feed(8);
    for level in [1, 6, 9] {
        let mut codec = codec(level, 1);
        let mut alone = Compression::new(Some(agreed(12, false)));
        let mut kept = Compression::new(Some(agreed(12, true)));
        let first = codec.compress(&mut kept, &text).unwrap().len();
        let second = codec.compress(&mut kept, &text).unwrap().len();
        let without = codec.compress(&mut alone, &text).unwrap().len();
        assert_eq!(first, without, "level {level}");
        assert!(second * 4 < first, "level {level}: {second} after {first}");
        assert_eq!(alone.held_bytes(), 0);
    }
}

#[test]
fn what_does_not_shrink_is_not_sent_compressed() {
    let mut codec = codec(6, 1);
    let mut link = Compression::new(Some(agreed(15, true)));
    for text in [&b""[..], b"a", b"abc", &(0..=255).collect::<Vec<u8>>()] {
        assert_eq!(codec.compress(&mut link, text), None);
    }
    // And has left no trace that the peer would not have: it decodes what follows.
    let text = feed(20);
    let squeezed = codec.compress(&mut link, &text).unwrap().to_vec();
    let mut peer = Compression::new(Some(agreed(15, true)));
    assert_eq!(inflate(&mut codec, &mut peer, &squeezed), Ok(text));
}

#[test]
fn a_message_that_did_not_shrink_does_no_harm_to_the_next() {
    // xorshift: bytes that nothing compresses, and letters that shrink by a quarter only.
    let noise = |length: usize, mask: u8| {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 32) as u8 & mask
        };
        (0..length).map(|_| next()).collect::<Vec<u8>>()
    };
    for level in 1..=9 {
        let mut codec = codec(level, 1);
        for length in [1_000, 40_000, 60_000, 70_000, 200_000] {
            let mut link = Compression::new(Some(agreed(15, false)));
            assert_eq!(codec.compress(&mut link, &noise(length, 0xff)), None);
            let text = noise(150_000, 0x1f);
            let squeezed = codec.compress(&mut link, &text).unwrap().to_vec();
            assert_eq!(inflate(&mut codec, &mut link, &squeezed), Ok(text));
        }
    }
}

#[test]
fn a_connection_holds_its_windows_and_no_more() {
    let mut codec = codec(1, 1);
    for window_bits in WINDOW_BITS {
        let mut link = Compression::new(Some(agreed(window_bits, true)));
        assert_eq!(link.held_bytes(), 0);
        for length in [100, 3_000, 100_000] {
            let text = feed(length / 40);
            let squeezed = codec.compress(&mut link, &text).unwrap().to_vec();
            assert_eq!(inflate(&mut codec, &mut link, &squeezed), Ok(text));
        }
        assert_eq!(link.held_bytes(), 48 + (2 << window_bits));
    }
}

/// Messages from compressible to noise, some repeated.
fn messages() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let repetitive = (prop::collection::vec(any::<u8>(), 1..40), 1usize..80)
        .prop_map(|(pattern, times)| pattern.repeat(times));
    let noise = prop::collection::vec(any::<u8>(), 0..600);
    let small_alphabet = prop::collection::vec(0u8..4, 0..2000);
    let feed = (1usize..60).prop_map(feed);
    prop::collection::vec(prop_oneof![repetitive, noise, small_alphabet, feed], 1..6)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Under every agreement, level and ration, what was compressed inflates to what it was; the
    /// engine and the naive inflater agree; no reference leaves the window that was agreed.
    #[test]
    fn round_trips(
        messages in messages(),
        window_bits in WINDOW_BITS,
        keeps_context: bool,
        level in 1u8..=9,
        allowance in prop_oneof![Just(1usize), 1usize..5000, Just(usize::MAX)],
    ) {
        let agreed = agreed(window_bits, keeps_context);
        let mut codec = codec(level, 1);
        let (mut sender, mut receiver) = (Compression::new(Some(agreed)), Compression::new(Some(agreed)));
        let mut history = Vec::new();
        for text in &messages {
            let Some(squeezed) = codec.compress(&mut sender, text) else { continue };
            let squeezed = squeezed.to_vec();
            prop_assert!(squeezed.len() < text.len());
            let naive = naive::inflate(&squeezed, &history).expect("we write DEFLATE");
            prop_assert_eq!(&naive.text, text);
            prop_assert!(naive.distance_max <= agreed.ours.window_bytes());
            if keeps_context {
                history.extend_from_slice(text);
            }
            let (mut out, mut ongoing) = (Vec::new(), None);
            loop {
                codec.refill(allowance);
                let progress = codec.inflate(&mut receiver, &mut ongoing, &squeezed, &mut out, LIMIT);
                if progress == Ok(Progress::Done) {
                    break;
                }
                prop_assert_eq!(progress, Ok(Progress::Yield));
            }
            prop_assert_eq!(&out, text);
        }
    }

    #[test]
    fn any_bytes_keep_the_properties(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        fuzzing::inflate(&bytes);
    }

    /// Nearly right streams: compressed, then one byte changed.
    #[test]
    fn bent_streams_keep_the_properties(choice: u8, messages in 2usize..30, at: prop::sample::Index, byte: u8) {
        let half = Half::new(15, false);
        let mut input = codec(6, 1).compress_alone(half, &feed(messages)).unwrap().to_vec();
        let at = at.index(input.len());
        input[at] = byte;
        fuzzing::inflate(&[&[choice][..], &input].concat());
    }
}

#[test]
fn a_turn_compresses_no_more_than_its_share_and_the_next_one_again() {
    let mut codec = codec(1, 4);
    let mut link = Compression::new(Some(agreed(12, false)));
    let payload = [b'a'; 200];
    for _ in 0..3 {
        codec.refill(64 << 10);
        let compressed = (0..1000).filter(|_| codec.compress(&mut link, &payload).is_some());
        assert!((1..8).contains(&compressed.count()));
    }
}
