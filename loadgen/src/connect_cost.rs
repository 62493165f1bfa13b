//! What a connect costs, from the first port of a pool to the last.
//!
//! Measured around the system calls (socket, bind, connect) on the thread that makes them, mean by mean of a
//! report. What the machine does to that thread meanwhile is in it, so single values scatter; what a
//! search for ports would do is a slope.

use crate::ledger::ramp_of;
use crate::series::Point;

/// The cost over the ramp.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ConnectCost {
    parts: Vec<Part>,
}

/// One report of the ramp.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Part {
    /// Connections that were open before.
    pub from: u64,
    /// And after.
    pub to: u64,
    /// Mean time of a connect between, in microseconds.
    pub us: f64,
}

impl ConnectCost {
    /// Of a run. Empty where the ramp took less than a few reports: that is no curve.
    #[must_use]
    pub fn of(points: &[Point]) -> Self {
        let mut from = 0;
        let part = |point: &Point| {
            let to = point.traffic.connected;
            let us = point.traffic.connect_us;
            let part = (us > 0.0 && to > from).then_some(Part { from, to, us });
            from = to;
            part
        };
        let parts: Vec<Part> = ramp_of(points).iter().filter_map(part).collect();
        Self {
            parts: if parts.len() < PARTS_MIN {
                Vec::new()
            } else {
                parts
            },
        }
    }

    /// Report by report.
    #[must_use]
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// The mean in the first and in the last quarter of the connections; `None` without a curve.
    #[must_use]
    pub fn first_and_last_us(&self) -> Option<(f64, f64)> {
        let end = self.parts.last()?.to;
        let quarter = end / 4;
        Some((self.mean_us(0, quarter), self.mean_us(end - quarter, end)))
    }

    /// Over the connects between these, as far as each report reaches into them.
    fn mean_us(&self, low: u64, high: u64) -> f64 {
        let (mut us, mut count) = (0.0, 0.0);
        for part in &self.parts {
            let inside = part.to.min(high).saturating_sub(part.from.max(low)) as f64;
            us += part.us * inside;
            count += inside;
        }
        if count > 0.0 { us / count } else { 0.0 }
    }
}

/// Fewer reports of a ramp are no curve.
const PARTS_MIN: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    fn ramp(costs: &[(u64, f64)]) -> Vec<Point> {
        let point = |&(connected, connect_us): &(u64, f64)| {
            let mut point = Point::default();
            (point.traffic.connected, point.traffic.connect_us) = (connected, connect_us);
            point
        };
        costs.iter().map(point).collect()
    }

    #[test]
    fn a_climbing_curve_is_seen_to_climb() {
        let cost = ConnectCost::of(&ramp(&[
            (100, 10.0),
            (200, 10.0),
            (300, 200.0),
            (400, 400.0),
        ]));
        assert_eq!(cost.first_and_last_us(), Some((10.0, 400.0)));
        // The quarters cut the first and the last report in two.
        let cost = ConnectCost::of(&ramp(&[(150, 10.0), (200, 10.0), (250, 10.0), (400, 40.0)]));
        assert_eq!(cost.first_and_last_us(), Some((10.0, 40.0)));
    }

    #[test]
    fn what_comes_after_the_ramp_is_no_part_of_it() {
        let mut points = ramp(&[(100, 10.0), (200, 11.0), (300, 12.0), (400, 13.0)]);
        points.extend(ramp(&[(400, 900.0), (390, 0.0), (400, 900.0)]));
        let cost = ConnectCost::of(&points);
        assert_eq!(cost.parts().len(), 4);
        assert_eq!(cost.first_and_last_us(), Some((10.0, 13.0)));
    }

    #[test]
    fn a_moment_is_no_curve() {
        for points in [
            vec![],
            ramp(&[(100, 10.0)]),
            ramp(&[(50, 10.0), (90, 0.0), (100, 10.0)]),
        ] {
            assert_eq!(ConnectCost::of(&points).first_and_last_us(), None);
        }
    }
}
