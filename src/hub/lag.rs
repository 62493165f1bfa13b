//! Subscribers that read more slowly than others publish.
//!
//! What the kernel does not take of a delivery is queued by reference, and that queue is where the
//! tiers look. Above them nothing more of that channel is queued for that subscriber; instead it is
//! noted what it misses, as the namespace's policy says, until its queue is empty:
//!
//! ```text
//!  queued > tier ──> Dropping    the newest so many bytes are kept, the rest is lost, and it is told
//!                ──> Conflating  the latest of each key is kept
//!                ──> Resuming    the first missed offset is kept; the home is asked for the rest
//!  queue empty ───> what was kept is sent, and the subscriber is live again
//! ```

use std::collections::VecDeque;
use std::sync::Arc;

use hashbrown::HashMap;

use super::options::{Policy, Tiers};
use super::types::{Event, Gap, Publication};

/// How far one session lags; it exists only while it does.
#[derive(Default)]
pub(crate) struct Lag {
    /// What was last seen in its queue.
    pub(crate) queued_bytes: usize,
    /// Since when it has been above the soft tier.
    pub(crate) soft_since_ms: Option<u64>,
    /// The topics it misses something of.
    pub(crate) behind: Vec<(u32, Behind)>,
}

impl Lag {
    /// What that topic has in store for it, if it misses something there.
    pub(crate) fn behind_in(&mut self, topic: u32) -> Option<&mut Behind> {
        let behind = self.behind.iter_mut();
        behind
            .filter(|(other, _)| *other == topic)
            .map(|(_, behind)| behind)
            .next()
    }

    /// It has no longer to do with that topic.
    pub(crate) fn forget(&mut self, topic: u32) -> Option<Behind> {
        let index = self.behind.iter().position(|(other, _)| *other == topic)?;
        Some(self.behind.swap_remove(index).1)
    }

    /// Notes what is queued now; whether that is too much.
    pub(crate) fn is_too_much(
        &mut self,
        tiers: &Tiers,
        queued_bytes: usize,
        total_bytes: usize,
        now_ms: u64,
    ) -> bool {
        self.queued_bytes = queued_bytes;
        if queued_bytes <= tiers.soft_bytes {
            self.soft_since_ms = None;
        } else {
            self.soft_since_ms.get_or_insert(now_ms);
        }
        let too_long = |since: u64| now_ms.saturating_sub(since) >= tiers.soft_ms;
        queued_bytes > tiers.hard_bytes
            || total_bytes > tiers.total_bytes
            || self.soft_since_ms.is_some_and(too_long)
    }
}

/// What is noted for a subscriber that misses something.
pub(crate) enum Behind {
    /// The newest events, and what was lost before them.
    Dropping {
        kept: VecDeque<Event>,
        kept_bytes: usize,
        lost: Gap,
    },
    /// The latest publication of each key, with the order they came in.
    Conflating {
        latest: Latest,
        kept_bytes: usize,
        noted: u64,
    },
    /// The first offset that was missed, and whether the home has been asked.
    Resuming { missed: Option<u64>, is_asked: bool },
}

/// What one laggard may have kept for it in one channel.
pub(crate) const KEPT_BYTES_MAX: usize = 256 << 10;

/// What a laggard gets at once of what it missed in a channel that resumes.
pub(crate) const PAGE_PUBLICATIONS: usize = 64;

/// How many of these publications make a page: a page is queued whole for somebody who has just shown
/// how slowly it reads, so it is bounded in bytes like everything that is kept for laggards. One goes
/// through however large it is.
pub(crate) fn page_length(publications: &[Arc<Publication>]) -> usize {
    let mut bytes = 0;
    let fits = |publication: &&Arc<Publication>| {
        bytes += publication.payload.bytes.len() + EVENT_BYTES;
        bytes <= KEPT_BYTES_MAX
    };
    let fitting = publications.iter().take_while(fits).count();
    fitting.max(1).min(publications.len())
}

impl Behind {
    /// `None`: the policy has no place for it.
    pub(crate) fn new(policy: Policy) -> Option<Self> {
        match policy {
            Policy::Disconnect => None,
            Policy::DropOldest => Some(Self::Dropping {
                kept: VecDeque::new(),
                kept_bytes: 0,
                lost: Gap::default(),
            }),
            Policy::Conflate => Some(Self::Conflating {
                latest: HashMap::default(),
                kept_bytes: 0,
                noted: 0,
            }),
            Policy::Resume => Some(Self::Resuming {
                missed: None,
                is_asked: false,
            }),
        }
    }

