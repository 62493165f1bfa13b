//! The bounds one connection is held to, in bytes and milliseconds (leaf module).
//!
//! Every number here is a default of a knob (`config::knobs`); the comment says where it came from.

/// What one connection may cost and how long it may take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// A whole message, after reassembly and inflating. 1 MiB is what the common servers default to.
    pub message_bytes_max: usize,
    /// How long a message may stay unfinished: with it, fragments need no count of their own.
    pub message_time_ms: u32,
    /// The opening request's head. 16 KiB is where the common HTTP servers stop.
    pub head_bytes_max: usize,
    /// From accept to a complete request head.
    pub handshake_timeout_ms: u32,
    /// Silence after which we ping. NATs and load balancers forget idle flows after 30-60 s.
    pub ping_interval_ms: u32,
    /// How long a pong may take after a ping.
    pub pong_timeout_ms: u32,
    /// How long the peer may take to answer our Close, and to hang up after both were sent.
    pub close_timeout_ms: u32,
    /// Above this many queued bytes we stop reading from that peer.
    pub queue_bytes_high: usize,
    /// Above this many queued bytes the peer is cut off (it does not read what it asked for).
    pub queue_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message_bytes_max: 1 << 20,
            message_time_ms: 60_000,
            head_bytes_max: 16 << 10,
            handshake_timeout_ms: 10_000,
            ping_interval_ms: 25_000,
            pong_timeout_ms: 10_000,
            close_timeout_ms: 3_000,
            queue_bytes_high: 64 << 10,
            queue_bytes_max: 4 << 20,
        }
    }
}
