//! The first application: `/echo` sends every message back as it came.

use std::fmt;
use std::sync::Arc;

use crate::http1::Head;
use crate::reactor::{Answer, App, Outbox, Peer};
use crate::ws::message::Message;

/// The echo application. It keeps nothing per connection.
#[derive(Clone, Default)]
pub struct Echo {
    stats: Option<Page>,
}

/// A page that is made when it is asked for.
pub type Page = Arc<dyn Fn() -> String + Send + Sync>;

impl Echo {
    /// The same, with a page of figures (JSON) at `/stats`.
    pub fn with_stats(stats: Page) -> Self {
        Self { stats: Some(stats) }
    }
}

impl fmt::Debug for Echo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let has_stats = self.stats.is_some();
        f.debug_struct("Echo").field("stats", &has_stats).finish()
    }
}

impl App for Echo {
    type Conn = ();
    type Letter = std::convert::Infallible;

    fn on_request(&mut self, head: &Head<'_>, _: &Peer<'_>) -> Answer<()> {
        match (head.method, head.path(), &self.stats) {
            (_, "/echo", _) => Answer::Upgrade {
                conn: (),
                protocol: None,
            },
            ("GET" | "HEAD", "/healthz", _) => text(200, "ok\n"),
            ("GET" | "HEAD", "/stats", Some(page)) => Answer::Respond {
                status: 200,
                content_type: "application/json",
                body: page().into(),
            },
            _ => text(404, NOT_FOUND),
        }
    }

    #[inline(always)]
    fn on_message(&mut self, _: &mut (), message: Message<'_>, out: &mut Outbox<'_, Self>) {
        out.reply(message);
    }
}

fn text(status: u16, body: &'static str) -> Answer<()> {
    Answer::Respond {
        status,
        content_type: "text/plain; charset=utf-8",
        body: body.into(),
    }
}

const NOT_FOUND: &str = "There is nothing here. This is a Throng WebSocket server:\n\
    /echo     sends every WebSocket message back\n\
    /healthz  answers 200 while the server is up\n\
    /stats    counts connections and bytes, as JSON (if it is switched on)\n";
