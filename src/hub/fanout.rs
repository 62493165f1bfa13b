//! Telling the members: waves through topics in slices, and what becomes of laggards.

use super::ear::Ear;
use super::lag::{Behind, page_length};
use super::session::SessionId;
use super::shard::Hub;
use super::topic::{Framed, Topic, Wave, weight};
use super::types::{Disconnect, Event, Gap, HistoryPage, Unsubscribed};
use super::world::World;

/// A topic with more members than that is a crowd: it waits in a line of its own, so that nobody else
/// waits behind it, and whoever drives the hub may let it wait for its moment. (Few in tests, so that
/// random operations get there.)
const CROWD: usize = if cfg!(test) { 8 } else { 1024 };

/// Who has not been told yet all there is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Left {
    /// Somebody who is in no crowd.
    pub some: bool,
    /// Somebody in a crowd.
    pub crowds: bool,
}

impl<F: Clone> Hub<F> {
    /// The home tells what has happened. Those who are waiting get it with their answer; if none of the others
    /// can hear it, nobody is walked to.
    pub(crate) fn note_event(
        &mut self,
        world: &impl World<Frame = F>,
        channel: &str,
        event: Event,
    ) {
        let Some(place) = self.topics.find(channel) else {
            return; // the last subscriber has left; the home will hear of it
        };
        let topic = self.topics.at_mut(place);
        let can_hear = |ear: Ear| ear.can_hear(world, channel, &event);
        if !topic.ears().any(can_hear) {
            return;
        }
        self.events += weight(&event);
        topic.queue.push_back(event);
        topic.queued_ever += 1;
        self.line_up(place);
    }

    /// Puts a topic into the line that it belongs to, unless it is in one.
    fn line_up(&mut self, place: u32) {
        let topic = self.topics.at_mut(place);
        if topic.is_lined_up {
            return;
        }
        topic.is_lined_up = true;
        match topic.members.len() > CROWD {
            true => self.crowds.push_back(place),
            false => self.line.push_back(place),
        }
    }

    /// Whether a crowd waits for what it is to be told.
    pub fn has_crowds(&self) -> bool {
        !self.crowds.is_empty()
    }

    /// The queue of a connection is empty again.
    pub fn drained(&mut self, id: SessionId) {
        if self.sessions.of(id).is_some_and(|s| s.lag.is_some()) {
            self.drained.push_back(id);
        }
    }

    /// Serves up to `budget` members, and of crowds up to `of_crowds` more. What laggards missed leaves
    /// before anything that is newer.
    pub fn fan_out(
        &mut self,
        world: &mut impl World<Frame = F>,
        mut budget: usize,
        mut of_crowds: usize,
    ) -> Left {
        while budget > 0 {
            if let Some(id) = self.drained.pop_front() {
                budget -= 1;
                self.catch_up(world, id);
            } else if let Some(page) = self.pages.pop_front() {
                budget -= 1;
                self.send_page(world, page);
            } else if let Some(place) = self.line.pop_front() {
                budget -= self.serve_topic(world, place, budget);
            } else {
                break;
            }
        }
        while of_crowds > 0
            && self.drained.is_empty()
            && self.pages.is_empty()
            && let Some(place) = self.crowds.pop_front()
        {
            of_crowds -= self.serve_topic(world, place, of_crowds);
        }
        Left {
            some: !(self.line.is_empty() && self.drained.is_empty() && self.pages.is_empty()),
            crowds: self.has_crowds(),
        }
    }

    /// Serves some members of a topic; how many. It lines up again if it is not through.
    fn serve_topic(
        &mut self,
        world: &mut impl World<Frame = F>,
        place: u32,
        budget: usize,
    ) -> usize {
        let topic = self.topics.at_mut(place);
        topic.is_lined_up = false;
        if topic.wave.is_none() {
            if topic.queue.is_empty() {
                return 0;
            }
            topic.begin_wave();
        }
        let mut wave = topic.wave.take().expect("one was begun above");
        let slice = budget.min(wave.cursor);
        for _ in 0..slice {
            wave.cursor -= 1;
            self.serve_member(world, place, &mut wave);
        }
        let topic = self.topics.at_mut(place);
        if wave.cursor > 0 {
            topic.wave = Some(wave);
        } else {
            self.events -= wave.events.iter().map(weight).sum::<usize>();
        }
        if topic.has_old_news() {
            self.line_up(place);
        }
        slice.max(1)
    }

