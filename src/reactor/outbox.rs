//! What a handler may say: to its own connection, to others, to other workers.

use std::borrow::Cow;

use super::app::App;
use super::cork::{COPY_BELOW_BYTES, Cork};
use super::mailbox::{Full, Post};
use super::shared_frame::SharedFrame;
use super::{ConnId, Mail};
use crate::ws::close::{CloseCode, append_close_payload};
use crate::ws::deflate::{Codec, Compression};
use crate::ws::frame::{Kind, Opcode, append_frame};
use crate::ws::message::Message;

/// Deliveries a worker holds before it refuses more: one handler may not fill the memory.
const DELIVERIES_MAX: usize = 65_536;

/// What leaves a handler for somebody else than the connection it runs for.
pub struct Outgoing<L> {
    pub(crate) deliveries: Vec<(ConnId, SharedFrame)>,
    pub(crate) farewells: Vec<(ConnId, CloseCode, Cow<'static, str>)>,
    pub(crate) now_tick: u32,
    posts: Vec<Post<Mail<L>>>,
}

impl<L: Send + 'static> Outgoing<L> {
    pub(crate) fn new(posts: Vec<Post<Mail<L>>>) -> Self {
        Self {
            deliveries: Vec::new(),
            farewells: Vec::new(),
            now_tick: 0,
            posts,
        }
    }

    /// Queues a frame for a connection of this worker; it leaves at the end of the turn.
    /// `false` if this turn's bound is reached.
    pub fn deliver(&mut self, to: ConnId, frame: &SharedFrame) -> bool {
        let room = self.deliveries.len() < DELIVERIES_MAX;
        if room {
            self.deliveries.push((to, frame.clone()));
        }
        room
    }

    /// Says Close to a connection of this worker, behind what was delivered to it, at the end of the
    /// turn. The reason is cut at 123 bytes.
    pub fn close(&mut self, to: ConnId, code: CloseCode, reason: impl Into<Cow<'static, str>>) {
        self.farewells.push((to, code, reason.into()));
    }

    /// The time of this turn, in ticks of a tenth of a second.
    pub fn now_tick(&self) -> u32 {
        self.now_tick
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.deliveries.is_empty() && self.farewells.is_empty()
    }

    /// How many workers there are.
    pub fn workers(&self) -> usize {
        self.posts.len()
    }

    /// Puts a letter into another worker's mailbox.
    pub fn post(&mut self, worker: usize, letter: L) -> Result<(), Full<L>> {
        self.posts[worker]
            .post(Mail::App(letter))
            .map_err(|full| match full.0 {
                Mail::App(letter) => Full(letter),
                _ => unreachable!("it is the letter that comes back"),
            })
    }
}

/// The voice of a handler.
pub struct Outbox<'a, A: App> {
    pub(crate) id: ConnId,
    pub(crate) cork: &'a mut Cork,
    pub(crate) codec: &'a mut Codec,
    pub(crate) compression: &'a mut Compression,
    pub(crate) outgoing: &'a mut Outgoing<A::Letter>,
    pub(crate) queued_bytes: usize,
    pub(crate) closing: &'a mut bool,
}

impl<A: App> Outbox<'_, A> {
    /// The connection this handler runs for.
    pub fn id(&self) -> ConnId {
        self.id
    }

    /// Whether Close has been said.
    pub fn is_closing(&self) -> bool {
        *self.closing
    }

    /// Bytes this peer has not read yet: a measure of how far it lags.
    pub fn queued_bytes(&self) -> usize {
        self.queued_bytes
    }

    /// Sends a message back as it came. Nothing is copied if it is large or all there is to say:
    /// its frame is written into the header room of the very frame it answers.
    #[inline(always)]
    pub fn reply(&mut self, message: Message<'_>) {
        let in_place = self.cork.is_empty() || message.len() >= COPY_BELOW_BYTES;
        if !in_place
            || self
                .codec
                .worth_compressing(self.compression, message.len())
        {
            self.send(message.kind(), message.payload());
        } else if !*self.closing {
            self.cork.push_framed(message.into_frame(None));
        }
    }

    /// Sends a message.
    #[inline]
    pub fn send(&mut self, kind: Kind, payload: &[u8]) {
        if *self.closing {
            return;
        }
        let tail = self.cork.tail();
        if self
            .codec
            .worth_compressing(self.compression, payload.len())
            && let Some(squeezed) = self.codec.compress(self.compression, payload)
        {
            append_frame(tail, Opcode::from(kind), true, None, squeezed);
        } else {
            append_frame(tail, Opcode::from(kind), false, None, payload);
        }
    }

    /// Sends a frame that others send too, by reference.
    pub fn send_shared(&mut self, frame: &SharedFrame) {
        if !*self.closing {
            let frame = frame.for_link(self.codec, self.compression);
            self.cork.push_shared(frame);
        }
    }

    /// Says Close; nothing can be said behind it. The reason is cut at 123 bytes.
    pub fn close(&mut self, code: CloseCode, reason: &str) {
        if !*self.closing {
            append_close(self.cork.tail(), code, reason);
            *self.closing = true;
        }
    }

    /// Deliveries and letters to others.
    pub fn others(&mut self) -> &mut Outgoing<A::Letter> {
        self.outgoing
    }
}

/// A Close frame of ours.
pub(crate) fn append_close(out: &mut Vec<u8>, code: CloseCode, reason: &str) {
    let mut payload = Vec::with_capacity(2 + reason.len());
    append_close_payload(&mut payload, code, reason);
    append_frame(out, Opcode::Close, false, None, &payload);
}
