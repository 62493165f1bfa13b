//! The end of every pipe: takes what the threads recorded each second, keeps the books, and says at the end
//! what the run is worth.
//!
//! Seconds in which the generator itself was the limit are recorded like all others but judged by nobody:
//! thresholds see the histograms without them, and the summary says how many there were.

use std::collections::BTreeMap;
use std::io;

use hdrhistogram::Histogram;

use crate::connect_cost::ConnectCost;
use crate::histograms::{Interval, LATE_NS, Series, new_histogram, quantile_ms, quantiles_ms};
use crate::ledger;
use crate::report::bundle::BundleWriter;
use crate::series::{self, Point};
use crate::summary::{
    Cohort, Connections, Fanout, Generator, Judged, Latency, Messages, Outcome, PhaseLatency,
    Rates, Rooms, Server, Storm, Summary, Tls, Verdict,
};
use crate::thresholds::{Evidence, Threshold};

/// What is known before the run begins.
#[derive(Debug, Clone, Default)]
pub struct Setup {
    /// Name of the scenario.
    pub scenario: String,
    /// Target as written.
    pub target: String,
    /// Seed of every random choice.
    pub seed: u64,
    /// Start, seconds since 1970.
    pub started_unix_s: f64,
    /// Names of the cohorts, in the order of the tags; true for those that misbehave on purpose.
    pub tags: Vec<(String, bool)>,
    /// Engine threads.
    pub threads: u64,
    /// The target process, where it is sampled.
    pub server_pid: Option<u32>,
    /// Both ends on this machine: the kernel counts every connection twice.
    pub both_ends_here: bool,
    /// Rate of the open-loop schedule; 0 for a closed loop.
    pub intended_per_s: f64,
    /// Conditions under which the run fails.
    pub thresholds: Vec<Threshold>,
    /// An invented run.
    pub synthetic: bool,
    /// Whom it believes, where it speaks TLS.
    pub tls: Option<Tls>,
}

/// What only the engine knows at the end.
#[derive(Debug, Clone, Default)]
pub struct Totals {
    /// Connections.
    pub connections: Connections,
    /// Messages of each tag, in their order.
    pub messages: Vec<Messages>,
    /// Connections of each tag.
    pub cohort_connections: Vec<u64>,
    /// TLS handshakes that ended in TLS 1.2.
    pub tls12: u64,
    /// How those that were cut came back.
    pub storm: Option<Storm>,
    /// Rooms, and who sat in them.
    pub rooms: Option<Rooms>,
    /// How a broadcast spread.
    pub fanout: Option<Fanout>,
    /// Things that happened and make the numbers weaker than they look.
    pub warnings: Vec<String>,
}

/// Response, service and lateness of the healthy cohorts over a part of a run.
#[derive(Debug)]
pub struct Stretch {
    /// Without the seconds in which the generator was the limit.
    pub judged: [Histogram<u64>; 3],
    /// With them.
    pub all: [Histogram<u64>; 3],
    /// The generator was the limit most of the time.
    pub is_limited: bool,
}

/// Collects a run.
pub struct Collector {
    setup: Setup,
    bundle: Option<BundleWriter>,
    points: Vec<Point>,
    all: Interval,
    judged: Interval,
    /// As `judged` and as `all`, since the last mark.
    marked: [Interval; 2],
    /// Seconds since the last mark: those in which the generator was the limit, and all.
    marked_s: (f64, f64),
    phases: Vec<Phase>,
    is_settling: bool,
}

/// One phase: the healthy cohorts' histograms.
struct Phase {
    name: String,
    from_s: f64,
    healthy: [Histogram<u64>; 3],
}

impl Phase {
    fn conclude(&self) -> PhaseLatency {
        PhaseLatency {
            name: self.name.clone(),
            from_s: self.from_s,
            latency_ms: latency_of(&self.healthy),
        }
    }
}

impl Collector {
    /// A collector, with a bundle when a report is wanted.
    #[must_use]
    pub fn new(setup: Setup, bundle: Option<BundleWriter>) -> Self {
        let tags = setup.tags.len();
        Self {
            setup,
            bundle,
            points: Vec::new(),
            all: Interval::new(tags),
            judged: Interval::new(tags),
            marked: [Interval::new(tags), Interval::new(tags)],
            marked_s: (0.0, 0.0),
            phases: Vec::new(),
            is_settling: false,
        }
    }

