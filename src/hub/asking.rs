//! What a session may ask for. What concerns a channel is asked of its home.

use super::lag::PAGE_PUBLICATIONS;
use super::letter::{Answer, Draft, Letter, Question, ReplyTo, Request};
use super::session::{Seat, SessionId};
use super::shard::Hub;
use super::topic::{Member, Topic};
use super::types::{ChannelName, HistoryQuery, Position, Refusal};
use super::world::World;

/// How somebody subscribes.
#[derive(Clone, Copy, Default, Debug)]
pub struct Subscribe<'a> {
    /// Where it stopped last time, if it wants what it missed.
    pub recover: Option<Position>,
    /// What its subscription token says about it.
    pub chan_info: Option<&'a str>,
    /// It has a subscription token for this channel, or the server itself subscribes it.
    pub is_entitled: bool,
    /// It has no wish to hear who comes and goes.
    pub is_aloof: bool,
}

impl<F: Clone> Hub<F> {
    /// A session subscribes; the answer is `Answer::Subscribed`, or a refusal, which may come at
    /// once.
    pub fn subscribe(
        &mut self,
        world: &mut impl World<Frame = F>,
        id: SessionId,
        channel: &str,
        how: Subscribe<'_>,
        request: Request,
    ) -> Result<(), Refusal> {
        let (name, namespace) = self.checked(channel)?;
        let session = self.sessions.of(id).ok_or(Refusal::NotAvailable)?;
        let may = match name.personal_to() {
            Some(user) => !user.is_empty() && *user == *session.user,
            None => {
                let right = self.namespaces.at(namespace).subscribe;
                right.is_given_to(session, false)
            }
        };
        if !may && !how.is_entitled {
            return Err(Refusal::PermissionDenied);
        }
        let place = self.topics.find(channel);
        if place.is_some_and(|topic| session.seats.in_topic(topic).is_some()) {
            return Err(Refusal::AlreadySubscribed);
        }
        let count = session.seats.all().len() + 1;
        let limit = self.limits.channels_per_connection;
        if !limit.allows(count, &mut self.tally.channel_limit) {
            return Err(Refusal::LimitExceeded);
        }
        let home = self.home(channel);
        let topic = place.unwrap_or_else(|| {
            self.topics
                .insert(Topic::new(channel, home as u16, namespace))
        });
        self.topics.at_mut(topic).waiting += 1;
        self.last_ticket = self.last_ticket.wrapping_add(1);
        self.tickets.insert((id.index, topic), self.last_ticket);
        self.subscriptions += 1;
        self.sessions.at_mut(id.index).seats.push(Seat {
            topic,
            place: Seat::WAITING,
        });
        let client = self.client_info(id, how.chan_info);
        let question = Question::Subscribe {
            client: client.expect("the session was found above"),
            worker: self.worker,
            recover: how.recover,
        };
        let reply_to = ReplyTo::Subscriber {
            worker: self.worker,
            session: id,
            channel: channel.into(),
            ticket: self.last_ticket,
            is_aloof: how.is_aloof,
            request,
        };
        self.ask(world, channel, question, reply_to);
        Ok(())
    }

    /// The server subscribes a session, as far as that is possible.
    pub(crate) fn subscribe_for(
        &mut self,
        world: &mut impl World<Frame = F>,
        id: SessionId,
        channel: &str,
    ) {
        let how = Subscribe {
            is_entitled: true,
            ..Subscribe::default()
        };
        // A refusal means that it is there already, or in as many channels as it may be.
        let _ = self.subscribe(world, id, channel, how, Request::default());
    }

    /// The home has answered a subscriber. From here on it is a member: what the home sent before is
    /// in its answer, and what waits in the topic's queue is older still.
    pub(crate) fn seated(
        &mut self,
        world: &mut impl World<Frame = F>,
        id: SessionId,
        channel: &str,
        (ticket, is_aloof): (u32, bool),
        (request, answer): (&Request, &Answer),
    ) {
        let Some(topic) = self.topics.find(channel) else {
            return;
        };
        let key = (id.index, topic);
        if self.sessions.of(id).is_none() || self.tickets.get(&key) != Some(&ticket) {
            return; // it left before it was there; the home has been told
        }
        self.tickets.remove(&key);
        let session = self.sessions.at_mut(id.index);
        let Some(index) = session.seats.in_topic(topic) else {
            return;
        };
        world.answer(session, request, channel, answer);
        if let Answer::Refused(_) = answer {
            let seat = session.seats.all()[index];
            return self.stand_up(world, id, seat);
        }
        let place = self.topics.at_mut(topic);
        place.waiting -= 1;
        let mut member = Member::new(id.index, index, is_aloof);
        if place.has_old_news() {
            member.set_late(true);
            self.late.insert(key, place.queued_ever);
        }
        session.seats.all_mut()[index].place = place.push(member, session.dialect);
    }

