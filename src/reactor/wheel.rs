//! A hashed timer wheel: one list of timers per tick, in links that live in the connections.
//!
//! A million connections have a timer each, nearly all of which are moved or cancelled before they
//! fire. So nothing is sorted and nothing is allocated: a timer is eight bytes in its owner's entry,
//! and setting, moving and cancelling it touch only its neighbours.
//!
//! There is no deadline beside the links: the slot *is* the deadline. Two things follow. A timer
//! further off than the wheel reaches fires early, at the wheel's edge, and the owner, who knows what
//! it waits for, sets it again. And owners should not move a timer at every byte that arrives (each
//! move costs up to three cache misses): let it fire, look, and set it to the rest.
//!
//! ```text
//!  cursor: the tick being drained     slots[tick % WHEEL_SLOTS]: head of that tick's list
//!      v
//!  ...|9|10|11|12|...|cursor + 1023|      an entry: prev = entry before, or EDGE | slot for the head
//!                                                   next = entry after, or NIL
//! ```

/// Where the links live: the connection slab, the load generator's table, or a `Vec` in a test.
pub trait Links {
    /// The links of the entry `index`; the wheel asks only for entries it was given.
    fn link(&mut self, index: u32) -> &mut Link;
}

/// An entry's place in the wheel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    next: u32,
    /// `NIL`: in no list. With `EDGE`: first of the list of that slot. Else the entry before.
    prev: u32,
}

impl Link {
    /// No timer is set.
    pub const UNLINKED: Self = Self {
        next: NIL,
        prev: NIL,
    };

    /// Whether a timer is set.
    pub fn is_linked(self) -> bool {
        self.prev != NIL
    }
}

impl Default for Link {
    fn default() -> Self {
        Self::UNLINKED
    }
}

/// The timers of one worker.
///
/// Ticks are `u32` and wrap (after 13 years of 100 ms); they are only ever compared by distance.
#[derive(Debug)]
pub struct Wheel {
    slots: Box<[u32; WHEEL_SLOTS]>,
    /// A bit per slot that has entries: finding the next timer is a look at 128 bytes.
    occupied: [u64; WORDS],
    /// Every timer is due at `cursor` (the list being drained) or up to `REACH` ticks after it.
    cursor: u32,
    len: usize,
}

impl Wheel {
    /// An empty wheel whose time is `now`.
    pub fn new(now: u32) -> Self {
        Self {
            slots: Box::new([NIL; WHEEL_SLOTS]),
            occupied: [0; WORDS],
            cursor: now,
            len: 0,
        }
    }

    /// How many timers are set.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether no timer is set.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Sets the timer of `index` to `tick`, wherever it was before. O(1).
    ///
    /// A tick that is over fires with the next one: what is being drained never grows, so a handler
    /// that sets its timer to "now" cannot hold the loop. A tick beyond [`REACH`] fires early.
    pub fn schedule(&mut self, links: &mut impl Links, index: u32, tick: u32) {
        debug_assert!(
            index < EDGE,
            "an index must leave room for the mark of a list's head"
        );
        self.cancel(links, index);
        let slot = slot_of(
            self.cursor
                .wrapping_add(ticks_until(self.cursor, tick).clamp(1, REACH)),
        );
        let after = std::mem::replace(&mut self.slots[slot], index);
        *links.link(index) = Link {
            next: after,
            prev: EDGE | slot as u32,
        };
        if after != NIL {
            links.link(after).prev = index;
        }
        self.occupied[slot / 64] |= 1 << (slot % 64);
        self.len += 1;
    }

    /// Stops the timer of `index`, if it is set. An entry must be cancelled before it is freed. O(1).
    pub fn cancel(&mut self, links: &mut impl Links, index: u32) {
        let Link { next, prev } = std::mem::take(links.link(index));
        if prev == NIL {
            return;
        }
        if next != NIL {
            links.link(next).prev = prev;
        }
        if prev & EDGE == 0 {
            links.link(prev).next = next;
        } else {
            self.replace_head((prev & !EDGE) as usize, next);
        }
        self.len -= 1;
    }

