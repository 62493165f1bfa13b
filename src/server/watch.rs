//! The main thread's rounds while the workers work: signals, memory, ledgers, growth, the supervisor.

use std::io::{self, Write as _};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use super::memory::{Gate, Meter};
use super::notify::{Notifier, Supervisor};
use super::pulse::{Pulse, Stalls};
use super::reload::Changes;
use super::stats::Stats;
use super::tls::TlsCare;
use crate::config::{Config, Count};
use crate::reactor::{Crew, House};
use crate::sys::clock;
use crate::sys::signals::{self, Signal};

/// How often the main thread looks after things.
const ROUND: Duration = Duration::from_millis(200);
/// Ledgers are made for readers of `/stats` at most this often.
const LEDGER_EVERY_MS: u64 = 1_000;
/// Between two log lines about memory that is short.
const QUIET_MS: u64 = 10_000;

/// How often the supervisor is told how many connections there are.
const STATUS_EVERY_MS: u64 = 5_000;
/// The same while draining, with a request for more time.
const DRAIN_STATUS_EVERY_MS: u64 = 1_000;
/// How much more: enough for ten of these requests to be lost.
const EXTEND_BY: Duration = Duration::from_secs(10);

/// Reads the configuration again; the error is everything that is wrong with it, as it is printed.
pub type Reread<'a> = &'a dyn Fn() -> Result<Config, String>;
/// Takes over what the application can of a new configuration; the error is everything that is wrong
/// with it, and then it has taken over nothing.
pub(super) type Adopt = Box<dyn Fn(&Config) -> Result<(), String>>;

/// Everything the main thread looks after.
pub(super) struct Watch<'a, L> {
    crew: Crew<L>,
    /// What was in force at the start, and still is wherever a restart would be needed.
    started: Config,
    config: Config,
    reread: Reread<'a>,
    adopt: Adopt,
    notifier: Notifier,
    pulse: Option<Pulse>,
    stalls: Stalls,
    status_ms: u64,
    stats: Arc<Stats>,
    house: Arc<House>,
    meter: Meter,
    gate: Gate,
    ledgers: Ledgers,
    short_said_ms: Option<u64>,
    /// The most connections there may ever be: what workers were laid out for.
    connections_max: usize,
    is_draining: bool,
    tls: Option<TlsCare>,
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

impl<'a, L: Send + 'static> Watch<'a, L> {
    pub(super) fn new(
        crew: Crew<L>,
        (stats, house): (Arc<Stats>, Arc<House>),
        config: &Config,
        (reread, adopt): (Reread<'a>, Adopt),
        supervisor: Supervisor,
    ) -> Self {
        stats.set_workers(crew.workers());
        let now_ms = clock::monotonic_ms();
        Self {
            crew,
            started: config.clone(),
            config: config.clone(),
            reread,
            adopt,
            notifier: supervisor.notifier,
            pulse: supervisor
                .watchdog
                .map(|limit| Pulse::new(limit.as_millis() as u64, now_ms)),
            stalls: Stalls::default(),
            status_ms: now_ms,
            connections_max: house.guests_max(),
            stats,
            house,
            meter: Meter::new(),
            gate: Gate::new(config.max_memory_bytes),
            ledgers: Ledgers::default(),
            short_said_ms: None,
            is_draining: false,
            tls: None,
        }
    }

    /// Certificates to look after, too.
    pub(super) fn with_tls(mut self, tls: Option<TlsCare>) -> Self {
        self.tls = tls;
        self
    }

    /// Looks after the workers until they have ended.
    pub(super) fn until_the_end(mut self) -> ExitCode {
        self.look_after_memory();
        self.notifier.ready(&self.status());
        while !self.crew.is_finished() {
            if let Some(signal) = signals::wait(ROUND) {
                self.obey(signal);
            }
            self.look_after_memory();
            self.look_after_ledgers();
            self.look_after_workers();
            self.tell_supervisor();
            if !self.is_draining {
                self.grow();
                self.look_after_certificates();
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
                self.stats.set_draining();
                self.notifier.stopping(&self.status());
                self.ask_for_ledger(true);
                let window = Duration::from_millis(self.config.drain_ms.into());
                self.crew.drain(window);
            }
            Signal::Report => self.ask_for_ledger(true),
            Signal::Hangup if self.is_draining => {}
            Signal::Hangup => self.reload(),
        }
    }

    /// Reads the configuration again and does what can be done about it while we serve.
    fn reload(&mut self) {
        self.notifier.reloading();
        let reread = (self.reread)().and_then(|new| {
            let keys = self.tls.as_ref().map(|tls| tls.reread(&new));
            let keys = keys
                .transpose()
                .map_err(|error| format!("throng: {error:#}\n"))?;
            (self.adopt)(&new)?;
            Ok((new, keys))
        });
        self.stats.count_reload(reread.is_ok());
        let said = match reread {
            Ok((new, keys)) => {
                let changes = Changes::new(&self.started, &self.config, &new);
                let has_new_keys = match (&mut self.tls, keys) {
                    (Some(tls), Some(keys)) => tls.accept((&new, keys), &mut self.crew),
                    _ => false,
                };
                self.apply(new);
                match has_new_keys {
                    true => format!("{}; new certificates", changes.line()),
                    false => changes.line(),
                }
            }
            Err(problems) => {
                let _ = io::stderr().write_all(problems.as_bytes());
                "not reloaded, the configuration stays as it was".to_owned()
            }
        };
        say(&said);
        self.notifier.ready(&format!("{}; {said}", self.status()));
    }

    fn apply(&mut self, new: Config) {
        self.crew.set_limits(new.limits.clone());
        self.gate.set_max_bytes(new.max_memory_bytes);
        self.house.set_guests_max(match new.max_connections {
            Count::Auto => self.connections_max,
            Count::Exactly(n) => self.connections_max.min(n as usize),
        });
        self.config = new;
    }

    /// One line for whoever looks at the unit.
    fn status(&self) -> String {
        let connections = self.stats.connections();
        match self.is_draining {
            true => format!("draining, {connections} connections left"),
            false => format!("{connections} connections, {} workers", self.crew.workers()),
        }
    }

    /// A number per worker that changes while it is well. Whoever has finished draining beats no more,
    /// and is well.
    fn beats(&self, now_ms: u64) -> Vec<u64> {
        let beats = self.stats.board().heartbeats().zip(self.crew.ended());
        let beat = |(beat, has_ended)| match has_ended && self.is_draining {
            true => now_ms,
            false => beat,
        };
        beats.map(beat).collect()
    }

    fn look_after_workers(&mut self) {
        let beats = self.beats(clock::monotonic_ms());
        self.stats.set_stalled_rounds(self.stalls.look(&beats));
    }

    /// Feeds the watchdog if all are well, and says how things are.
    fn tell_supervisor(&mut self) {
        let now_ms = clock::monotonic_ms();
        let beats = self.beats(now_ms);
        if let Some(pulse) = &mut self.pulse
            && pulse.is_due(now_ms, beats.iter().copied())
        {
            self.notifier.watchdog();
        }
        let since_ms = now_ms.saturating_sub(self.status_ms);
        if self.is_draining && since_ms >= DRAIN_STATUS_EVERY_MS {
            self.status_ms = now_ms;
            self.notifier.extend(EXTEND_BY, &self.status());
        } else if since_ms >= STATUS_EVERY_MS {
            self.status_ms = now_ms;
            self.notifier.status(&self.status());
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

    fn look_after_certificates(&mut self) {
        if let Some(tls) = &mut self.tls {
            tls.look(&mut self.crew);
        }
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

#[cfg(test)]
mod tests;
