//! An invented run: what a report looks like, and a known truth to test it against.
//!
//! A million connections ramp up, echo, suffer one frozen second and one second in which the generator is
//! late. It is reported as a real run is: every quarter of a second while the connections are opened, then
//! once a second, and a last time when the answers are in. The bundle is stamped SYNTHETIC on every page: it must never be taken for a measurement.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use crate::collect::{Collector, Setup, Totals};
use crate::environment::Environment;
use crate::histograms::{Interval, Recorder};
use crate::random::Random;
use crate::report::bundle::BundleWriter;
use crate::sample::SystemSample;
use crate::sample::root::ProcRoot;
use crate::series::{Point, Traffic};
use crate::summary::{Connections, Messages, Quantiles, Summary};
use crate::thresholds::Threshold;

/// What the invented run is like.
#[derive(Debug, Clone)]
pub struct Invention {
    /// Connections at the peak.
    pub connections: u64,
    /// Connects per second.
    pub ramp_per_s: u64,
    /// Length.
    pub seconds: u64,
    /// Messages per second once the ramp is over.
    pub rate_per_s: u64,
    /// Added to every service time.
    pub added_ms: f64,
    /// The second in which the server freezes, if any.
    pub frozen_at_s: Option<u64>,
    /// The second in which the generator is late, if any.
    pub late_at_s: Option<u64>,
    /// Seed.
    pub seed: u64,
    /// The command line that asked for it.
    pub command: Vec<String>,
    /// Conditions.
    pub thresholds: Vec<Threshold>,
}

impl Default for Invention {
    fn default() -> Self {
        Self {
            connections: 1_000_000,
            ramp_per_s: 42_000,
            seconds: 120,
            rate_per_s: 20_000,
            added_ms: 0.0,
            frozen_at_s: Some(74),
            late_at_s: Some(97),
            seed: 1,
            command: vec!["loadgen".into(), "demo".into()],
            thresholds: Vec::new(),
        }
    }
}

/// Writes an invented bundle.
pub fn write(dir: &Path, invention: &Invention) -> io::Result<Summary> {
    let environment = Environment::read(&ProcRoot::machine(), invention.command.clone(), None);
    let bundle = BundleWriter::create(dir, &["echo".to_owned()], &environment, STARTED_UNIX_S)?;
    run(invention, Some(bundle))
}

/// Invents a run, with or without a bundle.
pub fn run(invention: &Invention, bundle: Option<BundleWriter>) -> io::Result<Summary> {
    let setup = Setup {
        scenario: "echo".into(),
        target: "ws://127.0.0.1:9000/echo".into(),
        seed: invention.seed,
        started_unix_s: STARTED_UNIX_S,
        tags: vec![("echo".into(), false)],
        threads: 2,
        server_pid: Some(1),
        both_ends_here: true,
        intended_per_s: invention.rate_per_s as f64,
        thresholds: invention.thresholds.clone(),
        synthetic: true,
        tls: None,
    };
    let mut collector = Collector::new(setup, bundle);
    let mut world = World::new(invention);
    while world.quarters < invention.seconds * 4 {
        let quarters = world.quarters_ahead();
        let (point, interval) = world.report(quarters);
        collector.second(point, quarters as f64 / 4.0, &interval)?;
    }
    collector.settle();
    collector.second(world.settled(), SETTLED_S, &Interval::new(1))?;
    collector.finish(&world.totals())
}

/// The state of the invented world.
struct World<'a> {
    invention: &'a Invention,
    /// Time: quarters of a second since the start.
    quarters: u64,
    random: Random,
    recorder: Recorder,
    traffic: Traffic,
    cpu_ms: [f64; 5],
}

impl<'a> World<'a> {
    fn new(invention: &'a Invention) -> Self {
        Self {
            invention,
            quarters: 0,
            random: Random::new(invention.seed),
            recorder: Recorder::new(1),
            traffic: Traffic::default(),
            cpu_ms: [0.0; 5],
        }
    }

    /// How long the next report takes: a second, once everybody has arrived.
    fn quarters_ahead(&self) -> u64 {
        let is_growing = self.traffic.requested < self.invention.connections;
        if is_growing || !self.quarters.is_multiple_of(4) {
            1
        } else {
            4
        }
    }

