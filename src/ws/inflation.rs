//! A compressed message that has arrived whole and is being inflated, over several turns if need be.

use super::close::Violation;
use super::deflate::{Codec, Compression, Inflating, Progress};
use super::frame::{HEADROOM, Kind};
use super::inbound::{Found, Rules};
use super::utf8::Utf8Stream;

/// The state of one message between the turns of a worker.
#[derive(Debug)]
pub(super) struct Inflation {
    kind: Kind,
    /// [`HEADROOM`] bytes, then the compressed payload; empty if it still lies in the receive
    /// buffer.
    compressed: Vec<u8>,
    /// [`HEADROOM`] bytes, then the text so far: it leaves as a reply's buffer.
    text: Vec<u8>,
    utf8: Utf8Stream,
    /// The worker's inflater, while we have it.
    ongoing: Option<Inflating>,
}

impl Inflation {
    /// Of a payload that is handed to [`Self::advance`].
    pub(super) fn new(kind: Kind) -> Self {
        Self::of(kind, Vec::new())
    }

    /// Of the payload behind the first [`HEADROOM`] bytes.
    pub(super) fn of(kind: Kind, compressed: Vec<u8>) -> Self {
        Self {
            kind,
            compressed,
            text: vec![0; HEADROOM],
            utf8: Utf8Stream::new(),
            ongoing: None,
        }
    }

    /// What the connection holds; the inflater is the worker's.
    pub(super) fn held_bytes(&self) -> usize {
        size_of::<Self>() + self.compressed.capacity() + self.text.capacity()
    }

    /// Whether another call would yield at once.
    pub(super) fn must_wait(&self, codec: &Codec) -> bool {
        codec.would_yield(self.ongoing.is_some())
    }

    /// Gives the inflater back, and with it what it has done: the payload is inflated anew.
    pub(super) fn release(&mut self) {
        self.ongoing = None;
        self.text.truncate(HEADROOM);
        self.text.shrink_to_fit();
        self.utf8 = Utf8Stream::new();
    }

    /// Keeps a payload that [`Self::advance`] was not done with.
    pub(super) fn keep(&mut self, compressed: &[u8]) {
        self.compressed.reserve_exact(HEADROOM + compressed.len());
        self.compressed.resize(HEADROOM, 0);
        self.compressed.extend_from_slice(compressed);
    }

    /// Goes on with the payload that was kept.
    pub(super) fn resume(
        &mut self,
        rules: &Rules,
        link: &mut Compression,
        codec: &mut Codec,
    ) -> Result<Found, Violation> {
        let kept = std::mem::take(&mut self.compressed);
        let found = self.advance(&kept[HEADROOM..], rules, link, codec)?;
        self.compressed = kept;
        Ok(found)
    }

    /// Inflates as much of the message as this turn's allowance pays for.
    ///
    /// Text is validated slice by slice, so that a bad one is refused without inflating the rest.
    pub(super) fn advance(
        &mut self,
        compressed: &[u8],
        rules: &Rules,
        link: &mut Compression,
        codec: &mut Codec,
    ) -> Result<Found, Violation> {
        let known = self.text.len();
        let (ongoing, text) = (&mut self.ongoing, &mut self.text);
        let progress = codec.inflate(link, ongoing, compressed, text, rules.message_bytes_max)?;
        if self.kind == Kind::Text {
            self.utf8.feed(&self.text[known..])?;
        }
        if progress == Progress::Yield {
            return Ok(Found::Yield);
        }
        self.utf8.finish()?;
        let text = std::mem::take(&mut self.text);
        Ok(Found::Assembled(self.kind, text))
    }
}

#[cfg(test)]
mod tests;
