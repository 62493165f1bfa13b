//! What the server knows about itself: one place to read it, for the log and for `/stats`.
//!
//! ```text
//!  workers --> Board (counters, ledgers) --\
//!  House (guests) --------------------------> Stats --> JSON, log line
//!  main thread, five times a second: memory /
//! ```
//!
//! Nothing here asks a worker for anything. A ledger is different: it takes a walk through the
//! connections, so it is wanted first and there a moment later; its age is always said.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::memory::Reading;
use super::tls::CertificateEnd;
use crate::journal::Journal;
use crate::metrics::{Board, Counters, Ledger};
use crate::reactor::House;
use crate::service::{Common, Snapshot};
use crate::sys::clock;
use crate::tuning::goal::SERVER_KERNEL_BYTES;

/// The server's figures.
#[derive(Debug)]
pub struct Stats {
    board: Arc<Board>,
    house: Arc<House>,
    started_ms: u64,
    /// How many workers have joined.
    workers: AtomicUsize,
    memory: Mutex<Reading>,
    is_short: AtomicBool,
    /// Somebody would like a new ledger.
    wants_ledger: AtomicBool,
    /// When the last one was complete; 0: there has been none.
    ledger_ms: AtomicU64,
    reloads: AtomicU64,
    failed_reloads: AtomicU64,
    certificates: Mutex<Vec<CertificateEnd>>,
    is_serving: AtomicBool,
    is_draining: AtomicBool,
    /// Where the channels' figures are, if there are channels.
    service: OnceLock<Arc<Common>>,
    journal: OnceLock<Arc<Journal>>,
    /// Rounds for which the laziest worker has shown no sign of life.
    stalled_rounds: AtomicU32,
}

impl Stats {
    /// Figures of the workers that write on `board` and live in `house`.
    pub fn new(board: Arc<Board>, house: Arc<House>) -> Self {
        Self {
            board,
            house,
            started_ms: clock::monotonic_ms(),
            workers: AtomicUsize::new(0),
            memory: Mutex::default(),
            is_short: AtomicBool::new(false),
            wants_ledger: AtomicBool::new(false),
            ledger_ms: AtomicU64::new(0),
            reloads: AtomicU64::new(0),
            failed_reloads: AtomicU64::new(0),
            certificates: Mutex::default(),
            is_serving: AtomicBool::new(false),
            is_draining: AtomicBool::new(false),
            service: OnceLock::new(),
            journal: OnceLock::new(),
            stalled_rounds: AtomicU32::new(0),
        }
    }

    /// The workers' board.
    pub fn board(&self) -> &Board {
        &self.board
    }

    /// Connections, in whatever state.
    pub fn sockets(&self) -> usize {
        self.house.guests()
    }

    /// WebSockets that are open.
    pub fn connections(&self) -> u64 {
        open(&self.board.counters())
    }

