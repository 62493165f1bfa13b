//! The engine: per-core event loops over connections that cost one cache line each.
//!
//! `Worker::turn` is the loop's body, in one fixed order, given events and time. It does no
//! polling and knows no file descriptor: `driver` runs it on mio and sockets, the tests on
//! scripted streams and a virtual clock. What is done with messages is an [`App`].

use std::sync::Arc;

use crate::limits::Limits;
use crate::tls::ServerTls;

mod acceptor;
mod app;
pub mod clock;
mod config;
mod connection;
mod converse;
mod cork;
mod crew;
mod deadline;
mod desk;
mod drain;
mod driver;
mod entries;
#[doc(hidden)]
pub mod fuzzing;
mod greet;
mod house;
mod letterbox;
mod line;
pub mod mailbox;
mod newcomers;
mod origin;
mod outbox;
mod outqueue;
mod proxied;
mod script;
mod sealed;
mod shared_frame;
mod stage;
mod stocktaking;
mod stream;
#[cfg(test)]
mod tests;
mod tls;
pub mod wheel;
mod worker;

pub use app::{Answer, App, Ending};
pub use config::WorkerConfig;
pub use crew::{Crew, CrewConfig, Started};
pub use entries::ConnId;
pub use house::{House, WORKERS_MAX};
pub use letterbox::Letterbox;
pub use origin::Peer;
pub use outbox::{Outbox, Outgoing};
pub use shared_frame::SharedFrame;
pub use stage::{Stage, Wish};
pub use stream::{Event, Host, Newcomer, Ready, Stream};
pub use tls::TlsConfig;
pub use worker::{Turn, Worker};

/// What a worker finds in its mailbox.
#[derive(Debug)]
pub enum Mail<L> {
    /// Another worker's letter for the application.
    App(L),
    /// Stop accepting, tell everyone 1001 within the window, finish.
    Drain {
        /// How long the farewells are spread.
        window_ms: u32,
    },
    /// Go through the connections and put a new ledger on the board.
    TakeStock {
        /// Which round of stocktaking this is.
        round: u64,
    },
    /// Hold connections to other limits from now on.
    Limits(Arc<Limits>),
    /// Shake hands with other certificates from now on.
    Tls(ServerTls),
    /// Finish at once.
    Stop,
}
