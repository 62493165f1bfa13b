//! Advice that is still copied though it does harm: a table of it, and the files in which it is found.

use super::host::Host;
use super::knob::{Order, sysctl_path, written};
use super::knobs;
use super::root::ProcRoot;

/// A piece of advice that should not be followed.
#[derive(Debug)]
pub struct Advice {
    /// The setting.
    pub key: &'static str,
    /// As it is found in recipes.
    pub copied: &'static str,
    /// What is wrong with it.
    pub fault: Fault,
    /// Whether a value is an instance of it.
    pub applies: fn(&[u64], &Host) -> bool,
    /// Why not.
    pub verdict: &'static str,
}

/// What is wrong with a value in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Less than the kernel has by itself.
    Lowers,
    /// The kernel refuses it.
    Rejected,
    /// There is no such setting here.
    Gone,
    /// It does what it says, and that is bad.
    Harmful,
    /// It does not do what it is copied for.
    Futile,
}

impl Fault {
    /// One word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Lowers => "lowers",
            Self::Rejected => "rejected",
            Self::Gone => "gone",
            Self::Harmful => "harmful",
            Self::Futile => "futile",
        }
    }
}

/// One line of a `sysctl.d` file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// The file, below the root.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The setting, with dots.
    pub key: String,
    /// What it is set to.
    pub value: String,
}

/// A line that should not be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relic {
    /// The line.
    pub found: Assignment,
    /// What is wrong with it.
    pub fault: Fault,
    /// Why.
    pub verdict: String,
}

/// Every line that the machine's `sysctl.d` files contain, in the order in which they are loaded at
/// start: by name of the file, whatever its folder; a file hides those of its name in later folders.
#[must_use]
pub fn assignments(root: &ProcRoot) -> Vec<Assignment> {
    let mut files: Vec<(String, &str)> = Vec::new();
    for folder in FOLDERS {
        for name in root.names(folder) {
            if name.ends_with(".conf") && !files.iter().any(|(known, _)| *known == name) {
                files.push((name, folder));
            }
        }
    }
    files.sort();
    let mut found = Vec::new();
    for (name, folder) in files {
        let file = format!("/{folder}/{name}");
        let text = root.text(&file).unwrap_or_default();
        found.extend(parse(&file, &text));
    }
    found
}

/// The lines of one file. Settings with patterns in their names are left out: they name interfaces.
#[must_use]
pub fn parse(file: &str, text: &str) -> Vec<Assignment> {
    let assignment = |(index, line): (usize, &str)| {
        let line = line.trim();
        if line.starts_with(['#', ';']) {
            return None;
        }
        let (key, value) = line.split_once('=')?;
        let key = key.trim().trim_start_matches('-');
        let words: Vec<_> = value.split_ascii_whitespace().collect();
        (!key.contains('*')).then(|| Assignment {
            file: file.to_owned(),
            line: index + 1,
            key: dotted(key),
            value: words.join(" "),
        })
    };
    text.lines().enumerate().filter_map(assignment).collect()
}

/// `net/ipv4/x` is `net.ipv4.x`; where a dot comes first, dots separate already.
fn dotted(key: &str) -> String {
    match key.find(['.', '/']) {
        Some(at) if key[at..].starts_with('/') => key.replace('/', "."),
        _ => key.to_owned(),
    }
}

/// The lines that should not be there, in the order of the files.
#[must_use]
pub fn relics(assignments: &[Assignment], host: &Host, root: &ProcRoot) -> Vec<Relic> {
    let judged = assignments.iter().filter_map(|found| {
        let (fault, verdict) = judge(found, host, root)?;
        Some(Relic {
            found: found.clone(),
            fault,
            verdict,
        })
    });
    judged.collect()
}

/// What the files leave a setting at when the machine starts again: the last line wins.
#[must_use]
pub fn at_next_start<'a>(assignments: &'a [Assignment], key: &str) -> Option<&'a Assignment> {
    assignments.iter().rev().find(|found| found.key == key)
}

/// The numbers of a value; empty if it is not made of numbers.
#[must_use]
pub fn numbers(value: &str) -> Vec<u64> {
    let words: Option<Vec<u64>> = value
        .split_ascii_whitespace()
        .map(|word| word.parse().ok())
        .collect();
    words.unwrap_or_default()
}

