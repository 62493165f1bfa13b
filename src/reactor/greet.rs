//! The opening of a connection: one HTTP request head, one answer.

use std::ops::Range;

use super::Stream;
use super::app::{Answer, App, Ending};
use super::connection::{Flags, Phase};
use super::converse::{Filled, Run};
use super::desk::Next;
use super::origin::Peer;
use super::outbox::Outbox;
use crate::http1::{self, Head, append_response};
use crate::proxy;
use crate::ws::deflate::{Agreed, Compression};
use crate::ws::extension;
use crate::ws::handshake::{Upgrade, append_accept};

const UNASKED: &str =
    "A PROXY protocol header from an address that is not trusted with it (proxy-from).\n";
const PLAIN_TEXT: (&str, &str) = ("Content-Type", "text/plain; charset=utf-8");

/// What became of a head.
enum Greeted {
    /// Not complete yet.
    Partial,
    /// 101 is said; so many bytes of the input belonged to the head.
    Upgraded(usize),
    /// An HTTP response is said, and it is the last word.
    Answered,
}

impl<S: Stream, A: App> Run<'_, S, A> {
    /// Opening: reads, and answers as soon as the head is whole. Frames that came in the same
    /// segment are served at once.
    pub(crate) fn greet(&mut self) -> Next {
        let filled = match self.conn.flags.has(Flags::AWAITS_PROXY) {
            true => match self.receive_announced() {
                Ok(filled) => filled,
                Err(next) => return next,
            },
            false => self.receive(),
        };
        match filled {
            Filled::Bytes(range) => self.greet_with(range),
            Filled::Last(range, ending) => {
                let next = match range.is_empty() {
                    true => Next::Wait,
                    false => self.greet_with(range),
                };
                self.after_last(next, ending)
            }
            Filled::Nothing => Next::Wait,
            Filled::Later(next) => next,
            Filled::Eof | Filled::Broken => Next::Over(Ending::HungUp),
        }
    }

    fn greet_with(&mut self, received: Range<usize>) -> Next {
        let end = received.end;
        let greeted = match self.conn.take_unread() {
            None => self.answer_received(received),
            Some((head, scanned)) => self.answer_collected(head, scanned, received),
        };
        match greeted {
            Greeted::Partial if self.wants_to_run() => Next::Again,
            Greeted::Partial => Next::Wait,
            Greeted::Upgraded(at) => self.step_through(at, end),
            Greeted::Answered if self.flush().is_err() => Next::Over(Ending::Reset),
            Greeted::Answered => self.part(Ending::HungUp),
        }
    }

    /// The usual case: the whole head in one read, parsed where it lies.
    fn answer_received(&mut self, received: Range<usize>) -> Greeted {
        // The buffer is lent to the parser while the rest of the desk works on the answer.
        let recv = std::mem::take(&mut self.desk.recv);
        let mut scanned = 0;
        let start = received.start;
        let greeted = self.answer(&recv[received.clone()], &mut scanned);
        if let Greeted::Partial = greeted {
            self.conn.keep_unread(recv[received].to_vec(), scanned);
        }
        self.desk.recv = recv;
        match greeted {
            Greeted::Upgraded(length) => Greeted::Upgraded(start + length),
            other => other,
        }
    }

    /// A head in pieces is collected, and scanned only where it is new.
    #[cold]
    fn answer_collected(
        &mut self,
        mut head: Vec<u8>,
        mut scanned: usize,
        received: Range<usize>,
    ) -> Greeted {
        let (known, start) = (head.len(), received.start);
        head.extend_from_slice(&self.desk.recv[received]);
        let greeted = self.answer(&head, &mut scanned);
        if let Greeted::Partial = greeted {
            self.conn.keep_unread(head, scanned);
        }
        match greeted {
            // The head ends in the bytes just read, for it was not complete without them.
            Greeted::Upgraded(length) => Greeted::Upgraded(start + length - known),
            other => other,
        }
    }

    /// Parses and answers. `scanned` is how far the search for the end has come.
    fn answer(&mut self, bytes: &[u8], scanned: &mut usize) -> Greeted {
        match http1::parse_head(bytes, scanned, self.desk.limits.head_bytes_max) {
            Ok(None) if proxy::is_header(bytes) => self.refuse_unasked_header(),
            Ok(None) => Greeted::Partial,
            Ok(Some((head, length))) => match self.answer_head(&head) {
                true => Greeted::Upgraded(length),
                false => Greeted::Answered,
            },
            Err(error) => {
                if proxy::is_header(bytes) {
                    return self.refuse_unasked_header();
                }
                self.desk.counters.refused += 1;
                self.respond_in_text(error.status(), &format!("{error}\n"));
                Greeted::Answered
            }
        }
    }

    /// Asks the application, then the protocol. `true` if the connection is upgraded.
    fn answer_head(&mut self, head: &Head<'_>) -> bool {
        if self.desk.leaving {
            self.respond(503, &[("Retry-After", "5")], "The server is going down.\n");
            return false;
        }
        let (state, protocol) = match self.ask(head) {
            Answer::Upgrade { conn, protocol } => (conn, protocol),
            Answer::Respond {
                status,
                content_type,
                body,
            } => {
                self.respond(status, &[("Content-Type", content_type)], &body);
                self.shorten(head, &body);
                return false;
            }
            Answer::Page {
                status,
                headers,
                body,
            } => {
                self.respond(status, headers, body);
                self.shorten(head, body);
                return false;
            }
        };
        let upgrade = match Upgrade::check(head) {
            Ok(upgrade) => upgrade,
            Err(refusal) => {
                self.desk.counters.refused += 1;
                refusal.append_to(self.desk.cork.tail());
                return false;
            }
        };
        let agreed = extension::negotiate(&upgrade.extensions(), self.desk.codec.config());
        let (agreed, answer) = agreed.unzip();
        append_accept(self.desk.cork.tail(), &upgrade, protocol, answer.as_deref());
        self.open(state, agreed);
        true
    }

    /// The application's answer. Who asked has been said then, and is forgotten.
    fn ask(&mut self, head: &Head<'_>) -> Answer<A::Conn> {
        let origin = self
            .conn
            .backlog
            .as_mut()
            .and_then(|backlog| backlog.origin.take());
        let peer = Peer {
            stream: &self.conn.stream,
            origin: origin.as_deref(),
            is_tls: self.conn.is_tls(),
        };
        let answer = self.app.on_request(head, &peer);
        self.conn.drop_empty_backlog();
        answer
    }

    /// The application failed before it was a WebSocket.
    pub(crate) fn respond_internal_error(&mut self) {
        self.respond(500, &[PLAIN_TEXT], "The application failed.\n");
    }

    /// Anybody can write a PROXY header; it is believed of nobody who is not known for it.
    #[cold]
    fn refuse_unasked_header(&mut self) -> Greeted {
        self.desk.counters.refused += 1;
        self.respond_in_text(400, UNASKED);
        Greeted::Answered
    }

    /// An answer for people.
    pub(super) fn respond_in_text(&mut self, status: u16, body: &str) {
        self.respond(status, &[PLAIN_TEXT], body);
    }

    fn respond(&mut self, status: u16, headers: &[(&str, &str)], body: &str) {
        let headers = [headers, &[("Connection", "close")]].concat();
        let tail = self.desk.cork.tail();
        append_response(tail, status, &headers, body.as_bytes())
            .expect("our own headers hold no control bytes");
    }

    /// An answer to HEAD is that to GET without its body.
    fn shorten(&mut self, head: &Head<'_>, body: &str) {
        if head.method == "HEAD" {
            let tail = self.desk.cork.tail();
            tail.truncate(tail.len() - body.len());
        }
    }

    fn open(&mut self, state: A::Conn, agreed: Option<Agreed>) {
        let Self {
            id,
            conn,
            desk,
            app,
            outgoing,
            compression,
        } = self;
        *compression = Compression::new(agreed);
        conn.heard(desk.now_tick);
        desk.counters.upgraded += 1;
        let mut closing = false;
        let state = conn.app.insert(state);
        let mut out = Outbox {
            id: *id,
            cork: &mut desk.cork,
            codec: &mut desk.codec,
            compression,
            outgoing,
            queued_bytes: 0,
            closing: &mut closing,
        };
        app.on_open(state, &mut out);
        // Only now: if the handler panics, the 101 is lost, and the peer still expects HTTP.
        conn.phase = if closing { Phase::Closing } else { Phase::Open };
    }
}
