//! Several hubs, the boxes between them, and clients that believe nothing.
//!
//! The log of a channel is written when its home takes a publication; everything a client is told is
//! held against it on the spot.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::hub::{
    Answer, Dialect, Disconnect, Draft, Event, Gap, Hub, HubConfig, Letter, Limits, Namespaces,
    Payload, PayloadKind, Position, Publication, Question, Recovery, ReplyTo, Request, Session,
    SessionId, Subscribe, Unsubscribed, World,
};

/// A frame: the event, as it would be on the wire, or a gap and what follows it.
pub(super) type Frame = Arc<(String, Vec<Event>)>;

/// What a client believes of one subscription.
#[derive(Debug, Default)]
pub(super) struct Membership {
    /// Answered.
    pub(super) is_live: bool,
    /// The next publication it has to be told, as an index into the log.
    pub(super) next: usize,
    /// What was announced as lost, up to this index.
    pub(super) excused: usize,
    /// The latest of each key, as told.
    pub(super) latest: BTreeMap<String, u64>,
    pub(super) position: Option<Position>,
    /// Which request it came from.
    number: u32,
}

/// A connection.
pub(super) struct Client {
    pub(super) worker: usize,
    pub(super) session: SessionId,
    pub(super) channels: BTreeMap<String, Membership>,
    /// Where it was when it left.
    pub(super) left: BTreeMap<String, (usize, Position)>,
    pub(super) is_stalled: bool,
    /// How it subscribes.
    pub(super) is_aloof: bool,
    pub(super) queued_bytes: usize,
    pub(super) disconnected: Option<Disconnect>,
}

/// What the world knows that no hub knows.
#[derive(Default)]
pub(super) struct Outside {
    pub(super) workers: usize,
    /// `boxes[from * workers + to]`.
    boxes: Vec<VecDeque<Letter>>,
    box_letters_max: usize,
    pub(super) clients: BTreeMap<u64, Client>,
    /// Everything ever taken, by channel: number and key.
    pub(super) logs: BTreeMap<String, Vec<(u64, String, u64)>>,
    /// What a subscriber was promised when it was admitted, by request.
    admissions: BTreeMap<u32, Admission>,
    waiting: Vec<usize>,
    now_ms: u64,
    pub(super) answers: BTreeMap<u32, Answer>,
    pub(super) recovered: u64,
    pub(super) not_recovered: u64,
    pub(super) gaps: u64,
    pub(super) told: u64,
    /// Those of them that were about somebody's coming or going.
    pub(super) comings: u64,
    pub(super) has_gap_words: bool,
}

struct Admission {
    at: usize,
    is_recoverable: bool,
}

/// A worker's view of it.
pub(super) struct Seen<'a> {
    pub(super) out: &'a mut Outside,
    pub(super) worker: usize,
}

impl World for Seen<'_> {
    type Frame = Frame;

    fn has_words(&self, dialect: Dialect, _: &str, event: &Event) -> bool {
        match event {
            Event::Publication(_) => true,
            Event::Join(_) | Event::Leave(_) => dialect != Dialect::Raw,
            Event::Gap(_) => self.out.has_gap_words,
        }
    }

    fn encode(&mut self, dialect: Dialect, channel: &str, event: &Event) -> Option<Frame> {
        let frame = || Arc::new((channel.to_owned(), vec![event.clone()]));
        self.has_words(dialect, channel, event).then(frame)
    }

    fn encode_behind(
        &mut self,
        _: Dialect,
        channel: &str,
        gap: &Gap,
        publication: &Arc<Publication>,
    ) -> Option<Frame> {
        assert!(!self.out.has_gap_words, "the gap was told already");
        let events = vec![Event::Gap(*gap), Event::Publication(publication.clone())];
        Some(Arc::new((channel.to_owned(), events)))
    }

    fn deliver(&mut self, conn: u64, frames: &[Frame]) -> usize {
        for frame in frames {
            self.out.told += 1;
            for event in &frame.1 {
                self.out.hear(conn, &frame.0, event);
            }
        }
        let client = self.out.clients.get_mut(&conn).expect("it is connected");
        if client.is_stalled {
            client.queued_bytes += frames.len() * 1000;
        }
        client.queued_bytes
    }

    fn post(&mut self, worker: usize, letter: Letter) -> Result<(), Letter> {
        let index = self.worker * self.out.workers + worker;
        let letters = &mut self.out.boxes[index];
        if letters.len() >= self.out.box_letters_max {
            return Err(letter);
        }
        letters.push_back(letter);
        Ok(())
    }

    fn workers(&self) -> usize {
        self.out.workers
    }

    fn events_waiting(&self, worker: usize) -> usize {
        self.out.waiting[worker]
    }

    fn answer(&mut self, to: &Session, request: &Request, channel: &str, answer: &Answer) {
        if let Answer::Subscribed(state) = answer {
            self.out.seat(to.conn, channel, request.number, state);
        } else {
            self.out.answers.insert(request.number, answer.clone());
        }
    }

    fn unsubscribed(&mut self, to: &Session, channel: &str, _: Unsubscribed) {
        let client = self.out.clients.get_mut(&to.conn).expect("it is connected");
        client.leave(channel);
    }

    fn disconnect(&mut self, to: &Session, why: Disconnect) {
        let client = self.out.clients.get_mut(&to.conn).expect("it is connected");
        client.disconnected = Some(why);
    }
}

