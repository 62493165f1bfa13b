//! Where streams come from: sockets and mio, or a script in a test.

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;

use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use throng::reactor::{ConnId, Stream};
use throng::sys::{DialOptions, Socket, clock};

/// What the fleet needs of the world.
pub trait Net {
    /// The streams it dials.
    type Stream: Stream;

    /// Monotonic time.
    fn now_ns(&self) -> u64;

    /// Starts a connection and asks for its events, edge-triggered, tagged with `id`.
    fn dial(
        &mut self,
        id: ConnId,
        from: SocketAddr,
        to: SocketAddr,
        options: DialOptions,
    ) -> io::Result<Self::Stream>;

    /// Breaks a connection.
    fn reset(&mut self, stream: Self::Stream);

    /// Leaves without FIN or reset; gives the stream back where that is not allowed.
    fn vanish(&mut self, stream: Self::Stream) -> Result<(), Self::Stream>;
}

/// Real connections.
#[derive(Debug)]
pub struct Sockets {
    registry: Registry,
}

impl Sockets {
    /// Connections whose events go to this poll.
    #[must_use]
    pub const fn new(registry: Registry) -> Self {
        Self { registry }
    }
}

impl Net for Sockets {
    type Stream = Socket;

    fn now_ns(&self) -> u64 {
        clock::monotonic_ns()
    }

    fn dial(
        &mut self,
        id: ConnId,
        from: SocketAddr,
        to: SocketAddr,
        options: DialOptions,
    ) -> io::Result<Socket> {
        let socket = Socket::dial(from, to, options)?;
        let fd = socket.as_raw_fd();
        let token = Token(id.as_u64() as usize);
        let both = Interest::READABLE | Interest::WRITABLE;
        self.registry.register(&mut SourceFd(&fd), token, both)?;
        Ok(socket)
    }

    fn reset(&mut self, stream: Socket) {
        // If it cannot be broken it is closed: the caller is done with it either way.
        stream.reset().ok();
    }

    fn vanish(&mut self, stream: Socket) -> Result<(), Socket> {
        stream.vanish().map_err(|(stream, _)| stream)
    }
}
