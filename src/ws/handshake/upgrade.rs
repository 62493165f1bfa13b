//! Reading the client's opening request (RFC 6455 4.2.1).

use std::borrow::Cow;

use super::accept::KEY_BYTES;
use super::{Refusal, joined};
use crate::http1::{Head, Known, Once, has_token, is_token, list};

/// The most bytes of `Sec-WebSocket-Extensions` read. Browsers send about 50, the longest sensible
/// offers a few hundred.
pub const EXTENSIONS_BYTES_MAX: usize = 2048;

/// An opening request that may become a WebSocket: everything the RFC demands of it has been checked.
/// Whether this origin, path or protocol is welcome is the caller's question.
#[derive(Clone, Copy, Debug)]
pub struct Upgrade<'b> {
    /// `Sec-WebSocket-Key`: characters of base64.
    pub key: &'b [u8; KEY_BYTES],
    /// The page that opened the connection, as the browser reports it; other clients send none.
    pub origin: Option<&'b str>,
    head: Head<'b>,
}

impl<'b> Upgrade<'b> {
    /// Checks a request head against everything RFC 6455 4.2.1 asks of it.
    pub fn check(head: &Head<'b>) -> Result<Self, Refusal> {
        match head.method {
            "GET" => {}
            "HEAD" => return Err(Refusal::METHOD_HEAD),
            _ => return Err(Refusal::METHOD),
        }
        // `Transfer-Encoding` did not get past the head parser.
        if head.content_length() > 0 {
            return Err(Refusal::BODY);
        }
        if !has_token(head.known(Known::Upgrade), "websocket") {
            return Err(Refusal::NOT_AN_UPGRADE);
        }
        // RFC 9110 7.8: an upgrade in HTTP/1.0 does not exist; a proxy would not know of it.
        if head.version_minor == 0 {
            return Err(Refusal::HTTP_1_0);
        }
        if !has_token(head.known(Known::Connection), "upgrade") {
            return Err(Refusal::CONNECTION);
        }
        // The version comes before the key: another version may have another key.
        if head.once(Known::Version) != Once::Is("13") {
            return Err(Refusal::VERSION);
        }
        let Once::Is(key) = head.once(Known::Key) else {
            return Err(Refusal::KEY);
        };
        let key = checked_key(key).ok_or(Refusal::KEY)?;
        let origin = match head.once(Known::Origin) {
            Once::Absent => None,
            Once::Is(origin) => Some(origin),
            Once::Repeated => return Err(Refusal::ORIGIN_TWICE),
        };
        if !head.known(Known::Protocol).all(is_list_of_tokens) {
            return Err(Refusal::PROTOCOLS);
        }
        let offers = head.known(Known::Extensions);
        if offers.map(str::len).sum::<usize>() > EXTENSIONS_BYTES_MAX {
            return Err(Refusal::EXTENSIONS);
        }
        let head = *head;
        Ok(Self { key, origin, head })
    }

    /// The subprotocols the client would speak, the preferred first.
    pub fn protocols(&self) -> impl Iterator<Item = &'b str> + use<'b> {
        self.head.known(Known::Protocol).flat_map(list)
    }

    /// All extension offers as one list, for [`negotiate`](crate::ws::extension::negotiate).
    pub fn extensions(&self) -> Cow<'b, str> {
        joined(self.head.known(Known::Extensions))
    }

    /// The request the upgrade came in, for its path, query, cookies and the rest.
    pub fn head(&self) -> &Head<'b> {
        &self.head
    }
}

fn is_list_of_tokens(value: &str) -> bool {
    list(value).next().is_some() && list(value).all(is_token)
}

/// 16 bytes in base64: 22 characters and two of padding. The four bits that 22 characters have too
/// many may be anything: RFC 4648 3.5 lets a decoder decide, and clients exist that make keys up
/// from random letters.
fn checked_key(key: &str) -> Option<&[u8; KEY_BYTES]> {
    let key: &[u8; KEY_BYTES] = key.as_bytes().try_into().ok()?;
    let (characters, padding) = key.split_at(KEY_BYTES - 2);
    let is_base64 = |b: &u8| b.is_ascii_alphanumeric() | (*b == b'+') | (*b == b'/');
    // Without an early exit this is a handful of vector operations.
    let all_base64 = characters.iter().fold(true, |all, b| all & is_base64(b));
    (all_base64 && padding == b"==").then_some(key)
}
