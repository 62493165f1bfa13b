//! The hub of one worker: its sessions, the topics they are in, and the channels that live here.
//!
//! ```text
//!  session ──ask──> home of the channel (maybe here) ──answer──> session
//!                        │ event, one letter per worker with subscribers
//!                        v
//!                  topic ──wave, in slices──> members
//! ```

use std::collections::VecDeque;
use std::sync::Arc;

use hashbrown::HashMap;

use super::channel::Channel;
use super::fanout::Page;
use super::history::HistoryLedger;
use super::journaling::Journal;
use super::letter::{Answer, Letter, Question, ReplyTo, UserOrder};
use super::logins::Logins;
use super::options::{Limits, Namespaces};
use super::outbound::Outbound;
use super::registry::{NameHash, Registry};
use super::session::{Dialect, Seat, Session, SessionId, Sessions};
use super::topic::Topic;
use super::types::{ClientId, ClientInfo, Disconnect, HistoryPage, Unsubscribed};
use super::users::Users;
use super::world::{Tally, World};

/// How a hub is made.
#[derive(Clone, Debug)]
pub struct HubConfig {
    /// Our number.
    pub worker: u16,
    /// How many there may be. Those above the homes may join later.
    pub workers: u16,
    /// The first so many of them are homes to channels and users: as many for ever.
    pub homes: u16,
    /// The secret that names are hashed with, the same for all workers.
    pub secret: u64,
    /// What makes the epochs and client names of this process its own.
    pub seed: u32,
    /// Every namespace's options.
    pub namespaces: Arc<Namespaces>,
    /// What one may have.
    pub limits: Limits,
}

/// One worker's hub. `F` is a framed message.
pub struct Hub<F> {
    pub(crate) worker: u16,
    homes: u16,
    hash: NameHash,
    seed: u32,
    pub(crate) namespaces: Arc<Namespaces>,
    pub(crate) limits: Limits,
    pub(crate) sessions: Sessions,
    pub(crate) topics: Registry<Topic<F>>,
    pub(crate) users: Users,
    /// Of the users whose home is here.
    logins: Logins,
    pub(crate) channels: Registry<Channel>,
    pub(crate) ledger: HistoryLedger,
    /// What has to be written down, if anything has.
    pub(crate) journal: Option<Box<Journal>>,
    /// Topics with something to tell, each at most once here or among the crowds.
    pub(crate) line: VecDeque<u32>,
    /// Large topics with something to tell.
    pub(crate) crowds: VecDeque<u32>,
    /// Members (session, topic) that joined while something older was queued: the number of the
    /// first event they are to hear.
    pub(crate) late: HashMap<(u32, u32), u64, foldhash::fast::RandomState>,
    /// The attempts to subscribe (session, topic) that the home has not answered.
    pub(crate) tickets: HashMap<(u32, u32), u32, foldhash::fast::RandomState>,
    pub(crate) last_ticket: u32,
    /// Letters that did not fit into somebody's mailbox.
    outbound: Vec<Outbound>,
    /// Laggards whose queue is empty again.
    pub(crate) drained: VecDeque<SessionId>,
    /// What laggards missed, on its way to them.
    pub(crate) pages: VecDeque<Page<F>>,
    /// Bytes queued for laggards, as last seen.
    pub(crate) lag_bytes: usize,
    /// Events that wait in topics, by their weight.
    pub(crate) events: usize,
    /// Seats of all sessions.
    pub(crate) subscriptions: usize,
    pub(crate) epoch: u32,
    pub(crate) last_stamp: u32,
    pub(crate) sweep_at: usize,
    pub(crate) now_ms: u64,
    pub(crate) tally: Tally,
}

impl<F: Clone> Hub<F> {
    /// An empty hub.
    pub fn new(config: &HubConfig) -> Self {
        let hash = NameHash::new(config.secret);
        Self {
            worker: config.worker,
            homes: config.homes,
            hash,
            seed: config.seed,
            namespaces: config.namespaces.clone(),
            limits: config.limits,
            sessions: Sessions::default(),
            topics: Registry::new(hash),
            users: Users::new(hash),
            logins: Logins::default(),
            channels: Registry::new(hash),
            ledger: HistoryLedger::new(config.limits.history_bytes_max),
            journal: None,
            line: VecDeque::new(),
            crowds: VecDeque::new(),
            late: HashMap::default(),
            tickets: HashMap::default(),
            last_ticket: 0,
            outbound: (0..config.workers).map(|_| Outbound::default()).collect(),
            drained: VecDeque::new(),
            pages: VecDeque::new(),
            lag_bytes: 0,
            events: 0,
            subscriptions: 0,
            // Workers of a process count from places far apart.
            epoch: config
                .seed
                .wrapping_add(u32::from(config.worker) << 20)
                .max(1),
            last_stamp: 0,
            sweep_at: 0,
            now_ms: 0,
            tally: Tally::default(),
        }
    }

