//! The main thread of a run: starts the crew, asks for reports, keeps time, and ends it in order.
//!
//! ```text
//!  ramp ──all stand, or gave up──> traffic ──duration over, or ctrl-C──> settle ──answered, or too late──> part
//!    |<------------- a report every 250 ms ------------->|<- every second ->|
//! ```

use std::io;
use std::sync::Arc;
use std::time::Duration;

use hdrhistogram::Histogram;
use throng::sys::fdtable::Parted;
use throng::sys::{clock, signals};

use super::books::Books;
use super::brief::Brief;
use super::dispatch::{Dispatch, handshake_histogram};
use super::fanout::Skew;
use super::gauge::Gauge;
use super::orders::{Command, PhaseOrder};
use super::rooms::RoomCounts;
use super::view::View;
use super::worker::Crew;
use crate::collect::{Collector, Stretch, Totals};
use crate::failures::FailureCounts;
use crate::histograms::{Interval, quantiles_ms};
use crate::sample::Sampler;
use crate::scenario::{Kind, Scenario};
use crate::series::{Point, Traffic};
use crate::summary::{Connections, Rooms, Storm};

/// A run in progress.
pub struct Conductor {
    crew: Crew,
    brief: Arc<Brief>,
    scenario: Arc<Scenario>,
    sampler: Sampler,
    gauge: Option<Gauge>,
    view: View,
    collector: Collector,
    /// The last report of each thread.
    latest: Vec<Option<Dispatch>>,
    handshakes: Histogram<u64>,
    skew: Skew,
    last_at_s: f64,
    last_dials: (u64, u64),
    peak: (u64, u64),
    phase: Option<usize>,
    /// What phases that ended early have left over.
    saved: Duration,
    is_running: bool,
    /// Between two reports.
    pulse: Duration,
    /// Connections that should be there; a search changes it.
    wanted: u64,
    interrupts: u32,
    /// Number of the last question for reports.
    asked: u64,
}

/// All threads together, at one moment.
#[derive(Debug, Default)]
struct Sum {
    traffic: Traffic,
    awaited: u64,
    in_flight: u64,
    dials: (u64, u64),
    is_empty: bool,
}

impl Conductor {
    /// Takes over a crew that has just been started.
    pub fn new(
        crew: Crew,
        brief: Arc<Brief>,
        sampler: Sampler,
        gauge: Option<Gauge>,
        view: View,
        collector: Collector,
    ) -> Self {
        let wanted = brief.scenario.connections_of(brief.scenario.phases.first());
        let latest = (0..crew.threads()).map(|_| None).collect();
        Self {
            scenario: Arc::clone(&brief.scenario),
            crew,
            brief,
            sampler,
            gauge,
            view,
            collector,
            latest,
            handshakes: handshake_histogram(),
            skew: Skew::new(),
            last_at_s: 0.0,
            last_dials: (0, 0),
            peak: (0, 0),
            phase: None,
            saved: Duration::ZERO,
            is_running: false,
            pulse: RAMP_TICK,
            wanted,
            interrupts: 0,
            asked: 0,
        }
    }

    /// The whole run, from the ramp to the books.
    pub fn perform(mut self) -> io::Result<crate::summary::Summary> {
        while self.interrupts == 0 && self.elapsed() + self.saved < self.scenario.duration {
            self.enter_phase();
            let sum = self.tick()?;
            if sum.awaited == 0 {
                self.end_opening_phase();
            }
            if !self.is_running && sum.awaited == 0 {
                self.begin_traffic();
            }
            if self.is_running {
                self.pulse = if sum.awaited > 0 { RAMP_TICK } else { TICK };
            }
        }
        self.finish()
    }

    /// Connections first: returns when all stand or were given up, or the time is over.
    pub fn ramp(&mut self, within: Duration) -> io::Result<()> {
        let until = self.elapsed() + within;
        while self.interrupts == 0 && self.elapsed() < until {
            if self.tick()?.awaited == 0 {
                break;
            }
        }
        if !self.is_running {
            self.begin_traffic();
        }
        Ok(())
    }

    /// Holds as it is for this long; what happened meanwhile.
    pub fn hold(&mut self, length: Duration) -> io::Result<Held> {
        let before = self.books();
        self.collector.mark();
        let began = self.elapsed();
        while self.interrupts == 0 && self.elapsed() < began + length {
            self.tick()?;
        }
        Ok(Held {
            books: self.books().since(&before),
            traffic: self.latest_sum().traffic,
            wanted: self.wanted,
            length_s: (self.elapsed() - began).as_secs_f64(),
            latency: self.collector.since_mark(),
            is_interrupted: self.interrupts > 0,
        })
    }

