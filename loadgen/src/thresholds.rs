//! `--fail-if 'p99>50ms'`: conditions under which a run fails, for the exit code of a pipeline.
//!
//! ```text
//! condition = [series "."] metric  operator  number [unit]
//! series    = response (default) | service | lateness
//! metric    = p50 p90 p99 p99.9 p99.99 ... mean max          latency, needs a unit
//!           | lost errors unsent failed connected upgraded proven_alive sent received    counts, or % of all
//!           | connects/s sent/s received/s bytes_per_connection
//! operator  = > >= < <= == !=
//! ```
//!
//! A threshold on something that was not measured fails: "no samples" must never look like "fast".

use std::fmt;

use hdrhistogram::Histogram;

use crate::histograms::{Series, quantile_ms};
use crate::summary::{Judged, Summary};
use crate::units::{millis, parse_count, parse_duration, thousands};

/// One condition.
#[derive(Debug, Clone, PartialEq)]
pub struct Threshold {
    text: String,
    metric: Metric,
    operator: Operator,
    limit: f64,
    /// The limit is a share of the whole and not a count.
    of_whole: bool,
}

/// What a condition looks at.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Metric {
    Quantile(Series, f64),
    Mean(Series),
    Count(CountMetric),
    Rate(RateMetric),
    BytesPerConnection,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CountMetric {
    Lost,
    Errors,
    Unsent,
    Failed,
    Connected,
    Upgraded,
    ProvenAlive,
    Sent,
    Received,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RateMetric {
    Connects,
    Sent,
    Received,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Above,
    AtLeast,
    Below,
    AtMost,
    Equal,
    Unequal,
}

/// Why a condition was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ThresholdError {
    /// No operator in it.
    Operator,
    /// Nobody measures that.
    Metric,
    /// A percentile outside 0 to 100.
    Percentile,
    /// Not a number, or without the unit that a latency needs.
    Limit,
}

impl fmt::Display for ThresholdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Operator => "a threshold compares: p99>50ms, lost>0, proven_alive<100%",
            Self::Metric => {
                "unknown metric; there are p50 p90 p99 p99.9 mean max (also service. and lateness.), lost errors unsent failed \
                 connected upgraded proven_alive sent received connects/s sent/s received/s bytes_per_connection"
            }
            Self::Percentile => "a percentile lies between p0 and p100",
            Self::Limit => "the limit is a number; a latency needs a unit (50ms), counts may have %",
        })
    }
}

impl std::error::Error for ThresholdError {}

/// What is judged: the numbers of a run and its histograms.
#[derive(Debug, Clone, Copy)]
pub struct Evidence<'a> {
    /// Numbers.
    pub summary: &'a Summary,
    /// Response, service, lateness of the healthy cohorts.
    pub latency: [&'a Histogram<u64>; 3],
}

impl Threshold {
    /// Reads a condition.
    pub fn parse(text: &str) -> Result<Self, ThresholdError> {
        let at = text
            .find(['<', '>', '=', '!'])
            .ok_or(ThresholdError::Operator)?;
        let (name, rest) = text.split_at(at);
        let (operator, limit) = Operator::split(rest).ok_or(ThresholdError::Operator)?;
        let metric = Metric::parse(name.trim())?;
        let (limit, of_whole) = metric.limit(limit.trim())?;
        Ok(Self {
            text: text.trim().to_owned(),
            metric,
            operator,
            limit,
            of_whole,
        })
    }

    /// What was measured, as one says it: in the unit of the condition.
    #[must_use]
    pub fn shown(&self, observed: f64) -> String {
        match self.metric {
            Metric::Quantile(..) | Metric::Mean(_) => millis(observed),
            Metric::Count(_) if self.of_whole => percent(observed),
            Metric::Count(_) => thousands(observed.round() as u64),
            Metric::Rate(_) => format!("{}/s", thousands(observed.round() as u64)),
            Metric::BytesPerConnection => format!("{observed:.1} B"),
        }
    }

    /// Judges a run.
    #[must_use]
    pub fn judge(&self, evidence: &Evidence<'_>) -> Judged {
        let observed = self.metric.observe(evidence);
        let observed = if self.of_whole {
            observed.and_then(|(part, whole)| share(part, whole))
        } else {
            observed.map(|(part, _)| part)
        };
        let failed = observed.is_none_or(|observed| self.operator.holds(observed, self.limit));
        Judged {
            fail_if: self.text.clone(),
            observed,
            passed: !failed,
        }
    }
}

impl Metric {
    fn parse(name: &str) -> Result<Self, ThresholdError> {
        if let Some(counted) = CountMetric::parse(name) {
            return Ok(Self::Count(counted));
        }
        match name {
            "connects/s" => return Ok(Self::Rate(RateMetric::Connects)),
            "sent/s" => return Ok(Self::Rate(RateMetric::Sent)),
            "received/s" => return Ok(Self::Rate(RateMetric::Received)),
            "bytes_per_connection" => return Ok(Self::BytesPerConnection),
            _ => {}
        }
        let prefixed = |series: &Series| {
            name.strip_prefix(series.name())?
                .strip_prefix('.')
                .map(|rest| (*series, rest))
        };
        let (series, name) = Series::ALL
            .iter()
            .find_map(prefixed)
            .unwrap_or((Series::Response, name));
        match name {
            "mean" => Ok(Self::Mean(series)),
            "max" => Ok(Self::Quantile(series, 1.0)),
            _ => {
                let percentile: f64 = name
                    .strip_prefix('p')
                    .ok_or(ThresholdError::Metric)?
                    .parse()
                    .map_err(|_| ThresholdError::Metric)?;
                // p999 is how many people write p99.9.
                let percentile = if name[1..].bytes().all(|b| b == b'9') {
                    nines(percentile)
                } else {
                    percentile
                };
                if percentile > 100.0 {
                    Err(ThresholdError::Percentile)
                } else {
                    Ok(Self::Quantile(series, percentile / 100.0))
                }
            }
        }
    }

