//! What the running connection has said in this run, held back until the handler returns.
//!
//! ```text
//!  receive buffer ──(large reply, framed where it was read)──┐
//!  cork.bytes     ──(small replies, control frames: copied)──┼─> one send / writev ─> kernel
//!  message Vec    ──(assembled or inflated, moved)───────────┤            │ takes not all
//!  SharedFrame    ──(reference)──────────────────────────────┘            v
//!                                                             OutQueue (leftovers copied)
//! ```
//!
//! Over TLS the same pieces are sealed first, into the worker's scratch, and sent from there.
//!
//! It is emptied before the next connection runs, because the receive buffer is the worker's
//! and the next `recv` overwrites it.

use std::io::{self, ErrorKind, IoSlice};
use std::ops::Range;

use super::Stream;
use super::connection::Backlog;
use super::outqueue::OutQueue;
use super::shared_frame::SharedFrame;
use super::tls::Sealer;
use crate::ws::message::Framed;

/// Frames below this are copied together: cheaper than one more piece for the kernel to walk.
pub(crate) const COPY_BELOW_BYTES: usize = 2048;
/// Held-back bytes after which a run writes before it goes on.
const FULL_BYTES: usize = 128 << 10;
/// Pieces after which a run writes before it goes on: what one `writev` carries.
const FULL_PIECES: usize = 32;

enum Piece {
    Corked(Range<usize>),
    Received(Range<usize>),
    Owned(Vec<u8>, usize),
    Shared(SharedFrame),
}

impl Piece {
    fn bytes<'a>(&'a self, corked: &'a [u8], received: &'a [u8]) -> &'a [u8] {
        match self {
            Self::Corked(range) => &corked[range.clone()],
            Self::Received(range) => &received[range.clone()],
            Self::Owned(bytes, from) => &bytes[*from..],
            Self::Shared(frame) => frame.bytes(),
        }
    }
}

/// The held-back output of one run.
#[derive(Default)]
pub(crate) struct Cork {
    /// The only reply so far, in the receive buffer: the usual case, and it is sent from there.
    /// Empty if there is none, or if it became a piece because more was said.
    alone: Range<usize>,
    bytes: Vec<u8>,
    pieces: Vec<Piece>,
    total: usize,
    /// `bytes[..gathered]` belongs to pieces; what lies behind was appended since.
    gathered: usize,
}

impl Cork {
    /// Memory kept for the next run.
    pub(crate) fn held_bytes(&self) -> usize {
        self.bytes.capacity() + self.pieces.capacity() * size_of::<Piece>()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.alone.is_empty() && self.pieces.is_empty() && self.bytes.is_empty()
    }

    /// Time to write before more is said.
    pub(crate) fn is_full(&self) -> bool {
        self.total + self.bytes.len() - self.gathered >= FULL_BYTES
            || self.pieces.len() >= FULL_PIECES
    }

    /// Where small things are appended.
    #[inline]
    pub(crate) fn tail(&mut self) -> &mut Vec<u8> {
        if !self.alone.is_empty() {
            self.gather();
        }
        &mut self.bytes
    }

    /// A reply framed where its message lies.
    #[inline]
    pub(crate) fn push_framed(&mut self, framed: Framed) {
        match framed {
            Framed::InPlace { start, end } if self.is_empty() => self.alone = start..end,
            Framed::InPlace { start, end } => self.push(end - start, Piece::Received(start..end)),
            Framed::Owned { buffer, start } => {
                self.push(buffer.len() - start, Piece::Owned(buffer, start));
            }
        }
    }

    /// A frame shared with other connections.
    pub(crate) fn push_shared(&mut self, frame: SharedFrame) {
        self.push(frame.bytes().len(), Piece::Shared(frame));
    }

    fn push(&mut self, len: usize, piece: Piece) {
        self.gather();
        self.total += len;
        self.pieces.push(piece);
    }

    /// Makes pieces of the lonely reply and of what was appended.
    #[cold]
    fn gather(&mut self) {
        if !self.alone.is_empty() {
            let alone = std::mem::take(&mut self.alone);
            self.total += alone.len();
            self.pieces.push(Piece::Received(alone));
        }
        let range = self.gathered..self.bytes.len();
        if !range.is_empty() {
            self.gathered = range.end;
            self.total += range.len();
            self.pieces.push(Piece::Corked(range));
        }
    }

    /// Sends everything; what the kernel does not take goes to the queue. `received` is the
    /// receive buffer the in-place replies lie in. Answers whether anything is left.
    #[inline(always)]
    pub(crate) fn flush<S: Stream>(
        &mut self,
        received: &[u8],
        stream: &mut S,
        backlog: &mut Option<Box<Backlog>>,
        blocked: bool,
    ) -> io::Result<bool> {
        let behind = backlog
            .as_ref()
            .is_some_and(|backlog| backlog.queue.bytes() > 0);
        let mut sent = 0;
        if self.pieces.is_empty() && !behind {
            let bytes = match self.alone.is_empty() {
                false => &received[self.alone.clone()],
                true => &self.bytes[..],
            };
            match send_once(stream, bytes) {
                Ok(all) if all == bytes.len() => {
                    self.alone = 0..0;
                    self.bytes.clear();
                    return Ok(true);
                }
                Ok(some) => sent = some,
                Err(error) => {
                    self.clear(); // or the next connection would say it
                    return Err(error);
                }
            }
        }
        let all = self.flush_pieces(received, stream, backlog, sent, blocked);
        self.clear();
        all
    }