    /// Notes one event; how many were lost for it.
    pub(crate) fn note(&mut self, event: &Event) -> u64 {
        match self {
            Self::Dropping {
                kept,
                kept_bytes,
                lost,
            } => {
                kept.push_back(event.clone());
                *kept_bytes += event_bytes(event);
                let mut dropped = 0;
                // The newest stays however large it is: where a gap is told with what follows it,
                // something has to follow.
                while *kept_bytes > KEPT_BYTES_MAX
                    && kept.len() > 1
                    && let Some(oldest) = kept.pop_front()
                {
                    *kept_bytes -= event_bytes(&oldest);
                    dropped += 1;
                    if let Event::Publication(publication) = &oldest {
                        lost.note(publication);
                    }
                }
                dropped
            }
            Self::Conflating {
                latest,
                kept_bytes,
                noted,
            } => {
                let Event::Publication(publication) = event else {
                    return 1;
                };
                *noted += 1;
                let key = publication.key.clone().unwrap_or_default();
                *kept_bytes += event_bytes(event) + key.len();
                let before = latest.insert(key, (*noted, publication.clone()));
                let Some((_, before)) = before else {
                    return drop_stalest(latest, kept_bytes);
                };
                let key_bytes = before.key.as_ref().map_or(0, |key| key.len());
                *kept_bytes -= before.payload.bytes.len() + EVENT_BYTES + key_bytes;
                1
            }
            Self::Resuming { missed, .. } => {
                if let Event::Publication(publication) = event {
                    missed.get_or_insert(publication.offset);
                }
                0
            }
        }
    }
}

impl Gap {
    /// One more, behind those before.
    fn note(&mut self, publication: &Publication) {
        self.publications += 1;
        if publication.offset > 0 {
            let first = self.offsets.map_or(publication.offset, |(first, _)| first);
            self.offsets = Some((first, publication.offset));
        }
    }
}

type Latest = HashMap<Box<str>, (u64, Arc<Publication>), foldhash::fast::RandomState>;

/// Keys without an end are no conflation: beyond the bound the staler half of the values goes, so
/// that the search for them is paid for by as many events.
fn drop_stalest(latest: &mut Latest, kept_bytes: &mut usize) -> u64 {
    if *kept_bytes <= KEPT_BYTES_MAX || latest.len() < 2 {
        return 0;
    }
    let mut ages: Vec<_> = latest.values().map(|(noted, _)| *noted).collect();
    let middle = ages.len() / 2;
    let (_, median, _) = ages.select_nth_unstable(middle);
    let (median, before) = (*median, latest.len());
    latest.retain(|key, (noted, publication)| {
        let is_fresh = *noted >= median;
        if !is_fresh {
            *kept_bytes -= publication.payload.bytes.len() + EVENT_BYTES + key.len();
        }
        is_fresh
    });
    (before - latest.len()) as u64
}

/// What an event costs beside its payload.
const EVENT_BYTES: usize = 64;

fn event_bytes(event: &Event) -> usize {
    match event {
        Event::Publication(publication) => publication.payload.bytes.len() + EVENT_BYTES,
        _ => EVENT_BYTES,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hub::types::{Payload, PayloadKind};

    fn publication(bytes: usize, offset: u64) -> Arc<Publication> {
        Arc::new(Publication {
            offset,
            unix_ms: 0,
            payload: Payload {
                kind: PayloadKind::Binary,
                bytes: vec![0; bytes].into(),
            },
            publisher: None,
            key: None,
            tags: Box::default(),
        })
    }

    fn publications(bytes: usize, count: usize) -> Vec<Arc<Publication>> {
        vec![publication(bytes, 1); count]
    }

    /// What a laggard of `drop-oldest` lost of publications of so many bytes, and how much was kept.
    fn dropped(bytes: usize, offsets: impl IntoIterator<Item = u64>) -> (Gap, usize) {
        let mut behind = Behind::new(Policy::DropOldest).expect("it keeps something");
        let noted = offsets.into_iter().map(|offset| {
            let event = Event::Publication(publication(bytes, offset));
            behind.note(&event)
        });
        let count: u64 = noted.sum();
        let Behind::Dropping { kept, lost, .. } = behind else {
            panic!("another policy");
        };
        assert_eq!(lost.publications, count, "nothing else came");
        (lost, kept.len())
    }

    #[test]
    fn what_was_dropped_is_counted_with_and_without_offsets() {
        let gap = |publications, offsets| Gap {
            publications,
            offsets,
        };
        let bytes = KEPT_BYTES_MAX / 4 - EVENT_BYTES;
        assert_eq!(dropped(bytes, 10..14), (gap(0, None), 4));
        assert_eq!(dropped(bytes, 10..20), (gap(6, Some((10, 15))), 4));
        assert_eq!(dropped(bytes, [0; 10]), (gap(6, None), 4));
        // Those that skip the history have no offset, and are lost all the same.
        assert_eq!(
            dropped(bytes, [7, 0, 8, 0, 9, 0]),
            (gap(2, Some((7, 7))), 4)
        );
        // Too large to be kept beside anything, and still something to come.
        let large = KEPT_BYTES_MAX + 1;
        assert_eq!(dropped(large, 1..4), (gap(2, Some((1, 2))), 1));
    }

    #[test]
    fn a_page_is_bounded_in_bytes_and_holds_something() {
        let length = |bytes, count| page_length(&publications(bytes, count));
        assert_eq!(length(100, 0), 0);
        assert_eq!(length(100, PAGE_PUBLICATIONS), PAGE_PUBLICATIONS);
        assert_eq!(length(100_000, PAGE_PUBLICATIONS), 2);
        assert_eq!(length(KEPT_BYTES_MAX + 1, PAGE_PUBLICATIONS), 1);
    }
}