impl Client {
    /// It remembers where it was.
    pub(super) fn leave(&mut self, channel: &str) {
        if let Some(member) = self.channels.remove(channel)
            && let Some(position) = member.position.filter(|_| member.is_live)
        {
            let position = Position {
                offset: member.next as u64,
                ..position
            };
            self.left
                .insert(channel.to_owned(), (member.next, position));
        }
    }
}

impl Outside {
    /// A client hears of an event.
    fn hear(&mut self, conn: u64, channel: &str, event: &Event) {
        let client = self.clients.get_mut(&conn).expect("it is connected");
        let member = client.channels.get_mut(channel);
        let member = member.unwrap_or_else(|| panic!("{conn} hears of {channel} it is not in"));
        assert!(
            member.is_live,
            "{conn} hears of {channel} before its answer"
        );
        match event {
            Event::Publication(publication) => {
                let log = &self.logs[channel];
                let number = number_of(publication);
                let at = log.binary_search_by_key(&number, |entry| entry.0);
                let at = at.unwrap_or_else(|_| panic!("{channel}: {number} was never taken"));
                assert!(at >= member.next, "{conn} {channel}: {at} came twice");
                let may_skip = channel.starts_with("conflate") || at <= member.excused;
                assert!(
                    at == member.next || may_skip,
                    "{conn} {channel}: {at} instead of {}",
                    member.next
                );
                let key = publication.key.as_deref().unwrap_or_default();
                member.latest.insert(key.to_owned(), number);
                member.next = at + 1;
            }
            Event::Gap(gap) => {
                self.gaps += 1;
                let from = member.next as u64 + 1;
                member.next += gap.publications as usize;
                member.excused = member.next;
                // The latest of any key may be among what it lost.
                member.latest.clear();
                if let Some(offsets) = gap.offsets {
                    assert_eq!(offsets, (from, member.next as u64), "{channel}: {gap:?}");
                }
            }
            Event::Join(_) | Event::Leave(_) => {
                assert!(!client.is_aloof, "{conn} hears who comes and goes");
                self.comings += 1;
            }
        }
    }

    /// A client has its answer.
    fn seat(&mut self, conn: u64, channel: &str, number: u32, state: &crate::hub::Subscribed) {
        let client = self.clients.get_mut(&conn).expect("it is connected");
        let member = client.channels.get_mut(channel).expect("it asked");
        assert_eq!(member.number, number, "the answer to an older question");
        assert!(!member.is_live);
        let admission = self.admissions.remove(&number).expect("it was admitted");
        let log = self.logs.get(channel).map_or(&[][..], Vec::as_slice);
        if let Some(position) = state.position {
            assert_eq!(
                position.offset as usize, admission.at,
                "{channel}: position"
            );
        }
        if !channel.starts_with("cache") {
            assert_eq!(state.recovered, admission.is_recoverable, "{channel}");
            if state.recovered {
                self.recovered += 1;
                let told: Vec<_> = state.publications.iter().map(|p| number_of(p)).collect();
                let (since, _) = client.left[channel];
                let missed: Vec<_> = log[since..admission.at].iter().map(|e| e.0).collect();
                assert_eq!(told, missed, "{channel}: what was missed");
            } else {
                self.not_recovered += u64::from(state.was_recovering);
                assert!(state.publications.is_empty());
            }
        } else if let Some(latest) = state.publications.first() {
            assert_eq!(number_of(latest), log[admission.at - 1].0);
        }
        member.is_live = true;
        member.next = admission.at;
        member.position = state.position;
    }
}

