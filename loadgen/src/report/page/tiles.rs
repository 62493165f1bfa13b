//! The numbers on top: what one says aloud.

use std::fmt::Write as _;

use crate::summary::Summary;
use crate::units::{millis, thousands};

/// The row of large numbers.
pub(super) fn render(summary: &Summary) -> String {
    let connections = &summary.connections;
    let latency = &summary.latency_ms.response;
    let mut html = String::from("<div class=\"tiles\">");
    let asked = format!("of {} requested", thousands(connections.requested));
    tile(
        &mut html,
        &thousands(connections.proven_alive),
        "",
        "proven alive",
        &asked,
    );
    let ramp = format!("{} per listener", thousands(connections.per_listener));
    tile(
        &mut html,
        &thousands(summary.rates.connects_per_s.round() as u64),
        "/s",
        "connect rate",
        &ramp,
    );
    if latency.count > 0 {
        let (value, unit) = split(&millis(latency.p99));
        let beside = format!(
            "median {}, p99.9 {}",
            millis(latency.p50),
            millis(latency.p999)
        );
        tile(&mut html, &value, &unit, "p99 response", &beside);
        let rate = thousands(summary.rates.received_per_s.round() as u64);
        let wrong = format!(
            "{} lost, {} wrong",
            thousands(summary.messages.lost),
            thousands(summary.messages.errors)
        );
        tile(&mut html, &rate, "/s", "answered", &wrong);
    }
    if let Some(server) = &summary.server {
        let value = format!("{:.0}", server.rss_bytes_per_connection);
        let kernel: f64 = kernel_bytes(summary);
        let beside = if kernel > 0.0 {
            format!("and {} B in the kernel", thousands(kernel.round() as u64))
        } else {
            String::new()
        };
        tile(&mut html, &value, "B", "server, per connection", &beside);
        let cpu = server.cpu_user_s + server.cpu_system_s;
        let share = cpu / summary.duration_s.max(1e-3) * 100.0;
        let beside = match server.cpu_us_per_message {
            0.0 => "no messages".to_owned(),
            us => format!("{us:.1} us per message"),
        };
        tile(
            &mut html,
            &format!("{share:.0}"),
            "%",
            "of a core, server",
            &beside,
        );
    }
    html + "</div>"
}

/// The books: `sent = received + lost + in flight`.
pub(super) fn balance(summary: &Summary) -> String {
    let messages = &summary.messages;
    if messages.sent == 0 {
        return String::new();
    }
    let closing = if messages.accounted() == messages.sent {
        "<span class=\"ok\">balanced &#10003;</span>"
    } else {
        "<span class=\"bad\">DOES NOT BALANCE</span>"
    };
    format!(
        "<div class=\"balance\"><b>{}</b> sent = <b>{}</b> received + <b>{}</b> lost + <b>{}</b> in flight{closing}</div>",
        thousands(messages.sent),
        thousands(messages.received),
        thousands(messages.lost),
        thousands(messages.in_flight)
    )
}

fn kernel_bytes(summary: &Summary) -> f64 {
    let lines = summary
        .ledger
        .iter()
        .filter(|line| line.what.starts_with("kernel") && !line.what.contains("tcp_mem"));
    lines.map(|line| line.bytes_per_connection).sum()
}

fn tile(html: &mut String, value: &str, unit: &str, label: &str, beside: &str) {
    write!(
        html,
        "<div class=\"tile\"><b>{value}<i>{unit}</i></b><span>{label}</span><em>{beside}</em></div>"
    )
    .expect("a String takes whatever is written");
}

fn split(text: &str) -> (String, String) {
    let (value, unit) = text.split_once(' ').unwrap_or((text, ""));
    (value.to_owned(), unit.to_owned())
}
