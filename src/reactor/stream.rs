//! What the reactor needs of the world outside: a byte stream, and a host that opens them.
//!
//! The real ones are sockets and mio (`host`); the scripted ones of the tests are plain data.

use std::io::{self, IoSlice};
use std::net::SocketAddr;

use super::ConnId;
use crate::sys::ktls;

/// A non-blocking byte stream. `WouldBlock` means: wait for the next readiness event.
pub trait Stream {
    /// Reads what is there; 0 is the peer's FIN.
    fn recv(&mut self, into: &mut [u8]) -> io::Result<usize>;
    /// Writes what fits.
    fn send(&mut self, bytes: &[u8]) -> io::Result<usize>;
    /// Writes what fits of several pieces, in order.
    fn send_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize>;
    /// Sends our FIN; reading goes on.
    fn shutdown_write(&mut self) -> io::Result<()>;

    /// Where the peer is, if it has an address.
    fn peer(&self) -> Option<SocketAddr> {
        None
    }

    /// Hands the records of a TLS connection to the kernel: from then on the stream is plaintext.
    fn install_keys(
        &self,
        read: &ktls::Keys<'_>,
        write: &ktls::Keys<'_>,
    ) -> Result<(), ktls::Refusal> {
        let _ = (read, write);
        Err(ktls::Refusal::Unsupported(
            io::ErrorKind::Unsupported.into(),
        ))
    }
}

/// Somebody who has just connected.
#[derive(Clone, Debug)]
pub struct Newcomer<S> {
    /// What it is heard through.
    pub stream: S,
    /// Whether it came to a listener for TLS.
    pub is_tls: bool,
}

/// Where streams come from and how the worker hears of them.
pub trait Host {
    /// The streams this host accepts.
    type Stream: Stream;
    /// How many listeners there are; they are numbered from 0.
    fn listeners(&self) -> usize;
    /// Takes one waiting connection off a listener's queue.
    fn accept(&mut self, listener: usize) -> io::Result<Self::Stream>;
    /// Whether whoever comes to that listener speaks TLS.
    fn is_tls(&self, listener: usize) -> bool {
        let _ = listener;
        false
    }
    /// Asks for edge-triggered events of both directions, tagged with `id`, for as long as the
    /// stream lives.
    fn register(&mut self, stream: &Self::Stream, id: ConnId) -> io::Result<()>;
    /// Whether whoever lines up at a listener while we go down is left to our successor.
    fn is_inherited(&self, listener: usize) -> bool {
        let _ = listener;
        false
    }

    /// Closes every listener.
    fn close_listeners(&mut self);

    /// Our number among the workers of the house.
    fn seat(&self) -> usize {
        0
    }

    /// Gives a newcomer to another worker, which has kept a place for it. `WouldBlock`: that worker
    /// is behind; after an error of any kind it is still ours.
    fn hand_over(&mut self, to: usize, newcomer: &Newcomer<Self::Stream>) -> io::Result<()> {
        let _ = (to, newcomer);
        Err(io::ErrorKind::Unsupported.into())
    }

    /// The next newcomer another worker has given us.
    fn take_over(&mut self) -> io::Result<Newcomer<Self::Stream>> {
        Err(io::ErrorKind::WouldBlock.into())
    }

    /// Accepts one more with a descriptor kept for the purpose, after `accept` has found none: for
    /// somebody who is then passed on or told to go. [`restock`](Self::restock) when that is done.
    fn accept_spare(&mut self, listener: usize) -> io::Result<Self::Stream> {
        let _ = listener;
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Sets a descriptor aside again.
    fn restock(&mut self) {}
}

/// One readiness event, as the host reports it.
#[derive(Clone, Copy, Debug)]
pub enum Event {
    /// A listener has connections waiting.
    Listener(usize),
    /// Another worker has handed newcomers over.
    Newcomers,
    /// A letter is in the mailbox.
    Mail,
    /// A connection became ready.
    Stream {
        /// Whose event it is. Stale ones (an earlier generation) are dropped by the worker.
        id: ConnId,
        /// What it is ready for.
        ready: Ready,
    },
}

/// What a stream is ready for.
#[derive(Clone, Copy, Debug)]
pub struct Ready {
    /// Bytes, or the end, can be read.
    pub readable: bool,
    /// The kernel takes bytes again.
    pub writable: bool,
    /// The peer sent its FIN, or the connection broke: a short read is not the last one.
    pub hung_up: bool,
}
