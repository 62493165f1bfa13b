//! Files of all kinds: what a socket is to the rest of the kernel.

use super::super::goal::Goal;
use super::super::host::Host;
use super::super::knob::{Applied, Demand, Knob, Place, Scope};
use super::{Chapter, power_of_two};

pub(super) const CHAPTER: Chapter = Chapter {
    title: "Descriptors",
    about: "Every connection is a descriptor, counted by its table, by its user and by the machine.",
    knobs: KNOBS,
};

const KNOBS: &[Knob] = &[
    Knob {
        name: NOFILE,
        label: "descriptors",
        place: Place::Limit,
        scope: Scope::Process,
        applied: Applied::Yes,
        demand: nofile,
        formula: "1.1 N / tables + 1000 in each table",
        why: "The limit counts per descriptor table. Each worker has a table of its own where the system \
              lets it, so where the limit may not be raised, more workers bring more tables. systemd \
              does not read /etc/security/limits.conf: a service needs LimitNOFILE=.",
        symptom: "EMFILE from accept and connect",
        verified: "here, under a hard limit of 20 000 that root may not raise: one table ends at it, 70 \
                   parted tables held 1 008 000 sockets",
        ..Knob::SYSCTL
    },
    Knob {
        name: "fs.nr_open",
        scope: Scope::Machine,
        demand: nr_open,
        own: |_| Some(vec![NR_OPEN]),
        formula: "the limit above, rounded up to a power of two",
        why: "The ceiling of RLIMIT_NOFILE. Its default, 1 048 576, is why so many experiments end just \
              above a million. Set it before the limit: a limit above it is refused.",
        symptom: "setrlimit fails with EPERM; systemd starts the unit with a lower limit",
        verified: "set and undone here",
        ..Knob::SYSCTL
    },
    Knob {
        name: "fs.file-max",
        label: "open files of the machine",
        scope: Scope::Machine,
        demand: file_max,
        own: |host| Some(vec![host.memory_total_bytes? / 10_240]),
        formula: "sockets on this machine + 100 000",
        why: "Open files of the whole machine. The kernel derives it from the memory, systemd sets it to \
              the largest number there is: a constant from a recipe is lower than either.",
        symptom: "ENFILE; `VFS: file-max limit reached` in the kernel log; processes with CAP_SYS_ADMIN \
                  are exempt",
        verified: "tests/walls/run.py: lowered until a user without CAP_SYS_ADMIN met ENFILE",
        ..Knob::SYSCTL
    },
    Knob {
        name: "fs.epoll.max_user_watches",
        label: "epoll registrations",
        scope: Scope::User,
        demand: epoll_watches,
        own: |host| Some(vec![host.memory_total_bytes? / 4_600]),
        formula: "sockets on this machine + 10 000",
        why: "Epoll registrations of one user in all processes: server and generator under one user \
              share it. The kernel derives it from the memory, enough for millions on any machine that \
              can hold them.",
        symptom: "ENOSPC from epoll_ctl",
        verified: "tests/walls/run.py: lowered until epoll_ctl failed",
        ..Knob::SYSCTL
    },
];

fn nofile(goal: &Goal, host: &Host) -> Demand {
    let (tables, most) = if host.are_tables_shared {
        (1, 1)
    } else {
        (goal.tables.max(1), goal.tables_max.max(goal.tables))
    };
    let need = spread(goal.connections.div_ceil(tables), tables) + BESIDE;
    let Some(limit) = host.nofile_hard else {
        return Demand::of(need);
    };
    let room = (1..=most).map(|tables| tables_room(limit, tables)).max();
    let mut demand = Demand::of(need).stops_at(room);
    let wanted = spread(goal.connections, 2);
    if limit < need
        && let Some(enough) = (tables..=most).find(|tables| tables_room(limit, *tables) >= wanted)
    {
        demand.remark = Some(format!(
            "met by {enough} descriptor tables instead of {tables}: further workers, each with a \
             table of its own"
        ));
    }
    let raise = match host.sysctl("fs.nr_open") {
        Some(ceiling) if ceiling < need => {
            format!("sysctl -w fs.nr_open={} first; then ", power_of_two(need))
        }
        _ => String::new(),
    };
    let who = if host.may_raise_limits {
        ""
    } else {
        " (from outside: this process may not raise hard limits)"
    };
    demand.cured_by(format!(
        "{raise}ulimit -n {need} before starting, or LimitNOFILE={need} in the unit{who}"
    ))
}

/// Connections that `tables` descriptor tables hold together under a limit for each.
#[must_use]
pub fn tables_room(limit: u64, tables: u64) -> u64 {
    let beside = TABLE_BESIDE + WORKER_BESIDE * tables;
    limit.saturating_sub(beside).saturating_mul(tables)
}

/// Needed for the limit that the unit asks for; who has descriptors enough does not miss it.
fn nr_open(goal: &Goal, host: &Host) -> Demand {
    let below = nofile(goal, host);
    let is_enough = host.nofile_hard >= below.need.first().copied();
    Demand {
        is_indirect: is_enough || below.remark.is_some(),
        ..Demand::of(power_of_two(unit_nofile(goal)).max(NR_OPEN))
    }
}

fn file_max(goal: &Goal, host: &Host) -> Demand {
    let ends = goal.ends_here();
    let others = host
        .files_open
        .unwrap_or_default()
        .saturating_sub(host.sockets_in_use);
    let room = host.sysctl("fs.file-max").map(|max| {
        // 2^63 - 1 is what "no limit" looks like here.
        max.saturating_sub(others) / ends
    });
    Demand::of(goal.connections * ends + 100_000).stops_at(room)
}

fn epoll_watches(goal: &Goal, host: &Host) -> Demand {
    let ends = goal.ends_here();
    let watches = host.sysctl("fs.epoll.max_user_watches");
    Demand::of(goal.connections * ends + 10_000).stops_at(watches.map(|watches| watches / ends))
}

/// What `LimitNOFILE=` should be: enough even in one table, because a profile may refuse to part them.
#[must_use]
pub fn unit_nofile(goal: &Goal) -> u64 {
    spread(goal.connections, 2) + 10_000
}

/// A tenth more: the kernel's hash gives some tables more than others.
const fn spread(connections: u64, tables: u64) -> u64 {
    if tables > 1 {
        connections.saturating_add(connections / 10)
    } else {
        connections
    }
}

/// The name of the limit, which is no sysctl.
pub const NOFILE: &str = "RLIMIT_NOFILE";
/// Asked for beside the connections: files opened for a moment, and room to look around in.
const BESIDE: u64 = 1_000;
/// Standard streams, signals, the log, listeners: what each table really holds beside connections.
const TABLE_BESIDE: u64 = 40;
/// A poll, a waker and their duplicates. A parted table begins as a copy of everybody's, so each holds
/// those of all workers.
const WORKER_BESIDE: u64 = 4;
/// The kernel's default.
const NR_OPEN: u64 = 1 << 20;
