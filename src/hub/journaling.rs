//! Histories that survive: what the hub wants to have written down, and what it does when it is.
//!
//! ```text
//!  publish ──> number ──> Record ──> somebody's file ──> written(sequence) ──> keep, tell, answer
//!                 └── waits here ───────────────────────────────^
//! ```
//!
//! What is not written yet is not there yet: it is in no history, no position and no subscriber's hands. So
//! nobody can hold an offset that a crash gives away again. The hub does not know what a file is: it
//! hands out records, in order, and is told how many of them are safe.
//!
//! A *walk* goes through all channels and hands out what they have kept. What was handed out before a walk
//! began is not needed any more when it has ended, and so the file stays bounded.

use std::collections::VecDeque;
use std::sync::Arc;

use super::channel::Channel;
use super::letter::{Answer, ReplyTo};
use super::shard::Hub;
use super::topic::SharedName;
use super::types::{Epoch, Position, Publication};
use super::world::World;

/// Something to be written down.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Record {
    /// A publication of a channel.
    Published {
        /// The channel.
        channel: SharedName,
        /// The life of its history.
        epoch: Epoch,
        /// The publication.
        publication: Arc<Publication>,
    },
    /// Where a channel stands, and from which offset on it keeps what it keeps.
    Stands {
        /// The channel.
        channel: SharedName,
        /// Its newest position.
        position: Position,
        /// Everything up to this offset is forgotten.
        forgotten: u64,
        /// When something last happened in it.
        used_ms: u64,
    },
    /// Channels that begin to exist on that worker have this epoch.
    Begins {
        /// The worker.
        worker: u16,
        /// How many share the channels.
        homes: u16,
        /// The epoch.
        epoch: Epoch,
    },
}

/// A channel as it was written down.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Kept {
    /// Its name.
    pub channel: SharedName,
    /// Its newest position.
    pub position: Position,
    /// When something last happened in it.
    pub used_ms: u64,
    /// Its history, without a gap; the last one is at its position.
    pub publications: Vec<Arc<Publication>>,
}

/// What waits for being written.
struct Waiting {
    /// It may go on when so many records are safe.
    sequence: u64,
    place: u32,
    what: What,
    reply_to: ReplyTo,
}

enum What {
    Publication {
        publication: Arc<Publication>,
        keeps: bool,
    },
    Forget,
}

/// The records of one worker, and what waits for them.
#[derive(Default)]
pub(crate) struct Journal {
    records: Vec<Record>,
    /// Records handed out, those in `records` among them.
    handed_out: u64,
    /// Those of them that are safe.
    written: u64,
    waiting: VecDeque<Waiting>,
    waiting_bytes: usize,
    walk: Option<Walk>,
}

/// Where a walk is.
struct Walk {
    /// It begins when so many records are safe: what waits before is in the histories then.
    from: u64,
    place: usize,
    /// Of that place, what has been handed out already.
    after: Option<u64>,
}

/// Publications that may wait for the disk at one worker, and their bytes: a tenth of a second of what
/// one worker takes, and what a disk writes meanwhile. Beyond, publishers are told to try again.
const WAITING_MAX: usize = 16_384;
const WAITING_BYTES_MAX: usize = 16 << 20;
/// A walk rests while so many records of its own are not safe yet: it shares the disk with publishers.
const WALK_AHEAD_MAX: u64 = 1024;

impl Journal {
    fn hand_out(&mut self, record: Record) {
        self.records.push(record);
        self.handed_out += 1;
    }
}

impl<F: Clone> Hub<F> {
    /// From now on, histories of durable namespaces are written down: somebody takes the
    /// [records](Self::take_records) and says when they are [written](Self::written).
    pub fn keep_journal(&mut self) {
        let mut journal = Journal::default();
        journal.hand_out(self.begins());
        self.journal = Some(Box::new(journal));
    }

    /// What there is to be written, in order.
    pub fn take_records(&mut self) -> Vec<Record> {
        match &mut self.journal {
            Some(journal) => std::mem::take(&mut journal.records),
            None => Vec::new(),
        }
    }

