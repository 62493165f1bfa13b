//! What the benches are about: heads, texts and frames as they come from the wire, and a worker
//! whose sockets are memory.

pub mod world;

/// The least that opens a WebSocket: what most load generators send.
pub const SHORT_REQUEST: &str = "GET /echo HTTP/1.1\r\n\
    Host: 127.0.0.1\r\n\
    Upgrade: websocket\r\n\
    Connection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Version: 13\r\n\r\n";

/// What a browser sends: fourteen headers, half of which nobody here asks about.
pub const BROWSER_REQUEST: &str = "GET /echo?token=0123456789abcdef HTTP/1.1\r\n\
    Host: chat.example.com\r\n\
    Connection: Upgrade\r\n\
    Pragma: no-cache\r\n\
    Cache-Control: no-cache\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36\r\n\
    Upgrade: websocket\r\n\
    Origin: https://chat.example.com\r\n\
    Sec-WebSocket-Version: 13\r\n\
    Accept-Encoding: gzip, deflate, br, zstd\r\n\
    Accept-Language: en-GB,en;q=0.9,de;q=0.8\r\n\
    Cookie: session=4f9c2d7e8a1b4c3d9e0f; theme=dark\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n";

/// The mask of every frame here.
pub const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// Chat messages as JSON, cut to `len` bytes: what compresses as well as real traffic does.
pub fn json(len: usize) -> Vec<u8> {
    let mut text = String::new();
    let mut seed = 1;
    while text.len() < len {
        let word = |n: u64| ["ready", "hello", "edge", "server", "frames"][n as usize % 5];
        let n = next_random(&mut seed);
        text += &format!(
            "{{\"type\":\"message\",\"room\":\"general\",\"id\":{},\"user\":\"user{}\",\
             \"text\":\"{} {} and {}\",\"at\":17{:08}}}\n",
            n % 1_000_000,
            n % 97,
            word(n >> 8),
            word(n >> 16),
            word(n >> 24),
            n >> 32 & 0xff_ffff,
        );
    }
    text.truncate(len);
    text.into_bytes()
}

/// Text of one, two, three and four bytes per character, exactly `len` bytes.
pub fn mixed(len: usize) -> Vec<u8> {
    let pattern = "naïve 漢字 🦀 plain text; ";
    let mut text = String::new();
    for letter in pattern.chars().cycle() {
        if text.len() + letter.len_utf8() > len {
            break;
        }
        text.push(letter);
    }
    let missing = len - text.len();
    text.extend(std::iter::repeat_n('.', missing));
    text.into_bytes()
}

/// A whole masked text frame.
pub fn masked_frame(payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    throng::ws::frame::append_frame(
        &mut frame,
        throng::ws::frame::Opcode::Text,
        false,
        Some(KEY),
        payload,
    );
    frame
}

/// xorshift64*: the same numbers on every machine.
pub fn next_random(seed: &mut u64) -> u64 {
    *seed ^= *seed >> 12;
    *seed ^= *seed << 25;
    *seed ^= *seed >> 27;
    seed.wrapping_mul(0x2545_f491_4f6c_dd1d)
}
