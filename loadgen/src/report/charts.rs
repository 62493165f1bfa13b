//! One file per chart. A chart is a function from a bundle to an SVG, or to nothing when the run has no
//! samples for it: an empty frame would look like a measured zero.

pub(super) mod cost;
pub(super) mod cpu;
pub(super) mod heatmap;
pub(super) mod memory;
pub(super) mod ramp;
pub(super) mod spectrum;
pub(super) mod throughput;

use crate::series::Point;

/// Size of a chart across the page.
pub(super) const WIDE: (f64, f64) = (1180.0, 320.0);
/// Size of a chart on half of it.
pub(super) const HALF: (f64, f64) = (580.0, 300.0);
/// Points drawn per line and places the pointer can be at: more would not be seen.
const POINTS_DRAWN: usize = 600;
const HOVERS: usize = 300;

/// A picture and what its colours mean.
pub(super) struct Chart {
    /// The drawing.
    pub(super) svg: String,
    /// Colour and name of each series.
    pub(super) legend: Vec<(&'static str, String)>,
}

/// Stretches of time in which the generator was the limit.
pub(super) fn limited_seconds(points: &[Point]) -> Vec<(f64, f64)> {
    let mut stretches: Vec<(f64, f64)> = Vec::new();
    for pair in points
        .windows(2)
        .filter(|pair| pair[1].traffic.generator_limited > 0)
    {
        match stretches.last_mut().filter(|last| last.1 >= pair[0].at_s) {
            Some(last) => last.1 = pair[1].at_s,
            None => stretches.push((pair[0].at_s, pair[1].at_s)),
        }
    }
    stretches
}

/// Every n-th item so that at most `most` remain.
fn every<T>(items: &[T], most: usize) -> impl Iterator<Item = &T> {
    items.iter().step_by(items.len().div_ceil(most).max(1))
}

/// The last second of a run.
fn end_s(points: &[Point]) -> f64 {
    points.last().map_or(1.0, |point| point.at_s.max(1.0))
}
