//! The limits of this machine, read defensively: in a container half of them are hidden.

use crate::ports::{parse_local_range, parse_reserved};
use crate::sample::process::status_kib;
use crate::sample::root::ProcRoot;

/// What `/proc` says; `None` where it says nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Host {
    /// Ceiling of RLIMIT_NOFILE.
    pub nr_open: Option<u64>,
    /// Open files of the whole machine, the limit.
    pub file_max: Option<u64>,
    /// Open files of the whole machine, now.
    pub files_open: Option<u64>,
    /// Hard RLIMIT_NOFILE of this process.
    pub nofile_hard: Option<u64>,
    /// Soft RLIMIT_NOFILE of this process.
    pub nofile_soft: Option<u64>,
    /// Epoll registrations of this user.
    pub epoll_watches_max: Option<u64>,
    /// The kernel's own range of ports.
    pub local_port_range: Option<(u16, u16)>,
    /// Ports kept back.
    pub reserved_ports: Vec<(u16, u16)>,
    /// First port that needs no privilege.
    pub unprivileged_port_start: Option<u64>,
    /// `tcp_mem`: low, pressure, max, in pages.
    pub tcp_mem_pages: Option<[u64; 3]>,
    /// Longest accept queue.
    pub somaxconn: Option<u64>,
    /// Longest SYN queue.
    pub syn_backlog_max: Option<u64>,
    /// TIME_WAIT sockets.
    pub time_wait_max: Option<u64>,
    /// Orphans.
    pub orphans_max: Option<u64>,
    /// Packets that wait for a processor (loopback, veth).
    pub netdev_backlog_max: Option<u64>,
    /// Tracked connections, the limit; `None` when conntrack is not loaded.
    pub conntrack_max: Option<u64>,
    /// Tracked connections, now.
    pub conntrack_count: Option<u64>,
    /// Memory.
    pub memory_total_bytes: Option<u64>,
    /// Memory nobody uses. Page cache comes on top; socket slab inside "available" does not.
    pub memory_free_bytes: Option<u64>,
    /// The page cache that can be given up.
    pub memory_cached_bytes: Option<u64>,
    /// The limit of this cgroup, where there is one.
    pub memory_cgroup_bytes: Option<u64>,
}

impl Host {
    /// Reads everything that is there.
    #[must_use]
    pub fn read(root: &ProcRoot) -> Self {
        let number = |name: &str| root.number(&format!("proc/sys/{name}"));
        let meminfo = root.text("proc/meminfo").unwrap_or_default();
        let memory =
            |label: &str| Some(status_kib(&meminfo, label) * 1024).filter(|&bytes| bytes > 0);
        let nofile = root
            .text("proc/self/limits")
            .and_then(|limits| parse_nofile(&limits));
        let tcp_mem: Option<[u64; 3]> = root.numbers("proc/sys/net/ipv4/tcp_mem").try_into().ok();
        Self {
            nr_open: number("fs/nr_open"),
            file_max: number("fs/file-max"),
            files_open: number("fs/file-nr"),
            nofile_soft: nofile.map(|(soft, _)| soft),
            nofile_hard: nofile.map(|(_, hard)| hard),
            epoll_watches_max: number("fs/epoll/max_user_watches"),
            local_port_range: root
                .text("proc/sys/net/ipv4/ip_local_port_range")
                .and_then(|text| parse_local_range(&text)),
            reserved_ports: parse_reserved(
                &root
                    .text("proc/sys/net/ipv4/ip_local_reserved_ports")
                    .unwrap_or_default(),
            ),
            unprivileged_port_start: number("net/ipv4/ip_unprivileged_port_start")
                .map(|port| port.max(1024)),
            tcp_mem_pages: tcp_mem,
            somaxconn: number("net/core/somaxconn"),
            syn_backlog_max: number("net/ipv4/tcp_max_syn_backlog"),
            time_wait_max: number("net/ipv4/tcp_max_tw_buckets"),
            orphans_max: number("net/ipv4/tcp_max_orphans"),
            netdev_backlog_max: number("net/core/netdev_max_backlog"),
            conntrack_max: number("net/netfilter/nf_conntrack_max"),
            conntrack_count: number("net/netfilter/nf_conntrack_count"),
            memory_total_bytes: memory("MemTotal:"),
            memory_free_bytes: memory("MemFree:"),
            memory_cached_bytes: memory("Cached:"),
            memory_cgroup_bytes: cgroup_bytes(root),
        }
    }

    /// Whether conntrack is loaded *and* at work: the module alone, without a rule that uses it, tracks
    /// nothing and limits nothing.
    #[must_use]
    pub fn tracks_connections(&self) -> bool {
        self.conntrack_max.is_some() && self.conntrack_count != Some(0)
    }

    /// Memory that connections can take: free, or in a page cache that can go.
    #[must_use]
    pub fn memory_usable_bytes(&self) -> Option<u64> {
        let machine = self.memory_free_bytes? + self.memory_cached_bytes.unwrap_or_default();
        Some(machine.min(self.memory_cgroup_bytes.unwrap_or(u64::MAX)))
    }
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

/// The limit of our own cgroup (v2 `memory.max`, v1 `memory.limit_in_bytes`), unless it is "none".
fn cgroup_bytes(root: &ProcRoot) -> Option<u64> {
    let own = root.text("proc/self/cgroup")?;
    let path = |prefix: &str| {
        own.lines()
            .find_map(|line| line.split_once(prefix).map(|(_, path)| path))
    };
    let v2 = path("0::").and_then(|path| root.number(&format!("sys/fs/cgroup{path}/memory.max")));
    let v1 = path(":memory:")
        .and_then(|path| root.number(&format!("sys/fs/cgroup/memory{path}/memory.limit_in_bytes")));
    // v1 writes "no limit" as the largest page-aligned i64.
    v2.or(v1).filter(|&bytes| bytes < 1 << 60)
}