    /// The time, in milliseconds since 1970; told once a turn.
    pub fn set_now(&mut self, unix_ms: u64) {
        self.now_ms = unix_ms;
    }

    /// What has been counted.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Sessions of this worker.
    pub fn sessions(&self) -> usize {
        self.sessions.len()
    }

    /// Users with sessions anywhere whose home is here: the sum over all workers counts everybody once.
    pub fn users(&self) -> usize {
        match self.is_alone() {
            true => self.users.len(),
            false => self.logins.users(),
        }
    }

    /// Channels that live here.
    pub fn channels(&self) -> usize {
        self.channels.len()
    }

    /// Subscriptions of sessions of this worker.
    pub fn subscriptions(&self) -> usize {
        self.subscriptions
    }

    /// Bytes of the histories kept here.
    pub fn history_bytes(&self) -> usize {
        self.ledger.bytes()
    }

    /// Events that wait for their fan-out, a large one counted as several: what others look at before
    /// they publish more.
    pub fn events_waiting(&self) -> usize {
        self.events
    }

    /// Each channel that lives here and has subscribers, with their number.
    pub fn occupied_channels(&self) -> impl Iterator<Item = (&str, u32)> {
        let all = self.channels.iter();
        all.map(|(_, channel)| (&*channel.name, channel.subscribers()))
            .filter(|(_, subscribers)| *subscribers > 0)
    }

    /// A session.
    pub fn session(&self, id: SessionId) -> Option<&Session> {
        self.sessions.of(id)
    }

    /// Whoever has that slot now.
    pub fn session_at(&self, index: u32) -> Option<&Session> {
        self.sessions.get(index)
    }

    /// Every session.
    pub fn all_sessions(&self) -> impl Iterator<Item = (SessionId, &Session)> {
        self.sessions.iter()
    }

    /// The channels a session is in.
    pub fn channels_of(&self, id: SessionId) -> impl Iterator<Item = &str> {
        let seats = self.sessions.of(id).map_or(&[][..], |s| s.seats.all());
        seats.iter().map(|seat| &*self.topics.at(seat.topic).name)
    }

    /// What a session is called outside.
    pub fn client_id(&self, conn: u64) -> ClientId {
        ClientId::new(self.seed, self.worker, conn)
    }

    /// Who a session is to others.
    pub fn client_info(&self, id: SessionId, chan_info: Option<&str>) -> Option<Arc<ClientInfo>> {
        let session = self.sessions.of(id)?;
        Some(Arc::new(ClientInfo {
            user: session.user.clone(),
            client: self.client_id(session.conn),
            conn_info: session.conn_info.clone(),
            chan_info: chan_info.map(Into::into),
        }))
    }

    /// A connection has logged in.
    pub fn connect(
        &mut self,
        world: &mut impl World<Frame = F>,
        conn: u64,
        dialect: Dialect,
        user: &str,
        conn_info: Option<&str>,
    ) -> SessionId {
        let conn_info = conn_info.map(Into::into);
        let id = self.sessions.insert(conn, dialect, user.into(), conn_info);
        let is_only_one = self.users.add(&mut self.sessions, id);
        if self.is_told_at_home(user, is_only_one) {
            let letter = Letter::LogIn {
                user: self.hash.of(user),
                worker: self.worker,
                session: id,
            };
            self.send(world, self.home(user), letter);
        }
        id
    }

    /// A connection is over. Wherever it was, it no longer is.
    pub fn close(&mut self, world: &mut impl World<Frame = F>, id: SessionId) {
        while let Some(seat) = self.sessions.of(id).and_then(|s| s.seats.all().last()) {
            self.stand_up(world, id, *seat);
        }
        if self.sessions.of(id).is_none() {
            return;
        }
        let was_only_one = self.users.remove(&mut self.sessions, id);
        let Some(session) = self.sessions.remove(id) else {
            return;
        };
        if let Some(lag) = session.lag {
            self.lag_bytes -= lag.queued_bytes;
        }
        if self.is_told_at_home(&session.user, was_only_one) {
            let user = self.hash.of(&session.user);
            self.send(world, self.home(&session.user), Letter::LogOut { user });
        }
    }

    /// Whether a user's home hears of a session: of each if there is a limit, and else of a user's only one here.
    fn is_told_at_home(&self, user: &str, is_only_one: bool) -> bool {
        let is_limited = self.limits.connections_per_user.max > 0;
        !user.is_empty() && (is_limited || is_only_one && !self.is_alone())
    }

