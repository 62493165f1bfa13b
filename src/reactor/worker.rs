//! One worker: a slab of connections and the loop that turns over them.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

use super::acceptor::{ACCEPTS_PER_TURN, Acceptor};
use super::app::{App, Ending};
use super::clock::TICK_MS;
use super::config::WorkerConfig;
use super::connection::{Connection, Flags, Phase};
use super::converse::Run;
use super::deadline::{Due, due};
use super::desk::{Desk, Next};
use super::drain::Drain;
use super::entries::Entries;
use super::house::House;
use super::line::Line;
use super::mailbox::{Mailbox, Post};
use super::outbox::Outgoing;
use super::shared_frame::SharedFrame;
use super::stage::Wish;
use super::stocktaking::Stocktaking;
use super::wheel::Wheel;
use super::{ConnId, Event, Host, Mail, Newcomer};
use crate::metrics::{Board, Counters};
use crate::proxy::Trusted;

/// Timers looked at per turn: most turn out to be pings, which are writes of some 5 us. Thousands
/// due in one tick become several turns, with reads in between.
const TIMERS_PER_TURN: usize = 512;
/// Connections told that we go down, per turn: each is a write.
const FAREWELLS_PER_TURN: usize = 512;
/// Connections written to because others spoke to them, per turn.
const DELIVERED_PER_TURN: usize = 512;
/// Letters read per turn.
const LETTERS_PER_TURN: usize = 1024;
/// Connections still taken off the accept queue when going down: the longest queue the kernel
/// keeps by default.
const LAST_ACCEPTS: usize = 65_536;

/// One event loop's state. It does no polling itself: `turn` is given events and time.
pub struct Worker<A: App, H: Host> {
    pub(super) app: A,
    pub(super) host: H,
    pub(super) entries: Entries<H::Stream, A::Conn>,
    wheel: Wheel,
    pub(super) desk: Desk,
    mailbox: Mailbox<Mail<A::Letter>>,
    pub(super) outgoing: Outgoing<A::Letter>,
    pub(super) acceptor: Acceptor,
    pub(super) house: Arc<House>,
    /// Whose connections begin with a header of the PROXY protocol.
    pub(super) proxy_from: Trusted,
    /// Our number in the house.
    pub(super) seat: usize,
    /// A newcomer that has to wait: for the worker with that number, which was behind, or for one
    /// that is yet to join. While it is here, nobody else is accepted.
    pub(super) stranded: Option<(Newcomer<H::Stream>, Option<usize>)>,
    /// Connections with something to do, run next turn. Each is in it at most once (`QUEUED`).
    ready: Vec<ConnId>,
    /// Those of them that go first: they have waited for their share of inflating longer.
    first: Vec<ConnId>,
    /// Those who shake hands, or would like to.
    line: Line,
    /// Who is running, or ran last: whom a panic is charged to.
    running: ConnId,
    /// Connections with a queue to be written at the end of the turn, once each (`DIRTY`).
    dirty: VecDeque<ConnId>,
    pub(super) over: Vec<(ConnId, Ending)>,
    pub(super) leaving: Option<Leaving>,
    pub(super) last_complaint_tick: Option<u32>,
    /// What the host last refused, waiting to be logged.
    pub(super) complaint: Option<std::io::Error>,
    /// The budget ended before the mailbox did.
    mail_waits: bool,
    pub(super) board: Arc<Board>,
    /// The tick, the connections and the upgrades and endings that were published last.
    published: (u32, usize, u64),
    stocktaking: Option<Stocktaking>,
    /// When the application wants its next turn.
    pub(super) wish: Wish,
}

/// How far going down has come.
pub(super) enum Leaving {
    /// Those who already connected are still let in.
    Accepting { window_ticks: u32, left: usize },
    /// Everyone is being told.
    Draining(Drain),
}

impl Leaving {
    /// When there is more to do.
    fn next_tick(&self, now: u32) -> u32 {
        match self {
            Self::Draining(drain) if drain.is_behind(now) => now,
            _ => now.wrapping_add(1),
        }
    }
}

