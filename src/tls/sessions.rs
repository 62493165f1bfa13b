//! All TLS of one worker: handshakes under way, keys of those that are done, and what is in between.
//!
//! ```text
//!  accept / connect ──> Link (rustls; a bounded number) ──finished──> keys: 128 bytes a connection
//!                          └─────── TLS 1.2, or Mode::Rustls: stays ───────┐
//!  received ──receive──> plaintext where it was received, replies owed to `out`
//!  frames ────seal─────> records in the worker's scratch
//! ```
//!
//! A connection remembers four bytes, a [`SessionId`]. Plaintext is never kept here: `receive` hands
//! over all there is, so nothing is ever pending without an event.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::num::NonZeroU32;
use std::ops::Range;

use slab::Slab;

use super::engine::{
    ClientTls, Introduction, KEPT_OVERHEAD_MAX, Link, Refusal, ServerTls, Stage, TicketSink,
};
use super::keys::{KeyId, KeyStore, Role};
use super::record::{ALERT_RECORD_LEN, BudgetSpent, End, OVERHEAD, Sealed, Tail, TailBudget};
use super::{Fault, Suite};
use crate::sys::ktls;

/// Which session a connection has: 4 bytes, and `Option` of it is 4 bytes, too. Whoever holds it calls
/// [`Sessions::remove`] in the end.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub struct SessionId(NonZeroU32);

enum Kind {
    Keys(KeyId),
    Link(usize),
}

impl SessionId {
    fn of_link(slot: usize) -> Self {
        Self(KeyId::foreign_word(slot as u32))
    }

    fn kind(self) -> Kind {
        match KeyId::from_word(self.0) {
            Ok(id) => Kind::Keys(id),
            Err(slot) => Kind::Link(slot as usize),
        }
    }
}

impl From<KeyId> for SessionId {
    fn from(id: KeyId) -> Self {
        Self(id.word())
    }
}

const _: () = assert!(size_of::<Option<SessionId>>() == 4);

/// How much one worker's TLS may take.
#[derive(Clone, Copy, Debug)]
pub struct SessionLimits {
    /// Handshakes at once. Each takes 4 KB, up to 20 KB while its peer dawdles.
    pub handshakes_max: usize,
    /// Bytes of records that are not whole, of all connections together.
    pub tail_bytes_max: usize,
}

impl Default for SessionLimits {
    fn default() -> Self {
        Self {
            handshakes_max: 1024,
            tail_bytes_max: 64 << 20,
        }
    }
}

/// What came of received bytes.
#[derive(Debug)]
pub struct Received {
    /// Where in the buffer the peer's words are.
    pub plaintext: Range<usize>,
    /// The handshake ended with these bytes. The plaintext, if any, came behind it.
    pub established: Option<Box<Established>>,
    /// Whether the stream goes on; it ended behind the plaintext.
    pub ending: Ending,
}

/// A handshake that is done.
#[derive(Debug)]
pub struct Established {
    /// What the session is called from now on.
    pub id: SessionId,
    /// What the peers have learned about each other.
    pub introduction: Introduction,
}

/// Whether a stream goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// More may follow.
    Open,
    /// The peer said close_notify: all it said is here.
    Closed,
    /// It cannot go on. What there is to say about it is in `out` already: send it, and close.
    Broken(Trouble),
}

/// Why a session cannot go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Trouble {
    /// The peer broke the rules for records.
    Record(Fault),
    /// The handshake came to nothing.
    Handshake(Refusal),
    /// The worker keeps as many unfinished records as it may.
    TooManyTails,
    /// There is no memory for the keys.
    NoMemory,
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Record(fault) => fault.fmt(f),
            Self::Handshake(refusal) => refusal.fmt(f),
            Self::TooManyTails => f.write_str("too many records that are not whole"),
            Self::NoMemory => f.write_str("no memory for the keys"),
        }
    }
}

impl std::error::Error for Trouble {}

/// All sessions of one worker.
#[derive(Debug)]
pub struct Sessions {
    limits: SessionLimits,
    keys: KeyStore,
    /// A slot is empty from a hand-over that failed until it is removed.
    links: Slab<Option<Box<Link>>>,
    /// How many of the links are handshakes.
    handshakes: usize,
    tails: BTreeMap<SessionId, Tail>,
    tail_budget: TailBudget,
    /// Clients that have not heard their ticket yet.
    sinks: BTreeMap<SessionId, TicketSink>,
    /// Bytes on their way into or out of rustls, which cannot work in place.
    scratch: Vec<u8>,
}

