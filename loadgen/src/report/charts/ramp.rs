//! Connected, upgraded, proven alive: three series, because each hides a different lie.

use super::super::plot::{Frame, Scale, clock, thin};
use super::super::svg::{Hover, Svg};
use super::{Chart, HOVERS, Marks, POINTS_DRAWN, end_s, every};
use crate::series::{Point, Traffic};
use crate::units::{compact, thousands};

/// Draws the ramp.
pub(in super::super) fn draw(points: &[Point], size: (f64, f64)) -> Option<Chart> {
    let most = points
        .iter()
        .map(|point| point.traffic.requested.max(point.traffic.connected))
        .max()
        .filter(|&most| most > 0)?;
    let x = Scale::Linear {
        low: 0.0,
        high: end_s(points),
    };
    let frame = Frame::new(size, x, Scale::from_zero(most as f64));
    let mut svg = Svg::default();
    frame.draw_y(&mut svg, compact);
    let marks = Marks::of(points);
    marks.draw(&frame, &mut svg);
    frame.draw_time(&mut svg);
    let line = |start: Option<(f64, f64)>, pick: fn(&Traffic) -> u64| {
        let moments = points
            .iter()
            .map(|point| (point.at_s, pick(&point.traffic) as f64));
        let series: Vec<(f64, f64)> = start.into_iter().chain(moments).collect();
        frame.line(&thin(&series, POINTS_DRAWN))
    };
    // The first report comes a moment after the start, when there was nothing.
    let nothing = Some((0.0, 0.0));
    let alive = line(nothing, |traffic| traffic.proven_alive);
    let floor: Vec<(f64, f64)> = alive.iter().map(|&(x, _)| (x, frame.bottom())).collect();
    svg.area(&alive, &floor, "teal", 0.22);
    svg.polyline(&line(None, |traffic| traffic.requested), "faint", 1.5);
    svg.polyline(&line(nothing, |traffic| traffic.connected), "amber", 2.0);
    svg.polyline(&line(nothing, |traffic| traffic.upgraded), "blue", 2.0);
    svg.polyline(&alive, "teal", 2.6);
    svg.hover(
        frame.bounds(),
        &every(points, HOVERS)
            .map(|point| hover(&frame, point))
            .collect::<Vec<_>>(),
    );
    let legend = [
        ("teal", "proven alive"),
        ("blue", "upgraded"),
        ("amber", "connected"),
        ("faint", "requested"),
    ];
    let mut legend = legend
        .map(|(colour, name)| (colour, name.to_owned()))
        .to_vec();
    marks.add_legend(&mut legend);
    Some(Chart {
        svg: svg.finish(size.0, size.1, "Connections over time"),
        legend,
    })
}

fn hover(frame: &Frame, point: &Point) -> Hover {
    let traffic = &point.traffic;
    let row =
        |name: &str, value: u64, colour: &'static str| (name.to_owned(), thousands(value), colour);
    let mut rows = vec![
        row("proven alive", traffic.proven_alive, "teal"),
        row("upgraded", traffic.upgraded, "blue"),
        row("connected", traffic.connected, "amber"),
        row("requested", traffic.requested, "faint"),
        row("failed", traffic.failed, "red"),
    ];
    if point.system.kernel.sockets.tcp_in_use > 0 {
        rows.push(row(
            "kernel TCP sockets",
            point.system.kernel.sockets.tcp_in_use,
            "muted",
        ));
    }
    if traffic.server_gauge > 0 {
        rows.push(row("server's own count", traffic.server_gauge, "violet"));
    }
    Hover {
        x: frame.x_at(point.at_s),
        t: clock(point.at_s),
        v: rows,
    }
}