    /// Changes what the run does.
    pub fn tell(&mut self, command: &Command) {
        if let Command::Hold(share) = command {
            self.wanted = (self.scenario.connections() as f64 * share).round() as u64;
        }
        self.crew.tell_all(command);
    }

    /// What the view shows beside the numbers.
    pub fn note(&mut self, text: &str) {
        self.view.note(text);
    }

    /// Answers are awaited, the books closed, the connections closed, in this order.
    pub fn finish(mut self) -> io::Result<crate::summary::Summary> {
        self.crew.tell_all(&Command::Settle);
        self.collector.settle();
        self.pulse = SETTLE_TICK;
        let patience = Duration::from_nanos(self.brief.answer_timeout_ns) + TICK;
        let until = self.elapsed() + patience;
        // At least one report after the order: its in-flight count is then final but for answers.
        loop {
            let sum = self.tick()?;
            if sum.in_flight == 0 || self.elapsed() >= until || self.interrupts > 1 {
                break;
            }
        }
        let totals = self.totals();
        if self.interrupts < 2 {
            self.part();
        }
        self.view.end();
        self.crew.stop();
        self.collector.finish(&totals)
    }

    fn part(&mut self) {
        self.crew.tell_all(&Command::Part);
        let connections = self.latest_sum().traffic.connected;
        let until = self.elapsed() + FAREWELL_MIN + FAREWELL_EACH * connections as u32;
        while self.elapsed() < until && self.interrupts < 2 {
            self.ask();
            if self.latest_sum().is_empty {
                return;
            }
            self.rest(PARTING_TICK);
        }
    }

    fn begin_traffic(&mut self) {
        (self.is_running, self.pulse) = (true, TICK);
        self.crew.tell_all(&Command::Start);
    }

    /// Everybody is there: a phase that was for that is over.
    fn end_opening_phase(&mut self) {
        let now = self.elapsed() + self.saved;
        if let Some((at, began)) = self.scenario.phase_at(now)
            && self.phase == Some(at)
            && let phase = &self.scenario.phases[at]
            && phase.ends_when_open
            && let Some(length) = phase.duration
        {
            self.saved += (began + length).saturating_sub(now);
        }
    }

    fn enter_phase(&mut self) {
        let now = self.scenario.phase_at(self.elapsed() + self.saved);
        let now = now.map(|(at, _)| at);
        if now == self.phase {
            return;
        }
        self.phase = now;
        let Some(phase) = now.map(|at| &self.scenario.phases[at]) else {
            return;
        };
        let cohorts = &self.scenario.cohorts;
        let are_in = |names: &[String]| {
            cohorts
                .iter()
                .map(|cohort| names.contains(&cohort.name))
                .collect()
        };
        let order = PhaseOrder {
            rate: phase.rate,
            silent: are_in(&phase.silent),
            absent: are_in(&phase.absent),
            cut: phase.cut,
        };
        self.wanted = self.wanted.max(self.scenario.connections_of(Some(phase)));
        let name = phase.name.clone();
        self.view.note(&format!("phase: {name}"));
        let at_s = self.elapsed().as_secs_f64();
        self.collector.enter_phase(&name, at_s);
        self.crew.tell_all(&Command::Phase(Arc::new(order)));
    }

    /// One report: rests, asks, samples, writes down.
    fn tick(&mut self) -> io::Result<Sum> {
        self.rest(self.pulse);
        let interval = self.ask();
        if self.crew.has_fallen() {
            return Err(io::Error::other(
                "a thread of the engine panicked; its message is above",
            ));
        }
        let at_s = self.elapsed().as_secs_f64();
        let length_s = at_s - self.last_at_s;
        let mut sum = self.latest_sum();
        let (dial_ns, dials) = (
            sum.dials.0 - self.last_dials.0,
            sum.dials.1 - self.last_dials.1,
        );
        if dials > 0 {
            sum.traffic.connect_us = dial_ns as f64 / dials as f64 / 1e3;
        }
        self.last_dials = sum.dials;
        sum.traffic.server_gauge = self.gauge.as_ref().map_or(0, Gauge::latest);
        self.peak.0 = self.peak.0.max(sum.traffic.connected);
        self.peak.1 = self.peak.1.max(sum.traffic.upgraded);
        let point = Point {
            at_s,
            traffic: sum.traffic,
            system: self.sampler.sample(),
        };
        let point = self.collector.second(point, length_s, &interval)?;
        self.view.show(&point, length_s, self.is_running);
        self.last_at_s = at_s;
        Ok(sum)
    }

