//! A peer that a load balancer speaks for: who it is comes first, before TLS and before its request.
//!
//! ```text
//!  Opening ──from a trusted address──> AWAITS_PROXY ──header──> as if the client itself had come
//!                                           │ none, or no good: 400 (or an alert), FIN
//! ```

use std::ops::Range;

use super::Stream;
use super::app::{App, Ending};
use super::connection::Flags;
use super::converse::{Filled, Run};
use super::cork;
use super::desk::Next;
use crate::proxy::{self, Fault, Header};
use crate::ws::frame::HEADROOM;

impl<S: Stream, A: App> Run<'_, S, A> {
    /// Reads who the client is. `Err`: it was refused, and that was its run.
    #[cold]
    pub(super) fn receive_announced(&mut self) -> Result<Filled, Next> {
        let is_tls = self.conn.flags.has(Flags::TLS);
        let from = match is_tls {
            true => match self.room_in_front() {
                Ok(from) => from,
                Err(next) => return Ok(Filled::Later(next)),
            },
            false => HEADROOM,
        };
        let fresh = match self.receive_raw(from) {
            Filled::Bytes(fresh) => fresh,
            other => return Ok(other),
        };
        let rest = match self.read_header(fresh) {
            Ok(Some(rest)) => rest,
            Ok(None) => return Ok(self.nothing_yet()),
            Err(fault) => return Err(self.refuse_header(fault)),
        };
        Ok(match (rest.is_empty(), is_tls) {
            (true, _) => self.nothing_yet(),
            (false, true) => self.open_received(rest),
            (false, false) => Filled::Bytes(rest),
        })
    }

    /// What follows the header in the receive buffer; `None` if it is not all there yet. What is there
    /// of it is kept, 4 KiB at most.
    fn read_header(&mut self, fresh: Range<usize>) -> Result<Option<Range<usize>>, Fault> {
        let Self { conn, desk, .. } = self;
        let (mut kept, _) = conn.take_unread().unwrap_or_default();
        let known = kept.len();
        kept.extend_from_slice(
            &desk.recv[fresh.clone()][..fresh.len().min(proxy::HEADER_BYTES_MAX)],
        );
        let Some(Header { length, client }) = proxy::parse(&kept)? else {
            conn.keep_unread(kept, 0);
            return Ok(None);
        };
        conn.flags.clear(Flags::AWAITS_PROXY);
        desk.counters.proxied += 1;
        if client.is_some() {
            let backlog = conn.backlog.get_or_insert_default();
            backlog.origin.get_or_insert_default().address = client;
        }
        // The header was not complete without the fresh bytes, so it ends among them.
        Ok(Some(fresh.start + length - known..fresh.end))
    }

    fn nothing_yet(&self) -> Filled {
        match self.wants_to_run() {
            true => Filled::Later(Next::Again),
            false => Filled::Nothing,
        }
    }

    fn refuse_header(&mut self, fault: Fault) -> Next {
        self.desk.counters.proxy_refused += 1;
        self.desk.counters.refused += 1;
        let said = match self.conn.flags.has(Flags::TLS) {
            true => cork::send_once(&mut self.conn.stream, UNEXPECTED_MESSAGE).map(|_| ()),
            false => {
                self.respond_in_text(400, &format!("{fault}; your address has to send one.\n"));
                self.flush()
            }
        };
        match said {
            Ok(()) => self.part(Ending::HungUp),
            Err(_) => Next::Over(Ending::Reset),
        }
    }
}

/// A fatal alert in the clear: there is no session to seal it with.
const UNEXPECTED_MESSAGE: &[u8] = &[21, 3, 3, 0, 2, 2, 10];
