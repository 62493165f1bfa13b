//! What a worker's service keeps beside its hub: strangers, tokens' ends, greetings under way.

use std::fmt::Write as _;
use std::sync::Arc;

use hashbrown::HashMap;

use super::common::{Common, DoorTally, Settings};
use super::expiry::Expiries;
use super::greeting::Greeting;
use super::stranger::Strangers;
use crate::auth::{Shown, Ticket};
use crate::dialect::centrifuge::Batch;
use crate::hub::{Allowance, ClientId, Session, SessionId};
use crate::reactor::SharedFrame;

type Map<K, V> = HashMap<K, V, foldhash::fast::RandomState>;

/// A worker's desk.
pub(super) struct Desk {
    pub(super) common: Arc<Common>,
    pub(super) settings: Arc<Settings>,
    version: u64,
    pub(super) worker: usize,
    /// It is the speaker at its podium, or waits to be.
    pub(super) awaits_podium: bool,
    pub(super) strangers: Strangers,
    /// What belongs to a session and is none of the hub's business, by the session's index.
    extras: Vec<Extra>,
    /// Sessions that the server has not welcomed yet, by connection: it waits for the channels it puts
    /// them into.
    pub(super) greetings: Map<u64, Box<Greeting>>,
    /// Subscriptions with tokens that expire, by connection.
    grants: Map<u64, Vec<Grant>>,
    pub(super) expiries: Expiries,
    /// Subscribers that would rather not be than have missed something, and did.
    pub(super) unrecovered: Vec<(SessionId, Box<str>)>,
    /// The connection whose frame is being answered, and its answers so far.
    pub(super) own: Option<u64>,
    pub(super) batch: Batch,
    pub(super) scratch: Vec<u8>,
    pub(super) door: DoorTally,
    tick: Option<u32>,
    pub(super) now_ms: u64,
    /// Messages that were given an id of ours.
    pub(super) named: u64,
    lines: Lines,
}

/// What belongs to a session and is none of the hub's business.
#[derive(Default)]
struct Extra {
    ticket: Ticket,
    /// When its token expires, in seconds since 1970; 0 is never.
    expires_at_s: u32,
    /// The second it is noted for in `Expiries`; 0 is in none.
    noted_s: u32,
    /// When it was last known to have had a ping, in seconds.
    pinged_s: u32,
    /// What it has used up of its rates, once it has said something and there are any.
    allowance: Option<Box<Allowance>>,
}

// All that a session costs beyond its connection's cache line.
const _: () = assert!(size_of::<Session>() + size_of::<Extra>() <= 128);

struct Grant {
    channel: Box<str>,
    expires_at_s: u64,
}

/// Lines written to the log within a second.
#[derive(Default)]
struct Lines {
    second: u64,
    written: u32,
    swallowed: u64,
}

/// Lines a worker writes in a second: a crowd of slow readers must not fill a disk.
const LINES_PER_SECOND: u32 = 10;

/// How long a connection may outlive its token while it gets another: the official client asks for
/// one in the second in which the old one expires.
pub(super) const GRACE_S: u64 = 10;

/// What a client waits for a ping beyond the interval is ten seconds. It may fall silent right after
/// a frame that was not answered with a ping; the next one is an interval away then.
const PING_SLACK_S: u32 = 8;

impl Desk {
    pub(super) fn new(common: Arc<Common>, worker: usize) -> Self {
        Self {
            settings: common.settings(),
            version: common.version(),
            common,
            worker,
            awaits_podium: false,
            strangers: Strangers::default(),
            extras: Vec::new(),
            greetings: Map::default(),
            grants: Map::default(),
            expiries: Expiries::default(),
            unrecovered: Vec::new(),
            own: None,
            batch: Batch::default(),
            scratch: Vec::new(),
            door: DoorTally::default(),
            tick: None,
            now_ms: 0,
            named: 0,
            lines: Lines::default(),
        }
    }

    /// Reads the clock and the settings, if this is a tick in which that was not done. `true`: it is.
    pub(super) fn look_at_clock(&mut self, tick: u32) -> bool {
        if self.tick == Some(tick) {
            return false;
        }
        self.tick = Some(tick);
        self.now_ms = (self.common.outside.unix_ms)();
        self.take_settings();
        true
    }

    /// The settings as they are now.
    pub(super) fn take_settings(&mut self) {
        let version = self.common.version();
        if version != self.version {
            self.version = version;
            self.settings = self.common.settings();
        }
    }

    /// What a connection of this worker is called outside.
    pub(super) fn client_id(&self, conn: u64) -> ClientId {
        ClientId::new(self.common.seed(), self.worker as u16, conn)
    }

    pub(super) fn now_s(&self) -> u64 {
        self.now_ms / 1_000
    }

    /// A session has begun.
    pub(super) fn enrol(&mut self, id: SessionId, ticket: Ticket, expires_at_s: Option<u64>) {
        let index = id.index() as usize;
        if self.extras.len() <= index {
            self.extras.resize_with(index + 1, Extra::default);
        }
        self.extras[index] = Extra {
            ticket,
            pinged_s: self.now_s() as u32,
            ..Extra::default()
        };
        self.note_expiry(id, expires_at_s);
    }

