//! The door: which paths there are, and who is let in.
//!
//! In the order of what it costs: is it a WebSocket handshake at all, is there room, is the page's
//! origin welcome, is the token good. Whoever is refused is told one of four constant answers, before
//! anything is upgraded.

use super::app::{Conn, Service};
use super::chatting::since_of_query;
use super::stranger::Plan;
use crate::auth::{Handshake, Over, Refused, Ticket, Visitor};
use crate::dialect::{centrifuge, raw};
use crate::http1::Head;
use crate::hub::ChannelName;
use crate::page;
use crate::reactor::{Answer, Peer};
use crate::ws::handshake::Upgrade;

/// Where Centrifuge's clients connect.
pub(super) const CENTRIFUGE_PATH: &str = "/connection/websocket";
/// Where the small chat is.
pub(super) const CHAT_PATH: &str = "/ws/chat";
/// Where everybody hears itself.
pub(super) const ECHO_PATH: &str = "/echo";

/// The subprotocols of Centrifuge that are not the one we speak.
const PROTOBUF: &str = "centrifuge-protobuf";

impl Service {
    /// Answers a request head.
    pub(super) fn answer_head(&mut self, head: &Head<'_>, peer: &Peer<'_>) -> Answer<Conn> {
        self.desk.take_settings();
        let plan = match head.path() {
            CENTRIFUGE_PATH => Plan::Centrifuge,
            CHAT_PATH => Plan::Chat {
                since: since_of_query(head.query()),
            },
            ECHO_PATH if self.desk.settings.echo => Plan::Echo,
            path => match raw::channel_of(path) {
                Some(channel) => match ChannelName::new(&channel) {
                    Ok(_) => Plan::Raw {
                        channel: channel.into(),
                    },
                    Err(_) => return words(404, NOT_FOUND),
                },
                None => return self.answer_page(head),
            },
        };
        // What is no handshake is refused by the engine, in its own words; nothing is kept for it.
        let Ok(upgrade) = Upgrade::check(head) else {
            return Answer::Upgrade {
                conn: Conn::Echo,
                protocol: None,
            };
        };
        let Ok(protocol) = protocol(&plan, &upgrade, head) else {
            return words(400, "only centrifuge-json is spoken here\n");
        };
        match self.admit(head, &upgrade, peer, &plan) {
            Ok((ticket, visitor)) => Answer::Upgrade {
                conn: self.receive(ticket, plan, visitor),
                protocol,
            },
            Err(refusal) => refusal,
        }
    }

    /// Whoever only wants to hear itself, and was counted nowhere, needs nothing kept.
    fn receive(&mut self, ticket: Ticket, plan: Plan, visitor: Visitor) -> Conn {
        match plan == Plan::Echo && ticket == Ticket::default() {
            true => Conn::Echo,
            false => Conn::Stranger(self.desk.strangers.insert(ticket, plan, visitor)),
        }
    }

    fn admit(
        &mut self,
        head: &Head<'_>,
        upgrade: &Upgrade<'_>,
        peer: &Peer<'_>,
        plan: &Plan,
    ) -> Result<(Ticket, Visitor), Answer<Conn>> {
        let common = self.desk.common.clone();
        let ip = peer.address().map(|address| address.ip());
        let ticket = common.admit(ip).map_err(|over| {
            self.desk.door.limited += 1;
            busy(over)
        })?;
        let handshake = Handshake {
            origin: upgrade.origin,
            host: head.header("host"),
            query: head.query(),
            authorization: head.header("authorization"),
            cookie: head.header("cookie"),
            is_local: common.outside.is_local,
        };
        let now_s = (common.outside.unix_ms)() / 1_000;
        let visitor = self.desk.settings.guard.admit(&handshake, now_s);
        let visitor = visitor.and_then(|visitor| match &visitor {
            // Only one dialect has a word to log in with.
            Visitor::Unknown { may_stay: false } if *plan != Plan::Centrifuge => {
                Err(Refused::Unauthorized)
            }
            _ => Ok(visitor),
        });
        match visitor {
            Ok(visitor) => Ok((ticket, visitor)),
            Err(refused) => {
                common.gate.leave(ticket);
                Err(self.refuse(refused))
            }
        }
    }

    fn refuse(&mut self, refused: Refused) -> Answer<Conn> {
        match refused {
            Refused::Unauthorized => self.desk.door.unauthorized += 1,
            Refused::Forbidden => self.desk.door.forbidden += 1,
        }
        words(refused.status(), refused.body())
    }

    /// Everything that is no WebSocket.
    fn answer_page(&self, head: &Head<'_>) -> Answer<Conn> {
        let is_read = matches!(head.method, "GET" | "HEAD");
        let settings = &self.desk.settings;
        if settings.page
            && is_read
            && let Some(page::Asset { headers, body }) = page::answer(head.path())
        {
            return Answer::Page {
                status: 200,
                headers,
                body,
            };
        }
        match (head.path(), &self.desk.common.outside.stats) {
            ("/healthz", _) if is_read => words(200, "ok\n"),
            ("/stats", Some(stats)) if is_read => Answer::Respond {
                status: 200,
                content_type: "application/json",
                body: stats().into(),
            },
            _ => words(404, NOT_FOUND),
        }
    }
}

/// The subprotocol to answer with. A client that wants another one than ours cannot be served.
fn protocol(
    plan: &Plan,
    upgrade: &Upgrade<'_>,
    head: &Head<'_>,
) -> Result<Option<&'static str>, ()> {
    if *plan != Plan::Centrifuge {
        return Ok(None);
    }
    let offers = |name: &str| upgrade.protocols().any(|offered| offered == name);
    if offers(centrifuge::SUBPROTOCOL) {
        return Ok(Some(centrifuge::SUBPROTOCOL));
    }
    let mut pairs = head.query().unwrap_or("").split('&');
    match offers(PROTOBUF) || pairs.any(|pair| pair == "cf_protocol=protobuf") {
        true => Err(()),
        false => Ok(None),
    }
}

type Headers = &'static [(&'static str, &'static str)];

const PLAIN: (&str, &str) = ("Content-Type", "text/plain; charset=utf-8");

fn words(status: u16, body: &'static str) -> Answer<Conn> {
    let headers: Headers = match status {
        401 => &[PLAIN, ("WWW-Authenticate", "Bearer")],
        _ => &[PLAIN],
    };
    Answer::Page {
        status,
        headers,
        body,
    }
}

/// There is no room at the moment.
fn busy(over: Over) -> Answer<Conn> {
    let headers: Headers = match over.retry_after_s() {
        0 | 1 => &[PLAIN, ("Retry-After", "1")],
        _ => &[PLAIN, ("Retry-After", "10")],
    };
    Answer::Page {
        status: 503,
        headers,
        body: "too many connections, come back later\n",
    }
}

const NOT_FOUND: &str = "There is nothing here. This is a Throng WebSocket server:\n\
    /                      a page to try it with (if it is switched on)\n\
    /connection/websocket  clients of Centrifugo\n\
    /ws/chat               a small chat in JSON\n\
    /raw/CHANNEL           every message to everybody on that channel\n\
    /healthz               answers 200 while the server is up\n\
    /stats                 counts connections and bytes, as JSON (if it is switched on)\n";
