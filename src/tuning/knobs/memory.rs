//! What connections take: memory as a whole, TCP's own account of it, and the tables that grow with it.

use super::super::goal::{Goal, TRACKED_BYTES};
use super::super::host::{Host, usual_hash_slots};
use super::super::knob::{Applied, Demand, Knob, Order, Place, Scope};
use super::{Chapter, power_of_two};

pub(super) const CHAPTER: Chapter = Chapter {
    title: "Memory",
    about: "An idle connection costs about 3 970 bytes in the kernel and 80 in the server; with both \
            ends on one machine count the kernel's part twice.",
    knobs: KNOBS,
};

const KNOBS: &[Knob] = &[
    Knob {
        name: "memory",
        place: Place::Fact("proc/meminfo", |host| Some(vec![host.memory_room_bytes?])),
        scope: Scope::Machine,
        applied: Applied::No("it has to be bought"),
        demand: |goal, host| {
            let (room, all) = (host.memory_room_bytes, host.memory_total_bytes);
            memory(goal, host, room, all, goal.kernel_bytes_each())
        },
        formula: "4 050 N for one end, 8 276 N for both, and a fiftieth of the machine for the rest",
        why: "Socket, inode, file, dentry, epoll item and wait queue stand in slabs that nobody can \
              swap out. MemAvailable counts part of them as reclaimable and is too hopeful.",
        symptom: "the OOM killer",
        verified: "here: 1 008 000 raw TCP connections, both ends, took 7.9 GB; 2 016 000 took 16.2 GB",
        ..Knob::SYSCTL
    },
    Knob {
        name: "memory of the control group",
        place: Place::Fact("sys/fs/cgroup/.../memory.max", |host| {
            Some(vec![host.group.as_ref()?.room_bytes])
        }),
        scope: Scope::Group,
        applied: Applied::No("it is the unit's or the container's: MemoryMax=, --memory"),
        demand: |goal, host| {
            let room = host.group.as_ref().map(|group| group.room_bytes);
            let all = host.group.as_ref().map(|group| group.limit_bytes);
            let kernel = if host.is_kernel_memory_free {
                0
            } else {
                goal.charged_bytes_each()
            };
            memory(goal, host, room, all, kernel)
        },
        formula: "1 521 N for accepted connections, 4 226 N for those that begin here, and a fiftieth of \
                  the limit; without the kernel's part after a boot with cgroup.memory=nokmem",
        why: "Files, inodes, epoll items and queued bytes are charged to the group: a limit planned with \
              the resident size of the server kills it at a fraction of the load. An accepted socket's \
              own block is not: a packet makes it, on nobody's account.",
        symptom: "the group's OOM killer; `max` and `oom_kill` in memory.events",
        verified: "tests/walls/run.py, in a group of 48 MiB; the shares by filling a group for each end",
        ..Knob::SYSCTL
    },
    Knob {
        name: "net.ipv4.tcp_mem",
        label: "queued bytes",
        scope: Scope::Machine,
        demand: tcp_mem,
        own: |host| {
            let sixteenth = host.memory_total_bytes? / PAGE_BYTES / 16;
            Some(vec![sixteenth / 4 * 3, sixteenth, sixteenth / 2 * 3])
        },
        formula: "third number, in pages: 1.5 pages for each end with queued bytes (a tenth of N), half \
                  the memory at the most; a half and a quarter of it before",
        why: "The brake for queued bytes: a socket with a single unread byte is charged a page, an idle \
              one nothing. A broadcast to a million slow readers needs a million pages.",
        symptom: "sends stall, windows shrink, `TCP: out of memory` in the kernel log; TCPMemoryPressures",
        verified: "measured: one unread message in 8 000 sockets charged 7 936 pages",
        ..Knob::SYSCTL
    },
    Knob {
        name: "net.ipv4.tcp_rmem",
        applied: Applied::No(
            "the second and third number are ceilings, not allocations: lowering them \
                              saves nothing while connections are idle",
        ),
        own: |_| Some(vec![4096, 131_072, 6_291_456]),
        why: "Receive buffer of a socket: least, first and largest size. The third bounds what one slow \
              reader can make the kernel hold.",
        symptom: "throughput of single connections",
        verified: "not varied here",
        ..Knob::SYSCTL
    },
    Knob {
        name: "net.ipv4.tcp_wmem",
        applied: Applied::No(
            "as above; the server bounds its unsent bytes itself (TCP_NOTSENT_LOWAT)",
        ),
        own: |_| Some(vec![4096, 16_384, 4_194_304]),
        why: "Send buffer of a socket: least, first and largest size.",
        symptom: "throughput of single connections",
        verified: "not varied here",
        ..Knob::SYSCTL
    },
    Knob {
        name: "net.core.rmem_max",
        applied: Applied::No(
            "it only caps SO_RCVBUF, which switches autotuning off; we do not set it",
        ),
        own: |_| Some(vec![212_992]),
        why: "The largest receive buffer a program may ask for.",
        symptom: "other programs on the machine suffer from a small one",
        verified: "not varied here",
        ..Knob::SYSCTL
    },
    Knob {
        name: "net.core.wmem_max",
        applied: Applied::No("it only caps SO_SNDBUF; we do not set it"),
        own: |_| Some(vec![212_992]),
        why: "The largest send buffer a program may ask for.",
        symptom: "other programs on the machine suffer from a small one",
        verified: "not varied here",
        ..Knob::SYSCTL
    },
    Knob {
        name: "tcp_ehash",
        place: Place::Fact("proc/sys/net/ipv4/tcp_ehash_entries", |host| {
            Some(vec![host.hash_slots?])
        }),
        scope: Scope::Machine,
        applied: Applied::No(
            "a boot parameter (thash_entries=); a network namespace made after \
                              tcp_child_ehash_entries was set gets a table of its own",
        ),
        demand: hash_slots,
        own: |host| Some(vec![usual_hash_slots(host.memory_total_bytes?)]),
        formula: "a slot for every four sockets",
        why: "The table of established connections has a slot per 128 KiB of memory and never more than \
              524 288 by itself; beyond, chains grow and each packet walks one.",
        symptom: "softirq time per packet creeps up with the number of connections",
        verified: "the sizes here; the cost of long chains not measured",
        ..Knob::SYSCTL
    },
    Knob {
        name: "vm.min_free_kbytes",
        scope: Scope::Machine,
        applied: Applied::No(
            "it takes memory away from connections; raise it to 1 % of the memory if \
                              the kernel log shows page allocation failures",
        ),
        why: "Packets are received in places that cannot wait for memory: this much is kept for them.",
        symptom: "`page allocation failure` in the kernel log",
        verified: "not varied here",
        ..Knob::SYSCTL
    },
    Knob {
        name: "vm.overcommit_memory",
        scope: Scope::Machine,
        applied: Applied::No("a decision about the whole machine"),
        demand: |_, host| {
            Demand::remark(
                host.sysctl("vm.overcommit_memory") == Some(2),
                "strict accounting: tables reserved in advance count in full",
            )
        },
        why: "2 refuses reservations beyond the commit limit, also those that are never touched.",
        symptom: "out of memory with memory free",
        verified: "not varied here",
        ..Knob::SYSCTL
    },
    Knob {
        name: "swap",
        place: Place::Fact("proc/meminfo", |host| Some(vec![host.swap_used_bytes])),
        scope: Scope::Machine,
        order: Order::Raise,
        applied: Applied::No("swapoff, or MemorySwapMax=0 in the unit"),
        demand: |_, host| {
            Demand::remark(
                host.swap_used_bytes > 0,
                "memory is swapped out: a worker that touches it stops for everybody on its core",
            )
        },
        why: "Kernel memory cannot be swapped, so the pressure of a million sockets falls on the \
              programs.",
        symptom: "latency of tens of milliseconds at random",
        verified: "not varied here",
        ..Knob::SYSCTL
    },
    Knob {
        name: "transparent huge pages",
        place: Place::Fact("sys/kernel/mm/transparent_hugepage/enabled", |_| None),
        scope: Scope::Machine,
        applied: Applied::No("a decision about the whole machine: madvise is a good one"),
        demand: |_, host| {
            Demand::remark(
                host.huge_pages.as_deref() == Some("always"),
                "`always`: resident size is rounded up to 2 MiB, measured bytes per connection are not \
                 what is used",
            )
        },
        why: "Large tables gain from huge pages; measured sizes lose their meaning.",
        symptom: "resident size in steps",
        verified: "not varied here",
        ..Knob::SYSCTL
    },
];

