//! Rooms: connections that hear what one of them says.
//!
//! A room's members all belong to one thread, so that what is expected of them needs no lock: a publication is
//! expected once by every member of its room. Who is cut stays a member until it is back: then the server
//! either gives it what it missed, or says that it cannot, and that is a loss with a name of its own.
//!
//! ```text
//!  open ──entry──> Joined, for the first time: member from here on       expected: the next publication
//!                  Joined, recovered:   what was missed is here, or follows
//!                  Joined, not:         what was missed is lost          expected: the next publication
//!  cut  ──────────> away, still a member ──> open ..., or gone for good: what was missed is lost
//! ```
//!
//! What comes late was overtaken. Where one speaks, that is out of order. Where everybody does, two of them have no
//! order between them, so it is only if the speaker overtook itself, or if the server's own numbers run back.

use super::books::Books;
use super::connection::{Connection, Flags};
use super::parcel::Parcel;
use super::payload::Payloads;
use super::speakers::Speakers;
use crate::dialect::{Dialect, Entry, Heard, Position};
use crate::failures::Failure;
use crate::scenario::Floor;
use crate::sequence::{Arrival, Sequence};

/// One thread's rooms of one cohort.
#[derive(Debug)]
pub struct Rooms {
    floor: Floor,
    rooms: Vec<Room>,
    /// This thread, and how many there are.
    thread: (u32, u32),
    /// Whose turn it is to speak, where every room has one speaker.
    turn: usize,
    /// Numbers of this moment, and totals.
    pub counts: RoomCounts,
    /// Lends its memory to whoever reads a parcel.
    scratch: Vec<u8>,
}

#[derive(Debug)]
struct Room {
    /// Number of the next publication.
    next: u32,
    members: u32,
    /// Who speaks here, where one does.
    speaker: u32,
    /// Which life of the room its offsets belong to.
    epoch: Option<Box<str>>,
    /// Who said what, where everybody speaks.
    speakers: Option<Box<Speakers>>,
}

/// Numbers of this moment, and totals.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RoomCounts {
    /// Rooms of this thread.
    pub rooms: u64,
    /// Connections in their room now.
    pub joined: u64,
    /// Publications.
    pub published: u64,
    /// Connections that came back and were given what they had missed.
    pub recovered: u64,
    /// Connections that came back and were told that it is lost.
    pub not_recovered: u64,
    /// Deliveries that were made up for.
    pub replayed: u64,
}

impl RoomCounts {
    /// Both together.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            rooms: self.rooms + other.rooms,
            joined: self.joined + other.joined,
            published: self.published + other.published,
            recovered: self.recovered + other.recovered,
            not_recovered: self.not_recovered + other.not_recovered,
            replayed: self.replayed + other.replayed,
        }
    }
}

/// What a message about a room leads to.
#[derive(Debug, Default)]
pub struct Outcome {
    /// It is in its room now.
    pub has_joined: bool,
    /// What the server wants to hear back.
    pub answer: Option<&'static str>,
    /// A reason to end it.
    pub ends: Option<Failure>,
    /// Deliveries that count as such: when they were meant and sent.
    pub times: Vec<(u64, u64)>,
}

/// One connection, as far as its room is concerned.
#[derive(Debug)]
pub struct Member<'c> {
    /// What it got.
    pub seen: &'c mut Sequence,
    /// The last offset it saw.
    pub offset: &'c mut u32,
    /// Facts.
    pub flags: &'c mut Flags,
    /// The tick in which it joined.
    pub joined_tick: &'c mut u32,
    /// Its room.
    pub room: usize,
}

impl Rooms {
    /// Rooms for this thread's part of a cohort: as even as the sizes allow.
    #[must_use]
    pub fn new(floor: Floor, connections: u64, thread: (u32, u32)) -> Self {
        let count = connections.div_ceil(floor.size.max(1)).max(1);
        let room = || Room {
            next: 0,
            members: 0,
            speaker: NOBODY,
            epoch: None,
            speakers: floor.everyone.then(Box::default),
        };
        Self {
            floor,
            rooms: (0..count).map(|_| room()).collect(),
            thread,
            turn: 0,
            counts: RoomCounts {
                rooms: count,
                ..RoomCounts::default()
            },
            scratch: Vec::new(),
        }
    }

    /// The dialect spoken here.
    #[must_use]
    pub const fn dialect(&self) -> Dialect {
        self.floor.dialect
    }

    /// The room of the n-th connection of the cohort, as this thread counts.
    #[must_use]
    pub fn room_of(&self, nth: u64) -> usize {
        (nth / u64::from(self.thread.1)) as usize % self.rooms.len()
    }

    /// Its place among that room's members.
    fn place_of(&self, nth: u64) -> u64 {
        nth / u64::from(self.thread.1) / self.rooms.len() as u64
    }

