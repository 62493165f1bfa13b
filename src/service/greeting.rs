//! A welcome that waits for channels.
//!
//! A client is told in its welcome where it stands in the channels that the server has put it into, and
//! it believes nothing about them before. The channels' homes answer one by one, and from its answer on a
//! home also sends what is published: that is held back until the welcome is out.

use crate::hub::Subscribed;
use crate::reactor::SharedFrame;

/// A welcome under way.
pub(super) struct Greeting {
    pub(super) hello: Hello,
    /// Channels that have not answered.
    pub(super) left: usize,
    /// Those that have.
    pub(super) subs: Vec<(Box<str>, Subscribed)>,
    held: Vec<SharedFrame>,
    held_bytes: usize,
}

/// What is said when it is complete.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Hello {
    /// The reply to the connect command of that number.
    Centrifuge { number: u32, ttl_s: Option<u32> },
    /// The first line of the chat.
    Chat,
}

impl Greeting {
    pub(super) fn new(hello: Hello, channels: usize) -> Self {
        Self {
            hello,
            left: channels,
            subs: Vec::new(),
            held: Vec::new(),
            held_bytes: 0,
        }
    }

    /// One of the channels has answered, or will not. `true`: it was the last one.
    pub(super) fn note(&mut self, answer: Option<(&str, &Subscribed)>) -> bool {
        if let Some((channel, subscribed)) = answer {
            self.subs.push((channel.into(), subscribed.clone()));
        }
        self.left = self.left.saturating_sub(1);
        self.left == 0
    }

    /// Keeps frames for later; how many bytes there are now. What becomes too much of them is for the
    /// hub to say, as of any reader that lags.
    pub(super) fn hold(&mut self, frames: &[SharedFrame]) -> usize {
        for frame in frames {
            self.held_bytes += frame.bytes().len();
            self.held.push(frame.clone());
        }
        self.held_bytes
    }

    pub(super) fn take_held(&mut self) -> Vec<SharedFrame> {
        std::mem::take(&mut self.held)
    }
}