/// How many connections `room` bytes hold beside those that are here already. A fiftieth of `all` is
/// kept for everything else.
fn memory(
    goal: &Goal,
    host: &Host,
    room: Option<u64>,
    all: Option<u64>,
    kernel_bytes_each: u64,
) -> Demand {
    let tracked = if host.tracks_connections() {
        TRACKED_BYTES
    } else {
        0
    };
    let each = kernel_bytes_each + goal.user_bytes_each() + tracked;
    let kept = all.unwrap_or_default() / 50;
    let held = host.sockets_in_use / goal.ends_here();
    let fit = room.map(|room| held + room.saturating_sub(kept) / each);
    let missing = goal.connections.saturating_sub(held);
    Demand::of(missing * each + kept)
        .stops_at(fit)
        .cured_by(format!(
            "{each} bytes for each connection: fewer of them, or more memory"
        ))
}

fn tcp_mem(goal: &Goal, host: &Host) -> Demand {
    let queued = goal.connections * goal.ends_here() * goal.queued_percent / 100;
    let half_of_memory = host
        .memory_total_bytes
        .map_or(u64::MAX, |bytes| bytes / 2 / PAGE_BYTES);
    let most = (queued + queued / 2).min(half_of_memory).max(1);
    let holds = |pages: u64| {
        let free = pages.saturating_sub(host.tcp_pages_used);
        (free * 100).checked_div(goal.queued_percent * goal.ends_here())
    };
    let stop = host.sysctl_at("net.ipv4.tcp_mem", 2).and_then(holds);
    Demand::all_of(&[(most / 4).max(1), (most / 2).max(1), most]).stops_at(stop)
}

fn hash_slots(goal: &Goal, host: &Host) -> Demand {
    let sockets = goal.connections * goal.ends_here();
    let per_slot = host.hash_slots.and_then(|slots| sockets.checked_div(slots));
    let enough = power_of_two(sockets / 4);
    Demand::remark(
        per_slot.is_some_and(|sockets| sockets > CHAIN_MAX),
        format!(
            "{} sockets in each slot: packets walk long chains",
            per_slot.unwrap_or_default()
        ),
    )
    .cured_by(format!("boot with thash_entries={enough}"))
}

const PAGE_BYTES: u64 = 4096;
/// Sockets per slot from which on it is worth a word: a cache miss each.
const CHAIN_MAX: u64 = 4;
