//! Latency over time, every sample in it: one column a second, one row per step of latency, darker where
//! more samples fell. A line of percentiles alone hides pauses and double humps.

use super::super::plot::{Frame, Scale, clock, latency_tick};
use super::super::svg::{Hover, Svg};
use super::{Chart, HOVERS, WIDE, every};
use crate::histograms::SparseInterval;
use crate::units::{millis, thousands};

/// The least and the largest latency.
pub(in super::super) fn range_ms<'a>(
    intervals: impl Iterator<Item = &'a SparseInterval>,
) -> (f64, f64) {
    let values = intervals
        .flat_map(|interval| &interval.counts)
        .map(|&(nanos, _)| nanos as f64 / 1e6);
    values.fold((f64::INFINITY, 0.0), |(least, most), ms| {
        (least.min(ms), most.max(ms))
    })
}

/// Draws the response latencies on an axis that holds this range.
pub(in super::super) fn draw(
    intervals: &[SparseInterval],
    (least, most): (f64, f64),
    limited: &[(f64, f64)],
) -> Option<Chart> {
    if most <= 0.0 {
        return None;
    }
    let end_s = intervals
        .last()
        .map_or(1.0, |last| last.start_s + last.length_s);
    let x = Scale::Linear {
        low: 0.0,
        high: end_s,
    };
    let frame = Frame::new(WIDE, x, Scale::decades(least.max(0.001), most));
    let mut svg = Svg::default();
    frame.draw_y(&mut svg, latency_tick);
    frame.draw_limited(&mut svg, limited);
    draw_cells(&frame, &mut svg, intervals, end_s);
    for (quantile, colour) in [(0.99, "amber"), (0.5, "ink")] {
        let points = intervals
            .iter()
            .filter_map(|i| Some(frame.at(i.start_s + i.length_s / 2.0, i.quantile_ms(quantile)?)));
        svg.polyline(&points.collect::<Vec<_>>(), colour, 1.6);
    }
    frame.draw_time(&mut svg);
    svg.hover(
        frame.bounds(),
        &every(intervals, HOVERS)
            .map(|interval| hover(&frame, interval))
            .collect::<Vec<_>>(),
    );
    let legend = [
        ("ink", "median"),
        ("amber", "p99"),
        ("heat", "samples: darker is more"),
    ];
    Some(Chart {
        svg: svg.finish(WIDE.0, WIDE.1, "Response latency over time"),
        legend: legend
            .map(|(colour, name)| (colour, name.to_owned()))
            .to_vec(),
    })
}

/// Fills a grid and draws it in a dozen shades, one element each; neighbours in a row are joined.
fn draw_cells(frame: &Frame, svg: &mut Svg, intervals: &[SparseInterval], end_s: f64) {
    let columns = intervals.len().clamp(1, COLUMNS_MAX);
    let mut grid = vec![0u64; columns * ROWS];
    for interval in intervals {
        let column = ((interval.start_s / end_s * columns as f64) as usize).min(columns - 1);
        for &(nanos, count) in &interval.counts {
            let row = ((frame.y.place(nanos as f64 / 1e6) * ROWS as f64) as usize).min(ROWS - 1);
            grid[column * ROWS + row] += count;
        }
    }
    let most = grid.iter().copied().max().unwrap_or(1).max(2) as f64;
    // Logarithmic shades: a second's lone outlier must be seen beside ten thousand of its neighbours.
    let shade = |count: u64| match count {
        0 => 0,
        count => 1 + ((count as f64).ln() / most.ln() * (SHADES - 1) as f64).round() as usize,
    };
    let (cell_w, cell_h) = (frame.width / columns as f64, frame.height / ROWS as f64);
    let mut shades: Vec<Vec<(f64, f64, f64, f64)>> = vec![Vec::new(); SHADES + 1];
    for row in 0..ROWS {
        let y = frame.bottom() - (row + 1) as f64 * cell_h;
        let mut column = 0;
        while column < columns {
            let level = shade(grid[column * ROWS + row]);
            let run = (column..columns)
                .take_while(|&c| shade(grid[c * ROWS + row]) == level)
                .count();
            shades[level].push((
                frame.left + column as f64 * cell_w,
                y,
                run as f64 * cell_w,
                cell_h,
            ));
            column += run;
        }
    }
    for (level, cells) in shades.iter().enumerate().skip(1) {
        svg.cells(cells, "heat", 0.10 + 0.85 * level as f64 / SHADES as f64);
    }
}

fn hover(frame: &Frame, interval: &SparseInterval) -> Hover {
    let quantile = |name: &str, quantile: f64, colour: &'static str| {
        (
            name.to_owned(),
            interval
                .quantile_ms(quantile)
                .map_or_else(|| "-".into(), millis),
            colour,
        )
    };
    Hover {
        x: frame.x_at(interval.start_s + interval.length_s / 2.0),
        t: clock(interval.start_s),
        v: vec![
            quantile("median", 0.5, "ink"),
            quantile("p90", 0.9, "heat"),
            quantile("p99", 0.99, "amber"),
            quantile("max", 1.0, "red"),
            ("samples".into(), thousands(interval.count()), "muted"),
        ],
    }
}

const COLUMNS_MAX: usize = 240;
const ROWS: usize = 44;
const SHADES: usize = 12;
