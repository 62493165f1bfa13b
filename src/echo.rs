//! The first application: `/echo` sends every message back as it came.

use crate::http1::Head;
use crate::reactor::{Answer, App, Outbox};
use crate::ws::message::Message;

/// The echo application. It keeps nothing, neither per worker nor per connection.
#[derive(Clone, Copy, Debug, Default)]
pub struct Echo;

impl App for Echo {
    type Conn = ();
    type Letter = std::convert::Infallible;

    fn on_request(&mut self, head: &Head<'_>) -> Answer<()> {
        match (head.method, head.path()) {
            (_, "/echo") => Answer::Upgrade {
                conn: (),
                protocol: None,
            },
            ("GET" | "HEAD", "/healthz") => text(200, "ok\n"),
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
        body,
    }
}

const NOT_FOUND: &str = "There is nothing here. This is a Throng WebSocket server:\n\
    /echo     sends every WebSocket message back\n\
    /healthz  answers 200 while the server is up\n";
