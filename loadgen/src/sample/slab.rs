//! `/proc/slabinfo`: what sockets cost in the kernel, by class. Only root may read it.
//!
//! Classes of one size may be merged (`slab_nomerge` not set), so that epitems hide in somebody else's
//! cache; the sum of all classes that grow with connections is what counts, `other` names nothing.

/// Bytes of the classes that grow with connections.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SlabSample {
    /// `TCP` and `TCPv6`: the socket itself.
    pub tcp_bytes: u64,
    /// `sock_inode_cache`.
    pub inode_bytes: u64,
    /// `dentry`.
    pub dentry_bytes: u64,
    /// `filp`.
    pub file_bytes: u64,
    /// `eventpoll_epi` and `eventpoll_pwq`.
    pub epoll_bytes: u64,
    /// `tcp_bind_bucket` and `tcp_bind2_bucket`: the client's ports.
    pub bind_bytes: u64,
    /// `tw_sock_TCP(v6)` and `request_sock_TCP(v6)`: connections that are ending or beginning.
    pub passing_bytes: u64,
    /// `skbuff_*`: queued packets.
    pub packet_bytes: u64,
}

impl SlabSample {
    /// Everything together.
    #[must_use]
    pub const fn total_bytes(&self) -> u64 {
        self.tcp_bytes
            + self.inode_bytes
            + self.dentry_bytes
            + self.file_bytes
            + self.epoll_bytes
            + self.bind_bytes
            + self.passing_bytes
            + self.packet_bytes
    }

    fn class(&mut self, name: &str) -> Option<&mut u64> {
        Some(match name {
            "TCP" | "TCPv6" => &mut self.tcp_bytes,
            "sock_inode_cache" => &mut self.inode_bytes,
            "dentry" => &mut self.dentry_bytes,
            "filp" => &mut self.file_bytes,
            "eventpoll_epi" | "eventpoll_pwq" | "ep_head" => &mut self.epoll_bytes,
            "tcp_bind_bucket" | "tcp_bind2_bucket" => &mut self.bind_bytes,
            "tw_sock_TCP" | "tw_sock_TCPv6" | "request_sock_TCP" | "request_sock_TCPv6" => {
                &mut self.passing_bytes
            }
            _ if name.starts_with("skbuff_") => &mut self.packet_bytes,
            _ => return None,
        })
    }
}

/// Reads `name active_objs num_objs objsize objperslab pagesperslab`. Allocated objects count, not active
/// ones: a page that holds one socket is gone for everybody else.
#[must_use]
pub fn parse_slabinfo(text: &str) -> SlabSample {
    let mut sample = SlabSample::default();
    for line in text.lines() {
        let mut words = line.split_ascii_whitespace();
        let name = words.next().unwrap_or("");
        let numbers: Vec<u64> = words.map_while(|word| word.parse().ok()).take(3).collect();
        if let ([_, allocated, object_bytes], Some(class)) =
            (numbers.as_slice(), sample.class(name))
        {
            *class += allocated * object_bytes;
        }
    }
    sample
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAPTURED: &str = "\
slabinfo - version: 2.1
# name            <active_objs> <num_objs> <objsize> <objperslab> <pagesperslab> : tunables
TCPv6                 26     26   2496   13    8 : tunables    0    0    0 : slabdata      2      2      0
TCP                16004  16016   2368   13    8 : tunables    0    0    0 : slabdata   1232   1232      0
sock_inode_cache   16100  16120    832   19    4 : tunables    0    0    0 : slabdata      0      0      0
filp               16200  16224    192   21    1 : tunables    0    0    0 : slabdata      0      0      0
dentry             30000  30009    192   21    1 : tunables    0    0    0 : slabdata      0      0      0
eventpoll_epi      16000  16032    128   32    1 : tunables    0    0    0 : slabdata      0      0      0
eventpoll_pwq      16000  16064     64   64    1 : tunables    0    0    0 : slabdata      0      0      0
skbuff_head_cache    100    112    256   16    1 : tunables    0    0    0 : slabdata      7      7      0
kmalloc-64             1      1     64   64    1 : tunables    0    0    0 : slabdata      1      1      0
broken
";

    #[test]
    fn classes_are_bytes() {
        let sample = parse_slabinfo(CAPTURED);
        assert_eq!(sample.tcp_bytes, 16_016 * 2368 + 26 * 2496);
        assert_eq!(sample.inode_bytes, 16_120 * 832);
        assert_eq!(sample.epoll_bytes, 16_032 * 128 + 16_064 * 64);
        assert_eq!(sample.packet_bytes, 112 * 256);
        assert_eq!(sample.bind_bytes, 0);
        assert_eq!(parse_slabinfo(""), SlabSample::default());
    }
}
