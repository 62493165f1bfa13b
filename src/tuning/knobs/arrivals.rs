//! How fast connections may come, and go.

use super::super::goal::Goal;
use super::super::host::Host;
use super::super::knob::{Applied, Demand, Knob, Scope, Side};
use super::{Chapter, power_of_two};

pub(super) const CHAPTER: Chapter = Chapter {
    title: "Coming and going",
    about: "A rate matters more than a number here: after a restart everybody comes back at once. What \
            overflows is lost in silence, and the client tries again after one second, then three.",
    knobs: KNOBS,
};

const KNOBS: &[Knob] = &[
    Knob {
        name: "net.core.somaxconn",
        label: "accept queue",
        side: Side::Server,
        demand: accept_queue,
        own: |_| Some(vec![BACKLOG_MIN]),
        formula: "half a second of arrivals per accept queue (there is one per worker and address), a \
                  power of two, at least 4 096",
        why: "The kernel takes the smaller of the program's backlog and this. The queue has to hold what \
              arrives while a worker is busy with something else.",
        symptom: "clients connect a second late or time out; ListenOverflows, ListenDrops",
        verified: "tests/walls/run.py: a queue of 16 and a burst of 200, in a fresh namespace",
        ..Knob::SYSCTL
    },
    Knob {
        name: "net.ipv4.tcp_max_syn_backlog",
        label: "SYN queue",
        side: Side::Server,
        demand: syn_queue,
        own: |host| Some(vec![(host.hash_slots? / 128).max(128)]),
        formula: "as large as somaxconn",
        why: "Half-open connections per listener. It counts only where SYN cookies are off: with them \
              the accept queue's length is the limit, beyond it cookies are sent.",
        symptom: "TCPReqQFullDrop; with cookies TCPReqQFullDoCookies, and connections without window \
                  scaling where timestamps are off",
        verified: "read in the kernel's source (tcp_conn_request)",
        ..Knob::SYSCTL
    },
    Knob {
        name: "net.core.netdev_max_backlog",
        scope: Scope::Machine,
        demand: |goal, _| match goal.ends_here() {
            2 => Demand::of(PACKETS),
            _ => Demand::NOTHING,
        },
        own: |_| Some(vec![1_000]),
        formula: "16 384 where packets pass the loopback or a container's bridge",
        why: "Packets that wait for a processor. Network cards poll and do not use it; the loopback, \
              virtual bridges and RPS do.",
        symptom: "retransmissions without a network; the second column of /proc/net/softnet_stat",
        verified: "here: drops counted at 1 000 with both ends on one machine",
        ..Knob::SYSCTL
    },
    Knob {
        name: "net.ipv4.tcp_max_orphans",
        scope: Scope::Machine,
        side: Side::Server,
        demand: |goal, _| Demand::of(goal.connections / 2),
        own: |host| Some(vec![host.hash_slots? / 2]),
        formula: "N / 2",
        why: "Sockets that were closed and still have something to send. When many close at once, those \
              above the limit are reset instead.",
        symptom: "`too many orphaned sockets` in the kernel log; TCPAbortOnMemory",
        verified: "read in the kernel's source (tcp_check_oom)",
        ..Knob::SYSCTL
    },
    Knob {
        name: "net.ipv4.tcp_max_tw_buckets",
        demand: |goal, _| Demand::of(goal.connections.min(goal.rate_per_s * 60)),
        own: |host| Some(vec![host.hash_slots? / 2]),
        formula: "60 seconds of closes: 60 R, N at the most",
        why: "Who closes first waits a minute in TIME_WAIT; for WebSocket that is usually the server. \
              Above the limit the wait is skipped, and a late segment may meet the wrong connection.",
        symptom: "TCPTimeWaitOverflow",
        verified: "tests/walls/run.py: 100 allowed, 300 closed, in a fresh namespace",
        ..Knob::SYSCTL
    },
    Knob {
        name: "net.ipv4.tcp_migrate_req",
        side: Side::Server,
        demand: |goal, _| {
            if goal.queues > 1 {
                Demand::of(1)
            } else {
                Demand::NOTHING
            }
        },
        own: |_| Some(vec![0]),
        formula: "1, with more than one worker",
        why: "When one of several listeners of a port closes (a restart that overlaps, a worker that \
              ends), what waits in its queue moves to the others instead of being reset. Since Linux 5.14.",
        symptom: "connections reset during a restart; TCPMigrateReqFailure",
        verified: "measured: 200 queued connections, one listener closed: 104 reset with 0, none with 1",
        ..Knob::SYSCTL
    },
    Knob {
        name: "net.ipv4.tcp_syncookies",
        side: Side::Server,
        applied: Applied::No("1 is the default, and right"),
        demand: |_, host| {
            Demand::remark(
                host.sysctl("net.ipv4.tcp_syncookies") == Some(0),
                "off: a full SYN queue drops honest clients",
            )
        },
        own: |_| Some(vec![1]),
        why: "The last resort of a full SYN queue. It is for floods, not for load: SyncookiesSent rising \
              in normal service means the queue is too short.",
        symptom: "SyncookiesSent",
        verified: "read in the kernel's source",
        ..Knob::SYSCTL
    },
    Knob {
        name: "net.ipv4.tcp_abort_on_overflow",
        side: Side::Server,
        applied: Applied::No("0 is the default, and right in production"),
        demand: |_, host| {
            Demand::remark(
                host.sysctl("net.ipv4.tcp_abort_on_overflow") == Some(1),
                "a full accept queue resets clients instead of letting them try again",
            )
        },
        why: "1 resets what the accept queue cannot take: useful in a load test that wants to fail \
              early, a hard error for users otherwise.",
        symptom: "connection reset during a burst",
        verified: "not varied here",
        ..Knob::SYSCTL
    },
];

fn accept_queue(goal: &Goal, host: &Host) -> Demand {
    let queues = goal.queues.max(1);
    let need = power_of_two((goal.rate_per_s.div_ceil(queues) / 2).max(BACKLOG_MIN));
    // Twice the queue is the rate at which half a second fills it.
    let now = host.sysctl("net.core.somaxconn");
    Demand::of(need).stops_at_rate(now.map(|now| now.saturating_mul(2 * queues)))
}

fn syn_queue(goal: &Goal, host: &Host) -> Demand {
    let need = accept_queue(goal, host).need;
    let mut demand = Demand {
        is_indirect: true,
        ..Demand::all_of(&need)
    };
    if host.sysctl("net.ipv4.tcp_syncookies") == Some(0) {
        // Strangers are refused the last quarter; each waits for one round trip.
        let per_s = |now: u64| (now / 4 * 3).saturating_mul(ROUND_TRIPS_PER_S * goal.queues.max(1));
        demand = demand.stops_at_rate(host.sysctl("net.ipv4.tcp_max_syn_backlog").map(per_s));
    }
    demand
}

/// The kernel's default since Linux 5.4.
const BACKLOG_MIN: u64 = 4096;
/// A burst of handshakes to one processor, some packets each.
const PACKETS: u64 = 16_384;
/// Of 250 ms, a client on the other side of the world.
const ROUND_TRIPS_PER_S: u64 = 4;
