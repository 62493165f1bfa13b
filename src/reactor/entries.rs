//! The slab of connections, and the ids that tell a recycled slot from its predecessor.

use slab::Slab;

use super::connection::Connection;
use super::wheel::{Link, Links};

/// Names one connection of one worker, for ever: the slot and the generation that lived in it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct ConnId(u64);

impl ConnId {
    /// An id from its halves. Generation 0 is never given to a connection.
    pub const fn new(generation: u32, index: u32) -> Self {
        Self((generation as u64) << 32 | index as u64)
    }

    /// The id as an event token carries it.
    pub const fn as_u64(self) -> u64 {
        self.0
    }

    /// The id out of an event token.
    pub const fn from_u64(token: u64) -> Self {
        Self(token)
    }

    /// The slot.
    pub const fn index(self) -> u32 {
        self.0 as u32
    }

    /// The tenant of the slot.
    pub const fn generation(self) -> u32 {
        (self.0 >> 32) as u32
    }
}

/// All connections of one worker.
///
/// Generations come from one counter per worker and not from one per slot: a slot that is
/// vacant then needs no memory of its past, and the entry stays one cache line. A stale id
/// could be mistaken only after 2^32 accepts between the event and its delivery.
pub(crate) struct Entries<S, C> {
    slab: Slab<Connection<S, C>>,
    /// One past the highest slot ever used.
    slots: usize,
    last_generation: u32,
}

impl<S, C> Entries<S, C> {
    /// Room for `expected` connections without growing: the pages are touched only when used.
    pub(crate) fn with_capacity(expected: usize) -> Self {
        Self {
            slab: Slab::with_capacity(expected),
            slots: 0,
            last_generation: 0,
        }
    }

    /// How many connections there are.
    pub(crate) fn len(&self) -> usize {
        self.slab.len()
    }

    /// One past the highest slot ever used: the bound of a sweep.
    pub(crate) fn slots(&self) -> usize {
        self.slots
    }

    /// Moves a stream in and names it.
    pub(crate) fn insert(&mut self, stream: S, now_tick: u32) -> ConnId {
        self.last_generation = self.last_generation.checked_add(1).unwrap_or(1);
        let generation = self.last_generation;
        let index = self
            .slab
            .insert(Connection::new(stream, generation, now_tick));
        self.slots = self.slots.max(index + 1);
        ConnId::new(
            generation,
            u32::try_from(index).expect("max_connections is a u32"),
        )
    }

    /// The connection of that id, if it still lives.
    #[inline]
    pub(crate) fn of(&mut self, id: ConnId) -> Option<&mut Connection<S, C>> {
        self.slab
            .get_mut(id.index() as usize)
            .filter(|conn| conn.generation == id.generation())
    }

    /// Whoever lives in a slot now.
    pub(crate) fn at(&self, index: u32) -> Option<&Connection<S, C>> {
        self.slab.get(index as usize)
    }

    /// The id of whoever lives in a slot now.
    pub(crate) fn id_at(&self, index: u32) -> Option<ConnId> {
        self.at(index)
            .map(|conn| ConnId::new(conn.generation, index))
    }

    /// Takes a connection out; its slot is free for the next one.
    pub(crate) fn remove(&mut self, id: ConnId) -> Option<Connection<S, C>> {
        self.of(id)?;
        self.slab.try_remove(id.index() as usize)
    }
}

impl<S, C> Links for Entries<S, C> {
    fn link(&mut self, index: u32) -> &mut Link {
        &mut self.slab[index as usize].timer
    }
}
