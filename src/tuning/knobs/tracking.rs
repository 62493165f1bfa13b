//! The firewall's connection tracker.

use super::super::goal::Goal;
use super::super::host::Host;
use super::super::knob::{Applied, Demand, Knob, Scope};
use super::{Chapter, power_of_two};

pub(super) const CHAPTER: Chapter = Chapter {
    title: "Connection tracking",
    about: "If the firewall tracks connections, each takes an entry of 256 bytes. Best is not to track \
            the port at all (`notrack`); Docker's bridge always tracks, so use the host's network for \
            large experiments. A module that is loaded without a rule that needs it tracks nothing.",
    knobs: KNOBS,
};

const KNOBS: &[Knob] = &[
    Knob {
        name: "net.netfilter.nf_conntrack_max",
        label: "connection tracking",
        scope: Scope::Machine,
        applied: Applied::WhenTracking,
        demand: entries,
        own: |host| Some(vec![usual_entries(host.memory_total_bytes?)]),
        formula: "1.3 N",
        why: "Entries of the tracker; 262 144 by default on any machine with more than 4 GiB.",
        symptom: "`nf_conntrack: table full, dropping packet` in the kernel log; connects time out",
        verified: "tests/walls/run.py: lowered, in a namespace with a tracking rule, until connects timed out",
        ..Knob::SYSCTL
    },
    Knob {
        name: "net.netfilter.nf_conntrack_buckets",
        scope: Scope::Machine,
        applied: Applied::WhenTracking,
        demand: |goal, host| {
            if host.tracks_connections() {
                Demand::of(buckets(goal))
            } else {
                Demand::NOTHING
            }
        },
        own: |host| Some(vec![usual_entries(host.memory_total_bytes?)]),
        formula: "half as many as entries, a power of two",
        why: "The tracker's hash table: every packet of every connection looks in it.",
        symptom: "softirq time per packet creeps up",
        verified: "not varied here",
        ..Knob::SYSCTL
    },
];

fn entries(goal: &Goal, host: &Host) -> Demand {
    if !host.tracks_connections() {
        return Demand::NOTHING;
    }
    let others = host
        .conntrack_count
        .unwrap_or_default()
        .saturating_sub(host.sockets_in_use / goal.ends_here());
    let max = host.sysctl("net.netfilter.nf_conntrack_max");
    Demand::of(wanted(goal)).stops_at(max.map(|max| max.saturating_sub(others)))
}

/// What the tracker should hold: connections that are gone keep their entries for a while.
const fn wanted(goal: &Goal) -> u64 {
    goal.connections + goal.connections / 10 * 3
}

/// Its hash table.
#[must_use]
pub fn buckets(goal: &Goal) -> u64 {
    power_of_two(wanted(goal) / 2)
}

/// The kernel's choice: the rest is capped, however large the machine is.
fn usual_entries(memory_bytes: u64) -> u64 {
    match memory_bytes >> 30 {
        0 => (memory_bytes / 16_384 / 8).max(1024),
        1..=4 => 65_536,
        _ => 262_144,
    }
}
