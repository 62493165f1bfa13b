//! The application of a worker: its hub, its desk, and what is done with them in a turn.

use std::sync::Arc;

use super::common::{Common, Snapshot};
use super::desk::Desk;
use super::expiry::Due;
use super::floor::{Floor, OnStage, Voice};
use super::letter::{Letter, Visitor};
use super::stranger::Plan;
use crate::auth::{Identity, Visitor as Guest};
use crate::dialect::{self, centrifuge};
use crate::http1::Head;
use crate::hub::{Dialect, Disconnect, Hub, SessionId, Unsubscribed};
use crate::journal::Scribe;
use crate::reactor::{
    Answer, App, ConnId, Ending, Outbox, Outgoing, Peer, SharedFrame, Stage, Wish,
};
use crate::ws::close::CloseCode;
use crate::ws::frame::Kind;
use crate::ws::message::Message;

/// Subscribers told in a turn, and as many of crowds: each is a write of 5 to 25 us, so somebody else's
/// message waits for a broadcast for a millisecond or two.
const TOLD_PER_TURN: usize = 32;
/// Tokens' ends and late logins looked at in a turn.
const EXPIRED_PER_TURN: usize = 256;
/// How long a letter waits for room in a mailbox that has had none, and figures for the next tick.
const RETRY_MS: u32 = 100;
/// Between two looks at channels for what is too old.
const SWEEP_MS: u32 = 500;

/// One worker's channels and the connections that use them.
pub struct Service {
    pub(super) hub: Hub<SharedFrame>,
    pub(super) desk: Desk,
    /// Where histories are written down, if they are and this worker has any.
    scribe: Option<Scribe>,
    /// What others were last told of the hub.
    published: Snapshot,
}

/// What the reactor keeps of a connection for us.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Conn {
    /// Hears itself.
    Echo,
    /// Not logged in (or it never will be), by its key among the strangers.
    Stranger(u32),
    /// Logged in: the hub's session in that slot.
    Session(u32),
}

impl Service {
    /// The service of a worker that is about to begin.
    pub fn new(common: Arc<Common>, worker: usize) -> Self {
        let mut hub = Hub::new(&common.join(worker));
        let mut scribe = None;
        if let Some(memory) = common.take_memory(worker) {
            hub.set_now((common.outside.unix_ms)());
            let passed_over = hub.restore(memory.kept, memory.epoch);
            if passed_over > 0 {
                (common.outside.log)(&format!(
                    "{passed_over} channels of worker {worker} are no longer kept: their namespaces have no \
                     history"
                ));
            }
            hub.keep_journal();
            scribe = Some(memory.scribe);
        }
        Self {
            hub,
            desk: Desk::new(common, worker),
            scribe,
            published: Snapshot::default(),
        }
    }

    /// The clock is read once in a tick.
    pub(super) fn look_at_clock(&mut self, tick: u32) -> bool {
        let is_news = self.desk.look_at_clock(tick);
        if is_news {
            self.hub.set_now(self.desk.now_ms);
        }
        is_news
    }

    /// A stranger becomes a session.
    pub(super) fn log_in(
        &mut self,
        conn: &mut Conn,
        dialect: Dialect,
        identity: Option<&Identity>,
        out: &mut Outbox<'_, Self>,
    ) -> Option<SessionId> {
        let Conn::Stranger(key) = *conn else {
            return None;
        };
        let stranger = self.desk.strangers.remove(key)?;
        let (user, conn_info) = identity.map_or(("", None), |identity| {
            (&*identity.user, identity.conn_info.as_deref())
        });
        let number = out.id().as_u64();
        let Self { hub, desk, .. } = self;
        let mut floor = Floor::new(desk, out);
        let id = hub.connect(&mut floor, number, dialect, user, conn_info);
        let expires_at_s = identity.and_then(|identity| identity.expires_at_s);
        desk.enrol(id, stranger.ticket, expires_at_s);
        *conn = Conn::Session(id.index());
        Some(id)
    }

