//! What has been hit: the counters in which limits leave their marks, read before and after a run.
//!
//! A prediction names the first wall; these name the one that was met. Descriptors leave no mark in
//! the kernel: EMFILE is told to the process alone, and the server logs it.

use std::collections::BTreeMap;

use super::knob::Knob;
use super::knobs;
use super::root::{ProcRoot, labelled, paired};
use crate::sys::klog;

/// The counters by the names of their signs; those that cannot be read are missing.
pub type Counters = BTreeMap<String, u64>;

/// A counter that only rises when a limit is hit.
#[derive(Debug)]
pub struct Sign {
    /// As the kernel calls it, where it has a name for it.
    pub name: &'static str,
    /// Where it is counted.
    pub source: Source,
    /// The row of the table that it belongs to.
    pub limit: &'static str,
    /// What happened when it rises.
    pub means: &'static str,
}

/// Where a sign is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// In the `TcpExt` lines of `/proc/net/netstat`, under the sign's name.
    TcpExt,
    /// In this column of `/proc/net/softnet_stat`, summed over the processors.
    Softnet(usize),
    /// In the column of `/proc/net/stat/nf_conntrack` with this heading, summed.
    Tracker(&'static str),
    /// In `/proc/vmstat`, under this label.
    Vmstat(&'static str),
    /// In `memory.events` of the process's control group, under this label.
    Group(&'static str),
    /// Lines of the kernel's log with these words.
    Log(&'static str),
}

/// A limit that was hit.
#[derive(Clone, Copy, Debug)]
pub struct Hit {
    /// The counter that rose.
    pub sign: &'static Sign,
    /// By how much.
    pub times: u64,
}

impl Hit {
    /// The row of the table.
    #[must_use]
    pub fn knob(&self) -> Option<&'static Knob> {
        knobs::named(self.sign.limit)
    }
}

/// Reads every counter that is there.
#[must_use]
pub fn read(root: &ProcRoot, pid: &str) -> Counters {
    let text = |path: &str| root.text(path).unwrap_or_default();
    let texts = Texts {
        netstat: text("proc/net/netstat"),
        softnet: text("proc/net/softnet_stat"),
        tracker: text("proc/net/stat/nf_conntrack"),
        vmstat: text("proc/vmstat"),
        events: group_events(root, pid).unwrap_or_default(),
        log: kernel_log(root),
    };
    let counted = SIGNS
        .iter()
        .filter_map(|sign| Some((sign.name.to_owned(), texts.count(sign)?)));
    counted.collect()
}

/// What rose between two readings, in the order of the table of signs: the hardest walls first.
#[must_use]
pub fn hits(before: &Counters, after: &Counters) -> Vec<Hit> {
    let rose = |sign: &'static Sign| {
        let times = after
            .get(sign.name)?
            .saturating_sub(*before.get(sign.name)?);
        (times > 0).then_some(Hit { sign, times })
    };
    SIGNS.iter().filter_map(rose).collect()
}

struct Texts {
    netstat: String,
    softnet: String,
    tracker: String,
    vmstat: String,
    events: String,
    log: Option<String>,
}

impl Texts {
    fn count(&self, sign: &Sign) -> Option<u64> {
        match sign.source {
            Source::TcpExt => paired(&self.netstat, "TcpExt:", sign.name),
            Source::Softnet(column) => column_sum(self.softnet.lines(), column),
            Source::Tracker(heading) => {
                let mut lines = self.tracker.lines();
                let mut headings = lines.next()?.split_ascii_whitespace();
                column_sum(lines, headings.position(|word| word == heading)?)
            }
            Source::Vmstat(label) => labelled(&self.vmstat, label),
            Source::Group(label) => labelled(&self.events, label),
            Source::Log(words) => {
                let lines = self.log.as_deref()?.lines();
                Some(lines.filter(|line| line.contains(words)).count() as u64)
            }
        }
    }
}

/// Adds up one column of hexadecimal numbers; `None` where there is none.
fn column_sum<'a>(lines: impl Iterator<Item = &'a str>, column: usize) -> Option<u64> {
    let cell = |line: &str| {
        let word = line.split_ascii_whitespace().nth(column)?;
        u64::from_str_radix(word, 16).ok()
    };
    lines
        .filter_map(cell)
        .reduce(|sum, cell| sum.saturating_add(cell))
}

