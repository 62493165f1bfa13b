//! Joins bundles of several generators into one, exactly: histograms are added, percentiles never averaged.
//!
//! Time is each host's own, from its own start: two generators that began within a second of each other are
//! one run; clocks are not trusted further than that. No two hosts report at the same moments, so all of
//! them are laid on one [`Timeline`] of seconds.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::collect::{add_messages, latency_of};
use crate::histograms::hlog::HlogWriter;
use crate::histograms::quantiles_ms;
use crate::histograms::{Series, SparseInterval, new_histogram};
use crate::report::bundle::{Bundle, SeriesLog, TLS_LOGS, TagLog, log_name};
use crate::report::draw;
use crate::series;
use crate::summary::{Cohort, Connections, Outcome, Summary, Tls};
use timeline::Timeline;

mod timeline;

/// Why bundles cannot be merged.
#[derive(Debug)]
pub enum MergeError {
    /// Fewer than two.
    TooFew,
    /// Another scenario or target: their sum would mean nothing.
    Different(PathBuf),
    /// A file.
    Io(io::Error),
}

impl fmt::Display for MergeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooFew => f.write_str("merge needs at least two bundles"),
            Self::Different(dir) => write!(
                f,
                "{} is another scenario or target than the first",
                dir.display()
            ),
            Self::Io(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for MergeError {}

impl From<io::Error> for MergeError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Merges bundles into a new one.
pub fn merge(dirs: &[PathBuf], into: &Path) -> Result<Summary, MergeError> {
    if dirs.len() < 2 {
        return Err(MergeError::TooFew);
    }
    if into.join("summary.json").exists() {
        let what = format!("{} holds a report already", into.display());
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, what).into());
    }
    let mut bundles = dirs
        .iter()
        .map(|dir| Bundle::read(dir))
        .collect::<io::Result<Vec<_>>>()?;
    for (dir, bundle) in dirs.iter().zip(&bundles).skip(1) {
        let (first, other) = (&bundles[0].summary, &bundle.summary);
        if first.scenario != other.scenario || first.target != other.target {
            return Err(MergeError::Different(dir.clone()));
        }
    }
    let timeline = Timeline::of(&bundles);
    let tags = tags_of(&bundles, &timeline);
    let tls = tls_of(&bundles, &timeline);
    let points = timeline.points(&bundles);
    let mut merged = bundles.remove(0);
    for bundle in &bundles {
        add(&mut merged, bundle);
    }
    (merged.tags, merged.tls, merged.points) = (tags, tls, points);
    merged.summary.merged_from = dirs.iter().map(|dir| dir.display().to_string()).collect();
    close(&mut merged);
    fs::create_dir_all(into)?;
    write(&merged, into)?;
    draw(into)?;
    Ok(merged.summary)
}

/// The logs of all hosts, by tag.
fn tags_of(bundles: &[Bundle], timeline: &Timeline) -> Vec<TagLog> {
    let mut tags: Vec<TagLog> = Vec::new();
    for theirs in bundles.iter().flat_map(|bundle| &bundle.tags) {
        let known = tags.iter().position(|tag| tag.name == theirs.name);
        let at = known.unwrap_or_else(|| {
            let intervals = timeline.intervals();
            tags.push(TagLog {
                name: theirs.name.clone(),
                series: [(); 3].map(|()| SeriesLog {
                    intervals: intervals.clone(),
                }),
            });
            tags.len() - 1
        });
        for (mine, theirs) in tags[at].series.iter_mut().zip(&theirs.series) {
            timeline.add(&mut mine.intervals, &theirs.intervals);
        }
    }
    tags
}

/// The TLS handshakes of all hosts.
fn tls_of(bundles: &[Bundle], timeline: &Timeline) -> [SeriesLog; 2] {
    [0, 1].map(|kind| {
        let logs = || bundles.iter().map(|bundle| &bundle.tls[kind].intervals);
        if logs().all(Vec::is_empty) {
            return SeriesLog::default();
        }
        let mut intervals = timeline.intervals();
        logs().for_each(|log| timeline.add(&mut intervals, log));
        SeriesLog { intervals }
    })
}

/// Adds the numbers of `other` to `merged`; what depends on the sums is computed in [`close`].
fn add(merged: &mut Bundle, other: &Bundle) {
    add_connections(&mut merged.summary.connections, &other.summary.connections);
    add_messages(&mut merged.summary.messages, &other.summary.messages);
    for (name, cohort) in &other.summary.cohorts {
        let mine = merged
            .summary
            .cohorts
            .entry(name.clone())
            .or_insert_with(|| Cohort {
                misbehaves: cohort.misbehaves,
                ..Cohort::default()
            });
        mine.connections += cohort.connections;
        add_messages(&mut mine.messages, &cohort.messages);
    }
    if let (Some(rooms), Some(theirs)) = (&mut merged.summary.rooms, &other.summary.rooms) {
        rooms.rooms += theirs.rooms;
        rooms.joined += theirs.joined;
        rooms.publications += theirs.publications;
        rooms.recovered += theirs.recovered;
        rooms.not_recovered += theirs.not_recovered;
        rooms.replayed += theirs.replayed;
    }
    if let (Some(tls), Some(theirs)) = (&mut merged.summary.tls, &other.summary.tls) {
        add_tls(tls, theirs);
    }
    let (rates, theirs) = (&mut merged.summary.rates, &other.summary.rates);
    rates.connects_per_s += theirs.connects_per_s;
    rates.intended_per_s += theirs.intended_per_s;
    let generator = &mut merged.summary.generator;
    generator.threads += other.summary.generator.threads;
    generator.cpu_user_s += other.summary.generator.cpu_user_s;
    generator.cpu_system_s += other.summary.generator.cpu_system_s;
    generator.limited_s = generator.limited_s.max(other.summary.generator.limited_s);
    merged.summary.duration_s = merged.summary.duration_s.max(other.summary.duration_s);
    merge_verdict(&mut merged.summary, &other.summary);
    // The server was seen by one of them at the most; whoever saw it keeps it.
    merged.summary.server = merged.summary.server.or(other.summary.server);
}