/// What the loop does next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Turn {
    /// Poll, for at most so many milliseconds.
    Wait(u64),
    /// The worker is done.
    Finished,
}

impl<A: App, H: Host> Worker<A, H> {
    /// With a 4-byte stream and an application state of a word, a
    /// connection is one cache line. Checked when the worker is built for real sockets.
    const ENTRY_IS_ONE_CACHE_LINE: () = assert!(
        size_of::<H::Stream>() > 4 || size_of::<Connection<H::Stream, A::Conn>>() == 64,
        "App::Conn is too big: box it, 8 bytes with a niche fit"
    );

    /// A worker that has not turned yet.
    pub fn new(
        app: A,
        host: H,
        mailbox: Mailbox<Mail<A::Letter>>,
        posts: Vec<Post<Mail<A::Letter>>>,
        config: &WorkerConfig,
    ) -> Self {
        let () = Self::ENTRY_IS_ONE_CACHE_LINE;
        let seat = host.seat();
        config.house.open(seat, config.connections_max);
        Self {
            app,
            acceptor: Acceptor::new(host.listeners()),
            host,
            seat,
            proxy_from: config.proxy_from.clone(),
            stranded: None,
            entries: Entries::with_capacity(config.connections_expected),
            wheel: Wheel::new(0),
            desk: Desk::new(&config.limits, &config.deflate, config.tls.as_ref()),
            mailbox,
            outgoing: Outgoing::new(posts),
            house: config.house.clone(),
            ready: Vec::new(),
            first: Vec::new(),
            line: Line::default(),
            running: ConnId::new(0, 0),
            dirty: VecDeque::new(),
            over: Vec::new(),
            leaving: None,
            last_complaint_tick: None,
            complaint: None,
            mail_waits: false,
            board: config.board.clone(),
            published: (0, 0, 0),
            stocktaking: None,
            wish: Wish::Sleep,
        }
    }

    /// One turn of the loop, in the one order: those left over from the last turn, events,
    /// newcomers, letters, timers, leaving, deliveries, the application, reaping.
    pub fn turn(
        &mut self,
        raw_ms: u64,
        intended_wait_ms: u64,
        events: impl Iterator<Item = Event>,
    ) -> Turn {
        self.desk.begin_turn(raw_ms, intended_wait_ms);
        self.outgoing.now_tick = self.desk.now_tick;
        self.run_ready();
        self.serve_events(events);
        self.guarded(Self::accept_waiting);
        if self.read_mail().is_break() {
            return self.stop();
        }
        self.take_stock();
        self.guarded(Self::expire_timers);
        if self.leave().is_break() {
            return self.stop();
        }
        self.deliver();
        self.let_app_turn();
        self.reap();
        self.publish();
        self.next_turn()
    }

    /// How many connections there are.
    pub fn connections(&self) -> usize {
        self.entries.len()
    }

    /// What has been counted so far.
    pub fn counters(&self) -> &Counters {
        &self.desk.counters
    }

    /// Serves each connection that became ready, while what the kernel touched of it is warm. Who
    /// has more to do than one run may lines up for the next turn.
    fn serve_events(&mut self, mut events: impl Iterator<Item = Event>) {
        self.guarded(|worker| {
            for event in events.by_ref() {
                worker.serve_event(event);
            }
        });
    }

    /// Runs each of those who lined up once; of those who shake hands, as many as may in a turn.
    fn run_ready(&mut self) {
        self.guarded(Self::run_line);
        if self.ready.is_empty() && self.first.is_empty() {
            return;
        }
        let (first, ready) = (
            std::mem::take(&mut self.first),
            std::mem::take(&mut self.ready),
        );
        let mut ids = first.into_iter().chain(ready);
        self.guarded(|worker| {
            for id in ids.by_ref() {
                worker.run(id, |run| run.on_turn());
            }
        });
    }

    fn run_line(&mut self) {
        while let Some(tls) = &self.desk.tls
            && let Some(id) = self.line.next(tls)
        {
            self.run(id, |run| run.on_turn());
        }
    }

