//! A connection as the hub knows it: a number to speak to, a user, and where it is subscribed.

use slab::Slab;

use super::lag::Lag;
use super::types::Disconnect;

/// Which wire dialect a connection speaks, as a small number: the hub only needs to know that two
/// connections speak the same one.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum Dialect {
    /// Centrifuge's protocol, JSON, version 2.
    Centrifuge,
    /// The small chat protocol.
    Chat,
    /// Messages as they are.
    Raw,
}

impl SessionId {
    /// Its slot, which is nobody else's as long as it lives.
    pub fn index(self) -> u32 {
        self.index
    }
}

impl Dialect {
    /// How many there are.
    pub const COUNT: usize = 3;
    /// All of them, each at its own number.
    pub const ALL: [Self; Self::COUNT] = [Self::Centrifuge, Self::Chat, Self::Raw];
}

/// Names one session of one worker, for ever.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct SessionId {
    pub(crate) index: u32,
    pub(crate) generation: u32,
}

/// A logged-in connection.
pub struct Session {
    /// How the connection is called outside of the hub.
    pub conn: u64,
    /// The user; empty if anonymous.
    pub user: Box<str>,
    /// What its token says about it.
    pub conn_info: Option<Box<str>>,
    pub(crate) seats: Seats,
    /// It reads too slowly at the moment.
    pub(crate) lag: Option<Box<Lag>>,
    /// The next one of the same user, as a link in `Users`.
    pub(crate) next_of_user: u32,
    index: u32,
    generation: u32,
    /// What it speaks.
    pub dialect: Dialect,
    /// It is to be disconnected, and for that reason nothing more is said to it.
    pub(crate) is_condemned: Option<Disconnect>,
}

impl Session {
    /// Its name within this worker.
    pub fn id(&self) -> SessionId {
        SessionId {
            index: self.index,
            generation: self.generation,
        }
    }

    /// Bytes that waited for it when it was last told something, because it does not read.
    pub fn lagging_bytes(&self) -> usize {
        self.lag.as_ref().map_or(0, |lag| lag.queued_bytes)
    }

    /// Its memory, what hangs off it included.
    pub fn held_bytes(&self) -> usize {
        let conn_info = self.conn_info.as_ref().map_or(0, |text| text.len());
        let seats = match &self.seats {
            Seats::None | Seats::One(_) => 0,
            Seats::Many(seats) => size_of::<Vec<Seat>>() + seats.capacity() * size_of::<Seat>(),
        };
        size_of::<Self>() + self.user.len() + conn_info + seats
    }
}

// A session has a box for each of these: one cache line and a half, and none for what it lacks.
const _: () = assert!(size_of::<Session>() <= 80);
const _: () = assert!(size_of::<Seat>() + size_of::<super::topic::Member>() <= 16);

/// A subscription as its session sees it: where in which topic. The other half is the topic's
/// `Member`; each finds the other without a search.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Seat {
    pub(crate) topic: u32,
    /// The place among the members, or `WAITING`.
    pub(crate) place: u32,
}

impl Seat {
    /// The home has not answered yet.
    pub(crate) const WAITING: u32 = u32::MAX;
}

/// The seats of a session. Most have one, which needs no allocation.
#[derive(Default)]
pub(crate) enum Seats {
    #[default]
    None,
    One(Seat),
    #[expect(
        clippy::box_collection,
        reason = "8 bytes in a session, whatever it holds"
    )]
    Many(Box<Vec<Seat>>),
}

impl Seats {
    pub(crate) fn all(&self) -> &[Seat] {
        match self {
            Self::None => &[],
            Self::One(seat) => std::slice::from_ref(seat),
            Self::Many(seats) => seats,
        }
    }

    pub(crate) fn all_mut(&mut self) -> &mut [Seat] {
        match self {
            Self::None => &mut [],
            Self::One(seat) => std::slice::from_mut(seat),
            Self::Many(seats) => seats,
        }
    }

    /// Its index among the seats.
    pub(crate) fn in_topic(&self, topic: u32) -> Option<usize> {
        self.all().iter().position(|seat| seat.topic == topic)
    }

    pub(crate) fn push(&mut self, seat: Seat) {
        match self {
            Self::None => *self = Self::One(seat),
            Self::One(first) => *self = Self::Many(Box::new(vec![*first, seat])),
            Self::Many(seats) => seats.push(seat),
        }
    }

    /// Takes one out; the last takes its index.
    pub(crate) fn swap_remove(&mut self, index: usize) {
        match self {
            Self::None => {}
            Self::One(_) => *self = Self::None,
            Self::Many(seats) => {
                seats.swap_remove(index);
                match seats[..] {
                    [] => *self = Self::None,
                    [last] => *self = Self::One(last),
                    _ => {}
                }
            }
        }
    }
}

/// All sessions of a worker.
#[derive(Default)]
pub(crate) struct Sessions {
    slab: Slab<Session>,
    /// One counter for all: a vacant slot remembers nothing.
    last_generation: u32,
}

impl Sessions {
    pub(crate) fn insert(
        &mut self,
        conn: u64,
        dialect: Dialect,
        user: Box<str>,
        conn_info: Option<Box<str>>,
    ) -> SessionId {
        self.last_generation = self.last_generation.wrapping_add(1);
        let generation = self.last_generation;
        let entry = self.slab.vacant_entry();
        let index = u32::try_from(entry.key()).expect("fewer than 2^32 connections");
        entry.insert(Session {
            conn,
            user,
            conn_info,
            seats: Seats::None,
            lag: None,
            next_of_user: u32::MAX,
            index,
            generation,
            dialect,
            is_condemned: None,
        });
        SessionId { index, generation }
    }

    pub(crate) fn len(&self) -> usize {
        self.slab.len()
    }

    pub(crate) fn of(&self, id: SessionId) -> Option<&Session> {
        let session = self.slab.get(id.index as usize)?;
        (session.generation == id.generation).then_some(session)
    }

    pub(crate) fn of_mut(&mut self, id: SessionId) -> Option<&mut Session> {
        let session = self.slab.get_mut(id.index as usize)?;
        (session.generation == id.generation).then_some(session)
    }

    /// Slots there are, free ones among them.
    pub(crate) fn slots(&self) -> u32 {
        self.slab.capacity() as u32
    }

    /// The session in that slot, if it is taken.
    pub(crate) fn get(&self, index: u32) -> Option<&Session> {
        self.slab.get(index as usize)
    }

    /// The session in that slot, which must be taken.
    pub(crate) fn at(&self, index: u32) -> &Session {
        &self.slab[index as usize]
    }

    pub(crate) fn at_mut(&mut self, index: u32) -> &mut Session {
        &mut self.slab[index as usize]
    }

    pub(crate) fn id_at(&self, index: u32) -> SessionId {
        SessionId {
            index,
            generation: self.slab[index as usize].generation,
        }
    }

    pub(crate) fn remove(&mut self, id: SessionId) -> Option<Session> {
        self.of(id)?;
        let session = self.slab.remove(id.index as usize);
        if self.slab.is_empty() {
            self.slab = Slab::new();
        }
        Some(session)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (SessionId, &Session)> {
        self.slab.iter().map(|(index, session)| {
            let id = SessionId {
                index: index as u32,
                generation: session.generation,
            };
            (id, session)
        })
    }
}
