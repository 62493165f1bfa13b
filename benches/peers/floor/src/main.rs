//! The floor: what an echo costs when nothing is checked.
//!
//! One epoll loop: `recv`, unmask in place, write the server's header into the room of the
//! client's, `send`. No validation, no limits, no timers, no close handshake. It is here to say
//! how much of everybody's time is the kernel's, not to be used.
//!
//! What it does do well, because a slow floor would flatter: edge-triggered events (no
//! `epoll_ctl` after accept, no second look at a drained socket), one receive buffer for all,
//! options inherited from the listener, the widest vectors the CPU has.

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
    let port = match std::env::args().skip(1).collect::<Vec<_>>().as_slice() {
        [flag, port] if flag == "--port" => port.parse().expect("--port takes a number"),
        _ => panic!("usage: floor --port PORT"),
    };
    let listener = TcpListener::bind(SocketAddrV4::new(Ipv4Addr::LOCALHOST, port))?;
    sys::widen_backlog(listener.as_raw_fd())?;
    sys::inherit_nodelay(listener.as_raw_fd())?;
    let mut floor = Floor {
        epoll: sys::Epoll::new()?,
        connections: Vec::new(),
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
                Ok(0) => return sys::close(fd),
                Ok(received) => received,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
                Err(_) => return sys::close(fd),
            };
            let filled = held + received;
            let used = if connection.upgraded {
                echo(fd, &mut self.buffer[..filled], self.unmask)
            } else {
                connection.upgraded = true;
                upgrade(fd, &self.buffer[..filled])
            };
            if used < filled {
                connection
                    .carry
                    .extend_from_slice(&self.buffer[used..filled]);
            }
            // A short read means drained: the next byte makes a new edge.
            if received < room {
                return;
            }
        }
    }
}

/// Echoes every whole frame of `bytes` and says how many bytes that were.
fn echo(fd: RawFd, bytes: &mut [u8], unmask: unmask::Unmask) -> usize {
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
        sys::send_all(fd, &bytes[at + 4..end]);
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

/// XOR with a repeating 4-byte key, as wide as the CPU goes.
mod unmask {
    #[cfg(target_arch = "x86_64")]
    use std::arch::x86_64::{
        _mm256_loadu_si256, _mm256_set1_epi32, _mm256_storeu_si256, _mm256_xor_si256,
        _mm512_loadu_si512, _mm512_mask_storeu_epi8, _mm512_maskz_loadu_epi8, _mm512_set1_epi32,
        _mm512_storeu_si512, _mm512_xor_si512,
    };

    pub(crate) type Unmask = fn(&mut [u8], [u8; 4]);

    /// The widest version this CPU runs.
    pub(crate) fn widest() -> Unmask {
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx512bw") {
            // SAFETY: the CPU has the feature the function is compiled for.
            return |bytes, key| unsafe { avx512(bytes, key) };
        } else if is_x86_feature_detected!("avx2") {
            // SAFETY: as above.
            return |bytes, key| unsafe { avx2(bytes, key) };
        }
        scalar
    }

    fn scalar(bytes: &mut [u8], key: [u8; 4]) {
        for (at, byte) in bytes.iter_mut().enumerate() {
            *byte ^= key[at % 4];
        }
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2")]
    fn avx2(bytes: &mut [u8], key: [u8; 4]) {
        let wide = _mm256_set1_epi32(i32::from_ne_bytes(key));
        let mut chunks = bytes.chunks_exact_mut(32);
        for chunk in &mut chunks {
            // SAFETY: the chunk is 32 bytes; the unaligned forms ask for nothing else.
            unsafe {
                let plain = _mm256_xor_si256(_mm256_loadu_si256(chunk.as_ptr().cast()), wide);
                _mm256_storeu_si256(chunk.as_mut_ptr().cast(), plain);
            }
        }
        scalar(chunks.into_remainder(), key);
    }

    /// Full vectors on whole cache lines, masked ones at the two ends: masked stores cost twice as
    /// much (16 KiB on Zen 4: 267 ns masked, 177 ns full, 147 ns full and aligned).
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f,avx512bw")]
    fn avx512(bytes: &mut [u8], mut key: [u8; 4]) {
        let mut lines = bytes;
        if lines.len() >= ALIGNED_BYTES_MIN {
            let lead = lines.as_ptr().align_offset(64);
            let (first, rest) = lines.split_at_mut(lead);
            avx512_end(first, key);
            key.rotate_left(lead % 4);
            lines = rest;
        }
        let wide = _mm512_set1_epi32(i32::from_ne_bytes(key));
        let mut chunks = lines.chunks_exact_mut(64);
        for chunk in &mut chunks {
            // SAFETY: the chunk is 64 bytes; the unaligned forms ask for nothing else.
            unsafe {
                let plain = _mm512_xor_si512(_mm512_loadu_si512(chunk.as_ptr().cast()), wide);
                _mm512_storeu_si512(chunk.as_mut_ptr().cast(), plain);
            }
        }
        avx512_end(chunks.into_remainder(), key);
    }

    /// Fewer than 64 bytes.
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f,avx512bw")]
    fn avx512_end(bytes: &mut [u8], key: [u8; 4]) {
        let wide = _mm512_set1_epi32(i32::from_ne_bytes(key));
        let lanes = (1u64 << bytes.len()) - 1;
        // SAFETY: `lanes` has a bit for each byte and no other, and masked-out bytes are neither
        // read nor written.
        unsafe {
            let plain =
                _mm512_xor_si512(_mm512_maskz_loadu_epi8(lanes, bytes.as_ptr().cast()), wide);
            _mm512_mask_storeu_epi8(bytes.as_mut_ptr().cast(), lanes, plain);
        }
    }

    /// Below this, finding the line costs more than crossing lines.
    #[cfg(target_arch = "x86_64")]
    const ALIGNED_BYTES_MIN: usize = 1024;

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn wide_equals_naive_at_every_length_and_offset() {
            let key = [0x12, 0x34, 0x56, 0x78];
            let widest = widest();
            for offset in 0..65 {
                for length in (0..300).chain([1023, 1024, 1500, 4097]) {
                    let source: Vec<u8> = (0..offset + length).map(|at| at as u8).collect();
                    let (mut wide, mut naive) = (source.clone(), source);
                    widest(&mut wide[offset..], key);
                    scalar(&mut naive[offset..], key);
                    assert_eq!(wide, naive, "offset {offset}, length {length}");
                }
            }
        }
    }
}

