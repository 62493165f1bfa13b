//! Where this machine stops: every limit turned into a number of connections, lowest first.

use serde::Serialize;

use super::host::Host;
use super::{Memory, PlanRequest};
use crate::units::thousands;

/// One limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Wall {
    /// What runs out.
    pub name: &'static str,
    /// At how many connections.
    pub at_connections: u64,
    /// How it shows.
    pub symptom: &'static str,
    /// What helps.
    pub cure: String,
}

/// All limits that can be computed here, lowest first.
#[must_use]
pub fn of(request: &PlanRequest, host: &Host, tuples: u64, memory: Memory) -> Vec<Wall> {
    let mut walls = vec![Wall {
        name: "source tuples",
        at_connections: tuples,
        symptom: "no (address, port) left to bind",
        cure: "more addresses with --source, or more listeners".into(),
    }];
    walls.extend(descriptor_walls(request, host));
    walls.extend(memory_walls(request, host, memory));
    walls.sort_by_key(|wall| wall.at_connections);
    walls
}

fn descriptor_walls(request: &PlanRequest, host: &Host) -> Vec<Wall> {
    let ends_here = if request.target_is_here { 2 } else { 1 };
    let threads = request.threads.max(1);
    let mut walls = Vec::new();
    if let Some(nofile) = host.nofile_hard {
        walls.push(Wall {
            name: "descriptors of this process",
            at_connections: nofile
                .saturating_sub(super::DESCRIPTORS_BESIDE)
                .saturating_mul(threads),
            symptom: "EMFILE",
            cure: format!(
                "--threads {} (a table of its own each), or ulimit -n {}",
                request
                    .connections
                    .div_ceil(nofile.saturating_sub(super::DESCRIPTORS_BESIDE).max(1)),
                request.connections.div_ceil(threads) + super::DESCRIPTORS_BESIDE
            ),
        });
    }
    if let Some(file_max) = host.file_max {
        walls.push(Wall {
            name: "files of the machine (fs.file-max)",
            at_connections: file_max.saturating_sub(host.files_open.unwrap_or_default())
                / ends_here,
            symptom: "ENFILE",
            cure: format!(
                "sysctl -w fs.file-max={}",
                request.connections * ends_here + 100_000
            ),
        });
    }
    if let Some(watches) = host.epoll_watches_max {
        walls.push(Wall {
            name: "epoll registrations (fs.epoll.max_user_watches)",
            at_connections: watches / ends_here,
            symptom: "ENOSPC from epoll_ctl",
            cure: "raise it, or run server and generator as different users".into(),
        });
    }
    if let Some(tracked) = host.conntrack_max.filter(|_| host.tracks_connections()) {
        walls.push(Wall {
            name: "connection tracking (nf_conntrack_max)",
            at_connections: tracked.saturating_sub(host.conntrack_count.unwrap_or_default()),
            symptom: "packets dropped, connects time out",
            cure: "notrack rule for the port, or raise nf_conntrack_max".into(),
        });
    }
    walls
}

fn memory_walls(request: &PlanRequest, host: &Host, memory: Memory) -> Vec<Wall> {
    let mut walls = Vec::new();
    if let Some(usable) = host.memory_usable_bytes() {
        let kept = host.memory_total_bytes.unwrap_or_default() / 50;
        walls.push(Wall {
            name: "memory",
            at_connections: usable.saturating_sub(kept) / memory.here_bytes_per_connection.max(1),
            symptom: "the OOM killer",
            cure: format!(
                "{} bytes per connection here: a machine for each end, or more memory",
                thousands(memory.here_bytes_per_connection)
            ),
        });
    }
    if let Some([_, _, pages]) = host.tcp_mem_pages.filter(|_| request.queued_share > 0.0) {
        let ends_here = if request.target_is_here { 2.0 } else { 1.0 };
        walls.push(Wall {
            name: "queued bytes (net.ipv4.tcp_mem)",
            at_connections: (pages as f64 / (request.queued_share * ends_here)) as u64,
            symptom: "sends stall, windows shrink",
            cure: "see net.ipv4.tcp_mem above".into(),
        });
    }
    walls
}