fn judge(found: &Assignment, host: &Host, root: &ProcRoot) -> Option<(Fault, String)> {
    let value = numbers(&found.value);
    let advice = ADVICE.iter().filter(|advice| advice.key == found.key);
    for advice in advice {
        if (advice.applies)(&value, host) {
            return Some((advice.fault, advice.verdict.to_owned()));
        }
    }
    if let Some(own) = lowered(&found.key, &value, host) {
        let verdict = format!("the kernel's own value on such a machine is {own}");
        return Some((Fault::Lowers, verdict));
    }
    // Only where `/proc/sys` can be seen at all.
    let is_absent =
        !root.path(&sysctl_path(&found.key)).exists() && root.path("proc/sys/net/ipv4").exists();
    let concerns_us = found.key.starts_with("net.") || found.key.starts_with("fs.");
    (is_absent && concerns_us).then(|| {
        let verdict = "no such setting here: gone from the kernel, a module that is not loaded, or \
                       hidden in this namespace";
        (Fault::Gone, verdict.to_owned())
    })
}

/// The kernel's own value, if `value` is clearly below it.
fn lowered(key: &str, value: &[u64], host: &Host) -> Option<String> {
    let knob = knobs::named(key)?;
    let own = (knob.own)(host)?;
    if value.len() != own.len() || knob.order == Order::Widen {
        return None;
    }
    // The kernel's own values vary with what it reserved at boot.
    let is_lower = value
        .iter()
        .zip(&own)
        .any(|(value, own)| *value < own / 10 * 9);
    is_lower.then(|| written(&own))
}

/// Where files are looked for, the most important folder first.
const FOLDERS: [&str; 5] = [
    "etc/sysctl.d",
    "run/sysctl.d",
    "usr/local/lib/sysctl.d",
    "usr/lib/sysctl.d",
    "lib/sysctl.d",
];

