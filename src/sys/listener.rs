//! A listening socket whose accepted streams need no further system call.
//!
//! Linux copies a listener's socket options to what it accepts. So everything a connection wants
//! is set once, on the listener: an accept is one system call instead of up to six.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

#[cfg(not(target_vendor = "apple"))]
use rustix::net::SocketFlags;
use socket2::SockRef;

use super::Socket;

/// A non-blocking listening socket, TCP or Unix; made by [`Endpoint::listen`](super::Endpoint::listen).
#[derive(Debug)]
pub struct Listener {
    fd: OwnedFd,
}

impl Listener {
    pub(super) fn from_listening(fd: OwnedFd) -> Self {
        Self { fd }
    }

    /// Accepts one connection, non-blocking and close-on-exec, in one system call.
    ///
    /// The peer's address is not asked for: writing it costs time for everybody, and
    /// [`Socket::peer`] finds it for the few who want it. [`AcceptFailure::of`] sorts the errors.
    pub fn accept(&self) -> io::Result<Socket> {
        accept_nonblocking(self.fd.as_fd()).map(Socket::from_accepted)
    }
}

impl AsRawFd for Listener {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// What a listener is set up with; accepted streams inherit all but the backlog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListenOptions {
    /// Finished handshakes that may wait for us. The kernel cuts it to `net.core.somaxconn`; asking
    /// for the most leaves the decision to that knob (a storm of 512 overflowed queues elsewhere).
    pub backlog: u32,
    /// `TCP_USER_TIMEOUT`: how long sent bytes may stay unacknowledged; 0 leaves the kernel's
    /// quarter of an hour. Our pings are sent bytes too, so a vanished peer is found in this time.
    pub user_timeout_ms: u32,
    /// `TCP_NOTSENT_LOWAT`: unsent bytes the kernel takes before it calls the socket full; 0 leaves
    /// it at "all it has room for". A queue in user space is shared and bounded by us, one in the
    /// kernel is a copy per peer. 128 KiB keep a 10 Gb/s path busy for 100 us.
    pub notsent_lowat_bytes: u32,
    /// `TCP_DEFER_ACCEPT`: a connection is handed to us once its request is there, or, if it stays
    /// silent, after so many seconds; 0 is off. The socket is then made by the segment that carries
    /// the request, and the one before costs next to nothing: 6 % less CPU per handshake. A silent
    /// peer is a 320-byte request in the kernel meanwhile and not a 4 KB socket; our handshake
    /// timeout runs from the accept on.
    pub defer_accept_s: u32,
    /// `SO_RCVBUF`; `None` leaves the kernel's auto-tuning on.
    pub receive_buffer_bytes: Option<usize>,
    /// `SO_SNDBUF`; `None` leaves the kernel's auto-tuning on.
    pub send_buffer_bytes: Option<usize>,
}

impl Default for ListenOptions {
    fn default() -> Self {
        Self {
            backlog: 65_535,
            user_timeout_ms: 30_000,
            notsent_lowat_bytes: 128 << 10,
            defer_accept_s: 1,
            receive_buffer_bytes: None,
            send_buffer_bytes: None,
        }
    }
}

impl ListenOptions {
    /// Sets on `socket` what its accepted streams will inherit; buffers before `listen`, because
    /// the window scale is fixed when a handshake begins.
    pub(super) fn apply(&self, socket: SockRef<'_>, is_tcp: bool) -> io::Result<()> {
        if let Some(bytes) = self.receive_buffer_bytes {
            socket.set_recv_buffer_size(bytes)?;
        }
        if let Some(bytes) = self.send_buffer_bytes {
            socket.set_send_buffer_size(bytes)?;
        }
        if is_tcp {
            // We write once per turn, whole frames: Nagle could only hold the last one back.
            socket.set_tcp_nodelay(true)?;
            self.apply_tcp(&socket)?;
        }
        Ok(())
    }

    #[cfg(target_os = "linux")]
    fn apply_tcp(&self, socket: &SockRef<'_>) -> io::Result<()> {
        use std::time::Duration;
        if self.user_timeout_ms > 0 {
            socket
                .set_tcp_user_timeout(Some(Duration::from_millis(self.user_timeout_ms.into())))?;
        }
        if self.notsent_lowat_bytes > 0 {
            socket.set_tcp_notsent_lowat(self.notsent_lowat_bytes)?;
        }
        if self.defer_accept_s > 0 {
            defer_accept(socket.as_raw_fd(), self.defer_accept_s)?;
        }
        Ok(())
    }

    #[cfg(not(target_os = "linux"))]
    fn apply_tcp(&self, _socket: &SockRef<'_>) -> io::Result<()> {
        Ok(())
    }
}

/// What a failed [`Listener::accept`] asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AcceptFailure {
    /// Nobody waits: stop until the next readiness event.
    Drained,
    /// This one peer was gone before we came: accept the next.
    PeerGone,
    /// Descriptors or memory ran out. The peer still waits, and an edge-triggered poll will not
    /// say so again: come back by timer.
    Exhausted,
    /// The listener is shut down or no listener: accept no more.
    Closed,
}

impl AcceptFailure {
    /// Sorts an error of [`Listener::accept`].
    pub fn of(error: &io::Error) -> Self {
        if error.kind() == io::ErrorKind::WouldBlock {
            return Self::Drained;
        }
        match error.raw_os_error() {
            Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM) => Self::Exhausted,
            Some(libc::EINVAL | libc::EBADF | libc::ENOTSOCK | libc::EOPNOTSUPP) => Self::Closed,
            // Linux hands a network error that was pending on the new stream to accept: all the
            // rest concerns one peer (man 2 accept).
            _ => Self::PeerGone,
        }
    }
}

#[cfg(target_os = "linux")]
fn defer_accept(fd: RawFd, seconds: u32) -> io::Result<()> {
    let value = libc::c_int::try_from(seconds).unwrap_or(libc::c_int::MAX);
    let length = size_of_val(&value) as libc::socklen_t;
    let option = libc::TCP_DEFER_ACCEPT;
    // SAFETY: pointer and length describe `value`, which outlives the call.
    unsafe {
        syscall!(setsockopt(
            fd,
            libc::IPPROTO_TCP,
            option,
            (&raw const value).cast(),
            length
        ))
    }?;
    Ok(())
}

#[cfg(not(target_vendor = "apple"))]
#[inline]
fn accept_nonblocking(listener: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    Ok(rustix::net::accept_with(listener, flags)?)
}

#[cfg(target_vendor = "apple")]
fn accept_nonblocking(listener: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let fd = rustix::net::accept(listener)?;
    let socket = SockRef::from(&fd);
    socket.set_nonblocking(true)?;
    socket.set_cloexec(true)?;
    drop(socket);
    Ok(fd)
}
