//! The engine inside a program of one's own: a server that shouts back.
//!
//! `cargo run --example embed`, then connect to `ws://127.0.0.1:9100/` and say something.

use throng::http1::Head;
use throng::reactor::{Answer, App, Crew, CrewConfig, Outbox, Peer};
use throng::sys::{Endpoint, ListenOptions};
use throng::ws::message::Message;

/// Counts the messages of each connection.
struct Shout;

impl App for Shout {
    type Conn = u32;
    type Letter = ();

    fn on_request(&mut self, _: &Head<'_>, _: &Peer<'_>) -> Answer<u32> {
        Answer::Upgrade {
            conn: 0,
            protocol: None,
        }
    }

    fn on_message(&mut self, count: &mut u32, message: Message<'_>, out: &mut Outbox<'_, Self>) {
        *count += 1;
        let heard = String::from_utf8_lossy(message.payload()).to_uppercase();
        out.send(message.kind(), format!("{count}: {heard}").as_bytes());
    }
}

fn main() -> std::io::Result<()> {
    let address = "127.0.0.1:9100".parse().expect("an address");
    let endpoint = Endpoint::claim(&address, ListenOptions::default())?;
    let crew = Crew::start(CrewConfig::new(vec![endpoint]), |_worker| Shout)?;
    crew.join(); // for ever: `drain` or `stop` would end it
    Ok(())
}