    /// Asks every thread for its report; returns what they recorded, together. A thread that is too busy to
    /// answer keeps its last report, and its recordings come with the next. Reports are numbered: one that
    /// comes late must not be taken for the answer to this question, or every later one would be late, too.
    fn ask(&mut self) -> Interval {
        let mut merged = Interval::new(self.scenario.cohorts.len());
        self.asked += 1;
        self.crew.tell_all(&Command::Report(self.asked));
        let mut answered = 0;
        while answered < self.crew.threads() {
            let Some(report) = self.crew.report(ANSWER_WITHIN) else {
                break;
            };
            answered += usize::from(report.number == self.asked);
            let (thread, mut dispatch) = (report.thread, report.dispatch);
            self.skew.add(std::mem::take(&mut dispatch.parts));
            if let Some(handshakes) = dispatch.handshakes.take() {
                let added = self.handshakes.add(&handshakes);
                added.expect("every histogram here has the same bounds");
            }
            std::mem::take(&mut dispatch.recorded).add_to(&mut merged);
            self.latest[thread] = Some(dispatch);
        }
        merged
    }

    fn latest_sum(&self) -> Sum {
        let mut sum = Sum {
            is_empty: true,
            ..Sum::default()
        };
        sum.traffic.requested = self.wanted;
        for dispatch in self.latest.iter().flatten() {
            let traffic = &mut sum.traffic;
            traffic.connected += dispatch.counts.connected;
            traffic.upgraded += dispatch.counts.upgraded;
            traffic.proven_alive += dispatch.proven_alive;
            traffic.connecting += dispatch.counts.handshaking;
            traffic.failed += dispatch.failed.total();
            for books in &dispatch.books {
                traffic.sent += books.sent;
                traffic.received += books.received;
                traffic.lost += books.lost.total();
                traffic.errors += books.errors.total();
                sum.in_flight += books.in_flight();
            }
            sum.awaited += dispatch.awaited;
            sum.dials.0 += dispatch.counts.dial_ns;
            sum.dials.1 += dispatch.counts.dials;
            sum.is_empty &= dispatch.is_empty;
        }
        if self.latest.iter().any(Option::is_none) {
            // Somebody has not been heard yet: nothing is finished.
            (sum.awaited, sum.is_empty) = (sum.awaited.max(1), false);
        }
        sum
    }

    fn books(&self) -> Books {
        let mut all = Books::default();
        for books in self.latest.iter().flatten().flat_map(|d| &d.books) {
            all.add(books);
        }
        all
    }

    fn totals(&mut self) -> Totals {
        let sum = self.latest_sum();
        let cohorts = self.scenario.cohorts.len();
        let mut books = vec![Books::default(); cohorts];
        let mut open = vec![0; cohorts];
        let mut failed = FailureCounts::default();
        let (mut retries, mut taken, mut not_vanished, mut tls12) = (0, 0, 0, 0);
        for dispatch in self.latest.iter().flatten() {
            for (all, one) in books.iter_mut().zip(&dispatch.books) {
                all.add(one);
            }
            for (all, one) in open.iter_mut().zip(&dispatch.open) {
                *all += one;
            }
            failed.add(&dispatch.failed);
            retries += dispatch.counts.retries;
            taken += dispatch.tuples.taken;
            not_vanished += dispatch.counts.not_vanished;
            tls12 += dispatch.counts.tls12;
        }
        let listeners = self.brief.places.len() as u64;
        let connections = Connections {
            requested: sum.traffic.requested,
            connected: self.peak.0,
            upgraded: self.peak.1,
            proven_alive: sum.traffic.proven_alive,
            proven_alive_window_s: f64::from(self.brief.alive_window_s),
            failed: failed.by_class(),
            retries,
            opened: self.handshakes.len(),
            handshake_ms: quantiles_ms(&self.handshakes),
            listeners,
            per_listener: self.peak.0.div_ceil(listeners.max(1)),
        };
        let mut warnings = self.warnings(taken, not_vanished);
        let unsent: u64 = books.iter().map(|books| books.unsent).sum();
        if unsent > 0 {
            warnings.push(format!(
                "{unsent} messages that the schedule intended were never sent: no connection to send over, or too many unanswered"
            ));
        }
        Totals {
            connections,
            messages: books.iter().map(Books::messages).collect(),
            cohort_connections: open,
            tls12,
            storm: self.storm(),
            rooms: self.rooms(),
            fanout: std::mem::take(&mut self.skew).finish(),
            warnings,
        }
    }

