//! The clauses of RFC 6455, in the order of the Autobahn suite's sections, each under every split.

use super::*;
use crate::ws::frame::{HEADROOM, append_frame};
use crate::ws::fuzzing::{self, OwnedStep, SMALL_RULES, Transcript, run};
use proptest::prelude::*;

const KEY: [u8; 4] = [0x37, 0xFA, 0x21, 0x3D];
const FIN: u8 = 0x80;

/// A masked frame with any first byte.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    append_frame(&mut bytes, Opcode::Binary, false, Some(KEY), payload);
    bytes[0] = first;
    bytes
}

fn text(payload: &str) -> OwnedStep {
    OwnedStep::Message(Kind::Text, payload.as_bytes().to_vec())
}

fn binary(payload: &[u8]) -> OwnedStep {
    OwnedStep::Message(Kind::Binary, payload.to_vec())
}

fn ping(payload: &[u8]) -> OwnedStep {
    OwnedStep::Ping(payload.to_vec())
}

/// Whole, in every two pieces and byte by byte.
fn run_split(stream: &[u8], rules: &Rules) -> Transcript {
    let whole = run([stream], rules, None);
    for cut in 0..=stream.len() {
        let (left, right) = stream.split_at(cut);
        assert_eq!(
            run([left, right], rules, None),
            whole,
            "cut at {cut} of {stream:02X?}"
        );
    }
    assert_eq!(
        run(stream.chunks(1), rules, None),
        whole,
        "byte by byte {stream:02X?}"
    );
    whole
}

/// The frames make these steps, and nothing is left.
fn accepts(frames: &[Vec<u8>], steps: &[OwnedStep]) {
    let transcript = run_split(&frames.concat(), &SMALL_RULES);
    assert_eq!(transcript.violation, None, "{frames:02X?}");
    assert_eq!(transcript.steps, steps);
    assert!(!transcript.is_mid_message);
}

/// The frames make these steps and then break a rule.
fn refuses(frames: &[Vec<u8>], steps: &[OwnedStep], violation: Violation) {
    let transcript = run_split(&frames.concat(), &SMALL_RULES);
    assert_eq!(transcript.violation, Some(violation), "{frames:02X?}");
    assert_eq!(transcript.steps, steps);
}

#[test]
fn section_1_framing() {
    for len in [0, 1, 125, 126, 127, 128, 300] {
        let payload = "*".repeat(len);
        accepts(&[frame(0x81, payload.as_bytes())], &[text(&payload)]);
        let payload = vec![0xFE; len];
        accepts(&[frame(0x82, &payload)], &[binary(&payload)]);
    }
    accepts(
        &[frame(0x81, b"a"), frame(0x82, b""), frame(0x81, b"b")],
        &[text("a"), binary(b""), text("b")],
    );
}

#[test]
fn section_1_long_lengths() {
    let rules = Rules {
        message_bytes_max: 70_000,
        ..SMALL_RULES
    };
    for len in [65_535, 65_536, 70_000] {
        let payload = vec![b'*'; len];
        let stream = frame(0x81, &payload);
        let expected = [OwnedStep::Message(Kind::Text, payload)];
        for size in [1, 7, 997, 4096, 65_536, stream.len()] {
            assert_eq!(
                run(stream.chunks(size), &rules, None).steps,
                expected,
                "{len} by {size}"
            );
        }
    }
}

#[test]
fn section_2_pings_and_pongs() {
    accepts(&[frame(0x89, b"")], &[ping(b"")]);
    accepts(&[frame(0x89, b"\x00\xFF\xFE")], &[ping(b"\x00\xFF\xFE")]);
    accepts(&[frame(0x89, &[0xFE; 125])], &[ping(&[0xFE; 125])]);
    accepts(
        &[frame(0x8A, b"mine")],
        &[OwnedStep::Pong(b"mine".to_vec())],
    );
    let ten: Vec<_> = (0..10).map(|n| frame(0x89, &[n])).collect();
    let pings: Vec<_> = (0..10).map(|n| ping(&[n])).collect();
    accepts(&ten, &pings);
    refuses(&[frame(0x89, &[0; 126])], &[], Violation::ControlTooLong);
}

#[test]
fn section_3_reserved_bits() {
    refuses(&[frame(0x91, b"x")], &[], Violation::ReservedBits);
    refuses(&[frame(0xA1, b"x")], &[], Violation::ReservedBits);
    refuses(&[frame(0xC1, b"x")], &[], Violation::Rsv1WithoutExtension);
    refuses(&[frame(0xC9, b"x")], &[], Violation::Rsv1OnControl);
    let hello = [frame(0x81, b"hello"), frame(0xF8, b"")];
    refuses(&hello, &[text("hello")], Violation::ReservedBits);
    let continued = [frame(0x01, b"a"), frame(0xC0, b"b")];
    refuses(&continued, &[], Violation::Rsv1OnContinuation);
}

