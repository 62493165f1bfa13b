//! One connection of the generator: 120 bytes while it is idle, plain data; 128 more with TLS, in a slab.
//!
//! What it needs beyond that (a handshake under way, bytes that a full socket did not take) hangs off one
//! pointer and goes again. Messages under way are in `flights`.

use throng::reactor::wheel::Link;
use throng::tls::sessions::SessionId;
use throng::ws::deflate::Compression;
use throng::ws::inbound::Inbound;

use super::flights::Order;
use super::parting::NEVER_HEARD;
use crate::sequence::Sequence;
use crate::tuples::TupleId;

/// The life of a connection.
///
/// ```text
///              redial                     request sent              101
///  Waiting --------------> Dialing ------------------> Upgrading ---------> Open
///     ^                       | failed                     | failed          | lost, cut, life over
///     |   delay, retries left |                            |                 | or: our Close is out
///     +-----------------------+----------------------------+---- Dead <------+-------- Leaving
///                                             (given up, or not to come back: the entry is freed)
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Phase {
    /// No socket: waits to be dialled again.
    Waiting,
    /// SYN sent.
    Dialing,
    /// Request sent, or on its way.
    Upgrading,
    /// A WebSocket connection.
    Open,
    /// Our Close is out; theirs, and the end, are awaited.
    Leaving,
    /// Ended in this turn; reaped at its end.
    Dead,
}

/// Yes/no facts, one bit each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Flags(u16);

impl Flags {
    /// The peer's end is known to be behind the bytes: a short read is not the last.
    pub const HUNG_UP: Self = Self(1);
    /// A write failed: what was read before is worth reading, then it is over.
    pub const BROKEN: Self = Self(1 << 1);
    /// In the list of those with something to read.
    pub const QUEUED: Self = Self(1 << 2);
    /// A ping is out and nothing was heard since.
    pub const PINGED: Self = Self(1 << 3);
    /// An answer was given up for being late.
    pub const HAS_LATE: Self = Self(1 << 4);
    /// The peer said Close.
    pub const TOLD: Self = Self(1 << 5);
    /// Keeps still: neither reads nor writes nor answers.
    pub const MUTE: Self = Self(1 << 6);
    /// Was cut in a storm and is on its way back.
    pub const RETURNING: Self = Self(1 << 7);

    /// A member of its room: what is said there is expected of it, also while it is away.
    pub const MEMBER: Self = Self(1 << 8);
    /// In its room.
    pub const JOINED: Self = Self(1 << 9);
    /// Joined without having been away, or without what it missed.
    pub const FRESH: Self = Self(1 << 10);

    /// Whether this is so.
    #[must_use]
    pub const fn has(self, flag: Self) -> bool {
        self.0 & flag.0 != 0
    }

    /// It is so from now on.
    pub const fn set(&mut self, flag: Self) {
        self.0 |= flag.0;
    }

    /// It is no longer so.
    pub const fn clear(&mut self, flag: Self) {
        self.0 &= !flag.0;
    }
}

/// A handshake under way.
#[derive(Debug, Default)]
pub struct Opening {
    /// When it was dialled.
    pub began_ns: u64,
    /// Our nonce.
    pub nonce: [u8; 16],
    /// The response so far, when it came in pieces.
    pub received: Vec<u8>,
    /// How far it was searched for its end.
    pub scanned: usize,
    /// When the TCP connection stood.
    pub stood_ns: u64,
}

/// What an idle connection does not have.
#[derive(Debug, Default)]
pub struct Pending {
    /// Until the connection is open.
    pub opening: Option<Opening>,
    /// Bytes the socket did not take.
    pub unsent: Vec<u8>,
    /// How many of those it has taken since.
    pub sent: usize,
    /// How many of `unsent` are control frames.
    pub control_bytes: usize,
}

impl Pending {
    /// Bytes still to be written.
    #[must_use]
    pub fn rest(&self) -> &[u8] {
        &self.unsent[self.sent..]
    }

    fn is_empty(&self) -> bool {
        self.opening.is_none() && self.rest().is_empty()
    }
}

/// One connection.
#[derive(Debug)]
#[repr(C)]
pub struct Connection<S> {
    /// Its socket; none while it waits.
    pub stream: Option<S>,
    /// Its number in the run: what its messages and its token say.
    pub number: u32,
    /// Its timer.
    pub timer: Link,
    /// The receiving half.
    pub inbound: Inbound,
    /// What compression keeps.
    pub compression: Compression,
    /// What an idle connection does not have.
    pub pending: Option<Box<Pending>>,
    /// Its 4-tuple, while it has a socket.
    pub tuple: TupleId,
    /// Its TLS session, from the dial on.
    pub tls: Option<SessionId>,
    /// Its messages under way.
    pub order: Order,
    /// Number of its next message; in a room, the last offset it saw.
    pub next_seq: u32,
    /// The second in which it was last heard.
    pub heard_s: u32,
    /// The numbers it was answered.
    pub seen: Sequence,
    /// Its place in its cohort's roster, while it is open.
    pub place: u32,
    /// The tick at which something of its own is due: a heartbeat, an answer to one.
    pub due_tick: u32,
    /// The tick at which it ends: a life, a handshake's patience. In a room, the one in which it joined.
    pub end_tick: u32,
    /// Tells it from those that had this slot before.
    pub generation: u32,
    /// Its cohort.
    pub cohort: u8,
    /// Attempts that failed since it was last open.
    pub attempts: u8,
    /// Where it is in its life.
    pub phase: Phase,
    /// Facts.
    pub flags: Flags,
}

/// With the four bytes of its place in the roster, what an idle connection costs.
pub const CONNECTION_BYTES_MAX: usize = 128;
const _: () = assert!(
    size_of::<Option<Connection<throng::sys::Socket>>>() + size_of::<u32>() <= CONNECTION_BYTES_MAX
);

impl<S> Connection<S> {
    /// A connection that is about to be dialled.
    #[must_use]
    pub fn new(number: u32, cohort: u8, tuple: TupleId) -> Self {
        Self {
            stream: None,
            number,
            timer: Link::UNLINKED,
            inbound: Inbound::new(),
            compression: Compression::default(),
            pending: None,
            tuple,
            tls: None,
            order: Order::EMPTY,
            next_seq: 0,
            heard_s: NEVER_HEARD,
            seen: Sequence::starting_at(0),
            place: 0,
            due_tick: 0,
            end_tick: 0,
            generation: 0,
            cohort,
            attempts: 0,
            phase: Phase::Waiting,
            flags: Flags::default(),
        }
    }

    /// Back to the beginning, for another attempt.
    pub fn renew(&mut self) {
        self.inbound = Inbound::new();
        self.compression = Compression::default();
        self.pending = None;
        self.order = Order::EMPTY;
        self.heard_s = NEVER_HEARD;
        self.phase = Phase::Waiting;
        let is_member = self.flags.has(Flags::MEMBER);
        self.flags = Flags::default();
        if is_member {
            // It knows where it was, and wants what it missed.
            self.flags.set(Flags::MEMBER);
        } else {
            self.next_seq = 0;
            self.seen = Sequence::starting_at(0);
        }
    }

    /// Whether bytes wait for the socket.
    #[must_use]
    pub fn is_blocked(&self) -> bool {
        self.pending
            .as_ref()
            .is_some_and(|pending| !pending.rest().is_empty())
    }

    /// Frees what is no longer needed.
    pub fn drop_empty_pending(&mut self) {
        if self
            .pending
            .as_ref()
            .is_some_and(|pending| pending.is_empty())
        {
            self.pending = None;
        }
    }
}
