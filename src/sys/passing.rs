//! Handing an established stream to a thread that has a descriptor table of its own.
//!
//! A descriptor number means nothing in another table, so the stream itself is sent: one byte over a
//! Unix socket, with the descriptor beside it (`SCM_RIGHTS`). The kernel puts it into the table of
//! whoever receives it. Two system calls and a close, some 4 us: for the exception, not the rule.
//!
//! Both ends must exist before the tables part ([`fdtable`](super::fdtable)).

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags,
};
use socket2::{Domain, Type};

use super::Socket;

/// The end that gives streams away; any thread may use it.
#[derive(Debug)]
pub struct Passer {
    fd: OwnedFd,
}

/// The end that receives them; wait on it for readability, edge-triggered.
#[derive(Debug)]
pub struct Taker {
    fd: OwnedFd,
}

/// A pair of ends, neither of which ever waits.
pub fn channel() -> io::Result<(Passer, Taker)> {
    let (ours, theirs) = socket2::Socket::pair(Domain::UNIX, Type::STREAM, None)?;
    ours.set_nonblocking(true)?;
    theirs.set_nonblocking(true)?;
    // A stream in flight is a packet of about a kilobyte: the default holds some 200 of them.
    let _ = ours.set_send_buffer_size(IN_FLIGHT_BYTES);
    Ok((Passer { fd: ours.into() }, Taker { fd: theirs.into() }))
}

impl Passer {
    /// Gives a stream away, with a word about it. `WouldBlock`: the taker is behind; the stream is
    /// still the caller's, as after every error.
    pub fn pass(&self, stream: &Socket, word: u8) -> io::Result<()> {
        let streams = [stream.as_fd()];
        let mut room = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut beside = SendAncillaryBuffer::new(&mut room);
        beside.push(SendAncillaryMessage::ScmRights(&streams));
        let byte = &[word];
        let byte = [IoSlice::new(byte)];
        rustix::net::sendmsg(&self.fd, &byte, &mut beside, FLAGS)?;
        Ok(())
    }
}

impl Taker {
    /// The next stream and the word about it; it is non-blocking, as it was when it was given away.
    pub fn take(&self) -> io::Result<(Socket, u8)> {
        let mut room = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut beside = RecvAncillaryBuffer::new(&mut room);
        let mut byte = [0];
        let mut into = [IoSliceMut::new(&mut byte)];
        let flags = RecvFlags::CMSG_CLOEXEC;
        let received = rustix::net::recvmsg(&self.fd, &mut into, &mut beside, flags)?;
        let mut streams = beside.drain().filter_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut streams) => streams.next(),
            _ => None,
        });
        match streams.next() {
            Some(stream) => Ok((Socket::from_accepted(stream), byte[0])),
            None if received.bytes == 0 => Err(io::ErrorKind::WouldBlock.into()), // no passer is left
            // The kernel had no place for it in our table and dropped it.
            None => Err(io::Error::from_raw_os_error(libc::EMFILE)),
        }
    }
}

impl Taker {
    /// One more descriptor for the same thing; worth its number only.
    pub fn duplicate(&self) -> io::Result<OwnedFd> {
        self.fd.try_clone()
    }
}

impl AsRawFd for Taker {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

/// What the kernel grants without privilege on most systems (`net.core.wmem_max`).
const IN_FLIGHT_BYTES: usize = 212_992;

#[cfg(not(target_vendor = "apple"))]
const FLAGS: SendFlags = SendFlags::NOSIGNAL;
#[cfg(target_vendor = "apple")]
const FLAGS: SendFlags = SendFlags::empty();

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;
    use crate::sys::fdtable;
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;
    use std::thread;

    fn stream() -> (Socket, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        (Socket::adopt(ours).unwrap(), theirs)
    }

    #[test]
    fn a_stream_crosses_from_table_to_table() {
        let (passer, taker) = channel().unwrap();
        let (parted, part_it) = std::sync::mpsc::channel();
        let (passed, wait) = std::sync::mpsc::channel();
        thread::scope(|scope| {
            let other = scope.spawn(move || {
                parted.send(fdtable::part()).unwrap();
                wait.recv().unwrap();
                let (taken, word) = taker.take().unwrap();
                assert_eq!(word, 7);
                assert_eq!(
                    taken.recv(&mut [0]).unwrap_err().kind(),
                    io::ErrorKind::WouldBlock,
                    "still non-blocking"
                );
                taken.send(b"from another table").unwrap();
                assert_eq!(taker.take().unwrap_err().kind(), io::ErrorKind::WouldBlock);
            });
            part_it.recv().unwrap();
            let (ours, mut theirs) = stream();
            passer.pass(&ours, 7).unwrap();
            drop(ours); // in flight it needs no descriptor
            passed.send(()).unwrap();
            let mut text = String::new();
            theirs.read_to_string(&mut text).unwrap();
            assert_eq!(text, "from another table");
            other.join().unwrap();
        });
    }

    #[test]
    fn a_taker_that_is_behind_is_would_block_and_the_stream_stays_ours() {
        let (passer, taker) = channel().unwrap();
        let (ours, mut theirs) = stream();
        let full = (0..100_000)
            .find_map(|_| passer.pass(&ours, 0).err())
            .unwrap();
        assert_eq!(full.kind(), io::ErrorKind::WouldBlock);
        theirs.write_all(b"x").unwrap();
        assert_eq!(ours.recv(&mut [0]).unwrap(), 1);
        taker.take().unwrap();
        passer.pass(&ours, 0).expect("there is room again");
    }
}
