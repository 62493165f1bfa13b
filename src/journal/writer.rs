//! The thread that writes: batches into segments, syncs, and word to the workers.
//!
//! What cannot be written is not acknowledged. A segment that refused a write, or whose sync failed, is not
//! trusted any more: the kernel may have dropped what it held. The next attempt begins a new segment with
//! everything that was not acknowledged, and a walk that hands out what was.

use std::collections::{BTreeSet, VecDeque};
use std::fs::File;
use std::io::{self, Write};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::disk::{Directory, Opened};
use super::replay;
use super::scribe::Scribe;
use super::segment::{BATCH_HEAD_BYTES, Header, seal};
use crate::sys::clock;

/// When what was written is forced to the disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sync {
    /// Before anybody is told.
    Always,
    /// Once in so many milliseconds.
    EveryMs(u32),
    /// When the kernel likes.
    Off,
}

/// Records of one turn of one worker, behind room for the head of a batch.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) worker: u16,
    /// How many records that worker has handed out with it.
    pub(super) upto: u64,
    pub(super) bytes: Vec<u8>,
    /// That was the last of this walk.
    pub(super) walked: Option<u64>,
}

/// What workers and writer say to each other without waiting.
pub(super) struct Shared {
    pub(super) desks: Box<[Desk]>,
    /// The walk that is wanted.
    pub(super) round: AtomicU64,
    wake: OnceLock<Box<dyn Fn(u16) + Send + std::marker::Sync>>,
    figures: [AtomicU64; Figures::COUNT],
}

/// One worker's.
#[derive(Default)]
#[repr(align(128))]
pub(super) struct Desk {
    /// Its records that are safe.
    pub(super) written: AtomicU64,
    /// Its publications that wait.
    pub(super) waiting: AtomicU64,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Shared")
    }
}

/// What the log has done and how it is.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Figures {
    /// Bytes written.
    pub written_bytes: u64,
    /// Times the disk was waited for.
    pub syncs: u64,
    /// Microseconds of that.
    pub sync_us: u64,
    /// Writes and syncs that failed.
    pub failures: u64,
    /// Whether the last one failed: nothing is acknowledged then.
    pub is_failing: u64,
    /// Segments there are.
    pub segments: u64,
    /// Their bytes.
    pub segment_bytes: u64,
    /// Publications that wait for being written.
    pub waiting: u64,
}

impl Figures {
    const COUNT: usize = 7;
}

const WRITTEN_BYTES: usize = 0;
const SYNCS: usize = 1;
const SYNC_US: usize = 2;
const FAILURES: usize = 3;
const IS_FAILING: usize = 4;
const SEGMENTS: usize = 5;
const SEGMENT_BYTES: usize = 6;

impl Shared {
    fn add(&self, figure: usize, amount: u64) {
        self.figures[figure].fetch_add(amount, Relaxed);
    }

    fn wake(&self, worker: u16) {
        // Before there is somebody to wake, workers turn once a second by themselves.
        if let Some(wake) = self.wake.get() {
            wake(worker);
        }
    }
}

/// A log that is written to, until it is closed or dropped.
#[derive(Debug)]
pub struct Journal {
    shared: Arc<Shared>,
    ends: Mutex<Ends>,
}

/// What is left of it when it is closed is nothing.
#[derive(Debug)]
struct Ends {
    sender: Option<Sender<Batch>>,
    thread: Option<JoinHandle<()>>,
}

impl Journal {
    /// Starts the writer of an opened log. `growth_bytes_max`: what it may grow by before the workers walk.
    pub fn start(
        opened: Opened,
        sync: Sync,
        growth_bytes_max: u64,
        say: fn(&str),
    ) -> io::Result<Self> {
        let homes = opened.kept.len();
        let shared = Arc::new(Shared {
            desks: (0..homes).map(|_| Desk::default()).collect(),
            // What another process has written is walked at once, and is gone when all have walked.
            round: AtomicU64::new(1),
            wake: OnceLock::new(),
            figures: Default::default(),
        });
        let (sender, receiver) = channel();
        let mut writer = Writer {
            dir: opened.dir,
            header: opened.header,
            sync,
            growth_bytes_max,
            say,
            shared: shared.clone(),
            segments: opened.segments.into(),
            file: None,
            unsynced_since_ms: None,
            batches: Vec::new(),
            cut: 0,
            walked: BTreeSet::new(),
            is_walking: true,
            base_bytes: 0,
            retry_at_ms: 0,
        };
        writer.begin_segment()?;
        writer.cut = writer.newest();
        let run = move || writer.run(&receiver);
        let thread = thread::Builder::new().name("journal".to_owned());
        Ok(Self {
            shared,
            ends: Mutex::new(Ends {
                sender: Some(sender),
                thread: Some(thread.spawn(run)?),
            }),
        })
    }

    fn ends(&self) -> MutexGuard<'_, Ends> {
        self.ends.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until everything is written, and says that it has ended as it should. For when the workers
    /// have ended: their scribes are gone then.
    pub fn close(&self) {
        let mut ends = self.ends();
        ends.sender = None;
        if let Some(thread) = ends.thread.take() {
            let _ = thread.join();
        }
    }

