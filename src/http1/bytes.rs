//! Which bytes may stand where, as one table: a look instead of a search per byte.

/// What a byte may be part of.
#[derive(Clone, Copy)]
pub(super) struct Class(u8);

impl Class {
    /// RFC 9110 5.6.2: methods, header names, protocols.
    pub(super) const TOKEN: Self = Self(1);
    /// `Host`: a name, an address, a port.
    pub(super) const HOST: Self = Self(2);
    /// A request target.
    pub(super) const TARGET: Self = Self(4);

    /// Whether all of `text` is of this class; the empty text is.
    #[inline]
    pub(super) fn holds(self, text: &str) -> bool {
        // No early exit: texts are short and nearly always right.
        text.bytes()
            .fold(self.0, |left, byte| left & CLASSES[usize::from(byte)])
            != 0
    }
}

const CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let b = byte as u8;
        let is_alphanumeric = b.is_ascii_alphanumeric();
        if is_alphanumeric || is_among(b, b"!#$%&'*+-.^_`|~") {
            classes[byte] |= Class::TOKEN.0;
        }
        if is_alphanumeric || is_among(b, b"-._~%!$&'()*+,;=:[]") {
            classes[byte] |= Class::HOST.0;
        }
        // A fragment never leaves the client, and bytes beyond ASCII must come percent-encoded. The
        // rest of what RFC 3986 forbids (`|`, `{`, ...) browsers do send in queries: tolerated.
        if b.is_ascii_graphic() && b != b'#' {
            classes[byte] |= Class::TARGET.0;
        }
        byte += 1;
    }
    classes
};

const fn is_among(byte: u8, mut set: &[u8]) -> bool {
    while let [first, rest @ ..] = set {
        if *first == byte {
            return true;
        }
        set = rest;
    }
    false
}
