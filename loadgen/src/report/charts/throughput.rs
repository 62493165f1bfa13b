//! Messages per second: what was sent, what came back. While the last answers are awaited nothing is sent,
//! and a rate of that time would be a plunge that no server made: `sent` ends where the sending ends, and
//! `received` with it, unless answers go on for a second or more.

use super::super::plot::{Frame, Scale};
use super::super::svg::{Hover, Svg};
use super::{Chart, HALF, HOVERS, Marks, end_s, every, outline, span};
use crate::joining::SECOND_S;
use crate::series::{Point, Step, steps};
use crate::units::{compact, thousands};

/// Draws the throughput.
pub(in super::super) fn draw(points: &[Point]) -> Option<Chart> {
    let rates = Rates::of(points);
    let drawn = rates.sent.iter().chain(&rates.received);
    let most = drawn.map(Step::per_s).fold(0.0, f64::max);
    if most <= 0.0 {
        return None;
    }
    let x = Scale::Linear {
        low: 0.0,
        high: end_s(points),
    };
    let frame = Frame::new(HALF, x, Scale::from_zero(most));
    let mut svg = Svg::default();
    frame.draw_y(&mut svg, compact);
    let marks = Marks::of(points);
    marks.draw(&frame, &mut svg);
    frame.draw_time(&mut svg);
    let line = |steps: &[Step]| frame.line(&outline(steps, Step::per_s));
    let received = line(&rates.received);
    let floor: Vec<(f64, f64)> = received.iter().map(|&(x, _)| (x, frame.bottom())).collect();
    svg.area(&received, &floor, "blue", 0.16);
    svg.polyline(&line(&rates.sent), "amber", 1.8);
    svg.polyline(&received, "blue", 2.2);
    let mut legend = vec![
        ("blue", "received, right".to_owned()),
        ("amber", "sent".to_owned()),
    ];
    if rates.wrong.iter().any(|step| step.grown > 0) {
        svg.polyline(&line(&rates.wrong), "red", 2.0);
        legend.push(("red", "lost or wrong".to_owned()));
    }
    marks.add_legend(&mut legend);
    svg.hover(frame.bounds(), &rates.hovers(&frame));
    Some(Chart {
        svg: svg.finish(HALF.0, HALF.1, "Messages per second"),
        legend,
    })
}

/// The counters, in the same steps; those of `sent` end earlier.
struct Rates {
    sent: Vec<Step>,
    received: Vec<Step>,
    wrong: Vec<Step>,
}

impl Rates {
    fn of(points: &[Point]) -> Self {
        // Every counter of traffic was 0 at the start.
        let points = [Point::default()].into_iter().chain(points.iter().copied());
        let points: Vec<Point> = points.collect();
        let last_sending = points.iter().rposition(|point| point.traffic.settling == 0);
        let last_sending = last_sending.unwrap_or_default();
        let sending =
            |counter: fn(&Point) -> u64| steps(&points[..=last_sending], STEP_MIN_S, counter);
        let throughout = |counter: fn(&Point) -> u64| {
            let mut all = sending(counter);
            let settling = steps(&points[last_sending..], SECOND_S, counter);
            all.extend(settling.iter().filter(|step| step.length_s() >= SECOND_S));
            all
        };
        Self {
            sent: sending(|point| point.traffic.sent),
            received: throughout(|point| point.traffic.received),
            wrong: throughout(|point| point.traffic.errors + point.traffic.lost),
        }
    }

    fn hovers(&self, frame: &Frame) -> Vec<Hover> {
        let row = |name: &str, step: Option<&Step>, colour: &'static str| {
            let rate = |step: &Step| format!("{}/s", thousands(step.per_s().round() as u64));
            let rate = step.map_or_else(|| "-".to_owned(), rate);
            (name.to_owned(), rate, colour)
        };
        let rows: Vec<usize> = (0..self.received.len()).collect();
        let hover = |&at: &usize| {
            let step = self.received[at];
            Hover {
                x: frame.x_at(step.from_s.midpoint(step.to_s)),
                t: span(step.from_s, step.to_s),
                v: vec![
                    row("received", Some(&step), "blue"),
                    row("sent", self.sent.get(at), "amber"),
                    row("lost or wrong", self.wrong.get(at), "red"),
                ],
            }
        };
        every(&rows, HOVERS).map(hover).collect()
    }
}

/// A report that a signal or a phase cut shorter joins its neighbour: a few messages more or less would be
/// a spike in it.
const STEP_MIN_S: f64 = 0.2;

#[cfg(test)]
mod tests {
    use super::*;

    /// 100/s from 0.5 s on, by reports of these moments; from `settling_s` on only answers, 10/s.
    fn run(moments: &[f64], settling_s: f64) -> Vec<Point> {
        let point = |&at_s: &f64| {
            let mut point = Point {
                at_s,
                ..Point::default()
            };
            let traffic = &mut point.traffic;
            traffic.sent = ((at_s.min(settling_s) - 0.5).max(0.0) * 100.0).round() as u64;
            let late = ((at_s - settling_s).max(0.0) * 10.0).round() as u64;
            traffic.received = traffic.sent.saturating_sub(100) + late;
            traffic.settling = u64::from(at_s > settling_s);
            point
        };
        moments.iter().map(point).collect()
    }

    #[test]
    fn the_line_ends_where_the_sending_ends() {
        let rates = Rates::of(&run(&[0.25, 0.5, 1.5, 2.5, 3.3, 3.31, 3.5], 3.31));
        let (last, before) = (rates.sent[rates.sent.len() - 1], rates.sent[0]);
        assert_eq!((before.from_s, before.grown), (0.0, 0));
        assert_eq!((last.from_s, last.to_s), (2.5, 3.31), "10 ms are no step");
        assert!((last.per_s() - 100.0).abs() < 1e-9, "no plunge");
        assert_eq!(rates.received.len(), rates.sent.len());
    }

    #[test]
    fn answers_that_keep_coming_are_shown() {
        let rates = Rates::of(&run(&[0.5, 1.5, 2.5, 2.7, 2.9, 3.1, 3.3, 3.5, 3.7], 2.5));
        let last = rates.received[rates.received.len() - 1];
        assert_eq!((last.from_s, last.to_s), (2.5, 3.7));
        assert!((last.per_s() - 10.0).abs() < 1e-6, "{last:?}");
        assert_eq!(rates.sent.len() + 1, rates.received.len());
    }
}