    /// One timer that is due at `now`, no longer set; `None` when there is no further one.
    ///
    /// The caller bounds how often it asks per turn, and may set and cancel timers in between; what
    /// is left is found by the next call. Timers of one tick come in no particular order.
    pub fn expire(&mut self, links: &mut impl Links, now: u32) -> Option<u32> {
        match self.next_tick() {
            Some(due) if !is_after(due, now) => {
                self.cursor = due;
                let index = self.slots[slot_of(due)];
                self.cancel(links, index);
                Some(index)
            }
            // Nothing up to now, so the wheel may turn; but never back.
            _ => {
                if is_after(now, self.cursor) {
                    self.cursor = now;
                }
                None
            }
        }
    }

    /// The tick of the earliest timer: what the poll may wait for.
    pub fn next_tick(&self) -> Option<u32> {
        if self.len == 0 {
            return None;
        }
        let first = slot_of(self.cursor);
        let from_first = self.occupied[first / 64] & (u64::MAX << (first % 64));
        let later = (1..=WORDS).map(|step| (first / 64 + step) % WORDS);
        // The last word is the first again: then only its slots before `first` can be set.
        let (word, bits) = std::iter::once((first / 64, from_first))
            .chain(later.map(|word| (word, self.occupied[word])))
            .find(|(_, bits)| *bits != 0)?;
        let slot = word * 64 + bits.trailing_zeros() as usize;
        let distance = (slot + WHEEL_SLOTS - first) % WHEEL_SLOTS;
        Some(self.cursor.wrapping_add(distance as u32))
    }

    /// Walks every list and panics where the wheel contradicts itself. For tests and fuzzing only:
    /// it visits every timer.
    pub fn check(&self, links: &mut impl Links) {
        let mut seen = 0;
        for slot in 0..WHEEL_SLOTS {
            let is_marked = self.occupied[slot / 64] >> (slot % 64) & 1 == 1;
            assert_eq!(
                is_marked,
                self.slots[slot] != NIL,
                "slot {slot}: bitmap and list disagree"
            );
            let (mut index, mut expected) = (self.slots[slot], EDGE | slot as u32);
            while index != NIL {
                let Link { next, prev } = *links.link(index);
                assert_eq!(
                    prev, expected,
                    "slot {slot}, entry {index}: broken way back"
                );
                seen += 1;
                assert!(
                    seen <= self.len,
                    "slot {slot}: more entries than timers, or a ring"
                );
                (expected, index) = (index, next);
            }
        }
        assert_eq!(seen, self.len, "timers that are in no list");
    }

    fn replace_head(&mut self, slot: usize, head: u32) {
        self.slots[slot] = head;
        if head == NIL {
            self.occupied[slot / 64] &= !(1 << (slot % 64));
        }
    }
}

/// Slots, each one tick wide: with ticks of 100 ms the wheel reaches 102 s, so that every timeout
/// we have by default (60 s at most) is set once. 4 KiB per worker.
pub const WHEEL_SLOTS: usize = 1024;

/// The furthest tick from now that fires on time. One less than the slots: the current slot may
/// still be draining.
pub const REACH: u32 = WHEEL_SLOTS as u32 - 1;

const WORDS: usize = WHEEL_SLOTS / 64;
/// No entry.
const NIL: u32 = u32::MAX;
/// Marks a `prev` that names a slot rather than an entry; indices stay below it.
const EDGE: u32 = 1 << 31;

const _: () = assert!(size_of::<Link>() == 8);
// `EDGE | slot` must never read as NIL, and slots must divide the ticks evenly across the wrap.
const _: () = assert!(WHEEL_SLOTS.is_power_of_two() && WHEEL_SLOTS < EDGE as usize);

fn slot_of(tick: u32) -> usize {
    tick as usize % WHEEL_SLOTS
}

/// The distance from `now` to `tick`, 0 for all that is over. Ticks are less than 2^31 apart, so a
/// bigger difference is a tick in the past.
fn ticks_until(now: u32, tick: u32) -> u32 {
    if is_after(tick, now) {
        tick.wrapping_sub(now)
    } else {
        0
    }
}

fn is_after(tick: u32, other: u32) -> bool {
    tick.wrapping_sub(other).cast_signed() > 0
}

#[cfg(test)]
mod tests;
