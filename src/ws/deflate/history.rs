//! What a connection keeps for its compression: the text its windows still reach.

use super::Agreed;

/// The compression state of one connection. Whoever keeps millions of them keeps the
/// [parts](Self::into_parts): together they have 6 bytes of padding.
#[derive(Debug, Default)]
pub struct Compression {
    /// `None` without the extension.
    pub agreed: Option<Agreed>,
    histories: Option<Box<Histories>>,
}

const _: () = assert!(size_of::<Compression>() == 16);

impl Compression {
    /// The state of a connection that has just agreed on this.
    pub const fn new(agreed: Option<Agreed>) -> Self {
        Self {
            agreed,
            histories: None,
        }
    }

    /// The state whose parts these are.
    #[inline]
    pub const fn from_parts(agreed: Option<Agreed>, histories: Option<Box<Histories>>) -> Self {
        Self { agreed, histories }
    }

    /// What was agreed on, and the text that is kept for it, if any is.
    #[inline]
    pub fn into_parts(self) -> (Option<Agreed>, Option<Box<Histories>>) {
        (self.agreed, self.histories)
    }

    /// Bytes of memory held beside the struct itself.
    pub fn held_bytes(&self) -> usize {
        self.histories.as_ref().map_or(0, |held| held.held_bytes())
    }

    /// A message was sent that was compressed without a look at earlier ones: the peer's window has it
    /// nevertheless.
    pub fn remember_sent(&mut self, text: &[u8]) {
        if let Some(Agreed { ours, .. }) = self.agreed
            && ours.keeps_context()
        {
            self.sent().remember(text, ours.window_bytes());
        }
    }

    /// The text that was sent compressed.
    pub(super) fn sent(&mut self) -> &mut History {
        &mut self.histories.get_or_insert_default().sent
    }

    /// The text that was received compressed.
    pub(super) fn received(&mut self) -> &mut History {
        &mut self.histories.get_or_insert_default().received
    }
}

/// The text of both directions that windows still reach.
#[derive(Debug, Default)]
pub struct Histories {
    sent: History,
    received: History,
}

impl Histories {
    /// Bytes of memory in all.
    pub fn held_bytes(&self) -> usize {
        size_of::<Self>() + self.sent.0.capacity() + self.received.0.capacity()
    }
}

/// The last text of one direction, never more than its window.
#[derive(Debug, Default)]
pub(super) struct History(Vec<u8>);

impl History {
    pub(super) fn text(&self) -> &[u8] {
        &self.0
    }

    /// Appends `text` and forgets what the window no longer reaches.
    ///
    /// A ring would save the move, but not its copy: a dictionary is handed over in one piece.
    pub(super) fn remember(&mut self, text: &[u8], window_bytes: usize) {
        let text = &text[text.len().saturating_sub(window_bytes)..];
        let kept = self.0.len().min(window_bytes - text.len());
        self.0.drain(..self.0.len() - kept);
        let needed = kept + text.len();
        if needed > self.0.capacity() {
            // A window is a power of two, so doubling never overshoots it.
            self.0.reserve_exact(needed.next_power_of_two() - kept);
        }
        self.0.extend_from_slice(text);
    }
}
