//! Processor time that connections do not get.

use super::super::knob::{Applied, Demand, Knob, Place, Scope};
use super::Chapter;

pub(super) const CHAPTER: Chapter = Chapter {
    title: "Processors",
    about: "An idle million asks for little of them; what is missing shows as latency.",
    knobs: KNOBS,
};

const KNOBS: &[Knob] = &[
    Knob {
        name: "steal",
        place: Place::Fact("proc/stat", |host| Some(vec![host.steal_permille?])),
        scope: Scope::Machine,
        applied: Applied::No("it is the neighbours' on the same hardware"),
        demand: |_, host| {
            let steal = host.steal_permille.unwrap_or_default();
            Demand::remark(
                steal > STEAL_PERMILLE_MAX,
                format!(
                    "{}.{} % of the processor time since the start went to other machines",
                    steal / 10,
                    steal % 10
                ),
            )
        },
        why: "Time the hypervisor gave to others while we wanted to run; in thousandths.",
        symptom: "every percentile above the median, on an idle machine",
        verified: "read here; it cannot be varied",
        ..Knob::SYSCTL
    },
    Knob {
        name: "kernel.numa_balancing",
        scope: Scope::Machine,
        applied: Applied::No("only machines with several nodes have it to lose"),
        demand: |_, host| {
            Demand::remark(
                host.sysctl("kernel.numa_balancing")
                    .is_some_and(|mode| mode > 0),
                "on: pages are unmapped now and then to see who uses them, which stalls a worker",
            )
        },
        why: "Moves memory to the node that uses it. Workers that stay on their cores allocate there \
              anyway.",
        symptom: "stalls of milliseconds on machines with several nodes",
        verified: "not tested here: the machine has one node",
        ..Knob::SYSCTL
    },
    Knob {
        name: "vm.zone_reclaim_mode",
        scope: Scope::Machine,
        applied: Applied::No("0 is the default, and right"),
        demand: |_, host| {
            Demand::remark(
                host.sysctl("vm.zone_reclaim_mode")
                    .is_some_and(|mode| mode > 0),
                "on: a node reclaims its page cache before it asks its neighbour",
            )
        },
        own: |_| Some(vec![0]),
        why: "Whether a node with no free memory looks elsewhere first.",
        symptom: "stalls in allocation while other nodes have memory",
        verified: "not tested here: the machine has one node",
        ..Knob::SYSCTL
    },
];

/// Five in a hundred; less is the noise of any shared machine.
const STEAL_PERMILLE_MAX: u64 = 50;
