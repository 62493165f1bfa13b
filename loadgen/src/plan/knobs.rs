//! Settings of the kernel for a number of connections: one table of formulas.
//!
//! A need is computed, never copied: the widespread recipes contain constants that *lower* what a kernel
//! chose by itself (`fs.file-max`, `max_user_watches`). So a knob that is already high enough says so and
//! proposes nothing.

use serde::Serialize;

use super::PlanRequest;
use super::host::Host;

/// Which machine a setting belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// Where the connections end.
    Server,
    /// Where they begin.
    Client,
    /// Each machine that holds an end.
    Both,
}

/// One setting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Knob {
    /// Name as `sysctl` writes it, or the name of a limit.
    pub name: &'static str,
    /// Where it belongs.
    pub side: Side,
    /// The least it should be.
    pub need: u64,
    /// What it is here, when it can be read.
    pub now: Option<u64>,
    /// Whether this machine has enough of it. A machine that says nothing is not blamed.
    pub met: bool,
    /// The line that sets it.
    pub command: String,
    /// What happens below it.
    pub why: &'static str,
}

/// All settings for this request, judged against this host.
#[must_use]
pub fn of(request: &PlanRequest, host: &Host) -> Vec<Knob> {
    let mut knobs = descriptors(request, host);
    knobs.extend(queues(request, host));
    knobs.extend(memory(request, host));
    knobs
}

fn descriptors(request: &PlanRequest, host: &Host) -> Vec<Knob> {
    let n = request.connections;
    let ends_here = if request.target_is_here { 2 } else { 1 };
    let per_thread = n.div_ceil(request.threads.max(1)) * 11 / 10 + 1000;
    let mut knobs = vec![
        knob(
            "nofile",
            Side::Both,
            per_thread,
            host.nofile_hard,
            "descriptors run out: EMFILE (each engine thread has a table of its own)",
        ),
        knob(
            "fs.nr_open",
            Side::Both,
            power_of_two(per_thread * 5 / 4),
            host.nr_open,
            "RLIMIT_NOFILE cannot be raised above it; set it before the limit",
        ),
        knob(
            "fs.file-max",
            Side::Both,
            n * ends_here + 100_000,
            host.file_max,
            "the machine runs out of files: ENFILE",
        ),
        knob(
            "fs.epoll.max_user_watches",
            Side::Both,
            n * ends_here + 10_000,
            host.epoll_watches_max,
            "epoll_ctl says ENOSPC; counted per user, both ends if they are one",
        ),
    ];
    if host.tracks_connections() {
        knobs.push(knob(
            "net.netfilter.nf_conntrack_max",
            Side::Both,
            n * 13 / 10,
            host.conntrack_max,
            "\"table full, dropping packet\"; better: do not track these ports",
        ));
    }
    knobs
}

fn queues(request: &PlanRequest, host: &Host) -> Vec<Knob> {
    let ramp = if request.ramp_per_s == 0 {
        RAMP_ASSUMED_PER_S
    } else {
        request.ramp_per_s
    };
    let per_listener = ramp.div_ceil(request.listeners.len().max(1) as u64);
    // Half a second is the longest pause of an accepting thread that a ramp should survive.
    let backlog = power_of_two((per_listener / 2).max(BACKLOG_MIN));
    let mut knobs = vec![
        knob(
            "net.core.somaxconn",
            Side::Server,
            backlog,
            host.somaxconn,
            "the accept queue overflows and the last ACK is dropped (ListenOverflows)",
        ),
        knob(
            "net.ipv4.tcp_max_syn_backlog",
            Side::Server,
            backlog,
            host.syn_backlog_max,
            "SYNs fall back to cookies, which lose window scaling",
        ),
        knob(
            "net.ipv4.tcp_max_orphans",
            Side::Server,
            request.connections / 2,
            host.orphans_max,
            "a mass close turns into resets",
        ),
        knob(
            "net.ipv4.tcp_max_tw_buckets",
            Side::Client,
            (ramp * 60).min(request.connections),
            host.time_wait_max,
            "TIME_WAIT is skipped with a warning when many close at once",
        ),
    ];
    if request.target_is_here {
        knobs.push(knob(
            "net.core.netdev_max_backlog",
            Side::Both,
            16_384,
            host.netdev_backlog_max,
            "loopback packets are dropped per processor (softnet_stat, column 2)",
        ));
    }
    knobs
}

fn memory(request: &PlanRequest, host: &Host) -> Vec<Knob> {
    let ends_here = if request.target_is_here { 2.0 } else { 1.0 };
    // A page per socket with a single queued byte, half as much again for what is larger.
    let pages = (request.connections as f64 * request.queued_share * ends_here * 1.5).ceil() as u64;
    let half_of_memory = host
        .memory_total_bytes
        .map_or(u64::MAX, |bytes| bytes / 2 / PAGE_BYTES);
    let pages = pages.min(half_of_memory).max(1);
    let mut knob = knob(
        "net.ipv4.tcp_mem",
        Side::Both,
        pages,
        host.tcp_mem_pages.map(|pages| pages[2]),
        "third number, in pages: above it sends and receives stall; only queued bytes count, idle sockets are free",
    );
    knob.command = format!(
        "sysctl -w net.ipv4.tcp_mem=\"{} {} {pages}\"",
        (pages / 4).max(1),
        (pages / 2).max(1)
    );
    vec![knob]
}

fn knob(name: &'static str, side: Side, need: u64, now: Option<u64>, why: &'static str) -> Knob {
    let command = if name == "nofile" {
        format!("ulimit -n {need}")
    } else {
        format!("sysctl -w {name}={need}")
    };
    Knob {
        name,
        side,
        need,
        now,
        met: now.is_none_or(|now| now >= need),
        command,
        why,
    }
}

fn power_of_two(value: u64) -> u64 {
    value.checked_next_power_of_two().unwrap_or(u64::MAX)
}

const RAMP_ASSUMED_PER_S: u64 = 10_000;
const BACKLOG_MIN: u64 = 4096;
const PAGE_BYTES: u64 = 4096;
