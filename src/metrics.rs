//! Plain per-worker counters (leaf module): no lock and no atomic on the path of a message;
//! whoever wants to read them asks the worker.

/// What one worker counted since it started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Connections taken off the listeners.
    pub accepted: u64,
    /// Connections that became WebSockets.
    pub upgraded: u64,
    /// Requests answered with an error.
    pub refused: u64,
    /// Newcomers answered 503 because the house was full.
    pub turned_away: u64,
    /// Newcomers given to another worker because this one was full.
    pub handed_over: u64,
    /// Connections that ended, in whatever way.
    pub closed: u64,
    /// Messages received.
    pub messages_in: u64,
    /// Pings sent.
    pub pings: u64,
    /// Connections ended by a timer.
    pub timed_out: u64,
    /// Connections ended because they did not read.
    pub overflowed: u64,
    /// Connections ended for breaking the protocol or a limit.
    pub violations: u64,
    /// Handlers that panicked.
    pub panics: u64,
    /// Events for connections that were already gone.
    pub stale_events: u64,
    /// Times the host refused a descriptor or a registration.
    pub exhausted: u64,
}

impl Counters {
    /// Adds another worker's counts.
    pub fn add(&mut self, other: &Self) {
        self.accepted += other.accepted;
        self.upgraded += other.upgraded;
        self.refused += other.refused;
        self.turned_away += other.turned_away;
        self.handed_over += other.handed_over;
        self.closed += other.closed;
        self.messages_in += other.messages_in;
        self.pings += other.pings;
        self.timed_out += other.timed_out;
        self.overflowed += other.overflowed;
        self.violations += other.violations;
        self.panics += other.panics;
        self.stale_events += other.stale_events;
        self.exhausted += other.exhausted;
    }
}
