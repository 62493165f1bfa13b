//! Messages per second: what was sent, what came back.

use super::super::plot::{Frame, Scale, clock, thin};
use super::super::svg::{Hover, Svg};
use super::{Chart, HALF, HOVERS, POINTS_DRAWN, end_s, every, limited_seconds};
use crate::series::{Point, rates};
use crate::units::{compact, thousands};

/// Draws the throughput.
pub(in super::super) fn draw(points: &[Point]) -> Option<Chart> {
    let sent = rates(points, |point| point.traffic.sent);
    let received = rates(points, |point| point.traffic.received);
    let errors = rates(points, |point| point.traffic.errors + point.traffic.lost);
    let most = sent
        .iter()
        .chain(&received)
        .map(|&(_, rate)| rate)
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
    frame.draw_y(&mut svg, compact);
    frame.draw_limited(&mut svg, &limited_seconds(points));
    frame.draw_time(&mut svg);
    let line = |series: &[(f64, f64)]| frame.line(&thin(series, POINTS_DRAWN));
    let received_line = line(&received);
    let floor: Vec<(f64, f64)> = received_line
        .iter()
        .map(|&(x, _)| (x, frame.bottom()))
        .collect();
    svg.area(&received_line, &floor, "blue", 0.16);
    svg.polyline(&line(&sent), "amber", 1.8);
    svg.polyline(&received_line, "blue", 2.2);
    let wrong = errors.iter().any(|&(_, rate)| rate > 0.0);
    if wrong {
        svg.polyline(&line(&errors), "red", 2.0);
    }
    let row = |name: &str, rate: f64, colour: &'static str| {
        (
            name.to_owned(),
            format!("{}/s", thousands(rate.round() as u64)),
            colour,
        )
    };
    let rows: Vec<usize> = (0..sent.len()).collect();
    let hovers = every(&rows, HOVERS).map(|&at| Hover {
        x: frame.x_at(sent[at].0),
        t: clock(sent[at].0),
        v: vec![
            row("received", received[at].1, "blue"),
            row("sent", sent[at].1, "amber"),
            row("lost or wrong", errors[at].1, "red"),
        ],
    });
    svg.hover(frame.bounds(), &hovers.collect::<Vec<_>>());
    let mut legend = vec![
        ("blue", "received, right".to_owned()),
        ("amber", "sent".to_owned()),
    ];
    if wrong {
        legend.push(("red", "lost or wrong".to_owned()));
    }
    Some(Chart {
        svg: svg.finish(HALF.0, HALF.1, "Messages per second"),
        legend,
    })
}
