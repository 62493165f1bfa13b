//! One client's stream, with an end to every wait.

use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use crate::sys::ready::{self, Readiness};
use crate::sys::{Socket, clock};

/// Read at once.
const CHUNK_BYTES: usize = 16 << 10;

/// A stream and what has come in on it.
#[derive(Debug)]
pub(super) struct Wire<'s> {
    socket: &'s Socket,
    /// Bytes that nobody has taken yet.
    pub(super) inbox: Vec<u8>,
}

/// Why a conversation is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gone {
    /// The peer has said all it will say, or the connection broke.
    Left,
    /// It took too long.
    Late,
}

impl<'s> Wire<'s> {
    pub(super) fn new(socket: &'s Socket) -> Self {
        Self {
            socket,
            inbox: Vec::new(),
        }
    }

    /// Waits for more bytes.
    pub(super) fn fill(&mut self, deadline_ms: u64) -> Result<(), Gone> {
        let mut chunk = [0; CHUNK_BYTES];
        loop {
            match self.socket.recv(&mut chunk) {
                Ok(0) => return Err(Gone::Left),
                Ok(length) => {
                    self.inbox.extend_from_slice(&chunk[..length]);
                    return Ok(());
                }
                Err(error) => self.wait_after(&error, Readiness::Readable, deadline_ms)?,
            }
        }
    }

    /// Sends all of it.
    pub(super) fn send(&self, mut bytes: &[u8], deadline_ms: u64) -> Result<(), Gone> {
        while !bytes.is_empty() {
            match self.socket.send(bytes) {
                Ok(length) => bytes = &bytes[length..],
                Err(error) => self.wait_after(&error, Readiness::Writable, deadline_ms)?,
            }
        }
        Ok(())
    }

    /// Says goodbye. What the peer still sends is thrown away for a moment: closing over unread bytes
    /// would reset the connection, and take our last answer with it.
    pub(super) fn part(mut self, deadline_ms: u64) {
        if self.socket.shutdown_write().is_err() {
            return;
        }
        for _ in 0..PARTING_CHUNKS_MAX {
            self.inbox.clear();
            if self.fill(deadline_ms).is_err() {
                return;
            }
        }
    }

    fn wait_after(
        &self,
        error: &io::Error,
        readiness: Readiness,
        deadline_ms: u64,
    ) -> Result<(), Gone> {
        match error.kind() {
            io::ErrorKind::WouldBlock => {}
            io::ErrorKind::Interrupted => return Ok(()),
            _ => return Err(Gone::Left),
        }
        let left_ms = deadline_ms.saturating_sub(clock::monotonic_ms());
        if left_ms == 0 {
            return Err(Gone::Late);
        }
        let timeout = Duration::from_millis(left_ms);
        // Whether it was ready, or interrupted, or time is up: the next call and the next look tell.
        let waited = ready::wait(self.socket.as_fd(), readiness, timeout);
        waited.map_or(Err(Gone::Left), |_| Ok(()))
    }
}

/// A megabyte: somebody in the middle of sending more has not asked us anything sensible.
const PARTING_CHUNKS_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read as _, Write as _};
    use std::os::unix::net::UnixStream;

    fn soon_ms() -> u64 {
        clock::monotonic_ms() + 30
    }

    fn pair() -> (Socket, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        (Socket::adopt(ours).unwrap(), theirs)
    }

    #[test]
    fn bytes_come_and_go_and_silence_ends() {
        let (socket, mut theirs) = pair();
        let mut wire = Wire::new(&socket);
        assert_eq!(wire.fill(soon_ms()), Err(Gone::Late));
        theirs.write_all(b"ask").unwrap();
        assert_eq!(wire.fill(u64::MAX), Ok(()));
        assert_eq!(wire.inbox, b"ask");
        assert_eq!(wire.send(b"answer", soon_ms()), Ok(()));
        let mut room = [0; 6];
        theirs.read_exact(&mut room).unwrap();
        assert_eq!(&room, b"answer");
        drop(theirs);
        assert_eq!(wire.fill(u64::MAX), Err(Gone::Left));
    }

    #[test]
    fn who_does_not_read_is_not_waited_for_for_ever() {
        let (socket, _theirs) = pair();
        let wire = Wire::new(&socket);
        assert_eq!(wire.send(&vec![0; 4 << 20], soon_ms()), Err(Gone::Late));
    }

    #[test]
    fn parting_reads_what_was_on_its_way() {
        let (socket, mut theirs) = pair();
        theirs.write_all(&[7; 100_000]).unwrap();
        Wire::new(&socket).part(soon_ms());
        let mut rest = Vec::new();
        theirs.read_to_end(&mut rest).unwrap();
        assert!(rest.is_empty());
        assert_eq!(
            socket.recv(&mut [0; 8]).unwrap_err().kind(),
            io::ErrorKind::WouldBlock
        );
    }
}
