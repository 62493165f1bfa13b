//! Two bundles side by side: what was different around them, then what was different in them.
//!
//! The environment comes first, because most "regressions" are another kernel, another setting or another
//! binary; only then the quantiles, each with an interval from resampling and not from looking.

use std::fmt;

use crate::bootstrap::{Difference, Finding, Method, Sampled, differences};
use crate::histograms::Series;
use crate::report::bundle::Bundle;
use crate::units::{millis, thousands};

/// The comparison of two runs.
#[derive(Debug)]
pub struct Comparison {
    /// What differs around the runs: (what, in A, in B).
    pub environment: Vec<(String, String, String)>,
    /// Response time by quantile.
    pub quantiles: Vec<Difference>,
    /// Numbers without an interval: (what, in A, in B).
    pub numbers: Vec<(&'static str, String, String)>,
}

impl Comparison {
    /// Compares B to A.
    #[must_use]
    pub fn new(a: &Bundle, b: &Bundle, seed: u64) -> Self {
        let sampled = |bundle: &Bundle| Sampled::new(&bundle.judged_intervals(Series::Response));
        let quantiles = match (sampled(a), sampled(b)) {
            (a, b) if a.sample_count() > 0 && b.sample_count() > 0 => {
                differences(&a, &b, &QUANTILES, seed)
            }
            _ => Vec::new(),
        };
        let mut environment = a.environment.differences(&b.environment);
        if a.summary.target != b.summary.target {
            environment.insert(
                0,
                (
                    "target".into(),
                    a.summary.target.clone(),
                    b.summary.target.clone(),
                ),
            );
        }
        Self {
            environment,
            quantiles,
            numbers: numbers(a, b),
        }
    }

    /// The differences that are real.
    pub fn real(&self) -> impl Iterator<Item = &Difference> {
        self.quantiles
            .iter()
            .filter(|difference| difference.is_real())
    }

    /// In one line: `no difference`, or `p50 +2.0 ms, p99 +2.1 ms`.
    #[must_use]
    pub fn verdict(&self) -> String {
        if self.quantiles.is_empty() {
            return "no latencies to compare".into();
        }
        let real: Vec<String> = self
            .real()
            .map(|difference| {
                format!(
                    "{} {}",
                    name_of(difference.quantile),
                    signed(difference.delta_ms)
                )
            })
            .collect();
        let decided = self
            .quantiles
            .iter()
            .any(|difference| difference.finding() == Finding::Same);
        match (real.is_empty(), decided) {
            (false, _) => real.join(", "),
            (true, true) => "no difference".into(),
            (true, false) => {
                "cannot tell: too few samples, or seconds too unlike each other".into()
            }
        }
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.environment.is_empty() {
            writeln!(f, "environment: the same")?;
        } else {
            writeln!(f, "environment differs:")?;
        }
        for (what, a, b) in &self.environment {
            writeln!(f, "  {what}\n    A  {a}\n    B  {b}")?;
        }
        writeln!(f, "\n{:<24}{:>16}{:>16}", "", "A", "B")?;
        for (what, a, b) in &self.numbers {
            writeln!(f, "{what:<24}{a:>16}{b:>16}")?;
        }
        for difference in &self.quantiles {
            writeln!(f, "{}", line_of(difference))?;
        }
        if self
            .quantiles
            .iter()
            .any(|difference| difference.method == Method::Counts)
        {
            writeln!(
                f,
                "short runs: single samples were resampled, the intervals are too narrow if samples hang together"
            )?;
        }
        writeln!(f, "\nverdict: {}", self.verdict())
    }
}

fn numbers(a: &Bundle, b: &Bundle) -> Vec<(&'static str, String, String)> {
    let both = |name, of: &dyn Fn(&Bundle) -> String| (name, of(a), of(b));
    let mut numbers = vec![
        both("proven alive", &|bundle| {
            thousands(bundle.summary.connections.proven_alive)
        }),
        both("connects/s", &|bundle| {
            thousands(bundle.summary.rates.connects_per_s.round() as u64)
        }),
        both("received/s", &|bundle| {
            thousands(bundle.summary.rates.received_per_s.round() as u64)
        }),
        both("lost", &|bundle| thousands(bundle.summary.messages.lost)),
        both("errors", &|bundle| {
            thousands(bundle.summary.messages.errors)
        }),
    ];
    if a.summary.server.is_some() && b.summary.server.is_some() {
        let server = |of: fn(&crate::summary::Server) -> String| {
            move |bundle: &Bundle| bundle.summary.server.as_ref().map_or_else(String::new, of)
        };
        numbers.push(both(
            "server B/connection",
            &server(|server| format!("{:.1}", server.rss_bytes_per_connection)),
        ));
        numbers.push(both(
            "server us/message",
            &server(|server| format!("{:.2}", server.cpu_us_per_message)),
        ));
    }
    numbers
}

fn line_of(difference: &Difference) -> String {
    let interval = format!(
        "{} .. {}",
        signed(difference.low_ms),
        signed(difference.high_ms)
    );
    let word = word_for(difference.finding());
    format!(
        "response {:<15}{:>16}{:>16}   {:>10}  [{interval}] {word}",
        name_of(difference.quantile),
        millis(difference.a_ms),
        millis(difference.b_ms),
        signed(difference.delta_ms)
    )
}

/// A finding in words.
#[must_use]
pub const fn word_for(finding: Finding) -> &'static str {
    match finding {
        Finding::Different => "different",
        Finding::Same => "no difference",
        Finding::Undecided => "cannot tell",
    }
}

/// `p99.9` for 0.999.
#[must_use]
pub fn name_of(quantile: f64) -> String {
    format!("p{}", (quantile * 1e5).round() / 1e3)
}

/// `+2.1 ms`.
#[must_use]
pub fn signed(ms: f64) -> String {
    let sign = if ms < 0.0 { "-" } else { "+" };
    format!("{sign}{}", millis(ms.abs()))
}

const QUANTILES: [f64; 4] = [0.5, 0.9, 0.99, 0.999];
