//! How much memory there is and how much of it is ours; and when to let nobody else in.
//!
//! Whoever is in could still send us something, so the line is drawn before the memory is gone, and
//! it is drawn for newcomers only: 503 and `Retry-After` now rather than the OOM killer later, which
//! would take everybody. Looked at five times a second; at 50 000 newcomers a second that is 40 MB
//! between two looks, which the reserve covers.

use std::fmt;

use super::plan::mebibytes;
use crate::tuning::ProcRoot;
use crate::tuning::cgroup::{self, MemoryGroup};
use crate::tuning::goal::SERVER_KERNEL_BYTES;
use crate::tuning::host::room_bytes;
use crate::tuning::root::labelled;

/// Where memory stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// Memory of the process (`VmRSS`).
    pub rss_bytes: Option<u64>,
    /// What the kernel holds for our connections: an estimate, a constant each. What they queue comes
    /// on top. A control group counts the real thing.
    pub kernel_bytes: u64,
    /// What the machine could still give: free, or in a page cache that can go.
    pub available_bytes: Option<u64>,
    /// The fullest of our control groups that have a limit.
    pub group: Option<Group>,
}

/// A control group's memory, the kernel's part included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Group {
    /// What it may use.
    pub limit_bytes: u64,
    /// What it uses, without file pages that could be dropped.
    pub used_bytes: u64,
}

/// Where to look.
#[derive(Debug)]
pub struct Meter {
    root: ProcRoot,
    /// What the machine has.
    total_bytes: Option<u64>,
    groups: Vec<MemoryGroup>,
}

impl Meter {
    /// Looks at this machine. Groups are found once: a process is rarely moved.
    pub fn new() -> Self {
        Self::at(ProcRoot::machine())
    }

    fn at(root: ProcRoot) -> Self {
        let memory = root.text("proc/meminfo").unwrap_or_default();
        Self {
            total_bytes: labelled(&memory, "MemTotal:").map(|kib| kib * 1024),
            groups: cgroup::groups(&root, "self"),
            root,
        }
    }

    /// Looks now.
    pub fn read(&self, connections: u64) -> Reading {
        let text = |path: &str| self.root.text(path).unwrap_or_default();
        let groups = self.groups.iter().filter_map(|group| {
            Some(Group {
                limit_bytes: group.limit_bytes,
                used_bytes: group.used_bytes(&self.root)?,
            })
        });
        Reading {
            rss_bytes: labelled(&text("proc/self/status"), "VmRSS:").map(|kib| kib * 1024),
            kernel_bytes: connections * SERVER_KERNEL_BYTES,
            available_bytes: room_bytes(&text("proc/meminfo")),
            group: groups.min_by_key(|group| group.limit_bytes.saturating_sub(group.used_bytes)),
        }
    }
}

impl Default for Meter {
    fn default() -> Self {
        Self::new()
    }
}

/// Decides whether newcomers are let in.
#[derive(Debug)]
pub struct Gate {
    /// What the operator grants us; 0: whatever the machine does.
    max_bytes: u64,
    is_shut: bool,
}

/// Why they are not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shortage {
    /// We use more than `--max-memory`.
    Ours {
        /// RSS and the kernel's share.
        used_bytes: u64,
        /// The knob.
        max_bytes: u64,
    },
    /// A control group is nearly full.
    Group(Group),
    /// The machine is nearly full.
    Machine {
        /// What is left.
        available_bytes: u64,
    },
}

impl Gate {
    /// An open gate.
    pub fn new(max_bytes: u64) -> Self {
        Self {
            max_bytes,
            is_shut: false,
        }
    }

    /// Another `--max-memory` from now on.
    pub fn set_max_bytes(&mut self, max_bytes: u64) {
        self.max_bytes = max_bytes;
    }

    /// Whether the gate is shut now, and why. Once shut, it opens only when there is a quarter more
    /// than the reserve: a gate that flaps would let in one storm after the other.
    pub fn judge(&mut self, meter: &Meter, reading: &Reading) -> Option<Shortage> {
        let margin = |reserve: u64| reserve + if self.is_shut { reserve / 4 } else { 0 };
        let used_bytes = reading.rss_bytes.unwrap_or(0) + reading.kernel_bytes;
        let max_bytes = self.max_bytes;
        let allowed = max_bytes - if self.is_shut { max_bytes / 64 } else { 0 };
        let ours = Shortage::Ours {
            used_bytes,
            max_bytes,
        };
        let group = |group: &Group| {
            let left = group.limit_bytes.saturating_sub(group.used_bytes);
            left < margin(reserve(group.limit_bytes))
        };
        let machine = |available_bytes: u64| {
            let total = meter.total_bytes.unwrap_or(0);
            let is_short = available_bytes < margin(reserve(total));
            is_short.then_some(Shortage::Machine { available_bytes })
        };
        let shortage = (max_bytes > 0 && used_bytes > allowed)
            .then_some(ours)
            .or_else(|| reading.group.filter(group).map(Shortage::Group))
            .or_else(|| reading.available_bytes.and_then(machine));
        self.is_shut = shortage.is_some();
        shortage
    }
}

/// What is kept free for those who are in: a twentieth, but not absurdly little or much.
fn reserve(bytes: u64) -> u64 {
    (bytes / 20).clamp(RESERVE_BYTES_MIN.min(bytes / 4), RESERVE_BYTES_MAX)
}

/// What 50 000 newcomers a second need between two looks.
const RESERVE_BYTES_MIN: u64 = 48 << 20;
/// Beyond this, a reserve only wastes the memory of a large machine.
const RESERVE_BYTES_MAX: u64 = 1 << 30;

impl fmt::Display for Shortage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Ours {
                used_bytes,
                max_bytes,
            } => write!(
                f,
                "connections and process take {}, above --max-memory ({})",
                mebibytes(used_bytes),
                mebibytes(max_bytes)
            ),
            Self::Group(group) => write!(
                f,
                "our control group uses {} of {} (MemoryMax=)",
                mebibytes(group.used_bytes),
                mebibytes(group.limit_bytes)
            ),
            Self::Machine { available_bytes } => {
                write!(f, "the machine has {} left", mebibytes(available_bytes))
            }
        }
    }
}

#[cfg(test)]
mod tests;
