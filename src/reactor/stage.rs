//! What an application does once a turn: speak to many connections, in slices.
//!
//! ```text
//!  events, letters, timers, deliveries -> App::on_turn -> Stage::deliver -> cork -> one write
//! ```
//!
//! A handler's deliveries to others are queued first and written later; here they are written at
//! once, several frames in one call, because the answer, how much is queued now, is what an
//! application needs to deal with slow readers.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::app::{App, Ending};
use super::clock::TICK_MS;
use super::connection::{Flags, Phase};
use super::desk::Desk;
use super::entries::Entries;
use super::outbox::Outgoing;
use super::shared_frame::SharedFrame;
use super::worker::Worker;
use super::{ConnId, Host, Stream};

/// What an application may do in its turn.
pub trait Stage<L> {
    /// Sends frames to a connection of this worker, in order and in as few writes as possible.
    /// Returns the bytes that are queued for it then; 0 also if it is over.
    fn deliver(&mut self, to: ConnId, frames: &[SharedFrame]) -> usize;

    /// Letters, farewells, and deliveries that can wait for the turn's end.
    fn outgoing(&mut self) -> &mut Outgoing<L>;
}

/// When an application wants its next turn.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wish {
    /// When something happens.
    Sleep,
    /// Then, at the latest.
    WithinMs(u32),
    /// As soon as everybody else has been served.
    Again,
}

struct Floor<'a, S, C, L> {
    entries: &'a mut Entries<S, C>,
    desk: &'a mut Desk,
    outgoing: &'a mut Outgoing<L>,
    over: &'a mut Vec<(ConnId, Ending)>,
}

impl<S: Stream, C, L> Stage<L> for Floor<'_, S, C, L> {
    fn deliver(&mut self, to: ConnId, frames: &[SharedFrame]) -> usize {
        let Some(conn) = self.entries.of(to) else {
            return 0;
        };
        if conn.phase != Phase::Open {
            return 0;
        }
        let (queued, desk) = (conn.queued_bytes(), &mut *self.desk);
        if conn.flags.has(Flags::BLOCKED) && queued > desk.limits.queue_bytes_max {
            desk.counters.overflowed += 1;
            conn.phase = Phase::Dead;
            self.over.push((to, Ending::Overflowed));
            return 0;
        }
        let mut written = Ok(());
        let mut link = conn.take_compression();
        for frame in frames {
            desk.cork
                .push_shared(frame.for_link(&mut desk.codec, &mut link));
            if desk.cork.is_full() && written.is_ok() {
                written = conn.flush(desk);
            }
        }
        conn.put_compression(link);
        if written.and_then(|()| conn.flush(desk)).is_err() {
            desk.cork.clear();
            conn.phase = Phase::Dead;
            self.over.push((to, Ending::Reset));
            return 0;
        }
        conn.queued_bytes()
    }

    fn outgoing(&mut self) -> &mut Outgoing<L> {
        self.outgoing
    }
}

impl<A: App, H: Host> Worker<A, H> {
    /// The application's turn.
    pub(super) fn let_app_turn(&mut self) {
        let Self {
            app,
            entries,
            desk,
            outgoing,
            over,
            ..
        } = self;
        let mut floor = Floor {
            entries,
            desk,
            outgoing,
            over,
        };
        // A panic here is no connection's fault; the next turn may still be good.
        let wish = catch_unwind(AssertUnwindSafe(|| app.on_turn(&mut floor)));
        if wish.is_err() {
            self.desk.recover();
            self.desk.counters.panics += 1;
        }
        self.wish = wish.unwrap_or(Wish::Sleep);
        if !self.outgoing.is_empty() {
            self.deliver();
        }
    }

    /// When the application wants its next turn, in ticks.
    pub(super) fn app_tick(&self) -> Option<u32> {
        match self.wish {
            Wish::WithinMs(ms) => {
                Some(self.desk.now_tick.wrapping_add(ms.div_ceil(TICK_MS as u32)))
            }
            Wish::Sleep | Wish::Again => None,
        }
    }
}
