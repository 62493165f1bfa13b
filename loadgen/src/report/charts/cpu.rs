//! Processor time: the server's, the generator's, and the machine's softirq that belongs to neither.
//!
//! The kernel counts it in ticks of 10 ms, 4 % of a quarter of a second: a line through every report would
//! be a zigzag of rounding. So each value is the mean of a second or more, drawn as wide as that.

use super::super::plot::{Frame, Scale};
use super::super::svg::{Hover, Svg};
use super::{Chart, HALF, HOVERS, Marks, end_s, every, outline, span};
use crate::joining::SECOND_S;
use crate::series::{Point, Step, steps};

/// Draws cores in use.
pub(in super::super) fn draw(points: &[Point]) -> Option<Chart> {
    let all: Vec<Owner> = owners(points)
        .into_iter()
        .filter(|owner| owner.steps.iter().any(|step| step.grown > 0))
        .collect();
    let drawn = all.iter().flat_map(|owner| &owner.steps);
    let most = drawn.map(cores).fold(0.0, f64::max);
    if most <= 0.0 {
        return None;
    }
    let x = Scale::Linear {
        low: 0.0,
        high: end_s(points),
    };
    let frame = Frame::new(HALF, x, Scale::from_zero(most));
    let mut svg = Svg::default();
    frame.draw_y(&mut svg, |cores| format!("{} %", (cores * 100.0).round()));
    let marks = Marks::of(points);
    marks.draw(&frame, &mut svg);
    frame.draw_time(&mut svg);
    for owner in &all {
        svg.polyline(
            &frame.line(&outline(&owner.steps, cores)),
            owner.colour,
            2.0,
        );
    }
    svg.hover(frame.bounds(), &hovers(&frame, &all));
    let mut legend: Vec<(&'static str, String)> = all
        .iter()
        .map(|owner| (owner.colour, owner.name.to_owned()))
        .collect();
    marks.add_legend(&mut legend);
    Some(Chart {
        svg: svg.finish(HALF.0, HALF.1, "Processor time, percent of one core"),
        legend,
    })
}

/// Whose time it is.
struct Owner {
    name: &'static str,
    colour: &'static str,
    /// In milliseconds; the same steps for every owner.
    steps: Vec<Step>,
}

fn owners(points: &[Point]) -> [Owner; 4] {
    let owner = |name, colour, counter: fn(&Point) -> u64| Owner {
        name,
        colour,
        steps: steps(points, SECOND_S, counter),
    };
    [
        owner("server, kernel", "blue", |point| {
            point.system.server.system_ms
        }),
        owner("server, user", "teal", |point| point.system.server.user_ms),
        owner("generator", "violet", |point| {
            point.system.generator.user_ms + point.system.generator.system_ms
        }),
        owner("softirq, whole machine", "amber", |point| {
            point.system.kernel.cpu.softirq_ms
        }),
    ]
}

fn cores(step: &Step) -> f64 {
    step.per_s() / 1000.0
}

fn hovers(frame: &Frame, all: &[Owner]) -> Vec<Hover> {
    let rows: Vec<usize> = (0..all.first().map_or(0, |owner| owner.steps.len())).collect();
    let hover = |&at: &usize| {
        let Step { from_s, to_s, .. } = all[0].steps[at];
        let row = |owner: &Owner| {
            let percent = format!("{:.0} %", cores(&owner.steps[at]) * 100.0);
            (owner.name.to_owned(), percent, owner.colour)
        };
        Hover {
            x: frame.x_at(from_s.midpoint(to_s)),
            t: span(from_s, to_s),
            v: all.iter().map(row).collect(),
        }
    };
    every(&rows, HOVERS).map(hover).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A steady 43 % of a core, as ticks of 10 ms show it to reports of a quarter of a second.
    #[test]
    fn a_steady_load_is_a_level_line() {
        let point = |quarter: u32| {
            let at_s = f64::from(quarter) * 0.25;
            let mut point = Point {
                at_s,
                ..Point::default()
            };
            point.system.server.user_ms = (at_s * 43.0) as u64 * 10;
            point
        };
        let points: Vec<Point> = (0..=41).map(point).collect();
        let by_report = steps(&points, 0.0, |point| point.system.server.user_ms);
        let spread = |steps: &[Step]| {
            let shares = steps.iter().map(cores);
            let (least, most) = shares.fold((1.0, 0.0), |(a, b): (f64, f64), share| {
                (a.min(share), b.max(share))
            });
            most - least
        };
        assert!(spread(&by_report) >= 0.039, "the control zigzags");
        let user = &owners(&points)[1].steps;
        assert!(spread(user) <= 0.011, "{user:?}");
        assert!(user.iter().all(|step| step.length_s() >= SECOND_S));
    }
}
