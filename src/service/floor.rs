//! The hub's world: what it says becomes frames, and finds its way out of whatever handler runs.

use std::borrow::Cow;
use std::sync::Arc;

use super::app::Service;
use super::desk::Desk;
use super::frames;
use super::greeting::{Greeting, Hello};
use super::letter::Letter;
use super::replies;
use crate::dialect::centrifuge::{self, Connected, Push, Reply};
use crate::dialect::{self, chat};
use crate::hub::{
    self, Answer, Dialect, Disconnect, Event, Gap, Publication, Request, Session, Subscribed,
    Unsubscribed, World,
};
use crate::reactor::{ConnId, Outbox, Outgoing, SharedFrame, Stage};
use crate::ws::close::CloseCode;
use crate::ws::frame::Kind;

/// What a handler may say, whichever handler it is.
pub(super) trait Voice {
    /// A text message.
    fn say(&mut self, to: ConnId, text: &[u8]);
    /// Frames that others get, too; how many bytes wait for that connection then, if that is known.
    fn pass(&mut self, to: ConnId, frames: &[SharedFrame]) -> usize;
    /// Close, behind everything else.
    fn part(&mut self, to: ConnId, code: CloseCode, reason: Cow<'static, str>);
    /// A letter to another worker.
    #[expect(
        clippy::result_large_err,
        reason = "the letter comes back to be kept, not boxed"
    )]
    fn post(&mut self, worker: usize, letter: Letter) -> Result<(), Letter>;
}

impl Voice for Outbox<'_, Service> {
    fn say(&mut self, to: ConnId, text: &[u8]) {
        match to == self.id() {
            true => self.send(Kind::Text, text),
            false => self.others().say(to, text),
        }
    }

    fn pass(&mut self, to: ConnId, frames: &[SharedFrame]) -> usize {
        if to != self.id() {
            return self.others().pass(to, frames);
        }
        for frame in frames {
            self.send_shared(frame);
        }
        0
    }

    fn part(&mut self, to: ConnId, code: CloseCode, reason: Cow<'static, str>) {
        match to == self.id() {
            true => self.close(code, &reason),
            false => self.others().part(to, code, reason),
        }
    }

    fn post(&mut self, worker: usize, letter: Letter) -> Result<(), Letter> {
        Voice::post(self.others(), worker, letter)
    }
}

impl Voice for Outgoing<Letter> {
    fn say(&mut self, to: ConnId, text: &[u8]) {
        self.pass(to, &[SharedFrame::message(Kind::Text, text)]);
    }

    fn pass(&mut self, to: ConnId, frames: &[SharedFrame]) -> usize {
        for frame in frames {
            // A turn's bound is reached: rather than leave something out, leave it all.
            if !self.deliver(to, frame) {
                self.close(to, CloseCode::TRY_AGAIN, "too much at once");
                break;
            }
        }
        0
    }

    fn part(&mut self, to: ConnId, code: CloseCode, reason: Cow<'static, str>) {
        self.close(to, code, reason);
    }

    fn post(&mut self, worker: usize, letter: Letter) -> Result<(), Letter> {
        Self::post(self, worker, letter).map_err(|full| full.0)
    }
}

/// The voice of the service's own turn.
pub(super) struct OnStage<'a>(pub(super) &'a mut dyn Stage<Letter>);

impl Voice for OnStage<'_> {
    // At once, or it would come behind what the same turn's waves deliver.
    fn say(&mut self, to: ConnId, text: &[u8]) {
        self.pass(to, &[SharedFrame::message(Kind::Text, text)]);
    }

    fn pass(&mut self, to: ConnId, frames: &[SharedFrame]) -> usize {
        self.0.deliver(to, frames)
    }

    fn part(&mut self, to: ConnId, code: CloseCode, reason: Cow<'static, str>) {
        self.0.outgoing().close(to, code, reason);
    }

    fn post(&mut self, worker: usize, letter: Letter) -> Result<(), Letter> {
        Voice::post(self.0.outgoing(), worker, letter)
    }
}

/// The hub's world while a handler runs.
pub struct Floor<'a> {
    pub(super) desk: &'a mut Desk,
    pub(super) voice: &'a mut dyn Voice,
}

impl<'a> Floor<'a> {
    pub(super) fn new(desk: &'a mut Desk, voice: &'a mut dyn Voice) -> Self {
        Self { desk, voice }
    }