    fn report(&mut self, quarters: u64) -> (Point, Interval) {
        self.quarters += quarters;
        let (at_s, length_s) = (self.quarters as f64 / 4.0, quarters as f64 / 4.0);
        let second = self.quarters.div_ceil(4);
        self.ramp(at_s, second);
        let messages = if self.traffic.upgraded == 0 {
            0
        } else {
            self.messages_of(second, length_s)
        };
        let samples = messages.min((SAMPLES_PER_S * length_s) as u64);
        for n in 0..samples {
            self.message(second, n as f64 / samples as f64);
        }
        self.traffic.sent += messages;
        self.traffic.received = self.traffic.sent.saturating_sub(UNDER_WAY);
        let point = Point {
            at_s,
            traffic: self.traffic,
            system: self.system(messages, length_s),
        };
        let mut interval = Interval::new(1);
        self.recorder.take().add_to(&mut interval);
        (point, interval)
    }

    /// The last report: nothing is sent, what was under way has come.
    fn settled(&mut self) -> Point {
        self.traffic.received = self.traffic.sent;
        Point {
            at_s: self.quarters as f64 / 4.0 + SETTLED_S,
            traffic: self.traffic,
            system: self.system(0, SETTLED_S),
        }
    }

    fn ramp(&mut self, at_s: f64, second: u64) {
        let invention = self.invention;
        let previous = self.traffic;
        let traffic = &mut self.traffic;
        let wanted = (invention.ramp_per_s as f64 * at_s) as u64;
        traffic.requested = wanted.min(invention.connections);
        let growing = previous.requested < invention.connections;
        // The handshake trails the connect, the first answer trails the handshake.
        let wobble = |random: &mut Random, share: f64| 1.0 - share * (0.6 + 0.4 * random.unit());
        let share = if growing { 1.0 } else { 0.0 };
        traffic.connected =
            (traffic.requested as f64 * wobble(&mut self.random, 0.012 * share)) as u64;
        traffic.upgraded =
            (traffic.connected as f64 * wobble(&mut self.random, 0.03 * share)) as u64;
        traffic.proven_alive = previous.upgraded.min(traffic.upgraded);
        if invention.frozen_at_s == Some(second) {
            traffic.proven_alive = traffic.proven_alive * 93 / 100;
        }
        traffic.connecting = traffic.requested - traffic.connected;
        traffic.connect_us = 11.0 + self.random.unit();
        traffic.failed += u64::from(growing && self.quarters.is_multiple_of(20)) * 3;
        traffic.server_gauge = traffic.upgraded;
    }

    fn messages_of(&mut self, second: u64, length_s: f64) -> u64 {
        let ramped = self.traffic.upgraded as f64 / self.invention.connections as f64;
        let wobble = 1.0 + 0.01 * self.random.normal();
        let frozen = if self.invention.frozen_at_s == Some(second) {
            0.99
        } else {
            1.0
        };
        (self.invention.rate_per_s as f64 * length_s * ramped * wobble * frozen) as u64
    }

    /// One message at this part of the second, by the nanosecond clock of the run.
    fn message(&mut self, second: u64, part: f64) {
        let intended_ns = ((second as f64 + part) * 1e9) as u64;
        let late_ms = match self.invention.late_at_s {
            Some(late) if late == second => 14.0 + self.random.exponential(6.0),
            _ => 0.004 + self.random.exponential(0.012),
        };
        let pause_ms = match self.invention.frozen_at_s {
            Some(frozen) if frozen == second => (1.0 - part) * 1000.0,
            _ => 0.0,
        };
        // Lognormal around 0.3 ms with a rare slow one: the shape of a loop that does something else now and then.
        let slow_ms = if self.random.unit() < 0.004 {
            self.random.exponential(4.0)
        } else {
            0.0
        };
        let service_ms = 0.3 * (0.35 * self.random.normal()).exp()
            + slow_ms
            + pause_ms
            + self.invention.added_ms;
        let sent_ns = intended_ns + (late_ms * 1e6) as u64;
        self.recorder.sent(0, intended_ns, sent_ns);
        self.recorder
            .answered(0, intended_ns, sent_ns, sent_ns + (service_ms * 1e6) as u64);
    }

