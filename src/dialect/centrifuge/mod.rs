//! The JSON protocol of Centrifuge, version 2, as the official clients speak it.
//!
//! A text frame of a client holds one command or several, a line each; a text frame of ours one
//! reply or several. A command has an `id` and one request; its reply has the same `id` and a result
//! or an error. What nobody asked for is a push, a reply without an `id`. `{}` from us is a ping,
//! `{}` from the client a pong.
//!
//! How to serve a connection:
//!
//! ```text
//!  for each text frame:
//!    for command in Commands::new(frame, commands_max):
//!      Err(_)                -> close with close(Disconnect::BadRequest)
//!      not logged in, and the request is not Connect -> the same
//!      request               -> batch.reply(command.id, &Reply::..)
//!      if batch.is_full()    -> send batch.bytes() as one text frame, batch.clear()
//!    send what is left
//!
//!  an event of a channel     -> append_push(&mut bytes, channel, &push) once, frame it once, share it
//!  the ping                  -> the text frame PING, if Connected::ping_s is not 0
//!  a farewell                -> a Close frame with close(why): code and reason
//! ```
//!
//! - Before anything else a client says Connect, once; a second one is a `BadRequest` farewell.
//!   A token that was good and has expired is answered with [`ErrorCode::TokenExpired`] (the client
//!   fetches another and comes back); one that never was good, with the farewell `InvalidToken`.
//!   After an error to Connect a connection serves nothing any more, so close it.
//! - `Connected::ping_s` = 0 asks the client to expect no pings of this protocol: WebSocket's own
//!   then do, at no cost per connection here. With n > 0 the client hangs up n + 10 s after the last
//!   `{}`, and answers each with `{}` ([`Request::Pong`]). (The client for JavaScript is content with
//!   anything it hears; the one for Python is not, so also those who are busy talking need pings.)
//! - [`Request::Send`] has no reply, whatever comes of it. [`Request::Rpc`] is answered with
//!   [`ErrorCode::NotAvailable`], [`Request::Unknown`] with [`ErrorCode::MethodNotFound`].
//! - A token that expires is announced by `ttl_s`; the client refreshes some seconds before. A
//!   connection that did not is closed with `Expired` (it comes back with a new token), a
//!   subscription that did not ends with the push [`Push::Unsubscribe`] of `Expired`.
//! - A client that reads too slowly is told what it missed by tags of the next publication
//!   ([`Push::PublicationBehind`]): `missed` is how many, `missed_offsets` which, as in `812-960`, if the channel
//!   numbers them. The official clients hand tags over with the publication.
//! - Whoever closes with a code below 3500 is reconnected to ([`reconnects`]).

mod code;
mod command;
mod push;
mod reply;

pub use code::{ErrorCode, close, reconnects, unsubscribe_code};
pub use command::{
    Command, Commands, Connect, Malformed, Publish, Request, SUBS_MAX, SubRefresh, Subscribe,
};
pub use push::{MISSED, MISSED_OFFSETS, Push, append_push};
pub use reply::{BATCH_BYTES_MAX, BATCH_REPLIES_MAX, Batch, Connected, Reply, append_reply};

/// The subprotocol's name, for clients that ask for it.
pub const SUBPROTOCOL: &str = "centrifuge-json";
/// The server's ping, as a text frame.
pub const PING: &str = "{}";
/// Commands a frame may hold, unless the caller knows better: a client that comes back subscribes
/// to all its channels in one frame, so allow for as many as a connection may have, and a few.
pub const COMMANDS_MAX: usize = 256;

#[cfg(test)]
mod tests;
