//! One run of a connection: read once, take steps, let the application answer, write once.

use std::io::{self, ErrorKind};
use std::ops::Range;

use super::app::{App, Ending};
use super::connection::{Connection, Flags, Phase, queued_bytes};
use super::cork::Cork;
use super::desk::{Desk, Next};
use super::outbox::{Outbox, Outgoing, append_close};
use super::{ConnId, Ready, Stream};
use crate::ws::close::{CloseCode, Violation};
use crate::ws::deflate::{Codec, Compression};
use crate::ws::frame::{HEADROOM, Opcode, append_frame};
use crate::ws::inbound::{Inbound, Step};
use crate::ws::message::Message;

/// One connection, and all that it may touch while it runs.
pub(crate) struct Run<'a, S, A: App> {
    pub(crate) id: ConnId,
    pub(crate) conn: &'a mut Connection<S, A::Conn>,
    pub(crate) desk: &'a mut Desk,
    pub(crate) app: &'a mut A,
    pub(crate) outgoing: &'a mut Outgoing<A::Letter>,
    /// The connection's, while it runs.
    pub(crate) compression: Compression,
}

/// Borrows field by field what a method could only borrow whole.
macro_rules! hearer {
    ($run:ident) => {
        Hearer {
            id: $run.id,
            queued_bytes: queued_bytes(&$run.conn.backlog),
            app: $run.app,
            state: &mut $run.conn.app,
            phase: &mut $run.conn.phase,
            mark_tick: &mut $run.conn.mark_tick,
            now_tick: $run.desk.now_tick,
            messages_in: &mut $run.desk.counters.messages_in,
            cork: &mut $run.desk.cork,
            codec: &mut $run.desk.codec,
            compression: &mut $run.compression,
            outgoing: $run.outgoing,
        }
    };
}

/// What reading gave.
pub(crate) enum Filled {
    /// Here they lie, with headroom in front of them.
    Bytes(Range<usize>),
    /// The same, perhaps none, and nothing can follow: this is how it ends.
    Last(Range<usize>, Ending),
    /// Nothing now.
    Nothing,
    /// Nothing now, and no event will say when there is more.
    Later(Next),
    /// The peer's FIN.
    Eof,
    /// The connection broke.
    Broken,
}

