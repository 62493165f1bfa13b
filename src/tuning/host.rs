//! What this machine says about itself.
//!
//! Every file is optional: a service with `ProcSubset=pid` sees neither `/proc/sys` nor
//! `/proc/meminfo`, a network namespace hides what belongs to the machine, a container may lack half
//! of the rest. What cannot be read is not judged.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use super::cgroup::{self, Group};
use super::knobs;
use super::root::{ProcRoot, labelled, named};
use crate::sys::fdtable;

/// The facts; `None` where the machine says nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Host {
    /// The settings of the table that exist here, by name.
    pub sysctls: BTreeMap<&'static str, Vec<u64>>,
    /// Those of them that cannot be written here: they belong to the host of this namespace.
    pub sealed: BTreeSet<&'static str>,
    /// Soft RLIMIT_NOFILE.
    pub nofile_soft: Option<u64>,
    /// Hard RLIMIT_NOFILE.
    pub nofile_hard: Option<u64>,
    /// `LimitNOFILE=` of the installed unit and its drop-ins, the largest.
    pub unit_nofile: Option<u64>,
    /// Whether the process may raise its hard limits (CAP_SYS_RESOURCE); root in a container may not.
    pub may_raise_limits: bool,
    /// Whether workers cannot have descriptor tables of their own (a seccomp profile refuses).
    pub are_tables_shared: bool,
    /// Processors the process may use.
    pub cores: u64,
    /// Open files of the whole machine.
    pub files_open: Option<u64>,
    /// TCP sockets of this namespace.
    pub sockets_in_use: u64,
    /// Pages charged to `tcp_mem` now.
    pub tcp_pages_used: u64,
    /// Connections that the firewall tracks now.
    pub conntrack_count: Option<u64>,
    /// Ports kept back (`ip_local_reserved_ports`).
    pub reserved_ports: Vec<(u16, u16)>,
    /// First port that needs no privilege.
    pub unprivileged_port_start: Option<u64>,
    /// Slots of the table of established connections.
    pub hash_slots: Option<u64>,
    /// Memory of the machine.
    pub memory_total_bytes: Option<u64>,
    /// Memory of the machine that connections can take: free, or in a page cache that can go.
    pub memory_room_bytes: Option<u64>,
    /// The control group with the least room.
    pub group: Option<Group>,
    /// Whether the kernel was told not to charge its own memory to control groups.
    pub is_kernel_memory_free: bool,
    /// Swapped out now.
    pub swap_used_bytes: u64,
    /// Transparent huge pages: `always`, `madvise` or `never`.
    pub huge_pages: Option<String>,
    /// Processor time the hypervisor took since the machine started, in thousandths.
    pub steal_permille: Option<u64>,
    /// The network namespace, as `net:[4026531840]`.
    pub namespace: Option<String>,
    /// Identifies this boot.
    pub boot: Option<String>,
}

impl Host {
    /// This machine as process `pid` (or `self`) sees it, with what only an attempt can tell.
    #[must_use]
    pub fn of_machine(pid: &str) -> Self {
        Self {
            are_tables_shared: !fdtable::can_part(),
            ..Self::read_for(&ProcRoot::machine(), pid)
        }
    }

    /// Reads everything that is there, for this process.
    #[must_use]
    pub fn read(root: &ProcRoot) -> Self {
        Self::read_for(root, "self")
    }

    /// The same, with the limits and groups of another process.
    #[must_use]
    pub fn read_for(root: &ProcRoot, pid: &str) -> Self {
        let text = |path: &str| root.text(path).unwrap_or_default();
        let of_process = |name: &str| text(&format!("proc/{pid}/{name}"));
        let memory = text("proc/meminfo");
        let bytes = |label: &str| labelled(&memory, label).map(|kib| kib * 1024);
        let nofile = parse_nofile(&of_process("limits"));
        let (sysctls, sealed) = read_sysctls(root);
        let swap = |label: &str| bytes(label).unwrap_or_default();
        Self {
            sysctls,
            sealed,
            nofile_soft: nofile.map(|(soft, _)| soft),
            nofile_hard: nofile.map(|(_, hard)| hard),
            unit_nofile: unit_nofile(root),
            may_raise_limits: has_capability(&of_process("status"), CAP_SYS_RESOURCE),
            are_tables_shared: false,
            cores: parse_core_count(&of_process("status")),
            files_open: root.number("proc/sys/fs/file-nr"),
            sockets_in_use: sockets_in_use(&text("proc/net/sockstat"), &text("proc/net/sockstat6")),
            tcp_pages_used: named(&text("proc/net/sockstat"), "TCP:", "mem").unwrap_or_default(),
            conntrack_count: root.number("proc/sys/net/netfilter/nf_conntrack_count"),
            reserved_ports: parse_spans(&text("proc/sys/net/ipv4/ip_local_reserved_ports")),
            unprivileged_port_start: root.number("proc/sys/net/ipv4/ip_unprivileged_port_start"),
            hash_slots: parse_hash_slots(&text("proc/sys/net/ipv4/tcp_ehash_entries")),
            memory_total_bytes: bytes("MemTotal:"),
            memory_room_bytes: room_bytes(&memory),
            group: cgroup::tightest(root, pid),
            is_kernel_memory_free: text("proc/cmdline").contains("nokmem"),
            swap_used_bytes: swap("SwapTotal:").saturating_sub(swap("SwapFree:")),
            huge_pages: chosen(&text("sys/kernel/mm/transparent_hugepage/enabled")),
            steal_permille: parse_steal_permille(&text("proc/stat")),
            namespace: root.link(&format!("proc/{pid}/ns/net")),
            boot: root
                .text("proc/sys/kernel/random/boot_id")
                .map(|id| id.trim().to_owned()),
        }
    }

