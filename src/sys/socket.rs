//! One established stream, TCP or Unix, in four bytes.
//!
//! `std` and `mio` would serve too, but their types hide which flags a send uses and `mio` keeps a
//! selector id beside the descriptor in debug builds; a connection entry has 64 bytes in all.
//!
//! The calls of the message path are `rustix`'s, which on Linux are bare system calls. The C
//! library's `recv` and `send` are cancellation points: in a process with threads each costs two
//! locked instructions and sixty others, and a return that the branch predictor has forgotten.

use std::io::{self, IoSlice};
use std::net::{Shutdown, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use rustix::net::{RecvFlags, SendAncillaryBuffer, SendFlags};
use socket2::SockRef;

/// A non-blocking stream socket; closed on drop.
///
/// Every call maps to exactly one system call and reports `WouldBlock` instead of waiting.
#[derive(Debug)]
pub struct Socket {
    fd: OwnedFd,
}

const _: () = assert!(size_of::<Socket>() == 4 && size_of::<Option<Socket>>() == 4);

impl Socket {
    /// Takes over a connected stream (of `std`, `socket2` or a bare descriptor) and makes it
    /// non-blocking.
    pub fn adopt(stream: impl Into<OwnedFd>) -> io::Result<Self> {
        let fd = stream.into();
        SockRef::from(&fd).set_nonblocking(true)?;
        Ok(Self { fd })
    }

    /// A descriptor that is known to be non-blocking and close-on-exec already.
    pub(super) fn from_accepted(fd: OwnedFd) -> Self {
        Self { fd }
    }

    /// Reads what is there; `Ok(0)` into a non-empty buffer means the peer sends no more.
    #[inline]
    pub fn recv(&self, into: &mut [u8]) -> io::Result<usize> {
        let (length, _) = rustix::net::recv(&self.fd, into, RecvFlags::empty())?;
        Ok(length)
    }

    /// Writes a prefix of `bytes` and says how long it was.
    #[inline]
    pub fn send(&self, bytes: &[u8]) -> io::Result<usize> {
        Ok(rustix::net::send(&self.fd, bytes, SEND_FLAGS)?)
    }

    /// Writes a prefix of the concatenated `slices` (at most [`SLICES_MAX`] of them).
    ///
    /// `sendmsg` rather than `writev`, which takes no flags and would raise SIGPIPE.
    pub fn send_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let slices = &slices[..slices.len().min(SLICES_MAX)];
        let nothing_else = &mut SendAncillaryBuffer::default();
        Ok(rustix::net::sendmsg(
            &self.fd,
            slices,
            nothing_else,
            SEND_FLAGS,
        )?)
    }

    /// Says goodbye: the peer reads an end of stream after what was sent so far.
    pub fn shutdown_write(&self) -> io::Result<()> {
        SockRef::from(&self.fd).shutdown(Shutdown::Write)
    }

    /// Ends both directions, also for whoever holds a copy of the descriptor; a later `recv` gives 0.
    pub fn shutdown_both(&self) -> io::Result<()> {
        SockRef::from(&self.fd).shutdown(Shutdown::Both)
    }

    /// Where the peer is, unless it came over a Unix socket or is gone already.
    ///
    /// Asked of the kernel when somebody wants to know: 28 bytes per connection are too many to keep.
    pub fn peer(&self) -> Option<SocketAddr> {
        SockRef::from(&self.fd).peer_addr().ok()?.as_socket()
    }
}

impl AsRawFd for Socket {
    #[inline]
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// How many slices one [`Socket::send_vectored`] passes on: `IOV_MAX`, beyond which the kernel
/// refuses the whole call.
pub const SLICES_MAX: usize = 1024;

/// A peer that is gone is an `EPIPE` for its connection, not a signal for the process. Apple has no
/// such flag and relies on `signals::block` ignoring SIGPIPE.
#[cfg(not(target_vendor = "apple"))]
const SEND_FLAGS: SendFlags = SendFlags::NOSIGNAL;
#[cfg(target_vendor = "apple")]
const SEND_FLAGS: SendFlags = SendFlags::empty();

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    fn pair() -> (Socket, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        (Socket::adopt(ours).unwrap(), theirs)
    }

    #[test]
    fn bytes_pass_both_ways_and_emptiness_is_would_block() {
        let (ours, mut theirs) = pair();
        let mut room = [0; 16];
        assert_eq!(
            ours.recv(&mut room).unwrap_err().kind(),
            io::ErrorKind::WouldBlock
        );
        theirs.write_all(b"ping").unwrap();
        assert_eq!(ours.recv(&mut room).unwrap(), 4);
        assert_eq!(&room[..4], b"ping");
        assert_eq!(ours.send(b"pong").unwrap(), 4);
        theirs.read_exact(&mut room[..4]).unwrap();
        assert_eq!(&room[..4], b"pong");
    }

    #[test]
    fn slices_arrive_in_order_and_too_many_are_a_short_write() {
        let (ours, mut theirs) = pair();
        let slices = [
            IoSlice::new(b"one "),
            IoSlice::new(b""),
            IoSlice::new(b"two"),
        ];
        assert_eq!(ours.send_vectored(&slices).unwrap(), 7);
        let mut room = [0; SLICES_MAX];
        theirs.read_exact(&mut room[..7]).unwrap();
        assert_eq!(&room[..7], b"one two");
        let many = [IoSlice::new(b"x"); SLICES_MAX + 1];
        assert_eq!(ours.send_vectored(&many).unwrap(), SLICES_MAX);
    }

    #[test]
    fn a_full_peer_is_would_block_and_a_gone_peer_is_broken_pipe() {
        let (ours, theirs) = pair();
        let block = [0; 65_536];
        let full = (0..4096).find_map(|_| ours.send(&block).err()).unwrap();
        assert_eq!(full.kind(), io::ErrorKind::WouldBlock);
        drop(theirs);
        assert_eq!(
            ours.send(b"x").unwrap_err().kind(),
            io::ErrorKind::BrokenPipe
        );
        let slices = [IoSlice::new(b"x")];
        assert_eq!(
            ours.send_vectored(&slices).unwrap_err().kind(),
            io::ErrorKind::BrokenPipe
        );
    }

    #[test]
    fn a_half_close_ends_one_direction_only() {
        let (ours, mut theirs) = pair();
        ours.shutdown_write().unwrap();
        let mut rest = Vec::new();
        theirs.read_to_end(&mut rest).unwrap();
        assert!(rest.is_empty());
        theirs.write_all(b"still here").unwrap();
        let mut room = [0; 16];
        assert_eq!(ours.recv(&mut room).unwrap(), 10);
        drop(theirs);
        assert_eq!(ours.recv(&mut room).unwrap(), 0);
        assert!(ours.peer().is_none(), "a Unix peer has no socket address");
    }
}
