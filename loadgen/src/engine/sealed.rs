//! A connection that speaks TLS: what it reads is opened where it lies, what it says is sealed on its way out.
//!
//! ```text
//!  dial: hello ──> Upgrading ──flights──> established: the request, sealed ──> 101 ──> Open: records
//!                      │ refused, or cut: a failure of its own class                     │
//!                      v                                                                 v
//!                    Dead <──────────── their close_notify, or an end without it ──── Leaving: ours
//! ```

use std::ops::Range;

use throng::tls::sessions::{Ending, Established, SessionId};
use throng::ws::frame::HEADROOM;
use throng::ws::handshake::append_request;

use super::connection::Phase;
use super::fleet::Fleet;
use super::net::Net;
use crate::failures::Failure;
use crate::failures::tls::TlsFailure;

impl<N: Net> Fleet<N> {
    /// The first words on a new connection: the request, or a hello before it. `None`: no session could be
    /// begun.
    pub(super) fn first_words(&mut self, index: u32) -> Option<Vec<u8>> {
        let tuple = self.connection(index).tuple;
        let place = Self::place_of(&self.tuples, tuple);
        let (Some(client), Some(tls)) = (&self.brief.places[place].tls, &mut self.tls) else {
            return Some(self.request_of(index));
        };
        let mut hello = Vec::new();
        let id = tls.begin(client, &mut hello)?;
        self.connection(index).tls = Some(id);
        Some(hello)
    }

    /// The request that opens a connection.
    fn request_of(&self, index: u32) -> Vec<u8> {
        let connection = &self.entries.0[index as usize];
        let place = Self::place_of(&self.tuples, connection.tuple);
        let troop = &self.troops[usize::from(connection.cohort)];
        let opening = connection.pending.as_ref();
        let opening = opening.and_then(|pending| pending.opening.as_ref());
        let nonce = opening.map_or([0; 16], |opening| opening.nonce);
        let mut request = Vec::new();
        let place = &self.brief.places[place];
        let written = troop.with_request(place, connection.number, nonce, true, |asked| {
            append_request(&mut request, asked)
        });
        debug_assert!(
            written.is_ok(),
            "flags and files were checked to be sendable"
        );
        request
    }

    /// Where to receive: behind what is held back of a record.
    pub(super) fn receive_at(&self, index: u32) -> usize {
        match (&self.tls, self.entries.0[index as usize].tls) {
            (Some(tls), Some(id)) => HEADROOM + tls.sessions.pending_len(id),
            _ => HEADROOM,
        }
    }

    /// Opens what was received at `fresh`, and understands it.
    pub(super) fn open_received(
        &mut self,
        index: u32,
        id: SessionId,
        buffer: &mut [u8],
        fresh: Range<usize>,
    ) {
        let Some(tls) = &mut self.tls else { return };
        let mut owed = std::mem::take(&mut tls.owed);
        let received = tls.sessions.receive(id, buffer, fresh, &mut owed);
        let is_owing = !owed.is_empty() || received.established.is_some();
        if !owed.is_empty() {
            // In front of everything that is sealed later.
            let pending = self.connection(index).pending.get_or_insert_default();
            pending.unsent.extend_from_slice(&owed);
            owed.clear();
        }
        if let Some(tls) = &mut self.tls {
            tls.owed = owed;
        }
        if let Some(established) = received.established {
            self.on_secured(index, *established);
        }
        if is_owing {
            self.on_writable(index);
        }
        if !received.plaintext.is_empty() {
            let Range { start, end } = received.plaintext;
            self.consume(index, &mut buffer[start - HEADROOM..end]);
        }
        if self.is(index, Phase::Dead) {
            return;
        }
        match received.ending {
            Ending::Open => {}
            Ending::Closed => {
                self.close_session(index);
                self.ended_by_peer(index);
            }
            Ending::Broken(trouble) => {
                self.doom_broken(index, Failure::Tls(TlsFailure::from(trouble)));
            }
        }
    }

    /// The TLS handshake is done: now the request.
    fn on_secured(&mut self, index: u32, established: Established) {
        let now_ns = self.net.now_ns();
        let connection = self.connection(index);
        connection.tls = Some(established.id);
        let opening = connection.pending.as_ref();
        let opening = opening.and_then(|pending| pending.opening.as_ref());
        let stood_ns = opening.map_or(now_ns, |opening| opening.stood_ns);
        let introduction = &established.introduction;
        self.counts.tls12 += u64::from(!introduction.is_tls13);
        let took_ns = now_ns.saturating_sub(stood_ns);
        self.recorder.secured(introduction.is_resumed, took_ns);
        let request = self.request_of(index);
        self.enqueue(index, &request);
        if self.dribbles(index) {
            // Its timer was set to the end of its patience when the hello was out.
            self.set_timer(index, self.ticks.at(now_ns) + 1);
        }
    }

    /// Puts plaintext behind what waits for the socket; returns how long it has become.
    pub(super) fn enqueue(&mut self, index: u32, plain: &[u8]) -> usize {
        let connection = &mut self.entries.0[index as usize];
        let pending = connection.pending.get_or_insert_default();
        let before = pending.unsent.len();
        match (&mut self.tls, connection.tls) {
            (Some(tls), Some(id)) => tls.seal(id, plain, &mut pending.unsent),
            _ => pending.unsent.extend_from_slice(plain),
        }
        pending.unsent.len() - before
    }

    /// Says close_notify behind everything else, once: whoever ends without it looks cut off.
    pub(super) fn close_session(&mut self, index: u32) {
        let connection = &mut self.entries.0[index as usize];
        if let (Some(tls), Some(id)) = (&mut self.tls, connection.tls) {
            let pending = connection.pending.get_or_insert_default();
            tls.close(id, &mut pending.unsent);
            self.on_writable(index);
        }
    }

    /// Whether an end of the stream, now, is one that anybody on the way may have made. Before the handshake
    /// is done it is only an end.
    pub(super) fn is_truncated(&mut self, index: u32) -> bool {
        match (&mut self.tls, self.entries.0[index as usize].tls) {
            (Some(tls), Some(id)) => {
                !tls.sessions.is_handshaking(id) && tls.sessions.is_truncated(id)
            }
            _ => false,
        }
    }

    /// The end of a session; nothing of its keys stays in memory.
    pub(super) fn forget_session(&mut self, index: u32) {
        if let (Some(tls), Some(id)) = (&mut self.tls, self.entries.0[index as usize].tls.take()) {
            tls.sessions.remove(id);
        }
    }
}
