//! Which sessions of this worker are whose.
//!
//! Sessions of a user are a chain through the sessions themselves: the table holds four bytes for
//! each user.

use hashbrown::HashTable;

use super::registry::NameHash;
use super::session::{SessionId, Sessions};

/// The end of a chain.
const NOBODY: u32 = u32::MAX;

/// The users of a worker.
pub(crate) struct Users {
    hash: NameHash,
    first: HashTable<u32>,
}

impl Users {
    pub(crate) fn new(hash: NameHash) -> Self {
        Self {
            hash,
            first: HashTable::new(),
        }
    }

    /// Users with a session here.
    pub(crate) fn len(&self) -> usize {
        self.first.len()
    }

    /// Notes a new session; whether it is its user's only one here. The anonymous are nobody's.
    pub(crate) fn add(&mut self, sessions: &mut Sessions, id: SessionId) -> bool {
        let user = &sessions.at(id.index).user;
        if user.is_empty() {
            return false;
        }
        let hash = self.hash.of(user);
        let is_it = |first: &u32| sessions.at(*first).user == *user;
        if let Some(first) = self.first.find_mut(hash, is_it) {
            let next = std::mem::replace(first, id.index);
            sessions.at_mut(id.index).next_of_user = next;
            return false;
        }
        let seed = self.hash;
        self.first
            .insert_unique(hash, id.index, |first| seed.of(&sessions.at(*first).user));
        true
    }

    /// Forgets a session that is about to be removed; whether it was its user's only one here.
    pub(crate) fn remove(&mut self, sessions: &mut Sessions, id: SessionId) -> bool {
        let user = &sessions.at(id.index).user;
        if user.is_empty() {
            return false;
        }
        let next = sessions.at(id.index).next_of_user;
        let is_it = |first: &u32| sessions.at(*first).user == *user;
        let Ok(mut entry) = self.first.find_entry(self.hash.of(user), is_it) else {
            return false;
        };
        let first = *entry.get();
        let is_only_one = first == id.index && next == NOBODY;
        if first != id.index {
            let mut before = first;
            while sessions.at(before).next_of_user != id.index {
                before = sessions.at(before).next_of_user;
            }
            sessions.at_mut(before).next_of_user = next;
        } else if is_only_one {
            entry.remove();
            if self.first.is_empty() {
                self.first = HashTable::new();
            }
        } else {
            *entry.get_mut() = next;
        }
        is_only_one
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
}