impl Sessions {
    /// None yet, all of one role.
    #[must_use]
    pub fn new(role: Role, limits: SessionLimits) -> Self {
        Self {
            limits,
            keys: KeyStore::new(role),
            links: Slab::new(),
            handshakes: 0,
            tails: BTreeMap::new(),
            tail_budget: TailBudget::new(limits.tail_bytes_max),
            sinks: BTreeMap::new(),
            scratch: Vec::new(),
        }
    }

    /// Begins a handshake with a client, at its first bytes and not before: a connection that says
    /// nothing costs nothing. `None` if as many are under way as may be; the bytes can wait.
    pub fn accept(&mut self, tls: &ServerTls) -> Option<SessionId> {
        if self.handshakes >= self.limits.handshakes_max {
            return None;
        }
        Some(self.insert(Link::server(tls).ok()?))
    }

    /// Begins a handshake with a server; its first flight goes to `out`. `None` as in `accept`.
    pub fn connect(&mut self, tls: &ClientTls, out: &mut Vec<u8>) -> Option<SessionId> {
        if self.handshakes >= self.limits.handshakes_max {
            return None;
        }
        let mut link = Link::client(tls).ok()?;
        link.receive(&mut [], out, &mut Vec::new()).ok()?;
        Some(self.insert(link))
    }

    fn insert(&mut self, link: Link) -> SessionId {
        self.handshakes += 1;
        SessionId::of_link(self.links.insert(Some(Box::new(link))))
    }

    /// How many bytes to leave free in front of what is received next: a part of a record may be
    /// waiting for its end.
    #[must_use]
    pub fn pending_len(&self, id: SessionId) -> usize {
        match id.kind() {
            Kind::Keys(_) if self.tails.is_empty() => 0,
            Kind::Keys(_) => self.tails.get(&id).map_or(0, Tail::len),
            Kind::Link(slot) => self.links[slot].as_ref().map_or(0, |link| link.held_len()),
        }
    }

    /// Takes what was received at `buffer[fresh]`. What the peer has to hear is appended to `out`, and
    /// goes out before anything that is sealed later.
    pub fn receive(
        &mut self,
        id: SessionId,
        buffer: &mut [u8],
        fresh: Range<usize>,
        out: &mut Vec<u8>,
    ) -> Received {
        match id.kind() {
            Kind::Keys(key) => self.open(key, buffer, fresh, out),
            Kind::Link(slot) => self.drive(slot, buffer, fresh, out),
        }
    }

    /// The life after the handshake.
    fn open(
        &mut self,
        key: KeyId,
        buffer: &mut [u8],
        fresh: Range<usize>,
        out: &mut Vec<u8>,
    ) -> Received {
        let id = key.into();
        let start = fresh.end;
        let (plaintext, ending, owes_reply) = match self.join(id, buffer, fresh) {
            Ok(span) => self.open_span(key, buffer, span),
            Err(trouble) => (start..start, Ending::Broken(trouble), false),
        };
        if owes_reply {
            append(out, SMALL_RECORD_LEN, |room| {
                self.keys.seal(key, [], room).ciphertext
            });
        }
        if let Some(alert) = ending.alert() {
            append(out, ALERT_RECORD_LEN, |room| {
                self.keys.alert(key, alert, room)
            });
        }
        Received {
            plaintext,
            established: None,
            ending,
        }
    }

    fn open_span(
        &mut self,
        key: KeyId,
        buffer: &mut [u8],
        span: Range<usize>,
    ) -> (Range<usize>, Ending, bool) {
        let id = key.into();
        let mut sink = match self.sinks.is_empty() {
            true => None,
            false => self.sinks.get_mut(&id),
        };
        let mut has_ticket = false;
        let opened = self.keys.open(key, buffer, span, |ticket| {
            has_ticket = true;
            if let Some(sink) = &mut sink {
                sink.hear(ticket);
            }
        });
        // A ticket comes first, if one comes: nobody waits for it for ever.
        if sink.is_some() && (has_ticket || !opened.plaintext.is_empty()) {
            self.sinks.remove(&id);
        }
        let ending = match (opened.end, self.keep(id, &buffer[opened.rest])) {
            (End::Broken(fault), _) => Ending::Broken(Trouble::Record(fault)),
            (_, Err(trouble)) => Ending::Broken(trouble),
            (End::Open, Ok(())) => Ending::Open,
            (End::Closed, Ok(())) => Ending::Closed,
        };
        (opened.plaintext, ending, opened.owes_reply)
    }

    /// Puts a record's first part in front of what came now.
    fn join(
        &mut self,
        id: SessionId,
        buffer: &mut [u8],
        fresh: Range<usize>,
    ) -> Result<Range<usize>, Trouble> {
        if self.tails.is_empty() {
            return Ok(fresh);
        }
        let Some(tail) = self.tails.get_mut(&id) else {
            return Ok(fresh);
        };
        let span = tail.join(buffer, fresh, &mut self.tail_budget);
        let span = span.map_err(|BudgetSpent| Trouble::TooManyTails)?;
        if tail.is_empty() {
            self.tails.remove(&id);
        }
        Ok(span)
    }