    /// Answers a command, together with others of its frame if it is among those that are just being
    /// answered.
    pub(super) fn reply(&mut self, to: &Session, number: u32, reply: &Reply<'_>) {
        let is_greeted = !self.desk.greetings.contains_key(&to.conn);
        if self.desk.own == Some(to.conn) && is_greeted {
            self.desk.batch.reply(number, reply);
            if self.desk.batch.is_full() {
                self.flush();
            }
            return;
        }
        let mut line = std::mem::take(&mut self.desk.scratch);
        line.clear();
        centrifuge::append_reply(&mut line, number, reply);
        self.say(to, &line);
        self.desk.scratch = line;
    }

    pub(super) fn push(&mut self, to: &Session, channel: &str, push: &Push<'_>) {
        let mut line = std::mem::take(&mut self.desk.scratch);
        line.clear();
        centrifuge::append_push(&mut line, channel, push);
        self.say(to, &line);
        self.desk.scratch = line;
    }

    pub(super) fn chat(&mut self, to: &Session, reply: &chat::Reply<'_>) {
        let mut line = std::mem::take(&mut self.desk.scratch);
        line.clear();
        chat::append_reply(&mut line, reply);
        self.say(to, &line);
        self.desk.scratch = line;
    }

    /// One text message, in its place behind what was said before.
    fn say(&mut self, to: &Session, text: &[u8]) {
        if self.desk.greetings.contains_key(&to.conn) {
            self.desk
                .hold(to.conn, &[SharedFrame::message(Kind::Text, text)]);
            return;
        }
        self.flush_for(to.conn);
        self.voice.say(ConnId::from_u64(to.conn), text);
    }

    /// What a subscriber missed.
    pub(super) fn tell_missed(&mut self, to: &Session, channel: &str, missed: &Subscribed) {
        for publication in &missed.publications {
            let event = Event::Publication(publication.clone());
            let Some(frame) = self.encode(to.dialect, channel, &event) else {
                continue;
            };
            if self
                .desk
                .hold(to.conn, std::slice::from_ref(&frame))
                .is_none()
            {
                self.flush_for(to.conn);
                self.voice.pass(ConnId::from_u64(to.conn), &[frame]);
            }
        }
    }

    /// Sends the answers that were collected.
    pub(super) fn flush(&mut self) {
        if let Some(own) = self.desk.own
            && !self.desk.batch.is_empty()
        {
            self.voice
                .say(ConnId::from_u64(own), self.desk.batch.bytes());
            self.desk.batch.clear();
        }
    }

    fn flush_for(&mut self, conn: u64) {
        if self.desk.own == Some(conn) {
            self.flush();
        }
    }

    /// The server has prolonged a connection without its asking.
    pub(super) fn tell_prolonged(&mut self, to: &Session, expires_at_s: Option<u64>) {
        if to.dialect == Dialect::Centrifuge {
            let ttl_s = self.desk.ttl_s(expires_at_s);
            self.push(to, "", &Push::Refresh { ttl_s });
        }
    }

    /// A session is to be welcomed when these channels have answered.
    pub(super) fn begin_greeting(&mut self, to: &Session, hello: Hello, channels: usize) {
        let greeting = Box::new(Greeting::new(hello, channels));
        self.desk.greetings.insert(to.conn, greeting);
    }

    /// One of them has, or never will. `false`: nobody waits for it.
    pub(super) fn note_greeting(
        &mut self,
        to: &Session,
        answer: Option<(&str, &Subscribed)>,
    ) -> bool {
        if self.desk.greetings.is_empty() {
            return false;
        }
        let Some(greeting) = self.desk.greetings.get_mut(&to.conn) else {
            return false;
        };
        if greeting.note(answer)
            && let Some(greeting) = self.desk.greetings.remove(&to.conn)
        {
            self.greet(to, *greeting);
        }
        true
    }