    /// The last look at the memory.
    pub fn memory(&self) -> Reading {
        self.memory
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(super) fn set_memory(&self, reading: Reading, is_short: bool) {
        *self.memory.lock().unwrap_or_else(PoisonError::into_inner) = reading;
        self.is_short.store(is_short, Ordering::Relaxed);
    }

    /// The certificates in use, and when they end; none without TLS.
    pub(super) fn certificates(&self) -> Vec<CertificateEnd> {
        let certificates = self.certificates.lock();
        certificates.unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set_certificates(&self, ends: Vec<CertificateEnd>) {
        *self
            .certificates
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = ends;
    }

    /// Whether memory is too short for newcomers.
    pub(super) fn is_short(&self) -> bool {
        self.is_short.load(Ordering::Relaxed)
    }

    /// Who has room.
    pub(super) fn house(&self) -> &House {
        &self.house
    }

    /// All workers listen.
    pub(super) fn set_serving(&self) {
        self.is_serving.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_serving(&self) -> bool {
        self.is_serving.load(Ordering::Relaxed)
    }

    /// Everybody is being asked to leave.
    pub(super) fn set_draining(&self) {
        self.is_draining.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_draining(&self) -> bool {
        self.is_draining.load(Ordering::Relaxed)
    }

    pub(super) fn set_stalled_rounds(&self, rounds: u32) {
        self.stalled_rounds.store(rounds, Ordering::Relaxed);
    }

    pub(super) fn stalled_rounds(&self) -> u32 {
        self.stalled_rounds.load(Ordering::Relaxed)
    }

    /// Histories are written down there.
    pub(super) fn set_journal(&self, journal: Arc<Journal>) {
        let _ = self.journal.set(journal);
    }

    /// Whether histories cannot be written: publications are not acknowledged then.
    pub(super) fn is_history_stuck(&self) -> bool {
        let journal = self.journal.get();
        journal.is_some_and(|journal| journal.figures().is_failing > 0)
    }

    /// There are channels, and these are their figures.
    pub(super) fn set_service(&self, common: Arc<Common>) {
        let _ = self.service.set(common);
    }

    /// How all hubs together are doing.
    pub(super) fn channels(&self) -> Option<Snapshot> {
        let service = self.service.get()?;
        let each = service.snapshots();
        Some(each.iter().fold(Snapshot::default(), |sum, one| sum + one))
    }

    /// Since the start of the process.
    pub(super) fn uptime_ms(&self) -> u64 {
        clock::monotonic_ms().saturating_sub(self.started_ms)
    }

    /// Reloads of the configuration: done, and refused for a mistake in it.
    pub(super) fn reloads(&self) -> (u64, u64) {
        let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
        (count(&self.reloads), count(&self.failed_reloads))
    }

    /// The last ledgers of all workers.
    pub(super) fn ledger(&self) -> Ledger {
        self.board.ledger(self.workers()).0
    }

    /// Somebody would like a newer one.
    pub(super) fn want_ledger(&self) {
        self.wants_ledger.store(true, Ordering::Relaxed);
    }

    pub(super) fn set_workers(&self, workers: usize) {
        self.workers.store(workers, Ordering::Relaxed);
    }

    pub(super) fn count_reload(&self, is_done: bool) {
        let count = if is_done {
            &self.reloads
        } else {
            &self.failed_reloads
        };
        count.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether somebody has asked for a ledger since the last call.
    pub(super) fn take_wish(&self) -> bool {
        self.wants_ledger.swap(false, Ordering::Relaxed)
    }

    /// The round of stocktaking that all workers have finished; notes when that was first seen.
    pub(super) fn finished_round(&self) -> u64 {
        self.board.ledger(self.workers()).1
    }

    pub(super) fn note_ledger(&self) {
        self.ledger_ms
            .store(clock::monotonic_ms(), Ordering::Relaxed);
    }

    pub(super) fn workers(&self) -> usize {
        self.workers.load(Ordering::Relaxed)
    }

    /// How long ago the ledger was complete.
    pub(super) fn ledger_age_ms(&self) -> Option<u64> {
        match self.ledger_ms.load(Ordering::Relaxed) {
            0 => None,
            then_ms => Some(clock::monotonic_ms().saturating_sub(then_ms)),
        }
    }

    /// Everything, as one JSON object, and a wish for a fresh ledger next time.
    pub fn json(&self) -> String {
        self.want_ledger();
        let (counters, memory) = (self.board.counters(), self.memory());
        let mut json = Json::default();
        json.number("connections", Some(open(&counters)));
        json.number("opened", Some(counters.upgraded));
        json.number("sockets", Some(self.sockets() as u64));
        json.number("sockets_max", Some(self.house.guests_max() as u64));
        json.number("uptime_ms", Some(self.uptime_ms()));
        json.number("rss_bytes", memory.rss_bytes);
        let kernel_bytes = self.sockets() as u64 * SERVER_KERNEL_BYTES;
        json.number("kernel_bytes", Some(kernel_bytes));
        json.number("available_bytes", memory.available_bytes);
        json.number(
            "group_used_bytes",
            memory.group.map(|group| group.used_bytes),
        );
        json.number(
            "group_limit_bytes",
            memory.group.map(|group| group.limit_bytes),
        );
        json.value("short_of_memory", self.is_short());
        let (reloads, failed_reloads) = self.reloads();
        json.number("reloads", Some(reloads));
        json.number("failed_reloads", Some(failed_reloads));
        let ends = self.certificates();
        let first = ends.iter().map(|end| end.not_after_s).min();
        json.number("certificate_not_after_s", first);
        json.object("counters", Counters::NAMES, &counters.values());
        if let Some(channels) = self.channels() {
            json.object("hub", Snapshot::NAMES, &channels.values());
        }
        json.number("ledger_age_ms", self.ledger_age_ms());
        json.object("ledger_bytes", Ledger::NAMES, &self.ledger().values());
        let sockets: Vec<_> = self.board.sockets().take(self.workers()).collect();
        json.value("workers", format_args!("{sockets:?}"));
        json.end()
    }

    /// Where the bytes are, on one line for people.
    pub fn ledger_line(&self) -> String {
        let (ledger, _) = self.board.ledger(self.workers());
        let (memory, counters) = (self.memory(), self.board.counters());
        let sockets = self.sockets() as u64;
        let mut line = format!(
            "{} connections open, {sockets} sockets; RSS {}, kernel about {}",
            open(&counters),
            quantity(memory.rss_bytes.unwrap_or(0)),
            quantity(memory.kernel_bytes)
        );
        if let Some(group) = memory.group {
            let (used, limit) = (quantity(group.used_bytes), quantity(group.limit_bytes));
            let _ = write!(line, ", control group {used} of {limit}");
        }
        line.push_str("; ledger:");
        for (name, bytes) in Ledger::NAMES.iter().zip(ledger.values()) {
            let _ = write!(line, " {name} {}", quantity(bytes));
        }
        let of_connections = ledger.total() - ledger.workers - ledger.vacant;
        if let Some(each) = of_connections.checked_div(sockets) {
            let _ = write!(line, "; {each} bytes a connection");
        }
        line
    }
}

/// WebSockets that are open. The two figures may be from different turns.
fn open(counters: &Counters) -> u64 {
    counters.upgraded.saturating_sub(counters.ended)
}

/// Bytes in the largest unit that leaves three digits or so.
fn quantity(bytes: u64) -> String {
    match bytes {
        0..10_240 => format!("{bytes} B"),
        10_240..10_485_760 => format!("{} KiB", bytes >> 10),
        _ => format!("{} MiB", bytes >> 20),
    }
}

/// An object of numbers in the making: our names need no escapes.
#[derive(Default)]
struct Json(String);

impl Json {
    fn value(&mut self, name: &str, value: impl std::fmt::Display) {
        self.0.push(if self.0.is_empty() { '{' } else { ',' });
        let _ = write!(self.0, "\"{name}\":{value}");
    }

    /// What could not be found out is null.
    fn number(&mut self, name: &str, value: Option<u64>) {
        match value {
            Some(value) => self.value(name, value),
            None => self.value(name, "null"),
        }
    }

    fn object(&mut self, name: &str, names: &[&str], values: &[u64]) {
        let mut object = Self::default();
        for (name, value) in names.iter().zip(values) {
            object.value(name, value);
        }
        self.value(name, object.end().trim_end());
    }

    fn end(mut self) -> String {
        self.0.push_str("}\n");
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stats() -> Stats {
        let stats = Stats::new(Board::new(4), House::new(1000));
        stats.set_workers(2);
        let counters = Counters {
            upgraded: 10,
            ended: 3,
            ..Counters::default()
        };
        stats.board.publish(0, &counters, 6, 1);
        stats.board.publish(1, &counters, 9, 1);
        let ledger = Ledger {
            entries: 640,
            workers: 131_072,
            ..Ledger::default()
        };
        stats.board.publish_ledger(0, &ledger, 1);
        stats
    }

    #[test]
    fn the_json_has_every_figure() {
        let stats = stats();
        let json = stats.json();
        assert!(
            json.starts_with("{\"connections\":14,\"opened\":20,\"sockets\":0,"),
            "{json}"
        );
        assert!(json.ends_with("\"workers\":[6, 9]}\n"), "{json}");
        assert!(
            json.contains("\"rss_bytes\":null,\"kernel_bytes\":0,"),
            "{json}"
        );
        assert!(
            json.contains("\"ledger_age_ms\":null,\"ledger_bytes\":{\"entries\":640,"),
            "{json}"
        );
        for name in Counters::NAMES.iter().chain(Ledger::NAMES) {
            assert!(json.contains(&format!("\"{name}\":")), "{name}: {json}");
        }
        let opening = json.matches(['{', '[']).count();
        assert_eq!(opening, json.matches(['}', ']']).count());
        assert!(
            stats.take_wish() && !stats.take_wish(),
            "reading it asks for a ledger, once"
        );
        stats.note_ledger();
        assert!(!stats.json().contains("\"ledger_age_ms\":null"));
    }

    #[test]
    fn the_line_says_where_the_bytes_are() {
        let stats = stats();
        stats.set_memory(
            Reading {
                rss_bytes: Some(20 << 20),
                kernel_bytes: 50_000,
                ..Reading::default()
            },
            false,
        );
        assert_eq!(
            stats.ledger_line(),
            "14 connections open, 0 sockets; RSS 20 MiB, kernel about 48 KiB; ledger: entries 640 B \
             vacant 0 B handshakes 0 B partial 0 B queues 0 B deflate 0 B tls 0 B sessions 0 B workers 128 KiB"
        );
    }
}
