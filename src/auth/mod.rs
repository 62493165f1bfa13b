//! Who may connect: origins, tokens, keys, and how many handshakes an address may make.
//!
//! ```text
//!  [auth], key files, key set, development key --Guard::load--> Guard   (again at each reload)
//!  request head --Handshake--> Guard::admit --> Visitor, or Refused: 403 or 401, always the same
//!  connect, refresh commands ----> Guard::connection   --> Identity, or Denied
//!  subscribe, sub_refresh -------> Guard::subscription --> Grant, or Denied
//!  [limits] --> Gate;  accept --> Gate::admit --> Ticket, or Over: 503;  end --> Gate::leave(Ticket)
//! ```
//!
//! Identity is settled once, at the handshake or with the first command, and kept with the
//! connection; nothing is looked up per message. What is handed out is an expiry as a time: whoever
//! keeps timers ends what has expired.
//!
//! The order of a handshake: limits (cheap), origin, token. A page of a foreign origin learns nothing
//! about tokens, and nobody learns why a token is no good. A token never is in an error, a log or a
//! `Debug`. Time is an argument everywhere; files are read by `load` functions only.

mod admission;
mod claims;
pub mod dev_key;
mod handshake;
mod keys;
mod shown;
mod sign;
mod verify;

pub use admission::{Gate, GateCounts, Over, Ticket};
pub use claims::{Grant, Identity, ServerSub, USER_BYTES_MAX};
pub use handshake::{Handshake, Refused, Visitor};
pub use keys::{Keys, secret_of};
pub use shown::Shown;
pub use sign::{NewToken, sign};
pub use verify::{Denied, Guard, TOKEN_BYTES_MAX};

#[doc(hidden)]
pub mod fuzzing;

#[cfg(test)]
mod tests;