    /// Does work that goes through many connections. A panic in it costs the connection that was
    /// running; the work goes on with the next. One guard for all of them: one for each would
    /// keep the compiler from seeing through the call, at every message.
    fn guarded(&mut self, mut work: impl FnMut(&mut Self)) {
        while let Err(panic) = catch_unwind(AssertUnwindSafe(|| work(self))) {
            self.desk.recover();
            let id = self.running;
            let accused = self
                .entries
                .of(id)
                .is_some_and(|conn| conn.phase != Phase::Dead);
            if !accused {
                resume_unwind(panic); // our own fault: going on would be going round
            }
            self.run(id, |run| run.panicked());
        }
    }

    #[inline]
    fn serve_event(&mut self, event: Event) {
        match event {
            Event::Stream { id, ready } => {
                if !self.run(id, |run| run.on_event(ready)) {
                    self.desk.counters.stale_events += 1;
                }
            }
            Event::Listener(_) | Event::Newcomers => self.acceptor.note(&event),
            Event::Mail => {}
        }
    }

    fn enqueue(&mut self, id: ConnId, next: Next) {
        if let Some(conn) = self.entries.of(id)
            && !conn.flags.has(Flags::QUEUED)
        {
            conn.flags.set(Flags::QUEUED);
            match next {
                Next::First => self.first.push(id),
                Next::InLine => self.line.join(id, conn.tls.is_some()),
                _ => self.ready.push(id),
            }
        }
    }

