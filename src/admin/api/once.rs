//! Publications that must not happen twice: what was published under which idempotency key.
//!
//! A backend that got no answer asks again with the same key, and is told what came of the first time.
//! The keys of one channel are its own. Everything that is published through this API goes through here,
//! so nobody else has to know.

use std::collections::VecDeque;
use std::collections::hash_map::{Entry, HashMap, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::hub::Position;

/// How long a key is remembered.
const KEEP_MS: u64 = 300_000;
/// Keys remembered at most; then the oldest are forgotten early. At 256 bytes each
/// about 40 MB, at the usual 36 about 15.
const KEYS_MAX: usize = 65_536;

type Key = (Box<str>, Box<str>);

/// The memory of keys.
#[derive(Debug, Default)]
pub(super) struct Once {
    memory: Mutex<Memory>,
}

#[derive(Debug, Default)]
struct Memory {
    /// `None` while it is under way.
    outcomes: HashMap<Key, Option<Outcome>, RandomState>,
    /// Those that are done, oldest first, with the time at which they are forgotten.
    order: VecDeque<(u64, Key)>,
}

type Outcome = Option<Position>;

/// What is known about a key.
pub(super) enum Known<'o> {
    /// Nothing: go ahead.
    Never(Ticket<'o>),
    /// Somebody is at it.
    UnderWay,
    /// It has been done, with this result.
    Done(Outcome),
}

/// The right to do it, until it is dropped.
pub(super) struct Ticket<'o> {
    once: &'o Once,
    key: Key,
}

impl Once {
    /// Asks for the right to publish in `channel` under `key`.
    pub(super) fn enter(&self, channel: &str, key: &str, now_ms: u64) -> Known<'_> {
        let key: Key = (channel.into(), key.into());
        let mut memory = self.lock();
        memory.forget(now_ms);
        match memory.outcomes.entry(key.clone()) {
            Entry::Vacant(vacant) => {
                vacant.insert(None);
                Known::Never(Ticket { once: self, key })
            }
            Entry::Occupied(entry) => match entry.get() {
                None => Known::UnderWay,
                Some(outcome) => Known::Done(*outcome),
            },
        }
    }

    fn lock(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Memory {
    fn forget(&mut self, now_ms: u64) {
        while let Some((until_ms, _)) = self.order.front()
            && (*until_ms <= now_ms || self.order.len() >= KEYS_MAX)
        {
            if let Some((_, key)) = self.order.pop_front() {
                self.outcomes.remove(&key);
            }
        }
    }
}

impl Ticket<'_> {
    /// It has been done.
    pub(super) fn keep(self, outcome: Outcome, now_ms: u64) {
        let mut memory = self.once.lock();
        if let Some(entry) = memory.outcomes.get_mut(&self.key) {
            *entry = Some(outcome);
            memory.order.push_back((now_ms + KEEP_MS, self.key.clone()));
        }
    }
}

impl Drop for Ticket<'_> {
    /// It has not been done after all.
    fn drop(&mut self) {
        let mut memory = self.once.lock();
        if memory.outcomes.get(&self.key) == Some(&None) {
            memory.outcomes.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Option<Position> = Some(Position {
        offset: 7,
        epoch: crate::hub::Epoch::new(1),
    });

    fn enter<'o>(once: &'o Once, key: &str, now_ms: u64) -> Known<'o> {
        once.enter("chat:room", key, now_ms)
    }

    #[test]
    fn a_key_is_done_once_until_it_is_forgotten() {
        let once = Once::default();
        let Known::Never(ticket) = enter(&once, "a", 0) else {
            panic!("nobody has done it");
        };
        assert!(matches!(enter(&once, "a", 0), Known::UnderWay));
        ticket.keep(AT, 0);
        assert!(matches!(enter(&once, "a", KEEP_MS - 1), Known::Done(AT)));
        assert!(matches!(once.enter("elsewhere", "a", 0), Known::Never(_)));
        assert!(matches!(enter(&once, "a", KEEP_MS), Known::Never(_)));
    }

    #[test]
    fn a_failure_is_no_deed() {
        let once = Once::default();
        for _ in 0..3 {
            assert!(matches!(enter(&once, "a", 0), Known::Never(_)));
        }
        assert!(once.lock().outcomes.is_empty());
    }

    #[test]
    fn the_memory_is_bounded() {
        let once = Once::default();
        for number in 0..KEYS_MAX + 10 {
            match enter(&once, &number.to_string(), 0) {
                Known::Never(ticket) => ticket.keep(None, 0),
                _ => panic!("{number} has not been there"),
            }
        }
        assert!(once.lock().outcomes.len() <= KEYS_MAX);
        assert!(
            matches!(enter(&once, "0", 0), Known::Never(_)),
            "the oldest went first"
        );
        let last = (KEYS_MAX + 9).to_string();
        assert!(matches!(enter(&once, &last, 0), Known::Done(None)));
    }
}
