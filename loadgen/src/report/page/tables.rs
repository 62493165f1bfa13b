//! The tables below the charts.

use std::fmt::Write as _;

use super::super::bundle::Bundle;
use super::super::charts::cost;
use super::super::svg::escape;
use crate::failures::hint_for;
use crate::summary::{Latency, Quantiles, Summary};
use crate::thresholds::Threshold;
use crate::units::{millis, significant, thousands};

/// What was measured and what was asked of it, in rows.
pub(super) fn results(summary: &Summary) -> String {
    latency(summary) + &rooms(summary) + &tls(summary) + &thresholds(summary)
}

fn rooms(summary: &Summary) -> String {
    let Some(rooms) = &summary.rooms else {
        return String::new();
    };
    let mut rows = String::from(
        "<tr><th>dialect</th><th class=\"num\">rooms</th><th class=\"num\">of up to</th><th class=\"num\">in their room</th><th class=\"num\">publications</th><th class=\"num\">recovered</th><th class=\"num\">not recovered</th><th class=\"num\">replayed</th></tr>",
    );
    row(
        &mut rows,
        &[
            (&rooms.dialect, "path"),
            (&thousands(rooms.rooms), "num"),
            (&thousands(rooms.size), "num"),
            (&thousands(rooms.joined), "num"),
            (&thousands(rooms.publications), "num"),
            (&thousands(rooms.recovered), "num"),
            (&thousands(rooms.not_recovered), "num"),
            (&thousands(rooms.replayed), "num"),
        ],
    );
    section("", "Rooms", &rows)
}

/// Whom the run believed. A run that checked nobody says so in the colour of a failure.
fn tls(summary: &Summary) -> String {
    let Some(tls) = &summary.tls else {
        return String::new();
    };
    let mut rows = String::from(
        "<tr><th>certificates</th><th class=\"num\">resumption</th><th class=\"num\">full handshakes</th><th class=\"num\">resumed</th><th class=\"num\">of them TLS 1.2</th></tr>",
    );
    let trust = if tls.is_insecure { "failed" } else { "path" };
    let resumption = if tls.resumption { "on" } else { "off" };
    row(
        &mut rows,
        &[
            (&tls.trust, trust),
            (resumption, "num"),
            (&thousands(tls.full), "num"),
            (&thousands(tls.resumed), "num"),
            (&thousands(tls.tls12), "num"),
        ],
    );
    section("", "TLS", &rows)
}

/// What went wrong, and where it happened.
pub(super) fn circumstances(bundle: &Bundle) -> String {
    failures(&bundle.summary) + &environment(bundle)
}

/// Things that make the numbers weaker than they look.
pub(super) fn warnings(summary: &Summary) -> String {
    if summary.verdict.warnings.is_empty() {
        return String::new();
    }
    let items: String = summary
        .verdict
        .warnings
        .iter()
        .map(|warning| format!("<li>{}</li>", escape(warning)))
        .collect();
    format!("<ul class=\"notes\">{items}</ul>")
}

/// The byte ledger: a bar and the lines it is made of.
pub(super) fn cost(summary: &Summary) -> String {
    let Some(bar) = cost::draw(&summary.ledger) else {
        return String::new();
    };
    let mut rows = String::from(
        "<tr><th>owner</th><th class=\"num\">bytes per connection</th><th class=\"num\">95 % interval</th></tr>",
    );
    for line in &summary.ledger {
        let colour = cost::colour_of(&line.what);
        write!(
            rows,
            "<tr><td><i class=\"dot\" style=\"background:var(--{colour})\"></i>{}</td><td class=\"num\">{:.1}</td><td class=\"num\">{:.1} to {:.1}</td></tr>",
            escape(&line.what),
            line.bytes_per_connection,
            line.low,
            line.high
        )
        .expect("a String takes whatever is written");
    }
    let text = "Slope over the ramp, so that the empty process is not charged. Kernel lines count every end on this machine.";
    format!(
        "<section class=\"card\"><h2>What one connection costs</h2><p>{text}</p>{bar}<table>{rows}</table></section>"
    )
}

fn thresholds(summary: &Summary) -> String {
    if summary.verdict.thresholds.is_empty() {
        return String::new();
    }
    let mut rows = String::from(
        "<tr><th>fails if</th><th class=\"num\">measured</th><th class=\"num\">verdict</th></tr>",
    );
    for judged in &summary.verdict.thresholds {
        let shown = |value: f64| {
            Threshold::parse(&judged.fail_if)
                .map_or_else(|_| significant(value), |t| t.shown(value))
        };
        let observed = judged.observed.map_or_else(|| "nothing".into(), shown);
        let (word, class) = if judged.passed {
            ("held", "num pass")
        } else {
            ("crossed", "num failed")
        };
        row(
            &mut rows,
            &[(&judged.fail_if, "path"), (&observed, "num"), (word, class)],
        );
    }
    section("", "Thresholds", &rows)
}

