//! A connection and its room: the way in, what follows from what is heard there, and what it says.

use throng::ws::frame::{Opcode, append_frame};

use super::brief::ticks;
use super::connection::{Flags, Phase};
use super::fleet::Fleet;
use super::net::Net;
use super::parcel::Parcel;
use super::parting::End;
use super::rooms::Outcome;

impl<N: Net> Fleet<N> {
    /// The connection has just opened: into its room, within its patience.
    pub(super) fn enter_room(&mut self, index: u32, now_ns: u64) {
        let tick = self.ticks.at(now_ns);
        let patience = ticks(self.brief.connect_timeout_ns);
        let connection = &mut self.entries.0[index as usize];
        connection.end_tick = tick + patience;
        let number = connection.number;
        let troop = &self.troops[usize::from(connection.cohort)];
        let Some(rooms) = &troop.rooms else { return };
        let room = rooms.room_of(troop.nth(number));
        let channel = troop.channel(rooms.number_of(room));
        let token = troop.cohort.handshake.identity.token(number);
        let mut words = Vec::new();
        rooms.append_entry(&mut words, &channel, token.as_deref(), connection, room);
        if rooms.dialect().joins_by_connecting() {
            return self.join_by_connecting(index, now_ns);
        }
        self.send_text(index, &words);
        let due_tick = self.connection(index).due_tick.min(tick + patience);
        self.set_timer(index, due_tick);
    }

    fn join_by_connecting(&mut self, index: u32, now_ns: u64) {
        let tick = self.ticks.at(now_ns);
        let connection = &mut self.entries.0[index as usize];
        let troop = &mut self.troops[usize::from(connection.cohort)];
        if let Some(rooms) = &mut troop.rooms {
            let room = rooms.room_of(u64::from(connection.number) - troop.first_number);
            rooms.join_by_connecting(connection.member(room), index, tick, &mut troop.books);
        }
        self.came_back(index, now_ns);
    }

    /// What follows from what was heard in a room.
    pub(super) fn on_room(&mut self, index: u32, outcome: Outcome, now_ns: u64) {
        let tag = usize::from(self.connection(index).cohort);
        for (intended_ns, sent_ns) in outcome.times {
            self.recorder.answered(tag, intended_ns, sent_ns, now_ns);
        }
        if let Some(answer) = outcome.answer {
            self.send_text(index, answer.as_bytes());
        }
        if outcome.has_joined {
            self.came_back(index, now_ns);
        }
        if let Some(why) = outcome.ends {
            self.doom(index, End::Failed(why));
        }
    }

    /// The tick in which its patience for the way into a room ends, while it waits for that.
    pub(super) fn entry_tick(&self, index: u32) -> Option<u32> {
        let connection = &self.entries.0[index as usize];
        let has_rooms = self.troops[usize::from(connection.cohort)].rooms.is_some();
        (has_rooms && !connection.flags.has(Flags::JOINED)).then_some(connection.end_tick)
    }

    /// One publication, of whose turn it is. A speaker whose socket is full says nothing: queueing would only
    /// hide that it is too fast.
    pub(super) fn speak(&mut self, cohort: usize, intended_ns: u64) {
        let sent_ns = self.net.now_ns();
        let troop = &mut self.troops[cohort];
        let Some(rooms) = &mut troop.rooms else {
            return;
        };
        let speaker = match rooms.everyone() {
            true => troop.roster.next_turn(),
            false => rooms.next_speaker(),
        };
        let connections = &self.entries.0;
        let speaker = speaker.filter(|&index| {
            let connection = &connections[index as usize];
            connection.flags.has(Flags::JOINED) && !connection.is_blocked()
        });
        let Some(index) = speaker else {
            troop.books.unsent += 1;
            return;
        };
        let nth = u64::from(connections[index as usize].number) - troop.first_number;
        let room = rooms.room_of(nth);
        let room_number = rooms.number_of(room);
        let parcel = Parcel {
            room: room_number,
            seq: rooms.publish(nth, &mut troop.books),
            intended_ns: intended_ns.saturating_sub(self.brief.origin_ns),
            late_us: u32::try_from(sent_ns.saturating_sub(intended_ns) / 1000).unwrap_or(u32::MAX),
        };
        let dialect = rooms.dialect();
        self.recorder.sent(cohort, intended_ns, sent_ns);
        let size = troop.draw_size(&mut self.random) as usize;
        self.payload.clear();
        parcel.append(&troop.payloads, &mut self.payload, size);
        let text = str::from_utf8(&self.payload).unwrap_or_default();
        let mut words = Vec::new();
        dialect.append_publish(&mut words, &troop.channel(room_number), text, parcel.seq);
        self.send_text(index, &words);
    }

    /// Sends a text message, behind whatever waits.
    fn send_text(&mut self, index: u32, text: &[u8]) {
        if !self.is(index, Phase::Open) {
            return;
        }
        let mut frame = Vec::new();
        append_frame(
            &mut frame,
            Opcode::Text,
            false,
            Some(self.keys.mask()),
            text,
        );
        if self.connection(index).is_blocked() {
            self.enqueue(index, &frame);
        } else {
            self.write_batch(index, &frame);
        }
    }
}
