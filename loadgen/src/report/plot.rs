//! Scales, axes and the frame that every chart stands in.

use super::svg::{Anchor, Svg, TextStyle};
use crate::units::{compact, significant};

/// Maps values to a stretch of 0 to 1.
#[derive(Debug, Clone, Copy)]
pub(super) enum Scale {
    Linear { low: f64, high: f64 },
    Log { low: f64, high: f64 },
}

impl Scale {
    /// From 0 to a little above `most`; rounding up to the next tick would waste a third of the frame.
    pub(super) fn from_zero(most: f64) -> Self {
        Self::Linear {
            low: 0.0,
            high: most.max(1e-9) * 1.05,
        }
    }

    /// Powers of ten around a range, at least one decade.
    pub(super) fn decades(least: f64, most: f64) -> Self {
        let low = 10f64.powf(least.max(1e-9).log10().floor());
        let high = 10f64.powf(most.max(least).max(1e-9).log10().ceil());
        Self::Log {
            low,
            high: high.max(low * 10.0),
        }
    }

    /// Where a value falls, 0 to 1.
    pub(super) fn place(self, value: f64) -> f64 {
        let share = match self {
            Self::Linear { low, high } => (value - low) / (high - low).max(1e-12),
            Self::Log { low, high } => {
                (value.max(low) / low).log10() / (high / low).log10().max(1e-12)
            }
        };
        share.clamp(0.0, 1.0)
    }

    /// Places worth a line.
    pub(super) fn ticks(self, about: f64) -> Vec<f64> {
        match self {
            Self::Linear { low, high } => {
                let step = step_for(high - low, about);
                let first = (low / step).ceil() as i64;
                let last = (high / step + 1e-9).floor() as i64;
                (first..=last.min(first + 50))
                    .map(|n| n as f64 * step)
                    .collect()
            }
            Self::Log { low, high } => {
                let (first, last) = (
                    (low.log10() - 1e-9).ceil() as i32,
                    (high.log10() + 1e-9).floor() as i32,
                );
                (first..=last).map(|n| 10f64.powi(n)).collect()
            }
        }
    }
}

/// The box of a chart with its two scales.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame {
    pub(super) left: f64,
    pub(super) top: f64,
    pub(super) width: f64,
    pub(super) height: f64,
    pub(super) x: Scale,
    pub(super) y: Scale,
}

impl Frame {
    /// A frame inside a drawing of this size, with room for labels.
    pub(super) const fn new(size: (f64, f64), x: Scale, y: Scale) -> Self {
        Self {
            left: 62.0,
            top: 14.0,
            width: size.0 - 62.0 - MARGIN_RIGHT,
            height: size.1 - 14.0 - 34.0,
            x,
            y,
        }
    }

    pub(super) fn at(&self, x: f64, y: f64) -> (f64, f64) {
        (self.x_at(x), self.y_at(y))
    }

    pub(super) fn x_at(&self, x: f64) -> f64 {
        self.left + self.x.place(x) * self.width
    }

    pub(super) fn y_at(&self, y: f64) -> f64 {
        self.top + (1.0 - self.y.place(y)) * self.height
    }

    pub(super) fn line(&self, points: &[(f64, f64)]) -> Vec<(f64, f64)> {
        points.iter().map(|&(x, y)| self.at(x, y)).collect()
    }

    pub(super) const fn bottom(&self) -> f64 {
        self.top + self.height
    }

    pub(super) const fn bounds(&self) -> (f64, f64, f64, f64) {
        (self.left, self.top, self.width, self.height)
    }

    /// Horizontal lines with values at the left.
    pub(super) fn draw_y(&self, svg: &mut Svg, label: impl Fn(f64) -> String) {
        for tick in self.y.ticks(4.0) {
            let y = self.y_at(tick);
            svg.line((self.left, y), (self.left + self.width, y), "grid", 1.0);
            svg.text(
                (self.left - 10.0, y + 4.0),
                &label(tick),
                &TextStyle::axis(Anchor::End),
            );
        }
    }

    /// The line at the bottom with the time under it.
    pub(super) fn draw_time(&self, svg: &mut Svg) {
        svg.line(
            (self.left, self.bottom()),
            (self.left + self.width, self.bottom()),
            "axis",
            1.0,
        );
        let Scale::Linear { high: end_s, .. } = self.x else {
            return;
        };
        let step_s = TIME_STEPS_S
            .into_iter()
            .find(|step| end_s / step <= 9.0)
            .unwrap_or(end_s / 9.0);
        for n in 0..=(end_s / step_s + 1e-9) as u32 {
            let tick_s = f64::from(n) * step_s;
            let x = self.x_at(tick_s);
            let label = clock(tick_s);
            // The last label would stick out of the drawing.
            let half_width = label.len() as f64 * AXIS_LETTER / 2.0;
            let anchor = if x + half_width > self.left + self.width + MARGIN_RIGHT {
                Anchor::End
            } else {
                Anchor::Middle
            };
            svg.text((x, self.bottom() + 20.0), &label, &TextStyle::axis(anchor));
        }
    }

    /// Shades stretches of time.
    pub(super) fn draw_bands(&self, svg: &mut Svg, bands: &[(f64, f64)], colour: &str) {
        for &(from_s, to_s) in bands {
            let (left, right) = (self.x_at(from_s), self.x_at(to_s));
            let size = ((right - left).max(1.0), self.height);
            svg.rect((left, self.top), size, colour, 0.16);
        }
    }
}

