//! Properties that hold for every input: one line of fuzz target each, and seeds under `cargo test`.

use super::{Agreed, Codec, Compression, DeflateConfig, Half, Mode, Progress};
use crate::ws::close::Violation;
use crate::ws::extension::{accept_answer, negotiate, offer};

/// Small, so that the limit is reached often.
const MESSAGE_BYTES_MAX: usize = 4 << 10;

/// Any bytes as a compressed message: no panic, the limit holds, the verdict is the same however
/// little may be inflated per turn, and what comes out survives a round trip through our own
/// compression. The first byte chooses window and context.
pub fn inflate(bytes: &[u8]) {
    let Some((&choice, input)) = bytes.split_first() else {
        return;
    };
    let half = Half::new(8 + choice % 8, choice & 8 != 0);
    let agreed = Agreed {
        ours: half,
        theirs: half,
    };
    // Twice each, so that the second message meets the history of the first.
    let at_once = inflate_all(agreed, &[input, input], usize::MAX);
    for allowance in [1, 7, 1000] {
        assert_eq!(inflate_all(agreed, &[input, input], allowance), at_once);
    }
    let Ok(texts) = at_once else { return };
    let (mut link, mut codec) = (Compression::new(Some(agreed)), Codec::default());
    let mut compressed = Vec::new();
    for text in &texts {
        assert!(text.len() <= MESSAGE_BYTES_MAX);
        // `None` leaves no trace in the history of either end.
        if let Some(squeezed) = codec.compress(&mut link, text) {
            assert!(squeezed.len() < text.len());
            compressed.push((text, squeezed.to_vec()));
        }
    }
    let payloads: Vec<&[u8]> = compressed.iter().map(|(_, bytes)| &bytes[..]).collect();
    let again = inflate_all(agreed, &payloads, usize::MAX).expect("we inflate what we compressed");
    assert!(compressed.iter().map(|(text, _)| *text).eq(&again));
}

/// Any text as a list of extensions: no panic, and whatever is answered is an answer that a client
/// which offered the like of it accepts, with the same view of both directions.
pub fn extension_header(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else {
        return;
    };
    for mode in [Mode::Shared, Mode::Dedicated] {
        for window_bits in [8, 12, 15] {
            let config = DeflateConfig {
                mode,
                window_bits,
                ..DeflateConfig::default()
            };
            if let Some((agreed, answer)) = negotiate(text, &config) {
                assert!(agreed.ours.window_bits() <= window_bits);
                assert!(
                    !agreed.theirs.keeps_context() || agreed.theirs.window_bits() <= window_bits
                );
                assert!(
                    crate::http1::append_response(&mut Vec::new(), 101, &[("E", &answer)], b"")
                        .is_ok()
                );
                // An answer is an offer that can only be answered with itself.
                let (again, repeated) = negotiate(&answer, &config).expect("ours is well-formed");
                assert_eq!((agreed.ours, &answer), (again.ours, &repeated));
            }
            // As an answer to a client: accepted or refused, and then within what was offered.
            if let Ok(Some(agreed)) = accept_answer(text, &config) {
                assert!(agreed.ours.window_bits() <= window_bits);
                assert!(offer(&config).is_some());
            }
        }
    }
}

/// Inflates messages one after the other with this much allowance per turn.
pub(super) fn inflate_all(
    agreed: Agreed,
    messages: &[&[u8]],
    allowance: usize,
) -> Result<Vec<Vec<u8>>, Violation> {
    let (mut link, mut codec) = (Compression::new(Some(agreed)), Codec::default());
    let mut texts = Vec::new();
    for input in messages {
        // What is in front of the text is not ours and stays.
        let (mut out, mut ongoing) = (b"in front".to_vec(), None);
        loop {
            codec.refill(allowance);
            let (limit, link) = (MESSAGE_BYTES_MAX, &mut link);
            match codec.inflate(link, &mut ongoing, input, &mut out, limit) {
                Ok(Progress::Yield) => assert!(out.len() <= 8 + MESSAGE_BYTES_MAX),
                Ok(Progress::Done) => break,
                Err(violation) => return Err(violation),
            }
        }
        assert!(ongoing.is_none());
        assert!(out.starts_with(b"in front"));
        texts.push(out.split_off(8));
    }
    Ok(texts)
}
