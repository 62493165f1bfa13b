//! One syscall per function.

use std::io;
use std::net::Ipv4Addr;
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

pub(crate) fn socket() -> io::Result<RawFd> {
    let kind = libc::SOCK_STREAM | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    // SAFETY: no pointer is passed.
    check(unsafe { libc::socket(libc::AF_INET, kind, 0) })
}

/// Switches an option on.
pub(crate) fn set(socket: RawFd, level: libc::c_int, option: libc::c_int) -> io::Result<()> {
    let one: libc::c_int = 1;
    let (value, length) = ((&raw const one).cast(), size_of_val(&one) as u32);
    // SAFETY: the option is an int, and its address and size are those of `one`.
    check(unsafe { libc::setsockopt(socket, level, option, value, length) })?;
    Ok(())
}

pub(crate) fn bind_to_loopback(socket: RawFd, port: u16) -> io::Result<()> {
    let address = libc::sockaddr_in {
        sin_family: libc::AF_INET as u16,
        sin_port: port.to_be(),
        sin_addr: libc::in_addr {
            s_addr: u32::from(Ipv4Addr::LOCALHOST).to_be(),
        },
        sin_zero: [0; 8],
    };
    let (start, length) = ((&raw const address).cast(), size_of_val(&address) as u32);
    // SAFETY: the address outlives the call and its size is passed.
    check(unsafe { libc::bind(socket, start, length) })?;
    Ok(())
}

pub(crate) fn listen(socket: RawFd, backlog: libc::c_int) -> io::Result<()> {
    // SAFETY: no pointer is passed.
    check(unsafe { libc::listen(socket, backlog) })?;
    Ok(())
}

/// Gives the calling thread a descriptor table of its own, a copy of the one it has shared.
pub(crate) fn part_files() -> io::Result<()> {
    // SAFETY: no pointer is passed; other threads keep the table they have.
    check(unsafe { libc::unshare(libc::CLONE_FILES) })?;
    Ok(())
}

/// A counter that is readable while it is not zero.
pub(crate) fn bell() -> io::Result<RawFd> {
    // SAFETY: no pointer is passed.
    check(unsafe { libc::eventfd(0, libc::EFD_NONBLOCK | libc::EFD_CLOEXEC) })
}

/// A bell that has been rung too often to count rings already.
pub(crate) fn ring(bell: RawFd) {
    let one = 1u64;
    // SAFETY: the kernel reads the eight bytes of `one`.
    unsafe { libc::write(bell, (&raw const one).cast(), size_of_val(&one)) };
}

/// A bell that nobody has rung is silent already.
pub(crate) fn silence(bell: RawFd) {
    let mut rings = 0u64;
    // SAFETY: the kernel writes the eight bytes of `rings`.
    unsafe { libc::read(bell, (&raw mut rings).cast(), size_of_val(&rings)) };
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