    fn keep(&mut self, id: SessionId, rest: &[u8]) -> Result<(), Trouble> {
        if rest.is_empty() {
            return Ok(());
        }
        let tail = self.tails.entry(id).or_default();
        tail.keep(rest, &mut self.tail_budget)
            .map_err(|BudgetSpent| Trouble::TooManyTails)
    }

    /// The handshake, and the life after it if rustls keeps the connection.
    fn drive(
        &mut self,
        slot: usize,
        buffer: &mut [u8],
        fresh: Range<usize>,
        out: &mut Vec<u8>,
    ) -> Received {
        let Some(link) = &mut self.links[slot] else {
            return Received::broken(fresh.end..fresh.end, Trouble::NoMemory);
        };
        let was_handshaking = link.stage() == Stage::Handshaking;
        let start = fresh.start - link.held_len();
        self.scratch.clear();
        let result = link.receive(&mut buffer[fresh], out, &mut self.scratch);
        let plaintext = start..start + self.scratch.len();
        buffer[plaintext.clone()].copy_from_slice(&self.scratch);
        let stage = match result {
            Ok(stage) => stage,
            Err(refusal) => return Received::broken(plaintext, Trouble::Handshake(refusal)),
        };
        let mut received = Received {
            plaintext,
            established: None,
            ending: if stage == Stage::Closed {
                Ending::Closed
            } else {
                Ending::Open
            },
        };
        if was_handshaking && stage != Stage::Handshaking {
            self.handshakes -= 1;
            match self.establish(slot, stage) {
                Ok(established) => received.established = Some(Box::new(established)),
                Err(trouble) => received.ending = Ending::Broken(trouble),
            }
        }
        received
    }

    /// A handshake is done: whose is the connection now?
    fn establish(&mut self, slot: usize, stage: Stage) -> Result<Established, Trouble> {
        let mut link = self.links[slot].take().expect("it has just been driven");
        let introduction = link.introduction();
        if stage == Stage::Closed || !link.is_to_hand_over() {
            link.forget_handshake();
            self.links[slot] = Some(link);
            let id = SessionId::of_link(slot);
            return Ok(Established { id, introduction });
        }
        let (handover, rest, sink) = link.hand_over().map_err(Trouble::Handshake)?;
        let keys = self
            .keys
            .insert(handover.suite, &handover.read(), &handover.write());
        let id = SessionId::from(keys.map_err(|_: io::Error| Trouble::NoMemory)?);
        if let Err(trouble) = self.keep(id, &rest) {
            self.remove(id);
            return Err(trouble);
        }
        if let Some(sink) = sink {
            self.sinks.insert(id, sink);
        }
        self.links.remove(slot);
        Ok(Established { id, introduction })
    }