/// A merged run is as good as its worst part. Thresholds were judged where the samples were; judging
/// them again needs `--fail-if` on the merged histograms.
fn merge_verdict(merged: &mut Summary, other: &Summary) {
    let severity = |outcome: Outcome| match outcome {
        Outcome::Pass => 0,
        Outcome::Fail => 1,
        Outcome::Invalid => 2,
    };
    if severity(other.verdict.outcome) > severity(merged.verdict.outcome) {
        merged.verdict.outcome = other.verdict.outcome;
    }
    merged
        .verdict
        .thresholds
        .extend(other.verdict.thresholds.iter().cloned());
    merged
        .verdict
        .warnings
        .extend(other.verdict.warnings.iter().cloned());
    merged.synthetic |= other.synthetic;
}

fn add_connections(sum: &mut Connections, other: &Connections) {
    sum.requested += other.requested;
    sum.connected += other.connected;
    sum.upgraded += other.upgraded;
    sum.proven_alive += other.proven_alive;
    sum.retries += other.retries;
    sum.opened += other.opened;
    sum.per_listener += other.per_listener;
    for (class, count) in &other.failed {
        *sum.failed.entry(class.clone()).or_default() += count;
    }
}

fn add_tls(sum: &mut Tls, other: &Tls) {
    sum.full += other.full;
    sum.resumed += other.resumed;
    sum.tls12 += other.tls12;
    sum.is_insecure |= other.is_insecure;
    if sum.trust != other.trust {
        sum.trust = format!("{}; {}", sum.trust, other.trust);
    }
}

/// Computes what follows from the sums.
fn close(merged: &mut Bundle) {
    let healthy = Series::ALL.map(|series| merged.total(series));
    merged.summary.latency_ms = latency_of(&healthy);
    let response = merged.total_intervals(Series::Response);
    for (point, interval) in merged.points.iter_mut().zip(&response) {
        point.traffic.response_p50_ms = interval.quantile_ms(0.5).unwrap_or_default();
        point.traffic.response_p99_ms = interval.quantile_ms(0.99).unwrap_or_default();
        point.traffic.response_max_ms = interval.quantile_ms(1.0).unwrap_or_default();
    }
    for tag in &merged.tags {
        if let Some(cohort) = merged.summary.cohorts.get_mut(&tag.name) {
            cohort.latency_ms = latency_of(&[0, 1, 2].map(|at| sum_of(&tag.series[at].intervals)));
        }
    }
    if let Some(tls) = &mut merged.summary.tls {
        tls.full_ms = quantiles_ms(&sum_of(&merged.tls[0].intervals));
        tls.resumed_ms = quantiles_ms(&sum_of(&merged.tls[1].intervals));
    }
    let traffic_s = series::traffic_s(&merged.points).unwrap_or(merged.summary.duration_s);
    let per_s = |count: u64| count as f64 / traffic_s.max(1e-3);
    merged.summary.rates.sent_per_s = per_s(merged.summary.messages.sent);
    merged.summary.rates.received_per_s = per_s(merged.summary.messages.received);
}

fn write(bundle: &Bundle, into: &Path) -> io::Result<()> {
    let write_log = |name: &str, label: &str, log: &SeriesLog| -> io::Result<()> {
        let file = io::BufWriter::new(fs::File::create(into.join(name))?);
        let label = format!("{label}, merged");
        let mut writer = HlogWriter::new(file, &label, bundle.summary.started_unix_s)?;
        for interval in &log.intervals {
            let histogram = sum_of(std::slice::from_ref(interval));
            writer.interval(interval.start_s, interval.length_s, &histogram)?;
        }
        writer.finish().map(drop)
    };
    for tag in &bundle.tags {
        for series in Series::ALL {
            let label = format!("{} {}", tag.name, series.name());
            let log = &tag.series[series as usize];
            write_log(&log_name(&tag.name, series), &label, log)?;
        }
    }
    for ((name, label), log) in TLS_LOGS.into_iter().zip(&bundle.tls) {
        if !log.intervals.is_empty() {
            write_log(name, label, log)?;
        }
    }
    fs::write(into.join("samples.csv"), series::to_csv(&bundle.points))?;
    let environment =
        serde_json::to_string_pretty(&bundle.environment).map_err(io::Error::other)?;
    fs::write(into.join("environment.json"), environment + "\n")?;
    fs::write(into.join("summary.json"), bundle.summary.to_json())
}

fn sum_of(intervals: &[SparseInterval]) -> hdrhistogram::Histogram<u64> {
    let mut sum = new_histogram();
    intervals
        .iter()
        .for_each(|interval| interval.add_to(&mut sum));
    sum
}
