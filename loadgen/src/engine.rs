//! The engine: opens the connections, drives them, and keeps the books.
//!
//! ```text
//!  conductor (main thread)                 worker (one per thread, own descriptor table)
//!  ramp done? phases, search, ctrl-C  -->  Command   -->  Fleet::turn <-- mio, sockets, clock
//!  collector, sampler, live view     <--   Dispatch  <--  Fleet::dispatch
//! ```
//!
//! A [`Fleet`](fleet::Fleet) is everything one thread knows: plain data, turned by events and time, so that
//! tests drive it with scripted streams. Threads share nothing but the conductor's attention
//! and the [`Gate`](gate::Gate).

pub mod answers;
pub mod books;
pub mod brief;
pub mod conductor;
pub mod connection;
pub mod dispatch;
pub mod fanout;
pub mod fleet;
pub mod flights;
pub mod gate;
pub mod gauge;
pub mod keys;
pub mod liveness;
pub mod net;
pub mod orders;
pub mod parcel;
pub mod parting;
pub mod payload;
pub mod ramp;
mod receiving;
mod rooming;
pub mod rooms;
pub mod roster;
mod sealed;
mod sending;
pub mod speakers;
mod timing;
pub mod tls;
pub mod troop;
pub mod view;
pub mod worker;

#[cfg(test)]
mod tests;
