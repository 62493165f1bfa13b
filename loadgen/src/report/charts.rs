//! One file per chart. A chart is a function from a bundle to an SVG, or to nothing when the run has no
//! samples for it: an empty frame would look like a measured zero.

pub(super) mod connect;
pub(super) mod cost;
pub(super) mod cpu;
pub(super) mod heatmap;
pub(super) mod memory;
pub(super) mod ramp;
pub(super) mod spectrum;
pub(super) mod throughput;

use super::plot::{Frame, clock, thin};
use super::svg::Svg;
use crate::series::{Point, Step, intervals};

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

/// Stretches of a run that every chart over time marks, because the numbers in them are not the server's.
#[derive(Debug, PartialEq)]
pub(super) struct Marks {
    /// The generator itself was the limit.
    limited: Vec<(f64, f64)>,
    /// Nothing was sent any more.
    settling: Vec<(f64, f64)>,
}

impl Marks {
    pub(super) fn of(points: &[Point]) -> Self {
        Self {
            limited: stretches(points, |point| point.traffic.generator_limited > 0),
            settling: stretches(points, |point| point.traffic.settling > 0),
        }
    }

    fn draw(&self, frame: &Frame, svg: &mut Svg) {
        frame.draw_bands(svg, &self.settling, "slate");
        frame.draw_bands(svg, &self.limited, "red");
    }

    /// What the colours mean, of those that are there.
    fn add_legend(&self, legend: &mut Vec<(&'static str, String)>) {
        for (stretches, colour, text) in [
            (&self.limited, "red", "generator at its limit, not judged"),
            (&self.settling, "slate", "settling: last answers"),
        ] {
            if !stretches.is_empty() {
                legend.push((colour, text.to_owned()));
            }
        }
    }
}

/// Neighbouring intervals of this kind, as one stretch each.
fn stretches(points: &[Point], is_of_kind: fn(&Point) -> bool) -> Vec<(f64, f64)> {
    let mut stretches: Vec<(f64, f64)> = Vec::new();
    for (from_s, point) in intervals(points).filter(|(_, point)| is_of_kind(point)) {
        match stretches.last_mut().filter(|last| last.1 >= from_s) {
            Some(last) => last.1 = point.at_s,
            None => stretches.push((from_s, point.at_s)),
        }
    }
    stretches
}

/// The outline of steps: each as wide as it lasted, so that the area below is what was counted.
fn outline(steps: &[Step], height: impl Fn(&Step) -> f64) -> Vec<(f64, f64)> {
    let corners = steps.iter().flat_map(|step| {
        let height = height(step);
        [(step.from_s, height), (step.to_s, height)]
    });
    thin(&corners.collect::<Vec<_>>(), POINTS_DRAWN)
}

/// The moments and the title of a stretch of time under the pointer.
fn span(from_s: f64, to_s: f64) -> String {
    format!("{} to {}", clock(from_s), clock(to_s))
}

/// Every n-th item so that at most `most` remain.
fn every<T>(items: &[T], most: usize) -> impl Iterator<Item = &T> {
    items.iter().step_by(items.len().div_ceil(most).max(1))
}

/// The last second of a run.
fn end_s(points: &[Point]) -> f64 {
    points.last().map_or(1.0, |point| point.at_s.max(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_as_wide_as_their_intervals() {
        let point = |(at_s, generator_limited, settling): (f64, u64, u64)| {
            let mut point = Point {
                at_s,
                ..Point::default()
            };
            point.traffic.generator_limited = generator_limited;
            point.traffic.settling = settling;
            point
        };
        let run = [
            (0.25, 1, 0),
            (0.5, 1, 0),
            (1.5, 0, 0),
            (2.5, 1, 0),
            (2.7, 0, 1),
        ];
        let marks = Marks::of(&run.map(point));
        assert_eq!(marks.limited, [(0.0, 0.5), (1.5, 2.5)]);
        assert_eq!(marks.settling, [(2.5, 2.7)]);
        let mut legend = Vec::new();
        marks.add_legend(&mut legend);
        assert_eq!(legend.len(), 2);
        legend.clear();
        Marks::of(&[]).add_legend(&mut legend);
        assert_eq!(legend, []);
    }

    #[test]
    fn the_area_below_an_outline_is_what_was_counted() {
        let step = |from_s, to_s, grown| Step {
            from_s,
            to_s,
            grown,
        };
        let steps = [
            step(0.0, 0.25, 30),
            step(0.25, 1.25, 100),
            step(1.25, 1.5, 20),
        ];
        let corners = outline(&steps, Step::per_s);
        let area: f64 = corners
            .windows(2)
            .map(|pair| (pair[1].0 - pair[0].0) * pair[0].1.midpoint(pair[1].1))
            .sum();
        assert!((area - 150.0).abs() < 1e-9, "{corners:?}");
    }
}
