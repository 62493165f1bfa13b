//! Workers on real sockets: one thread each, mio's poll, listeners of their own.

use std::io;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Registry, Token, Waker};

use super::app::App;
use super::mailbox::{self, Mailbox, Post};
use super::worker::{Turn, Worker, WorkerConfig};
use super::{ConnId, Event, Host, Mail, Ready, Stream};
use crate::metrics::Counters;
use crate::sys::fdtable::{self, Parted};
use crate::sys::{Endpoint, Listener, Socket, affinity, clock};

/// Events taken from the kernel per poll.
const EVENTS_PER_POLL: usize = 1024;
/// Letters a mailbox holds before `post` refuses.
const MAILBOX_LETTERS: usize = 16_384;
/// Tokens of generation 0 are ours: no connection ever has it.
const MAIL_TOKEN: Token = Token(u32::MAX as usize);

/// How to start the workers.
pub struct CrewConfig {
    /// Where they listen, each with a listener of its own.
    pub endpoints: Vec<Endpoint>,
    /// How many workers.
    pub workers: usize,
    /// Worker `n` is bound to `cores[n % cores.len()]`; empty leaves them to the scheduler.
    pub cores: Vec<usize>,
    /// What each worker is made of.
    pub worker: WorkerConfig,
}

impl CrewConfig {
    /// One worker per core, everything else at its default.
    pub fn new(endpoints: Vec<Endpoint>) -> Self {
        let cores = affinity::cores();
        Self {
            endpoints,
            workers: cores.len().max(1),
            cores,
            worker: WorkerConfig::default(),
        }
    }
}

/// The running workers.
pub struct Crew<L> {
    threads: Vec<JoinHandle<Counters>>,
    posts: Vec<Post<Mail<L>>>,
    endpoints: Arc<Vec<Endpoint>>,
    started: Vec<Started>,
}

/// What a worker found when it started.
#[derive(Clone, Debug)]
pub struct Started {
    /// Whether it has a descriptor table of its own.
    pub parted: Parted,
    /// Why it could not be bound to its core, if it was to be and could not.
    pub not_pinned: Option<String>,
}

impl<L: Send + 'static> Crew<L> {
    /// Starts the workers and returns once each of them listens, or the first error.
    pub fn start<A, F>(config: CrewConfig, make_app: F) -> io::Result<Self>
    where
        A: App<Letter = L>,
        F: Fn(usize) -> A + Send + Sync + 'static,
    {
        let CrewConfig {
            endpoints,
            workers,
            cores,
            worker,
        } = config;
        let shared = Arc::new((worker, make_app));
        let endpoints = Arc::new(endpoints);
        // Every poll and waker exists before the first thread leaves the common table: a wake
        // is a write to a descriptor that must mean the same in the table of whoever wakes.
        let seats = (0..workers)
            .map(|_| Seat::new())
            .collect::<io::Result<Vec<_>>>()?;
        let posts: Vec<_> = seats.iter().map(|seat| seat.post.clone()).collect();
        let (report, reports) = mpsc::channel();
        let mut threads = Vec::with_capacity(workers);
        for (index, seat) in seats.into_iter().enumerate() {
            let (shared, endpoints) = (shared.clone(), endpoints.clone());
            let (report, posts) = (report.clone(), posts.clone());
            let core = (!cores.is_empty()).then(|| cores[index % cores.len()]);
            let body = move || {
                let started = Started {
                    parted: fdtable::part(),
                    not_pinned: core
                        .and_then(|core| affinity::pin(core).err())
                        .map(|e| e.to_string()),
                };
                let host = match MioHost::new(&seat.poll, &endpoints) {
                    Ok(host) => host,
                    Err(e) => {
                        let _ = report.send(Err(e));
                        return Counters::default();
                    }
                };
                let (config, make_app) = &*shared;
                let worker = Worker::new(make_app(index), host, seat.mailbox, posts, config);
                let _ = report.send(Ok(started));
                drop(report);
                run(worker, seat.poll)
            };
            let name = format!("worker-{index}");
            threads.push(thread::Builder::new().name(name).spawn(body)?);
        }
        drop(report);
        let started = reports.iter().collect::<io::Result<Vec<_>>>()?;
        Ok(Self {
            threads,
            posts,
            endpoints,
            started,
        })
    }

    /// What the workers found when they started.
    pub fn started(&self) -> &[Started] {
        &self.started
    }

    /// Where the crew listens, ports resolved.
    pub fn endpoints(&self) -> &[Endpoint] {
        &self.endpoints
    }

    /// Stops accepting and says 1001 to everyone, spread over the window.
    pub fn drain(&mut self, window: Duration) {
        for endpoint in self.endpoints.iter() {
            endpoint.retire();
        }
        let window_ms = u32::try_from(window.as_millis()).unwrap_or(u32::MAX);
        self.tell_all(|| Mail::Drain { window_ms });
    }

    /// Ends all workers at once.
    pub fn stop(&mut self) {
        self.tell_all(|| Mail::Stop);
    }

    /// Whether every worker has ended.
    pub fn is_finished(&self) -> bool {
        self.threads.iter().all(JoinHandle::is_finished)
    }

    /// Waits for the workers and adds up what they counted. `false`: one of them panicked.
    pub fn join(self) -> (Counters, bool) {
        let mut total = Counters::default();
        let mut sound = true;
        for thread in self.threads {
            match thread.join() {
                Ok(counters) => total.add(&counters),
                Err(_) => sound = false,
            }
        }
        (total, sound)
    }

    /// A full mailbox is one that is being read: the order waits for room, as long as the
    /// worker lives.
    fn tell_all(&mut self, order: impl Fn() -> Mail<L>) {
        for (post, thread) in self.posts.iter_mut().zip(&self.threads) {
            while post.post(order()).is_err() && !thread.is_finished() {
                thread::yield_now();
            }
        }
    }
}

