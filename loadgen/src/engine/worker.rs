//! One thread of the engine: a poll, an alarm, a fleet, and the conductor's orders.

use std::io;
use std::os::fd::AsRawFd as _;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token, Waker};
use throng::reactor::mailbox::{Mailbox, Post, mailbox};
use throng::reactor::{ConnId, Ready};
use throng::sys::fdtable::{self, Parted};
use throng::sys::{Alarm, clock};

use super::brief::Brief;
use super::dispatch::Dispatch;
use super::fleet::Fleet;
use super::net::Sockets;
use super::orders::Command;
use crate::tuples::{TupleSlice, TupleSpace};

/// The threads.
pub struct Crew {
    threads: Vec<JoinHandle<()>>,
    posts: Vec<Post<Command>>,
    reports: Receiver<Report>,
    parted: Vec<Parted>,
}

impl Crew {
    /// Starts them; returns when each has a descriptor table and a poll, or the first error.
    pub fn start(brief: &Arc<Brief>, space: &Arc<TupleSpace>) -> io::Result<Self> {
        let threads = brief.threads as usize;
        // Every poll and waker exists before the first thread leaves the common table.
        let seats = (0..threads)
            .map(|_| Seat::new())
            .collect::<io::Result<Vec<_>>>()?;
        let (report, reports) = mpsc::channel();
        let (started, starts) = mpsc::channel();
        let mut crew = Self {
            threads: Vec::with_capacity(threads),
            posts: Vec::with_capacity(threads),
            reports,
            parted: Vec::with_capacity(threads),
        };
        let slices = space.slices(threads);
        for (index, (seat, tuples)) in seats.into_iter().zip(slices).enumerate() {
            crew.posts.push(seat.post.clone());
            let (brief, report, started) = (Arc::clone(brief), report.clone(), started.clone());
            let body = move || work(index, seat, brief, tuples, &report, started);
            let name = format!("fleet-{index}");
            crew.threads
                .push(thread::Builder::new().name(name).spawn(body)?);
        }
        drop(started);
        for parted in &starts {
            crew.parted.push(parted?);
        }
        Ok(crew)
    }

    /// How far each thread has a descriptor table of its own.
    #[must_use]
    pub fn parted(&self) -> &[Parted] {
        &self.parted
    }

    /// Tells everyone. A thread whose mailbox is full has not answered for long, and is told again soon.
    pub fn tell_all(&self, command: &Command) {
        for post in &self.posts {
            post.post(command.clone()).ok();
        }
    }

    /// The next report to arrive within this time.
    #[must_use]
    pub fn report(&self, within: Duration) -> Option<Report> {
        self.reports.recv_timeout(within).ok()
    }

    /// How many threads there are.
    #[must_use]
    pub fn threads(&self) -> usize {
        self.threads.len()
    }

    /// Whether a thread ended that was not told to: it panicked, and the run is worth nothing.
    #[must_use]
    pub fn has_fallen(&self) -> bool {
        self.threads.iter().any(JoinHandle::is_finished)
    }

    /// Ends all threads.
    pub fn stop(self) {
        self.tell_all(&Command::Stop);
        for thread in self.threads {
            thread.join().ok();
        }
    }
}

/// One thread's answer to [`Command::Report`].
#[derive(Debug)]
pub struct Report {
    /// The number that was asked for.
    pub number: u64,
    /// Who answers.
    pub thread: usize,
    /// What.
    pub dispatch: Dispatch,
}

/// What a thread needs from before the tables part.
struct Seat {
    poll: Poll,
    orders: Mailbox<Command>,
    post: Post<Command>,
}

impl Seat {
    fn new() -> io::Result<Self> {
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), ORDERS)?);
        let (post, orders) = mailbox(waker, ORDERS_MAX);
        Ok(Self { poll, orders, post })
    }
}

fn work(
    index: usize,
    mut seat: Seat,
    brief: Arc<Brief>,
    tuples: TupleSlice,
    reports: &Sender<Report>,
    started: Sender<io::Result<Parted>>,
) {
    let parted = fdtable::part();
    let prepared = prepare(&seat.poll);
    let (net, mut alarm) = match prepared {
        Ok(prepared) => prepared,
        Err(error) => {
            started.send(Err(error)).ok();
            return;
        }
    };
    started.send(Ok(parted)).ok();
    // The conductor waits until nobody can send any more.
    drop(started);
    let mut fleet = Fleet::new(brief, net, tuples, index as u32);
    let mut events = Events::with_capacity(EVENTS_PER_POLL);
    let mut due_ns = 0;
    loop {
        let wait = pause_until(&mut alarm, due_ns);
        match seat.poll.poll(&mut events, Some(wait)) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => events.clear(),
            Err(error) => panic!("epoll_wait failed: {error}"),
        }
        while let Some(command) = seat.orders.take() {
            match command {
                Command::Stop => return,
                Command::Report(number) => {
                    let (thread, dispatch) = (index, fleet.dispatch());
                    // Nobody listens any more: then nobody misses it.
                    reports
                        .send(Report {
                            number,
                            thread,
                            dispatch,
                        })
                        .ok();
                }
                other => fleet.obey(&other),
            }
        }
        due_ns = fleet.turn(events.iter().filter_map(translate));
    }
}

fn prepare(poll: &Poll) -> io::Result<(Sockets, Alarm)> {
    let alarm = Alarm::new()?;
    let fd = alarm.as_raw_fd();
    poll.registry()
        .register(&mut SourceFd(&fd), ALARM, Interest::READABLE)?;
    Ok((Sockets::new(poll.registry().try_clone()?), alarm))
}

/// How long to poll. A poll counts in milliseconds; the alarm rings in between.
fn pause_until(alarm: &mut Alarm, due_ns: u64) -> Duration {
    let now_ns = clock::monotonic_ns();
    if due_ns <= now_ns + WORTH_SLEEPING_NS {
        return Duration::ZERO;
    }
    // Without an alarm the poll's own milliseconds will do; lateness is measured either way.
    match alarm.set(due_ns) {
        Ok(()) => Duration::from_nanos(due_ns - now_ns) + Duration::from_millis(2),
        Err(_) => Duration::from_nanos(due_ns - now_ns),
    }
}

fn translate(event: &mio::event::Event) -> Option<(ConnId, Ready)> {
    let id = ConnId::from_u64(event.token().0 as u64);
    let ready = Ready {
        readable: event.is_readable(),
        writable: event.is_writable(),
        hung_up: event.is_read_closed() || event.is_error(),
    };
    (id.generation() != 0).then_some((id, ready))
}

/// Tokens of generation 0 are ours.
const ORDERS: Token = Token(0);
const ALARM: Token = Token(1);
const ORDERS_MAX: usize = 64;
const EVENTS_PER_POLL: usize = 1024;
/// Below this, falling asleep and waking up take longer than the wait.
const WORTH_SLEEPING_NS: u64 = 30_000;
