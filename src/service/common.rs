//! What the services of all workers have in common: settings, limits, and a board for figures.

use std::fmt;
use std::net::IpAddr;
use std::ops::Add;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use super::podium::Podium;
use crate::auth::{Gate, Guard, Over, Ticket};
use crate::hub::{Epoch, HubConfig, Kept, Limits, NameHash, Namespaces, Tally};
use crate::journal::Scribe;

/// How a service is made.
pub struct ServiceConfig {
    /// What may change while we serve.
    pub settings: Settings,
    /// Who may connect how often.
    pub gate: Gate,
    /// Every namespace's options.
    pub namespaces: Arc<Namespaces>,
    /// What one may have.
    pub limits: Limits,
    /// Workers that are there from the start: the homes of channels and users.
    pub homes: usize,
    /// Workers there may ever be.
    pub seats: usize,
    /// A secret of this process's own: names are hashed with it.
    pub secret: u64,
    /// What makes epochs and client names of this process its own.
    pub seed: u32,
    /// What is asked of the world outside.
    pub outside: Outside,
    /// For each home, what it knows of an earlier life, if histories are written down.
    pub memories: Vec<Memory>,
}

/// What a home knows of an earlier life, and how it writes down what the next one should know.
#[derive(Debug)]
pub struct Memory {
    /// Its channels.
    pub kept: Vec<Kept>,
    /// The epoch of channels that begin to exist, if it goes on.
    pub epoch: Option<Epoch>,
    /// Its way to the disk.
    pub scribe: Scribe,
}

/// What may change while we serve.
#[derive(Clone)]
pub struct Settings {
    /// Who may connect.
    pub guard: Arc<Guard>,
    /// Whether `/echo` answers.
    pub echo: bool,
    /// Whether there is a page at `/`.
    pub page: bool,
    /// How often a silent peer is pinged; 0 is never.
    pub ping_ms: u32,
    /// How long a client may take to log in.
    pub login_ms: u32,
}

/// What a service asks of the world outside. (So that a test can be that world.)
pub struct Outside {
    /// Milliseconds since 1970.
    pub unix_ms: Box<dyn Fn() -> u64 + Send + Sync>,
    /// Microseconds of a clock that never goes back.
    pub monotonic_us: Box<dyn Fn() -> u64 + Send + Sync>,
    /// The page at `/stats`, if there is one.
    pub stats: Option<Box<dyn Fn() -> String + Send + Sync>>,
    /// A line for the log.
    pub log: Box<dyn Fn(&str) + Send + Sync>,
    /// Whether all listeners are for this machine only.
    pub is_local: bool,
}

/// What the services of all workers have in common.
pub struct Common {
    settings: RwLock<Arc<Settings>>,
    /// Grows with each change of the settings: workers look at it once a turn.
    version: AtomicU64,
    pub(super) gate: Gate,
    pub(super) outside: Outside,
    hub: HubConfig,
    joined: AtomicUsize,
    boards: Box<[Board]>,
    /// One for each of the first workers, and for those who join later on its core.
    podiums: Box<[Podium]>,
    memories: Mutex<Vec<Option<Memory>>>,
}

/// What one worker tells the others, a cache line or two of its own.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Board {
    events_waiting: AtomicUsize,
    snapshot: Mutex<Snapshot>,
}

/// How a worker's hub is doing.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Snapshot {
    /// What the hub has counted.
    pub tally: Tally,
    /// What the door has counted.
    pub door: DoorTally,
    /// Connections that have logged in.
    pub sessions: usize,
    /// Different users with connections anywhere, of those whose home is here.
    pub users: usize,
    /// Channels that live here.
    pub channels: usize,
    /// Subscriptions of sessions here.
    pub subscriptions: usize,
    /// Bytes of the histories kept here.
    pub history_bytes: usize,
}

/// What was turned away before it was a session.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct DoorTally {
    /// Handshakes and logins without a token, or with one that is no good.
    pub unauthorized: u64,
    /// Handshakes from pages of foreign origins.
    pub forbidden: u64,
    /// Handshakes beyond a limit.
    pub limited: u64,
    /// Connections that did not log in in time.
    pub stale: u64,
    /// Connections whose token expired and was not renewed.
    pub expired: u64,
}

impl Snapshot {
    /// Names of the figures, in the order of [`values`](Self::values).
    pub const NAMES: &[&str] = &[
        "sessions",
        "users",
        "channels",
        "subscriptions",
        "history_bytes",
        "published",
        "delivered",
        "busy",
        "recovered",
        "not_recovered",
        "slow_disconnected",
        "slow_held",
        "slow_lost",
        "history_evicted",
        "unauthorized",
        "forbidden",
        "limited",
        "stale",
        "expired",
    ];

