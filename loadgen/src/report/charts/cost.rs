//! What one connection costs, as one bar: the ledger in a glance.

use super::super::svg::{Anchor, Svg, TextStyle};
use crate::summary::LedgerLine;
use crate::units::thousands;

/// Draws the bar; lines below one byte are left to the table.
pub(in super::super) fn draw(ledger: &[LedgerLine]) -> Option<String> {
    // Charged pages overlap with packets: they are a limit's account, not memory of their own.
    let lines: Vec<&LedgerLine> = ledger
        .iter()
        .filter(|line| line.bytes_per_connection >= 1.0 && !line.what.contains("tcp_mem"))
        .collect();
    let total: f64 = lines.iter().map(|line| line.bytes_per_connection).sum();
    if total <= 0.0 {
        return None;
    }
    let (width, height) = (580.0, 86.0);
    let mut svg = Svg::default();
    svg.text(
        (0.0, 20.0),
        &format!("{} B", thousands(total.round() as u64)),
        &TextStyle::strong(22.0, Anchor::Start),
    );
    svg.text(
        (width, 20.0),
        "one connection, everything counted",
        &TextStyle::axis(Anchor::End),
    );
    let mut left = 0.0;
    for line in lines {
        let share = line.bytes_per_connection / total;
        let colour = colour_of(&line.what);
        let bar = (share * width - 2.0).max(1.5);
        svg.rect((left, 36.0), (bar, 34.0), colour, 0.9);
        if bar > 46.0 {
            let style = TextStyle {
                size: 13.0,
                weight: 600,
                colour: "surface",
                anchor: Anchor::Middle,
            };
            svg.text(
                (left + bar / 2.0, 58.0),
                &thousands(line.bytes_per_connection.round() as u64),
                &style,
            );
        }
        left += share * width;
    }
    Some(svg.finish(width, height, "Bytes of one connection"))
}

/// The colour of an owner, in the bar and in the table under it.
pub(in super::super) fn colour_of(what: &str) -> &'static str {
    match what.split_once(": ") {
        Some(("server", _)) => "teal",
        Some(("generator", _)) => "violet",
        Some((_, "TCP sockets")) => "blue",
        Some((_, "socket inodes")) => "sky",
        Some((_, "dentries")) => "slate",
        Some((_, "files")) => "rose",
        Some((_, "epoll items")) => "amber",
        _ => "faint",
    }
}
