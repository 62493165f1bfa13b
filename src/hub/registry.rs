//! Things with a name: a slab of them, and the way from the name to the place.
//!
//! The table holds places only, four bytes each; names are compared where they lie. Everybody in
//! the process hashes with the same secret seed: that is how all workers agree on a channel's home,
//! and why a stranger cannot choose names that fall together.

use std::hash::BuildHasher;

use foldhash::quality::FixedState;
use hashbrown::HashTable;
use slab::Slab;

/// The hash of names, the same for all workers of a process.
#[derive(Clone, Copy, Debug)]
pub struct NameHash(u64);

impl NameHash {
    /// The hash with that secret.
    pub fn new(secret: u64) -> Self {
        Self(secret)
    }

    /// The hash of a name.
    pub(crate) fn of(self, name: &str) -> u64 {
        FixedState::with_seed(self.0).hash_one(name)
    }

    /// Which of so many workers a name belongs to.
    pub fn home(self, name: &str, workers: usize) -> usize {
        // The high bits: the table's groups are chosen by the low ones.
        ((u128::from(self.of(name)) * workers as u128) >> 64) as usize
    }
}

/// What can be found by its name.
pub(crate) trait Named {
    fn name(&self) -> &str;
}

/// Named things, each with a place that stays its own until it is removed.
pub(crate) struct Registry<T> {
    things: Slab<T>,
    places: HashTable<u32>,
    hash: NameHash,
}

impl<T: Named> Registry<T> {
    pub(crate) fn new(hash: NameHash) -> Self {
        Self {
            things: Slab::new(),
            places: HashTable::new(),
            hash,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.things.len()
    }

    /// The place of that name.
    pub(crate) fn find(&self, name: &str) -> Option<u32> {
        let is_it = |place: &u32| self.things[*place as usize].name() == name;
        self.places.find(self.hash.of(name), is_it).copied()
    }

    /// A place for something that is not here yet.
    pub(crate) fn insert(&mut self, thing: T) -> u32 {
        let hash = self.hash.of(thing.name());
        let place = u32::try_from(self.things.insert(thing)).expect("fewer than 2^32 names");
        let (things, seed) = (&self.things, self.hash);
        self.places
            .insert_unique(hash, place, |place| seed.of(things[*place as usize].name()));
        place
    }

    pub(crate) fn remove(&mut self, place: u32) -> T {
        let thing = self.things.remove(place as usize);
        let hash = self.hash.of(thing.name());
        if let Ok(entry) = self.places.find_entry(hash, |other| *other == place) {
            entry.remove();
        }
        if self.things.is_empty() {
            // A wave of names must not cost memory after it is over.
            self.things = Slab::new();
            self.places = HashTable::new();
        }
        thing
    }

    pub(crate) fn contains(&self, place: u32) -> bool {
        self.things.contains(place as usize)
    }

    pub(crate) fn at(&self, place: u32) -> &T {
        &self.things[place as usize]
    }

    pub(crate) fn at_mut(&mut self, place: u32) -> &mut T {
        &mut self.things[place as usize]
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        self.things
            .iter()
            .map(|(place, thing)| (place as u32, thing))
    }

    /// One past the highest place that may be taken: for walks in slices.
    pub(crate) fn places(&self) -> usize {
        self.things.capacity()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Named for String {
        fn name(&self) -> &str {
            self
        }
    }

    #[test]
    fn what_was_put_in_is_found_until_it_is_taken_out() {
        let mut registry = Registry::new(NameHash::new(7));
        let places: Vec<_> = (0..1000)
            .map(|n| registry.insert(format!("name{n}")))
            .collect();
        for (n, place) in places.iter().enumerate() {
            assert_eq!(registry.find(&format!("name{n}")), Some(*place));
        }
        for place in places.iter().step_by(2) {
            registry.remove(*place);
        }
        for (n, place) in places.iter().enumerate() {
            let wanted = (n % 2 == 1).then_some(*place);
            assert_eq!(registry.find(&format!("name{n}")), wanted);
        }
        assert_eq!(registry.len(), 500);
    }

    #[test]
    fn homes_are_spread_and_stay_in_range() {
        let hash = NameHash::new(1);
        for workers in [1, 2, 3, 8, 56] {
            let mut guests = vec![0; workers];
            for n in 0..workers * 1000 {
                guests[hash.home(&format!("room{n}"), workers)] += 1;
            }
            let most = *guests.iter().max().expect("one at least");
            let least = *guests.iter().min().expect("one at least");
            assert!(least > 800 && most < 1200, "{guests:?}");
        }
    }
}
