//! One worker on real sockets: mio's poll, listeners of its own, and the hatch to the others.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Registry, Token};

use super::app::App;
use super::worker::{Turn, Worker};
use super::{ConnId, Event, Host, Newcomer, Ready, Stream};
use crate::metrics::Counters;
use crate::sys::passing::{Passer, Taker};
use crate::sys::{Endpoint, Listener, Socket, clock, ktls};

/// Events taken from the kernel per poll.
const EVENTS_PER_POLL: usize = 1024;
/// Tokens of generation 0 are ours: no connection ever has it.
pub(super) const MAIL_TOKEN: Token = Token(u32::MAX as usize);
pub(super) const HATCH_TOKEN: Token = Token(u32::MAX as usize - 1);

/// Polls and turns until the worker is done.
pub(super) fn run<A: App>(mut worker: Worker<A, MioHost>, mut poll: Poll) -> Counters {
    let mut events = Events::with_capacity(EVENTS_PER_POLL);
    let mut wait_ms = 0;
    loop {
        if wait_ms == 0 {
            // There is more to do. Workers of the same core that are called for go first.
            std::thread::yield_now();
        }
        match poll.poll(&mut events, Some(Duration::from_millis(wait_ms))) {
            Ok(()) => {}
            Err(e) if e.kind() == io::ErrorKind::Interrupted => events.clear(),
            // EBADF or EINVAL would be our own mistake; there is no peer to blame and no way on.
            Err(e) => panic!("epoll_wait failed: {e}"),
        }
        match worker.turn(clock::monotonic_ms(), wait_ms, events.iter().map(translate)) {
            Turn::Finished => return worker.counters().clone(),
            Turn::Wait(next_ms) => wait_ms = next_ms,
        }
        if let Some(complaint) = worker.take_complaint() {
            log_exhaustion(&complaint, worker.connections());
        }
    }
}

/// One line, at most every ten seconds, saying what ran out and what to do.
#[expect(
    clippy::print_stderr,
    reason = "the log is stderr; this is rate-limited and off the message path"
)]
fn log_exhaustion(cause: &io::Error, connections: usize) {
    eprintln!(
        "throng: nothing left for newcomers at {connections} connections of this worker: {cause}. \
         They go to other workers, or are told 503. Raise RLIMIT_NOFILE (LimitNOFILE= in the unit) \
         or lower --max-connections; accepting resumes by itself."
    );
}

fn translate(event: &mio::event::Event) -> Event {
    let token = event.token();
    let id = ConnId::from_u64(token.0 as u64);
    if token == MAIL_TOKEN {
        Event::Mail
    } else if token == HATCH_TOKEN {
        Event::Newcomers
    } else if id.generation() == 0 {
        Event::Listener(token.0)
    } else {
        Event::Stream {
            id,
            ready: Ready {
                readable: event.is_readable(),
                writable: event.is_writable(),
                hung_up: event.is_read_closed() || event.is_error(),
            },
        }
    }
}

/// Listeners, a registry and the ways to and from the other workers: the host of real connections.
pub(super) struct MioHost {
    seat: usize,
    registry: Registry,
    listeners: Vec<Listener>,
    /// Whether each of them is somebody else's, too.
    are_inherited: Vec<bool>,
    /// Whether each of them is for TLS.
    are_tls: Vec<bool>,
    taker: Taker,
    passers: Arc<[Passer]>,
    /// Given up to accept one more when descriptors have run out.
    spare: Option<OwnedFd>,
    /// Whether another worker's descriptors are others than ours.
    is_parted: bool,
}

impl MioHost {
    /// Joins the workers on `seat`, listening at `endpoints`; beside each, whether it is for TLS.
    pub(super) fn new(
        poll: &Poll,
        endpoints: &[(&Endpoint, bool)],
        (seat, is_parted): (usize, bool),
        taker: Taker,
        passers: Arc<[Passer]>,
    ) -> io::Result<Self> {
        let registry = poll.registry().try_clone()?;
        let mut listeners = Vec::with_capacity(endpoints.len());
        for (index, (endpoint, _)) in endpoints.iter().enumerate() {
            let listener = endpoint.listen()?;
            let fd = listener.as_raw_fd();
            registry.register(&mut SourceFd(&fd), Token(index), Interest::READABLE)?;
            listeners.push(listener);
        }
        let mut host = Self {
            seat,
            registry,
            listeners,
            are_inherited: endpoints.iter().map(|(e, _)| e.is_inherited()).collect(),
            are_tls: endpoints.iter().map(|(_, is_tls)| *is_tls).collect(),
            taker,
            passers,
            spare: None,
            is_parted,
        };
        host.restock();
        Ok(host)
    }
}

impl Host for MioHost {
    type Stream = Socket;

    fn listeners(&self) -> usize {
        self.listeners.len()
    }

    fn accept(&mut self, listener: usize) -> io::Result<Socket> {
        self.listeners[listener].accept()
    }

    fn is_tls(&self, listener: usize) -> bool {
        self.are_tls[listener]
    }

    fn register(&mut self, stream: &Socket, id: ConnId) -> io::Result<()> {
        // Both directions, once: no epoll_ctl is ever needed again.
        let interest = Interest::READABLE | Interest::WRITABLE;
        let fd = stream.as_raw_fd();
        self.registry
            .register(&mut SourceFd(&fd), Token(id.as_u64() as usize), interest)
    }

    fn is_inherited(&self, listener: usize) -> bool {
        self.are_inherited[listener]
    }

    fn close_listeners(&mut self) {
        for listener in self.listeners.drain(..) {
            // Where others hold it open, closing our descriptor would not end our interest in it.
            let _ = self
                .registry
                .deregister(&mut SourceFd(&listener.as_raw_fd()));
        }
    }

    fn seat(&self) -> usize {
        self.seat
    }

    fn hand_over(&mut self, to: usize, newcomer: &Newcomer<Socket>) -> io::Result<()> {
        if !self.is_parted {
            return Err(io::ErrorKind::Unsupported.into()); // it would find no descriptor either
        }
        let passer = self.passers.get(to).ok_or(io::ErrorKind::NotFound)?;
        passer.pass(&newcomer.stream, newcomer.is_tls.into())
    }

    fn take_over(&mut self) -> io::Result<Newcomer<Socket>> {
        let (stream, word) = self.taker.take()?;
        let is_tls = word != 0;
        Ok(Newcomer { stream, is_tls })
    }

    fn accept_spare(&mut self, listener: usize) -> io::Result<Socket> {
        let spare = self.spare.take().ok_or(io::ErrorKind::NotFound)?;
        drop(spare);
        let accepted = self.listeners[listener].accept();
        if accepted.is_err() {
            self.restock();
        }
        accepted
    }

    fn restock(&mut self) {
        if self.spare.is_none() {
            self.spare = self.taker.duplicate().ok();
        }
    }
}

impl Stream for Socket {
    #[inline]
    fn recv(&mut self, into: &mut [u8]) -> io::Result<usize> {
        Self::recv(self, into)
    }

    #[inline]
    fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Self::send(self, bytes)
    }

    fn send_vectored(&mut self, pieces: &[io::IoSlice<'_>]) -> io::Result<usize> {
        Self::send_vectored(self, pieces)
    }

    fn shutdown_write(&mut self) -> io::Result<()> {
        Self::shutdown_write(self)
    }

    fn peer(&self) -> Option<SocketAddr> {
        Self::peer(self)
    }

    fn install_keys(
        &self,
        read: &ktls::Keys<'_>,
        write: &ktls::Keys<'_>,
    ) -> Result<(), ktls::Refusal> {
        ktls::install(self, read, write)
    }
}