fn number_of(publication: &Publication) -> u64 {
    let text = publication.payload.text().expect("it is JSON");
    text.trim_end().parse().expect("it is a number")
}

/// The whole house.
pub(super) struct Sim {
    pub(super) hubs: Vec<Hub<Frame>>,
    pub(super) out: Outside,
    pub(super) namespaces: Arc<Namespaces>,
    /// How long a publication is beside its number.
    pub(super) word_bytes: usize,
    last_conn: u64,
    last_number: u32,
    last_publication: u64,
}

impl Sim {
    pub(super) fn new(workers: usize, namespaces: Namespaces, limits: Limits) -> Self {
        Self::with_homes(workers, workers, namespaces, limits)
    }

    /// One in which only some workers are homes.
    pub(super) fn with_homes(
        workers: usize,
        homes: usize,
        namespaces: Namespaces,
        limits: Limits,
    ) -> Self {
        let namespaces = Arc::new(namespaces);
        let hub = |worker: usize| {
            Hub::new(&HubConfig {
                worker: worker as u16,
                workers: workers as u16,
                homes: homes as u16,
                secret: 5,
                seed: 9,
                namespaces: namespaces.clone(),
                limits,
            })
        };
        let mut sim = Self {
            hubs: (0..workers).map(hub).collect(),
            out: Outside {
                workers,
                boxes: (0..workers * workers).map(|_| VecDeque::new()).collect(),
                box_letters_max: 16,
                waiting: vec![0; workers],
                has_gap_words: true,
                ..Outside::default()
            },
            namespaces,
            word_bytes: 0,
            last_conn: 0,
            last_number: 0,
            last_publication: 0,
        };
        sim.pass_time(1_000_000);
        sim
    }