#[test]
fn section_4_reserved_opcodes() {
    for opcode in [3, 4, 5, 6, 7, 11, 12, 13, 14, 15] {
        let frames = [
            frame(0x81, b"before"),
            frame(FIN | opcode, b""),
            frame(0x89, b"after"),
        ];
        refuses(&frames, &[text("before")], Violation::ReservedOpcode);
    }
}

#[test]
fn section_5_fragmentation() {
    accepts(
        &[frame(0x01, b"fragment1"), frame(0x80, b"fragment2")],
        &[text("fragment1fragment2")],
    );
    accepts(
        &[frame(0x02, b"a"), frame(0x00, b""), frame(0x80, b"b")],
        &[binary(b"ab")],
    );
    accepts(
        &[frame(0x01, b""), frame(0x00, b""), frame(0x80, b"")],
        &[text("")],
    );
    accepts(
        &[
            frame(0x01, b"one"),
            frame(0x89, b"now"),
            frame(0x80, b"two"),
            frame(0x82, b"next"),
        ],
        &[ping(b"now"), text("onetwo"), binary(b"next")],
    );
    let many_pings = [
        frame(0x01, b"1"),
        frame(0x89, b"p"),
        frame(0x00, b"2"),
        frame(0x00, b"3"),
        frame(0x89, b"q"),
        frame(0x80, b"4"),
    ];
    accepts(&many_pings, &[ping(b"p"), ping(b"q"), text("1234")]);
}

#[test]
fn section_5_fragmentation_broken() {
    refuses(&[frame(0x09, b"x")], &[], Violation::ControlFragmented);
    refuses(
        &[frame(0x0A, b"x"), frame(0x80, b"y")],
        &[],
        Violation::ControlFragmented,
    );
    refuses(
        &[frame(0x80, b"x"), frame(0x81, b"y")],
        &[],
        Violation::ContinuationWithoutStart,
    );
    refuses(
        &[frame(0x00, b"x")],
        &[],
        Violation::ContinuationWithoutStart,
    );
    refuses(
        &[frame(0x01, b"x"), frame(0x81, b"y")],
        &[],
        Violation::MessageInsideMessage,
    );
    refuses(
        &[frame(0x02, b"x"), frame(0x02, b"y")],
        &[],
        Violation::MessageInsideMessage,
    );
    let after_the_end = [frame(0x01, b"a"), frame(0x80, b"b"), frame(0x80, b"c")];
    refuses(
        &after_the_end,
        &[text("ab")],
        Violation::ContinuationWithoutStart,
    );
}

#[test]
fn section_6_text_is_utf8() {
    let kosme = "κόσμε";
    accepts(&[frame(0x81, kosme.as_bytes())], &[text(kosme)]);
    // One byte per fragment: every code point is cut.
    let mut frames: Vec<_> = kosme.bytes().map(|byte| frame(0x00, &[byte])).collect();
    frames[0][0] = 0x01;
    frames.push(frame(0x80, b""));
    accepts(&frames, &[text(kosme)]);
    // A Ping between the halves of a code point.
    let halves = [
        frame(0x01, b"\xCE"),
        frame(0x89, b"\xFF"),
        frame(0x80, b"\xBA"),
    ];
    accepts(&halves, &[ping(b"\xFF"), text("κ")]);
    accepts(&[frame(0x82, b"\xFF\xC0")], &[binary(b"\xFF\xC0")]);
    refuses(
        &[frame(0x81, b"abc\xED\xA0\x80")],
        &[],
        Violation::TextNotUtf8,
    );
    refuses(&[frame(0x81, b"abc\xCE")], &[], Violation::TextNotUtf8);
    refuses(
        &[frame(0x01, b"abc\xCE"), frame(0x80, b"")],
        &[],
        Violation::TextNotUtf8,
    );
    refuses(
        &[frame(0x01, b"abc\xCE"), frame(0x80, b"z")],
        &[],
        Violation::TextNotUtf8,
    );
}

#[test]
fn section_6_ascii_does_not_hide_a_cut_code_point() {
    // Taken without the `z`, the two halves would make a κ.
    let frames = [
        frame(0x01, b"\xCE"),
        frame(0x00, b"z"),
        frame(0x80, b"\xBA"),
    ];
    refuses(&frames, &[], Violation::TextNotUtf8);
    // And it is the `z` that is refused, not what comes later.
    refuses(&frames[..2], &[], Violation::TextNotUtf8);
}

