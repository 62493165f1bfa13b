//! Where a run happened: what has to be equal before two runs may be compared.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use throng::tuning::knob::Place;
use throng::tuning::knobs;

use crate::sample::root::ProcRoot;

/// Everything that may explain a difference and is no result.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Environment {
    /// The exact command line.
    pub command: Vec<String>,
    /// Version of this program.
    pub version: String,
    /// Release of the kernel.
    pub kernel: String,
    /// Those of its boot parameters that change what a connection costs. Bundles are passed on: the others may
    /// be nobody's business.
    pub boot: String,
    /// Name of the machine.
    pub host: String,
    /// Model of the processors.
    pub cpu: String,
    /// How many of them this process may use.
    pub cpu_count: u64,
    /// Memory of the machine.
    pub memory_bytes: u64,
    /// SHA-1 of each program that took part, by role (`generator`, `server`), to tell builds apart.
    pub binaries: BTreeMap<String, String>,
    /// Kernel settings that matter to connections.
    pub sysctls: BTreeMap<String, String>,
    /// Limits of this process.
    pub limits: BTreeMap<String, String>,
}

impl Environment {
    /// Looks around. `server_pid` adds the target's binary where it runs here.
    #[must_use]
    pub fn read(root: &ProcRoot, command: Vec<String>, server_pid: Option<u32>) -> Self {
        let line = |path: &str| root.text(path).unwrap_or_default().trim().to_owned();
        let cpuinfo = root.text("proc/cpuinfo").unwrap_or_default();
        let meminfo = root.text("proc/meminfo").unwrap_or_default();
        let mut binaries = BTreeMap::new();
        let mut hash = |role: &str, pid: &str| {
            if let Some(hash) = sha1_of(&format!("/proc/{pid}/exe")) {
                binaries.insert(role.to_owned(), hash);
            }
        };
        hash("generator", "self");
        if let Some(pid) = server_pid {
            hash("server", &pid.to_string());
        }
        Self {
            command,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            kernel: line("proc/sys/kernel/osrelease"),
            boot: telling(&line("proc/cmdline")),
            host: line("proc/sys/kernel/hostname"),
            cpu: cpu_model(&cpuinfo),
            cpu_count: std::thread::available_parallelism().map_or(0, |count| count.get() as u64),
            memory_bytes: crate::sample::process::status_kib(&meminfo, "MemTotal:") * 1024,
            binaries,
            sysctls: sysctls(root),
            limits: limits(&root.text("proc/self/limits").unwrap_or_default()),
        }
    }

    /// Every difference to another environment: (what, here, there). The command and the host's name come
    /// first: they are the most likely to have been meant.
    #[must_use]
    pub fn differences(&self, other: &Self) -> Vec<(String, String, String)> {
        let mut found = Vec::new();
        let mut compare = |what: &str, a: &str, b: &str| {
            if a != b {
                found.push((what.to_owned(), a.to_owned(), b.to_owned()));
            }
        };
        compare("command", &self.command.join(" "), &other.command.join(" "));
        compare("host", &self.host, &other.host);
        compare("kernel", &self.kernel, &other.kernel);
        compare("boot parameters", &self.boot, &other.boot);
        compare("cpu", &self.cpu, &other.cpu);
        compare(
            "cpus",
            &self.cpu_count.to_string(),
            &other.cpu_count.to_string(),
        );
        compare(
            "memory",
            &self.memory_bytes.to_string(),
            &other.memory_bytes.to_string(),
        );
        compare("loadgen", &self.version, &other.version);
        for (kind, a, b) in [
            ("binary", &self.binaries, &other.binaries),
            ("", &self.sysctls, &other.sysctls),
            ("limit", &self.limits, &other.limits),
        ] {
            for key in a.keys().chain(b.keys().filter(|key| !a.contains_key(*key))) {
                let value = |map: &BTreeMap<String, String>| {
                    map.get(key).map_or_else(|| "absent".into(), String::clone)
                };
                compare(format!("{kind} {key}").trim(), &value(a), &value(b));
            }
        }
        found
    }
}

fn sysctls(root: &ProcRoot) -> BTreeMap<String, String> {
    let limits = knobs::all().filter(|knob| matches!(knob.place, Place::Sysctl));
    let limits = limits.map(|knob| knob.name);
    let read = |name: &str| {
        let text = root.text(&format!("proc/sys/{}", name.replace('.', "/")))?;
        let words: Vec<&str> = text.split_ascii_whitespace().collect();
        Some((name.to_owned(), words.join(" ")))
    };
    let names = limits.chain(BEHAVIOUR.iter().copied());
    names.filter_map(read).collect()
}

fn limits(text: &str) -> BTreeMap<String, String> {
    let value = |label: &str| {
        let rest = text.lines().find_map(|line| line.strip_prefix(label))?;
        let mut words = rest.split_ascii_whitespace();
        Some((
            label.to_lowercase(),
            format!("{} soft, {} hard", words.next()?, words.next()?),
        ))
    };
    ["Max open files", "Max locked memory", "Max processes"]
        .into_iter()
        .filter_map(value)
        .collect()
}