    /// A machine of so much memory on which nobody has changed anything: what the kernel sets by
    /// itself, and what systemd gives a service.
    #[must_use]
    pub fn stock(memory_bytes: u64) -> Self {
        let mut host = Self {
            cores: 2,
            nofile_soft: Some(1024),
            nofile_hard: Some(SYSTEMD_NOFILE),
            memory_total_bytes: Some(memory_bytes),
            memory_room_bytes: Some(memory_bytes / 100 * 95),
            hash_slots: Some(usual_hash_slots(memory_bytes)),
            conntrack_count: Some(0),
            may_raise_limits: true,
            ..Self::default()
        };
        for knob in knobs::all() {
            if let Some(own) = (knob.own)(&host).filter(|_| knob.is_sysctl()) {
                host.sysctls.insert(knob.name, own);
            }
        }
        host
    }

    /// The host with one setting changed.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: &[u64]) -> Self {
        self.sysctls.insert(name, value.to_vec());
        self
    }

    /// A setting with one number, or the first of several.
    #[must_use]
    pub fn sysctl(&self, name: &str) -> Option<u64> {
        self.sysctls.get(name)?.first().copied()
    }

    /// One number of a setting with several.
    #[must_use]
    pub fn sysctl_at(&self, name: &str, at: usize) -> Option<u64> {
        self.sysctls.get(name)?.get(at).copied()
    }

    /// Whether the tracker is loaded *and* at work: the module alone, without a rule that uses it,
    /// tracks nothing and limits nothing.
    #[must_use]
    pub fn tracks_connections(&self) -> bool {
        self.sysctls.contains_key("net.netfilter.nf_conntrack_max")
            && self.conntrack_count != Some(0)
    }

    /// Whether the settings of the whole network, and not those of a namespace of it, are in sight.
    #[must_use]
    pub fn is_in_namespace(&self) -> bool {
        !self.sysctls.is_empty() && !self.sysctls.contains_key("net.core.netdev_max_backlog")
    }

    /// The lowest port an ordinary client takes.
    #[must_use]
    pub fn lowest_port(&self) -> u64 {
        self.unprivileged_port_start.unwrap_or_default().max(1024)
    }

    /// Memory that connections can take: the machine's room, or less if a control group says so.
    #[must_use]
    pub fn memory_usable_bytes(&self) -> Option<u64> {
        let group = self.group.as_ref().map(|group| group.room_bytes);
        [self.memory_room_bytes, group].into_iter().flatten().min()
    }
}

type Sysctls = (BTreeMap<&'static str, Vec<u64>>, BTreeSet<&'static str>);

fn read_sysctls(root: &ProcRoot) -> Sysctls {
    let (mut found, mut sealed) = Sysctls::default();
    for knob in knobs::all().filter(|knob| knob.is_sysctl()) {
        let path = knob.path();
        let value = root.numbers(&path);
        if !value.is_empty() {
            found.insert(knob.name, value);
            let is_sealed = |file: fs::Metadata| file.permissions().readonly();
            if fs::metadata(root.path(&path)).is_ok_and(is_sealed) {
                sealed.insert(knob.name);
            }
        }
    }
    (found, sealed)
}

/// What `/proc/meminfo` leaves for connections: free, or in a page cache that can go. `MemAvailable` is not
/// read: it counts the inodes and dentries of sockets as reclaimable, which they are not while the
/// sockets live; at a million that is a gigabyte too much.
#[must_use]
pub fn room_bytes(meminfo: &str) -> Option<u64> {
    let kib = |label: &str| labelled(meminfo, label).unwrap_or_default();
    // What tmpfs holds counts as cached, and cannot go.
    let cache = kib("Cached:").saturating_sub(kib("Shmem:"));
    Some((labelled(meminfo, "MemFree:")? + cache) * 1024)
}