    /// The figures.
    pub fn values(&self) -> Vec<u64> {
        let (tally, door) = (&self.tally, &self.door);
        vec![
            self.sessions as u64,
            self.users as u64,
            self.channels as u64,
            self.subscriptions as u64,
            self.history_bytes as u64,
            tally.published,
            tally.delivered,
            tally.busy,
            tally.recovered,
            tally.not_recovered,
            tally.slow_disconnected,
            tally.slow_held,
            tally.slow_lost,
            tally.history_evicted,
            door.unauthorized,
            door.forbidden,
            door.limited,
            door.stale,
            door.expired,
        ]
    }
}

impl Add<&Self> for Snapshot {
    type Output = Self;

    fn add(self, other: &Self) -> Self {
        Self {
            tally: self.tally + &other.tally,
            door: DoorTally {
                unauthorized: self.door.unauthorized + other.door.unauthorized,
                forbidden: self.door.forbidden + other.door.forbidden,
                limited: self.door.limited + other.door.limited,
                stale: self.door.stale + other.door.stale,
                expired: self.door.expired + other.door.expired,
            },
            sessions: self.sessions + other.sessions,
            users: self.users + other.users,
            channels: self.channels + other.channels,
            subscriptions: self.subscriptions + other.subscriptions,
            history_bytes: self.history_bytes + other.history_bytes,
        }
    }
}

impl Common {
    /// The common ground of a service.
    pub fn new(config: ServiceConfig) -> Arc<Self> {
        let hub = HubConfig {
            worker: 0,
            workers: config.seats as u16,
            homes: config.homes as u16,
            secret: config.secret,
            seed: config.seed,
            namespaces: config.namespaces,
            limits: config.limits,
        };
        Arc::new(Self {
            settings: RwLock::new(Arc::new(config.settings)),
            version: AtomicU64::new(0),
            gate: config.gate,
            outside: config.outside,
            hub,
            joined: AtomicUsize::new(0),
            boards: (0..config.seats).map(|_| Board::default()).collect(),
            podiums: (0..config.homes).map(|_| Podium::default()).collect(),
            memories: Mutex::new(config.memories.into_iter().map(Some).collect()),
        })
    }

    /// Other settings from now on. Whoever is in stays.
    pub fn set(&self, settings: Settings) {
        let mut current = self
            .settings
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        *current = Arc::new(settings);
        self.version.fetch_add(1, Ordering::Release);
    }

    /// The settings as they are.
    pub fn settings(&self) -> Arc<Settings> {
        let current = self.settings.read().unwrap_or_else(PoisonError::into_inner);
        current.clone()
    }

    /// The limits of handshakes.
    pub fn gate(&self) -> &Gate {
        &self.gate
    }

    /// How each worker that has joined was doing a moment ago.
    pub fn snapshots(&self) -> Vec<Snapshot> {
        let boards = self.boards.iter().take(self.workers());
        let read = |board: &Board| {
            *board
                .snapshot
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
        };
        boards.map(read).collect()
    }

    pub(super) fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// A worker has joined; how its hub is made.
    pub(super) fn join(&self, worker: usize) -> HubConfig {
        self.joined.fetch_max(worker + 1, Ordering::AcqRel);
        HubConfig {
            worker: worker as u16,
            ..self.hub.clone()
        }
    }

    /// What that worker knows of an earlier life; it is told once.
    pub(super) fn take_memory(&self, worker: usize) -> Option<Memory> {
        let memories = self.memories.lock();
        let mut memories = memories.unwrap_or_else(PoisonError::into_inner);
        memories.get_mut(worker)?.take()
    }

    pub(super) fn seed(&self) -> u32 {
        self.hub.seed
    }

    pub(super) fn workers(&self) -> usize {
        self.joined.load(Ordering::Acquire)
    }

    pub(super) fn home(&self, name: &str) -> usize {
        NameHash::new(self.hub.secret).home(name, self.hub.homes.into())
    }

    /// Where that worker tells crowds from: those who join later share the cores of the first.
    pub(super) fn podium(&self, worker: usize) -> &Podium {
        &self.podiums[worker % self.podiums.len()]
    }

    pub(super) fn events_waiting(&self, worker: usize) -> usize {
        let board = self.boards.get(worker);
        board.map_or(0, |board| board.events_waiting.load(Ordering::Relaxed))
    }

    pub(super) fn set_events_waiting(&self, worker: usize, events: usize) {
        let waiting = &self.boards[worker].events_waiting;
        // Others read this line; it is written only if there is news.
        if waiting.load(Ordering::Relaxed) != events {
            waiting.store(events, Ordering::Relaxed);
        }
    }

    pub(super) fn publish(&self, worker: usize, snapshot: &Snapshot) {
        let board = &self.boards[worker].snapshot;
        *board.lock().unwrap_or_else(PoisonError::into_inner) = *snapshot;
    }

    /// A handshake from that address, if there is room for it.
    pub(super) fn admit(&self, ip: Option<IpAddr>) -> Result<Ticket, Over> {
        self.gate.admit(ip, (self.outside.monotonic_us)())
    }
}

impl fmt::Debug for Common {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Common")
            .field("joined", &self.joined)
            .finish_non_exhaustive()
    }
}
