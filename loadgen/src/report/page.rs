//! `report.html`: one file, no network, readable without a script.

use std::fmt::Write as _;

use super::bundle::Bundle;
use super::charts::{self, Chart, spectrum::Curve};
use super::svg::escape;
use crate::connect_cost::ConnectCost;
use crate::histograms::Series;
use crate::summary::{Outcome, Summary};

mod comparison;
mod tables;
mod tiles;

pub(super) use comparison::render as render_comparison;

/// Draws the page of one run.
pub(super) fn render(bundle: &Bundle) -> String {
    let summary = &bundle.summary;
    let mut body = head(summary);
    body += &tiles::render(summary);
    body += &tiles::balance(summary);
    body += &tables::warnings(summary);
    body += "<div class=\"grid\">";
    body += &traffic_cards(bundle);
    // Two columns of their own: cards of unlike heights side by side would leave holes.
    let costs = tables::cost(summary) + &tables::results(summary);
    for column in [costs, resource_cards(bundle)] {
        write!(body, "<div class=\"column\">{column}</div>")
            .expect("a String takes whatever is written");
    }
    body += &tables::circumstances(bundle);
    body += "</div>";
    let files = "summary.json, samples.csv, environment.json and *.hlog beside this file hold everything shown here";
    write!(
        body,
        "<footer><span>loadgen {}</span><span>{files}</span></footer>",
        escape(&bundle.environment.version)
    )
    .expect("a String takes whatever is written");
    document(&format!("{} - {}", summary.scenario, summary.target), &body)
}

/// The frame of every page.
fn document(title: &str, body: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
         <title>{}</title><link rel=\"icon\" href=\"data:,\"><style>{}</style></head>\n<body><main>{body}</main><div id=\"tip\"></div><script>{}</script></body></html>\n",
        escape(title),
        include_str!("page.css"),
        include_str!("page.js")
    )
}

fn head(summary: &Summary) -> String {
    let (class, word) = match summary.verdict.outcome {
        Outcome::Pass => ("", "PASS"),
        Outcome::Fail => ("fail", "FAIL"),
        Outcome::Invalid => ("invalid", "NO STATEMENT"),
    };
    let stamp = if summary.synthetic {
        "<p class=\"stamp\">SYNTHETIC: this run was invented to show the report. Nothing was measured.</p>"
    } else {
        ""
    };
    format!(
        "<header><div><div class=\"eyebrow\">{} &middot; {} &middot; seed {}</div><h1>{}<small>{}</small></h1></div>\
         <div class=\"side\"><button id=\"theme\" type=\"button\">light / dark</button><span class=\"verdict {class}\">{word}</span></div></header>{stamp}",
        civil(summary.started_unix_s),
        super::plot::clock(summary.duration_s),
        summary.seed,
        escape(&summary.scenario),
        escape(&summary.target),
    )
}

/// Connections, messages, latencies.
fn traffic_cards(bundle: &Bundle) -> String {
    let points = &bundle.points;
    let totals = Series::ALL.map(|series| bundle.total(series));
    let curve = |series: Series, colour| Curve {
        name: series.name().to_owned(),
        colour,
        histogram: &totals[series as usize],
    };
    let curves = [
        curve(Series::Response, "blue"),
        curve(Series::Service, "teal"),
        curve(Series::Lateness, "violet"),
    ];
    let response = bundle.total_intervals(Series::Response);
    let connections = &bundle.summary.connections;
    let listeners = match connections.listeners {
        0 | 1 => "One listener".to_owned(),
        many => format!(
            "{many} listeners, at most {} connections each",
            crate::units::thousands(connections.per_listener)
        ),
    };
    let ramp_text = format!(
        "A connection counts as proven alive when it was heard from within the last {:.0} s. {listeners}.",
        connections.proven_alive_window_s
    );
    let mut html = String::new();
    html += &card(
        "wide",
        "Connections",
        &ramp_text,
        charts::ramp::draw(points, charts::WIDE),
    );
    html += &card(
        "",
        "Messages per second",
        "Each step is one report, as wide as it lasted: the area below is the number of messages.",
        charts::throughput::draw(points),
    );
    html += &card(
        "",
        "Latency by percentile",
        "Response counts from the intended send, service from the actual one; lateness is the generator's own.",
        charts::spectrum::draw(&curves),
    );
    html += &card(
        "wide",
        "Response latency over time",
        "Every sample; a column is as wide as its report. What percentiles hide: pauses, second humps, drift.",
        charts::heatmap::draw(
            &response,
            charts::heatmap::range_ms(response.iter()),
            &charts::Marks::of(points),
        ),
    );
    html
}

/// What it took.
fn resource_cards(bundle: &Bundle) -> String {
    let points = &bundle.points;
    let mut html = card(
        "",
        "Memory over time",
        "Resident memory, and slab by class as growth since the start.",
        charts::memory::draw(points),
    );
    html += &card(
        "",
        "Processor time",
        "Percent of one core, in means of a second or more: the kernel counts in ticks of 10 ms.",
        charts::cpu::draw(points),
    );
    html += &card(
        "",
        "Connect cost",
        "Mean time of socket, bind and connect over the connections open then: level to the last port of the pool.",
        charts::connect::draw(&ConnectCost::of(points)),
    );
    html
}

fn card(class: &str, title: &str, text: &str, chart: Option<Chart>) -> String {
    let Some(chart) = chart else {
        return String::new();
    };
    let entry = |(colour, name): &(&str, String)| {
        format!(
            "<span><i style=\"background:var(--{colour})\"></i>{}</span>",
            escape(name)
        )
    };
    let legend: String = chart.legend.iter().map(entry).collect();
    format!(
        "<section class=\"card {class}\"><h2>{}</h2><p>{}</p><div class=\"legend\">{legend}</div>{}</section>",
        escape(title),
        escape(text),
        chart.svg
    )
}

/// `2026-11-21 08:15:00 UTC` from seconds since 1970 (the civil calendar, by days from 0000-03-01).
fn civil(unix_s: f64) -> String {
    let seconds = unix_s.max(0.0) as i64;
    let days = seconds / 86_400 + 719_468;
    let era_day = days % 146_097;
    let year_of_era = (era_day - era_day / 1460 + era_day / 36_524 - era_day / 146_096) / 365;
    let day_of_year = era_day - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    let year = year_of_era + days / 146_097 * 400 + i64::from(month <= 2);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (unix_s, text) in [
            (0.0, "1970-01-01 00:00:00 UTC"),
            (951_782_400.0, "2000-02-29 00:00:00 UTC"),
            (1_441_812_279.474, "2015-09-09 15:24:39 UTC"),
            (1_767_225_600.0, "2026-01-01 00:00:00 UTC"),
            (4_107_542_399.0, "2100-02-28 23:59:59 UTC"),
        ] {
            assert_eq!(civil(unix_s), text);
        }
    }
}
