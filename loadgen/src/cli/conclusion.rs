//! The end of a run in words: what a person reads when the panel stands still.

use std::fmt::Write as _;

use crate::failures::hint_for;
use crate::search::Knee;
use crate::summary::{Outcome, Quantiles, Summary};
use crate::thresholds::Threshold;

/// The result of a run.
#[must_use]
pub(super) fn of_run(summary: &Summary) -> String {
    let mut lines = vec![connections(summary)];
    lines.extend(messages(summary));
    lines.extend(latencies(summary));
    lines.extend(tls(summary));
    lines.extend(phases(summary));
    lines.extend(fanout(summary));
    lines.extend(rooms(summary));
    lines.extend(storm(summary));
    lines.extend(costs(summary));
    lines.extend(findings(summary));
    lines.push(
        match summary.verdict.outcome {
            Outcome::Pass => "the run held",
            Outcome::Fail => "the run did not hold",
            Outcome::Invalid => "the run allows no statement",
        }
        .into(),
    );
    lines.join("\n") + "\n"
}

fn connections(summary: &Summary) -> String {
    let (connections, rates) = (&summary.connections, &summary.rates);
    let cost = if rates.connect_us_first > 0.0 {
        format!(
            ", connect {:.0} us in its first quarter and {:.0} in its last",
            rates.connect_us_first, rates.connect_us_last
        )
    } else {
        String::new()
    };
    format!(
        "{} of {} connections proven alive in the last {:.0} s (connected {}, upgraded {}; {} per listener), ramp {:.0}/s{cost}",
        connections.proven_alive,
        connections.requested,
        connections.proven_alive_window_s,
        connections.connected,
        connections.upgraded,
        connections.per_listener,
        rates.connects_per_s,
    )
}

fn messages(summary: &Summary) -> Option<String> {
    let messages = &summary.messages;
    (messages.sent > 0).then(|| {
        format!(
            "{} messages sent = {} received + {} lost + {} in flight; {} errors ({:.0}/s received)",
            messages.sent,
            messages.received,
            messages.lost,
            messages.in_flight,
            messages.errors,
            summary.rates.received_per_s,
        )
    })
}

fn latencies(summary: &Summary) -> Vec<String> {
    let latency = &summary.latency_ms;
    let all = [
        ("handshake", summary.connections.handshake_ms),
        ("response", latency.response),
        ("service", latency.service),
        ("lateness", latency.lateness),
    ];
    let measured = all.iter().filter(|(_, quantiles)| quantiles.count > 0);
    measured
        .map(|(name, quantiles)| format!("{name:<10}{}", quantiles_line(quantiles)))
        .collect()
}

fn tls(summary: &Summary) -> Vec<String> {
    let Some(tls) = &summary.tls else {
        return Vec::new();
    };
    let resumption = if tls.resumption { "on" } else { "off" };
    let mut lines = vec![format!(
        "TLS: {} full handshakes, {} resumed (resumption {resumption}); believed: {}",
        tls.full, tls.resumed, tls.trust
    )];
    for (name, quantiles) in [("full", &tls.full_ms), ("resumed", &tls.resumed_ms)] {
        if quantiles.count > 0 {
            lines.push(format!("  {name:<8}{}", quantiles_line(quantiles)));
        }
    }
    lines
}

fn phases(summary: &Summary) -> Vec<String> {
    let measured = summary.phases.iter();
    measured
        .filter(|phase| phase.latency_ms.response.count > 0)
        .map(|phase| {
            let line = quantiles_line(&phase.latency_ms.response);
            format!("phase `{}`: response {line}", phase.name)
        })
        .collect()
}

fn fanout(summary: &Summary) -> Vec<String> {
    let Some(fanout) = &summary.fanout else {
        return Vec::new();
    };
    let mut lines = vec![format!(
        "{} publications to up to {} receivers each",
        fanout.publications, fanout.receivers
    )];
    for (name, quantiles) in [
        ("first", &fanout.first),
        ("median", &fanout.median),
        ("last", &fanout.last),
    ] {
        lines.push(format!("  {name:<8}{}", quantiles_line(quantiles)));
    }
    lines
}

fn rooms(summary: &Summary) -> Option<String> {
    let rooms = summary.rooms.as_ref()?;
    let back = match rooms.recovered + rooms.not_recovered {
        0 => String::new(),
        _ => format!(
            "; {} came back and recovered ({} deliveries made up for), {} could not",
            rooms.recovered, rooms.replayed, rooms.not_recovered
        ),
    };
    Some(format!(
        "{} rooms of up to {} over {}: {} connections in theirs, {} publications{back}",
        rooms.rooms, rooms.size, rooms.dialect, rooms.joined, rooms.publications
    ))
}

