//! The files of a bundle: written second by second, read back whole.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use hdrhistogram::Histogram;

use crate::environment::Environment;
use crate::histograms::hlog::{self, HlogWriter};
use crate::histograms::{Interval, Series, SparseInterval, new_histogram};
use crate::series::{self, Point};
use crate::summary::Summary;

/// A bundle being written.
pub struct BundleWriter {
    dir: PathBuf,
    logs: Vec<[HlogWriter<BufWriter<File>>; 3]>,
    /// TLS handshakes, full and resumed, where the target speaks TLS.
    tls: Vec<HlogWriter<BufWriter<File>>>,
    started_unix_s: f64,
    points: Vec<Point>,
}

/// A bundle read back.
#[derive(Debug)]
pub struct Bundle {
    /// Numbers.
    pub summary: Summary,
    /// Where it happened.
    pub environment: Environment,
    /// Second by second.
    pub points: Vec<Point>,
    /// Latencies by tag.
    pub tags: Vec<TagLog>,
    /// TLS handshakes, full and resumed; empty without TLS.
    pub tls: [SeriesLog; 2],
}

/// The three logs of one tag.
#[derive(Debug)]
pub struct TagLog {
    /// Name of the tag.
    pub name: String,
    /// Response, service, lateness.
    pub series: [SeriesLog; 3],
}

/// One log.
#[derive(Debug, Default)]
pub struct SeriesLog {
    /// Second by second.
    pub intervals: Vec<SparseInterval>,
}

impl BundleWriter {
    /// Makes the directory and begins the logs. An existing bundle is not overwritten.
    pub fn create(
        dir: &Path,
        tags: &[String],
        environment: &Environment,
        started_unix_s: f64,
    ) -> io::Result<Self> {
        if dir.join("summary.json").exists() {
            let what = format!("{} holds a report already", dir.display());
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, what));
        }
        fs::create_dir_all(dir)?;
        let json = serde_json::to_string_pretty(environment).map_err(io::Error::other)?;
        fs::write(dir.join("environment.json"), json + "\n")?;
        let log = |tag: &str, series: Series| {
            let file = File::create(dir.join(log_name(tag, series)))?;
            HlogWriter::new(
                BufWriter::new(file),
                &format!("{tag} {}", series.name()),
                started_unix_s,
            )
        };
        let logs = |tag: &String| {
            Ok([
                log(tag, Series::Response)?,
                log(tag, Series::Service)?,
                log(tag, Series::Lateness)?,
            ])
        };
        let logs = tags.iter().map(logs).collect::<io::Result<Vec<_>>>()?;
        Ok(Self {
            dir: dir.to_owned(),
            logs,
            tls: Vec::new(),
            started_unix_s,
            points: Vec::new(),
        })
    }

    /// Logs TLS handshakes, too.
    pub fn with_tls(mut self) -> io::Result<Self> {
        for (name, label) in TLS_LOGS {
            let file = BufWriter::new(File::create(self.dir.join(name))?);
            let log = HlogWriter::new(file, label, self.started_unix_s)?;
            self.tls.push(log);
        }
        Ok(self)
    }

    /// Adds an interval to every log; its tags stand in the order given at the start.
    pub fn interval(&mut self, start_s: f64, length_s: f64, interval: &Interval) -> io::Result<()> {
        for (tag, logs) in self.logs.iter_mut().enumerate() {
            for (log, series) in logs.iter_mut().zip(Series::ALL) {
                log.interval(start_s, length_s, interval.histogram(tag, series))?;
            }
        }
        for (log, is_resumed) in self.tls.iter_mut().zip([false, true]) {
            log.interval(start_s, length_s, interval.secured(is_resumed))?;
        }
        Ok(())
    }

    /// Adds a second.
    pub fn point(&mut self, point: Point) {
        self.points.push(point);
    }

    /// The seconds so far.
    #[must_use]
    pub fn points(&self) -> &[Point] {
        &self.points
    }

    /// Writes the rest and draws the pictures.
    pub fn finish(self, summary: &Summary) -> io::Result<()> {
        for log in self.logs.into_iter().flatten().chain(self.tls) {
            log.finish()?.flush()?;
        }
        fs::write(self.dir.join("samples.csv"), series::to_csv(&self.points))?;
        fs::write(self.dir.join("summary.json"), summary.to_json())?;
        super::draw(&self.dir)
    }
}

