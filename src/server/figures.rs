//! The server as the admin port sees it: figures for Prometheus, and whether all is well.
//!
//! Names follow the conventions of Prometheus (`_total`, base units, `process_*` for what every
//! process has); the counters' sentences are those in `metrics`. Labels have few values, and all are ours:
//! a worker, a kind of bytes, never a channel, a user or an address.

use super::stats::Stats;
use crate::admin::{Exposition, Host, Kind, Vitals};
use crate::metrics::{Counters, Ledger};
use crate::sys::clock;
use crate::tuning::goal::SERVER_KERNEL_BYTES;

/// What the counters are called outside. One that is not here is `throng_NAME_total`.
const COUNTERS: &[(&str, &str)] = &[
    ("accepted", "throng_connections_accepted_total"),
    ("upgraded", "throng_websockets_opened_total"),
    ("ended", "throng_websockets_ended_total"),
    ("refused", "throng_requests_refused_total"),
    ("turned_away", "throng_connections_turned_away_total"),
    ("handed_over", "throng_connections_handed_over_total"),
    ("closed", "throng_connections_closed_total"),
    ("messages_in", "throng_messages_received_total"),
    ("pings", "throng_pings_sent_total"),
    ("timed_out", "throng_connections_timed_out_total"),
    ("overflowed", "throng_connections_overflowed_total"),
    ("violations", "throng_protocol_violations_total"),
    ("panics", "throng_handler_panics_total"),
    ("exhausted", "throng_descriptors_exhausted_total"),
];

/// Counters whose names go on with a reason: one family outside.
const TLS_FAILED: &str = "tls_failed_";

/// Rounds of the main thread (five a second) for which a worker may show no sign of life: half a
/// minute, where the watchdog of the unit waits for ten seconds. Counted and not timed, so that a
/// process that was stopped for an hour is not ended when it goes on.
pub(super) const STALLED_ROUNDS_MAX: u32 = 150;

impl Host for Stats {
    fn readiness(&self) -> Result<(), String> {
        let (sockets, sockets_max) = (self.sockets(), self.house().guests_max());
        let why = if !self.is_serving() {
            "the server is starting"
        } else if self.is_draining() {
            "the server is draining: everybody is asked to leave"
        } else if self.is_short() {
            "memory is short: newcomers are refused"
        } else if self.is_history_stuck() {
            "the history cannot be written: publications are not acknowledged (--history-dir)"
        } else if sockets >= sockets_max {
            "the server is full: newcomers are refused (--max-connections)"
        } else {
            return Ok(());
        };
        Err(why.to_owned())
    }

    fn liveness(&self) -> Result<(), String> {
        let rounds = self.stalled_rounds();
        if rounds < STALLED_ROUNDS_MAX {
            return Ok(());
        }
        let seconds = rounds / 5;
        Err(format!("a worker has not turned for {seconds} s"))
    }

    fn vitals(&self) -> Vitals {
        Vitals {
            uptime_ms: self.uptime_ms(),
            rss_bytes: self.memory().rss_bytes,
        }
    }

    fn expose(&self, page: &mut Exposition) {
        expose_connections(self, page);
        let counters = self.board().counters();
        let each = Counters::NAMES.iter().zip(Counters::MEANINGS);
        let is_alone = |((name, _), _): &((&&str, &&str), u64)| !name.starts_with(TLS_FAILED);
        for ((name, meaning), value) in each.zip(counters.values()).filter(is_alone) {
            let known = COUNTERS.iter().find(|(field, _)| field == name);
            let made = format!("throng_{name}_total");
            let name = known.map_or(&made[..], |(_, name)| name);
            page.figure(name, Kind::Counter, meaning, value);
        }
        expose_failed_handshakes(&counters, page);
        expose_certificates(self, page);
        expose_memory(self, page);
        expose_ledger(self, page);
        expose_process(self, page);
    }

    fn stats(&self) -> String {
        self.json()
    }
}