    /// Does something with one hub and its world.
    pub(super) fn at<T>(
        &mut self,
        worker: usize,
        act: impl FnOnce(&mut Hub<Frame>, &mut Seen<'_>) -> T,
    ) -> T {
        let mut seen = Seen {
            out: &mut self.out,
            worker,
        };
        let done = act(&mut self.hubs[worker], &mut seen);
        self.out.waiting[worker] = self.hubs[worker].events_waiting();
        done
    }

    pub(super) fn pass_time(&mut self, ms: u64) {
        self.out.now_ms += ms;
        for hub in &mut self.hubs {
            hub.set_now(self.out.now_ms);
        }
    }

    pub(super) fn connect(&mut self, worker: usize, user: &str) -> u64 {
        self.connect_with(worker, user, Dialect::Raw)
    }

    pub(super) fn connect_with(&mut self, worker: usize, user: &str, dialect: Dialect) -> u64 {
        self.last_conn += 1;
        let conn = self.last_conn;
        // The client has to be there before anybody can say anything to it.
        let session = self.at(worker, |hub, world| {
            hub.connect(world, conn, dialect, user, None)
        });
        self.out.clients.insert(
            conn,
            Client {
                worker,
                session,
                channels: BTreeMap::new(),
                left: BTreeMap::new(),
                is_stalled: false,
                is_aloof: false,
                queued_bytes: 0,
                disconnected: None,
            },
        );
        conn
    }

    pub(super) fn close(&mut self, conn: u64) {
        let client = self.out.clients.remove(&conn).expect("it is connected");
        self.at(client.worker, |hub, world| hub.close(world, client.session));
    }

    /// Subscribes; from where it left, if it is to recover.
    pub(super) fn subscribe(&mut self, conn: u64, channel: &str, is_recovering: bool) -> bool {
        self.last_number += 1;
        let number = self.last_number;
        let client = self.out.clients.get_mut(&conn).expect("it is connected");
        let (worker, session, is_aloof) = (client.worker, client.session, client.is_aloof);
        let left = client.left.get(channel).filter(|_| is_recovering).copied();
        if !client.channels.contains_key(channel) {
            let membership = Membership {
                number,
                ..Membership::default()
            };
            client.channels.insert(channel.to_owned(), membership);
        }
        let home = self.hubs[0].home(channel);
        if home == worker {
            self.note_admission(channel, number, left.map(|left| left.1));
        }
        let how = Subscribe {
            recover: left.map(|left| left.1),
            is_aloof,
            ..Subscribe::default()
        };
        let request = Request { number, note: None };
        let done = self.at(worker, |hub, world| {
            hub.subscribe(world, session, channel, how, request)
        });
        if done.is_err() {
            self.out.admissions.remove(&number);
        }
        done.is_ok()
    }

    pub(super) fn unsubscribe(&mut self, conn: u64, channel: &str) {
        let client = self.out.clients.get_mut(&conn).expect("it is connected");
        let was_in = client.channels.contains_key(channel);
        client.leave(channel);
        let (worker, session) = (client.worker, client.session);
        let done = self.at(worker, |hub, world| {
            hub.unsubscribe(world, session, channel)
        });
        assert_eq!(done.is_ok(), was_in);
    }

    /// Publishes the next number.
    pub(super) fn publish(&mut self, conn: u64, channel: &str, key: &str) -> u32 {
        self.last_publication += 1;
        self.last_number += 1;
        let (number, request) = (self.last_publication, self.last_number);
        let padding = " ".repeat(self.word_bytes);
        let mut draft = Draft::new(json(&format!("{number}{padding}")));
        draft.key = Some(key.into());
        let client = &self.out.clients[&conn];
        let (worker, session) = (client.worker, client.session);
        let home = self.hubs[0].home(channel);
        let before = self.hubs[home].tally().published;
        if home == worker {
            // It must be in the log when the first hears of it, and leave it if it is refused.
            self.log(channel, number, key);
        }
        let request = Request {
            number: request,
            note: None,
        };
        let done = self.at(worker, |hub, world| {
            hub.publish(world, session, channel, draft, request)
        });
        let is_taken = done.is_ok() && self.hubs[home].tally().published > before;
        if home == worker && !is_taken {
            self.unlog(channel);
        }
        self.last_number
    }

    fn log(&mut self, channel: &str, number: u64, key: &str) {
        let log = self.out.logs.entry(channel.to_owned()).or_default();
        log.push((number, key.to_owned(), self.out.now_ms));
        // Publications of several workers come in any order of their numbers.
        let is_rising = log.len() < 2 || log[log.len() - 2].0 < number;
        assert!(is_rising, "numbers are given where they are logged");
    }

    fn unlog(&mut self, channel: &str) {
        self.out.logs.get_mut(channel).map(Vec::pop);
    }

    /// One letter from one box, if there is one.
    pub(super) fn carry(&mut self, from: usize, to: usize) -> bool {
        let Some(letter) = self.out.boxes[from * self.out.workers + to].pop_front() else {
            return false;
        };
        let mut publishing = None;
        let letter = match letter {
            Letter::Ask {
                channel,
                question: Question::Publish(mut draft),
                reply_to,
            } => {
                // Renumbered in the order in which the home takes them.
                self.last_publication += 1;
                let number = self.last_publication;
                draft.payload = json(&number.to_string());
                self.log(&channel, number, draft.key.as_deref().unwrap_or_default());
                publishing = Some(channel.to_string());
                Letter::Ask {
                    channel,
                    question: Question::Publish(draft),
                    reply_to,
                }
            }
            Letter::Ask {
                channel,
                question:
                    Question::Subscribe {
                        client,
                        worker,
                        recover,
                    },
                reply_to,
            } => {
                if let ReplyTo::Subscriber { request, .. } = &reply_to {
                    self.note_admission(&channel, request.number, recover);
                }
                Letter::Ask {
                    channel,
                    question: Question::Subscribe {
                        client,
                        worker,
                        recover,
                    },
                    reply_to,
                }
            }
            other => other,
        };
        let before = self.hubs[to].tally().published;
        self.at(to, |hub, world| hub.letter(world, letter));
        if let Some(channel) = publishing
            && self.hubs[to].tally().published == before
        {
            self.unlog(&channel);
        }
        true
    }

    /// What a subscriber that is admitted now has to be told.
    fn note_admission(&mut self, channel: &str, number: u32, recover: Option<Position>) {
        let log = self.out.logs.get(channel).map_or(&[][..], Vec::as_slice);
        let at = log.len();
        let name = crate::hub::ChannelName::new(channel).expect("a good name");
        let options = self
            .namespaces
            .at(self.namespaces.of(name).expect("it exists"));
        let kept = self.kept(channel);
        let missed = recover.map(|since| at - since.offset as usize);
        let is_recoverable = options.recovery == Recovery::Stream
            && missed
                .is_some_and(|missed| missed <= kept && missed <= options.recover_max as usize);
        self.out
            .admissions
            .insert(number, Admission { at, is_recoverable });
    }

    /// How many of the last publications a channel's history should have.
    pub(super) fn kept(&self, channel: &str) -> usize {
        let name = crate::hub::ChannelName::new(channel).expect("a good name");
        let options = self
            .namespaces
            .at(self.namespaces.of(name).expect("it exists"));
        let log = self.out.logs.get(channel).map_or(&[][..], Vec::as_slice);
        let oldest = self.out.now_ms.saturating_sub(options.history_ttl_ms);
        let fresh = log
            .iter()
            .rev()
            .take_while(|entry| entry.2 >= oldest)
            .count();
        fresh.min(options.history_size as usize)
    }

    /// Forgets what only the model needs to know.
    pub(super) fn forget(&mut self) {
        self.out.logs.clear();
        self.out.answers.clear();
        self.out.admissions.clear();
        for letters in &mut self.out.boxes {
            assert!(letters.is_empty());
            *letters = VecDeque::new();
        }
    }

    pub(super) fn fan_out(&mut self, worker: usize, budget: usize) -> bool {
        self.at(worker, |hub, world| {
            let is_left = hub.send_rest(world);
            let left = hub.fan_out(world, budget, budget);
            left.some || left.crowds || is_left
        })
    }

    /// A stalled client reads everything.
    pub(super) fn wake(&mut self, conn: u64) {
        let client = self.out.clients.get_mut(&conn).expect("it is connected");
        client.is_stalled = false;
        client.queued_bytes = 0;
        let (worker, session) = (client.worker, client.session);
        self.at(worker, |hub, _| hub.drained(session));
    }

    /// Until nothing moves any more.
    pub(super) fn settle(&mut self) {
        let stalled = self
            .out
            .clients
            .iter()
            .filter(|(_, client)| client.is_stalled);
        for conn in stalled.map(|(conn, _)| *conn).collect::<Vec<_>>() {
            self.wake(conn);
        }
        for round in 0.. {
            assert!(round < 1_000_000, "it never settles");
            let mut moved = self.carry_each();
            for worker in 0..self.out.workers {
                moved |= self.fan_out(worker, 64);
            }
            if !moved {
                return;
            }
        }
    }

    /// Every letter, and those that they are answered with.
    pub(super) fn carry_all(&mut self) {
        while self.carry_each() {}
    }

    /// A letter from each box; whether there was any.
    fn carry_each(&mut self) -> bool {
        let mut is_any = false;
        for from in 0..self.out.workers {
            for to in 0..self.out.workers {
                is_any |= self.carry(from, to);
            }
        }
        is_any
    }

    /// Asks a channel's home, through the front door.
    pub(super) fn ask(&mut self, channel: &str, question: Question) -> Answer {
        let (tell, told) = std::sync::mpsc::channel();
        let home = self.hubs[0].home(channel);
        let reply_to = ReplyTo::Caller(Box::new(move |answer| {
            let _ = tell.send(answer);
        }));
        self.at(home, |hub, world| {
            hub.ask_freely(world, channel, question, reply_to);
        });
        told.try_recv().expect("the home answers at once")
    }
}

pub(super) fn json(text: &str) -> Payload {
    Payload {
        kind: PayloadKind::Json,
        bytes: text.as_bytes().into(),
    }
}