fn latency(summary: &Summary) -> String {
    if summary.latency_ms.response.count + summary.latency_ms.service.count == 0 {
        return String::new();
    }
    let heads = ["median", "p90", "p99", "p99.9", "max", "samples"];
    let mut rows = String::from("<tr><th>latency</th>");
    heads.iter().for_each(|head| {
        write!(rows, "<th class=\"num\">{head}</th>").expect("a String takes whatever is written")
    });
    rows += "</tr>";
    latency_rows(&mut rows, "", &summary.latency_ms);
    if summary.cohorts.len() > 1 {
        for (name, cohort) in &summary.cohorts {
            latency_rows(&mut rows, name, &cohort.latency_ms);
        }
    }
    for phase in &summary.phases {
        latency_rows(
            &mut rows,
            &format!("phase {}:", phase.name),
            &phase.latency_ms,
        );
    }
    one_row(&mut rows, "handshake", &summary.connections.handshake_ms);
    if let Some(tls) = &summary.tls {
        one_row(&mut rows, "of it TLS, full", &tls.full_ms);
        one_row(&mut rows, "of it TLS, resumed", &tls.resumed_ms);
    }
    if let Some(fanout) = &summary.fanout {
        one_row(&mut rows, "first receiver", &fanout.first);
        one_row(&mut rows, "median receiver", &fanout.median);
        one_row(&mut rows, "last receiver", &fanout.last);
    }
    section("", "Latency", &rows) + &storm(summary)
}

fn storm(summary: &Summary) -> String {
    let Some(storm) = &summary.storm else {
        return String::new();
    };
    let after = |seconds: f64| {
        if seconds > 0.0 {
            format!("{seconds:.2} s")
        } else {
            "never".into()
        }
    };
    let mut rows = String::from(
        "<tr><th>cut</th><th class=\"num\">back</th><th class=\"num\">attempts</th><th class=\"num\">50 % after</th><th class=\"num\">99 % after</th><th class=\"num\">all after</th></tr>",
    );
    row(
        &mut rows,
        &[
            (&thousands(storm.cut), ""),
            (&thousands(storm.recovered), "num"),
            (&thousands(storm.attempts), "num"),
            (&after(storm.p50_s), "num"),
            (&after(storm.p99_s), "num"),
            (&after(storm.p100_s), "num"),
        ],
    );
    section("", "Storm", &rows)
}

fn latency_rows(rows: &mut String, cohort: &str, latency: &Latency) {
    for (name, quantiles) in [
        ("response", &latency.response),
        ("service", &latency.service),
        ("lateness", &latency.lateness),
    ] {
        one_row(rows, format!("{cohort} {name}").trim(), quantiles);
    }
}

fn one_row(rows: &mut String, name: &str, quantiles: &Quantiles) {
    let Quantiles {
        count,
        p50,
        p90,
        p99,
        p999,
        max,
        ..
    } = *quantiles;
    if count == 0 {
        return;
    }
    let cells = [p50, p90, p99, p999, max].map(millis);
    let mut all = vec![(name.to_owned(), "")];
    all.extend(cells.into_iter().map(|cell| (cell, "num")));
    all.push((thousands(count), "num"));
    let all: Vec<(&str, &str)> = all
        .iter()
        .map(|(text, class)| (text.as_str(), *class))
        .collect();
    row(rows, &all);
}

fn failures(summary: &Summary) -> String {
    let all = summary
        .connections
        .failed
        .iter()
        .chain(&summary.messages.error_classes)
        .chain(&summary.messages.lost_classes)
        .filter(|(_, count)| **count > 0);
    let mut rows = String::new();
    for (class, count) in all {
        row(
            &mut rows,
            &[
                (class, "path"),
                (&thousands(*count), "num"),
                (hint_for(class), ""),
            ],
        );
    }
    if rows.is_empty() {
        return String::new();
    }
    let head = "<tr><th>class</th><th class=\"num\">count</th><th>where to look</th></tr>";
    section("wide", "Failures", &format!("{head}{rows}"))
}

fn environment(bundle: &Bundle) -> String {
    let environment = &bundle.environment;
    let mut about = String::new();
    for (name, value) in [
        ("command", environment.command.join(" ")),
        ("host", environment.host.clone()),
        ("kernel", environment.kernel.clone()),
        (
            "processor",
            format!("{} x {}", environment.cpu_count, environment.cpu),
        ),
        (
            "memory",
            crate::units::bytes(environment.memory_bytes as f64),
        ),
        ("boot", environment.boot.clone()),
    ] {
        row(&mut about, &[(name, ""), (&value, "path")]);
    }
    for (role, hash) in &environment.binaries {
        row(
            &mut about,
            &[(&format!("{role} binary, SHA-1"), ""), (hash, "path")],
        );
    }
    for (name, value) in &environment.limits {
        row(&mut about, &[(name, ""), (value, "path")]);
    }
    let mut settings = String::new();
    for (name, value) in &environment.sysctls {
        row(&mut settings, &[(name, "path"), (value, "path num")]);
    }
    format!(
        "<details><summary>Environment</summary><div class=\"two\"><table>{about}</table><table>{settings}</table></div></details>"
    )
}

pub(super) fn section(class: &str, title: &str, rows: &str) -> String {
    format!(
        "<section class=\"card {class}\"><h2>{}</h2><table>{rows}</table></section>",
        escape(title)
    )
}

pub(super) fn row(rows: &mut String, cells: &[(&str, &str)]) {
    rows.push_str("<tr>");
    for (text, class) in cells {
        write!(rows, "<td class=\"{class}\">{}</td>", escape(text))
            .expect("a String takes whatever is written");
    }
    rows.push_str("</tr>");
}
