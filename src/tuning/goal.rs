//! What is asked of the machine, and what a connection costs it.

use serde::Serialize;

/// So many connections, coming so fast, ending where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Goal {
    /// Connections held at the peak.
    pub connections: u64,
    /// Connects per second at the worst moment.
    pub rate_per_s: u64,
    /// Which ends of them are on this machine.
    pub ends: Ends,
    /// Descriptor tables that one end has anyway: its event loops, where tables are parted.
    pub tables: u64,
    /// Tables it may grow to when each may hold only so many descriptors.
    pub tables_max: u64,
    /// Accept queues that share the arrivals: one per worker and address.
    pub queues: u64,
    /// Source addresses for which the *kernel* picks the ports; `None` if ports are bound
    /// explicitly (as our generator does), so that its range is no limit.
    pub sources: Option<u64>,
    /// Share of connections with unread or unsent bytes at the worst moment.
    pub queued_percent: u64,
}

/// Which ends of the connections are on this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Ends {
    /// Connections end here.
    Server,
    /// Connections begin here.
    Client,
    /// Both, over the loopback.
    Both,
}

impl Goal {
    /// A goal with nothing known about the processes but how many cores they share.
    #[must_use]
    pub fn new(connections: u64, ends: Ends, cores: u64) -> Self {
        let cores = cores.max(1);
        Self {
            connections,
            rate_per_s: usual_rate_per_s(connections),
            ends,
            tables: cores,
            tables_max: TABLES_MAX.max(cores),
            queues: cores,
            sources: None,
            queued_percent: QUEUED_PERCENT,
        }
    }

    /// Sockets per connection on this machine.
    #[must_use]
    pub const fn ends_here(&self) -> u64 {
        match self.ends {
            Ends::Server | Ends::Client => 1,
            Ends::Both => 2,
        }
    }

    /// Whether connections end here.
    #[must_use]
    pub const fn is_server(&self) -> bool {
        matches!(self.ends, Ends::Server | Ends::Both)
    }

    /// Whether connections begin here.
    #[must_use]
    pub const fn is_client(&self) -> bool {
        matches!(self.ends, Ends::Client | Ends::Both)
    }

    /// Kernel memory of one idle connection on this machine.
    #[must_use]
    pub const fn kernel_bytes_each(&self) -> u64 {
        match self.ends {
            Ends::Server => SERVER_KERNEL_BYTES,
            Ends::Client => CLIENT_KERNEL_BYTES,
            Ends::Both => SERVER_KERNEL_BYTES + CLIENT_KERNEL_BYTES,
        }
    }

    /// What of it a control group is charged for.
    #[must_use]
    pub const fn charged_bytes_each(&self) -> u64 {
        match self.ends {
            Ends::Server => SERVER_CHARGED_BYTES,
            Ends::Client => CLIENT_KERNEL_BYTES,
            Ends::Both => SERVER_CHARGED_BYTES + CLIENT_KERNEL_BYTES,
        }
    }

    /// Memory of our own processes for one idle connection on this machine.
    #[must_use]
    pub const fn user_bytes_each(&self) -> u64 {
        match self.ends {
            Ends::Server => SERVER_USER_BYTES,
            Ends::Client => CLIENT_USER_BYTES,
            Ends::Both => SERVER_USER_BYTES + CLIENT_USER_BYTES,
        }
    }
}

/// The rate after a restart: everybody is back within 25 seconds, the server's usual ping interval.
const fn usual_rate_per_s(connections: u64) -> u64 {
    let rate = connections / 25;
    if rate < RATE_MIN_PER_S {
        RATE_MIN_PER_S
    } else {
        rate
    }
}

/// Kernel memory of one accepted, idle connection: socket, inode, file, dentry, epoll item, wait
/// queue, and the share of partly filled slabs; measured on Linux 6.18.
pub const SERVER_KERNEL_BYTES: u64 = 3_970;
/// The same for a socket that connected: it owns its port as well.
pub const CLIENT_KERNEL_BYTES: u64 = SERVER_KERNEL_BYTES + 128;
/// What a control group is charged for an accepted connection. The socket itself (2 368 bytes, and its
/// share of slabs) is made by a packet, in an interrupt, on nobody's account; inode, file, dentry and
/// epoll item are made by the process. Measured on Linux 6.18: 1 249 without the epoll item's 192.
pub const SERVER_CHARGED_BYTES: u64 = 1_441;
/// The server's own memory: the entry in the slab and its share of the tables around it.
pub const SERVER_USER_BYTES: u64 = 80;
/// What the generator spends on an idle connection at the most.
pub const CLIENT_USER_BYTES: u64 = 128;
/// An entry of the connection tracker.
pub const TRACKED_BYTES: u64 = 256;
/// Workers a server may have, and so tables.
pub const TABLES_MAX: u64 = 256;
/// Everybody reads most of the time; this is a broadcast that a tenth has not read yet.
const QUEUED_PERCENT: u64 = 10;
/// A machine that cannot take a thousand connects a second is not worth tuning for fewer.
const RATE_MIN_PER_S: u64 = 1_000;
