//! The page that lays two runs over each other: environment first, then quantiles, then the curves.

use super::super::bundle::Bundle;
use super::super::charts::{self, spectrum::Curve};
use super::super::svg::escape;
use super::{card, document, tables};
use crate::bootstrap::Finding;
use crate::diff::{Comparison, name_of, signed, word_for};
use crate::histograms::Series;
use crate::units::millis;

/// Draws the comparison.
pub(in super::super) fn render(comparison: &Comparison, a: &Bundle, b: &Bundle) -> String {
    let verdict = comparison.verdict();
    let decided = comparison
        .quantiles
        .iter()
        .any(|difference| difference.finding() == Finding::Same);
    let (class, word) = match (comparison.real().next().is_some(), decided) {
        (true, _) => ("invalid", "DIFFERENT"),
        (false, true) => ("", "SAME"),
        (false, false) => ("invalid", "CANNOT TELL"),
    };
    let mut body = format!(
        "<header><div><div class=\"eyebrow\">comparison of two runs: B to A, response time</div><h1>{}</h1></div>\
         <div class=\"side\"><button id=\"theme\" type=\"button\">light / dark</button><span class=\"verdict {class}\">{word}</span></div></header><div class=\"grid\">",
        escape(&verdict),
    );
    body += &environment(comparison);
    body += &quantiles(comparison);
    body += &numbers(comparison);
    let totals = [a.total(Series::Response), b.total(Series::Response)];
    let curves = [
        Curve {
            name: "A, response".into(),
            colour: "blue",
            histogram: &totals[0],
        },
        Curve {
            name: "B, response".into(),
            colour: "amber",
            histogram: &totals[1],
        },
    ];
    body += &card(
        "",
        "Latency by percentile",
        "Both runs on the same axes.",
        charts::spectrum::draw(&curves),
    );
    let intervals = [a, b].map(|bundle| bundle.total_intervals(Series::Response));
    // One scale for both: two pictures with different axes compare nothing.
    let range_ms = charts::heatmap::range_ms(intervals.iter().flatten());
    for ((name, bundle), intervals) in [("A", a), ("B", b)].into_iter().zip(&intervals) {
        let chart = charts::heatmap::draw(intervals, range_ms, &charts::Marks::of(&bundle.points));
        let title = format!("{name}: response latency over time");
        body += &card("wide", &title, &bundle.environment.command.join(" "), chart);
    }
    document(&format!("diff: {verdict}"), &(body + "</div>"))
}

fn environment(comparison: &Comparison) -> String {
    let mut rows = String::from("<tr><th>what</th><th>A</th><th>B</th></tr>");
    for (what, a, b) in &comparison.environment {
        tables::row(&mut rows, &[(what, ""), (a, "path"), (b, "path")]);
    }
    if comparison.environment.is_empty() {
        tables::row(
            &mut rows,
            &[("nothing differs around the runs", ""), ("", ""), ("", "")],
        );
    }
    tables::section("wide", "Environment", &rows)
}

fn quantiles(comparison: &Comparison) -> String {
    let mut rows = String::from(
        "<tr><th>response</th><th class=\"num\">A</th><th class=\"num\">B</th><th class=\"num\">difference</th><th class=\"num\">99 % interval</th><th></th></tr>",
    );
    for difference in &comparison.quantiles {
        let finding = difference.finding();
        let class = match finding {
            Finding::Different => "failed",
            Finding::Same => "pass",
            Finding::Undecided => "",
        };
        let interval = format!(
            "{} to {}",
            signed(difference.low_ms),
            signed(difference.high_ms)
        );
        tables::row(
            &mut rows,
            &[
                (&name_of(difference.quantile), ""),
                (&millis(difference.a_ms), "num"),
                (&millis(difference.b_ms), "num"),
                (&signed(difference.delta_ms), "num"),
                (&interval, "num"),
                (word_for(finding), class),
            ],
        );
    }
    tables::section("wide", "Quantiles, by resampling whole seconds", &rows)
}

fn numbers(comparison: &Comparison) -> String {
    let mut rows =
        String::from("<tr><th></th><th class=\"num\">A</th><th class=\"num\">B</th></tr>");
    for (what, a, b) in &comparison.numbers {
        tables::row(&mut rows, &[(what, ""), (a, "num"), (b, "num")]);
    }
    tables::section("", "Numbers", &rows)
}