fn group_events(root: &ProcRoot, pid: &str) -> Option<String> {
    let membership = root.text(&format!("proc/{pid}/cgroup"))?;
    let path = membership
        .lines()
        .find_map(|line| line.strip_prefix("0::"))?;
    root.text(&format!("sys/fs/cgroup{path}/memory.events"))
}

/// A file stands in for it where the root is not this machine's.
fn kernel_log(root: &ProcRoot) -> Option<String> {
    if root.is_machine() {
        klog::read().ok()
    } else {
        root.text("var/log/dmesg")
    }
}

const fn tcp(name: &'static str, limit: &'static str, means: &'static str) -> Sign {
    Sign {
        name,
        source: Source::TcpExt,
        limit,
        means,
    }
}

const fn log(
    name: &'static str,
    words: &'static str,
    limit: &'static str,
    means: &'static str,
) -> Sign {
    Sign {
        name,
        source: Source::Log(words),
        limit,
        means,
    }
}

/// The table, hardest walls first.
pub const SIGNS: &[Sign] = &[
    Sign {
        name: "oom_kill",
        source: Source::Vmstat("oom_kill "),
        limit: "memory",
        means: "the OOM killer ended a process",
    },
    Sign {
        name: "group oom_kill",
        source: Source::Group("oom_kill "),
        limit: "memory of the control group",
        means: "the OOM killer ended a process of our control group",
    },
    Sign {
        name: "group max",
        source: Source::Group("max "),
        limit: "memory of the control group",
        means: "the control group reached its limit and had to reclaim",
    },
    log(
        "log: table full",
        "nf_conntrack: table full",
        "net.netfilter.nf_conntrack_max",
        "the tracker's table was full: packets of new connections were dropped",
    ),
    Sign {
        name: "conntrack drop",
        source: Source::Tracker("drop"),
        limit: "net.netfilter.nf_conntrack_max",
        means: "the tracker dropped packets because it had no entry for them",
    },
    Sign {
        name: "conntrack early_drop",
        source: Source::Tracker("early_drop"),
        limit: "net.netfilter.nf_conntrack_max",
        means: "the tracker threw out live entries to make room",
    },
    log(
        "log: file-max",
        "VFS: file-max limit",
        "fs.file-max",
        "the machine ran out of files",
    ),
    log(
        "log: tcp_mem",
        "TCP: out of memory",
        "net.ipv4.tcp_mem",
        "TCP gave up sockets because queued bytes reached the third number",
    ),
    tcp(
        "TCPMemoryPressures",
        "net.ipv4.tcp_mem",
        "queued bytes went above the second number: windows shrank, sends stalled",
    ),
    log(
        "log: orphans",
        "too many orphaned sockets",
        "net.ipv4.tcp_max_orphans",
        "closed sockets with unsent bytes were reset",
    ),
    tcp(
        "TCPAbortOnMemory",
        "net.ipv4.tcp_max_orphans",
        "sockets were reset instead of closed: too many orphans, or no TCP memory",
    ),
    tcp(
        "ListenOverflows",
        "net.core.somaxconn",
        "the accept queue was full: handshakes were forgotten, clients tried again a second later",
    ),
    tcp(
        "ListenDrops",
        "net.core.somaxconn",
        "arrivals were dropped at a listener, for a full queue or for lack of memory",
    ),
    tcp(
        "TCPReqQFullDrop",
        "net.ipv4.tcp_max_syn_backlog",
        "the SYN queue was full, and cookies were off",
    ),
    tcp(
        "TCPReqQFullDoCookies",
        "net.core.somaxconn",
        "the SYN queue was full: SYN cookies took over",
    ),
    Sign {
        name: "softnet drops",
        source: Source::Softnet(1),
        limit: "net.core.netdev_max_backlog",
        means: "a processor's packet queue was full: segments had to be sent again",
    },
    tcp(
        "TCPTimeWaitOverflow",
        "net.ipv4.tcp_max_tw_buckets",
        "TIME_WAIT was skipped",
    ),
    tcp(
        "TCPMigrateReqFailure",
        "net.ipv4.tcp_migrate_req",
        "connections waiting at a listener that closed could not be moved",
    ),
    tcp(
        "PFMemallocDrop",
        "vm.min_free_kbytes",
        "packets were dropped for want of memory",
    ),
    log(
        "log: page allocation",
        "page allocation failure",
        "vm.min_free_kbytes",
        "the kernel could not get memory where it cannot wait",
    ),
    Sign {
        name: "pswpout",
        source: Source::Vmstat("pswpout "),
        limit: "swap",
        means: "pages were swapped out",
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tuning::tree::Tree;

    #[test]
    fn every_sign_belongs_to_a_row_and_has_a_name_of_its_own() {
        for sign in SIGNS {
            assert!(knobs::named(sign.limit).is_some(), "{}", sign.limit);
            assert_eq!(
                SIGNS.iter().filter(|other| other.name == sign.name).count(),
                1
            );
        }
    }

    /// A machine on which everything happened `times` times.
    fn machine(times: u64) -> Tree {
        let tcp = SIGNS.iter().filter(|sign| sign.source == Source::TcpExt);
        let names: Vec<_> = tcp.map(|sign| sign.name).collect();
        let values = vec![times.to_string(); names.len()];
        let netstat = format!(
            "TcpExt: {}\nTcpExt: {}\n",
            names.join(" "),
            values.join(" ")
        );
        let logs = SIGNS.iter().filter_map(|sign| match sign.source {
            Source::Log(words) => Some(format!("[ 1.5] x: {words}, and so on\n")),
            _ => None,
        });
        let log = logs
            .collect::<String>()
            .repeat(usize::try_from(times).unwrap());
        Tree::new(&[
            ("proc/net/netstat", &netstat),
            (
                "proc/net/softnet_stat",
                &format!("00000009 {times:08x}\n00000009 00000000\n"),
            ),
            (
                "proc/net/stat/nf_conntrack",
                &format!("entries drop early_drop\n00000007 {times:08x} {times:08x}\n"),
            ),
            (
                "proc/vmstat",
                &format!("oom_kill {times}\npswpout {times}\n"),
            ),
            ("proc/self/cgroup", "0::/box\n"),
            (
                "sys/fs/cgroup/box/memory.events",
                &format!("low 0\nmax {times}\noom_kill {times}\n"),
            ),
            ("var/log/dmesg", &log),
        ])
    }

    #[test]
    fn what_rose_was_hit() {
        let quiet = read(&machine(2).root(), "self");
        let after = read(&machine(12).root(), "self");
        assert_eq!(quiet.len(), SIGNS.len(), "every source is read: {quiet:?}");
        let hits_of = hits(&quiet, &after);
        let names: Vec<_> = hits_of.iter().map(|hit| hit.sign.name).collect();
        let all: Vec<_> = SIGNS.iter().map(|sign| sign.name).collect();
        assert_eq!(names, all, "in the order of the table");
        assert!(
            hits_of
                .iter()
                .all(|hit| hit.times == 10 && hit.knob().is_some())
        );
        assert!(hits(&after, &after).is_empty());
        assert!(
            hits(&after, &quiet).is_empty(),
            "a log that turned over is no hit"
        );
    }

    #[test]
    fn what_cannot_be_read_is_missing() {
        let tree = Tree::new(&[("proc/vmstat", "oom_kill 3\n")]);
        let counters = read(&tree.root(), "self");
        assert_eq!(
            counters.into_iter().collect::<Vec<_>>(),
            [("oom_kill".to_owned(), 3)]
        );
    }
}
