//! Least squares: the marginal cost of a connection is the slope over the ramp, not total divided by count.
//!
//! A quotient charges every connection with a share of what the process weighs when it is empty; the slope
//! does not, and its confidence interval says how far to trust it.

/// A straight line through points.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Line {
    /// Growth of y per unit of x.
    pub slope: f64,
    /// y where x is 0.
    pub intercept: f64,
    /// Half the width of the 95 % confidence interval of the slope.
    pub slope_margin: f64,
    /// Share of the variance explained, 0 to 1.
    pub r_squared: f64,
    /// Points.
    pub count: usize,
}

impl Line {
    /// Fits a line; `None` with fewer than three points or without spread in x.
    #[must_use]
    pub fn fit(points: &[(f64, f64)]) -> Option<Self> {
        let n = points.len() as f64;
        if points.len() < 3 {
            return None;
        }
        let mean = |pick: fn(&(f64, f64)) -> f64| points.iter().map(pick).sum::<f64>() / n;
        let (mean_x, mean_y) = (mean(|point| point.0), mean(|point| point.1));
        // Centred sums: with a million connections the squares of raw values would eat the digits.
        let sum = |term: &dyn Fn(f64, f64) -> f64| {
            points
                .iter()
                .map(|&(x, y)| term(x - mean_x, y - mean_y))
                .sum::<f64>()
        };
        let (sxx, sxy, syy) = (sum(&|x, _| x * x), sum(&|x, y| x * y), sum(&|_, y| y * y));
        if sxx <= 0.0 {
            return None;
        }
        let slope = sxy / sxx;
        let residual = (syy - slope * sxy).max(0.0);
        let degrees = points.len() - 2;
        let slope_margin = student_975(degrees) * (residual / degrees as f64 / sxx).sqrt();
        let r_squared = if syy > 0.0 { 1.0 - residual / syy } else { 1.0 };
        Some(Self {
            slope,
            intercept: mean_y - slope * mean_x,
            slope_margin,
            r_squared,
            count: points.len(),
        })
    }

    /// The 95 % confidence interval of the slope.
    #[must_use]
    pub fn interval(&self) -> (f64, f64) {
        (
            self.slope - self.slope_margin,
            self.slope + self.slope_margin,
        )
    }
}

/// The 97.5 % quantile of Student's t: a table where it bends, its expansion where it does not (error
/// below 0.001 from 31 on).
fn student_975(degrees: usize) -> f64 {
    const TABLE: [f64; 30] = [
        12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160,
        2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056,
        2.052, 2.048, 2.045, 2.042,
    ];
    match degrees {
        0 => f64::INFINITY,
        1..=30 => TABLE[degrees - 1],
        _ => {
            let (z, n) = (1.959_964, degrees as f64);
            z + (z * z * z + z) / (4.0 * n)
                + (5.0 * z.powi(5) + 16.0 * z.powi(3) + 3.0 * z) / (96.0 * n * n)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn a_straight_line_is_found_exactly() {
        let points: Vec<_> = (0..20)
            .map(|n| (f64::from(n) * 5000.0, 3e6 + 4034.0 * f64::from(n) * 5000.0))
            .collect();
        let line = Line::fit(&points).unwrap();
        assert!((line.slope - 4034.0).abs() < 1e-6 && (line.intercept - 3e6).abs() < 1e-2);
        assert!(line.slope_margin < 1e-3 && line.r_squared > 0.999_999);
    }

    /// Of 200 noisy lines about 190 must have the true slope inside their interval: an interval that is
    /// too narrow or too wide fails.
    #[test]
    fn the_interval_covers_the_truth_as_often_as_it_says() {
        let covered = (0..200).filter(|&seed| {
            let mut random = Random::new(seed);
            let points: Vec<_> = (0..12)
                .map(|n| (f64::from(n), 10.0 + 3.0 * f64::from(n) + random.normal()))
                .collect();
            let (low, high) = Line::fit(&points).unwrap().interval();
            (low..=high).contains(&3.0)
        });
        let covered = covered.count();
        assert!((180..=199).contains(&covered), "{covered} of 200");
    }

    #[test]
    fn too_little_to_fit() {
        assert_eq!(Line::fit(&[]), None);
        assert_eq!(Line::fit(&[(1.0, 1.0), (2.0, 2.0)]), None);
        assert_eq!(Line::fit(&[(5.0, 1.0), (5.0, 2.0), (5.0, 3.0)]), None);
        assert_eq!(
            Line::fit(&[(1.0, 4.0), (2.0, 4.0), (3.0, 4.0)])
                .unwrap()
                .r_squared,
            1.0
        );
    }

    #[test]
    fn students_t_is_continuous_where_the_table_ends() {
        assert!((student_975(31) - 2.0395).abs() < 1e-3);
        assert!((student_975(100_000) - 1.96).abs() < 1e-3);
    }
}
