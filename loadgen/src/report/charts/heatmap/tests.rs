//! Columns of unequal intervals.

use super::*;

/// Quarters of a second, seconds and a short rest, each with 1000 samples a second at 1 ms.
fn steady() -> Vec<SparseInterval> {
    let ends_s = [0.25, 0.5, 0.75, 1.0, 2.0, 3.0, 3.2];
    let starts_s = [0.0].into_iter().chain(ends_s);
    let interval = |(start_s, end_s): (f64, f64)| SparseInterval {
        start_s,
        length_s: end_s - start_s,
        counts: vec![(1_000_000, ((end_s - start_s) * 1000.0).round() as u64)],
    };
    starts_s.zip(ends_s).map(interval).collect()
}

fn frame(end_s: f64) -> Frame {
    let x = Scale::Linear {
        low: 0.0,
        high: end_s,
    };
    Frame::new(WIDE, x, Scale::decades(0.1, 10.0))
}

#[test]
fn a_column_is_as_wide_as_its_interval() {
    let (frame, intervals) = (frame(3.2), steady());
    let columns = shaded(&frame, &intervals);
    for (column, interval) in columns.iter().zip(&intervals) {
        let width = frame.width * interval.length_s / 3.2;
        assert!((column.right - column.left - width).abs() < 1e-6);
        assert!((column.left - frame.x_at(interval.start_s)).abs() < 1e-6);
    }
}

#[test]
fn a_steady_rate_has_one_shade_however_long_the_intervals_are() {
    let columns = shaded(&frame(3.2), &steady());
    let full: Vec<usize> = columns
        .iter()
        .flat_map(|column| column.shades.iter().max())
        .copied()
        .collect();
    assert_eq!(full, [SHADES; 7]);
    // So the whole row is one rectangle.
    let mut svg = Svg::default();
    draw_cells(&frame(3.2), &mut svg, &steady());
    let drawing = svg.finish(WIDE.0, WIDE.1, "");
    assert_eq!(
        (
            drawing.matches("<path").count(),
            drawing.matches('M').count()
        ),
        (1, 1)
    );
}

#[test]
fn a_lone_sample_is_pale_and_seen() {
    let mut intervals = steady();
    intervals[5].counts.push((9_000_000, 1));
    let columns = shaded(&frame(3.2), &intervals);
    let mut shades: Vec<usize> = columns[5]
        .shades
        .into_iter()
        .filter(|&shade| shade > 0)
        .collect();
    shades.sort_unstable();
    assert_eq!(shades, [1, SHADES]);
}

#[test]
fn a_hole_stays_a_hole() {
    let mut intervals = steady();
    intervals.remove(4);
    let mut svg = Svg::default();
    draw_cells(&frame(3.2), &mut svg, &intervals);
    let drawing = svg.finish(WIDE.0, WIDE.1, "");
    assert_eq!(drawing.matches('M').count(), 2, "before and after it");
    assert_eq!(quantile_lines(&intervals, 0.5).len(), 2);
}

#[test]
fn more_intervals_than_can_be_seen_are_joined() {
    let quarter = |n: u32| SparseInterval {
        start_s: f64::from(n) * 0.25,
        length_s: 0.25,
        counts: vec![(1_000_000, 1)],
    };
    let intervals: Vec<_> = (0..4000).map(quarter).collect();
    let columns = columns_of(&intervals, 1000.0);
    assert!(
        (COLUMNS_MAX / 2..=COLUMNS_MAX).contains(&columns.len()),
        "{}",
        columns.len()
    );
    assert_eq!(columns.iter().map(SparseInterval::count).sum::<u64>(), 4000);
    assert_eq!(columns_of(&steady(), 3.2).len(), 7);
}

/// Three slow answers after the end are no p99 of their own.
#[test]
fn a_percentile_has_the_samples_it_needs() {
    let mut intervals = steady();
    intervals[6].counts = vec![(900_000_000, 3)];
    for quantile in [0.5, 0.99] {
        let [line] = &quantile_lines(&intervals, quantile)[..] else {
            panic!("one stretch");
        };
        assert!(line.iter().all(|&(_, ms)| ms < 2.0), "{line:?}");
        assert_eq!(line.last().map(|&(end_s, _)| end_s), Some(3.2));
    }
    let some = |count| SparseInterval {
        counts: vec![(900_000_000, count)],
        ..intervals[6].clone()
    };
    for (count, has_median, has_p99) in [(3, false, false), (20, true, false), (100, true, true)] {
        let has = |quantile| !quantile_lines(&[some(count)], quantile).is_empty();
        assert_eq!((has(0.5), has(0.99)), (has_median, has_p99), "{count}");
    }
}
