//! The plan of a run: addresses, ports, routes, memory, descriptors, sysctls, and the first limit that
//! will bite. Nothing is opened: everything here is arithmetic on the request and on what `/proc` says.

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;

use serde::Serialize;
use throng::tuning::goal::{
    CLIENT_KERNEL_BYTES, CLIENT_USER_BYTES, SERVER_KERNEL_BYTES, SERVER_USER_BYTES,
};
use throng::tuning::{Diagnosis, Ends, Goal, Host};

use crate::pool::SourcePool;
use crate::ports::PortSet;
use crate::tuples::TupleSpace;

pub mod knobs;
mod text;
pub mod walls;

use knobs::Knob;
use walls::Wall;

/// What is asked for.
#[derive(Debug, Clone)]
pub struct PlanRequest {
    /// Connections held at the peak.
    pub connections: u64,
    /// Every (address, port) that is connected to.
    pub listeners: Vec<SocketAddr>,
    /// Whether the listeners are on this machine, so that both ends of a connection cost memory here.
    pub target_is_here: bool,
    /// The `--source` pool, when one was given.
    pub sources: Option<SourcePool>,
    /// The address this machine would use by itself; asked for only when no pool is given.
    pub default_source: Option<IpAddr>,
    /// Source ports to draw from.
    pub ports: RangeInclusive<u16>,
    /// Engine threads; each has its own descriptor table.
    pub threads: u64,
    /// Connects per second.
    pub ramp_per_s: u64,
    /// Share of connections with unread or unsent bytes at the worst moment.
    pub queued_share: f64,
}

/// Why a request cannot be planned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlanError {
    /// Zero connections.
    NoConnections,
    /// No listener.
    NoTarget,
    /// Sources of one address family, targets of the other.
    Families,
    /// Every port of the range is withheld.
    NoPorts,
    /// A remote target and neither a pool nor a route to it.
    NoSource,
}

impl std::fmt::Display for PlanError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::NoConnections => "a plan needs at least one connection",
            Self::NoTarget => "a plan needs a target",
            Self::Families => "sources and targets must be of one address family",
            Self::NoPorts => "no source port is left: widen --ports or release reserved ones",
            Self::NoSource => {
                "no route to the target: name the addresses to come from with --source"
            }
        })
    }
}

impl std::error::Error for PlanError {}

/// The whole plan, as `--json` prints it.
#[derive(Debug, Serialize)]
pub struct Plan {
    /// Version of this shape.
    pub version: u32,
    /// Connections asked for.
    pub connections: u64,
    /// Where they go.
    pub listeners: Vec<SocketAddr>,
    /// Connections per listener: what a claim must state beside its total.
    pub connections_per_listener: u64,
    /// Whether both ends are on this machine.
    pub both_ends_here: bool,
    /// Source addresses, as spans.
    pub sources: Vec<String>,
    /// How many source addresses the run uses.
    pub source_count: u64,
    /// Usable ports of each address.
    pub ports_per_source: u64,
    /// The ports themselves.
    pub ports: String,
    /// Tuples in all.
    pub tuples: u64,
    /// Commands that make the addresses ours, on this machine.
    pub setup: Vec<String>,
    /// Their undo, in reverse.
    pub undo: Vec<String>,
    /// Commands for the other machine, so that answers find the way back.
    pub setup_on_server: Vec<String>,
    /// Expected memory.
    pub memory: Memory,
    /// Engine threads, each with a descriptor table of its own.
    pub threads: u64,
    /// Descriptors each engine thread holds.
    pub descriptors_per_thread: u64,
    /// Settings, with what they are and what they should be.
    pub knobs: Vec<Knob>,
    /// Every limit of this machine, lowest first.
    pub walls: Vec<Wall>,
    /// Things to know.
    pub notes: Vec<String>,
    #[serde(skip)]
    space: Option<TupleSpace>,
}

/// Expected memory for all connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Memory {
    /// Kernel, server side.
    pub server_kernel_bytes: u64,
    /// Kernel, client side.
    pub client_kernel_bytes: u64,
    /// The server's own, if it is Throng.
    pub server_user_bytes: u64,
    /// This process.
    pub client_user_bytes: u64,
    /// What of it falls on this machine.
    pub here_bytes: u64,
    /// The same per connection.
    pub here_bytes_per_connection: u64,
}

