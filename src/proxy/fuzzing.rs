//! The property that the fuzz target and the tests share.

use super::{HEADER_BYTES_MAX, Header, parse};

/// Whatever comes in whatever pieces, the verdict is the one on the whole: once it falls it stays, and
/// it falls at the first byte that settles it, or is still open at the last.
///
/// # Panics
///
/// If that does not hold.
pub fn proxy_header(bytes: &[u8]) {
    let whole = parse(bytes);
    let mut settled = None;
    for length in 0..=bytes.len().min(HEADER_BYTES_MAX + 1) {
        let verdict = parse(&bytes[..length]);
        match (&settled, &verdict) {
            (None, Ok(None)) => {
                assert!(length < HEADER_BYTES_MAX, "it waits for ever: {length}");
            }
            (None, _) => settled = Some(verdict),
            (Some(first), _) => assert_eq!(&verdict, first, "it changes its mind at {length}"),
        }
        if let Ok(Some(Header { length: used, .. })) = verdict {
            assert!(used <= length && used <= HEADER_BYTES_MAX);
        }
    }
    assert_eq!(settled.unwrap_or(Ok(None)), whole);
}
