//! Which sessions of this worker are whose; and, at a user's home, how many there are everywhere.
//!
//! Sessions of a user are a chain through the sessions themselves: the table holds four bytes for
//! each user.

use hashbrown::{HashMap, HashTable};

use super::registry::NameHash;
use super::session::{SessionId, Sessions};

/// The end of a chain.
const NOBODY: u32 = u32::MAX;

/// The users of a worker.
pub(crate) struct Users {
    hash: NameHash,
    first: HashTable<u32>,
    /// At home: connections everywhere, for those who have a limit.
    logged_in: HashMap<Box<str>, u32, foldhash::fast::RandomState>,
}

impl Users {
    pub(crate) fn new(hash: NameHash) -> Self {
        Self {
            hash,
            first: HashTable::new(),
            logged_in: HashMap::default(),
        }
    }

    /// Users with a session here.
    pub(crate) fn len(&self) -> usize {
        self.first.len()
    }

    /// Notes a new session. The anonymous are nobody's.
    pub(crate) fn add(&mut self, sessions: &mut Sessions, id: SessionId) {
        let user = &sessions.at(id.index).user;
        if user.is_empty() {
            return;
        }
        let hash = self.hash.of(user);
        let is_it = |first: &u32| sessions.at(*first).user == *user;
        if let Some(first) = self.first.find_mut(hash, is_it) {
            let next = std::mem::replace(first, id.index);
            sessions.at_mut(id.index).next_of_user = next;
        } else {
            let seed = self.hash;
            self.first
                .insert_unique(hash, id.index, |first| seed.of(&sessions.at(*first).user));
        }
    }

    /// Forgets a session that is about to be removed.
    pub(crate) fn remove(&mut self, sessions: &mut Sessions, id: SessionId) {
        let user = &sessions.at(id.index).user;
        if user.is_empty() {
            return;
        }
        let next = sessions.at(id.index).next_of_user;
        let is_it = |first: &u32| sessions.at(*first).user == *user;
        let Ok(mut entry) = self.first.find_entry(self.hash.of(user), is_it) else {
            return;
        };
        let first = *entry.get();
        if first != id.index {
            let mut before = first;
            while sessions.at(before).next_of_user != id.index {
                before = sessions.at(before).next_of_user;
            }
            sessions.at_mut(before).next_of_user = next;
        } else if next == NOBODY {
            entry.remove();
            if self.first.is_empty() {
                self.first = HashTable::new();
            }
        } else {
            *entry.get_mut() = next;
        }
    }

    /// The sessions of a user.
    pub(crate) fn sessions_of(&self, sessions: &Sessions, user: &str) -> Vec<SessionId> {
        let is_it = |first: &u32| sessions.at(*first).user[..] == *user;
        let mut at = *self
            .first
            .find(self.hash.of(user), is_it)
            .unwrap_or(&NOBODY);
        let mut found = Vec::new();
        while at != NOBODY {
            found.push(sessions.id_at(at));
            at = sessions.at(at).next_of_user;
        }
        found
    }

    /// At home: one more connection; how many there are now.
    pub(crate) fn log_in(&mut self, user: &str) -> usize {
        let count = self.logged_in.entry(user.into()).or_insert(0);
        *count += 1;
        *count as usize
    }

    /// At home: one fewer.
    pub(crate) fn log_out(&mut self, user: &str) {
        if let Some(count) = self.logged_in.get_mut(user) {
            *count -= 1;
            if *count == 0 {
                self.logged_in.remove(user);
            }
        }
    }
}
