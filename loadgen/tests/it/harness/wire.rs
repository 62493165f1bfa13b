//! The server's end of a connection, byte by byte: it can keep the protocol and break it.
//!
//! It shares no code with the crates under test: a mistake in their codec must not cancel itself out here.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;

use tungstenite::handshake::derive_accept_key;

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
    /// RSV2, which nobody uses.
    pub(crate) const RSV2: u8 = 0x20;
}

/// A frame as the client sent it, unmasked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    /// FIN, RSV and opcode.
    pub(crate) first: u8,
    /// `None` for a client that forgot to mask.
    pub(crate) key: Option<[u8; 4]>,
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    pub(crate) fn opcode(&self) -> u8 {
        self.first & 0x0f
    }
}

/// An accepted connection. Every call fails when the client is gone; a story then simply ends.
pub(crate) struct Wire {
    stream: TcpStream,
    inbox: Vec<u8>,
}

impl Wire {
    pub(crate) fn new(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            inbox: Vec::new(),
        })
    }

    /// A second handle: one thread reads while another writes.
    pub(crate) fn twin(&self) -> io::Result<Self> {
        Self::new(self.stream.try_clone()?)
    }

    /// Reads the request and answers it as RFC 6455 wants it.
    pub(crate) fn upgrade(&mut self) -> io::Result<()> {
        let request = self.read_request()?;
        self.send(accept_head(&request)?.as_bytes())
    }

    /// The request head, blank line included.
    pub(crate) fn read_request(&mut self) -> io::Result<String> {
        let end = loop {
            if let Some(at) = self.inbox.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
            self.fill()?;
        };
        let head = self.inbox.drain(..end).collect();
        String::from_utf8(head).map_err(|_| ErrorKind::InvalidData.into())
    }

    /// The next frame.
    pub(crate) fn read_frame(&mut self) -> io::Result<Frame> {
        loop {
            if let Some(frame) = self.take_frame() {
                return Ok(frame);
            }
            self.fill()?;
        }
    }

    /// The next frame of a message; answers pings and the close handshake by itself.
    pub(crate) fn read_message(&mut self) -> io::Result<Frame> {
        loop {
            let frame = self.read_frame()?;
            match frame.opcode() {
                op::PING => self.send_frame(op::FIN | op::PONG, &frame.payload)?,
                op::PONG => {}
                op::CLOSE => {
                    self.send_frame(op::FIN | op::CLOSE, &frame.payload)?;
                    return Err(ErrorKind::UnexpectedEof.into());
                }
                _ => return Ok(frame),
            }
        }
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Sends an unmasked frame; `first` is FIN, RSV and opcode in one byte.
    pub(crate) fn send_frame(&mut self, first: u8, payload: &[u8]) -> io::Result<()> {
        self.send(&frame(first, payload))
    }

    /// Reads and forgets until the client hangs up.
    pub(crate) fn drain(&mut self) -> io::Result<()> {
        loop {
            self.inbox.clear();
            self.fill()?;
        }
    }

    /// Says goodbye with FIN, then waits for the client's: unread bytes would turn it into a reset.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        self.stream.shutdown(std::net::Shutdown::Write)?;
        self.drain()
    }

    /// Ends with RST.
    pub(crate) fn reset(self) -> io::Result<()> {
        socket2::SockRef::from(&self.stream).set_linger(Some(std::time::Duration::ZERO))
    }

    fn take_frame(&mut self) -> Option<Frame> {
        let [first, second, ..] = *self.inbox.as_slice() else {
            return None;
        };
        let (mut at, len) = match second & 0x7f {
            126 => (
                4,
                u16::from_be_bytes(*self.inbox[2..].first_chunk()?).into(),
            ),
            127 => (
                10,
                u64::from_be_bytes(*self.inbox[2..].first_chunk()?) as usize,
            ),
            short => (2, usize::from(short)),
        };
        let mut key = None;
        if second & 0x80 != 0 {
            key = Some(*self.inbox.get(at..)?.first_chunk()?);
            at += 4;
        }
        let mut payload = self.inbox.get(at..at + len)?.to_vec();
        for (byte, mask) in payload.iter_mut().zip(key.iter().flatten().cycle()) {
            *byte ^= mask;
        }
        self.inbox.drain(..at + len);
        Some(Frame {
            first,
            key,
            payload,
        })
    }

    /// Reads once; the end of the stream is an error like any other.
    fn fill(&mut self) -> io::Result<()> {
        let mut chunk = [0; 16384];
        match self.stream.read(&mut chunk)? {
            0 => Err(ErrorKind::UnexpectedEof.into()),
            count => {
                self.inbox.extend(&chunk[..count]);
                Ok(())
            }
        }
    }
}

/// The 101 that belongs to this request.
pub(crate) fn accept_head(request: &str) -> io::Result<String> {
    Ok(format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {}\r\n\r\n",
        derive_accept_key(header(request, "sec-websocket-key")?.as_bytes())
    ))
}

/// The value of a request's header; a request without it is no handshake.
pub(crate) fn header<'a>(request: &'a str, name: &str) -> io::Result<&'a str> {
    let value = request.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name).then_some(value.trim())
    });
    value.ok_or_else(|| ErrorKind::InvalidData.into())
}

/// An unmasked frame.
pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = match payload.len() {
        len @ 0..=125 => vec![first, len as u8],
        len @ 126..=0xffff => [&[first, 126][..], &(len as u16).to_be_bytes()].concat(),
        len => [&[first, 127][..], &(len as u64).to_be_bytes()].concat(),
    };
    out.extend(payload);
    out
}