fn expose_connections(stats: &Stats, page: &mut Exposition) {
    let mut gauge = |name, meaning, value: u64| page.figure(name, Kind::Gauge, meaning, value);
    let (sockets, sockets_max) = (stats.sockets(), stats.house().guests_max());
    gauge(
        "throng_websockets",
        "WebSockets that are open.",
        stats.connections(),
    );
    let meaning = "Connections in whatever state.";
    gauge("throng_connections", meaning, sockets as u64);
    let meaning = "Connections there may be.";
    gauge("throng_connections_max", meaning, sockets_max as u64);
    let meaning = "Whether newcomers may be sent here (as /healthz/ready).";
    gauge("throng_ready", meaning, stats.readiness().is_ok().into());
    let meaning = "Whether everybody is being asked to leave.";
    gauge("throng_draining", meaning, stats.is_draining().into());
    gauge("throng_workers", "Event loops.", stats.workers() as u64);
    let meaning = "Connections of each worker.";
    let mut family = page.family("throng_worker_connections", Kind::Gauge, meaning);
    for (worker, sockets) in stats.board().sockets().take(stats.workers()).enumerate() {
        family.sample(&[("worker", &worker)], sockets);
    }
}

/// One family with a label, as queries want it.
fn expose_failed_handshakes(counters: &Counters, page: &mut Exposition) {
    let name = "throng_tls_handshakes_failed_total";
    let meaning = "TLS handshakes that failed, by what was the matter.";
    let mut family = page.family(name, Kind::Counter, meaning);
    for (name, value) in Counters::NAMES.iter().zip(counters.values()) {
        if let Some(reason) = name.strip_prefix(TLS_FAILED) {
            family.sample(&[("reason", &reason)], value);
        }
    }
}

/// As a time and not as what is left of it: the server need not be asked for it to come nearer.
fn expose_certificates(stats: &Stats, page: &mut Exposition) {
    let ends = stats.certificates();
    if ends.is_empty() {
        return;
    }
    let name = "throng_tls_certificate_expiry_timestamp_seconds";
    let meaning = "Until when a certificate holds, in seconds since 1970.";
    let mut family = page.family(name, Kind::Gauge, meaning);
    for end in ends {
        family.sample(&[("file", &end.path.display())], end.not_after_s);
    }
}

fn expose_memory(stats: &Stats, page: &mut Exposition) {
    let memory = stats.memory();
    let mut gauge = |name, meaning, value: Option<u64>| {
        // What this machine does not tell is left out, not 0.
        if let Some(value) = value {
            page.figure(name, Kind::Gauge, meaning, value);
        }
    };
    let kernel_bytes = stats.sockets() as u64 * SERVER_KERNEL_BYTES;
    let meaning = "The kernel's memory for our connections, estimated by their number.";
    gauge("throng_kernel_memory_bytes", meaning, Some(kernel_bytes));
    let meaning = "Memory the machine could still give.";
    let name = "throng_machine_memory_available_bytes";
    gauge(name, meaning, memory.available_bytes);
    let meaning = "Memory our control group uses, the kernel's part included.";
    let used = memory.group.map(|group| group.used_bytes);
    gauge("throng_control_group_memory_used_bytes", meaning, used);
    let meaning = "Memory our control group may use.";
    let limit = memory.group.map(|group| group.limit_bytes);
    gauge("throng_control_group_memory_limit_bytes", meaning, limit);
    let meaning = "Whether newcomers are refused because memory is short.";
    gauge(
        "throng_memory_short",
        meaning,
        Some(stats.is_short().into()),
    );
}

fn expose_ledger(stats: &Stats, page: &mut Exposition) {
    let ledger = stats.ledger();
    let meaning = "Where the bytes of connections are, as of the last walk through them.";
    let mut family = page.family("throng_ledger_bytes", Kind::Gauge, meaning);
    for (kind, bytes) in Ledger::NAMES.iter().zip(ledger.values()) {
        family.sample(&[("kind", kind)], bytes);
    }
    if let Some(age_ms) = stats.ledger_age_ms() {
        let meaning = "How long ago that walk was. Reading this page asks for another.";
        let age_s = age_ms as f64 / 1e3;
        page.figure("throng_ledger_age_seconds", Kind::Gauge, meaning, age_s);
    }
    stats.want_ledger();
}

