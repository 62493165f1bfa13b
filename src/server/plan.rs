//! What will run, given what was asked for and what the machine allows.
//!
//! Pure: facts in, plan and advice out. A limit that does not fit never keeps the server from
//! starting; it serves what fits, and says what is in the way and how to move it.

use super::facts::Facts;
use crate::config::{Config, Count};
use crate::reactor::WORKERS_MAX;
use crate::tuning::goal::{SERVER_KERNEL_BYTES, SERVER_USER_BYTES};
use crate::tuning::knob::written;
use crate::tuning::knobs::NOFILE;
use crate::tuning::{Diagnosis, Ends, Goal};

/// How many workers and connections there will be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Event loops that run from the start.
    pub workers: usize,
    /// Further ones that may join, each for the descriptors its table brings.
    pub shards: usize,
    /// Connections of all workers together.
    pub connections_max: u64,
    /// Connections one worker has descriptors for. The kernel does not spread connections evenly,
    /// so this is the room there is and not a share of `connections_max`.
    pub worker_connections_max: u64,
    /// A worker's share of all connections, and a tenth: what its entries are laid out for.
    pub worker_connections_expected: u64,
    /// Descriptors a worker's table is laid out for at the start; 0 lets it grow.
    pub descriptors_expected: u64,
    /// Finished handshakes the kernel will really hold per listener.
    pub backlog: u64,
    /// Memory of that many idle connections, kernel and server together.
    pub memory_bytes: u64,
    /// What is in the way, worst first.
    pub advice: Vec<Advice>,
}

/// A limit in the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advice {
    /// Which limit, its value, and what follows from it.
    pub cause: String,
    /// The command or setting that changes it.
    pub cure: String,
}

impl Plan {
    /// Fits the configuration to the machine.
    pub fn new(config: &Config, facts: &Facts) -> Self {
        let workers = match config.workers {
            Count::Auto => facts.cores.len().max(1),
            Count::Exactly(n) => n as usize,
        };
        // What has to fit: the number that was asked for, or what every machine should manage.
        let first = Room::new(config, facts, workers);
        let (wanted, ceiling) = match config.max_connections {
            Count::Auto => (C10K, memory_room(facts).min(first.all.max(AUTO_SHARDS_FOR))),
            Count::Exactly(n) => (n.into(), n.into()),
        };
        let room = first.or_with_shards(config, facts, ceiling);
        let connections_max = room.all.min(ceiling);
        let share = connections_max.div_ceil(room.workers as u64);
        let expected = (share + share / 10).min(room.each);
        let backlog = u64::from(config.backlog);
        let somaxconn = facts.host.sysctl("net.core.somaxconn");
        let mut plan = Self {
            workers,
            shards: room.workers - workers,
            connections_max,
            worker_connections_max: room.each.min(connections_max),
            worker_connections_expected: expected,
            descriptors_expected: match config.max_connections {
                Count::Exactly(_) => room.reserved + expected,
                // Nobody has said that so many will come.
                Count::Auto => (room.reserved + expected).min(TABLE_LAID_OUT),
            },
            backlog: somaxconn.map_or(backlog, |max| backlog.min(max)),
            memory_bytes: connections_max * CONNECTION_BYTES,
            advice: Vec::new(),
        };
        plan.check_descriptors(wanted, facts, &room);
        plan.check_machine(wanted, facts);
        plan.check_memory(wanted, facts);
        plan.check_backlog(config);
        plan.check_cores(facts);
        plan
    }

    fn check_descriptors(&mut self, wanted: u64, facts: &Facts, room: &Room) {
        let limit = facts.descriptors_max;
        if wanted <= room.all {
            return;
        }
        let tables = if facts.are_tables_parted {
            room.workers
        } else {
            1
        } as u64;
        // A tenth more, because the kernel's hash gives some workers more than others.
        let share = wanted.div_ceil(tables);
        let spread = if tables > 1 { share / 10 } else { 0 };
        let needed = share + spread + room.reserved;
        let whose = if tables > 1 {
            "per worker"
        } else {
            "for all workers"
        };
        self.advise(
            format!(
                "{wanted} connections need {needed} descriptors {whose}, the limit is {limit}: \
                 serving up to {}",
                self.connections_max
            ),
            raise_descriptors(needed, facts.host.sysctl("fs.nr_open")),
        );
    }

    /// Walls of the machine below what is wanted. Descriptors and memory have their own words above and
    /// below: the server can do something about them.
    fn check_machine(&mut self, wanted: u64, facts: &Facts) {
        let goal = Goal::new(wanted, Ends::Server, self.workers as u64);
        let diagnosis = Diagnosis::new(&goal, &facts.host);
        let ours = |name: &str| name == NOFILE || name.starts_with("memory");
        for (finding, at) in diagnosis.walls() {
            let now = finding.now.as_deref().map(written).unwrap_or_default();
            if at < wanted && !ours(finding.knob.name) {
                self.advise(
                    format!(
                        "{} is {now}: it stops {wanted} connections at {at}",
                        finding.knob.title()
                    ),
                    finding.cure.clone(),
                );
            }
        }
    }

    fn check_memory(&mut self, wanted: u64, facts: &Facts) {
        let needed = wanted * CONNECTION_BYTES;
        let Some(memory) = facts.memory_bytes().filter(|bytes| *bytes < needed) else {
            return;
        };
        self.advise(
            format!(
                "{wanted} idle connections take about {}, there are {}",
                mebibytes(needed),
                mebibytes(memory)
            ),
            format!("--max-connections {}", memory_room(facts)),
        );
    }

