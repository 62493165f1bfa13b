use super::*;
use crate::ws::fuzzing;
use proptest::prelude::*;

/// Chunks that are taken, and whether the text may end after them.
fn feed_all(chunks: &[&[u8]]) -> Result<(), Violation> {
    let mut stream = Utf8Stream::new();
    for chunk in chunks {
        stream.feed(chunk)?;
    }
    stream.finish()
}

/// The first, last and boundary sequences of RFC 3629, and everything just outside.
const EDGES: &[(&[u8], bool)] = &[
    (b"", true),
    (b"\x00", true),
    (b"\x7F", true),
    (b"\x80", false),
    (b"\xBF", false),
    (b"\xC0\x80", false),
    (b"\xC1\xBF", false),
    (b"\xC2\x80", true),
    (b"\xDF\xBF", true),
    (b"\xE0\x80\x80", false),
    (b"\xE0\x9F\xBF", false),
    (b"\xE0\xA0\x80", true),
    (b"\xED\x9F\xBF", true),
    (b"\xED\xA0\x80", false),
    (b"\xED\xBF\xBF", false),
    (b"\xEE\x80\x80", true),
    (b"\xEF\xBF\xBE", true),
    (b"\xEF\xBF\xBF", true),
    (b"\xF0\x80\x80\x80", false),
    (b"\xF0\x8F\xBF\xBF", false),
    (b"\xF0\x90\x80\x80", true),
    (b"\xF4\x8F\xBF\xBF", true),
    (b"\xF4\x90\x80\x80", false),
    (b"\xF5\x80\x80\x80", false),
    (b"\xF8\x88\x80\x80\x80", false),
    (b"\xFE", false),
    (b"\xFF", false),
    (b"\xCE\xBA\xE1\xBD\xB9\xCF\x83\xCE\xBC\xCE\xB5", true),
];

#[test]
fn edges_are_judged_alike_however_they_are_cut() {
    for &(bytes, valid) in EDGES {
        fuzzing::utf8(bytes);
        assert_eq!(feed_all(&[bytes]).is_ok(), valid, "{bytes:02X?}");
        for cut in 0..=bytes.len() {
            let (left, right) = bytes.split_at(cut);
            assert_eq!(
                feed_all(&[left, right]).is_ok(),
                valid,
                "{bytes:02X?} cut at {cut}"
            );
            assert_eq!(feed_all(&[left, b"", right]).is_ok(), valid);
        }
    }
}

#[test]
fn every_pair_and_lead_triple_agrees_with_std() {
    for first in 0..=255 {
        for second in 0..=255 {
            fuzzing::utf8(&[first, second]);
            if matches!(first, 0xE0 | 0xED | 0xF0 | 0xF4) {
                fuzzing::utf8(&[first, second, 0x80]);
                fuzzing::utf8(&[first, second, 0x80, 0xBF]);
            }
        }
    }
}

#[test]
fn an_impossible_byte_is_refused_when_it_is_read() {
    // Autobahn 6.4.x: F4 90 can become nothing, although two bytes are missing.
    let mut stream = Utf8Stream::new();
    stream.feed(b"\xCE\xBA\xF4").unwrap();
    assert_eq!(stream.feed(b"\x90"), Err(Violation::TextNotUtf8));
}

#[test]
fn a_cut_end_is_not_an_end() {
    for begun in [&b"\xC3"[..], b"\xE2\x82", b"\xF0\x9F\x98", b"abc\xF0"] {
        let mut stream = Utf8Stream::new();
        stream.feed(begun).unwrap();
        assert!(!stream.is_at_boundary());
        assert_eq!(stream.finish(), Err(Violation::TextNotUtf8));
    }
}

#[test]
fn one_bad_byte_is_found_at_every_place_of_every_length() {
    for len in 1..=300 {
        for place in 0..len {
            let mut text = vec![b'a'; len];
            text[place] = 0xFF;
            assert!(Utf8Stream::new().feed(&text).is_err(), "{place} of {len}");
        }
    }
}

proptest! {
    #[test]
    fn mutated_text_is_judged_as_std_judges_it(
        text in ".{0,80}",
        hits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
    ) {
        let mut bytes = text.into_bytes();
        for (place, byte) in hits {
            if !bytes.is_empty() {
                let place = place.index(bytes.len());
                bytes[place] = byte;
            }
        }
        fuzzing::utf8(&bytes);
    }
}