    /// Takes one second: the merged recordings of all threads and a point whose latency fields are filled
    /// in here. Returns the finished point, for the live view.
    pub fn second(
        &mut self,
        mut point: Point,
        length_s: f64,
        interval: &Interval,
    ) -> io::Result<Point> {
        let healthy = self.healthy(interval);
        let ms = |series: Series, quantile| {
            quantile_ms(&healthy[series as usize], quantile).unwrap_or_default()
        };
        point.traffic.response_p50_ms = ms(Series::Response, 0.5);
        point.traffic.response_p99_ms = ms(Series::Response, 0.99);
        point.traffic.response_max_ms = ms(Series::Response, 1.0);
        point.traffic.lateness_p99_ms = ms(Series::Lateness, 0.99);
        point.traffic.settling = u64::from(self.is_settling);
        if self.was_limited(&point, length_s, interval) {
            point.traffic.generator_limited = 1;
        }
        self.all.add(interval);
        self.marked[1].add(interval);
        self.marked_s.1 += length_s;
        if point.traffic.generator_limited > 0 {
            self.marked_s.0 += length_s;
        }
        if point.traffic.generator_limited == 0 {
            self.judged.add(interval);
            self.marked[0].add(interval);
            if let Some(phase) = self.phases.last_mut() {
                for (sum, more) in phase.healthy.iter_mut().zip(&healthy) {
                    sum.add(more)
                        .expect("every histogram here has the same bounds");
                }
            }
        }
        if let Some(bundle) = &mut self.bundle {
            bundle.interval(point.at_s - length_s, length_s, interval)?;
            bundle.point(point);
        }
        self.points.push(point);
        Ok(point)
    }

    /// What comes from now on belongs to this phase.
    pub fn enter_phase(&mut self, name: &str, from_s: f64) {
        self.phases.push(Phase {
            name: name.to_owned(),
            from_s,
            healthy: [new_histogram(), new_histogram(), new_histogram()],
        });
    }

    /// From now on nothing is sent, and what comes are the last answers.
    pub fn settle(&mut self) {
        self.is_settling = true;
    }

    /// Remembers this moment.
    pub fn mark(&mut self) {
        self.marked.iter_mut().for_each(Interval::clear);
        self.marked_s = (0.0, 0.0);
    }

    /// What was measured since the last mark.
    #[must_use]
    pub fn since_mark(&self) -> Stretch {
        let (limited_s, all_s) = self.marked_s;
        Stretch {
            judged: self.healthy(&self.marked[0]),
            all: self.healthy(&self.marked[1]),
            is_limited: limited_s * 2.0 > all_s,
        }
    }

    /// Ends the run: the summary, written and drawn when there is a bundle.
    pub fn finish(mut self, totals: &Totals) -> io::Result<Summary> {
        let summary = self.conclude(totals);
        if let Some(bundle) = self.bundle.take() {
            bundle.finish(&summary)?;
        }
        Ok(summary)
    }

    /// The histograms of the healthy cohorts, added up.
    fn healthy(&self, interval: &Interval) -> [Histogram<u64>; 3] {
        let mut sum = [new_histogram(), new_histogram(), new_histogram()];
        for (tag, _) in self
            .setup
            .tags
            .iter()
            .enumerate()
            .filter(|(_, (_, misbehaves))| !misbehaves)
        {
            for series in Series::ALL {
                let added = sum[series as usize].add(interval.histogram(tag, series));
                added.expect("every histogram here has the same bounds");
            }
        }
        sum
    }

    fn was_limited(&self, point: &Point, length_s: f64, interval: &Interval) -> bool {
        let cpu_ms =
            |point: &Point| point.system.generator.user_ms + point.system.generator.system_ms;
        let available_ms = self.setup.threads as f64 * length_s * 1000.0;
        let busy_ms = self
            .points
            .last()
            .map_or(0, |last| cpu_ms(point).saturating_sub(cpu_ms(last)));
        point.traffic.lateness_p99_ms * 1e6 >= LATE_NS as f64
            || self.answers_are_late(interval)
            || (available_ms > 0.0 && busy_ms as f64 >= available_ms * BUSY_LIMIT)
    }

    /// Whether one answer in a hundred belongs to a message that was sent late. The end of a pause is often
    /// the end of an interval: the lateness is then in one, the answers are in the next.
    fn answers_are_late(&self, interval: &Interval) -> bool {
        let tags = self.setup.tags.iter().enumerate();
        let healthy = tags.filter(|(_, (_, misbehaves))| !misbehaves);
        let (mut late, mut all) = (0, 0);
        for (tag, _) in healthy {
            late += interval.late_answers(tag);
            all += interval.histogram(tag, Series::Response).len();
        }
        late > 0 && late * 100 >= all
    }

