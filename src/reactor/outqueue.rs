//! What a connection still owes its peer: shared frames and leftovers, counted in bytes.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice};

use super::Stream;
use super::cork::send_once;
use super::shared_frame::SharedFrame;
use super::tls::Sealer;

/// Pieces handed to one `writev`. The kernel allows 1024; past a few dozen the call is long
/// enough that its entry cost no longer shows.
const PIECES_PER_WRITE: usize = 64;

/// One piece of the queue; `sent` bytes of it are gone.
struct Chunk {
    bytes: Bytes,
    /// `sent <= bytes.len()`; a fully sent chunk leaves the queue at once.
    sent: usize,
}

enum Bytes {
    Owned(Vec<u8>),
    Shared(SharedFrame),
    /// Records of TLS, already made: only ever the first chunk of a queue.
    Sealed(Vec<u8>),
}

impl Chunk {
    fn rest(&self) -> &[u8] {
        let all = match &self.bytes {
            Bytes::Owned(bytes) | Bytes::Sealed(bytes) => bytes,
            Bytes::Shared(frame) => frame.bytes(),
        };
        &all[self.sent..]
    }
}

/// The queue behind a peer that reads more slowly than we have things to say.
#[derive(Default)]
pub(crate) struct OutQueue {
    chunks: VecDeque<Chunk>,
    /// The sum of all `rest()`.
    bytes: usize,
}

impl OutQueue {
    /// Bytes still owed.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Memory of the queue. A shared frame is not counted: it is not ours alone.
    pub(crate) fn held_bytes(&self) -> usize {
        let owned = self.chunks.iter().map(|chunk| match &chunk.bytes {
            Bytes::Owned(bytes) | Bytes::Sealed(bytes) => bytes.capacity(),
            Bytes::Shared(_) => 0,
        });
        self.chunks.capacity() * size_of::<Chunk>() + owned.sum::<usize>()
    }

    /// Queues bytes of our own, `from` that offset.
    pub(crate) fn push_owned(&mut self, bytes: Vec<u8>, from: usize) {
        self.push(Chunk {
            bytes: Bytes::Owned(bytes),
            sent: from,
        });
    }

    /// Queues a copy of bytes that will not stay where they are.
    pub(crate) fn push_copy(&mut self, bytes: &[u8]) {
        // Small leftovers in a row become one chunk: a flood of pongs must not cost a
        // chunk header each.
        if let Some(Chunk {
            bytes: Bytes::Owned(last),
            ..
        }) = self.chunks.back_mut()
            && last.len() + bytes.len() <= COALESCE_BYTES
        {
            last.extend_from_slice(bytes);
            self.bytes += bytes.len();
            return;
        }
        self.push_owned(bytes.to_vec(), 0);
    }

    /// Queues a reference to a frame that others send too.
    pub(crate) fn push_shared(&mut self, frame: SharedFrame, from: usize) {
        self.push(Chunk {
            bytes: Bytes::Shared(frame),
            sent: from,
        });
    }

    /// Queues records of TLS: behind those that are there, in front of what is still to be sealed.
    pub(crate) fn push_sealed(&mut self, records: &[u8]) {
        self.bytes += records.len();
        if let Some(Chunk {
            bytes: Bytes::Sealed(before),
            ..
        }) = self.chunks.front_mut()
        {
            return before.extend_from_slice(records);
        }
        let bytes = Bytes::Sealed(records.to_vec());
        self.chunks.push_front(Chunk { bytes, sent: 0 });
    }

    fn push(&mut self, chunk: Chunk) {
        let rest = chunk.rest().len();
        if rest > 0 {
            self.bytes += rest;
            self.chunks.push_back(chunk);
        }
    }

    /// Writes until the queue is empty (`Ok(true)`) or the kernel takes no more (`Ok(false)`).
    pub(crate) fn flush<S: Stream>(&mut self, stream: &mut S) -> io::Result<bool> {
        while !self.chunks.is_empty() {
            let mut pieces = [IoSlice::new(&[]); PIECES_PER_WRITE];
            let count = self.chunks.len().min(PIECES_PER_WRITE);
            for (piece, chunk) in pieces.iter_mut().zip(&self.chunks) {
                *piece = IoSlice::new(chunk.rest());
            }
            match stream.send_vectored(&pieces[..count]) {
                Ok(sent) => self.forget(sent),
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(true)
    }

    /// The same for a peer that speaks TLS: what is queued is sealed at last, from where it lies.
    pub(crate) fn flush_sealed<S: Stream>(
        &mut self,
        stream: &mut S,
        sealer: &mut Sealer<'_>,
    ) -> io::Result<bool> {
        while let Some(front) = self.chunks.front() {
            if let Bytes::Sealed(_) = front.bytes {
                match stream.send(front.rest()) {
                    Ok(sent) => self.forget(sent),
                    Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(false),
                    Err(e) if e.kind() == ErrorKind::Interrupted => {}
                    Err(e) => return Err(e),
                }
                continue;
            }
            let (taken, records) = sealer.seal(self.chunks.iter().map(Chunk::rest));
            if records.is_empty() {
                *self = Self::default(); // nothing can be said any more
                break;
            }
            let sent = send_once(stream, records)?;
            self.forget(taken);
            if sent < records.len() {
                self.push_sealed(&records[sent..]);
            }
        }
        Ok(true)
    }

    /// Takes `sent` bytes off the front.
    fn forget(&mut self, mut sent: usize) {
        self.bytes -= sent;
        while let Some(front) = self.chunks.front_mut() {
            let rest = front.rest().len();
            if sent < rest {
                front.sent += sent;
                return;
            }
            sent -= rest;
            self.chunks.pop_front();
        }
    }
}

/// Leftovers up to this size share a chunk; beyond it copying costs more than a chunk does.
const COALESCE_BYTES: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reactor::script::Script;
    use crate::ws::frame::Kind;

    #[test]
    fn short_writes_lose_nothing_and_repeat_nothing() {
        for step in 1..40 {
            let mut stream = Script::new();
            stream.take_per_send(step);
            let mut queue = OutQueue::default();
            let frame = SharedFrame::message(Kind::Text, b"shared");
            queue.push_copy(b"one,");
            queue.push_shared(frame.clone(), 2);
            queue.push_owned(b"..two".to_vec(), 2);
            queue.push_copy(b"");
            assert_eq!(queue.bytes(), 4 + 6 + 3);
            assert!(queue.flush(&mut stream).expect("scripted"));
            assert_eq!(stream.sent(), b"one,sharedtwo");
            assert_eq!(queue.bytes(), 0);
        }
    }

    #[test]
    fn a_full_kernel_keeps_the_rest() {
        let mut stream = Script::new();
        stream.block_after(5);
        let mut queue = OutQueue::default();
        queue.push_copy(b"hello, world");
        assert!(!queue.flush(&mut stream).expect("scripted"));
        assert_eq!(queue.bytes(), 7);
        stream.unblock();
        assert!(queue.flush(&mut stream).expect("scripted"));
        assert_eq!(stream.sent(), b"hello, world");
    }
}
