//! `/proc/net/sockstat` and `sockstat6`: how many sockets the kernel itself counts.

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
    let line = |text: &'_ str, label: &str| {
        text.lines()
            .find_map(|l| l.strip_prefix(label))
            .unwrap_or("")
            .to_owned()
    };
    let tcp = line(v4, "TCP:");
    SocketSample {
        tcp_in_use: field(&tcp, "inuse") + field(&line(v6, "TCP6:"), "inuse"),
        tcp_orphans: field(&tcp, "orphan"),
        tcp_time_wait: field(&tcp, "tw"),
        tcp_allocated: field(&tcp, "alloc"),
        tcp_memory_pages: field(&tcp, "mem"),
    }
}

fn field(line: &str, name: &str) -> u64 {
    let mut words = line.split_ascii_whitespace();
    words.find(|word| *word == name);
    words
        .next()
        .and_then(|word| word.parse().ok())
        .unwrap_or_default()
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
