//! What a channel's home does: it numbers, keeps, counts and tells.

use std::sync::Arc;

use super::channel::Channel;
use super::letter::{Answer, Draft, Letter, Question, ReplyTo};
use super::shard::Hub;
use super::types::{
    ClientId, ClientInfo, Epoch, Event, HistoryQuery, Position, Publication, Refusal,
};
use super::world::World;

/// Events that may wait at one worker before a channel with subscribers there takes no more: large ones
/// count as several, so this is a bound of some 64 MiB, too.
const EVENTS_WAITING_MAX: usize = 16_384;
/// Channels looked at per sweep for what is too old.
const SWEPT_AT_ONCE: usize = 256;
/// How long a channel is remembered that was published to and has nothing left: as long as its
/// position is good for anything.
const REMEMBERED_MS: u64 = 24 * 3_600_000;

impl<F: Clone> Hub<F> {
    /// Answers what is asked of a channel that lives here.
    pub(crate) fn answer(
        &mut self,
        world: &mut impl World<Frame = F>,
        channel: &str,
        question: Question,
        reply_to: ReplyTo,
    ) {
        let answer = match question {
            Question::Subscribe {
                client,
                worker,
                recover,
            } => return self.admit(world, channel, (&client, worker, recover), reply_to),
            Question::Unsubscribe { client, worker } => {
                self.see_off(world, channel, client, worker);
                Answer::Done
            }
            Question::Publish(draft) => return self.take(world, channel, draft, reply_to),
            Question::History(query) => self.history(channel, &query),
            Question::ForgetHistory => match self.channels.find(channel) {
                Some(place) if self.is_journaled(place) && self.channels.at(place).taken > 0 => {
                    return self.wait_to_forget(place, reply_to);
                }
                Some(place) => {
                    self.ledger.clear(&mut self.channels.at_mut(place).history);
                    Answer::Done
                }
                None => Answer::Done,
            },
            Question::Presence => match self.channels.find(channel) {
                _ if !self.options_of(channel).is_some_and(|o| o.presence) => {
                    Answer::Refused(Refusal::NotAvailable)
                }
                Some(place) => Answer::Presence(self.channels.at(place).presence()),
                None => Answer::Presence(Default::default()),
            },
            Question::PresenceStats => match self.channels.find(channel) {
                _ if !self.options_of(channel).is_some_and(|o| o.presence) => {
                    Answer::Refused(Refusal::NotAvailable)
                }
                Some(place) => Answer::PresenceStats(self.channels.at(place).presence_stats()),
                None => Answer::PresenceStats(Default::default()),
            },
        };
        self.reply(world, reply_to, answer);
    }

    /// One more subscriber. It is answered before anybody is told of it, and before anything that is
    /// published from now on.
    fn admit(
        &mut self,
        world: &mut impl World<Frame = F>,
        channel: &str,
        (client, worker, recover): (&Arc<ClientInfo>, u16, Option<Position>),
        reply_to: ReplyTo,
    ) {
        let Some(place) = self.channel(channel) else {
            return self.reply(world, reply_to, Answer::Refused(Refusal::UnknownChannel));
        };
        self.expire(place);
        let channel = self.channels.at_mut(place);
        let options = self.namespaces.at(channel.namespace);
        channel.enter(worker);
        if options.presence || options.join_leave {
            channel.appear(client);
        }
        let subscribed = channel.greet(options, recover);
        match (subscribed.was_recovering, subscribed.recovered) {
            (true, true) => self.tally.recovered += 1,
            (true, false) => self.tally.not_recovered += 1,
            _ => {}
        }
        let is_told = options.join_leave;
        self.reply(world, reply_to, Answer::Subscribed(subscribed));
        if is_told {
            self.tell(world, place, &Event::Join(client.clone()));
        }
    }

    /// One fewer, whether it said so or died.
    fn see_off(
        &mut self,
        world: &mut impl World<Frame = F>,
        channel: &str,
        client: ClientId,
        worker: u16,
    ) {
        let Some(place) = self.channels.find(channel) else {
            return;
        };
        let channel = self.channels.at_mut(place);
        let is_told = self.namespaces.at(channel.namespace).join_leave;
        channel.leave(worker);
        channel.used_ms = self.now_ms;
        let gone = channel.disappear(client);
        if let Some(gone) = gone.filter(|_| is_told) {
            self.tell(world, place, &Event::Leave(gone));
        }
        self.drop_forgotten(place);
    }

    /// Takes a publication, or refuses it whole: what is taken reaches everybody.
    fn take(
        &mut self,
        world: &mut impl World<Frame = F>,
        channel: &str,
        draft: Draft,
        reply_to: ReplyTo,
    ) {
        let Some(place) = self.channel(channel) else {
            return self.reply(world, reply_to, Answer::Refused(Refusal::UnknownChannel));
        };
        let is_busy = |worker: u16| {
            let waiting = match worker == self.worker {
                true => self.events,
                false => world.events_waiting(worker.into()),
            };
            !self.has_room(worker.into()) || waiting > EVENTS_WAITING_MAX
        };
        let is_journaled = self.is_journaled(place);
        let may_wait = !is_journaled || self.may_wait();
        if !may_wait || self.channels.at(place).interested().any(is_busy) {
            self.tally.busy += 1;
            self.drop_forgotten(place);
            return self.reply(world, reply_to, Answer::Refused(Refusal::Busy));
        }
        let channel = self.channels.at_mut(place);
        channel.used_ms = self.now_ms;
        let options = self.namespaces.at(channel.namespace);
        let keeps = options.history_size > 0 && !draft.is_fleeting;
        if keeps {
            channel.taken += 1;
        }
        let publication = Arc::new(Publication {
            offset: if keeps { channel.taken } else { 0 },
            unix_ms: self.now_ms,
            payload: draft.payload,
            publisher: draft.publisher,
            key: draft.key,
            tags: draft.tags,
        });
        if is_journaled && (keeps || channel.waiting > 0) {
            return self.wait_with(place, publication, keeps, reply_to);
        }
        let answer = self.commit(world, place, publication, keeps);
        self.reply(world, reply_to, answer);
    }

