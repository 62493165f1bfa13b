//! Where the server can be reached: an address, and the claim on it.
//!
//! Each worker has a listener of its own on the same port (`SO_REUSEPORT`), which makes two mistakes
//! silent: a second server would share the port instead of failing, and with port 0 each worker
//! would get another one. So the main thread claims the address first, without that option, and
//! holds on to it (bound, not listening) while the workers come and go.
//!
//! A Unix path cannot be bound twice. There the endpoint owns the one listening socket, and the
//! workers accept from duplicates of it. The same goes for a socket that was passed to us listening
//! ([`activation`](super::activation)); that one is somebody else's, and goes on when we end.

use std::fmt;
use std::io;
use std::net::{Shutdown, SocketAddr};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use socket2::{Domain, SockAddr, SockRef, Type};

use super::{ListenOptions, Listener};

/// A place to listen at: `127.0.0.1:9000`, `[::1]:9000` or `unix:/run/throng.sock`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    /// An IP address and port; port 0 lets the kernel choose.
    Tcp(SocketAddr),
    /// The path of a Unix socket.
    Unix(PathBuf),
}

/// The text is none of the three forms of an [`Address`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressError;

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        match text.strip_prefix("unix:") {
            Some("") => Err(AddressError),
            Some(path) => Ok(Self::Unix(PathBuf::from(path))),
            None => text.parse().map(Self::Tcp).map_err(|_| AddressError),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl fmt::Display for AddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("expected IP:PORT, [IPV6]:PORT or unix:/PATH (names are not resolved)")
    }
}

impl std::error::Error for AddressError {}

/// A claimed [`Address`]: nobody else can listen there while this lives.
///
/// Claim it before the workers part their descriptor tables; [`listen`](Self::listen) in each
/// worker, after. (A parted worker keeps its inherited duplicate of the claim until it ends; that
/// duplicate accepts nothing.)
#[derive(Debug)]
pub struct Endpoint {
    address: Address,
    options: ListenOptions,
    claim: socket2::Socket,
    /// Device and inode of the Unix socket's path, so that we never remove a successor's.
    inode: Option<(u64, u64)>,
    /// Set if it was passed to us: which one it is of how many with this address.
    share: Option<(usize, usize)>,
}

impl Endpoint {
    /// Claims `address`, or says early why it cannot be had (in use, not ours, not permitted).
    pub fn claim(address: &Address, options: ListenOptions) -> io::Result<Self> {
        match address {
            Address::Tcp(address) => Self::claim_tcp(*address, options),
            Address::Unix(path) => Self::claim_unix(path, options),
        }
    }

    /// The endpoints somebody has opened for us. Several with one address (systemd's `ReusePort=yes`)
    /// have a queue each, and are dealt out to the workers.
    pub fn inherit(sockets: Vec<OwnedFd>, options: ListenOptions) -> io::Result<Vec<Self>> {
        let adopted = sockets.into_iter().map(|fd| Self::adopt(fd, options));
        let mut endpoints = adopted.collect::<io::Result<Vec<_>>>()?;
        let addresses: Vec<_> = endpoints.iter().map(|e| e.address.clone()).collect();
        let alike = |address: &Address, until: usize| {
            let before = addresses[..until].iter();
            before.filter(|other| *other == address).count()
        };
        for (index, endpoint) in endpoints.iter_mut().enumerate() {
            let (nth, all) = (
                alike(&endpoint.address, index),
                alike(&endpoint.address, addresses.len()),
            );
            endpoint.share = Some((nth, all));
        }
        Ok(endpoints)
    }

