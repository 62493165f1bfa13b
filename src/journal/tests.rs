//! The log over real files: restarts, torn ends, damage, walks, and a disk that refuses.

use std::convert::Infallible;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use proptest::prelude::*;

use super::codec::{self, Records};
use super::fuzzing::{HEADER, file};
use super::replay::{Fault, Found, Reader, Recovered, What, recover};
use super::segment::{HEADER_BYTES, Header, Segment};
use super::{Figures, Journal, Opened, Scribe, Settings, Sync, open};
use crate::hub::{
    Answer, ClientId, ClientInfo, Dialect, Disconnect, Draft, Epoch, Event, Gap, HistoryPage,
    HistoryQuery, Hub, HubConfig, Letter, Limits, NameHash, Namespaces, Options, Payload,
    PayloadKind, Position, Publication, Question, Record, Refusal, ReplyTo, Request, Session,
    Subscribe, Subscribed, Unsubscribed, World,
};

/// A world of one worker, which remembers what it was told.
#[derive(Default)]
struct Told {
    events: Vec<Event>,
    subscribed: Vec<Subscribed>,
}

impl World for Told {
    type Frame = Event;

    fn has_words(&self, _: Dialect, _: &str, _: &Event) -> bool {
        true
    }

    fn encode(&mut self, _: Dialect, _: &str, event: &Event) -> Option<Event> {
        Some(event.clone())
    }

    fn encode_behind(
        &mut self,
        _: Dialect,
        _: &str,
        gap: &Gap,
        _: &Arc<Publication>,
    ) -> Option<Event> {
        panic!("gaps have frames here: {gap:?}")
    }

    fn deliver(&mut self, _: u64, frames: &[Event]) -> usize {
        self.events.extend_from_slice(frames);
        0
    }

    fn post(&mut self, _: usize, letter: Letter) -> Result<(), Letter> {
        panic!("there is one worker: {letter:?}")
    }

    fn workers(&self) -> usize {
        1
    }

    fn events_waiting(&self, _: usize) -> usize {
        0
    }

    fn answer(&mut self, _: &Session, _: &Request, _: &str, answer: &Answer) {
        if let Answer::Subscribed(subscribed) = answer {
            self.subscribed.push(subscribed.clone());
        }
    }

    fn unsubscribed(&mut self, _: &Session, _: &str, _: Unsubscribed) {}

    fn disconnect(&mut self, _: &Session, _: Disconnect) {}
}

/// One process with one worker.
struct Life {
    hub: Hub<Event>,
    world: Told,
    scribe: Scribe,
    journal: Journal,
    woken: Receiver<u16>,
}

/// Where an answer comes.
#[derive(Default)]
struct Slot(Arc<Mutex<Option<Answer>>>);

impl Slot {
    fn take(&self) -> Option<Answer> {
        self.0.lock().expect("nobody panics with it").take()
    }
}

/// How long a test waits for the writer, on a machine that does something else.
const PATIENCE: Duration = Duration::from_secs(60);
const SIZE: u32 = 20;
const NOW_MS: u64 = 1_800_000_000_000;

fn options() -> Options {
    Options {
        history_size: SIZE,
        join_leave: false,
        ..Options::open()
    }
}

fn settings(dir: &Path) -> Settings {
    let passing = Options {
        is_durable: false,
        ..options()
    };
    let namespaces = Namespaces::new(options(), options()).with("passing", passing);
    Settings {
        dir: dir.to_owned(),
        is_synced: false,
        skips_damage: false,
        homes: 1,
        namespaces: Arc::new(namespaces),
    }
}

impl Life {
    fn start(dir: &Path) -> Self {
        Self::of(open(&settings(dir)).expect("it opens"), Sync::Off, 1 << 20)
    }

    fn of(mut opened: Opened, sync: Sync, growth_bytes_max: u64) -> Self {
        let mut hub = Hub::new(&HubConfig {
            worker: 0,
            workers: 1,
            homes: 1,
            secret: opened.secret,
            seed: 77,
            namespaces: settings(Path::new("")).namespaces,
            limits: Limits::default(),
        });
        hub.set_now(NOW_MS);
        let kept = opened.kept[0].drain(..).collect();
        assert_eq!(hub.restore(kept, opened.epochs[0]), 0);
        hub.keep_journal();
        let journal = Journal::start(opened, sync, growth_bytes_max, |_| {}).expect("it starts");
        let (tell, woken) = mpsc::channel();
        journal.wake_with(move |worker| {
            let _ = tell.send(worker);
        });
        Self {
            hub,
            world: Told::default(),
            scribe: journal.scribe(0).expect("it is a home"),
            journal,
            woken,
        }
    }

