//! Machines and groups as folders; gates as numbers.

use super::*;
use std::fs;

const MIB: u64 = 1 << 20;

/// A `/proc` and a `/sys/fs/cgroup` with these files; removed with the value.
struct Machine(PathBuf);

impl Machine {
    fn new(name: &str, files: &[(&str, &str)]) -> Self {
        let root =
            std::env::temp_dir().join(format!("throng-memory-{}-{name}", std::process::id()));
        for (file, text) in files {
            let path = root.join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        Self(root)
    }

    fn meter(&self) -> Meter {
        Meter::at(&self.0.join("proc"), &self.0.join("cgroup"))
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn what_is_there_is_read() {
    let machine = Machine::new(
        "read",
        &[
            (
                "proc/meminfo",
                "MemTotal: 1000 kB\nMemFree: 1 kB\nMemAvailable:  400 kB\n",
            ),
            ("proc/self/status", "Name:\tx\nVmRSS:\t   20 kB\n"),
            ("proc/self/cgroup", "0::/system/throng\n"),
            ("cgroup/memory.max", "max\n"),
            ("cgroup/system/memory.max", "5000000\n"),
            ("cgroup/system/memory.current", "4900000\n"),
            (
                "cgroup/system/memory.stat",
                "anon 1\ninactive_file 900000\n",
            ),
            ("cgroup/system/throng/memory.max", "2000000\n"),
            ("cgroup/system/throng/memory.current", "1500000\n"),
        ],
    );
    let reading = machine.meter().read(10);
    assert_eq!(reading.rss_bytes, Some(20 << 10));
    assert_eq!(reading.available_bytes, Some(400 << 10));
    assert_eq!(reading.kernel_bytes, 39_700);
    let fullest = Group {
        limit_bytes: 2_000_000,
        used_bytes: 1_500_000,
    };
    assert_eq!(
        reading.group,
        Some(fullest),
        "500 000 left, above it 1 000 000"
    );
}

#[test]
fn version_1_has_its_own_names() {
    let machine = Machine::new(
        "version-1",
        &[
            ("proc/self/cgroup", "4:memory:/a\n0::/\n"),
            ("cgroup/memory/a/memory.limit_in_bytes", "1000\n"),
            ("cgroup/memory/a/memory.usage_in_bytes", "800\n"),
            (
                "cgroup/memory/a/memory.stat",
                "inactive_file 1\ntotal_inactive_file 300\n",
            ),
        ],
    );
    let group = machine.meter().read(0).group.unwrap();
    assert_eq!((group.limit_bytes, group.used_bytes), (1000, 500));
}

#[test]
fn what_is_hidden_shuts_nobody_out() {
    let meter = Machine::new("hidden", &[]).meter();
    let reading = meter.read(0);
    assert_eq!(reading, Reading::default());
    assert_eq!(Gate::new(0).judge(&meter, &reading), None);
    let machine = Machine::new("own", &[("proc/self/status", "VmRSS: 2048 kB\n")]);
    let own = machine.meter();
    let shortage = Gate::new(MIB).judge(&own, &own.read(0));
    assert!(
        matches!(shortage, Some(Shortage::Ours { .. })),
        "{shortage:?}"
    );
}

fn meter(total_bytes: u64) -> Meter {
    Meter {
        proc: PathBuf::new(),
        total_bytes: Some(total_bytes),
        groups: Vec::new(),
    }
}

#[test]
fn a_group_is_shut_before_it_is_full_and_opened_later_than_it_was_shut() {
    let mut gate = Gate::new(0);
    let meter = meter(64 << 30);
    let mut is_shut = |used_mib: u64| {
        let group = Group {
            limit_bytes: 2000 * MIB,
            used_bytes: used_mib * MIB,
        };
        let reading = Reading {
            group: Some(group),
            ..Reading::default()
        };
        gate.judge(&meter, &reading).is_some()
    };
    assert!(!is_shut(1899));
    assert!(is_shut(1901), "a twentieth is kept free");
    assert!(is_shut(1890), "not yet");
    assert!(!is_shut(1874));
    assert!(!is_shut(1890), "open again");
}

#[test]
fn a_machine_keeps_a_reserve_that_fits_it() {
    for (total, reserve) in [
        (100 * MIB, 25 * MIB),
        (400 * MIB, 48 * MIB),
        (2000 * MIB, 100 * MIB),
        (1 << 40, 1 << 30),
    ] {
        let meter = meter(total);
        let left = |available_bytes| Reading {
            available_bytes: Some(available_bytes),
            ..Reading::default()
        };
        assert_eq!(Gate::new(0).judge(&meter, &left(reserve)), None, "{total}");
        let shortage = Gate::new(0).judge(&meter, &left(reserve - 1));
        assert_eq!(
            shortage,
            Some(Shortage::Machine {
                available_bytes: reserve - 1
            })
        );
    }
}

#[test]
fn the_knob_counts_the_kernels_share() {
    let meter = meter(64 << 30);
    let reading = Reading {
        rss_bytes: Some(60 * MIB),
        kernel_bytes: 50 * MIB,
        ..Reading::default()
    };
    assert_eq!(Gate::new(110 * MIB).judge(&meter, &reading), None);
    let shortage = Gate::new(109 * MIB).judge(&meter, &reading).unwrap();
    assert_eq!(
        shortage.to_string(),
        "connections and process take 110 MiB, above --max-memory (109 MiB)"
    );
}
