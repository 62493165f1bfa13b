//! What an application is to the engine: a handful of calls, monomorphised into the worker.

use std::borrow::Cow;

use super::outbox::Outbox;
use super::stage::{Stage, Wish};
use super::{ConnId, Outgoing, Peer};
use crate::http1::Head;
use crate::tls::sessions::Trouble;
use crate::ws::close::{CloseCode, Violation};
use crate::ws::message::Message;

/// The application on top of one worker. Each worker owns one; nothing is shared unless the
/// application shares it.
///
/// Handlers run on the event loop: they must not block. What they say is queued and written
/// when they return. A panic costs the connection it was called for, and nobody else.
pub trait App: Sized + 'static {
    /// Kept per connection. Up to 8 bytes (with a niche, such as a `Box`) fit the connection's
    /// cache line; the build refuses more.
    type Conn;
    /// What workers send each other.
    type Letter: Send + 'static;

    /// A complete, well-formed request head: upgrade it, or answer it. The WebSocket handshake
    /// itself is checked by the engine afterwards.
    fn on_request(&mut self, head: &Head<'_>, peer: &Peer<'_>) -> Answer<Self::Conn>;

    /// The 101 is queued; the first messages may be sent behind it.
    fn on_open(&mut self, conn: &mut Self::Conn, out: &mut Outbox<'_, Self>) {
        let _ = (conn, out);
    }

    /// A whole message, unmasked, inflated, and valid UTF-8 if it is text.
    fn on_message(
        &mut self,
        conn: &mut Self::Conn,
        message: Message<'_>,
        out: &mut Outbox<'_, Self>,
    );

    /// The connection is over. Called exactly once for each `on_open`.
    fn on_close(
        &mut self,
        id: ConnId,
        conn: Self::Conn,
        ending: Ending,
        out: &mut Outgoing<Self::Letter>,
    ) {
        let _ = (id, conn, ending, out);
    }

    /// A connection has read all that was queued for it, after it had been behind.
    fn on_drained(&mut self, id: ConnId, conn: &mut Self::Conn) {
        let _ = (id, conn);
    }

    /// The text message that asks a silent peer for a sign of life, where the protocol on top has one
    /// of its own; otherwise it is a Ping frame. Whatever the peer says then is an answer.
    fn heartbeat(&self, conn: &Self::Conn) -> Option<&'static str> {
        let _ = conn;
        None
    }

    /// Once a turn, when everybody else has been served: work that goes to many connections, in
    /// slices, and whatever else has its time.
    fn on_turn(&mut self, stage: &mut dyn Stage<Self::Letter>) -> Wish {
        let _ = stage;
        Wish::Sleep
    }

    /// Memory that connection's state holds beside itself, for the ledger.
    fn held_bytes(&self, conn: &Self::Conn) -> usize {
        let _ = conn;
        0
    }

    /// Another worker's letter.
    fn on_letter(&mut self, letter: Self::Letter, out: &mut Outgoing<Self::Letter>) {
        let _ = (letter, out);
    }
}

/// The application's answer to a request head.
#[derive(Debug)]
pub enum Answer<C> {
    /// Go on with the WebSocket handshake.
    Upgrade {
        /// The connection's state.
        conn: C,
        /// The chosen subprotocol; must be one of those offered.
        protocol: Option<&'static str>,
    },
    /// A plain HTTP response; the connection is closed behind it.
    Respond {
        /// The HTTP status.
        status: u16,
        /// The `Content-Type`.
        content_type: &'static str,
        /// The body.
        body: Cow<'static, str>,
    },
    /// The same, with all of it part of the program: a file, or words that never change.
    Page {
        /// The HTTP status.
        status: u16,
        /// The `Content-Type`, and whatever else there is to say.
        headers: &'static [(&'static str, &'static str)],
        /// The body.
        body: &'static str,
    },
}

/// How a connection ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ending {
    /// Both sides said Close; the peer's code, if it gave one.
    Closed(Option<CloseCode>),
    /// The peer's bytes broke the protocol or a limit.
    Violated(Violation),
    /// EOF without a Close (1006 in the RFC's terms); over TLS, at least a close_notify.
    HungUp,
    /// EOF in the middle of TLS: not even close_notify, so anybody on the way may have cut it.
    Truncated,
    /// TLS could not go on: a forged record, a broken rule, a spent budget.
    Tls(Trouble),
    /// The connection was reset, or the kernel gave up on it.
    Reset,
    /// No sign of life within the pong timeout.
    Silent,
    /// The handshake, an unfinished message, or the close handshake took too long.
    TooSlow,
    /// It did not read what was sent to it.
    Overflowed,
    /// The application panicked while serving it.
    Panicked,
    /// The server went down.
    Stopped,
}