impl Plan {
    /// Plans a run on this host. `seed` shuffles the tuples.
    pub fn new(request: &PlanRequest, host: &Host, seed: u64) -> Result<Self, PlanError> {
        let (pool, ports) = resources(request, host)?;
        let space = TupleSpace::new(pool.clone(), ports.clone(), request.listeners.clone(), seed)
            .ok_or(PlanError::NoPorts)?;
        let (setup, undo) = routes(&pool);
        let memory = Memory::of(request);
        let goal = request.goal();
        let here = Diagnosis::new(&goal, host);
        let server = Goal {
            ends: Ends::Server,
            ..goal
        };
        let there = Diagnosis::new(&server, &knobs::unknown_host());
        let there = (!request.target_is_here).then_some(&there);
        let mut plan = Self {
            version: 1,
            connections: request.connections,
            listeners: request.listeners.clone(),
            connections_per_listener: request.connections.div_ceil(request.listeners.len() as u64),
            both_ends_here: request.target_is_here,
            sources: pool.describe(),
            source_count: pool.address_count(),
            ports_per_source: u64::from(ports.len()),
            ports: ports.describe(),
            tuples: space.capacity(),
            setup_on_server: server_routes(request, &pool),
            setup,
            undo,
            memory,
            threads: request.threads,
            descriptors_per_thread: request.connections.div_ceil(request.threads.max(1))
                + DESCRIPTORS_BESIDE,
            knobs: knobs::of(&here, there),
            walls: walls::of(request, host, space.capacity(), &here),
            notes: Vec::new(),
            space: Some(space),
        };
        plan.notes = notes(request, host, &pool, &plan);
        Ok(plan)
    }

    /// The tuples themselves, for the engine. Once.
    pub fn take_space(&mut self) -> Option<TupleSpace> {
        self.space.take()
    }

    /// The first limit below the connections asked for, if any.
    #[must_use]
    pub fn first_wall(&self) -> Option<&Wall> {
        self.walls
            .first()
            .filter(|wall| wall.at_connections < self.connections)
    }
}

impl PlanRequest {
    /// The same in the words of the machine's limits.
    fn goal(&self) -> Goal {
        let ends = if self.target_is_here {
            Ends::Both
        } else {
            Ends::Client
        };
        Goal {
            rate_per_s: if self.ramp_per_s == 0 {
                RAMP_ASSUMED_PER_S
            } else {
                self.ramp_per_s
            },
            tables: self.threads,
            // As many threads as there are; more are a cure, not a given.
            tables_max: self.threads,
            queues: self.listeners.len() as u64,
            queued_percent: (self.queued_share * 100.0).ceil() as u64,
            ..Goal::new(self.connections, ends, self.threads)
        }
    }
}

impl Memory {
    const fn of(request: &PlanRequest) -> Self {
        let n = request.connections;
        let server_kernel_bytes = n * SERVER_KERNEL_BYTES;
        let client_kernel_bytes = n * CLIENT_KERNEL_BYTES;
        let server_user_bytes = n * SERVER_USER_BYTES;
        let client_user_bytes = n * CLIENT_USER_BYTES;
        let client_bytes = client_kernel_bytes + client_user_bytes;
        let here_bytes = if request.target_is_here {
            client_bytes + server_kernel_bytes + server_user_bytes
        } else {
            client_bytes
        };
        let here_bytes_per_connection = here_bytes / if n == 0 { 1 } else { n };
        Self {
            server_kernel_bytes,
            client_kernel_bytes,
            server_user_bytes,
            client_user_bytes,
            here_bytes,
            here_bytes_per_connection,
        }
    }
}