    fn conclude(&self, totals: &Totals) -> Summary {
        let setup = &self.setup;
        let mut summary = Summary::new(&setup.scenario, &setup.target);
        summary.started_unix_s = setup.started_unix_s;
        summary.duration_s = self.points.last().map_or(0.0, |point| point.at_s);
        summary.seed = setup.seed;
        summary.synthetic = setup.synthetic;
        summary.connections = totals.connections.clone();
        summary.storm = totals.storm;
        summary.tls = self.tls(totals);
        summary.fanout = totals.fanout;
        summary.rooms = totals.rooms.clone();
        summary.phases = self.phases.iter().map(Phase::conclude).collect();
        for messages in &totals.messages {
            add_messages(&mut summary.messages, messages);
        }
        let healthy = self.healthy(&self.all);
        summary.latency_ms = latency_of(&healthy);
        summary.rates = self.rates(&summary);
        summary.server = self.server(&summary);
        summary.generator = self.generator();
        summary.ledger = ledger::lines(&self.points);
        summary.cohorts = self.cohorts(totals);
        summary.verdict = self.verdict(&summary, totals);
        summary
    }

    fn tls(&self, totals: &Totals) -> Option<Tls> {
        let (full, resumed) = (self.all.secured(false), self.all.secured(true));
        Some(Tls {
            full: full.len(),
            resumed: resumed.len(),
            tls12: totals.tls12,
            full_ms: quantiles_ms(full),
            resumed_ms: quantiles_ms(resumed),
            ..self.setup.tls.clone()?
        })
    }

    fn rates(&self, summary: &Summary) -> Rates {
        let duration_s = summary.duration_s.max(1e-3);
        let most = self
            .points
            .iter()
            .map(|point| point.traffic.connected)
            .max()
            .unwrap_or_default();
        let traffic_s = series::traffic_s(&self.points).unwrap_or(duration_s);
        let cost = ConnectCost::of(&self.points);
        let (connect_us_first, connect_us_last) = cost.first_and_last_us().unwrap_or_default();
        Rates {
            connect_us_first,
            connect_us_last,
            connects_per_s: most as f64 / series::ramp_s(&self.points).max(1e-3),
            intended_per_s: self.setup.intended_per_s,
            sent_per_s: summary.messages.sent as f64 / traffic_s,
            received_per_s: summary.messages.received as f64 / traffic_s,
        }
    }

    fn server(&self, summary: &Summary) -> Option<Server> {
        let pid = self.setup.server_pid?;
        let samples = || {
            self.points
                .iter()
                .map(|point| point.system.server)
                .filter(|sample| sample.is_present())
        };
        let (first, last) = (samples().next()?, samples().next_back()?);
        let slope =
            ledger::bytes_per_connection(&self.points, |point| point.system.server.rss_bytes);
        let user_ms = last.user_ms.saturating_sub(first.user_ms);
        let system_ms = last.system_ms.saturating_sub(first.system_ms);
        Some(Server {
            pid,
            rss_bytes_per_connection: slope.map_or(0.0, |line| line.slope),
            rss_bytes: last.rss_bytes,
            cpu_user_s: user_ms as f64 / 1e3,
            cpu_system_s: system_ms as f64 / 1e3,
            cpu_us_per_message: match summary.messages.received {
                0 => 0.0,
                received => (user_ms + system_ms) as f64 * 1e3 / received as f64,
            },
        })
    }

    fn generator(&self) -> Generator {
        let first = self
            .points
            .first()
            .map(|point| point.system.generator)
            .unwrap_or_default();
        let last = self
            .points
            .last()
            .map(|point| point.system.generator)
            .unwrap_or_default();
        let slope =
            ledger::bytes_per_connection(&self.points, |point| point.system.generator.rss_bytes);
        Generator {
            threads: self.setup.threads,
            rss_bytes_per_connection: slope.map_or(0.0, |line| line.slope),
            cpu_user_s: last.user_ms.saturating_sub(first.user_ms) as f64 / 1e3,
            cpu_system_s: last.system_ms.saturating_sub(first.system_ms) as f64 / 1e3,
            limited_s: self.limited_s().ceil() as u64,
        }
    }

    /// Seconds in which the generator was the limit; a report of the ramp covers less than one.
    fn limited_s(&self) -> f64 {
        let intervals = series::intervals(&self.points);
        let limited = intervals.filter(|(_, point)| point.traffic.generator_limited > 0);
        limited.map(|(from_s, point)| point.at_s - from_s).sum()
    }

