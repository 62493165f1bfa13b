//! What was published: a ring per channel, and a bound for all rings together.
//!
//! A channel has its size and its time; beyond that, when all histories of a worker need more
//! memory than they may, the oldest publication of all goes first, whosever it is.

use std::collections::VecDeque;
use std::sync::Arc;

use super::types::{BadPosition, Epoch, HistoryPage, HistoryQuery, Position, Publication};

/// One channel's last publications, numbered without a gap; the last of them is `offset`.
#[derive(Default)]
pub(crate) struct History {
    kept: VecDeque<Arc<Publication>>,
}

impl History {
    pub(crate) fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.kept.len()
    }

    pub(crate) fn latest(&self) -> Option<&Arc<Publication>> {
        self.kept.back()
    }

    pub(crate) fn front_offset(&self) -> Option<u64> {
        self.kept.front().map(|publication| publication.offset)
    }

    /// The publication of that number.
    pub(crate) fn at(&self, offset: u64) -> Option<&Arc<Publication>> {
        let index = offset.checked_sub(self.front_offset()?)?;
        self.kept.get(usize::try_from(index).ok()?)
    }

    /// Whatever is kept behind `offset`.
    pub(crate) fn behind(&self, offset: u64) -> impl Iterator<Item = &Arc<Publication>> {
        let from = self.kept.partition_point(|kept| kept.offset <= offset);
        self.kept.range(from..)
    }

    /// Everything behind `offset`, or `None` if part of it is no longer kept.
    pub(crate) fn since(
        &self,
        offset: u64,
        newest: u64,
    ) -> Option<impl ExactSizeIterator<Item = &Arc<Publication>>> {
        let missed = newest.checked_sub(offset)?;
        let kept = self.kept.len() as u64;
        (missed <= kept).then(|| self.kept.range((kept - missed) as usize..))
    }

    /// A page of it. A position in the past that is no longer kept gives what there is behind it.
    pub(crate) fn page(
        &self,
        query: &HistoryQuery,
        position: Position,
    ) -> Result<HistoryPage, BadPosition> {
        if let Some(since) = query.since {
            let is_same = since.epoch == position.epoch || since.epoch == Epoch::default();
            if !is_same || since.offset > position.offset {
                return Err(BadPosition);
            }
        }
        let limit = query.limit.unwrap_or(usize::MAX);
        let publications = match (query.since, query.reverse) {
            (None, false) => self.kept.iter().take(limit).cloned().collect(),
            (None, true) => self.kept.iter().rev().take(limit).cloned().collect(),
            (Some(since), false) => {
                let from = self
                    .kept
                    .partition_point(|kept| kept.offset <= since.offset);
                self.kept.range(from..).take(limit).cloned().collect()
            }
            (Some(since), true) => {
                let to = self.kept.partition_point(|kept| kept.offset < since.offset);
                let before = self.kept.range(..to);
                before.rev().take(limit).cloned().collect()
            }
        };
        Ok(HistoryPage {
            publications,
            position,
        })
    }
}

/// What all histories of a worker hold.
pub(crate) struct HistoryLedger {
    bytes: usize,
    bytes_max: usize,
    publications: usize,
    /// Every publication in the order of its coming; those that are gone already are passed over.
    order: VecDeque<Entry>,
}

#[derive(Clone, Copy)]
struct Entry {
    /// The channel's place, and the stamp that tells it from the next one in that place.
    place: u32,
    stamp: u32,
    offset: u64,
}

impl HistoryLedger {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self {
            bytes: 0,
            bytes_max,
            publications: 0,
            order: VecDeque::new(),
        }
    }

    /// Bytes of all publications kept, with what surrounds them.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Keeps one more, and lets go of those beyond the channel's size.
    pub(crate) fn keep(
        &mut self,
        (place, stamp): (u32, u32),
        history: &mut History,
        publication: Arc<Publication>,
        size: u32,
    ) {
        self.bytes += cost(&publication);
        self.publications += 1;
        self.order.push_back(Entry {
            place,
            stamp,
            offset: publication.offset,
        });
        history.kept.push_back(publication);
        while history.kept.len() > size as usize {
            self.drop_oldest(history);
        }
    }

    /// Lets go of what is older than `before_ms`.
    pub(crate) fn expire(&mut self, history: &mut History, before_ms: u64) {
        while history
            .kept
            .front()
            .is_some_and(|oldest| oldest.unix_ms < before_ms)
        {
            self.drop_oldest(history);
        }
        if history.kept.is_empty() {
            history.kept = VecDeque::new();
        }
    }

    /// Lets go of all of it.
    pub(crate) fn clear(&mut self, history: &mut History) {
        while !history.is_empty() {
            self.drop_oldest(history);
        }
        history.kept = VecDeque::new();
    }

    fn drop_oldest(&mut self, history: &mut History) {
        if let Some(oldest) = history.kept.pop_front() {
            self.bytes -= cost(&oldest);
            self.publications -= 1;
        }
    }

    /// The channel (place and stamp) whose oldest publication has to go, while there are too many
    /// bytes. The caller hands its history to [`evict`](Self::evict).
    pub(crate) fn next_victim(&mut self) -> Option<(u32, u32, u64)> {
        self.forget_stale();
        if self.bytes <= self.bytes_max {
            return None;
        }
        let entry = self.order.pop_front()?;
        Some((entry.place, entry.stamp, entry.offset))
    }

    /// Lets go of a victim, if it is still there.
    pub(crate) fn evict(&mut self, history: &mut History, offset: u64) {
        if history.front_offset() == Some(offset) {
            self.drop_oldest(history);
        }
    }

    /// The order may name twice as many as there are before those that are gone are struck out:
    /// constant work per publication.
    fn forget_stale(&mut self) {
        if self.publications == 0 {
            self.order = VecDeque::new();
        }
    }

    /// Whether the order should be gone through for those that are gone.
    pub(crate) fn is_stale(&self) -> bool {
        self.order.len() > 2 * self.publications + 1024
    }

    /// Puts the order right after a restart, when channels came one after the other.
    pub(crate) fn sort_by_age(&mut self, unix_ms: impl Fn(u32, u64) -> u64) {
        let order = self.order.make_contiguous();
        order.sort_by_cached_key(|entry| (unix_ms(entry.place, entry.offset), entry.offset));
    }

    /// Strikes out what `is_there` denies.
    pub(crate) fn strike_out(&mut self, is_there: impl Fn(u32, u32, u64) -> bool) {
        self.order
            .retain(|entry| is_there(entry.place, entry.stamp, entry.offset));
        self.order.shrink_to(2 * self.order.len());
    }
}

impl History {
    /// Whether the publication of that number is still kept.
    pub(crate) fn has(&self, offset: u64) -> bool {
        self.front_offset().is_some_and(|front| front <= offset)
    }
}

/// What keeping a publication costs: its bytes, and the allocations around them.
fn cost(publication: &Publication) -> usize {
    let tags: usize = publication
        .tags
        .iter()
        .map(|(name, value)| name.len() + value.len() + 64)
        .sum();
    let key = publication.key.as_ref().map_or(0, |key| key.len() + 16);
    size_of::<Publication>() + 64 + publication.payload.bytes.len() + key + tags
}
