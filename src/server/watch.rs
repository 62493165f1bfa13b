//! The main thread's rounds while the workers work: signals, memory, ledgers, growth.

use std::io::{self, Write as _};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use super::memory::{Gate, Meter};
use super::stats::Stats;
use crate::config::Config;
use crate::reactor::{Crew, House};
use crate::sys::clock;
use crate::sys::signals::{self, Signal};

/// How often the main thread looks after things.
const ROUND: Duration = Duration::from_millis(200);
/// Ledgers are made for readers of `/stats` at most this often.
const LEDGER_EVERY_MS: u64 = 1_000;
/// Between two log lines about memory that is short.
const QUIET_MS: u64 = 10_000;

/// Everything the main thread looks after.
pub(super) struct Watch<L> {
    crew: Crew<L>,
    stats: Arc<Stats>,
    house: Arc<House>,
    meter: Meter,
    gate: Gate,
    ledgers: Ledgers,
    short_said_ms: Option<u64>,
    drain: Duration,
    is_draining: bool,
}

/// The rounds of stocktaking.
#[derive(Default)]
struct Ledgers {
    /// The last one that was asked for.
    asked: u64,
    asked_ms: u64,
    /// The last one that all workers have finished.
    finished: u64,
    /// A line in the log is due when that one is.
    log: bool,
}

impl<L: Send + 'static> Watch<L> {
    pub(super) fn new(
        crew: Crew<L>,
        stats: Arc<Stats>,
        house: Arc<House>,
        config: &Config,
    ) -> Self {
        stats.set_workers(crew.workers());
        Self {
            crew,
            stats,
            house,
            meter: Meter::new(),
            gate: Gate::new(config.max_memory_bytes),
            ledgers: Ledgers::default(),
            short_said_ms: None,
            drain: Duration::from_millis(config.drain_ms.into()),
            is_draining: false,
        }
    }

    /// Looks after the workers until they have ended.
    pub(super) fn until_the_end(mut self) -> ExitCode {
        self.look_after_memory();
        while !self.crew.is_finished() {
            if let Some(signal) = signals::wait(ROUND) {
                self.obey(signal);
            }
            self.look_after_memory();
            self.look_after_ledgers();
            if !self.is_draining {
                self.grow();
            }
        }
        if self.ledgers.log {
            say(&self.stats.ledger_line());
        }
        match self.crew.join() {
            (_, true) => ExitCode::SUCCESS,
            (_, false) => ExitCode::FAILURE,
        }
    }

    /// The first SIGTERM or SIGINT drains, the second ends at once.
    fn obey(&mut self, signal: Signal) {
        match signal {
            Signal::Terminate | Signal::Interrupt if self.is_draining => self.crew.stop(),
            Signal::Terminate | Signal::Interrupt => {
                self.is_draining = true;
                self.ask_for_ledger(true);
                self.crew.drain(self.drain);
            }
            Signal::Report => self.ask_for_ledger(true),
            Signal::Hangup => {}
        }
    }

    /// Lets more workers join if those there are will soon be full.
    fn grow(&mut self) {
        let said = match self.crew.grow() {
            Ok(0) => return,
            Ok(joined) => format!(
                "{joined} more workers for their descriptors, {} in all",
                self.crew.workers()
            ),
            Err(error) => format!("no more workers can join: {error} (TasksMax=, ulimit -u?)"),
        };
        self.stats.set_workers(self.crew.workers());
        say(&said);
    }

    /// Shuts the house while memory is short.
    fn look_after_memory(&mut self) {
        let reading = self.meter.read(self.stats.sockets() as u64);
        let shortage = self.gate.judge(&self.meter, &reading);
        self.stats.set_memory(reading, shortage.is_some());
        self.house.set_shut(shortage.is_some());
        let Some(shortage) = shortage else { return };
        let now_ms = clock::monotonic_ms();
        let is_quiet = |then_ms: u64| now_ms.saturating_sub(then_ms) < QUIET_MS;
        if !self.short_said_ms.is_some_and(is_quiet) {
            self.short_said_ms = Some(now_ms);
            say(&format!("new connections are refused: {shortage}"));
        }
    }

    /// One at a time: a second would start the workers over.
    fn look_after_ledgers(&mut self) {
        if self.ledgers.finished < self.ledgers.asked {
            self.ledgers.finished = self.stats.finished_round();
            if self.ledgers.finished < self.ledgers.asked {
                return;
            }
            self.stats.note_ledger();
            if std::mem::take(&mut self.ledgers.log) {
                say(&self.stats.ledger_line());
            }
        }
        let since_ms = clock::monotonic_ms().saturating_sub(self.ledgers.asked_ms);
        if since_ms >= LEDGER_EVERY_MS && self.stats.take_wish() {
            self.ask_for_ledger(false);
        }
    }

    fn ask_for_ledger(&mut self, log: bool) {
        self.ledgers.log |= log;
        if self.ledgers.finished == self.ledgers.asked {
            self.ledgers.asked += 1;
            self.ledgers.asked_ms = clock::monotonic_ms();
            self.crew.take_stock(self.ledgers.asked);
        }
    }
}

/// A line in the log. Whoever closed it does not want to know.
pub(super) fn say(line: &str) {
    let _ = writeln!(io::stderr(), "throng: {line}");
}