/// Of boot parameters, those in [`BOOT`], as they are written.
fn telling(cmdline: &str) -> String {
    let is_told = |word: &&str| BOOT.contains(&word.split(['=', '.']).next().unwrap_or_default());
    let words: Vec<&str> = cmdline.split_ascii_whitespace().filter(is_told).collect();
    words.join(" ")
}

fn cpu_model(cpuinfo: &str) -> String {
    let model = cpuinfo
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    model.map_or_else(String::new, |(_, name)| name.trim().to_owned())
}

/// Tells builds apart, nothing more: SHA-1 is what the handshake already links.
fn sha1_of(path: &str) -> Option<String> {
    use sha1::{Digest as _, Sha1};
    let bytes = std::fs::read(path).ok()?;
    Some(
        Sha1::digest(&bytes)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect(),
    )
}

/// Boot parameters that change what a connection costs: by name, or by what stands before a dot.
const BOOT: &[&str] = &[
    "cgroup_disable",
    "hugepagesz",
    "hugepages",
    "idle",
    "intel_idle",
    "intel_pstate",
    "amd_pstate",
    "isolcpus",
    "mitigations",
    "nohz_full",
    "noibrs",
    "nopti",
    "nosmt",
    "preempt",
    "processor",
    "pti",
    "rcu_nocbs",
    "spectre_v2",
    "thash_entries",
    "transparent_hugepage",
    "uhash_entries",
];

/// What stops no connection, and is therefore not in the table of limits, but may explain a difference.
const BEHAVIOUR: &[&str] = &[
    "net.core.busy_poll",
    "net.core.optmem_max",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.tcp_congestion_control",
    "net.ipv4.tcp_moderate_rcvbuf",
    "net.ipv4.tcp_notsent_lowat",
    "net.ipv4.tcp_slow_start_after_idle",
    "vm.swappiness",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boot_parameters_are_told_that_cost_something_and_no_others() {
        let told =
            telling("quiet mitigations=off password=x processor.max_cstate=1 thash_entries=4 ro");
        assert_eq!(
            told,
            "mitigations=off processor.max_cstate=1 thash_entries=4"
        );
        assert_eq!(telling(""), "");
    }

    #[test]
    fn differences_are_named_from_both_sides() {
        let map = |pairs: &[(&str, &str)]| {
            pairs
                .iter()
                .map(|(k, v)| ((*k).into(), (*v).into()))
                .collect()
        };
        let a = Environment {
            kernel: "6.1".into(),
            sysctls: map(&[("x", "1"), ("y", "2")]),
            ..Environment::default()
        };
        let b = Environment {
            kernel: "6.18".into(),
            sysctls: map(&[("y", "2"), ("z", "3")]),
            ..a.clone()
        };
        assert!(a.differences(&a).is_empty());
        let found = a.differences(&Environment {
            kernel: "6.18".into(),
            ..b
        });
        let found: Vec<_> = found
            .iter()
            .map(|(what, a, b)| (what.as_str(), a.as_str(), b.as_str()))
            .collect();
        assert_eq!(
            found,
            [
                ("kernel", "6.1", "6.18"),
                ("x", "1", "absent"),
                ("z", "absent", "3")
            ]
        );
    }

    #[test]
    fn this_machine_says_something_and_another_says_nothing() {
        let here = Environment::read(&ProcRoot::machine(), vec!["loadgen".into()], None);
        assert!(!here.kernel.is_empty() && here.binaries["generator"].len() == 40);
        let nowhere = Environment::read(
            &ProcRoot::at(std::path::Path::new("/nowhere-at-all")),
            vec![],
            None,
        );
        assert!(nowhere.kernel.is_empty() && nowhere.sysctls.is_empty());
    }

    #[test]
    fn a_setting_is_listed_once_and_limits_by_the_table_alone() {
        let root = std::env::temp_dir().join(format!("loadgen-sysctls-{}", std::process::id()));
        for (folder, name, text) in [
            ("net/ipv4", "tcp_mem", "1\t2\t3\n"),
            ("vm", "swappiness", "60\n"),
            ("vm", "stat_interval", "1\n"),
        ] {
            let folder = root.join("proc/sys").join(folder);
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(folder.join(name), text).unwrap();
        }
        let found = sysctls(&ProcRoot::at(&root));
        std::fs::remove_dir_all(&root).unwrap();
        let found: Vec<_> = found
            .iter()
            .map(|(k, v)| (k.as_str(), v.as_str()))
            .collect();
        assert_eq!(
            found,
            [("net.ipv4.tcp_mem", "1 2 3"), ("vm.swappiness", "60")]
        );
        let doubles = BEHAVIOUR.iter().filter(|name| knobs::named(name).is_some());
        assert_eq!(doubles.count(), 0, "the table of limits has it already");
    }

    #[test]
    fn captured_text_is_read() {
        assert_eq!(
            cpu_model("processor\t: 0\nmodel name\t: Xeon: fast\n"),
            "Xeon: fast"
        );
        let found =
            limits("Max open files            1024                 524288               files\n");
        assert_eq!(found["max open files"], "1024 soft, 524288 hard");
    }
}
