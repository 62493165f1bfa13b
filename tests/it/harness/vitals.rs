//! What `/proc` says about the server: memory, descriptors, CPU.

use std::fs;

/// One reading. Compare two of them: the absolute figures depend on the build.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Vitals {
    pub(crate) rss_bytes: u64,
    /// Open descriptors, summed over the threads: each worker may have a table of its own.
    pub(crate) descriptors: usize,
    /// Open descriptors of the thread that has the most.
    pub(crate) descriptors_max: usize,
    /// User and system time, in ticks of 10 ms.
    pub(crate) cpu_ticks: u64,
}

impl Vitals {
    pub(crate) fn of(pid: u32) -> Self {
        let descriptors = descriptors(pid);
        Self {
            rss_bytes: rss_bytes(pid),
            descriptors: descriptors.iter().sum(),
            descriptors_max: descriptors.into_iter().max().unwrap_or(0),
            cpu_ticks: cpu_ticks(pid),
        }
    }

    /// The most that has ever been resident.
    pub(crate) fn peak_rss_bytes(pid: u32) -> u64 {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmHWM:"));
        let kib: Option<u64> = line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok());
        kib.unwrap() << 10
    }

    /// Growth of resident memory since `earlier`.
    pub(crate) fn rss_growth(&self, earlier: &Self) -> u64 {
        self.rss_bytes.saturating_sub(earlier.rss_bytes)
    }
}

fn rss_bytes(pid: u32) -> u64 {
    let statm = fs::read_to_string(format!("/proc/{pid}/statm")).unwrap();
    let pages: u64 = statm.split(' ').nth(1).unwrap().parse().unwrap();
    pages * PAGE_BYTES
}

/// Open descriptors of each thread.
fn descriptors(pid: u32) -> Vec<usize> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let open =
        |thread: fs::DirEntry| fs::read_dir(thread.path().join("fd")).map_or(0, Iterator::count);
    threads.flatten().map(open).collect()
}

fn cpu_ticks(pid: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    // The command name is in parentheses and may contain blanks: count from behind it.
    let fields: Vec<_> = stat
        .rsplit(')')
        .next()
        .unwrap()
        .split_whitespace()
        .collect();
    let user: u64 = fields[11].parse().unwrap();
    let system: u64 = fields[12].parse().unwrap();
    user + system
}

/// x86-64 and the arm64 kernels of the common distributions; good enough for a bound.
const PAGE_BYTES: u64 = 4096;
