//! The hubs' figures for Prometheus: what the counters of connections do not have.

use crate::admin::{Exposition, Kind};
use crate::journal::Figures;
use crate::service::{Exchange, Snapshot};

/// A figure of a hub, by the name it has outside.
type Figure = (&'static str, Kind, &'static str, fn(&Snapshot) -> u64);

const FIGURES: &[Figure] = &[
    (
        "throng_hub_clients",
        Kind::Gauge,
        "Connections that have logged in.",
        |s| s.sessions as u64,
    ),
    (
        "throng_hub_users",
        Kind::Gauge,
        "Different users with connections.",
        |s| s.users as u64,
    ),
    (
        "throng_hub_channels",
        Kind::Gauge,
        "Channels with subscribers or a history.",
        |s| s.channels as u64,
    ),
    (
        "throng_hub_subscriptions",
        Kind::Gauge,
        "Subscriptions.",
        |s| s.subscriptions as u64,
    ),
    (
        "throng_history_memory_bytes",
        Kind::Gauge,
        "Bytes of all histories.",
        |s| s.history_bytes as u64,
    ),
    (
        "throng_publications_total",
        Kind::Counter,
        "Publications that were taken.",
        |s| s.tally.published,
    ),
    (
        "throng_deliveries_total",
        Kind::Counter,
        "Frames that were handed to subscribers.",
        |s| s.tally.delivered,
    ),
    (
        "throng_publications_busy_total",
        Kind::Counter,
        "Publications that were refused because a worker or the disk was behind.",
        |s| s.tally.busy,
    ),
    (
        "throng_history_evicted_total",
        Kind::Counter,
        "Publications that went before their time because all histories together were too large.",
        |s| s.tally.history_evicted,
    ),
];

/// Counters of one family, by the value of its label.
type Cases = &'static [(&'static str, fn(&Snapshot) -> u64)];

/// Name, label, sentence, values.
const FAMILIES: &[(&str, &str, &str, Cases)] = &[
    (
        "throng_recoveries_total",
        "result",
        "Subscribers that asked for what they had missed.",
        &[
            ("recovered", |s| s.tally.recovered),
            ("not_recovered", |s| s.tally.not_recovered),
        ],
    ),
    (
        "throng_slow_subscribers_total",
        "action",
        "Subscribers that read too slowly, by what became of them.",
        &[
            ("disconnected", |s| s.tally.slow_disconnected),
            ("held_back", |s| s.tally.slow_held),
        ],
    ),
    (
        "throng_events_lost_total",
        "cause",
        "Events that a subscriber was told it missed.",
        &[("slow", |s| s.tally.slow_lost)],
    ),
    (
        "throng_over_limit_total",
        "limit",
        "What went beyond a limit of [limits], let through in a dry run or not.",
        &[
            ("max_channels", |s| s.tally.channel_limit),
            ("max_channel_name", |s| s.tally.name_limit),
            ("max_connections_per_user", |s| s.tally.user_limit),
            ("max_message_rate", |s| s.tally.message_rate),
            ("max_byte_rate", |s| s.tally.byte_rate),
            ("max_publication", |s| s.tally.publication_limit),
        ],
    ),
    (
        "throng_turned_away_total",
        "cause",
        "Clients that did not become sessions, or not for long.",
        &[
            ("unauthorized", |s| s.door.unauthorized),
            ("forbidden", |s| s.door.forbidden),
            ("limited", |s| s.door.limited),
            ("stale", |s| s.door.stale),
            ("expired", |s| s.door.expired),
        ],
    ),
];

/// The sums over all workers.
pub(super) fn expose(exchange: &Exchange, page: &mut Exposition) {
    let snapshots = exchange.snapshots();
    let sum = snapshots.iter().fold(Snapshot::default(), |sum, s| sum + s);
    expose_sum(&sum, page);
    let gate = exchange.common().gate().counts();
    let meaning = "Handshakes beyond a limit of [limits], let in by a dry run or not.";
    page.family("throng_handshakes_over_limit_total", Kind::Counter, meaning)
        .sample(
            &[("limit", &"max_connections_per_ip")],
            gate.over_ip_connections,
        )
        .sample(
            &[("limit", &"max_handshakes_per_ip")],
            gate.over_ip_handshakes,
        )
        .sample(&[("limit", &"max_handshakes")], gate.over_handshakes);
    let meaning = "Handshakes that were let in because there was no room to count their addresses.";
    let name = "throng_handshakes_untracked_total";
    page.figure(name, Kind::Counter, meaning, gate.untracked);
}

fn expose_sum(sum: &Snapshot, page: &mut Exposition) {
    for (name, kind, meaning, of) in FIGURES {
        page.figure(name, *kind, meaning, of(sum));
    }
    for (name, label, meaning, cases) in FAMILIES {
        let mut family = page.family(name, Kind::Counter, meaning);
        for (case, of) in *cases {
            family.sample(&[(label, case)], of(sum));
        }
    }
}

/// The history on disk.
pub(super) fn expose_journal(figures: &Figures, page: &mut Exposition) {
    let mut counter = |name, meaning, value: u64| page.figure(name, Kind::Counter, meaning, value);
    let meaning = "Bytes of histories that were written.";
    counter(
        "throng_journal_written_bytes_total",
        meaning,
        figures.written_bytes,
    );
    let meaning = "Times the disk was waited for.";
    counter("throng_journal_syncs_total", meaning, figures.syncs);
    let meaning = "Writes and syncs that failed.";
    counter("throng_journal_failures_total", meaning, figures.failures);
    let meaning = "Time the disk was waited for.";
    let seconds = figures.sync_us as f64 / 1e6;
    let name = "throng_journal_sync_seconds_total";
    page.figure(name, Kind::Counter, meaning, seconds);
    let mut gauge = |name, meaning, value: u64| page.figure(name, Kind::Gauge, meaning, value);
    let meaning = "Whether histories cannot be written: nothing is acknowledged then.";
    gauge("throng_journal_failing", meaning, figures.is_failing);
    let meaning = "Files that histories are kept in.";
    gauge("throng_journal_segments", meaning, figures.segments);
    let meaning = "Bytes of those files.";
    gauge("throng_journal_bytes", meaning, figures.segment_bytes);
    let meaning = "Publications that wait for being written.";
    gauge("throng_journal_waiting", meaning, figures.waiting);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_figure_is_on_the_page_once() {
        let mut page = Exposition::default();
        expose_sum(&Snapshot::default(), &mut page);
        expose_journal(&Figures::default(), &mut page);
        let text = page.into_text();
        let mut series: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
        let cases: usize = FAMILIES.iter().map(|(.., cases)| cases.len()).sum();
        assert_eq!(series.len(), FIGURES.len() + cases + 8);
        series.sort_unstable();
        series.dedup();
        assert_eq!(series.len(), FIGURES.len() + cases + 8);
    }
}