    fn limit(self, text: &str) -> Result<(f64, bool), ThresholdError> {
        let plain = |text: &str| parse_count_or_float(text).ok_or(ThresholdError::Limit);
        match self {
            Self::Quantile(..) | Self::Mean(_) => {
                let limit = parse_duration(text).map_err(|_| ThresholdError::Limit)?;
                Ok((limit.as_secs_f64() * 1e3, false))
            }
            Self::Count(_) => match text.strip_suffix('%') {
                Some(percent) => Ok((plain(percent)? / 100.0, true)),
                None => Ok((plain(text)?, false)),
            },
            Self::Rate(_) | Self::BytesPerConnection => Ok((plain(text)?, false)),
        }
    }

    /// What was measured, and the whole it is a part of.
    fn observe(self, evidence: &Evidence<'_>) -> Option<(f64, f64)> {
        let summary = evidence.summary;
        let histogram = |series: Series| evidence.latency[series as usize];
        match self {
            Self::Quantile(series, quantile) => {
                quantile_ms(histogram(series), quantile).map(|ms| (ms, 0.0))
            }
            Self::Mean(series) => {
                let histogram = histogram(series);
                (!histogram.is_empty()).then(|| (histogram.mean() / 1e6, 0.0))
            }
            Self::Count(counted) => {
                let (part, whole) = counted.observe(summary);
                Some((part as f64, whole as f64))
            }
            Self::Rate(RateMetric::Connects) => Some((summary.rates.connects_per_s, 0.0)),
            Self::Rate(RateMetric::Sent) => Some((summary.rates.sent_per_s, 0.0)),
            Self::Rate(RateMetric::Received) => Some((summary.rates.received_per_s, 0.0)),
            Self::BytesPerConnection => summary
                .server
                .map(|server| (server.rss_bytes_per_connection, 0.0)),
        }
    }
}

impl CountMetric {
    fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "lost" => Self::Lost,
            "errors" => Self::Errors,
            "unsent" => Self::Unsent,
            "failed" => Self::Failed,
            "connected" => Self::Connected,
            "upgraded" => Self::Upgraded,
            "proven_alive" => Self::ProvenAlive,
            "sent" => Self::Sent,
            "received" => Self::Received,
            _ => return None,
        })
    }

    fn observe(self, summary: &Summary) -> (u64, u64) {
        let connections = &summary.connections;
        // As the latencies: what misbehaves on purpose loses messages on purpose.
        let messages = &summary.healthy_messages();
        match self {
            Self::Lost => (messages.lost, messages.sent),
            Self::Errors => (messages.errors, messages.sent),
            Self::Unsent => (messages.unsent, messages.sent),
            Self::Failed => (connections.failed.values().sum(), connections.requested),
            Self::Connected => (connections.connected, connections.requested),
            Self::Upgraded => (connections.upgraded, connections.requested),
            Self::ProvenAlive => (connections.proven_alive, connections.requested),
            Self::Sent => (messages.sent, messages.sent),
            Self::Received => (messages.received, messages.sent),
        }
    }
}

impl Operator {
    fn split(text: &str) -> Option<(Self, &str)> {
        // Two characters first: `>=` begins with `>`.
        let table = [
            (">=", Self::AtLeast),
            ("<=", Self::AtMost),
            ("==", Self::Equal),
            ("!=", Self::Unequal),
            (">", Self::Above),
            ("<", Self::Below),
        ];
        table
            .into_iter()
            .find_map(|(sign, operator)| Some((operator, text.strip_prefix(sign)?)))
    }

    fn holds(self, left: f64, right: f64) -> bool {
        match self {
            Self::Above => left > right,
            Self::AtLeast => left >= right,
            Self::Below => left < right,
            Self::AtMost => left <= right,
            Self::Equal => left == right,
            Self::Unequal => left != right,
        }
    }
}

fn share(part: f64, whole: f64) -> Option<f64> {
    (whole > 0.0).then(|| part / whole)
}

/// A share with the digits that tell it from all: 99.9990 is not 100.
fn percent(share: f64) -> String {
    let percent = share * 100.0;
    let exact = (0..6).map(|digits| format!("{percent:.digits$}"));
    let rounded = exact.into_iter().find(|text| {
        let shown: f64 = text.parse().unwrap_or(percent);
        (shown - percent).abs() < 1e-9 || (shown != 0.0 && shown != 100.0 && text.contains('.'))
    });
    format!("{} %", rounded.unwrap_or_else(|| format!("{percent:.6}")))
}

/// 999 is 99.9, 9999 is 99.99.
fn nines(percentile: f64) -> f64 {
    let mut percentile = percentile;
    while percentile >= 100.0 {
        percentile /= 10.0;
    }
    percentile
}

fn parse_count_or_float(text: &str) -> Option<f64> {
    let text = text.trim();
    let plain = text.parse::<f64>().ok().filter(|number| number.is_finite());
    plain.or_else(|| parse_count(text).ok().map(|count| count as f64))
}

#[cfg(test)]
mod tests;
