//! The floor: what an echo costs when nothing is checked.
//!
//! One epoll loop: `recv`, unmask in place, write the server's header into the room of the
//! client's, `send`. No validation, no limits, no timers, no close handshake. It is here to say
//! how much of everybody's time is the kernel's, not to be used.
//!
//! With `--publish` it is what a delivery costs: every message goes to everybody who is connected, in a
//! bare loop of `send`; `--shards` are for more connections than one descriptor table holds.
//!
//! What it does do well, because a slow floor would flatter: edge-triggered events (no
//! `epoll_ctl` after accept, no second look at a drained socket), one receive buffer for all,
//! options inherited from the listener, the widest vectors the CPU has.

mod circle;
mod sys;
mod unmask;

use std::io;
use std::os::fd::RawFd;

use base64::Engine as _;
use sha1::{Digest, Sha1};

use circle::Circle;

/// One frame of the largest message the comparison sends, and some.
const BUFFER_BYTES: usize = (1 << 20) + 64;
const EVENTS_MAX: usize = 1024;
const BACKLOG: i32 = 4096;
const WEBSOCKET_GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

fn main() -> io::Result<()> {
    let words: Vec<_> = std::env::args().skip(1).collect();
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    let (port, publishes, shards) = match words[..] {
        ["--port", port] => (port, false, "1"),
        ["--port", port, "--publish"] => (port, true, "1"),
        ["--port", port, "--publish", "--shards", shards] => (port, true, shards),
        _ => panic!("usage: floor --port PORT [--publish [--shards N]]"),
    };
    let port: u16 = port.parse().expect("--port takes a number");
    let shards: usize = shards.parse().expect("--shards takes a number");
    // All listen before the first accepts, so that each gets its share of the connections.
    let listeners: io::Result<Vec<RawFd>> = (0..shards).map(|_| listen(port, shards > 1)).collect();
    let mut floors = listeners?
        .into_iter()
        .zip(Circle::of(shards)?)
        .map(|(listener, circle)| Floor::new(listener, publishes.then(|| Topic::new(circle))))
        .collect::<io::Result<Vec<_>>>()?;
    let first = floors.remove(0);
    for floor in floors {
        std::thread::spawn(move || {
            sys::part_files().expect("a descriptor table of one's own");
            floor.run().expect("only a peer may fail")
        });
    }
    if shards > 1 {
        sys::part_files()?;
    }
    first.run()
}

/// A listener on that port, whose connections have TCP_NODELAY.
fn listen(port: u16, is_shared: bool) -> io::Result<RawFd> {
    let listener = sys::socket()?;
    sys::set(listener, libc::SOL_SOCKET, libc::SO_REUSEADDR)?;
    if is_shared {
        sys::set(listener, libc::SOL_SOCKET, libc::SO_REUSEPORT)?;
    }
    sys::set(listener, libc::IPPROTO_TCP, libc::TCP_NODELAY)?;
    sys::bind_to_loopback(listener, port)?;
    sys::listen(listener, BACKLOG)?;
    Ok(listener)
}

/// Those who get every message, here and in other shards.
struct Topic {
    subscribers: Vec<RawFd>,
    circle: Circle,
}

impl Topic {
    fn new(circle: Circle) -> Self {
        let subscribers = Vec::new();
        Self {
            subscribers,
            circle,
        }
    }

    fn publish(&self, frame: &[u8]) {
        self.circle.tell(frame);
        self.send(frame);
    }

    fn send(&self, frame: &[u8]) {
        for &subscriber in &self.subscribers {
            sys::send_all(subscriber, frame);
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
    listener: RawFd,
    epoll: sys::Epoll,
    connections: Vec<Connection>,
    /// Who gets every message, if not only whoever sent it.
    topic: Option<Topic>,
    buffer: Vec<u8>,
    unmask: unmask::Unmask,
}

impl Floor {
    fn new(listener: RawFd, topic: Option<Topic>) -> io::Result<Self> {
        let epoll = sys::Epoll::new()?;
        epoll.add(listener, libc::EPOLLIN as u32)?;
        if let Some(topic) = &topic {
            epoll.add(topic.circle.bell, libc::EPOLLIN as u32)?;
        }
        Ok(Self {
            listener,
            epoll,
            connections: Vec::new(),
            topic,
            buffer: vec![0; BUFFER_BYTES],
            unmask: unmask::widest(),
        })
    }

    fn run(mut self) -> io::Result<()> {
        let bell = self.topic.as_ref().map(|topic| topic.circle.bell);
        let mut events = vec![libc::epoll_event { events: 0, u64: 0 }; EVENTS_MAX];
        loop {
            let ready = self.epoll.wait(&mut events)?;
            for event in &events[..ready] {
                let fd = event.u64 as RawFd;
                if fd == self.listener {
                    self.accept_all()?;
                } else if Some(fd) == bell {
                    self.pass_on();
                } else {
                    self.serve(fd);
                }
            }
        }
    }

    /// Sends what other shards were told.
    fn pass_on(&self) {
        if let Some(topic) = &self.topic {
            for frame in topic.circle.hear() {
                topic.send(&frame);
            }
        }
    }

    fn accept_all(&mut self) -> io::Result<()> {
        while let Some(fd) = sys::accept(self.listener)? {
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
            if let Some(topic) = &mut self.topic {
                topic.subscribers.push(fd);
            }
            return upgrade(fd, bytes);
        }
        match &self.topic {
            None => reply_to_each(bytes, self.unmask, |reply| sys::send_all(fd, reply)),
            Some(topic) => reply_to_each(bytes, self.unmask, |frame| topic.publish(frame)),
        }
    }

    fn close(&mut self, fd: RawFd) {
        if let Some(topic) = &mut self.topic {
            topic.subscribers.retain(|&other| other != fd);
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
