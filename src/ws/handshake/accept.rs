//! Writing the 101 (RFC 6455 4.2.2).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::block_api::compress;

use super::Upgrade;

/// Characters of a `Sec-WebSocket-Key`.
pub const KEY_BYTES: usize = 24;

/// `Sec-WebSocket-Accept` for a key: proof that the answer comes from somebody who read the question
/// as a WebSocket handshake, and not from a cache or a server that echoes headers.
///
/// Key and GUID are always 60 bytes, so SHA-1's padding is written down here (RFC 3174 4) and the
/// two blocks go straight to the compression function, which finds the CPU's SHA instructions by
/// itself.
pub fn accept_key(key: &[u8; KEY_BYTES]) -> [u8; 28] {
    let mut blocks = PADDED_GUID;
    blocks[0][..KEY_BYTES].copy_from_slice(key);
    let mut state = SHA1_START;
    compress(&mut state, &blocks);
    let mut digest = [0; 20];
    for (bytes, word) in digest.as_chunks_mut::<4>().0.iter_mut().zip(state) {
        *bytes = word.to_be_bytes();
    }
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
    // One reservation: the head, and two headers with their names.
    let optional = protocol.map_or(0, str::len) + extensions.map_or(0, str::len) + 64;
    out.reserve(HEAD.len() + 28 + optional);
    out.extend_from_slice(HEAD);
    out.extend_from_slice(&accept_key(upgrade.key));
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

/// The order is the RFC's example's; some hand-written clients look no further.
const HEAD: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\n\
                      Upgrade: websocket\r\n\
                      Connection: Upgrade\r\n\
                      Sec-WebSocket-Accept: ";

/// RFC 6455 1.3.
const GUID: &[u8; 36] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Two blocks of SHA-1: room for the key, the GUID, a one bit, zeros, and the length in bits.
const PADDED_GUID: [[u8; 64]; 2] = {
    let mut blocks = [[0; 64]; 2];
    let (_, behind_key) = blocks[0].split_at_mut(KEY_BYTES);
    let (guid, padding) = behind_key.split_at_mut(GUID.len());
    guid.copy_from_slice(GUID);
    padding[0] = 0x80;
    let bits = (KEY_BYTES + GUID.len()) as u64 * 8;
    blocks[1]
        .split_at_mut(56)
        .1
        .copy_from_slice(&bits.to_be_bytes());
    blocks
};

/// RFC 3174 6.1.
const SHA1_START: [u32; 5] = [
    0x6745_2301,
    0xEFCD_AB89,
    0x98BA_DCFE,
    0x1032_5476,
    0xC3D2_E1F0,
];
