//! A run of a connection that speaks TLS: what it reads is opened where it lies, what it says is
//! sealed on its way out.
//!
//! ```text
//!  Opening ──bytes, and a place among the handshakes──> session ──flights──> established
//!     │                                                    │                      │
//!     │ no place: in line                                  │ refused: alert, FIN  v
//!     v                                                    v             Open, Closing: records
//!   (waits, or its time is over)                        Parting <──close_notify both ways──┘
//! ```
//!
//! To the rest of the loop it looks like any stream, but for two things: a read may give nothing and
//! still have been worth it, and the stream may be over before the kernel says so.

use std::io;
use std::ops::Range;

use super::Stream;
use super::app::{App, Ending};
use super::connection::{Connection, Flags, Phase};
use super::converse::{Filled, Run};
use super::cork;
use super::desk::{Desk, Next};
use super::tls::count_refusal;
use crate::http1::append_response;
use crate::sys::ktls;
use crate::tls::sessions::{Ending as TlsEnding, Established, Received, SessionId, Trouble};
use crate::tls::{Introduction, Refusal};
use crate::ws::frame::HEADROOM;

impl<S: Stream, C> Connection<S, C> {
    /// Writes what was said.
    #[inline(never)]
    pub(super) fn flush_sealed(&mut self, desk: &mut Desk) -> io::Result<()> {
        let (Some(tls), Some(id)) = (&mut desk.tls, self.tls) else {
            desk.cork.clear(); // before its first bytes, or after its last, nobody listens
            return Ok(());
        };
        let blocked = self.flags.has(Flags::BLOCKED);
        let mut sealer = tls.sealer(id);
        let (stream, backlog) = (&mut self.stream, &mut self.backlog);
        if !(desk.cork).flush_sealed(&desk.recv, stream, &mut sealer, backlog, blocked)? {
            self.flags.set(Flags::BLOCKED);
        }
        Ok(())
    }
}