    /// The number of a room in the whole run.
    #[must_use]
    pub fn number_of(&self, room: usize) -> u32 {
        room as u32 * self.thread.1 + self.thread.0
    }

    /// What a connection says first.
    pub fn append_entry<S>(
        &self,
        out: &mut Vec<u8>,
        name: &str,
        token: Option<&str>,
        connection: &Connection<S>,
        room: usize,
    ) {
        let epoch = self.rooms[room].epoch.as_deref();
        let since = epoch
            .filter(|_| connection.flags.has(Flags::MEMBER))
            .map(|epoch| Position {
                offset: u64::from(connection.next_seq),
                epoch,
            });
        let entry = Entry {
            room: name,
            token,
            since,
            presence: self.floor.presence,
        };
        self.floor.dialect.append_entry(out, &entry);
    }

    /// Understands a message. `origin_ns` is when the run began.
    pub fn hear(
        &mut self,
        mut member: Member<'_>,
        index: u32,
        text: &str,
        clock: (u64, u32),
        payloads: &Payloads,
        books: &mut Books,
    ) -> Outcome {
        let mut outcome = Outcome::default();
        let dialect = self.floor.dialect;
        let heard = dialect.hear(text, |heard| {
            self.take(
                &mut member,
                index,
                heard,
                clock,
                payloads,
                books,
                &mut outcome,
            );
        });
        if heard.is_err() {
            outcome.ends = Some(Failure::Unintelligible);
        }
        outcome
    }

    #[expect(clippy::too_many_arguments, reason = "it is the body of a closure")]
    fn take(
        &mut self,
        member: &mut Member<'_>,
        index: u32,
        heard: Heard<'_>,
        clock: (u64, u32),
        payloads: &Payloads,
        books: &mut Books,
        outcome: &mut Outcome,
    ) {
        match heard {
            Heard::Publication { text, offset } => {
                let parcel = Parcel::read(payloads, text.as_bytes(), &mut self.scratch);
                let times = self.deliver(member, parcel, offset, clock, books);
                outcome.times.extend(times);
            }
            Heard::Joined {
                position,
                recovered,
            } => {
                self.join(member, index, position, recovered, clock.1, books);
                outcome.has_joined = true;
            }
            Heard::Ping(answer) => outcome.answer = Some(answer),
            Heard::Present(count) if count == 0 || count > self.floor.size => {
                books.errors.count(Failure::WrongPresence);
            }
            Heard::Present(_) => {}
            Heard::Foreign => books.errors.count(Failure::WrongEcho),
            Heard::Denied(code) => outcome.ends = Some(Failure::Denied(code)),
            Heard::Refused(code) if member.flags.has(Flags::JOINED) => {
                books.errors.count(Failure::Denied(code));
            }
            Heard::Refused(code) => outcome.ends = Some(Failure::Denied(code)),
        }
    }

    /// A connection of a dialect in which being connected is being in the room.
    pub fn join_by_connecting(
        &mut self,
        mut member: Member<'_>,
        index: u32,
        tick: u32,
        books: &mut Books,
    ) {
        self.join(&mut member, index, None, false, tick, books);
    }

    /// A connection is in its room.
    fn join(
        &mut self,
        member: &mut Member<'_>,
        index: u32,
        position: Option<Position<'_>>,
        recovered: bool,
        tick: u32,
        books: &mut Books,
    ) {
        if member.flags.has(Flags::JOINED) {
            return;
        }
        let room = &mut self.rooms[member.room];
        let was_member = member.flags.has(Flags::MEMBER);
        if was_member && recovered {
            self.counts.recovered += 1;
            member.flags.clear(Flags::FRESH);
        } else {
            if was_member {
                self.counts.not_recovered += 1;
                books.lose(Failure::NotRecovered, missing(room.next, *member.seen));
            } else {
                room.members += 1;
            }
            *member.seen = Sequence::starting_at(room.next);
            member.flags.set(Flags::FRESH);
        }
        match position {
            Some(Position { offset, epoch }) => {
                if room.epoch.as_deref() != Some(epoch) {
                    room.epoch = Some(epoch.into());
                }
                // What was missed follows, and says its own offsets.
                if !(was_member && recovered) {
                    *member.offset = offset as u32;
                }
            }
            None => *member.offset = 0,
        }
        *member.joined_tick = tick;
        member.flags.set(Flags::MEMBER);
        member.flags.set(Flags::JOINED);
        self.counts.joined += 1;
        if room.speaker == NOBODY {
            room.speaker = index;
        }
    }