    /// The session of a connection that has one.
    pub(super) fn session_of(&self, conn: Conn) -> Option<SessionId> {
        match conn {
            Conn::Session(index) => self.hub.session_at(index).map(|session| session.id()),
            Conn::Echo | Conn::Stranger(_) => None,
        }
    }

    /// Those who subscribed on condition and missed something are out again, before anything else
    /// reaches them.
    pub(super) fn let_unrecovered_go(&mut self, voice: &mut dyn Voice) {
        while let Some((id, channel)) = self.desk.unrecovered.pop() {
            let mut floor = Floor::new(&mut self.desk, voice);
            // Not there any more: then it needs not go.
            let _ = self.hub.unsubscribe(&mut floor, id, &channel);
        }
    }

    /// Ends what has had its time. `true`: there is more.
    fn expire(&mut self, voice: &mut dyn Voice) -> bool {
        for _ in 0..EXPIRED_PER_TURN {
            let now_ms = self.desk.now_ms;
            if let Some(conn) = self.desk.strangers.take_stale(now_ms) {
                self.desk.door.stale += 1;
                let (code, reason) = centrifuge::close(Disconnect::Stale);
                let code = CloseCode::new(code).unwrap_or(CloseCode::POLICY);
                voice.part(conn, code, reason.into());
            } else if let Some(due) = self.desk.expiries.take_due(self.desk.now_s()) {
                self.expire_one(voice, due);
            } else {
                return false;
            }
        }
        true
    }

    fn expire_one(&mut self, voice: &mut dyn Voice, due: Due) {
        match due {
            Due::Connection(id) => {
                if self.hub.session(id).is_some() && self.desk.has_expired(id) {
                    let mut floor = Floor::new(&mut self.desk, voice);
                    self.hub.condemn(&mut floor, id, Disconnect::Expired);
                }
            }
            Due::Subscription(id, channel) => {
                let Some(session) = self.hub.session(id) else {
                    return;
                };
                let until_s = self.desk.grant_until(session.conn, &channel);
                let now_s = self.desk.now_s();
                if until_s.is_some_and(|until_s| until_s + super::desk::GRACE_S <= now_s) {
                    let mut floor = Floor::new(&mut self.desk, voice);
                    let why = Unsubscribed::Expired;
                    self.hub.unsubscribe_for(&mut floor, id, &channel, why);
                }
            }
        }
    }

    /// How the hub is doing.
    fn snapshot(&self) -> Snapshot {
        let hub = &self.hub;
        Snapshot {
            tally: *hub.tally(),
            door: self.desk.door,
            sessions: hub.sessions(),
            users: hub.users(),
            channels: hub.channels(),
            subscriptions: hub.subscriptions(),
            history_bytes: hub.history_bytes(),
        }
    }

    /// Leaves figures for whoever wants to know, once in a tick. `false`: there are newer ones.
    fn publish(&mut self, is_new_tick: bool) -> bool {
        let snapshot = self.snapshot();
        if is_new_tick && snapshot != self.published {
            self.published = snapshot;
            self.desk.common.publish(self.desk.worker, &snapshot);
        }
        snapshot == self.published
    }

    /// When there is something to do that nobody will wake us for.
    fn wish(&self, is_more: bool, letters_before: usize, is_published: bool) -> Wish {
        let letters = self.hub.letters_waiting();
        if is_more || letters < letters_before && letters > 0 {
            return Wish::Again;
        }
        let retry = (letters > 0 || !is_published).then_some(RETRY_MS);
        let has_past = self.hub.channels() > 0;
        let sweep = has_past.then_some(SWEEP_MS);
        let until = |at_ms: u64| {
            let wait_ms = at_ms.saturating_sub(self.desk.now_ms);
            u32::try_from(wait_ms).unwrap_or(u32::MAX >> 1).max(1)
        };
        let stale = self.desk.strangers.next_ms().map(until);
        let expiry = self.desk.expiries.next_s().map(|at_s| until(at_s * 1_000));
        let soonest = [retry, sweep, stale, expiry].into_iter().flatten().min();
        soonest.map_or(Wish::Sleep, Wish::WithinMs)
    }
}