    /// Lets one connection run, and sees to what follows. `false`: it is gone.
    #[inline]
    pub(super) fn run(
        &mut self,
        id: ConnId,
        what: impl FnOnce(&mut Run<'_, H::Stream, A>) -> Next,
    ) -> bool {
        let Some(conn) = self.entries.of(id) else {
            return false;
        };
        self.running = id;
        let before = conn.awaited();
        let compression = conn.take_compression();
        let mut run = Run {
            id,
            conn,
            desk: &mut self.desk,
            app: &mut self.app,
            outgoing: &mut self.outgoing,
            compression,
        };
        let next = what(&mut run);
        let Run {
            conn, compression, ..
        } = run;
        conn.put_compression(compression);
        if next != Next::Wait || before != conn.awaited() {
            self.follow_up(id, next);
        }
        true
    }

    fn follow_up(&mut self, id: ConnId, next: Next) {
        match next {
            Next::Wait => {}
            Next::Again | Next::First | Next::InLine => self.enqueue(id, next),
            Next::Over(ending) => return self.end(id, ending),
        }
        self.arm(id);
    }

    /// Marks a connection; it is freed when nobody holds it any more.
    pub(super) fn end(&mut self, id: ConnId, ending: Ending) {
        if let Some(conn) = self.entries.of(id)
            && conn.phase != Phase::Dead
        {
            conn.phase = Phase::Dead;
            self.over.push((id, ending));
        }
    }

    /// Sets the timer to what the connection waits for now.
    pub(super) fn arm(&mut self, id: ConnId) {
        let now = self.desk.now_tick;
        let Some(conn) = self.entries.of(id) else {
            return;
        };
        let tick = match due(conn, &self.desk.ticks, now) {
            Due::Later(tick) => tick,
            Due::Ping | Due::Over(_) => now.wrapping_add(1),
            Due::Never => return self.wheel.cancel(&mut self.entries, id.index()),
        };
        self.wheel.schedule(&mut self.entries, id.index(), tick);
    }

    fn read_mail(&mut self) -> ControlFlow<()> {
        self.mail_waits = true;
        for _ in 0..LETTERS_PER_TURN {
            match self.mailbox.take() {
                None => {
                    self.mail_waits = false;
                    break;
                }
                Some(Mail::Stop) => return ControlFlow::Break(()),
                Some(Mail::Limits(limits)) => self.desk.set_limits(&limits),
                Some(Mail::Tls(server)) => self.desk.set_tls(server),
                Some(Mail::TakeStock { round }) => {
                    let (worker, tls) = (self.desk.held_bytes(), self.desk.tls_bytes());
                    self.stocktaking = Some(Stocktaking::new(round, worker, tls));
                }
                Some(Mail::Drain { window_ms }) => {
                    let window_ticks = window_ms.div_ceil(TICK_MS as u32);
                    if self.leaving.is_none() {
                        self.acceptor.ask_all();
                        let listeners = 0..self.host.listeners();
                        for index in listeners.filter(|&index| self.host.is_inherited(index)) {
                            self.acceptor.leave(index);
                        }
                        self.leaving = Some(Leaving::Accepting {
                            window_ticks,
                            left: LAST_ACCEPTS,
                        });
                    }
                }
                Some(Mail::App(letter)) => {
                    let Self { app, outgoing, .. } = self;
                    // A letter has no connection to blame; the next one may still be good.
                    let _ = catch_unwind(AssertUnwindSafe(|| app.on_letter(letter, outgoing)));
                }
            }
        }
        ControlFlow::Continue(())
    }

    /// A slice of the ledger, if somebody has asked for one.
    fn take_stock(&mut self) {
        let Some(stocktaking) = &mut self.stocktaking else {
            return;
        };
        let round = stocktaking.round;
        if let Some(ledger) = stocktaking.step(&self.app, &self.entries) {
            self.board.publish_ledger(self.seat, ledger, round);
            self.stocktaking = None;
        }
    }

    /// Copies the counters to the board: ten times a second at most, and when connections came or
    /// went, so that messages do not pay for it.
    fn publish(&mut self) {
        let counters = &self.desk.counters;
        let (tick, sockets) = (self.desk.now_tick, self.entries.len());
        let now = (tick, sockets, counters.upgraded + counters.ended);
        if now != self.published {
            self.published = now;
            self.publish_all();
        }
    }

    fn publish_all(&self) {
        let (counters, sockets) = (&self.desk.counters, self.entries.len());
        let heartbeat = u64::from(self.desk.now_tick);
        self.board.publish(self.seat, counters, sockets, heartbeat);
    }

    fn expire_timers(&mut self) {
        let now = self.desk.now_tick;
        for _ in 0..TIMERS_PER_TURN {
            let Some(index) = self.wheel.expire(&mut self.entries, now) else {
                break;
            };
            let Some(id) = self.entries.id_at(index) else {
                continue;
            };
            let Some(conn) = self.entries.of(id) else {
                continue;
            };
            match due(conn, &self.desk.ticks, now) {
                Due::Later(tick) => self.wheel.schedule(&mut self.entries, index, tick),
                Due::Never => {}
                Due::Ping => {
                    self.run(id, |run| run.ping());
                    self.arm(id);
                }
                Due::Over(ending) => {
                    self.desk.counters.timed_out += 1;
                    self.run(id, |run| run.too_late(ending));
                }
            }
        }
    }

    /// One step of going down, if we are.
    fn leave(&mut self) -> ControlFlow<()> {
        let now = self.desk.now_tick;
        match &mut self.leaving {
            None => return ControlFlow::Continue(()),
            Some(Leaving::Accepting { window_ticks, left }) => {
                *left = left.saturating_sub(ACCEPTS_PER_TURN);
                if *left > 0 && self.acceptor.is_busy() {
                    return ControlFlow::Continue(());
                }
                let window_ticks = *window_ticks;
                self.begin_drain(window_ticks);
                return self.leave();
            }
            Some(Leaving::Draining(drain)) => {
                let over = drain.is_over(now);
                for index in drain.take_due(now, FAREWELLS_PER_TURN) {
                    if let Some(id) = self.entries.id_at(index as u32) {
                        self.run(id, |run| run.say_going_away());
                    }
                }
                self.reap();
                if over || self.entries.len() == 0 {
                    return ControlFlow::Break(());
                }
            }
        }
        ControlFlow::Continue(())
    }

    /// Nobody new from here on.
    fn begin_drain(&mut self, window_ticks: u32) {
        self.give_up_stranded();
        self.acceptor.stop();
        self.host.close_listeners();
        self.desk.leaving = true;
        let (now, grace_ticks) = (self.desk.now_tick, self.desk.ticks.close);
        let drain = Drain::new(now, window_ticks, grace_ticks, self.entries.slots());
        self.leaving = Some(Leaving::Draining(drain));
    }

    /// Queues what was said to other connections, and writes each of them once.
    pub(super) fn deliver(&mut self) {
        let mut deliveries = std::mem::take(&mut self.outgoing.deliveries);
        for (id, frame) in deliveries.drain(..) {
            self.deliver_one(id, frame);
        }
        self.outgoing.deliveries = deliveries; // for its capacity: no handler runs in here
        for (id, code, reason) in std::mem::take(&mut self.outgoing.farewells) {
            self.run(id, |run| run.say_farewell(code, &reason));
        }
        for _ in 0..DELIVERED_PER_TURN {
            let Some(id) = self.dirty.pop_front() else {
                break;
            };
            if let Some(conn) = self.entries.of(id) {
                conn.flags.clear(Flags::DIRTY);
                self.run(id, |run| run.flush_queue());
            }
        }
    }

    fn deliver_one(&mut self, id: ConnId, frame: SharedFrame) {
        let Some(conn) = self.entries.of(id) else {
            return;
        };
        if conn.phase != Phase::Open {
            return;
        }
        // Only whose kernel has refused bytes lags; a frame beyond the bound alone is no lag.
        let blocked = conn.flags.has(Flags::BLOCKED);
        if blocked && conn.queued_bytes() > self.desk.limits.queue_bytes_max {
            self.desk.counters.overflowed += 1;
            return self.end(id, Ending::Overflowed);
        }
        let mut link = conn.take_compression();
        let frame = frame.for_link(&mut self.desk.codec, &mut link);
        conn.put_compression(link);
        let backlog = conn.backlog.get_or_insert_default();
        backlog.queue.push_shared(frame, 0);
        if !blocked && !conn.flags.has(Flags::DIRTY) {
            conn.flags.set(Flags::DIRTY);
            self.dirty.push_back(id);
        }
    }

    /// Frees the dead. Their ids are stale from here on, whatever still names them.
    fn reap(&mut self) {
        while let Some((id, ending)) = self.over.pop() {
            self.wheel.cancel(&mut self.entries, id.index());
            let Some(mut conn) = self.entries.remove(id) else {
                continue;
            };
            self.desk.counters.closed += 1;
            if let Some(tls) = &mut self.desk.tls {
                tls.count_end(&conn, ending, &mut self.desk.counters);
                tls.forget(&mut conn);
            }
            self.house.leave(self.seat);
            if let Some(state) = conn.app.take() {
                self.desk.counters.ended += 1;
                let Self { app, outgoing, .. } = self;
                let _ = catch_unwind(AssertUnwindSafe(|| {
                    app.on_close(id, state, ending, outgoing)
                }));
                // Its turn is over, and somebody's end may be news for others.
                self.wish = Wish::Again;
            }
            self.acceptor.resume(); // its descriptor is free again
        }
    }

    fn next_turn(&self) -> Turn {
        if !self.ready.is_empty()
            || !self.first.is_empty()
            || !self.over.is_empty()
            || self.acceptor.is_busy()
            || self.mail_waits
            || self.stocktaking.is_some()
            || !self.dirty.is_empty()
            || self.wish == Wish::Again
            || (self.desk.tls.as_ref()).is_some_and(|tls| self.line.moves(tls))
        {
            return Turn::Wait(0);
        }
        let now = self.desk.now_tick;
        let ticks = [
            self.wheel.next_tick(),
            self.acceptor.resumes_at(),
            self.app_tick(),
            self.leaving.as_ref().map(|leaving| leaving.next_tick(now)),
        ];
        let soonest = ticks
            .into_iter()
            .flatten()
            .min_by_key(|tick| tick.wrapping_sub(now) as i32);
        Turn::Wait(self.desk.clock.wait_ms(soonest))
    }

    /// Nothing more is written; the application hears of every connection's end.
    fn stop(&mut self) -> Turn {
        for index in 0..self.entries.slots() {
            if let Some(id) = self.entries.id_at(index as u32) {
                self.end(id, Ending::Stopped);
            }
        }
        self.reap();
        self.publish_all();
        Turn::Finished
    }
}