/// What a worker needs from before the tables part.
struct Seat<M> {
    poll: Poll,
    mailbox: Mailbox<M>,
    post: Post<M>,
}

impl<M: Send> Seat<M> {
    fn new() -> io::Result<Self> {
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), MAIL_TOKEN)?);
        let (post, mailbox) = mailbox::mailbox(waker, MAILBOX_LETTERS);
        Ok(Self {
            poll,
            mailbox,
            post,
        })
    }
}

/// Polls and turns until the worker is done.
fn run<A: App>(mut worker: Worker<A, MioHost>, mut poll: Poll) -> Counters {
    let mut events = Events::with_capacity(EVENTS_PER_POLL);
    let mut wait_ms = 0;
    loop {
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
        "throng: accepting pauses at {connections} connections of this worker: {cause}. \
         Raise RLIMIT_NOFILE (LimitNOFILE= in the unit), lower --max-connections, or add workers; \
         accepting resumes by itself."
    );
}

fn translate(event: &mio::event::Event) -> Event {
    let token = event.token();
    let id = ConnId::from_u64(token.0 as u64);
    if token == MAIL_TOKEN {
        Event::Mail
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

/// Listeners and a registry: the host of real connections.
struct MioHost {
    registry: Registry,
    listeners: Vec<Listener>,
}

impl MioHost {
    fn new(poll: &Poll, endpoints: &[Endpoint]) -> io::Result<Self> {
        let registry = poll.registry().try_clone()?;
        let mut listeners = Vec::with_capacity(endpoints.len());
        for (index, endpoint) in endpoints.iter().enumerate() {
            let listener = endpoint.listen()?;
            let fd = listener.as_raw_fd();
            registry.register(&mut SourceFd(&fd), Token(index), Interest::READABLE)?;
            listeners.push(listener);
        }
        Ok(Self {
            registry,
            listeners,
        })
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

    fn register(&mut self, stream: &Socket, id: ConnId) -> io::Result<()> {
        // Both directions, once: no epoll_ctl is ever needed again.
        let interest = Interest::READABLE | Interest::WRITABLE;
        let fd = stream.as_raw_fd();
        self.registry
            .register(&mut SourceFd(&fd), Token(id.as_u64() as usize), interest)
    }

    fn close_listeners(&mut self) {
        self.listeners.clear();
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
}