    fn warnings(&self, taken: u64, not_vanished: u64) -> Vec<String> {
        let mut warnings = Vec::new();
        if taken > 0 {
            warnings.push(format!(
                "{taken} source ports were held by somebody else and skipped"
            ));
        }
        if not_vanished > 0 {
            warnings.push(format!(
                "{not_vanished} connections could not vanish (that needs CAP_NET_ADMIN); they keep still instead"
            ));
        }
        let shared = self.crew.parted().iter();
        let shared = shared.filter(|parted| matches!(parted, Parted::Shared(_)));
        if shared.count() > 0 && self.crew.threads() > 1 {
            warnings.push(
                "descriptor tables could not be made private: RLIMIT_NOFILE counts for all threads together"
                    .into(),
            );
        }
        if self.interrupts > 0 {
            warnings.push("the run was interrupted".into());
        }
        if !self.is_running {
            warnings.push(
                "the time was over before every connection stood: no traffic was sent".into(),
            );
        }
        warnings
    }

    fn rooms(&self) -> Option<Rooms> {
        let dispatches = self.latest.iter().flatten();
        let counts = dispatches.filter_map(|dispatch| dispatch.rooms);
        let counts = counts.reduce(RoomCounts::plus)?;
        let mut kinds = self.scenario.cohorts.iter().map(|cohort| cohort.kind);
        let floor = kinds.find_map(|kind| match kind {
            Kind::Rooms { floor, .. } => Some(floor),
            _ => None,
        })?;
        Some(Rooms {
            dialect: floor.dialect.to_string(),
            size: floor.size,
            rooms: counts.rooms,
            joined: counts.joined,
            publications: counts.published,
            recovered: counts.recovered,
            not_recovered: counts.not_recovered,
            replayed: counts.replayed,
        })
    }

    fn storm(&self) -> Option<Storm> {
        let mut recoveries = self.latest.iter().flatten();
        let mut all = recoveries.find_map(|dispatch| dispatch.recovery.clone())?;
        for recovery in recoveries.filter_map(|dispatch| dispatch.recovery.as_ref()) {
            all.cut += recovery.cut;
            all.attempts += recovery.attempts;
            let added = all.back_after_ms.add(&recovery.back_after_ms);
            added.expect("every histogram here has the same bounds");
        }
        Some(Storm::new(all.cut, all.attempts, &all.back_after_ms))
    }

    fn elapsed(&self) -> Duration {
        Duration::from_nanos(clock::monotonic_ns().saturating_sub(self.brief.origin_ns))
    }

    /// Sleeps, and hears signals: the first ends the run in order, the second at once.
    fn rest(&mut self, length: Duration) {
        let until = self.elapsed() + length;
        while let Some(left) = until.checked_sub(self.elapsed()) {
            let signal = signals::wait(left);
            // Without one, the wait is over, or ended early (stopped and continued): the clock decides.
            if let Some(signals::Signal::Interrupt | signals::Signal::Terminate) = signal {
                self.interrupts += 1;
                self.view
                    .note("ending; once more to end without waiting for answers");
                return;
            }
        }
    }
}

/// What happened while nothing was changed.
#[derive(Debug)]
pub struct Held {
    /// The books of that time.
    pub books: Books,
    /// The series at its end.
    pub traffic: Traffic,
    /// Connections that should have been there.
    pub wanted: u64,
    /// How long it was.
    pub length_s: f64,
    /// The latencies.
    pub latency: Stretch,
    /// A signal cut it short.
    pub is_interrupted: bool,
}

/// Reports while the connections are opened: the ledger and the ramp's curve want points.
const RAMP_TICK: Duration = Duration::from_millis(250);
/// Reports afterwards.
const TICK: Duration = Duration::from_secs(1);
/// Reports while the last answers come in.
const SETTLE_TICK: Duration = Duration::from_millis(200);
const PARTING_TICK: Duration = Duration::from_millis(100);
/// Farewells: their own patience is 2 s; a million of them take a while to send.
const FAREWELL_MIN: Duration = Duration::from_secs(4);
const FAREWELL_EACH: Duration = Duration::from_micros(50);
/// A thread that does not answer within this is stuck in a turn; the run goes on without its numbers.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
