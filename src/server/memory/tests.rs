//! Machines and groups as folders; gates as numbers.

use super::*;
use crate::tuning::tree::Tree;

const MIB: u64 = 1 << 20;

fn meter_of(files: &[(&str, &str)]) -> (Tree, Meter) {
    let tree = Tree::new(files);
    let meter = Meter::at(tree.root());
    (tree, meter)
}

#[test]
fn what_is_there_is_read() {
    let (_tree, meter) = meter_of(&[
        (
            "proc/meminfo",
            "MemTotal: 1000 kB\nMemFree: 300 kB\nMemAvailable: 900 kB\nCached: 120 kB\nShmem: 20 kB\n",
        ),
        ("proc/self/status", "Name:\tx\nVmRSS:\t   20 kB\n"),
        ("proc/self/cgroup", "0::/system/throng\n"),
        ("sys/fs/cgroup/memory.max", "max\n"),
        ("sys/fs/cgroup/system/memory.max", "5000000\n"),
        ("sys/fs/cgroup/system/memory.current", "4900000\n"),
        (
            "sys/fs/cgroup/system/memory.stat",
            "anon 1\ninactive_file 900000\n",
        ),
        ("sys/fs/cgroup/system/throng/memory.max", "2000000\n"),
        ("sys/fs/cgroup/system/throng/memory.current", "1500000\n"),
    ]);
    let reading = meter.read(10);
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
    let (_tree, meter) = meter_of(&[
        ("proc/self/cgroup", "4:memory:/a\n0::/\n"),
        ("sys/fs/cgroup/memory/a/memory.limit_in_bytes", "1000\n"),
        ("sys/fs/cgroup/memory/a/memory.usage_in_bytes", "800\n"),
        (
            "sys/fs/cgroup/memory/a/memory.stat",
            "inactive_file 1\ntotal_inactive_file 300\n",
        ),
    ]);
    let group = meter.read(0).group.unwrap();
    assert_eq!((group.limit_bytes, group.used_bytes), (1000, 500));
}

#[test]
fn what_is_hidden_shuts_nobody_out() {
    let (_tree, meter) = meter_of(&[]);
    let reading = meter.read(0);
    assert_eq!(reading, Reading::default());
    assert_eq!(Gate::new(0).judge(&meter, &reading), None);
    let (_tree, meter) = meter_of(&[("proc/self/status", "VmRSS: 2048 kB\n")]);
    let own = meter;
    let shortage = Gate::new(MIB).judge(&own, &own.read(0));
    assert!(
        matches!(shortage, Some(Shortage::Ours { .. })),
        "{shortage:?}"
    );
}

fn meter(total_bytes: u64) -> Meter {
    Meter {
        root: ProcRoot::at(std::path::Path::new("/nonexistent")),
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