impl App for Service {
    type Conn = Conn;
    type Letter = Letter;

    fn on_request(&mut self, head: &Head<'_>, peer: &Peer<'_>) -> Answer<Conn> {
        self.answer_head(head, peer)
    }

    fn on_open(&mut self, conn: &mut Conn, out: &mut Outbox<'_, Self>) {
        let Conn::Stranger(key) = *conn else {
            return;
        };
        self.look_at_clock(out.others().now_tick());
        let Some(stranger) = self.desk.strangers.at(key) else {
            return;
        };
        let (plan, visitor) = (stranger.plan.clone(), stranger.visitor.clone());
        let identity = match &visitor {
            Guest::Known(identity) => Some(identity),
            Guest::Unknown { .. } => None,
        };
        match plan {
            Plan::Echo => {}
            Plan::Centrifuge => {
                let until_ms = self.desk.now_ms + u64::from(self.desk.settings.login_ms);
                self.desk.strangers.expect_login(key, out.id(), until_ms);
            }
            Plan::Chat { since } => self.begin_chat(conn, identity, since, out),
            Plan::Raw { channel } => self.begin_raw(conn, identity, &channel, out),
        }
    }

    #[inline]
    fn on_message(&mut self, conn: &mut Conn, message: Message<'_>, out: &mut Outbox<'_, Self>) {
        if *conn == Conn::Echo {
            return out.reply(message);
        }
        self.hear(conn, message, out);
    }

    fn on_close(&mut self, _: ConnId, conn: Conn, _: Ending, out: &mut Outgoing<Letter>) {
        match conn {
            Conn::Echo => {}
            Conn::Stranger(key) => {
                if let Some(stranger) = self.desk.strangers.remove(key) {
                    self.desk.common.gate.leave(stranger.ticket);
                }
            }
            Conn::Session(_) => {
                let Some(id) = self.session_of(conn) else {
                    return;
                };
                let number = self.hub.session(id).map_or(0, |session| session.conn);
                let mut floor = Floor::new(&mut self.desk, out);
                self.hub.close(&mut floor, id);
                self.desk.strike(id, number, self.hub.sessions());
            }
        }
    }

    fn on_drained(&mut self, _: ConnId, conn: &mut Conn) {
        if let Some(id) = self.session_of(*conn) {
            self.hub.drained(id);
        }
    }

    /// Centrifuge's ping is an empty object; whoever has not logged in was not promised any.
    fn heartbeat(&self, conn: &Conn) -> Option<&'static str> {
        let Conn::Session(index) = *conn else {
            return None;
        };
        let session = self.hub.session_at(index)?;
        (session.dialect == Dialect::Centrifuge).then_some(centrifuge::PING)
    }

    fn on_turn(&mut self, stage: &mut dyn Stage<Letter>) -> Wish {
        let tick = stage.outgoing().now_tick();
        let is_new_tick = self.look_at_clock(tick);
        let mut voice = OnStage(stage);
        self.let_unrecovered_go(&mut voice);
        let mut is_more = self.expire(&mut voice);
        let Self {
            hub, desk, scribe, ..
        } = self;
        let mut floor = Floor::new(desk, &mut voice);
        if let Some(scribe) = scribe {
            is_more |= scribe.turn(hub, &mut floor);
        }
        is_more |= tell(hub, &mut floor);
        let letters_before = hub.letters_waiting();
        if letters_before > 0 {
            hub.send_rest(&mut floor);
        }
        if is_new_tick {
            hub.sweep();
        }
        let is_published = self.publish(is_new_tick);
        let waiting = self.hub.events_waiting();
        let common = &self.desk.common;
        common.set_events_waiting(self.desk.worker, waiting);
        self.wish(is_more, letters_before, is_published)
    }

    fn held_bytes(&self, conn: &Conn) -> usize {
        match *conn {
            Conn::Echo => 0,
            Conn::Stranger(_) => size_of::<super::stranger::Stranger>(),
            Conn::Session(index) => {
                let session = self.hub.session_at(index);
                session.map_or(0, |session| session.held_bytes() + self.desk.held_bytes())
            }
        }
    }

    fn on_letter(&mut self, letter: Letter, out: &mut Outgoing<Letter>) {
        self.look_at_clock(out.now_tick());
        match letter {
            Letter::Hub(letter) => {
                let mut floor = Floor::new(&mut self.desk, out);
                self.hub.letter(&mut floor, letter);
            }
            Letter::Visit(errand) => errand(&mut Visitor::new(&mut self.hub, &mut self.desk, out)),
            Letter::Wake => {}
        }
    }
}

