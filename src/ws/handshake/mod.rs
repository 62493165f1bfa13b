//! The opening handshake, both halves (RFC 6455 4): heads in, heads out, no IO and no randomness.
//!
//! Server: [`parse_head`](crate::http1::parse_head) -> [`Upgrade::check`] -> the caller looks at
//! origin, path and protocols -> [`append_accept`], or a [`Refusal`] that tells a person what was
//! wrong. Handshakes per second are measured, so the way to a 101 allocates nothing but the room in
//! the output buffer.
//!
//! Client: [`append_request`] -> [`check_response`].
//!
//! What the server half refuses is what the RFC says it must, and beyond that whatever would let a
//! proxy in front of it see another message than it does: a body, HTTP/1.0, a second key.

use std::borrow::Cow;

mod accept;
mod client;
#[doc(hidden)]
pub mod fuzzing;
mod refusal;
mod upgrade;

pub use accept::{KEY_BYTES, accept_key, append_accept};
pub use client::{
    Accepted, ClientRefusal, ClientRequest, RESPONSE_BYTES_MAX, append_request, check_response,
};
pub use refusal::Refusal;
pub use upgrade::{EXTENSIONS_BYTES_MAX, Upgrade};

/// The values of one header as one list (RFC 9110 5.3). It allocates only for a peer that spreads
/// the list over several headers, which hardly any does.
fn joined<'b>(mut values: impl Iterator<Item = &'b str>) -> Cow<'b, str> {
    let mut list = Cow::Borrowed(values.next().unwrap_or(""));
    for value in values {
        let list = list.to_mut();
        list.push_str(", ");
        list.push_str(value);
    }
    list
}

#[cfg(test)]
mod tests;
