//! Who has logged in anywhere, as the users' home knows it.
//!
//! A user is the hash of its name here: the name is kept where its connections are, and nobody can choose two that
//! fall together, as the hash has a secret. Were it to happen (among a million users, in one of forty million
//! processes), the two would count as one.

use hashbrown::hash_table::Entry;
use hashbrown::{HashMap, HashTable};

/// The users of a home, and how many logins each has.
#[derive(Default)]
pub(crate) struct Logins {
    /// Each user once: nine bytes and some room, as most have one login.
    users: HashTable<u64>,
    /// Logins beyond the first.
    more: HashMap<u64, u32, foldhash::fast::RandomState>,
}

impl Logins {
    /// Different users.
    pub(crate) fn users(&self) -> usize {
        self.users.len()
    }

    /// One more; how many that user has now.
    pub(crate) fn add(&mut self, user: u64) -> usize {
        let is_it = |other: &u64| *other == user;
        match self.users.entry(user, is_it, |other| *other) {
            Entry::Vacant(place) => {
                place.insert(user);
                1
            }
            Entry::Occupied(_) => {
                let more = self.more.entry(user).or_insert(0);
                *more += 1;
                1 + *more as usize
            }
        }
    }

    /// One fewer.
    pub(crate) fn remove(&mut self, user: u64) {
        if let Some(more) = self.more.get_mut(&user) {
            *more -= 1;
            if *more == 0 {
                self.more.remove(&user);
            }
        } else if let Ok(place) = self.users.find_entry(user, |other| *other == user) {
            place.remove();
        }
        if self.users.is_empty() {
            // A wave of users must not cost memory after it is over.
            *self = Self::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_counted_once_and_their_logins_each() {
        let mut logins = Logins::default();
        for count in 1..=3 {
            for user in 0..1000 {
                assert_eq!(logins.add(user), count);
            }
        }
        assert_eq!(logins.users(), 1000);
        for user in 0..500 {
            logins.remove(user);
            logins.remove(user);
            assert_eq!(logins.add(user), 2);
        }
        for user in 0..1000 {
            let left = if user < 500 { 2 } else { 3 };
            (0..left).for_each(|_| logins.remove(user));
        }
        assert_eq!(logins.users(), 0);
        assert_eq!(logins.more.capacity() + logins.users.capacity(), 0);
    }

    #[test]
    fn most_users_cost_little() {
        // The table has just doubled.
        const USERS: u64 = 115_000;
        let mut logins = Logins::default();
        let cost = allocation_counter::measure(|| {
            for user in 0..USERS {
                logins.add(user);
            }
        });
        assert!(cost.bytes_current < 21 * USERS as i64, "{cost:?}");
    }
}