    fn ask(&mut self, channel: &str, question: Question) -> Slot {
        let slot = Slot::default();
        let told = slot.0.clone();
        let reply_to = ReplyTo::Caller(Box::new(move |answer| {
            *told.lock().expect("nobody panics with it") = Some(answer);
        }));
        self.hub
            .ask_freely(&mut self.world, channel, question, reply_to);
        slot
    }

    fn publish(&mut self, channel: &str, text: &str) -> Slot {
        self.ask(channel, Question::Publish(Draft::new(json(text))))
    }

    fn turn(&mut self) {
        while self.scribe.turn(&mut self.hub, &mut self.world) {}
        self.hub.fan_out(&mut self.world, 1000, 1000);
    }

    /// Turns until it is so.
    fn until(&mut self, what: &str, mut is_so: impl FnMut(&mut Self) -> bool) {
        self.turn();
        while !is_so(self) {
            let woken = self.woken.recv_timeout(PATIENCE);
            woken.unwrap_or_else(|_| panic!("nobody is woken: {what}"));
            self.turn();
        }
    }

    fn settle(&mut self) {
        self.until("all is written", |life| life.hub.waiting_for_journal() == 0);
    }

    fn published(&mut self, channel: &str, text: &str) -> Position {
        let slot = self.publish(channel, text);
        self.settle();
        match slot.take() {
            Some(Answer::Published { position, .. }) => position,
            other => panic!("{other:?}"),
        }
    }

    fn history(&mut self, channel: &str) -> HistoryPage {
        let slot = self.ask(channel, Question::History(HistoryQuery::default()));
        match slot.take() {
            Some(Answer::History(page)) => page,
            other => panic!("{other:?}"),
        }
    }

    fn texts(&mut self, channel: &str) -> Vec<String> {
        let page = self.history(channel);
        let texts = page.publications.iter();
        texts
            .map(|publication| publication.payload.text().expect("text").to_owned())
            .collect()
    }

    fn subscribe(&mut self, channel: &str, recover: Option<Position>) -> Subscribed {
        let world = &mut self.world;
        let session = self.hub.connect(world, 1, Dialect::Raw, "ann", None);
        let how = Subscribe {
            recover,
            ..Subscribe::default()
        };
        let asked = self
            .hub
            .subscribe(world, session, channel, how, Request::default());
        asked.expect("everybody may");
        self.world.subscribed.pop().expect("it is answered at once")
    }

    fn end(self) {
        let Self {
            hub,
            scribe,
            journal,
            ..
        } = self;
        drop((hub, scribe));
        drop(journal);
    }
}

fn json(text: &str) -> Payload {
    Payload {
        kind: PayloadKind::Json,
        bytes: text.as_bytes().into(),
    }
}

/// A directory of a test, gone with it.
struct Dir(PathBuf);