/// One syscall per function.
mod sys {
    use std::io;
    use std::os::fd::RawFd;

    pub(crate) struct Epoll(RawFd);

    impl Epoll {
        pub(crate) fn new() -> io::Result<Self> {
            // SAFETY: no pointer is passed.
            check(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) }).map(Self)
        }

        pub(crate) fn add(&self, fd: RawFd, events: u32) -> io::Result<()> {
            let mut event = libc::epoll_event {
                events,
                u64: fd as u64,
            };
            // SAFETY: `event` outlives the call.
            check(unsafe { libc::epoll_ctl(self.0, libc::EPOLL_CTL_ADD, fd, &mut event) })?;
            Ok(())
        }

        pub(crate) fn wait(&self, events: &mut [libc::epoll_event]) -> io::Result<usize> {
            let room = events.len() as i32;
            // SAFETY: the kernel writes at most `room` events, the length of the slice.
            let ready = unsafe { libc::epoll_wait(self.0, events.as_mut_ptr(), room, -1) };
            match check(ready) {
                Ok(ready) => Ok(ready as usize),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(0),
                Err(error) => Err(error),
            }
        }
    }

    pub(crate) fn widen_backlog(listener: RawFd) -> io::Result<()> {
        // SAFETY: no pointer is passed; listening again only changes the backlog.
        check(unsafe { libc::listen(listener, 4096) })?;
        // SAFETY: no pointer is passed.
        check(unsafe { libc::fcntl(listener, libc::F_SETFL, libc::O_NONBLOCK) })?;
        Ok(())
    }

    pub(crate) fn inherit_nodelay(listener: RawFd) -> io::Result<()> {
        let one: libc::c_int = 1;
        // SAFETY: the option is an int, and its address and size are those of `one`.
        check(unsafe {
            libc::setsockopt(
                listener,
                libc::IPPROTO_TCP,
                libc::TCP_NODELAY,
                (&raw const one).cast(),
                size_of_val(&one) as u32,
            )
        })?;
        Ok(())
    }

    pub(crate) fn accept(listener: RawFd) -> io::Result<Option<RawFd>> {
        let flags = libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
        let (address, length) = (std::ptr::null_mut(), std::ptr::null_mut());
        // SAFETY: null address pointers mean that the peer's address is not wanted.
        match check(unsafe { libc::accept4(listener, address, length, flags) }) {
            Ok(fd) => Ok(Some(fd)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(crate) fn recv(fd: RawFd, into: &mut [u8]) -> io::Result<usize> {
        // SAFETY: the kernel writes at most the length of the slice.
        let received = unsafe { libc::recv(fd, into.as_mut_ptr().cast(), into.len(), 0) };
        usize::try_from(received).map_err(|_| io::Error::last_os_error())
    }

    /// Sends all of it, waiting in line when the socket is full. A peer that is gone will show
    /// at the next `recv`.
    pub(crate) fn send_all(fd: RawFd, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let flags = libc::MSG_NOSIGNAL;
            // SAFETY: the kernel reads the slice and no more.
            let sent = unsafe { libc::send(fd, bytes.as_ptr().cast(), bytes.len(), flags) };
            match usize::try_from(sent) {
                Ok(sent) => bytes = &bytes[sent..],
                Err(_) if io::Error::last_os_error().kind() == io::ErrorKind::WouldBlock => {
                    let mut writable = libc::pollfd {
                        fd,
                        events: libc::POLLOUT,
                        revents: 0,
                    };
                    // SAFETY: one pollfd, which outlives the call.
                    unsafe { libc::poll(&mut writable, 1, -1) };
                }
                Err(_) => return,
            }
        }
    }

    pub(crate) fn close(fd: RawFd) {
        // SAFETY: the caller owns the descriptor and forgets it.
        unsafe { libc::close(fd) };
    }

    fn check(returned: libc::c_int) -> io::Result<libc::c_int> {
        if returned < 0 {
            Err(io::Error::last_os_error())
        } else {
            Ok(returned)
        }
    }
}