/// The addresses and ports a run would use: no more addresses than it needs, no port that cannot work.
fn resources(request: &PlanRequest, host: &Host) -> Result<(SourcePool, PortSet), PlanError> {
    if request.connections == 0 {
        return Err(PlanError::NoConnections);
    }
    let first = request.listeners.first().ok_or(PlanError::NoTarget)?;
    let mut withheld = host.reserved_ports.clone();
    if request.target_is_here {
        // A listener on 0.0.0.0:9000 owns port 9000 of every local address, also of those nobody uses.
        withheld.extend(
            request
                .listeners
                .iter()
                .map(|listener| (listener.port(), listener.port())),
        );
    }
    let lowest = u16::try_from(host.lowest_port()).unwrap_or(u16::MAX);
    let ports = PortSet::new(
        (*request.ports.start()).max(lowest)..=*request.ports.end(),
        &withheld,
    );
    if ports.is_empty() {
        return Err(PlanError::NoPorts);
    }
    let per_source = u64::from(ports.len()) * request.listeners.len() as u64;
    let needed = request.connections.div_ceil(per_source);
    let pool = match (&request.sources, request.default_source) {
        (Some(pool), _) => pool.first(pool.address_count().min(needed.max(SOURCES_MIN))),
        (None, _) if first.ip().is_ipv4() && first.ip().is_loopback() => {
            SourcePool::loopback(needed)
        }
        (None, Some(ip)) => SourcePool::single(ip),
        (None, None) => return Err(PlanError::NoSource),
    };
    if request
        .listeners
        .iter()
        .any(|listener| listener.is_ipv6() != pool.is_v6())
    {
        return Err(PlanError::Families);
    }
    Ok((pool, ports))
}

/// The commands that make a pool bindable, and their undo in reverse order.
fn routes(pool: &SourcePool) -> (Vec<String>, Vec<String>) {
    let ip = if pool.is_v6() { "ip -6" } else { "ip" };
    let blocks = pool.blocks_to_route();
    let command =
        |verb: &str, block: &crate::pool::Cidr| format!("{ip} route {verb} local {block} dev lo");
    let setup = blocks.iter().map(|block| command("add", block)).collect();
    (
        setup,
        blocks
            .iter()
            .rev()
            .map(|block| command("del", block))
            .collect(),
    )
}

fn server_routes(request: &PlanRequest, pool: &SourcePool) -> Vec<String> {
    if request.target_is_here {
        return Vec::new();
    }
    let via = request
        .default_source
        .map_or_else(|| "ADDRESS-OF-THIS-HOST".to_owned(), |ip| ip.to_string());
    let ip = if pool.is_v6() { "ip -6" } else { "ip" };
    let mine = |block: &&crate::pool::Cidr| request.default_source != Some(block.network);
    pool.blocks_to_route()
        .iter()
        .filter(mine)
        .map(|block| format!("{ip} route add {block} via {via}"))
        .collect()
}

fn notes(request: &PlanRequest, host: &Host, pool: &SourcePool, plan: &Plan) -> Vec<String> {
    let mut notes = Vec::new();
    if plan.listeners.len() > 1 {
        notes.push(format!(
            "{} listeners: state the claim as {} connections per listener tuple",
            plan.listeners.len(),
            crate::units::thousands(plan.connections_per_listener)
        ));
    }
    if pool.is_v6() && !plan.setup.is_empty() {
        notes.push("IPv6 sources are bound with IPV6_FREEBIND: a local route alone does not make them bindable".into());
    }
    let range = host.sysctls.get("net.ipv4.ip_local_port_range");
    if let Some([first, last]) = range.map(Vec::as_slice)
        && first % 2 == last % 2
    {
        notes.push(format!(
            "ip_local_port_range {first} {last} starts and ends on the same parity; it does not matter here, ports are bound explicitly"
        ));
    }
    if request.sources.is_none() && !request.target_is_here {
        notes.push("no --source: one address, so one port range for all connections".into());
    }
    let tracker = host.sysctl("net.netfilter.nf_conntrack_max");
    if tracker.is_some() && !host.tracks_connections() {
        notes.push("conntrack is loaded and tracks nothing now; a firewall rule can change that, then nf_conntrack_max counts".into());
    }
    if request.ramp_per_s == 0 {
        notes.push("no ramp rate: backlogs are planned for 10,000 connects/s".into());
    }
    notes
}

/// Epoll, waker, timers, the report's files: descriptors a thread needs beside its connections.
const DESCRIPTORS_BESIDE: u64 = 64;
/// A pool is cut to what a run needs but not below this: a port taken by somebody else must have others to
/// stand in for it.
const SOURCES_MIN: u64 = 2;
/// Backlogs are planned for this where no ramp is given.
const RAMP_ASSUMED_PER_S: u64 = 10_000;

#[cfg(test)]
mod tests;
