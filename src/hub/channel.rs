//! A channel at its home: where it stands, what it has kept, who is there, and who wants to know.

use std::sync::Arc;

use hashbrown::HashMap;

use super::history::History;
use super::options::{Options, Recovery};
use super::registry::Named;
use super::topic::SharedName;
use super::types::{
    ClientId, ClientInfo, Epoch, Position, Presence, PresenceStats, Publication, Subscribed,
};

/// A channel that lives on this worker.
pub(crate) struct Channel {
    pub(crate) name: SharedName,
    pub(crate) namespace: u16,
    /// Tells it from another channel that may come to the same place later.
    pub(crate) stamp: u32,
    pub(crate) position: Position,
    /// The last offset that was given away: beyond the position while something waits for the journal.
    pub(crate) taken: u64,
    /// What waits for the journal.
    pub(crate) waiting: u32,
    pub(crate) history: History,
    /// How many subscribers are on which worker; never with 0 of them.
    interest: Vec<(u16, u32)>,
    presence: Option<Box<Present>>,
    /// When something last happened that makes it worth remembering.
    pub(crate) used_ms: u64,
}

type Present = HashMap<ClientId, Arc<ClientInfo>, foldhash::fast::RandomState>;

impl Named for Channel {
    fn name(&self) -> &str {
        &self.name
    }
}

impl Channel {
    pub(crate) fn new(name: &str, namespace: u16, stamp: u32, epoch: Epoch) -> Self {
        Self {
            name: name.into(),
            namespace,
            stamp,
            position: Position { offset: 0, epoch },
            taken: 0,
            waiting: 0,
            history: History::default(),
            interest: Vec::new(),
            presence: None,
            used_ms: 0,
        }
    }

    /// The workers with subscribers.
    pub(crate) fn interested(&self) -> impl Iterator<Item = u16> {
        self.interest.iter().map(|(worker, _)| *worker)
    }

    /// How many subscribers there are.
    pub(crate) fn subscribers(&self) -> u32 {
        self.interest.iter().map(|(_, count)| count).sum()
    }

    /// One more subscriber there.
    pub(crate) fn enter(&mut self, worker: u16) {
        match self.interest.iter_mut().find(|(other, _)| *other == worker) {
            Some((_, count)) => *count += 1,
            None => self.interest.push((worker, 1)),
        }
    }

    /// One fewer.
    pub(crate) fn leave(&mut self, worker: u16) {
        let found = self.interest.iter().position(|(other, _)| *other == worker);
        let Some(index) = found else {
            return;
        };
        self.interest[index].1 -= 1;
        if self.interest[index].1 == 0 {
            self.interest.swap_remove(index);
        }
        if self.interest.is_empty() {
            self.interest = Vec::new();
        }
    }

    /// A client is there from now on.
    pub(crate) fn appear(&mut self, client: &Arc<ClientInfo>) {
        let present = self.presence.get_or_insert_default();
        present.insert(client.client, client.clone());
    }

    /// It no longer is; whether it was.
    pub(crate) fn disappear(&mut self, client: ClientId) -> Option<Arc<ClientInfo>> {
        let present = self.presence.as_mut()?;
        let gone = present.remove(&client);
        if present.is_empty() {
            self.presence = None;
        }
        gone
    }

    /// Who is there.
    pub(crate) fn presence(&self) -> Presence {
        let clients = self.presence.iter().flat_map(|present| present.values());
        Presence {
            clients: clients.cloned().collect(),
        }
    }

    /// How many are there.
    pub(crate) fn presence_stats(&self) -> PresenceStats {
        let Some(present) = &self.presence else {
            return PresenceStats::default();
        };
        let mut users: Vec<_> = present.values().map(|client| &client.user).collect();
        users.sort_unstable();
        users.dedup();
        PresenceStats {
            clients: present.len(),
            users: users.len(),
        }
    }

    /// What a new subscriber is told. `recover`: where it stopped last time.
    pub(crate) fn greet(&self, options: &Options, recover: Option<Position>) -> Subscribed {
        let keeps = options.history_size > 0;
        let is_stream = keeps && options.recovery == Recovery::Stream;
        let mut subscribed = Subscribed {
            position: keeps.then_some(self.position),
            recoverable: keeps && options.recovery != Recovery::Off,
            was_recovering: recover.is_some(),
            recovered: false,
            publications: Vec::new(),
        };
        if keeps && options.recovery == Recovery::Cache {
            self.greet_from_cache(recover, &mut subscribed);
        } else if let Some(since) = recover.filter(|_| is_stream) {
            let is_same = since.epoch == self.position.epoch;
            let missed = self.history.since(since.offset, self.position.offset);
            let missed =
                missed.filter(|missed| is_same && missed.len() <= options.recover_max as usize);
            if let Some(missed) = missed {
                subscribed.recovered = true;
                subscribed.publications = missed.cloned().collect();
            }
        }
        subscribed
    }

    /// The latest value, unless it is known. It counts as recovered if there is one.
    fn greet_from_cache(&self, recover: Option<Position>, subscribed: &mut Subscribed) {
        let latest = self.history.latest();
        subscribed.recovered = recover.is_some() && latest.is_some();
        let is_news = |latest: &&Arc<Publication>| {
            recover.is_none_or(|known| {
                known.epoch != self.position.epoch || known.offset != latest.offset
            })
        };
        subscribed.publications = latest.filter(is_news).cloned().into_iter().collect();
    }

    /// Nobody is here, and nothing is kept or about to be. (Whether it is to be remembered is another question.)
    pub(crate) fn is_empty(&self) -> bool {
        self.interest.is_empty() && self.history.is_empty() && self.waiting == 0
    }
}
