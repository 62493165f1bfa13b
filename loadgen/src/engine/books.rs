//! The books of one cohort on one thread: what was sent, and what became of every one of them.
//!
//! `sent = received + lost + in flight` is not checked here but made: a message enters the books once and
//! leaves them once. Errors are counted beside: a wrong answer is an error *and* a lost message, a
//! duplicate only an error.

use crate::failures::{Failure, FailureCounts};
use crate::summary::Messages;

/// Counts since the start.
#[derive(Debug, Clone, Default)]
pub struct Books {
    /// Messages sent.
    pub sent: u64,
    /// Right answers.
    pub received: u64,
    /// Messages that will have no answer, by the reason.
    pub lost: FailureCounts,
    /// Answers that were wrong, repeated, late or out of order.
    pub errors: FailureCounts,
    /// Intended, and never sent: nobody to send over, or too many under way.
    pub unsent: u64,
}

impl Books {
    /// What may still be answered.
    #[must_use]
    pub fn in_flight(&self) -> u64 {
        // Of a span of time, more may be answered than was sent in it.
        self.sent.saturating_sub(self.received + self.lost.total())
    }

    /// Adds another thread's.
    pub fn add(&mut self, other: &Self) {
        self.sent += other.sent;
        self.received += other.received;
        self.unsent += other.unsent;
        self.lost.add(&other.lost);
        self.errors.add(&other.errors);
    }

    /// What was added since an earlier moment.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        Self {
            sent: self.sent - before.sent,
            received: self.received - before.received,
            unsent: self.unsent - before.unsent,
            lost: self.lost.since(&before.lost),
            errors: self.errors.since(&before.errors),
        }
    }

    /// A message was given up.
    pub fn lose(&mut self, why: Failure, count: u64) {
        self.lost.count_many(why, count);
    }

    /// As the summary shows them.
    #[must_use]
    pub fn messages(&self) -> Messages {
        Messages {
            sent: self.sent,
            received: self.received,
            lost: self.lost.total(),
            in_flight: self.in_flight(),
            unsent: self.unsent,
            errors: self.errors.total(),
            error_classes: self.errors.by_class(),
            lost_classes: self.lost.by_class(),
        }
    }
}
