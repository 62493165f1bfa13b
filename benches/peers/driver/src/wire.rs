//! The bytes the driver speaks: one request, one kind of frame. Written here and not taken from
//! the product, so that the product's mistakes cannot excuse themselves.

/// The request of every connection, with the key of RFC 6455's own example.
pub(crate) const REQUEST: &[u8] =
    b"GET /echo HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Version: 13\r\n\r\n";

/// The request of a subscriber: a path that is a channel to the product and means nothing to the others.
pub(crate) fn subscription(is_deflated: bool) -> Vec<u8> {
    let offer = match is_deflated {
        true => "Sec-WebSocket-Extensions: permessage-deflate\r\n",
        false => "",
    };
    format!(
        "GET /raw/bench HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n\
         Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         Sec-WebSocket-Version: 13\r\n{offer}\r\n"
    )
    .into_bytes()
}

/// Whether it speaks of the extension, as an offer or as its acceptance.
pub(crate) fn names_deflate(head: &[u8]) -> bool {
    let name = b"permessage-deflate";
    head.windows(name.len()).any(|window| window == name)
}

const ACCEPT: &[u8] = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// Room for any response a contestant sends.
pub(crate) const RESPONSE_BYTES_MAX: usize = 2048;

/// Whether these bytes are the whole of a correct 101.
pub(crate) fn is_accepted(response: &[u8]) -> bool {
    response.starts_with(b"HTTP/1.1 101 ")
        && response.ends_with(b"\r\n\r\n")
        && response
            .windows(ACCEPT.len())
            .any(|window| window == ACCEPT)
}

/// A message as it is sent, and as its echo, or the publication of it, must come back.
pub(crate) struct Exchange {
    pub(crate) request: Vec<u8>,
    pub(crate) echo: Vec<u8>,
}

impl Exchange {
    /// The `variant`th message of this size: its letters and its key differ from the others'.
    pub(crate) fn new(payload_len: usize, text: bool, variant: u32) -> Self {
        // ASCII, so that the same bytes are a valid text message.
        let letters = (0..payload_len).map(|at| b'a' + ((at + variant as usize) % 26) as u8);
        let payload: Vec<u8> = letters.collect();
        Self::of(&payload, text, variant)
    }

    /// This payload as a message; the `variant` makes the key.
    pub(crate) fn of(payload: &[u8], text: bool, variant: u32) -> Self {
        let key = variant
            .wrapping_mul(0x9e37_79b9)
            .wrapping_add(0x5bd1_e995)
            .to_be_bytes();
        let opcode = if text { 1 } else { 2 };
        let mut request = header(opcode, 0x80, payload.len());
        request.extend_from_slice(&key);
        request.extend(
            payload
                .iter()
                .zip(key.iter().cycle())
                .map(|(byte, key)| byte ^ key),
        );
        let mut echo = header(opcode, 0, payload.len());
        echo.extend_from_slice(payload);
        Self { request, echo }
    }
}

fn header(opcode: u8, mask_bit: u8, payload_len: usize) -> Vec<u8> {
    let mut bytes = vec![0x80 | opcode];
    match payload_len {
        0..=125 => bytes.push(mask_bit | payload_len as u8),
        126..=0xffff => {
            bytes.push(mask_bit | 126);
            bytes.extend_from_slice(&(payload_len as u16).to_be_bytes());
        }
        _ => {
            bytes.push(mask_bit | 127);
            bytes.extend_from_slice(&(payload_len as u64).to_be_bytes());
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unmasking_the_request_gives_the_echo() {
        for (payload_len, header_len) in [(0, 2), (125, 2), (126, 4), (65_535, 4), (65_536, 10)] {
            let exchange = Exchange::new(payload_len, false, 3);
            let key = &exchange.request[header_len..header_len + 4];
            let masked = &exchange.request[header_len + 4..];
            let plain: Vec<u8> = masked
                .iter()
                .zip(key.iter().cycle())
                .map(|(a, b)| a ^ b)
                .collect();
            assert_eq!(plain, exchange.echo[header_len..], "{payload_len}");
            assert_eq!(exchange.request[1], exchange.echo[1] | 0x80);
        }
    }

    #[test]
    fn only_a_complete_101_with_the_right_key_is_accepted() {
        let right = b"HTTP/1.1 101 X\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
        assert!(is_accepted(right));
        assert!(!is_accepted(&right[..right.len() - 2]));
        assert!(!is_accepted(b"HTTP/1.1 101 X\r\n\r\n"));
        assert!(!is_accepted(b"HTTP/1.1 200 OK\r\n\r\n"));
    }
}
