//! A channel as a worker sees it that has subscribers: who they are, and what they are to be told.
//!
//! What is to be told waits in `queue`. A *wave* takes all of it and goes once through the members,
//! from the last to the first, in slices; each gets everything the wave carries in one write.
//!
//! ```text
//!  members  [ not yet served .......... | served, or joined since ......... ]
//!                                     cursor
//! ```
//!
//! A member that leaves is replaced so that the border stays exact: from the unserved part by the
//! last unserved one, whose place is taken by the last of all. One that joins joins at the end.

use std::collections::VecDeque;
use std::sync::Arc;

use super::ear::Ear;
use super::registry::Named;
use super::session::Dialect;
use super::types::{Event, Payload};

/// A subscription as its topic sees it; the other half is the session's `Seat`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Member {
    pub(crate) session: u32,
    /// The index among the session's seats, and in the two highest bits whether the member joined while
    /// something was queued that it is not to be told, and whether it is aloof.
    seat: u32,
}

impl Member {
    const LATE: u32 = 1 << 31;
    const ALOOF: u32 = 1 << 30;
    const FLAGS: u32 = Self::LATE | Self::ALOOF;

    pub(crate) fn new(session: u32, seat: usize, is_aloof: bool) -> Self {
        Self {
            session,
            seat: seat as u32 | if is_aloof { Self::ALOOF } else { 0 },
        }
    }

    pub(crate) fn seat(self) -> usize {
        (self.seat & !Self::FLAGS) as usize
    }

    pub(crate) fn set_seat(&mut self, seat: usize) {
        self.seat = seat as u32 | self.seat & Self::FLAGS;
    }

    /// What it can hear, speaking that dialect.
    pub(crate) fn ear(self, dialect: Dialect) -> Ear {
        Ear {
            dialect,
            is_aloof: self.seat & Self::ALOOF != 0,
        }
    }

    pub(crate) fn is_late(self) -> bool {
        self.seat & Self::LATE != 0
    }

    pub(crate) fn set_late(&mut self, is_late: bool) {
        self.seat = self.seat & !Self::LATE | if is_late { Self::LATE } else { 0 };
    }
}

/// A channel with subscribers here, or about to have some.
pub(crate) struct Topic<F> {
    pub(crate) name: Box<str>,
    /// Where the channel lives.
    pub(crate) home: u16,
    /// The namespace whose options count.
    pub(crate) namespace: u16,
    /// Subscriptions that the home has not answered yet.
    pub(crate) waiting: u32,
    /// Whether it is in the line of those with something to tell.
    pub(crate) is_lined_up: bool,
    pub(crate) members: Vec<Member>,
    /// How many of them have which ear.
    ears: [u32; Ear::COUNT],
    pub(crate) queue: VecDeque<Event>,
    /// How many events have ever been queued.
    pub(crate) queued_ever: u64,
    pub(crate) wave: Option<Box<Wave<F>>>,
}

impl<F> Named for Topic<F> {
    fn name(&self) -> &str {
        &self.name
    }
}

impl<F> Topic<F> {
    pub(crate) fn new(name: &str, home: u16, namespace: u16) -> Self {
        Self {
            name: name.into(),
            home,
            namespace,
            waiting: 0,
            is_lined_up: false,
            members: Vec::new(),
            ears: [0; Ear::COUNT],
            queue: VecDeque::new(),
            queued_ever: 0,
            wave: None,
        }
    }

    /// Nobody is here or coming.
    pub(crate) fn is_deserted(&self) -> bool {
        self.members.is_empty() && self.waiting == 0
    }

    /// Whether something is queued, or under way, that a member who joins now must not be told.
    pub(crate) fn has_old_news(&self) -> bool {
        !self.queue.is_empty() || self.wave.is_some()
    }

    /// What waits or is under way, by [`weight`].
    pub(crate) fn news(&self) -> usize {
        let under_way = self.wave.iter().flat_map(|wave| &wave.events);
        self.queue.iter().chain(under_way).map(weight).sum()
    }

    /// What the members can hear.
    pub(crate) fn ears(&self) -> impl Iterator<Item = Ear> {
        Ear::all().filter(|ear| self.ears[ear.index()] > 0)
    }

    pub(crate) fn push(&mut self, member: Member, dialect: Dialect) -> u32 {
        let place = self.members.len() as u32;
        self.members.push(member);
        self.ears[member.ear(dialect).index()] += 1;
        place
    }

    /// Takes a member out. `moved` is told of each other member that changes its place.
    pub(crate) fn remove(
        &mut self,
        place: u32,
        dialect: Dialect,
        mut moved: impl FnMut(Member, u32),
    ) {
        let mut hole = place as usize;
        self.ears[self.members[hole].ear(dialect).index()] -= 1;
        if let Some(wave) = &mut self.wave
            && hole < wave.cursor
        {
            wave.cursor -= 1;
            if hole != wave.cursor {
                self.members[hole] = self.members[wave.cursor];
                moved(self.members[hole], hole as u32);
                hole = wave.cursor;
            }
        }
        self.members.swap_remove(hole);
        if let Some(member) = self.members.get(hole) {
            moved(*member, hole as u32);
        }
        if self.members.is_empty() {
            self.members = Vec::new();
        } else if self.members.len() * 4 < self.members.capacity() {
            self.members.shrink_to(self.members.len() * 2);
        }
    }

    /// Begins a wave with all that waits.
    pub(crate) fn begin_wave(&mut self) {
        let count = self.queue.len().min(EVENTS_PER_WAVE);
        let first = self.queued_ever - self.queue.len() as u64;
        let events: Vec<_> = self.queue.drain(..count).collect();
        if self.queue.is_empty() {
            self.queue = VecDeque::new();
        }
        self.wave = Some(Box::new(Wave {
            first,
            events,
            frames: Default::default(),
            cursor: self.members.len(),
        }));
    }
}

/// What an event counts for while it waits: a large one as several, so that a bound on their number is one
/// on their bytes, too.
pub(crate) fn weight(event: &Event) -> usize {
    match event {
        Event::Publication(publication) => payload_weight(&publication.payload),
        _ => 1,
    }
}

/// The same of what is about to be an event.
pub(crate) fn payload_weight(payload: &Payload) -> usize {
    1 + payload.bytes.len() / USUAL_EVENT_BYTES
}

/// An event of more than so many bytes is a large one.
const USUAL_EVENT_BYTES: usize = 4 << 10;

/// Events one wave carries: what one `writev` takes.
pub(crate) const EVENTS_PER_WAVE: usize = 32;

/// Events on their way through the members.
pub(crate) struct Wave<F> {
    /// The number of the first, counted as in `queued_ever`.
    pub(crate) first: u64,
    pub(crate) events: Vec<Event>,
    /// The same for each ear, made when the first who has it is served.
    pub(crate) frames: [Option<Framed<F>>; Ear::COUNT],
    /// Members below this are yet to be served.
    pub(crate) cursor: usize,
}

/// A wave's events for one ear. An event that it cannot hear has no frame.
pub(crate) struct Framed<F> {
    pub(crate) frames: Vec<F>,
    /// `frames[i]` is the event `numbers[i]`.
    pub(crate) numbers: Vec<u64>,
}

impl<F> Framed<F> {
    /// What somebody is told who is to hear only of events from that number on.
    pub(crate) fn since(&self, number: u64) -> &[F] {
        let skipped = self.numbers.partition_point(|other| *other < number);
        &self.frames[skipped..]
    }
}

/// The name, shared by all letters about a channel.
pub(crate) type SharedName = Arc<str>;
