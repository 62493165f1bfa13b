//! What goes out: requests, messages, control frames. One system call for as much as is ready.
//!
//! A socket that takes no more keeps at most one batch in `pending`; the messages behind it stay flights
//! and are written when there is room, from their stamps.

use std::io::ErrorKind;

use throng::reactor::Stream as _;
use throng::ws::deflate::Codec;
use throng::ws::frame::{Opcode, append_frame};

use super::connection::{Flags, Phase};
use super::fanout::Fanout;
use super::fleet::{Fleet, Stage};
use super::flights::Flight;
use super::net::Net;
use super::parting::End;
use super::payload::Stamp;
use super::troop::Troop;
use crate::failures::Failure;
use crate::scenario::{Beast, Kind};

impl<N: Net> Fleet<N> {
    /// The socket takes bytes (again).
    pub(super) fn on_writable(&mut self, index: u32) {
        let connection = self.connection(index);
        if connection.flags.has(Flags::MUTE) || connection.phase == Phase::Dead {
            return;
        }
        let dribbles = connection.phase <= Phase::Upgrading && self.dribbles(index);
        if dribbles {
            // The timer sends it, a byte at a time; the first tells that the connection stands.
            return self.dribble(index);
        }
        if self.flush(index) && self.is(index, Phase::Open) {
            self.write_unsent(index);
        }
    }

    /// Writes what waits. Whether nothing waits any more.
    fn flush(&mut self, index: u32) -> bool {
        while self.connection(index).is_blocked() {
            if !self.flush_some(index, usize::MAX) {
                return false;
            }
        }
        self.connection(index).drop_empty_pending();
        true
    }