impl Bundle {
    /// Reads a bundle. Logs and samples may be missing (a run that was killed); numbers may not.
    pub fn read(dir: &Path) -> io::Result<Self> {
        let text = |name: &str| {
            fs::read_to_string(dir.join(name)).map_err(|error| {
                io::Error::new(
                    error.kind(),
                    format!("{}: {error}", dir.join(name).display()),
                )
            })
        };
        let invalid = |what: String| {
            io::Error::new(
                io::ErrorKind::InvalidData,
                format!("{}: {what}", dir.display()),
            )
        };
        let summary =
            Summary::parse(&text("summary.json")?).map_err(|error| invalid(error.to_string()))?;
        let environment = text("environment.json")
            .ok()
            .and_then(|json| serde_json::from_str(&json).ok());
        let points = text("samples.csv")
            .ok()
            .map_or(Some(Vec::new()), |csv| series::from_csv(&csv));
        Ok(Self {
            summary,
            environment: environment.unwrap_or_default(),
            points: points.ok_or_else(|| invalid("samples.csv cannot be read".into()))?,
            tags: read_tags(dir)?,
            tls: [read_log(dir, TLS_LOGS[0].0)?, read_log(dir, TLS_LOGS[1].0)?],
        })
    }

    /// Each healthy tag's histogram of this series, added up: what thresholds and headlines are about.
    #[must_use]
    pub fn total(&self, series: Series) -> Histogram<u64> {
        let mut total = new_histogram();
        for tag in self.healthy_tags() {
            tag.series[series as usize]
                .intervals
                .iter()
                .for_each(|interval| interval.add_to(&mut total));
        }
        total
    }

    /// The same by interval.
    #[must_use]
    pub fn total_intervals(&self, series: Series) -> Vec<SparseInterval> {
        let mut tags = self
            .healthy_tags()
            .map(|tag| &tag.series[series as usize].intervals);
        let Some(mut total) = tags.next().cloned() else {
            return Vec::new();
        };
        for intervals in tags {
            merge_intervals(&mut total, intervals);
        }
        total
    }

    /// The same without the seconds in which the generator was the limit: what comparisons are made of.
    #[must_use]
    pub fn judged_intervals(&self, series: Series) -> Vec<SparseInterval> {
        let limited = |interval: &SparseInterval| {
            let end_s = interval.end_s();
            let point = self
                .points
                .iter()
                .find(|point| (point.at_s - end_s).abs() < 0.01);
            point.is_some_and(|point| point.traffic.generator_limited > 0)
        };
        self.total_intervals(series)
            .into_iter()
            .filter(|interval| !limited(interval))
            .collect()
    }

    /// Tags whose cohort does not misbehave on purpose.
    pub fn healthy_tags(&self) -> impl Iterator<Item = &TagLog> {
        let misbehaves = |tag: &TagLog| {
            self.summary
                .cohorts
                .get(&tag.name)
                .is_some_and(|cohort| cohort.misbehaves)
        };
        self.tags.iter().filter(move |tag| !misbehaves(tag))
    }
}

/// Adds `other` to `total` interval by interval: the logs of one run are cut at the same moments. A longer
/// log lends its tail.
fn merge_intervals(total: &mut Vec<SparseInterval>, other: &[SparseInterval]) {
    for (at, interval) in other.iter().enumerate() {
        let Some(mine) = total.get_mut(at) else {
            total.push(interval.clone());
            continue;
        };
        mine.add(interval);
    }
}

/// File name of a log. Tags are cohort names, which scenarios restrict to letters, digits, `-` and `_`;
/// anything else becomes `_`, so that no tag leaves the directory.
#[must_use]
pub fn log_name(tag: &str, series: Series) -> String {
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() || c == '-' || c == '_' {
            c
        } else {
            '_'
        }
    };
    format!(
        "{}.{}.hlog",
        tag.chars().map(plain).collect::<String>(),
        series.name()
    )
}

fn read_tags(dir: &Path) -> io::Result<Vec<TagLog>> {
    let suffix = format!(".{}.hlog", Series::Response.name());
    let mut names: Vec<String> = fs::read_dir(dir)?
        .filter_map(|entry| {
            entry
                .ok()?
                .file_name()
                .into_string()
                .ok()?
                .strip_suffix(&suffix)
                .map(str::to_owned)
        })
        .collect();
    names.sort();
    let tag = |name: String| {
        let [response, service, lateness] = Series::ALL.map(|kind| log_name(&name, kind));
        let series = [
            read_log(dir, &response)?,
            read_log(dir, &service)?,
            read_log(dir, &lateness)?,
        ];
        Ok(TagLog { name, series })
    };
    names.into_iter().map(tag).collect()
}

/// A log, empty where there is none.
fn read_log(dir: &Path, name: &str) -> io::Result<SeriesLog> {
    let mut intervals = Vec::new();
    if let Ok(bytes) = fs::read(dir.join(name)) {
        hlog::read(&bytes, |read| {
            intervals.push(SparseInterval::new(
                read.start_s,
                read.length_s,
                &read.histogram,
            ))
        })?;
    }
    Ok(SeriesLog { intervals })
}

/// The logs of TLS handshakes, and what they are called inside.
pub(crate) const TLS_LOGS: [(&str, &str); 2] = [
    ("tls_handshake.full.hlog", "TLS handshakes, full"),
    ("tls_handshake.resumed.hlog", "TLS handshakes, resumed"),
];
