//! Connecting out: from an address and port of the caller's own choice, and leaving in other ways
//! than politely.
//!
//! The kernel's search for a free source port slows down by an order of magnitude once half of them
//! are taken; an explicit bind costs the same up to the last one. So a [`Socket::dial`] always says
//! where it comes from, and whoever calls it keeps the books of ports.

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::time::Duration;

use rustix::net::sockopt::{
    set_socket_linger, set_socket_recv_buffer_size, set_socket_reuseaddr, set_tcp_nodelay,
};
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, connect, ipproto, socket_with};

use super::Socket;

/// How to dial.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DialOptions {
    /// Several unanswered messages may be under way: do not hold back the second for the first's
    /// acknowledgement.
    pub no_delay: bool,
    /// A receive buffer of this size, for readers that are slow on purpose; it also switches the
    /// kernel's own sizing off.
    pub recv_buffer_bytes: Option<usize>,
}

impl Socket {
    /// Starts to connect, and returns at once: the socket becomes writable when the connection
    /// stands, or broken when it does not. On loopback it usually stands already.
    ///
    /// # Errors
    ///
    /// Besides the obvious ones: `AddrInUse` (from the bind) and `AddrNotAvailable` (from the
    /// connect) mean that somebody else holds this source port, or its last connection to the same
    /// target is still in TIME_WAIT.
    pub fn dial(source: SocketAddr, target: SocketAddr, options: DialOptions) -> io::Result<Self> {
        let family = if target.is_ipv4() {
            AddressFamily::INET
        } else {
            AddressFamily::INET6
        };
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let fd = socket_with(family, SocketType::STREAM, flags, Some(ipproto::TCP))?;
        // One source port serves several targets, and ports of an earlier run are free again.
        set_socket_reuseaddr(&fd, true)?;
        if options.no_delay {
            set_tcp_nodelay(&fd, true)?;
        }
        if let Some(bytes) = options.recv_buffer_bytes {
            set_socket_recv_buffer_size(&fd, bytes)?;
        }
        bind(&fd, &source)?;
        match connect(&fd, &target) {
            Ok(()) | Err(rustix::io::Errno::INPROGRESS) => Ok(Self::from_accepted(fd)),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Breaks the connection: the peer gets a reset, and the port is free at once.
    pub fn reset(self) -> io::Result<()> {
        set_socket_linger(&self, Some(Duration::ZERO))?;
        Ok(())
    }

    /// Leaves without a word, as a machine that loses its power: neither FIN nor reset is sent.
    ///
    /// # Errors
    ///
    /// It needs CAP_NET_ADMIN (it is what moves connections to another machine); without, the
    /// socket is given back, still open.
    #[cfg(target_os = "linux")]
    pub fn vanish(self) -> Result<(), (Self, io::Error)> {
        let on: libc::c_int = 1;
        // SAFETY: the value is a whole `int` that outlives the call, and its size is passed.
        let answer = unsafe {
            syscall!(setsockopt(
                self.as_raw_fd(),
                libc::IPPROTO_TCP,
                libc::TCP_REPAIR,
                (&raw const on).cast(),
                size_of_val(&on) as libc::socklen_t,
            ))
        };
        // In repair mode a close is silent.
        answer.map(drop).map_err(|error| (self, error))
    }

    /// Other systems have no such mode.
    #[cfg(not(target_os = "linux"))]
    pub fn vanish(self) -> Result<(), (Self, io::Error)> {
        Err((self, io::ErrorKind::Unsupported.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::net::{TcpListener, TcpStream};

    /// A connection from 127.0.0.77 and this port, both ends.
    fn connected(port: u16, options: DialOptions) -> (Socket, TcpStream, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let target = listener.local_addr().unwrap();
        let source = SocketAddr::from(([127, 0, 0, 77], port));
        let ours = Socket::dial(source, target, options).unwrap();
        let (theirs, from) = listener.accept().unwrap();
        assert_eq!(from, source);
        (ours, theirs, target)
    }

    #[test]
    fn a_connection_comes_from_where_it_was_told() {
        let (ours, mut theirs, _) = connected(21_001, DialOptions::default());
        assert_eq!(ours.send(b"hello").unwrap(), 5);
        let mut room = [0; 5];
        theirs.read_exact(&mut room).unwrap();
        assert_eq!(&room, b"hello");
    }

    #[test]
    fn one_port_serves_several_targets_and_each_only_once() {
        let (_ours, _theirs, target) = connected(21_002, DialOptions::default());
        let source = SocketAddr::from(([127, 0, 0, 77], 21_002));
        let again = Socket::dial(source, target, DialOptions::default()).unwrap_err();
        assert_eq!(again.kind(), io::ErrorKind::AddrNotAvailable);
        let other = TcpListener::bind("127.0.0.1:0").unwrap();
        Socket::dial(source, other.local_addr().unwrap(), DialOptions::default()).unwrap();
    }

    #[test]
    fn a_reset_is_a_reset_and_frees_the_port() {
        let options = DialOptions {
            no_delay: true,
            recv_buffer_bytes: Some(4096),
        };
        let (ours, mut theirs, _) = connected(21_003, options);
        ours.reset().unwrap();
        let error = theirs.read(&mut [0; 8]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn who_vanishes_says_nothing() {
        let (ours, mut theirs, _) = connected(21_004, DialOptions::default());
        theirs.set_nonblocking(true).unwrap();
        // Only with CAP_NET_ADMIN; without it the socket comes back.
        match ours.vanish() {
            Ok(()) => {
                let error = theirs.read(&mut [0; 8]).unwrap_err();
                assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
            }
            Err((ours, error)) => {
                assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
                assert_eq!(ours.send(b"x").unwrap(), 1);
            }
        }
    }
}