    /// How many records there have ever been.
    pub fn records_handed_out(&self) -> u64 {
        self.journal
            .as_ref()
            .map_or(0, |journal| journal.handed_out)
    }

    /// Publications that wait for being written.
    pub fn waiting_for_journal(&self) -> usize {
        self.journal
            .as_ref()
            .map_or(0, |journal| journal.waiting.len())
    }

    /// So many records are safe, of all there have ever been.
    pub fn written(&mut self, world: &mut impl World<Frame = F>, sequence: u64) {
        if let Some(journal) = &mut self.journal {
            journal.written = journal.written.max(sequence);
        }
        while let Some(waiting) = self.next_written() {
            let answer = match waiting.what {
                What::Publication { publication, keeps } => {
                    self.commit(world, waiting.place, publication, keeps)
                }
                What::Forget => {
                    let channel = self.channels.at_mut(waiting.place);
                    self.ledger.clear(&mut channel.history);
                    Answer::Done
                }
            };
            self.reply(world, waiting.reply_to, answer);
        }
    }

    fn next_written(&mut self) -> Option<Waiting> {
        let journal = self.journal.as_mut()?;
        let waiting = journal.waiting.front()?;
        if waiting.sequence > journal.written {
            return None;
        }
        let waiting = journal.waiting.pop_front()?;
        if let What::Publication { publication, .. } = &waiting.what {
            journal.waiting_bytes -= publication.payload.bytes.len();
        }
        if journal.waiting.is_empty() {
            // A burst must not cost memory after it is over.
            journal.waiting = VecDeque::new();
        }
        self.channels.at_mut(waiting.place).waiting -= 1;
        Some(waiting)
    }

    /// Whether what happens in that channel is written down.
    pub(crate) fn is_journaled(&self, place: u32) -> bool {
        let options = self.namespaces.at(self.channels.at(place).namespace);
        self.journal.is_some() && options.is_durable && options.history_size > 0
    }

    /// Whether there is room for one more that waits.
    pub(crate) fn may_wait(&self) -> bool {
        self.journal.as_ref().is_none_or(|journal| {
            journal.waiting.len() < WAITING_MAX && journal.waiting_bytes < WAITING_BYTES_MAX
        })
    }

    /// A publication waits until it is written. One that is not to be written waits behind those that
    /// are: a publisher's order holds for all of them.
    pub(crate) fn wait_with(
        &mut self,
        place: u32,
        publication: Arc<Publication>,
        keeps: bool,
        reply_to: ReplyTo,
    ) {
        let channel = self.channels.at_mut(place);
        channel.waiting += 1;
        let Some(journal) = &mut self.journal else {
            return;
        };
        journal.waiting_bytes += publication.payload.bytes.len();
        if keeps {
            journal.hand_out(Record::Published {
                channel: channel.name.clone(),
                epoch: channel.position.epoch,
                publication: publication.clone(),
            });
        }
        journal.waiting.push_back(Waiting {
            sequence: journal.handed_out,
            place,
            what: What::Publication { publication, keeps },
            reply_to,
        });
    }

    /// A history is to be forgotten; it is when that is written.
    pub(crate) fn wait_to_forget(&mut self, place: u32, reply_to: ReplyTo) {
        let channel = self.channels.at_mut(place);
        channel.waiting += 1;
        let record = stands(channel, channel.taken, channel.taken);
        let Some(journal) = &mut self.journal else {
            return;
        };
        journal.hand_out(record);
        journal.waiting.push_back(Waiting {
            sequence: journal.handed_out,
            place,
            what: What::Forget,
            reply_to,
        });
    }

    /// Channels that begin to exist have another epoch from now on.
    pub(crate) fn change_epoch(&mut self) {
        self.epoch = self.epoch.wrapping_add(1).max(1);
        let begins = self.begins();
        if let Some(journal) = &mut self.journal {
            journal.hand_out(begins);
        }
    }

    fn begins(&self) -> Record {
        Record::Begins {
            worker: self.worker,
            homes: self.homes(),
            epoch: Epoch::new(self.epoch),
        }
    }