impl<S: Stream, A: App> Run<'_, S, A> {
    /// Readiness becomes bits, and the bits are acted on.
    #[inline]
    pub(crate) fn on_event(&mut self, ready: Ready) -> Next {
        let flags = &mut self.conn.flags;
        if ready.readable {
            flags.set(Flags::READABLE);
        }
        if ready.hung_up {
            flags.set(Flags::READABLE);
            flags.set(Flags::HUNG_UP);
        }
        if ready.writable && flags.has(Flags::BLOCKED) {
            flags.clear(Flags::BLOCKED);
            return self.taken_again();
        }
        // Who has lined up is served in the next turn, and not twice in this one.
        if self.wants_to_run() && !self.conn.flags.has(Flags::QUEUED) {
            self.serve()
        } else {
            Next::Wait
        }
    }

    /// Its turn in the line.
    pub(crate) fn on_turn(&mut self) -> Next {
        self.conn.flags.clear(Flags::QUEUED);
        if self.conn.inbound.must_wait(&self.desk.codec) {
            return Next::First; // without copying its input there and back
        }
        self.serve()
    }

    /// Serves whatever the connection is ready for.
    #[inline(always)]
    pub(crate) fn serve(&mut self) -> Next {
        match self.conn.phase {
            Phase::Open | Phase::Closing => self.converse(),
            Phase::Opening => self.greet(),
            Phase::Parting => self.discard(),
            Phase::Dead => Next::Wait,
        }
    }

    /// Open and Closing: one receive buffer full of frames.
    #[inline(always)]
    fn converse(&mut self) -> Next {
        match self.fill() {
            Filled::Bytes(range) => {
                self.conn.heard(self.desk.now_tick);
                self.step_through(range.start, range.end)
            }
            Filled::Nothing => Next::Wait,
            Filled::Later(next) => next,
            Filled::Last(range, ending) => {
                let next = match range.is_empty() {
                    true => Next::Wait,
                    false => self.step_through(range.start, range.end),
                };
                self.after_last(next, ending)
            }
            Filled::Eof => self.hung_up(),
            Filled::Broken => Next::Over(Ending::Reset),
        }
    }

    /// Nothing can follow what the peer has said, and that has been dealt with; or, if it was more
    /// than one run may do, somebody will come back for it and find the end.
    #[cold]
    pub(crate) fn after_last(&mut self, next: Next, ending: Ending) -> Next {
        let is_over = match self.conn.phase {
            Phase::Opening => true,
            Phase::Open | Phase::Closing => !self.conn.has_unread(),
            Phase::Parting | Phase::Dead => false,
        };
        match next {
            Next::Over(_) => next,
            _ if is_over => self.part(ending),
            _ => next,
        }
    }

    /// Takes steps over `recv[at..end]` until they are used up or something stops the run; then
    /// writes what was said.
    #[inline(always)]
    pub(crate) fn step_through(&mut self, mut at: usize, end: usize) -> Next {
        let stop = loop {
            match self.step(&mut at, end) {
                Ok(Stride::On) if at == end => break Stop::Drained,
                Ok(Stride::On) if self.desk.cork.is_full() => match self.flush_full() {
                    Ok(true) => {}
                    Ok(false) => break Stop::Paused,
                    Err(_) => return Next::Over(Ending::Reset),
                },
                Ok(Stride::On) => {}
                Ok(Stride::Drained) => break Stop::Drained,
                Ok(Stride::Yield) => break Stop::Paused,
                Ok(Stride::Closed(code)) => break Stop::Ended(Ending::Closed(code)),
                Err(violation) => break self.refuse(violation),
            }
        };
        if self.flush().is_err() {
            return Next::Over(Ending::Reset);
        }
        match stop {
            Stop::Drained => {}
            Stop::Paused => self.pause(at..end),
            // Both said Close: nothing can be in flight, so nothing is lost by hanging up now. (With
            // TLS something can: their close_notify, and a reset for it would overtake our Close.)
            Stop::Ended(Ending::Closed(code))
                if self.conn.queued_bytes() == 0 && !self.conn.flags.has(Flags::TLS) =>
            {
                return Next::Over(Ending::Closed(code));
            }
            Stop::Ended(ending) => return self.part(ending),
        }
        self.conn.inbound.note_begun(self.desk.now_tick);
        if self.wants_to_run() {
            Next::Again
        } else {
            Next::Wait
        }
    }

    /// Keeps what was not understood for a later run.
    #[cold]
    fn pause(&mut self, rest: Range<usize>) {
        // Kept even if empty: a half-inflated message goes on from no input at all.
        self.conn.keep_unread(self.desk.recv[rest].to_vec(), 0);
        if !self.wants_to_run() {
            // Until the peer reads, and it may never: others need the inflater meanwhile.
            self.conn.inbound.release_inflater();
        }
    }

    /// One step of the protocol and the application's answer to it. Most frames are a whole,
    /// plain message: for them all of this becomes one function without a call.
    #[inline(always)]
    fn step(&mut self, at: &mut usize, end: usize) -> Result<Stride, Violation> {
        let inbound = &self.conn.inbound;
        let Some(whole) = inbound.whole(&self.desk.rules, &self.desk.recv[*at..end]) else {
            return self.step_slowly(at, end);
        };
        let (message, hearer) = (whole.take(&mut self.desk.recv[..end], at)?, hearer!(self));
        hearer.hear(message);
        Ok(Stride::On)
    }

    /// The same for everything else.
    #[inline(never)]
    fn step_slowly(&mut self, at: &mut usize, end: usize) -> Result<Stride, Violation> {
        let open = self.conn.phase == Phase::Open;
        let step = self.conn.inbound.step(
            &self.desk.rules,
            &mut self.compression,
            &mut self.desk.codec,
            &mut self.desk.recv[..end],
            at,
        )?;
        match step {
            Step::Drained => return Ok(Stride::Drained),
            Step::Yield => return Ok(Stride::Yield),
            Step::Message(message) => hearer!(self).hear(message),
            Step::Ping(payload) if open => {
                append_frame(self.desk.cork.tail(), Opcode::Pong, false, None, payload);
            }
            Step::Ping(_) | Step::Pong(_) => {}
            Step::Close(said) => {
                let code = said.map(|(code, _)| code);
                let tail = self.desk.cork.tail();
                match code {
                    _ if !open => {}
                    Some(code) => append_close(tail, code, ""),
                    None => append_frame(tail, Opcode::Close, false, None, &[]),
                }
                return Ok(Stride::Closed(code));
            }
        }
        Ok(Stride::On)
    }

    /// There is something to do without waiting for an event.
    #[inline]
    pub(crate) fn wants_to_run(&self) -> bool {
        self.conn.wants_to_run(self.desk.limits.queue_bytes_high)
    }

    /// Gets the next bytes behind the headroom: those kept from last time, else from the kernel.
    #[inline(always)]
    pub(crate) fn fill(&mut self) -> Filled {
        if self.conn.has_unread() {
            return self.refill();
        }
        self.receive()
    }

    #[cold]
    fn refill(&mut self) -> Filled {
        let (kept, _) = self.conn.take_unread().unwrap_or_default();
        self.desk.recv[HEADROOM..][..kept.len()].copy_from_slice(&kept);
        Filled::Bytes(HEADROOM..HEADROOM + kept.len())
    }

    /// What the peer says next.
    #[inline(always)]
    pub(crate) fn receive(&mut self) -> Filled {
        if self.conn.flags.has(Flags::TLS) {
            return self.receive_sealed();
        }
        self.receive_raw(HEADROOM)
    }

    /// One `recv` behind `from`.
    #[inline(always)]
    pub(crate) fn receive_raw(&mut self, from: usize) -> Filled {
        let conn = &mut *self.conn;
        if !conn.flags.has(Flags::READABLE) {
            return Filled::Nothing;
        }
        let room = &mut self.desk.recv[from..];
        loop {
            return match conn.stream.recv(room) {
                Ok(0) => Filled::Eof,
                Ok(length) => {
                    // A short read means the kernel has no more, unless a FIN is behind it.
                    if length < room.len() && !conn.flags.has(Flags::HUNG_UP) {
                        conn.flags.clear(Flags::READABLE);
                    }
                    Filled::Bytes(from..from + length)
                }
                Err(e) if e.kind() == ErrorKind::WouldBlock => {
                    conn.flags.clear(Flags::READABLE);
                    Filled::Nothing
                }
                Err(e) if e.kind() == ErrorKind::Interrupted => continue,
                Err(_) => Filled::Broken,
            };
        }
    }

    /// Writes what this run said.
    #[inline(always)]
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.conn.flush(self.desk)
    }

    /// Writes in the middle of a run. `false`: the peer is too far behind to go on.
    #[cold]
    fn flush_full(&mut self) -> io::Result<bool> {
        self.flush()?;
        Ok(self.conn.queued_bytes() <= self.desk.limits.queue_bytes_high)
    }

    /// The kernel refused bytes and has room again, so the peer has taken some: a sign of life, and
    /// whatever it is given time for begins anew. (That the kernel takes what we have just said is
    /// no such sign: it does so for peers that are long gone.)
    #[cold]
    fn taken_again(&mut self) -> Next {
        let before = self.conn.queued_bytes();
        let next = self.flush_queue();
        let after = self.conn.queued_bytes();
        if after < before {
            self.conn.heard(self.desk.now_tick);
        }
        if after == 0
            && self.conn.phase == Phase::Open
            && let Some(state) = &mut self.conn.app
        {
            self.app.on_drained(self.id, state);
        }
        next
    }

    /// Writes the queue.
    pub(crate) fn flush_queue(&mut self) -> Next {
        if self.conn.backlog.is_none() {
            return Next::Wait;
        }
        if self.write_queue().is_err() {
            return Next::Over(Ending::Reset);
        }
        match self.conn.phase {
            Phase::Parting if self.conn.queued_bytes() == 0 => self.depart(),
            _ if self.wants_to_run() => Next::Again,
            _ => Next::Wait,
        }
    }

    /// Writes the queue until it is empty or the kernel takes no more.
    pub(crate) fn write_queue(&mut self) -> io::Result<()> {
        let Self { conn, desk, .. } = self;
        let Some(backlog) = &mut conn.backlog else {
            return Ok(());
        };
        let (queue, stream) = (&mut backlog.queue, &mut conn.stream);
        let all = match (conn.tls, &mut desk.tls) {
            (Some(id), Some(tls)) => queue.flush_sealed(stream, &mut tls.sealer(id))?,
            _ => queue.flush(stream)?,
        };
        match all {
            true => conn.flags.clear(Flags::BLOCKED),
            false => conn.flags.set(Flags::BLOCKED),
        }
        conn.drop_empty_backlog();
        Ok(())
    }

    /// Asks a silent peer for a sign of life.
    pub(crate) fn ping(&mut self) -> Next {
        let state = self.conn.app.as_ref();
        let heartbeat = state.and_then(|state| self.app.heartbeat(state));
        let (opcode, payload) = match heartbeat {
            Some(text) => (Opcode::Text, text.as_bytes()),
            None => (Opcode::Ping, &[][..]),
        };
        append_frame(self.desk.cork.tail(), opcode, false, None, payload);
        self.desk.counters.pings += 1;
        self.conn.flags.set(Flags::PINGED);
        self.conn.mark_tick = self.desk.now_tick;
        self.say()
    }

    /// A wait is over. Only a peer that is in the middle of a message still listens.
    pub(crate) fn too_late(&mut self, ending: Ending) -> Next {
        if self.conn.phase == Phase::Open && ending == Ending::TooSlow {
            let violation = Violation::MessageTooSlow;
            append_close(
                self.desk.cork.tail(),
                violation.close_code(),
                violation.reason(),
            );
            if self.flush().is_ok() {
                return self.part(ending);
            }
        }
        Next::Over(ending)
    }

    /// The server goes down.
    pub(crate) fn say_going_away(&mut self) -> Next {
        self.say_farewell(CloseCode::GOING_AWAY, "server is going down")
    }

    /// The server, or the application, has had enough of it.
    pub(crate) fn say_farewell(&mut self, code: CloseCode, reason: &str) -> Next {
        if self.conn.phase != Phase::Open {
            return Next::Wait; // Opening is answered 503 when its head is whole
        }
        append_close(self.desk.cork.tail(), code, reason);
        self.conn.phase = Phase::Closing;
        self.conn.mark_tick = self.desk.now_tick;
        self.say()
    }

    /// The application panicked: its connection is told, nobody else notices.
    #[cold]
    pub(crate) fn panicked(&mut self) -> Next {
        self.desk.counters.panics += 1;
        match self.conn.phase {
            Phase::Opening => self.respond_internal_error(),
            Phase::Open => append_close(self.desk.cork.tail(), CloseCode::INTERNAL, ""),
            _ => {} // our Close is out already
        }
        let _ = self.flush();
        Next::Over(Ending::Panicked)
    }

    fn say(&mut self) -> Next {
        if self.flush().is_err() {
            Next::Over(Ending::Reset)
        } else {
            Next::Wait
        }
    }

    /// FIN without a Close. The peer may have closed only its half: it still gets what we owe.
    #[cold]
    fn hung_up(&mut self) -> Next {
        let ending = self.ending_of_fin();
        self.part(ending)
    }

    /// The peer broke the protocol or a limit: say so once.
    #[cold]
    fn refuse(&mut self, violation: Violation) -> Stop {
        self.desk.counters.violations += 1;
        if self.conn.phase != Phase::Closing {
            append_close(
                self.desk.cork.tail(),
                violation.close_code(),
                violation.reason(),
            );
        }
        Stop::Ended(Ending::Violated(violation))
    }

    /// From here on nothing is said or heard: the application is told, the queue is written,
    /// and then our FIN goes out.
    #[cold]
    pub(crate) fn part(&mut self, ending: Ending) -> Next {
        self.conn.phase = Phase::Parting;
        self.conn.mark_tick = self.desk.now_tick;
        self.conn.take_unread();
        self.conn.inbound = Inbound::new();
        if let Some(state) = self.conn.app.take() {
            self.desk.counters.ended += 1;
            self.app.on_close(self.id, state, ending, self.outgoing);
        }
        if self.conn.queued_bytes() > 0 {
            Next::Wait
        } else {
            self.depart()
        }
    }

    /// All is written. Closing a socket with unread bytes in it sends a reset, which can
    /// overtake our last words: so only our half is closed, and theirs is read to its end.
    fn depart(&mut self) -> Next {
        match self.close_session() {
            Ok(true) => {}
            Ok(false) => return Next::Wait,
            Err(_) => return Next::Over(Ending::Reset),
        }
        if self.conn.stream.shutdown_write().is_err() {
            return Next::Over(Ending::Reset);
        }
        self.conn.flags.set(Flags::READABLE);
        Next::Again
    }

    /// Parting: throws away what still arrives. The close timeout bounds how long, and
    /// `DISCARD_BYTES_MAX` how much.
    fn discard(&mut self) -> Next {
        match self.receive_raw(HEADROOM) {
            Filled::Bytes(range) | Filled::Last(range, _) => {
                let backlog = self.conn.backlog.get_or_insert_default();
                backlog.discarded += range.len();
                if backlog.discarded > DISCARD_BYTES_MAX {
                    return Next::Over(Ending::HungUp);
                }
                if self.wants_to_run() {
                    Next::Again
                } else {
                    Next::Wait
                }
            }
            Filled::Nothing => Next::Wait,
            Filled::Later(next) => next,
            Filled::Eof if self.conn.queued_bytes() > 0 => {
                self.conn.flags.clear(Flags::READABLE);
                Next::Wait
            }
            Filled::Eof | Filled::Broken => Next::Over(Ending::HungUp),
        }
    }
}

