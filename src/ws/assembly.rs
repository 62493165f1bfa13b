//! A message that is being put together: fragments, or the pieces of a frame, in one vector.

use super::close::Violation;
use super::frame::{HEADROOM, Header, Kind, Opcode};
use super::mask::unmask_ascii;
use super::utf8::Utf8Stream;

/// What has arrived of a message.
#[derive(Debug)]
pub(super) struct Assembly {
    kind: Kind,
    is_compressed: bool,
    /// Only of uncompressed text.
    utf8: Utf8Stream,
    empty_fragments: u32,
    /// [`HEADROOM`] bytes, then the payload so far: it leaves as a reply's buffer.
    bytes: Vec<u8>,
}

impl Assembly {
    /// A message that begins with a frame of this opcode.
    pub(super) fn new(opcode: Opcode, is_compressed: bool) -> Self {
        Self {
            kind: if opcode == Opcode::Text {
                Kind::Text
            } else {
                Kind::Binary
            },
            is_compressed,
            utf8: Utf8Stream::new(),
            empty_fragments: 0,
            bytes: vec![0; HEADROOM],
        }
    }

    pub(super) fn is_compressed(&self) -> bool {
        self.is_compressed
    }

    pub(super) fn payload_len(&self) -> usize {
        self.bytes.len() - HEADROOM
    }

    pub(super) fn held_bytes(&self) -> usize {
        self.bytes.capacity()
    }

    /// Fragments without payload so far.
    pub(super) fn empty_fragments(&self) -> u32 {
        self.empty_fragments
    }

    pub(super) fn begin_fragment(&mut self, header: &Header) {
        if header.payload_len == 0 {
            self.empty_fragments += 1;
        }
    }

    /// Unmasks, validates and appends the next piece of `frame`'s payload.
    pub(super) fn take_chunk(
        &mut self,
        chunk: &mut [u8],
        frame: &mut OpenFrame,
    ) -> Result<(), Violation> {
        let is_ascii = match frame.key {
            Some(key) => unmask_ascii(chunk, key, frame.received),
            None => false,
        };
        let is_text = self.kind == Kind::Text && !self.is_compressed;
        if is_text && !(is_ascii && self.utf8.is_at_boundary()) {
            self.utf8.feed(chunk)?;
        }
        frame.received += chunk.len();
        self.make_room(chunk.len(), frame);
        self.bytes.extend_from_slice(chunk);
        Ok(())
    }

    /// The message, if it may end here: its kind, and its payload behind [`HEADROOM`] bytes.
    pub(super) fn finish(self) -> Result<(Kind, Vec<u8>), Violation> {
        self.utf8.finish()?;
        Ok((self.kind, self.bytes))
    }

    /// Allocates for what has arrived, at most twice over: a declared length is only a promise.
    fn make_room(&mut self, chunk_len: usize, frame: &OpenFrame) {
        let needed = self.bytes.len() + chunk_len;
        if needed <= self.bytes.capacity() {
            return;
        }
        let mut wanted = 2 * needed;
        if frame.fin {
            // The end is known: no byte beyond it will ever be needed.
            wanted = wanted.min(needed + frame.missing());
        }
        self.bytes.reserve_exact(wanted - self.bytes.len());
    }
}

/// A data frame whose header is read and whose payload is not.
#[derive(Debug)]
pub(super) struct OpenFrame {
    /// The last of its message.
    pub(super) fin: bool,
    key: Option<[u8; 4]>,
    payload_len: usize,
    /// `received <= payload_len`; also the phase of the mask.
    received: usize,
}

impl OpenFrame {
    /// `header` was checked against the limit, so its length fits.
    pub(super) fn new(header: &Header) -> Self {
        Self {
            fin: header.fin,
            key: header.key,
            payload_len: header.payload_len as usize,
            received: 0,
        }
    }

    /// Bytes of payload still to come.
    pub(super) fn missing(&self) -> usize {
        self.payload_len - self.received
    }
}