fn storm(summary: &Summary) -> Option<String> {
    let storm = summary.storm?;
    let after = |seconds: f64| {
        if seconds > 0.0 {
            format!("after {seconds:.2} s")
        } else {
            "never".into()
        }
    };
    Some(format!(
        "storm: {} cut, {} back; 50 % {}, 99 % {}, all {}; {} attempts",
        storm.cut,
        storm.recovered,
        after(storm.p50_s),
        after(storm.p99_s),
        after(storm.p100_s),
        storm.attempts
    ))
}

fn costs(summary: &Summary) -> Vec<String> {
    let server = summary.server.map(|server| {
        let mut line = format!(
            "server: {:.0} bytes of memory per connection, {:.1} s user + {:.1} s system",
            server.rss_bytes_per_connection, server.cpu_user_s, server.cpu_system_s,
        );
        if server.cpu_us_per_message > 0.0 {
            let _ = write!(line, ", {:.1} us per message", server.cpu_us_per_message);
        }
        line
    });
    let generator = &summary.generator;
    let generator = format!(
        "generator: {} threads, {:.0} bytes of memory per connection, {:.1} s user + {:.1} s system",
        generator.threads,
        generator.rss_bytes_per_connection,
        generator.cpu_user_s,
        generator.cpu_system_s,
    );
    server.into_iter().chain([generator]).collect()
}

/// What went wrong, with what to look at.
fn findings(summary: &Summary) -> Vec<String> {
    let mut lines = Vec::new();
    for (title, classes) in [
        ("failed", &summary.connections.failed),
        ("lost", &summary.messages.lost_classes),
        ("errors", &summary.messages.error_classes),
    ] {
        for (class, count) in classes {
            lines.push(format!("{title}: {count} {class} ({})", hint_for(class)));
        }
    }
    let verdict = &summary.verdict;
    lines.extend(
        verdict
            .warnings
            .iter()
            .map(|text| format!("warning: {text}")),
    );
    for judged in verdict.thresholds.iter().filter(|judged| !judged.passed) {
        let observed = match judged.observed {
            Some(value) => Threshold::parse(&judged.fail_if).map_or_else(
                |_| format!("{value:.3}"),
                |threshold| threshold.shown(value),
            ),
            None => "nothing was measured".into(),
        };
        lines.push(format!("crossed: {} (observed {observed})", judged.fail_if));
    }
    lines
}

/// The knee as a curve.
#[must_use]
pub(super) fn of_search(knee: &Knee, what: &str, limited_from: Option<u64>) -> String {
    let mut text = format!("{what:>12}  {:>7}  {:>10}\n", "held", "p99 ms");
    let most = knee
        .curve
        .iter()
        .map(|(_, trials)| trials.observed_ms)
        .filter(|ms| ms.is_finite())
        .fold(0.0, f64::max);
    for (value, trials) in &knee.curve {
        let cells = if most > 0.0 && trials.observed_ms.is_finite() {
            (trials.observed_ms / most * 40.0).round() as usize
        } else {
            0
        };
        writeln!(
            text,
            "{value:>12}  {:>3}/{:<3}  {:>10.2}  {}",
            trials.passed,
            trials.count,
            trials.observed_ms,
            "▇".repeat(cells)
        )
        .expect("a String takes whatever is written");
    }
    let edge = match (knee.holds, knee.fails) {
        (Some(holds), Some(fails)) => format!("{holds} {what} hold, {fails} do not"),
        (Some(holds), None) => format!("{holds} {what} hold: the highest that was to be tried"),
        (None, Some(fails)) => {
            format!("{fails} {what} do not hold: the lowest that was to be tried")
        }
        (None, None) => "nothing was tried".into(),
    };
    let belief = if knee.settled {
        "settled at 95 %"
    } else {
        "NOT settled: the trials ran out, or it was interrupted"
    };
    let limit = limited_from.map_or_else(String::new, |from| {
        format!("from {from} {what} on the generator itself was the limit: the server's edge may lie higher\n")
    });
    text + &format!("{edge} ({belief})\n") + &limit
}

fn quantiles_line(quantiles: &Quantiles) -> String {
    format!(
        "p50 {:.3}  p90 {:.3}  p99 {:.3}  p99.9 {:.3}  max {:.3} ms",
        quantiles.p50, quantiles.p90, quantiles.p99, quantiles.p999, quantiles.max
    )
}