impl<S: Stream, A: App> Run<'_, S, A> {
    /// Reads once and opens what came.
    #[inline(never)]
    pub(super) fn receive_sealed(&mut self) -> Filled {
        if self.conn.flags.has(Flags::TLS_OVER) {
            return Filled::Eof;
        }
        let from = match self.room_in_front() {
            Ok(from) => from,
            Err(next) => return Filled::Later(next),
        };
        match self.receive_raw(from) {
            Filled::Bytes(fresh) => self.open_received(fresh),
            other => other,
        }
    }

    /// Where to receive: behind what is held back of a record. An error if it is not this one's turn.
    pub(super) fn room_in_front(&mut self) -> Result<usize, Next> {
        let Some(tls) = &mut self.desk.tls else {
            return Err(Next::Over(Ending::Reset)); // without TLS there is no listener for it
        };
        let Some(id) = self.conn.tls else {
            let may_begin = tls.may_begin();
            return may_begin.then_some(HEADROOM).ok_or(Next::InLine);
        };
        if tls.sessions.is_handshaking(id) {
            if !tls.may_go_on() {
                return Err(Next::InLine);
            }
            tls.take_allowance();
        }
        Ok(HEADROOM + tls.sessions.pending_len(id))
    }

    /// Opens the records received at `fresh`.
    pub(super) fn open_received(&mut self, fresh: Range<usize>) -> Filled {
        let Self { conn, desk, .. } = self;
        let Some(tls) = &mut desk.tls else {
            return Filled::Broken;
        };
        let id = match conn.tls {
            Some(id) => id,
            None => {
                tls.take_allowance();
                let Some(id) = tls.begin() else {
                    return Filled::Broken; // a fault of ours: there was a place for it
                };
                *conn.tls.insert(id)
            }
        };
        let received = tls
            .sessions
            .receive(id, &mut desk.recv, fresh, &mut tls.out);
        let Received {
            plaintext,
            established,
            ending,
        } = received;
        if let TlsEnding::Broken(Trouble::Handshake(Refusal::PlainHttp)) = ending {
            answer_in_the_clear(&mut tls.out);
        }
        let id = established
            .as_ref()
            .map_or(id, |established| established.id);
        conn.tls = Some(id);
        if self.send_owed().is_err() {
            return Filled::Broken;
        }
        if let Some(established) = established
            && self.introduce(*established).is_err()
        {
            return Filled::Broken;
        }
        self.note_record(plaintext.is_empty());
        self.filled(plaintext, ending)
    }

    /// What the rest of the run makes of it.
    fn filled(&mut self, plaintext: Range<usize>, ending: TlsEnding) -> Filled {
        let ending = match ending {
            TlsEnding::Open if !plaintext.is_empty() => return Filled::Bytes(plaintext),
            TlsEnding::Open if self.wants_to_run() => return Filled::Later(Next::Again),
            TlsEnding::Open => return Filled::Nothing,
            TlsEnding::Closed => Ending::HungUp,
            TlsEnding::Broken(trouble) => {
                let counters = &mut self.desk.counters;
                match trouble {
                    Trouble::Handshake(refusal) if self.conn.phase == Phase::Opening => {
                        count_refusal(counters, refusal);
                    }
                    _ => counters.tls_broken += 1,
                }
                Ending::Tls(trouble)
            }
        };
        // If the plaintext has to wait, whoever comes back for more finds the end.
        self.conn.flags.set(Flags::TLS_OVER);
        self.conn.flags.set(Flags::READABLE);
        Filled::Last(plaintext, ending)
    }

    /// A handshake is done.
    fn introduce(&mut self, established: Established) -> io::Result<()> {
        let Established { id, introduction } = established;
        let counters = &mut self.desk.counters;
        counters.tls_handshakes += 1;
        counters.tls_resumed += u64::from(introduction.is_resumed);
        counters.tls_12 += u64::from(!introduction.is_tls13);
        let Introduction {
            server_name, peer, ..
        } = &introduction;
        if server_name.is_some() || peer.is_some() {
            let backlog = self.conn.backlog.get_or_insert_default();
            backlog.origin.get_or_insert_default().introduction = Some(introduction);
        }
        self.hand_to_kernel(id)
    }

    /// Lets the kernel go on with the records, if it is to and can.
    fn hand_to_kernel(&mut self, id: SessionId) -> io::Result<()> {
        let Some(tls) = &mut self.desk.tls else {
            return Ok(());
        };
        // Records that wait to be sent were counted already; the kernel would count them again.
        if !tls.to_kernel || self.conn.queued_bytes() > 0 {
            return Ok(());
        }
        let stream = &self.conn.stream;
        match (tls.sessions).export(id, |read, write| stream.install_keys(read, write)) {
            Some(Ok(())) => {
                tls.forget(self.conn);
                self.conn.flags.clear(Flags::TLS);
                self.desk.counters.tls_in_kernel += 1;
                Ok(())
            }
            Some(Err(ktls::Refusal::Halfway(error))) => Err(error),
            Some(Err(ktls::Refusal::Unsupported(_))) | None => Ok(()),
        }
    }

    /// Keeps an eye on records that begin and do not end. The first part of one is a sign of life;
    /// the others are not, or a byte now and then would be one for days.
    fn note_record(&mut self, is_barren: bool) {
        let (Some(tls), Some(id)) = (&self.desk.tls, self.conn.tls) else {
            return;
        };
        if tls.sessions.pending_len(id) == 0 {
            return self.conn.flags.clear(Flags::MID_RECORD);
        }
        let is_new = !self.conn.flags.has(Flags::MID_RECORD);
        self.conn.flags.set(Flags::MID_RECORD);
        if is_new && is_barren && self.conn.phase == Phase::Open {
            self.conn.heard(self.desk.now_tick);
        }
    }

    /// Sends what TLS itself has to say. It goes in front of all that is not sealed yet.
    fn send_owed(&mut self) -> io::Result<()> {
        let Self { conn, desk, .. } = self;
        let Some(tls) = &mut desk.tls else {
            return Ok(());
        };
        let mut owed = std::mem::take(&mut tls.out);
        let sent = match owed.is_empty() || conn.queued_bytes() > 0 {
            true => 0,
            false => cork::send_once(&mut conn.stream, &owed)?,
        };
        if sent < owed.len() {
            let queue = &mut conn.backlog.get_or_insert_default().queue;
            queue.push_sealed(&owed[sent..]);
        }
        owed.clear();
        tls.out = owed;
        match conn.queued_bytes() > 0 && !conn.flags.has(Flags::BLOCKED) {
            true => self.write_queue(),
            false => Ok(()),
        }
    }

    /// Says close_notify, once. `true`: it is out, and the session is forgotten.
    pub(super) fn close_session(&mut self) -> io::Result<bool> {
        let Self { conn, desk, .. } = self;
        let (Some(tls), Some(id)) = (&mut desk.tls, conn.tls) else {
            return Ok(true);
        };
        let mut sealer = tls.sealer(id);
        let farewell = sealer.close();
        let sent = match farewell.is_empty() {
            true => 0,
            false => cork::send_once(&mut conn.stream, farewell)?,
        };
        if sent < farewell.len() {
            let queue = &mut conn.backlog.get_or_insert_default().queue;
            queue.push_sealed(&farewell[sent..]);
            self.write_queue()?;
        }
        let is_out = self.conn.queued_bytes() == 0;
        if is_out && let Some(tls) = &mut self.desk.tls {
            tls.forget(self.conn);
        }
        Ok(is_out)
    }

    /// How a stream ends whose FIN has come: without close_notify, anybody on the way may have cut it.
    pub(super) fn ending_of_fin(&mut self) -> Ending {
        let (Some(tls), Some(id)) = (&mut self.desk.tls, self.conn.tls) else {
            return Ending::HungUp;
        };
        if self.conn.flags.has(Flags::TLS_OVER) || !tls.sessions.is_truncated(id) {
            return Ending::HungUp;
        }
        self.desk.counters.tls_truncated += 1;
        Ending::Truncated
    }
}

/// Whoever speaks plain HTTP here understands plain HTTP, and no alert.
fn answer_in_the_clear(out: &mut Vec<u8>) {
    let headers = [
        ("Content-Type", "text/plain; charset=utf-8"),
        ("Connection", "close"),
    ];
    out.clear();
    append_response(out, 400, &headers, PLAIN_HTTP).expect("our own headers hold no control bytes");
}

const PLAIN_HTTP: &[u8] = b"This port speaks TLS: write https:// or wss://\n";
