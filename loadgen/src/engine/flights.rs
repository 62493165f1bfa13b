//! Messages under way: in two orders at once, per connection and by age.
//!
//! A message is 48 bytes here until it is answered or given up, and nothing afterwards: an idle connection
//! has none. What waits for a blocked socket is a flight too, not a copy of its bytes: the payload can be
//! written again from its stamp.
//!
//! ```text
//!  a connection's Order   first -> ... -> unsent -> ... -> last      (answers come in this order)
//!  Flights                oldest <-> ... <-> youngest                (timeouts come in this one)
//! ```

use slab::Slab;

/// A message that was meant to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flight {
    /// When the schedule meant to send it.
    pub intended_ns: u64,
    /// When it was sent, or first tried to.
    pub sent_ns: u64,
    /// The connection.
    pub owner: u32,
    /// Its number on that connection.
    pub seq: u32,
    /// Length of its payload.
    pub bytes: u32,
}

/// One connection's messages under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Order {
    first: u32,
    last: u32,
    unsent: u32,
    count: u32,
}

/// All messages under way of one thread.
#[derive(Debug)]
pub struct Flights {
    slab: Slab<Entry>,
    oldest: u32,
    youngest: u32,
}

#[derive(Debug)]
struct Entry {
    flight: Flight,
    /// The next of the same owner.
    next: u32,
    older: u32,
    younger: u32,
}

impl Order {
    /// Nothing under way.
    pub const EMPTY: Self = Self {
        first: NONE,
        last: NONE,
        unsent: NONE,
        count: 0,
    };

    /// How many are under way.
    #[must_use]
    pub const fn len(&self) -> u32 {
        self.count
    }

    /// Whether nothing is under way.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Whether a message waits to be written.
    #[must_use]
    pub const fn has_unsent(&self) -> bool {
        self.unsent != NONE
    }
}

impl Flights {
    /// None under way.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            slab: Slab::new(),
            oldest: NONE,
            youngest: NONE,
        }
    }

    /// Whether there is room for one more.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.slab.len() < FLIGHTS_MAX
    }

    /// Adds a message, not written yet, behind all others of its connection and of the thread.
    pub fn push(&mut self, order: &mut Order, flight: Flight) {
        debug_assert!(self.has_room());
        let index = self.slab.insert(Entry {
            flight,
            next: NONE,
            older: self.youngest,
            younger: NONE,
        }) as u32;
        match self.youngest {
            NONE => self.oldest = index,
            youngest => self.slab[youngest as usize].younger = index,
        }
        self.youngest = index;
        match order.last {
            NONE => order.first = index,
            last => self.slab[last as usize].next = index,
        }
        order.last = index;
        if order.unsent == NONE {
            order.unsent = index;
        }
        order.count += 1;
    }

    /// The next message to write.
    #[must_use]
    pub fn unsent(&self, order: &Order) -> Option<Flight> {
        self.slab
            .get(order.unsent as usize)
            .map(|entry| entry.flight)
    }

    /// That message was written.
    pub fn mark_sent(&self, order: &mut Order) {
        if let Some(entry) = self.slab.get(order.unsent as usize) {
            order.unsent = entry.next;
        }
    }

    /// The message whose answer is due first.
    #[must_use]
    pub fn first(&self, order: &Order) -> Option<Flight> {
        self.slab
            .get(order.first as usize)
            .map(|entry| entry.flight)
    }

    /// Takes that message off: answered, or given up.
    pub fn pop(&mut self, order: &mut Order) -> Option<Flight> {
        let index = order.first;
        let entry = self.slab.try_remove(index as usize)?;
        order.first = entry.next;
        order.count -= 1;
        if order.unsent == index {
            order.unsent = entry.next;
        }
        if order.first == NONE {
            order.last = NONE;
        }
        match entry.older {
            NONE => self.oldest = entry.younger,
            older => self.slab[older as usize].younger = entry.younger,
        }
        match entry.younger {
            NONE => self.youngest = entry.older,
            younger => self.slab[younger as usize].older = entry.older,
        }
        Some(entry.flight)
    }

    /// The message that has waited longest. It is the first of its connection, too.
    #[must_use]
    pub fn oldest(&self) -> Option<Flight> {
        self.slab
            .get(self.oldest as usize)
            .map(|entry| entry.flight)
    }
}

impl Default for Flights {
    fn default() -> Self {
        Self::new()
    }
}

const NONE: u32 = u32::MAX;
/// Ten seconds (the time to answer) of 100 000 messages per second and thread: 48 MB.
pub const FLIGHTS_MAX: usize = 1_000_000;
const _: () = assert!(size_of::<Entry>() == 48);

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;

    fn flight(owner: u32, seq: u32) -> Flight {
        Flight {
            intended_ns: 1,
            sent_ns: 2,
            owner,
            seq,
            bytes: 64,
        }
    }

    proptest! {
        /// Against one list of all and a queue per connection.
        #[test]
        fn both_orders_are_kept(steps in prop::collection::vec((0u32..4, 0u8..6), 1..400)) {
            let mut flights = Flights::new();
            let mut orders = [Order::EMPTY; 4];
            let mut all: VecDeque<(u32, u32)> = VecDeque::new();
            let mut unsent: [VecDeque<u32>; 4] = Default::default();
            for (seq, (owner, step)) in (0u32..).zip(steps) {
                let at = owner as usize;
                let order = &mut orders[at];
                match step {
                    0..=2 => {
                        flights.push(order, flight(owner, seq));
                        all.push_back((owner, seq));
                        unsent[at].push_back(seq);
                    }
                    3 => {
                        prop_assert_eq!(flights.unsent(order).map(|f| f.seq), unsent[at].pop_front());
                        flights.mark_sent(order);
                    }
                    _ => {
                        let expected = all.iter().position(|(of, _)| *of == owner);
                        let expected = expected.and_then(|at| all.remove(at)).map(|(_, seq)| seq);
                        prop_assert_eq!(flights.first(order).map(|f| f.seq), expected);
                        prop_assert_eq!(flights.pop(order).map(|f| f.seq), expected);
                        unsent[at].retain(|seq| Some(*seq) != expected);
                    }
                }
                prop_assert_eq!(flights.slab.len(), all.len());
                prop_assert_eq!(orders.iter().map(|order| order.len() as usize).sum::<usize>(), all.len());
                prop_assert_eq!(flights.oldest().map(|f| (f.owner, f.seq)), all.front().copied());
                for (order, unsent) in orders.iter().zip(&unsent) {
                    prop_assert_eq!(order.has_unsent(), !unsent.is_empty());
                }
            }
        }
    }
}
