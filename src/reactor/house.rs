//! The bounds that hold for all workers together, and who of them still has room.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicIsize, AtomicUsize, Ordering};

/// Workers a house can have.
pub const WORKERS_MAX: usize = 256;

/// How many connections all workers have together, and how many more each of them could take.
/// Touched when a connection comes and when it goes, never by a message.
///
/// The kernel spreads connections over the listeners by a hash and not by room. So a worker that is
/// full hands its newcomers to the one with the most room, and only a full *house* turns anybody away.
#[derive(Debug)]
pub struct House {
    guests: AtomicUsize,
    guests_max: AtomicUsize,
    is_shut: AtomicBool,
    /// More workers are about to join, with room of their own.
    is_growing: AtomicBool,
    rooms: Box<[Room]>,
}

/// One worker's places; a cache line each, because each is written by another core.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Room {
    /// Below 0 for a moment, while two newcomers contend for the last place. 0 until the worker
    /// has opened.
    free: AtomicIsize,
}

/// What a newcomer is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Place {
    /// Stay with the worker that asked.
    Here,
    /// That worker has kept a place for it.
    With(usize),
    /// Try again: the next worker to join will have one.
    Soon,
    /// There is none.
    Nowhere,
}

impl House {
    /// An empty house with so many places.
    pub fn new(guests_max: usize) -> Arc<Self> {
        Arc::new(Self {
            guests: AtomicUsize::new(0),
            guests_max: AtomicUsize::new(guests_max),
            is_shut: AtomicBool::new(false),
            is_growing: AtomicBool::new(false),
            rooms: (0..WORKERS_MAX).map(|_| Room::default()).collect(),
        })
    }

    /// How many connections there are.
    pub fn guests(&self) -> usize {
        self.guests.load(Ordering::Relaxed)
    }

    /// How many there may be.
    pub fn guests_max(&self) -> usize {
        self.guests_max.load(Ordering::Relaxed)
    }

    /// Changes how many there may be. Whoever is in stays.
    pub fn set_guests_max(&self, guests_max: usize) {
        self.guests_max.store(guests_max, Ordering::Relaxed);
    }

    /// Lets nobody in from now on, or everybody again. Whoever is in stays.
    pub fn set_shut(&self, is_shut: bool) {
        self.is_shut.store(is_shut, Ordering::Relaxed);
    }

    /// Whether [`set_shut`](Self::set_shut) keeps everybody out.
    pub fn is_shut(&self) -> bool {
        self.is_shut.load(Ordering::Relaxed)
    }

    /// Places that are free in the workers that have opened, whatever the house as a whole allows.
    pub fn room(&self) -> usize {
        let free = |room: &Room| usize::try_from(room.free.load(Ordering::Relaxed)).unwrap_or(0);
        self.rooms.iter().map(free).sum()
    }

    /// Whether more workers can join when there is no room left.
    pub(super) fn set_growing(&self, is_growing: bool) {
        self.is_growing.store(is_growing, Ordering::Relaxed);
    }

    /// A worker begins to take connections, at most so many.
    pub(super) fn open(&self, worker: usize, places: usize) {
        if let Some(room) = self.rooms.get(worker) {
            room.free.store(places.cast_signed(), Ordering::Relaxed);
        }
    }

    /// Takes a place, if there is one.
    pub(super) fn enter(&self, worker: usize) -> Place {
        let is_full = self.guests.fetch_add(1, Ordering::Relaxed) >= self.guests_max();
        let place = match is_full || self.is_shut() {
            true => Place::Nowhere,
            false if self.take(worker) => return Place::Here,
            false => match self.take_elsewhere(worker) {
                Some(other) => return Place::With(other),
                None if self.is_growing.load(Ordering::Relaxed) => Place::Soon,
                None => Place::Nowhere,
            },
        };
        self.guests.fetch_sub(1, Ordering::Relaxed);
        place
    }