    /// Puts what `pieces` says into as few records as possible, for as long as `out` has room.
    pub fn seal<'p>(
        &mut self,
        id: SessionId,
        pieces: impl IntoIterator<Item = &'p [u8]>,
        out: &mut [u8],
    ) -> Sealed {
        match id.kind() {
            Kind::Keys(key) => self.keys.seal(key, pieces, out),
            Kind::Link(slot) => match &mut self.links[slot] {
                Some(link) => link.seal(pieces.into_iter(), &mut self.scratch, out),
                None => Sealed::default(),
            },
        }
    }

    /// Says close_notify, the last thing that is said; `out` has room for [`CLOSE_LEN_MAX`] bytes. The
    /// answer is how many there are: none before the handshake is done, or the second time.
    pub fn close(&mut self, id: SessionId, out: &mut [u8]) -> usize {
        match id.kind() {
            Kind::Keys(key) => self.keys.alert(key, 0, out),
            Kind::Link(slot) => match &mut self.links[slot] {
                Some(link) => link.close(out),
                None => 0,
            },
        }
    }

    /// Changes the keys of both directions with the next record (TLS 1.3 only).
    pub fn refresh(&mut self, id: SessionId) {
        match id.kind() {
            Kind::Keys(key) => self.keys.refresh(key),
            Kind::Link(slot) => {
                if let Some(link) = &mut self.links[slot] {
                    link.refresh();
                }
            }
        }
    }

    /// Whether a stream that ends now was cut off: the peer has not said that it is over, so anybody on
    /// the way may have ended it.
    pub fn is_truncated(&mut self, id: SessionId) -> bool {
        match id.kind() {
            Kind::Keys(key) => !self.keys.has_heard_close(key),
            Kind::Link(slot) => {
                let link = self.links[slot].as_ref();
                link.is_none_or(|link| link.stage() != Stage::Closed)
            }
        }
    }

    /// The keys themselves, for tests that play the villain.
    #[cfg(test)]
    pub(super) fn keys_of(&mut self, id: SessionId) -> Option<(&mut KeyStore, KeyId)> {
        match id.kind() {
            Kind::Keys(key) => Some((&mut self.keys, key)),
            Kind::Link(_) => None,
        }
    }

    /// Lends the keys of both directions (read, write) to `install`, which hands them to the kernel:
    /// [`ktls::install`]. `None`, without asking it, if the session cannot be handed over: rustls
    /// keeps it, a record has begun to arrive, or something was promised to the peer.
    pub fn export<T>(
        &mut self,
        id: SessionId,
        install: impl FnOnce(&ktls::Keys<'_>, &ktls::Keys<'_>) -> T,
    ) -> Option<T> {
        let Kind::Keys(key) = id.kind() else {
            return None;
        };
        if self.pending_len(id) > 0 {
            return None;
        }
        let keys = self.keys.exported(key)?;
        Some(install(
            &keys.read.exported(keys.suite),
            &keys.write.exported(keys.suite),
        ))
    }

    /// The suite, if the compact record layer has the connection.
    #[must_use]
    pub fn compact_suite(&self, id: SessionId) -> Option<Suite> {
        match id.kind() {
            Kind::Keys(key) => Some(key.suite()),
            Kind::Link(_) => None,
        }
    }

    /// Forgets a session. No key of it stays in memory.
    pub fn remove(&mut self, id: SessionId) {
        match id.kind() {
            Kind::Keys(key) => {
                self.keys.remove(key);
                if let Some(mut tail) = self.tails.remove(&id) {
                    tail.clear(&mut self.tail_budget);
                }
                self.sinks.remove(&id);
            }
            Kind::Link(slot) => {
                let link = self.links.remove(slot);
                let is_handshake = |link: &Link| link.stage() == Stage::Handshaking;
                if link.as_deref().is_some_and(is_handshake) {
                    self.handshakes -= 1;
                }
            }
        }
    }

    /// How many sessions there are, handshakes included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len() + self.links.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many handshakes are under way.
    #[must_use]
    pub fn handshakes(&self) -> usize {
        self.handshakes
    }

    /// How many are kept by rustls after their handshake.
    #[must_use]
    pub fn kept_by_rustls(&self) -> usize {
        self.links.len() - self.handshakes
    }

    /// Whether the handshake of a session is under way.
    #[must_use]
    pub fn is_handshaking(&self, id: SessionId) -> bool {
        let Kind::Link(slot) = id.kind() else {
            return false;
        };
        let link = self.links[slot].as_ref();
        link.is_some_and(|link| link.stage() == Stage::Handshaking)
    }

    /// Memory of all sessions. What rustls has of them does not say how large it is: it is measured,
    /// and reckoned with.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        let links = self.links.len() * LINK_BYTES;
        self.keys.held_bytes() + self.tail_bytes() + links + self.scratch.capacity()
    }

    /// Bytes of records that are not whole.
    #[must_use]
    pub fn tail_bytes(&self) -> usize {
        self.tail_budget.bytes()
    }
}

impl Received {
    fn broken(plaintext: Range<usize>, trouble: Trouble) -> Self {
        Self {
            plaintext,
            established: None,
            ending: Ending::Broken(trouble),
        }
    }
}

impl Ending {
    /// What the compact record layer has to say about it.
    fn alert(self) -> Option<u8> {
        const INTERNAL_ERROR: u8 = 80;
        match self {
            Self::Broken(Trouble::Record(fault)) => fault.alert(),
            Self::Broken(_) => Some(INTERNAL_ERROR),
            Self::Open | Self::Closed => None,
        }
    }
}

/// Appends what `write` puts into `room` bytes.
fn append(out: &mut Vec<u8>, room: usize, write: impl FnOnce(&mut [u8]) -> usize) {
    let start = out.len();
    out.resize(start + room, 0);
    let written = write(&mut out[start..]);
    out.truncate(start + written);
}

/// A connection of rustls, under way or kept: 3.4 to 4.1 KB were measured.
const LINK_BYTES: usize = 4 << 10;
/// Room for a KeyUpdate.
const SMALL_RECORD_LEN: usize = OVERHEAD + 5;
/// Room that close_notify needs, whoever keeps the session.
pub const CLOSE_LEN_MAX: usize = KEPT_OVERHEAD_MAX;

#[cfg(test)]
mod tests;
