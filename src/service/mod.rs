//! One connection's story: it is let in, speaks a dialect, and uses the hub.
//!
//! ```text
//!  request head --door--> refused: 401, 403, 503           (nothing was upgraded)
//!                    \--> Stranger --its first word, or at once--> Session
//!                           │ says nothing in time                   │ token expired, limits, API
//!                           v                                        v
//!                         Close                                    Close
//!
//!  message --commands, chatting, raw--> Hub --World = Floor--> frames, letters, farewells
//!  letter  ---------------------------> Hub /
//!  turn    --slices of waves----------> Hub /
//! ```
//!
//! The only module that knows both the hub and the reactor, and the one place where a connection's number
//! and a session's meet. A [`Service`] belongs to a worker and shares nothing with the others but
//! [`Common`]: settings, limits of handshakes, and a board of figures. Other threads reach it by an
//! [`Exchange`].

mod app;
mod chatting;
mod commands;
mod common;
mod desk;
mod door;
mod exchange;
mod expiry;
mod floor;
mod frames;
mod greeting;
mod letter;
mod podium;
mod replies;
mod stranger;

pub use app::{Conn, Service};
pub use common::{Common, DoorTally, Memory, Outside, ServiceConfig, Settings, Snapshot};
pub use exchange::{Busy, Exchange};
pub use floor::Floor;
pub use letter::{Letter, Visit, Visitor};