/// Seconds as a clock: `0:45`, `2:30`, `1:05:00`; fractions only where there are some.
pub(super) fn clock(seconds: f64) -> String {
    let whole = seconds.floor() as i64;
    let fraction = ((seconds - seconds.floor()) * 10.0).round() as i64;
    let tail = if fraction > 0 {
        format!(".{}", fraction.min(9))
    } else {
        String::new()
    };
    match whole {
        0..=3599 => format!("{}:{:02}{tail}", whole / 60, whole % 60),
        _ => format!("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60),
    }
}

/// Milliseconds on a logarithmic axis: `100 us`, `1 ms`, `10 s`.
pub(super) fn latency_tick(ms: f64) -> String {
    match ms {
        ms if ms < 0.9995 => format!("{} us", compact(ms * 1000.0)),
        ms if ms < 999.5 => format!("{} ms", compact(ms)),
        _ => format!(
            "{} s",
            significant(ms / 1000.0)
                .trim_end_matches(".00")
                .trim_end_matches(".0")
        ),
    }
}

/// At most `most` points; of each bucket the lowest and the highest survive, so that no peak is drawn away.
pub(super) fn thin(points: &[(f64, f64)], most: usize) -> Vec<(f64, f64)> {
    if points.len() <= most {
        return points.to_vec();
    }
    let per_bucket = points.len().div_ceil(most / 2);
    let mut kept = Vec::with_capacity(most);
    for bucket in points.chunks(per_bucket) {
        let by_value = |a: &&(f64, f64), b: &&(f64, f64)| a.1.total_cmp(&b.1);
        if let (Some(&low), Some(&high)) = (
            bucket.iter().min_by(by_value),
            bucket.iter().max_by(by_value),
        ) {
            if low.0 == high.0 {
                kept.push(low);
            } else {
                kept.extend(if low.0 < high.0 {
                    [low, high]
                } else {
                    [high, low]
                });
            }
        }
    }
    kept
}

/// Distances between the labels of a time axis that a clock has too.
const TIME_STEPS_S: [f64; 16] = [
    0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 7200.0,
    21_600.0, 86_400.0,
];

/// Room for half of the last label of a time axis, and what a letter of it takes.
const MARGIN_RIGHT: f64 = 16.0;
const AXIS_LETTER: f64 = 7.0;

/// 1, 2 or 5 times a power of ten, whichever comes closest to filling the range with that many steps.
fn step_for(range: f64, about: f64) -> f64 {
    let raw = range / about;
    let magnitude = 10f64.powf(raw.log10().floor());
    let multiple = match raw / magnitude {
        m if m < 1.5 => 1.0,
        m if m < 3.2 => 2.0,
        m if m < 7.1 => 5.0,
        _ => 10.0,
    };
    multiple * magnitude
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_inside() {
        for (most, expected) in [
            (8000.0, vec![0.0, 2000.0, 4000.0, 6000.0, 8000.0]),
            (7.0, vec![0.0, 2.0, 4.0, 6.0]),
            (4.0, vec![0.0, 1.0, 2.0, 3.0, 4.0]),
            (1_000_000.0, vec![0.0, 2e5, 4e5, 6e5, 8e5, 1e6]),
        ] {
            assert_eq!(Scale::from_zero(most).ticks(4.0), expected, "{most}");
        }
        assert_eq!(
            Scale::decades(0.2, 30.0).ticks(4.0),
            [0.1, 1.0, 10.0, 100.0]
        );
        assert!(Scale::from_zero(0.0).ticks(4.0).len() < 60);
        assert!(Scale::decades(5.0, 5.0).place(50.0).is_finite());
    }

    #[test]
    fn places_stay_inside_the_frame() {
        let frame = Frame::new(
            (400.0, 200.0),
            Scale::from_zero(10.0),
            Scale::decades(1.0, 100.0),
        );
        for (x, y) in [(0.0, 1.0), (10.0, 100.0), (-5.0, 0.0), (99.0, 1e9)] {
            let (px, py) = frame.at(x, y);
            assert!((frame.left..=frame.left + frame.width).contains(&px));
            assert!((frame.top..=frame.bottom()).contains(&py));
        }
        assert!(frame.y_at(100.0) < frame.y_at(1.0), "up is more");
    }

    #[test]
    fn thinning_keeps_the_peaks() {
        let mut points: Vec<_> = (0..10_000).map(|n| (f64::from(n), 1.0)).collect();
        points[7777].1 = 99.0;
        let kept = thin(&points, 400);
        assert!(kept.len() <= 400);
        assert!(kept.contains(&(7777.0, 99.0)));
        assert!(kept.is_sorted_by(|a, b| a.0 <= b.0));
        assert_eq!(thin(&points[..10], 400), &points[..10]);
    }

    #[test]
    fn axes_speak_in_units() {
        for (ms, text) in [
            (0.001, "1 us"),
            (0.1, "100 us"),
            (1.0, "1 ms"),
            (100.0, "100 ms"),
            (1000.0, "1 s"),
            (10_000.0, "10 s"),
        ] {
            assert_eq!(latency_tick(ms), text);
        }
        for (seconds, text) in [
            (0.0, "0:00"),
            (2.5, "0:02.5"),
            (90.0, "1:30"),
            (150.0, "2:30"),
            (3900.0, "1:05:00"),
        ] {
            assert_eq!(clock(seconds), text);
        }
    }
}
