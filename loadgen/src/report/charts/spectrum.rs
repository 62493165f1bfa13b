//! The percentile spectrum: latency over 1/(1-p), both logarithmic. A tail is as wide as the median here,
//! instead of the last pixel of a linear axis.

use hdrhistogram::Histogram;

use super::super::plot::{Frame, Scale, latency_tick};
use super::super::svg::{Anchor, Hover, Svg, TextStyle};
use super::{Chart, HALF};
use crate::histograms::quantile_ms;
use crate::units::millis;

/// One curve.
pub(in super::super) struct Curve<'a> {
    pub(in super::super) name: String,
    pub(in super::super) colour: &'static str,
    pub(in super::super) histogram: &'a Histogram<u64>,
}

/// Draws the curves that have samples.
pub(in super::super) fn draw(curves: &[Curve<'_>]) -> Option<Chart> {
    let curves: Vec<&Curve<'_>> = curves
        .iter()
        .filter(|curve| !curve.histogram.is_empty())
        .collect();
    let longest = curves.iter().map(|curve| curve.histogram.len()).max()?;
    // Beyond one sample there is nothing to know: the axis ends where the samples do.
    let decades = (longest as f64).log10().clamp(2.0, 6.5);
    let least = curves
        .iter()
        .map(|curve| curve.histogram.min_nz().min(curve.histogram.max()))
        .min()? as f64
        / 1e6;
    let most = curves.iter().map(|curve| curve.histogram.max()).max()? as f64 / 1e6;
    let frame = Frame::new(
        HALF,
        Scale::Log {
            low: 1.0,
            high: 10f64.powf(decades),
        },
        Scale::decades(least.max(0.001), most),
    );
    let mut svg = Svg::default();
    frame.draw_y(&mut svg, latency_tick);
    draw_percentiles(&frame, &mut svg, decades);
    for curve in curves.iter().rev() {
        let end = (curve.histogram.len() as f64).log10().min(decades);
        let steps = (end * STEPS_PER_DECADE) as usize;
        let place = |step: usize| 10f64.powf(step as f64 / STEPS_PER_DECADE);
        let points: Vec<(f64, f64)> = (0..=steps)
            .map(|step| {
                frame.at(
                    place(step),
                    quantile_ms(curve.histogram, 1.0 - 1.0 / place(step)).unwrap_or_default(),
                )
            })
            .collect();
        svg.polyline(&points, curve.colour, 2.2);
    }
    svg.hover(frame.bounds(), &hovers(&frame, &curves, decades));
    Some(Chart {
        svg: svg.finish(HALF.0, HALF.1, "Latency by percentile"),
        legend: curves
            .iter()
            .map(|curve| (curve.colour, curve.name.clone()))
            .collect(),
    })
}

fn draw_percentiles(frame: &Frame, svg: &mut Svg, decades: f64) {
    svg.line(
        (frame.left, frame.bottom()),
        (frame.left + frame.width, frame.bottom()),
        "axis",
        1.0,
    );
    for decade in 0..=decades as i32 {
        let place = 10f64.powi(decade);
        let x = frame.x_at(place);
        svg.line((x, frame.top), (x, frame.bottom()), "grid", 1.0);
        svg.text(
            (x, frame.bottom() + 20.0),
            &percentile_name(place),
            &TextStyle::axis(Anchor::Middle),
        );
    }
    // The median is not on a decade, and everybody looks for it.
    svg.text(
        (frame.x_at(2.0), frame.bottom() + 20.0),
        "50",
        &TextStyle::axis(Anchor::Middle),
    );
}

fn percentile_name(place: f64) -> String {
    let decade = place.log10().round() as usize;
    match decade {
        0 => "0".into(),
        1 => "90".into(),
        2 => "99 %".into(),
        _ => format!("99.{}", "9".repeat(decade - 2)),
    }
}

fn hovers(frame: &Frame, curves: &[&Curve<'_>], decades: f64) -> Vec<Hover> {
    let steps = (decades * 10.0) as i32;
    let hover = |step: i32| {
        let place = 10f64.powf(f64::from(step) / 10.0);
        let quantile = 1.0 - 1.0 / place;
        let rows = curves
            .iter()
            .filter(|curve| place <= curve.histogram.len() as f64)
            .filter_map(|curve| {
                Some((
                    curve.name.clone(),
                    millis(quantile_ms(curve.histogram, quantile)?),
                    curve.colour,
                ))
            });
        let decimals = (decades as usize).saturating_sub(2).max(1);
        Hover {
            x: frame.x_at(place),
            t: format!("p{:.decimals$}", quantile * 100.0),
            v: rows.collect(),
        }
    };
    (0..=steps).map(hover).collect()
}

const STEPS_PER_DECADE: f64 = 40.0;