    /// Writes up to `most` bytes of what waits. Whether the socket may take more.
    pub(super) fn flush_some(&mut self, index: u32, most: usize) -> bool {
        let connection = &mut self.entries.0[index as usize];
        let (Some(stream), Some(pending)) = (&mut connection.stream, &mut connection.pending)
        else {
            return false;
        };
        let rest = pending.rest();
        match stream.send(&rest[..rest.len().min(most)]) {
            Ok(length) => {
                pending.sent += length;
                if pending.rest().is_empty() {
                    (pending.unsent, pending.sent) = (Vec::new(), 0);
                    pending.control_bytes = 0;
                }
                if connection.phase == Phase::Dialing {
                    self.on_connected(index);
                }
                true
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => true,
            Err(error) if error.kind() == ErrorKind::WouldBlock => false,
            Err(error) => {
                self.on_broken(index, Failure::from_io(&error));
                false
            }
        }
    }

    /// A write failed. What came before the break may say more than the break itself.
    fn on_broken(&mut self, index: u32, why: Failure) {
        if self.connection(index).phase <= Phase::Dialing {
            return self.doom(index, End::Failed(why));
        }
        let flags = &mut self.connection(index).flags;
        flags.set(Flags::BROKEN);
        self.queue_read(index);
    }

    /// Sends a control frame, behind whatever waits.
    pub(super) fn send_control(&mut self, index: u32, opcode: Opcode, payload: &[u8]) {
        let connection = &self.entries.0[index as usize];
        if connection.flags.has(Flags::MUTE) || connection.stream.is_none() {
            return;
        }
        let waiting = connection.pending.as_ref();
        if waiting.is_some_and(|pending| pending.control_bytes > CONTROL_BYTES_MAX) {
            // A peer that floods us with pings and reads nothing is not owed every pong.
            return;
        }
        let mut frame = Vec::new();
        append_frame(&mut frame, opcode, false, Some(self.keys.mask()), payload);
        let length = self.enqueue(index, &frame);
        let pending = self.connection(index).pending.get_or_insert_default();
        pending.control_bytes += length;
        self.flush(index);
    }

    /// Sends raw bytes, for those who misbehave on purpose.
    pub(super) fn send_raw(&mut self, index: u32, bytes: &[u8]) {
        let pending = self.connection(index).pending.get_or_insert_default();
        if pending.rest().is_empty() {
            self.enqueue(index, bytes);
            self.flush(index);
        }
    }

    /// Sends what the schedules intend by now.
    pub(super) fn send_due(&mut self) {
        if self.stage != Stage::Running {
            return;
        }
        for cohort in 0..self.troops.len() {
            for _ in 0..SENDS_PER_TURN {
                let now_ns = self.net.now_ns();
                let Some(intended_ns) = self.troops[cohort].pop_due(now_ns) else {
                    break;
                };
                if self.troops[cohort].fanout.is_some() {
                    self.publish(cohort, intended_ns);
                    continue;
                }
                if self.troops[cohort].rooms.is_some() {
                    self.speak(cohort, intended_ns);
                    continue;
                }
                let sender = self.troops[cohort].roster.next_turn();
                match sender.filter(|_| self.flights.has_room()) {
                    Some(index) => {
                        self.launch(index, intended_ns);
                        self.write_unsent(index);
                    }
                    None => self.troops[cohort].books.unsent += 1,
                }
            }
        }
    }

    /// One message to everybody. A publisher whose socket is full publishes nothing: queueing would only
    /// hide that it is too fast.
    fn publish(&mut self, cohort: usize, intended_ns: u64) {
        let sent_ns = self.net.now_ns();
        let troop = &mut self.troops[cohort];
        let publisher = troop.fanout.as_mut().and_then(Fanout::next_publisher);
        let connections = &self.entries.0;
        let free = publisher.filter(|&index| !connections[index as usize].is_blocked());
        let (Some(index), Some(fanout)) = (free, &mut troop.fanout) else {
            troop.books.unsent += 1;
            return;
        };
        let stamp = Stamp {
            number: connections[index as usize].number,
            seq: fanout.publish(intended_ns, sent_ns),
        };
        fanout.note(&mut troop.books);
        let size = troop.draw_size(&mut self.random);
        self.payload.clear();
        troop
            .payloads
            .append(&mut self.payload, stamp, size as usize);
        self.recorder.sent(cohort, intended_ns, sent_ns);
        let mut frame = Vec::new();
        let opcode = opcode(troop);
        append_frame(
            &mut frame,
            opcode,
            false,
            Some(self.keys.mask()),
            &self.payload,
        );
        self.write_batch(index, &frame);
    }

    /// Keeps a closed loop's messages under way.
    pub(super) fn top_up(&mut self, index: u32) {
        if self.stage != Stage::Running || !self.is(index, Phase::Open) {
            return;
        }
        let cohort = usize::from(self.connection(index).cohort);
        let wanted = self.troops[cohort].in_flight();
        while self.connection(index).order.len() < wanted && self.flights.has_room() {
            let now_ns = self.net.now_ns();
            self.launch(index, now_ns);
        }
        let missing = wanted.saturating_sub(self.connection(index).order.len());
        if missing > 0 {
            // Without a word, a loop that had no room would look like one that has nothing to say.
            self.troops[cohort].books.unsent += u64::from(missing);
        }
        self.write_unsent(index);
    }

    /// A message enters the books.
    fn launch(&mut self, index: u32, intended_ns: u64) {
        let sent_ns = self.net.now_ns();
        let connection = &mut self.entries.0[index as usize];
        let tag = usize::from(connection.cohort);
        let troop = &mut self.troops[tag];
        let flight = Flight {
            intended_ns,
            sent_ns,
            owner: index,
            seq: connection.next_seq,
            bytes: troop.draw_size(&mut self.random),
        };
        connection.next_seq = connection.next_seq.wrapping_add(1);
        self.flights.push(&mut connection.order, flight);
        troop.books.sent += 1;
        self.recorder.sent(tag, intended_ns, sent_ns);
    }

    /// Writes messages until none is left or the socket takes no more.
    fn write_unsent(&mut self, index: u32) {
        loop {
            let connection = &mut self.entries.0[index as usize];
            if connection.is_blocked()
                || !connection.order.has_unsent()
                || connection.flags.has(Flags::MUTE)
            {
                return;
            }
            let mut batch = std::mem::take(&mut self.scratch);
            batch.clear();
            while batch.len() < BATCH_BYTES
                && let Some(flight) = self.flights.unsent(&connection.order)
            {
                self.flights.mark_sent(&mut connection.order);
                let troop = &self.troops[usize::from(connection.cohort)];
                let stamp = Stamp {
                    number: connection.number,
                    seq: flight.seq,
                };
                self.payload.clear();
                troop
                    .payloads
                    .append(&mut self.payload, stamp, flight.bytes as usize);
                let mask = self.keys.mask();
                let compressed =
                    compress(&mut self.codec, &mut connection.compression, &self.payload);
                let rsv1 = compressed.is_some();
                let bytes = compressed.unwrap_or(&self.payload);
                append_frame(&mut batch, opcode(troop), rsv1, Some(mask), bytes);
            }
            self.write_batch(index, &batch);
            if batch.capacity() <= 4 * BATCH_BYTES {
                self.scratch = batch;
            }
        }
    }

    /// Writes frames, sealed where that is agreed; what the socket does not take waits.
    pub(super) fn write_batch(&mut self, index: u32, batch: &[u8]) {
        let (Some(tls), Some(id)) = (&mut self.tls, self.entries.0[index as usize].tls) else {
            return self.write_bytes(index, batch);
        };
        let mut records = std::mem::take(&mut tls.records);
        records.clear();
        tls.seal(id, batch, &mut records);
        self.write_bytes(index, &records);
        if let Some(tls) = self
            .tls
            .as_mut()
            .filter(|_| records.capacity() <= 4 * BATCH_BYTES)
        {
            tls.records = records;
        }
    }

    /// Writes bytes as they are.
    fn write_bytes(&mut self, index: u32, batch: &[u8]) {
        let connection = &mut self.entries.0[index as usize];
        let Some(stream) = &mut connection.stream else {
            return;
        };
        let taken = loop {
            match stream.send(batch) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break Ok(0),
                other => break other,
            }
        };
        match taken {
            Ok(taken) if taken < batch.len() => {
                let pending = connection.pending.get_or_insert_default();
                pending.unsent.extend_from_slice(&batch[taken..]);
            }
            Ok(_) => {}
            Err(error) => {
                // Whatever follows would fail, too: the messages wait for their connection's end.
                let pending = connection.pending.get_or_insert_default();
                pending.unsent.extend_from_slice(batch);
                self.on_broken(index, Failure::from_io(&error));
            }
        }
    }

    pub(super) fn dribbles(&self, index: u32) -> bool {
        let cohort = usize::from(self.entries.0[index as usize].cohort);
        let dribbler = Kind::Zoo {
            beast: Beast::DribbleUpgrade,
        };
        self.troops[cohort].cohort.kind == dribbler
    }
}

/// What a cohort's messages are, and their answers.
pub(super) fn opcode(troop: &Troop) -> Opcode {
    if troop.cohort.messages.text {
        Opcode::Text
    } else {
        Opcode::Binary
    }
}

/// The payload compressed, where that was agreed and helps.
fn compress<'c>(
    codec: &'c mut Codec,
    link: &mut throng::ws::deflate::Compression,
    payload: &[u8],
) -> Option<&'c [u8]> {
    if codec.worth_compressing(link, payload.len()) {
        codec.compress(link, payload)
    } else {
        None
    }
}

/// Frames that share one write: as much as a socket usually takes at once.
const BATCH_BYTES: usize = 64 << 10;
/// Control frames that wait behind a blocked socket.
const CONTROL_BYTES_MAX: usize = 64 << 10;
/// Messages of one cohort between two looks at the answers: a late schedule must not starve reading.
const SENDS_PER_TURN: usize = 256;
