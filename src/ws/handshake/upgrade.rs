//! Reading the client's opening request (RFC 6455 4.2.1).

use std::borrow::Cow;

use super::{Refusal, joined};
use crate::http1::{Head, has_token, is_token, list};

/// The most bytes of `Sec-WebSocket-Extensions` read. Browsers send about 50, the longest sensible
/// offers a few hundred.
pub const EXTENSIONS_BYTES_MAX: usize = 2048;

/// An opening request that may become a WebSocket: everything the RFC demands of it has been checked.
/// Whether this origin, path or protocol is welcome is the caller's question.
#[derive(Clone, Copy, Debug)]
pub struct Upgrade<'b> {
    /// `Sec-WebSocket-Key`: 24 characters of base64.
    pub key: &'b str,
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
        let asked = Asked::from(head)?;
        if !asked.upgrade {
            return Err(Refusal::NOT_AN_UPGRADE);
        }
        // RFC 9110 7.8: an upgrade in HTTP/1.0 does not exist; a proxy would not know of it.
        if head.version_minor == 0 {
            return Err(Refusal::HTTP_1_0);
        }
        if !asked.connection {
            return Err(Refusal::CONNECTION);
        }
        // The version comes before the key: another version may have another key.
        if !asked.version.is("13") {
            return Err(Refusal::VERSION);
        }
        let Once::Is(key) = asked.key else {
            return Err(Refusal::KEY);
        };
        if !is_key(key) {
            return Err(Refusal::KEY);
        }
        let origin = match asked.origin {
            Once::Absent => None,
            Once::Is(origin) => Some(origin),
            Once::Repeated => return Err(Refusal::ORIGIN_TWICE),
        };
        let head = *head;
        Ok(Self { key, origin, head })
    }

    /// The subprotocols the client would speak, the preferred first.
    pub fn protocols(&self) -> impl Iterator<Item = &'b str> + use<'b> {
        self.head
            .header_all("sec-websocket-protocol")
            .flat_map(list)
    }

    /// All extension offers as one list, for [`negotiate`](crate::ws::extension::negotiate).
    pub fn extensions(&self) -> Cow<'b, str> {
        joined(self.head.header_all("sec-websocket-extensions"))
    }

    /// The request the upgrade came in, for its path, query, cookies and the rest.
    pub fn head(&self) -> &Head<'b> {
        &self.head
    }
}

/// What one walk over the headers found.
struct Asked<'b> {
    upgrade: bool,
    connection: bool,
    version: Once<'b>,
    key: Once<'b>,
    origin: Once<'b>,
}

impl<'b> Asked<'b> {
    fn from(head: &Head<'b>) -> Result<Self, Refusal> {
        let mut asked = Self {
            upgrade: false,
            connection: false,
            version: Once::Absent,
            key: Once::Absent,
            origin: Once::Absent,
        };
        let mut extensions_bytes = 0;
        for (name, value) in head.headers() {
            // Comparing names is cheap: different lengths differ at once.
            let is = |known: &str| name.eq_ignore_ascii_case(known);
            if is("upgrade") {
                asked.upgrade |= has_token(std::iter::once(value), "websocket");
            } else if is("connection") {
                asked.connection |= has_token(std::iter::once(value), "upgrade");
            } else if is("sec-websocket-version") {
                asked.version.add(value);
            } else if is("sec-websocket-key") {
                asked.key.add(value);
            } else if is("origin") {
                asked.origin.add(value);
            } else if is("sec-websocket-protocol") {
                if list(value).next().is_none() || !list(value).all(is_token) {
                    return Err(Refusal::PROTOCOLS);
                }
            } else if is("sec-websocket-extensions") {
                extensions_bytes += value.len();
                if extensions_bytes > EXTENSIONS_BYTES_MAX {
                    return Err(Refusal::EXTENSIONS);
                }
            }
        }
        Ok(asked)
    }
}

/// A header that may come once.
#[derive(Clone, Copy)]
enum Once<'b> {
    Absent,
    Is(&'b str),
    Repeated,
}

impl<'b> Once<'b> {
    fn add(&mut self, value: &'b str) {
        *self = match self {
            Self::Absent => Self::Is(value),
            _ => Self::Repeated,
        };
    }

    fn is(self, expected: &str) -> bool {
        matches!(self, Self::Is(value) if value == expected)
    }
}

/// 16 bytes in base64: 22 characters and two of padding. The four bits that 22 characters have too
/// many may be anything: RFC 4648 3.5 lets a decoder decide, and clients exist that make keys up
/// from random letters.
fn is_key(key: &str) -> bool {
    let Some(characters) = key.strip_suffix("==") else {
        return false;
    };
    characters.len() == 22
        && characters
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'+' || b == b'/')
}
