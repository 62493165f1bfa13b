//! The memory ledger over time: who holds how much, stacked.

use super::super::plot::{Frame, Scale, clock};
use super::super::svg::{Hover, Svg};
use super::{Chart, HALF, HOVERS, POINTS_DRAWN, end_s, every};
use crate::series::Point;
use crate::units::bytes;

/// One layer, from the bottom up.
struct Layer {
    name: &'static str,
    colour: &'static str,
    quantity: fn(&Point) -> u64,
}

/// Draws the stack. Kernel memory is shown as growth since the start: what the machine had before is nobody's.
pub(in super::super) fn draw(points: &[Point]) -> Option<Chart> {
    let first = points.first()?;
    let layers: Vec<&Layer> = LAYERS
        .iter()
        .filter(|layer| points.iter().any(|point| grown(layer, first, point) > 0.0))
        .collect();
    if layers.is_empty() {
        return None;
    }
    let total = |point: &Point| {
        layers
            .iter()
            .map(|layer| grown(layer, first, point))
            .sum::<f64>()
    };
    let most = points.iter().map(total).fold(0.0, f64::max);
    let x = Scale::Linear {
        low: 0.0,
        high: end_s(points),
    };
    // In units of 1024, or the lines would stand at 4.7 GiB.
    let (unit_bytes, unit) = unit_of(most);
    let frame = Frame::new(HALF, x, Scale::from_zero(most / unit_bytes));
    let mut svg = Svg::default();
    frame.draw_y(&mut svg, |value| format!("{value} {unit}"));
    frame.draw_time(&mut svg);
    let drawn: Vec<&Point> = every(points, POINTS_DRAWN).collect();
    let mut lower = vec![0.0; drawn.len()];
    for layer in &layers {
        let upper: Vec<f64> = drawn
            .iter()
            .zip(&lower)
            .map(|(point, low)| low + grown(layer, first, point))
            .collect();
        let line = |heights: &[f64]| {
            drawn
                .iter()
                .zip(heights)
                .map(|(point, &y)| frame.at(point.at_s, y / unit_bytes))
                .collect::<Vec<_>>()
        };
        svg.area(&line(&upper), &line(&lower), layer.colour, 0.75);
        lower = upper;
    }
    let hovers = every(points, HOVERS).map(|point| {
        let mut rows: Vec<_> = layers
            .iter()
            .rev()
            .map(|layer| {
                (
                    layer.name.to_owned(),
                    bytes(grown(layer, first, point)),
                    layer.colour,
                )
            })
            .collect();
        rows.push(("together".into(), bytes(total(point)), "ink"));
        Hover {
            x: frame.x_at(point.at_s),
            t: clock(point.at_s),
            v: rows,
        }
    });
    svg.hover(frame.bounds(), &hovers.collect::<Vec<_>>());
    Some(Chart {
        svg: svg.finish(HALF.0, HALF.1, "Memory over time"),
        legend: layers
            .iter()
            .map(|layer| (layer.colour, layer.name.to_owned()))
            .collect(),
    })
}

fn grown(layer: &Layer, first: &Point, point: &Point) -> f64 {
    let base = if layer.name.starts_with("kernel") {
        (layer.quantity)(first)
    } else {
        0
    };
    (layer.quantity)(point).saturating_sub(base) as f64
}

/// The largest unit that leaves a number of at least 1.
fn unit_of(most: f64) -> (f64, &'static str) {
    const UNITS: [(f64, &str); 3] = [
        (1_073_741_824.0, "GiB"),
        (1_048_576.0, "MiB"),
        (1024.0, "KiB"),
    ];
    UNITS
        .into_iter()
        .find(|(size, _)| most >= *size)
        .unwrap_or((1.0, "B"))
}

const LAYERS: &[Layer] = &[
    Layer {
        name: "server, resident",
        colour: "teal",
        quantity: |point| point.system.server.rss_bytes,
    },
    Layer {
        name: "generator, resident",
        colour: "violet",
        quantity: |point| point.system.generator.rss_bytes,
    },
    Layer {
        name: "kernel, sockets",
        colour: "blue",
        quantity: |point| point.system.kernel.slab.tcp_bytes,
    },
    Layer {
        name: "kernel, inodes, dentries, files",
        colour: "sky",
        quantity: |point| {
            let slab = &point.system.kernel.slab;
            slab.inode_bytes + slab.dentry_bytes + slab.file_bytes
        },
    },
    Layer {
        name: "kernel, epoll, ports, packets",
        colour: "amber",
        quantity: |point| {
            let slab = &point.system.kernel.slab;
            slab.epoll_bytes + slab.bind_bytes + slab.packet_bytes + slab.passing_bytes
        },
    },
];