/// Tells what there is to tell. `true`: there is more that may be told now.
fn tell(hub: &mut Hub<SharedFrame>, floor: &mut Floor<'_>) -> bool {
    let worker = floor.desk.worker;
    let common = &floor.desk.common;
    let is_involved = floor.desk.awaits_podium || hub.has_crowds();
    let is_speaker = is_involved && common.podium(worker).claim(worker);
    let of_crowds = if is_speaker { TOLD_PER_TURN } else { 0 };
    let left = hub.fan_out(floor, TOLD_PER_TURN, of_crowds);
    // Whoever is named speaker has to say when it is done, even if its crowd has gone meanwhile.
    floor.desk.awaits_podium = is_involved && (left.crowds || !is_speaker);
    if is_speaker {
        let next = floor
            .desk
            .common
            .podium(worker)
            .spoken(worker, !left.crowds);
        if let Some(next) = next {
            // A worker whose mailbox is full is awake.
            let _ = floor.voice.post(next, Letter::Wake);
        }
    }
    left.some || is_speaker && left.crowds
}

impl Service {
    /// A message of somebody who is not just there to hear itself.
    fn hear(&mut self, conn: &mut Conn, message: Message<'_>, out: &mut Outbox<'_, Self>) {
        self.look_at_clock(out.others().now_tick());
        let dialect = match *conn {
            Conn::Echo => return,
            Conn::Stranger(key) => match self.desk.strangers.at(key).map(|s| &s.plan) {
                Some(Plan::Echo) => return out.reply(message),
                _ => Dialect::Centrifuge,
            },
            Conn::Session(index) => match self.hub.session_at(index) {
                Some(session) => session.dialect,
                None => return,
            },
        };
        if !self.may_speak(*conn, message.payload().len()) {
            return self.part_with_own(dialect, Disconnect::TooMany, out);
        }
        match (dialect, message.kind(), message.text()) {
            (Dialect::Centrifuge, Kind::Text, Some(text)) => self.hear_commands(conn, text, out),
            (Dialect::Centrifuge, ..) => self.part_with_own(dialect, Disconnect::BadRequest, out),
            (Dialect::Chat, _, text) => self.hear_chat(*conn, text, out),
            (Dialect::Raw, _, text) => self.hear_raw(*conn, text, message.payload(), out),
        }
        self.let_unrecovered_go(out);
    }

    /// Whether a connection keeps within its rates, if there are any.
    fn may_speak(&mut self, conn: Conn, bytes: usize) -> bool {
        let (true, Some(id)) = (self.hub.has_rates(), self.session_of(conn)) else {
            return true;
        };
        // Not the worker's own clock: what waited because the worker stood still is no haste.
        let now_ms = (self.desk.common.outside.monotonic_us)() / 1_000;
        let Some(allowance) = self.desk.allowance(id) else {
            return true;
        };
        self.hub.admits(allowance, bytes, now_ms)
    }

    /// Ends the connection that is speaking.
    pub(super) fn part_with_own(
        &mut self,
        dialect: Dialect,
        why: Disconnect,
        out: &mut Outbox<'_, Self>,
    ) {
        let (code, reason) = match dialect {
            Dialect::Centrifuge => centrifuge::close(why),
            Dialect::Chat | Dialect::Raw => dialect::close(why),
        };
        let code = CloseCode::new(code).unwrap_or(CloseCode::INTERNAL);
        Floor::new(&mut self.desk, out).flush();
        out.close(code, reason);
    }
}