#[test]
fn section_6_4_fails_fast_inside_an_unfinished_frame() {
    let payload = b"\xCE\xBA\xE1\xBD\xB9\xCF\x83\xCE\xBC\xCE\xB5\xF4\x90\x80\x80 and more";
    let whole = frame(0x81, payload);
    let header = whole.len() - payload.len();
    let good = run([&whole[..header + 12]], &SMALL_RULES, None);
    assert_eq!((good.violation, good.is_mid_message), (None, true));
    // F4 alone may still become valid; F4 90 may not, whatever follows.
    let bad = run(
        [&whole[..header + 12], &whole[header + 12..header + 13]],
        &SMALL_RULES,
        None,
    );
    assert_eq!(bad.violation, Some(Violation::TextNotUtf8));
    let bad = run([&whole[..header + 13]], &SMALL_RULES, None);
    assert_eq!(bad.violation, Some(Violation::TextNotUtf8));
}

#[test]
fn section_7_close() {
    let close = |payload: &[u8]| frame(0x88, payload);
    let closed = |code, reason: &str| {
        OwnedStep::Close(Some((CloseCode::new(code).unwrap(), reason.to_owned())))
    };
    accepts(&[close(b"")], &[OwnedStep::Close(None)]);
    accepts(&[close(b"\x03\xE8")], &[closed(1000, "")]);
    accepts(&[close(b"\x03\xE8ok")], &[closed(1000, "ok")]);
    let longest = [&b"\x03\xE8"[..], &[b'*'; 123]].concat();
    accepts(&[close(&longest)], &[closed(1000, &"*".repeat(123))]);
    for code in [
        1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999_u16,
    ] {
        accepts(&[close(&code.to_be_bytes())], &[closed(code, "")]);
    }
    for code in [
        0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535_u16,
    ] {
        refuses(
            &[close(&code.to_be_bytes())],
            &[],
            Violation::CloseCodeForbidden,
        );
    }
    refuses(&[close(b"\x03")], &[], Violation::ClosePayloadOfOneByte);
    refuses(
        &[close(b"\x03\xE8\xCE\xBA\xED\xA0\x80")],
        &[],
        Violation::CloseReasonNotUtf8,
    );
    refuses(&[close(&[b'*'; 126])], &[], Violation::ControlTooLong);
    // Nothing after a Close is looked at, not even what is broken.
    accepts(
        &[close(b"\x03\xE8"), frame(0xFF, b"x")],
        &[closed(1000, "")],
    );
    accepts(
        &[frame(0x01, b"half"), close(b"")],
        &[OwnedStep::Close(None)],
    );
}

#[test]
fn each_role_insists_on_its_mask() {
    refuses(&[b"\x81\x01x".to_vec()], &[], Violation::MaskMissing);
    let client = Rules {
        role: Role::Client,
        ..SMALL_RULES
    };
    let masked = run_split(&frame(0x81, b"x"), &client);
    assert_eq!(masked.violation, Some(Violation::MaskForbidden));
    let plain = run_split(b"\x81\x02hi\x02\x01\xFF\x89\x00\x80\x01\xFE", &client);
    assert_eq!(plain.steps, [text("hi"), ping(b""), binary(b"\xFF\xFE")]);
}

#[test]
fn too_big_is_told_from_the_header_alone() {
    let max = SMALL_RULES.message_bytes_max as u64;
    for len in [65_536, 1 << 31, (1 << 32) + 5, 1 << 62, (1 << 63) - 1_u64] {
        let header = [&[0x82, 0xFF][..], &len.to_be_bytes(), &KEY].concat();
        assert_eq!(
            run_split(&header, &SMALL_RULES).violation,
            Some(Violation::MessageTooBig)
        );
    }
    for (len, expected) in [(max, None), (max + 1, Some(Violation::MessageTooBig))] {
        let header = [&[0x82, 0xFE][..], &(len as u16).to_be_bytes(), &KEY].concat();
        assert_eq!(
            run_split(&header, &SMALL_RULES).violation,
            expected,
            "{len}"
        );
        // What is assembled already counts.
        let begun = frame(0x02, &vec![0; max as usize - 1]);
        let more = (len - max + 1) as u8;
        let stream = [&begun[..], &[0x80, 0x80 | more], &KEY].concat();
        assert_eq!(
            run([&stream[..]], &SMALL_RULES, None).violation,
            expected,
            "1 short, {more} more"
        );
    }
}

#[test]
fn a_declared_length_is_not_allocated() {
    let rules = Rules {
        message_bytes_max: 1 << 40,
        ..SMALL_RULES
    };
    let mut input = vec![0; HEADROOM];
    input.extend([0x82, 0xFF]);
    input.extend((1_u64 << 40).to_be_bytes());
    input.extend(KEY);
    input.extend([0; 1000]);
    let mut inbound = Inbound::new();
    let mut at = HEADROOM;
    let (mut link, mut codec) = (Compression::default(), Codec::default());
    let step = inbound.step(&rules, &mut link, &mut codec, &mut input, &mut at);
    assert!(matches!(step, Ok(Step::Drained)));
    assert!(inbound.is_mid_message());
    assert!(
        (1000..4096).contains(&inbound.held_bytes()),
        "{}",
        inbound.held_bytes()
    );
}

