//! Newcomers: where they come from, who serves them, and what those are told whom nobody can.
//!
//! ```text
//!  listener --accept--> house has no place ----------> 503, Retry-After
//!                       a place here ----------------> an entry, served at once
//!                       a place with another worker -> handed over ----> the same, there
//!  listener --accept--> no descriptor left: taken with the spare one, handed over or told 503
//! ```
//!
//! Why they are handed over: the kernel's hash over the listeners of a port knows nothing of room.
//! A full worker that stopped accepting would let its share of newcomers wait in a queue that moves
//! only when somebody leaves; one that closed its listener would reset those who are in its queue
//! (`tcp_migrate_req` is off by default), and would have to win them back later.

use std::io;

use super::acceptor::{ACCEPTS_PER_TURN, Accepted};
use super::app::{App, Ending};
use super::connection::{Flags, Phase};
use super::house::Place;
use super::worker::Worker;
use super::{Host, Newcomer, Stream};

/// Between two log lines about the same exhaustion.
const QUIET_TICKS: u32 = 100;

impl<A: App, H: Host> Worker<A, H> {
    /// Takes newcomers, a few from each listener, and serves what they already sent.
    pub(super) fn accept_waiting(&mut self) {
        self.acceptor.tick(self.desk.now_tick);
        if self.acceptor.is_busy()
            && let Some((newcomer, to)) = self.stranded.take()
        {
            match to {
                Some(to) => self.hand_over(newcomer, to),
                None => self.place(newcomer),
            }
        }
        let mut from = 0;
        while let Some(listener) = self.acceptor.next_waiting(from) {
            from = listener + 1;
            for _ in 0..ACCEPTS_PER_TURN {
                match self.acceptor.accept(&mut self.host, listener) {
                    Accepted::Newcomer(newcomer) if self.acceptor.is_hatch(listener) => {
                        self.settle(newcomer); // its place was kept by whoever sent it
                    }
                    Accepted::Newcomer(newcomer) => self.welcome(newcomer),
                    Accepted::Nobody => break,
                    Accepted::Exhausted(cause) => {
                        self.complain(cause);
                        if self.acceptor.is_hatch(listener) {
                            self.house.leave(self.seat); // lost on the way, and its place with it
                        } else if !self.accept_without_room(listener) {
                            return self.acceptor.rest(self.desk.now_tick);
                        }
                    }
                }
                if self.stranded.is_some() {
                    return;
                }
            }
        }
    }

    fn welcome(&mut self, newcomer: Newcomer<H::Stream>) {
        self.desk.counters.accepted += 1;
        self.place(newcomer);
    }

    fn place(&mut self, newcomer: Newcomer<H::Stream>) {
        match self.house.enter(self.seat) {
            Place::Here => self.settle(newcomer),
            Place::With(other) if self.leaving.is_none() => self.hand_over(newcomer, other),
            Place::With(other) => {
                self.house.leave(other); // it may be gone before it looks
                self.turn_away(newcomer);
            }
            Place::Soon if self.leaving.is_none() => self.strand(newcomer, None),
            Place::Soon | Place::Nowhere => self.turn_away(newcomer),
        }
    }

    /// A newcomer's request is often there already: it is answered before the connection is
    /// registered, which spares a wake-up.
    fn settle(&mut self, Newcomer { stream, is_tls }: Newcomer<H::Stream>) {
        // Asks the kernel, so only if it matters.
        let is_announced = !self.proxy_from.is_empty()
            && self
                .proxy_from
                .has(stream.peer().map(|address| address.ip()));
        let id = self.entries.insert(stream, self.desk.now_tick);
        if let Some(conn) = self.entries.of(id) {
            conn.flags.set(Flags::READABLE);
            if is_announced {
                conn.flags.set(Flags::AWAITS_PROXY);
            }
            if is_tls {
                conn.flags.set(Flags::TLS);
                conn.flags.set(Flags::CAME_BY_TLS);
            }
        }
        self.run(id, |run| run.serve());
        let Some(conn) = self.entries.of(id) else {
            return;
        };
        if conn.phase == Phase::Dead {
            return;
        }
        if let Err(cause) = self.host.register(&conn.stream, id) {
            self.end(id, Ending::Reset);
            return self.complain(cause);
        }
        self.arm(id);
    }

    /// Gives a newcomer to the worker that has kept a place for it.
    fn hand_over(&mut self, newcomer: Newcomer<H::Stream>, to: usize) {
        match self.host.hand_over(to, &newcomer) {
            Ok(()) => self.desk.counters.handed_over += 1,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.strand(newcomer, Some(to));
            }
            Err(_) => {
                self.house.leave(to);
                self.turn_away(newcomer);
            }
        }
    }

    /// Whoever waits in our queue waits a little longer, and is not turned away.
    fn strand(&mut self, newcomer: Newcomer<H::Stream>, to: Option<usize>) {
        self.stranded = Some((newcomer, to));
        self.acceptor.rest(self.desk.now_tick);
    }

    /// Nobody is handed over any more.
    pub(super) fn give_up_stranded(&mut self) {
        if let Some((newcomer, to)) = self.stranded.take() {
            if let Some(to) = to {
                self.house.leave(to);
            }
            self.turn_away(newcomer);
        }
    }

    /// Best effort, there is no entry to go on with.
    fn turn_away(&mut self, newcomer: Newcomer<H::Stream>) {
        let Newcomer { mut stream, is_tls } = newcomer;
        self.desk.counters.turned_away += 1;
        // Closing over an unread request would send a reset, which overtakes the answer.
        let _ = stream.recv(&mut self.desk.recv);
        let _ = stream.send(match is_tls {
            true => TURNED_AWAY_TLS,
            false => TURNED_AWAY,
        });
        let _ = stream.shutdown_write();
    }

    /// Accepts one who would otherwise wait in the kernel's queue until it gives up. `false`: that
    /// did not work either, or nobody waits.
    fn accept_without_room(&mut self, listener: usize) -> bool {
        let Ok(stream) = self.host.accept_spare(listener) else {
            return false;
        };
        let is_tls = self.host.is_tls(listener);
        let newcomer = Newcomer { stream, is_tls };
        self.desk.counters.accepted += 1;
        match self.house.enter_elsewhere(self.seat) {
            Some(other) => self.hand_over(newcomer, other),
            None => self.turn_away(newcomer),
        }
        self.host.restock();
        true
    }

    /// One line about exhaustion, not one per refused connection.
    fn complain(&mut self, cause: io::Error) {
        let now = self.desk.now_tick;
        self.desk.counters.exhausted += 1;
        let quiet = self
            .last_complaint_tick
            .is_some_and(|last| now.wrapping_sub(last) < QUIET_TICKS);
        if !quiet {
            self.last_complaint_tick = Some(now);
            self.complaint = Some(cause);
        }
    }

    /// What the host refused lately, for the log.
    pub fn take_complaint(&mut self) -> Option<io::Error> {
        self.complaint.take()
    }
}

/// For those who come when the house is full.
const TURNED_AWAY: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
/// The same for those who speak TLS: a fatal alert, internal_error. There is none that means "later", and
/// a handshake for the sake of a 503 is what there is no room for.
const TURNED_AWAY_TLS: &[u8] = &[21, 3, 3, 0, 2, 2, 80];
