//! Processor time: the server's, the generator's, and the machine's softirq that belongs to neither.

use super::super::plot::{Frame, Scale, clock, thin};
use super::super::svg::{Hover, Svg};
use super::{Chart, HALF, HOVERS, POINTS_DRAWN, end_s, every, limited_seconds};
use crate::series::{Point, rates};

/// Draws cores in use.
pub(in super::super) fn draw(points: &[Point]) -> Option<Chart> {
    let cores = |counter: fn(&Point) -> u64| -> Vec<(f64, f64)> {
        rates(points, counter)
            .into_iter()
            .map(|(at, ms)| (at, ms / 1000.0))
            .collect()
    };
    let all = [
        (
            "server, kernel",
            "blue",
            cores(|point| point.system.server.system_ms),
        ),
        (
            "server, user",
            "teal",
            cores(|point| point.system.server.user_ms),
        ),
        (
            "generator",
            "violet",
            cores(|point| point.system.generator.user_ms + point.system.generator.system_ms),
        ),
        (
            "softirq, whole machine",
            "amber",
            cores(|point| point.system.kernel.cpu.softirq_ms),
        ),
    ];
    let all: Vec<_> = all
        .into_iter()
        .filter(|(_, _, line)| line.iter().any(|&(_, cores)| cores > 0.0))
        .collect();
    let most = all
        .iter()
        .flat_map(|(_, _, line)| line)
        .map(|&(_, cores)| cores)
        .fold(0.0, f64::max);
    if most <= 0.0 {
        return None;
    }
    let frame = Frame::new(
        HALF,
        Scale::Linear {
            low: 0.0,
            high: end_s(points),
        },
        Scale::from_zero(most),
    );
    let mut svg = Svg::default();
    frame.draw_y(&mut svg, |cores| format!("{} %", (cores * 100.0).round()));
    frame.draw_limited(&mut svg, &limited_seconds(points));
    frame.draw_time(&mut svg);
    for (_, colour, line) in &all {
        svg.polyline(&frame.line(&thin(line, POINTS_DRAWN)), colour, 2.0);
    }
    let rows: Vec<usize> = (0..points.len().saturating_sub(1)).collect();
    let hovers = every(&rows, HOVERS).map(|&at| Hover {
        x: frame.x_at(points[at + 1].at_s),
        t: clock(points[at + 1].at_s),
        v: all
            .iter()
            .map(|(name, colour, line)| {
                (
                    (*name).to_owned(),
                    format!("{:.0} %", line[at].1 * 100.0),
                    *colour,
                )
            })
            .collect(),
    });
    svg.hover(frame.bounds(), &hovers.collect::<Vec<_>>());
    Some(Chart {
        svg: svg.finish(HALF.0, HALF.1, "Processor time, percent of one core"),
        legend: all
            .iter()
            .map(|(name, colour, _)| (*colour, (*name).to_owned()))
            .collect(),
    })
}