    /// Begins to hand out everything that is kept; a walk that is under way begins anew.
    pub fn begin_walk(&mut self) {
        let begins = self.begins();
        if let Some(journal) = &mut self.journal {
            journal.hand_out(begins);
            journal.walk = Some(Walk {
                from: journal.handed_out,
                place: 0,
                after: None,
            });
        }
    }

    /// Whether a walk could go on right now.
    pub fn can_walk(&self) -> bool {
        self.journal.as_ref().is_some_and(|journal| {
            let walk = journal.walk.as_ref();
            walk.is_some_and(|walk| walk.from <= journal.written)
                && journal.handed_out - journal.written < WALK_AHEAD_MAX
        })
    }

    /// Hands out up to `budget` records of a walk. `true`: that was the last of it.
    pub fn walk(&mut self, budget: usize) -> bool {
        let Some(journal) = &mut self.journal else {
            return false;
        };
        let Some(mut walk) = journal.walk.take() else {
            return false;
        };
        let is_safe = journal.written >= walk.from;
        let mut left = budget;
        while is_safe && left > 0 && journal.handed_out - journal.written < WALK_AHEAD_MAX {
            if walk.place >= self.channels.places() {
                return true;
            }
            let place = walk.place as u32;
            let is_kept = self.channels.contains(place) && {
                let channel = self.channels.at(place);
                let options = self.namespaces.at(channel.namespace);
                channel.position.offset > 0 && options.is_durable && options.history_size > 0
            };
            left -= 1;
            if !is_kept {
                walk.place += 1;
                walk.after = None;
                continue;
            }
            let channel = self.channels.at(place);
            let after = *walk.after.get_or_insert_with(|| {
                let forgotten = channel.history.front_offset();
                let forgotten = forgotten.map_or(channel.position.offset, |front| front - 1);
                journal.hand_out(stands(channel, channel.position.offset, forgotten));
                forgotten
            });
            let behind = channel.history.behind(after).take(left);
            let mut last = after;
            for publication in behind {
                last = publication.offset;
                left -= 1;
                journal.hand_out(Record::Published {
                    channel: channel.name.clone(),
                    epoch: channel.position.epoch,
                    publication: publication.clone(),
                });
            }
            walk.after = Some(last);
            if left > 0 {
                walk.place += 1;
                walk.after = None;
            }
        }
        journal.walk = Some(walk);
        false
    }

    /// Takes over what was written down in an earlier life, before anybody is served. `epoch` is that of
    /// channels that begin to exist, if the one of that life is known. Channels that are no longer to
    /// be kept are passed over; the answer is how many.
    pub fn restore(&mut self, kept: Vec<Kept>, epoch: Option<Epoch>) -> usize {
        if let Some(epoch) = epoch {
            self.epoch = epoch.number().max(1);
        }
        let before = kept.len();
        let taken = kept.into_iter().filter_map(|kept| self.restore_one(kept));
        let taken = taken.count();
        let channels = &self.channels;
        self.ledger.sort_by_age(|place, offset| {
            let history = &channels.at(place).history;
            history
                .at(offset)
                .map_or(0, |publication| publication.unix_ms)
        });
        self.make_room();
        before - taken
    }

    fn restore_one(&mut self, kept: Kept) -> Option<()> {
        let (_, namespace) = self.checked(&kept.channel).ok()?;
        let options = self.namespaces.at(namespace);
        if !options.is_durable || options.history_size == 0 {
            return None;
        }
        let size = options.history_size;
        self.last_stamp = self.last_stamp.wrapping_add(1);
        let stamp = self.last_stamp;
        let mut channel = Channel::new(&kept.channel, namespace, stamp, kept.position.epoch);
        channel.position = kept.position;
        channel.taken = kept.position.offset;
        channel.used_ms = kept.used_ms;
        let place = self.channels.insert(channel);
        let history = &mut self.channels.at_mut(place).history;
        for publication in kept.publications {
            self.ledger.keep((place, stamp), history, publication, size);
        }
        self.expire(place);
        Some(())
    }
}

fn stands(channel: &Channel, offset: u64, forgotten: u64) -> Record {
    Record::Stands {
        channel: channel.name.clone(),
        position: Position {
            offset,
            epoch: channel.position.epoch,
        },
        forgotten,
        used_ms: channel.used_ms,
    }
}
