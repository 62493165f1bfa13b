//! The machine as a whole: memory, processor time, TCP's own counters, softirq and drops.
//!
//! `MemAvailable` is not read: it counts socket inodes and dentries as reclaimable, and they are not while
//! the sockets live. Free memory and slab tell the truth.

use super::root::ProcRoot;
use super::slab::{SlabSample, parse_slabinfo};
use super::sockets::{SocketSample, parse_sockstat};

/// One look at the kernel. Counters are since boot; the report takes differences.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct KernelSample {
    /// Sockets.
    pub sockets: SocketSample,
    /// Slab by class.
    pub slab: SlabSample,
    /// Memory.
    pub memory: MemorySample,
    /// TCP events.
    pub tcp: TcpCounters,
    /// Interrupt work.
    pub softirq: SoftirqCounters,
    /// Processor time of the whole machine.
    pub cpu: CpuTimes,
}

/// `/proc/meminfo`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MemorySample {
    /// Memory nobody uses.
    pub free_bytes: u64,
    /// All slab, reclaimable in name or not.
    pub slab_bytes: u64,
    /// All memory.
    pub total_bytes: u64,
}

/// `/proc/net/netstat` and `/proc/net/snmp`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TcpCounters {
    /// Accept queue full: the final ACK was dropped.
    pub listen_overflows: u64,
    /// SYNs dropped at a listener for any reason.
    pub listen_drops: u64,
    /// Segments sent again.
    pub retransmits: u64,
    /// SYN cookies sent: the SYN queue was full.
    pub syncookies: u64,
    /// TIME_WAIT table full.
    pub time_wait_overflows: u64,
    /// Connections aborted for lack of memory.
    pub memory_aborts: u64,
    /// Connections reset while established.
    pub resets: u64,
}

/// `/proc/softirqs` and `/proc/net/softnet_stat`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SoftirqCounters {
    /// NET_RX runs, all processors.
    pub net_rx: u64,
    /// NET_TX runs, all processors.
    pub net_tx: u64,
    /// Packets dropped because a processor's backlog was full.
    pub backlog_drops: u64,
    /// Times the budget of a softirq ran out.
    pub squeezed: u64,
}

/// First line of `/proc/stat`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CpuTimes {
    /// Every state but idle and iowait.
    pub busy_ms: u64,
    /// Softirq alone: packets are handled here, in nobody's account.
    pub softirq_ms: u64,
    /// Taken by the hypervisor.
    pub steal_ms: u64,
    /// Idle and iowait.
    pub idle_ms: u64,
}

impl KernelSample {
    /// Reads everything that is there.
    #[must_use]
    pub fn read(root: &ProcRoot) -> Self {
        let text = |path: &str| root.text(path).unwrap_or_default();
        Self {
            sockets: parse_sockstat(&text("proc/net/sockstat"), &text("proc/net/sockstat6")),
            slab: parse_slabinfo(&text("proc/slabinfo")),
            memory: parse_meminfo(&text("proc/meminfo")),
            tcp: parse_tcp(&text("proc/net/netstat"), &text("proc/net/snmp")),
            softirq: parse_softirq(&text("proc/softirqs"), &text("proc/net/softnet_stat")),
            cpu: parse_cpu(&text("proc/stat")),
        }
    }
}

/// Reads `/proc/meminfo`.
#[must_use]
pub fn parse_meminfo(text: &str) -> MemorySample {
    let bytes = |label: &str| super::process::status_kib(text, label) * 1024;
    MemorySample {
        free_bytes: bytes("MemFree:"),
        slab_bytes: bytes("Slab:"),
        total_bytes: bytes("MemTotal:"),
    }
}

/// Reads the pairs of lines (names, then values) of both files.
#[must_use]
pub fn parse_tcp(netstat: &str, snmp: &str) -> TcpCounters {
    let ext = |name: &str| paired(netstat, "TcpExt:", name);
    TcpCounters {
        listen_overflows: ext("ListenOverflows"),
        listen_drops: ext("ListenDrops"),
        retransmits: paired(snmp, "Tcp:", "RetransSegs"),
        syncookies: ext("SyncookiesSent"),
        time_wait_overflows: ext("TCPTimeWaitOverflow"),
        memory_aborts: ext("TCPAbortOnMemory"),
        resets: paired(snmp, "Tcp:", "EstabResets"),
    }
}