    fn cohorts(&self, totals: &Totals) -> BTreeMap<String, Cohort> {
        let cohort = |(tag, (name, misbehaves)): (usize, &(String, bool))| {
            let histograms = Series::ALL.map(|series| self.all.histogram(tag, series).clone());
            let cohort = Cohort {
                misbehaves: *misbehaves,
                connections: totals
                    .cohort_connections
                    .get(tag)
                    .copied()
                    .unwrap_or_default(),
                messages: totals.messages.get(tag).cloned().unwrap_or_default(),
                latency_ms: latency_of(&histograms),
            };
            (name.clone(), cohort)
        };
        self.setup.tags.iter().enumerate().map(cohort).collect()
    }

    fn verdict(&self, summary: &Summary, totals: &Totals) -> Verdict {
        let [response, service, lateness] = self.healthy(&self.judged);
        let evidence = Evidence {
            summary,
            latency: [&response, &service, &lateness],
        };
        let thresholds: Vec<Judged> = self
            .setup
            .thresholds
            .iter()
            .map(|threshold| threshold.judge(&evidence))
            .collect();
        let imbalances = summary.imbalances();
        let limited_s = self.limited_s();
        let all_limited = limited_s * 2.0 > summary.duration_s;
        let outcome = if !imbalances.is_empty() || all_limited {
            Outcome::Invalid
        } else if thresholds.iter().all(|judged| judged.passed) {
            Outcome::Pass
        } else {
            Outcome::Fail
        };
        let mut warnings = imbalances;
        if limited_s > 0.0 {
            warnings.push(format!(
                "in {:.0} of {:.0} s the generator itself was the limit; they are left out of the thresholds",
                limited_s.ceil(),
                summary.duration_s
            ));
        }
        warnings.extend(
            self.setup
                .tls
                .as_ref()
                .filter(|tls| tls.is_insecure)
                .map(|_| {
                    "INSECURE: no certificate was checked, so nothing says who answered".to_owned()
                }),
        );
        warnings.extend(self.disagreement_with_kernel());
        warnings.extend(self.disagreement_with_server());
        warnings.extend(totals.warnings.iter().cloned());
        Verdict {
            outcome,
            thresholds,
            warnings,
        }
    }

    /// A second in which the kernel has clearly fewer sockets than we believe to hold.
    fn disagreement_with_kernel(&self) -> Option<String> {
        let ends = if self.setup.both_ends_here { 2 } else { 1 };
        let fewer = |point: &&Point| {
            let kernel = point.system.kernel.sockets.tcp_in_use;
            kernel > 0 && kernel * 100 < point.traffic.connected * ends * 99
        };
        let worst = self.points.iter().rfind(fewer)?;
        Some(format!(
            "at {:.0} s the kernel counted {} TCP sockets, fewer than {} connections with {ends} end(s) here",
            worst.at_s, worst.system.kernel.sockets.tcp_in_use, worst.traffic.connected
        ))
    }

    /// A moment in which the server counts fewer than we hold. Its number may be a second old, so only
    /// moments around which ours stood still are compared.
    fn disagreement_with_server(&self) -> Option<String> {
        let fewer = |three: &&[Point]| {
            let [before, point, after] = three else {
                return false;
            };
            let ours = point.traffic.upgraded;
            let is_still = before.traffic.upgraded == ours && after.traffic.upgraded == ours;
            let theirs = point.traffic.server_gauge;
            theirs > 0 && is_still && theirs * 100 < ours * 99
        };
        let worst = self.points.windows(3).rfind(fewer)?[1];
        Some(format!(
            "at {:.0} s the server counted {} connections, and {} were open here",
            worst.at_s, worst.traffic.server_gauge, worst.traffic.upgraded
        ))
    }
}

/// Adds one tag's books to another's.
pub fn add_messages(sum: &mut Messages, other: &Messages) {
    sum.sent += other.sent;
    sum.received += other.received;
    sum.lost += other.lost;
    sum.in_flight += other.in_flight;
    sum.errors += other.errors;
    sum.unsent += other.unsent;
    for (sum, other) in [
        (&mut sum.error_classes, &other.error_classes),
        (&mut sum.lost_classes, &other.lost_classes),
    ] {
        for (class, count) in other {
            *sum.entry(class.clone()).or_default() += count;
        }
    }
}

/// Three histograms in numbers.
#[must_use]
pub fn latency_of(histograms: &[Histogram<u64>; 3]) -> Latency {
    let [response, service, lateness] = histograms;
    Latency {
        response: quantiles_ms(response),
        service: quantiles_ms(service),
        lateness: quantiles_ms(lateness),
    }
}

/// Beyond this share of its threads' time, a generator waits for itself.
const BUSY_LIMIT: f64 = 0.95;

#[cfg(test)]
mod tests;
