//! One connection: 64 bytes, one cache line, plain data.
//!
//! An idle connection owns nothing outside its entry. Whatever else it may need — a partial
//! head, a message being assembled, a queue behind a slow reader — hangs off a pointer that is
//! null again when the need is over.

use std::io;

use super::Stream;
use super::desk::Desk;
use super::origin::Origin;
use super::outqueue::OutQueue;
use super::wheel::Link;
use crate::tls::sessions::SessionId;
use crate::ws::deflate::{Agreed, Compression, Histories};
use crate::ws::inbound::Inbound;

/// The life of a connection.
///
/// ```text
///  accept ──> Opening ──101──> Open ──our Close──> Closing
///                │ refused       │ their Close,       │ their Close,
///                │               │ violation          │ violation
///                v               v                    v
///              Parting <─────────┴────────────────────┘
///                │ flushed, FIN sent, their FIN (or the close timeout)
///                v
///              Dead ──> reaped at the end of the turn
///  (reset, EOF without Close, timeouts, panics lead from anywhere to Dead)
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum Phase {
    /// The request head is not complete, nor is perhaps the TLS handshake before it.
    Opening,
    /// Messages flow.
    Open,
    /// Our Close is out; we read on until theirs comes.
    Closing,
    /// Nothing more will be said or heard: flush, send FIN, discard input until theirs.
    Parting,
    /// Waiting to be reaped.
    Dead,
}

/// Yes/no facts about a connection, one bit each.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Flags(u16);

impl Flags {
    /// The kernel may have bytes for us (or a FIN).
    pub(crate) const READABLE: Self = Self(1);
    /// The kernel refused bytes; a writable event will come.
    pub(crate) const BLOCKED: Self = Self(1 << 1);
    /// In the worker's ready list already.
    pub(crate) const QUEUED: Self = Self(1 << 2);
    /// In the worker's dirty list already.
    pub(crate) const DIRTY: Self = Self(1 << 3);
    /// A ping is out and nothing has been heard since.
    pub(crate) const PINGED: Self = Self(1 << 4);
    /// Their FIN (or a reset) is known to be behind the bytes: a short read is not the end.
    pub(crate) const HUNG_UP: Self = Self(1 << 5);
    /// The peer speaks TLS: what the kernel has for us is sealed, and so is what it gets.
    pub(crate) const TLS: Self = Self(1 << 6);
    /// The same, also if the kernel keeps its records (then `TLS` is not set).
    pub(crate) const CAME_BY_TLS: Self = Self(1 << 9);
    /// TLS has ended on their side: behind what was read so far is nothing.
    pub(crate) const TLS_OVER: Self = Self(1 << 7);
    /// A trusted load balancer has to say first who the client is.
    pub(crate) const AWAITS_PROXY: Self = Self(1 << 10);
    /// The beginning of a TLS record is here, its end is not.
    pub(crate) const MID_RECORD: Self = Self(1 << 8);

    #[inline]
    pub(crate) fn has(self, flag: Self) -> bool {
        self.0 & flag.0 != 0
    }

    #[inline]
    pub(crate) fn set(&mut self, flag: Self) {
        self.0 |= flag.0;
    }

    #[inline]
    pub(crate) fn clear(&mut self, flag: Self) {
        self.0 &= !flag.0;
    }
}

/// What is owed in either direction: a box of its own, because most connections owe nothing.
#[derive(Default)]
pub(crate) struct Backlog {
    /// What the peer has not read yet.
    pub(crate) queue: OutQueue,
    /// What we have not understood yet: a partial request head, or what was left when reading
    /// was paused in the middle of the receive buffer (then possibly nothing, but to be resumed).
    pub(crate) unread: Option<Vec<u8>>,
    /// How far a partial request head has been searched for its end.
    pub(crate) scanned: usize,
    /// Bytes thrown away since we parted.
    pub(crate) discarded: usize,
    /// Who the peer is, until the application has been told.
    pub(crate) origin: Option<Box<Origin>>,
}

impl Backlog {
    /// Memory of what was read and not understood.
    pub(crate) fn unread_bytes(&self) -> usize {
        self.unread.as_ref().map_or(0, Vec::capacity)
    }

    /// All memory held on to, the box itself included.
    pub(crate) fn held_bytes(&self) -> usize {
        let origin = self.origin.as_ref().map_or(0, |_| size_of::<Origin>());
        size_of::<Self>() + self.unread_bytes() + self.queue.held_bytes() + origin
    }
}

/// Everything the worker knows about one peer.
///
/// `repr(C)` keeps the order as written, without holes; the niche of `phase` lets the slab mark a
/// vacant slot without a byte of its own.
#[repr(C, align(64))]
pub(crate) struct Connection<S, C> {
    pub(crate) stream: S,
    pub(crate) generation: u32,
    /// The tick at which the peer last showed life, or at which the current wait began
    /// (accept, our ping, our Close): timers count from here.
    pub(crate) mark_tick: u32,
    pub(crate) timer: Link,
    /// TLS, from the first bytes until nothing is left to be said.
    pub(crate) tls: Option<SessionId>,
    pub(crate) flags: Flags,
    /// With `histories` a `Compression`, in parts: as one field it would have 6 bytes of padding.
    agreed: Option<Agreed>,
    pub(crate) phase: Phase,
    pub(crate) inbound: Inbound,
    histories: Option<Box<Histories>>,
    /// What one side is behind with; null while both keep up.
    pub(crate) backlog: Option<Box<Backlog>>,
    /// The application's own state, from the upgrade on.
    pub(crate) app: Option<C>,
}