/// Reads the NET_RX and NET_TX rows, and the second and third column (hexadecimal) of each processor.
#[must_use]
pub fn parse_softirq(softirqs: &str, softnet: &str) -> SoftirqCounters {
    let row = |label: &str| {
        let row = softirqs
            .lines()
            .find_map(|line| line.trim_start().strip_prefix(label));
        row.unwrap_or("")
            .split_ascii_whitespace()
            .filter_map(|word| word.parse::<u64>().ok())
            .sum()
    };
    let column = |n: usize| {
        let cell = |line: &str| u64::from_str_radix(line.split_ascii_whitespace().nth(n)?, 16).ok();
        softnet.lines().filter_map(cell).sum()
    };
    SoftirqCounters {
        net_rx: row("NET_RX:"),
        net_tx: row("NET_TX:"),
        backlog_drops: column(1),
        squeezed: column(2),
    }
}

/// Reads `cpu user nice system idle iowait irq softirq steal ...`.
#[must_use]
pub fn parse_cpu(stat: &str) -> CpuTimes {
    let line = stat
        .lines()
        .find_map(|line| line.strip_prefix("cpu "))
        .unwrap_or("");
    let mut ms = [0u64; 8];
    for (slot, word) in ms.iter_mut().zip(line.split_ascii_whitespace()) {
        *slot = word.parse::<u64>().unwrap_or_default() * 10;
    }
    let [user, nice, system, idle, iowait, irq, softirq_ms, steal_ms] = ms;
    CpuTimes {
        busy_ms: user + nice + system + irq + softirq_ms,
        softirq_ms,
        steal_ms,
        idle_ms: idle + iowait,
    }
}

fn paired(text: &str, label: &str, name: &str) -> u64 {
    throng::tuning::root::paired(text, label, name).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_found_by_name() {
        let netstat = "TcpExt: SyncookiesSent ListenOverflows ListenDrops TCPTimeWaitOverflow\n\
                       TcpExt: 7 21 22 1\nIpExt: InOctets\nIpExt: 5\n";
        let snmp = "Ip: Forwarding\nIp: 1\nTcp: RtoMin MaxConn EstabResets RetransSegs\nTcp: 200 -1 82 14\n";
        let tcp = parse_tcp(netstat, snmp);
        assert_eq!(
            (tcp.syncookies, tcp.listen_overflows, tcp.listen_drops),
            (7, 21, 22)
        );
        assert_eq!(
            (
                tcp.time_wait_overflows,
                tcp.retransmits,
                tcp.resets,
                tcp.memory_aborts
            ),
            (1, 14, 82, 0)
        );
        assert_eq!(parse_tcp("TcpExt: OnlyNames", ""), TcpCounters::default());
    }

    #[test]
    fn softirq_is_summed_over_processors() {
        let softirqs = "                    CPU0       CPU1\n      NET_TX:          3          1\n      NET_RX:       3993       4443\n";
        let softnet = "0000000c 00000002 00000010\n00001b4f 00000000 00000001\n";
        let expected = SoftirqCounters {
            net_rx: 8436,
            net_tx: 4,
            backlog_drops: 2,
            squeezed: 17,
        };
        assert_eq!(parse_softirq(softirqs, softnet), expected);
        assert_eq!(parse_softirq("", "zz zz"), SoftirqCounters::default());
    }

    #[test]
    fn memory_and_processor_time() {
        let memory = parse_meminfo(
            "MemTotal: 24000000 kB\nMemFree: 100 kB\nMemAvailable: 9 kB\nSlab: 50 kB\n",
        );
        assert_eq!(
            (memory.total_bytes, memory.free_bytes, memory.slab_bytes),
            (24_576_000_000, 102_400, 51_200)
        );
        let cpu = parse_cpu("cpu  10 1 5 100 2 0 4 3 0 0\ncpu0 1 1 1 1\n");
        assert_eq!(
            cpu,
            CpuTimes {
                busy_ms: 200,
                softirq_ms: 40,
                steal_ms: 30,
                idle_ms: 1020
            }
        );
        assert_eq!(parse_cpu(""), CpuTimes::default());
    }
}