    /// A publication is in the channel from now on.
    pub(crate) fn commit(
        &mut self,
        world: &mut impl World<Frame = F>,
        place: u32,
        publication: Arc<Publication>,
        keeps: bool,
    ) -> Answer {
        self.tally.published += 1;
        let channel = self.channels.at_mut(place);
        if keeps {
            channel.position.offset = publication.offset;
            let size = self.namespaces.at(channel.namespace).history_size;
            let kept = publication.clone();
            self.ledger
                .keep((place, channel.stamp), &mut channel.history, kept, size);
        }
        let position = match keeps {
            true => channel.position,
            false => Position::default(),
        };
        let receivers = channel.subscribers();
        self.tell(world, place, &Event::Publication(publication));
        if keeps {
            self.make_room();
        } else {
            self.drop_forgotten(place);
        }
        Answer::Published {
            position,
            receivers,
        }
    }

    /// One letter to each worker with subscribers.
    fn tell(&mut self, world: &mut impl World<Frame = F>, place: u32, event: &Event) {
        let channel = self.channels.at(place);
        let workers: Vec<_> = channel.interested().collect();
        let name = channel.name.clone();
        for worker in workers {
            let letter = Letter::Event {
                channel: name.clone(),
                event: event.clone(),
            };
            self.send(world, worker.into(), letter);
        }
    }

    fn history(&mut self, channel: &str, query: &HistoryQuery) -> Answer {
        let is_kept = self
            .options_of(channel)
            .is_some_and(|options| options.history_size > 0);
        if !is_kept {
            return Answer::Refused(Refusal::NotAvailable);
        }
        let Some(place) = self.channel(channel) else {
            return Answer::Refused(Refusal::UnknownChannel);
        };
        self.expire(place);
        let channel = self.channels.at(place);
        let page = channel.history.page(query, channel.position);
        self.drop_forgotten(place);
        match page {
            Ok(page) => Answer::History(page),
            Err(_) => Answer::Refused(Refusal::BadPosition),
        }
    }

    /// The place of a channel, which begins to exist if it does not.
    fn channel(&mut self, name: &str) -> Option<u32> {
        if let Some(place) = self.channels.find(name) {
            return Some(place);
        }
        let (_, namespace) = self.checked(name).ok()?;
        self.last_stamp = self.last_stamp.wrapping_add(1);
        let epoch = Epoch::new(self.epoch);
        let channel = Channel::new(name, namespace, self.last_stamp, epoch);
        Some(self.channels.insert(channel))
    }

    fn options_of(&self, channel: &str) -> Option<&super::options::Options> {
        let name = super::types::ChannelName::new(channel).ok()?;
        Some(self.namespaces.at(self.namespaces.of(name)?))
    }

    /// Lets go of what is too old.
    pub(crate) fn expire(&mut self, place: u32) {
        let channel = self.channels.at_mut(place);
        let ttl_ms = self.namespaces.at(channel.namespace).history_ttl_ms;
        let before_ms = self.now_ms.saturating_sub(ttl_ms);
        self.ledger.expire(&mut channel.history, before_ms);
    }

    /// Lets go of the oldest of all histories while they are too large together.
    pub(crate) fn make_room(&mut self) {
        while let Some((place, stamp, offset)) = self.ledger.next_victim() {
            if !self.channels.contains(place) || self.channels.at(place).stamp != stamp {
                continue;
            }
            let history = &mut self.channels.at_mut(place).history;
            let before = history.len();
            self.ledger.evict(history, offset);
            self.tally.history_evicted += (before - history.len()) as u64;
        }
        if self.ledger.is_stale() {
            let channels = &self.channels;
            self.ledger.strike_out(|place, stamp, offset| {
                channels.contains(place)
                    && channels.at(place).stamp == stamp
                    && channels.at(place).history.has(offset)
            });
        }
    }

    /// Looks at some channels for what is too old; called a few times a second.
    pub fn sweep(&mut self) {
        self.expire_some();
        // What has expired is in the order of their coming still; where nobody publishes any more, nobody
        // else would strike it out.
        self.make_room();
    }

    fn expire_some(&mut self) {
        for _ in 0..SWEPT_AT_ONCE {
            if self.sweep_at >= self.channels.places() {
                self.sweep_at = 0;
                return;
            }
            let place = self.sweep_at as u32;
            self.sweep_at += 1;
            if self.channels.contains(place) {
                self.expire(place);
                self.drop_forgotten(place);
            }
        }
    }

    /// Forgets a channel with nothing in it. One that was never published to can be forgotten at
    /// once: whoever comes back to it with its position finds the same again. One that was is
    /// remembered for a day; after that the epoch of all that begin to exist is another, so that
    /// no old position fits by chance.
    fn drop_forgotten(&mut self, place: u32) {
        let channel = self.channels.at(place);
        let is_untouched = channel.position.offset == 0;
        let is_old = self.now_ms.saturating_sub(channel.used_ms) >= REMEMBERED_MS;
        if channel.is_empty() && (is_untouched || is_old) {
            self.channels.remove(place);
            if !is_untouched {
                self.change_epoch();
            }
        }
    }
}