    /// A session unsubscribes.
    pub fn unsubscribe(
        &mut self,
        world: &mut impl World<Frame = F>,
        id: SessionId,
        channel: &str,
    ) -> Result<(), Refusal> {
        let topic = self.topics.find(channel).ok_or(Refusal::NotSubscribed)?;
        let session = self.sessions.of(id).ok_or(Refusal::NotSubscribed)?;
        let index = session.seats.in_topic(topic);
        let seat = session.seats.all()[index.ok_or(Refusal::NotSubscribed)?];
        self.stand_up(world, id, seat);
        Ok(())
    }

    /// A session publishes; the answer is `Answer::Published`, or a refusal.
    pub fn publish(
        &mut self,
        world: &mut impl World<Frame = F>,
        id: SessionId,
        channel: &str,
        mut draft: Draft,
        request: Request,
    ) -> Result<(), Refusal> {
        let (_, namespace) = self.checked(channel)?;
        let session = self.sessions.of(id).ok_or(Refusal::NotAvailable)?;
        let is_subscribed = self.is_member(id, channel);
        let right = self.namespaces.at(namespace).publish;
        if !right.is_given_to(session, is_subscribed) {
            return Err(Refusal::PermissionDenied);
        }
        let limit = self.limits.publication_bytes;
        let bytes = draft.payload.bytes.len();
        if !limit.allows(bytes, &mut self.tally.publication_limit) {
            return Err(Refusal::LimitExceeded);
        }
        let home = self.home(channel);
        if !self.has_room(home) {
            self.tally.busy += 1;
            return Err(Refusal::Busy);
        }
        draft.publisher = self.client_info(id, None);
        let reply_to = self.to_session(id, request);
        self.ask(world, channel, Question::Publish(draft), reply_to);
        Ok(())
    }

    /// A session asks for history or presence.
    pub fn read(
        &mut self,
        world: &mut impl World<Frame = F>,
        id: SessionId,
        channel: &str,
        question: Question,
        request: Request,
    ) -> Result<(), Refusal> {
        let (_, namespace) = self.checked(channel)?;
        let session = self.sessions.of(id).ok_or(Refusal::NotAvailable)?;
        let is_subscribed = self.is_member(id, channel);
        let options = self.namespaces.at(namespace);
        if !options.read.is_given_to(session, is_subscribed) {
            return Err(Refusal::PermissionDenied);
        }
        if !self.has_room(self.home(channel)) {
            return Err(Refusal::Busy);
        }
        let reply_to = self.to_session(id, request);
        self.ask(world, channel, question, reply_to);
        Ok(())
    }

    /// Somebody with every right asks something of a channel: the API.
    pub fn ask_freely(
        &mut self,
        world: &mut impl World<Frame = F>,
        channel: &str,
        question: Question,
        reply_to: ReplyTo,
    ) {
        match self.checked(channel) {
            Ok(_) if self.has_room(self.home(channel)) => {
                self.ask(world, channel, question, reply_to);
            }
            Ok(_) => self.reply(world, reply_to, Answer::Refused(Refusal::Busy)),
            Err(refusal) => self.reply(world, reply_to, Answer::Refused(refusal)),
        }
    }

    /// Whether a session is subscribed.
    pub fn is_member(&self, id: SessionId, channel: &str) -> bool {
        let seat = self.topics.find(channel).and_then(|topic| {
            let session = self.sessions.of(id)?;
            session.seats.in_topic(topic)
        });
        seat.is_some()
    }

    fn to_session(&self, session: SessionId, request: Request) -> ReplyTo {
        ReplyTo::Session {
            worker: self.worker,
            session,
            request,
        }
    }

    pub(crate) fn ask(
        &mut self,
        world: &mut impl World<Frame = F>,
        channel: &str,
        question: Question,
        reply_to: ReplyTo,
    ) {
        let letter = Letter::Ask {
            channel: channel.into(),
            question,
            reply_to,
        };
        self.send(world, self.home(channel), letter);
    }

    /// A page of history for a laggard.
    pub(crate) fn ask_for_missed(
        &mut self,
        world: &mut impl World<Frame = F>,
        session: SessionId,
        channel: &str,
        missed: u64,
    ) {
        let query = HistoryQuery {
            limit: Some(PAGE_PUBLICATIONS),
            since: Some(Position {
                offset: missed - 1,
                ..Position::default()
            }),
            reverse: false,
        };
        let reply_to = ReplyTo::Straggler {
            worker: self.worker,
            session,
            channel: channel.into(),
        };
        self.ask(world, channel, Question::History(query), reply_to);
    }

    /// The name's shape, and its namespace.
    pub(crate) fn checked<'a>(
        &mut self,
        channel: &'a str,
    ) -> Result<(ChannelName<'a>, u16), Refusal> {
        let name = ChannelName::new(channel).map_err(|_| Refusal::UnknownChannel)?;
        let limit = self.limits.channel_bytes;
        if !limit.allows(channel.len(), &mut self.tally.name_limit) {
            return Err(Refusal::UnknownChannel);
        }
        let namespace = self.namespaces.of(name).ok_or(Refusal::UnknownChannel)?;
        Ok((name, namespace))
    }
}
