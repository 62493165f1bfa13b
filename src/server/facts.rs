//! What the machine allows, as far as it lets itself be asked.
//!
//! Every file is optional: a service with `ProcSubset=pid` sees neither `/proc/sys` nor
//! `/proc/meminfo`, a container may lack half of the rest. What cannot be read is not judged.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;

use crate::sys::{affinity, fdtable, rlimit};

/// The limits found at start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The cores this process may run on; never empty.
    pub cores: Vec<usize>,
    /// Whether each worker can have a descriptor table, and so the whole limit, to itself.
    pub are_tables_parted: bool,
    /// Descriptors one table may hold, after raising the soft limit to the hard one.
    pub descriptors_max: u64,
    /// How far root could raise that (`fs.nr_open`).
    pub nr_open: Option<u64>,
    /// Open files in the whole system (`fs.file-max`).
    pub file_max: Option<u64>,
    /// Ceiling of every listen backlog (`net.core.somaxconn`).
    pub somaxconn: Option<u64>,
    /// Epoll registrations of one user (`fs.epoll.max_user_watches`).
    pub epoll_watches_max: Option<u64>,
    /// Connections the firewall can track; absent if it tracks none.
    pub conntrack_max: Option<u64>,
    /// What the kernel thinks can be used without swapping.
    pub memory_available_bytes: Option<u64>,
    /// The smallest memory limit of our control groups.
    pub memory_limit_bytes: Option<u64>,
}

impl Facts {
    /// Asks this machine. Raises the soft descriptor limit to the hard one on the way.
    pub fn gather() -> Self {
        // Failing to raise the limit leaves the one in force, which is then reported.
        let descriptors = rlimit::raise_nofile().or_else(|_| rlimit::nofile());
        Self {
            cores: affinity::cores(),
            are_tables_parted: can_part_tables(),
            descriptors_max: descriptors.map_or(DESCRIPTORS_GUESS, |limit| limit.soft),
            ..Self::read(Path::new("/proc"), Path::new("/sys/fs/cgroup"))
        }
    }

    /// The part that stands in files.
    fn read(proc: &Path, cgroups: &Path) -> Self {
        let sys = |name: &str| number(&proc.join("sys").join(name));
        Self {
            cores: vec![0],
            are_tables_parted: false,
            descriptors_max: DESCRIPTORS_GUESS,
            nr_open: sys("fs/nr_open"),
            file_max: sys("fs/file-max"),
            somaxconn: sys("net/core/somaxconn"),
            epoll_watches_max: sys("fs/epoll/max_user_watches"),
            conntrack_max: sys("net/netfilter/nf_conntrack_max"),
            memory_available_bytes: kibibytes(&proc.join("meminfo"), "MemAvailable"),
            memory_limit_bytes: cgroup_limit(&proc.join("self/cgroup"), cgroups),
        }
    }

    /// Memory there is for us: what is free, or less if a control group says so.
    pub fn memory_bytes(&self) -> Option<u64> {
        let both = [self.memory_available_bytes, self.memory_limit_bytes];
        both.into_iter().flatten().min()
    }
}

/// Tries it where it harms nobody: in a thread that ends at once.
fn can_part_tables() -> bool {
    let parted = thread::spawn(fdtable::part).join();
    matches!(parted, Ok(parted) if !matches!(parted, fdtable::Parted::Shared(_)))
}

pub(super) fn number(path: &Path) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// The value of one line of `/proc/meminfo` or `/proc/self/status`.
pub(super) fn kibibytes(file: &Path, name: &str) -> Option<u64> {
    let text = fs::read_to_string(file).ok()?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

/// The smallest limit of our groups.
fn cgroup_limit(membership: &Path, root: &Path) -> Option<u64> {
    let groups = memory_groups(membership, root);
    groups.into_iter().map(|group| group.limit_bytes).min()
}

/// A control group of ours that limits memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct MemoryGroup {
    /// Where it lies.
    pub(super) folder: PathBuf,
    /// Its limit.
    pub(super) limit_bytes: u64,
    /// The file that says how much of it is used.
    pub(super) used: &'static str,
}

/// Our groups with a limit, from our own up to the root: every ancestor's limit holds, too.
pub(super) fn memory_groups(membership: &Path, root: &Path) -> Vec<MemoryGroup> {
    let text = fs::read_to_string(membership).unwrap_or_default();
    // `0::/path` is version 2, `4:memory:/path` version 1; both may be mounted side by side.
    let files = text.lines().filter_map(|line| {
        let (_, line) = line.split_once(':')?;
        match line.split_once(':')? {
            ("", path) => Some((root.to_owned(), path, "memory.max", "memory.current")),
            ("memory", path) => {
                let (limit, used) = ("memory.limit_in_bytes", "memory.usage_in_bytes");
                Some((root.join("memory"), path, limit, used))
            }
            _ => None,
        }
    });
    let groups = files.flat_map(|(mount, path, limit, used)| {
        let path = PathBuf::from(path.trim_start_matches('/'));
        let folders: Vec<_> = path.ancestors().map(|group| mount.join(group)).collect();
        folders.into_iter().filter_map(move |folder| {
            let limit_bytes = number(&folder.join(limit))?;
            Some(MemoryGroup {
                folder,
                limit_bytes,
                used,
            })
        })
    });
    // Version 2 writes `max`, which is no number; version 1 a number near 2^63.
    groups
        .filter(|group| group.limit_bytes < UNLIMITED_BYTES)
        .collect()
}

/// What POSIX promises at least, for a system that does not answer.
const DESCRIPTORS_GUESS: u64 = 256;
/// Version 1 groups without a limit report 2^63 rounded down to a page.
const UNLIMITED_BYTES: u64 = 1 << 60;

#[cfg(test)]
mod tests;
