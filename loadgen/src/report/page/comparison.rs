//! The page that lays two runs over each other: environment first, then quantiles, then the curves.

use super::super::bundle::Bundle;
use super::super::charts::{self, spectrum::Curve};
use super::super::svg::escape;
use super::{card, document, tables, tiles};
use crate::diff::{Comparison, name_of, signed};
use crate::histograms::Series;
use crate::units::millis;

/// Draws the comparison.
pub(in super::super) fn render(comparison: &Comparison, a: &Bundle, b: &Bundle) -> String {
    let verdict = comparison.verdict();
    let class = if comparison.real().next().is_some() {
        "fail"
    } else {
        ""
    };
    let mut body = format!(
        "<header><div><div class=\"eyebrow\">comparison of two runs</div><h1>{}</h1></div>\
         <div class=\"side\"><button id=\"theme\" type=\"button\">light / dark</button><span class=\"verdict {class}\">{} / {}</span></div></header><div class=\"grid\">",
        escape(&verdict),
        tiles::outcome(a.summary.verdict.outcome),
        tiles::outcome(b.summary.verdict.outcome)
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
    for (name, bundle) in [("A", a), ("B", b)] {
        let intervals = bundle.total_intervals(Series::Response);
        let limited = charts::limited_seconds(&bundle.points);
        body += &card(
            "wide",
            &format!("{name}: response latency over time"),
            &bundle.environment.command.join(" "),
            charts::heatmap::draw(&intervals, &limited),
        );
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
        let (word, class) = match (difference.is_real(), difference.supported) {
            (true, _) => ("different", "failed"),
            (false, true) => ("no difference", "pass"),
            (false, false) => ("too few samples", ""),
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
                (word, class),
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
