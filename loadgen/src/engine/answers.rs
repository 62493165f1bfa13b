//! What an answer answers: which message it belongs to, or what is wrong with it.
//!
//! Answers come in the order of the messages (TCP and RFC 6455 see to that), so the first message under way
//! is the one expected. Anything else is a finding about the server, and each has its name.

use super::flights::{Flight, Flights, Order};
use super::payload::{Payloads, Stamp};
use crate::failures::Failure;
use crate::sequence::{Arrival, Sequence};

/// What came of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Finding {
    /// The message that was answered rightly.
    pub answered: Option<Flight>,
    /// Messages that can no longer be answered, because a later one was.
    pub skipped: u32,
    /// What was wrong.
    pub error: Option<Failure>,
}

/// What is known of a connection's messages.
pub struct Asked<'a> {
    /// All messages under way.
    pub flights: &'a mut Flights,
    /// This connection's.
    pub order: &'a mut Order,
    /// The numbers it was answered.
    pub seen: &'a mut Sequence,
    /// Number of the connection.
    pub number: u32,
    /// Number of the next message it will send.
    pub next_seq: u32,
    /// Whether answers were given up for being late.
    pub has_late: bool,
}

impl Asked<'_> {
    /// Takes an answer.
    pub fn take(&mut self, payloads: &Payloads, payload: &[u8]) -> Finding {
        if let Some(first) = self.flights.first(self.order)
            && payloads.is(payload, self.stamp(first.seq), first.bytes as usize)
        {
            self.seen.take(first.seq);
            return Finding {
                answered: self.flights.pop(self.order),
                skipped: 0,
                error: None,
            };
        }
        match payloads.read(payload) {
            Some(stamp) if stamp.number == self.number => self.unexpected(stamp.seq, payload.len()),
            Some(_) => self.wrong(),
            None => self.unstamped(payloads, payload),
        }
    }

    /// One of our messages, intact as far as it goes, and not the one expected.
    fn unexpected(&mut self, seq: u32, length: usize) -> Finding {
        if seq.wrapping_sub(self.next_seq).cast_signed() >= 0 {
            // Ahead of everything we ever sent: somebody made it up, and no message of ours is meant.
            return Finding::error(Failure::WrongEcho);
        }
        match seq.wrapping_sub(self.oldest()).cast_signed() {
            1.. => self.ahead(seq, length),
            // The one expected, at another length.
            0 => self.wrong(),
            _ => Finding::error(match self.seen.take(seq) {
                Arrival::Duplicate | Arrival::TooOld => Failure::Duplicate,
                // Not seen, and no longer under way.
                Arrival::Late | Arrival::New { .. } if self.has_late => Failure::LateAnswer,
                Arrival::Late | Arrival::New { .. } => Failure::OutOfOrder,
            }),
        }
    }

    /// The number that is expected next.
    fn oldest(&self) -> u32 {
        let first = self.flights.first(self.order);
        first.map_or(self.next_seq, |first| first.seq)
    }

    /// Messages before this one were skipped; their answers would now be out of order.
    fn ahead(&mut self, seq: u32, length: usize) -> Finding {
        let mut skipped = 0;
        while let Some(flight) = self.flights.pop(self.order) {
            if flight.seq == seq {
                self.seen.take(seq);
                let is_right = flight.bytes as usize == length;
                return Finding {
                    answered: is_right.then_some(flight),
                    skipped: skipped + u32::from(!is_right),
                    error: Some(if is_right {
                        Failure::Gap
                    } else {
                        Failure::WrongEcho
                    }),
                };
            }
            skipped += 1;
        }
        Finding {
            answered: None,
            skipped,
            error: Some(Failure::WrongEcho),
        }
    }

    /// Too short for a stamp, or damaged. Those before are remembered well enough to know a duplicate, or one
    /// that is late: it must not be taken for a wrong answer to the next, or all that follow would be, too.
    fn unstamped(&mut self, payloads: &Payloads, payload: &[u8]) -> Finding {
        let oldest = self.oldest();
        let most = if self.has_late { LATE_MAX } else { 1 };
        let before = (1..=most.min(oldest)).map(|back| oldest - back);
        for seq in before {
            if payloads.is(payload, self.stamp(seq), payload.len()) {
                return self.unexpected(seq, payload.len());
            }
        }
        self.wrong()
    }

    /// Not what we sent: the message it should have answered is lost.
    pub fn wrong(&mut self) -> Finding {
        let lost = self.flights.pop(self.order);
        if let Some(flight) = lost {
            // Its number must not look skipped when the next one is answered.
            self.seen.take(flight.seq);
        }
        Finding {
            answered: None,
            skipped: u32::from(lost.is_some()),
            error: Some(Failure::WrongEcho),
        }
    }

    const fn stamp(&self, seq: u32) -> Stamp {
        Stamp {
            number: self.number,
            seq,
        }
    }
}

impl Finding {
    /// Nothing was answered by it.
    const fn error(error: Failure) -> Self {
        Self {
            answered: None,
            skipped: 0,
            error: Some(error),
        }
    }
}

/// How far back a short answer is looked for: as far as a [`Sequence`] remembers.
const LATE_MAX: u32 = 64;