/// Soft and hard limit from the line `Max open files  1024  524288  files`.
#[must_use]
pub fn parse_nofile(limits: &str) -> Option<(u64, u64)> {
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))?;
    let mut words = line.split_ascii_whitespace().map(|word| match word {
        "unlimited" => Some(u64::MAX),
        number => number.parse().ok(),
    });
    Some((words.next()??, words.next()??))
}

/// The unit in the most important folder, then its drop-ins by name; ours do not count, because what
/// they say is our own recommendation.
fn unit_nofile(root: &ProcRoot) -> Option<u64> {
    let unit = UNIT_FOLDERS
        .iter()
        .find_map(|folder| root.text(&format!("{folder}/throng.service")));
    let mut texts: Vec<_> = unit.into_iter().collect();
    for folder in UNIT_FOLDERS {
        let folder = format!("{folder}/throng.service.d");
        let names = root.names(&folder);
        let foreign = names.iter().filter(|name| *name != "50-tune.conf");
        texts.extend(foreign.filter_map(|name| root.text(&format!("{folder}/{name}"))));
    }
    let limits = texts
        .iter()
        .flat_map(|text| text.lines())
        .filter_map(|line| line.trim().strip_prefix("LimitNOFILE="));
    // `soft:hard`, or one number for both.
    let hard = |value: &str| match value.rsplit(':').next()? {
        "infinity" => Some(u64::MAX),
        number => number.parse().ok(),
    };
    limits.filter_map(hard).max()
}

/// Reads `8080,9148,30000-30010`, as `ip_local_reserved_ports` has it. What cannot be read is left out: the
/// kernel wrote the file, and a bind that fails is counted anyway.
#[must_use]
pub fn parse_spans(text: &str) -> Vec<(u16, u16)> {
    let span = |item: &str| {
        let (first, last) = item.split_once('-').unwrap_or((item, item));
        Some((first.trim().parse().ok()?, last.trim().parse().ok()?))
    };
    text.trim()
        .split(',')
        .filter_map(span)
        .filter(|(first, last)| first <= last)
        .collect()
}

/// A namespace that shares the table of its host says so with a minus sign.
fn parse_hash_slots(text: &str) -> Option<u64> {
    let slots: i64 = text.trim().parse().ok()?;
    Some(slots.unsigned_abs())
}

/// How many processors `Cpus_allowed_list: 0-3,8` names; one if it says nothing.
fn parse_core_count(status: &str) -> u64 {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    let spans = parse_spans(line.unwrap_or_default());
    let count = |&(first, last): &(u16, u16)| u64::from(last - first) + 1;
    spans.iter().map(count).sum::<u64>().max(1)
}

fn has_capability(status: &str, bit: u32) -> bool {
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let set = line.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok());
    // Who hides the set is believed to have it: the attempt will tell.
    set.is_none_or(|set| set >> bit & 1 == 1)
}

/// TCP sockets of both families, from `/proc/net/sockstat` and `sockstat6`; the second may be absent.
#[must_use]
pub fn sockets_in_use(v4: &str, v6: &str) -> u64 {
    let both = [named(v4, "TCP:", "inuse"), named(v6, "TCP6:", "inuse")];
    both.into_iter().flatten().sum()
}

/// The word in brackets: `always [madvise] never`.
fn chosen(text: &str) -> Option<String> {
    let (_, rest) = text.split_once('[')?;
    Some(rest.split_once(']')?.0.to_owned())
}

/// The eighth number of `cpu user nice system idle iowait irq softirq steal ...`.
fn parse_steal_permille(stat: &str) -> Option<u64> {
    let line = stat.lines().find_map(|line| line.strip_prefix("cpu "))?;
    let times = line.split_ascii_whitespace().take(8);
    let times: Vec<u64> = times.map_while(|word| word.parse().ok()).collect();
    let all: u64 = times.iter().sum();
    (times.get(7)? * 1000).checked_div(all)
}

/// One slot per 128 KiB, rounded up to a power of two, 2^19 at the most.
pub(super) fn usual_hash_slots(memory_bytes: u64) -> u64 {
    (memory_bytes >> 17).next_power_of_two().min(1 << 19)
}

/// Where units are looked for, the most important folder first.
const UNIT_FOLDERS: [&str; 5] = [
    "etc/systemd/system",
    "run/systemd/system",
    "usr/local/lib/systemd/system",
    "usr/lib/systemd/system",
    "lib/systemd/system",
];
/// The hard limit that systemd gives its services and sessions.
const SYSTEMD_NOFILE: u64 = 524_288;
const CAP_SYS_RESOURCE: u32 = 24;

#[cfg(test)]
mod tests;
