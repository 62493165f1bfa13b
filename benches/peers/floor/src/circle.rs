//! Shards of the floor and how they tell each other: each is a thread with a descriptor table of its
//! own, because RLIMIT_NOFILE counts per table, and a publication goes to all of them.

use std::io;
use std::os::fd::RawFd;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};

use crate::sys;

/// One shard's way to the others.
pub(crate) struct Circle {
    /// Becomes readable when there is something to hear.
    pub(crate) bell: RawFd,
    heard: Receiver<Arc<[u8]>>,
    others: Vec<(Sender<Arc<[u8]>>, RawFd)>,
}

impl Circle {
    /// The ways of that many shards. Made before their tables part: the bells are everybody's.
    pub(crate) fn of(shards: usize) -> io::Result<Vec<Self>> {
        let bells: io::Result<Vec<RawFd>> = (0..shards).map(|_| sys::bell()).collect();
        let bells = bells?;
        let (senders, receivers): (Vec<_>, Vec<_>) = (0..shards).map(|_| mpsc::channel()).unzip();
        let circle = |(shard, heard): (usize, Receiver<_>)| {
            let ways = senders.iter().cloned().zip(bells.iter().copied());
            let others = ways.enumerate().filter(|(other, _)| *other != shard);
            Self {
                bell: bells[shard],
                heard,
                others: others.map(|(_, way)| way).collect(),
            }
        };
        Ok(receivers.into_iter().enumerate().map(circle).collect())
    }

    /// Has the other shards send this to their subscribers.
    pub(crate) fn tell(&self, publication: &[u8]) {
        if self.others.is_empty() {
            return;
        }
        let shared: Arc<[u8]> = publication.into();
        for (other, bell) in &self.others {
            if other.send(shared.clone()).is_ok() {
                sys::ring(*bell);
            }
        }
    }

    /// What others have told.
    pub(crate) fn hear(&self) -> impl Iterator<Item = Arc<[u8]>> {
        sys::silence(self.bell);
        self.heard.try_iter()
    }
}