impl Dir {
    fn new(name: &str) -> Self {
        let name = format!("throng-journal-{name}-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let _ = fs::remove_dir_all(&path);
        Self(path)
    }

    /// What a process that is killed now leaves: what it has written, and nothing that it has not.
    fn killed(&self, name: &str) -> Self {
        let copy = Self::new(name);
        fs::create_dir_all(&copy.0).expect("the temporary directory is writable");
        for path in segments(&self.0) {
            let name = path.file_name().expect("it has one");
            fs::copy(&path, copy.0.join(name)).expect("it is there");
        }
        copy
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn segments(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).expect("it is there");
    let paths = entries.map(|entry| entry.expect("it can be listed").path());
    let mut paths: Vec<_> = paths
        .filter(|path| path.extension().is_some_and(|kind| kind == "log"))
        .collect();
    paths.sort();
    paths
}

#[test]
fn what_is_not_written_is_not_there() {
    let dir = Dir::new("unwritten");
    let mut life = Life::start(&dir.0);
    life.subscribe("room", None);
    let kept = life.publish("room", "1");
    let fleeting = life.ask(
        "room",
        Question::Publish(Draft {
            is_fleeting: true,
            ..Draft::new(json("2"))
        }),
    );
    let passing = life.publish("passing:room", "3");
    life.hub.fan_out(&mut life.world, 1000, 1000);
    assert!(matches!(passing.take(), Some(Answer::Published { .. })));
    assert_eq!((kept.take(), fleeting.take()), (None, None));
    assert_eq!(life.texts("room"), Vec::<String>::new());
    assert_eq!(life.history("room").position.offset, 0);
    assert_eq!(life.world.events, []);
    life.settle();
    assert!(
        matches!(kept.take(), Some(Answer::Published { position, .. }) if position.offset == 1)
    );
    assert!(matches!(fleeting.take(), Some(Answer::Published { .. })));
    let told: Vec<_> = life.world.events.iter().map(text_of).collect();
    assert_eq!(
        told,
        ["1", "2"],
        "in the order in which they were published"
    );
    assert_eq!(life.texts("room"), ["1"]);
}

fn text_of(event: &Event) -> &str {
    match event {
        Event::Publication(publication) => publication.payload.text().expect("text"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_restart_goes_on_where_it_was() {
    let dir = Dir::new("restart");
    let mut life = Life::start(&dir.0);
    let mut position = Position::default();
    for n in 0..30 {
        position = life.published("room", &n.to_string());
    }
    life.published("other", "1");
    life.published("passing:room", "1");
    let untouched = life
        .subscribe("quiet", None)
        .position
        .expect("it keeps one");
    let killed = dir.killed("restart-killed");
    life.end();
    for (dir, how) in [(&dir, "ended"), (&killed, "killed")] {
        let mut life = Life::start(&dir.0);
        let before = life.history("room");
        assert_eq!(before.position, position, "{how}");
        assert_eq!(before.publications.len(), SIZE as usize);
        assert_eq!(life.texts("room")[0], "10");
        assert_eq!(life.texts("passing:room"), Vec::<String>::new());
        let since = Position {
            offset: 25,
            ..position
        };
        let subscribed = life.subscribe("room", Some(since));
        assert!(subscribed.recovered, "{how}");
        assert_eq!(subscribed.publications.len(), 5);
        assert!(life.subscribe("quiet", Some(untouched)).recovered, "{how}");
        let next = life.published("room", "30");
        assert_eq!((next.offset, next.epoch), (31, position.epoch));
        let killed = dir.killed("restart-again");
        life.end();
        assert_eq!(Life::start(&killed.0).history("room").position.offset, 31);
    }
}

#[test]
fn a_forgotten_history_stays_forgotten() {
    let dir = Dir::new("forget");
    let mut life = Life::start(&dir.0);
    let first = life.published("room", "1");
    let slot = life.ask("room", Question::ForgetHistory);
    let behind = life.publish("room", "2");
    assert_eq!(slot.take(), None);
    life.settle();
    assert_eq!(slot.take(), Some(Answer::Done));
    assert!(behind.take().is_some());
    let killed = dir.killed("forget-killed");
    let mut life = Life::start(&killed.0);
    assert_eq!(life.texts("room"), ["2"]);
    assert!(
        !life
            .subscribe("room", Some(Position { offset: 0, ..first }))
            .recovered
    );
    assert!(life.subscribe("room", Some(first)).recovered);
}

#[test]
fn too_much_that_waits_is_refused() {
    let dir = Dir::new("busy");
    let mut life = Life::start(&dir.0);
    let mut slots = Vec::new();
    loop {
        let slot = life.publish("room", "1");
        match slot.take() {
            None => slots.push(slot),
            Some(Answer::Refused(Refusal::Busy)) => break,
            other => panic!("{other:?}"),
        }
        assert!(slots.len() < 100_000, "it has a bound");
    }
    life.settle();
    assert!(
        slots
            .iter()
            .all(|slot| matches!(slot.take(), Some(Answer::Published { .. })))
    );
    assert_eq!(life.history("room").position.offset as usize, slots.len());
}

#[test]
fn the_log_stays_bounded_and_complete_while_it_is_walked() {
    let dir = Dir::new("walk");
    let opened = open(&settings(&dir.0)).expect("it opens");
    let mut life = Life::of(opened, Sync::Off, 8_000);
    let mut newest = [0u64; 7];
    let mut seed = 1u32;
    let mut acknowledged = Vec::new();
    for step in 0..3000u64 {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let room = (seed >> 16) as usize % newest.len();
        acknowledged.push((
            room,
            step,
            life.publish(&format!("room{room}"), &step.to_string()),
        ));
        if seed >> 28 == 0 {
            life.turn();
        }
        if step % 500 == 499 {
            // Killed in the middle of whatever it does.
            for (room, step, slot) in &acknowledged {
                if slot.take().is_some() {
                    newest[*room] = *step;
                }
            }
            let killed = dir.killed("walk-killed");
            let mut other = Life::start(&killed.0);
            for (room, step) in newest.iter().enumerate() {
                let texts = other.texts(&format!("room{room}"));
                let steps: Vec<u64> = texts.iter().map(|t| t.parse().expect("a number")).collect();
                // Newer ones that were not acknowledged yet may have pushed it out, if they are as many
                // as are kept.
                let is_pushed_out = steps.len() == SIZE as usize && steps.first() > Some(step);
                assert!(
                    *step == 0 || steps.contains(step) || is_pushed_out,
                    "{room}: {step} of {steps:?}"
                );
                assert!(steps.is_sorted() && steps.len() <= SIZE as usize);
            }
            acknowledged.clear();
            life.settle();
            newest = [0; 7];
        }
    }
    life.settle();
    life.until("the walk ends", |life| life.journal.figures().segments < 4);
    let figures = life.journal.figures();
    assert!(
        figures.segment_bytes * 2 < figures.written_bytes,
        "{figures:?}"
    );
    let on_disk: u64 = segments(&dir.0)
        .iter()
        .map(|path| fs::metadata(path).expect("it is there").len())
        .sum();
    assert_eq!(on_disk, figures.segment_bytes);
    let before: Vec<_> = (0..7)
        .map(|room| life.history(&format!("room{room}")))
        .collect();
    life.end();
    let mut life = Life::start(&dir.0);
    let after: Vec<_> = (0..7)
        .map(|room| life.history(&format!("room{room}")))
        .collect();
    assert_eq!(before, after);
}

#[test]
fn every_policy_acknowledges() {
    for (sync, name) in [
        (Sync::Always, "always"),
        (Sync::EveryMs(10), "interval"),
        (Sync::Off, "off"),
    ] {
        let dir = Dir::new(name);
        let opened = open(&settings(&dir.0)).expect("it opens");
        let mut life = Life::of(opened, sync, 1 << 20);
        life.published("room", "1");
        let syncs = |life: &Life| life.journal.figures().syncs;
        match sync {
            Sync::Always => assert!(syncs(&life) > 0),
            Sync::EveryMs(_) => {
                while syncs(&life) == 0 {
                    std::thread::yield_now();
                }
            }
            Sync::Off => assert_eq!(syncs(&life), 0),
        }
        life.end();
        assert_eq!(Life::start(&dir.0).texts("room"), ["1"]);
    }
}

#[test]
fn a_disk_that_refuses_delays_and_loses_nothing() {
    let dir = Dir::new("refuses");
    let opened = open(&settings(&dir.0)).expect("it opens");
    // The next segment cannot be made.
    let obstacle = dir.0.join("0000000002.log");
    fs::create_dir_all(&obstacle).expect("the directory is writable");
    let mut life = Life::of(opened, Sync::Always, 1);
    life.published("room", "1");
    while life.journal.figures().is_failing == 0 {
        life.publish("room", "2");
        life.turn();
    }
    let slot = life.publish("room", "3");
    life.turn();
    assert_eq!(slot.take(), None, "nobody is told what is not safe");
    fs::remove_dir(&obstacle).expect("it is empty");
    life.settle();
    assert!(matches!(slot.take(), Some(Answer::Published { .. })));
    let figures = life.journal.figures();
    assert!(
        figures.failures > 0 && figures.is_failing == 0,
        "{figures:?}"
    );
    let (killed, texts) = (dir.killed("refuses-killed"), life.texts("room"));
    assert_eq!(Life::start(&killed.0).texts("room"), texts);
}

#[test]
fn a_directory_is_one_servers() {
    let dir = Dir::new("lock");
    let life = Life::start(&dir.0);
    let error = open(&settings(&dir.0))
        .expect_err("it is taken")
        .to_string();
    assert!(error.contains("another server writes there"), "{error}");
    life.end();
    assert!(open(&settings(&dir.0)).is_ok());
    let error = open(&settings(Path::new("/dev/null/x"))).expect_err("no directory");
    assert!(error.to_string().contains("--history-dir"), "{error}");
}

#[test]
fn channels_find_their_new_homes() {
    let dir = Dir::new("homes");
    let mut life = Life::start(&dir.0);
    for n in 0..50 {
        life.published(&format!("room{n}"), "1");
    }
    life.end();
    let three = Settings {
        homes: 3,
        ..settings(&dir.0)
    };
    let opened = open(&three).expect("it opens");
    assert_eq!(opened.epochs, [None; 3], "theirs was another division");
    let hash = NameHash::new(opened.secret);
    let mut count = 0;
    for (home, kept) in opened.kept.iter().enumerate() {
        for channel in kept {
            assert_eq!(hash.home(&channel.channel, 3), home);
            count += 1;
        }
    }
    assert_eq!(count, 50);
}

/// A log of two processes, and where each begins.
fn two_lives(second: Header) -> Vec<Vec<u8>> {
    let first = file(&[published("room", 1, 1), published("room", 1, 2)]);
    let mut other = second.to_bytes().to_vec();
    for batch in file(&[published("room", 1, 3)])[HEADER_BYTES..].chunks(usize::MAX) {
        other.extend_from_slice(batch);
    }
    vec![first, other]
}

fn published(channel: &str, epoch: u32, offset: u64) -> Record {
    Record::Published {
        channel: channel.into(),
        epoch: Epoch::new(epoch),
        publication: Arc::new(Publication {
            offset,
            unix_ms: NOW_MS,
            payload: json(&offset.to_string()),
            publisher: None,
            key: None,
            tags: Box::default(),
        }),
    }
}

fn recovered(files: &[Vec<u8>], boot: [u8; 16], skips: bool) -> Result<Recovered, Fault> {
    let namespaces = settings(Path::new("")).namespaces;
    let reader = Reader {
        namespaces: &namespaces,
        life: 99,
        boot,
        skips,
    };
    let found: Vec<_> = files
        .iter()
        .map(|file| Found {
            length: file.len() as u64,
            header: Segment::new(file).map(|segment| *segment.header()),
        })
        .collect();
    let read = |file: usize| Ok::<_, Infallible>(files[file].clone());
    let Ok(outcome) = recover(&reader, &found, read);
    outcome
}

/// Position and number of publications of `room`.
fn room(recovered: Recovered) -> Option<(Position, usize)> {
    let kept = recovered.into_kept(NameHash::new(1), 1).remove(0);
    kept.first()
        .map(|kept| (kept.position, kept.publications.len()))
}

#[test]
fn a_log_torn_at_any_byte_has_what_is_in_front_of_it() {
    let records: Vec<_> = (1..=5).map(|offset| published("room", 1, offset)).collect();
    let whole = file(&records);
    let ends: Vec<_> = (0..=5).map(|n| file(&records[..n]).len()).collect();
    for cut in 0..=whole.len() {
        let expected = ends
            .iter()
            .filter(|end| **end <= cut)
            .count()
            .saturating_sub(1);
        for tail in [&[][..], &[0xee; 40], &whole[..cut.min(7)]] {
            // A process that began to write its header and died has no tail behind it.
            if cut < HEADER_BYTES && !tail.is_empty() {
                continue;
            }
            let torn = [&whole[..cut], tail].concat();
            let found = recovered(&[torn], HEADER.boot, false).expect("that is no damage");
            assert_eq!(found.records as usize, expected, "cut at {cut}");
            assert_eq!(room(found).map_or(0, |(_, count)| count), expected);
        }
    }
}

#[test]
fn a_byte_that_changed_is_found_wherever_it_is() {
    let records: Vec<_> = (1..=3).map(|offset| published("room", 1, offset)).collect();
    let whole = file(&records);
    let last = file(&records[..2]).len();
    for at in 0..whole.len() {
        let mut changed = whole.clone();
        changed[at] ^= 0x40;
        let outcome = recovered(&[changed.clone()], HEADER.boot, false);
        if at >= last {
            // It cannot be told from a torn end.
            assert_eq!(outcome.expect("torn").records, 2, "at {at}");
            continue;
        }
        let fault = outcome.expect_err("damage");
        let what = if at < HEADER_BYTES {
            What::NoHeader
        } else {
            What::Checksum
        };
        assert_eq!(fault.what, what, "at {at}");
        let skipped = recovered(&[changed], HEADER.boot, true).expect("it skips");
        assert_eq!(skipped.skipped, [fault]);
        assert_eq!(skipped.renewals, 1);
        if let Some((position, _)) = room(skipped) {
            assert_ne!(position.epoch, Epoch::new(1), "clients have to be told");
        }
    }
}

#[test]
fn only_the_last_file_of_a_process_may_be_torn() {
    let second = Header { life: 1, ..HEADER };
    let mut files = two_lives(second);
    files[0].pop();
    let fault = recovered(&files, HEADER.boot, false).expect_err("it went on after that");
    assert_eq!((fault.file, fault.what), (0, What::CutShort));
    let skipped = recovered(&files, HEADER.boot, true).expect("it skips");
    // 2 is lost: what was before it is no history of what comes behind.
    let (position, kept) = room(skipped).expect("it is there");
    assert_eq!((position.offset, kept), (3, 1));
    let mut files = two_lives(Header { life: 2, ..HEADER });
    files[0].pop();
    let torn = recovered(&files, HEADER.boot, false).expect("that process was killed");
    assert_eq!(torn.torn.len(), 1);
    assert_eq!(torn.renewals, 0);
    // A file that was begun and not even has its header is none.
    let mut files = two_lives(Header { life: 2, ..HEADER });
    files.insert(1, HEADER.to_bytes()[..20].to_vec());
    assert_eq!(
        recovered(&files, HEADER.boot, false).expect("fine").records,
        3
    );
}

#[test]
fn after_a_power_cut_epochs_are_new_unless_everything_was_synced() {
    let epoch = |files: &[Vec<u8>], boot| {
        let recovered = recovered(files, boot, false).expect("it is whole");
        room(recovered).expect("it is there").0.epoch
    };
    let old = Epoch::new(1);
    let whole = file(&[published("room", 1, 1)]);
    assert_eq!(epoch(std::slice::from_ref(&whole), HEADER.boot), old);
    let new = epoch(std::slice::from_ref(&whole), [8; 16]);
    assert_ne!(new, old);
    assert_eq!(
        epoch(std::slice::from_ref(&whole), [8; 16]),
        new,
        "whoever reads it finds the same"
    );
    assert_ne!(
        epoch(std::slice::from_ref(&whole), [0; 16]),
        old,
        "nobody knows which boot this is"
    );
    let mut synced = Header {
        is_synced: true,
        ..HEADER
    }
    .to_bytes()
    .to_vec();
    synced.extend_from_slice(&whole[HEADER_BYTES..]);
    assert_eq!(epoch(&[synced], [8; 16]), old);
    // It was stopped before the machine was.
    let mut ended = whole.clone();
    let mut batch = vec![0; super::segment::BATCH_HEAD_BYTES];
    batch.extend_from_slice(super::replay::END);
    super::segment::seal(&mut batch, HEADER.salt);
    ended.extend_from_slice(&batch);
    assert_eq!(epoch(&[ended], [8; 16]), old);
    // Holes are what a power cut leaves.
    let mut holed = file(&[published("room", 1, 1), published("room", 1, 2)]);
    holed[whole.len() - 1] ^= 1;
    assert!(recovered(&[holed.clone()], HEADER.boot, false).is_err());
    assert_eq!(
        recovered(&[holed], [8; 16], false).expect("a cut").records,
        1
    );
}

#[test]
fn a_client_cannot_forge_a_batch() {
    // A payload that looks like a batch, of somebody who does not know the salt.
    let mut forged = vec![0; super::segment::BATCH_HEAD_BYTES];
    codec::append(&mut forged, &published("room", 1, 7));
    super::segment::seal(&mut forged, 0x1234_5678);
    let Record::Published {
        channel,
        epoch,
        publication,
    } = published("room", 1, 1)
    else {
        unreachable!("it was just made")
    };
    let publication = Publication {
        payload: Payload {
            kind: PayloadKind::Binary,
            bytes: forged.into(),
        },
        ..(*publication).clone()
    };
    let record = Record::Published {
        channel,
        epoch,
        publication: Arc::new(publication),
    };
    let mut torn = file(&[published("room", 1, 1), record]);
    torn.pop();
    let found = recovered(&[torn], HEADER.boot, false).expect("torn, and nothing behind it");
    assert_eq!(found.records, 1);
}

#[test]
fn a_damaged_file_is_named_with_its_cure() {
    let dir = Dir::new("damaged");
    let mut life = Life::start(&dir.0);
    for n in 0..5 {
        life.published("room", &n.to_string());
    }
    let killed = dir.killed("damaged-killed");
    let path = segments(&killed.0).pop().expect("there is one");
    let mut bytes = fs::read(&path).expect("it is there");
    bytes[HEADER_BYTES + 20] ^= 1;
    fs::write(&path, bytes).expect("it is writable");
    let error = open(&settings(&killed.0))
        .expect_err("it is damaged")
        .to_string();
    for part in [
        "0000000001.log",
        "at byte 49",
        "--history-damaged skip",
        "move ",
    ] {
        assert!(error.contains(part), "{error}");
    }
    let skipping = Settings {
        skips_damage: true,
        ..settings(&killed.0)
    };
    let opened = open(&skipping).expect("it goes on");
    assert_eq!(opened.notes.len(), 2, "{:?}", opened.notes);
    let mut life = Life::of(opened, Sync::Off, 1 << 20);
    life.settle();
    assert_eq!(life.texts("room").last().map(String::as_str), Some("4"));
}

fn record() -> impl Strategy<Value = Record> {
    let text = || proptest::option::of("[a-zé\"\n]{0,9}").prop_map(|t| t.map(Into::into));
    let client = ("[a-z]{0,5}", any::<u128>(), text(), text()).prop_map(
        |(user, client, conn_info, chan_info)| {
            Arc::new(ClientInfo {
                user: user.into(),
                client: ClientId(client),
                conn_info,
                chan_info,
            })
        },
    );
    let tags = proptest::collection::vec(("[a-z]{0,5}", "[a-z]{0,5}"), 0..3);
    let publication = (
        1..u64::MAX,
        any::<u64>(),
        proptest::collection::vec(any::<u8>(), 0..99),
        proptest::option::of(client),
        text(),
        tags,
    )
        .prop_map(
            |(offset, unix_ms, bytes, publisher, key, tags)| Publication {
                offset,
                unix_ms,
                payload: Payload {
                    kind: PayloadKind::Binary,
                    bytes: bytes.into(),
                },
                publisher,
                key,
                tags: tags
                    .into_iter()
                    .map(|(a, b)| (a.into(), b.into()))
                    .collect(),
            },
        );
    let epoch = (1..u32::MAX).prop_map(Epoch::new);
    prop_oneof![
        ("[a-z:#]{1,9}", epoch.clone(), publication).prop_map(|(channel, epoch, publication)| {
            Record::Published {
                channel: channel.into(),
                epoch,
                publication: Arc::new(publication),
            }
        }),
        (
            "[a-z:#]{1,9}",
            epoch.clone(),
            any::<u64>(),
            any::<u64>(),
            any::<u64>()
        )
            .prop_map(|(channel, epoch, a, b, used_ms)| Record::Stands {
                channel: channel.into(),
                position: Position {
                    offset: a.max(b),
                    epoch
                },
                forgotten: a.min(b),
                used_ms,
            }),
        (any::<u16>(), any::<u16>(), epoch).prop_map(|(worker, homes, epoch)| Record::Begins {
            worker,
            homes,
            epoch,
        }),
    ]
}

proptest! {
    #[test]
    fn records_are_read_as_they_were_written(records in proptest::collection::vec(record(), 0..6)) {
        let mut bytes = Vec::new();
        for record in &records {
            codec::append(&mut bytes, record);
        }
        let read: Vec<_> = Records::new(&bytes).collect();
        prop_assert_eq!(read, records.into_iter().map(Ok).collect::<Vec<_>>());
        super::fuzzing::journal(&bytes);
    }

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        super::fuzzing::journal(&bytes);
    }
}

#[test]
fn figures_begin_with_nothing() {
    let dir = Dir::new("figures");
    let life = Life::start(&dir.0);
    let figures = life.journal.figures();
    assert_eq!((figures.written_bytes, figures.failures), (0, 0));
    assert_ne!(figures, Figures::default(), "there is a segment");
}