fn expose_process(stats: &Stats, page: &mut Exposition) {
    let (done, failed) = stats.reloads();
    let meaning = "Reloads of the configuration.";
    page.family("throng_reloads_total", Kind::Counter, meaning)
        .sample(&[("result", &"done")], done)
        .sample(&[("result", &"failed")], failed);
    let meaning = "The version that runs.";
    page.family("throng_build_info", Kind::Gauge, meaning)
        .sample(&[("version", &env!("CARGO_PKG_VERSION"))], 1);
    if let Some(bytes) = stats.memory().rss_bytes {
        let meaning = "Resident memory.";
        page.figure("process_resident_memory_bytes", Kind::Gauge, meaning, bytes);
    }
    let cpu_s = clock::process_cpu_ns() as f64 / 1e9;
    let meaning = "Processor time of all threads, in user and kernel mode.";
    page.figure("process_cpu_seconds_total", Kind::Counter, meaning, cpu_s);
    let started_s = clock::unix_s().saturating_sub(stats.uptime_ms() / 1_000);
    let meaning = "When the process started, in seconds since 1970.";
    page.figure(
        "process_start_time_seconds",
        Kind::Gauge,
        meaning,
        started_s,
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Board;
    use crate::reactor::House;
    use std::sync::Arc;

    fn stats() -> Arc<Stats> {
        let stats = Stats::new(Board::new(2), House::new(10));
        stats.set_workers(2);
        Arc::new(stats)
    }

    #[test]
    fn ready_is_quick_to_say_no_and_live_is_slow() {
        let stats = stats();
        let says = |part: &str| stats.readiness().is_err_and(|why| why.contains(part));
        assert!(says("starting"));
        stats.set_serving();
        assert_eq!(stats.readiness(), Ok(()));
        stats.set_memory(super::super::memory::Reading::default(), true);
        assert!(says("memory is short"));
        stats.set_memory(super::super::memory::Reading::default(), false);
        stats.house().set_guests_max(0);
        assert!(says("full"));
        stats.set_draining();
        assert!(says("draining"));
        stats.set_stalled_rounds(STALLED_ROUNDS_MAX - 1);
        assert_eq!(stats.liveness(), Ok(()));
        stats.set_stalled_rounds(STALLED_ROUNDS_MAX);
        assert_eq!(
            stats.liveness(),
            Err("a worker has not turned for 30 s".to_owned())
        );
    }

    #[test]
    fn every_counter_and_every_kind_of_bytes_is_there() {
        let stats = stats();
        let mut page = Exposition::default();
        stats.expose(&mut page);
        let text = page.into_text();
        for name in Counters::NAMES {
            let known = COUNTERS.iter().find(|(field, _)| field == name);
            let name = match name.strip_prefix(TLS_FAILED) {
                Some(reason) => {
                    format!("throng_tls_handshakes_failed_total{{reason=\"{reason}\"}}")
                }
                None => known.map_or(format!("throng_{name}_total"), |(_, name)| (*name).into()),
            };
            assert!(text.contains(&format!("\n{name} 0\n")), "{name}: {text}");
        }
        for kind in Ledger::NAMES {
            let sample = format!("\nthrong_ledger_bytes{{kind=\"{kind}\"}} 0\n");
            assert!(text.contains(&sample), "{kind}: {text}");
        }
        assert!(
            text.contains("# HELP throng_pings_sent_total Pings sent.\n"),
            "{text}"
        );
        assert!(stats.take_wish(), "reading it asks for a ledger");
    }

    #[test]
    fn the_table_names_counters_that_exist() {
        for (field, _) in COUNTERS {
            assert!(Counters::NAMES.contains(field), "{field}");
        }
    }
}