    fn check_backlog(&mut self, config: &Config) {
        // The default asks for more than kernels grant; what they usually grant will do then.
        let is_default = config.backlog == Config::default().backlog;
        let asked = if is_default {
            USUAL_SOMAXCONN
        } else {
            config.backlog.into()
        };
        if self.backlog < asked {
            self.advise(
                format!(
                    "net.core.somaxconn cuts the accept queue from {asked} to {}: a storm of new \
                     connections loses some",
                    self.backlog
                ),
                format!("sysctl -w net.core.somaxconn={asked}"),
            );
        }
    }

    fn check_cores(&mut self, facts: &Facts) {
        let cores = facts.cores.len();
        if self.workers > 1 && !facts.are_tables_parted {
            self.advise(
                "descriptor tables cannot be parted here: the descriptor limit counts for all \
                 workers together"
                    .to_owned(),
                "allow unshare or close_range in the seccomp profile".to_owned(),
            );
        }
        if self.workers > cores {
            self.advise(
                format!("{} workers share {cores} cores", self.workers),
                format!("--workers {cores}"),
            );
        }
    }

    fn advise(&mut self, cause: String, cure: String) {
        self.advice.push(Advice { cause, cure });
    }
}

/// Descriptors left for connections.
struct Room {
    /// Workers, shards among them.
    workers: usize,
    /// Descriptors of a table that are not connections.
    reserved: u64,
    /// Connections per worker.
    each: u64,
    /// Connections of all workers.
    all: u64,
}

impl Room {
    /// Room for `wanted`: each worker beyond the first ones brings a table of its own, where tables
    /// can be parted. As few as will do, and a tenth more room than asked for, because the kernel's
    /// hash gives some workers more than others and handing newcomers over has its price.
    fn or_with_shards(self, config: &Config, facts: &Facts, wanted: u64) -> Self {
        if self.all >= wanted || !facts.are_tables_parted {
            return self;
        }
        let spread = wanted.saturating_add(wanted / 10);
        let more = (self.workers + 1..=WORKERS_MAX).map(|n| Self::new(config, facts, n));
        // Every table holds something of every worker: with a tiny limit, more of them give less.
        let mut most = self;
        for room in more {
            if room.all > most.all {
                most = room;
            }
            if most.all >= spread {
                break;
            }
        }
        most
    }

    fn new(config: &Config, facts: &Facts, workers: usize) -> Self {
        // A parted table starts as a copy of everybody's, so each holds all polls and wakers.
        let reserved = TABLE_RESERVED
            + WORKER_DESCRIPTORS * workers as u64
            + ENDPOINT_DESCRIPTORS * config.listen.len() as u64;
        let each = facts.descriptors_max.saturating_sub(reserved);
        let tables = if facts.are_tables_parted { workers } else { 1 };
        Self {
            workers,
            reserved,
            each,
            all: each.saturating_mul(tables as u64).min(CONNECTIONS_MAX),
        }
    }
}

/// Idle connections there is memory for.
fn memory_room(facts: &Facts) -> u64 {
    let bytes = facts.memory_bytes().unwrap_or(u64::MAX);
    bytes / CONNECTION_BYTES
}

/// The commands that lift the descriptor limit, in the order in which they work.
fn raise_descriptors(needed: u64, nr_open: Option<u64>) -> String {
    // `ulimit` fails above fs.nr_open, which is why so many recipes end at 1 048 576.
    let first = match nr_open {
        Some(max) if max < needed => {
            format!(
                "sysctl -w fs.nr_open={} first; then ",
                needed.next_power_of_two()
            )
        }
        _ => String::new(),
    };
    format!(
        "{first}ulimit -n {needed} as root before starting, or LimitNOFILE={needed} in the unit"
    )
}

/// Bytes rounded to MiB, for people.
pub(super) fn mebibytes(bytes: u64) -> String {
    match bytes >> 20 {
        mib @ 0..10_240 => format!("{mib} MiB"),
        mib => format!("{} GiB", mib >> 10),
    }
}

/// An idle connection in the kernel, and its entry in our slab with the share of the tables around it.
const CONNECTION_BYTES: u64 = SERVER_KERNEL_BYTES + SERVER_USER_BYTES;
/// Standard streams, signals, the log, files opened for a moment.
const TABLE_RESERVED: u64 = 32;
/// A poll, a waker and their duplicates.
const WORKER_DESCRIPTORS: u64 = 4;
/// The claim and the listener.
const ENDPOINT_DESCRIPTORS: u64 = 2;
/// What a machine should manage; less is worth a word even if nobody asked for more.
const C10K: u64 = 10_000;
/// The kernel's default since Linux 5.4.
const USUAL_SOMAXCONN: u64 = 4096;
/// The largest value of `--max-connections`. Containers often have a descriptor limit of 2^30,
/// which says nothing about what they can hold.
const CONNECTIONS_MAX: u64 = 16_000_000;
/// Connections for which `auto` brings shards in, if the memory is there; who wants more says so.
const AUTO_SHARDS_FOR: u64 = 1_000_000;
/// Descriptors a table is laid out for unasked: 512 KiB of the kernel's memory per worker.
const TABLE_LAID_OUT: u64 = 65_536;

#[cfg(test)]
mod tests;
