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
//! It is emptied before the next connection runs, because the receive buffer is the worker's
//! and the next `recv` overwrites it.

use std::io::{self, ErrorKind, IoSlice};
use std::ops::Range;

use super::Stream;
use super::connection::Backlog;
use super::outqueue::{OutQueue, SharedFrame};
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
    bytes: Vec<u8>,
    pieces: Vec<Piece>,
    total: usize,
    /// `bytes[..sealed]` belongs to pieces; what lies behind was appended since.
    sealed: usize,
}

impl Cork {
    pub(crate) fn is_empty(&self) -> bool {
        self.total == 0 && self.bytes.len() == self.sealed
    }

    /// Time to write before more is said.
    pub(crate) fn is_full(&self) -> bool {
        self.total + self.bytes.len() - self.sealed >= FULL_BYTES
            || self.pieces.len() >= FULL_PIECES
    }

    /// Where small things are appended.
    pub(crate) fn tail(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// A reply framed where its message lies.
    pub(crate) fn push_framed(&mut self, framed: Framed) {
        match framed {
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
        self.seal();
        self.total += len;
        self.pieces.push(piece);
    }

    /// Makes a piece of what was appended.
    fn seal(&mut self) {
        let range = self.sealed..self.bytes.len();
        if !range.is_empty() {
            self.sealed = range.end;
            self.total += range.len();
            self.pieces.push(Piece::Corked(range));
        }
    }

    /// Sends everything; what the kernel does not take goes to the queue. `received` is the
    /// receive buffer the in-place replies lie in. Answers whether anything is left.
    #[inline]
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
        let outcome = if self.pieces.is_empty() && !behind {
            send_all(stream, &self.bytes).map(|sent| {
                if sent < self.bytes.len() {
                    backlog
                        .get_or_insert_default()
                        .queue
                        .push_copy(&self.bytes[sent..]);
                }
                sent == self.bytes.len()
            })
        } else {
            self.flush_pieces(received, stream, backlog, behind, blocked)
        };
        self.clear();
        outcome
    }

    #[cold]
    fn flush_pieces<S: Stream>(
        &mut self,
        received: &[u8],
        stream: &mut S,
        backlog: &mut Option<Box<Backlog>>,
        behind: bool,
        blocked: bool,
    ) -> io::Result<bool> {
        self.seal();
        let sent = match behind {
            true => 0, // order: what is queued goes first
            false => self.write_once(received, stream)?,
        };
        if sent == self.total {
            return Ok(true);
        }
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
            return send_all(stream, piece.bytes(&self.bytes, received));
        }
        let mut slices = [IoSlice::new(&[]); FULL_PIECES + 2];
        let count = self.pieces.len().min(slices.len());
        for (slice, piece) in slices.iter_mut().zip(&self.pieces) {
            *slice = IoSlice::new(piece.bytes(&self.bytes, received));
        }
        loop {
            match stream.send_vectored(&slices[..count]) {
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(0),
                outcome => return outcome,
            }
        }
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

    fn clear(&mut self) {
        self.bytes.clear();
        self.pieces.clear();
        self.total = 0;
        self.sealed = 0;
        if self.bytes.capacity() > KEEP_BYTES {
            self.bytes = Vec::new(); // one giant reply must not stay with the worker for ever
        }
    }
}

/// What the cork keeps allocated between runs.
const KEEP_BYTES: usize = 1 << 20;

/// Writes until the kernel takes no more; says how much it took.
#[inline]
pub(crate) fn send_all<S: Stream>(stream: &mut S, bytes: &[u8]) -> io::Result<usize> {
    let mut sent = 0;
    while sent < bytes.len() {
        match stream.send(&bytes[sent..]) {
            Ok(more) => sent += more,
            Err(e) if e.kind() == ErrorKind::WouldBlock => break,
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(sent)
}