#[cfg(test)]
mod tests {
    use super::*;

    const NUMBER: u32 = 9;

    struct World {
        payloads: Payloads,
        flights: Flights,
        order: Order,
        seen: Sequence,
        next_seq: u32,
        has_late: bool,
    }

    impl World {
        /// Messages 0..count of this length are under way.
        fn with(count: u32, bytes: u32) -> Self {
            let mut world = Self {
                payloads: Payloads::new(true),
                flights: Flights::new(),
                order: Order::EMPTY,
                seen: Sequence::starting_at(0),
                next_seq: count,
                has_late: false,
            };
            for seq in 0..count {
                let flight = Flight {
                    intended_ns: 0,
                    sent_ns: 0,
                    owner: 0,
                    seq,
                    bytes,
                };
                world.flights.push(&mut world.order, flight);
            }
            world
        }

        fn take(&mut self, payload: &[u8]) -> (Option<u32>, u32, Option<Failure>) {
            let mut asked = Asked {
                flights: &mut self.flights,
                order: &mut self.order,
                seen: &mut self.seen,
                number: NUMBER,
                next_seq: self.next_seq,
                has_late: self.has_late,
            };
            let finding = asked.take(&self.payloads, payload);
            (
                finding.answered.map(|flight| flight.seq),
                finding.skipped,
                finding.error,
            )
        }

        fn echo(&mut self, seq: u32, bytes: usize) -> (Option<u32>, u32, Option<Failure>) {
            let mut payload = Vec::new();
            self.payloads.append(
                &mut payload,
                Stamp {
                    number: NUMBER,
                    seq,
                },
                bytes,
            );
            self.take(&payload)
        }
    }

    #[test]
    fn answers_in_order_are_answers() {
        for bytes in [0, 1, 4, 16, 500] {
            let mut world = World::with(3, bytes);
            for seq in 0..3 {
                assert_eq!(world.echo(seq, bytes as usize), (Some(seq), 0, None));
            }
        }
    }

    #[test]
    fn every_disorder_has_its_name() {
        let mut world = World::with(6, 64);
        assert_eq!(world.echo(0, 64), (Some(0), 0, None));
        assert_eq!(world.echo(0, 64), (None, 0, Some(Failure::Duplicate)));
        assert_eq!(world.echo(3, 64), (Some(3), 2, Some(Failure::Gap)));
        assert_eq!(world.echo(1, 64), (None, 0, Some(Failure::OutOfOrder)));
        assert_eq!(world.echo(1, 64), (None, 0, Some(Failure::Duplicate)));
        assert_eq!(
            world.take(b"something else that is long"),
            (None, 1, Some(Failure::WrongEcho))
        );
        assert_eq!(
            world.echo(5, 64),
            (Some(5), 0, None),
            "4 is lost to the wrong answer, and not skipped"
        );
        assert_eq!(
            world.echo(7, 64),
            (None, 0, Some(Failure::WrongEcho)),
            "never sent"
        );
        assert!(world.order.is_empty());
    }

    #[test]
    fn a_truncated_answer_is_wrong() {
        let mut world = World::with(2, 64);
        assert_eq!(world.echo(0, 63), (None, 1, Some(Failure::WrongEcho)));
        let mut world = World::with(2, 64);
        assert_eq!(world.echo(1, 63), (None, 2, Some(Failure::WrongEcho)));
    }

    #[test]
    fn an_answer_that_was_given_up_is_late_once_and_spoils_nothing() {
        for bytes in [64, 2] {
            let mut world = World::with(4, bytes);
            world.flights.pop(&mut world.order);
            world.flights.pop(&mut world.order);
            world.has_late = true;
            let bytes = bytes as usize;
            assert_eq!(world.echo(0, bytes), (None, 0, Some(Failure::LateAnswer)));
            assert_eq!(world.echo(0, bytes), (None, 0, Some(Failure::Duplicate)));
            assert_eq!(world.echo(1, bytes), (None, 0, Some(Failure::LateAnswer)));
            assert_eq!(world.echo(2, bytes), (Some(2), 0, None));
            assert_eq!(world.echo(3, bytes), (Some(3), 0, None));
        }
    }

    #[test]
    fn an_answer_that_somebody_made_up_costs_no_message() {
        let mut world = World::with(3, 64);
        assert_eq!(world.echo(900, 64), (None, 0, Some(Failure::WrongEcho)));
        assert_eq!(world.echo(0, 64), (Some(0), 0, None));
        assert_eq!(world.echo(0, 64), (None, 0, Some(Failure::Duplicate)));
        assert_eq!(world.echo(1, 64), (Some(1), 0, None));
    }

    #[test]
    fn short_answers_are_told_apart_by_their_last_digits() {
        let mut world = World::with(3, 2);
        assert_eq!(world.echo(0, 2), (Some(0), 0, None));
        assert_eq!(world.echo(0, 2), (None, 0, Some(Failure::Duplicate)));
        assert_eq!(world.take(b"??"), (None, 1, Some(Failure::WrongEcho)));
        assert_eq!(world.echo(2, 2), (Some(2), 0, None));
    }
}