impl<S, C> Connection<S, C> {
    pub(crate) fn new(stream: S, generation: u32, now_tick: u32) -> Self {
        Self {
            stream,
            generation,
            mark_tick: now_tick,
            inbound: Inbound::new(),
            agreed: None,
            histories: None,
            backlog: None,
            app: None,
            timer: Link::default(),
            tls: None,
            flags: Flags::default(),
            phase: Phase::Opening,
        }
    }

    /// What the timer is about: it is set anew when this changes.
    #[inline(always)]
    pub(crate) fn awaited(&self) -> (Phase, bool, Option<u32>) {
        let is_mid_record = self.flags.has(Flags::MID_RECORD);
        (self.phase, is_mid_record, self.inbound.begun_tick())
    }

    /// Whether the peer speaks TLS, whoever keeps its records.
    pub(crate) fn is_tls(&self) -> bool {
        self.flags.has(Flags::CAME_BY_TLS)
    }

    /// Lends the compression to a run.
    #[inline(always)]
    pub(crate) fn take_compression(&mut self) -> Compression {
        Compression::from_parts(self.agreed, self.histories.take())
    }

    /// Takes it back.
    #[inline(always)]
    pub(crate) fn put_compression(&mut self, compression: Compression) {
        (self.agreed, self.histories) = compression.into_parts();
    }

    /// Memory held by the compression.
    pub(crate) fn compression_bytes(&self) -> usize {
        self.histories.as_ref().map_or(0, |held| held.held_bytes())
    }

    /// Bytes queued behind the peer.
    #[inline]
    pub(crate) fn queued_bytes(&self) -> usize {
        queued_bytes(&self.backlog)
    }

    /// Whether bytes were read and not yet understood.
    #[inline]
    pub(crate) fn has_unread(&self) -> bool {
        self.backlog
            .as_ref()
            .is_some_and(|backlog| backlog.unread.is_some())
    }

    /// Keeps bytes that were read and cannot be understood yet.
    pub(crate) fn keep_unread(&mut self, bytes: Vec<u8>, scanned: usize) {
        let backlog = self.backlog.get_or_insert_default();
        (backlog.unread, backlog.scanned) = (Some(bytes), scanned);
    }

    /// Takes them back, and how far they were scanned.
    #[inline]
    pub(crate) fn take_unread(&mut self) -> Option<(Vec<u8>, usize)> {
        let backlog = self.backlog.as_mut()?;
        let unread = backlog.unread.take().map(|bytes| (bytes, backlog.scanned));
        self.drop_empty_backlog();
        unread
    }

    /// There is something to do without waiting for an event.
    #[inline(always)]
    pub(crate) fn wants_to_run(&self, queue_bytes_high: usize) -> bool {
        match &self.backlog {
            None => self.flags.has(Flags::READABLE) && self.phase != Phase::Dead,
            Some(backlog) => self.wants_to_run_behind(backlog, queue_bytes_high),
        }
    }

    /// A peer that does not read what it is sent is not read from either: that is the
    /// back-pressure.
    #[cold]
    fn wants_to_run_behind(&self, backlog: &Backlog, queue_bytes_high: usize) -> bool {
        let readable = self.flags.has(Flags::READABLE);
        match self.phase {
            Phase::Opening | Phase::Parting => readable,
            Phase::Open | Phase::Closing => {
                (readable || backlog.unread.is_some()) && backlog.queue.bytes() <= queue_bytes_high
            }
            Phase::Dead => false,
        }
    }

    /// The peer is alive as of now.
    #[inline]
    pub(crate) fn heard(&mut self, now_tick: u32) {
        self.mark_tick = now_tick;
        self.flags.clear(Flags::PINGED);
    }

    /// Frees the backlog's memory once both sides have caught up.
    pub(crate) fn drop_empty_backlog(&mut self) {
        let has_origin = |backlog: &Backlog| backlog.origin.is_some();
        let is_kept = self.backlog.as_deref().is_some_and(has_origin);
        if self.queued_bytes() == 0 && !self.has_unread() && !is_kept {
            self.backlog = None;
        }
    }
}

impl<S: Stream, C> Connection<S, C> {
    /// Writes what the cork holds for this connection.
    #[inline(always)]
    pub(crate) fn flush(&mut self, desk: &mut Desk) -> io::Result<()> {
        if desk.cork.is_empty() {
            return Ok(());
        }
        if self.flags.has(Flags::TLS) {
            return self.flush_sealed(desk);
        }
        let blocked = self.flags.has(Flags::BLOCKED);
        let (stream, backlog) = (&mut self.stream, &mut self.backlog);
        if !desk.cork.flush(&desk.recv, stream, backlog, blocked)? {
            self.flags.set(Flags::BLOCKED);
        }
        Ok(())
    }
}

/// Bytes queued behind the peer whose backlog this is.
#[inline]
pub(crate) fn queued_bytes(backlog: &Option<Box<Backlog>>) -> usize {
    backlog.as_ref().map_or(0, |backlog| backlog.queue.bytes())
}