    fn adopt(fd: OwnedFd, options: ListenOptions) -> io::Result<Self> {
        let claim = socket2::Socket::from(fd);
        if claim.r#type()? != Type::STREAM || !is_listening(&claim)? {
            return Err(io::Error::other("not a listening stream socket"));
        }
        claim.set_nonblocking(true)?;
        let local = claim.local_addr()?;
        let address = match (local.as_socket(), local.as_pathname()) {
            (Some(address), _) => Address::Tcp(address),
            (None, path) => Address::Unix(path.map(Path::to_owned).unwrap_or_default()),
        };
        let is_tcp = matches!(address, Address::Tcp(_));
        options.apply(SockRef::from(&claim), is_tcp)?;
        Ok(Self {
            address,
            options,
            claim,
            inode: None,
            share: Some((0, 1)),
        })
    }

    /// Whether it was passed to us: whoever lines up while we end is our successor's.
    pub fn is_inherited(&self) -> bool {
        self.share.is_some()
    }

    /// Whether worker `seat` of the first `workers` listens here. Of several sockets with one
    /// address each worker takes its own, as far as they go.
    pub fn is_for(&self, seat: usize, workers: usize) -> bool {
        match self.share {
            Some((nth, all)) if all < workers => seat % all == nth,
            Some((nth, _)) => nth % workers.max(1) == seat,
            None => true,
        }
    }

    /// The address with its port resolved.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Whether all listeners of this endpoint are one: each newcomer then wakes every worker.
    pub fn is_shared(&self) -> bool {
        matches!(self.address, Address::Unix(_)) || self.is_inherited()
    }

    /// A listener of the caller's own on this endpoint.
    pub fn listen(&self) -> io::Result<Listener> {
        let fd = match &self.address {
            _ if self.is_inherited() => self.duplicate()?,
            Address::Tcp(address) => self.listen_tcp(*address)?,
            Address::Unix(_) => self.duplicate()?,
        };
        Ok(Listener::from_listening(fd))
    }

    /// Lets nobody new in: a Unix endpoint refuses from now on and its path is removed. Who waits
    /// in the queue can still be accepted. A TCP endpoint ends when its listeners are dropped.
    pub fn retire(&self) {
        let Address::Unix(path) = &self.address else {
            return;
        };
        if self.is_inherited() {
            return; // shut down here, it would be shut down for its owner
        }
        // Dropping the socket would not do: parted workers hold duplicates of it.
        let _ = self.claim.shutdown(Shutdown::Both);
        if self.inode.is_some() && inode(path).ok() == self.inode {
            let _ = std::fs::remove_file(path);
        }
    }

    /// One queue for all workers. Each waits for it in an epoll of its own, edge-triggered: a
    /// newcomer wakes all who sleep, one accepts it and the others find nothing. (`EPOLLEXCLUSIVE`
    /// would wake one; mio has no way to ask for it.) 38 400 handshakes on two cores cost 1.3 s of CPU
    /// with two workers and 2.5 s with eight: the reason why shards do not listen here.
    fn duplicate(&self) -> io::Result<OwnedFd> {
        Ok(OwnedFd::from(self.claim.try_clone()?))
    }

    fn claim_tcp(address: SocketAddr, options: ListenOptions) -> io::Result<Self> {
        // First without SO_REUSEADDR: such a claim excludes even a second server that starts in
        // the same moment. It also trips over connections in TIME_WAIT; the second try does not.
        let claim = match bound(address, false) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => bound(address, true)?,
            other => other?,
        };
        // Only now, so that the bind above was exclusive and the workers' binds are not refused.
        claim.set_reuse_port(true)?;
        let resolved = claim.local_addr()?.as_socket().unwrap_or(address);
        Ok(Self {
            address: Address::Tcp(resolved),
            options,
            claim,
            inode: None,
            share: None,
        })
    }

    fn claim_unix(path: &Path, options: ListenOptions) -> io::Result<Self> {
        let address = SockAddr::unix(path)?;
        let claim = stream_socket(Domain::UNIX)?;
        match claim.bind(&address) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && is_stale(path, &address) => {
                std::fs::remove_file(path)?;
                claim.bind(&address)?;
            }
            other => other?,
        }
        let inode = inode(path)?;
        let address = Address::Unix(path.to_owned());
        let endpoint = Self {
            address,
            options,
            claim,
            inode: Some(inode),
            share: None,
        };
        options.apply(SockRef::from(&endpoint.claim), false)?;
        // Listening at once: a bound path that does not listen looks stale to the next server.
        endpoint.claim.listen(backlog(&options))?;
        Ok(endpoint)
    }

    fn listen_tcp(&self, address: SocketAddr) -> io::Result<OwnedFd> {
        let socket = stream_socket(Domain::for_address(address))?;
        socket.set_reuse_address(true)?;
        socket.set_reuse_port(true)?;
        if address.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        self.options.apply(SockRef::from(&socket), true)?;
        socket.bind(&address.into())?;
        socket.listen(backlog(&self.options))?;
        Ok(socket.into())
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.retire();
    }
}

/// A TCP socket bound to `address` and to nothing else: `[::]` and `0.0.0.0` are two endpoints.
fn bound(address: SocketAddr, reuse_address: bool) -> io::Result<socket2::Socket> {
    let socket = stream_socket(Domain::for_address(address))?;
    socket.set_reuse_address(reuse_address)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.bind(&address.into())?;
    Ok(socket)
}

/// A new stream socket, non-blocking and close-on-exec.
fn stream_socket(domain: Domain) -> io::Result<socket2::Socket> {
    let socket = socket2::Socket::new(domain, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// Whether `path` is a socket nobody listens on: the remains of a server that was killed.
///
/// Only a refused connection proves it. The try does not block: a listener with a full queue
/// answers `WouldBlock`, and is alive.
fn is_stale(path: &Path, address: &SockAddr) -> bool {
    let is_socket =
        std::fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket());
    let refused = || {
        let probe = stream_socket(Domain::UNIX).and_then(|probe| probe.connect(address));
        probe.is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
    };
    is_socket && refused()
}

#[cfg(target_os = "linux")]
fn is_listening(socket: &socket2::Socket) -> io::Result<bool> {
    socket.is_listener()
}

/// Where the kernel does not say, accepting will.
#[cfg(not(target_os = "linux"))]
fn is_listening(_: &socket2::Socket) -> io::Result<bool> {
    Ok(true)
}

fn inode(path: &Path) -> io::Result<(u64, u64)> {
    let found = std::fs::symlink_metadata(path)?;
    Ok((found.dev(), found.ino()))
}

fn backlog(options: &ListenOptions) -> libc::c_int {
    libc::c_int::try_from(options.backlog).unwrap_or(libc::c_int::MAX)
}

#[cfg(test)]
mod tests;