    /// There is no other worker, nor will there be.
    fn is_alone(&self) -> bool {
        self.outbound.len() == 1
    }

    /// Takes a session out of a topic, and tells the home.
    pub(crate) fn stand_up(
        &mut self,
        world: &mut impl World<Frame = F>,
        id: SessionId,
        seat: Seat,
    ) {
        let session = self.sessions.at_mut(id.index);
        let (client, dialect) = (session.conn, session.dialect);
        if let Some(index) = session.seats.in_topic(seat.topic) {
            session.seats.swap_remove(index);
            self.subscriptions -= 1;
            self.point_back(id.index, index);
        }
        if let Some(lag) = &mut self.sessions.at_mut(id.index).lag {
            lag.forget(seat.topic);
        }
        let topic = self.topics.at_mut(seat.topic);
        if seat.place == Seat::WAITING {
            topic.waiting -= 1;
            self.tickets.remove(&(id.index, seat.topic));
        } else {
            let (sessions, place) = (&mut self.sessions, seat.place);
            topic.remove(place, dialect, |moved, to| {
                sessions.at_mut(moved.session).seats.all_mut()[moved.seat()].place = to;
            });
            self.late.remove(&(id.index, seat.topic));
        }
        let (home, channel) = (topic.home, topic.name.clone());
        self.drop_deserted(seat.topic);
        let question = Question::Unsubscribe {
            client: self.client_id(client),
            worker: self.worker,
        };
        let letter = Letter::Ask {
            channel,
            question,
            reply_to: ReplyTo::Nobody,
        };
        self.send(world, home.into(), letter);
    }

    /// The session's seat at that index is new there: its member has to know.
    fn point_back(&mut self, session: u32, index: usize) {
        if let Some(seat) = self.sessions.at(session).seats.all().get(index)
            && seat.place != Seat::WAITING
        {
            self.topics.at_mut(seat.topic).members[seat.place as usize].set_seat(index);
        }
    }

    /// Forgets a topic without anybody in it. What it had to tell, nobody wants to know.
    pub(crate) fn drop_deserted(&mut self, topic: u32) {
        if self.topics.at(topic).is_deserted() {
            let gone = self.topics.remove(topic);
            self.events -= gone.news();
            if gone.is_lined_up {
                self.line.retain(|other| *other != topic);
                self.crowds.retain(|other| *other != topic);
            }
        }
    }

    /// How many workers share the channels.
    pub(crate) fn homes(&self) -> u16 {
        self.homes
    }

    /// Which worker a name belongs to.
    pub fn home(&self, name: &str) -> usize {
        self.hash.home(name, self.homes.into())
    }

    /// A letter has come.
    pub fn letter(&mut self, world: &mut impl World<Frame = F>, letter: Letter) {
        match letter {
            Letter::Ask {
                channel,
                question,
                reply_to,
            } => self.answer(world, &channel, question, reply_to),
            Letter::Answer { reply_to, answer } => self.answered(world, reply_to, answer),
            Letter::Event { channel, event } => self.note_event(world, &channel, event),
            Letter::User { user, order } => self.obey(world, &user, &order),
            Letter::LogIn {
                user,
                worker,
                session,
            } => {
                let count = self.logins.add(user);
                let limit = self.limits.connections_per_user;
                if !limit.allows(count, &mut self.tally.user_limit) {
                    self.send(world, worker.into(), Letter::TurnAway { session });
                }
            }
            Letter::LogOut { user } => self.logins.remove(user),
            Letter::TurnAway { session } => self.condemn(world, session, Disconnect::UserLimit),
        }
    }

    /// Ends a connection, and says nothing more to it.
    pub fn condemn(&mut self, world: &mut impl World<Frame = F>, id: SessionId, why: Disconnect) {
        if let Some(session) = self.sessions.of_mut(id)
            && session.is_condemned.is_none()
        {
            session.is_condemned = Some(why);
            world.disconnect(session, why);
        }
    }

    /// Something is to be done with all connections of a user, wherever they are.
    pub fn order(&mut self, world: &mut impl World<Frame = F>, user: &str, order: &UserOrder) {
        for worker in 0..world.workers() {
            let letter = Letter::User {
                user: user.into(),
                order: order.clone(),
            };
            self.send(world, worker, letter);
        }
    }