    fn system(&mut self, messages: u64, length_s: f64) -> SystemSample {
        let n = self.traffic.connected as f64;
        let mut noisy = |per_connection: f64, base: f64| {
            (base + n * per_connection * (1.0 + 0.002 * self.random.normal())) as u64
        };
        let mut system = SystemSample::default();
        system.server.rss_bytes = noisy(66.0, 6.2e6);
        system.server.page_table_bytes = noisy(0.13, 9e4);
        system.generator.rss_bytes = noisy(96.0, 9.5e6);
        system.generator.page_table_bytes = noisy(0.19, 9e4);
        let slab = &mut system.kernel.slab;
        slab.tcp_bytes = noisy(2.0 * 2368.0, 2e5);
        slab.inode_bytes = noisy(2.0 * 832.0, 4e6);
        slab.dentry_bytes = noisy(2.0 * 192.0, 2e7);
        slab.file_bytes = noisy(2.0 * 192.0, 1e6);
        slab.epoll_bytes = noisy(2.0 * 192.0, 1e5);
        slab.bind_bytes = noisy(128.0, 1e4);
        system.server.threads = 2;
        system.server.descriptors = self.traffic.connected + 20;
        system.generator.threads = 3;
        system.generator.descriptors = self.traffic.connected + 40;
        system.kernel.sockets.tcp_in_use = self.traffic.connected * 2 + 4;
        self.work(&mut system, messages, length_s);
        system
    }

    fn work(&mut self, system: &mut SystemSample, messages: u64, length_s: f64) {
        let connects = if self.traffic.requested < self.invention.connections {
            self.invention.ramp_per_s as f64 * length_s
        } else {
            0.0
        };
        let m = messages as f64;
        let spent_ms = [
            m * 0.004 + connects * 0.003,
            m * 0.011 + connects * 0.009,
            m * 0.005 + connects * 0.003,
            m * 0.012 + connects * 0.009,
            m * 0.006 + connects * 0.004,
        ];
        for (total, ms) in self.cpu_ms.iter_mut().zip(spent_ms) {
            *total += ms * (1.0 + 0.06 * self.random.normal());
        }
        let [
            server_user,
            server_system,
            generator_user,
            generator_system,
            softirq,
        ] = self.cpu_ms.map(|ms| ms as u64 / TICK_MS * TICK_MS);
        system.server.user_ms = server_user;
        system.server.system_ms = server_system;
        system.generator.user_ms = generator_user;
        system.generator.system_ms = generator_system;
        system.kernel.cpu.softirq_ms = softirq;
    }

    fn totals(&self) -> Totals {
        let traffic = self.traffic;
        Totals {
            tls12: 0,
            storm: None,
            fanout: None,
            rooms: None,
            connections: Connections {
                requested: self.invention.connections,
                connected: traffic.connected,
                upgraded: traffic.upgraded,
                proven_alive: traffic.proven_alive,
                proven_alive_window_s: 30.0,
                failed: BTreeMap::from([("handshake_timeout".into(), traffic.failed)]),
                retries: traffic.failed,
                listeners: 1,
                per_listener: traffic.connected,
                opened: traffic.upgraded,
                handshake_ms: Quantiles::default(),
            },
            messages: vec![Messages {
                sent: traffic.sent,
                received: traffic.received,
                in_flight: traffic.sent - traffic.received,
                ..Messages::default()
            }],
            cohort_connections: vec![traffic.connected],
            warnings: vec!["this run was invented; nothing was measured".into()],
        }
    }
}

/// 2026-01-01, so that two inventions differ by nothing but their numbers.
const STARTED_UNIX_S: f64 = 1_767_225_600.0;
/// Enough for a stable p99.9 of each second.
const SAMPLES_PER_S: f64 = 20_000.0;
/// Messages whose answers the next report brings.
const UNDER_WAY: u64 = 7;
/// What the last answers take.
const SETTLED_S: f64 = 0.2;
/// The kernel counts processor time like this.
const TICK_MS: u64 = 10;
