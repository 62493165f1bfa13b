//! Waiting for one descriptor with a bound: for threads that serve one peer at a time.
//!
//! The workers have `mio` and a thousand peers; the admin port has a thread per peer, and what that
//! thread needs is an end to each of its waits. `SO_RCVTIMEO` would bound one call, and a peer that
//! drips a byte per call would never meet it.

use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

/// What to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// Bytes, a newcomer, or the end of the stream.
    Readable,
    /// Room for bytes.
    Writable,
}

/// Waits until the descriptor is ready, fails (which counts as ready: the next call says how), or
/// `timeout` is over; `false` then. A signal may end the wait early, also with `false`.
pub fn wait(fd: impl AsFd, readiness: Readiness, timeout: Duration) -> io::Result<bool> {
    let flags = match readiness {
        Readiness::Readable => PollFlags::IN,
        Readiness::Writable => PollFlags::OUT,
    };
    let mut fds = [PollFd::new(&fd, flags)];
    let timeout = Timespec::try_from(timeout).map_err(io::Error::other)?;
    match poll(&mut fds, Some(&timeout)) {
        Ok(count) => Ok(count > 0),
        Err(Errno::INTR) => Ok(false),
        Err(errno) => Err(errno.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::unix::net::UnixStream;

    const MOMENT: Duration = Duration::from_millis(1);
    const PATIENCE: Duration = Duration::from_secs(20);

    #[test]
    fn a_wait_ends_with_bytes_with_the_peer_or_with_time() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        assert!(wait(&ours, Readiness::Writable, PATIENCE).unwrap());
        assert!(!wait(&ours, Readiness::Readable, MOMENT).unwrap());
        theirs.write_all(b"x").unwrap();
        assert!(wait(&ours, Readiness::Readable, PATIENCE).unwrap());
        drop(theirs);
        assert!(wait(&ours, Readiness::Readable, PATIENCE).unwrap());
    }
}
