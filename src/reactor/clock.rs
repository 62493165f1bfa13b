//! Attended time: the time in which this worker was there to listen.
//!
//! Timeouts ask "has the peer been silent for so long?". If the worker was stopped, starved or stuck
//! for a minute, nobody was silent: nobody listened. Charged to the peers, that minute would ping or
//! drop a million of them in one turn, and their reconnects would be the next stall. So the worker's
//! clock stands still while the worker does.
//!
//! From outside, a stop looks like a turn that took longer than it was meant to wait. A stop inside
//! a long wait cannot be told from the wait, so a worker should never mean to wait longer than
//! [`WAIT_MS_MAX`].

/// A worker's clock: `u32` ticks of [`TICK_MS`] attended milliseconds.
///
/// Pure: the raw time comes from `sys::clock::monotonic_ms`, once per turn.
#[derive(Clone, Debug)]
pub struct Clock {
    /// The raw time of the last turn.
    raw_ms: u64,
    attended_ms: u64,
    lost_ms: u64,
}

impl Clock {
    /// A clock at tick 0, at the raw time `raw_ms`.
    pub fn new(raw_ms: u64) -> Self {
        Self {
            raw_ms,
            attended_ms: 0,
            lost_ms: 0,
        }
    }

    /// Takes the raw time after a poll that was meant to last at most `intended_wait_ms`, and gives
    /// the current tick.
    ///
    /// Of the time since the last call, what exceeds the wait by more than [`STALL_MS`] is lost. The
    /// first `STALL_MS` always count: under permanent overload time goes slowly, but it goes.
    pub fn advance(&mut self, raw_ms_now: u64, intended_wait_ms: u64) -> u32 {
        let elapsed_ms = raw_ms_now.saturating_sub(self.raw_ms);
        let attended_ms = elapsed_ms.min(intended_wait_ms.saturating_add(STALL_MS));
        self.raw_ms += elapsed_ms;
        self.attended_ms += attended_ms;
        self.lost_ms += elapsed_ms - attended_ms;
        self.tick()
    }

    /// The current tick; wraps after 13 years.
    pub fn tick(&self) -> u32 {
        (self.attended_ms / TICK_MS) as u32
    }

    /// How long until `tick` begins: 0 if it has, and never more than [`WAIT_MS_MAX`].
    ///
    /// This is the poll's timeout for `Wheel::next_tick()`, and the `intended_wait_ms` of the
    /// [`advance`](Self::advance) that follows.
    pub fn wait_ms(&self, tick: Option<u32>) -> u64 {
        let Some(tick) = tick else { return WAIT_MS_MAX };
        let ticks_left = tick.wrapping_sub(self.tick()).cast_signed();
        let Ok(ticks_left) = u64::try_from(ticks_left) else {
            return 0;
        };
        (ticks_left * TICK_MS)
            .saturating_sub(self.attended_ms % TICK_MS)
            .min(WAIT_MS_MAX)
    }

    /// All time this worker has lost: a measure of how overloaded its core is.
    pub fn lost_ms(&self) -> u64 {
        self.lost_ms
    }
}

/// The width of a tick. Our shortest timeout is 3 s, so a timer is late by 3 % at most, and the poll
/// wakes for timers ten times a second at most.
pub const TICK_MS: u64 = 100;

/// How much longer than intended a turn may take and still count in full. A healthy turn takes
/// milliseconds; a worker that shares its core waits a few scheduler slices of 3-4 ms.
pub const STALL_MS: u64 = 250;

/// The longest a worker should mean to wait, even without a timer: a stop within a wait is charged
/// to the peers. One wake-up per second costs nothing, and three of our shortest timeout's seconds
/// can not hide in it.
pub const WAIT_MS_MAX: u64 = 1000;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn small_steps_add_up_without_loss() {
        let mut clock = Clock::new(5_000);
        for raw_ms in 5_001..=5_000 + 1_000_000 {
            clock.advance(raw_ms, 0);
        }
        assert_eq!((clock.tick(), clock.lost_ms()), (10_000, 0));
    }

    #[test]
    fn a_stopped_worker_loses_time_and_its_peers_do_not() {
        let mut clock = Clock::new(0);
        assert_eq!(clock.advance(1_000, 1_000), 10);
        // SIGSTOP for a minute within a wait of a second.
        assert_eq!(
            clock.advance(61_000, 1_000),
            10 + 12,
            "the wait and the allowance count"
        );
        assert_eq!(clock.lost_ms(), 60_000 - 1_000 - STALL_MS);
        // And time goes on from there as if nothing had been.
        assert_eq!(clock.advance(61_050, 1_000), 23);
    }

    #[test]
    fn permanent_overload_slows_time_but_does_not_stop_it() {
        let mut clock = Clock::new(0);
        for turn in 1..=100 {
            clock.advance(turn * 1_000, 0);
        }
        assert_eq!(clock.tick(), (100 * STALL_MS / TICK_MS) as u32);
    }

    #[test]
    fn raw_time_that_goes_back_is_no_time() {
        let mut clock = Clock::new(10_000);
        assert_eq!(clock.advance(9_000, 100), 0);
        assert_eq!(
            clock.advance(10_100, 100),
            1,
            "counted from the latest time seen"
        );
        assert_eq!(clock.lost_ms(), 0);
    }

    #[test]
    fn an_endless_wait_is_counted_in_full() {
        let mut clock = Clock::new(0);
        assert_eq!(clock.advance(3_600_000, u64::MAX), 36_000);
    }

    #[test]
    fn the_wait_ends_where_the_tick_begins() {
        let mut clock = Clock::new(0);
        clock.advance(1_030, 1_030);
        assert_eq!(clock.tick(), 10);
        let table = [
            (Some(11), 70),
            (Some(12), 170),
            (Some(10), 0),
            (Some(9), 0),
            (Some(u32::MAX), 0),
            (Some(1_000), WAIT_MS_MAX),
            (None, WAIT_MS_MAX),
        ];
        for (tick, wait_ms) in table {
            assert_eq!(clock.wait_ms(tick), wait_ms, "{tick:?}");
        }
    }

    proptest! {
        /// Attended and lost time are all the time there was, turn by turn, and the tick is exact.
        #[test]
        fn no_time_is_invented_or_forgotten(
            turns in prop::collection::vec((0..3_000_u64, 0..1_500_u64), 0..200),
        ) {
            let (mut clock, mut raw_ms, mut attended_ms) = (Clock::new(77), 77, 0);
            for (elapsed_ms, wait_ms) in turns {
                raw_ms += elapsed_ms;
                attended_ms += elapsed_ms.min(wait_ms + STALL_MS);
                prop_assert_eq!(u64::from(clock.advance(raw_ms, wait_ms)), attended_ms / TICK_MS);
                prop_assert_eq!(clock.lost_ms(), raw_ms - 77 - attended_ms);
            }
        }

        /// Sleeping exactly as long as told reaches the tick, and not the one after.
        #[test]
        fn a_wait_that_was_kept_reaches_its_tick(spent_ms in 0..10_000_u64, ahead in 1..9_u32) {
            let mut clock = Clock::new(0);
            let tick = clock.advance(spent_ms, spent_ms) + ahead;
            let wait_ms = clock.wait_ms(Some(tick));
            prop_assert_eq!(clock.advance(spent_ms + wait_ms, wait_ms), tick);
        }
    }
}
