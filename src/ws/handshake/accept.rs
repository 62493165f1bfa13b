//! Writing the 101 (RFC 6455 4.2.2).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest as _, Sha1};

use super::Upgrade;

/// `Sec-WebSocket-Accept` for a key: proof that the answer comes from somebody who read the question
/// as a WebSocket handshake, and not from a cache or a server that echoes headers.
pub fn accept_key(key: &str) -> [u8; 28] {
    let digest = Sha1::new()
        .chain_update(key.as_bytes())
        .chain_update(GUID)
        .finalize();
    let mut accept = [0; 28];
    let written = STANDARD.encode_slice(digest, &mut accept);
    debug_assert_eq!(
        written.ok(),
        Some(28),
        "20 bytes are 28 characters of base64"
    );
    accept
}

/// Appends the whole 101. `protocol` is the caller's choice among [`Upgrade::protocols`];
/// `extensions` is what the negotiation answered.
///
/// # Panics
///
/// If `protocol` is not one the client offered: a client must fail such a connection (RFC 6455 4.1),
/// and text from elsewhere could break the head apart.
pub fn append_accept(
    out: &mut Vec<u8>,
    upgrade: &Upgrade<'_>,
    protocol: Option<&str>,
    extensions: Option<&str>,
) {
    let accept = accept_key(upgrade.key);
    // One reservation: the head, and two headers with their names.
    let optional = protocol.map_or(0, str::len) + extensions.map_or(0, str::len) + 64;
    out.reserve(HEAD.len() + accept.len() + optional);
    out.extend_from_slice(HEAD);
    out.extend_from_slice(&accept);
    if let Some(protocol) = protocol {
        assert!(
            upgrade.protocols().any(|offered| offered == protocol),
            "the chosen subprotocol is one the client offered"
        );
        out.extend_from_slice(b"\r\nSec-WebSocket-Protocol: ");
        out.extend_from_slice(protocol.as_bytes());
    }
    if let Some(extensions) = extensions {
        debug_assert!(!extensions.contains(['\r', '\n', '\0']));
        out.extend_from_slice(b"\r\nSec-WebSocket-Extensions: ");
        out.extend_from_slice(extensions.as_bytes());
    }
    out.extend_from_slice(b"\r\n\r\n");
}

/// RFC 6455 1.3.
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// The order is the RFC's example's; some hand-written clients look no further.
const HEAD: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\n\
                      Upgrade: websocket\r\n\
                      Connection: Upgrade\r\n\
                      Sec-WebSocket-Accept: ";