#[test]
fn many_fragments_pass_but_not_endless_empty_ones() {
    let rules = Rules {
        message_bytes_max: 1 << 20,
        empty_fragments_max: 1000,
        ..SMALL_RULES
    };
    let mut stream = frame(0x02, b"x");
    for _ in 0..65_534 {
        stream.extend(frame(0x00, b"x"));
    }
    stream.extend(frame(0x80, b"x"));
    for size in [stream.len(), 4096, 1] {
        let transcript = run(stream.chunks(size), &rules, None);
        assert_eq!(transcript.violation, None);
        assert_eq!(transcript.steps, [binary(&[b'x'; 65_536])]);
    }

    let empty = |count: usize| {
        let mut stream = frame(0x01, b"");
        stream.extend(frame(0x00, b"").repeat(count - 1));
        stream.extend(frame(0x80, b""));
        run([&stream[..]], &rules, None)
    };
    assert_eq!(empty(1000).steps, [text("")]);
    assert_eq!(
        empty(1001).violation,
        Some(Violation::TooManyEmptyFragments)
    );
}

#[test]
fn the_time_of_a_message_runs_from_its_first_byte_to_its_last() {
    let mut inbound = Inbound::new();
    let (mut link, mut codec) = (Compression::default(), Codec::default());
    let mut read = |bytes: &[u8], tick: u32| {
        let mut input = bytes.to_vec();
        let mut at = 0;
        loop {
            let step = inbound.step(&SMALL_RULES, &mut link, &mut codec, &mut input, &mut at);
            if matches!(step.unwrap(), Step::Drained) {
                break;
            }
        }
        inbound.note_begun(tick);
        inbound.begun_tick()
    };
    let (first, last) = (frame(0x01, b"first"), frame(0x80, b"last"));
    assert_eq!(read(&first[..1], 1), Some(1));
    assert_eq!(read(&first[1..], 2), Some(1));
    assert_eq!(read(&frame(0x89, b"ping"), 3), Some(1));
    // The end of one and the beginning of the next in one read: a new time.
    assert_eq!(read(&[&last[..], &first[..3]].concat(), 4), Some(4));
    assert_eq!(read(&[&first[3..], &last].concat(), 5), None);
}

#[test]
fn what_was_held_is_given_back() {
    let mut inbound = Inbound::new();
    let (mut link, mut codec) = (Compression::default(), Codec::default());
    let stream = [
        frame(0x01, b"half"),
        frame(0x89, b"ping"),
        frame(0x80, b"whole"),
    ]
    .concat();
    for chunk in stream.chunks(3) {
        let mut input = [&[0; HEADROOM][..], chunk].concat();
        let mut at = HEADROOM;
        loop {
            let step = inbound.step(&SMALL_RULES, &mut link, &mut codec, &mut input, &mut at);
            if matches!(step.unwrap(), Step::Drained) {
                break;
            }
        }
    }
    assert!(inbound.is_idle());
    assert_eq!(inbound.held_bytes(), 0);
}

/// Frames that are mostly legal, so that streams get far.
fn any_frame() -> impl Strategy<Value = Vec<u8>> {
    let first = prop_oneof![
        8 => prop::sample::select(vec![0x81, 0x82, 0x01, 0x02, 0x00, 0x80, 0x89, 0x8A]),
        1 => any::<u8>(),
    ];
    let payload = prop_oneof![
        "[a-zé€\u{1F600}]{0,60}".prop_map(String::into_bytes),
        prop::collection::vec(any::<u8>(), 0..200),
    ];
    (first, payload).prop_map(|(first, payload)| frame(first, &payload))
}

proptest! {
    #[test]
    fn chunks_make_no_difference(
        frames in prop::collection::vec(any_frame(), 0..12),
        sizes in prop::collection::vec(1..40_usize, 1..20),
    ) {
        let stream = frames.concat();
        let mut rest = &stream[..];
        let mut chunks = Vec::new();
        for size in sizes.into_iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (chunk, after) = rest.split_at(size.min(rest.len()));
            chunks.push(chunk);
            rest = after;
        }
        prop_assert_eq!(run(chunks, &SMALL_RULES, None), run([&stream[..]], &SMALL_RULES, None));
    }

    #[test]
    fn any_stream_is_judged_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        fuzzing::frame_stream(&bytes);
    }
}