    /// A session is over.
    pub(super) fn strike(&mut self, id: SessionId, conn: u64, sessions_left: usize) {
        if let Some(extra) = self.extras.get_mut(id.index() as usize) {
            let extra = std::mem::take(extra);
            self.common.gate.leave(extra.ticket);
        }
        self.greetings.remove(&conn);
        self.grants.remove(&conn);
        if sessions_left == 0 {
            self.extras = Vec::new();
        }
    }

    /// What a session has used up of its rates.
    pub(super) fn allowance(&mut self, id: SessionId) -> Option<&mut Allowance> {
        let extra = self.extras.get_mut(id.index() as usize)?;
        Some(extra.allowance.get_or_insert_default())
    }

    /// Bytes that are kept for a session here.
    pub(super) fn held_bytes(&self) -> usize {
        size_of::<Extra>()
    }

    /// A session's token is good until then.
    pub(super) fn note_expiry(&mut self, id: SessionId, expires_at_s: Option<u64>) {
        let Some(extra) = self.extras.get_mut(id.index() as usize) else {
            return;
        };
        let at_s = expires_at_s.map_or(0, |at_s| u32::try_from(at_s).unwrap_or(u32::MAX));
        extra.expires_at_s = at_s;
        // One note at a time, and only an earlier one is a new one: when it comes up, it is looked at
        // what is true then.
        let is_earlier = extra.noted_s == 0 || at_s < extra.noted_s;
        if at_s > 0 && is_earlier {
            extra.noted_s = at_s;
            self.expiries.note_connection(u64::from(at_s) + GRACE_S, id);
        }
    }

    /// A note about a session has come up: whether it has expired. If not, it is noted again.
    pub(super) fn has_expired(&mut self, id: SessionId) -> bool {
        let now_s = self.now_s();
        let Some(extra) = self.extras.get_mut(id.index() as usize) else {
            return false;
        };
        extra.noted_s = 0;
        match u64::from(extra.expires_at_s) {
            0 => false,
            at_s if at_s + GRACE_S <= now_s => true,
            at_s => {
                self.note_expiry(id, Some(at_s));
                false
            }
        }
    }

    /// A session has said something: whether it should have a ping with the answer. Whoever is silent is
    /// pinged by the reactor, and answers; whoever is not would never be.
    pub(super) fn needs_ping(&mut self, id: SessionId, is_pong: bool) -> bool {
        let interval_s = self.settings.ping_ms / 1_000;
        let now_s = self.now_s() as u32;
        let Some(extra) = self.extras.get_mut(id.index() as usize) else {
            return false;
        };
        let since_s = now_s.wrapping_sub(extra.pinged_s);
        let is_due = interval_s > 0 && !is_pong && since_s >= (interval_s / 3).min(PING_SLACK_S);
        if is_pong || is_due {
            extra.pinged_s = now_s;
        }
        is_due
    }

    /// A subscription's token is good until then.
    pub(super) fn note_grant(&mut self, session: &Session, channel: &str, expires_at_s: u64) {
        let grants = self.grants.entry(session.conn).or_default();
        let known = grants.iter_mut().find(|grant| *grant.channel == *channel);
        match known {
            Some(grant) => grant.expires_at_s = expires_at_s,
            None => grants.push(Grant {
                channel: channel.into(),
                expires_at_s,
            }),
        }
        let due_s = expires_at_s + GRACE_S;
        self.expiries
            .note_subscription(due_s, session.id(), channel);
    }

    /// A subscription is over.
    pub(super) fn forget_grant(&mut self, conn: u64, channel: &str) {
        if self.grants.is_empty() {
            return;
        }
        if let Some(grants) = self.grants.get_mut(&conn) {
            grants.retain(|grant| *grant.channel != *channel);
            if grants.is_empty() {
                self.grants.remove(&conn);
            }
        }
    }

    /// When a subscription's token expires, in seconds since 1970.
    pub(super) fn grant_until(&self, conn: u64, channel: &str) -> Option<u64> {
        let grants = self.grants.get(&conn)?;
        let grant = grants.iter().find(|grant| *grant.channel == *channel)?;
        Some(grant.expires_at_s)
    }

    /// How long that is from now, as clients are told: one that has just expired in a second.
    pub(super) fn ttl_s(&self, expires_at_s: Option<u64>) -> Option<u32> {
        let left_s = expires_at_s?.saturating_sub(self.now_s()).max(1);
        Some(u32::try_from(left_s).unwrap_or(u32::MAX))
    }

    /// A line for the log about a session.
    pub(super) fn log(&mut self, session: &Session, what: &str) {
        let second = self.now_s();
        if self.lines.second != second {
            self.lines.second = second;
            self.lines.written = 0;
        }
        self.lines.written += 1;
        if self.lines.written > LINES_PER_SECOND {
            self.lines.swallowed += 1;
            return;
        }
        let mut line = format!(
            "worker {}, connection {:x}, user {}: {what}",
            self.worker,
            session.conn,
            Shown(&session.user)
        );
        let swallowed = std::mem::take(&mut self.lines.swallowed);
        if swallowed > 0 {
            let _ = write!(line, " ({swallowed} such lines were left out)");
        }
        (self.common.outside.log)(&line);
    }

    /// Whether something for that connection has to wait until it is welcomed; keeps it if so.
    pub(super) fn hold(&mut self, conn: u64, frames: &[SharedFrame]) -> Option<usize> {
        if self.greetings.is_empty() {
            return None;
        }
        let greeting = self.greetings.get_mut(&conn)?;
        Some(greeting.hold(frames))
    }
}