    /// Gives one member what the wave carries.
    fn serve_member(&mut self, world: &mut impl World<Frame = F>, place: u32, wave: &mut Wave<F>) {
        let topic = self.topics.at_mut(place);
        let member = &mut topic.members[wave.cursor];
        let index = member.session;
        let mut since = wave.first;
        if member.is_late() {
            since = self.late.get(&(index, place)).copied().unwrap_or(since);
            // Whoever joined before this wave's end is up to date after it.
            if since <= wave.first + wave.events.len() as u64 {
                member.set_late(false);
                self.late.remove(&(index, place));
            }
        }
        let session = self.sessions.at_mut(index);
        let (ear, conn) = (member.ear(session.dialect), session.conn);
        if session.is_condemned.is_some() {
            return;
        }
        if let Some(behind) = session.lag.as_mut().and_then(|lag| lag.behind_in(place)) {
            let first = since.saturating_sub(wave.first) as usize;
            let news = wave.events.iter().skip(first);
            for event in news.filter(|event| ear.wants(event)) {
                self.tally.slow_lost += behind.note(event);
            }
            return;
        }
        let framed = wave.frames[ear.index()]
            .get_or_insert_with(|| frame(world, topic, (wave.first, &wave.events), ear));
        let frames = framed.since(since);
        if frames.is_empty() {
            return;
        }
        let queued_bytes = world.deliver(conn, frames);
        self.tally.delivered += frames.len() as u64;
        if queued_bytes > 0 {
            self.weigh(world, self.sessions.id_at(index), place, queued_bytes);
        }
    }

    /// Something is queued for a session: is that too much?
    fn weigh(
        &mut self,
        world: &mut impl World<Frame = F>,
        id: SessionId,
        place: u32,
        queued_bytes: usize,
    ) {
        let (tiers, now_ms) = (self.limits.tiers, self.now_ms);
        let session = self.sessions.at_mut(id.index);
        let lag = session.lag.get_or_insert_default();
        self.lag_bytes = self.lag_bytes - lag.queued_bytes + queued_bytes;
        if !lag.is_too_much(&tiers, queued_bytes, self.lag_bytes, now_ms) {
            return;
        }
        let policy = self.namespaces.at(self.topics.at(place).namespace).slow;
        match Behind::new(policy) {
            Some(_) if lag.behind_in(place).is_some() => {}
            Some(behind) => {
                self.tally.slow_held += 1;
                lag.behind.push((place, behind));
            }
            None => {
                self.tally.slow_disconnected += 1;
                self.condemn(world, id, Disconnect::Slow);
            }
        }
    }

    /// A laggard has read all there was: it gets what was kept for it.
    fn catch_up(&mut self, world: &mut impl World<Frame = F>, id: SessionId) {
        let Some(session) = self.sessions.of_mut(id) else {
            return;
        };
        let Some(mut lag) = session.lag.take() else {
            return;
        };
        self.lag_bytes -= lag.queued_bytes;
        if session.is_condemned.is_some() {
            return;
        }
        let mut missing = Vec::new();
        for (place, behind) in lag.behind.drain(..) {
            match behind {
                Behind::Resuming { missed: None, .. } => {}
                Behind::Resuming {
                    missed: Some(missed),
                    is_asked,
                } => missing.push((place, missed, is_asked)),
                kept => self.send_kept(world, id, place, kept),
            }
        }
        for (place, missed, is_asked) in missing {
            self.hold(id, place, missed);
            if !is_asked {
                let channel = self.topics.at(place).name.clone();
                self.ask_for_missed(world, id, &channel, missed);
            }
        }
    }

    /// Notes that a session misses everything of a topic from that offset on, and has asked for it.
    fn hold(&mut self, id: SessionId, place: u32, missed: u64) {
        let Some(session) = self.sessions.of_mut(id) else {
            return;
        };
        let lag = session.lag.get_or_insert_default();
        let behind = Behind::Resuming {
            missed: Some(missed),
            is_asked: true,
        };
        lag.behind.push((place, behind));
    }

    /// Sends what was kept. A gap is told in front of it, or with the first publication where the dialect
    /// has no frame for a gap. If none follows, the subscription ends: whoever subscribes again
    /// learns where it stands.
    fn send_kept(
        &mut self,
        world: &mut impl World<Frame = F>,
        id: SessionId,
        place: u32,
        kept: Behind,
    ) {
        let Some(session) = self.sessions.of(id) else {
            return;
        };
        let channel = &self.topics.at(place).name;
        let dialect = session.dialect;
        let (mut frames, mut untold) = (Vec::new(), None);
        for event in kept.into_events() {
            let frame = match (&event, untold) {
                (Event::Publication(publication), Some(gap)) => {
                    untold = None;
                    world.encode_behind(dialect, channel, &gap, publication)
                }
                _ => world.encode(dialect, channel, &event),
            };
            match (frame, event) {
                (Some(frame), _) => frames.push(frame),
                (None, Event::Gap(gap)) => untold = Some(gap),
                (None, _) => {}
            }
        }
        if untold.is_some() {
            let channel = channel.clone();
            return self.unsubscribe_for(world, id, &channel, Unsubscribed::InsufficientState);
        }
        self.send_late(world, id, place, &frames);
    }

    /// Delivers what is late already, and looks whether that was too much again.
    fn send_late(
        &mut self,
        world: &mut impl World<Frame = F>,
        id: SessionId,
        place: u32,
        frames: &[F],
    ) {
        let Some(session) = self.sessions.of(id) else {
            return;
        };
        if frames.is_empty() {
            return;
        }
        let queued_bytes = world.deliver(session.conn, frames);
        self.tally.delivered += frames.len() as u64;
        if queued_bytes > 0 {
            self.weigh(world, id, place, queued_bytes);
        }
    }