    /// The welcome, and then everything that had to wait for it.
    fn greet(&mut self, to: &Session, mut greeting: Greeting) {
        match greeting.hello {
            Hello::Centrifuge { number, ttl_s } => {
                let subs: Vec<_> = greeting
                    .subs
                    .iter()
                    .map(|(channel, subscribed)| (&**channel, subscribed.clone()))
                    .collect();
                self.welcome(to, number, ttl_s, &subs);
            }
            Hello::Chat => {
                let first = greeting.subs.first();
                let connected = chat::Reply::Connected {
                    user: &to.user,
                    position: first.and_then(|(_, subscribed)| subscribed.position),
                };
                self.chat(to, &connected);
                if let Some((channel, missed)) = first {
                    self.tell_missed(to, channel, missed);
                }
            }
        }
        let held = greeting.take_held();
        if !held.is_empty() {
            self.flush_for(to.conn);
            self.voice.pass(ConnId::from_u64(to.conn), &held);
        }
    }

    /// The reply to a connect command.
    pub(super) fn welcome(
        &mut self,
        to: &Session,
        number: u32,
        ttl_s: Option<u32>,
        subs: &[(&str, Subscribed)],
    ) {
        let client = self.desk.client_id(to.conn);
        let connected = Connected {
            client,
            version: env!("CARGO_PKG_VERSION"),
            ttl_s,
            ping_s: self.desk.settings.ping_ms.div_ceil(1_000),
            payload: None,
            subs,
        };
        self.reply(to, number, &Reply::Connect(&connected));
    }
}

impl World for Floor<'_> {
    type Frame = SharedFrame;

    fn has_words(&self, dialect: Dialect, channel: &str, event: &Event) -> bool {
        frames::has_words(dialect, channel, event)
    }

    fn encode(&mut self, dialect: Dialect, channel: &str, event: &Event) -> Option<SharedFrame> {
        frames::frame(dialect, channel, event, &mut self.desk.scratch)
    }

    fn encode_behind(
        &mut self,
        dialect: Dialect,
        channel: &str,
        gap: &Gap,
        publication: &Arc<Publication>,
    ) -> Option<SharedFrame> {
        frames::frame_behind(dialect, channel, gap, publication, &mut self.desk.scratch)
    }

    fn deliver(&mut self, conn: u64, frames: &[SharedFrame]) -> usize {
        match self.desk.hold(conn, frames) {
            Some(held_bytes) => held_bytes,
            None => self.voice.pass(ConnId::from_u64(conn), frames),
        }
    }

    fn post(&mut self, worker: usize, letter: hub::Letter) -> Result<(), hub::Letter> {
        let posted = self.voice.post(worker, Letter::Hub(letter));
        posted.map_err(|letter| match letter {
            Letter::Hub(letter) => letter,
            _ => unreachable!("it is the letter that comes back"),
        })
    }

    fn workers(&self) -> usize {
        self.desk.common.workers()
    }

    fn events_waiting(&self, worker: usize) -> usize {
        self.desk.common.events_waiting(worker)
    }

    fn answer(&mut self, to: &Session, request: &Request, channel: &str, answer: &Answer) {
        if to.is_condemned.is_some() {
            return;
        }
        match to.dialect {
            Dialect::Centrifuge => replies::centrifuge(self, to, request, channel, answer),
            Dialect::Chat => replies::chat(self, to, request, channel, answer),
            Dialect::Raw => replies::raw(self, to, channel, answer),
        }
    }

    fn unsubscribed(&mut self, to: &Session, channel: &str, why: Unsubscribed) {
        self.desk.forget_grant(to.conn, channel);
        match to.dialect {
            Dialect::Centrifuge => self.push(to, channel, &Push::Unsubscribe(why)),
            Dialect::Chat => self.chat(to, &chat::Reply::Left { room: channel }),
            // A connection is its subscription.
            Dialect::Raw => self.disconnect(
                to,
                match why {
                    Unsubscribed::ByServer => Disconnect::ByServer,
                    Unsubscribed::InsufficientState => Disconnect::InsufficientState,
                    Unsubscribed::Expired => Disconnect::Expired,
                },
            ),
        }
    }

    fn disconnect(&mut self, to: &Session, why: Disconnect) {
        let (code, reason) = match to.dialect {
            Dialect::Centrifuge => centrifuge::close(why),
            Dialect::Chat | Dialect::Raw => dialect::close(why),
        };
        match why {
            Disconnect::Slow => self.desk.log(to, "disconnected, it reads too slowly"),
            Disconnect::Expired => self.desk.door.expired += 1,
            _ => {}
        }
        self.flush_for(to.conn);
        let code = CloseCode::new(code).unwrap_or(CloseCode::INTERNAL);
        self.voice
            .part(ConnId::from_u64(to.conn), code, reason.into());
    }
}