    /// The end of that worker; ask once for each.
    pub fn scribe(&self, worker: u16) -> Option<Scribe> {
        let sender = self.ends().sender.clone()?;
        let is_home = usize::from(worker) < self.shared.desks.len();
        is_home.then(|| Scribe::new(worker, self.shared.clone(), sender))
    }

    /// How to wake a worker, so that it looks what has become safe.
    pub fn wake_with(&self, wake: impl Fn(u16) + Send + std::marker::Sync + 'static) {
        let _ = self.shared.wake.set(Box::new(wake));
        for worker in 0..self.shared.desks.len() {
            self.shared.wake(worker as u16);
        }
    }

    /// What the log has done and how it is.
    pub fn figures(&self) -> Figures {
        let of = |figure: usize| self.shared.figures[figure].load(Relaxed);
        let waiting = self.shared.desks.iter();
        Figures {
            written_bytes: of(WRITTEN_BYTES),
            syncs: of(SYNCS),
            sync_us: of(SYNC_US),
            failures: of(FAILURES),
            is_failing: of(IS_FAILING),
            segments: of(SEGMENTS),
            segment_bytes: of(SEGMENT_BYTES),
            waiting: waiting.map(|desk| desk.waiting.load(Relaxed)).sum(),
        }
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.close();
    }
}

struct Writer {
    dir: Directory,
    header: Header,
    sync: Sync,
    growth_bytes_max: u64,
    say: fn(&str),
    shared: Arc<Shared>,
    /// Number and bytes; the last one is written to.
    segments: VecDeque<(u64, u64)>,
    /// `None` after a failure.
    file: Option<File>,
    unsynced_since_ms: Option<u64>,
    /// Taken, and not acknowledged.
    batches: Vec<Batch>,
    /// Segments before this one go when the walk is over.
    cut: u64,
    walked: BTreeSet<u16>,
    is_walking: bool,
    /// What there was after the last walk.
    base_bytes: u64,
    /// After a failure, when to try again.
    retry_at_ms: u64,
}

/// A segment is left when it is so large. Small enough to read one at a time, large enough that a log has
/// tens of them.
const SEGMENT_BYTES_MAX: u64 = 32 << 20;
/// Bytes that share one sync.
const GROUP_BYTES_MAX: usize = 4 << 20;
/// Between two attempts after a failure.
const RETRY_MS: u64 = 1_000;

impl Writer {
    fn run(mut self, receiver: &Receiver<Batch>) {
        loop {
            let is_open = self.take(receiver);
            let is_time = clock::monotonic_ms() >= self.retry_at_ms;
            if (self.file.is_some() || is_time || !is_open)
                && let Err(error) = self.write()
            {
                self.fail(&error);
            }
            if !is_open {
                break;
            }
        }
        let _ = self.end();
    }

    /// Takes what there is, and waits for it if there is nothing to do. `false`: nobody is left.
    fn take(&mut self, receiver: &Receiver<Batch>) -> bool {
        let first = if self.file.is_none() {
            let wait_ms = self.retry_at_ms.saturating_sub(clock::monotonic_ms());
            receiver.recv_timeout(Duration::from_millis(wait_ms))
        } else if let (Sync::EveryMs(ms), Some(since_ms)) = (self.sync, self.unsynced_since_ms) {
            let waited_ms = clock::monotonic_ms().saturating_sub(since_ms);
            receiver.recv_timeout(Duration::from_millis(
                u64::from(ms).saturating_sub(waited_ms),
            ))
        } else {
            receiver.recv().map_err(|_| RecvTimeoutError::Disconnected)
        };
        match first {
            Ok(batch) => self.batches.push(batch),
            Err(RecvTimeoutError::Timeout) => return true,
            Err(RecvTimeoutError::Disconnected) => return false,
        }
        let mut bytes = 0;
        while bytes < GROUP_BYTES_MAX
            && let Ok(batch) = receiver.try_recv()
        {
            bytes += batch.bytes.len();
            self.batches.push(batch);
        }
        true
    }

