//! Taking connections off the listeners: a budget per turn, and a pause when the host runs dry.
//!
//! What other workers hand over is one more listener, the last: same edges, same budget.

use std::io;

use super::{Event, Host, Newcomer};
use crate::sys::AcceptFailure;

/// Connections taken per listener and turn: enough for 60 000 a second at 1 ms a turn, few enough
/// that established peers are served in between.
pub(crate) const ACCEPTS_PER_TURN: usize = 64;

/// How long accepting rests after the host refused (no descriptors, no memory).
const REST_TICKS: u32 = 2;

/// Which listeners have connections waiting, and whether we are resting.
pub(crate) struct Acceptor {
    /// Edge-triggered: a listener stays waiting until it says `WouldBlock`.
    waiting: Vec<bool>,
    resting_until: Option<u32>,
}

/// What one attempt gave.
pub(crate) enum Accepted<S> {
    Newcomer(Newcomer<S>),
    /// Nobody waits, or who waited is gone again.
    Nobody,
    /// The host has no room.
    Exhausted(io::Error),
}

impl Acceptor {
    pub(crate) fn new(listeners: usize) -> Self {
        // Connections may have been waiting before we first polled: ask once.
        Self {
            waiting: vec![true; listeners + 1],
            resting_until: None,
        }
    }

    /// Notes an event.
    pub(crate) fn note(&mut self, event: &Event) {
        let waiting = match *event {
            Event::Listener(index) => self.waiting.get_mut(index),
            Event::Newcomers => self.waiting.last_mut(),
            Event::Mail | Event::Stream { .. } => None,
        };
        if let Some(waiting) = waiting {
            *waiting = true;
        }
    }

    /// Whether this listener is what other workers hand over.
    pub(crate) fn is_hatch(&self, index: usize) -> bool {
        index + 1 == self.waiting.len()
    }

    /// Nothing is accepted for a while: the host has no room.
    pub(crate) fn rest(&mut self, now: u32) {
        self.resting_until = Some(now.wrapping_add(REST_TICKS));
    }

    /// Somebody waits and we may accept now.
    pub(crate) fn is_busy(&self) -> bool {
        self.resting_until.is_none() && self.waiting.contains(&true)
    }

    /// The tick at which accepting resumes, if it rests.
    pub(crate) fn resumes_at(&self) -> Option<u32> {
        self.resting_until
    }

    /// A descriptor came free, or time passed. The edge that announced the waiting connections
    /// is long gone, so this is what re-arms the listeners.
    pub(crate) fn resume(&mut self) {
        self.resting_until = None;
    }

    /// Wakes from the rest when its time is over.
    pub(crate) fn tick(&mut self, now: u32) {
        if self
            .resting_until
            .is_some_and(|until| now.wrapping_sub(until) as i32 >= 0)
        {
            self.resume();
        }
    }

    /// The next listener with somebody waiting.
    pub(crate) fn next_waiting(&self, from: usize) -> Option<usize> {
        if self.resting_until.is_some() {
            return None;
        }
        (from..self.waiting.len()).find(|&index| self.waiting[index])
    }

    /// One accept on that listener.
    pub(crate) fn accept<H: Host>(&mut self, host: &mut H, index: usize) -> Accepted<H::Stream> {
        let accepted = if self.is_hatch(index) {
            host.take_over()
        } else {
            let is_tls = host.is_tls(index);
            let accepted = host.accept(index);
            accepted.map(|stream| Newcomer { stream, is_tls })
        };
        let error = match accepted {
            Ok(newcomer) => return Accepted::Newcomer(newcomer),
            Err(error) => error,
        };
        match AcceptFailure::of(&error) {
            AcceptFailure::PeerGone => Accepted::Nobody,
            AcceptFailure::Drained | AcceptFailure::Closed => {
                self.waiting[index] = false;
                Accepted::Nobody
            }
            AcceptFailure::Exhausted => Accepted::Exhausted(error),
        }
    }

    /// Asks every listener once more: an edge may be on its way that we will not wait for.
    pub(crate) fn ask_all(&mut self) {
        self.waiting.fill(true);
        self.resting_until = None;
    }

    /// That listener is not asked again, unless there is an event.
    pub(crate) fn leave(&mut self, index: usize) {
        self.waiting[index] = false;
    }

    /// No listener is asked again.
    pub(crate) fn stop(&mut self) {
        self.waiting.clear();
        self.resting_until = None;
    }
}
