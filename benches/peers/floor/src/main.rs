//! The floor: what an echo costs when nothing is checked.
//!
//! One epoll loop: `recv`, unmask in place, write the server's header into the room of the
//! client's, `send`. No validation, no limits, no timers, no close handshake. It is here to say
//! how much of everybody's time is the kernel's, not to be used.
//!
//! With `--publish` it is what a delivery costs: every message goes to everybody who is connected, in a
//! bare loop of `send`.
//!
//! What it does do well, because a slow floor would flatter: edge-triggered events (no
//! `epoll_ctl` after accept, no second look at a drained socket), one receive buffer for all,
//! options inherited from the listener, the widest vectors the CPU has.

mod sys;
mod unmask;

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener};
use std::os::fd::{AsRawFd, RawFd};

use base64::Engine as _;
use sha1::{Digest, Sha1};

/// One frame of the largest message the comparison sends, and some.
const BUFFER_BYTES: usize = (1 << 20) + 64;
const EVENTS_MAX: usize = 1024;
const WEBSOCKET_GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

fn main() -> io::Result<()> {
    let words: Vec<_> = std::env::args().skip(1).collect();
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    let (port, publishes) = match words[..] {
        ["--port", port] => (port, false),
        ["--port", port, "--publish"] => (port, true),
        _ => panic!("usage: floor --port PORT [--publish]"),
    };
    let port = port.parse().expect("--port takes a number");
    let listener = TcpListener::bind(SocketAddrV4::new(Ipv4Addr::LOCALHOST, port))?;
    sys::widen_backlog(listener.as_raw_fd())?;
    sys::inherit_nodelay(listener.as_raw_fd())?;
    let mut floor = Floor {
        epoll: sys::Epoll::new()?,
        connections: Vec::new(),
        subscribers: publishes.then(Vec::new),
        buffer: vec![0; BUFFER_BYTES],
        unmask: unmask::widest(),
    };
    floor
        .epoll
        .add(listener.as_raw_fd(), libc::EPOLLIN as u32)?;
    let mut events = vec![libc::epoll_event { events: 0, u64: 0 }; EVENTS_MAX];
    loop {
        let ready = floor.epoll.wait(&mut events)?;
        for event in &events[..ready] {
            let fd = event.u64 as RawFd;
            if fd == listener.as_raw_fd() {
                floor.accept_all(fd)?;
            } else {
                floor.serve(fd);
            }
        }
    }
}

/// A connection, found by its descriptor.
#[derive(Default)]
struct Connection {
    upgraded: bool,
    /// Bytes of a frame (or request) that has not all arrived.
    carry: Vec<u8>,
}

struct Floor {
    epoll: sys::Epoll,
    connections: Vec<Connection>,
    /// Who gets every message, if not only whoever sent it.
    subscribers: Option<Vec<RawFd>>,
    buffer: Vec<u8>,
    unmask: unmask::Unmask,
}

impl Floor {
    fn accept_all(&mut self, listener: RawFd) -> io::Result<()> {
        while let Some(fd) = sys::accept(listener)? {
            let index = fd as usize;
            if index >= self.connections.len() {
                self.connections.resize_with(index + 1, Connection::default);
            }
            self.connections[index] = Connection::default();
            self.epoll.add(fd, (libc::EPOLLIN | libc::EPOLLET) as u32)?;
        }
        Ok(())
    }

    fn serve(&mut self, fd: RawFd) {
        loop {
            let connection = &mut self.connections[fd as usize];
            let held = connection.carry.len();
            if held > 0 {
                self.buffer[..held].copy_from_slice(&connection.carry);
                connection.carry.clear();
            }
            let room = self.buffer.len() - held;
            let received = match sys::recv(fd, &mut self.buffer[held..]) {
                Ok(0) => return self.close(fd),
                Ok(received) => received,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
                Err(_) => return self.close(fd),
            };
            let filled = held + received;
            let used = self.answer(fd, filled);
            if used < filled {
                self.connections[fd as usize]
                    .carry
                    .extend_from_slice(&self.buffer[used..filled]);
            }
            // A short read means drained: the next byte makes a new edge.
            if received < room {
                return;
            }
        }
    }

    /// Answers what lies in `buffer[..filled]` and says how many bytes of it that were.
    fn answer(&mut self, fd: RawFd, filled: usize) -> usize {
        let bytes = &mut self.buffer[..filled];
        let upgraded = &mut self.connections[fd as usize].upgraded;
        if !std::mem::replace(upgraded, true) {
            if let Some(subscribers) = &mut self.subscribers {
                subscribers.push(fd);
            }
            return upgrade(fd, bytes);
        }
        match &self.subscribers {
            None => reply_to_each(bytes, self.unmask, |reply| sys::send_all(fd, reply)),
            Some(subscribers) => reply_to_each(bytes, self.unmask, |publication| {
                for &subscriber in subscribers {
                    sys::send_all(subscriber, publication);
                }
            }),
        }
    }

    fn close(&mut self, fd: RawFd) {
        if let Some(subscribers) = &mut self.subscribers {
            subscribers.retain(|&other| other != fd);
        }
        sys::close(fd);
    }
}

/// Makes of every whole frame of `bytes` the frame that says the same as a server, and says how many
/// bytes that were.
fn reply_to_each(bytes: &mut [u8], unmask: unmask::Unmask, mut send: impl FnMut(&[u8])) -> usize {
    let mut at = 0;
    while let Some((head_len, payload_len)) = frame_lengths(&bytes[at..]) {
        let end = at + head_len + payload_len;
        if end > bytes.len() {
            break;
        }
        let payload = at + head_len;
        let mut key = [0; 4];
        key.copy_from_slice(&bytes[payload - 4..payload]);
        unmask(&mut bytes[payload..end], key);
        // The reply's header is the request's less the key, so it moves up by four bytes.
        bytes.copy_within(at..payload - 4, at + 4);
        bytes[at + 5] &= 0x7f;
        send(&bytes[at + 4..end]);
        at = end;
    }
    at
}

/// Length of the masked header and of the payload, once enough of it is there.
fn frame_lengths(bytes: &[u8]) -> Option<(usize, usize)> {
    match *bytes.get(1)? & 0x7f {
        126 => {
            let length = bytes.get(2..4)?.try_into().ok()?;
            Some((8, u16::from_be_bytes(length) as usize))
        }
        127 => {
            let length = bytes.get(2..10)?.try_into().ok()?;
            Some((14, u64::from_be_bytes(length) as usize))
        }
        length => Some((6, length as usize)),
    }
}

/// Answers a request that came in one piece, as the driver sends it.
fn upgrade(fd: RawFd, request: &[u8]) -> usize {
    let name = b"Sec-WebSocket-Key: ";
    let Some(at) = request
        .windows(name.len())
        .position(|window| window == name)
    else {
        return request.len();
    };
    let key = request[at + name.len()..]
        .split(|&byte| byte == b'\r')
        .next();
    let mut hash = Sha1::new();
    hash.update(key.unwrap_or_default());
    hash.update(WEBSOCKET_GUID);
    let accept = base64::engine::general_purpose::STANDARD.encode(hash.finalize());
    let response = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n\r\n"
    );
    sys::send_all(fd, response.as_bytes());
    request.len()
}