/// The table. What merely lowers a value is found by comparing with the kernel's own as well; such rows
/// are here for their reasons.
pub const ADVICE: &[Advice] = &[
    Advice {
        key: "fs.file-max",
        copied: "2097152",
        fault: Fault::Lowers,
        applies: |value, host| lowered("fs.file-max", value, host).is_some(),
        verdict: "the kernel sizes it by the memory and systemd sets it to the largest number there is: \
                  a constant lowers it",
    },
    Advice {
        key: "fs.epoll.max_user_watches",
        copied: "524288",
        fault: Fault::Lowers,
        applies: |value, host| lowered("fs.epoll.max_user_watches", value, host).is_some(),
        verdict: "the kernel sizes it by the memory (4 % of it): a constant from a small machine cuts it \
                  to a tenth",
    },
    Advice {
        key: "net.ipv4.tcp_mem",
        copied: "10000000 10000000 10000000",
        fault: Fault::Harmful,
        applies: |value, host| {
            let memory = host.memory_total_bytes.map(|bytes| bytes / 4096 / 2);
            matches!((value, memory), ([_, _, pages], Some(half)) if *pages > half)
        },
        verdict: "it is in pages: ten million are 38 GiB, so the brake is off and the OOM killer takes \
                  its place",
    },
    Advice {
        key: "net.ipv4.tcp_mem",
        copied: "131072 262144 524288",
        fault: Fault::Lowers,
        applies: |value, host| lowered("net.ipv4.tcp_mem", value, host).is_some(),
        verdict: "less than the kernel takes by itself: queued bytes stall earlier",
    },
    Advice {
        key: "net.ipv4.tcp_rmem",
        copied: "4096 8388608 16777216",
        fault: Fault::Harmful,
        applies: |value, _| value.get(1).is_some_and(|first| *first > 1 << 20),
        verdict: "the second number is what every socket may take before autotuning looks: a slow \
                  million may then hold terabytes",
    },
    Advice {
        key: "net.ipv4.tcp_wmem",
        copied: "4096 4194394 16777216",
        fault: Fault::Harmful,
        applies: |value, _| value.get(1).is_some_and(|first| *first > 1 << 20),
        verdict: "the second number is what every socket may queue before autotuning looks",
    },
    Advice {
        key: "net.core.rmem_max",
        copied: "16384",
        fault: Fault::Lowers,
        applies: |value, host| lowered("net.core.rmem_max", value, host).is_some(),
        verdict: "it saves nothing, an idle socket has no buffer; it only takes large buffers from other \
                  programs",
    },
    Advice {
        key: "net.ipv4.tcp_max_orphans",
        copied: "65536",
        fault: Fault::Lowers,
        applies: |value, host| lowered("net.ipv4.tcp_max_orphans", value, host).is_some(),
        verdict: "a mass disconnect is then finished by resets; the kernel's documentation says not to \
                  lower it",
    },
    Advice {
        key: "net.ipv4.tcp_max_tw_buckets",
        copied: "5000",
        fault: Fault::Lowers,
        applies: |value, host| lowered("net.ipv4.tcp_max_tw_buckets", value, host).is_some(),
        verdict: "it does not free ports, it skips the wait that protects the next connection; the \
                  kernel's documentation says not to lower it",
    },
    Advice {
        key: "net.ipv4.ip_local_port_range",
        copied: "500 65535",
        fault: Fault::Rejected,
        applies: |value, host| match value {
            [first, last] => *first < host.lowest_port() || *last > 65_535 || first >= last,
            _ => true,
        },
        verdict: "the kernel refuses a first port below ip_unprivileged_port_start (1024) and a last one \
                  above 65535; the old range stays",
    },
    Advice {
        key: "net.ipv4.ip_local_port_range",
        copied: "1024 65000",
        fault: Fault::Futile,
        applies: |value, _| matches!(value, [first, last] if first % 2 == last % 2),
        verdict: "both ends have the same parity: the kernel deals ports out by parity and leaves one \
                  half for the second round",
    },
    Advice {
        key: "net.ipv4.tcp_tw_recycle",
        copied: "1",
        fault: Fault::Gone,
        applies: |_, _| true,
        verdict: "removed in Linux 4.12: it dropped clients behind the same NAT",
    },
    Advice {
        key: "net.ipv4.tcp_low_latency",
        copied: "1",
        fault: Fault::Gone,
        applies: |_, _| true,
        verdict: "without effect since Linux 4.14",
    },
    Advice {
        key: "net.ipv4.tcp_tw_reuse",
        copied: "1",
        fault: Fault::Futile,
        applies: |value, _| value == [1],
        verdict: "for outgoing connections only; accepted ones share the listener's port and never run \
                  out of it",
    },
    Advice {
        key: "net.ipv4.tcp_fin_timeout",
        copied: "15",
        fault: Fault::Futile,
        applies: |value, _| value.first().is_some_and(|seconds| *seconds < 60),
        verdict: "it does not shorten TIME_WAIT, which is 60 seconds, always",
    },
    Advice {
        key: "net.ipv4.tcp_timestamps",
        copied: "0",
        fault: Fault::Harmful,
        applies: |value, _| value == [0],
        verdict: "TIME_WAIT ports cannot be reused without, and SYN cookies lose window scaling",
    },
    Advice {
        key: "net.ipv4.tcp_syncookies",
        copied: "0",
        fault: Fault::Harmful,
        applies: |value, _| value == [0],
        verdict: "a full SYN queue then drops honest clients",
    },
    Advice {
        key: "net.ipv4.tcp_abort_on_overflow",
        copied: "1",
        fault: Fault::Harmful,
        applies: |value, _| value == [1],
        verdict: "a burst that fills the accept queue becomes hard errors",
    },
    Advice {
        key: "net.ipv4.tcp_moderate_rcvbuf",
        copied: "0",
        fault: Fault::Futile,
        applies: |value, _| value == [0],
        verdict: "switches off the autotuning that keeps idle sockets small; cap tcp_rmem instead",
    },
    Advice {
        key: "vm.overcommit_memory",
        copied: "2",
        fault: Fault::Harmful,
        applies: |value, _| value == [2],
        verdict: "tables that are reserved and not yet touched count in full",
    },
];

#[cfg(test)]
mod tests;
