//! `/proc/net/sockstat` and `sockstat6`: how many sockets the kernel itself counts.

use throng::tuning::host::sockets_in_use;
use throng::tuning::root::named;

/// Sockets of this network namespace.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SocketSample {
    /// TCP sockets in use, both families. On loopback each connection counts twice.
    pub tcp_in_use: u64,
    /// Closed by their process and not yet by their peer.
    pub tcp_orphans: u64,
    /// In TIME_WAIT.
    pub tcp_time_wait: u64,
    /// Allocated TCP sockets, on the whole machine.
    pub tcp_allocated: u64,
    /// Pages charged to `tcp_mem`: a page per socket with a single unread byte.
    pub tcp_memory_pages: u64,
}

/// Reads both files; the second may be absent.
#[must_use]
pub fn parse_sockstat(v4: &str, v6: &str) -> SocketSample {
    let tcp = |name: &str| named(v4, "TCP:", name).unwrap_or_default();
    SocketSample {
        tcp_in_use: sockets_in_use(v4, v6),
        tcp_orphans: tcp("orphan"),
        tcp_time_wait: tcp("tw"),
        tcp_allocated: tcp("alloc"),
        tcp_memory_pages: tcp("mem"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_families_are_counted() {
        let v4 = "sockets: used 200132\nTCP: inuse 200004 orphan 3 tw 12 alloc 200010 mem 412\nUDP: inuse 9 mem 1\n";
        let v6 = "TCP6: inuse 17\nUDP6: inuse 0\n";
        let expected = SocketSample {
            tcp_in_use: 200_021,
            tcp_orphans: 3,
            tcp_time_wait: 12,
            tcp_allocated: 200_010,
            tcp_memory_pages: 412,
        };
        assert_eq!(parse_sockstat(v4, v6), expected);
        assert_eq!(parse_sockstat(v4, "").tcp_in_use, 200_004);
        assert_eq!(parse_sockstat("", "TCP: inuse x"), SocketSample::default());
    }
}
