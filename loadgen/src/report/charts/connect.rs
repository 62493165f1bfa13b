//! What a connect costs as the pool fills. Where the kernel looks for the port, this curve climbs twentyfold
//! behind the middle of a pool; with every tuple chosen beforehand it stays level, and here it can be seen to.

use super::super::plot::{Frame, Scale};
use super::super::svg::{Anchor, Hover, Svg, TextStyle};
use super::{Chart, HALF, HOVERS, every};
use crate::connect_cost::{ConnectCost, Part};
use crate::units::{compact, significant, thousands};

/// Draws the cost over the connections that were open.
pub(in super::super) fn draw(cost: &ConnectCost) -> Option<Chart> {
    let most_us = cost.parts().iter().map(|part| part.us).fold(0.0, f64::max);
    let end = cost.parts().last()?.to;
    let x = Scale::Linear {
        low: 0.0,
        high: end as f64,
    };
    let frame = Frame::new(HALF, x, Scale::from_zero(most_us));
    let mut svg = Svg::default();
    frame.draw_y(&mut svg, |us| format!("{} us", compact(us)));
    draw_connections(&frame, &mut svg);
    let corners = cost
        .parts()
        .iter()
        .flat_map(|part| [(part.from as f64, part.us), (part.to as f64, part.us)]);
    let line = frame.line(&corners.collect::<Vec<_>>());
    let floor: Vec<(f64, f64)> = line.iter().map(|&(x, _)| (x, frame.bottom())).collect();
    svg.area(&line, &floor, "amber", 0.16);
    svg.polyline(&line, "amber", 2.2);
    let hovers: Vec<Hover> = every(cost.parts(), HOVERS)
        .map(|part| hover(&frame, part))
        .collect();
    svg.hover(frame.bounds(), &hovers);
    Some(Chart {
        svg: svg.finish(
            HALF.0,
            HALF.1,
            "Time of a connect over the connections open",
        ),
        legend: vec![("amber", "mean of a report".to_owned())],
    })
}

fn draw_connections(frame: &Frame, svg: &mut Svg) {
    let right = frame.left + frame.width;
    svg.line(
        (frame.left, frame.bottom()),
        (right, frame.bottom()),
        "axis",
        1.0,
    );
    for tick in frame.x.ticks(5.0) {
        let x = frame.x_at(tick);
        // The last label would stick out of the drawing.
        let anchor = if x > right - 12.0 {
            Anchor::End
        } else {
            Anchor::Middle
        };
        svg.text(
            (x, frame.bottom() + 20.0),
            &compact(tick),
            &TextStyle::axis(anchor),
        );
    }
}

fn hover(frame: &Frame, part: &Part) -> Hover {
    Hover {
        x: frame.x_at(part.from.midpoint(part.to) as f64),
        t: format!("{} to {}", thousands(part.from), thousands(part.to)),
        v: vec![(
            "a connect".to_owned(),
            format!("{} us", significant(part.us)),
            "amber",
        )],
    }
}