    /// Writes what was taken, syncs if it is time, and tells whoever waits.
    fn write(&mut self) -> io::Result<()> {
        if self.file.is_none() {
            // The segment before may end with half a batch, as the last one of a process may.
            self.header.life = self.header.life.wrapping_add(1);
            self.begin_segment()?;
            self.begin_walk();
            self.shared.figures[IS_FAILING].store(0, Relaxed);
            (self.say)("the history is written again");
        } else if self
            .segments
            .back()
            .is_some_and(|(_, bytes)| *bytes > SEGMENT_BYTES_MAX)
        {
            self.sync_now()?;
            self.begin_segment()?;
        }
        for index in 0..self.batches.len() {
            let batch = &mut self.batches[index].bytes;
            if batch.len() > BATCH_HEAD_BYTES {
                seal(batch, self.header.salt);
                let bytes = std::mem::take(batch);
                let written = self.append(&bytes);
                self.batches[index].bytes = bytes;
                written?;
            }
        }
        if self.is_sync_due() {
            self.sync_now()?;
        }
        for batch in std::mem::take(&mut self.batches) {
            let desk = &self.shared.desks[usize::from(batch.worker)];
            desk.written.store(batch.upto, Release);
            self.shared.wake(batch.worker);
            let is_this = batch.walked == Some(self.shared.round.load(Acquire));
            if is_this && self.is_walking {
                self.walked.insert(batch.worker);
            }
        }
        if self.is_walking && self.walked.len() == self.shared.desks.len() {
            self.end_walk()?;
        }
        let growth = self.bytes().saturating_sub(self.base_bytes);
        if !self.is_walking && growth > self.growth_bytes_max {
            self.sync_now()?;
            self.begin_segment()?;
            self.begin_walk();
        }
        Ok(())
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Some(file) = &mut self.file else {
            return Err(io::ErrorKind::NotFound.into());
        };
        file.write_all(bytes)?;
        if let Some((_, length)) = self.segments.back_mut() {
            *length += bytes.len() as u64;
        }
        if self.sync != Sync::Off {
            self.unsynced_since_ms
                .get_or_insert_with(clock::monotonic_ms);
        }
        self.shared.add(WRITTEN_BYTES, bytes.len() as u64);
        self.shared.figures[SEGMENT_BYTES].store(self.bytes(), Relaxed);
        Ok(())
    }

    fn is_sync_due(&self) -> bool {
        let Some(since_ms) = self.unsynced_since_ms else {
            return false;
        };
        match self.sync {
            Sync::Always => true,
            Sync::EveryMs(ms) => clock::monotonic_ms().saturating_sub(since_ms) >= ms.into(),
            Sync::Off => false,
        }
    }

    /// Forces to the disk what was written, unless nobody ever wants that.
    fn sync_now(&mut self) -> io::Result<()> {
        let Some(file) = &self.file else {
            return Ok(());
        };
        if self.unsynced_since_ms.take().is_some() {
            let before_ns = clock::monotonic_ns();
            file.sync_data()?;
            let took_ns = clock::monotonic_ns().saturating_sub(before_ns);
            self.shared.add(SYNCS, 1);
            self.shared.add(SYNC_US, took_ns / 1000);
        }
        Ok(())
    }

    fn begin_segment(&mut self) -> io::Result<()> {
        let number = self.newest() + 1;
        let mut file = self.dir.create(number)?;
        let header = self.header.to_bytes();
        let begun = file.write_all(&header).and_then(|()| match self.sync {
            Sync::Off => Ok(()),
            Sync::Always | Sync::EveryMs(_) => file.sync_all().and_then(|()| self.dir.sync()),
        });
        if let Err(error) = begun {
            let _ = self.dir.remove(number);
            return Err(error);
        }
        self.segments.push_back((number, header.len() as u64));
        self.file = Some(file);
        self.shared.figures[SEGMENTS].store(self.segments.len() as u64, Relaxed);
        Ok(())
    }

    fn begin_walk(&mut self) {
        self.cut = self.newest();
        self.walked.clear();
        self.is_walking = true;
        self.shared.round.fetch_add(1, Release);
        for worker in 0..self.shared.desks.len() {
            self.shared.wake(worker as u16);
        }
    }

    /// Everything that is kept is in the segments since the cut: those before go, when that is certain.
    fn end_walk(&mut self) -> io::Result<()> {
        self.sync_now()?;
        while let Some((number, _)) = self.segments.front().copied()
            && number < self.cut
        {
            self.segments.pop_front();
            if let Err(error) = self.dir.remove(number) {
                let path = self.dir.path_of(number);
                (self.say)(&format!("cannot remove {}: {error}", path.display()));
            }
        }
        self.is_walking = false;
        self.base_bytes = self.bytes();
        self.shared.figures[SEGMENTS].store(self.segments.len() as u64, Relaxed);
        self.shared.figures[SEGMENT_BYTES].store(self.base_bytes, Relaxed);
        Ok(())
    }

    /// Nobody is told anything; what was taken stays.
    fn fail(&mut self, error: &io::Error) {
        self.file = None;
        self.unsynced_since_ms = None;
        self.retry_at_ms = clock::monotonic_ms() + RETRY_MS;
        self.shared.add(FAILURES, 1);
        if self.shared.figures[IS_FAILING].swap(1, Relaxed) == 0 {
            let cure = match error.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                    "make room on the disk"
                }
                _ => "look at the disk",
            };
            (self.say)(&format!(
                "the history cannot be written: {error}. Publications to durable channels are not \
                 acknowledged until it can; {cure}"
            ));
        }
    }

    /// Says that we end as we should.
    fn end(&mut self) -> io::Result<()> {
        let mut batch = vec![0; BATCH_HEAD_BYTES];
        batch.extend_from_slice(replay::END);
        seal(&mut batch, self.header.salt);
        self.append(&batch)?;
        // Whatever the policy is: what says that all is well must not be there before it is.
        self.file.as_ref().map_or(Ok(()), File::sync_all)
    }

    fn newest(&self) -> u64 {
        self.segments.back().map_or(0, |(number, _)| *number)
    }

    fn bytes(&self) -> u64 {
        self.segments.iter().map(|(_, bytes)| bytes).sum()
    }
}
