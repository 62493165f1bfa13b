//! The opening handshake, both halves (RFC 6455 4): heads in, heads out, no IO and no randomness.
//!
//! Server: [`parse_head`](crate::http1::parse_head) -> [`Upgrade::check`] -> the caller looks at
//! origin, path and protocols -> [`append_accept`], or a [`Refusal`] that tells a person what was
//! wrong. Handshakes per second are measured, so the way to a 101 allocates nothing but the room in
//! the output buffer.
//!
//! What the server half refuses is what the RFC says it must, and beyond that whatever would let a
//! proxy in front of it see another message than it does: a body, HTTP/1.0, a second key.

mod accept;
mod refusal;
mod upgrade;

pub use accept::{accept_key, append_accept};
pub use refusal::Refusal;
pub use upgrade::{EXTENSIONS_BYTES_MAX, Upgrade};

#[cfg(test)]
mod tests;
