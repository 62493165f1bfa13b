//! A WebSocket client that does exactly what it is told, right or wrong.
//!
//! It shares no code with the crate: a mistake in `ws::frame` must not cancel itself out here.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};

use super::PATIENCE;

/// Opcodes, as RFC 6455 numbers them.
pub(crate) mod op {
    pub(crate) const CONTINUATION: u8 = 0;
    pub(crate) const TEXT: u8 = 1;
    pub(crate) const BINARY: u8 = 2;
    pub(crate) const CLOSE: u8 = 8;
    pub(crate) const PING: u8 = 9;
    pub(crate) const PONG: u8 = 10;
    /// FIN in the first byte, beside the opcode.
    pub(crate) const FIN: u8 = 0x80;
    /// RSV1, "compressed", in the first byte.
    pub(crate) const RSV1: u8 = 0x40;
}

/// A masked frame; `first` is FIN, RSV and opcode in one byte.
pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = header(first, 0x80, payload.len());
    out.extend(KEY);
    out.extend(payload.iter().zip(KEY.iter().cycle()).map(|(a, b)| a ^ b));
    out
}

/// The same without a mask: what only a server may send.
pub(crate) fn unmasked_frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = header(first, 0, payload.len());
    out.extend(payload);
    out
}

fn header(first: u8, mask_bit: u8, len: usize) -> Vec<u8> {
    match len {
        0..=125 => vec![first, mask_bit | len as u8],
        126..=0xffff => [&[first, mask_bit | 126][..], &(len as u16).to_be_bytes()].concat(),
        _ => [&[first, mask_bit | 127][..], &(len as u64).to_be_bytes()].concat(),
    }
}

/// A frame as the server sent it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    /// FIN, RSV and opcode.
    pub(crate) first: u8,
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    /// The code of a Close frame.
    pub(crate) fn close_code(&self) -> Option<u16> {
        let is_close = self.first == op::FIN | op::CLOSE;
        let code = self.payload.first_chunk::<2>();
        code.filter(|_| is_close)
            .map(|code| u16::from_be_bytes(*code))
    }
}

/// A connection under the test's full control.
pub(crate) struct Wire<S: Read + Write = TcpStream> {
    pub(crate) stream: S,
    inbox: Vec<u8>,
}

impl Wire {
    /// Connects and sends nothing.
    pub(crate) fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Self::over(stream)
    }

    /// Connects and upgrades.
    pub(crate) fn open(address: SocketAddr) -> Self {
        let mut wire = Self::connect(address);
        let head = wire.upgrade("");
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        wire
    }
}

impl<S: Read + Write> Wire<S> {
    pub(crate) fn over(stream: S) -> Self {
        Self {
            stream,
            inbox: Vec::new(),
        }
    }

    /// Sends a valid request with `extra` header lines; gives the response head.
    pub(crate) fn upgrade(&mut self, extra: &str) -> String {
        self.send(upgrade_request(extra).as_bytes());
        self.read_head().expect("a response to the upgrade request")
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    pub(crate) fn send_frame(&mut self, first: u8, payload: &[u8]) {
        self.send(&frame(first, payload));
    }

    /// The next response head, blank line included; `None` if the server hung up instead.
    pub(crate) fn read_head(&mut self) -> Option<String> {
        let end = loop {
            if let Some(at) = self.inbox.windows(4).position(|w| w == b"\r\n\r\n") {
                break at + 4;
            }
            if !self.fill() {
                return None;
            }
        };
        let head = self.inbox.drain(..end).collect();
        Some(String::from_utf8(head).unwrap())
    }

    /// The next frame; `None` at the end of the stream.
    pub(crate) fn read_frame(&mut self) -> Option<Frame> {
        loop {
            if let Some((header_len, len)) = self.whole_frame() {
                let first = self.inbox[0];
                let payload = self.inbox[header_len..header_len + len].to_vec();
                self.inbox.drain(..header_len + len);
                return Some(Frame { first, payload });
            }
            if !self.fill() {
                assert!(self.inbox.is_empty(), "cut: {:?}", self.inbox);
                return None;
            }
        }
    }

    /// Sends a frame with FIN and expects it back.
    pub(crate) fn echo(&mut self, opcode: u8, payload: &[u8]) {
        self.send_frame(op::FIN | opcode, payload);
        self.expect(op::FIN | opcode, payload);
    }

    /// Expects exactly this frame next.
    pub(crate) fn expect(&mut self, first: u8, payload: &[u8]) {
        let got = self
            .read_frame()
            .expect("a frame, not the end of the stream");
        assert_eq!(
            got.first,
            first,
            "first byte; payload {:?}",
            head_of(&got.payload)
        );
        assert_eq!(got.payload.len(), payload.len(), "payload length");
        assert!(got.payload == payload, "payload of {} bytes", payload.len());
    }

    /// Expects a Close frame next, gives its code.
    pub(crate) fn expect_close(&mut self) -> u16 {
        let got = self
            .read_frame()
            .expect("a Close frame, not the end of the stream");
        got.close_code()
            .unwrap_or_else(|| panic!("not a Close with a code: {got:?}"))
    }

    /// Everything until the server hangs up; a reset counts as hanging up.
    pub(crate) fn read_to_end(&mut self) -> Vec<u8> {
        while self.fill() {}
        std::mem::take(&mut self.inbox)
    }

    /// Expects the server to hang up without another byte.
    pub(crate) fn expect_end(&mut self) {
        let rest = self.read_to_end();
        assert!(rest.is_empty(), "after the end: {:?}", head_of(&rest));
    }

    /// Length of the header and of the payload, once all of the frame is here.
    fn whole_frame(&self) -> Option<(usize, usize)> {
        let short = *self.inbox.get(1)?;
        assert!(
            short < 0x80,
            "a server's frame is never masked: {:?}",
            head_of(&self.inbox)
        );
        let (header_len, len) = match short {
            126 => (
                4,
                u16::from_be_bytes(*self.inbox[2..].first_chunk()?).into(),
            ),
            127 => (
                10,
                u64::from_be_bytes(*self.inbox[2..].first_chunk()?) as usize,
            ),
            _ => (2, usize::from(short)),
        };
        (self.inbox.len() >= header_len + len).then_some((header_len, len))
    }

    /// Reads once; `false` at the end of the stream.
    fn fill(&mut self) -> bool {
        let mut chunk = [0; 65536];
        match self.stream.read(&mut chunk) {
            Ok(count) => {
                self.inbox.extend(&chunk[..count]);
                count > 0
            }
            Err(error) if error.kind() == ErrorKind::ConnectionReset => false,
            Err(error) => panic!("{error} after {:?}", head_of(&self.inbox)),
        }
    }
}

/// A request that must be answered with 101, plus `extra` header lines (each with its CRLF).
pub(crate) fn upgrade_request(extra: &str) -> String {
    format!(
        "GET /echo HTTP/1.1\r\nHost: throng.test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{extra}\r\n"
    )
}

/// Enough of a payload to recognise it in a message.
fn head_of(bytes: &[u8]) -> String {
    String::from_utf8_lossy(&bytes[..bytes.len().min(80)]).into_owned()
}

/// The masking key. Constant, so that a failing test sends the same bytes again.
const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