    /// Gives a place back to the worker it was taken from.
    pub(super) fn leave(&self, worker: usize) {
        self.guests.fetch_sub(1, Ordering::Relaxed);
        if let Some(room) = self.rooms.get(worker) {
            room.free.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Takes a place with somebody else, for a newcomer that `worker` has no descriptor for.
    pub(super) fn enter_elsewhere(&self, worker: usize) -> Option<usize> {
        let is_room = self.guests.fetch_add(1, Ordering::Relaxed) < self.guests_max();
        let other = (is_room && !self.is_shut())
            .then(|| self.take_elsewhere(worker))
            .flatten();
        if other.is_none() {
            self.guests.fetch_sub(1, Ordering::Relaxed);
        }
        other
    }

    fn take(&self, worker: usize) -> bool {
        let Some(room) = self.rooms.get(worker) else {
            return false;
        };
        let taken = room.free.fetch_sub(1, Ordering::Relaxed) > 0;
        if !taken {
            room.free.fetch_add(1, Ordering::Relaxed);
        }
        taken
    }

    /// A place with whoever has the most. Others may be faster; after so many tries the house is as
    /// good as full.
    fn take_elsewhere(&self, than: usize) -> Option<usize> {
        let free = |worker: &usize| self.rooms[*worker].free.load(Ordering::Relaxed);
        for _ in 0..TRIES_MAX {
            let others = (0..self.rooms.len()).filter(|&worker| worker != than);
            let roomiest = others.max_by_key(free)?;
            if free(&roomiest) <= 0 {
                return None;
            }
            if self.take(roomiest) {
                return Some(roomiest);
            }
        }
        None
    }
}

/// A try is lost only to somebody who took the last place meanwhile.
const TRIES_MAX: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_house_lets_nobody_in_until_somebody_leaves() {
        let house = House::new(2);
        house.open(0, 10);
        assert_eq!([house.enter(0), house.enter(0)], [Place::Here; 2]);
        assert_eq!([house.enter(0), house.enter(0)], [Place::Nowhere; 2]);
        assert_eq!(house.guests(), 2, "the refused do not count");
        house.leave(0);
        assert_eq!(house.enter(0), Place::Here);
        house.set_guests_max(3);
        assert_eq!(house.enter(0), Place::Here);
        house.leave(0);
        house.set_shut(true);
        assert_eq!(house.enter(0), Place::Nowhere);
        assert_eq!(house.room(), 8);
    }

    #[test]
    fn a_full_worker_sends_newcomers_where_most_room_is() {
        let house = House::new(100);
        for (worker, places) in [(0, 1), (1, 2), (2, 4)] {
            house.open(worker, places);
        }
        assert_eq!(house.enter(0), Place::Here);
        let elsewhere: Vec<_> = (0..6).map(|_| house.enter(0)).collect();
        let with = |worker| {
            elsewhere
                .iter()
                .filter(|p| **p == Place::With(worker))
                .count()
        };
        assert_eq!((with(1), with(2)), (2, 4), "{elsewhere:?}");
        assert_eq!(house.enter(0), Place::Nowhere);
        house.set_growing(true);
        assert_eq!(house.enter(0), Place::Soon);
        house.set_guests_max(7);
        assert_eq!(
            house.enter(0),
            Place::Nowhere,
            "whoever joins may not let it in"
        );
        house.set_guests_max(100);
        assert_eq!((house.guests(), house.room()), (7, 0));
        house.leave(2);
        assert_eq!(
            house.enter_elsewhere(2),
            None,
            "not back to where it came from"
        );
        assert_eq!(house.enter_elsewhere(1), Some(2));
        assert_eq!((house.guests(), house.room()), (7, 0));
    }

    #[test]
    fn places_are_neither_lost_nor_made_when_many_contend() {
        let house = House::new(1000);
        for worker in 0..4 {
            house.open(worker, 150);
        }
        let entered = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for worker in 0..4 {
                let (house, entered) = (&house, &entered);
                scope.spawn(move || {
                    for _ in 0..300 {
                        match house.enter(worker) {
                            Place::Nowhere | Place::Soon => continue,
                            Place::Here | Place::With(_) => entered.fetch_add(1, Ordering::Relaxed),
                        };
                    }
                });
            }
        });
        let entered = entered.into_inner();
        assert_eq!((house.guests(), house.room()), (entered, 600 - entered));
        assert_eq!(entered, 600, "there was room for each of them at some time");
    }
}