    /// A page of what a laggard missed has come. If it is the last one, the laggard is live from this
    /// moment on: what the home tells later comes later. Its frames leave with the next fan-out, in
    /// front of every wave.
    pub(crate) fn turn_page(
        &mut self,
        world: &mut impl World<Frame = F>,
        id: SessionId,
        channel: &str,
        mut page: HistoryPage,
    ) {
        let Some(place) = self.topics.find(channel) else {
            return;
        };
        let Some(session) = self
            .sessions
            .of_mut(id)
            .filter(|session| session.is_condemned.is_none())
        else {
            return;
        };
        let Some(lag) = &mut session.lag else {
            return;
        };
        let Some(Behind::Resuming {
            missed: Some(missed),
            is_asked: true,
        }) = lag.forget(place)
        else {
            return; // it has subscribed anew since
        };
        if lag.behind.is_empty() && lag.queued_bytes == 0 {
            session.lag = None;
        }
        let dialect = session.dialect;
        let newest = page.position.offset;
        page.publications.truncate(page_length(&page.publications));
        let first = page.publications.first().map_or(newest + 1, |p| p.offset);
        let last = page.publications.last().map_or(newest, |p| p.offset);
        let mut frames = Vec::new();
        if first > missed {
            self.tally.slow_lost += first - missed;
            let gap = Gap {
                publications: first - missed,
                offsets: Some((missed, first - 1)),
            };
            let Some(frame) = world.encode(dialect, channel, &Event::Gap(gap)) else {
                let why = Unsubscribed::InsufficientState;
                return self.unsubscribe_for(world, id, channel, why);
            };
            frames.push(frame);
        }
        let events = page.publications.into_iter().map(Event::Publication);
        frames.extend(events.filter_map(|event| world.encode(dialect, channel, &event)));
        let is_last = last >= newest;
        if is_last {
            self.join_live(id, place);
        } else {
            self.hold(id, place, last + 1);
        }
        self.pages.push_back(Page {
            session: id,
            channel: channel.into(),
            frames,
            next: (!is_last).then_some(last + 1),
        });
    }

    /// Sends a page, and asks for the next one when it is read: at once if it is.
    fn send_page(&mut self, world: &mut impl World<Frame = F>, page: Page<F>) {
        let id = page.session;
        let Some(place) = self.topics.find(&page.channel) else {
            return;
        };
        if !self.is_member(id, &page.channel) {
            return;
        }
        self.send_late(world, id, place, &page.frames);
        let Some(lag) = self.sessions.of_mut(id).and_then(|s| s.lag.as_mut()) else {
            return;
        };
        let is_read = lag.queued_bytes == 0;
        if let (Some(missed), Some(Behind::Resuming { is_asked, .. })) =
            (page.next, lag.behind_in(place))
        {
            *is_asked = is_read;
            if is_read {
                self.ask_for_missed(world, id, &page.channel, missed);
            }
        }
    }

    /// A laggard has all up to its home's last word; what waits in the topic it knows already.
    fn join_live(&mut self, id: SessionId, place: u32) {
        let Some(session) = self.sessions.of(id) else {
            return;
        };
        let Some(index) = session.seats.in_topic(place) else {
            return;
        };
        let at = session.seats.all()[index].place;
        let topic = self.topics.at_mut(place);
        if topic.has_old_news() {
            topic.members[at as usize].set_late(true);
            self.late.insert((id.index, place), topic.queued_ever);
        }
    }
}

/// What a laggard missed, on its way to it.
pub(crate) struct Page<F> {
    session: SessionId,
    channel: Box<str>,
    frames: Vec<F>,
    /// Where the next page begins.
    next: Option<u64>,
}

/// A wave's events for one ear.
fn frame<W: World>(
    world: &mut W,
    topic: &Topic<W::Frame>,
    (first, events): (u64, &[Event]),
    ear: Ear,
) -> Framed<W::Frame> {
    let mut framed = Framed {
        frames: Vec::with_capacity(events.len()),
        numbers: Vec::with_capacity(events.len()),
    };
    for (number, event) in (first..).zip(events) {
        if ear.wants(event)
            && let Some(frame) = world.encode(ear.dialect, &topic.name, event)
        {
            framed.frames.push(frame);
            framed.numbers.push(number);
        }
    }
    framed
}

impl Behind {
    /// What was kept, in order, behind the notice of what was not.
    fn into_events(self) -> Vec<Event> {
        match self {
            Self::Dropping { kept, lost, .. } => {
                let gap = (lost.publications > 0).then_some(Event::Gap(lost));
                gap.into_iter().chain(kept).collect()
            }
            Self::Conflating { latest, .. } => {
                let mut latest: Vec<_> = latest.into_values().collect();
                latest.sort_unstable_by_key(|(noted, _)| *noted);
                let publications = latest.into_iter().map(|(_, publication)| publication);
                publications.map(Event::Publication).collect()
            }
            Self::Resuming { .. } => Vec::new(),
        }
    }
}