/// What a peer may still send after the end before it is cut off: it should be able to finish the
/// message it is writing, and then read why it was refused.
const DISCARD_BYTES_MAX: usize = 16 << 20;

/// What hearing a message needs of a run: all but the receive buffer and the inbound state, which
/// the message may borrow.
struct Hearer<'a, A: App> {
    id: ConnId,
    app: &'a mut A,
    state: &'a mut Option<A::Conn>,
    phase: &'a mut Phase,
    mark_tick: &'a mut u32,
    now_tick: u32,
    messages_in: &'a mut u64,
    cork: &'a mut Cork,
    codec: &'a mut Codec,
    compression: &'a mut Compression,
    outgoing: &'a mut Outgoing<A::Letter>,
    queued_bytes: usize,
}

impl<A: App> Hearer<'_, A> {
    #[inline(always)]
    fn hear(self, message: Message<'_>) {
        *self.messages_in += 1;
        if *self.phase != Phase::Open {
            return; // we said Close: what still arrives is not answered
        }
        let mut closing = false;
        let mut out = Outbox {
            id: self.id,
            cork: self.cork,
            codec: self.codec,
            compression: self.compression,
            outgoing: self.outgoing,
            queued_bytes: self.queued_bytes,
            closing: &mut closing,
        };
        let state = self.state.as_mut().expect(STATE_IS_THERE);
        self.app.on_message(state, message, &mut out);
        if closing {
            *self.phase = Phase::Closing;
            *self.mark_tick = self.now_tick;
        }
    }
}

const STATE_IS_THERE: &str = "a connection has its application state from the 101 to its parting";

/// Where one step leads.
enum Stride {
    /// More may follow.
    On,
    /// The input is used up.
    Drained,
    /// Not now: this turn's inflate allowance is spent.
    Yield,
    /// Both sides have said Close.
    Closed(Option<CloseCode>),
}

/// Why a run stops taking steps.
enum Stop {
    Drained,
    Paused,
    Ended(Ending),
}