    /// A publication came, with this offset if the server numbers them. When it was meant and sent, if it is a
    /// delivery like any other.
    fn deliver(
        &mut self,
        member: &mut Member<'_>,
        parcel: Option<Parcel>,
        offset: u64,
        (origin_ns, _): (u64, u32),
        books: &mut Books,
    ) -> Option<(u64, u64)> {
        let room = &self.rooms[member.room];
        let is_ours = |parcel: &Parcel| {
            parcel.room == self.number_of(member.room)
                && parcel.seq.wrapping_sub(room.next).cast_signed() < 0
        };
        let Some(parcel) = parcel.filter(is_ours) else {
            books.errors.count(Failure::WrongEcho);
            return None;
        };
        let sent_tick = (parcel.sent_ns() / super::brief::TICK_NS) as u32;
        let was_before = sent_tick <= *member.joined_tick;
        let runs_back = member.runs_back(offset);
        let arrival = member.seen.take(parcel.seq);
        match arrival {
            Arrival::New { lost } => {
                books.lose(Failure::Gap, u64::from(lost));
                books.errors.count_many(Failure::Gap, u64::from(lost));
            }
            Arrival::Late => {}
            // It was on its way when this one joined: nobody expected it here.
            Arrival::Duplicate | Arrival::TooOld
                if was_before && member.flags.has(Flags::FRESH) =>
            {
                return None;
            }
            Arrival::Duplicate => {
                books.errors.count(Failure::Duplicate);
                return None;
            }
            Arrival::TooOld => {
                books.errors.count(Failure::LateAnswer);
                return None;
            }
        }
        let is_late = arrival == Arrival::Late;
        if runs_back || is_late && room.was_overtaken(parcel.seq, member.seen) {
            books.errors.count(Failure::OutOfOrder);
        }
        books.received += 1;
        if was_before {
            // Its way was as long as the absence, which is not the server's doing.
            self.counts.replayed += u64::from(!member.flags.has(Flags::FRESH));
            return None;
        }
        let intended_ns = origin_ns + parcel.intended_ns;
        Some((intended_ns, origin_ns + parcel.sent_ns()))
    }

    /// A connection is not in its room any more; it stays a member.
    pub fn leave(&mut self, index: u32, flags: &mut Flags, room: usize) {
        if flags.has(Flags::JOINED) {
            flags.clear(Flags::JOINED);
            self.counts.joined -= 1;
            let room = &mut self.rooms[room];
            if room.speaker == index {
                room.speaker = NOBODY;
            }
        }
    }

    /// A connection is gone for good, and what it has not got is lost.
    pub fn remove(&mut self, room: usize, seen: Sequence, why: Failure, books: &mut Books) {
        let room = &mut self.rooms[room];
        room.members -= 1;
        books.lose(why, missing(room.next, seen));
    }

    /// Nothing more is expected of this one; what it has not got, so many, is lost.
    pub fn give_up(&self, room: usize, seen: &mut Sequence) -> u64 {
        let next = self.rooms[room].next;
        let lost = missing(next, *seen);
        *seen = Sequence::starting_at(next);
        lost
    }

    /// Who speaks next where every room has one speaker, if there is one in that room.
    pub fn next_speaker(&mut self) -> Option<u32> {
        self.turn = (self.turn + 1) % self.rooms.len();
        let speaker = self.rooms[self.turn].speaker;
        (speaker != NOBODY).then_some(speaker)
    }

    /// Whether everybody speaks.
    #[must_use]
    pub const fn everyone(&self) -> bool {
        self.floor.everyone
    }

    /// Numbers a publication of the n-th connection, which is now expected by every member of its room.
    pub fn publish(&mut self, nth: u64, books: &mut Books) -> u32 {
        self.counts.published += 1;
        let (room, place) = (self.room_of(nth), self.place_of(nth));
        let room = &mut self.rooms[room];
        if let Some(speakers) = &mut room.speakers {
            speakers.note(place);
        }
        let seq = room.next;
        room.next = room.next.wrapping_add(1);
        books.sent += u64::from(room.members);
        seq
    }
}

impl Member<'_> {
    /// Notes an offset, if there is one; whether it is not above all that came before.
    fn runs_back(&mut self, offset: u64) -> bool {
        let offset = offset as u32;
        let is_above = offset > *self.offset;
        if is_above {
            *self.offset = offset;
        }
        offset > 0 && !is_above
    }
}

impl Room {
    /// Whether what came late was overtaken by something of its own speaker.
    fn was_overtaken(&self, seq: u32, seen: &Sequence) -> bool {
        let speakers = self.speakers.as_ref();
        speakers.is_none_or(|speakers| speakers.overtook(seq, self.next, seen))
    }
}

impl<S> Connection<S> {
    /// The parts of a connection that its room needs.
    pub fn member(&mut self, room: usize) -> Member<'_> {
        Member {
            seen: &mut self.seen,
            offset: &mut self.next_seq,
            flags: &mut self.flags,
            joined_tick: &mut self.end_tick,
            room,
        }
    }
}

fn missing(next: u32, seen: Sequence) -> u64 {
    u64::from(next.wrapping_sub(seen.next())) + u64::from(seen.missing())
}

const NOBODY: u32 = u32::MAX;
