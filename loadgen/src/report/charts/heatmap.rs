//! Latency over time, every sample in it: one column per interval, as wide as it lasted, one row per step of
//! latency, the fuller the more samples *per second* fell there: a quarter of a second is not pale because
//! it is short. A line of percentiles alone hides pauses and double humps.

use super::super::plot::{Frame, Scale, latency_tick};
use super::super::svg::{Hover, Svg};
use super::{Chart, HOVERS, Marks, WIDE, every, span};
use crate::histograms::SparseInterval;
use crate::joining::join_until;
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
    marks: &Marks,
) -> Option<Chart> {
    if most <= 0.0 {
        return None;
    }
    let end_s = intervals.last().map_or(1.0, SparseInterval::end_s);
    let x = Scale::Linear {
        low: 0.0,
        high: end_s,
    };
    let frame = Frame::new(WIDE, x, Scale::decades(least.max(0.001), most));
    let mut svg = Svg::default();
    frame.draw_y(&mut svg, latency_tick);
    marks.draw(&frame, &mut svg);
    draw_cells(&frame, &mut svg, &columns_of(intervals, end_s));
    for (quantile, colour) in [(0.99, "amber"), (0.5, "ink")] {
        for line in quantile_lines(intervals, quantile) {
            svg.polyline(&frame.line(&line), colour, 1.8);
        }
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
        (
            "heat",
            "samples: the fuller the colour, the more per second",
        ),
    ];
    let mut legend = legend
        .map(|(colour, name)| (colour, name.to_owned()))
        .to_vec();
    marks.add_legend(&mut legend);
    Some(Chart {
        svg: svg.finish(WIDE.0, WIDE.1, "Response latency over time"),
        legend,
    })
}

/// The intervals, joined where there are more than one can see.
fn columns_of(intervals: &[SparseInterval], end_s: f64) -> Vec<SparseInterval> {
    let width_min_s = end_s / COLUMNS_MAX as f64;
    let is_visible = |column: &SparseInterval| column.length_s >= width_min_s;
    join_until(intervals.iter().cloned(), is_visible, SparseInterval::join)
}

/// A quantile over time, where every value is made of enough samples to have it. One line per stretch of
/// time with samples: nothing is known between two of them.
fn quantile_lines(intervals: &[SparseInterval], quantile: f64) -> Vec<Vec<(f64, f64)>> {
    let samples_min = ((1.0 / (1.0 - quantile)).round() as u64).max(SAMPLES_MIN);
    let measured = intervals.iter().filter(|interval| interval.count() > 0);
    let is_enough = |stretch: &SparseInterval| stretch.count() >= samples_min;
    let stretches = join_until(measured.cloned(), is_enough, SparseInterval::join);
    let mut lines: Vec<Vec<(f64, f64)>> = Vec::new();
    for stretch in stretches.iter().filter(|stretch| is_enough(stretch)) {
        let (start_s, end_s) = (stretch.start_s, stretch.end_s());
        let ms = stretch.quantile_ms(quantile).unwrap_or_default();
        let is_next = |line: &&mut Vec<(f64, f64)>| {
            line.last()
                .is_some_and(|&(last_s, _)| start_s - last_s < ROUNDING_S)
        };
        match lines.last_mut().filter(is_next) {
            Some(line) => line.extend([(start_s, ms), (end_s, ms)]),
            None => lines.push(vec![(start_s, ms), (end_s, ms)]),
        }
    }
    lines
}

/// One column of the map: where it stands, and its rows' shades from the bottom up.
#[derive(Debug)]
struct Column {
    left: f64,
    right: f64,
    shades: [usize; ROWS],
}

fn shaded(frame: &Frame, intervals: &[SparseInterval]) -> Vec<Column> {
    let densities = |interval: &SparseInterval| {
        let mut rows = [0.0; ROWS];
        for &(nanos, count) in &interval.counts {
            let row = (frame.y.place(nanos as f64 / 1e6) * ROWS as f64) as usize;
            rows[row.min(ROWS - 1)] += count as f64 / interval.length_s.max(1e-3);
        }
        rows
    };
    let columns: Vec<_> = intervals.iter().map(densities).collect();
    let most = columns.iter().flatten().copied().fold(0.0, f64::max);
    let longest_s = intervals.iter().map(|interval| interval.length_s);
    // The least that can be seen: a lone sample in the longest column.
    let least = 1.0 / longest_s.fold(1e-3, f64::max);
    let range = (most / least).max(2.0).ln();
    // Logarithmic shades: a second's lone outlier must be seen beside ten thousand of its neighbours.
    let shade = |density: f64| match density {
        0.0 => 0,
        density => 1 + ((density / least).ln() / range * (SHADES - 1) as f64).round() as usize,
    };
    let column = |(interval, rows): (&SparseInterval, [f64; ROWS])| Column {
        left: frame.x_at(interval.start_s),
        right: frame.x_at(interval.end_s()),
        shades: rows.map(shade),
    };
    intervals.iter().zip(columns).map(column).collect()
}

/// Draws the columns in a dozen shades, one element each; neighbours of one shade in a row are joined.
fn draw_cells(frame: &Frame, svg: &mut Svg, intervals: &[SparseInterval]) {
    let cell_h = frame.height / ROWS as f64;
    let mut shades: Vec<Vec<(f64, f64, f64, f64)>> = vec![Vec::new(); SHADES + 1];
    let columns = shaded(frame, intervals);
    for row in 0..ROWS {
        let y = frame.bottom() - (row + 1) as f64 * cell_h;
        let is_same = |one: &Column, next: &Column| {
            one.shades[row] == next.shades[row] && next.left - one.right < JOINT
        };
        for run in columns.chunk_by(is_same) {
            let (first, last) = (&run[0], &run[run.len() - 1]);
            let cell = (first.left, y, last.right - first.left, cell_h);
            shades[first.shades[row]].push(cell);
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
        t: span(interval.start_s, interval.end_s()),
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
/// A median of fewer jumps about.
const SAMPLES_MIN: u64 = 20;
/// Logs are written to the millisecond: ends and beginnings are equal within two.
const ROUNDING_S: f64 = 0.005;
/// Columns this close touch; coordinates have one decimal.
const JOINT: f64 = 0.1;

#[cfg(test)]
mod tests;
