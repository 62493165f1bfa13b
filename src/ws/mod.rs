//! RFC 6455 and 7692 as bytes in, steps out.
//!
//! Nothing here knows a socket, a clock, a thread or a log: limits are arguments, time is the
//! caller's. That is what makes a fuzz target one line and a conformance test a table.

mod assembly;
pub mod close;
pub mod deflate;
pub mod extension;
pub mod frame;
#[doc(hidden)]
pub mod fuzzing;
pub mod handshake;
pub mod inbound;
mod inflation;
pub mod mask;
pub mod message;
mod spill;
mod unfinished;
pub mod utf8;
mod violation;
mod whole;