    fn obey(&mut self, world: &mut impl World<Frame = F>, user: &str, order: &UserOrder) {
        let (UserOrder::Disconnect { client, .. }
        | UserOrder::Unsubscribe { client, .. }
        | UserOrder::Subscribe { client, .. }) = order;
        for id in self.users.sessions_of(&self.sessions, user) {
            let conn = self.sessions.at(id.index).conn;
            if client.is_some_and(|client| client != self.client_id(conn)) {
                continue;
            }
            match order {
                UserOrder::Disconnect { why, .. } => self.condemn(world, id, *why),
                UserOrder::Unsubscribe { channel, why, .. } => {
                    self.unsubscribe_for(world, id, channel, *why);
                }
                UserOrder::Subscribe { channel, .. } => self.subscribe_for(world, id, channel),
            }
        }
    }

    /// Ends a subscription without the client's asking.
    pub(crate) fn unsubscribe_for(
        &mut self,
        world: &mut impl World<Frame = F>,
        id: SessionId,
        channel: &str,
        why: Unsubscribed,
    ) {
        if self.unsubscribe(world, id, channel).is_ok()
            && let Some(session) = self.sessions.of(id)
        {
            world.unsubscribed(session, channel, why);
        }
    }

    /// Sends a letter, to ourselves at once.
    pub(crate) fn send(
        &mut self,
        world: &mut impl World<Frame = F>,
        worker: usize,
        letter: Letter,
    ) {
        if worker == usize::from(self.worker) {
            return self.letter(world, letter);
        }
        let waiting = &mut self.outbound[worker];
        if !waiting.is_empty() {
            waiting.push(letter);
        } else if let Err(letter) = world.post(worker, letter) {
            waiting.push(letter);
        }
    }

    /// Whether there is room for one more publication on the way to that worker. Letters that must
    /// not be lost are queued all the same; there are at most a few for each subscription.
    pub(crate) fn has_room(&self, worker: usize) -> bool {
        self.outbound[worker].has_room()
    }

    /// Session slots there are, free ones among them: for walks in slices.
    pub fn session_slots(&self) -> u32 {
        self.sessions.slots()
    }

    /// Channel places there are, free ones among them.
    pub fn channel_places(&self) -> u32 {
        self.channels.places() as u32
    }

    /// The channel in that place, if it has subscribers: its name, and how many.
    pub fn occupied_at(&self, place: u32) -> Option<(&str, u32)> {
        let channel = self
            .channels
            .contains(place)
            .then(|| self.channels.at(place))?;
        let subscribers = channel.subscribers();
        (subscribers > 0).then_some((&*channel.name, subscribers))
    }

    /// Sessions of a user on this worker.
    pub fn sessions_of(&self, user: &str) -> Vec<SessionId> {
        self.users.sessions_of(&self.sessions, user)
    }

    /// Letters that wait for room in somebody's mailbox.
    pub fn letters_waiting(&self) -> usize {
        self.outbound.iter().map(Outbound::len).sum()
    }

    /// Sends what did not fit, in the order in which it was to be sent. `true`: something is left.
    #[expect(
        clippy::result_large_err,
        reason = "the letter comes back to be kept, not boxed"
    )]
    pub fn send_rest(&mut self, world: &mut impl World<Frame = F>) -> bool {
        let mut is_left = false;
        for (worker, waiting) in self.outbound.iter_mut().enumerate() {
            is_left |= !waiting.empty_into(|letter| world.post(worker, letter));
        }
        is_left
    }

    /// An answer has come back.
    fn answered(&mut self, world: &mut impl World<Frame = F>, to: ReplyTo, answer: Answer) {
        match to {
            ReplyTo::Nobody => {}
            ReplyTo::Caller(tell) => tell(answer),
            ReplyTo::Session {
                session, request, ..
            } => {
                if let Some(session) = self.sessions.of(session) {
                    world.answer(session, &request, "", &answer);
                }
            }
            ReplyTo::Subscriber {
                session,
                channel,
                ticket,
                is_aloof,
                request,
                ..
            } => self.seated(
                world,
                session,
                &channel,
                (ticket, is_aloof),
                (&request, &answer),
            ),
            ReplyTo::Straggler {
                session, channel, ..
            } => {
                let page = match answer {
                    Answer::History(page) => page,
                    _ => HistoryPage::default(),
                };
                self.turn_page(world, session, &channel, page);
            }
        }
    }

    /// Sends an answer to whoever waits for it.
    pub(crate) fn reply(
        &mut self,
        world: &mut impl World<Frame = F>,
        reply_to: ReplyTo,
        answer: Answer,
    ) {
        let worker = match &reply_to {
            ReplyTo::Nobody | ReplyTo::Caller(_) => self.worker,
            ReplyTo::Session { worker, .. }
            | ReplyTo::Subscriber { worker, .. }
            | ReplyTo::Straggler { worker, .. } => *worker,
        };
        self.send(world, worker.into(), Letter::Answer { reply_to, answer });
    }
}
