//! The workers as threads: started, added to, told what to do, and waited for.

use std::io;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::mpsc::{self, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use mio::unix::SourceFd;
use mio::{Interest, Poll, Waker};

use super::Mail;
use super::app::App;
use super::config::WorkerConfig;
use super::driver::{self, HATCH_TOKEN, MAIL_TOKEN, MioHost};
use super::house::{House, WORKERS_MAX};
use super::letterbox::Letterbox;
use super::mailbox::{self, Mailbox, Post};
use super::worker::Worker;
use crate::limits::Limits;
use crate::metrics::Counters;
use crate::sys::fdtable::{self, Parted};
use crate::sys::passing::{self, Passer, Taker};
use crate::sys::{Endpoint, affinity, slice};
use crate::tls::ServerTls;

/// Letters a mailbox holds before `post` refuses.
const MAILBOX_LETTERS: usize = 16_384;
/// The same for those who may join later. A mailbox is allocated, and touched, with its seat: 54 of
/// the full size were 14 MiB of an idle server.
const SHARD_MAILBOX_LETTERS: usize = 1024;

/// How to start the workers.
pub struct CrewConfig {
    /// Where they listen, each with a listener of its own.
    pub endpoints: Vec<Endpoint>,
    /// The same for peers that speak TLS; `worker.tls` says how.
    pub tls_endpoints: Vec<Endpoint>,
    /// How many workers.
    pub workers: usize,
    /// How many more may join later ([`Crew::grow`]), each bringing a descriptor table.
    pub shards: usize,
    /// Worker `n` is bound to `cores[n % cores.len()]`; empty leaves them to the scheduler.
    pub cores: Vec<usize>,
    /// Descriptors each table is laid out for at the start; 0 lets it grow.
    pub descriptors_expected: u64,
    /// What each worker is made of.
    pub worker: WorkerConfig,
}

impl CrewConfig {
    /// One worker per core, everything else at its default.
    pub fn new(endpoints: Vec<Endpoint>) -> Self {
        let cores = affinity::cores();
        Self {
            endpoints,
            tls_endpoints: Vec::new(),
            workers: cores.len().max(1),
            shards: 0,
            cores,
            descriptors_expected: 0,
            worker: WorkerConfig::default(),
        }
    }
}

/// The running workers.
pub struct Crew<L> {
    threads: Vec<JoinHandle<Counters>>,
    /// One per seat, also of those whose worker has not joined yet.
    posts: Vec<Post<Mail<L>>>,
    /// The seats nobody has taken yet.
    vacant: std::vec::IntoIter<Seat<Mail<L>>>,
    spawn: Spawn<L>,
    endpoints: Arc<Endpoints>,
    house: Arc<House>,
    /// Certificates that have replaced the ones workers are made with.
    tls: Option<ServerTls>,
    /// Those that have replaced the ones workers are made with.
    limits: Option<Arc<Limits>>,
    started: Vec<Started>,
}

/// Puts a worker on a seat; it reports once it listens, or cannot.
type Spawn<L> = Box<dyn Fn(Seat<Mail<L>>, Sender<Report>) -> io::Result<JoinHandle<Counters>>>;
type Report = io::Result<Started>;

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
        let seats = config.workers + config.shards;
        if seats > WORKERS_MAX {
            return Err(io::Error::other(format!(
                "{seats} workers; {WORKERS_MAX} is the most"
            )));
        }
        // Every poll, waker and hatch exists before the first thread leaves the common table: a
        // wake is a write to a descriptor that must mean the same in the table of whoever wakes.
        let seats = (0..seats).map(|number| {
            let is_first = number < config.workers;
            let letters = if is_first {
                MAILBOX_LETTERS
            } else {
                SHARD_MAILBOX_LETTERS
            };
            Seat::new(number, letters)
        });
        let seats = seats.collect::<io::Result<Vec<_>>>()?;
        let (mut seats, passers): (Vec<_>, Vec<_>) = seats.into_iter().unzip();
        let posts: Vec<_> = seats.iter().map(|seat| seat.post.clone()).collect();
        let vacant = seats.split_off(config.workers).into_iter();
        let house = config.worker.house.clone();
        let endpoints = Arc::new(Endpoints {
            plain: config.endpoints,
            tls: config.tls_endpoints,
        });
        let shared = Arc::new(Shared {
            endpoints: endpoints.clone(),
            workers: config.workers,
            cores: config.cores,
            descriptors_expected: config.descriptors_expected,
            worker: config.worker,
            passers: passers.into(),
            make_app,
        });
        let all_posts = posts.clone();
        let spawn: Spawn<L> = Box::new(move |seat, report| {
            let (shared, posts) = (Arc::clone(&shared), all_posts.clone());
            let name = format!("worker-{}", seat.number);
            let body = move || shared.work(seat, posts, report);
            thread::Builder::new().name(name).spawn(body)
        });
        let mut crew = Self {
            threads: Vec::with_capacity(posts.len()),
            posts,
            vacant,
            spawn,
            endpoints,
            house,
            limits: None,
            tls: None,
            started: Vec::new(),
        };
        crew.house.set_growing(crew.vacant.len() > 0);
        crew.seat_all(seats)?;
        Ok(crew)
    }

    /// Lets waiting workers join before those who are there are full: when more than half of all
    /// places there are so far are taken, as many again. Says how many joined.
    ///
    /// A worker that joins late costs nothing until then, but a thread is not free: events that one
    /// poll would have brought together wake many.
    pub fn grow(&mut self) -> io::Result<usize> {
        let is_half_full = self.house.guests() > self.house.room();
        if self.vacant.len() == 0 || !is_half_full {
            return Ok(0);
        }
        let seats: Vec<_> = self.vacant.by_ref().take(self.threads.len()).collect();
        let joined = self.seat_all(seats);
        self.tell_limits();
        self.tell_tls();
        // Only now: whoever found no room so far waits for these.
        self.house.set_growing(self.vacant.len() > 0);
        joined
    }

    /// Starts a worker on each of these seats, and waits until all of them listen.
    fn seat_all(&mut self, seats: Vec<Seat<Mail<L>>>) -> io::Result<usize> {
        let (report, reports) = mpsc::channel();
        for seat in seats {
            self.threads.push((self.spawn)(seat, report.clone())?);
        }
        drop(report);
        let started = reports.iter().collect::<io::Result<Vec<_>>>()?;
        let joined = started.len();
        self.started.extend(started);
        Ok(joined)
    }

    /// The way to the workers for other threads.
    pub fn letterbox(&self) -> Letterbox<L> {
        Letterbox::new(self.posts.clone())
    }

    /// How many workers have joined so far.
    pub fn workers(&self) -> usize {
        self.threads.len()
    }

    /// What the workers found when they started.
    pub fn started(&self) -> &[Started] {
        &self.started
    }

    /// Where the crew listens, ports resolved.
    pub fn endpoints(&self) -> &[Endpoint] {
        &self.endpoints.plain
    }

    /// Where it listens for TLS.
    pub fn tls_endpoints(&self) -> &[Endpoint] {
        &self.endpoints.tls
    }

    /// Stops accepting and says 1001 to everyone, spread over the window.
    pub fn drain(&mut self, window: Duration) {
        for (endpoint, _) in self.endpoints.all() {
            endpoint.retire();
        }
        let window_ms = u32::try_from(window.as_millis()).unwrap_or(u32::MAX);
        self.tell_all(|| Mail::Drain { window_ms });
    }

    /// Has every worker put a new ledger on the board, marked with `round`.
    pub fn take_stock(&mut self, round: u64) {
        self.tell_all(|| Mail::TakeStock { round });
    }

    /// Holds everybody to these limits from now on, also those who join later. A wait that is under
    /// way is measured anew when its timer comes.
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = Some(Arc::new(limits));
        self.tell_limits();
    }

    fn tell_limits(&mut self) {
        if let Some(limits) = self.limits.clone() {
            self.tell_all(|| Mail::Limits(limits.clone()));
        }
    }

    /// Has everybody shake hands with other certificates from now on, also those who join later. Whoever
    /// is connected does not notice.
    pub fn set_tls(&mut self, server: ServerTls) {
        self.tls = Some(server);
        self.tell_tls();
    }

    fn tell_tls(&mut self) {
        if let Some(server) = self.tls.clone() {
            self.tell_all(|| Mail::Tls(server.clone()));
        }
    }

    /// Ends all workers at once.
    pub fn stop(&mut self) {
        self.tell_all(|| Mail::Stop);
    }

    /// Which workers have ended.
    pub fn ended(&self) -> impl Iterator<Item = bool> {
        self.threads.iter().map(JoinHandle::is_finished)
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

/// Where the crew listens.
struct Endpoints {
    plain: Vec<Endpoint>,
    tls: Vec<Endpoint>,
}

impl Endpoints {
    /// Every one; beside each, whether it is for TLS.
    fn all(&self) -> impl Iterator<Item = (&Endpoint, bool)> {
        let plain = self.plain.iter().map(|endpoint| (endpoint, false));
        let tls = self.tls.iter().map(|endpoint| (endpoint, true));
        plain.chain(tls)
    }
}

/// What all workers are made from.
struct Shared<F> {
    endpoints: Arc<Endpoints>,
    /// Seats below this are those of the first workers.
    workers: usize,
    cores: Vec<usize>,
    descriptors_expected: u64,
    worker: WorkerConfig,
    passers: Arc<[Passer]>,
    make_app: F,
}

impl<F> Shared<F> {
    /// A worker's whole life, on the thread that is its own.
    fn work<A>(
        &self,
        seat: Seat<Mail<A::Letter>>,
        posts: Vec<Post<Mail<A::Letter>>>,
        report: Sender<Report>,
    ) -> Counters
    where
        A: App,
        F: Fn(usize) -> A,
    {
        let started = Started {
            parted: fdtable::part(),
            not_pinned: self.pin(seat.number).err().map(|e| e.to_string()),
        };
        // Neither is a reason not to start: the first connections take a few microseconds more, or
        // those of a core that others keep busy wait as long as anybody's would.
        let _ = fdtable::grow(self.descriptors_expected);
        let _ = slice::shorten();
        let table = (seat.number, !matches!(started.parted, Parted::Shared(_)));
        let endpoints = self.endpoints_of(seat.number);
        let passers = self.passers.clone();
        let host = match MioHost::new(&seat.poll, &endpoints, table, seat.taker, passers) {
            Ok(host) => host,
            Err(e) => {
                let _ = report.send(Err(e));
                return Counters::default();
            }
        };
        let app = (self.make_app)(seat.number);
        let worker = Worker::new(app, host, seat.mailbox, posts, &self.worker);
        let _ = report.send(Ok(started));
        drop(report);
        driver::run(worker, seat.poll)
    }

    fn pin(&self, seat: usize) -> io::Result<()> {
        match self.cores.len() {
            0 => Ok(()),
            cores => affinity::pin(self.cores[seat % cores]),
        }
    }

    /// A listener that all share wakes all of them for every newcomer. Those who join later do
    /// without: they are handed what the first ones have no place for.
    fn endpoints_of(&self, seat: usize) -> Vec<(&Endpoint, bool)> {
        let is_first = seat < self.workers;
        let listens = |(endpoint, _): &(&Endpoint, bool)| match endpoint.is_shared() {
            true => is_first && endpoint.is_for(seat, self.workers),
            false => true,
        };
        self.endpoints.all().filter(listens).collect()
    }
}

/// What a worker needs from before the tables part.
struct Seat<M> {
    number: usize,
    poll: Poll,
    mailbox: Mailbox<M>,
    post: Post<M>,
    taker: Taker,
}

impl<M: Send> Seat<M> {
    /// A seat, and the way newcomers are handed to it.
    fn new(number: usize, letters: usize) -> io::Result<(Self, Passer)> {
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), MAIL_TOKEN)?);
        let (post, mailbox) = mailbox::mailbox(waker, letters);
        let (passer, taker) = passing::channel()?;
        let fd = taker.as_raw_fd();
        let registry = poll.registry();
        registry.register(&mut SourceFd(&fd), HATCH_TOKEN, Interest::READABLE)?;
        let seat = Self {
            number,
            poll,
            mailbox,
            post,
            taker,
        };
        Ok((seat, passer))
    }
}