    /// What is not one piece, or was not taken whole: `sent` bytes of it are gone.
    #[cold]
    fn flush_pieces<S: Stream>(
        &mut self,
        received: &[u8],
        stream: &mut S,
        backlog: &mut Option<Box<Backlog>>,
        mut sent: usize,
        blocked: bool,
    ) -> io::Result<bool> {
        self.gather();
        let queue = backlog.as_mut().map_or(0, |backlog| backlog.queue.bytes());
        if queue == 0 && sent == 0 {
            sent = self.write_once(received, stream)?;
            if sent == self.total {
                return Ok(true);
            }
        }
        // Order: what was queued before goes first, and this goes behind it.
        let queue = &mut backlog.get_or_insert_default().queue;
        self.leave_rest(received, sent, queue);
        if blocked {
            return Ok(false); // the kernel has said no; the writable event will say yes
        }
        // A short write is not yet a refusal: ask until the kernel says so, or the edge that
        // reports room again would never come.
        queue.flush(stream)
    }

    fn write_once<S: Stream>(&self, received: &[u8], stream: &mut S) -> io::Result<usize> {
        if let [piece] = &self.pieces[..] {
            return send_once(stream, piece.bytes(&self.bytes, received));
        }
        let mut slices = [IoSlice::new(&[]); FULL_PIECES + 2];
        let count = self.pieces.len().min(slices.len());
        for (slice, piece) in slices.iter_mut().zip(&self.pieces) {
            *slice = IoSlice::new(piece.bytes(&self.bytes, received));
        }
        taken(stream.send_vectored(&slices[..count]))
    }

    /// Moves all but the first `sent` bytes to the queue.
    fn leave_rest(&mut self, received: &[u8], mut sent: usize, queue: &mut OutQueue) {
        for piece in self.pieces.drain(..) {
            let len = piece.bytes(&self.bytes, received).len();
            let skip = sent.min(len);
            sent -= skip;
            if skip == len {
                continue;
            }
            match piece {
                Piece::Owned(bytes, from) => queue.push_owned(bytes, from + skip),
                Piece::Shared(frame) => queue.push_shared(frame, skip),
                Piece::Corked(range) => queue.push_copy(&self.bytes[range][skip..]),
                Piece::Received(range) => queue.push_copy(&received[range][skip..]),
            }
        }
    }

    /// Sends everything sealed, in as few records as possible and a write for each scratch full of
    /// them. What the kernel does not take goes to the queue: as records where they are made, because
    /// their numbers are spent, else as it is. Answers whether nothing is left.
    pub(crate) fn flush_sealed<S: Stream>(
        &mut self,
        received: &[u8],
        stream: &mut S,
        sealer: &mut Sealer<'_>,
        backlog: &mut Option<Box<Backlog>>,
        blocked: bool,
    ) -> io::Result<bool> {
        self.gather();
        let behind = backlog
            .as_ref()
            .is_some_and(|backlog| backlog.queue.bytes() > 0);
        let sent = match behind {
            true => Ok(0),
            false => self.send_sealed(received, stream, sealer, backlog),
        };
        let is_queue_empty = |backlog: &Backlog| backlog.queue.bytes() == 0;
        let all = match sent {
            Ok(sent) if sent == self.total && backlog.as_deref().is_none_or(is_queue_empty) => {
                Ok(true)
            }
            Ok(sent) => {
                let queue = &mut backlog.get_or_insert_default().queue;
                self.leave_rest(received, sent, queue);
                match blocked {
                    true => Ok(false),
                    false => queue.flush_sealed(stream, sealer),
                }
            }
            Err(error) => Err(error),
        };
        self.clear();
        all
    }

    /// Seals and sends until the kernel takes less than it is offered; how far that went.
    fn send_sealed<S: Stream>(
        &self,
        received: &[u8],
        stream: &mut S,
        sealer: &mut Sealer<'_>,
        backlog: &mut Option<Box<Backlog>>,
    ) -> io::Result<usize> {
        let mut done = 0;
        while done < self.total {
            let (taken, records) = sealer.seal(self.from(received, done));
            if records.is_empty() {
                return Ok(self.total); // nothing can be said any more
            }
            done += taken;
            let sent = send_once(stream, records)?;
            if sent < records.len() {
                let queue = &mut backlog.get_or_insert_default().queue;
                queue.push_sealed(&records[sent..]);
                break;
            }
        }
        Ok(done)
    }

    /// The pieces in order, without the first `skip` bytes.
    fn from<'a>(
        &'a self,
        received: &'a [u8],
        mut skip: usize,
    ) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        self.pieces.iter().map(move |piece| {
            let bytes = piece.bytes(&self.bytes, received);
            let gone = skip.min(bytes.len());
            skip -= gone;
            &bytes[gone..]
        })
    }

    #[cold]
    pub(crate) fn clear(&mut self) {
        self.alone = 0..0;
        self.bytes.clear();
        self.pieces.clear();
        self.total = 0;
        self.gathered = 0;
        if self.bytes.capacity() > KEEP_BYTES {
            self.bytes = Vec::new(); // one giant reply must not stay with the worker for ever
        }
    }
}

/// What the cork keeps allocated between runs.
const KEEP_BYTES: usize = 1 << 20;

/// One write: how much of `bytes` the kernel took.
#[inline]
pub(crate) fn send_once<S: Stream>(stream: &mut S, bytes: &[u8]) -> io::Result<usize> {
    taken(stream.send(bytes))
}

/// How much one write took: nothing, if the kernel had no room or a signal came first.
#[inline]
fn taken(outcome: io::Result<usize>) -> io::Result<usize> {
    match outcome {
        Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Ok(0),
        outcome => outcome,
    }
}
